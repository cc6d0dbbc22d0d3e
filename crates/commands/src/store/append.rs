//! Appending: one statement, one round trip, whatever number of events, streams and texts.

use chrono::{DateTime, Utc};
use domain::{
    codec,
    event::{Actor, Event},
    ids::{CorrelationId, EventId, StreamVersion},
    text::SealedText,
};
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use crate::{Context, Idempotency, StoreError, store::LoadedVersion};

/// What is appended to one stream.
#[derive(Debug)]
pub struct Append {
    /// What it follows.
    pub after: LoadedVersion,
    /// The events, in order.
    pub events: Vec<Event>,
}

/// Why nothing was appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Somebody else appended that version first: load, decide and append again.
    #[error("another event took the version")]
    VersionTaken,
    /// The idempotency key has its answer already.
    #[error("the idempotency key was used before")]
    KeyTaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Appends events after what was loaded, and commits them. Returns what to append after next.
pub async fn append(
    pool: &PgPool,
    context: &Context,
    actor: Actor,
    append: Append,
    texts: &[SealedText],
) -> Result<LoadedVersion, AppendError> {
    let stream = append.after.stream;
    let unit = Unit::new(context, actor, vec![append], texts);
    let version = unit.head(0);
    unit.insert(pool, None).await?;
    Ok(LoadedVersion { stream, version })
}

/// The row of `paddock.idempotency` that goes with an append.
pub(crate) struct KeyRow<'a> {
    pub(crate) idempotency: &'a Idempotency,
    pub(crate) stream: String,
    pub(crate) version: StreamVersion,
    pub(crate) target: Uuid,
}

/// The rows of one append, column by column.
pub(crate) struct Unit<'a> {
    actor: String,
    time: DateTime<Utc>,
    correlation: Uuid,
    heads: Vec<StreamVersion>,
    ids: Vec<Uuid>,
    streams: Vec<String>,
    versions: Vec<i64>,
    names: Vec<String>,
    schemas: Vec<i16>,
    bodies: Vec<Vec<u8>>,
    texts: Vec<&'a SealedText>,
}

impl<'a> Unit<'a> {
    /// Encodes `appends`, one command's. Of `texts`, those that no event refers to are left out.
    pub(crate) fn new(
        context: &Context,
        actor: Actor,
        appends: Vec<Append>,
        texts: &'a [SealedText],
    ) -> Self {
        let mut unit = Self {
            actor: actor.to_string(),
            time: context.now(),
            correlation: CorrelationId(context.id()).0,
            heads: vec![],
            ids: vec![],
            streams: vec![],
            versions: vec![],
            names: vec![],
            schemas: vec![],
            bodies: vec![],
            texts: vec![],
        };
        for Append { after, events } in appends {
            let stream = after.stream.to_string();
            let mut version = after.version;
            for event in events {
                version = version.next();
                let encoded = codec::encode(&event);
                unit.ids.push(context.id());
                unit.streams.push(stream.clone());
                unit.versions.push(signed(version.0));
                unit.names.push(encoded.name);
                unit.schemas.push(i16::try_from(encoded.schema).unwrap_or(i16::MAX));
                unit.bodies.push(encoded.body);
            }
            unit.heads.push(version);
        }
        unit.texts = texts.iter().filter(|text| unit.refers_to(text)).collect();
        unit
    }

    /// The version of the stream of the append at `index`, afterwards.
    pub(crate) fn head(&self, index: usize) -> StreamVersion {
        self.heads[index]
    }

    /// The newest of its events.
    pub(crate) fn last(&self) -> Option<EventId> {
        self.ids.last().copied().map(EventId)
    }

    /// Whether there is nothing to append.
    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    fn refers_to(&self, text: &SealedText) -> bool {
        let id = text.reference.reference.to_string();
        self.bodies.iter().any(|body| body.windows(id.len()).any(|part| part == id.as_bytes()))
    }

    /// Inserts all of it, or nothing.
    pub(crate) async fn insert(
        &self,
        executor: impl PgExecutor<'_>,
        key: Option<&KeyRow<'_>>,
    ) -> Result<(), AppendError> {
        let done = match (key, self.ids.len(), self.texts.len()) {
            (None, 1, 0) => self.insert_event(executor).await,
            (Some(key), 1, 0) => self.insert_event_with_key(executor, key).await,
            (None, _, 0) => self.insert_events(executor).await,
            _ => self.insert_with_key_and_texts(executor, key).await,
        };
        done.map_err(|error| self.conflict(error))
    }

    /// The usual case by itself: arrays of one cost a fifth more than the insert.
    async fn insert_event(&self, executor: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "insert into paddock.event
               (id, stream, version, name, schema, body, actor, time, correlation)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            self.ids[0],
            self.streams[0],
            self.versions[0],
            self.names[0],
            self.schemas[0],
            self.bodies[0],
            self.actor,
            self.time,
            self.correlation,
        )
        .execute(executor)
        .await
        .map(drop)
    }

    async fn insert_event_with_key(
        &self,
        executor: impl PgExecutor<'_>,
        key: &KeyRow<'_>,
    ) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "with key as (
               insert into paddock.idempotency (actor, key, fingerprint, stream, version, target, time)
               values ($7, $10, $11, $12, $13, $14, $8)
             )
             insert into paddock.event
               (id, stream, version, name, schema, body, actor, time, correlation)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            self.ids[0],
            self.streams[0],
            self.versions[0],
            self.names[0],
            self.schemas[0],
            self.bodies[0],
            self.actor,
            self.time,
            self.correlation,
            key.idempotency.key,
            &key.idempotency.fingerprint[..],
            key.stream,
            signed(key.version.0),
            key.target,
        )
        .execute(executor)
        .await
        .map(drop)
    }

    async fn insert_events(&self, executor: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "insert into paddock.event
               (id, stream, version, name, schema, body, actor, time, correlation)
             select e.*, $7, $8, $9
             from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::smallint[], $6::bytea[]) e",
            &self.ids,
            &self.streams,
            &self.versions,
            &self.names,
            &self.schemas,
            &self.bodies,
            self.actor,
            self.time,
            self.correlation,
        )
        .execute(executor)
        .await
        .map(drop)
    }

    async fn insert_with_key_and_texts(
        &self,
        executor: impl PgExecutor<'_>,
        key: Option<&KeyRow<'_>>,
    ) -> Result<(), sqlx::Error> {
        let text_ids: Vec<Uuid> =
            self.texts.iter().map(|text| text.reference.reference.0).collect();
        let salts: Vec<Vec<u8>> = self.texts.iter().map(|text| text.salt.to_vec()).collect();
        let texts: Vec<Vec<u8>> =
            self.texts.iter().map(|text| text.text.clone().into_bytes()).collect();
        sqlx::query!(
            "with key as (
               insert into paddock.idempotency (actor, key, fingerprint, stream, version, target, time)
               select $7, $10, $11, $12, $13, $14, $8 where $10::text is not null
             ), texts as (
               insert into paddock.event_text (id, salt, bytes)
               select t.* from unnest($15::uuid[], $16::bytea[], $17::bytea[]) t
             )
             insert into paddock.event
               (id, stream, version, name, schema, body, actor, time, correlation)
             select e.*, $7, $8, $9
             from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::smallint[], $6::bytea[]) e",
            &self.ids,
            &self.streams,
            &self.versions,
            &self.names,
            &self.schemas,
            &self.bodies,
            self.actor,
            self.time,
            self.correlation,
            key.map(|key| key.idempotency.key.as_str()),
            key.map(|key| &key.idempotency.fingerprint[..]),
            key.map(|key| key.stream.as_str()),
            key.map(|key| signed(key.version.0)),
            key.map(|key| key.target),
            &text_ids,
            &salts,
            &texts,
        )
        .execute(executor)
        .await
        .map(drop)
    }

    /// Inserts the one event after one that is remembered, not loaded, if that is there and the newest.
    /// Otherwise nothing is inserted, and the version counts as taken.
    pub(crate) async fn insert_after_remembered(
        &self,
        executor: impl PgExecutor<'_>,
        key: Option<&KeyRow<'_>>,
        remembered: EventId,
    ) -> Result<(), AppendError> {
        // `unique (stream, version)` finds a version that is too low, `before` one that is too high, and one
        // of another history: that of before the database was restored.
        let done = sqlx::query!(
            "with before as (
               select from paddock.event
               where id = $15 and stream = $2 and version = $3::bigint - 1
             ), key as (
               insert into paddock.idempotency (actor, key, fingerprint, stream, version, target, time)
               select $7, $10, $11, $12, $13, $14, $8 from before where $10::text is not null
             )
             insert into paddock.event
               (id, stream, version, name, schema, body, actor, time, correlation)
             select $1, $2, $3, $4, $5, $6, $7, $8, $9 from before",
            self.ids[0],
            self.streams[0],
            self.versions[0],
            self.names[0],
            self.schemas[0],
            self.bodies[0],
            self.actor,
            self.time,
            self.correlation,
            key.map(|key| key.idempotency.key.as_str()),
            key.map(|key| &key.idempotency.fingerprint[..]),
            key.map(|key| key.stream.as_str()),
            key.map(|key| signed(key.version.0)),
            key.map(|key| key.target),
            remembered.0,
        )
        .execute(executor)
        .await
        .map_err(|error| self.conflict(error))?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(AppendError::VersionTaken) }
    }

    /// Tells a conflict from a failure, by SQLSTATE and the constraint's name.
    fn conflict(&self, error: sqlx::Error) -> AppendError {
        let Some(database) = error.as_database_error() else {
            return AppendError::Store(error.into());
        };
        match (database.code().as_deref(), database.constraint()) {
            // A deadlock: two commands touch the same two streams, and one of them must try again.
            (Some(UNIQUE_VIOLATION), Some("event_stream_version"))
            | (Some(DEADLOCK_DETECTED), _) => AppendError::VersionTaken,
            (Some(UNIQUE_VIOLATION), Some("idempotency_pkey")) => AppendError::KeyTaken,
            (Some(UNIQUE_VIOLATION), Some("event_pkey")) => {
                AppendError::Store(StoreError::IdTaken {
                    correlation: CorrelationId(self.correlation),
                })
            }
            _ => AppendError::Store(error.into()),
        }
    }
}

const UNIQUE_VIOLATION: &str = "23505";
const DEADLOCK_DETECTED: &str = "40P01";

pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
