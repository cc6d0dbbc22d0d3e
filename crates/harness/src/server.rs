//! The routes of the harness's socket.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{any, delete, get, post},
};
use tokio::{io::AsyncSeekExt as _, net::UnixListener, signal::unix, sync::Mutex};
use tokio_util::io::ReaderStream;

use crate::{
    agent::Agents,
    bundle::{self, Bundle},
    failure::{Failure, Step},
    forward, git, probe, proxy,
    wire::{
        Changes, ChangesRequest, CloneRequest, Cloned, CommitRequest, Committed, ProbeReport,
        ProbeRequest, PushReport, PushRequest, RestoreQuery, Restored, Snapshot, StartRequest,
        Status,
    },
};

/// How long a SIGTERM is held so that the sidecar can take its snapshot.
const HOLD: Duration = Duration::from_mins(1);

/// Where everything is.
#[derive(Clone, Debug)]
pub struct Config {
    /// The Unix socket that the sidecar dials.
    pub socket: PathBuf,
    /// The gateway's Unix socket.
    pub gateway: PathBuf,
    /// The loopback address at which the gateway is offered inside.
    pub proxy: SocketAddr,
    /// The directory that holds the repository as `repo`.
    pub workspace: PathBuf,
    /// The agent's home.
    pub home: PathBuf,
    /// The OpenCode program.
    pub opencode: PathBuf,
}

impl Config {
    /// The repository, at the same path in every run: OpenCode's sessions name it.
    pub(crate) fn repository(&self) -> PathBuf {
        self.workspace.join("repo")
    }

    /// OpenCode's state.
    pub(crate) fn state(&self) -> PathBuf {
        self.home.join(".local/share/opencode")
    }
}

/// What the routes share.
pub(crate) struct Harness {
    pub(crate) config: Config,
    pub(crate) agents: Agents,
    /// One step on the workspace at a time.
    steps: Mutex<Option<Bundle>>,
}

type Shared = State<Arc<Harness>>;

/// Serves until SIGTERM, held while the sidecar may still want a snapshot.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    git::configure(&config).map_err(|failure| anyhow::anyhow!("{failure}"))?;
    let _ = std::fs::remove_file(&config.socket);
    let listener = UnixListener::bind(&config.socket)?;
    // The directory decides who may dial: the sidecar may have another uid.
    rustix::fs::chmod(&config.socket, rustix::fs::Mode::from_raw_mode(0o666))?;
    tokio::spawn({
        let config = config.clone();
        async move {
            if let Err(error) = forward::forward(config.proxy, config.gateway).await {
                tracing::error!(%error, "the loopback proxy port cannot be offered");
            }
        }
    });
    let agents = Agents::new(config.clone());
    let harness = Arc::new(Harness { config, agents, steps: Mutex::new(None) });
    let stop = {
        let harness = Arc::clone(&harness);
        async move { stopped(&harness).await }
    };
    axum::serve(listener, router(harness)).with_graceful_shutdown(stop).await?;
    Ok(())
}

fn router(harness: Arc<Harness>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/probe", post(probe_fence))
        .route("/v1/clone", post(clone))
        .route("/v1/restore", post(restore).layer(DefaultBodyLimit::disable()))
        .route("/v1/agent/start", post(start))
        .route("/v1/agent/stop", post(stop))
        .route("/v1/agent/http/{*path}", any(proxy::to_agent))
        .route("/v1/changes", post(changes))
        .route("/v1/commit", post(commit))
        .route("/v1/push", post(push))
        .route("/v1/snapshot", post(snapshot))
        .route("/v1/snapshot", delete(discard))
        .route("/v1/snapshot/content", get(content))
        .with_state(harness)
}

async fn stopped(harness: &Harness) {
    if let Ok(mut terminate) = unix::signal(unix::SignalKind::terminate()) {
        terminate.recv().await;
    }
    let held = tokio::time::Instant::now();
    while harness.agents.is_running().await && held.elapsed() < HOLD {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    harness.agents.stop().await;
}

async fn status(State(harness): Shared) -> Json<Status> {
    Json(harness.agents.status().await)
}

async fn probe_fence(Json(request): Json<ProbeRequest>) -> Json<ProbeReport> {
    Json(probe::probe(request).await)
}

async fn clone(State(harness): Shared, Json(request): Json<CloneRequest>) -> Step<Json<Cloned>> {
    let _step = harness.steps.lock().await;
    Ok(Json(git::clone(&harness.config, &request).await?))
}

async fn restore(
    State(harness): Shared,
    Query(query): Query<RestoreQuery>,
    body: Body,
) -> Step<Json<Restored>> {
    let _step = harness.steps.lock().await;
    bundle::restore(&harness.config, body).await?;
    Ok(Json(git::resume(&harness.config, &query).await?))
}

async fn start(State(harness): Shared, Json(request): Json<StartRequest>) -> Step<Json<Status>> {
    harness.agents.start(&request.config).await?;
    Ok(Json(harness.agents.status().await))
}

async fn stop(State(harness): Shared) -> Json<Status> {
    harness.agents.stop().await;
    Json(harness.agents.status().await)
}

async fn changes(
    State(harness): Shared,
    Json(request): Json<ChangesRequest>,
) -> Step<Json<Changes>> {
    let _step = harness.steps.lock().await;
    Ok(Json(git::changes(&harness.config, &request).await?))
}

async fn commit(
    State(harness): Shared,
    Json(request): Json<CommitRequest>,
) -> Step<Json<Committed>> {
    let _step = harness.steps.lock().await;
    Ok(Json(git::commit(&harness.config, &request).await?))
}

async fn push(State(harness): Shared, Json(request): Json<PushRequest>) -> Step<Json<PushReport>> {
    let _step = harness.steps.lock().await;
    Ok(Json(git::push(&harness.config, &request).await?))
}

async fn snapshot(State(harness): Shared) -> Step<Json<Snapshot>> {
    let mut step = harness.steps.lock().await;
    *step = None;
    let (taken, bundle) = bundle::snapshot(&harness).await?;
    *step = Some(bundle);
    Ok(Json(taken))
}

async fn discard(State(harness): Shared) -> StatusCode {
    *harness.steps.lock().await = None;
    StatusCode::NO_CONTENT
}

/// The bundle's bytes, from the start that a `Range: bytes=N-` names.
async fn content(State(harness): Shared, headers: HeaderMap) -> Step<Response> {
    let step = harness.steps.lock().await;
    let bundle = step.as_ref().ok_or_else(|| Failure::other("there is no snapshot"))?;
    let from = headers
        .get(header::RANGE)
        .and_then(|range| {
            range.to_str().ok()?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
        })
        .unwrap_or(0);
    let mut file = tokio::fs::File::from_std(bundle.open()?);
    file.seek(std::io::SeekFrom::Start(from)).await?;
    let status = if from == 0 { StatusCode::OK } else { StatusCode::PARTIAL_CONTENT };
    Ok((status, Body::from_stream(ReaderStream::new(file))).into_response())
}
