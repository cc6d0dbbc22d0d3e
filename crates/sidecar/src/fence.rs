//! The proof that the sandbox is fenced, before anything of worth is near it. A negative alone proves
//! nothing: the main target is an address of the control plane that this process reaches.

use std::{net::SocketAddr, time::Duration};

use domain::run::{Probe, Verdict};
use harness::wire::{ProbeKind, ProbeRequest, ProbeTarget, ProbeVerdict};
use tokio::{net::TcpStream, time::timeout};

use crate::{SidecarError, harness_client::Harness};

/// The metadata service of the large clouds.
const METADATA: &str = "169.254.169.254:80";
/// A resolver and a server that everybody can reach who can reach anything.
const OUTSIDE: [(&str, &str, ProbeKind); 3] = [
    ("cloud metadata", METADATA, ProbeKind::Tcp),
    ("the internet", "1.1.1.1:443", ProbeKind::Tcp),
    ("DNS over UDP", "1.1.1.1:53", ProbeKind::UdpDns),
];

/// Tries every way out but the gateway.
pub(crate) async fn prove(harness: &Harness, canary: &str) -> Result<Vec<Probe>, SidecarError> {
    let target = |name: &str, address: &str, kind| ProbeTarget {
        name: name.to_owned(),
        address: address.to_owned(),
        kind,
    };
    let mut targets = vec![target("the control plane", canary, ProbeKind::Tcp)];
    targets.extend(OUTSIDE.map(|(name, address, kind)| target(name, address, kind)));
    if let Some(resolver) = own_resolver() {
        targets.push(target("this machine's resolver", &resolver, ProbeKind::UdpDns));
    }
    let names: Vec<String> = targets.iter().map(|target| target.name.clone()).collect();
    let request = ProbeRequest { targets };
    let (report, reachable) = tokio::join!(harness.probe(&request), reaches(canary));
    let report = report?;
    // What is answered is hostile: only what was asked for counts, and what is missing is not proven.
    let said = |name: &str| report.probes.iter().find(|probe| probe.target == name);
    Ok(names
        .into_iter()
        .enumerate()
        .map(|(at, target)| {
            let verdict = match said(&target).map(|probe| probe.verdict) {
                Some(ProbeVerdict::Reached) => Verdict::Reached,
                _ if at == 0 && !reachable => Verdict::NotProvable,
                Some(ProbeVerdict::Refused) => Verdict::Refused,
                Some(ProbeVerdict::TimedOut) => Verdict::TimedOut,
                Some(ProbeVerdict::NotProvable) | None => Verdict::NotProvable,
            };
            Probe { target, verdict }
        })
        .collect())
}

async fn reaches(address: &str) -> bool {
    let Ok(address) = address.parse::<SocketAddr>() else { return false };
    matches!(timeout(Duration::from_secs(5), TcpStream::connect(address)).await, Ok(Ok(_)))
}

fn own_resolver() -> Option<String> {
    let text = std::fs::read_to_string("/etc/resolv.conf").ok()?;
    let server = text.lines().find_map(|line| line.strip_prefix("nameserver "))?;
    let address: std::net::IpAddr = server.trim().parse().ok()?;
    Some(SocketAddr::new(address, 53).to_string())
}
