//! The git route: smart HTTP for the run's repository only, with the forge's token added outside the
//! sandbox. A push may update the run's own branch and nothing else.

mod pktline;
mod push;

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use crate::{
    answer::{Body, Refusal, line},
    body::{Metered, Resumed, Way},
    decision::{Asked, Kind, Record},
    gateway::Door,
    model::select,
    policy::Policy,
    upstream::{Injected, Outgoing, PATIENCE, Upstream},
};

const UP: [&str; 5] = ["accept", "accept-encoding", "content-type", "git-protocol", "user-agent"];
const DOWN: [&str; 9] = [
    "cache-control",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expires",
    "pragma",
    "retry-after",
    "x-github-request-id",
];

/// What git asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The references, before a fetch or a push.
    Advertise(Service),
    /// The fetch or the push itself.
    Call(Service),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    UploadPack,
    ReceivePack,
}

impl Service {
    const fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }

    const fn rule(self) -> &'static str {
        match self {
            Self::UploadPack => "git.fetch",
            Self::ReceivePack => "git.push",
        }
    }
}

pub(crate) async fn pass(door: Door, path: &str, request: Request<Incoming>) -> Response<Body> {
    let upstream = &door.gateway.git;
    let asked = door.asked(Kind::Git, upstream.host(), upstream.port());
    let checked = door.policy().and_then(|policy| Ok((check(path, &request, &policy)?, policy)));
    let (step, policy) = match checked {
        Ok(checked) => checked,
        Err(refusal) => return door.refuse(&asked, &refusal),
    };
    let response = match step {
        Step::Call(Service::ReceivePack) => push(&door, &asked, &policy, request).await,
        Step::Advertise(service) => {
            let query = format!("service={}", service.name());
            pass_on(&door, &asked, &policy, (service, "info/refs", Some(query)), request).await
        }
        Step::Call(service) => {
            pass_on(&door, &asked, &policy, (service, service.name(), None), request).await
        }
    };
    response.unwrap_or_else(|refusal| door.refuse(&asked, &refusal))
}

/// The exact routes, taken literally: no escapes, no dots, no second spelling of anything.
fn check<B>(path: &str, request: &Request<B>, policy: &Policy) -> Result<Step, Refusal> {
    let (owner, name, rest) = split(path).ok_or_else(no_route)?;
    let same = owner.eq_ignore_ascii_case(policy.repo.owner())
        && name.eq_ignore_ascii_case(policy.repo.name());
    if !same {
        return Err(Refusal::new(
            "git.repository",
            format!("this run may reach the repository {} only", policy.repo),
        ));
    }
    let step = match (rest, request.uri().query()) {
        ("info/refs", Some("service=git-upload-pack")) => Step::Advertise(Service::UploadPack),
        ("info/refs", Some("service=git-receive-pack")) => Step::Advertise(Service::ReceivePack),
        ("git-upload-pack", None) => Step::Call(Service::UploadPack),
        ("git-receive-pack", None) => Step::Call(Service::ReceivePack),
        _ => return Err(no_route()),
    };
    let method = match step {
        Step::Advertise(_) => Method::GET,
        Step::Call(_) => Method::POST,
    };
    if request.method() != method {
        return Err(Refusal::new("git.method", format!("this path takes {method} only"))
            .with_status(StatusCode::METHOD_NOT_ALLOWED));
    }
    if let Step::Call(service) = step {
        let wanted = format!("application/x-{}-request", service.name());
        let given = request.headers().get(header::CONTENT_TYPE);
        if given.is_none_or(|given| given.as_bytes() != wanted.as_bytes()) {
            return Err(Refusal::new(
                "git.content-type",
                format!("the content type is not {wanted}"),
            )
            .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
    }
    Ok(step)
}

fn no_route() -> Refusal {
    Refusal::new("git.route", "not a request of git's smart HTTP protocol")
        .with_status(StatusCode::NOT_FOUND)
}

/// `owner/name.git/rest`.
fn split(path: &str) -> Option<(&str, &str, &str)> {
    let (owner, rest) = path.split_once('/')?;
    let (name, rest) = rest.split_once('/')?;
    Some((owner, name.strip_suffix(".git")?, rest))
}

async fn pass_on(
    door: &Door,
    asked: &Asked,
    policy: &Policy,
    (service, path, query): (Service, &str, Option<String>),
    request: Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    let credential = credential(door, policy).await?;
    let record = door.allow(asked, service.rule())?;
    let (parts, body) = request.into_parts();
    let mut headers = select(&parts.headers, &UP);
    if let Some(encoding) = parts.headers.get(header::CONTENT_ENCODING) {
        headers.insert(header::CONTENT_ENCODING, encoding.clone());
    }
    let outgoing = Outgoing {
        method: parts.method,
        path: repository_path(policy, path),
        query,
        headers,
        body: reqwest::Body::wrap(Metered::new(body, record.clone(), Way::Up, PATIENCE)),
        credential,
    };
    Ok(send(&door.gateway.git, outgoing, &record).await)
}

/// Reads the list of updates at the head of the body, and passes the rest on unread.
async fn push(
    door: &Door,
    asked: &Asked,
    policy: &Policy,
    request: Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    let (parts, mut body) = request.into_parts();
    let encoding = parts.headers.get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != HeaderValue::from_static("identity")) {
        // git compresses what it asks for in a fetch, never a push.
        return Err(Refusal::new("git.encoding", "a compressed push cannot be read")
            .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let head = match push::read_head(&mut body, &policy.branch, door.gateway.limits.updates).await {
        Ok(head) => head,
        Err(refusal) => {
            push::drain(body).await;
            return Err(refusal);
        }
    };
    let credential = match credential(door, policy).await {
        Ok(credential) => credential,
        Err(refusal) => {
            push::drain(body).await;
            return Err(refusal);
        }
    };
    let record = door.allow(asked, Service::ReceivePack.rule())?;
    let body = Metered::new(Resumed::new(head, body), record.clone(), Way::Up, PATIENCE);
    let outgoing = Outgoing {
        method: parts.method,
        path: repository_path(policy, Service::ReceivePack.name()),
        query: None,
        headers: select(&parts.headers, &UP),
        body: reqwest::Body::wrap(body),
        credential,
    };
    Ok(send(&door.gateway.git, outgoing, &record).await)
}

/// What the request carries in place of the gateway's own token.
async fn credential(door: &Door, policy: &Policy) -> Result<Option<Arc<Injected>>, Refusal> {
    match policy.credential {
        Some(of) => door.gateway.credentials.of_run(door.run, of).await.map(Some),
        None => Ok(None),
    }
}

/// The policy's own spelling of the repository, not the client's.
fn repository_path(policy: &Policy, path: &str) -> String {
    format!("{}.git/{path}", policy.repo)
}

async fn send(upstream: &Upstream, outgoing: Outgoing, record: &Record) -> Response<Body> {
    let whose = if outgoing.credential.is_some() { "run's credential" } else { "gateway's token" };
    let response = upstream.pass(outgoing, keeps, record).await;
    if response.status() != StatusCode::UNAUTHORIZED {
        return response;
    }
    // Not the sandbox's credential to give: a 401 would only make git ask for one.
    record.status(StatusCode::FORBIDDEN.as_u16());
    line(StatusCode::FORBIDDEN, &format!("paddock: the forge does not accept the {whose}"))
}

fn keeps(name: &HeaderName) -> bool {
    DOWN.contains(&name.as_str())
}
