use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use domain::{
    access::{Action, Resource, Role},
    ids::{RunId, SessionId, TextId},
};
use projections::model::{SessionAction as Asked, SessionRow};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    access::Allowance,
    names::{PullRequestState, RunState, SessionAction, SessionGroup},
    problem::Answer,
    runs::{InputBody, RunBody, UsageBody},
    state::AppState,
};

/// A session.
#[derive(Clone, Debug, Serialize, ToSchema)]
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
    /// What it asks of people.
    group: SessionGroup,
    /// Where its active run, or else the newest, is in its life.
    state: Option<RunState>,
    /// Why it is there, in words. May hold the agent's own: show it as text.
    reason: Option<String>,
    /// Since when.
    since: DateTime<Utc>,
    /// What last happened.
    last: LastBody,
    /// What waits for an answer.
    inputs: Vec<InputBody>,
    /// What all its runs used.
    usage: UsageBody,
    pull_request: Option<SessionPullBody>,
    /// The newest bundle: what the next run restores.
    head: Option<String>,
    forked_from: Option<Uuid>,
    created_by: Uuid,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    version: u64,
    /// What the one who asks is to it.
    role: Option<String>,
    /// What the one who asks may ask of it now.
    allowed_actions: Vec<SessionAction>,
}

/// What last happened in a session.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct LastBody {
    /// In at most 200 characters. May be the agent's own words: show it as text.
    text: String,
    at: DateTime<Utc>,
}

/// A session's pull request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct SessionPullBody {
    url: String,
    number: u64,
    /// How it stands, as last seen.
    state: PullRequestState,
    /// When the forge was last asked; null where it was not since this server started.
    checked_at: Option<DateTime<Utc>>,
}

impl SessionBody {
    /// Sessions with their runs and texts, for somebody.
    pub(crate) async fn of(
        state: &AppState,
        to: &Allowance,
        rows: Vec<SessionRow>,
    ) -> Answer<Vec<Self>> {
        let roles = to.roles(rows.iter().map(|row| row.id)).await?;
        let ids: BTreeSet<RunId> =
            rows.iter().flat_map(|row| row.active_run.into_iter().chain(row.last_run)).collect();
        let runs = state.views.runs_by_id(&ids.into_iter().collect::<Vec<_>>()).await?;
        let ids: Vec<RunId> = runs.iter().map(|run| run.id).collect();
        let runs = RunBody::list(state, to, runs).await?;
        let runs: HashMap<RunId, RunBody> = ids.into_iter().zip(runs).collect();
        let titles: Vec<TextId> = rows.iter().map(|row| row.title.reference).collect();
        let titles = state.views.texts(&titles).await?;
        let active: Vec<RunId> = rows.iter().filter_map(|row| row.active_run).collect();
        let mut doing = state.outputs.doing(&active).await?;
        let bodies = rows.into_iter().map(|row| {
            // The agent's own words, where they are the newest that there is.
            let said = row.active_run.and_then(|run| doing.remove(&run));
            let (text, at) = said.filter(|(_, at)| *at > row.last.1).unwrap_or(row.last.clone());
            let allowed = allowed(to, roles.get(&row.id).copied(), &row);
            Self::with(state, row, allowed, LastBody { text, at }, &runs, &titles)
        });
        Ok(bodies.collect())
    }

    fn with(
        state: &AppState,
        row: SessionRow,
        (role, allowed): (Option<Role>, Vec<Asked>),
        last: LastBody,
        runs: &HashMap<RunId, RunBody>,
        titles: &HashMap<TextId, String>,
    ) -> Self {
        let run = |id: Option<RunId>| id.and_then(|id| runs.get(&id)).cloned();
        let shown = run(row.active_run.or(row.last_run));
        let reason = match &shown {
            Some(run) => run.reason.clone(),
            None => Some("it has not run yet".to_owned()),
        };
        let pull_request = row.pull_request.clone().map(|pull| SessionPullBody {
            url: pull.url,
            number: pull.number,
            state: pull.state.into(),
            checked_at: state.pulls.checked_at(row.id),
        });
        Self {
            id: row.id.0,
            repo: row.repo.to_string(),
            base: row.base.to_string(),
            branch: row.branch.to_string(),
            issue: row.issue,
            title: titles.get(&row.title.reference).cloned(),
            archived: row.archived,
            role: role.map(|role| role.as_str().to_owned()),
            allowed_actions: allowed.into_iter().map(Into::into).collect(),
            active_run: run(row.active_run),
            last_run: run(row.last_run),
            runs: row.runs,
            group: row.group().into(),
            state: shown.as_ref().map(|run| run.state),
            reason,
            since: shown.as_ref().map_or(row.created_at, |run| run.since),
            last,
            inputs: shown.map(|run| run.inputs).unwrap_or_default(),
            usage: row.usage.into(),
            pull_request,
            head: row.head.map(|head| head.digest.0),
            forked_from: row.forked_from.map(|session| session.0),
            created_by: row.owner.0,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version.0,
        }
    }
}

/// What somebody is to a session, and what would be accepted of them now.
fn allowed(to: &Allowance, role: Option<Role>, row: &SessionRow) -> (Option<Role>, Vec<Asked>) {
    let mut actions = row.allowed_actions();
    actions.retain(|asked| {
        let action = match asked {
            Asked::Start => Action::StartRun,
            Asked::Rename => Action::RenameSession,
            Asked::Archive => Action::ArchiveSession,
            Asked::Restore => Action::RestoreSession,
            Asked::Delete => Action::DeleteSession,
            Asked::Fork => Action::ForkSession,
            Asked::Share => Action::ShareSession,
        };
        let begins = *asked == Asked::Fork;
        role >= action.needs()
            && (!begins || to.may(Action::CreateSession, &Resource::Repository(row.repo.clone())))
    });
    (role, actions)
}

/// What a session is to a decision.
pub(crate) fn resource(row: &SessionRow) -> Resource {
    let (id, owner, repo): (SessionId, _, _) = (row.id, row.owner, row.repo.clone());
    Resource::Session { id, owner, repo }
}
