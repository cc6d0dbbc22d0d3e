use axum::{
    Json,
    extract::{FromRequest, Request},
    http::StatusCode,
};
use serde::de::DeserializeOwned;

use crate::{failure::Failure, wire::StepError};

/// A request's JSON; what is not, is refused in this protocol's own form.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Asked<T> {
    type Rejection = (StatusCode, Json<StepError>);

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        match Json::from_request(request, state).await {
            Ok(Json(asked)) => Ok(Self(asked)),
            Err(rejection) => {
                Err((rejection.status(), Failure::other(rejection.body_text()).into_json()))
            }
        }
    }
}
