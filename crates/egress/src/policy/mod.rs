//! What each run may reach, as the control plane says it.

mod file;
mod pull;

use domain::{
    github::{Branch, Repository},
    ids::{CredentialId, Generation, RunId},
};
use serde::{Deserialize, Serialize};

pub(crate) use file::PolicyFile;
pub(crate) use pull::Puller;

use crate::proxy::HostRule;

/// How wide a run's door is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Its repository and the model, and the hosts on the list.
    Github,
    /// Any public host beside them, but for the forge: that stays behind its own route.
    Full,
}

/// What one run may reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The run.
    pub run: RunId,
    /// The only repository that it may fetch from and push to.
    pub repo: Repository,
    /// The only branch that it may push.
    pub branch: Branch,
    /// The mode.
    pub egress: Mode,
    /// Hosts for this run alone, beside the gateway's own list.
    #[serde(default)]
    pub hosts: Vec<HostRule>,
    /// Nothing passes until this is false again.
    #[serde(default)]
    pub suspended: bool,
    /// The credential that its requests to the forge carry, by name: the value is asked for by itself, and held in
    /// memory alone. Without one they carry the gateway's own token.
    #[serde(default)]
    pub credential: Option<PolicyCredential>,
    /// The SHA-256, in hexadecimal, of the credential that opens the run's door over TCP; without one it
    /// has none there.
    #[serde(default)]
    pub door_sha256: Option<String>,
}

/// The credential of a run, never its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyCredential {
    /// Which.
    pub id: CredentialId,
    /// Which of its values counts.
    pub generation: Generation,
    /// Whether it is good for nothing any more.
    #[serde(default)]
    pub revoked: bool,
}

/// The policies of all runs that are to have a door, and the control plane's tag for this list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Policies {
    pub(crate) etag: String,
    pub(crate) runs: Vec<Policy>,
}

/// The same as it comes over the wire: an entry that this version cannot read closes that run's
/// door and no other's.
#[derive(Deserialize)]
pub(crate) struct Unchecked {
    etag: serde_json::Value,
    runs: Vec<serde_json::Value>,
}

impl From<Unchecked> for Policies {
    fn from(unchecked: Unchecked) -> Self {
        let etag = match unchecked.etag {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        let runs = unchecked.runs.into_iter().filter_map(|entry| match read_policy(entry) {
            Ok(policy) => Some(policy),
            Err(error) => {
                tracing::error!(%error, "a run's policy cannot be read: the run gets no gateway");
                None
            }
        });
        Self { etag, runs: runs.collect() }
    }
}

/// Reads one policy; a host rule that makes no sense is left out, which only closes.
fn read_policy(mut entry: serde_json::Value) -> Result<Policy, serde_json::Error> {
    if let Some(hosts) = entry.get_mut("hosts").and_then(serde_json::Value::as_array_mut) {
        hosts.retain(|host| match serde_json::from_value::<HostRule>(host.clone()) {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(%error, %host, "a host rule cannot be read and allows nothing");
                false
            }
        });
    }
    serde_json::from_value(entry)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_unreadable_policy_closes_one_door_only() {
        let good = json!({"run": "01890000-0000-7000-8000-000000000001", "repo": "a/b", "branch": "x",
            "egress": "github", "hosts": ["example.org", "10.0.0.1"], "suspended": false});
        let bad = json!({"run": "01890000-0000-7000-8000-000000000002", "repo": "../x", "branch": "x",
            "egress": "github"});
        let unchecked: Unchecked =
            serde_json::from_value(json!({"etag": 7, "runs": [bad, good]})).expect("a list");
        let policies = Policies::from(unchecked);
        assert_eq!(policies.etag, "7");
        assert_eq!(policies.runs.len(), 1);
        assert_eq!(policies.runs[0].hosts.len(), 1, "an address is no host rule");
    }
}
