//! The loop: read what should be, look at what is, act on the difference.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use commands::Commands;
use domain::{
    ids::{Generation, RunId},
    workload::{Desired, Phase},
};
use projections::Views;
use rustix::process::geteuid;
use tokio::{
    task::{Id, JoinSet},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Config,
    act::{Acting, refuse},
    plan::{Action, Observed, Removal, plan},
    port::{Port, Serving},
    uids::Uids,
    watch::Watch,
    workload::{Place, Workload},
};

/// How often it looks when nothing wakes it.
const LOOK: Duration = Duration::from_millis(500);
/// When it looks after something woke it: what was appended takes a moment to be in the list.
const LOOKS: [Duration; 3] =
    [Duration::from_millis(20), Duration::from_millis(60), Duration::from_millis(150)];
/// How long the gateway has to offer a run's socket.
const GATEWAY: Duration = Duration::from_secs(20);
/// How long nobody has asked for a workload before it goes: a list that is short for a moment ends no run.
const UNKNOWN: Duration = Duration::from_secs(5);
/// How often a sidecar is started again before its workload is lost.
const SIDECAR_STARTS: u32 = 20;
/// A sidecar that ran for this long is no longer counted as one that ends.
const STEADY: Duration = Duration::from_mins(1);

type Key = (RunId, Generation);

struct Adapter<P> {
    config: Arc<Config>,
    port: Arc<P>,
    as_root: bool,
    watch: Watch,
    /// One thing at a time for each run, all runs beside each other.
    tasks: JoinSet<anyhow::Result<()>>,
    busy: HashMap<Id, RunId>,
    waiting_for_gateway: HashMap<RunId, Instant>,
    unknown: HashMap<Key, Instant>,
    sidecars: HashMap<Key, Restarts>,
}

struct Restarts {
    count: u32,
    last: Instant,
}

/// Runs until told to stop. Workloads go on without it.
pub async fn run(config: Config, commands: Commands, views: Views, shutdown: CancellationToken) {
    run_with(config, Serving::new(commands, views), shutdown).await;
}

/// Runs on a port of the caller's until told to stop.
pub async fn run_with<P: Port>(config: Config, port: P, shutdown: CancellationToken) {
    let watch = Watch::of(config.data_dir.clone());
    let watching = tokio::spawn(watch.clone().run(shutdown.clone()));
    let mut adapter = Adapter {
        config: Arc::new(config),
        port: Arc::new(port),
        as_root: geteuid().is_root(),
        watch,
        tasks: JoinSet::new(),
        busy: HashMap::new(),
        waiting_for_gateway: HashMap::new(),
        unknown: HashMap::new(),
        sidecars: HashMap::new(),
    };
    let port = adapter.port.clone();
    let mut looks = LOOKS.len();
    while !shutdown.is_cancelled() {
        if let Err(error) = adapter.round().await {
            tracing::error!(error = &*error, "a round of the adapter failed");
        }
        let pause = LOOKS.get(looks).copied().unwrap_or(LOOK);
        looks += 1;
        tokio::select! {
            () = sleep(pause) => {}
            () = port.woken(), if looks > LOOKS.len() => looks = 0,
            () = adapter.settle() => {}
            () = shutdown.cancelled() => {}
        }
    }
    // What is under way can be cut off anywhere: the next start finds what it left.
    adapter.tasks.shutdown().await;
    let _ = watching.await;
}

impl<P: Port> Adapter<P> {
    async fn round(&mut self) -> anyhow::Result<()> {
        let desired = self.port.desired().await?;
        let observed: Vec<Observed> =
            Place::all(&self.config.data_dir).iter().filter_map(Place::observe).collect();
        self.watch_over(&desired, &observed);
        let actions = plan(&desired, &observed);
        self.forget_known(&actions);
        for action in actions {
            let (run, _) = action.key();
            if self.busy.values().any(|busy| *busy == run) {
                continue;
            }
            if let Some(acting) = self.begin(action, &observed) {
                let task = self.tasks.spawn(acting);
                self.busy.insert(task.id(), run);
            }
        }
        Ok(())
    }

    /// Returns when something that was under way is done.
    async fn settle(&mut self) {
        let (id, result) = match self.tasks.join_next_with_id().await {
            None => return std::future::pending().await,
            Some(Ok((id, result))) => (id, result),
            Some(Err(error)) => (error.id(), Err(error.into())),
        };
        let run = self.busy.remove(&id);
        if let Err(error) = result {
            let run = run.map(|run| run.to_string());
            tracing::error!(run, error = &*error, "a workload could not be dealt with");
            // Not again at once.
            sleep(LOOKS[0]).await;
        }
    }

    fn watch_over(&self, desired: &[Desired], observed: &[Observed]) {
        let runs = |wanted: &&Desired| {
            wanted.phase == Phase::Keep
                && observed.iter().any(|seen| {
                    (seen.run, seen.generation) == (wanted.run, wanted.generation)
                        && seen.sandbox
                        && seen.over.is_none()
                })
        };
        let places = desired.iter().filter(runs);
        self.watch.only(
            places
                .map(|wanted| Place::of(&self.config.data_dir, wanted.run, wanted.generation))
                .collect(),
        );
    }

    /// Drops what is remembered of workloads that no longer need it.
    fn forget_known(&mut self, actions: &[Action]) {
        let unknown: HashSet<Key> = actions
            .iter()
            .filter(|action| matches!(action, Action::Remove { why: Removal::Unknown, .. }))
            .map(Action::key)
            .collect();
        self.unknown.retain(|key, _| unknown.contains(key));
        let dying = |key: &Key| {
            actions
                .iter()
                .any(|action| matches!(action, Action::RestartSidecar(_)) && action.key() == *key)
        };
        self.sidecars.retain(|key, restarts| dying(key) || restarts.last.elapsed() < STEADY);
    }

    /// What is to be done for an action; nothing where its time has not come.
    fn begin(
        &mut self,
        action: Action,
        observed: &[Observed],
    ) -> Option<impl Future<Output = anyhow::Result<()>> + Send + use<P>> {
        let acting = match action {
            Action::Create(desired) => self.begin_create(desired, observed)?,
            Action::RestartSidecar(desired) => self.begin_sidecar(desired)?,
            Action::ReportLost(desired) => Acting::ReportLost(desired),
            Action::ReportOver(desired, words) => Acting::Over(desired, words),
            Action::Remove { run, generation, why } => {
                let key = (run, generation);
                if why == Removal::Unknown
                    && self.unknown.entry(key).or_insert_with(Instant::now).elapsed() < UNKNOWN
                {
                    return None;
                }
                self.waiting_for_gateway.remove(&run);
                self.sidecars.remove(&key);
                Acting::Remove(run, generation, why)
            }
        };
        Some(acting.act(self.config.clone(), self.port.clone()))
    }

    fn begin_create(&mut self, desired: Desired, observed: &[Observed]) -> Option<Acting> {
        let is_it = |seen: &&Observed| {
            (seen.run, seen.generation) == (desired.run, desired.generation) && seen.begun
        };
        if observed.iter().any(|seen| is_it(&seen)) {
            return Some(Acting::TakeOver(desired));
        }
        if !self.config.gateway_socket(desired.run).exists() {
            let since = *self.waiting_for_gateway.entry(desired.run).or_insert_with(Instant::now);
            let words = "the gateway does not offer a socket for the run";
            return (since.elapsed() > GATEWAY).then(|| Acting::Refuse(desired, words.to_owned()));
        }
        self.waiting_for_gateway.remove(&desired.run);
        // Before the next workload looks for uids: the directories say that these are taken.
        let made = self.uids(&desired).and_then(|uids| {
            Workload::of(&self.config, &desired, uids).make_directories()?;
            Ok(uids)
        });
        Some(match made {
            Ok(uids) => Acting::Create(desired, uids),
            Err(error) => refuse(desired, &error),
        })
    }

    fn uids(&self, desired: &Desired) -> anyhow::Result<Option<Uids>> {
        if !self.as_root {
            return Ok(None);
        }
        let data_dir = &self.config.data_dir;
        let own = Uids::of(&Place::of(data_dir, desired.run, desired.generation).dir);
        let others: Vec<Uids> =
            Place::all(data_dir).iter().filter_map(|place| Uids::of(&place.dir)).collect();
        let uids = own.or_else(|| Uids::free(self.config.uid_base, &others));
        uids.map(Some).context("no uid is free for the run")
    }

    fn begin_sidecar(&mut self, desired: Desired) -> Option<Acting> {
        let key = (desired.run, desired.generation);
        let restarts =
            self.sidecars.entry(key).or_insert_with(|| Restarts { count: 0, last: Instant::now() });
        let backoff = Duration::from_millis(200) * restarts.count.min(25);
        if restarts.count > 0 && restarts.last.elapsed() < backoff {
            return None;
        }
        restarts.count += 1;
        restarts.last = Instant::now();
        tracing::warn!(run = %desired.run, count = restarts.count, "the sidecar ended: it is started again");
        Some(if restarts.count > SIDECAR_STARTS {
            Acting::Lost(desired, "the sidecar ended too often".to_owned())
        } else {
            Acting::RestartSidecar(desired)
        })
    }
}
