//! What all runs share, and one run's door.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::ids::RunId;
use http::{Response, StatusCode};
use tokio::sync::{Semaphore, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    answer::{Body, Refusal},
    credential::Credentials,
    decision::{Asked, DecisionLog, Kind, Record},
    limits::Limits,
    policy::{Mode, Policy},
    proxy::{HostRule, Network},
    upstream::Upstream,
};

/// What all runs share.
pub(crate) struct Gateway {
    pub(crate) model: Option<Upstream>,
    pub(crate) git: Upstream,
    /// What runs carry there in place of the gateway's own token.
    pub(crate) credentials: Credentials,
    pub(crate) allow: Vec<HostRule>,
    pub(crate) network: Arc<dyn Network>,
    pub(crate) log: DecisionLog,
    pub(crate) limits: Limits,
}

/// One run's way out.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) run: RunId,
    /// As it is now; it may change under an open tunnel.
    pub(crate) policy: watch::Receiver<Policy>,
    /// Whether it may be as wide as the policy says: not where somebody came in by the listener that every
    /// run reaches.
    pub(crate) wide: bool,
    /// The run is gone, or the gateway stops at once.
    pub(crate) closed: CancellationToken,
    /// Connections and tunnels.
    pub(crate) tasks: TaskTracker,
}

impl Door {
    pub(crate) fn asked(&self, kind: Kind, host: impl Into<String>, port: u16) -> Asked {
        Asked { run: self.run, kind, host: host.into(), port }
    }

    /// The policy, unless nothing may pass.
    pub(crate) fn policy(&self) -> Result<Policy, Refusal> {
        let policy = self.narrowed(self.policy.borrow().clone());
        if policy.suspended {
            return Err(Refusal::new("suspended", "this run's way out is suspended"));
        }
        Ok(policy)
    }

    /// The policy as far as it holds for this door.
    pub(crate) fn narrowed(&self, policy: Policy) -> Policy {
        let egress = if self.wide { policy.egress } else { Mode::Github };
        Policy { egress, ..policy }
    }

    /// Puts a request that may pass on the record; without a record nothing passes.
    pub(crate) fn allow(&self, asked: &Asked, rule: &str) -> Result<Record, Refusal> {
        Record::allow(&self.gateway.log, asked, rule).ok_or_else(|| {
            Refusal::new(
                "record-full",
                "the record of decisions is full and the control plane is away",
            )
            .with_status(StatusCode::SERVICE_UNAVAILABLE)
        })
    }

    /// Puts a refusal on the record and says so.
    pub(crate) fn refuse(&self, asked: &Asked, refusal: &Refusal) -> Response<Body> {
        tracing::debug!(run.id = %self.run, host = %asked.host.escape_default(), port = asked.port,
            rule = refusal.rule, "refused");
        Record::refuse(&self.gateway.log, asked, refusal);
        refusal.response()
    }
}

/// Each door with the places that its connections share.
type Open = HashMap<RunId, (Door, Arc<Semaphore>)>;

/// All doors that are open, by their runs. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Doors {
    open: Arc<Mutex<Open>>,
    stopping: CancellationToken,
}

impl Doors {
    /// Cancelled when no further connection is taken.
    pub(crate) fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Opens a run's door, with the places that its connections share.
    pub(crate) fn insert(&self, door: Door, room: Arc<Semaphore>) {
        self.lock().insert(door.run, (door, room));
    }

    pub(crate) fn remove(&self, run: RunId) {
        self.lock().remove(&run);
    }

    pub(crate) fn get(&self, run: RunId) -> Option<(Door, Arc<Semaphore>)> {
        self.lock().get(&run).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
