//! Looks now and then how open pull requests stand at the forge, and records what became of them. A session
//! that somebody looks at is looked at sooner.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use api::{
    credentials::Credentials,
    github::{GitHub, GitHubError, Looked},
    pulls::PullChecks,
};
use chrono::{DateTime, TimeDelta, Utc};
use commands::{Caused, CommandError, Commands};
use domain::{
    event::{Actor, Part},
    ids::{CredentialId, SessionId},
    session::{self, PullState},
};
use futures::{StreamExt as _, stream};
use projections::{OpenPull, ViewError, Views};

use super::{Task, Tools};

/// How often each open pull request is looked at.
const EVERY: TimeDelta = TimeDelta::seconds(60);
/// How soon again one whose session somebody looks at.
const SOON: TimeDelta = TimeDelta::seconds(5);
/// How often it is found out which there are.
const SWEEP: TimeDelta = TimeDelta::seconds(5);
/// The longest wait after failures.
const LONGEST: TimeDelta = TimeDelta::hours(1);
/// The most looks of one round, and at once.
const MOST: usize = 20;
const AT_ONCE: usize = 4;

pub(super) struct PullStates {
    commands: Commands,
    views: Views,
    github: GitHub,
    credentials: Credentials,
    checks: PullChecks,
    known: HashMap<SessionId, Known>,
    sweep_at: DateTime<Utc>,
    /// Until when the forge wants to be left alone.
    quiet_until: DateTime<Utc>,
}

/// What the last look found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    number: u64,
    /// The forge's own name of what it told.
    edition: Option<String>,
    /// What it told.
    state: Option<PullState>,
    looked_at: DateTime<Utc>,
    failures: u32,
}

impl Known {
    /// When it is looked at again.
    fn next(&self, asked_for: bool) -> DateTime<Utc> {
        let wait = match (self.failures, asked_for) {
            (0, true) => SOON,
            (0, false) => EVERY,
            (failures, _) => (EVERY * (1 << failures.min(6))).min(LONGEST),
        };
        self.looked_at + wait
    }
}

/// Which pull requests are looked at now: first those that somebody looks at, then those that were not
/// looked at for longest.
fn plan(
    open: &[OpenPull],
    known: &HashMap<SessionId, Known>,
    asked_for: &BTreeSet<SessionId>,
    now: DateTime<Utc>,
) -> Vec<OpenPull> {
    let of = |pull: &OpenPull| known.get(&pull.session).filter(|k| k.number == pull.number);
    let mut due: Vec<&OpenPull> = open
        .iter()
        .filter(|pull| {
            of(pull).is_none_or(|known| known.next(asked_for.contains(&pull.session)) <= now)
        })
        .collect();
    due.sort_by_key(|pull| {
        (!asked_for.contains(&pull.session), of(pull).map(|known| known.looked_at))
    });
    due.into_iter().take(MOST).cloned().collect()
}

impl PullStates {
    pub(super) fn new(tools: &Tools) -> Self {
        Self {
            commands: tools.commands.clone(),
            views: tools.views.clone(),
            github: tools.github.clone(),
            credentials: tools.credentials.clone(),
            checks: tools.pulls.clone(),
            known: HashMap::new(),
            sweep_at: DateTime::UNIX_EPOCH,
            quiet_until: DateTime::UNIX_EPOCH,
        }
    }

    /// The open ones, and those that somebody looks at, unless they are merged: that is for good.
    async fn pulls(&self, asked_for: &BTreeSet<SessionId>) -> anyhow::Result<Vec<OpenPull>> {
        let mut pulls = self.views.open_pulls().await?;
        let open: BTreeSet<SessionId> = pulls.iter().map(|pull| pull.session).collect();
        let others: Vec<SessionId> = asked_for.difference(&open).copied().collect();
        for row in self.views.sessions_by_id(&others).await? {
            if let Some(pull) = row.pull_request.filter(|pull| pull.state != PullState::Merged) {
                let (session, repo, number, state) = (row.id, row.repo, pull.number, pull.state);
                pulls.push(OpenPull { session, repo, number, state });
            }
        }
        Ok(pulls)
    }

    async fn look(&self, pull: &OpenPull) -> Result<Looked, GitHubError> {
        let known = self.known.get(&pull.session).filter(|known| known.number == pull.number);
        let edition = known.and_then(|known| known.edition.as_deref());
        self.forge_of(pull).await.look_at_pull(&pull.repo, pull.number, edition).await
    }

    /// The forge, as the session's last run reached it; with the installation's own token where what that carried
    /// is not to be had any more.
    async fn forge_of(&self, pull: &OpenPull) -> GitHub {
        let credential = self.credential_of(pull.session).await.unwrap_or_else(|error| {
            tracing::warn!(session = %pull.session, %error, "its last run is not known");
            None
        });
        let forge = self.credentials.forge_with(credential, &pull.repo).await;
        forge.unwrap_or_else(|_| self.github.clone())
    }

    async fn credential_of(&self, session: SessionId) -> Result<Option<CredentialId>, ViewError> {
        let sessions = self.views.sessions_by_id(&[session]).await?;
        let Some(last) = sessions.first().and_then(|session| session.last_run) else {
            return Ok(None);
        };
        let runs = self.views.runs_by_id(&[last]).await?;
        Ok(runs.first().and_then(|run| run.requested.credential))
    }

    async fn looked(
        &mut self,
        pull: &OpenPull,
        looked: Result<Looked, GitHubError>,
    ) -> anyhow::Result<()> {
        let now = self.commands.context().now();
        let before = self.known.remove(&pull.session).filter(|known| known.number == pull.number);
        let fresh =
            Known { number: pull.number, edition: None, state: None, looked_at: now, failures: 0 };
        let known = match (looked, before) {
            (Ok(Looked::Now(found, edition)), _) => {
                Known { edition, state: Some(found.standing()), ..fresh }
            }
            (Ok(Looked::AsBefore), before) => {
                Known { looked_at: now, failures: 0, ..before.unwrap_or(fresh) }
            }
            (Err(error), before) => {
                if let GitHubError::RateLimited { until } = error {
                    self.quiet_until = until;
                }
                let failures = before.as_ref().map_or(1, |known| known.failures + 1);
                tracing::debug!(session = %pull.session, %error, failures, "no look at a pull request");
                let known = Known { looked_at: now, failures, ..before.unwrap_or(fresh) };
                self.known.insert(pull.session, known);
                return Ok(());
            }
        };
        self.checks.checked(pull.session, now);
        let state = known.state;
        self.known.insert(pull.session, known);
        match state {
            Some(state) if state != pull.state => self.record(pull, state).await,
            Some(_) | None => Ok(()),
        }
    }

    async fn record(&self, pull: &OpenPull, state: PullState) -> anyhow::Result<()> {
        let OpenPull { number, state: was, .. } = *pull;
        let command = session::Command::ObservePullRequest { number, was, state };
        let caused = Caused::by(Actor::System(Part::Publisher));
        match self.commands.session(pull.session, command, caused).await {
            Ok(_) => tracing::info!(session = %pull.session, number, ?state, "pull request"),
            // It was deleted meanwhile.
            Err(CommandError::Session(_)) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

impl Task for PullStates {
    const NAME: &'static str = "pull states";
    const PERIOD: Duration = Duration::from_secs(1);
    const WAKES: bool = false;

    async fn round(&mut self) -> anyhow::Result<()> {
        let now = self.commands.context().now();
        if now < self.quiet_until {
            return Ok(());
        }
        let asked_for = self.checks.asked_for();
        if asked_for.is_empty() && now < self.sweep_at {
            return Ok(());
        }
        self.sweep_at = now + SWEEP;
        let pulls = self.pulls(&asked_for).await?;
        let there: BTreeSet<SessionId> = pulls.iter().map(|pull| pull.session).collect();
        self.known.retain(|session, _| there.contains(session));
        let due = plan(&pulls, &self.known, &asked_for, now);
        let states = &*self;
        let looks: Vec<_> = stream::iter(due)
            .map(|pull| async move {
                let looked = states.look(&pull).await;
                (pull, looked)
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for (pull, looked) in looks {
            self.looked(&pull, looked).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::fixture::{at, requested};

    fn pull(id: u128) -> OpenPull {
        OpenPull { session: session(id), repo: requested().repo, number: 1, state: PullState::Open }
    }

    fn session(id: u128) -> SessionId {
        SessionId(uuid::Uuid::from_u128(id))
    }

    fn looked(seconds: i64, failures: u32) -> Known {
        let (edition, state) = (None, None);
        Known { number: 1, edition, state, looked_at: at(seconds), failures }
    }

    #[test]
    fn whoever_waited_longest_is_next_and_what_people_look_at_goes_first() {
        let open: Vec<OpenPull> = (0..6).map(pull).collect();
        let known = HashMap::from([
            (session(1), looked(930, 0)),
            (session(2), looked(939, 0)),
            (session(3), looked(941, 0)),
            (session(4), looked(990, 0)),
            (session(5), looked(999, 0)),
        ]);
        let ids = |asked_for: &[u128], now: i64| -> Vec<u128> {
            let asked_for = asked_for.iter().map(|id| session(*id)).collect();
            let plan = plan(&open, &known, &asked_for, at(now));
            plan.iter().map(|pull| pull.session.0.as_u128()).collect()
        };
        assert_eq!(ids(&[], 1_000), [0, 1, 2]);
        assert_eq!(ids(&[4, 5], 1_000), [4, 0, 1, 2], "not twice in a moment");
        let many: Vec<OpenPull> = (0..100).map(pull).collect();
        assert_eq!(plan(&many, &HashMap::new(), &BTreeSet::new(), at(0)).len(), MOST);
    }

    #[test]
    fn failures_are_left_alone_for_longer_and_longer() {
        let waits =
            [0, 1, 2, 3, 60].map(|failures| (looked(0, failures).next(true) - at(0)).num_seconds());
        assert_eq!(waits, [5, 120, 240, 480, 3_600]);
    }
}
