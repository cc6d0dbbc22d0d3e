//! The only door out: a loopback port whose bytes go to the gateway's Unix socket.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::{AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream, UnixStream},
    time::{Instant, sleep},
};

/// How long a gateway that is being restarted is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// What clients are told when it does not come back: theirs is HTTP in either use of the port.
const AWAY: &[u8] =
    b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/plain\r\nconnection: close\r\n\
    content-length: 36\r\n\r\nThe egress gateway cannot be reached";

/// Forwards each connection to the socket at `gateway`, dialled by path each time: a gateway that was
/// restarted is reached again.
pub(crate) async fn forward(listener: TcpListener, gateway: PathBuf) {
    loop {
        match listener.accept().await {
            Ok((inside, _)) => {
                tokio::spawn(connect(inside, gateway.clone()));
            }
            Err(error) => {
                // Out of file descriptors, most likely: some will be closed.
                tracing::warn!(%error, "a connection to the proxy port was not accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connect(mut inside: TcpStream, gateway: PathBuf) {
    let _ = inside.set_nodelay(true);
    match dial(&gateway).await {
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

async fn dial(gateway: &Path) -> std::io::Result<UnixStream> {
    let until = Instant::now() + PATIENCE;
    loop {
        match UnixStream::connect(gateway).await {
            Err(_) if Instant::now() < until => sleep(Duration::from_millis(100)).await,
            done => return done,
        }
    }
}
