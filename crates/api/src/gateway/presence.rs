use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How long after its last poll a gateway is taken to be there: it asks again at once.
const GRACE: Duration = Duration::from_millis(1_500);

/// Whether a gateway keeps in touch with this process. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Presence(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    polling: usize,
    last: Option<Instant>,
}

impl Presence {
    /// Whether one polls now, or did a moment ago.
    #[must_use]
    pub fn is_here(&self) -> bool {
        let seen = self.seen();
        seen.polling > 0 || seen.last.is_some_and(|last| last.elapsed() < GRACE)
    }

    /// One polls for as long as the value lives: a connection that breaks drops it.
    pub(super) fn polls(&self) -> Polling {
        self.seen().polling += 1;
        Polling(self.clone())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Polling(Presence);

impl Drop for Polling {
    fn drop(&mut self) {
        let mut seen = self.0.seen();
        seen.polling -= 1;
        seen.last = Some(Instant::now());
    }
}
