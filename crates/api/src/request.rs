//! What handlers take in: who asks, what exactly, and how it may be asked again.

use std::{fmt::Display, str::FromStr, time::Duration};

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
};
use commands::{Caused, Idempotency};
use domain::{
    event::Actor,
    ids::StreamVersion,
    text::{MAX_TEXT_BYTES, SealedText},
};
use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use utoipa::IntoParams;

use crate::{
    access::Caller,
    problem::{Answer, Problem},
    state::{AppState, AtLeast},
};

/// The most bytes of a request's body: a prompt, escaped, with what goes around it.
pub(crate) const MAX_BODY: usize = 2 * MAX_TEXT_BYTES + 64 * 1024;
/// How long a read waits for what it is to include.
const PATIENCE: Duration = Duration::from_secs(2);
/// The header in which a request's id comes and goes.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// A command: who asks, with which body, how it is recognised when it comes again.
pub(crate) struct Asked<T> {
    pub(crate) caller: Caller,
    pub(crate) body: T,
    request: String,
    idempotency: Option<Idempotency>,
    if_match: Option<StreamVersion>,
}

impl<T> Asked<T> {
    /// What the command is caused by, with the texts that its events refer to.
    pub(crate) fn caused(&self, texts: Vec<SealedText>) -> Caused {
        let mut caused = Caused::by(Actor::User(self.caller.user));
        caused.request.clone_from(&self.request);
        caused.idempotency.clone_from(&self.idempotency);
        caused.if_match = self.if_match;
        caused.texts = texts;
        caused
    }
}

/// The body of a command that takes none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

impl<T: DeserializeOwned> FromRequest<AppState> for Asked<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Answer<Self> {
        let (mut parts, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, state).await?;
        let bytes = Bytes::from_request(Request::from_parts(parts.clone(), body), state)
            .await
            .map_err(|_| Problem::too_large("body"))?;
        Ok(Self {
            caller,
            request: header_text(&parts.headers, REQUEST_ID).unwrap_or_default(),
            idempotency: idempotency(&parts, &bytes)?,
            if_match: if_match(&parts.headers)?,
            body: parse(&bytes)?,
        })
    }
}

fn idempotency(parts: &Parts, body: &[u8]) -> Answer<Option<Idempotency>> {
    let Some(key) = header_text(&parts.headers, "idempotency-key") else { return Ok(None) };
    if key.is_empty() || key.len() > 200 {
        let status = StatusCode::BAD_REQUEST;
        return Err(Problem::invalid(status, "Idempotency-Key", "must have 1 to 200 characters"));
    }
    let mut hash = Sha256::new();
    let method: &Method = &parts.method;
    for part in [method.as_str().as_bytes(), parts.uri.path().as_bytes(), body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Ok(Some(Idempotency { key, fingerprint: hash.finalize().into() }))
}

fn if_match(headers: &HeaderMap) -> Answer<Option<StreamVersion>> {
    let Some(text) = header_text(headers, header::IF_MATCH.as_str()) else { return Ok(None) };
    let version = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')?.parse().ok());
    let wrong = || Problem::invalid(StatusCode::BAD_REQUEST, "If-Match", "is not an ETag of ours");
    version.map(|version| Some(StreamVersion(version))).ok_or_else(wrong)
}

fn header_text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// Parses a JSON body strictly, and names the field that is wrong.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Answer<T> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Problem::invalid(StatusCode::BAD_REQUEST, "body", format!("is not UTF-8: {error}"))
    })?;
    let text = if text.trim().is_empty() { "{}" } else { text };
    let mut json = serde_json::Deserializer::from_str(text);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let words = error.inner().to_string();
        let status = if error.inner().is_data() {
            StatusCode::UNPROCESSABLE_ENTITY
        } else {
            StatusCode::BAD_REQUEST
        };
        let path = error.path().to_string();
        let named = words.split('`').nth(1).filter(|_| words.contains(" field `"));
        let field = match (path.as_str(), named) {
            (".", Some(field)) => field.to_owned(),
            (".", None) => "body".to_owned(),
            (path, _) => path.to_owned(),
        };
        Problem::invalid(status, &field, words)
    })?;
    json.end().map_err(|error| Problem::invalid(StatusCode::BAD_REQUEST, "body", error))?;
    Ok(parsed)
}

/// A text that must say something and may be at most 1 MiB.
pub(crate) fn text(field: &str, text: String) -> Answer<String> {
    if text.trim().is_empty() {
        return Err(Problem::field(field, "must not be empty"));
    }
    if text.len() > MAX_TEXT_BYTES {
        return Err(Problem::too_large(field));
    }
    Ok(text)
}

/// A number within its range.
pub(crate) fn within(field: &str, value: u32, range: std::ops::RangeInclusive<u32>) -> Answer<u32> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(Problem::field(field, format!("must be from {} to {}", range.start(), range.end())))
}

/// The one id in a path.
pub(crate) struct Id<T>(pub(crate) T);

impl<S: Send + Sync, T: FromStr<Err: Display> + Send> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::invalid(StatusCode::BAD_REQUEST, "id", error))?;
        let wrong = |error| Problem::invalid(StatusCode::BAD_REQUEST, "id", error);
        text.parse().map(Self).map_err(wrong)
    }
}

/// The part of a list that is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// How many items, 1 to 200.
    pub(crate) limit: Option<u32>,
    /// The `next` of the page before.
    pub(crate) cursor: Option<String>,
    /// `<stream>@<version>`: what the answer must include.
    pub(crate) at_least: Option<String>,
}

impl ListQuery {
    pub(crate) fn limit(&self) -> Answer<u32> {
        let wrong = |_| Problem::invalid(StatusCode::BAD_REQUEST, "limit", "must be from 1 to 200");
        within("limit", self.limit.unwrap_or(50), 1..=200).map_err(wrong)
    }
}

/// What a single read must include.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReadQuery {
    /// `<stream>@<version>`: what the answer must include.
    pub(crate) at_least: Option<String>,
}

/// A query, with problems as answers.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let Query(params) =
            Query::<T>::from_request_parts(parts, state).await.map_err(|error| {
                Problem::invalid(StatusCode::BAD_REQUEST, "query", error.body_text())
            })?;
        Ok(Self(params))
    }
}

impl AppState {
    /// Waits for what a read must include, for a bounded time.
    pub(crate) async fn at_least(&self, at_least: Option<&str>) -> Answer<()> {
        let Some(text) = at_least else { return Ok(()) };
        let AtLeast { stream, version } = text
            .parse()
            .map_err(|words| Problem::invalid(StatusCode::BAD_REQUEST, "at_least", words))?;
        if self.views.wait_for(stream, version, PATIENCE).await? {
            return Ok(());
        }
        Err(Problem::unavailable("not-yet", "The answer does not include that version yet"))
    }
}
