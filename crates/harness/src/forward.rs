//! The only door out: a loopback port whose bytes go to the gateway's Unix socket.

use std::{net::SocketAddr, path::PathBuf};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, UnixStream},
};

/// Forwards each connection to the socket at `gateway`, dialled by path each time: a gateway that was
/// restarted is reached again.
pub(crate) async fn forward(listen: SocketAddr, gateway: PathBuf) -> std::io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let Ok((mut inside, _)) = listener.accept().await else { continue };
        let gateway = gateway.clone();
        tokio::spawn(async move {
            match UnixStream::connect(&gateway).await {
                Ok(mut outside) => {
                    let _ = copy_bidirectional(&mut inside, &mut outside).await;
                }
                Err(error) => tracing::warn!(%error, "the gateway cannot be reached"),
            }
        });
    }
}
