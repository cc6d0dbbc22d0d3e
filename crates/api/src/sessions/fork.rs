use axum::{extract::State, http::StatusCode};
use domain::{
    access::{Action, Resource},
    ids::{BundleDigest, SessionId},
    session::{self, BundleInfo, Command, Created, State as Session},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::create::{MAX_TITLE, working_branch};
use crate::{
    access::Allowance,
    answer::{CommandBody, Done},
    problem::{Answer, Problem},
    request::{Asked, Id, line},
    state::AppState,
};

/// What a session is forked with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewFork {
    /// The bundle to begin from; the session's newest unless told otherwise.
    bundle: Option<String>,
    /// What the new session is about; the same unless told otherwise.
    title: Option<String>,
}

/// Begins another session from a bundle of this one.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/fork", operation_id = "forkSession", tag = "sessions",
    params(("id" = Uuid, Path)), request_body = NewFork,
    responses((status = 201, description = "It is there", body = CommandBody)))]
pub(crate) async fn fork_session(
    State(state): State<AppState>,
    Id(from): Id<SessionId>,
    asked: Asked<NewFork>,
) -> Answer<Done> {
    const NAME: &str = "session.fork";
    if let Some(first) = asked.by.answered(&state, NAME, Some(from.into())).await? {
        return Ok(Done::created(first));
    }
    let settled = settled(&state, from, &asked).await;
    let (origin, bundle, title) =
        asked.by.audited(&state, NAME, Some(from.into()), settled).await?;
    let context = state.commands.context();
    let id = SessionId(context.id());
    let branch = working_branch(&title, id.0)?;
    let sealed = context.seal(title);
    let created =
        Created { branch, title: sealed.reference.clone(), owner: asked.caller.user, ..origin };
    let mut caused = asked.by.caused(vec![sealed]);
    // It was about the session that is forked.
    caused.if_match = None;
    let command = Command::Fork { created, from, bundle };
    Ok(Done::created(state.commands.session(id, command, caused).await?))
}

/// What is forked, from which bundle, and what about.
async fn settled(
    state: &AppState,
    from: SessionId,
    asked: &Asked<NewFork>,
) -> Answer<(Created, BundleInfo, String)> {
    let (origin, version) = state.commands.load_session(from).await?;
    let Session::Known(origin) = origin else {
        let code = session::Rejection::NotFound.code();
        return Err(Problem::refused(
            StatusCode::NOT_FOUND,
            code,
            "id",
            "there is no such session",
        ));
    };
    let allowance = Allowance::of(state, &asked.caller);
    allowance.demand(Action::CreateSession, &Resource::Repository(origin.created.repo.clone()))?;
    asked.by.matches(version)?;
    let none = |words| {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Problem::refused(status, "bundle-not-found", "bundle", words)
    };
    let bundle = match &asked.body.bundle {
        Some(digest) => {
            let found = state.views.bundle(from, &BundleDigest(digest.clone())).await?;
            found.map(|bundle| bundle.info).ok_or_else(|| none("the session has no such bundle"))?
        }
        None => origin
            .head
            .clone()
            .ok_or_else(|| none("the session has no bundle yet: it has not run"))?,
    };
    let title = if let Some(title) = &asked.body.title {
        line("title", title, MAX_TITLE)?
    } else {
        let title = state.commands.text(origin.created.title.reference).await?;
        title.unwrap_or_else(|| "Fork".to_owned())
    };
    Ok((origin.created, bundle, title))
}
