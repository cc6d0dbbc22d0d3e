use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Method, Request, Response, Uri, header},
};
use base64::Engine as _;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::{
    config::Config,
    failure::{Failure, Step},
};

/// A request sent just after the port opens is never answered: each try is short.
const TRY: Duration = Duration::from_secs(1);
/// The most bytes read of an answer that is not passed on.
const MAX_ANSWER: usize = 1024 * 1024;
/// Status, permissions and events are kept by directory.
const DIRECTORY: HeaderName = HeaderName::from_static("x-opencode-directory");

/// The HTTP API of one agent process.
#[derive(Clone)]
pub(super) struct Client {
    http: legacy::Client<HttpConnector, Body>,
    port: u16,
    authorization: HeaderValue,
    directory: HeaderValue,
}

impl Client {
    pub(super) fn new(config: &Config, port: u16, password: &str) -> Step<Self> {
        let user = base64::engine::general_purpose::STANDARD.encode(format!("opencode:{password}"));
        let mut authorization =
            HeaderValue::from_str(&format!("Basic {user}")).map_err(Failure::other)?;
        authorization.set_sensitive(true);
        let directory = config.repository();
        let directory =
            HeaderValue::from_str(&directory.to_string_lossy()).map_err(Failure::other)?;
        let http = legacy::Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { http, port, authorization, directory })
    }

    /// Sends a request, whose target is a path with its query, as the workspace's own.
    pub(super) async fn send(
        &self,
        target: &str,
        mut request: Request<Body>,
    ) -> Step<Response<Incoming>> {
        *request.uri_mut() = Uri::try_from(format!("http://127.0.0.1:{}{target}", self.port))
            .map_err(Failure::other)?;
        request.headers_mut().insert(header::AUTHORIZATION, self.authorization.clone());
        request.headers_mut().insert(DIRECTORY, self.directory.clone());
        self.http.request(request).await.map_err(Failure::agent)
    }

    /// Its version, if it answers now.
    pub(super) async fn health(&self) -> Option<String> {
        let answer = timeout(TRY, self.ask(Method::GET, "/global/health")).await.ok()??;
        Some(answer["version"].as_str().unwrap_or("unknown").to_owned())
    }

    /// Aborts every turn: what its shell started ends with it.
    pub(super) async fn abort_all(&self) {
        let busy = self.ask(Method::GET, "/session/status").await;
        let busy: Map<String, Value> =
            busy.and_then(|busy| busy.as_object().cloned()).unwrap_or_default();
        for id in
            busy.keys().filter(|id| id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
        {
            self.ask(Method::POST, &format!("/session/{id}/abort")).await;
        }
    }

    /// Ends its instances, so that they write what they hold.
    pub(super) async fn dispose(&self) {
        self.ask(Method::POST, "/global/dispose").await;
    }

    async fn ask(&self, method: Method, target: &str) -> Option<Value> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        let answer = self.send(target, request).await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.ok()?;
        serde_json::from_slice(&body.to_bytes()).ok()
    }
}
