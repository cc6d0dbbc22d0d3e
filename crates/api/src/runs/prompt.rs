use axum::extract::State;
use domain::{ids::RunId, run::Command};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    answer::{CommandBody, Done},
    problem::Answer,
    request::{Asked, Id, text},
    state::AppState,
};

/// A further prompt.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPrompt {
    /// What the agent is told; at most 1 MiB.
    prompt: String,
}

/// Tells the agent something more.
#[utoipa::path(post, path = "/api/v1/runs/{id}/prompts", operation_id = "promptRun", tag = "runs",
    params(("id" = Uuid, Path)), request_body = NewPrompt,
    responses((status = 202, description = "It will be told", body = CommandBody)))]
pub(crate) async fn prompt_run(
    State(state): State<AppState>,
    Id(id): Id<RunId>,
    asked: Asked<NewPrompt>,
) -> Answer<Done> {
    let context = state.commands.context();
    let sealed = context.seal(text("prompt", asked.body.prompt.clone())?);
    let command = Command::Prompt { message: context.message_id(), text: sealed.reference.clone() };
    Ok(Done::accepted(state.commands.run(id, command, asked.by.caused(vec![sealed])).await?))
}
