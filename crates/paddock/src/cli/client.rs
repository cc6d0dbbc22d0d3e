//! The API, as the command line uses it.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use reqwest::{Method, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Server, error::CliError};

/// How a running `paddock up` is found: `server.json` in its data directory.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Announced {
    /// The server's address.
    pub(crate) url: String,
    /// The file that holds an API token of the local user.
    pub(crate) token_file: std::path::PathBuf,
}

impl Announced {
    /// Where it is written.
    pub(crate) fn path(data_dir: &Path) -> std::path::PathBuf {
        data_dir.join("server.json")
    }
}

/// A client of one server.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Client {
    /// Finds the server and the token for it.
    pub(crate) fn find(server: &Server) -> anyhow::Result<Self> {
        if let Some(url) = &server.url {
            let token = server.token.clone().ok_or_else(|| {
                CliError::usage("a server was named but no API token: set PADDOCK_TOKEN or --token")
            })?;
            return Self::new(url, &token);
        }
        let data_dir = match &server.data_dir {
            Some(dir) => dir.clone(),
            None => crate::config::default_data_dir()?,
        };
        let path = Announced::path(&data_dir);
        let announced = std::fs::read(&path).map_err(|_| {
            CliError::unreachable(format!(
                "no running server found in {}: start one with `paddock up`, or name one with \
                 --server and PADDOCK_TOKEN",
                data_dir.display()
            ))
        })?;
        let announced: Announced =
            serde_json::from_slice(&announced).with_context(|| path.display().to_string())?;
        let token = match &server.token {
            Some(token) => token.clone(),
            None => std::fs::read_to_string(&announced.token_file)
                .with_context(|| format!("cannot read {}", announced.token_file.display()))?,
        };
        Self::new(&announced.url, token.trim())
    }

    /// A client of the server at `url`.
    pub(crate) fn new(url: &str, token: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(5))
            .user_agent(concat!("paddock/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), token: token.to_owned() })
    }

    /// Reads `path` below `/api/v1`.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.json(self.request(Method::GET, path)).await
    }

    /// The server's address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Reads a text at `path` below `/api/v1`.
    pub(crate) async fn text(&self, path: &str) -> anyhow::Result<String> {
        let response = self.checked(self.request(Method::GET, path)).await?;
        response.text().await.map_err(|error| self.gone(&error).into())
    }

    /// Sends `body` to `path` below `/api/v1`, once: a repeat of the same call does nothing more.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let mut request =
            self.request(method, path).header("idempotency-key", uuid::Uuid::now_v7().to_string());
        if let Some(body) = body {
            request = request.json(body);
        }
        self.json(request).await
    }

    /// As [`send`](Self::send), refused where the stream is at another version than `version`.
    pub(crate) async fn send_at(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        version: Option<u64>,
    ) -> anyhow::Result<Value> {
        let mut request = self
            .request(method, path)
            .header("idempotency-key", uuid::Uuid::now_v7().to_string())
            .json(body);
        if let Some(version) = version {
            request = request.header(header::IF_MATCH, format!("\"{version}\""));
        }
        self.json(request).await
    }

    /// Every item of a list, page by page.
    pub(crate) async fn list(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut request = self.request(Method::GET, path).query(&[("limit", "100")]);
            if let Some(cursor) = &cursor {
                request = request.query(&[("cursor", cursor)]);
            }
            let mut page = self.json(request).await?;
            if let Value::Array(more) = page["items"].take() {
                items.extend(more);
            }
            match page["next"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(items),
            }
        }
    }

    /// Opens `path` as it is answered: a stream of events or the bytes of an artifact.
    pub(crate) async fn open(
        &self,
        path: &str,
        last_event: Option<&str>,
    ) -> anyhow::Result<reqwest::Response> {
        let mut request = self.request(Method::GET, path);
        if let Some(id) = last_event {
            request = request.header("last-event-id", id);
        }
        self.checked(request).await
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("{}/api/v1/{path}", self.url))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
    }

    async fn json(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let response = self.checked(request.timeout(Duration::from_mins(1))).await?;
        let body = response.bytes().await.map_err(|error| self.gone(&error))?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).context("the server's answer is not JSON")
    }

    async fn checked(&self, request: reqwest::RequestBuilder) -> anyhow::Result<reqwest::Response> {
        let response = request.send().await.map_err(|error| self.gone(&error))?;
        let status = response.status();
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        let problem = response.json().await.unwrap_or(Value::Null);
        Err(CliError::answered(status.as_u16(), problem).into())
    }

    fn gone(&self, error: &reqwest::Error) -> CliError {
        CliError::unreachable(format!("cannot reach {}: {error}", self.url))
    }
}
