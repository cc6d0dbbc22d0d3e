use axum::{
    RequestPartsExt as _,
    extract::{MatchedPath, RawPathParams},
    http::{StatusCode, request::Parts},
};
use domain::{
    actor::{Ceiling, TokenScope},
    ids::{RunId, SessionId},
};

use super::Caller;
use crate::{
    problem::{Answer, Problem},
    state::AppState,
};

/// A ceiling by its wire name.
pub(super) fn ceiling(text: &str) -> Answer<Ceiling> {
    Ceiling::ALL
        .into_iter()
        .find(|known| known.as_str() == text)
        .ok_or_else(|| Problem::field("role", "is viewer or maintainer, or left out"))
}

/// Whether a token's own scope admits the request, whatever its owner may do.
pub(super) async fn admits(caller: &Caller, parts: &mut Parts, state: &AppState) -> Answer<()> {
    let TokenScope { ceiling, session } = caller.scope;
    if ceiling == Some(Ceiling::Viewer) && !parts.method.is_safe() {
        return Err(beyond("it may read, and change nothing"));
    }
    let Some(session) = session else { return Ok(()) };
    if is_of(session, parts, state).await? {
        return Ok(());
    }
    Err(beyond(&format!("it is for session {session} alone")))
}

/// Whether a request is about nothing but one session. What is about several is not.
async fn is_of(session: SessionId, parts: &mut Parts, state: &AppState) -> Answer<bool> {
    let Ok(path) = parts.extract::<MatchedPath>().await else { return Ok(false) };
    let Ok(params) = parts.extract::<RawPathParams>().await else { return Ok(false) };
    let id = params.iter().find(|(name, _)| *name == "id").map(|(_, value)| value.to_owned());
    let path = path.as_str();
    if path == "/api/v1/me" {
        return Ok(true);
    }
    let Some(id) = id else { return Ok(false) };
    // Another session is made by forking one.
    if path.starts_with("/api/v1/sessions/{id}") && !path.ends_with("/fork") {
        return Ok(id.parse() == Ok(session));
    }
    if path.starts_with("/api/v1/runs/{id}") {
        let Ok(run) = id.parse::<RunId>() else { return Ok(false) };
        let row = state.views.run(run).await?;
        return Ok(row.is_some_and(|row| row.requested.session == session));
    }
    Ok(false)
}

fn beyond(why: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "token-scope", "This API token may not do that")
        .detail(format!("{why}; use another token, or the page"))
}
