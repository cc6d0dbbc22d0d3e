//! The client of the control plane's listener for gateways.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, header};
use reqwest::{RequestBuilder, Response, StatusCode};
use url::Url;

use crate::config::Secret;

/// Why the control plane gave no answer that counts. Never holds the token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    #[error("the control plane cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("the control plane answered {0}")]
    Status(StatusCode),
}

impl ControlError {
    pub(crate) fn unreachable(error: reqwest::Error) -> Self {
        Self::Unreachable(error.without_url())
    }
}

#[derive(Clone)]
pub(crate) struct Control {
    http: reqwest::Client,
    base: Arc<str>,
}

impl Control {
    pub(crate) fn new(base: &Url, token: &Secret) -> Result<Self, crate::Error> {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| crate::Error::Credential("control token"))?;
        bearer.set_sensitive(true);
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(2))
            .default_headers(HeaderMap::from_iter([(header::AUTHORIZATION, bearer)]))
            .build()?;
        Ok(Self { http, base: base.as_str().trim_end_matches('/').into() })
    }

    /// A path below the listener's URL.
    pub(crate) fn url(&self, path: &str) -> Url {
        let text = format!("{}/{path}", self.base);
        Url::parse(&text).expect("a URL with a fixed path behind it is a URL")
    }

    pub(crate) fn get(&self, url: Url) -> RequestBuilder {
        self.http.get(url)
    }

    pub(crate) fn post(&self, url: Url) -> RequestBuilder {
        self.http.post(url)
    }

    /// Sends, whatever the status of the answer is.
    pub(crate) async fn send_any(&self, request: RequestBuilder) -> Result<Response, ControlError> {
        request.send().await.map_err(ControlError::unreachable)
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, ControlError> {
        let answer = self.send_any(request).await?;
        let status = answer.status();
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            Ok(answer)
        } else {
            Err(ControlError::Status(status))
        }
    }
}
