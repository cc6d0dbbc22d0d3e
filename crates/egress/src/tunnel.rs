//! The doors over TCP, for runs on other machines.
//!
//! A run asks for its door by an HTTP `CONNECT` to [`DOOR`] (RFC 9110, section 9.3.6), with its id and its
//! credential as `Proxy-Authorization: Basic`. What follows in the tunnel is what it would say on a socket of
//! its own. Whoever has no credential learns nothing here, not even which runs there are.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use domain::{ids::RunId, workload::DOOR};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use sha2::{Digest as _, Sha256};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use crate::{
    answer::{Body, Refusal, empty},
    connection,
    decision::Kind,
    gateway::{Door, Doors},
    limits::Limits,
};

/// Connections that have not shown a credential yet.
const STRANGERS: usize = 1024;
const HEAD_BYTES: usize = 8 * 1024;

pub(crate) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves until the doors take no more connections.
///
/// `wide`: whether what comes in here may reach any public host, for runs whose policy says so.
pub(crate) async fn serve(listener: TcpListener, doors: Doors, limits: Limits, wide: bool) {
    let strangers = Arc::new(Semaphore::new(STRANGERS));
    let stopping = doors.stopping();
    loop {
        let stranger = async {
            let place = strangers.clone().acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((listener.accept().await?.0, place))
        };
        let accepted = tokio::select! {
            () = stopping.cancelled() => return,
            accepted = stranger => accepted,
        };
        match accepted {
            Ok((stream, place)) => {
                let _ = stream.set_nodelay(true);
                tokio::spawn(greet(stream, doors.clone(), limits, wide, place));
            }
            Err(error) => {
                // Mostly too many open files: give the others time to end.
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// One request, and the tunnel that it opens.
async fn greet(
    stream: TcpStream,
    doors: Doors,
    limits: Limits,
    wide: bool,
    place: OwnedSemaphorePermit,
) {
    let place = Arc::new(place);
    let service = service_fn(|request| {
        let (doors, place) = (doors.clone(), place.clone());
        async move { Ok::<_, Infallible>(open(&doors, wide, request, place)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended before it had a door");
    }
}

fn open(
    doors: &Doors,
    wide: bool,
    request: Request<Incoming>,
    stranger: Arc<OwnedSemaphorePermit>,
) -> Response<Body> {
    let asked = request.uri().authority().is_some_and(|authority| authority == DOOR);
    if request.method() != Method::CONNECT || !asked {
        let refusal = Refusal::new("door", format!("ask for CONNECT {DOOR}"));
        return refusal.with_status(StatusCode::METHOD_NOT_ALLOWED).response();
    }
    let Some((run, credential)) = credential(&request) else { return unknown() };
    let Some((door, room)) = doors.get(run) else { return unknown() };
    let door = Door { wide, ..door };
    if !opens(&door, &credential) {
        let refusal =
            Refusal::new("credential", "somebody without the credential asked for the door");
        door.refuse(&door.asked(Kind::Connect, "", 0), &refusal);
        return unknown();
    }
    let Ok(place) = room.try_acquire_owned() else { return connection::too_many(&door) };
    let (tasks, stopping) = (door.tasks.clone(), doors.stopping());
    tasks.spawn(async move {
        let upgraded = hyper::upgrade::on(request).await;
        drop(stranger);
        if let Ok(inside) = upgraded {
            connection::serve(TokioIo::new(inside), door, place, stopping).await;
        }
    });
    Response::new(empty())
}

fn credential(request: &Request<Incoming>) -> Option<(RunId, String)> {
    let value = request.headers().get(header::PROXY_AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let plain = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (run, credential) = plain.split_once(':')?;
    Some((run.parse().ok()?, credential.to_owned()))
}

/// Whether the credential is the run's: by digests, whose comparison tells nothing of use.
fn opens(door: &Door, credential: &str) -> bool {
    let shown = hex::encode(Sha256::digest(credential));
    door.policy.borrow().door_sha256.as_ref().is_some_and(|known| *known == shown)
}

/// The same for a run that is not there and for a credential that is not its.
fn unknown() -> Response<Body> {
    let refusal = Refusal::new("credential", "no door for this run and credential");
    let mut response = refusal.with_status(StatusCode::PROXY_AUTHENTICATION_REQUIRED).response();
    let scheme = HeaderValue::from_static("Basic realm=\"paddock\"");
    response.headers_mut().insert(header::PROXY_AUTHENTICATE, scheme);
    response
}
