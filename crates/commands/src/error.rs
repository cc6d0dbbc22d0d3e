use domain::{
    binding,
    codec::DecodeError,
    credential,
    ids::{CorrelationId, EventId, StreamVersion},
    run, session, settings,
};

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The session refuses it.
    #[error(transparent)]
    Session(#[from] session::Rejection),
    /// The run refuses it.
    #[error(transparent)]
    Run(#[from] run::Rejection),
    /// The settings refuse it.
    #[error(transparent)]
    Settings(#[from] settings::Rejection),
    /// The binding refuses it.
    #[error(transparent)]
    Binding(#[from] binding::Rejection),
    /// The credential refuses it.
    #[error(transparent)]
    Credential(#[from] credential::Rejection),
    /// The caller's `If-Match` is not the stream's version.
    #[error("the stream is at version {actual}")]
    IfMatch {
        /// The version it is at.
        actual: StreamVersion,
    },
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// Others kept appending to the same stream; trying again may help.
    #[error("the stream changed again and again; try once more")]
    Contended,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CommandError {
    /// The stable code of a refusal, as in `command.refused`; none where the command was not refused
    /// but could not be tried.
    #[must_use]
    pub const fn refusal(&self) -> Option<&'static str> {
        match self {
            Self::Session(rejection) => Some(rejection.code()),
            Self::Run(rejection) => Some(rejection.code()),
            Self::Settings(rejection) => Some(rejection.code()),
            Self::Binding(rejection) => Some(rejection.code()),
            Self::Credential(rejection) => Some(rejection.code()),
            Self::IfMatch { .. } => Some("if-match"),
            Self::KeyReused => Some("idempotency-key-reused"),
            Self::Contended | Self::Store(_) => None,
        }
    }
}

impl From<sqlx::Error> for CommandError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// PostgreSQL did.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// A stored event is not one that this build knows.
    #[error("event {id} cannot be read")]
    Decode {
        /// Which event.
        id: EventId,
        /// Why.
        source: DecodeError,
    },
    /// A stored row is not as the store writes it.
    #[error("event {id} holds {what} that no event can have")]
    Row {
        /// Which event.
        id: EventId,
        /// Which column.
        what: &'static str,
    },
    /// Two events of different commands, where there can be only one: a bug, not a conflict.
    #[error("an id drawn at random was taken, in command {correlation:?}")]
    IdTaken {
        /// The command.
        correlation: CorrelationId,
    },
}
