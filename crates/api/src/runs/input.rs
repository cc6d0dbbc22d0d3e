use axum::extract::State;
use domain::{
    ids::{InputId, RunId},
    run::{Answer as Given, Command},
    text::SealedText,
};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    answer::{CommandBody, Done},
    problem::{Answer, Problem},
    request::{Asked, Segments, id, text},
    state::AppState,
};

/// An answer: `reply` to a permission, `answers` to a question.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAnswer {
    /// once, always or reject
    reply: Option<Reply>,
    /// Words for the agent, with reject.
    message: Option<String>,
    /// The chosen labels, a list for each part of the question.
    answers: Option<Vec<Vec<String>>>,
}

/// An answer to a permission.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reply {
    /// This once.
    Once,
    /// This and the like of it, for the rest of the agent's session.
    Always,
    /// No.
    Reject,
}

/// Answers a permission or a question.
#[utoipa::path(post, path = "/api/v1/runs/{id}/inputs/{input}", operation_id = "answerInput", tag = "runs",
    params(("id" = Uuid, Path), ("input" = String, Path)), request_body = NewAnswer,
    responses((status = 202, description = "The agent will be told", body = CommandBody)))]
pub(crate) async fn answer_input(
    State(state): State<AppState>,
    Segments((run, input)): Segments<(String, String)>,
    asked: Asked<NewAnswer>,
) -> Answer<Done> {
    let run: RunId = id("id", &run)?;
    let (answer, texts) = given(&state, &asked.body)?;
    let command = Command::GiveInput { input: InputId(input), answer };
    Ok(Done::accepted(state.commands.run(run, command, asked.by.caused(texts)).await?))
}

fn given(state: &AppState, new: &NewAnswer) -> Answer<(Given, Vec<SealedText>)> {
    let seal = |text| state.commands.context().seal(text);
    match (new.reply, &new.message, &new.answers) {
        (Some(Reply::Once), None, None) => Ok((Given::Once, vec![])),
        (Some(Reply::Always), None, None) => Ok((Given::Always, vec![])),
        (Some(Reply::Reject), None, None) => Ok((Given::Reject { message: None }, vec![])),
        (Some(Reply::Reject), Some(message), None) => {
            let sealed = seal(text("message", message.clone())?);
            Ok((Given::Reject { message: Some(sealed.reference.clone()) }, vec![sealed]))
        }
        (Some(_), Some(_), None) => Err(Problem::field("message", "goes with reject only")),
        (None, None, Some(answers)) if !answers.is_empty() => {
            let json = serde_json::to_string(answers).unwrap_or_default();
            let sealed = seal(text("answers", json)?);
            Ok((Given::Answers { answers: sealed.reference.clone() }, vec![sealed]))
        }
        (None, _, Some(_)) => {
            Err(Problem::field("answers", "must not be empty, nor with a message"))
        }
        (Some(_), _, Some(_)) => Err(Problem::field("answers", "does not go with reply")),
        (None, _, None) => Err(Problem::field("reply", "give reply, or answers to a question")),
    }
}
