//! What the sandbox gets to read when something is not passed on: one line that says why.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Full, combinators::UnsyncBoxBody};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Body = UnsyncBoxBody<Bytes, BodyError>;

/// A body that ends before its end.
#[derive(Debug, thiserror::Error)]
#[error("a body ended early")]
pub(crate) struct BodyError(#[source] pub(crate) BoxError);

/// A body of these bytes.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// Why something is refused: the rule for the record, the line for the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) rule: &'static str,
    pub(crate) detail: String,
    /// For the record: the address that stands against it.
    pub(crate) address: Option<IpAddr>,
}

impl Refusal {
    pub(crate) fn new(rule: &'static str, detail: impl Into<String>) -> Self {
        Self { status: StatusCode::FORBIDDEN, rule, detail: detail.into(), address: None }
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn about(mut self, address: IpAddr) -> Self {
        self.address = Some(address);
        self
    }

    pub(crate) fn response(&self) -> Response<Body> {
        line(self.status, &format!("paddock: refused: {} (rule {})", self.detail, self.rule))
    }
}

/// One line of plain text.
pub(crate) fn line(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(full(format!("{text}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
