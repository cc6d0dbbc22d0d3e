//! OpenCode's HTTP API, passed on to the sidecar. The password is added here and stays here.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderName, HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};

use crate::{
    failure::{Failure, Step},
    server::Harness,
};

/// Connection headers (RFC 9110, section 7.6.1) and the caller's own identity.
const STRIPPED: [HeaderName; 7] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::HOST,
    header::AUTHORIZATION,
];

/// Passes a request on, and its answer back as it comes.
pub(crate) async fn to_agent(
    State(harness): State<Arc<Harness>>,
    Path(path): Path<String>,
    mut request: Request,
) -> Step<Response> {
    // It answers provider keys in clear.
    if path == "config" || path.starts_with("config/") {
        return Err(Failure::agent("the configuration is not passed on"));
    }
    let running =
        harness.agents.address().await.ok_or_else(|| Failure::agent("it is not running"))?;
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    *request.uri_mut() = Uri::try_from(format!("http://{}/{path}{query}", running.at))
        .map_err(Failure::other)?;
    for name in STRIPPED {
        request.headers_mut().remove(name);
    }
    let directory = harness.config.repository();
    let directory = HeaderValue::from_str(&directory.to_string_lossy()).map_err(Failure::other)?;
    request.headers_mut().insert("x-opencode-directory", directory);
    let authorization = HeaderValue::from_str(&running.authorization).map_err(Failure::other)?;
    request.headers_mut().insert(header::AUTHORIZATION, authorization);
    let mut answer = running.client.request(request).await.map_err(Failure::agent)?.map(Body::new);
    for name in STRIPPED {
        answer.headers_mut().remove(name);
    }
    Ok(answer.into_response())
}
