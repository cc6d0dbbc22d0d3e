//! What handlers take in: who asks, what exactly, and how it may be asked again.

use std::{fmt::Display, str::FromStr, time::Duration};

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderMap, HeaderName, header, request::Parts},
};
use commands::{Accepted, Caused, CommandError, Idempotency};
use domain::{
    event::Actor,
    ids::{StreamVersion, UserId},
    stream::StreamId,
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

/// The most bytes of a request's body: the longest prompt, however it is escaped, with what goes around it.
pub(crate) const MAX_BODY: usize = 6 * MAX_TEXT_BYTES + 64 * 1024;
/// How long a read waits for what it is to include.
const PATIENCE: Duration = Duration::from_secs(2);
/// The header in which a request's id comes and goes.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header of the key under which a command is done once.
pub(crate) const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// A command over HTTP: who asks, with which body.
pub(crate) struct Asked<T> {
    pub(crate) caller: Caller,
    pub(crate) body: T,
    pub(crate) by: By,
}

/// Who asks for a command, and how it is recognised when it comes again.
pub(crate) struct By {
    pub(crate) actor: Actor,
    /// Whose what is made will be.
    pub(crate) owner: UserId,
    pub(crate) request: String,
    pub(crate) idempotency: Option<Idempotency>,
    pub(crate) if_match: Option<StreamVersion>,
}

impl By {
    /// What the command is caused by, with the texts that its events refer to.
    pub(crate) fn caused(&self, texts: Vec<SealedText>) -> Caused {
        let mut caused = Caused::by(self.actor);
        caused.request.clone_from(&self.request);
        caused.idempotency.clone_from(&self.idempotency);
        caused.if_match = self.if_match;
        caused.texts = texts;
        caused
    }

    /// Refuses where the caller believes that a stream is at another version.
    pub(crate) fn matches(&self, actual: StreamVersion) -> Answer<()> {
        match self.if_match {
            Some(expected) if expected != actual => Err(CommandError::IfMatch { actual }.into()),
            Some(_) | None => Ok(()),
        }
    }

    /// The first answer to the same request, if it comes again. Asked before anything else is looked at,
    /// because what it was decided by may be gone.
    pub(crate) async fn answered(
        &self,
        state: &AppState,
        command: &str,
        target: Option<StreamId>,
    ) -> Answer<Option<Accepted>> {
        let Some(key) = &self.idempotency else { return Ok(None) };
        let answered = state.commands.answered(self.actor, key).await;
        if let Err(CommandError::KeyReused) = answered {
            let code = "idempotency-key-reused";
            state.commands.refused(self.actor, command, target, code, &self.request).await?;
        }
        Ok(answered?)
    }

    /// Puts a refusal that no handler of commands sees on the actor's record.
    pub(crate) async fn audited<A>(
        &self,
        state: &AppState,
        command: &str,
        target: Option<StreamId>,
        answer: Answer<A>,
    ) -> Answer<A> {
        if let Err(problem) = &answer
            && let Some(code) = problem.refusal()
        {
            state.commands.refused(self.actor, command, target, code, &self.request).await?;
        }
        answer
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
            .map_err(|_| Problem::too_large("body", MAX_BODY))?;
        let by = By {
            actor: Actor::User(caller.user),
            owner: caller.user,
            request: header_text(&parts.headers, REQUEST_ID.as_str())?.unwrap_or_default(),
            idempotency: idempotency(&parts, &bytes)?,
            if_match: if_match(&parts.headers)?,
        };
        Ok(Self { caller, by, body: parse(&bytes)? })
    }
}

fn idempotency(parts: &Parts, body: &[u8]) -> Answer<Option<Idempotency>> {
    let Some(key) = header_text(&parts.headers, IDEMPOTENCY_KEY)? else { return Ok(None) };
    if key.is_empty() || key.len() > 200 {
        let words = "must have 1 to 200 characters";
        return Err(Problem::malformed(IDEMPOTENCY_KEY, words));
    }
    let mut hash = Sha256::new();
    for part in [parts.method.as_str().as_bytes(), parts.uri.path().as_bytes(), body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Ok(Some(Idempotency { key, fingerprint: hash.finalize().into() }))
}

fn if_match(headers: &HeaderMap) -> Answer<Option<StreamVersion>> {
    match header_text(headers, header::IF_MATCH.as_str())? {
        // Whatever there is, as long as there is something: every command wants that.
        Some(text) if text == "*" => Ok(None),
        Some(text) => {
            let tag = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
            let version = tag.and_then(|tag| tag.parse().ok());
            let version = version
                .ok_or_else(|| Problem::malformed("If-Match", "is not an ETag of this API"))?;
            Ok(Some(StreamVersion(version)))
        }
        None => Ok(None),
    }
}

/// A header that is not text is an error: it must not be taken for one that is not there.
fn header_text(headers: &HeaderMap, name: &str) -> Answer<Option<String>> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::malformed(name, "may be there once"));
    }
    let text = value.to_str().map_err(|_| Problem::malformed(name, "must be printable ASCII"))?;
    Ok(Some(text.to_owned()))
}

/// Parses a JSON body strictly, and names the field that is wrong.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Answer<T> {
    let bytes = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes };
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.inner();
        if inner.is_data() {
            let words = inner.to_string();
            return Problem::field(&named(&path, &words), words);
        }
        match std::str::from_utf8(bytes) {
            Ok(_) => Problem::malformed(&named(&path, ""), inner),
            Err(error) => Problem::malformed(&named(&path, ""), format!("is not UTF-8: {error}")),
        }
    })?;
    json.end().map_err(|error| Problem::malformed("body", error))?;
    Ok(parsed)
}

/// The field that an error is about: the one in its words (unknown, missing, given twice), below the one
/// that it happened in.
fn named(path: &str, words: &str) -> String {
    let field = words.split_once(" field `").and_then(|(_, rest)| rest.split('`').next());
    // The end of a path that was never read is a question mark.
    let path = path.strip_suffix('?').unwrap_or(path).trim_end_matches('.');
    match (path, field) {
        ("", None) => "body".to_owned(),
        ("", Some(field)) => field.to_owned(),
        (path, Some(field)) if path != field && !path.ends_with(&format!(".{field}")) => {
            format!("{path}.{field}")
        }
        (path, _) => path.to_owned(),
    }
}

/// A text that must say something and may be at most 1 MiB.
pub(crate) fn text(field: &str, text: String) -> Answer<String> {
    if text.trim().is_empty() {
        return Err(Problem::field(field, "must not be empty"));
    }
    if text.len() > MAX_TEXT_BYTES {
        return Err(Problem::too_large(field, MAX_TEXT_BYTES));
    }
    Ok(text)
}

/// A text of one line: a title, a name.
pub(crate) fn line(field: &str, text: &str, most: usize) -> Answer<String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Problem::field(field, "must not be empty"));
    }
    if text.chars().count() > most {
        return Err(Problem::field(field, format!("may have at most {most} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(Problem::field(field, "must be one line, without control characters"));
    }
    Ok(text.to_owned())
}

/// A number within its range.
pub(crate) fn within(field: &str, value: u32, range: std::ops::RangeInclusive<u32>) -> Answer<u32> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(Problem::field(field, format!("must be from {} to {}", range.start(), range.end())))
}

/// The segments of a path that are parameters, in order.
pub(crate) struct Segments<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segments<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(segments)) => Ok(Self(segments)),
            Err(error) => Err(Problem::malformed("path", error.body_text())),
        }
    }
}

/// The one id in a path.
pub(crate) struct Id<T>(pub(crate) T);

impl<S: Send + Sync, T: FromStr<Err: Display> + Send> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let Segments(text) = Segments::<String>::from_request_parts(parts, state).await?;
        id("id", &text).map(Self)
    }
}

/// An id in a path.
pub(crate) fn id<T: FromStr<Err: Display>>(name: &str, text: &str) -> Answer<T> {
    text.parse().map_err(|error| Problem::malformed(name, error))
}

/// The part of a list that is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// How many items, 1 to 200; 50 unless told otherwise.
    pub(crate) limit: Option<u32>,
    /// The `next` of the page before.
    pub(crate) cursor: Option<String>,
    /// `<stream>@<version>`: what the answer must include.
    pub(crate) at_least: Option<String>,
}

impl ListQuery {
    pub(crate) fn limit(&self) -> Answer<u32> {
        match self.limit.unwrap_or(50) {
            limit @ 1..=200 => Ok(limit),
            _ => Err(Problem::malformed("limit", "must be from 1 to 200")),
        }
    }
}

/// What a single read must include.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadQuery {
    /// `<stream>@<version>`: what the answer must include.
    pub(crate) at_least: Option<String>,
}

/// A query, with problems as answers.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        Query::<T>::from_request_parts(parts, state)
            .await
            .map(|Query(params)| Self(params))
            .map_err(|error| {
                // "Failed to deserialize query string: <parameter>: <words>"
                let text = error.body_text();
                let words = text.split_once(": ").map_or(text.as_str(), |(_, words)| words);
                let (path, words) = words.split_once(": ").unwrap_or((".", words));
                let field = named(path, words);
                let field = if field == "body" { "query" } else { &field };
                Problem::malformed(field, words)
            })
    }
}

impl AppState {
    /// Waits for what a read must include, for a bounded time.
    pub(crate) async fn at_least(&self, at_least: Option<&str>) -> Answer<()> {
        let Some(text) = at_least else { return Ok(()) };
        let AtLeast { stream, version } =
            text.parse().map_err(|words: &str| Problem::malformed("at_least", words))?;
        if self.views.wait_for(stream, version, PATIENCE).await? {
            return Ok(());
        }
        Err(Problem::unavailable("not-yet", "The answer does not include that version yet"))
    }
}
