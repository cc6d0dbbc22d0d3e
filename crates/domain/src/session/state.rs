use std::collections::BTreeSet;

use crate::{
    ids::{BundleDigest, RunId, SessionId, UserId},
    session::{BundleInfo, Created, Event, PullState},
};

/// A session, folded from its events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// No event yet.
    #[default]
    New,
    /// It exists.
    Known(Box<Session>),
    /// It was deleted.
    Deleted,
}

/// What is known of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// As it was made, with the title it has now.
    pub created: Created,
    /// Whether it is in the everyday lists.
    pub standing: Standing,
    /// The run that works on it now.
    pub active_run: Option<RunId>,
    /// The newest bundle: what the next run restores.
    pub head: Option<BundleInfo>,
    /// The bundles that are there.
    pub bundles: BTreeSet<BundleDigest>,
    /// The session that it was forked from.
    pub forked_from: Option<SessionId>,
    /// Its pull request and how that stood when it was last seen to change.
    pub pull_request: Option<(u64, PullState)>,
}

/// Whether a session is in the everyday lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Open,
    /// It is put away.
    Archived,
}

impl Session {
    /// Who made it.
    #[must_use]
    pub fn owner(&self) -> UserId {
        self.created.owner
    }

    fn store(&mut self, bundle: &BundleInfo) {
        self.bundles.insert(bundle.digest.clone());
        self.head = Some(bundle.clone());
    }
}

/// The state after `event`. Total: an event that does not fit changes nothing.
#[must_use]
pub fn evolve(state: State, event: &Event) -> State {
    match (state, event) {
        (State::New, Event::Created(created)) => State::Known(Box::new(Session {
            created: created.clone(),
            standing: Standing::Open,
            active_run: None,
            head: None,
            bundles: BTreeSet::new(),
            forked_from: None,
            pull_request: None,
        })),
        (State::Known(session), event) => evolve_known(session, event),
        (state @ (State::New | State::Deleted), _) => state,
    }
}

/// The state after all of `events`, from nothing.
#[must_use]
pub fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> State {
    events.into_iter().fold(State::New, evolve)
}

fn evolve_known(mut session: Box<Session>, event: &Event) -> State {
    match event {
        Event::Created(_) => {}
        Event::Renamed { title } => session.created.title = title.clone(),
        Event::BundleExpired { digest } => {
            session.bundles.remove(digest);
            // Only erasure takes the newest: the next run begins from the repository then.
            if session.head.as_ref().is_some_and(|head| head.digest == *digest) {
                session.head = None;
            }
        }
        Event::Forked { from, bundle } => {
            session.forked_from = Some(*from);
            session.store(bundle);
        }
        Event::Archived {} => session.standing = Standing::Archived,
        Event::Restored {} => session.standing = Standing::Open,
        Event::Deleted {} => return State::Deleted,
        Event::RunStarted { run } => session.active_run = Some(*run),
        Event::RunEnded { .. } => session.active_run = None,
        Event::BundleStored { bundle, .. } => session.store(bundle),
        Event::PullRequestMerged { number } => {
            session.pull_request = Some((*number, PullState::Merged));
        }
        Event::PullRequestClosed { number } => {
            session.pull_request = Some((*number, PullState::Closed));
        }
        Event::PullRequestReopened { number } | Event::PullRequestReadied { number } => {
            session.pull_request = Some((*number, PullState::Open));
        }
        Event::PullRequestDrafted { number } => {
            session.pull_request = Some((*number, PullState::Draft));
        }
    }
    State::Known(session)
}
