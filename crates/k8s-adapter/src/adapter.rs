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
        core::v1::{Node, Pod, PodSpec},
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
    sync::{Notify, Semaphore, watch},
    task::{JoinError, JoinSet},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    failpoint::reached,
    lease::Election,
    names, network,
    objects::{Objects, Requests},
    plan::{Action, Gone, Kind, Why, plan},
    pod,
    seen::{Disrupted, Seen},
    story::Stories,
};

/// How often it looks when nothing wakes it.
const LOOK: Duration = Duration::from_secs(5);
/// When it looks after an append, where another process keeps the list: that takes a moment.
const LOOKS: [Duration; 3] =
    [Duration::from_millis(20), Duration::from_millis(60), Duration::from_millis(150)];
/// How long nothing was projected here before another process is taken to do it.
const ELSEWHERE: Duration = Duration::from_secs(2);
/// For how many workloads objects are made at once, and how many others are dealt with: so many connections to the API
/// server are open.
const AT_ONCE: usize = 16;
/// How many workloads are begun at once: what is said of them goes on record beside the making of others.
const BEGUN: usize = 4 * AT_ONCE;
/// Of its time it spends at most one part in so many on looking, up to the longest pause between two looks.
const SHARE: u32 = 5;
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// How long a thing that was done is not done again: until then its effect is in what is looked at.
const AGAIN: Duration = Duration::from_secs(2);
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
    /// One for each workload whose objects are made just now.
    making: Semaphore,
}

struct Adapter {
    cluster: Arc<Cluster>,
    views: Views,
    pods: Store<Pod>,
    policies: Store<NetworkPolicy>,
    /// The policies as they were when they were last made so, by name: their resource versions.
    fenced: HashMap<String, String>,
    /// One thing at a time for each run, many runs beside each other.
    tasks: JoinSet<(RunId, anyhow::Result<()>)>,
    busy: HashMap<RunId, Kind>,
    /// Whether something that is due was left until something under way is done.
    left: bool,
    /// What was begun last, and when.
    last: HashMap<(Key, Kind), Instant>,
    /// When something is due that nothing will wake it for.
    due: Option<Instant>,
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
        making: Semaphore::new(AT_ONCE),
        stories: Stories::of(&client, &config.namespace),
        pods: Api::namespaced(client.clone(), &config.namespace),
        policies: Api::namespaced(client.clone(), &config.namespace),
        nodes: Api::all(client),
        commands: commands.clone(),
        config,
    };
    let mut watches = JoinSet::new();
    watches.spawn(objects.keep());
    watches.spawn(cluster.stories.clone().follow());
    let pods = follow(cluster.pods.clone(), &changed, &mut watches, |pod| {
        // Where it was put is all of its plan that is looked at; a thousand are kept.
        let node_name = pod.spec.take().and_then(|spec| spec.node_name);
        pod.spec = Some(PodSpec { node_name, ..PodSpec::default() });
    });
    let policies = follow(cluster.policies.clone(), &changed, &mut watches, |_| {});
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
        busy: HashMap::new(),
        left: false,
        last: HashMap::new(),
        due: None,
        failed: HashMap::new(),
        waiting: HashMap::new(),
        began: HashSet::new(),
        unknown: HashMap::new(),
        gone: Gone::new(),
    };
    let mut bell = commands.doorbell().listen();
    let mut projected = adapter.views.health().position();
    let mut projected_at = Instant::now();
    let mut looks = LOOKS.len();
    while !shutdown.is_cancelled() {
        let began = Instant::now();
        let problem = adapter.round().await.err().map(|error| format!("{error:#}"));
        if let Some(problem) = &problem {
            tracing::error!(problem, "a round of the adapter failed");
        }
        say(&health, problem);
        let rested = Instant::now() + LONGEST_PAUSE.min(began.elapsed() * SHARE);
        let next = began + LOOKS.get(looks).copied().unwrap_or(LOOK);
        let next = adapter.due.map_or(next, |due| due.min(next));
        looks += 1;
        loop {
            tokio::select! {
                () = sleep_until(next) => break,
                Ok(()) = projected.changed() => {
                    projected_at = Instant::now();
                    break;
                }
                () = bell.rung(), if looks > LOOKS.len() && projected_at.elapsed() > ELSEWHERE => {
                    looks = 0;
                    break;
                }
                () = changed.notified() => break,
                look = adapter.settle() => if look { break },
                () = shutdown.cancelled() => break,
            }
        }
        // Meanwhile more may come that one look is enough for.
        sleep_until(rested).await;
        while let Some(done) = adapter.tasks.try_join_next() {
            adapter.settled(done);
        }
    }
    // What is under way can be cut off anywhere: the next start finds what it left.
    adapter.tasks.shutdown().await;
}

/// Keeps a copy of what is Paddock's, and rings when it changes.
fn follow<K>(
    api: Api<K>,
    changed: &Arc<Notify>,
    watches: &mut JoinSet<()>,
    less: fn(&mut K),
) -> Store<K>
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
    let stream = watcher(api, config)
        .default_backoff()
        .modify(move |object| {
            object.managed_fields_mut().clear();
            less(object);
        })
        .reflect(writer)
        .for_each(move |event| {
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
        let wanted: HashSet<RunId> = desired.iter().map(|wanted| wanted.run).collect();
        self.gone.retain(|(run, _), _| wanted.contains(run));
        for pod in &seen {
            let key = (pod.run, pod.generation);
            if let (Some(disrupted), None) = (&pod.disrupted, self.gone.get(&key)) {
                let disrupted = self.cluster.with_its_node(disrupted.clone()).await;
                self.gone.insert(key, disrupted);
            }
        }
        let actions = plan(&desired, &seen, &self.gone);
        let unknown: HashSet<Key> = actions
            .iter()
            .filter(|action| matches!(action, Action::Delete(_, Why::Unknown)))
            .map(Action::key)
            .collect();
        self.unknown.retain(|key, _| unknown.contains(key));
        let now = Instant::now();
        self.failed.retain(|run, _| wanted.contains(run));
        self.waiting.retain(|(run, _), _| wanted.contains(run));
        self.began.retain(|(run, _)| wanted.contains(run));
        self.last.retain(|_, at| *at + AGAIN > now);
        (self.left, self.due) = (false, None);
        let made = actions.iter().filter(|action| action.kind() == Kind::Make).count();
        self.cluster.objects.pods_wait(made > AT_ONCE);
        for action in actions {
            self.begin(action, now);
        }
        Ok(())
    }

    /// Begins what is due now, if there is room for it.
    fn begin(&mut self, action: Action, now: Instant) {
        let (run, what) = (action.run(), (action.key(), action.kind()));
        if self.busy.contains_key(&run) {
            self.left = true;
            return;
        }
        let until = self.failed.get(&run).map(|(_, until)| *until);
        let again = self.last.get(&what).map(|at| *at + AGAIN);
        if let Some(later) = until.or(again).filter(|later| *later > now) {
            self.due = Some(self.due.map_or(later, |due| due.min(later)));
            return;
        }
        if !self.has_room(what.1) {
            self.left = true;
            return;
        }
        if !self.is_due(&action) {
            return;
        }
        self.busy.insert(run, what.1);
        self.last.insert(what, now);
        let cluster = self.cluster.clone();
        self.tasks.spawn(async move { (run, cluster.act(action).await) });
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

    /// What is to be made does not wait for what is to go: a node that is away answers nothing about its pods.
    fn has_room(&self, kind: Kind) -> bool {
        let makes = |kind: Kind| kind == Kind::Make;
        let alike = self.busy.values().filter(|other| makes(**other) == makes(kind)).count();
        alike < if makes(kind) { BEGUN } else { AT_ONCE }
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

    /// Returns when something that was under way is done; whether there is a reason to look again.
    async fn settle(&mut self) -> bool {
        match self.tasks.join_next().await {
            None => std::future::pending().await,
            Some(done) => self.settled(done),
        }
    }

    fn settled(&mut self, done: Result<(RunId, anyhow::Result<()>), JoinError>) -> bool {
        let (run, result) = match done {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a step panicked");
                // Whose it was is not known: what is still under way says so again.
                self.busy.clear();
                return true;
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
                // It is tried again then, and not because it was tried just now.
                self.last.retain(|((of, _), _), _| *of != run);
                tracing::warn!(%run, error = &*error, count, "a workload could not be dealt with");
                return true;
            }
        }
        self.left
    }
}

impl Cluster {
    async fn act(&self, action: Action) -> anyhow::Result<()> {
        match action {
            Action::Create(desired) => {
                reached("before-create");
                let making = self.making.acquire().await?;
                let mut pod = pod::pod(&self.config, &desired);
                pod.metadata.owner_references =
                    self.objects.owner(desired.run).await?.map(|owner| vec![owner]);
                let name = pod.name_any();
                let apply = PatchParams::apply(names::FIELD_MANAGER).force();
                let made = self.pods.patch(&name, &apply, &Patch::Apply(&pod)).await;
                drop(making);
                match made {
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
            Action::Fence(desired) => {
                let name = names::pod(desired.run, desired.generation);
                let mode = &desired.egress;
                tracing::info!(run = %desired.run, mode, "another policy selects the pod");
                let labels =
                    serde_json::json!({ "metadata": { "labels": { names::EGRESS: mode } } });
                let patch = Patch::Merge(&labels);
                match self.pods.patch(&name, &PatchParams::default(), &patch).await {
                    Err(Error::Api(answer)) if answer.code == 404 => {}
                    done => drop(done?),
                }
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
            Ok((text, images)) => {
                self.report(run, generation, Report::Observed(stage, text, images)).await
            }
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
        // A RuntimeClass that is not there is a wall that cannot be had: another one is not put in its place.
        403 => {
            let says = |words: &str| answer.message.contains(words);
            says("violates PodSecurity") || (says("RuntimeClass") && says("not found"))
        }
        _ => false,
    }
}

fn words(error: &Error) -> String {
    match error {
        Error::Api(answer) => answer.message.clone(),
        other => format!("the API server cannot be reached: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn refused(code: u16, message: &str) -> Error {
        Error::Api(Box::new(Status::failure(message, "Forbidden").with_code(code)))
    }

    #[test]
    fn a_pod_that_can_never_be_made_is_told_from_one_that_may_be_later() {
        for (code, message) in [
            (422, "Pod is invalid: spec.containers[0].image: Required value"),
            (403, "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\""),
            // A weaker wall is not put in the place of the one that was asked for.
            (403, "pods \"x\" is forbidden: pod rejected: RuntimeClass \"gvisor\" not found"),
        ] {
            assert!(is_final(&refused(code, message)), "{message}");
        }
        for (code, message) in [
            (403, "pods \"x\" is forbidden: exceeded quota: runs"),
            (403, "pods is forbidden: User \"x\" cannot create resource \"pods\""),
            (404, "namespaces \"runs\" not found"),
            (500, "etcdserver: request timed out"),
        ] {
            assert!(!is_final(&refused(code, message)), "{message}");
        }
    }
}
