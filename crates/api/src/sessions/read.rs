use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use domain::{
    github::Repository,
    ids::{Position, SessionId},
};
use projections::{Counts, Cursor, SessionFilter};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub(crate) use super::body::{SessionBody, resource};
use crate::{
    access::{Allowance, Caller},
    names::SessionGroup,
    problem::{Answer, Problem},
    request::{Id, ListQuery, Params, ReadQuery},
    state::AppState,
};

/// The most characters that are looked for.
const MAX_SEARCH: usize = 200;

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
    /// Those of one group.
    #[param(inline)]
    group: Option<SessionGroup>,
    /// Those of one repository, as owner/name.
    repo: Option<String>,
    /// Those with this in their title, repository, branch or in the number of their issue or pull request;
    /// at most 200 characters.
    q: Option<String>,
}

/// A part of the list of sessions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionsBody {
    items: Vec<SessionBody>,
    /// What to send as `cursor` for the next part; null at the list's end.
    next: Option<String>,
    /// The position of the log that the answer includes at least: where the topic `sessions` goes on.
    #[schema(value_type = u64)]
    position: Position,
}

/// How many sessions there are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CountsBody {
    needs_you: u64,
    working: u64,
    waiting: u64,
    done: u64,
    /// In the archive, of whatever group.
    archived: u64,
}

/// Lists sessions, the newest first.
#[utoipa::path(get, path = "/api/v1/sessions", operation_id = "listSessions", tag = "sessions",
    params(SessionsQuery),
    responses((status = 200, description = "A part of the list", body = SessionsBody)))]
pub(crate) async fn list_sessions(
    State(state): State<AppState>,
    caller: Caller,
    Params(query): Params<SessionsQuery>,
) -> Answer<Json<SessionsBody>> {
    let filter = filter(&query)?;
    let SessionsQuery { limit, cursor, at_least, .. } = query;
    let list = ListQuery { limit, cursor, at_least };
    state.at_least(list.at_least.as_deref()).await?;
    let limit = list.limit()?;
    let allowance = Allowance::of(&state, &caller);
    // Before the list: what comes in between is told again, not left out.
    let position = state.views.projected().await?;
    let sight = allowance.sight();
    let page = state.views.sessions(&sight, &filter, list.cursor.as_deref(), limit).await??;
    let items = SessionBody::of(&state, &allowance, page.items).await?;
    Ok(Json(SessionsBody { items, next: page.next.as_ref().map(Cursor::encode), position }))
}

fn filter(query: &SessionsQuery) -> Answer<SessionFilter> {
    let repo = query.repo.as_deref().map(str::parse::<Repository>).transpose();
    let repo = repo.map_err(|error| Problem::malformed("repo", error))?;
    let q = query.q.as_deref().map(str::trim).filter(|q| !q.is_empty());
    if q.is_some_and(|q| q.chars().count() > MAX_SEARCH || q.contains('\0')) {
        return Err(Problem::malformed("q", "may have at most 200 characters of text"));
    }
    Ok(SessionFilter {
        archived: query.archived,
        group: query.group.map(Into::into),
        repo: repo.map(|repo| repo.to_string()),
        q: q.map(str::to_owned),
    })
}

/// Says how many sessions each group has.
#[utoipa::path(get, path = "/api/v1/sessions/counts", operation_id = "countSessions", tag = "sessions",
    params(ReadQuery),
    responses((status = 200, description = "The numbers", body = CountsBody)))]
pub(crate) async fn count_sessions(
    State(state): State<AppState>,
    caller: Caller,
    Params(query): Params<ReadQuery>,
) -> Answer<Json<CountsBody>> {
    state.at_least(query.at_least.as_deref()).await?;
    let sight = Allowance::of(&state, &caller).sight();
    let Counts { needs_you, working, waiting, done, archived } = state.views.counts(&sight).await?;
    Ok(Json(CountsBody { needs_you, working, waiting, done, archived }))
}

/// Shows one session.
#[utoipa::path(get, path = "/api/v1/sessions/{id}", operation_id = "getSession", tag = "sessions",
    params(("id" = Uuid, Path), ReadQuery),
    responses((status = 200, description = "The session", body = SessionBody)))]
pub(crate) async fn get_session(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id<SessionId>,
    Params(query): Params<ReadQuery>,
) -> Answer<Response> {
    state.at_least(query.at_least.as_deref()).await?;
    let row = state.views.session(id).await?.ok_or_else(|| Problem::not_found("session"))?;
    let etag = format!("\"{}\"", row.version);
    if row.pull_request.is_some() {
        state.pulls.look_at(id);
    }
    let allowance = Allowance::of(&state, &caller);
    let body = SessionBody::of(&state, &allowance, vec![row]).await?.pop();
    let body = body.ok_or_else(|| Problem::not_found("session"))?;
    Ok(([(header::ETAG, etag)], Json(body)).into_response())
}
