//! The runs that are not over, as a copy in memory: what the control plane's tasks and the adapters look at in every
//! round. Thousands of them are read once, and after that only those of which something happened.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use domain::ids::{Position, RunId};
use tokio::time::Instant;
use uuid::Uuid;

use super::Views;
use crate::{ViewError, model::RunRow};

/// How often all of them are read anew: after a rebuild a row may differ of which nothing happened, and after
/// `log.adopted` positions may be others.
const ANEW: Duration = Duration::from_mins(1);
/// How many events are looked at in one statement: few enough that they are looked up one by one.
const STEP: i64 = 500;
/// How many steps behind all of them are read anew in place of catching up.
const STEPS: usize = 20;

/// The copy.
#[derive(Debug)]
pub(super) struct Live {
    /// When all of them were read; none before the first time.
    read: Option<Instant>,
    /// Up to where the copy includes everything; of what comes later it may include some.
    position: Position,
    rows: BTreeMap<RunId, Arc<RunRow>>,
}

impl Live {
    /// Nothing was read yet.
    pub(super) fn unread() -> Self {
        Self { read: None, position: Position::START, rows: BTreeMap::new() }
    }
}

impl Views {
    /// The runs that wait, are active, or have a workload that is not reported as removed; the oldest first.
    pub async fn live_runs(&self) -> Result<Vec<Arc<RunRow>>, ViewError> {
        let mut live = self.live.lock().await;
        let fresh = live.read.is_some_and(|read| read.elapsed() < ANEW);
        if !(fresh && self.catch_up(&mut live).await?) {
            let position = self.projected().await?;
            live.rows = self.all_live().await?.into_iter().map(|row| (row.id, row)).collect();
            (live.read, live.position) = (Some(Instant::now()), position);
        }
        Ok(live.rows.values().cloned().collect())
    }

    /// One of these as it was when they were last looked at; none if it was not among them.
    pub async fn live_run(&self, run: RunId) -> Option<Arc<RunRow>> {
        self.live.lock().await.rows.get(&run).cloned()
    }

    /// False where it is too far behind.
    async fn catch_up(&self, live: &mut Live) -> Result<bool, ViewError> {
        for _ in 0..STEPS {
            let (to, runs, more) = self.runs_changed(live.position).await?;
            for row in self.runs_by_id(&runs).await? {
                if row.is_live() {
                    live.rows.insert(row.id, Arc::new(row));
                } else {
                    live.rows.remove(&row.id);
                }
            }
            live.position = to;
            if !more {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn all_live(&self) -> Result<Vec<Arc<RunRow>>, ViewError> {
        let bodies: Vec<String> = sqlx::query_scalar(
            "select body::text from view.run where queued or active or workload <> 'none'",
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(bodies.iter().map(|body| serde_json::from_str(body)).collect::<Result<_, _>>()?)
    }

    /// The runs of which something happened after a position, up to where, and whether there is more.
    async fn runs_changed(
        &self,
        after: Position,
    ) -> Result<(Position, Vec<RunId>, bool), ViewError> {
        let (to, runs, events): (Option<i64>, Option<Vec<Uuid>>, i64) = sqlx::query_as(
            "select max(l.position),
                    array_agg(distinct substr(e.stream, 5)::uuid) filter (where e.stream like 'run-%'),
                    count(*)
             from (select position, event from paddock.log
                   where position > $1
                     and position <= (select position from view.checkpoint where projection = 'views')
                   order by position limit $2) l
             join paddock.event e on e.id = l.event",
        )
        .bind(after.0.cast_signed())
        .bind(STEP)
        .fetch_one(&self.pool)
        .await?;
        let to = to.map_or(after, |to| Position(to.unsigned_abs()));
        let runs = runs.unwrap_or_default().into_iter().map(RunId).collect();
        Ok((to, runs, events == STEP))
    }
}
