use axum::extract::State;
use domain::{
    ids::RunId,
    run::{Command, FinishCause},
};

use crate::{
    answer::{CommandBody, Done},
    problem::Answer,
    request::{Asked, Id, Nothing},
    state::AppState,
};

/// Ends a run without publishing; its session can go on from there.
#[utoipa::path(post, path = "/api/v1/runs/{id}/cancel", operation_id = "cancelRun", tag = "runs",
    params(("id" = Uuid, Path)),
    responses((status = 202, description = "It will end", body = CommandBody)))]
pub(crate) async fn cancel_run(
    State(state): State<AppState>,
    Id(id): Id<RunId>,
    asked: Asked<Nothing>,
) -> Answer<Done> {
    act(&state, id, Command::Cancel, &asked).await
}

/// Stops the turn and keeps the run.
#[utoipa::path(post, path = "/api/v1/runs/{id}/interrupt", operation_id = "interruptRun", tag = "runs",
    params(("id" = Uuid, Path)),
    responses((status = 202, description = "The turn will stop", body = CommandBody)))]
pub(crate) async fn interrupt_run(
    State(state): State<AppState>,
    Id(id): Id<RunId>,
    asked: Asked<Nothing>,
) -> Answer<Done> {
    act(&state, id, Command::Interrupt, &asked).await
}

/// Publishes and ends a run now.
#[utoipa::path(post, path = "/api/v1/runs/{id}/finish", operation_id = "finishRun", tag = "runs",
    params(("id" = Uuid, Path)),
    responses((status = 202, description = "It will publish and end", body = CommandBody)))]
pub(crate) async fn finish_run(
    State(state): State<AppState>,
    Id(id): Id<RunId>,
    asked: Asked<Nothing>,
) -> Answer<Done> {
    act(&state, id, Command::Finish { cause: FinishCause::Asked }, &asked).await
}

/// Tries again to open the pull request of a run that ended without one.
#[utoipa::path(post, path = "/api/v1/runs/{id}/publish", operation_id = "publishRun", tag = "runs",
    params(("id" = Uuid, Path)),
    responses((status = 202, description = "It will be tried", body = CommandBody)))]
pub(crate) async fn publish_run(
    State(state): State<AppState>,
    Id(id): Id<RunId>,
    asked: Asked<Nothing>,
) -> Answer<Done> {
    act(&state, id, Command::RequestPublish, &asked).await
}

async fn act(
    state: &AppState,
    id: RunId,
    command: Command,
    asked: &Asked<Nothing>,
) -> Answer<Done> {
    Ok(Done::accepted(state.commands.run(id, command, asked.by.caused(vec![])).await?))
}
