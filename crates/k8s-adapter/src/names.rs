//! What objects are called, and how they are found again.

use std::collections::BTreeMap;

use domain::{
    ids::{Generation, RunId},
    workload::Desired,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Who writes.
pub(crate) const FIELD_MANAGER: &str = "paddock";
/// The run.
pub(crate) const RUN: &str = "paddock.dev/run";
/// Its session.
pub(crate) const SESSION: &str = "paddock.dev/session";
/// Which of the run's workloads.
pub(crate) const GENERATION: &str = "paddock.dev/generation";
/// The egress mode: what NetworkPolicies select pods by. Only the adapter sets it.
pub(crate) const EGRESS: &str = "paddock.dev/egress";
/// On everything that is Paddock's.
pub(crate) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "paddock");

/// Finds everything that is Paddock's.
pub(crate) fn selector() -> String {
    format!("{}={}", MANAGED_BY.0, MANAGED_BY.1)
}

/// A workload's pod: one name for one generation of one run, so that a second one cannot be made.
pub(crate) fn pod(run: RunId, generation: Generation) -> String {
    format!("run-{run}-{generation}")
}

/// What says whose a pod is.
pub(crate) fn labels(desired: &Desired) -> BTreeMap<String, String> {
    let labels = [
        (MANAGED_BY.0, MANAGED_BY.1.to_owned()),
        (RUN, desired.run.to_string()),
        (SESSION, desired.session.to_string()),
        (GENERATION, desired.generation.to_string()),
        (EGRESS, desired.egress.clone()),
    ];
    labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Those of a pod's labels that are the adapter's to set.
pub(crate) fn own_labels(metadata: &ObjectMeta) -> BTreeMap<String, String> {
    let own = [MANAGED_BY.0, RUN, SESSION, GENERATION, EGRESS];
    let mut labels = metadata.labels.clone().unwrap_or_default();
    labels.retain(|name, _| own.contains(&name.as_str()));
    labels
}

/// Whose a pod is, by its name: that cannot be changed, as its labels can.
pub(crate) fn key(metadata: &ObjectMeta) -> Option<(RunId, Generation)> {
    let (run, generation) = metadata.name.as_ref()?.strip_prefix("run-")?.rsplit_once('-')?;
    let key = (run.parse().ok()?, Generation(generation.parse().ok()?));
    (metadata.name.as_deref() == Some(&pod(key.0, key.1))).then_some(key)
}

/// Asks for one object, to see whether anything is answered.
pub(crate) fn one() -> kube::api::ListParams {
    kube::api::ListParams::default().labels(&selector()).limit(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_a_runs_pod_is_one() {
        let of =
            |name: &str| key(&ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() });
        let id = "01a21fac-384d-70f3-a222-dd8e5bf88a51";
        let (run, generation) = (id.parse().unwrap(), Generation(12));
        assert_eq!(of(&pod(run, generation)), Some((run, generation)));
        let (upper, unpadded) = (id.to_uppercase(), id.replace('-', ""));
        for other in [
            "open",
            "run-",
            &format!("run-{id}"),
            &format!("run-{id}-"),
            &format!("run-{id}-x"),
            &format!("run-{id}-01"),
            &format!("run-{upper}-1"),
            &format!("run-{unpadded}-1"),
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
