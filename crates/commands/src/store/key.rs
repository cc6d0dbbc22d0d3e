//! The first answer to an idempotency key.

use domain::{event::Actor, ids::StreamVersion};
use sqlx::PgExecutor;

use crate::{Accepted, CommandError, Idempotency, StoreError};

/// The first answer to this key of this actor, if there is one. The same key with another fingerprint
/// is refused.
pub(crate) async fn first_answer(
    executor: impl PgExecutor<'_>,
    actor: Actor,
    idempotency: &Idempotency,
) -> Result<Option<Accepted>, CommandError> {
    let row = sqlx::query!(
        "select fingerprint, stream, version, target from paddock.idempotency
         where actor = $1 and key = $2",
        actor.to_string(),
        idempotency.key,
    )
    .fetch_optional(executor)
    .await?;
    let Some(row) = row else { return Ok(None) };
    if row.fingerprint != idempotency.fingerprint {
        return Err(CommandError::KeyReused);
    }
    let stream = row.stream.parse().map_err(|error| {
        StoreError::Database(sqlx::Error::ColumnDecode {
            index: "stream".to_owned(),
            source: Box::<domain::stream::NotAStream>::new(error),
        })
    })?;
    let version = StreamVersion(row.version.unsigned_abs());
    Ok(Some(Accepted { stream, version, replayed: true, target: row.target }))
}
