//! The fence, tried from inside.

use std::{
    io::{Error, ErrorKind},
    net::SocketAddr,
    time::Duration,
};

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

/// Tries every target at the same time, at most 32 and for at most five seconds.
pub async fn probe(request: ProbeRequest) -> ProbeReport {
    let probes = request.targets.into_iter().take(MOST).map(|target| async {
        let verdict = match target.address.parse() {
            Ok(address) => verdict(timeout(PATIENCE, attempt(&target, address)).await.ok()),
            Err(_) => ProbeVerdict::NotProvable,
        };
        Probe { target: target.name, verdict }
    });
    ProbeReport { probes: join_all(probes).await }
}

/// What an attempt proves; none within the time means that nothing came back.
fn verdict(attempt: Option<std::io::Result<()>>) -> ProbeVerdict {
    match attempt {
        None => ProbeVerdict::TimedOut,
        Some(Ok(())) => ProbeVerdict::Reached,
        Some(Err(error)) if failed_here(&error) => ProbeVerdict::NotProvable,
        Some(Err(_)) => ProbeVerdict::Refused,
    }
}

/// Whether it failed before anything was sent, and for no reason of the network's.
fn failed_here(error: &Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(error);
    matches!(error.kind(), ErrorKind::OutOfMemory | ErrorKind::InvalidInput | ErrorKind::AddrInUse)
        || matches!(
            errno,
            Some(
                rustix::io::Errno::MFILE
                    | rustix::io::Errno::NFILE
                    | rustix::io::Errno::NOBUFS
                    | rustix::io::Errno::AFNOSUPPORT
            )
        )
}

async fn attempt(target: &ProbeTarget, address: SocketAddr) -> std::io::Result<()> {
    match target.kind {
        ProbeKind::Tcp => TcpStream::connect(address).await.map(drop),
        ProbeKind::UdpDns => {
            let any: SocketAddr =
                if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
            let socket = UdpSocket::bind(any).await?;
            socket.connect(address).await?;
            socket.send(&DNS_QUERY).await?;
            // Whatever comes back came from there: the socket is connected.
            socket.recv(&mut [0; 512]).await.map(drop)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_tried_proves_nothing() {
        let of = |errno: rustix::io::Errno| verdict(Some(Err(errno.into())));
        assert_eq!(of(rustix::io::Errno::MFILE), ProbeVerdict::NotProvable);
        assert_eq!(of(rustix::io::Errno::NETUNREACH), ProbeVerdict::Refused);
        assert_eq!(of(rustix::io::Errno::CONNREFUSED), ProbeVerdict::Refused);
        assert_eq!(of(rustix::io::Errno::ACCESS), ProbeVerdict::Refused);
        assert_eq!(verdict(None), ProbeVerdict::TimedOut);
        assert_eq!(verdict(Some(Ok(()))), ProbeVerdict::Reached);
    }
}
