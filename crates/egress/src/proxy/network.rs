//! Names to addresses, and connections to addresses. Apart, so that the address that was checked is
//! the address that is dialled.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures::{FutureExt as _, future::BoxFuture};
use tokio::{net::TcpStream, sync::Semaphore};

/// What the proxy needs of a network.
pub trait Network: Send + Sync + 'static {
    /// All addresses of a host. The name is canonical: lower case, no trailing dot.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;

    /// A connection to exactly this address.
    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<TcpStream>>;
}

const RESOLVE: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(10);

/// The system's network, but for hosts that a test plays: nothing of it is in a release build.
///
/// `$PADDOCK_PLAYED_HOSTS` names them as `name=address=where`, several with commas between them: the name has that
/// address, and what is dialled at it goes there.
#[cfg(debug_assertions)]
pub(crate) fn system() -> std::sync::Arc<dyn Network> {
    match std::env::var("PADDOCK_PLAYED_HOSTS") {
        Ok(hosts) => std::sync::Arc::new(played::PlayedHosts::read(&hosts)),
        Err(_) => std::sync::Arc::new(SystemNetwork::default()),
    }
}

/// The system's network.
#[cfg(not(debug_assertions))]
pub(crate) fn system() -> std::sync::Arc<dyn Network> {
    std::sync::Arc::new(SystemNetwork::default())
}

#[cfg(debug_assertions)]
mod played {
    use futures::FutureExt as _;

    use super::{BoxFuture, IpAddr, Network, SocketAddr, SystemNetwork, TcpStream, io};

    #[derive(Default)]
    pub(super) struct PlayedHosts {
        hosts: Vec<(String, IpAddr, SocketAddr)>,
        system: SystemNetwork,
    }

    impl PlayedHosts {
        pub(super) fn read(text: &str) -> Self {
            let hosts = text.split(',').filter_map(|entry| {
                let mut parts = entry.split('=');
                let (name, address, at) = (parts.next()?, parts.next()?, parts.next()?);
                Some((name.to_owned(), address.parse().ok()?, at.parse().ok()?))
            });
            Self { hosts: hosts.collect(), system: SystemNetwork::default() }
        }
    }

    impl Network for PlayedHosts {
        fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
            match self.hosts.iter().find(|(name, ..)| name == host) {
                Some((_, address, _)) => std::future::ready(Ok(vec![*address])).boxed(),
                None => self.system.resolve(host),
            }
        }

        fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<TcpStream>> {
            let played = self.hosts.iter().find(|(_, known, _)| *known == address.ip());
            self.system.connect(played.map_or(address, |(.., at)| *at))
        }
    }
}

/// The system's own resolver and network.
pub struct SystemNetwork {
    /// A resolver that hangs holds a thread: not all of them.
    lookups: Semaphore,
}

impl Default for SystemNetwork {
    fn default() -> Self {
        Self { lookups: Semaphore::new(64) }
    }
}

impl Network for SystemNetwork {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let look_up = async move {
            let _turn = self.lookups.acquire().await.map_err(io::Error::other)?;
            // The dot keeps the resolver from trying its search domains.
            let found = tokio::net::lookup_host((format!("{host}."), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        };
        async move { tokio::time::timeout(RESOLVE, look_up).await? }.boxed()
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<TcpStream>> {
        async move { tokio::time::timeout(CONNECT, TcpStream::connect(address)).await? }.boxed()
    }
}
