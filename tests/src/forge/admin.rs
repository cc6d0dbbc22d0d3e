//! `/_test`: for tests, with a token that may do everything.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Forge, NewRepository, faults::Fault, token::Caller};

type Shared = State<Arc<Forge>>;

/// Lets nobody in without such a token.
pub(super) async fn guard(State(forge): Shared, request: Request, next: Next) -> Response {
    if Caller::of(&forge, request.headers()).may_test() {
        next.run(request).await
    } else {
        StatusCode::UNAUTHORIZED.into_response()
    }
}

/// The faults that are still to come.
pub(super) async fn faults(State(forge): Shared) -> Json<Value> {
    Json(json!({ "faults": forge.faults.due() }))
}

/// Asks for a fault.
pub(super) async fn add_fault(State(forge): Shared, Json(fault): Json<Fault>) -> StatusCode {
    forge.faults.add(fault);
    StatusCode::NO_CONTENT
}

/// Ends all faults.
pub(super) async fn end_faults(State(forge): Shared) -> StatusCode {
    forge.faults.clear();
    StatusCode::NO_CONTENT
}

/// The requests that came since the forge was started, and how many pull requests there are.
pub(super) async fn requests(State(forge): Shared) -> Json<Value> {
    Json(json!({
        "requests": forge.requests.all(),
        "pull_requests": forge.pull_requests(),
    }))
}

/// A token in the text form of a file of tokens; its secret alone where it is ended.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenText {
    token: String,
}

/// Takes a token from now on.
pub(super) async fn take_token(State(forge): Shared, Json(text): Json<TokenText>) -> Response {
    match text.token.parse() {
        Ok(token) => {
            forge.take_token(token);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{error}\n")).into_response(),
    }
}

/// Ends a token, as its owner does on GitHub.
pub(super) async fn end_token(State(forge): Shared, Json(text): Json<TokenText>) -> StatusCode {
    if forge.end_token(&text.token) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

/// Makes a repository.
pub(super) async fn create_repository(
    State(forge): Shared,
    Json(new): Json<NewRepository>,
) -> Response {
    match forge.create_repository(new).await {
        Ok(()) => StatusCode::CREATED.into_response(),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{error}\n")).into_response(),
    }
}
