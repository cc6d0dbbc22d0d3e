use domain::ids::{Position, RunId, StreamVersion};

use super::Views;
use crate::{
    ViewError,
    model::{SessionRow, TimelineRow},
};

impl Views {
    /// The newest position that the read models include.
    pub async fn projected(&self) -> Result<Position, ViewError> {
        let position: i64 =
            sqlx::query_scalar("select position from view.checkpoint where projection = 'views'")
                .fetch_one(&self.pool)
                .await?;
        Ok(Position(position.unsigned_abs()))
    }

    /// The sessions that changed after a position, deleted ones too, in the order of their newest change.
    /// One statement: nothing before the newest of them is missing.
    pub async fn sessions_changed(
        &self,
        after: Position,
        limit: u32,
    ) -> Result<Vec<SessionRow>, ViewError> {
        let bodies: Vec<String> = sqlx::query_scalar(
            "select body::text from view.session where changed > $1 order by changed limit $2",
        )
        .bind(after.0.cast_signed())
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        Ok(bodies.iter().map(|body| serde_json::from_str(body)).collect::<Result<_, _>>()?)
    }

    /// A run's time line after a version.
    pub async fn timeline_after(
        &self,
        run: RunId,
        after: StreamVersion,
        limit: u32,
    ) -> Result<Vec<TimelineRow>, ViewError> {
        let bodies: Vec<String> = sqlx::query_scalar(
            "select body::text from view.run_timeline where run = $1 and version > $2
             order by version limit $3",
        )
        .bind(run.0)
        .bind(after.0.cast_signed())
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        Ok(bodies.iter().map(|body| serde_json::from_str(body)).collect::<Result<_, _>>()?)
    }
}
