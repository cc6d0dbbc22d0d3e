//! The sequencer gives committed events their positions.
//!
//! **What it relies on.** An event is visible to the snapshots taken after its transaction ended, and to
//! no earlier one. So the events that the snapshot `cur` sees and the last batch's snapshot `L` does not
//! are exactly those committed between the two, however long their transactions took and in whatever
//! order their ids were drawn: none is missed, none comes twice.
//!
//! **Order within a stream.** An append follows an event that is committed (see [`crate::store`]), so of
//! two events of one stream the later one has the greater `seq`, and any snapshot that sees it sees the
//! earlier one too. Ordering each batch by `seq` therefore keeps every stream in order.
//!
//! **Why two statements.** `L` is read first and `cur` taken in a later statement. Under READ COMMITTED
//! one statement that did both would take `cur` before it waited for the rival whose batch is `L`.
//!
//! **Fence.** Batches are numbered and the number is the primary key. A sequencer that lost its lock
//! without noticing fails on the number that its successor wrote, and starts again from the table.
//!
//! **Two ways that are wrong**, kept as failing readers in this crate's tests: reading `seq > last` misses
//! the events whose transactions end late; the horizon `xid < pg_snapshot_xmin` misses or inverts events
//! of one stream and stands still behind any open transaction of the whole cluster.

mod batch;

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    Doorbell, Listener, StoreError,
    election::{Office, elected},
    log::{self, EpochError, halt},
    progress::{Progress, Standing},
    relay::Relay,
};

pub(crate) use batch::{Batch, Row, insert as insert_batch, last_batch};

/// How a sequencer goes about it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The most events of one batch; eight times as many while it works off a backlog.
    pub batch: usize,
    /// The shortest time between two batches: what an event waits at most while others come too.
    pub tick: Duration,
    /// How long it looks every `tick` after the last event, before it looks less often.
    pub busy: Duration,
    /// How often it looks when nothing comes and nobody rings.
    pub idle: Duration,
    /// Whether it waits for the lock. Without it, several may work at once: each batch is then refused
    /// to all but one of them, which is slower and just as right.
    pub elected: bool,
    /// Whether leaves are made. Without them nothing of the log can be proven: for measuring what they cost alone.
    pub leaves: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            batch: 8192,
            tick: Duration::from_millis(5),
            busy: Duration::from_millis(500),
            idle: Duration::from_millis(100),
            elected: true,
            leaves: true,
        }
    }
}

/// How long the stream is asked whether it is ahead of the log, before the log is extended without an
/// answer: PostgreSQL is the truth, and NATS may be away.
const ASK_STREAM: Duration = Duration::from_secs(3);

/// Sequences until told to stop: waits for the lock, works, and starts again after any failure. With a
/// relay, each tenure first asks the stream whether it is ahead of the log, which then was restored.
pub async fn run(
    pool: PgPool,
    doorbell: Doorbell,
    progress: Progress,
    relay: Option<Relay>,
    options: Options,
    shutdown: CancellationToken,
) {
    let report = |standing: Standing| progress.set_sequencer(&standing);
    while !shutdown.is_cancelled() {
        let tenure = async {
            let office = options.elected.then_some(Office::Sequencer);
            let Some(mut connection) = elected(&pool, office, report, &shutdown).await? else {
                return Ok(());
            };
            let bell = doorbell.listen();
            tenure(&mut connection, bell, &progress, relay.as_ref(), &options, &shutdown).await
        };
        match tenure.await {
            Ok(()) => continue,
            Err(error) => report(error.standing()),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
        }
    }
}

/// Sequences on a connection that holds the lock, until it fails or is told to stop.
async fn tenure(
    connection: &mut PgConnection,
    mut bell: Listener,
    progress: &Progress,
    relay: Option<&Relay>,
    options: &Options,
    shutdown: &CancellationToken,
) -> Result<(), EpochError> {
    let (epoch, _) = log::current_epoch(&mut *connection).await?;
    if let Some(relay) = relay {
        match tokio::time::timeout(ASK_STREAM, relay.divergence(&mut *connection, &epoch)).await {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(reason))) => {
                halt::halt(&mut *connection, &reason).await?;
                return Err(EpochError::Halted(reason));
            }
            Ok(Err(error)) => tracing::warn!(%error, "the stream cannot be compared with the log"),
            Err(_) => tracing::warn!("the stream did not answer; the log goes on without it"),
        }
    }
    progress.set_sequencer(&Standing::Active);
    let mut last = last_batch(&mut *connection).await?;
    progress.set_head(last.position);
    let mut busy_until = Instant::now() + options.busy;
    let mut look_at_halt = Instant::now();
    while !shutdown.is_cancelled() {
        let began = Instant::now();
        let most = if last.is_partial() { options.batch * 8 } else { options.batch };
        let batch = last.next(&mut *connection, most, options.leaves).await?;
        let more = if batch.is_empty() {
            false
        } else {
            last = insert_batch(&mut *connection, &last, batch).await?;
            progress.set_head(last.position);
            busy_until = Instant::now() + options.busy;
            last.is_partial()
        };
        if look_at_halt <= began {
            if let Some(reason) = halt::halted(&mut *connection).await? {
                return Err(EpochError::Halted(reason));
            }
            look_at_halt = began + Duration::from_millis(500);
        }
        if more {
            continue;
        }
        let pause = if Instant::now() < busy_until { options.tick } else { options.idle };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep_until(began + pause) => {}
            () = bell.rung() => tokio::time::sleep_until(began + options.tick).await,
        }
    }
    Ok(())
}

/// What waits for a position: how many committed events, and for how long the oldest of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// How many.
    pub events: u64,
    /// Since when the oldest waits, by the clock of the process that appended it; zero without any.
    pub oldest: Duration,
}

/// Measures the lag, from any connection of any process.
pub async fn lag(pool: &PgPool) -> Result<Lag, StoreError> {
    let mut connection = pool.acquire().await?;
    let last = last_batch(&mut connection).await?;
    last.lag(&mut connection).await
}
