use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use domain::ids::{RunId, TextId};
use projections::model::SessionRow;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    names::SessionAction,
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
    allowed_actions: Vec<SessionAction>,
}

impl SessionBody {
    /// Sessions with their runs and texts.
    pub(super) async fn of(state: &AppState, rows: Vec<SessionRow>) -> Answer<Vec<Self>> {
        let ids: BTreeSet<RunId> =
            rows.iter().flat_map(|row| row.active_run.into_iter().chain(row.last_run)).collect();
        let runs = state.views.runs_by_id(&ids.into_iter().collect::<Vec<_>>()).await?;
        let ids: Vec<RunId> = runs.iter().map(|run| run.id).collect();
        let runs = RunBody::list(state, runs).await?;
        let runs: HashMap<RunId, RunBody> = ids.into_iter().zip(runs).collect();
        let titles: Vec<TextId> = rows.iter().map(|row| row.title.reference).collect();
        let titles = state.views.texts(&titles).await?;
        Ok(rows.into_iter().map(|row| Self::with(row, &runs, &titles)).collect())
    }

    fn with(
        row: SessionRow,
        runs: &HashMap<RunId, RunBody>,
        titles: &HashMap<TextId, String>,
    ) -> Self {
        let run = |id: Option<RunId>| id.and_then(|id| runs.get(&id)).cloned();
        Self {
            id: row.id.0,
            repo: row.repo.to_string(),
            base: row.base.to_string(),
            branch: row.branch.to_string(),
            issue: row.issue,
            title: titles.get(&row.title.reference).cloned(),
            archived: row.archived,
            allowed_actions: row.allowed_actions().into_iter().map(Into::into).collect(),
            active_run: run(row.active_run),
            last_run: run(row.last_run),
            runs: row.runs,
            pull_request: row.pull_request.map(Into::into),
            head: row.head.map(|head| head.digest.0),
            forked_from: row.forked_from.map(|session| session.0),
            created_by: row.owner.0,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version.0,
        }
    }
}
