//! What is asked of the read models.

mod audit;
mod bindings;
mod cursor;
mod lists;
mod live;
mod news;
mod sight;
mod tasks;

use std::{collections::HashMap, sync::Arc, time::Duration};

use domain::{
    ids::{Position, RunId, SessionId, StreamVersion, TextId},
    stream::{StreamId, StreamKind},
};
use sqlx::PgPool;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout},
};

use crate::{
    Health, Lag, ViewError,
    model::{RunRow, SessionRow},
};

pub use self::{
    audit::{AuditFilter, AuditRow, AuditStory, Blast, BlastRow},
    cursor::{Cursor, NotACursor},
    lists::{Counts, Page, RunFilter, SessionFilter},
    sight::seen,
    tasks::{Due, OpenPull, QueuedRun},
};

/// Reads the read models. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Views {
    pool: PgPool,
    health: Health,
    live: Arc<Mutex<live::Live>>,
}

impl Views {
    /// The read models in `pool`, brought up to date by a projector that reports to `health`.
    #[must_use]
    pub fn new(pool: PgPool, health: Health) -> Self {
        Self { pool, health, live: Arc::new(Mutex::new(live::Live::unread())) }
    }

    /// How the projector of this process stands.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// One session, unless it was deleted.
    pub async fn session(&self, id: SessionId) -> Result<Option<SessionRow>, ViewError> {
        let body: Option<String> =
            sqlx::query_scalar("select body::text from view.session where id = $1")
                .bind(id.0)
                .fetch_optional(&self.pool)
                .await?;
        let row: Option<SessionRow> = body.map(|body| serde_json::from_str(&body)).transpose()?;
        Ok(row.filter(|row| !row.deleted))
    }

    /// One run.
    pub async fn run(&self, id: RunId) -> Result<Option<RunRow>, ViewError> {
        let body: Option<String> =
            sqlx::query_scalar("select body::text from view.run where id = $1")
                .bind(id.0)
                .fetch_optional(&self.pool)
                .await?;
        Ok(body.map(|body| serde_json::from_str(&body)).transpose()?)
    }

    /// The texts that still exist of those named.
    pub async fn texts(&self, ids: &[TextId]) -> Result<HashMap<TextId, String>, ViewError> {
        let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.0).collect();
        let rows =
            sqlx::query!("select id, bytes from paddock.event_text where id = any($1)", &ids)
                .fetch_all(&self.pool)
                .await?;
        Ok(rows
            .into_iter()
            .map(|row| (TextId(row.id), String::from_utf8_lossy(&row.bytes).into_owned()))
            .collect())
    }

    /// The first bytes of the texts that still exist of those named.
    pub async fn beginnings(
        &self,
        ids: &[TextId],
        bytes: u32,
    ) -> Result<HashMap<TextId, String>, ViewError> {
        let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.0).collect();
        let rows = sqlx::query!(
            r#"select id, substring(bytes for $2) as "bytes!" from paddock.event_text
               where id = any($1)"#,
            &ids,
            i32::try_from(bytes).unwrap_or(i32::MAX),
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (TextId(row.id), beginning(&row.bytes))).collect())
    }

    /// Waits until a stream is projected up to a version; false if that takes longer than `patience`.
    pub async fn wait_for(
        &self,
        stream: StreamId,
        version: StreamVersion,
        patience: Duration,
    ) -> Result<bool, ViewError> {
        let until = Instant::now() + patience;
        let mut position = self.health.position();
        loop {
            position.mark_unchanged();
            if self.version_of(stream).await? >= version {
                return Ok(true);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            // Another process may be the one that projects: look now and then all the same.
            let _ = timeout(left.min(Duration::from_millis(20)), position.changed()).await;
        }
    }

    /// Waits until the log is projected up to a position.
    pub async fn caught_up_to(&self, position: Position) -> Result<(), ViewError> {
        while self.lag().await?.projected < position {
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// How far the read models are behind the log.
    pub async fn lag(&self) -> Result<Lag, ViewError> {
        let head =
            sqlx::query_scalar!(r#"select coalesce(max(position), 0) as "head!" from paddock.log"#)
                .fetch_one(&self.pool)
                .await?;
        let projected: i64 =
            sqlx::query_scalar("select position from view.checkpoint where projection = 'views'")
                .fetch_one(&self.pool)
                .await?;
        Ok(Lag {
            head: Position(head.unsigned_abs()),
            projected: Position(projected.unsigned_abs()),
        })
    }

    async fn version_of(&self, stream: StreamId) -> Result<StreamVersion, ViewError> {
        let sql = match stream.kind {
            StreamKind::Session => "select version from view.session where id = $1",
            StreamKind::Run => "select version from view.run where id = $1",
            StreamKind::Binding => "select version from view.binding where id = $1",
            // Without a read model there is nothing to wait for.
            StreamKind::Actor | StreamKind::Log | StreamKind::Settings => {
                return Ok(StreamVersion(u64::MAX));
            }
        };
        let version: Option<i64> =
            sqlx::query_scalar(sql).bind(stream.id).fetch_optional(&self.pool).await?;
        Ok(StreamVersion(version.unwrap_or(0).unsigned_abs()))
    }
}

/// A text that may be cut in the middle of a character.
fn beginning(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => {
            String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned()
        }
        Ok(_) | Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}
