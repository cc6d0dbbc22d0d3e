//! The log, in the order of its positions.

use domain::{
    codec,
    event::{Positioned, Recorded},
    ids::{CorrelationId, EventId, Position, StreamVersion},
    stream::StreamId,
};
use sqlx::PgConnection;

use crate::{ViewError, error::BadRow};

struct Row {
    position: i64,
    id: uuid::Uuid,
    stream: String,
    version: i64,
    name: String,
    schema: i16,
    actor: String,
    time: chrono::DateTime<chrono::Utc>,
    correlation: uuid::Uuid,
    body: Vec<u8>,
}

/// The next events after a position, decoded and upcast.
pub(crate) async fn after(
    connection: &mut PgConnection,
    position: Position,
    limit: i64,
) -> Result<Vec<Positioned>, ViewError> {
    let rows = sqlx::query_as!(
        Row,
        "select l.position, e.id, e.stream, e.version, e.name, e.schema, e.actor, e.time,
                e.correlation, e.body
         from paddock.log l join paddock.event e on e.id = l.event
         where l.position > $1 order by l.position limit $2",
        position.0.cast_signed(),
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let position = row.position;
            decode(&row).map_err(|bad| ViewError::poison(position, bad))
        })
        .collect()
}

fn decode(row: &Row) -> Result<Positioned, BadRow> {
    let stream: StreamId = row.stream.parse()?;
    let event = codec::decode(stream.kind, &row.name, row.schema.unsigned_abs(), &row.body)?;
    Ok(Positioned {
        position: Position(row.position.unsigned_abs()),
        recorded: Recorded {
            id: EventId(row.id),
            stream,
            version: StreamVersion(row.version.unsigned_abs()),
            actor: row.actor.parse()?,
            time: row.time,
            correlation: CorrelationId(row.correlation),
            event,
        },
    })
}
