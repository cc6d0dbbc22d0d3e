//! Says of many links at once that they are alive: a thousand of them each say it every few seconds.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use domain::ids::RunId;
use sqlx::PgPool;
use tokio::{sync::oneshot, time::sleep};

/// How long the first of them waits for others.
const GATHER: Duration = Duration::from_millis(200);

/// Those that wait to be said to be alive.
#[derive(Default)]
pub(super) struct Alive {
    waiting: Mutex<Vec<Waiting>>,
    turn: tokio::sync::Mutex<()>,
}

struct Waiting {
    run: RunId,
    epoch: i64,
    answer: oneshot::Sender<bool>,
}

impl Alive {
    /// Says that the link is alive. False if another connection took it.
    pub(super) async fn touch(
        &self,
        pool: &PgPool,
        run: RunId,
        epoch: i64,
    ) -> Result<bool, sqlx::Error> {
        let (answer, mut answered) = oneshot::channel();
        self.waiting().push(Waiting { run, epoch, answer });
        let _turn = self.turn.lock().await;
        // Whoever had the turn before may have taken this one along.
        if let Ok(alive) = answered.try_recv() {
            return Ok(alive);
        }
        sleep(GATHER).await;
        let mut all = std::mem::take(&mut *self.waiting());
        // Those whose connection ended meanwhile are said nothing of, and so is one that was taken along in vain.
        all.retain(|waiting| !waiting.answer.is_closed());
        if !all.iter().any(|waiting| waiting.run == run && waiting.epoch == epoch) {
            let (answer, _) = oneshot::channel();
            all.push(Waiting { run, epoch, answer });
        }
        let held = touch_all(pool, &all).await?;
        let is_held = |run: RunId, epoch: i64| held.get(&run) == Some(&epoch);
        for waiting in all {
            let alive = is_held(waiting.run, waiting.epoch);
            let _ = waiting.answer.send(alive);
        }
        Ok(is_held(run, epoch))
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which of the links are still theirs, with their epochs.
async fn touch_all(pool: &PgPool, all: &[Waiting]) -> Result<HashMap<RunId, i64>, sqlx::Error> {
    let runs: Vec<uuid::Uuid> = all.iter().map(|waiting| waiting.run.0).collect();
    let epochs: Vec<i64> = all.iter().map(|waiting| waiting.epoch).collect();
    let rows = sqlx::query!(
        "update runtime.run_link l set seen_at = now()
         from unnest($1::uuid[], $2::bigint[]) t(run, epoch)
         where l.run = t.run and l.epoch = t.epoch returning l.run, l.epoch",
        &runs,
        &epochs,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (RunId(row.run), row.epoch)).collect())
}
