use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use domain::ids::SessionId;
use projections::{Cursor, SessionFilter};
use serde::Deserialize;
use utoipa::IntoParams;

pub(crate) use super::body::SessionBody;
use crate::{
    access::Caller,
    answer::ListBody,
    problem::{Answer, Problem},
    request::{Id, ListQuery, Params, ReadQuery},
    state::AppState,
};

/// Which sessions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionsQuery {
    /// How many items, 1 to 200; 50 unless told otherwise.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// `<stream>@<version>`: what the answer must include.
    at_least: Option<String>,
    /// Those in the archive, in place of those that are not.
    #[serde(default)]
    archived: bool,
}

/// Lists sessions, the newest first.
#[utoipa::path(get, path = "/api/v1/sessions", operation_id = "listSessions", tag = "sessions",
    params(SessionsQuery),
    responses((status = 200, description = "A part of the list", body = ListBody<SessionBody>)))]
pub(crate) async fn list_sessions(
    State(state): State<AppState>,
    _caller: Caller,
    Params(query): Params<SessionsQuery>,
) -> Answer<Json<ListBody<SessionBody>>> {
    let SessionsQuery { limit, cursor, at_least, archived } = query;
    let list = ListQuery { limit, cursor, at_least };
    state.at_least(list.at_least.as_deref()).await?;
    let filter = SessionFilter { archived };
    let page = state.views.sessions(&filter, list.cursor.as_deref(), list.limit()?).await??;
    let items = SessionBody::of(&state, page.items).await?;
    Ok(Json(ListBody { items, next: page.next.as_ref().map(Cursor::encode) }))
}

/// Shows one session.
#[utoipa::path(get, path = "/api/v1/sessions/{id}", operation_id = "getSession", tag = "sessions",
    params(("id" = Uuid, Path), ReadQuery),
    responses((status = 200, description = "The session", body = SessionBody)))]
pub(crate) async fn get_session(
    State(state): State<AppState>,
    _caller: Caller,
    Id(id): Id<SessionId>,
    Params(query): Params<ReadQuery>,
) -> Answer<Response> {
    state.at_least(query.at_least.as_deref()).await?;
    let row = state.views.session(id).await?.ok_or_else(|| Problem::not_found("session"))?;
    let etag = format!("\"{}\"", row.version);
    let body = SessionBody::of(&state, vec![row]).await?.pop();
    let body = body.ok_or_else(|| Problem::not_found("session"))?;
    Ok(([(header::ETAG, etag)], Json(body)).into_response())
}
