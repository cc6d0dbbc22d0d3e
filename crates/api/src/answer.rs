//! What commands and lists answer.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use commands::Accepted;
use serde::Serialize;
use utoipa::ToSchema;

/// What a command answers: where its effect can be waited for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommandBody {
    /// The session or run.
    #[schema(value_type = String, format = "uuid")]
    id: uuid::Uuid,
    /// Its stream.
    #[schema(value_type = String)]
    stream: domain::stream::StreamId,
    /// The version of the stream with the command's effect: `?at_least=<stream>@<version>`.
    #[schema(value_type = u64)]
    version: domain::ids::StreamVersion,
}

/// A command's answer.
pub(crate) struct Done {
    status: StatusCode,
    accepted: Accepted,
}

impl Done {
    /// Something new is there: 201.
    pub(crate) fn created(accepted: Accepted) -> Self {
        Self { status: StatusCode::CREATED, accepted }
    }

    /// It will have its effect: 202.
    pub(crate) fn accepted(accepted: Accepted) -> Self {
        Self { status: StatusCode::ACCEPTED, accepted }
    }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        let Accepted { stream, version, target, .. } = self.accepted;
        let body = CommandBody { id: target, stream, version };
        (self.status, [(header::ETAG, format!("\"{version}\""))], Json(body)).into_response()
    }
}

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListBody<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// What to send as `cursor` for the next part; null at the list's end.
    pub(crate) next: Option<String>,
}
