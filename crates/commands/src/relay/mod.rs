//! The relay copies the log to a JetStream stream, one CloudEvent a position.
//!
//! **The stream may be wiped at any moment.** It holds nothing that the log does not; an acknowledgement
//! of the server, which comes before its fsync, is never taken as durability. Where to go on is read from
//! the stream's own last message, each time anew.
//!
//! **The stream's sequence is the log's position.** It is always filled from position 1, each message
//! published with the expectation that the last sequence is the position before it. That fences a stale
//! relay, and makes any harm visible in the stream's own numbers: a first sequence that is not 1, fewer
//! messages than the last sequence says, or a last message with another position mean that something was
//! removed. Then the stream is deleted, made again and filled: the server's table of duplicates outlives
//! purges and deletions, and a message published again into the same stream could be acknowledged as a
//! duplicate without being stored.
//!
//! **A duplicate counts only if it is there**: where the server answers `duplicate`, the message at that
//! sequence must hold that position and id.
//!
//! **A stream that is ahead of the log** in the same epoch, or differs from it, says that the database
//! was restored. Then sequencer and relay halt until `paddock log adopt` begins a new epoch.

mod message;
mod stream;

use std::time::Duration;

use async_nats::jetstream;
use domain::ids::Position;
use futures::future;
use sqlx::{PgConnection, PgPool};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    StoreError,
    election::{Office, elected},
    log::{self, Epoch, EpochError, halt},
    progress::{Progress, Standing},
    relay::{
        message::Outgoing,
        stream::{StreamError, Verdict},
    },
};

pub use message::{EPOCH, EPOCH_SIZE, POSITION, subject_prefix};

/// The stream's name.
pub const STREAM: &str = "PADDOCK";

/// The most messages under way at once.
const PIPELINE: i64 = 256;

/// How often the log is read when nothing wakes the relay.
const POLL: Duration = Duration::from_millis(250);

/// The stream that the log is relayed to.
#[derive(Clone, Debug)]
pub struct Relay {
    jetstream: jetstream::Context,
    source: String,
    replicas: usize,
    look: Duration,
}

impl Relay {
    /// Relays to the server of `client`, as CloudEvents of `source`: the installation's public URL.
    #[must_use]
    pub fn new(client: async_nats::Client, source: impl Into<String>) -> Self {
        let jetstream =
            jetstream::context::ContextBuilder::new().timeout(Duration::from_secs(3)).build(client);
        Self { jetstream, source: source.into(), replicas: 1, look: Duration::from_secs(1) }
    }

    /// Has the server keep the stream on so many of its nodes.
    #[must_use]
    pub fn replicas(self, replicas: usize) -> Self {
        Self { replicas, ..self }
    }

    /// Looks at the stream for harm this often; a second unless told otherwise.
    #[must_use]
    pub fn look_every(self, look: Duration) -> Self {
        Self { look, ..self }
    }

    /// How many positions the stream is behind the log, from any process.
    pub async fn lag(&self, pool: &PgPool) -> Result<u64, RelayError> {
        let relayed = self.last_sequence().await?;
        let end =
            sqlx::query_scalar!(r#"select coalesce(max(position), 0) as "end!" from paddock.log"#)
                .fetch_one(pool)
                .await
                .map_err(StoreError::from)?;
        Ok(end.unsigned_abs().saturating_sub(relayed))
    }
}

/// Why the relay stopped.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The log must not be relayed as it is.
    #[error(transparent)]
    Epoch(#[from] EpochError),
    /// NATS failed.
    #[error("the stream failed")]
    Stream(#[from] StreamError),
}

impl From<StoreError> for RelayError {
    fn from(error: StoreError) -> Self {
        Self::Epoch(error.into())
    }
}

/// Relays until told to stop: waits for the lock, works, and starts again after any failure.
pub async fn run(pool: PgPool, relay: Relay, progress: Progress, shutdown: CancellationToken) {
    let report = |standing: Standing| progress.set_relay(&standing);
    while !shutdown.is_cancelled() {
        let tenure = async {
            match elected(&pool, Some(Office::Relay), report, &shutdown).await? {
                None => Ok(()),
                Some(mut connection) => tenure(&mut connection, &relay, &progress, &shutdown).await,
            }
        };
        match tenure.await {
            Ok(()) => continue,
            Err(RelayError::Epoch(error)) => report(error.standing()),
            Err(RelayError::Stream(error)) => report(Standing::down(&error)),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// Relays on a connection that holds the lock: looks at the stream, mends it where it must, fills it, and
/// looks again whenever anything is not as expected.
async fn tenure(
    connection: &mut PgConnection,
    relay: &Relay,
    progress: &Progress,
    shutdown: &CancellationToken,
) -> Result<(), RelayError> {
    while !shutdown.is_cancelled() {
        let (epoch, size) = log::current_epoch(&mut *connection).await?;
        match relay.examine(connection, &epoch).await? {
            Verdict::Resume(position) => {
                progress.set_relay(&Standing::Active);
                let filling = Filling { relay, progress, epoch, size };
                let why = filling.fill(connection, position, shutdown).await?;
                if !shutdown.is_cancelled() {
                    tracing::warn!(why, "the stream is looked at again");
                }
            }
            Verdict::Remake(why) => {
                tracing::warn!(why, "the stream is made again from the log");
                relay.remake().await?;
                progress.set_relayed(Position::START);
            }
            Verdict::Diverged(reason) => {
                halt::halt(&mut *connection, &reason).await?;
                return Err(EpochError::Halted(reason).into());
            }
        }
    }
    Ok(())
}

/// Filling a stream that is as it should be.
struct Filling<'a> {
    relay: &'a Relay,
    progress: &'a Progress,
    epoch: Epoch,
    size: Position,
}

impl Filling<'_> {
    /// Publishes what follows `position`, until something is not as expected: says what.
    async fn fill(
        &self,
        connection: &mut PgConnection,
        mut position: Position,
        shutdown: &CancellationToken,
    ) -> Result<&'static str, RelayError> {
        let mut head = self.progress.head();
        let mut look = Instant::now() + self.relay.look;
        loop {
            self.progress.set_relayed(position);
            head.borrow_and_update();
            let outgoing = message::after(&mut *connection, position, PIPELINE).await?;
            if shutdown.is_cancelled() {
                return Ok("told to stop");
            }
            if let Some(last) = outgoing.last() {
                let last = last.position;
                if let Err(why) = self.publish(&outgoing).await {
                    return Ok(why);
                }
                position = last;
            } else {
                tokio::select! {
                    () = shutdown.cancelled() => return Ok("told to stop"),
                    _ = head.changed() => {}
                    () = tokio::time::sleep(POLL) => {}
                }
            }
            if look <= Instant::now() {
                let (epoch, _) = log::current_epoch(&mut *connection).await?;
                if epoch != self.epoch {
                    return Ok("a new epoch began");
                }
                if !self.relay.is_whole(position).await? {
                    return Ok("messages are missing");
                }
                look = Instant::now() + self.relay.look;
            }
        }
    }

    /// Publishes messages of consecutive positions, all under way at once. Each expects the one before
    /// it: where one fails, so do all that follow it.
    async fn publish(&self, outgoing: &[Outgoing]) -> Result<(), &'static str> {
        let mut under_way = Vec::with_capacity(outgoing.len());
        for event in outgoing {
            let (subject, message) = event.message(&self.relay.source, &self.epoch, self.size);
            match self.relay.jetstream.send_publish(subject, message).await {
                Ok(acknowledged) => under_way.push(acknowledged.into_future()),
                Err(error) => {
                    tracing::debug!(%error, "a message could not be sent");
                    return Err("a message could not be sent");
                }
            }
        }
        let acknowledged = future::join_all(under_way).await;
        for (event, acknowledgement) in outgoing.iter().zip(acknowledged) {
            let acknowledgement = acknowledgement.map_err(|error| {
                tracing::debug!(%error, position = event.position.0, "a message was not acknowledged");
                "a message was not acknowledged"
            })?;
            if acknowledgement.duplicate && !self.relay.holds(acknowledgement.sequence, event).await
            {
                self.relay.remake().await.map_err(|_| "the stream could not be made again")?;
                return Err("a message was called a duplicate and is not there");
            }
            if acknowledgement.sequence != event.position.0 {
                return Err("a message was stored at another place than its position");
            }
        }
        Ok(())
    }
}
