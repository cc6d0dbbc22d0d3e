//! What the cluster says of a pod, in lines, for its run's time line: the pod itself is gone soon after its end.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::run::RanImage;
use futures::{StreamExt as _, future::join_all};
use k8s_openapi::{
    api::core::v1::{ContainerStatus, Event, Pod},
    jiff::Timestamp,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::LogParams,
    runtime::{WatchStreamExt as _, watcher},
};
use tokio::time::timeout;

/// The most events and the most lines of a container's log.
const EVENTS: usize = 40;
const LINES: i64 = 20;
/// The most bytes of a log's end, and characters of a line.
const LOG: i64 = 8 * 1024;
const LINE: usize = 400;
/// How long a node may take for a log.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads events and logs of one namespace. Events come by one watch: to ask for those of one pod, the API server
/// reads all of them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Stories {
    pods: Api<Pod>,
    events: Api<Event>,
    told: Arc<Mutex<HashMap<String, Lines>>>,
}

/// What is told of one pod: lines by the names of their events, each with its time.
type Lines = BTreeMap<String, (Option<Timestamp>, String)>;

impl Stories {
    pub(crate) fn of(client: &Client, namespace: &str) -> Self {
        Self {
            pods: Api::namespaced(client.clone(), namespace),
            events: Api::namespaced(client.clone(), namespace),
            told: Arc::default(),
        }
    }

    /// Keeps what the cluster tells of pods, for as long as it is polled. It forgets when the cluster does.
    pub(crate) async fn follow(self) {
        let of_pods = watcher::Config::default().fields("involvedObject.kind=Pod");
        let mut events = std::pin::pin!(watcher(self.events.clone(), of_pods).default_backoff());
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init) => self.told().clear(),
                Ok(watcher::Event::InitApply(event) | watcher::Event::Apply(event)) => {
                    self.keep(&event);
                }
                Ok(watcher::Event::Delete(event)) => self.forget(&event),
                Ok(watcher::Event::InitDone) => {}
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "what the cluster tells of pods cannot be followed");
                }
            }
        }
    }

    fn keep(&self, event: &Event) {
        let Some(pod) = event.involved_object.name.clone() else { return };
        let mut told = self.told();
        let lines = told.entry(pod).or_default();
        lines.insert(event.name_any(), (first(event), line(event)));
        if lines.len() > EVENTS {
            let oldest = lines.iter().min_by_key(|(_, (at, _))| *at).map(|(name, _)| name.clone());
            oldest.map(|name| lines.remove(&name));
        }
    }

    fn forget(&self, event: &Event) {
        let Some(pod) = &event.involved_object.name else { return };
        let mut told = self.told();
        let Some(lines) = told.get_mut(pod) else { return };
        lines.remove(&event.name_any());
        if lines.is_empty() {
            told.remove(pod);
        }
    }

    fn told(&self) -> MutexGuard<'_, HashMap<String, Lines>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it was put and what its images took; and which they are.
    pub(crate) async fn began(&self, name: &str) -> kube::Result<(String, Vec<RanImage>)> {
        let pod = self.pods.get_opt(name).await?;
        Ok((join(self.events(name)), pod.iter().flat_map(containers).filter_map(image).collect()))
    }

    /// The same, how each container ended and the last lines that it wrote.
    pub(crate) async fn ended(&self, name: &str) -> kube::Result<(String, Vec<RanImage>)> {
        let mut lines = self.events(name);
        let pod = self.pods.get_opt(name).await?;
        let containers: Vec<&ContainerStatus> = pod.iter().flat_map(containers).collect();
        let images = containers.iter().copied().filter_map(image).collect();
        let logs = join_all(containers.iter().map(|container| self.log(name, container))).await;
        for (container, log) in containers.into_iter().zip(logs) {
            lines.extend(end(container));
            lines.extend(log.lines().map(|line| format!("{}: {line}", container.name)));
        }
        Ok((join(lines), images))
    }

    /// The last lines of a container; none where its node does not answer.
    async fn log(&self, pod: &str, container: &ContainerStatus) -> String {
        if !has_run(container) {
            return String::new();
        }
        let tail = LogParams {
            container: Some(container.name.clone()),
            tail_lines: Some(LINES),
            limit_bytes: Some(LOG),
            ..LogParams::default()
        };
        let log = timeout(PATIENCE, self.pods.logs(pod, &tail)).await;
        log.ok().and_then(Result::ok).unwrap_or_default()
    }

    fn events(&self, pod: &str) -> Vec<String> {
        let told = self.told();
        let mut lines: Vec<_> = told.get(pod).into_iter().flat_map(Lines::values).collect();
        lines.sort_by_key(|(at, _)| *at);
        lines.into_iter().map(|(_, line)| line.clone()).collect()
    }
}

fn first(event: &Event) -> Option<Timestamp> {
    let first = event.first_timestamp.as_ref().map(|time| time.0);
    first.or_else(|| event.event_time.as_ref().map(|time| time.0))
}

fn line(event: &Event) -> String {
    let at = first(event).map(|at| at.strftime("%H:%M:%S ").to_string()).unwrap_or_default();
    let reason = event.reason.as_deref().unwrap_or("Event");
    let message = event.message.as_deref().unwrap_or_default();
    let times = event.count.filter(|count| *count > 1);
    let times = times.map(|count| format!(" ({count} times)")).unwrap_or_default();
    format!("{at}{reason}: {message}{times}")
}

fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.iter();
    status.flat_map(|status| {
        let init = status.init_container_statuses.iter().flatten();
        init.chain(status.container_statuses.iter().flatten())
    })
}

/// One that never ran has no log.
fn has_run(container: &ContainerStatus) -> bool {
    let states = container.state.iter().chain(&container.last_state);
    states.into_iter().any(|state| state.running.is_some() || state.terminated.is_some())
}

fn end(container: &ContainerStatus) -> Option<String> {
    let ended = container.state.as_ref()?.terminated.as_ref()?;
    let reason = ended.reason.as_deref().unwrap_or("Ended");
    Some(format!("{} ended with {} ({reason})", container.name, ended.exit_code))
}

/// The image that a container runs, by the digest that its node reports: `name@sha256:…`, or that alone.
fn image(container: &ContainerStatus) -> Option<RanImage> {
    let (_, digest) = container.image_id.rsplit_once('@').unwrap_or(("", &container.image_id));
    let hex = digest.strip_prefix("sha256:")?;
    let known =
        hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    known.then(|| RanImage {
        container: container.name.clone(),
        image: container.image.clone(),
        digest: digest.to_owned(),
    })
}

/// A text of bounded lines without anything but characters that are seen.
fn join(lines: Vec<String>) -> String {
    let plain = |line: String| -> String {
        line.chars().filter(|letter| !letter.is_control()).take(LINE).collect()
    };
    lines.into_iter().map(plain).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_a_line() {
        let event: Event = serde_json::from_value(json!({
            "metadata": {}, "involvedObject": {}, "reason": "Pulled", "count": 3,
            "message": "Successfully pulled image in 3.2s", "firstTimestamp": "2026-01-02T03:04:05Z",
        }))
        .unwrap();
        assert_eq!(line(&event), "03:04:05 Pulled: Successfully pulled image in 3.2s (3 times)");
    }

    #[test]
    fn an_image_is_known_by_the_digest_that_the_node_reports() {
        let status = |id: &str| -> ContainerStatus {
            serde_json::from_value(json!({
                "name": "harness", "image": "example.org/agent:1", "imageID": id, "ready": true, "restartCount": 0,
            }))
            .unwrap()
        };
        let digest = format!("sha256:{}", "0a".repeat(32));
        let ran = image(&status(&format!("example.org/agent@{digest}"))).unwrap();
        assert_eq!(
            (&*ran.container, &*ran.image, &ran.digest),
            ("harness", "example.org/agent:1", &digest)
        );
        assert_eq!(image(&status(&digest)).unwrap().digest, digest);
        for other in ["", "example.org/agent:1", "sha256:12", "docker://sha512:00"] {
            assert_eq!(image(&status(other)), None, "{other}");
        }
    }

    #[test]
    fn what_a_container_writes_is_bounded_and_plain() {
        let text = join(vec!["\u{1b}[31mred\u{7}".to_owned(), "x".repeat(1000)]);
        assert_eq!(text, format!("[31mred\n{}", "x".repeat(LINE)));
    }
}
