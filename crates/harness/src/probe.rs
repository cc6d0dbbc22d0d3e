//! The fence, tried from inside.

use std::{net::SocketAddr, time::Duration};

use futures::future::join_all;
use tokio::{
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use crate::wire::{Probe, ProbeKind, ProbeReport, ProbeRequest, ProbeTarget, ProbeVerdict};

const PATIENCE: Duration = Duration::from_secs(5);
const MOST: usize = 32;
/// A query for the root's name servers, with the id 0x5050.
const DNS_QUERY: [u8; 17] = [0x50, 0x50, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];

/// Tries every target at the same time.
pub(crate) async fn probe(request: ProbeRequest) -> ProbeReport {
    let probes = request.targets.into_iter().take(MOST).map(|target| async {
        let verdict = match timeout(PATIENCE, attempt(&target)).await {
            Ok(Ok(())) => ProbeVerdict::Reached,
            Ok(Err(_)) => ProbeVerdict::Refused,
            Err(_) => ProbeVerdict::TimedOut,
        };
        Probe { target: target.name, verdict }
    });
    ProbeReport { probes: join_all(probes).await }
}

async fn attempt(target: &ProbeTarget) -> std::io::Result<()> {
    let address: SocketAddr = target.address.parse().map_err(std::io::Error::other)?;
    match target.kind {
        ProbeKind::Tcp => TcpStream::connect(address).await.map(drop),
        ProbeKind::UdpDns => {
            let any: SocketAddr =
                if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
            let socket = UdpSocket::bind(any).await?;
            socket.connect(address).await?;
            socket.send(&DNS_QUERY).await?;
            socket.recv(&mut [0; 512]).await.map(drop)
        }
    }
}
