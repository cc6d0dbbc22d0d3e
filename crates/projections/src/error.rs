use domain::{codec::DecodeError, ids::Position, stream::NotAStream};

/// Why a read model could not be read or brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// An event that this build cannot read: the projection stops there, it never skips.
    #[error("position {position} cannot be projected")]
    Poison {
        /// Where.
        position: Position,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stored row does not decode: rebuild.
    #[error("a row of a read model does not decode; `paddock rebuild` makes it anew")]
    Row(#[from] serde_json::Error),
}

impl ViewError {
    pub(crate) fn poison(
        position: i64,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Poison { position: Position(position.unsigned_abs()), source: source.into() }
    }
}

/// Why a row of the log is no event.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadRow {
    #[error(transparent)]
    Body(#[from] DecodeError),
    #[error(transparent)]
    Stream(#[from] NotAStream),
    #[error(transparent)]
    Actor(#[from] domain::event::NotAnActor),
    #[error("the log goes on here, where position {expected} is next")]
    Gap { expected: i64 },
}
