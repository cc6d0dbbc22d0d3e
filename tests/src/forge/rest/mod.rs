//! The part of GitHub's REST API in use.

mod contents;
mod issues;
mod opened;
mod paging;
mod pulls;
mod refusal;
mod repositories;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::Value;

use self::opened::Opened;
pub(super) use self::refusal::{Answered, Refusal};
pub(super) use self::{
    contents::contents,
    issues::{issue, issues},
    paging::escaped,
    pulls::{change_pull, create_pull, pull, pulls},
    repositories::{branch, branches, reference, repository},
};
use super::{Forge, answers, token::Caller};

/// How many requests an hour are allowed to somebody, as GitHub says it.
const LIMIT: u64 = 5000;

/// `GET /user`: whose token it is.
pub(super) async fn user(State(forge): State<Arc<Forge>>, headers: HeaderMap) -> Answered {
    match Caller::of(&forge, &headers) {
        Caller::Known(..) => Ok(ok(&answers::caller(&forge))),
        Caller::Anonymous => Err(Refusal::requires_authentication()),
        Caller::Wrong => Err(Refusal::bad_credentials()),
    }
}

/// What is answered to a path that the API does not have.
pub(super) async fn unknown() -> Refusal {
    Refusal::not_found()
}

fn ok(body: &Value) -> Response {
    axum::Json(body).into_response()
}

fn created(body: &Value) -> Response {
    (StatusCode::CREATED, axum::Json(body)).into_response()
}

/// Adds what every answer of GitHub's API has.
pub(super) async fn headers(
    State(forge): State<Arc<Forge>>,
    request: Request,
    next: Next,
) -> Response {
    let expiry = match Caller::of(&forge, request.headers()) {
        Caller::Known(_, token) => Some(token.expiry()),
        Caller::Anonymous | Caller::Wrong => None,
    };
    let limit = if expiry.is_some() { LIMIT } else { 60 };
    let mut response = next.run(request).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let numbers = [
        ("x-ratelimit-limit", limit),
        ("x-ratelimit-remaining", limit - 1),
        ("x-ratelimit-used", 1),
        ("x-ratelimit-reset", now + 3600),
    ];
    for (name, number) in numbers {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from(number));
    }
    if let Some(Ok(expiry)) = expiry.flatten().map(HeaderValue::try_from) {
        let name = HeaderName::from_static("github-authentication-token-expiration");
        response.headers_mut().insert(name, expiry);
    }
    let words = [
        (HeaderName::from_static("x-ratelimit-resource"), "core"),
        (HeaderName::from_static("x-github-media-type"), "github.v3; format=json"),
        (header::CONTENT_TYPE, "application/json; charset=utf-8"),
    ];
    for (name, word) in words {
        response.headers_mut().insert(name, HeaderValue::from_static(word));
    }
    response
}

/// Gives every answer a number of its own.
pub(super) async fn request_id(request: Request, next: Next) -> Response {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut response = next.run(request).await;
    if let Ok(id) = format!("{:04X}:{number:06X}", std::process::id() & 0xffff).parse() {
        response.headers_mut().insert("x-github-request-id", id);
    }
    response
}
