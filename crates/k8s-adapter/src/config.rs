use std::net::{IpAddr, SocketAddr};

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
    /// The link listener's WebSocket, as pods reach it.
    pub link_url: Url,
    /// Where bundles go beside the link, as pods reach it.
    pub bundles_url: Url,
    /// An address of the control plane's that no pod may reach.
    pub canary: String,
    /// Where pods may connect to, and nowhere else.
    pub allowed: Vec<Allowed>,
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
