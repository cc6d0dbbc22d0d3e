use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::ids::RunId;
use link::{Answered, Ask};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::alive::Alive;

/// How many questions may wait for a connection to take them.
const QUESTIONS: usize = 16;

/// The links that this process holds: where questions to sidecars go. Cheap to clone.
#[derive(Clone, Default)]
pub struct Links {
    held: Arc<Mutex<HashMap<RunId, Held>>>,
    /// Says of them that they are alive.
    pub(super) alive: Arc<Alive>,
}

struct Held {
    epoch: u64,
    questions: mpsc::Sender<Question>,
    replaced: CancellationToken,
}

/// A question, and where its answer goes.
pub(super) struct Question {
    pub(super) ask: Ask,
    pub(super) answer: oneshot::Sender<Result<Answered, String>>,
}

/// Why a sidecar did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The run has no link here now.
    #[error("the run is not connected")]
    NotConnected,
    /// No answer came in time.
    #[error("the run did not answer in time")]
    TimedOut,
    /// The sidecar could not answer; in its own words, on one line.
    #[error("{0}")]
    Failed(String),
}

impl Links {
    /// Asks a run's sidecar, and waits for its answer at most as long as `timeout`.
    pub async fn ask(&self, run: RunId, ask: Ask, timeout: Duration) -> Result<Answered, AskError> {
        let held = self.lock().get(&run).map(|held| held.questions.clone());
        let questions = held.ok_or(AskError::NotConnected)?;
        let (answer, answered) = oneshot::channel();
        let asked = async {
            let question = Question { ask, answer };
            questions.send(question).await.map_err(|_| AskError::NotConnected)?;
            answered.await.map_err(|_| AskError::NotConnected)?.map_err(AskError::Failed)
        };
        tokio::time::timeout(timeout, asked).await.unwrap_or(Err(AskError::TimedOut))
    }

    /// Whether this process holds the run's link.
    #[must_use]
    pub fn connected(&self, run: RunId) -> bool {
        self.lock().contains_key(&run)
    }

    /// Registers the connection of `epoch`; an older one of the same run is told that it was replaced.
    pub(super) fn register(&self, run: RunId, epoch: u64) -> Registered {
        let (questions, taken) = mpsc::channel(QUESTIONS);
        let replaced = CancellationToken::new();
        let mut links = self.lock();
        match links.get(&run) {
            Some(newer) if newer.epoch > epoch => replaced.cancel(),
            older => {
                if let Some(older) = older {
                    older.replaced.cancel();
                }
                links.insert(run, Held { epoch, questions, replaced: replaced.clone() });
            }
        }
        Registered { links: self.clone(), run, epoch, questions: taken, replaced }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place in the registry, given up when it is dropped.
pub(super) struct Registered {
    links: Links,
    run: RunId,
    epoch: u64,
    pub(super) questions: mpsc::Receiver<Question>,
    pub(super) replaced: CancellationToken,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut links = self.links.lock();
        if links.get(&self.run).is_some_and(|held| held.epoch == self.epoch) {
            links.remove(&self.run);
        }
    }
}
