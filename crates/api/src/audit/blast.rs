use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use projections::Blast;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    access::Caller,
    answer::ListBody,
    problem::{Answer, Problem},
    request::Params,
    state::AppState,
};

/// What runs are looked for by: one of the three.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct BlastQuery {
    /// `full`: those that could reach any public host at some time between `since` and `until`
    egress: Option<String>,
    /// Those that used this credential.
    credential: Option<Uuid>,
    /// Those of which a container ran this image: its digest, such as `sha256:…`, or a beginning of it.
    image: Option<String>,
    /// From; with `egress`.
    since: Option<DateTime<Utc>>,
    /// To; now unless told otherwise.
    until: Option<DateTime<Utc>>,
}

/// A run that was found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BlastBody {
    run_id: Uuid,
    /// The session it is of; null where nobody knows it any more.
    session_id: Option<Uuid>,
    repo: Option<String>,
    created_by: Option<String>,
    /// Since when it was so, or when it was first.
    since: DateTime<Utc>,
    /// Until when; null where it is so still.
    until: Option<DateTime<Utc>>,
    /// The event that says so.
    position: Option<u64>,
}

/// Lists the runs that something may have reached: full egress in a time, a credential, an image.
#[utoipa::path(get, path = "/api/v1/audit/runs", operation_id = "listAuditRuns", tag = "audit",
    params(BlastQuery),
    responses((status = 200, description = "All of them, the newest first", body = ListBody<BlastBody>)))]
pub(crate) async fn list_audit_runs(
    State(state): State<AppState>,
    _caller: Caller,
    Params(query): Params<BlastQuery>,
) -> Answer<Json<ListBody<BlastBody>>> {
    let by = blast(&state, query)?;
    let mut items = vec![];
    for found in state.views.blast(&by).await? {
        let run = state.views.run(found.run).await?;
        items.push(BlastBody {
            run_id: found.run.0,
            session_id: run.as_ref().map(|run| run.requested.session.0),
            repo: run.as_ref().map(|run| run.requested.repo.to_string()),
            created_by: run.as_ref().map(|run| format!("user:{}", run.requested.owner)),
            since: found.since,
            until: found.until,
            position: found.position,
        });
    }
    Ok(Json(ListBody { items, next: None }))
}

fn blast(state: &AppState, query: BlastQuery) -> Answer<Blast> {
    let BlastQuery { egress, credential, image, since, until } = query;
    match (egress.as_deref(), credential, image) {
        (Some("full"), None, None) => {
            let since =
                since.ok_or_else(|| Problem::malformed("since", "must be there with egress"))?;
            let until = until.unwrap_or_else(|| state.commands.context().now());
            if since >= until {
                return Err(Problem::malformed("until", "must be after since"));
            }
            Ok(Blast::FullEgress { since, until })
        }
        (Some(_), None, None) => Err(Problem::malformed("egress", "must be full")),
        (None, Some(credential), None) => Ok(Blast::Credential(credential)),
        (None, None, Some(image)) if image.len() >= 12 => Ok(Blast::Image(image)),
        (None, None, Some(_)) => {
            Err(Problem::malformed("image", "must have at least 12 characters"))
        }
        _ => Err(Problem::malformed("query", "must have one of egress, credential and image")),
    }
}
