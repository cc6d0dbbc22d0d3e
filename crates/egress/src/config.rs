//! What a gateway is told when it starts.

use std::{net::SocketAddr, path::PathBuf};

use serde::Deserialize;
use url::Url;

use crate::proxy::HostRule;

/// A credential. It has no `Debug`, no `Display` and no `Serialize`, so it cannot slip into a log.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The value, for the one place that puts it into a header.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

/// A server that the gateway dials as configured, wherever it is, and adds a credential for.
#[derive(Clone, Deserialize)]
pub struct Upstream {
    /// The base URL, such as `https://api.openai.com/v1` or `https://github.com`.
    pub url: Url,
    /// The model provider's key, or the forge's token.
    #[serde(default)]
    pub credential: Option<Secret>,
}

/// The gateway's settings.
#[derive(Clone, Deserialize)]
pub struct Config {
    /// The directory in which each run gets `<run>/gateway.sock`.
    pub sockets: PathBuf,
    /// Where the last policies and the unsent decisions are kept over a restart.
    pub state: PathBuf,
    /// The control plane's listener for gateways.
    pub control_url: Url,
    /// What the gateway authenticates with there.
    pub control_token: Secret,
    /// The model provider; without one the model route refuses.
    #[serde(default)]
    pub model: Option<Upstream>,
    /// The forge.
    pub git: Upstream,
    /// The hosts that every run may reach through the proxy, beside those of its own policy.
    ///
    /// Empty unless an administrator says otherwise, and GitHub is not in it either: a tunnel to
    /// github.com would let an agent push anywhere with a token that it brought. Git and the model
    /// have routes of their own.
    #[serde(default)]
    pub allow: Vec<HostRule>,
    /// Where runs on other machines reach their doors, over TCP: each by an HTTP CONNECT to
    /// [`DOOR`](domain::workload::DOOR) with its run's id and its credential.
    #[serde(default)]
    pub listen: Option<SocketAddr>,
    /// The same for runs that may reach any public host: a network policy lets only those come here.
    #[serde(default)]
    pub full_listen: Option<SocketAddr>,
    /// Where `/healthz` is served, if anywhere.
    #[serde(default)]
    pub admin_listen: Option<SocketAddr>,
}
