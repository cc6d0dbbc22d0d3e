//! Whether a target may be reached, and at which addresses. The addresses that were checked here are
//! the only ones that are dialled: nothing is resolved a second time.

use std::net::{IpAddr, SocketAddr};

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
    policy::Policy,
};

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

/// The rule that allows a host, if there is one.
pub(crate) fn rule_for<'a>(
    gateway: &'a Gateway,
    policy: &'a Policy,
    host: &str,
    (port, default_port): (u16, u16),
) -> Option<&'a HostRule> {
    // Both modes alike: until GitHub is brokered and the wider door has its own listener, a run
    // reaches the hosts that somebody listed, and those alone.
    gateway.allow.iter().chain(&policy.hosts).find(|rule| rule.allows(host, port, default_port))
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
        return Err(Refusal::new("no-rule", not_listed(host, target.port)));
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
        policy.suspended || rule_for(&door.gateway, policy, &host, ports).is_none()
    });
    // An error: the run is gone.
    let _ = refused.await;
}

fn not_listed(host: &str, port: u16) -> String {
    let forge = ["github.com", "githubusercontent.com"].into_iter().any(|name| {
        host.strip_suffix(name).is_some_and(|front| front.is_empty() || front.ends_with('.'))
    });
    if forge {
        format!(
            "no tunnel to {host}: it would carry any token to any repository; git reaches this run's \
             repository by its own route"
        )
    } else {
        format!("{host}:{port} is not on the list of hosts that an administrator allowed")
    }
}
