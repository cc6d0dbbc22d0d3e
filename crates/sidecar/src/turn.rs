//! What the agent's state means for the turn: pure, so that every case can be tested without an agent.

use domain::{ids::MessageId, run::Failure};

use crate::opencode::{Listed, MessageError, SessionStatus};

/// How often the model may fail before the turn does: OpenCode asks again by itself, ever more slowly.
const MAX_RETRIES: f64 = 5.0;

/// How a turn stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The agent has not taken up the prompt yet, works, or waits for an answer.
    UnderWay,
    /// It is over.
    Ended,
    /// It stopped before its end and nobody asked for that: the workload was cut off.
    CutShort,
    /// It failed.
    Failed {
        /// Why, as a kind.
        failure: Failure,
        /// In whose words.
        words: String,
    },
}

/// How the turn of `prompt` stands, which was in the `restored` state already or was given to this agent.
pub(crate) fn turn(
    prompt: &MessageId,
    messages: &[Listed],
    status: Option<&SessionStatus>,
    asks: bool,
    interrupted: bool,
    restored: bool,
) -> Turn {
    if let Some(SessionStatus::Retry { attempt, message }) = status
        && *attempt >= MAX_RETRIES
    {
        return Turn::Failed { failure: Failure::Model, words: message.clone() };
    }
    if asks || matches!(status, Some(SessionStatus::Busy | SessionStatus::Retry { .. })) {
        return Turn::UnderWay;
    }
    let typed = || messages.iter().filter_map(Listed::typed);
    if !typed().any(|message| message.id == prompt.0) {
        return not_begun(interrupted);
    }
    let newest = typed().rfind(|message| {
        message.role == "assistant" && message.parent_id.as_ref() == Some(&prompt.0)
    });
    // An agent takes up what it is given, and nothing that it finds.
    let Some(newest) = newest else {
        return if restored && !interrupted { Turn::CutShort } else { not_begun(interrupted) };
    };
    match (newest.error, newest.time.completed, newest.finish.as_deref()) {
        (Some(error), ..) if error.name == "MessageAbortedError" => {
            if interrupted {
                Turn::Ended
            } else {
                Turn::CutShort
            }
        }
        (Some(error), ..) => failed(&error),
        // Between two steps of one turn the session is busy; idle with this is an end all the same.
        (None, Some(_), Some("tool-calls")) if !interrupted => Turn::CutShort,
        (None, Some(_), _) => Turn::Ended,
        (None, None, _) if interrupted => Turn::Ended,
        (None, None, _) => Turn::CutShort,
    }
}

/// A turn that nothing is seen of: one that was interrupted may have been stopped before it left a trace.
fn not_begun(interrupted: bool) -> Turn {
    if interrupted { Turn::Ended } else { Turn::UnderWay }
}

/// What an error of the agent's is.
pub(crate) fn failed(error: &MessageError) -> Turn {
    let failure = match error.name.as_str() {
        "APIError" | "ProviderAuthError" | "UnknownError" => Failure::Model,
        _ => Failure::Agent,
    };
    Turn::Failed { failure, words: error.words() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn messages(assistant: Option<Value>) -> Vec<Listed> {
        let user = json!({ "id": "msg_1", "role": "user", "time": { "created": 1.0 } });
        [Some(user), assistant]
            .into_iter()
            .flatten()
            .map(|info| Listed { info, parts: vec![] })
            .collect()
    }

    fn assistant(more: &Value) -> Value {
        let mut info = json!({
            "id": "msg_2", "role": "assistant", "parentID": "msg_1", "time": { "created": 2.0 },
        });
        info.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        info
    }

    fn stands(more: Option<Value>, status: Option<&SessionStatus>, interrupted: bool) -> Turn {
        turn(&MessageId("msg_1".into()), &messages(more), status, false, interrupted, false)
    }

    #[test]
    fn a_prompt_that_was_lost_before_the_agent_took_it_up_is_cut_short() {
        let prompt = MessageId("msg_1".into());
        let found =
            |status, interrupted| turn(&prompt, &messages(None), status, false, interrupted, true);
        assert_eq!(found(None, false), Turn::CutShort);
        assert_eq!(found(Some(&SessionStatus::Busy), false), Turn::UnderWay);
        assert_eq!(found(None, true), Turn::Ended);
        assert_eq!(stands(None, None, false), Turn::UnderWay);
    }

    #[test]
    fn a_turn_ends_with_a_completed_answer_and_an_idle_session() {
        let done = || {
            Some(assistant(
                &json!({ "finish": "stop", "time": { "created": 2.0, "completed": 3.0 } }),
            ))
        };
        assert_eq!(stands(done(), None, false), Turn::Ended);
        assert_eq!(stands(done(), Some(&SessionStatus::Busy), false), Turn::UnderWay);
        assert_eq!(stands(None, None, false), Turn::UnderWay);
    }

    #[test]
    fn an_interrupted_turn_ends_and_a_cut_one_is_told_apart() {
        let open = || Some(assistant(&json!({})));
        assert_eq!(stands(open(), None, true), Turn::Ended);
        assert_eq!(stands(open(), None, false), Turn::CutShort);
        let aborted =
            || Some(assistant(&json!({ "error": { "name": "MessageAbortedError", "data": {} } })));
        assert_eq!(stands(aborted(), None, true), Turn::Ended);
    }

    #[test]
    fn a_turn_interrupted_before_the_agent_took_it_up_ends() {
        let unlisted =
            |interrupted| turn(&MessageId("msg_9".into()), &[], None, false, interrupted, false);
        assert_eq!(unlisted(false), Turn::UnderWay);
        assert_eq!(unlisted(true), Turn::Ended);
        assert_eq!(stands(None, None, true), Turn::Ended);
    }

    #[test]
    fn a_model_that_stays_down_fails_the_turn_in_its_own_words() {
        let retry = |attempt| SessionStatus::Retry { attempt, message: "down".into() };
        assert_eq!(stands(None, Some(&retry(2.0)), false), Turn::UnderWay);
        let failed = Turn::Failed { failure: Failure::Model, words: "down".into() };
        assert_eq!(stands(None, Some(&retry(5.0)), false), failed);
        let error = Some(assistant(
            &json!({ "error": { "name": "APIError", "data": { "message": "down" } } }),
        ));
        assert_eq!(stands(error, None, false), failed);
    }
}
