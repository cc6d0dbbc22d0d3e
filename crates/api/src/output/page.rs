//! A page of a run's transcript, read backwards.

use std::collections::HashMap;

use domain::ids::RunId;
use futures::TryStreamExt as _;
use link::{Fold, Item, Part};
use serde_json::{Value, json};
use sqlx::{Postgres, Transaction};

use super::{
    Outputs, Stored,
    cut::{Assembled, Assembly},
    key::key,
    store::stored,
};

/// How many bytes of items are read at once.
const LOT: u64 = 1024 * 1024;
/// A page ends early once its parts have so many bytes.
const PAGE: usize = 8 * 1024 * 1024;
/// The most bytes of items of which a part is made whole.
const MOST: u64 = 64 * 1024 * 1024;

/// Where a transcript goes on, backwards: before the part of that key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Before {
    pub(crate) message: Vec<u8>,
    pub(crate) part: Vec<u8>,
}

/// Some parts of a transcript.
#[derive(Debug)]
pub(crate) struct Page {
    /// In the order of time, each with its message.
    pub(crate) parts: Vec<(Assembled, Option<Value>)>,
    /// Where it goes on, backwards; none at its beginning.
    pub(crate) next: Option<Before>,
    /// The newest item that it includes.
    pub(crate) seq: u64,
}

/// A part whole, or why not.
#[derive(Debug)]
pub(crate) enum Whole {
    /// Here it is.
    Part(Part),
    /// There is no such part.
    Missing,
    /// It is too large to be put together; so many bytes.
    TooLarge(u64),
}

struct Found {
    part: Vec<u8>,
    message: Vec<u8>,
    since: i64,
    bytes: i64,
    gap: bool,
}

impl Outputs {
    /// The newest parts before a place, as of one moment.
    pub(crate) async fn page(
        &self,
        run: RunId,
        before: Option<Before>,
        limit: u32,
    ) -> Result<Page, sqlx::Error> {
        let begin = "begin isolation level repeatable read read only";
        let mut tx = self.pool.begin_with(begin).await?;
        let seq = newest(&mut tx, run).await?;
        let mut found = find(&mut tx, run, before, i64::from(limit) + 1).await?;
        let mut more = found.len() > usize::try_from(limit).unwrap_or(usize::MAX);
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let messages = messages(&mut tx, run, &found).await?;
        let (mut parts, mut bytes, mut read) = (vec![], 0, 0);
        for lot in lots(&found) {
            for (place, assembled) in lot.iter().zip(assemble(&mut tx, run, lot).await?) {
                read += 1;
                let Some(assembled) = assembled else { continue };
                bytes += assembled.part.to_string().len();
                parts.push((assembled, messages.get(&place.message).cloned()));
            }
            if bytes > PAGE {
                break;
            }
        }
        more |= read < found.len();
        let last = found.into_iter().nth(read.saturating_sub(1)).filter(|_| more);
        let next = last.map(|last| Before { message: last.message, part: last.part });
        parts.reverse();
        Ok(Page { parts, next, seq })
    }

    /// One part with all of its texts.
    pub(crate) async fn part(&self, run: RunId, id: &str) -> Result<Whole, sqlx::Error> {
        let begin = "begin isolation level repeatable read read only";
        let mut tx = self.pool.begin_with(begin).await?;
        let part = key(id);
        let known = sqlx::query!(
            "select p.since, p.bytes from runtime.run_part p
             join runtime.run_message m on m.run = p.run and m.message = p.message
             where p.run = $1 and p.part = $2 and not p.gap",
            run.0,
            &part,
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(known) = known else { return Ok(Whole::Missing) };
        if known.bytes.unsigned_abs() > MOST {
            return Ok(Whole::TooLarge(known.bytes.unsigned_abs()));
        }
        let mut rows = sqlx::query!(
            "select seq, zstd, item from runtime.run_output
             where run = $1 and part = $2 and seq >= $3 order by seq",
            run.0,
            &part,
            known.since,
        )
        .fetch(&mut *tx);
        let mut fold = Fold::default();
        while let Some(row) = rows.try_next().await? {
            fold.push(&stored(row.seq, row.zstd, row.item)?.item());
        }
        Ok(fold.part(id).map_or(Whole::Missing, Whole::Part))
    }
}

type Tx<'a> = Transaction<'a, Postgres>;

async fn newest(tx: &mut Tx<'_>, run: RunId) -> Result<u64, sqlx::Error> {
    let newest = sqlx::query_scalar!(
        r#"select coalesce(max(seq), 0) as "seq!" from runtime.run_output where run = $1"#,
        run.0,
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(newest.unsigned_abs())
}

/// The parts of messages that are there, and the gaps, the newest first.
async fn find(
    tx: &mut Tx<'_>,
    run: RunId,
    before: Option<Before>,
    limit: i64,
) -> Result<Vec<Found>, sqlx::Error> {
    // No key is as long as this one of bytes that UTF-8 has not.
    let end = || vec![0xff];
    let (message, part) =
        before.map_or_else(|| (end(), end()), |before| (before.message, before.part));
    sqlx::query_as!(
        Found,
        r#"select part, message as "message!", since, bytes, gap from runtime.run_part p
           where run = $1 and message is not null and (message, part) < ($2, $3)
             and (gap or exists (select from runtime.run_message m
                                 where m.run = p.run and m.message = p.message))
           order by message desc, part desc limit $4"#,
        run.0,
        &message,
        &part,
        limit,
    )
    .fetch_all(&mut **tx)
    .await
}

/// What is known of the messages that parts belong to.
async fn messages(
    tx: &mut Tx<'_>,
    run: RunId,
    found: &[Found],
) -> Result<HashMap<Vec<u8>, Value>, sqlx::Error> {
    let mut keys: Vec<Vec<u8>> = found.iter().map(|found| found.message.clone()).collect();
    keys.dedup();
    let rows = sqlx::query!(
        "select m.message, o.seq, o.zstd, o.item from runtime.run_message m
         join runtime.run_output o on o.run = m.run and o.seq = m.seq
         where m.run = $1 and m.message = any($2)",
        run.0,
        &keys,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut messages = HashMap::new();
    for row in rows {
        if let Item::Message { info, .. } = stored(row.seq, row.zstd, row.item)?.item() {
            messages.insert(row.message, info);
        }
    }
    Ok(messages)
}

/// Cuts a list into lots of at most so many bytes, and at least one part.
fn lots(found: &[Found]) -> Vec<&[Found]> {
    let mut lots = vec![];
    let (mut from, mut bytes) = (0, 0);
    for (place, part) in found.iter().enumerate() {
        let more = part.bytes.unsigned_abs();
        if place > from && bytes + more > LOT {
            lots.push(&found[from..place]);
            (from, bytes) = (place, 0);
        }
        bytes += more;
    }
    lots.push(&found[from..]);
    lots
}

/// The parts of a lot, in its order. Rows are read one after the other: a long text is never held whole.
async fn assemble(
    tx: &mut Tx<'_>,
    run: RunId,
    lot: &[Found],
) -> Result<Vec<Option<Assembled>>, sqlx::Error> {
    let (mut keys, mut since) = (vec![], vec![]);
    let mut gaps = vec![];
    for found in lot {
        if found.gap {
            gaps.push(found.since);
        } else {
            keys.push(found.part.clone());
            since.push(found.since);
        }
    }
    let mut parts: HashMap<Vec<u8>, Assembly> = HashMap::new();
    {
        let mut rows = sqlx::query!(
            r#"select o.part as "part!", o.seq, o.zstd, o.item
               from unnest($2::bytea[], $3::bigint[]) p(part, since)
               join runtime.run_output o on o.run = $1 and o.part = p.part and o.seq >= p.since
               order by o.part, o.seq"#,
            run.0,
            &keys,
            &since,
        )
        .fetch(&mut **tx);
        while let Some(row) = rows.try_next().await? {
            let item = stored(row.seq, row.zstd, row.item)?.item();
            parts.entry(row.part).or_default().push(item);
        }
    }
    let mut reasons = gaps_of(tx, run, &gaps).await?;
    let assembled = lot.iter().map(|found| {
        if found.gap {
            let reason = reasons.remove(&found.since).unwrap_or_default();
            return Some(Assembled {
                message: String::from_utf8_lossy(&found.message).into_owned(),
                id: format!("gap-{}", found.since),
                part: json!({ "type": "gap", "reason": reason }),
                cut: vec![],
            });
        }
        parts.remove(&found.part)?.finish()
    });
    Ok(assembled.collect())
}

/// Why something was left out, by the number of the item that says so.
async fn gaps_of(
    tx: &mut Tx<'_>,
    run: RunId,
    seqs: &[i64],
) -> Result<HashMap<i64, String>, sqlx::Error> {
    if seqs.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        "select seq, zstd, item from runtime.run_output where run = $1 and seq = any($2)",
        run.0,
        seqs,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut reasons = HashMap::new();
    for row in rows {
        let seq = row.seq;
        let item: Stored = stored(row.seq, row.zstd, row.item)?;
        if let Item::Gap { reason } = item.item() {
            reasons.insert(seq, reason);
        }
    }
    Ok(reasons)
}
