use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::ids::RunId;
use tokio::sync::watch;

/// How long a subscriber waits before it looks by itself: another replica may hold the run's link.
const POLL: Duration = Duration::from_secs(1);

/// Who waits for which run's output, in this process.
#[derive(Clone, Default)]
pub(super) struct Bells(Arc<Mutex<HashMap<RunId, watch::Sender<u64>>>>);

impl Bells {
    pub(super) fn listen(&self, run: RunId) -> Subscription {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bell = bells.entry(run).or_insert_with(|| watch::Sender::new(0));
        Subscription { rings: bell.subscribe() }
    }

    /// Wakes those who wait for the run, and forgets the bell if there are none.
    pub(super) fn ring(&self, run: RunId) {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bells.get(&run) {
            if bell.receiver_count() == 0 {
                bells.remove(&run);
            } else {
                bell.send_modify(|rings| *rings = rings.wrapping_add(1));
            }
        }
    }
}

/// Waits for a run's output. It only wakes: what there is, [`super::Outputs::read`] says.
#[derive(Debug)]
pub struct Subscription {
    rings: watch::Receiver<u64>,
}

impl Subscription {
    /// Returns when there may be more: at the first store in this process since the last call, and
    /// after a second at the latest. Cancel safe.
    pub async fn woken(&mut self) {
        let rung = tokio::time::timeout(POLL, self.rings.changed()).await;
        if let Ok(Err(_)) = rung {
            // The bell was forgotten while nobody else listened: go on by the clock.
            tokio::time::sleep(POLL).await;
        }
    }
}
