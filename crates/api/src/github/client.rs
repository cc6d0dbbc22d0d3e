use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use commands::Clock;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header::IF_NONE_MATCH};
use http_body_util::{BodyExt as _, Limited, combinators::BoxBody};
use octocrab::Octocrab;
use serde::Serialize;
use url::Url;

use super::{GitHubError, answer::Answer};

/// The longest that one request may take, its answer's body included.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The longest that connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How often a request that changes nothing is tried.
const ATTEMPTS: u32 = 3;
/// The first wait between two tries; the next is twice as long.
const WAIT: Duration = Duration::from_millis(250);
/// The most bytes of an answer.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// A client of GitHub's REST API. Cheap to clone.
#[derive(Clone)]
pub struct GitHub {
    octocrab: Octocrab,
    clock: Arc<dyn Clock>,
    api_url: Url,
    has_token: bool,
}

impl GitHub {
    /// A client of the API at `api_url`, with a token if there is one. Must be called within a runtime.
    pub fn new(
        api_url: &Url,
        token: Option<&str>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, octocrab::Error> {
        let mut builder = Octocrab::builder()
            .base_uri(api_url.as_str().trim_end_matches('/'))?
            .add_header(HeaderName::from_static("x-github-api-version"), "2022-11-28".to_owned())
            .set_connect_timeout(Some(CONNECT))
            .set_read_timeout(Some(TIMEOUT))
            .set_write_timeout(Some(TIMEOUT));
        if let Some(token) = token {
            builder = builder.personal_token(token.to_owned());
        }
        let (api_url, has_token) = (api_url.clone(), token.is_some());
        Ok(Self { octocrab: builder.build()?, clock, api_url, has_token })
    }

    /// The same API with another token. Must be called within a runtime.
    pub fn with_token(&self, token: &str) -> Result<Self, GitHubError> {
        // A token with a line's end in it would panic below.
        if HeaderValue::from_str(token).is_err() {
            return Err(GitHubError::Unauthorised);
        }
        Self::new(&self.api_url, Some(token), self.clock.clone())
            .map_err(|error| unavailable(&error))
    }

    /// Whether it has a token of the installation's own.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.has_token
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Gets, and tries again where GitHub failed in passing.
    pub(super) async fn get(&self, path: &str) -> Result<Answer, GitHubError> {
        let mut wait = WAIT;
        for _ in 1..ATTEMPTS {
            match self.once(self.octocrab._get(path)).await {
                Ok(answer) if !answer.is_passing() => return Ok(answer),
                Ok(_) | Err(_) => tokio::time::sleep(wait).await,
            }
            wait *= 2;
        }
        self.once(self.octocrab._get(path)).await
    }

    /// Whether it answers, by the one question that counts against no limit, asked once. Fails too where it
    /// refuses the credential.
    pub async fn reach(&self) -> Result<(), GitHubError> {
        let answer = self.once(self.octocrab._get("/rate_limit")).await?;
        match answer.json::<serde_json::Value>(self.now()) {
            // Not every forge limits rates, and not every limit is a failure.
            Ok(_)
            | Err(
                GitHubError::NotFound
                | GitHubError::Forbidden { .. }
                | GitHubError::RateLimited { .. }
                | GitHubError::Unreadable { .. }
                | GitHubError::Rejected { .. },
            ) => Ok(()),
            Err(
                error @ (GitHubError::Unauthorised
                | GitHubError::Withheld { .. }
                | GitHubError::Unavailable { .. }),
            ) => Err(error),
        }
    }

    /// Gets once, unless it is still the edition of that name.
    pub(super) async fn get_unless(
        &self,
        path: &str,
        edition: Option<&str>,
    ) -> Result<Answer, GitHubError> {
        let edition = edition.and_then(|edition| HeaderValue::from_str(edition).ok());
        let headers = edition.map(|edition| HeaderMap::from_iter([(IF_NONE_MATCH, edition)]));
        self.once(self.octocrab._get_with_headers(path, headers)).await
    }

    /// Gets once: an answer that is none is what whoever asks wants to know.
    pub(super) async fn look(&self, path: &str) -> Result<Answer, GitHubError> {
        self.once(self.octocrab._get(path)).await
    }

    /// Deletes once.
    pub(super) async fn delete(&self, path: &str) -> Result<Answer, GitHubError> {
        self.once(self.octocrab._delete(path, None::<&()>)).await
    }

    /// Posts once: whoever calls this finds out by other means whether it took effect.
    pub(super) async fn post(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Answer, GitHubError> {
        self.once(self.octocrab._post(path, Some(body))).await
    }

    async fn once(
        &self,
        request: impl Future<
            Output = Result<Response<BoxBody<Bytes, octocrab::Error>>, octocrab::Error>,
        >,
    ) -> Result<Answer, GitHubError> {
        let read = async {
            let response = request.await.map_err(|error| unavailable(&error))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            let body = body.map_err(|error| unavailable(&*error))?.to_bytes().to_vec();
            Ok(Answer { status: parts.status, headers: parts.headers, body })
        };
        let timed_out = GitHubError::Unavailable { detail: "no answer in time".to_owned() };
        tokio::time::timeout(TIMEOUT, read).await.unwrap_or(Err(timed_out))
    }
}

/// What went wrong on the way, without the stack trace that the client's own `Display` adds.
fn unavailable(error: &dyn std::error::Error) -> GitHubError {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let words = innermost.to_string();
    GitHubError::Unavailable { detail: words.lines().next().unwrap_or_default().to_owned() }
}
