//! The proof that the agent is fenced, before anything of worth is near it. A negative alone proves nothing:
//! the main target is an address of the control plane that somebody reaches at the same time.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use domain::run::{Probe, Verdict};
use harness::wire::{ProbeKind, ProbeReport, ProbeRequest, ProbeTarget, ProbeVerdict};
use tokio::{net::TcpStream, time::timeout};

use crate::{SidecarError, harness_client::Harness, snapshot::Store};

/// How long an attempt may take, on either side.
const PATIENCE: Duration = Duration::from_secs(5);
/// The metadata service of the large clouds.
const METADATA: &str = "169.254.169.254:80";
/// A resolver and a server that everybody can reach who can reach anything.
const OUTSIDE: [(&str, &str, ProbeKind); 3] = [
    ("cloud metadata", METADATA, ProbeKind::Tcp),
    ("the internet", "1.1.1.1:443", ProbeKind::Tcp),
    ("DNS over UDP", "1.1.1.1:53", ProbeKind::UdpDns),
];

/// From where the agent's ways out are tried.
pub(crate) enum From<'a> {
    /// From inside its sandbox: this process is outside, and reaches the control plane itself.
    Inside(&'a Harness),
    /// From here, as the agent has this process's network: the control plane says whether it is to be
    /// reached at all.
    Here {
        /// Asks the control plane.
        store: &'a Store,
        /// The machine on which the pod is.
        node: Option<IpAddr>,
    },
}

/// Tries every way out but the gateway. The canary is the first of the answers.
pub(crate) async fn prove(from: From<'_>, canary: &str) -> Result<Vec<Probe>, SidecarError> {
    let mut targets = vec![target("the control plane", canary, ProbeKind::Tcp)];
    targets.extend(OUTSIDE.map(|(name, address, kind)| target(name, address, kind)));
    let resolver = own_resolver();
    let (report, reachable) = match from {
        From::Inside(harness) => {
            let resolver =
                resolver.map(|at| target("this machine's resolver", &at, ProbeKind::UdpDns));
            targets.extend(resolver);
            let request = ProbeRequest { targets: targets.clone() };
            let (report, reachable) = tokio::join!(harness.probe(&request), reaches(canary));
            (report?, reachable)
        }
        From::Here { store, node } => {
            targets.extend(of_the_cluster(resolver.as_deref(), node));
            let request = ProbeRequest { targets: targets.clone() };
            tokio::join!(harness::probe(request), store.canary_answers())
        }
    };
    Ok(verdicts(&targets, &report, reachable))
}

/// Whether a proof is none.
pub(crate) fn is_open(probes: &[Probe]) -> bool {
    is_reached(probes) || probes.first().is_none_or(|canary| canary.verdict == Verdict::NotProvable)
}

/// Whether something was reached.
pub(crate) fn is_reached(probes: &[Probe]) -> bool {
    probes.iter().any(|probe| probe.verdict == Verdict::Reached)
}

fn target(name: &str, address: &str, kind: ProbeKind) -> ProbeTarget {
    ProbeTarget { name: name.to_owned(), address: address.to_owned(), kind }
}

/// What a pod could reach of its cluster.
fn of_the_cluster(resolver: Option<&str>, node: Option<IpAddr>) -> Vec<ProbeTarget> {
    let mut targets = vec![];
    let variable = |name| std::env::var(name).ok();
    if let (Some(host), Some(port)) =
        (variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT"))
    {
        targets.push(target("the API server", &format!("{host}:{port}"), ProbeKind::Tcp));
    }
    if let Some(resolver) = resolver {
        targets.push(target("the cluster's DNS over UDP", resolver, ProbeKind::UdpDns));
        targets.push(target("the cluster's DNS over TCP", resolver, ProbeKind::Tcp));
    }
    if let Some(node) = node {
        let kubelet = SocketAddr::new(node, 10250).to_string();
        targets.push(target("the node", &kubelet, ProbeKind::Tcp));
    }
    targets
}

/// What is answered may be hostile: only what was asked for counts, and what is missing is not proven.
fn verdicts(targets: &[ProbeTarget], report: &ProbeReport, canary_answers: bool) -> Vec<Probe> {
    let said = |name: &str| report.probes.iter().find(|probe| probe.target == name);
    let verdicts = targets.iter().enumerate().map(|(at, target)| {
        let verdict = match said(&target.name).map(|probe| probe.verdict) {
            Some(ProbeVerdict::Reached) => Verdict::Reached,
            _ if at == 0 && !canary_answers => Verdict::NotProvable,
            Some(ProbeVerdict::Refused) => Verdict::Refused,
            Some(ProbeVerdict::TimedOut) => Verdict::TimedOut,
            Some(ProbeVerdict::NotProvable) | None => Verdict::NotProvable,
        };
        Probe { target: target.name.clone(), verdict }
    });
    verdicts.collect()
}

async fn reaches(address: &str) -> bool {
    let Ok(address) = address.parse::<SocketAddr>() else { return false };
    matches!(timeout(PATIENCE, TcpStream::connect(address)).await, Ok(Ok(_)))
}

fn own_resolver() -> Option<String> {
    let text = std::fs::read_to_string("/etc/resolv.conf").ok()?;
    let server = text.lines().find_map(|line| line.strip_prefix("nameserver "))?;
    let address: IpAddr = server.trim().parse().ok()?;
    Some(SocketAddr::new(address, 53).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(canary: Option<ProbeVerdict>, answers: bool) -> Vec<Probe> {
        let targets = [target("canary", "192.0.2.1:1", ProbeKind::Tcp)];
        let probes =
            canary.map(|verdict| harness::wire::Probe { target: "canary".to_owned(), verdict });
        verdicts(&targets, &ProbeReport { probes: probes.into_iter().collect() }, answers)
    }

    #[test]
    fn a_negative_proves_nothing_unless_the_canary_answers_somebody_else() {
        assert!(!is_open(&of(Some(ProbeVerdict::TimedOut), true)));
        assert!(!is_open(&of(Some(ProbeVerdict::Refused), true)));
        assert!(is_open(&of(Some(ProbeVerdict::TimedOut), false)));
        assert!(is_open(&of(Some(ProbeVerdict::Reached), true)));
        assert!(is_open(&of(None, true)));
        assert!(is_open(&[]));
    }
}
