//! How the adapter stands: that of this machine, or that of a cluster.

use std::{
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use api::system::Finding;
use futures::FutureExt as _;
use tokio::{sync::watch, time::Instant};

/// How long a sandbox that could be made counts.
const GOOD: Duration = Duration::from_mins(1);
/// How long one that could not counts.
const BAD: Duration = Duration::from_secs(5);

/// Shared by the adapter and whoever asks how it stands. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Adapter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    kind: Kind,
    known: Mutex<Known>,
}

#[derive(Debug)]
enum Kind {
    /// Runs are sandboxes here; it cannot work without these programs.
    Machine(Vec<PathBuf>),
    /// Runs are pods; this says why none can be made.
    Cluster(watch::Sender<Option<String>>),
    /// Another process makes them pods.
    Elsewhere,
}

#[derive(Debug, Default)]
struct Known {
    /// Why it does not run, if it does not.
    stopped: Option<String>,
    /// Why no sandbox could be made, if none could, and when that was tried.
    sandbox: Option<(Instant, Option<String>)>,
    trying: bool,
}

impl Adapter {
    /// That of this machine.
    pub(super) fn of_machine(programs: Vec<PathBuf>) -> Self {
        Self(Arc::new(Shared { kind: Kind::Machine(programs), known: Mutex::default() }))
    }

    /// That of a cluster, which says how it stands.
    pub(super) fn of_cluster(health: watch::Sender<Option<String>>) -> Self {
        Self(Arc::new(Shared { kind: Kind::Cluster(health), known: Mutex::default() }))
    }

    /// That of a cluster, in another process.
    pub(super) fn elsewhere() -> Self {
        Self(Arc::new(Shared { kind: Kind::Elsewhere, known: Mutex::default() }))
    }

    /// Takes note that it does not run.
    pub(super) fn stopped(&self, why: String) {
        self.known().stopped = Some(why);
    }

    /// Runs it, and takes note when it ends by itself.
    pub(super) async fn run(self, adapter: impl Future<Output = ()>) {
        if AssertUnwindSafe(adapter).catch_unwind().await.is_err() {
            tracing::error!("the adapter panicked");
        }
        self.stopped("the adapter has ended".to_owned());
    }

    /// Why no run can start, as far as it can be told at once.
    pub(super) fn problem(&self) -> Option<String> {
        match &self.0.kind {
            Kind::Cluster(health) => {
                let stopped = self.known().stopped.clone();
                return stopped.or_else(|| health.borrow().clone());
            }
            Kind::Elsewhere => return None,
            Kind::Machine(programs) => {
                if let Some(program) = programs.iter().find(|program| !program.is_file()) {
                    return Some(format!("{} is missing", program.display()));
                }
            }
        }
        let known = self.known();
        let sandbox = known.sandbox.as_ref().and_then(|(_, problem)| problem.clone());
        known.stopped.clone().or(sandbox)
    }

    /// The same, for the page; now and then it is tried whether a sandbox can be made.
    pub(super) fn look(&self) -> Finding {
        let on_this_machine = matches!(self.0.kind, Kind::Machine(_));
        let due = on_this_machine && {
            let mut known = self.known();
            let lasts = |problem: &Option<String>| if problem.is_none() { GOOD } else { BAD };
            let fresh = known.sandbox.as_ref();
            let fresh = fresh.is_some_and(|(at, problem)| at.elapsed() < lasts(problem));
            !fresh && !std::mem::replace(&mut known.trying, true)
        };
        if due {
            tokio::spawn(self.clone().try_sandbox());
        }
        match self.problem() {
            Some(problem) => Finding::wrong(problem),
            None if on_this_machine => Finding::well("runs can start on this machine"),
            None => Finding::well("runs can start on the cluster"),
        }
    }

    async fn try_sandbox(self) {
        let found = local_adapter::preflight().await;
        let problem = (!found.is_empty()).then_some(found);
        let mut known = self.known();
        known.sandbox = Some((Instant::now(), problem));
        known.trying = false;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
