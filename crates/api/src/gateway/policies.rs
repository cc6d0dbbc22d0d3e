use std::sync::Arc;

use domain::{
    github::{Branch, Repository},
    ids::{CredentialId, Generation, RunId},
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

/// What a gateway is to allow one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// The run.
    pub run: RunId,
    /// The one repository that it may reach.
    pub repo: Repository,
    /// The one branch of it that it may push.
    pub branch: Branch,
    /// The egress mode, `github` or `full`.
    pub egress: String,
    /// Hosts beside those that the gateway itself allows.
    pub hosts: Vec<String>,
    /// Whether model and repository are shut.
    pub suspended: bool,
    /// The credential that the run's requests to the forge carry; none where that is the gateway's own. Its value is
    /// asked for by itself, and never here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<PolicyCredential>,
    /// The SHA-256, in hexadecimal, of what opens the run's door over TCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub door_sha256: Option<String>,
}

/// The credential of a run: which, and which of its values counts. Another number tells the gateway to forget what it
/// holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyCredential {
    /// Which.
    pub id: CredentialId,
    /// Which value.
    pub generation: Generation,
    /// Whether it is good for nothing any more.
    pub revoked: bool,
}

/// The policies of all active runs, and their name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Edition {
    pub(super) etag: String,
    pub(super) runs: Vec<Policy>,
}

/// The newest policies, as they were last published in this process. Cheap to clone.
///
/// Until the first are, nobody is told anything: a gateway that keeps what it knew is better than one
/// that shuts every run because the control plane has only just started.
#[derive(Clone)]
pub struct Policies(watch::Sender<Option<Arc<Edition>>>);

impl Policies {
    /// No policies are known yet.
    #[must_use]
    pub fn unknown() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Publishes the policies of all active runs; those of others are thereby gone.
    pub fn publish(&self, mut runs: Vec<Policy>) {
        runs.sort_by_key(|policy| policy.run);
        let json = serde_json::to_vec(&runs).unwrap_or_default();
        let etag = hex::encode(&Sha256::digest(&json)[..16]);
        self.0.send_if_modified(|known| {
            let news = known.as_ref().is_none_or(|known| known.etag != etag);
            if news {
                *known = Some(Arc::new(Edition { etag, runs }));
            }
            news
        });
    }

    /// The policies that were published last; none before the first.
    #[must_use]
    pub fn current(&self) -> Option<Vec<Policy>> {
        self.0.borrow().as_ref().map(|edition| edition.runs.clone())
    }

    pub(super) fn listen(&self) -> watch::Receiver<Option<Arc<Edition>>> {
        self.0.subscribe()
    }
}
