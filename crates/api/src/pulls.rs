//! Which pull requests somebody looks at, and when the forge was last asked how each stands.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use domain::ids::SessionId;
use tokio::sync::Notify;

/// The most sessions that are remembered: a page shows far fewer at once.
const MOST: usize = 10_000;

/// Shared by the API and the task that asks the forge. Cheap to clone; nothing in it outlives the process.
#[derive(Clone, Debug, Default)]
pub struct PullChecks(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    known: Mutex<Known>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Known {
    asked_for: BTreeSet<SessionId>,
    checked: HashMap<SessionId, DateTime<Utc>>,
}

impl PullChecks {
    /// Somebody looks at a session: its pull request is worth a look too.
    pub fn look_at(&self, session: SessionId) {
        let new = {
            let mut known = self.known();
            known.asked_for.len() < MOST && known.asked_for.insert(session)
        };
        if new {
            self.0.news.notify_one();
        }
    }

    /// The sessions that were looked at since this was last asked.
    #[must_use]
    pub fn asked_for(&self) -> BTreeSet<SessionId> {
        std::mem::take(&mut self.known().asked_for)
    }

    /// Returns once a session was looked at since the last return. Cancel safe.
    pub async fn asked(&self) {
        self.0.news.notified().await;
    }

    /// The forge was asked.
    pub fn checked(&self, session: SessionId, at: DateTime<Utc>) {
        let mut known = self.known();
        if known.checked.len() >= MOST && !known.checked.contains_key(&session) {
            known.checked.clear();
        }
        known.checked.insert(session, at);
    }

    /// When the forge was last asked.
    #[must_use]
    pub fn checked_at(&self, session: SessionId) -> Option<DateTime<Utc>> {
        self.known().checked.get(&session).copied()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
