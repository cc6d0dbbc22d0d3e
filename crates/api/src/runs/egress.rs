use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use domain::{
    access::Action,
    ids::{RunId, SessionId},
    run::{Command, EgressMode},
};
use projections::Cursor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    access::{Allowance, Caller},
    answer::{CommandBody, Done, ListBody},
    gateway::{self, Decision},
    names::{EgressKind, EgressVerdict},
    problem::{Answer, Problem},
    request::{Asked, Id, ListQuery, Params},
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

/// What a run is to reach from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEgress {
    /// `github`, its repository; or `full`, any public host through the gateway.
    mode: String,
    /// Why, kept on the record: needed for `full`; at most 1,000 characters.
    reason: Option<String>,
}

/// Lets a run reach more, or less, from now on. Less closes what is open within ten seconds.
#[utoipa::path(put, path = "/api/v1/runs/{id}/egress", operation_id = "setRunEgress", tag = "runs",
    params(("id" = Uuid, Path)), request_body = NewEgress,
    responses((status = 202, description = "It takes effect in seconds", body = CommandBody)))]
pub(crate) async fn set_run_egress(
    State(state): State<AppState>,
    Id(run): Id<RunId>,
    asked: Asked<NewEgress>,
) -> Answer<Done> {
    let mode = may_set(&state, &asked, run).await;
    let mode = asked.by.audited(&state, "run.change-egress", Some(run.into()), mode).await?;
    let context = state.commands.context();
    let reason = egress_reason(asked.body.reason.clone())?.map(|reason| context.seal(reason));
    let reference = reason.as_ref().map(|reason| reason.reference.clone());
    let command = Command::ChangeEgress { mode, reason: reference };
    let caused = asked.by.caused(reason.into_iter().collect());
    Ok(Done::accepted(state.commands.run(run, command, caused).await?))
}

/// The mode that is asked for, if the caller may give it to that run.
async fn may_set(state: &AppState, asked: &Asked<NewEgress>, run: RunId) -> Answer<EgressMode> {
    let mode = egress_mode(state, &asked.body.mode)?;
    if mode == EgressMode::Full {
        let row = state.views.run(run).await?.ok_or_else(|| Problem::not_found("run"))?;
        may_widen(state, &Allowance::of(state, &asked.caller), row.requested.session).await?;
    }
    Ok(mode)
}

/// Refuses where somebody may not let the runs of a session reach more than GitHub.
pub(super) async fn may_widen(
    state: &AppState,
    allowance: &Allowance,
    session: SessionId,
) -> Answer<()> {
    let resource = state.authority.session(session).await?;
    let resource = resource.ok_or_else(|| Problem::not_found("session"))?;
    allowance.demand(Action::OpenEgress, &resource)
}

/// The mode of that name, if runs can be given it here.
pub(super) fn egress_mode(state: &AppState, name: &str) -> Answer<EgressMode> {
    let refused = |field, words: &str| {
        Problem::refused(StatusCode::UNPROCESSABLE_ENTITY, "egress-not-there", field, words)
    };
    match name {
        "github" => Ok(EgressMode::Github),
        "full" if state.settings.egress_full => Ok(EgressMode::Full),
        "full" => Err(refused(
            "egress",
            "the gateway has no listener for it: set PADDOCK_EGRESS_FULL_LISTEN and PADDOCK_EGRESS_FULL_ADDRESS",
        )),
        _ => Err(refused("egress", "it is github or full")),
    }
}

/// A reason that says something.
pub(super) fn egress_reason(reason: Option<String>) -> Answer<Option<String>> {
    let Some(reason) = reason.map(|reason| reason.trim().to_owned()) else { return Ok(None) };
    if reason.is_empty() || reason.chars().count() > 1_000 {
        let words = "is empty, or longer than 1,000 characters";
        let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
        return Err(Problem::refused(unprocessable, "egress-reason", "reason", words));
    }
    Ok(Some(reason))
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
