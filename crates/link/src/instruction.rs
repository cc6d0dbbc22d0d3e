use domain::{
    ids::{InputId, MessageId, StreamVersion},
    run::EgressMode,
};
use serde::{Deserialize, Serialize};

/// Something to do, derived from one event of the run's stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instruction {
    /// The version of that event.
    pub version: StreamVersion,
    /// What to do.
    pub instruct: Instruct,
}

/// What a sidecar can be told to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Instruct {
    /// Give this to the agent (`run.prompt.submitted`).
    Prompt {
        /// The agent's id of the message.
        message: MessageId,
        /// The prompt.
        text: String,
    },
    /// Answer a permission (`run.input.given`).
    Permit {
        /// What is answered.
        input: InputId,
        /// `once`, `always` or `reject`, as the agent spells it.
        reply: String,
        /// Words for the agent, if any.
        message: Option<String>,
    },
    /// Answer a question (`run.input.given`).
    AnswerQuestion {
        /// What is answered.
        input: InputId,
        /// A list of chosen labels for each question; none refuses it.
        answers: Option<Vec<Vec<String>>>,
    },
    /// Abort the turn (`run.interrupted`).
    Interrupt,
    /// Leave by the gateway's door for this mode from now on (`run.egress.mode.changed`).
    Egress {
        /// What may be reached.
        mode: EgressMode,
    },
    /// Abort the turn if one is under way, commit what is left, push (`run.finish.requested`).
    Publish,
    /// Abort the turn if one is under way, take the last snapshot (`run.cancel.requested`,
    /// `run.turn.failed`, `run.pull_request.opened`, `run.publish.skipped`, a final
    /// `run.publish.failed`).
    SnapshotAndStop,
    /// The run has ended: stop the agent and exit (`run.succeeded`, `run.failed`, `run.cancelled`).
    Exit,
}
