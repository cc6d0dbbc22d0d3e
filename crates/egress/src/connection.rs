//! One connection from a sandbox: HTTP/1.1, with bounds on everything that a client may stretch.

use std::{convert::Infallible, pin::pin, sync::Arc};

use http::{Response, StatusCode};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
    sync::OwnedSemaphorePermit,
};
use tokio_util::sync::CancellationToken;

use crate::{
    answer::{Body, Refusal},
    decision::Kind,
    gateway::Door,
    route::route,
};

const HEADERS: usize = 100;
const HEADER_BYTES: usize = 64 * 1024;

/// The place of a connection among those of its run. A tunnel keeps it when its request is over.
#[derive(Clone)]
pub(crate) struct Place(#[expect(dead_code, reason = "held, not read")] Arc<OwnedSemaphorePermit>);

/// Serves what a run says on its socket, or in its tunnel.
pub(crate) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    door: Door,
    place: OwnedSemaphorePermit,
    stopping: CancellationToken,
) {
    let place = Place(Arc::new(place));
    let service = service_fn(|mut request| {
        request.extensions_mut().insert(place.clone());
        let door = door.clone();
        async move { Ok::<_, Infallible>(route(door, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(door.gateway.limits.head)
        .max_headers(HEADERS)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut suspended = pin!(suspended(&door));
    let mut draining = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => return note(&door, ended),
            () = door.closed.cancelled() => return,
            () = suspended.as_mut() => return,
            () = stopping.cancelled(), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Returns when the run becomes suspended. (A connection made while it is suspended is served: it
/// gets the reason to read.)
async fn suspended(door: &Door) {
    let mut policy = door.policy.clone();
    let mut before = policy.borrow_and_update().suspended;
    while policy.changed().await.is_ok() {
        let now = policy.borrow_and_update().suspended;
        if now && !before {
            return;
        }
        before = now;
    }
    std::future::pending::<()>().await;
}

/// A request that hyper itself refused never came to a route; it is on the record all the same.
fn note(door: &Door, ended: hyper::Result<()>) {
    let Err(error) = ended else { return };
    if error.is_parse() {
        let refusal =
            Refusal::new("malformed", "not an HTTP request").with_status(StatusCode::BAD_REQUEST);
        door.refuse(&door.asked(Kind::Http, "", 0), &refusal);
    } else {
        tracing::debug!(run.id = %door.run, %error, "a connection ended early");
    }
}

/// One more than a run may have.
pub(crate) fn too_many(door: &Door) -> Response<Body> {
    let refusal = Refusal::new("connections", "this run has too many connections open")
        .with_status(StatusCode::SERVICE_UNAVAILABLE);
    door.refuse(&door.asked(Kind::Http, "", 0), &refusal)
}

/// The same for a socket on which nothing was read yet.
pub(crate) fn turn_away(stream: &UnixStream, door: &Door) {
    too_many(door);
    let body = "paddock: refused: this run has too many connections open (rule connections)\n";
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // It fits into the socket's buffer, or the client does without.
    let _ = stream.try_write(answer.as_bytes());
}
