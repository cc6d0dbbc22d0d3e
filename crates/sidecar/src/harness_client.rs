//! The harness, as the sidecar asks it. Every answer is bounded.

use std::{path::Path, time::Duration};

use futures::StreamExt as _;
use harness::wire::{
    Changes, ChangesRequest, CloneRequest, Cloned, CommitRequest, Committed, GatewayRequest,
    ProbeReport, ProbeRequest, PushReport, PushRequest, RestoreQuery, Restored, Snapshot,
    StartRequest, Status, StepError,
};
use reqwest::{Body, Method, Response};
use serde::{Serialize, de::DeserializeOwned};

use crate::SidecarError;

/// The most bytes of a JSON answer.
pub(crate) const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// How long a step on the workspace may take.
const STEP: Duration = Duration::from_mins(15);

/// Asks one harness.
#[derive(Clone)]
pub(crate) struct Harness {
    http: reqwest::Client,
}

type Answer<T> = Result<T, SidecarError>;

impl Harness {
    /// The harness behind a socket, which need not be there yet.
    pub(crate) fn at(socket: &Path) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder().unix_socket(socket).no_proxy().build()?;
        Ok(Self { http })
    }

    /// A client of the agent's own API behind it.
    pub(crate) fn agent(&self) -> crate::opencode::Client {
        crate::opencode::Client::new(self.http.clone(), "http://harness/v1/agent/http")
    }

    pub(crate) async fn status(&self) -> Answer<Status> {
        let request = self.request(Method::GET, "status").timeout(Duration::from_secs(5));
        read(request.send().await).await
    }

    pub(crate) async fn gateway(&self, request: &GatewayRequest) -> Answer<()> {
        let request = self.request(Method::POST, "gateway").json(request);
        let answer = request.timeout(Duration::from_secs(5)).send().await;
        answer.and_then(Response::error_for_status).map(drop).map_err(SidecarError::Harness)
    }

    pub(crate) async fn probe(&self, request: &ProbeRequest) -> Answer<ProbeReport> {
        self.post("probe", request).await
    }

    pub(crate) async fn clone_repository(&self, request: &CloneRequest) -> Answer<Cloned> {
        self.post("clone", request).await
    }

    pub(crate) async fn restore(&self, query: &RestoreQuery, bundle: Body) -> Answer<Restored> {
        let request = self.request(Method::POST, "restore").query(query).body(bundle);
        read(request.timeout(STEP).send().await).await
    }

    pub(crate) async fn start(&self, request: &StartRequest) -> Answer<Status> {
        self.post("agent/start", request).await
    }

    pub(crate) async fn stop(&self) -> Answer<Status> {
        self.post("agent/stop", &()).await
    }

    pub(crate) async fn changes(&self, request: &ChangesRequest) -> Answer<Changes> {
        self.post("changes", request).await
    }

    pub(crate) async fn commit(&self, request: &CommitRequest) -> Answer<Committed> {
        self.post("commit", request).await
    }

    pub(crate) async fn push(&self, request: &PushRequest) -> Answer<PushReport> {
        self.post("push", request).await
    }

    pub(crate) async fn snapshot(&self) -> Answer<Snapshot> {
        self.post("snapshot", &()).await
    }

    pub(crate) async fn snapshot_content(&self) -> Answer<Response> {
        let request = self.request(Method::GET, "snapshot/content").timeout(STEP);
        let answer = request.send().await.map_err(SidecarError::Harness)?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(SidecarError::Nonsense(format!("the snapshot answered {}", answer.status())))
    }

    pub(crate) async fn discard_snapshot(&self) {
        let _ = self.request(Method::DELETE, "snapshot").send().await;
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("http://harness/v1/{path}"))
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Answer<T> {
        read(self.request(Method::POST, path).json(body).timeout(STEP).send().await).await
    }
}

/// Reads an answer, at most [`MAX_ANSWER`] bytes of it.
pub(crate) async fn bounded(answer: Response) -> Answer<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut body = answer.bytes_stream();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(SidecarError::Harness)?;
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Err(SidecarError::Nonsense("the answer is longer than 64 MiB".to_owned()));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

async fn read<T: DeserializeOwned>(answer: Result<Response, reqwest::Error>) -> Answer<T> {
    let answer = answer.map_err(SidecarError::Harness)?;
    let ok = answer.status().is_success();
    let bytes = bounded(answer).await?;
    if ok {
        return Ok(serde_json::from_slice(&bytes)?);
    }
    let error: StepError = serde_json::from_slice(&bytes)?;
    Err(SidecarError::Step(error))
}
