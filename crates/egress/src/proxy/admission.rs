//! Whether a target may be reached, and at which addresses. The addresses that were checked here are
//! the only ones that are dialled: nothing is resolved a second time.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use http::StatusCode;
use tokio::net::TcpStream;

use super::{
    HostRule,
    address::is_public,
    authority::{Host, Target},
};
use crate::{
    answer::Refusal,
    gateway::{Door, Gateway},
    policy::{Mode, Policy},
};

/// GitHub's own names: these and all below them.
const FORGE: [&str; 2] = ["github.com", "githubusercontent.com"];
/// Addresses of one host that are tried.
const TRIES: usize = 6;

/// A target that may be reached.
pub(crate) struct Admitted {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The rule that allows it.
    pub(crate) rule: String,
    addresses: Vec<IpAddr>,
}

/// What allows a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Allowed<'a> {
    /// Somebody listed it.
    Listed(&'a HostRule),
    /// The run may reach any public host.
    Public,
}

impl fmt::Display for Allowed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed(rule) => rule.fmt(f),
            Self::Public => f.write_str("egress full"),
        }
    }
}

/// What allows a host, if anything does.
pub(crate) fn rule_for<'a>(
    gateway: &'a Gateway,
    policy: &'a Policy,
    host: &str,
    (port, default_port): (u16, u16),
) -> Option<Allowed<'a>> {
    let mut rules = gateway.allow.iter().chain(&policy.hosts);
    let listed = rules.find(|rule| rule.allows(host, port, default_port)).map(Allowed::Listed);
    let public = || policy.egress == Mode::Full && !is_forge(gateway, host);
    listed.or_else(|| public().then_some(Allowed::Public))
}

/// Whether a host is the forge, which is reached by its own route alone, whatever else is open: a tunnel to it
/// would carry any token to any repository.
fn is_forge(gateway: &Gateway, host: &str) -> bool {
    let below = |name: &str| {
        host.strip_suffix(name).is_some_and(|front| front.is_empty() || front.ends_with('.'))
    };
    below(&gateway.git.host()) || FORGE.into_iter().any(below)
}

/// Checks a target by name, resolves it, and checks what came out.
pub(crate) async fn admit(
    gateway: &Gateway,
    policy: &Policy,
    target: &Target,
    default_port: u16,
) -> Result<Admitted, Refusal> {
    let host = match &target.host {
        Host::Name(name) => name,
        Host::Address(address) => {
            let refusal =
                Refusal::new("address.literal", "hosts are reached by name, not by address");
            return Err(refusal.about(*address));
        }
    };
    let ports = (target.port, default_port);
    let Some(rule) = rule_for(gateway, policy, host, ports) else {
        return Err(Refusal::new("no-rule", not_listed(gateway, host, target.port)));
    };
    let found = gateway.network.resolve(host).await;
    let addresses = found.unwrap_or_else(|error| {
        tracing::debug!(host, %error, "a host cannot be resolved");
        vec![]
    });
    if addresses.is_empty() {
        let refusal = Refusal::new("dns", format!("{host} has no address"));
        return Err(refusal.with_status(StatusCode::BAD_GATEWAY));
    }
    // All of them: one private address among public ones is how rebinding begins.
    if let Some(private) = addresses.iter().find(|address| !is_public(**address)) {
        let detail = format!("{host} has an address that is not of the public internet");
        return Err(Refusal::new("address.private", detail).about(*private));
    }
    Ok(Admitted { host: host.clone(), port: target.port, rule: rule.to_string(), addresses })
}

impl Admitted {
    /// A connection to one of the checked addresses.
    pub(crate) async fn dial(&self, gateway: &Gateway) -> std::io::Result<(TcpStream, IpAddr)> {
        let mut last = std::io::Error::other("no address");
        for address in self.addresses.iter().take(TRIES) {
            match gateway.network.connect(SocketAddr::new(*address, self.port)).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok((stream, *address));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// Returns when the run's policy does not allow this any more.
pub(crate) async fn no_longer_allowed(door: Door, host: String, ports: (u16, u16)) {
    let mut policy = door.policy.clone();
    let refused = policy.wait_for(|policy| {
        let policy = door.narrowed(policy.clone());
        policy.suspended || rule_for(&door.gateway, &policy, &host, ports).is_none()
    });
    // An error: the run is gone.
    let _ = refused.await;
}

fn not_listed(gateway: &Gateway, host: &str, port: u16) -> String {
    if is_forge(gateway, host) {
        format!(
            "no tunnel to {host}: it would carry any token to any repository; git reaches this run's \
             repository by its own route"
        )
    } else {
        format!(
            "{host}:{port} is not on the list of hosts that an administrator allowed; a run that needs it is \
             given egress full, for a reason"
        )
    }
}
