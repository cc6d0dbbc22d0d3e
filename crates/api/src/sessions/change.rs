use axum::extract::State;
use domain::{ids::SessionId, session::Command};
use serde::Deserialize;
use utoipa::ToSchema;

use super::create::MAX_TITLE;
use crate::{
    answer::{CommandBody, Done},
    problem::Answer,
    request::{Asked, Id, Nothing, line},
    state::AppState,
};

/// What a session can be changed to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionChange {
    /// What it is about.
    title: String,
}

/// Gives a session another title.
#[utoipa::path(patch, path = "/api/v1/sessions/{id}", operation_id = "renameSession", tag = "sessions",
    params(("id" = Uuid, Path)), request_body = SessionChange,
    responses((status = 202, description = "It has the title", body = CommandBody)))]
pub(crate) async fn rename_session(
    State(state): State<AppState>,
    Id(id): Id<SessionId>,
    asked: Asked<SessionChange>,
) -> Answer<Done> {
    let sealed = state.commands.context().seal(line("title", &asked.body.title, MAX_TITLE)?);
    let command = Command::Rename { title: sealed.reference.clone() };
    Ok(Done::accepted(state.commands.session(id, command, asked.by.caused(vec![sealed])).await?))
}

/// Takes a session out of the everyday lists.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/archive", operation_id = "archiveSession", tag = "sessions",
    params(("id" = Uuid, Path)),
    responses((status = 202, description = "It is in the archive", body = CommandBody)))]
pub(crate) async fn archive_session(
    State(state): State<AppState>,
    Id(id): Id<SessionId>,
    asked: Asked<Nothing>,
) -> Answer<Done> {
    change(&state, id, Command::Archive, &asked).await
}

/// Brings a session back from the archive.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/restore", operation_id = "restoreSession", tag = "sessions",
    params(("id" = Uuid, Path)),
    responses((status = 202, description = "It is back", body = CommandBody)))]
pub(crate) async fn restore_session(
    State(state): State<AppState>,
    Id(id): Id<SessionId>,
    asked: Asked<Nothing>,
) -> Answer<Done> {
    change(&state, id, Command::Restore, &asked).await
}

/// Lets a session's bundles and outputs go; its record stays in the log.
#[utoipa::path(delete, path = "/api/v1/sessions/{id}", operation_id = "deleteSession", tag = "sessions",
    params(("id" = Uuid, Path)),
    responses((status = 202, description = "It is gone", body = CommandBody)))]
pub(crate) async fn delete_session(
    State(state): State<AppState>,
    Id(id): Id<SessionId>,
    asked: Asked<Nothing>,
) -> Answer<Done> {
    change(&state, id, Command::Delete, &asked).await
}

async fn change(
    state: &AppState,
    id: SessionId,
    command: Command,
    asked: &Asked<Nothing>,
) -> Answer<Done> {
    Ok(Done::accepted(state.commands.session(id, command, asked.by.caused(vec![])).await?))
}
