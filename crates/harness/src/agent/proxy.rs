//! OpenCode's HTTP API, passed on to the sidecar. The password is added here and stays here.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

use crate::{
    failure::{Failure, Step},
    server::Harness,
};

/// What stands before the agent's own paths.
pub(crate) const PREFIX: &str = "/v1/agent/http";

/// Headers of one connection (RFC 9110, section 7.6.1), beside those that `Connection` names.
const OF_A_CONNECTION: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Paths whose first or second part is one of these answer the providers' keys in clear, or set them.
const KEPT: [&str; 6] = ["config", "provider", "providers", "auth", "credential", "integration"];

/// Passes a request on, and its answer back as it comes.
pub(crate) async fn to_agent(
    State(harness): State<Arc<Harness>>,
    mut request: Request,
) -> Step<Response> {
    let uri = request.uri();
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let target = target.strip_prefix(PREFIX).unwrap_or("/").to_owned();
    if is_kept(target.split('?').next().unwrap_or_default()) {
        return Err(Failure::agent("this route of the agent is not passed on"));
    }
    let client = harness.agents.client().ok_or_else(|| Failure::agent("it is not running"))?;
    let upgrade = request.headers().get(header::UPGRADE).cloned();
    strip(request.headers_mut());
    request.headers_mut().remove(header::HOST);
    let Some(protocol) = upgrade else {
        let mut answer = client.send(&target, request).await?;
        strip(answer.headers_mut());
        return Ok(answer.map(Body::new).into_response());
    };
    // A terminal: both sides leave HTTP together.
    let outside = hyper::upgrade::on(&mut request);
    for (name, value) in [(header::CONNECTION, "upgrade".parse()), (header::UPGRADE, Ok(protocol))]
    {
        request.headers_mut().insert(name, value.map_err(Failure::other)?);
    }
    let mut answer = client.send(&target, request).await?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        strip(answer.headers_mut());
        return Ok(answer.map(Body::new).into_response());
    }
    let inside = hyper::upgrade::on(&mut answer);
    tokio::spawn(async move {
        if let (Ok(outside), Ok(inside)) = tokio::join!(outside, inside) {
            let _ = copy_bidirectional(&mut TokioIo::new(outside), &mut TokioIo::new(inside)).await;
        }
    });
    Ok(answer.map(|_| Body::empty()).into_response())
}

fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&OF_A_CONNECTION) {
        headers.remove(name);
    }
}

/// Whether a path must not be passed on. The agent decodes paths, drops empty parts and does not look at
/// the case; what could be read in two ways is kept back too.
fn is_kept(path: &str) -> bool {
    let mut plain = path.to_owned();
    // Decoded until nothing changes: the agent may decode more than once.
    loop {
        let decoded = decode(&plain);
        if decoded == plain {
            break;
        }
        plain = decoded;
    }
    let parts: Vec<String> = plain
        .split(['/', '\\'])
        .map(|part| part.trim().to_ascii_lowercase())
        .filter(|part| !part.is_empty() && part != ".")
        .collect();
    parts.iter().any(|part| part == "..")
        || parts.iter().take(2).any(|part| {
            // Matrix parameters and the like.
            let name = part.split([';', '?', '#', '\0']).next().unwrap_or_default();
            KEPT.contains(&name)
        })
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).filter(|_| *first == b'%');
        let hex = hex.and_then(|hex| std::str::from_utf8(hex).ok());
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_of_the_configuration_is_passed_on() {
        for path in [
            "/config",
            "/config/providers",
            "//config",
            "/./config",
            "/CONFIG/",
            "/%63onfig",
            "/%2563onfig",
            "/%2Fconfig",
            "/config;x=1",
            "/config%3Fx",
            "/session/../config",
            "/session/%2e%2e/config",
            "/global/config",
            "/provider",
            "/provider/auth",
            "/auth/x",
        ] {
            assert!(is_kept(path), "{path}");
        }
    }

    #[test]
    fn the_rest_of_the_agents_routes_are_passed_on() {
        for path in
            ["/session", "/session/ses_1/message", "/permission/per_1/reply", "/event", "/pty"]
        {
            assert!(!is_kept(path), "{path}");
        }
    }
}
