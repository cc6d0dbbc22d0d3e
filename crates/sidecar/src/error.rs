use domain::run::Hindrance;
use harness::wire::{StepError, StepErrorKind};

/// Why something the sidecar asked for did not happen.
#[derive(Debug, thiserror::Error)]
pub enum SidecarError {
    /// The harness did the step and it failed.
    #[error("{}", .0.detail)]
    Step(StepError),
    /// The harness does not answer.
    #[error("the harness does not answer")]
    Harness(#[source] reqwest::Error),
    /// The harness or the agent answered something that is not an answer.
    #[error("not an answer: {0}")]
    Nonsense(String),
    /// The control plane refused an upload or a download.
    #[error("the control plane answered {0}")]
    Refused(u16),
    /// The artifact store does not take or give a bundle now.
    #[error("{}", match .0 {
        Hindrance::StoreFull => "the artifact store is full",
        Hindrance::StoreAway => "the artifact store does not answer",
    })]
    Store(Hindrance),
    /// The control plane cannot be reached.
    #[error("the control plane cannot be reached")]
    Away(#[source] reqwest::Error),
    /// The spool cannot be written or read.
    #[error("the spool failed")]
    Spool(#[from] std::io::Error),
    /// The identity is not accepted any more: another generation runs.
    #[error("this workload is not wanted any more: {0}")]
    NotWanted(String),
}

impl SidecarError {
    /// Of which kind a failed step is.
    pub(crate) fn kind(&self) -> StepErrorKind {
        match self {
            Self::Step(error) => error.kind,
            Self::Harness(_) => StepErrorKind::Unavailable,
            Self::Nonsense(_)
            | Self::Refused(_)
            | Self::Store(_)
            | Self::Away(_)
            | Self::Spool(_)
            | Self::NotWanted(_) => StepErrorKind::Other,
        }
    }
}

impl From<serde_json::Error> for SidecarError {
    fn from(error: serde_json::Error) -> Self {
        Self::Nonsense(error.to_string())
    }
}
