//! What the role answers where it does not do what it is asked.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use object_store::Error;

use crate::full::{FULL, is_full};

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("the token is missing or another one")]
    Unauthenticated,
    #[error("this is not the path of an object")]
    Path(#[from] object_store::path::Error),
    #[error("there is no such object")]
    NotFound,
    #[error("there is no such upload: begin anew")]
    NoUpload,
    #[error("the object is there already")]
    Exists,
    #[error("part {next} is next")]
    Order { next: usize },
    #[error("Content-Digest has to name the SHA-256 of the body")]
    NoDigest,
    #[error("the bytes have another digest; they are not kept")]
    Digest,
    #[error("the range is not one of this object")]
    Range,
    #[error("a request may bring at most {} bytes", crate::MAX_BODY)]
    TooLarge,
    #[error("the body broke off")]
    BrokenOff,
    #[error("{FULL}")]
    Full,
    #[error("the volume failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            error if is_full(&error) => Self::Full,
            Error::NotFound { .. } => Self::NotFound,
            Error::AlreadyExists { .. } => Self::Exists,
            Error::InvalidPath { source } => Self::Path(source),
            other => Self::Failed(other.into()),
        }
    }
}

impl Problem {
    const fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
            Self::Path(_) => (StatusCode::BAD_REQUEST, "not-a-path"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found"),
            Self::NoUpload => (StatusCode::GONE, "no-such-upload"),
            Self::Exists => (StatusCode::PRECONDITION_FAILED, "exists"),
            Self::Order { .. } => (StatusCode::CONFLICT, "out-of-order"),
            Self::NoDigest => (StatusCode::BAD_REQUEST, "no-digest"),
            Self::Digest => (StatusCode::UNPROCESSABLE_ENTITY, "another-digest"),
            Self::Range => (StatusCode::RANGE_NOT_SATISFIABLE, "range"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
            Self::BrokenOff => (StatusCode::BAD_REQUEST, "broken-off"),
            Self::Full => (StatusCode::INSUFFICIENT_STORAGE, "storage-full"),
            Self::Failed(_) => (StatusCode::SERVICE_UNAVAILABLE, "volume-failed"),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, kind) = self.status();
        match self {
            Self::Full => tracing::warn!("{FULL}"),
            Self::Failed(_) => {
                tracing::error!(error = &self as &dyn std::error::Error, "a request failed");
            }
            _ => {}
        }
        let problem = serde_json::json!({
            "type": format!("https://paddock.dev/problems/artifacts/{kind}"),
            "title": self.to_string(),
            "status": status.as_u16(),
        });
        let content = [(header::CONTENT_TYPE, "application/problem+json")];
        (status, content, Json(problem)).into_response()
    }
}
