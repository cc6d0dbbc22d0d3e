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

/// Whose a pod is, by its labels.
pub(crate) fn key(metadata: &ObjectMeta) -> Option<(RunId, Generation)> {
    let labels = metadata.labels.as_ref()?;
    let generation = labels.get(GENERATION)?.parse().ok()?;
    Some((labels.get(RUN)?.parse().ok()?, Generation(generation)))
}

/// Asks for one object, to see whether anything is answered.
pub(crate) fn one() -> kube::api::ListParams {
    kube::api::ListParams::default().labels(&selector()).limit(1)
}
