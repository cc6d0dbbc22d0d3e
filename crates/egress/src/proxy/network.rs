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
