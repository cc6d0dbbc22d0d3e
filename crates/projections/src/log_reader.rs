//! The log, in the order of its positions.

use domain::{
    codec,
    event::{Positioned, Recorded},
    ids::{CorrelationId, EventId, Position, StreamVersion},
    stream::StreamId,
};
use sqlx::PgConnection;

use crate::{ViewError, error::BadRow};

/// An event of the log, with the wire name that it was stored under.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    pub(crate) positioned: Positioned,
    pub(crate) name: String,
}

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

/// The next events after a position, decoded and upcast, up to the first that cannot be; an error if that
/// is the very next one.
pub(crate) async fn after(
    connection: &mut PgConnection,
    position: Position,
    limit: i64,
) -> Result<Vec<Logged>, ViewError> {
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
    let mut events = Vec::with_capacity(rows.len());
    for (row, expected) in rows.into_iter().zip(position.0.cast_signed() + 1..) {
        let position = row.position;
        let gap = (position != expected).then_some(BadRow::Gap { expected });
        match gap.map_or_else(|| decode(row), Err) {
            Ok(logged) => events.push(logged),
            Err(bad) if events.is_empty() => return Err(ViewError::poison(position, bad)),
            Err(_) => break,
        }
    }
    Ok(events)
}

fn decode(row: Row) -> Result<Logged, BadRow> {
    let stream: StreamId = row.stream.parse()?;
    let event = codec::decode(stream.kind, &row.name, row.schema.unsigned_abs(), &row.body)?;
    let recorded = Recorded {
        id: EventId(row.id),
        stream,
        version: StreamVersion(row.version.unsigned_abs()),
        actor: row.actor.parse()?,
        time: row.time,
        correlation: CorrelationId(row.correlation),
        event,
    };
    let positioned = Positioned { position: Position(row.position.unsigned_abs()), recorded };
    Ok(Logged { positioned, name: row.name })
}
