//! What is seen of a pod.

use domain::ids::{Generation, RunId};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use uuid::Uuid;

use crate::names;

/// A workload's pod as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) run: RunId,
    pub(crate) generation: Generation,
    /// Its uid: another pod of the same name is not it.
    pub(crate) uid: Uuid,
    pub(crate) stands: Stands,
    /// Whether all of its containers run.
    pub(crate) runs: bool,
    /// Whether it is being deleted.
    pub(crate) leaving: bool,
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
    /// Reads a pod; none of ours gives nothing.
    pub(crate) fn of(pod: &Pod) -> Option<Self> {
        let (run, generation) = names::key(&pod.metadata)?;
        let uid = pod.metadata.uid.as_ref()?.parse().ok()?;
        let leaving = pod.metadata.deletion_timestamp.is_some();
        Some(Self { run, generation, uid, stands: stands(pod), runs: runs(pod), leaving })
    }
}

fn runs(pod: &Pod) -> bool {
    let Some(status) = &pod.status else { return false };
    let mut containers = status.container_statuses.iter().flatten();
    status.phase.as_deref() == Some("Running")
        && containers
            .all(|container| container.state.as_ref().is_some_and(|state| state.running.is_some()))
}

fn stands(pod: &Pod) -> Stands {
    let Some(status) = &pod.status else { return Stands::Good };
    let containers = || {
        let init = status.init_container_statuses.iter().flatten();
        init.chain(status.container_statuses.iter().flatten())
    };
    let reason = status.reason.as_deref().unwrap_or_default();
    let message = status.message.as_deref().unwrap_or_default();
    if matches!(status.phase.as_deref(), Some("Failed" | "Succeeded")) {
        return match reason {
            "" if pod.metadata.deletion_timestamp.is_some() => {
                Stands::Ended("the pod was deleted".to_owned())
            }
            "Evicted" => Stands::Ended(format!("the pod was evicted: {message}")),
            "DeadlineExceeded" => Stands::Over("the pod's deadline passed".to_owned()),
            _ => containers().find_map(ended).unwrap_or_else(|| {
                let words = if message.is_empty() { reason } else { message };
                Stands::Ended(format!("the pod ended: {words}").trim_end_matches(": ").to_owned())
            }),
        };
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
    containers().find_map(waits).unwrap_or(Stands::Good)
}

/// How a container that failed did.
fn ended(container: &ContainerStatus) -> Option<Stands> {
    let terminated = container.state.as_ref()?.terminated.as_ref()?;
    let name = &container.name;
    if terminated.reason.as_deref() == Some("OOMKilled") {
        return Some(Stands::Over(format!("{name} took more memory than it may")));
    }
    (terminated.exit_code != 0)
        .then(|| Stands::Ended(format!("{name} ended with {}", terminated.exit_code)))
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

    fn of(status: &Value) -> Stands {
        let pod: Pod = serde_json::from_value(json!({ "metadata": {}, "status": status })).unwrap();
        stands(&pod)
    }

    #[test]
    fn each_end_has_its_own_reason() {
        let container = |name: &str, state: Value| {
            json!([{ "name": name, "image": "", "imageID": "",
            "ready": false, "restartCount": 0, "state": state }])
        };
        let killed = json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } });
        let over =
            of(&json!({ "phase": "Failed", "containerStatuses": container("harness", killed) }));
        assert_eq!(over, Stands::Over("harness took more memory than it may".to_owned()));
        let evicted = json!({ "phase": "Failed", "reason": "Evicted", "message": "The node was low on memory" });
        assert_eq!(
            of(&evicted),
            Stands::Ended("the pod was evicted: The node was low on memory".to_owned())
        );
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
    }
}
