//! The export of the log: one snapshot of the database, read in order, a thousand positions at a time.

use std::{collections::HashMap, time::Duration};

use audit::{SignedCheckpoint, VerifyingKey, export as lines};
use chrono::{DateTime, Utc};
use domain::{
    ids::{CorrelationId, EventId},
    leaf::Entry,
    stream::StreamId,
};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::{Audit, parsed, signer};
use crate::{StoreError, store::append::signed};

/// How many positions are read at once.
const BATCH: u64 = 1_000;
/// How long an erasure that no checkpoint covers yet is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Nothing was signed yet.
    #[error("no checkpoint is signed yet")]
    NothingSigned,
    /// Texts were erased and no checkpoint covers the event that says so.
    #[error("an erasure is not signed yet; try again")]
    Unsettled,
    /// A body is none that a line can hold.
    #[error(transparent)]
    NotText(#[from] lines::NotText),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for ExportError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// An export under way.
pub struct Export {
    tx: Transaction<'static, Postgres>,
    size: u64,
    done: u64,
    header: Option<Vec<u8>>,
}

impl Audit {
    /// Begins an export of all that is signed.
    pub async fn export(&self) -> Result<Export, ExportError> {
        let begun = tokio::time::Instant::now();
        loop {
            match Export::begin(self.pool()).await {
                Err(ExportError::Unsettled) if begun.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                other => return other,
            }
        }
    }
}

struct Row {
    position: i64,
    form: i16,
    id: Uuid,
    stream: String,
    version: i64,
    name: String,
    schema: i16,
    actor: String,
    time: DateTime<Utc>,
    body: Vec<u8>,
    correlation: Uuid,
}

impl Export {
    async fn begin(pool: &PgPool) -> Result<Self, ExportError> {
        let mut tx = pool.begin().await?;
        sqlx::query!("set transaction isolation level repeatable read, read only")
            .execute(&mut *tx)
            .await?;
        let last =
            sqlx::query!("select size, note from paddock.checkpoint order by number desc limit 1")
                .fetch_optional(&mut *tx)
                .await?;
        let last = last.ok_or(ExportError::NothingSigned)?;
        let unsettled = sqlx::query_scalar!(
            r#"select exists (select from paddock.event e left join paddock.log l on l.event = e.id
                 where e.stream = $1 and e.name = 'log.text.erased'
                   and (l.position is null or l.position > $2)) as "unsettled!""#,
            StreamId::LOG.to_string(),
            last.size,
        )
        .fetch_one(&mut *tx)
        .await?;
        if unsettled {
            return Err(ExportError::Unsettled);
        }
        let keys: Vec<VerifyingKey> = signer::keys(&mut tx, last.size).await?;
        let checkpoint = parsed(&last.note)?;
        let size = last.size.unsigned_abs();
        let mut header = vec![];
        lines::header(&mut header, &checkpoint.checkpoint().origin, size, &keys);
        Ok(Self { tx, size, done: 0, header: Some(header) })
    }

    /// How many positions it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The next lines; none at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ExportError> {
        if let Some(header) = self.header.take() {
            return Ok(Some(header));
        }
        if self.done >= self.size {
            return Ok(None);
        }
        let (from, to) = (self.done, (self.done + BATCH).min(self.size));
        let rows = sqlx::query_as!(
            Row,
            "select l.position, l.form, e.id, e.stream, e.version, e.name, e.schema, e.actor, e.time, e.body,
               e.correlation
             from paddock.log l join paddock.event e on e.id = l.event
             where l.position > $1 and l.position <= $2 order by l.position",
            signed(from),
            signed(to),
        )
        .fetch_all(&mut *self.tx)
        .await?;
        let references: Vec<Vec<(Uuid, String)>> =
            rows.iter().map(|row| lines::references(&row.body)).collect();
        let texts = texts(&mut self.tx, &references).await?;
        let mut checkpoints = checkpoints(&mut self.tx, from, to).await?.into_iter().peekable();
        let mut out = Vec::with_capacity(rows.len() * 700);
        for (row, references) in rows.iter().zip(&references) {
            let position = row.position.unsigned_abs();
            lines::event(&mut out, position, &row.entry())?;
            for (id, _) in references {
                match texts.get(id) {
                    Some((salt, text)) => lines::text(&mut out, *id, salt, text),
                    None => lines::erased(&mut out, *id),
                }
            }
            while let Some((_, checkpoint)) = checkpoints.next_if(|(size, _)| *size <= position) {
                lines::checkpoint(&mut out, &checkpoint);
            }
        }
        self.done = to;
        Ok(Some(out))
    }
}

impl Row {
    fn entry(&self) -> Entry<'_> {
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
        .in_form(self.form.unsigned_abs())
    }
}

async fn texts(
    connection: &mut PgConnection,
    references: &[Vec<(Uuid, String)>],
) -> Result<HashMap<Uuid, (Vec<u8>, String)>, StoreError> {
    let ids: Vec<Uuid> = references.iter().flatten().map(|(id, _)| *id).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows =
        sqlx::query!("select id, salt, bytes from paddock.event_text where id = any($1)", &ids)
            .fetch_all(connection)
            .await?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(rows.into_iter().map(|row| (row.id, (row.salt, text(row.bytes)))).collect())
}

/// The checkpoints of these positions that are worth a line: the last of them, and those of more than one key.
async fn checkpoints(
    connection: &mut PgConnection,
    from: u64,
    to: u64,
) -> Result<Vec<(u64, SignedCheckpoint)>, StoreError> {
    let rows = sqlx::query!(
        r#"select size, note from (
             select distinct on (size) number, size, note from paddock.checkpoint
             where size > $1 and size <= $2 order by size, number
           ) c
           where size = (select max(size) from paddock.checkpoint where size > $1 and size <= $2)
             or note like E'%\n— %\n— %' order by size"#,
        signed(from),
        signed(to),
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|row| Ok((row.size.unsigned_abs(), parsed(&row.note)?))).collect()
}
