use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::ids::{RunId, TextId};
use projections::model::{PullRequest, RunRow, SessionRow};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    problem::Answer,
    runs::{PullRequestBody, RunBody},
    state::AppState,
};

/// A session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionBody {
    id: Uuid,
    repo: String,
    base: String,
    branch: String,
    issue: Option<u64>,
    /// What it is about; null once erased.
    title: Option<String>,
    archived: bool,
    /// The run that works on it now.
    active_run: Option<RunBody>,
    /// The newest run.
    last_run: Option<RunBody>,
    /// How many runs it had.
    runs: u32,
    pull_request: Option<PullRequestBody>,
    /// The newest bundle: what the next run restores.
    head: Option<String>,
    forked_from: Option<Uuid>,
    created_by: Uuid,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    version: u64,
    /// What may be asked of it now.
    allowed_actions: Vec<&'static str>,
}

impl SessionBody {
    /// Sessions with their runs and texts.
    pub(super) async fn of(state: &AppState, rows: Vec<SessionRow>) -> Answer<Vec<Self>> {
        let ids: Vec<RunId> =
            rows.iter().flat_map(|row| row.active_run.into_iter().chain(row.last_run)).collect();
        let runs = state.views.runs_by_id(&ids).await?;
        let runs: HashMap<RunId, RunRow> = runs.into_iter().map(|run| (run.id, run)).collect();
        let titles: Vec<TextId> = rows.iter().map(|row| row.title.reference).collect();
        let titles = state.views.texts(&titles).await?;
        let mut bodies = Vec::new();
        for row in rows {
            let active = row.active_run.and_then(|run| runs.get(&run)).cloned();
            let last = row.last_run.and_then(|run| runs.get(&run)).cloned();
            bodies.push(Self {
                id: row.id.0,
                repo: row.repo.to_string(),
                base: row.base.to_string(),
                branch: row.branch.to_string(),
                issue: row.issue,
                title: titles.get(&row.title.reference).cloned(),
                archived: row.archived,
                allowed_actions: actions(&row),
                active_run: one(state, active).await?,
                last_run: one(state, last).await?,
                runs: row.runs,
                pull_request: row.pull_request.map(pull_request),
                head: row.head.map(|head| head.digest.0),
                forked_from: row.forked_from.map(|session| session.0),
                created_by: row.owner.0,
                created_at: row.created_at,
                updated_at: row.updated_at,
                version: row.version.0,
            });
        }
        Ok(bodies)
    }
}

async fn one(state: &AppState, run: Option<RunRow>) -> Answer<Option<RunBody>> {
    match run {
        Some(run) => Ok(RunBody::of(state, vec![run]).await?.pop()),
        None => Ok(None),
    }
}

fn pull_request(pull: PullRequest) -> PullRequestBody {
    PullRequestBody { url: pull.url, number: pull.number }
}

fn actions(row: &SessionRow) -> Vec<&'static str> {
    let mut actions = vec!["rename"];
    if row.active_run.is_none() {
        actions.push("delete");
        actions.extend(if row.archived { ["restore"].iter() } else { ["start", "archive"].iter() });
    }
    if row.head.is_some() {
        actions.push("fork");
    }
    actions
}
