use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use serde::Serialize;
use url::Url;

/// What the adapter works with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The namespace in which runs are, and nothing else.
    pub namespace: String,
    /// The image of the sidecar, which holds `paddock` and `paddock-harness`.
    pub sidecar_image: String,
    /// The image of the agent's container: any that holds `opencode` and `git`.
    pub harness_image: String,
    /// When images are pulled: `Always`, `IfNotPresent` or `Never`.
    pub pull_policy: String,
    /// The RuntimeClass of runs, if any.
    pub runtime_class: Option<String>,
    /// The labels that a node has to have for runs to be put there.
    pub node_selector: BTreeMap<String, String>,
    /// The taints of nodes on which runs may be put all the same.
    pub tolerations: Vec<Toleration>,
    /// The link listener's WebSocket, as pods reach it.
    pub link_url: Url,
    /// Where bundles go beside the link, as pods reach it.
    pub bundles_url: Url,
    /// An address of the control plane's that no pod may reach.
    pub canary: String,
    /// Where pods may connect to, and nowhere else.
    pub allowed: Vec<Allowed>,
    /// Where those of egress mode `full` may connect to beside that: the gateway's listener for them.
    pub full: Option<Allowed>,
}

/// A taint that runs tolerate, as `kubectl taint` writes it: `key=value:Effect`, `key:Effect` or `key`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Toleration {
    /// The taint's key.
    pub key: String,
    /// Its value; any where none is named.
    pub value: Option<String>,
    /// Its effect; any where none is named.
    pub effect: Option<String>,
}

/// It is not written as a taint is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not key=value:Effect, key:Effect or key, with NoSchedule, PreferNoSchedule or NoExecute"
)]
pub struct NotAToleration(String);

impl std::str::FromStr for Toleration {
    type Err = NotAToleration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (taint, effect) = match text.split_once(':') {
            Some((taint, effect)) => (taint, Some(effect)),
            None => (text, None),
        };
        let (key, value) = match taint.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (taint, None),
        };
        let known = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        if key.is_empty() || effect.is_some_and(|effect| !known.contains(&effect)) {
            return Err(NotAToleration(text.to_owned()));
        }
        let owned = |of: Option<&str>| of.map(str::to_owned);
        Ok(Self { key: key.to_owned(), value: owned(value), effect: owned(effect) })
    }
}

/// One place to which runs may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Who is there.
    pub peer: Peer,
    /// At which TCP port. Behind a Service it is the port of the pod, not of the Service.
    pub port: u16,
}

/// Whom a NetworkPolicy allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An address outside of the cluster, or a node's.
    Address(IpAddr),
    /// Paddock's own pods of one component, in this namespace.
    Pods {
        /// The namespace.
        namespace: String,
        /// The value of `app.kubernetes.io/component`.
        component: String,
    },
}

impl Allowed {
    /// An address with its port.
    #[must_use]
    pub fn address(at: SocketAddr) -> Self {
        Self { peer: Peer::Address(at.ip()), port: at.port() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toleration_is_written_as_kubectl_writes_a_taint() {
        let of = |text: &str| text.parse::<Toleration>();
        let toleration = |key: &str, value: Option<&str>, effect: Option<&str>| Toleration {
            key: key.to_owned(),
            value: value.map(str::to_owned),
            effect: effect.map(str::to_owned),
        };
        let whole = toleration("team/agents", Some("yes"), Some("NoSchedule"));
        assert_eq!(of("team/agents=yes:NoSchedule"), Ok(whole));
        assert_eq!(of("spot:NoExecute"), Ok(toleration("spot", None, Some("NoExecute"))));
        assert_eq!(of("spot"), Ok(toleration("spot", None, None)));
        for bad in ["", "=yes:NoSchedule", "spot:noschedule", "spot:"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
