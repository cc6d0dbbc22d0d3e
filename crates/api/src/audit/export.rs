use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use commands::audit::ExportError;
use futures::stream;

use crate::{
    access::Caller,
    problem::{Answer, Problem},
    state::AppState,
};

/// Takes the whole record out as one file, which `paddock audit verify` verifies without any server.
#[utoipa::path(get, path = "/api/v1/audit/export", operation_id = "exportAudit", tag = "audit",
    responses((status = 200, description = "Lines of JSON, each in its canonical form",
        content_type = "application/jsonl")))]
pub(crate) async fn export_audit(
    State(state): State<AppState>,
    _caller: Caller,
) -> Answer<Response> {
    let export = state.commands.audit().export().await?;
    let size = export.size();
    let lines = stream::try_unfold(export, async |mut export| {
        let lines = export.next().await?;
        Ok::<_, ExportError>(lines.map(|lines| (Bytes::from(lines), export)))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/jsonl".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"paddock-audit-{size}.jsonl\""),
        ),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::NothingSigned => {
                Self::new(StatusCode::CONFLICT, "nothing-signed", "Nothing is signed yet")
            }
            ExportError::Unsettled => {
                Self::unavailable("not-signed-yet", "An erasure is not signed yet; try again")
            }
            ExportError::NotText(error) => {
                Self::unavailable("unavailable", "The record cannot be taken out").detail(error)
            }
            ExportError::Store(error) => error.into(),
        }
    }
}
