//! One batch: the difference of two snapshots.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{
    ids::{CorrelationId, EventId, Position},
    leaf::{self, Entry, LeafHash},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{StoreError, store::append::signed};

/// The last batch, as the table holds it. The values of `pg_snapshot` stay text: they are only ever
/// handed back to PostgreSQL.
#[derive(Clone, Debug)]
pub(crate) struct Last {
    pub(crate) number: i64,
    since: String,
    snapshot: String,
    seq: Option<i64>,
    pub(crate) position: Position,
}

/// What the next batch holds.
#[derive(Debug)]
pub(crate) struct Batch {
    since: String,
    snapshot: String,
    seq: Option<i64>,
    events: Vec<Uuid>,
    leaves: Vec<Vec<u8>>,
}

/// An event as its leaf needs it.
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) stream: String,
    pub(crate) version: i64,
    pub(crate) name: String,
    pub(crate) schema: i16,
    pub(crate) actor: String,
    pub(crate) time: DateTime<Utc>,
    pub(crate) body: Vec<u8>,
    pub(crate) correlation: Uuid,
    pub(crate) seq: i64,
    pub(crate) snapshot: String,
}

impl Row {
    pub(crate) fn leaf(&self) -> LeafHash {
        Entry {
            stream: &self.stream,
            version: self.version.unsigned_abs(),
            id: EventId(self.id),
            name: &self.name,
            time: self.time,
            actor: &self.actor,
            schema: self.schema.unsigned_abs(),
            body: &self.body,
            correlation: Some(CorrelationId(self.correlation)),
        }
        .leaf()
    }
}

/// The last batch. Before the first, a snapshot that saw nothing.
pub(crate) async fn last_batch(connection: &mut PgConnection) -> Result<Last, StoreError> {
    let row = sqlx::query!(
        r#"select number, since::text as "since!", snapshot::text as "snapshot!", seq, last
           from paddock.log_batch order by number desc limit 1"#
    )
    .fetch_optional(connection)
    .await?;
    // 3 is the first transaction id that PostgreSQL gives out.
    let nothing = || "3:3:".to_owned();
    Ok(match row {
        None => Last {
            number: 0,
            since: nothing(),
            snapshot: nothing(),
            seq: None,
            position: Position::START,
        },
        Some(row) => Last {
            number: row.number,
            since: row.since,
            snapshot: row.snapshot,
            seq: row.seq,
            position: Position(row.last.unsigned_abs()),
        },
    })
}

impl Last {
    /// Whether the batch left events of its own difference for the next.
    pub(crate) fn is_partial(&self) -> bool {
        self.seq.is_some()
    }

    /// Reads what comes next, at most `most` events. This statement is later than the one that read
    /// `self`, and takes its own snapshot.
    pub(crate) async fn next(
        &self,
        connection: &mut PgConnection,
        most: usize,
        leaves: bool,
    ) -> Result<Batch, StoreError> {
        let since = if self.is_partial() { &self.since } else { &self.snapshot };
        let (xmax, running) = bounds(since);
        // One more than fits tells whether the batch is partial.
        let limit = i64::try_from(most).unwrap_or(i64::MAX - 1) + 1;
        let mut rows = match self.seq {
            None => sqlx::query_as!(
                Row,
                r#"select id, stream, version, name, schema, actor, time, body, correlation, seq,
                         (select pg_current_snapshot()::text) as "snapshot!"
                       from paddock.event
                       where xid >= $1::text::xid8 or xid = any($2::text[]::xid8[])
                       order by seq limit $3"#,
                xmax,
                &running,
                limit,
            )
            .fetch_all(connection)
            .await?,
            Some(seq) => sqlx::query_as!(
                Row,
                r#"select id, stream, version, name, schema, actor, time, body, correlation, seq,
                         $3::text as "snapshot!"
                       from paddock.event
                       where (xid >= $1::text::xid8 or xid = any($2::text[]::xid8[]))
                         and pg_visible_in_snapshot(xid, $3::text::pg_snapshot) and seq > $4
                       order by seq limit $5"#,
                xmax,
                &running,
                self.snapshot,
                seq,
                limit,
            )
            .fetch_all(connection)
            .await?,
        };
        let partial = rows.len() > most;
        rows.truncate(most);
        let leaf = if leaves { Row::leaf } else { |_: &Row| LeafHash::default() };
        Ok(Batch::of(since.clone(), partial, &rows, leaf))
    }

    /// What waits for a position.
    pub(super) async fn lag(
        &self,
        connection: &mut PgConnection,
    ) -> Result<super::Lag, StoreError> {
        let since = if self.is_partial() { &self.since } else { &self.snapshot };
        let (xmax, running) = bounds(since);
        let row = sqlx::query!(
            r#"select count(*) as "events!",
                 coalesce(extract(epoch from clock_timestamp() - min(time)), 0)::float8 as "oldest!"
               from paddock.event
               where (xid >= $1::text::xid8 or xid = any($2::text[]::xid8[]))
                 and ($3::bigint is null or seq > $3
                   or not pg_visible_in_snapshot(xid, $4::text::pg_snapshot))"#,
            xmax,
            &running,
            self.seq,
            self.snapshot,
        )
        .fetch_one(connection)
        .await?;
        let oldest = Duration::try_from_secs_f64(row.oldest).unwrap_or_default();
        Ok(super::Lag { events: row.events.unsigned_abs(), oldest })
    }
}

impl Batch {
    /// A batch of all of `rows`. All of them come from one statement, and so from one snapshot.
    pub(crate) fn of(
        since: String,
        partial: bool,
        rows: &[Row],
        leaf: impl Fn(&Row) -> LeafHash,
    ) -> Self {
        Self {
            snapshot: rows.first().map_or_else(|| since.clone(), |row| row.snapshot.clone()),
            since,
            seq: rows.last().filter(|_| partial).map(|row| row.seq),
            events: rows.iter().map(|row| row.id).collect(),
            leaves: rows.iter().map(|row| leaf(row).to_vec()).collect(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

/// Inserts a batch after `last`, in one statement. Where a rival was faster, its number's primary key
/// refuses this one whole.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    last: &Last,
    batch: Batch,
) -> Result<Last, StoreError> {
    let number = last.number + 1;
    let first = signed(last.position.0) + 1;
    let position = last.position.0 + batch.events.len() as u64;
    sqlx::query!(
        "with batch as (
           insert into paddock.log_batch (number, since, snapshot, seq, first, last)
           values ($1, $2::text::pg_snapshot, $3::text::pg_snapshot, $4, $5, $6)
         )
         insert into paddock.log (position, event, leaf, form)
         select $5 - 1 + n, event, leaf, $9
         from unnest($7::uuid[], $8::bytea[]) with ordinality e(event, leaf, n)",
        number,
        batch.since,
        batch.snapshot,
        batch.seq,
        first,
        signed(position),
        &batch.events,
        &batch.leaves,
        i16::try_from(leaf::FORM).unwrap_or(i16::MAX),
    )
    .execute(connection)
    .await?;
    Ok(Last {
        number,
        since: batch.since,
        snapshot: batch.snapshot,
        seq: batch.seq,
        position: Position(position),
    })
}

/// A snapshot's `xmax` and the transactions that ran: `xmin:xmax:running,running`.
fn bounds(snapshot: &str) -> (String, Vec<String>) {
    let mut parts = snapshot.split(':').skip(1);
    let xmax = parts.next().unwrap_or("3").to_owned();
    let running = parts.next().unwrap_or_default();
    (xmax, running.split(',').filter(|xid| !xid.is_empty()).map(str::to_owned).collect())
}
