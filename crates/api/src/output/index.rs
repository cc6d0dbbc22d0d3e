//! Which parts and messages there are, kept beside the items as they are stored, so that a page of a
//! transcript reads the items of that page only. It says at each moment what [`link::Fold`] would say.

use std::collections::BTreeMap;

use domain::ids::RunId;
use link::Item;
use sqlx::PgConnection;

use super::key::{gap_key, key};

/// What items do to the index; a part's change is added to what is there.
#[derive(Default)]
struct Change {
    parts: BTreeMap<Vec<u8>, PartChange>,
    messages: BTreeMap<Vec<u8>, i64>,
}

#[derive(Default)]
struct PartChange {
    message: Option<Vec<u8>>,
    bytes: i64,
}

/// The key of the part that an item belongs to.
pub(super) fn part_of(item: &Item) -> Option<Vec<u8>> {
    match item {
        Item::Part { id, .. } => Some(key(id)),
        Item::Text { part, .. } => Some(key(part)),
        Item::Message { .. } | Item::Removed { .. } | Item::Gap { .. } => None,
    }
}

/// Takes in items, each with its number and the length of its JSON, in order.
pub(super) async fn index_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    items: impl Iterator<Item = (i64, usize, &Item)>,
) -> Result<(), sqlx::Error> {
    let mut change = Change::default();
    for (seq, bytes, item) in items {
        match item {
            Item::Message { id, .. } => {
                change.messages.insert(key(id), seq);
            }
            Item::Part { message, id, .. } => {
                change.part(id, bytes).message = Some(key(message));
            }
            Item::Text { part, .. } => {
                change.part(part, bytes);
            }
            // Rare: what came before it is there first.
            Item::Removed { id } => {
                std::mem::take(&mut change).store(connection, run).await?;
                remove(connection, run, &key(id), seq).await?;
            }
            Item::Gap { .. } => {
                std::mem::take(&mut change).store(connection, run).await?;
                gap(connection, run, seq).await?;
            }
        }
    }
    change.store(connection, run).await
}

impl Change {
    fn part(&mut self, id: &str, bytes: usize) -> &mut PartChange {
        let part = self.parts.entry(key(id)).or_default();
        part.bytes = part.bytes.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX));
        part
    }

    async fn store(self, connection: &mut PgConnection, run: RunId) -> Result<(), sqlx::Error> {
        if !self.messages.is_empty() {
            let (messages, seqs): (Vec<Vec<u8>>, Vec<i64>) = self.messages.into_iter().unzip();
            sqlx::query!(
                "insert into runtime.run_message (run, message, seq)
                 select $1, * from unnest($2::bytea[], $3::bigint[])
                 on conflict (run, message) do update set seq = excluded.seq",
                run.0,
                &messages,
                &seqs,
            )
            .execute(&mut *connection)
            .await?;
        }
        if self.parts.is_empty() {
            return Ok(());
        }
        let (mut parts, mut messages, mut bytes) = (vec![], vec![], vec![]);
        for (part, change) in self.parts {
            parts.push(part);
            messages.push(change.message);
            bytes.push(change.bytes);
        }
        sqlx::query!(
            "insert into runtime.run_part as known (run, part, message, bytes)
             select $1, * from unnest($2::bytea[], $3::bytea[], $4::bigint[])
             on conflict (run, part) do update
             set message = coalesce(excluded.message, known.message),
                 bytes = known.bytes + excluded.bytes",
            run.0,
            &parts,
            &messages as &[Option<Vec<u8>>],
            &bytes,
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// The agent took a part or a message back. A message's parts go with it; their texts, which come as
/// items of their own, do not.
async fn remove(
    connection: &mut PgConnection,
    run: RunId,
    id: &[u8],
    seq: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from runtime.run_message where run = $1 and message = $2", run.0, id)
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        "update runtime.run_part
         set message = null,
             since = case when part = $2 then $3 else since end,
             bytes = case when part = $2 then 0 else bytes end
         where run = $1 and (message = $2 or part = $2) and not gap",
        run.0,
        id,
        seq + 1,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Something was left out after what is there.
async fn gap(connection: &mut PgConnection, run: RunId, seq: i64) -> Result<(), sqlx::Error> {
    let last = sqlx::query!(
        r#"select part, message as "message!", gap from runtime.run_part
           where run = $1 and message is not null order by message desc, part desc limit 1"#,
        run.0,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let (before, message, after_gap) =
        last.map_or_else(Default::default, |last| (last.part, last.message, last.gap));
    sqlx::query!(
        "insert into runtime.run_part (run, part, message, since, gap) values ($1, $2, $3, $4, true)
         on conflict do nothing",
        run.0,
        &gap_key(&before, after_gap, seq.unsigned_abs()),
        &message,
        seq,
    )
    .execute(connection)
    .await?;
    Ok(())
}
