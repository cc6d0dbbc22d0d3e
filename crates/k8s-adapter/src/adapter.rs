//! The loop: read what should be, look at what is, act on the difference.
//!
//! It is level-triggered. What is watched and what rings only makes it look sooner; a start after any end
//! finds by itself what an earlier one left.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use commands::{Commands, Report};
use domain::{
    ids::{Generation, RunId},
    run::{Enforcement, WorkloadStage},
};
use futures::{StreamExt as _, future::ready};
use k8s_openapi::{
    api::{
        core::v1::{Node, Pod},
        networking::v1::NetworkPolicy,
    },
    jiff::Timestamp,
};
use kube::{
    Api, Client, Error, Resource, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
    runtime::{
        WatchStreamExt as _,
        reflector::{self, Store},
        watcher,
    },
};
use projections::Views;
use serde::de::DeserializeOwned;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    failpoint::reached,
    lease::Election,
    names, network,
    objects::{Objects, Requests},
    plan::{Action, Gone, Why, plan},
    pod,
    seen::{Disrupted, Seen},
    story::Stories,
};

/// How often it looks when nothing wakes it.
const LOOK: Duration = Duration::from_secs(5);
/// When it looks after something woke it: what was appended takes a moment to be in the list.
const LOOKS: [Duration; 3] =
    [Duration::from_millis(20), Duration::from_millis(60), Duration::from_millis(150)];
/// How long nobody has asked for a pod before it goes: a list that is short for a moment ends no run.
const UNKNOWN: Duration = Duration::from_secs(5);
/// How long an ended run's pod has for its last words.
const GRACE: u32 = 15;
/// The first and the longest wait after something failed.
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
const LAST_BACKOFF: Duration = Duration::from_secs(30);

type Key = (RunId, Generation);

/// Why nothing can be done now, if so.
pub type Health = watch::Sender<Option<String>>;

struct Cluster {
    config: Config,
    commands: Commands,
    pods: Api<Pod>,
    policies: Api<NetworkPolicy>,
    nodes: Api<Node>,
    stories: Stories,
    objects: Objects,
}

struct Adapter {
    cluster: Arc<Cluster>,
    views: Views,
    pods: Store<Pod>,
    policies: Store<NetworkPolicy>,
    /// The policies as they were when they were last made so, by name: their resource versions.
    fenced: HashMap<String, String>,
    /// One thing at a time for each run, all runs beside each other.
    tasks: JoinSet<(RunId, anyhow::Result<()>)>,
    busy: HashSet<RunId>,
    failed: HashMap<RunId, (u32, Instant)>,
    /// What each workload that waits was last said to wait for.
    waiting: HashMap<Key, String>,
    /// The workloads of which it was said that they run.
    began: HashSet<Key>,
    unknown: HashMap<Key, Instant>,
    /// By whose doing pods go before their time.
    gone: Gone,
}

/// What the adapter is given.
#[derive(Clone)]
pub struct Setup {
    /// Its settings.
    pub config: Config,
    /// The cluster.
    pub client: Client,
    /// Where what it sees goes.
    pub commands: Commands,
    /// Where it learns what should be.
    pub views: Views,
    /// What takes the requests that objects on the cluster make.
    pub requests: Arc<dyn Requests>,
    /// Where it says how it stands.
    pub health: Health,
}

/// Runs whenever this process holds the Lease, until told to stop. Pods go on without it.
pub async fn run(setup: Setup, shutdown: CancellationToken) {
    let holder = format!("paddock-{}", setup.commands.context().id());
    let election = Election::new(setup.client.clone(), &setup.config.namespace, holder);
    let stands_by = |problem| say(&setup.health, problem);
    election.run(shutdown, stands_by, |stop| lead(setup.clone(), stop)).await;
}

fn say(health: &Health, problem: Option<String>) {
    health.send_if_modified(|known| {
        let news = *known != problem;
        *known = problem;
        news
    });
}

async fn lead(setup: Setup, shutdown: CancellationToken) {
    let Setup { config, client, commands, views, requests, health } = setup;
    let changed = Arc::new(Notify::new());
    let objects =
        Objects::new(client.clone(), config.clone(), commands.clone(), views.clone(), requests);
    let cluster = Cluster {
        objects: objects.clone(),
        stories: Stories::of(&client, &config.namespace),
        pods: Api::namespaced(client.clone(), &config.namespace),
        policies: Api::namespaced(client.clone(), &config.namespace),
        nodes: Api::all(client),
        commands: commands.clone(),
        config,
    };
    let mut watches = JoinSet::new();
    watches.spawn(objects.keep());
    let pods = follow(cluster.pods.clone(), &changed, &mut watches);
    let policies = follow(cluster.policies.clone(), &changed, &mut watches);
    tokio::select! {
        _ = async { tokio::join!(pods.wait_until_ready(), policies.wait_until_ready()) } => {}
        () = unreachable(&cluster, &health) => {}
        () = shutdown.cancelled() => return,
    }
    let mut adapter = Adapter {
        cluster: Arc::new(cluster),
        views,
        pods,
        policies,
        fenced: HashMap::new(),
        tasks: JoinSet::new(),
        busy: HashSet::new(),
        failed: HashMap::new(),
        waiting: HashMap::new(),
        began: HashSet::new(),
        unknown: HashMap::new(),
        gone: Gone::new(),
    };
    let mut bell = commands.doorbell().listen();
    let mut looks = LOOKS.len();
    while !shutdown.is_cancelled() {
        let problem = adapter.round().await.err().map(|error| format!("{error:#}"));
        if let Some(problem) = &problem {
            tracing::error!(problem, "a round of the adapter failed");
        }
        say(&health, problem);
        let pause = LOOKS.get(looks).copied().unwrap_or(LOOK);
        looks += 1;
        tokio::select! {
            () = sleep(pause) => {}
            () = bell.rung(), if looks > LOOKS.len() => looks = 0,
            () = changed.notified() => {}
            () = adapter.settle() => {}
            () = shutdown.cancelled() => {}
        }
    }
    // What is under way can be cut off anywhere: the next start finds what it left.
    adapter.tasks.shutdown().await;
}

/// Keeps a copy of what is Paddock's, and rings when it changes.
fn follow<K>(api: Api<K>, changed: &Arc<Notify>, watches: &mut JoinSet<()>) -> Store<K>
where
    K: Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let (store, writer) = reflector::store();
    let config = watcher::Config::default().labels(&names::selector());
    let changed = changed.clone();
    let stream = watcher(api, config).default_backoff().reflect(writer).for_each(move |event| {
        if let Err(error) = event {
            tracing::warn!(error = &error as &dyn std::error::Error, "a watch broke");
        }
        changed.notify_one();
        ready(())
    });
    watches.spawn(stream);
    store
}

/// Says again and again why the cluster cannot be looked at; never returns.
async fn unreachable(cluster: &Cluster, health: &Health) {
    loop {
        let problem = match cluster.pods.list_metadata(&names::one()).await {
            Ok(_) => None,
            Err(error) => Some(words(&error)),
        };
        say(health, problem);
        sleep(Duration::from_secs(1)).await;
    }
}

impl Adapter {
    async fn round(&mut self) -> anyhow::Result<()> {
        let desired = self.views.desired_workloads().await?;
        self.fence().await?;
        let pods = self.pods.state();
        let seen: Vec<Seen> = pods.iter().filter_map(|pod| seen(pod)).collect();
        self.gone.retain(|(run, _), _| desired.iter().any(|wanted| wanted.run == *run));
        for pod in &seen {
            let key = (pod.run, pod.generation);
            if let (Some(disrupted), None) = (&pod.disrupted, self.gone.get(&key)) {
                let disrupted = self.cluster.with_its_node(disrupted.clone()).await;
                self.gone.insert(key, disrupted);
            }
        }
        let actions = plan(&desired, &seen, &self.gone);
        self.unknown.retain(|key, _| {
            actions.iter().any(|action| {
                matches!(action, Action::Delete(pod, Why::Unknown) if (pod.run, pod.generation) == *key)
            })
        });
        let now = Instant::now();
        self.failed.retain(|run, _| desired.iter().any(|wanted| wanted.run == *run));
        self.waiting.retain(|(run, _), _| desired.iter().any(|wanted| wanted.run == *run));
        self.began.retain(|(run, _)| desired.iter().any(|wanted| wanted.run == *run));
        for action in actions {
            let run = action.run();
            let waits = self.failed.get(&run).is_some_and(|(_, until)| *until > now);
            if waits || self.busy.contains(&run) || !self.is_due(&action) {
                continue;
            }
            self.busy.insert(run);
            let cluster = self.cluster.clone();
            self.tasks.spawn(async move { (run, cluster.act(action).await) });
        }
        Ok(())
    }

    /// The policies as they should be, before any pod. One that somebody changed or deleted is put back.
    async fn fence(&mut self) -> anyhow::Result<()> {
        for wanted in network::policies(&self.cluster.config) {
            let name = wanted.name_any();
            let there = self.policies.state().into_iter().find(|policy| policy.name_any() == name);
            let version = there.and_then(|policy| policy.resource_version());
            if version.is_some() && version.as_ref() == self.fenced.get(&name) {
                continue;
            }
            let apply = PatchParams::apply(names::FIELD_MANAGER).force();
            let applied = self.cluster.policies.patch(&name, &apply, &Patch::Apply(&wanted)).await;
            let applied = applied.map_err(|error| {
                anyhow::anyhow!("the NetworkPolicy {name} cannot be made: {}", words(&error))
            })?;
            if let Some(version) = applied.resource_version() {
                self.fenced.insert(name, version);
            }
        }
        Ok(())
    }

    fn is_due(&mut self, action: &Action) -> bool {
        match action {
            Action::Delete(pod, Why::Unknown) => {
                let key = (pod.run, pod.generation);
                self.unknown.entry(key).or_insert_with(Instant::now).elapsed() >= UNKNOWN
            }
            // Said once: the run itself takes it only once too.
            Action::Waits(desired, words) => {
                let key = (desired.run, desired.generation);
                self.waiting.insert(key, words.clone()).as_ref() != Some(words)
            }
            Action::Began(desired) => self.began.insert((desired.run, desired.generation)),
            _ => true,
        }
    }

    /// Returns when something that was under way is done.
    async fn settle(&mut self) {
        let (run, result) = match self.tasks.join_next().await {
            None => return std::future::pending().await,
            Some(Ok(done)) => done,
            Some(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a step panicked");
                // Whose it was is not known: what is still under way says so again.
                self.busy.clear();
                return;
            }
        };
        self.busy.remove(&run);
        match result {
            Ok(()) => drop(self.failed.remove(&run)),
            Err(error) => {
                let (count, until) = self.failed.entry(run).or_insert((0, Instant::now()));
                let wait = LAST_BACKOFF.min(FIRST_BACKOFF * 2_u32.saturating_pow(*count));
                // Spread by the run's own id, so that what failed together is not tried together.
                let jitter = f64::from(run.0.as_bytes()[15]) / 512.0;
                *until = Instant::now() + wait.mul_f64(1.0 + jitter);
                *count += 1;
                tracing::warn!(%run, error = &*error, count, "a workload could not be dealt with");
            }
        }
    }
}

impl Cluster {
    async fn act(&self, action: Action) -> anyhow::Result<()> {
        match action {
            Action::Create(desired) => {
                reached("before-create");
                let mut pod = pod::pod(&self.config, &desired);
                pod.metadata.owner_references =
                    self.objects.owner(desired.run).await?.map(|owner| vec![owner]);
                let name = pod.name_any();
                let apply = PatchParams::apply(names::FIELD_MANAGER).force();
                match self.pods.patch(&name, &apply, &Patch::Apply(&pod)).await {
                    Ok(made) => {
                        reached("pod-made");
                        let seen = seen(&made).context("the cluster gave back another pod")?;
                        self.made(&desired, &seen).await
                    }
                    Err(error) if is_final(&error) => {
                        let words = format!("the cluster refuses the pod: {}", words(&error));
                        self.report(desired.run, desired.generation, Report::Refused(words)).await
                    }
                    Err(error) => Err(error.into()),
                }
            }
            Action::Made(desired, seen) => self.made(&desired, &seen).await,
            Action::Began(desired) => {
                self.observe(desired.run, desired.generation, WorkloadStage::Began).await;
                Ok(())
            }
            Action::Waits(desired, words) => {
                self.report(desired.run, desired.generation, Report::Waiting(words)).await
            }
            Action::Lost(desired, words) => {
                // What is watched may be behind: only the API server itself says that nothing is there.
                let name = names::pod(desired.run, desired.generation);
                let there = self.pods.get_opt(&name).await?.as_ref().and_then(seen);
                let stands =
                    there.map(|pod| plan(std::slice::from_ref(&desired), &[pod], &Gone::new()));
                match stands.as_deref() {
                    None | Some([Action::Lost(..)]) => {
                        self.observe(desired.run, desired.generation, WorkloadStage::Ended).await;
                        self.report(desired.run, desired.generation, Report::Lost(words)).await
                    }
                    Some(_) => Ok(()),
                }
            }
            Action::Over(desired, words) => {
                self.observe(desired.run, desired.generation, WorkloadStage::Ended).await;
                self.report(desired.run, desired.generation, Report::Over(words)).await
            }
            Action::Removed(run, generation) => {
                if self.pods.get_opt(&names::pod(run, generation)).await?.is_some() {
                    return Ok(());
                }
                self.report(run, generation, Report::Removed).await?;
                reached("removed-reported");
                Ok(())
            }
            Action::Delete(pod, why) => {
                tracing::info!(run = %pod.run, generation = %pod.generation, ?why, "a pod is deleted");
                reached("before-delete");
                if why == Why::Ended {
                    self.observe(pod.run, pod.generation, WorkloadStage::Ended).await;
                }
                let only_this =
                    Preconditions { uid: Some(pod.uid.to_string()), ..Preconditions::default() };
                let delete = DeleteParams::default().grace_period(GRACE).preconditions(only_this);
                match self.pods.delete(&names::pod(pod.run, pod.generation), &delete).await {
                    Err(Error::Api(answer)) if matches!(answer.code, 404 | 409) => {}
                    done => drop(done?),
                }
                reached("pod-deleted");
                Ok(())
            }
        }
    }

    /// The pod is there: its identity is good from now on.
    async fn made(&self, desired: &domain::workload::Desired, seen: &Seen) -> anyhow::Result<()> {
        self.commands.record_pod(desired.run, desired.generation, seen.uid).await?;
        reached("pod-recorded");
        let limits = ["memory", "cpu", "disk", "network"].map(str::to_owned).to_vec();
        let enforcement =
            Enforcement { sandbox: "pod".to_owned(), limits, missing: vec!["pids".to_owned()] };
        self.report(desired.run, desired.generation, Report::Created(enforcement)).await?;
        reached("created-reported");
        Ok(())
    }

    /// Adds that the node is being drained, where it is and may be looked at.
    async fn with_its_node(&self, mut disrupted: Disrupted) -> Disrupted {
        let node = self.nodes.get_opt(&disrupted.node).await.ok().flatten();
        if node.and_then(|node| node.spec?.unschedulable) == Some(true) {
            let Disrupted { words, node } = &disrupted;
            disrupted.words = format!("the node {node} is being drained: {words}");
        }
        disrupted
    }

    /// Says what the cluster says of a workload. It is told once; that it cannot be told stops nothing.
    async fn observe(&self, run: RunId, generation: Generation, stage: WorkloadStage) {
        let name = names::pod(run, generation);
        let story = match stage {
            WorkloadStage::Began => self.stories.began(&name).await,
            WorkloadStage::Ended => self.stories.ended(&name).await,
        };
        let told = match story {
            Ok(text) => self.report(run, generation, Report::Observed(stage, text)).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = told {
            tracing::warn!(%run, error = &*error, "what the cluster says of a pod is not known");
        }
    }

    async fn report(
        &self,
        run: RunId,
        generation: Generation,
        report: Report,
    ) -> anyhow::Result<()> {
        Ok(self.commands.report(run, generation, report).await?)
    }
}

/// A pod as it is now.
fn seen(pod: &Pod) -> Option<Seen> {
    Seen::of(pod, Timestamp::now())
}

/// Whether trying again cannot help: the object itself is refused. A quota is not such a refusal.
fn is_final(error: &Error) -> bool {
    let Error::Api(answer) = error else { return false };
    match answer.code {
        400 | 422 => true,
        403 => answer.message.contains("violates PodSecurity"),
        _ => false,
    }
}

fn words(error: &Error) -> String {
    match error {
        Error::Api(answer) => answer.message.clone(),
        other => format!("the API server cannot be reached: {other}"),
    }
}
