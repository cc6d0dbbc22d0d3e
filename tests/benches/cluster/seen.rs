//! When pods exist, and when they run: one watch, the same for subject and baseline.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt as _,
    runtime::{WatchStreamExt as _, watcher},
};
use tokio::{
    sync::mpsc,
    task::AbortHandle,
    time::{Instant, sleep},
};
use uuid::Uuid;

/// A pod that runs.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) name: String,
    pub(super) uid: String,
}

/// What was seen in a namespace; it is looked at until this is dropped.
pub(super) struct Seen {
    made: Arc<Mutex<HashMap<Uuid, Instant>>>,
    task: AbortHandle,
}

impl Seen {
    /// Looks at a namespace from now on, and says which pods run.
    pub(super) fn of(
        client: &Client,
        namespace: &str,
        running: Option<mpsc::UnboundedSender<Running>>,
    ) -> Self {
        let made = Arc::<Mutex<HashMap<Uuid, Instant>>>::default();
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let task = tokio::spawn(follow(pods, made.clone(), running)).abort_handle();
        Self { made, task }
    }

    /// When the first pod of each run was seen.
    pub(super) fn made(&self) -> HashMap<Uuid, Instant> {
        lock(&self.made).clone()
    }

    /// Waits until so many runs have had a pod; when the last of them was seen.
    pub(super) async fn count(&self, count: usize) -> anyhow::Result<Instant> {
        let until = Instant::now() + Duration::from_mins(5);
        while lock(&self.made).len() < count {
            let there = lock(&self.made).len();
            anyhow::ensure!(Instant::now() < until, "{there} of {count} pods after five minutes");
            sleep(Duration::from_millis(2)).await;
        }
        Ok(lock(&self.made).values().max().copied().unwrap_or_else(Instant::now))
    }

    /// Forgets what was seen.
    pub(super) fn forget(&self) {
        lock(&self.made).clear();
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(
    pods: Api<Pod>,
    made: Arc<Mutex<HashMap<Uuid, Instant>>>,
    running: Option<mpsc::UnboundedSender<Running>>,
) {
    let mut known: HashMap<String, bool> = HashMap::new();
    let mut events = pin!(watcher(pods, watcher::Config::default()).default_backoff());
    while let Some(event) = events.next().await {
        let at = Instant::now();
        let pod = match event {
            Ok(watcher::Event::Apply(pod) | watcher::Event::InitApply(pod)) => pod,
            Ok(watcher::Event::Delete(pod)) => {
                known.remove(&pod.uid().unwrap_or_default());
                continue;
            }
            Ok(watcher::Event::Init | watcher::Event::InitDone) => continue,
            Err(error) => {
                eprintln!("bench: the watch of pods broke: {error}");
                continue;
            }
        };
        let Some(run) = pod.labels().get("paddock.dev/run").and_then(|run| run.parse().ok()) else {
            continue;
        };
        lock(&made).entry(run).or_insert(at);
        let uid = pod.uid().unwrap_or_default();
        let runs =
            pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running");
        let told = known.entry(uid.clone()).or_default();
        if runs && !*told {
            *told = true;
            if let Some(running) = &running {
                let _ = running.send(Running { name: pod.name_any(), uid });
            }
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
