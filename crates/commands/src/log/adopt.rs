//! Taking over a log that was restored to a point in time, failed over, or moved to another database.

use domain::{
    event::{Actor, Event},
    ids::Position,
    leaf::LeafHash,
    log,
    stream::StreamId,
    tree::Tree,
};
use futures::TryStreamExt;
use sqlx::{Acquire, PgConnection, PgPool};

use crate::{
    Context, StoreError,
    log::{
        epoch::{Epoch, place},
        halt,
    },
    relay::Relay,
    sequencer::{Batch, Row, insert_batch, last_batch},
    store::{
        Append, AppendError,
        append::{Unit, signed},
        load::head_on,
    },
};

/// Why the log was not adopted.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// It is where it was, and nothing is ahead of it.
    #[error("there is nothing to adopt: the log is in epoch {0}")]
    NotNeeded(Epoch),
    /// The stream could not be compared with the log.
    #[error("the stream cannot be compared with the log")]
    Stream(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A sequencer kept working.
    #[error("the log is being extended; try again")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for AdoptError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What was adopted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// The epoch that begins.
    pub epoch: Epoch,
    /// The epoch that ended.
    pub previous: Epoch,
    /// How many positions both have in common: consumers begin again after them.
    pub size: Position,
    /// The RFC 6962 root hash over them.
    pub root: LeafHash,
}

/// Begins a new epoch, appends `log.adopted`, and lets sequencer and relay go on. With a relay, the
/// positions taken over are those that the stream and the log agree on; without one, all of the log's.
///
/// The whole of it is one transaction with one snapshot. It writes a batch of its own, under the next
/// number: so a sequencer that works at the same time fails or makes this fail, never both succeed. The
/// batch holds every committed event without a position, found by looking for them and not by comparing
/// snapshots: after a move to another cluster the transaction ids of old and new events do not compare.
pub async fn adopt(
    pool: &PgPool,
    relay: Option<&Relay>,
    context: &Context,
    actor: Actor,
) -> Result<Adopted, AdoptError> {
    const ATTEMPTS: u32 = 5;
    let mut connection = pool.acquire().await?;
    for _ in 0..ATTEMPTS {
        match attempt(&mut connection, relay, context, actor).await {
            Err(AdoptError::Store(StoreError::Database(error))) if lost_a_race(&error) => {}
            done => return done,
        }
    }
    Err(AdoptError::Busy)
}

fn lost_a_race(error: &sqlx::Error) -> bool {
    const UNIQUE_VIOLATION: &str = "23505";
    const SERIALIZATION_FAILURE: &str = "40001";
    error.as_database_error().is_some_and(|error| {
        matches!(error.code().as_deref(), Some(UNIQUE_VIOLATION | SERIALIZATION_FAILURE))
    })
}

async fn attempt(
    connection: &mut PgConnection,
    relay: Option<&Relay>,
    context: &Context,
    actor: Actor,
) -> Result<Adopted, AdoptError> {
    let mut tx = connection.begin().await?;
    sqlx::query!("set transaction isolation level repeatable read").execute(&mut *tx).await?;
    let place = place(&mut *tx).await?;
    if place.recorded == place.actual && place.halted.is_none() {
        return Err(AdoptError::NotNeeded(place.recorded));
    }
    let last = last_batch(&mut tx).await?;
    let size = match relay {
        None => last.position,
        Some(relay) => relay
            .agreed(&mut tx, &place.recorded, last.position)
            .await
            .map_err(AdoptError::Stream)?,
    };
    let root = root(&mut tx, size).await?;
    let batch = sweep(&mut tx).await?;
    insert_batch(&mut tx, &last, batch).await?;
    let epoch = Epoch { counter: place.recorded.counter + 1, ..place.actual };
    sqlx::query!(
        "insert into paddock.epoch (counter, system_identifier, timeline, size)
         values ($1, $2, $3, $4)",
        signed(epoch.counter),
        epoch.system_identifier.cast_signed().to_string(),
        i64::from(epoch.timeline),
        signed(size.0),
    )
    .execute(&mut *tx)
    .await?;
    let adopted = log::Event::Adopted {
        epoch: epoch.to_string(),
        previous: place.recorded.to_string(),
        size: size.0,
        root: hex::encode(root),
    };
    let after = head_on(&mut *tx, StreamId::LOG).await?;
    let append = Append { after, events: vec![Event::Log(adopted)] };
    match Unit::new(context, actor, vec![append], &[]).insert(&mut *tx, None).await {
        Ok(()) => {}
        Err(AppendError::Store(error)) => return Err(error.into()),
        Err(AppendError::VersionTaken | AppendError::KeyTaken) => return Err(AdoptError::Busy),
    }
    halt::resume(&mut *tx).await?;
    tx.commit().await?;
    Ok(Adopted { epoch, previous: place.recorded, size, root })
}

/// The root over the first `size` leaves.
pub(super) async fn root(
    connection: &mut PgConnection,
    size: Position,
) -> Result<LeafHash, StoreError> {
    let mut tree = Tree::new();
    let mut leaves = sqlx::query_scalar!(
        "select leaf from paddock.log where position <= $1 order by position",
        signed(size.0)
    )
    .fetch(connection);
    while let Some(leaf) = leaves.try_next().await? {
        // The table's own constraint says that a leaf has 32 bytes.
        tree.push(leaf.try_into().unwrap_or_default());
    }
    Ok(tree.root())
}

/// Every event that this transaction's snapshot sees and that has no position.
async fn sweep(connection: &mut PgConnection) -> Result<Batch, StoreError> {
    let snapshot = sqlx::query_scalar!(r#"select pg_current_snapshot()::text as "snapshot!""#)
        .fetch_one(&mut *connection)
        .await?;
    let rows = sqlx::query_as!(
        Row,
        r#"select id, stream, version, name, schema, actor, time, body, correlation, seq, $1::text as "snapshot!"
           from paddock.event e
           where not exists (select from paddock.log l where l.event = e.id) order by seq"#,
        snapshot,
    )
    .fetch_all(connection)
    .await?;
    Ok(Batch::of(snapshot, false, &rows, Row::leaf))
}
