//! What is seen of a pod.

use std::collections::BTreeMap;

use domain::ids::{Generation, RunId};
use k8s_openapi::{
    api::core::v1::{ContainerStatus, Pod, PodStatus},
    jiff::{SignedDuration, Timestamp},
};
use kube::ResourceExt as _;
use uuid::Uuid;

use crate::{names, pod};

/// A workload's pod as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) run: RunId,
    pub(crate) generation: Generation,
    /// Its uid: another pod of the same name is not it.
    pub(crate) uid: Uuid,
    pub(crate) stands: Stands,
    /// Its labels, by which a policy selects it, as far as they are Paddock's.
    pub(crate) labels: BTreeMap<String, String>,
    /// Whether all of its containers run.
    pub(crate) runs: bool,
    /// Whether it is being deleted.
    pub(crate) leaving: bool,
    /// By whose doing it is being deleted or has ended, where the cluster says so.
    pub(crate) disrupted: Option<Disrupted>,
}

/// Why the cluster ends a pod before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disrupted {
    /// In words.
    pub(crate) words: String,
    /// The node that it was on.
    pub(crate) node: String,
}

/// How a pod stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stands {
    /// It runs, or will.
    Good,
    /// It waits, and why.
    Waits(String),
    /// It ended, and how; a further one may fare better.
    Ended(String),
    /// It ended because it took more than it may.
    Over(String),
}

impl Seen {
    /// Reads a pod as it is at `now`; none of ours gives nothing.
    pub(crate) fn of(pod: &Pod, now: Timestamp) -> Option<Self> {
        let (run, generation) = names::key(&pod.metadata)?;
        let uid = pod.metadata.uid.as_ref()?.parse().ok()?;
        let leaving = pod.metadata.deletion_timestamp.is_some();
        let (stands, runs, disrupted) = (stands(pod, now), runs(pod), disrupted(pod));
        let stands = match stands {
            Stands::Waits(words) => Stands::Waits(format!("{words} (Pod {})", pod.name_any())),
            other => other,
        };
        let labels = names::own_labels(&pod.metadata);
        Some(Self { run, generation, uid, stands, labels, runs, leaving, disrupted })
    }
}

/// How long past the end of its grace a pod that is being deleted may still be there.
const BEYOND_GRACE: SignedDuration = SignedDuration::from_secs(30);

/// How long the proof of a fence takes where nothing is wrong.
const PROOF: SignedDuration = SignedDuration::from_secs(10);

/// What the kubelet says of a pod that took more disk than the pod itself may, not more than its node had.
const OWN_LIMITS: [&str; 3] = [
    "Usage of EmptyDir volume",
    "Pod ephemeral local storage usage exceeds",
    "exceeded its local ephemeral storage limit",
];

fn node(pod: &Pod) -> &str {
    let spec = pod.spec.as_ref();
    spec.and_then(|spec| spec.node_name.as_deref()).unwrap_or("no node")
}

/// The cluster's own word on it: the condition `DisruptionTarget` (Kubernetes, "Disruptions").
fn disrupted(pod: &Pod) -> Option<Disrupted> {
    let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let target = conditions
        .rfind(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True")?;
    let node = node(pod).to_owned();
    let words = match target.reason.as_deref().unwrap_or_default() {
        "EvictionByEvictionAPI" => format!("the pod was evicted from the node {node}"),
        "PreemptionByScheduler" => {
            format!("the pod made room on the node {node} for one of a higher priority")
        }
        "DeletionByTaintManager" => {
            format!(
                "the node {node} has a taint that the pod does not bear: it may be out of reach"
            )
        }
        "DeletionByPodGC" => format!("the pod's node {node} is gone"),
        "TerminationByKubelet" => format!("the node {node} ended the pod"),
        other => format!("the cluster ended the pod on the node {node} ({other})"),
    };
    let said = target.message.as_deref().filter(|said| !said.is_empty());
    let words = said.map_or(words.clone(), |said| format!("{words}: {said}"));
    Some(Disrupted { words, node })
}

fn runs(pod: &Pod) -> bool {
    let Some(status) = &pod.status else { return false };
    let mut containers = status.container_statuses.iter().flatten();
    status.phase.as_deref() == Some("Running")
        && containers
            .all(|container| container.state.as_ref().is_some_and(|state| state.running.is_some()))
}

fn stands(pod: &Pod, now: Timestamp) -> Stands {
    let Some(status) = &pod.status else { return Stands::Good };
    if matches!(status.phase.as_deref(), Some("Failed" | "Succeeded")) {
        return how_it_ended(pod, status);
    }
    // Nobody confirms its end: what it did since its last snapshot is not to be had.
    let over = pod.metadata.deletion_timestamp.as_ref().map(|until| until.0 + BEYOND_GRACE);
    if over.is_some_and(|over| over < now) {
        let node = node(pod);
        return Stands::Ended(format!("the node {node} does not say that the pod has ended"));
    }
    let unscheduled = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
    if let Some(condition) = unscheduled {
        let words = condition.message.as_deref().unwrap_or("no node has room");
        return Stands::Waits(format!("the pod is not scheduled: {words}"));
    }
    let unproven =
        || status.init_container_statuses.iter().flatten().find_map(|of| unproven(of, now));
    containers(status).find_map(waits).or_else(unproven).unwrap_or(Stands::Good)
}

/// A sidecar that has not said for a while that the fence is proven.
fn unproven(container: &ContainerStatus, now: Timestamp) -> Option<Stands> {
    let running = container.state.as_ref()?.running.as_ref()?;
    let since = running.started_at.as_ref()?.0;
    let waits = container.name == pod::SIDECAR_NAME && container.started == Some(false);
    (waits && since + PROOF < now).then(|| {
        Stands::Waits("the fence is not proven yet: the agent begins once it is".to_owned())
    })
}

/// The most telling first: who took too much memory, then how the agent's container ended, then the others.
fn how_it_ended(pod: &Pod, status: &PodStatus) -> Stands {
    let reason = status.reason.as_deref().unwrap_or_default();
    let message = status.message.as_deref().unwrap_or_default().trim_end_matches([' ', '.']);
    match reason {
        "Evicted" if OWN_LIMITS.iter().any(|own| message.contains(own)) => {
            return Stands::Over(format!("the pod took more disk than it may: {message}"));
        }
        "Evicted" => {
            let node = node(pod);
            return Stands::Ended(format!("the pod was evicted from the node {node}: {message}"));
        }
        "DeadlineExceeded" => return Stands::Over("the pod's deadline passed".to_owned()),
        _ => {}
    }
    if let Some(disrupted) = disrupted(pod) {
        return Stands::Ended(disrupted.words);
    }
    if pod.metadata.deletion_timestamp.is_some() {
        return Stands::Ended("the pod was deleted".to_owned());
    }
    let failed =
        containers(status).find_map(too_much).or_else(|| containers(status).find_map(ended));
    failed.unwrap_or_else(|| {
        let words = if message.is_empty() { reason } else { message };
        Stands::Ended(format!("the pod ended: {words}").trim_end_matches(": ").to_owned())
    })
}

/// The agent's container first: what it did decides what becomes of those beside it.
fn containers(status: &PodStatus) -> impl Iterator<Item = &ContainerStatus> {
    let own = status.container_statuses.iter().flatten();
    own.chain(status.init_container_statuses.iter().flatten())
}

fn too_much(container: &ContainerStatus) -> Option<Stands> {
    let terminated = container.state.as_ref()?.terminated.as_ref()?;
    let killed = terminated.reason.as_deref() == Some("OOMKilled") && terminated.exit_code != 0;
    killed.then(|| Stands::Over(format!("{} took more memory than it may", container.name)))
}

/// How a container that failed did.
fn ended(container: &ContainerStatus) -> Option<Stands> {
    let terminated = container.state.as_ref()?.terminated.as_ref()?;
    (terminated.exit_code != 0)
        .then(|| Stands::Ended(format!("{} ended with {}", container.name, terminated.exit_code)))
}

/// Why a container that should run does not.
fn waits(container: &ContainerStatus) -> Option<Stands> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref()?;
    if matches!(reason, "PodInitializing" | "ContainerCreating") {
        return None;
    }
    let message = waiting.message.as_deref().unwrap_or(reason);
    Some(Stands::Waits(format!("{} does not start ({reason}): {message}", container.name)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(metadata: &Value, status: &Value) -> Pod {
        let spec = json!({ "nodeName": "n1", "containers": [] });
        let pod = json!({ "metadata": metadata, "spec": spec, "status": status });
        serde_json::from_value(pod).unwrap()
    }

    fn of(status: &Value) -> Stands {
        stands(&pod(&json!({}), status), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn whoever_ends_a_pod_before_its_time_is_named() {
        let target = |reason: &str, message: &str| {
            let condition = json!({ "type": "DisruptionTarget", "status": "True",
                "reason": reason, "message": message });
            let status = json!({ "phase": "Failed", "conditions": [condition] });
            let leaving = json!({ "deletionTimestamp": "2026-01-02T03:04:05Z" });
            stands(&pod(&leaving, &status), Timestamp::UNIX_EPOCH)
        };
        let ended = |words: &str| Stands::Ended(words.to_owned());
        assert_eq!(
            target("EvictionByEvictionAPI", "Eviction API: evicting"),
            ended("the pod was evicted from the node n1: Eviction API: evicting")
        );
        assert_eq!(target("DeletionByPodGC", ""), ended("the pod's node n1 is gone"));
        assert_eq!(target("News", ""), ended("the cluster ended the pod on the node n1 (News)"));
    }

    #[test]
    fn a_pod_whose_end_nobody_confirms_is_given_up() {
        let leaving = json!({ "deletionTimestamp": "2026-01-02T03:04:05Z" });
        let pod = pod(&leaving, &json!({ "phase": "Running" }));
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(stands(&pod, at("2026-01-02T03:04:30Z")), Stands::Good);
        let Stands::Ended(words) = stands(&pod, at("2026-01-02T03:04:36Z")) else {
            panic!("it is waited for")
        };
        assert_eq!(words, "the node n1 does not say that the pod has ended");
    }

    #[test]
    fn each_end_has_its_own_reason() {
        let container = |name: &str, state: Value| {
            json!([{ "name": name, "image": "", "imageID": "",
            "ready": false, "restartCount": 0, "state": state }])
        };
        let killed = json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } });
        let told_to_end = json!({ "terminated": { "exitCode": 143 } });
        let over = of(&json!({ "phase": "Failed",
            "initContainerStatuses": container("sidecar", told_to_end),
            "containerStatuses": container("harness", killed) }));
        assert_eq!(over, Stands::Over("harness took more memory than it may".to_owned()));
        let evicted = json!({ "phase": "Failed", "reason": "Evicted", "message": "The node was low on memory" });
        assert_eq!(
            of(&evicted),
            Stands::Ended(
                "the pod was evicted from the node n1: The node was low on memory".to_owned()
            )
        );
        let full = json!({ "phase": "Failed", "reason": "Evicted",
            "message": "Usage of EmptyDir volume \"workspace\" exceeds the limit \"512Mi\". " });
        let Stands::Over(words) = of(&full) else { panic!("its own doing") };
        assert!(words.ends_with("volume \"workspace\" exceeds the limit \"512Mi\""), "{words}");
        let exited = json!({ "terminated": { "exitCode": 3 } });
        let ended =
            of(&json!({ "phase": "Failed", "containerStatuses": container("harness", exited) }));
        assert_eq!(ended, Stands::Ended("harness ended with 3".to_owned()));
    }

    #[test]
    fn what_waits_says_why() {
        let unscheduled = json!({ "phase": "Pending", "conditions": [
            { "type": "PodScheduled", "status": "False", "message": "0/1 nodes are available" }] });
        let Stands::Waits(words) = of(&unscheduled) else { panic!("it waits") };
        assert_eq!(words, "the pod is not scheduled: 0/1 nodes are available");
        let missing = json!({ "phase": "Pending", "initContainerStatuses": [{ "name": "install",
            "image": "x", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "waiting": { "reason": "ErrImageNeverPull", "message": "no such image" } } }] });
        let Stands::Waits(words) = of(&missing) else { panic!("it waits") };
        assert_eq!(words, "install does not start (ErrImageNeverPull): no such image");
        let creating = json!({ "phase": "Pending", "containerStatuses": [{ "name": "harness",
            "image": "x", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "waiting": { "reason": "PodInitializing" } } }] });
        assert_eq!(of(&creating), Stands::Good);
        let proving = json!({ "phase": "Pending", "initContainerStatuses": [{ "name": "sidecar",
            "image": "x", "imageID": "", "ready": false, "restartCount": 0, "started": false,
            "state": { "running": { "startedAt": "2026-01-02T03:04:05Z" } } }] });
        let at = |text: &str| stands(&pod(&json!({}), &proving), text.parse().unwrap());
        assert_eq!(at("2026-01-02T03:04:14Z"), Stands::Good);
        let Stands::Waits(words) = at("2026-01-02T03:04:16Z") else { panic!("it waits") };
        assert!(words.starts_with("the fence is not proven yet"), "{words}");
    }
}
