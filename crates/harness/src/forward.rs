//! The only door out: a loopback port whose bytes go to the gateway, over its Unix socket or in a tunnel to
//! the run's door there.

use std::{io, path::PathBuf, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    time::{Instant, sleep},
};

use crate::wire::GatewayRequest;

/// How long a gateway that is being restarted is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most bytes of the gateway's answer to `CONNECT`.
const HEAD: usize = 4 * 1024;
/// What clients are told when it does not come back: theirs is HTTP in either use of the port.
const AWAY: &[u8] =
    b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/plain\r\nconnection: close\r\n\
    content-length: 36\r\n\r\nThe egress gateway cannot be reached";

/// How the gateway is reached.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// By its Unix socket, which is the run's own.
    Socket(PathBuf),
    /// By its listener for all runs.
    Tunnel(GatewayRequest),
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Forwards each connection the way that is known then, dialled each time: a gateway that was restarted is
/// reached again.
pub(crate) async fn forward(listener: TcpListener, way: watch::Receiver<Option<Way>>) {
    loop {
        match listener.accept().await {
            Ok((inside, _)) => {
                tokio::spawn(connect(inside, way.clone()));
            }
            Err(error) => {
                // Out of file descriptors, most likely: some will be closed.
                tracing::warn!(%error, "a connection to the proxy port was not accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connect(mut inside: TcpStream, way: watch::Receiver<Option<Way>>) {
    let _ = inside.set_nodelay(true);
    match dial(&way).await {
        // Each direction is closed by itself: a half-closed connection goes on in the other one.
        Ok(mut outside) => {
            let _ = copy_bidirectional(&mut inside, &mut outside).await;
        }
        Err(error) => {
            tracing::warn!(%error, "the gateway cannot be reached");
            let _ = inside.write_all(AWAY).await;
            let _ = inside.shutdown().await;
        }
    }
}

async fn dial(way: &watch::Receiver<Option<Way>>) -> io::Result<Box<dyn Stream>> {
    let until = Instant::now() + PATIENCE;
    loop {
        let known = way.borrow().clone();
        let dialled = match &known {
            Some(Way::Socket(socket)) => UnixStream::connect(socket).await.map(boxed),
            Some(Way::Tunnel(gateway)) => tunnel(gateway, until).await.map(boxed),
            None => Err(io::Error::other("nobody has said yet where the gateway is")),
        };
        match dialled {
            Err(_) if Instant::now() < until => sleep(Duration::from_millis(100)).await,
            done => return done,
        }
    }
}

fn boxed(stream: impl Stream + 'static) -> Box<dyn Stream> {
    Box::new(stream)
}

/// Opens the run's door by `CONNECT`.
async fn tunnel(gateway: &GatewayRequest, until: Instant) -> io::Result<TcpStream> {
    let GatewayRequest { address, door, login } = gateway;
    let open = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let login = BASE64_STANDARD.encode(login);
        let head = format!(
            "CONNECT {door} HTTP/1.1\r\nhost: {door}\r\nproxy-authorization: Basic {login}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        // Byte by byte: what comes after the head is the tunnel's.
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() == HEAD {
                return Err(io::Error::other("the gateway's answer has no end"));
            }
            answer.push(stream.read_u8().await?);
        }
        if answer.starts_with(b"HTTP/1.1 200 ") {
            return Ok(stream);
        }
        let line = String::from_utf8_lossy(&answer);
        Err(io::Error::other(line.lines().next().unwrap_or_default().to_owned()))
    };
    tokio::time::timeout_at(until, open).await.map_err(io::Error::other)?
}
