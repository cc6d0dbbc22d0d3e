//! Taking the link and storing what comes over it. Whether a connection still holds the link is decided
//! in the transaction that stores.

use std::time::Duration;

use commands::{CommandError, StoreError};
use domain::ids::{RunId, StreamVersion};
use link::{Body, Item};

use super::{
    LinkState,
    facts::{FactError, apply_in_tx},
    identity::Identified,
    kept::keep_changes_in_tx,
};
use crate::output::{Outputs, doing};

/// How often a batch is tried before the connection is given up; the sidecar sends it again.
const ATTEMPTS: u32 = 20;
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// The link, as taken by a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) epoch: u64,
    pub(super) acked: u64,
}

/// Why a batch was not stored.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreFailure {
    /// Another connection took the link.
    #[error("another connection took the link")]
    Lost,
    /// It could not be stored, however often it was tried.
    #[error("the frames could not be stored")]
    Failed(#[from] FactError),
}

impl From<sqlx::Error> for StoreFailure {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Takes the link for a hello; none if a newer workload of the run has it.
pub(super) async fn take(
    link: &LinkState,
    from: &Identified,
    done: StreamVersion,
) -> Result<Option<Taken>, StoreError> {
    let row = sqlx::query!(
        "insert into runtime.run_link as held
           (run, generation, epoch, acked, done, items, seen_at, session)
         values ($1, $2, 1, 0, $3, 0, now(), $4)
         on conflict (run) do update set
           epoch = held.epoch + 1,
           acked = case when held.generation = excluded.generation then held.acked else 0 end,
           generation = excluded.generation, done = excluded.done, seen_at = now(), settled = false
         where held.generation <= excluded.generation
         returning epoch, acked",
        from.run.0,
        number(from.generation.0.into()).try_into().unwrap_or(i32::MAX),
        number(done.0),
        from.session().0,
    )
    .fetch_optional(link.commands.pool())
    .await?;
    Ok(row.map(|row| Taken { epoch: row.epoch.unsigned_abs(), acked: row.acked.unsigned_abs() }))
}

/// Says that the link is alive. False if another connection took it.
pub(super) async fn touch(link: &LinkState, run: RunId, epoch: u64) -> Result<bool, sqlx::Error> {
    link.links.alive.touch(link.commands.pool(), run, number(epoch)).await
}

/// Stores frames that follow `acked` without a gap, all or none, together with the new high-water mark.
pub(super) async fn store(
    link: &LinkState,
    from: &Identified,
    taken: Taken,
    frames: &[Body],
) -> Result<(), StoreFailure> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match store_once(link, from, taken, frames).await {
            Err(StoreFailure::Failed(error)) if attempt < ATTEMPTS => {
                if !matches!(error, FactError::Command(CommandError::Contended)) {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(run = %from.run, error, attempt, "storing frames failed");
                }
                tokio::time::sleep(wait(attempt)).await;
            }
            done => return done,
        }
    }
}

fn wait(attempt: u32) -> Duration {
    Duration::from_millis(2 << attempt.min(10)).min(LONGEST_WAIT)
}

async fn store_once(
    link: &LinkState,
    from: &Identified,
    taken: Taken,
    frames: &[Body],
) -> Result<(), StoreFailure> {
    let items: Vec<Item> = frames
        .iter()
        .flat_map(|body| match body {
            Body::Output { items } => &items[..],
            Body::Fact(_) | Body::Changes(_) => &[],
        })
        .cloned()
        .collect();
    let mut tx = link.commands.pool().begin().await?;
    // The row stays locked until the commit: whoever takes the link waits for it, and nobody stores
    // under an older epoch afterwards.
    let held = sqlx::query_scalar!(
        "update runtime.run_link
         set acked = $5, items = items + $6, seen_at = now(), doing = coalesce($7, doing),
             doing_at = case when $7::text is null then doing_at else $8 end
         where run = $1 and generation = $2 and epoch = $3 and acked = $4 returning items",
        from.run.0,
        number(from.generation.0.into()).try_into().unwrap_or(i32::MAX),
        number(taken.epoch),
        number(taken.acked),
        number(taken.acked + frames.len() as u64),
        number(items.len() as u64),
        doing(&items),
        link.commands.context().now(),
    )
    .fetch_optional(&mut *tx)
    .await?;
    let newest = held.ok_or(StoreFailure::Lost)?.unsigned_abs();
    if !items.is_empty() {
        let after = newest - items.len() as u64;
        Outputs::store_in_tx(&mut tx, from.run, after, &items).await?;
    }
    let (mut facts, mut changes) = (false, false);
    for (seq, body) in (taken.acked + 1..).zip(frames) {
        match body {
            Body::Output { .. } => {}
            Body::Fact(fact) => {
                facts = true;
                apply_in_tx(link, &mut tx, from, seq, fact.clone()).await?;
            }
            Body::Changes(kept) => {
                changes = true;
                keep_changes_in_tx(&mut tx, from.run, kept).await?;
            }
        }
    }
    tx.commit().await?;
    if facts {
        link.commands.doorbell().ring_for(from.run.into());
    }
    if !items.is_empty() {
        link.outputs.ring(from.run);
    }
    if changes {
        link.outputs.ring_changes(from.run);
    }
    Ok(())
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
