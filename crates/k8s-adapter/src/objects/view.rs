//! Objects of the platform's own: views of its log, made and put back by it.

use std::collections::BTreeMap;

use domain::ids::{RunId, SessionId};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt as _};
use projections::model::{RunRow, SessionRow};
use uuid::Uuid;

use crate::{
    admission::REQUESTED_BY,
    crds::{Egress, HarnessRun, HarnessRunSpec, Session, SessionSpec},
    names,
};

/// What holds a deleted HarnessRun until its run has ended.
pub(super) const FINALIZER: &str = "paddock.dev/run-ended";
/// What the names of views begin with; nobody else's may.
const SESSION: &str = "session-";
const RUN: &str = "run-";

/// What a view of a session is called.
pub(super) fn session_name(session: SessionId) -> String {
    format!("{SESSION}{session}")
}

/// What a view of a run is called.
pub(super) fn run_name(run: RunId) -> String {
    format!("{RUN}{run}")
}

/// Of what an object with this name is the view, if it is one.
pub(super) fn viewed(name: &str) -> Option<Uuid> {
    name.strip_prefix(SESSION).or_else(|| name.strip_prefix(RUN))?.parse().ok()
}

/// Who applied an object, by its own words.
pub(super) fn requested_by<K: Resource>(object: &K) -> &str {
    object.annotations().get(REQUESTED_BY).map(String::as_str).unwrap_or_default()
}

fn metadata(name: String, namespace: &str, own: &str, labels: &[(&str, String)]) -> ObjectMeta {
    let labels = [(names::MANAGED_BY.0, names::MANAGED_BY.1.to_owned())]
        .into_iter()
        .chain(labels.iter().cloned());
    ObjectMeta {
        name: Some(name),
        namespace: Some(namespace.to_owned()),
        annotations: Some(BTreeMap::from([(REQUESTED_BY.to_owned(), own.to_owned())])),
        labels: Some(labels.map(|(name, value)| (name.to_owned(), value)).collect()),
        ..ObjectMeta::default()
    }
}

/// The view of a session.
pub(super) fn session(row: &SessionRow, namespace: &str, own: &str) -> Session {
    let spec = SessionSpec {
        repo: row.repo.to_string(),
        base: Some(row.base.to_string()),
        // Titles are people's words: they are read where they can be erased.
        title: None,
        issue: row.issue.and_then(|issue| i64::try_from(issue).ok()),
    };
    let labels = [(names::SESSION, row.id.to_string())];
    let mut object = Session::new(&session_name(row.id), spec);
    object.metadata = metadata(session_name(row.id), namespace, own, &labels);
    object
}

/// The view of a run, which belongs to the object `session`.
pub(super) fn run(row: &RunRow, session: String, namespace: &str, own: &str) -> HarnessRun {
    let requested = &row.requested;
    let spec = HarnessRunSpec {
        session,
        prompt: format!("(kept by Paddock, as the prompt of run {})", row.id),
        profile: Some(requested.profile.clone()),
        egress: (requested.egress == "github").then_some(Egress::Github),
        egress_reason: None,
        draft: Some(requested.draft),
    };
    let labels =
        [(names::RUN, row.id.to_string()), (names::SESSION, requested.session.to_string())];
    let mut object = HarnessRun::new(&run_name(row.id), spec);
    object.metadata = metadata(run_name(row.id), namespace, own, &labels);
    object.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    object
}

/// Makes a run's object the owner of its pods.
pub(super) fn owner(object: &HarnessRun) -> Option<OwnerReference> {
    // One that is being deleted would take its pods with it, before they have taken their snapshot.
    if object.metadata.deletion_timestamp.is_some() {
        return None;
    }
    object.controller_owner_ref(&())
}
