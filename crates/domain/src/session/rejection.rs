use crate::ids::RunId;

/// Why a session refuses a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is no such session, or it was deleted.
    #[error("there is no such session")]
    NotFound,
    /// The id is taken.
    #[error("the session exists already")]
    Exists,
    /// It is in the archive: restore it first.
    #[error("the session is archived; restore it first")]
    Archived,
    /// One active run a session.
    #[error("the session has an active run, {0}; wait for it, cancel it, or fork the session")]
    RunActive(RunId),
    /// Only the active run may do this.
    #[error("run {0} is not the session's active run")]
    NotTheActiveRun(RunId),
}

impl Rejection {
    /// The stable name used in problem types and in `command.refused`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "session-not-found",
            Self::Exists => "session-exists",
            Self::Archived => "session-archived",
            Self::RunActive(_) => "session-run-active",
            Self::NotTheActiveRun(_) => "session-run-not-active",
        }
    }
}
