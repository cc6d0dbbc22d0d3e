//! Tunnels. What goes through one is TLS to the host that was asked for: the name in its first
//! message must be the name that was checked.
//!
//! What this does not see: a host that serves several names may answer for another one inside the
//! encryption (fronting), which only a broker that terminates TLS can rule out.

use std::io;

use bytes::BytesMut;
use http::{Request, Response, StatusCode};
use hyper::{body::Incoming, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    admission::{Admitted, admit, no_longer_allowed},
    authority,
    client_hello::{self, NotAHello},
};
use crate::{
    answer::{Body, Refusal, empty, line},
    connection::Place,
    decision::{Kind, Record},
    gateway::Door,
    limits::Limits,
};

/// Where a rule without a port lets a tunnel go.
const DEFAULT_PORT: u16 = 443;
const BUFFER: usize = 8 * 1024;
/// A fatal alert, access_denied, for clients that can show one.
const ALERT: [u8; 7] = [21, 3, 1, 0, 2, 2, 49];

pub(crate) async fn connect(door: Door, request: Request<Incoming>) -> Response<Body> {
    let uri = request.uri();
    let text = match (uri.scheme(), uri.authority()) {
        (None, Some(authority)) => authority.as_str(),
        _ => "",
    };
    let target = match authority::parse(text, None) {
        Ok(target) => target,
        Err(error) => {
            let refusal = Refusal::new("host.malformed", error.to_string())
                .with_status(StatusCode::BAD_REQUEST);
            return door.refuse(&door.asked(Kind::Connect, text, 0), &refusal);
        }
    };
    let asked = door.asked(Kind::Connect, target.host.to_string(), target.port);
    let allowed = async {
        let admitted = admit(&door.gateway, &door.policy()?, &target, DEFAULT_PORT).await?;
        let record = door.allow(&asked, &admitted.rule)?;
        Ok::<_, Refusal>((admitted, record))
    };
    let (admitted, record) = match allowed.await {
        Ok(allowed) => allowed,
        Err(refusal) => return door.refuse(&asked, &refusal),
    };
    let server = match admitted.dial(&door.gateway).await {
        Ok((server, address)) => {
            record.address(address);
            server
        }
        Err(error) => {
            tracing::debug!(host = admitted.host, %error, "a host cannot be reached");
            record.status(StatusCode::BAD_GATEWAY.as_u16());
            let text = format!("paddock: {} cannot be reached", admitted.host);
            return line(StatusCode::BAD_GATEWAY, &text);
        }
    };
    record.status(StatusCode::OK.as_u16());
    let (tasks, limits) = (door.tasks.clone(), door.gateway.limits);
    tasks.spawn(async move {
        let closed = door.closed.clone();
        let ports = (admitted.port, DEFAULT_PORT);
        let disallowed = no_longer_allowed(door, admitted.host.clone(), ports);
        let tunnel =
            Tunnel { admitted, record, limits, place: request.extensions().get().cloned() };
        tokio::select! {
            () = closed.cancelled() => {}
            () = disallowed => {}
            () = tunnel.run(request, server) => {}
        }
    });
    Response::new(empty())
}

struct Tunnel {
    admitted: Admitted,
    record: Record,
    limits: Limits,
    /// Held until the tunnel ends.
    #[expect(dead_code, reason = "held, not read")]
    place: Option<Place>,
}

impl Tunnel {
    async fn run(&self, request: Request<Incoming>, mut server: TcpStream) {
        // An error: the client hung up before it had its answer.
        let Ok(client) = hyper::upgrade::on(request).await else { return };
        let mut client = TokioIo::new(client);
        let read = tokio::time::timeout(self.limits.hello, self.hello(&mut client));
        let hello = match read.await.unwrap_or(Err("tls.timeout")) {
            Ok(hello) => hello,
            Err(rule) => {
                tracing::debug!(host = self.admitted.host, rule, "a tunnel is refused");
                self.record.turn_down(rule);
                let _ = client.write_all(&ALERT).await;
                let _ = client.shutdown().await;
                return;
            }
        };
        self.record.up(hello.len());
        if server.write_all(&hello).await.is_ok()
            && let Err(error) = self.relay(client, server).await
        {
            tracing::debug!(host = self.admitted.host, %error, "a tunnel ended early");
        }
    }

    /// Reads the client's first message. Nothing of it is sent on before it is found good.
    async fn hello(&self, client: &mut TokioIo<Upgraded>) -> Result<BytesMut, &'static str> {
        let mut bytes = BytesMut::with_capacity(2 * 1024);
        loop {
            match client_hello::read(&bytes) {
                Ok(Some(hello)) if hello.encrypted => return Err("tls.ech"),
                Ok(Some(hello)) => {
                    return match hello.server_name {
                        Some(name) if name == self.admitted.host => Ok(bytes),
                        Some(_) => Err("sni.mismatch"),
                        None => Err("sni.absent"),
                    };
                }
                Ok(None) => {}
                Err(NotAHello::NotTls) => return Err("tls.absent"),
                Err(NotAHello::Malformed) => return Err("tls.malformed"),
            }
            match client.read_buf(&mut bytes).await {
                Ok(0) | Err(_) => return Err("tls.absent"),
                Ok(_) => {}
            }
        }
    }

    /// Bytes both ways until both sides are done, or nothing moves any more.
    async fn relay(&self, client: TokioIo<Upgraded>, mut server: TcpStream) -> io::Result<()> {
        let (from_client, to_client) = tokio::io::split(client);
        let (from_server, to_server) = server.split();
        let both = async {
            tokio::try_join!(
                copy(from_client, to_server, |count| self.record.up(count)),
                copy(from_server, to_client, |count| self.record.down(count)),
            )
        };
        tokio::select! {
            done = both => done.map(drop),
            () = self.record.idle(self.limits.idle) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    count: impl Fn(usize),
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..length]).await?;
        count(length);
    }
}
