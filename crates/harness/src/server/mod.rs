//! The routes of the harness's socket.

mod asked;
mod content;
mod steps;

use std::{
    os::unix::fs::FileTypeExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{StatusCode, Uri},
    routing::{any, delete, get, post},
};
use tokio::{
    net::{TcpListener, UnixListener},
    signal::unix::{SignalKind, signal},
    sync::{Mutex, Notify, watch},
    time::timeout,
};

use crate::{
    agent::{Agents, proxy},
    bundle::Bundle,
    config::Config,
    failure::Failure,
    forward::{self, Way},
    git,
    wire::Status,
};

/// How long a SIGTERM is held so that the sidecar can take its snapshot.
const HOLD: Duration = Duration::from_mins(1);
/// How long answers under way have afterwards.
const LEAVE: Duration = Duration::from_secs(5);

/// What the routes share.
pub(crate) struct Harness {
    pub(crate) config: Config,
    pub(crate) agents: Arc<Agents>,
    /// How the gateway is reached, once that is known.
    way: watch::Sender<Option<Way>>,
    /// One step on the workspace at a time; and the bundle that waits to be fetched.
    steps: Mutex<Option<Bundle>>,
    /// Whether SIGTERM came.
    ending: AtomicBool,
    /// Rings when a snapshot that was begun after SIGTERM has been fetched.
    kept: Notify,
}

impl Harness {
    /// How things are on this side.
    pub(crate) fn status(&self) -> Status {
        Status {
            agent: self.agents.status(),
            harness_version: env!("CARGO_PKG_VERSION").to_owned(),
            ending: self.ending.load(Ordering::SeqCst),
        }
    }
}

/// Serves until SIGTERM, held while the sidecar may still want a snapshot.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    git::configure(&config).map_err(|failure| anyhow::anyhow!("{failure}"))?;
    let proxy = TcpListener::bind(config.proxy).await?;
    let listener = listen(&config.socket)?;
    let way = watch::Sender::new(config.gateway.clone().map(Way::Socket));
    tokio::spawn(forward::forward(proxy, way.subscribe()));
    let harness = Arc::new(Harness {
        agents: Arc::new(Agents::new(config.clone())),
        config,
        way,
        steps: Mutex::new(None),
        ending: AtomicBool::new(false),
        kept: Notify::new(),
    });
    let stopped = Arc::new(Notify::new());
    let serving = axum::serve(listener, router(Arc::clone(&harness))).with_graceful_shutdown({
        let stopped = Arc::clone(&stopped);
        async move { stopped.notified().await }
    });
    let serving = tokio::spawn(serving.into_future());
    terminate.recv().await;
    tracing::info!("told to end");
    hold(&harness).await;
    harness.agents.stop().await;
    stopped.notify_one();
    let _ = timeout(LEAVE, serving).await;
    Ok(())
}

/// The socket of an earlier process of this program is replaced; anything else in its place is not.
fn listen(socket: &Path) -> anyhow::Result<UnixListener> {
    if socket.symlink_metadata().is_ok_and(|about| about.file_type().is_socket()) {
        std::fs::remove_file(socket)?;
    }
    let listener = UnixListener::bind(socket)?;
    // The directory decides who may dial: the sidecar may have another uid.
    rustix::fs::chmod(socket, rustix::fs::Mode::from_raw_mode(0o666))?;
    Ok(listener)
}

/// Waits for the snapshot that the sidecar takes when it is told to end too; without an agent there is
/// nothing to wait for.
async fn hold(harness: &Harness) {
    harness.ending.store(true, Ordering::SeqCst);
    tokio::select! {
        () = harness.agents.ended() => {}
        () = harness.kept.notified() => {}
        () = tokio::time::sleep(HOLD) => {}
    }
}

fn router(harness: Arc<Harness>) -> Router {
    Router::new()
        .route("/v1/status", get(steps::status))
        .route("/v1/gateway", post(steps::gateway))
        .route("/v1/probe", post(steps::probe_fence))
        .route("/v1/clone", post(steps::clone))
        .route("/v1/restore", post(steps::restore).layer(DefaultBodyLimit::disable()))
        .route("/v1/agent/start", post(steps::start))
        .route("/v1/agent/stop", post(steps::stop))
        .route("/v1/agent/http/{*path}", any(proxy::to_agent))
        .route("/v1/changes", post(steps::changes))
        .route("/v1/commit", post(steps::commit))
        .route("/v1/push", post(steps::push))
        .route("/v1/snapshot", post(steps::snapshot))
        .route("/v1/snapshot", delete(steps::discard))
        .route("/v1/snapshot/content", get(content::content))
        .fallback(async |uri: Uri| {
            let failure = Failure::other(format!("there is no {}", uri.path()));
            (StatusCode::NOT_FOUND, failure.into_json())
        })
        .with_state(harness)
}
