//! Plain HTTP through the proxy: `GET http://host/path`. The same checks as for a tunnel, one
//! request a connection, so that what was checked and what is asked cannot come apart.

use std::time::Duration;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{self, CONNECTION, HOST},
    uri::{PathAndQuery, Scheme},
};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;

use super::{
    admission::{Admitted, admit, no_longer_allowed},
    authority::{self, Target},
};
use crate::{
    answer::{Body, Refusal, line},
    body::{Metered, Way},
    decision::{Kind, Record},
    gateway::Door,
};

/// Where a rule without a port lets plain HTTP go.
const DEFAULT_PORT: u16 = 80;
const ANSWER: Duration = Duration::from_mins(2);
const PATIENCE: Duration = Duration::from_mins(5);

/// What concerns one connection only (RFC 9110 §7.6.1), beside what `Connection` names.
const HOP_BY_HOP: [HeaderName; 10] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    // The gateway has answered it already.
    header::EXPECT,
];

pub(crate) async fn http(door: Door, request: Request<Incoming>) -> Response<Body> {
    let text = request.uri().authority().map_or("", http::uri::Authority::as_str);
    let target = match parse(request.method(), request.uri()) {
        Ok(target) => target,
        Err(refusal) => return door.refuse(&door.asked(Kind::Http, text, 0), &refusal),
    };
    let asked = door.asked(Kind::Http, target.host.to_string(), target.port);
    let allowed = async {
        let admitted = admit(&door.gateway, &door.policy()?, &target, DEFAULT_PORT).await?;
        let record = door.allow(&asked, &admitted.rule)?;
        Ok::<_, Refusal>((admitted, record))
    };
    let mut response = match allowed.await {
        Ok((admitted, record)) => {
            let response = pass(&door, &admitted, request, &record).await;
            record.status(response.status().as_u16());
            response
        }
        Err(refusal) => door.refuse(&asked, &refusal),
    };
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn parse(method: &Method, uri: &Uri) -> Result<Target, Refusal> {
    let malformed = |detail: String| {
        Refusal::new("host.malformed", detail).with_status(StatusCode::BAD_REQUEST)
    };
    if uri.scheme() != Some(&Scheme::HTTP) {
        return Err(malformed("only http:// goes this way; https:// goes by CONNECT".to_owned()));
    }
    if method == Method::TRACE {
        return Err(Refusal::new("http.method", "TRACE is not passed on")
            .with_status(StatusCode::METHOD_NOT_ALLOWED));
    }
    let text = uri.authority().map_or("", http::uri::Authority::as_str);
    authority::parse(text, Some(DEFAULT_PORT)).map_err(|error| malformed(error.to_string()))
}

async fn pass(
    door: &Door,
    admitted: &Admitted,
    request: Request<Incoming>,
    record: &Record,
) -> Response<Body> {
    let unreachable = |error: &dyn std::fmt::Display| {
        tracing::debug!(host = admitted.host, %error, "a host cannot be reached");
        line(StatusCode::BAD_GATEWAY, &format!("paddock: {} cannot be reached", admitted.host))
    };
    let stream = match admitted.dial(&door.gateway).await {
        Ok((stream, address)) => {
            record.address(address);
            stream
        }
        Err(error) => return unreachable(&error),
    };
    let (mut sender, connection) = match http1::handshake(TokioIo::new(stream)).await {
        Ok(connected) => connected,
        Err(error) => return unreachable(&error),
    };
    let closed = door.closed.clone();
    let ports = (admitted.port, DEFAULT_PORT);
    let disallowed = no_longer_allowed(door.clone(), admitted.host.clone(), ports);
    door.tasks.spawn(async move {
        tokio::select! {
            () = closed.cancelled() => {}
            () = disallowed => {}
            // With the end of the response's body, or when nobody reads it.
            _ = connection => {}
        }
    });
    let answer = sender.send_request(outgoing(admitted, request, record));
    match tokio::time::timeout(ANSWER, answer).await {
        Ok(Ok(answer)) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
            line(StatusCode::BAD_GATEWAY, "paddock: the host changed the protocol unasked")
        }
        Ok(Ok(answer)) => {
            let (mut parts, body) = answer.into_parts();
            strip(&mut parts.headers);
            let body = Metered::new(body, record.clone(), Way::Down, PATIENCE);
            Response::from_parts(parts, body.boxed_unsync())
        }
        Ok(Err(error)) => unreachable(&error),
        Err(_) => line(StatusCode::GATEWAY_TIMEOUT, "paddock: the host does not answer"),
    }
}

/// The request as the host gets it: named by what was checked, whatever its `Host` header said.
fn outgoing(
    admitted: &Admitted,
    request: Request<Incoming>,
    record: &Record,
) -> Request<Metered<Incoming>> {
    let (mut parts, body) = request.into_parts();
    strip(&mut parts.headers);
    let host = if admitted.port == DEFAULT_PORT {
        admitted.host.clone()
    } else {
        format!("{}:{}", admitted.host, admitted.port)
    };
    let host = HeaderValue::from_str(&host).expect("a canonical host is plain ASCII");
    parts.headers.insert(HOST, host);
    parts.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let path = parts.uri.path_and_query().cloned();
    parts.uri = path.unwrap_or_else(|| PathAndQuery::from_static("/")).into();
    parts.version = http::Version::HTTP_11;
    parts.extensions.clear();
    Request::from_parts(parts, Metered::new(body, record.clone(), Way::Up, PATIENCE))
}

fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_one_connection_stay_on_it() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Own"),
            ("x-own", "1"),
            ("proxy-authorization", "Basic x"),
            ("proxy-connection", "keep-alive"),
            ("upgrade", "websocket"),
            ("te", "trailers"),
            ("accept", "*/*"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        strip(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["accept"]);
    }
}
