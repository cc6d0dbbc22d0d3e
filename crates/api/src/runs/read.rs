use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use domain::ids::{RunId, SessionId};
use projections::{Cursor, RunFilter};
use serde::Deserialize;
use utoipa::IntoParams;

use super::RunBody;
use crate::{
    access::{Allowance, Caller},
    answer::ListBody,
    problem::{Answer, Problem},
    request::{Id, ListQuery, Params, ReadQuery},
    state::AppState,
};

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunsQuery {
    /// How many items, 1 to 200; 50 unless told otherwise.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// `<stream>@<version>`: what the answer must include.
    at_least: Option<String>,
    /// Those that have not ended.
    #[serde(default)]
    active: bool,
}

/// Lists runs, the newest first.
#[utoipa::path(get, path = "/api/v1/runs", operation_id = "listRuns", tag = "runs",
    params(RunsQuery),
    responses((status = 200, description = "A part of the list", body = ListBody<RunBody>)))]
pub(crate) async fn list_runs(
    State(state): State<AppState>,
    caller: Caller,
    Params(query): Params<RunsQuery>,
) -> Answer<Json<ListBody<RunBody>>> {
    let RunsQuery { limit, cursor, at_least, active } = query;
    let list = ListQuery { limit, cursor, at_least };
    listed(&state, &caller, &list, &RunFilter { session: None, active }).await
}

/// Lists a session's runs, the newest first.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/runs", operation_id = "listSessionRuns", tag = "runs",
    params(("id" = Uuid, Path), ListQuery),
    responses((status = 200, description = "A part of the list", body = ListBody<RunBody>)))]
pub(crate) async fn list_session_runs(
    State(state): State<AppState>,
    caller: Caller,
    Id(session): Id<SessionId>,
    Params(list): Params<ListQuery>,
) -> Answer<Json<ListBody<RunBody>>> {
    if state.views.session(session).await?.is_none() {
        return Err(Problem::not_found("session"));
    }
    listed(&state, &caller, &list, &RunFilter { session: Some(session), active: false }).await
}

async fn listed(
    state: &AppState,
    caller: &Caller,
    list: &ListQuery,
    filter: &RunFilter,
) -> Answer<Json<ListBody<RunBody>>> {
    state.at_least(list.at_least.as_deref()).await?;
    let (limit, allowance) = (list.limit()?, Allowance::of(state, caller));
    let sight = allowance.sight();
    let page = state.views.runs(&sight, filter, list.cursor.as_deref(), limit).await??;
    let items = RunBody::list(state, &allowance, page.items).await?;
    Ok(Json(ListBody { items, next: page.next.as_ref().map(Cursor::encode) }))
}

/// Shows one run.
#[utoipa::path(get, path = "/api/v1/runs/{id}", operation_id = "getRun", tag = "runs",
    params(("id" = Uuid, Path), ReadQuery),
    responses((status = 200, description = "The run", body = RunBody)))]
pub(crate) async fn get_run(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id<RunId>,
    Params(query): Params<ReadQuery>,
) -> Answer<Response> {
    state.at_least(query.at_least.as_deref()).await?;
    let row = state.views.run(id).await?.ok_or_else(|| Problem::not_found("run"))?;
    let etag = format!("\"{}\"", row.version);
    let body = RunBody::one(&state, &Allowance::of(&state, &caller), row).await?;
    Ok(([(header::ETAG, etag)], Json(body)).into_response())
}
