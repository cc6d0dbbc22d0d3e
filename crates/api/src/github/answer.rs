use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::GitHubError;

/// How long to wait where a rate limit says nothing about it.
const DEFAULT_WAIT: TimeDelta = TimeDelta::seconds(60);
/// The most bytes of GitHub's words that are passed on.
const MAX_WORDS: usize = 2_000;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// The number of the next page, if there is one.
    pub next: Option<u32>,
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Words {
    message: String,
    errors: Vec<Value>,
}

impl Answer {
    /// The answer's JSON, or why there is none.
    pub(super) fn json<T: DeserializeOwned>(self, now: DateTime<Utc>) -> Result<T, GitHubError> {
        self.ok(now)?.parse()
    }

    /// A page of a list, or why there is none.
    pub(super) fn page<T: DeserializeOwned>(
        self,
        now: DateTime<Utc>,
    ) -> Result<Page<T>, GitHubError> {
        let answer = self.ok(now)?;
        let next = answer.headers.get(header::LINK).and_then(|link| next_page(link.to_str().ok()?));
        Ok(Page { items: answer.parse()?, next })
    }

    /// Whether it was done, whatever else it says.
    pub(super) fn done(self, now: DateTime<Utc>) -> Result<(), GitHubError> {
        self.ok(now).map(|_| ())
    }

    /// Whether it may be worth asking again at once.
    pub(super) fn is_passing(&self) -> bool {
        self.status.is_server_error()
    }

    fn parse<T: DeserializeOwned>(&self) -> Result<T, GitHubError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| GitHubError::Unreadable { detail: error.to_string() })
    }

    fn ok(self, now: DateTime<Utc>) -> Result<Self, GitHubError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let words: Words = serde_json::from_slice(&self.body).unwrap_or_default();
        let mut message = words.message;
        message.truncate(message.floor_char_boundary(MAX_WORDS));
        if message.is_empty() {
            let _ = write!(message, "status {}", self.status.as_u16());
        }
        Err(match self.status {
            StatusCode::UNAUTHORIZED => GitHubError::Unauthorised,
            StatusCode::NOT_FOUND | StatusCode::GONE => GitHubError::NotFound,
            StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
                match rate_limited(self.status, &self.headers, now) {
                    Some(until) => GitHubError::RateLimited { until },
                    None => GitHubError::Forbidden { message },
                }
            }
            status if status.is_client_error() => {
                let errors = words.errors.iter().take(20).map(field_error).collect();
                GitHubError::Rejected { message, errors }
            }
            _ => GitHubError::Unavailable { detail: message },
        })
    }
}

/// Until when, if the refusal is one of a rate limit: a primary one (nothing remains) or a secondary one
/// (it says when to come back).
fn rate_limited(
    status: StatusCode,
    headers: &HeaderMap,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let number =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()?.parse::<i64>().ok());
    if let Some(seconds) = number("retry-after") {
        return now.checked_add_signed(TimeDelta::try_seconds(seconds)?);
    }
    if number("x-ratelimit-remaining") == Some(0) {
        let reset = number("x-ratelimit-reset").and_then(|at| DateTime::from_timestamp(at, 0));
        return Some(reset.unwrap_or(now + DEFAULT_WAIT));
    }
    (status == StatusCode::TOO_MANY_REQUESTS).then(|| now + DEFAULT_WAIT)
}

fn field_error(error: &Value) -> String {
    let text = |name: &str| error.get(name).and_then(Value::as_str);
    let mut words = match (error.as_str(), text("message"), text("field"), text("code")) {
        (Some(words), ..) | (None, Some(words), ..) => words.to_owned(),
        (None, None, Some(field), Some(code)) => format!("{field} {code}"),
        _ => error.to_string(),
    };
    words.truncate(words.floor_char_boundary(MAX_WORDS));
    words
}

/// The page that a `Link` header calls the next one.
fn next_page(link: &str) -> Option<u32> {
    let next = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    let address = next.split_once('<')?.1.split_once('>')?.0;
    let query = address.split_once('?')?.1;
    query.split('&').find_map(|pair| pair.strip_prefix("page="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn failed(status: u16, headers: &[(&'static str, &str)], body: &str) -> GitHubError {
        let headers = headers
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), value.parse().unwrap()));
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            body: body.as_bytes().to_vec(),
        };
        answer.json::<Value>(NOW).unwrap_err()
    }

    #[test]
    fn a_rate_limit_is_told_apart_from_a_missing_right() {
        let until = |seconds| GitHubError::RateLimited { until: NOW + TimeDelta::seconds(seconds) };
        let used_up = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "120")];
        assert_eq!(failed(403, &used_up, "{}"), until(120));
        assert_eq!(failed(403, &[("retry-after", "7")], "{}"), until(7));
        assert_eq!(failed(429, &[], "not even JSON"), until(60));
        let missing = GitHubError::Forbidden { message: "Resource not accessible".into() };
        let left = [("x-ratelimit-remaining", "4999")];
        assert_eq!(failed(403, &left, r#"{"message":"Resource not accessible"}"#), missing);
    }

    #[test]
    fn what_is_said_of_single_fields_is_kept() {
        let body = r#"{"message":"Validation Failed","errors":[
            {"resource":"PullRequest","code":"custom","message":"No commits between main and x"},
            {"resource":"PullRequest","field":"head","code":"invalid"}, "plain"]}"#;
        let GitHubError::Rejected { message, errors } = failed(422, &[], body) else { panic!() };
        assert_eq!(message, "Validation Failed");
        assert_eq!(errors, ["No commits between main and x", "head invalid", "plain"]);
        let words = failed(422, &[], body).in_words();
        assert!(words.ends_with("(No commits between main and x; head invalid; plain)"));
    }

    #[test]
    fn the_next_page_is_read_from_the_link() {
        let link = "<https://x/repositories/1/issues?per_page=50&page=1>; rel=\"prev\", \
                    <https://x/repositories/1/issues?per_page=50&page=3>; rel=\"next\"";
        assert_eq!(next_page(link), Some(3));
        assert_eq!(next_page("<https://x?page=1>; rel=\"last\""), None);
    }
}
