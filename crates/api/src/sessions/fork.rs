use axum::extract::State;
use domain::{
    ids::{BundleDigest, SessionId},
    session::{BundleInfo, Command, Created, State as Session},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::create::working_branch;
use crate::{
    answer::{CommandBody, Done},
    problem::{Answer, Problem},
    request::{Asked, Id, text},
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
    let (Session::Known(origin), _) = state.commands.load_session(from).await? else {
        return Err(Problem::not_found("session"));
    };
    let bundle = match &asked.body.bundle {
        Some(digest) => stored(&state, from, &BundleDigest(digest.clone())).await?,
        None => origin.head.clone().ok_or_else(|| {
            Problem::field("bundle", "the session has no bundle yet: it has not run")
        })?,
    };
    let title = if let Some(title) = &asked.body.title {
        text("title", title.clone())?
    } else {
        let title = state.commands.text(origin.created.title.reference).await?;
        title.unwrap_or_else(|| "Fork".to_owned())
    };
    let context = state.commands.context();
    let id = SessionId(context.id());
    let sealed = context.seal(title.clone());
    let created = Created {
        branch: working_branch(&title, id.0)?,
        title: sealed.reference.clone(),
        owner: asked.caller.user,
        ..origin.created
    };
    let command = Command::Fork { created, from, bundle };
    let caused = asked.caused(vec![sealed]);
    Ok(Done::created(state.commands.session(id, command, caused).await?))
}

async fn stored(state: &AppState, session: SessionId, digest: &BundleDigest) -> Answer<BundleInfo> {
    let bundles = state.views.bundles(session).await?;
    let found = bundles.into_iter().find(|bundle| bundle.info.digest == *digest);
    found
        .map(|bundle| bundle.info)
        .ok_or_else(|| Problem::field("bundle", "the session has no such bundle"))
}
