use chrono::{DateTime, Utc};
use domain::{
    event::Recorded,
    github::{Branch, Repository},
    ids::{BundleDigest, Generation, Position, RunId, SessionId, StreamVersion, UserId},
    run::{self, Usage},
    session::{BundleInfo, Event, PullState},
    text::TextRef,
};
use serde::{Deserialize, Serialize};

use super::{Group, RunRow, group::attention, happened};

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
    pub pull_request: Option<SessionPull>,
    /// What its active run, or else the newest, asks of people; `attention` counts more.
    pub work: Group,
    /// Whether its newest run failed and nobody has done anything with the session since.
    pub attention: bool,
    /// What all its runs used.
    pub usage: Usage,
    /// What last happened that says something to people, and when.
    pub last: (String, DateTime<Utc>),
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When anything last happened in it.
    pub updated_at: DateTime<Utc>,
    /// The newest position of the log that changed anything of it.
    pub changed: Position,
    /// Its stream's version.
    pub version: StreamVersion,
}

/// A session's pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionPull {
    /// Its number.
    pub number: u64,
    /// Its page.
    pub url: String,
    /// How it stands, as last recorded.
    pub state: PullState,
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
    pub(super) fn begun(position: Position, recorded: &Recorded, event: &Event) -> Option<Self> {
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
            work: Group::Waiting,
            attention: false,
            usage: Usage::default(),
            last: (happened::in_session(event).unwrap_or_default(), recorded.time),
            created_at: recorded.time,
            updated_at: recorded.time,
            changed: position,
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

    /// What it asks of people.
    #[must_use]
    pub fn group(&self) -> Group {
        if self.attention { Group::NeedsYou } else { self.work }
    }

    /// What it is looked for by, beside its title, which may be erased: in lower case.
    pub(crate) fn about(&self) -> String {
        let number = |number: Option<u64>| number.map(|n| format!(" #{n}")).unwrap_or_default();
        let pull = self.pull_request.as_ref().map(|pull| pull.number);
        format!("{} {}{}{}", self.repo, self.branch, number(self.issue), number(pull))
            .to_lowercase()
    }

    /// Whether its pull request may still change by itself.
    pub(crate) fn has_live_pull(&self) -> bool {
        let live = |pull: &SessionPull| matches!(pull.state, PullState::Open | PullState::Draft);
        !self.deleted && self.pull_request.as_ref().is_some_and(live)
    }

    fn touched(&mut self, position: Position, recorded: &Recorded, said: Option<String>) {
        self.changed = position;
        self.updated_at = recorded.time;
        if let Some(said) = said {
            self.last = (said, recorded.time);
        }
    }

    fn pull_is(&mut self, number: u64, state: PullState) {
        if let Some(pull) = self.pull_request.as_mut().filter(|pull| pull.number == number) {
            pull.state = state;
        }
    }

    /// Takes in one event of its own stream.
    pub(super) fn apply(
        &mut self,
        position: Position,
        recorded: &Recorded,
        event: &Event,
    ) -> Option<BundleChange> {
        self.version = recorded.version;
        self.touched(position, recorded, happened::in_session(event));
        if recorded.actor.is_somebody() {
            self.attention = false;
        }
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
                self.work = Group::Waiting;
                self.attention = false;
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
            Event::BundleExpired { digest } => {
                // Only erasure takes the newest: the next run begins from the repository then.
                self.head.take_if(|head| head.digest == *digest);
                Some(BundleChange::Expired(digest.clone()))
            }
            Event::PullRequestMerged { number } => {
                self.pull_is(*number, PullState::Merged);
                None
            }
            Event::PullRequestClosed { number } => {
                self.pull_is(*number, PullState::Closed);
                None
            }
            Event::PullRequestReopened { number } | Event::PullRequestReadied { number } => {
                self.pull_is(*number, PullState::Open);
                None
            }
            Event::PullRequestDrafted { number } => {
                self.pull_is(*number, PullState::Draft);
                None
            }
        }
    }

    /// Takes in an event of one of its runs; `run` is after it, and had used `before`.
    pub(super) fn apply_run(
        &mut self,
        position: Position,
        recorded: &Recorded,
        event: &run::Event,
        run: &RunRow,
        before: Usage,
    ) {
        let newest = self.last_run == Some(run.id);
        self.touched(position, recorded, happened::in_run(event).filter(|_| newest));
        self.usage = sum(self.usage, before, run.usage);
        if newest {
            self.attention = attention(self.attention, recorded.actor, event, run);
            self.work = Group::of(run);
        }
        if let run::Event::PullRequestOpened { number, url, .. } = event {
            let known = self.pull_request.take().filter(|pull| pull.number == *number);
            let drafted = if run.requested.draft { PullState::Draft } else { PullState::Open };
            let state = known.map_or(drafted, |pull| pull.state);
            self.pull_request = Some(SessionPull { number: *number, url: url.clone(), state });
        }
    }
}

/// A sum in which one part has changed.
fn sum(sum: Usage, before: Usage, after: Usage) -> Usage {
    let with = |sum: u64, before: u64, after: u64| sum.saturating_sub(before).saturating_add(after);
    Usage {
        input_tokens: with(sum.input_tokens, before.input_tokens, after.input_tokens),
        output_tokens: with(sum.output_tokens, before.output_tokens, after.output_tokens),
        reasoning_tokens: with(
            sum.reasoning_tokens,
            before.reasoning_tokens,
            after.reasoning_tokens,
        ),
        cached_tokens: with(sum.cached_tokens, before.cached_tokens, after.cached_tokens),
        cost_micro_usd: with(sum.cost_micro_usd, before.cost_micro_usd, after.cost_micro_usd),
    }
}
