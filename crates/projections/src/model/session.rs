use chrono::{DateTime, Utc};
use domain::{
    event::Recorded,
    github::{Branch, Repository},
    ids::{BundleDigest, Generation, RunId, SessionId, StreamVersion, UserId},
    run,
    session::{BundleInfo, Event},
    text::TextRef,
};
use serde::{Deserialize, Serialize};

use super::PullRequest;

/// One session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionRow {
    /// Its id.
    pub id: SessionId,
    /// Who made it.
    pub owner: UserId,
    /// The repository.
    pub repo: Repository,
    /// The branch to merge into.
    pub base: Branch,
    /// The working branch.
    pub branch: Branch,
    /// The issue it answers.
    pub issue: Option<u64>,
    /// What it is about.
    pub title: TextRef,
    /// Whether it was put away.
    pub archived: bool,
    /// Whether its bundles and outputs were let go.
    pub deleted: bool,
    /// The run that works on it now.
    pub active_run: Option<RunId>,
    /// The newest run.
    pub last_run: Option<RunId>,
    /// How many runs it had.
    pub runs: u32,
    /// The newest bundle.
    pub head: Option<BundleInfo>,
    /// The session that it was forked from.
    pub forked_from: Option<SessionId>,
    /// Its pull request.
    pub pull_request: Option<PullRequest>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When anything last happened in it.
    pub updated_at: DateTime<Utc>,
    /// Its stream's version.
    pub version: StreamVersion,
}

/// One stored bundle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BundleRow {
    /// What it is.
    pub info: BundleInfo,
    /// Of which session.
    pub session: SessionId,
    /// The run whose pod made it.
    pub run: RunId,
    /// The generation of that pod.
    pub generation: Generation,
    /// When it was stored.
    pub stored_at: DateTime<Utc>,
    /// Whether it is gone from the store.
    pub expired: bool,
}

/// What a session's event does to its bundles.
pub(super) enum BundleChange {
    /// A new one.
    Stored(BundleRow),
    /// One is gone.
    Expired(BundleDigest),
    /// All are gone.
    AllExpired,
}

impl SessionRow {
    /// The row that `session.created` begins; no other event begins one.
    pub(super) fn begun(recorded: &Recorded, event: &Event) -> Option<Self> {
        let Event::Created(created) = event else { return None };
        Some(Self {
            id: SessionId(recorded.stream.id),
            owner: created.owner,
            repo: created.repo.clone(),
            base: created.base.clone(),
            branch: created.branch.clone(),
            issue: created.issue,
            title: created.title.clone(),
            archived: false,
            deleted: false,
            active_run: None,
            last_run: None,
            runs: 0,
            head: None,
            forked_from: None,
            pull_request: None,
            created_at: recorded.time,
            updated_at: recorded.time,
            version: recorded.version,
        })
    }

    /// Which of the lists of sessions it is in, as its table has it.
    pub(crate) fn standing(&self) -> &'static str {
        match (self.deleted, self.archived) {
            (true, _) => "deleted",
            (false, true) => "archived",
            (false, false) => "open",
        }
    }

    /// Takes in one event of its own stream.
    pub(super) fn apply(&mut self, recorded: &Recorded, event: &Event) -> Option<BundleChange> {
        self.version = recorded.version;
        self.updated_at = recorded.time;
        match event {
            Event::Created(_) => None,
            Event::Renamed { title } => {
                self.title = title.clone();
                None
            }
            Event::Forked { from, bundle } => {
                self.forked_from = Some(*from);
                self.head = Some(bundle.clone());
                None
            }
            Event::Archived {} => {
                self.archived = true;
                None
            }
            Event::Restored {} => {
                self.archived = false;
                None
            }
            Event::Deleted {} => {
                self.deleted = true;
                Some(BundleChange::AllExpired)
            }
            Event::RunStarted { run } => {
                self.active_run = Some(*run);
                self.last_run = Some(*run);
                self.runs += 1;
                None
            }
            Event::RunEnded { .. } => {
                self.active_run = None;
                None
            }
            Event::BundleStored { run, generation, bundle } => {
                self.head = Some(bundle.clone());
                Some(BundleChange::Stored(BundleRow {
                    info: bundle.clone(),
                    session: self.id,
                    run: *run,
                    generation: *generation,
                    stored_at: recorded.time,
                    expired: false,
                }))
            }
            Event::BundleExpired { digest } => Some(BundleChange::Expired(digest.clone())),
        }
    }

    /// Takes in an event of one of its runs.
    pub(super) fn apply_run(&mut self, recorded: &Recorded, event: &run::Event) {
        self.updated_at = recorded.time;
        if let run::Event::PullRequestOpened { number, url, .. } = event {
            self.pull_request = Some(PullRequest { number: *number, url: url.clone() });
        }
    }
}
