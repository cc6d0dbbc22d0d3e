use std::time::Duration;

use openidconnect::{HttpRequest, HttpResponse};

/// How long the provider may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most bytes of an answer.
const MOST: usize = 1024 * 1024;

/// Why there is no answer of the provider.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("cannot reach the provider")]
    Send(#[from] reqwest::Error),
    #[error("the provider's answer is no HTTP")]
    Form(#[from] ::http::Error),
    #[error("the provider's answer is larger than {MOST} bytes")]
    TooLarge,
    #[error("the provider answers {0}")]
    Status(u16),
}

/// Asks the provider. It follows no redirects: the addresses are the provider's own, and nobody else's.
#[derive(Clone)]
pub(super) struct Http(reqwest::Client);

impl Http {
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("paddock/", env!("CARGO_PKG_VERSION")));
        Ok(Self(client.build()?))
    }

    pub(super) async fn send(self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let mut answer = self.0.execute(request.try_into()?).await?;
        if answer.status().is_server_error() {
            return Err(HttpError::Status(answer.status().as_u16()));
        }
        let mut built = ::http::Response::builder().status(answer.status());
        if let Some(headers) = built.headers_mut() {
            headers.clone_from(answer.headers());
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MOST {
                return Err(HttpError::TooLarge);
            }
        }
        Ok(built.body(body)?)
    }

    /// Gets what only the bearer of a token is told.
    pub(super) async fn get(self, url: &str, token: &str) -> Result<serde_json::Value, HttpError> {
        let request = ::http::Request::get(url)
            .header("authorization", format!("Bearer {token}"))
            .header("accept", "application/json")
            .body(vec![])?;
        let answer = self.send(request).await?;
        if !answer.status().is_success() {
            return Err(HttpError::Status(answer.status().as_u16()));
        }
        Ok(serde_json::from_slice(answer.body()).unwrap_or_default())
    }
}
