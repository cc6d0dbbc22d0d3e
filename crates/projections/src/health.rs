//! How the projector stands, for readiness, waiting readers and tests.

use std::sync::Arc;

use domain::ids::Position;
use tokio::sync::watch;

/// Shared by the projector and whoever watches it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Health(Arc<Channels>);

#[derive(Debug)]
struct Channels {
    position: watch::Sender<Position>,
    problem: watch::Sender<Option<String>>,
}

/// How far the read models are behind the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    /// The newest position of the log.
    pub head: Position,
    /// The newest position projected.
    pub projected: Position,
}

impl Default for Health {
    fn default() -> Self {
        let position = watch::Sender::new(Position::START);
        Self(Arc::new(Channels { position, problem: watch::Sender::new(None) }))
    }
}

impl Health {
    /// The newest position that this process projected.
    #[must_use]
    pub fn position(&self) -> watch::Receiver<Position> {
        self.0.position.subscribe()
    }

    /// Why the projection stands still, if it does, as that changes.
    #[must_use]
    pub fn problem_watch(&self) -> watch::Receiver<Option<String>> {
        self.0.problem.subscribe()
    }

    /// Why the projection stands still, if it does.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.0.problem.borrow().clone()
    }

    pub(crate) fn reached(&self, position: Position) {
        self.0.problem.send_if_modified(|problem| problem.take().is_some());
        self.0.position.send_replace(position);
    }

    pub(crate) fn stuck(&self, problem: &str) {
        // Said once, however often it is tried.
        let new = self.0.problem.send_if_modified(|known| {
            let new = known.as_deref() != Some(problem);
            if new {
                *known = Some(problem.to_owned());
            }
            new
        });
        if new {
            tracing::error!(problem, "the projection stands still");
        }
    }
}
