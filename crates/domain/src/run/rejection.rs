use crate::ids::{Generation, InputId};

/// Why a run refuses a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is no such run.
    #[error("there is no such run")]
    NotFound,
    /// The id is taken.
    #[error("the run exists already")]
    Exists,
    /// It has ended.
    #[error("the run has ended")]
    Ended,
    /// It is ending: it no longer takes prompts or answers.
    #[error("the run is ending; start another run of the session to go on")]
    Ending,
    /// The agent is not there yet, or no turn is under way.
    #[error("no turn is under way")]
    NoTurn,
    /// A report of a workload that was replaced.
    #[error("generation {reported} was superseded by {current}")]
    Superseded {
        /// Whose report it is.
        reported: Generation,
        /// Which generation counts.
        current: Generation,
    },
    /// Nothing of that id waits for an answer.
    #[error("nothing named {0} waits for an answer")]
    NoSuchInput(InputId),
    /// The answer is not of the kind asked for.
    #[error("{0} takes another kind of answer")]
    WrongAnswer(InputId),
    /// There is nothing pushed that a pull request could be opened for.
    #[error("the run has no pushed branch without a pull request; start another run to publish")]
    NothingToPublish,
    /// More than GitHub is to be reached, and nobody says why.
    #[error("to reach more than GitHub takes a reason, which is kept on the record")]
    EgressReason,
    /// It was asked for with another credential, or with the installation's own.
    #[error("the run was started with another credential")]
    OtherCredential,
    /// The report does not fit the stage the run is in.
    #[error("the report does not fit the run's state")]
    OutOfOrder,
}

impl Rejection {
    /// The stable name used in problem types and in `command.refused`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "run-not-found",
            Self::Exists => "run-exists",
            Self::Ended => "run-ended",
            Self::Ending => "run-ending",
            Self::NoTurn => "run-no-turn",
            Self::Superseded { .. } => "run-generation-superseded",
            Self::NoSuchInput(_) => "run-input-not-waiting",
            Self::WrongAnswer(_) => "run-input-wrong-answer",
            Self::NothingToPublish => "run-nothing-to-publish",
            Self::EgressReason => "run-egress-reason-missing",
            Self::OtherCredential => "run-other-credential",
            Self::OutOfOrder => "run-report-out-of-order",
        }
    }
}
