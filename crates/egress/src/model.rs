//! The model route: an OpenAI-compatible API, with the provider's key added outside the sandbox.
//! Bodies pass as they come, both ways; a client that hangs up ends the provider's call too.

use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::{
    answer::{Body, Refusal},
    body::{Metered, Way},
    decision::Kind,
    gateway::Door,
    upstream::{Outgoing, PATIENCE},
};

/// What may be asked of the provider: nothing that lists, stores or bills.
const PATHS: [(&str, Method); 5] = [
    ("chat/completions", Method::POST),
    ("completions", Method::POST),
    ("responses", Method::POST),
    ("embeddings", Method::POST),
    ("models", Method::GET),
];

/// The client's headers that the provider gets. Whatever may be a credential is not among them, and
/// no encoding is asked for, so that an answer can be read on its way.
const UP: [&str; 5] = ["accept", "content-type", "user-agent", "x-session-id", "idempotency-key"];

/// The provider's headers that the client gets, beside those that begin with one of [`DOWN_PREFIXES`].
const DOWN: [&str; 8] = [
    "cache-control",
    "content-length",
    "content-type",
    "date",
    "retry-after",
    "retry-after-ms",
    "x-request-id",
    "x-should-retry",
];
const DOWN_PREFIXES: [&str; 2] = ["x-ratelimit-", "openai-processing-"];

pub(crate) async fn pass(door: Door, path: &str, request: Request<Incoming>) -> Response<Body> {
    let Some(upstream) = &door.gateway.model else {
        let refusal =
            Refusal::new("model.none", "no model is configured").with_status(StatusCode::NOT_FOUND);
        return door.refuse(&door.asked(Kind::Model, "", 0), &refusal);
    };
    let asked = door.asked(Kind::Model, upstream.host(), upstream.port());
    let allowed = door
        .policy()
        .and_then(|_| check(path, &request))
        .and_then(|()| door.allow(&asked, "model"));
    let record = match allowed {
        Ok(record) => record,
        Err(refusal) => return door.refuse(&asked, &refusal),
    };
    let (parts, body) = request.into_parts();
    let outgoing = Outgoing {
        method: parts.method,
        path: path.to_owned(),
        query: None,
        headers: select(&parts.headers, &UP),
        body: reqwest::Body::wrap(Metered::new(body, record.clone(), Way::Up, PATIENCE)),
        credential: None,
    };
    upstream.pass(outgoing, keeps, &record).await
}

fn check(path: &str, request: &Request<Incoming>) -> Result<(), Refusal> {
    let known = PATHS.iter().find(|(known, _)| *known == path);
    let Some((_, method)) = known else {
        return Err(Refusal::new("model.path", "the model route has no such path")
            .with_status(StatusCode::NOT_FOUND));
    };
    if request.method() != method {
        return Err(Refusal::new("model.method", format!("this path takes {method} only"))
            .with_status(StatusCode::METHOD_NOT_ALLOWED));
    }
    if request.uri().query().is_some() {
        return Err(Refusal::new("model.query", "the model route takes no query"));
    }
    Ok(())
}

fn keeps(name: &HeaderName) -> bool {
    DOWN.contains(&name.as_str())
        || DOWN_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix))
}

/// These headers and no others.
pub(crate) fn select(headers: &HeaderMap, names: &[&str]) -> HeaderMap {
    let kept = headers.iter().filter(|(name, _)| names.contains(&name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}
