use commands::output::{pack, unpack};
use domain::ids::RunId;
use link::{Fold, Item, Message};
use sqlx::{PgConnection, PgPool};
use tokio::sync::broadcast;

use super::{
    Subscription,
    index::{index_in_tx, part_of},
    read::Stored,
    wake::Bells,
};

/// How many runs' news may wait for a reader of all runs' activity: one that is later misses some.
const ACTIVITY: usize = 1_024;
/// How many items are read at once where all are wanted.
const PAGE: u32 = 1_000;

/// The stored output of runs. Cheap to clone; clones wake each other's subscribers.
#[derive(Clone)]
pub struct Outputs {
    pub(super) pool: PgPool,
    bells: Bells,
    changes: Bells,
    activity: broadcast::Sender<RunId>,
}

impl Outputs {
    /// The output stored in `pool`.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let activity = broadcast::Sender::new(ACTIVITY);
        Self { pool, bells: Bells::default(), changes: Bells::default(), activity }
    }

    /// At most `limit` items after the number `after`, in order.
    pub async fn read(
        &self,
        run: RunId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Stored>, sqlx::Error> {
        let rows = sqlx::query!(
            "select seq, zstd, item from runtime.run_output
             where run = $1 and seq > $2 order by seq limit $3",
            run.0,
            i64::try_from(after).unwrap_or(i64::MAX),
            i64::from(limit),
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(|row| stored(row.seq, row.zstd, row.item)).collect()
    }

    /// The number of the newest item; 0 where there is none.
    pub async fn newest(&self, run: RunId) -> Result<u64, sqlx::Error> {
        let newest = sqlx::query_scalar!(
            r#"select coalesce(max(seq), 0) as "seq!" from runtime.run_output where run = $1"#,
            run.0,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(newest.unsigned_abs())
    }

    /// Wakes when there may be more. Subscribe first, then read, and nothing is missed.
    #[must_use]
    pub fn subscribe(&self, run: RunId) -> Subscription {
        self.bells.listen(run)
    }

    /// The agent's message list, folded from all items, and the number of the newest one folded.
    pub async fn transcript(&self, run: RunId) -> Result<(Vec<Message>, u64), sqlx::Error> {
        let mut fold = Fold::default();
        let mut newest = 0;
        loop {
            let items = self.read(run, newest, PAGE).await?;
            let Some(last) = items.last() else { return Ok((fold.messages(), newest)) };
            newest = last.seq;
            for stored in &items {
                fold.push(&stored.item());
            }
        }
    }

    /// Removes all output of a run: its session was deleted.
    pub async fn remove(&self, run: RunId) -> Result<(), sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        sqlx::query!("delete from runtime.run_part where run = $1", run.0)
            .execute(&mut *tx)
            .await?;
        sqlx::query!("delete from runtime.run_message where run = $1", run.0)
            .execute(&mut *tx)
            .await?;
        sqlx::query!(
            "update runtime.run_link set doing = null, doing_at = null
             where run = $1 and doing is not null",
            run.0,
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!("delete from runtime.run_output where run = $1", run.0)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// Wakes this process's subscribers, once what they wait for is committed.
    pub(crate) fn ring(&self, run: RunId) {
        self.bells.ring(run);
        // Nobody may be there to hear it.
        let _ = self.activity.send(run);
    }

    /// The runs of which output is stored in this process, as it is.
    pub(crate) fn activity(&self) -> broadcast::Receiver<RunId> {
        self.activity.subscribe()
    }

    /// Wakes when a run's diff may have changed.
    pub(crate) fn subscribe_to_changes(&self, run: RunId) -> Subscription {
        self.changes.listen(run)
    }

    /// Wakes those who wait for a run's diff, once it is committed.
    pub(crate) fn ring_changes(&self, run: RunId) {
        self.changes.ring(run);
    }

    /// Stores items after the number `after`; the caller holds the run's link, which numbers them.
    pub(crate) async fn store_in_tx(
        connection: &mut PgConnection,
        run: RunId,
        after: u64,
        items: &[Item],
    ) -> Result<(), sqlx::Error> {
        let mut seqs = Vec::with_capacity(items.len());
        let mut packed = Vec::with_capacity(items.len());
        let mut bytes = Vec::with_capacity(items.len());
        let mut lengths = Vec::with_capacity(items.len());
        for (seq, item) in (after + 1..).zip(items) {
            let json =
                serde_json::to_vec(item).map_err(|error| sqlx::Error::Encode(error.into()))?;
            lengths.push(json.len());
            let (zstd, item) = pack(json);
            seqs.push(i64::try_from(seq).unwrap_or(i64::MAX));
            packed.push(zstd);
            bytes.push(item);
        }
        let parts: Vec<Option<Vec<u8>>> = items.iter().map(part_of).collect();
        sqlx::query!(
            "insert into runtime.run_output (run, seq, zstd, item, part)
             select $1, * from unnest($2::bigint[], $3::boolean[], $4::bytea[], $5::bytea[])",
            run.0,
            &seqs,
            &packed,
            &bytes,
            &parts as &[Option<Vec<u8>>],
        )
        .execute(&mut *connection)
        .await?;
        let numbered = seqs.iter().zip(lengths).zip(items);
        let numbered = numbered.map(|((seq, length), item)| (*seq, length, item));
        index_in_tx(connection, run, numbered).await
    }
}

pub(super) fn stored(seq: i64, zstd: bool, item: Vec<u8>) -> Result<Stored, sqlx::Error> {
    let json = unpack(zstd, item).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Stored { seq: seq.unsigned_abs(), json })
}
