//! What the control plane's own tasks and the adapters look for.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use domain::{
    github::Repository,
    ids::{RunId, SessionId, UserId},
    run::QueueReason,
    session::PullState,
    workload::{Desired, Phase},
};
use uuid::Uuid;

use super::Views;
use crate::{
    ViewError,
    model::{RunRow, RunState, SessionRow, Workload},
};

/// A run that waits for room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedRun {
    /// The run.
    pub run: RunId,
    /// Whose it is.
    pub owner: UserId,
    /// How much memory it needs, in MiB.
    pub memory_mib: u32,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// Why it waits, as last said.
    pub reason: Option<QueueReason>,
}

/// A run of which something is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The run.
    pub run: RunId,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// A session whose pull request may change by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenPull {
    /// The session.
    pub session: SessionId,
    /// Its repository.
    pub repo: Repository,
    /// The pull request's number.
    pub number: u64,
    /// How it stands, as last recorded.
    pub state: PullState,
}

impl Views {
    /// The sessions whose pull request is open.
    pub async fn open_pulls(&self) -> Result<Vec<OpenPull>, ViewError> {
        let bodies: Vec<String> =
            sqlx::query_scalar("select body::text from view.session where pull order by id")
                .fetch_all(&self.pool)
                .await?;
        let rows: Vec<SessionRow> =
            bodies.iter().map(|body| serde_json::from_str(body)).collect::<Result<_, _>>()?;
        let open = rows.into_iter().filter_map(|row| {
            let pull = row.pull_request?;
            Some(OpenPull {
                session: row.id,
                repo: row.repo,
                number: pull.number,
                state: pull.state,
            })
        });
        Ok(open.collect())
    }

    /// The runs that wait for room, the oldest first.
    pub async fn queue(&self) -> Result<Vec<QueuedRun>, ViewError> {
        let rows = self.live_runs().await?;
        Ok(rows
            .iter()
            .filter(|row| row.state == RunState::Queued)
            .map(|row| QueuedRun {
                run: row.id,
                owner: row.requested.owner,
                memory_mib: row.requested.memory_mib,
                requested_at: row.created_at,
                reason: row.queued.clone(),
            })
            .collect())
    }

    /// How many runs of each owner are active.
    pub async fn active(&self) -> Result<BTreeMap<UserId, u32>, ViewError> {
        let mut by_owner = BTreeMap::new();
        for row in self.active_runs().await? {
            *by_owner.entry(row.requested.owner).or_default() += 1;
        }
        Ok(by_owner)
    }

    /// The workloads that should exist, or whose removal is not reported yet.
    pub async fn desired_workloads(&self) -> Result<Vec<Desired>, ViewError> {
        let rows = self.live_runs().await?;
        Ok(rows
            .iter()
            .filter_map(|row| {
                let phase = match row.workload {
                    Workload::None => return None,
                    Workload::Create => Phase::Create,
                    Workload::Keep => Phase::Keep,
                    Workload::Remove => Phase::Remove,
                };
                Some(Desired {
                    run: row.id,
                    session: row.requested.session,
                    generation: row.generation?,
                    phase,
                    accept_unenforced: row.requested.accept_unenforced,
                    memory_mib: row.requested.memory_mib,
                    disk_mib: row.requested.disk_mib,
                    egress: row.egress.mode.as_str().to_owned(),
                    deadline_seconds: row.requested.deadline_seconds,
                    harness: row.requested.harness.clone(),
                })
            })
            .collect())
    }

    /// The runs that have neither ended nor wait in the queue: what gateways serve.
    pub async fn active_runs(&self) -> Result<Vec<Arc<RunRow>>, ViewError> {
        let mut rows = self.live_runs().await?;
        rows.retain(|row| row.is_active());
        Ok(rows)
    }

    /// The runs that have not ended, the oldest first.
    pub async fn in_flight(&self) -> Result<Vec<Arc<RunRow>>, ViewError> {
        let mut rows = self.live_runs().await?;
        rows.retain(|row| row.finished_at.is_none());
        Ok(rows)
    }

    /// The runs of which something is due.
    pub async fn due(&self, now: DateTime<Utc>) -> Result<Vec<Due>, ViewError> {
        let rows: Vec<(Uuid, DateTime<Utc>)> =
            sqlx::query_as("select id, due from view.run where due <= $1 order by due limit 1000")
                .bind(now)
                .fetch_all(&self.pool)
                .await?;
        Ok(rows.into_iter().map(|(run, since)| Due { run: RunId(run), since }).collect())
    }

    /// The runs whose pull request is to be opened now.
    pub async fn publishing(&self, now: DateTime<Utc>) -> Result<Vec<RunId>, ViewError> {
        let rows: Vec<Uuid> = sqlx::query_scalar(
            "select id from view.run where publishing <= $1 order by publishing limit 1000",
        )
        .bind(now)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(RunId).collect())
    }
}
