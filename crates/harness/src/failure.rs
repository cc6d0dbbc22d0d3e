//! One error type for every step, and its answer.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use crate::wire::{StepError, StepErrorKind};

/// The most bytes of a detail.
const MAX_DETAIL: usize = 16 * 1024;

/// Why a step failed.
#[derive(Debug)]
pub(crate) struct Failure(StepError);

pub(crate) type Step<T> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(kind: StepErrorKind, detail: impl Into<String>) -> Self {
        let mut detail: String = detail.into();
        if detail.len() > MAX_DETAIL {
            let mut end = MAX_DETAIL;
            while !detail.is_char_boundary(end) {
                end -= 1;
            }
            detail.truncate(end);
        }
        Self(StepError { kind, detail })
    }

    pub(crate) fn other(detail: impl std::fmt::Display) -> Self {
        Self::new(StepErrorKind::Other, detail.to_string())
    }

    pub(crate) fn agent(detail: impl std::fmt::Display) -> Self {
        Self::new(StepErrorKind::Agent, detail.to_string())
    }

    pub(crate) fn bad_bundle(detail: impl std::fmt::Display) -> Self {
        Self::new(StepErrorKind::BadBundle, detail.to_string())
    }
}

impl Failure {
    /// The answer's body, for an answer with a status of its own.
    pub(crate) fn into_json(self) -> Json<StepError> {
        Json(self.0)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.detail)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::other(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match self.0.kind {
            StepErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            StepErrorKind::Other => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        (status, Json(self.0)).into_response()
    }
}
