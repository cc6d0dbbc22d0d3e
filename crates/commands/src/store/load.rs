//! Reading one stream.

use chrono::{DateTime, Utc};
use domain::{
    codec,
    event::{Actor, Event, Recorded},
    ids::{CorrelationId, EventId, StreamVersion},
    stream::StreamId,
};
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use crate::StoreError;

/// The version of a stream's newest committed event. Only a load or an append gives one out, and an
/// append takes it: so nothing is ever appended after an event that is not committed.
#[derive(Debug)]
pub struct LoadedVersion {
    pub(super) stream: StreamId,
    pub(super) version: StreamVersion,
}

impl LoadedVersion {
    /// The stream.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// The version, to look at.
    #[must_use]
    pub fn get(&self) -> StreamVersion {
        self.version
    }
}

impl LoadedVersion {
    /// A version that an append of this process gave out. What is appended after it has to prove that it is
    /// still there.
    pub(crate) const fn remembered(stream: StreamId, version: StreamVersion) -> Self {
        Self { stream, version }
    }
}

/// One stream, as it was committed.
#[derive(Debug)]
pub struct Loaded {
    /// What happened, in order.
    pub events: Vec<Event>,
    /// What to append after.
    pub version: LoadedVersion,
}

/// Loads a stream's committed events. A stream without events is empty, at version 0.
pub async fn load(pool: &PgPool, stream: StreamId) -> Result<Loaded, StoreError> {
    load_on(pool, stream).await
}

/// Loads a stream as the executor's transaction sees it: with its own uncommitted events.
pub(crate) async fn load_on(
    executor: impl PgExecutor<'_>,
    stream: StreamId,
) -> Result<Loaded, StoreError> {
    // Every command does this: only what the decision depends on is read.
    let rows = sqlx::query!(
        "select id, version, name, schema, body
         from paddock.event where stream = $1 order by version",
        stream.to_string(),
    )
    .fetch_all(executor)
    .await?;
    let version = rows.last().map_or(0, |last| last.version);
    let decode = |id, name: &str, schema: i16, body: &[u8]| {
        codec::decode(stream.kind, name, schema.unsigned_abs(), body)
            .map_err(|source| StoreError::Decode { id: EventId(id), source })
    };
    let events = rows
        .iter()
        .map(|row| decode(row.id, &row.name, row.schema, &row.body))
        .collect::<Result<_, _>>()?;
    let version = StreamVersion(version.unsigned_abs());
    Ok(Loaded { events, version: LoadedVersion { stream, version } })
}

/// Loads only the version of a stream, for events that follow whatever is there.
pub(crate) async fn head_on(
    executor: impl PgExecutor<'_>,
    stream: StreamId,
) -> Result<LoadedVersion, StoreError> {
    let head = sqlx::query_scalar!(
        r#"select coalesce(max(version), 0) as "head!" from paddock.event where stream = $1"#,
        stream.to_string(),
    )
    .fetch_one(executor)
    .await?;
    Ok(LoadedVersion { stream, version: StreamVersion(head.unsigned_abs()) })
}

/// The events of a stream after a version, in order.
pub(crate) async fn events_after(
    executor: impl PgExecutor<'_>,
    stream: StreamId,
    after: StreamVersion,
) -> Result<Vec<Recorded>, StoreError> {
    let rows = sqlx::query_as!(
        EventRow,
        "select id, version, name, schema, actor, time, correlation, body
         from paddock.event where stream = $1 and version > $2 order by version",
        stream.to_string(),
        i64::try_from(after.0).unwrap_or(i64::MAX),
    )
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(|row| row.decode(stream)).collect()
}

/// A row of `paddock.event`, without its stream.
struct EventRow {
    id: Uuid,
    version: i64,
    name: String,
    schema: i16,
    actor: String,
    time: DateTime<Utc>,
    correlation: Uuid,
    body: Vec<u8>,
}

impl EventRow {
    fn decode(self, stream: StreamId) -> Result<Recorded, StoreError> {
        let id = EventId(self.id);
        let event = codec::decode(stream.kind, &self.name, self.schema.unsigned_abs(), &self.body)
            .map_err(|source| StoreError::Decode { id, source })?;
        let actor: Actor =
            self.actor.parse().map_err(|_| StoreError::Row { id, what: "an actor" })?;
        Ok(Recorded {
            id,
            stream,
            version: StreamVersion(self.version.unsigned_abs()),
            actor,
            time: self.time,
            correlation: CorrelationId(self.correlation),
            event,
        })
    }
}
