use std::sync::Arc;

use commands::{Commands, StoreError};
use domain::{
    event::Event,
    ids::{Generation, RunId, SessionId, StreamVersion, UserId},
    run::{self, Requested},
    session,
};
use link::{Door, Job};
use serde_json::Value;
use url::Url;

/// What every job says alike.
#[derive(Clone)]
pub struct JobSettings {
    /// Where repositories are cloned from, `https://github.com`.
    pub github_url: Url,
    /// The address of the page.
    pub public_url: Url,
    /// The model, as `provider/model`.
    pub model: String,
    /// What the agent may do without asking, by the name of the harness profile.
    pub permission: Arc<dyn Fn(&str) -> Value + Send + Sync>,
    /// By whom leftover commits are.
    pub author: Arc<dyn Fn(UserId) -> Author + Send + Sync>,
    /// How many seconds between snapshots while something changes.
    pub snapshot_interval_seconds: u32,
    /// The door at the gateway of a run's workload, where it needs one of its own.
    pub door: Arc<dyn Fn(RunId, Generation) -> Option<Door> + Send + Sync>,
}

/// Who a commit is by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// Their name.
    pub name: String,
    /// Their noreply address.
    pub email: String,
}

impl JobSettings {
    /// The repository's address as people know it.
    #[must_use]
    pub fn remote_url(&self, requested: &Requested) -> String {
        format!("{}/{}.git", self.github_url.as_str().trim_end_matches('/'), requested.repo)
    }

    /// The run's page.
    #[must_use]
    pub fn run_url(&self, run: RunId) -> String {
        format!("{}/runs/{run}", self.public_url.as_str().trim_end_matches('/'))
    }

    /// What the workload of `generation` is to do.
    pub(super) async fn job(
        &self,
        commands: &Commands,
        run: RunId,
        generation: Generation,
        requested: Requested,
    ) -> Result<Job, StoreError> {
        let session = requested.session;
        let (state, _) = commands.load_session(session).await?;
        let head = match state {
            session::State::Known(session) => session.head.map(|head| head.digest),
            session::State::New | session::State::Deleted => None,
        };
        let author = (self.author)(requested.owner);
        Ok(Job {
            run,
            session,
            generation,
            remote_url: self.remote_url(&requested),
            run_url: self.run_url(run),
            restore: head.or(requested.from),
            branch_is_ours: published_before(commands, session).await?,
            author_name: author.name,
            author_email: author.email,
            // Runs that were asked for before profiles had a history say nothing of it.
            permission: match requested.harness.permission {
                Some(permission) => permission,
                None => (self.permission)(&requested.profile),
            },
            model: self.model.clone(),
            link_timeout_seconds: requested.link_timeout_seconds,
            snapshot_interval_seconds: self.snapshot_interval_seconds,
            door: (self.door)(run, generation),
            repo: requested.repo,
            base: requested.base,
            branch: requested.branch,
        })
    }
}

/// Whether a workload of the session got as far as publishing: a run whose branch was somebody else's
/// never gets there, so from then on the branch is the session's own, even if the push was never
/// reported.
async fn published_before(commands: &Commands, session: SessionId) -> Result<bool, StoreError> {
    let stream = commands::store::load(commands.pool(), session.into()).await?;
    for event in stream.events.iter().rev() {
        let Event::Session(session::Event::RunStarted { run }) = event else { continue };
        let events = commands.run_events(*run, StreamVersion::NONE).await?;
        let published = events.iter().any(|recorded| {
            matches!(
                recorded.event,
                Event::Run(run::Event::FinishRequested { .. } | run::Event::BranchPushed { .. })
            )
        });
        if published {
            return Ok(true);
        }
    }
    Ok(false)
}
