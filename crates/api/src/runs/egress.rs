use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use domain::ids::RunId;
use projections::Cursor;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    access::Caller,
    answer::ListBody,
    gateway::{self, Decision},
    names::{EgressKind, EgressVerdict},
    problem::{Answer, Problem},
    request::{Id, ListQuery, Params},
    state::AppState,
};

/// What a gateway decided.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DecisionBody {
    id: Uuid,
    at: DateTime<Utc>,
    kind: EgressKind,
    host: String,
    port: u16,
    verdict: EgressVerdict,
    /// By which rule.
    rule: String,
    bytes_up: u64,
    bytes_down: u64,
    duration_ms: u64,
    status: Option<u16>,
}

impl From<Decision> for DecisionBody {
    fn from(decision: Decision) -> Self {
        Self {
            id: decision.id,
            at: decision.at,
            kind: decision.kind.into(),
            host: decision.host,
            port: decision.port,
            verdict: decision.verdict.into(),
            rule: decision.rule,
            bytes_up: decision.bytes_up,
            bytes_down: decision.bytes_down,
            duration_ms: decision.duration_ms,
            status: decision.status,
        }
    }
}

/// Lists what a run reached and was refused, the oldest first.
#[utoipa::path(get, path = "/api/v1/runs/{id}/egress", operation_id = "listRunEgress", tag = "runs",
    params(("id" = Uuid, Path), ListQuery),
    responses((status = 200, description = "A part of the list", body = ListBody<DecisionBody>)))]
pub(crate) async fn list_run_egress(
    State(state): State<AppState>,
    _caller: Caller,
    Id(run): Id<RunId>,
    Params(query): Params<ListQuery>,
) -> Answer<Json<ListBody<DecisionBody>>> {
    state.views.run(run).await?.ok_or_else(|| Problem::not_found("run"))?;
    let (list, limit) = (format!("egress {run}"), query.limit()?);
    let after = match &query.cursor {
        Some(cursor) => {
            let key: String = Cursor::key(&list, cursor)?;
            let (at, id) = key.split_once(' ').ok_or(projections::NotACursor)?;
            Some(gateway::Cursor {
                at: at.parse().map_err(|_| projections::NotACursor)?,
                id: id.parse().map_err(|_| projections::NotACursor)?,
            })
        }
        None => None,
    };
    let mut found = state.decisions.of_run(run, after, limit + 1).await?;
    let more = found.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let last = found.last().filter(|_| more);
    let next = last
        .map(|last| Cursor::after(&list, format!("{} {}", last.at.to_rfc3339(), last.id)).encode());
    Ok(Json(ListBody { items: found.into_iter().map(DecisionBody::from).collect(), next }))
}
