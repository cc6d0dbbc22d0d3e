//! Serving HTTP in a way that tests can disturb: all of it ends at once, and a single request can be cut off
//! without an answer.

use std::convert::Infallible;

use axum::{Router, body::Body, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tower::ServiceExt as _;

/// An extension of a response that is not to be sent: the connection closes in its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CutOff;

/// A server that runs. It ends, its connections too, when this is dropped.
#[derive(Debug)]
pub struct Serving {
    url: String,
    task: JoinHandle<Infallible>,
}

impl Serving {
    /// Where it is, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Never returns, unless the server breaks.
    pub async fn forever(mut self) -> anyhow::Result<()> {
        match (&mut self.task).await {
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves `router` on `listener`.
pub(crate) fn serve(listener: TcpListener, url: String, router: Router) -> Serving {
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, router.clone()));
                }
                // Out of file descriptors, or a peer that went while it was being accepted.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        }
    });
    Serving { url, task }
}

async fn connection(stream: TcpStream, router: Router) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let router = router.clone();
        async move {
            let request: Request = request.map(Body::new);
            let Ok(response) = router.oneshot(request).await;
            match response.extensions().get::<CutOff>() {
                Some(CutOff) => Err(std::io::Error::other("cut off as a test asked")),
                None => Ok(response),
            }
        }
    });
    // A connection that breaks is the peer's affair.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
