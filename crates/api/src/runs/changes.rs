use std::time::Duration;

use axum::{Json, extract::State};
use domain::ids::RunId;
use link::{Answered, Ask};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    access::Caller,
    problem::{Answer, Problem},
    request::Id,
    state::AppState,
};

/// How long a pod has to compute it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A branch's diff against its base.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangesBody {
    /// The merge base.
    base: String,
    /// The commit at HEAD.
    head: String,
    /// A unified diff, with what is not committed. Hostile: show it as text.
    diff: String,
    /// Whether it was cut at 768 KiB.
    truncated: bool,
    /// Whether it was computed in the pod now; otherwise it is the last that was kept.
    live: bool,
}

/// Shows the branch's diff against its base: as it is in the pod now, or as it last was.
#[utoipa::path(get, path = "/api/v1/runs/{id}/changes", operation_id = "getRunChanges", tag = "runs",
    params(("id" = Uuid, Path)),
    responses((status = 200, description = "The diff", body = ChangesBody)))]
pub(crate) async fn get_run_changes(
    State(state): State<AppState>,
    _caller: Caller,
    Id(run): Id<RunId>,
) -> Answer<Json<ChangesBody>> {
    let row = state.views.run(run).await?.ok_or_else(|| Problem::not_found("run"))?;
    if row.finished_at.is_none() {
        let asked = state.links.ask(run, Ask::Changes, PATIENCE).await;
        if let Ok(Answered::Changes { base, head, diff, truncated }) = asked {
            return Ok(Json(ChangesBody { base, head, diff, truncated, live: true }));
        }
    }
    let kept = crate::link::kept_changes(state.pool(), run).await?;
    let kept = kept.ok_or_else(|| match row.finished_at {
        None => Problem::unavailable("no-changes-yet", "The run has no workspace to compare yet"),
        Some(_) => Problem::not_found("diff: the run ended without one"),
    })?;
    let Answered::Changes { base, head, diff, truncated } = kept;
    Ok(Json(ChangesBody { base, head, diff, truncated, live: false }))
}
