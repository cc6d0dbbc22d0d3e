//! The adapter of a cluster in a process of its own: the one part that may make and remove pods, and that nobody
//! outside of the cluster's API server can reach.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use axum::{Json, Router, http::StatusCode, routing::get};
use commands::{Doorbell, check_rights};
use futures::StreamExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Parts, adapter::Adapter, bind, cluster, connect, log_to_stderr};
use crate::{cli::stop_on_signal, config::ServeArgs};

/// What every event of a run is told under.
const RUNS: &str = "paddock.ev.v1.run.>";

/// Runs the adapter until it is told to stop.
pub(crate) async fn adapter(args: ServeArgs) -> anyhow::Result<ExitCode> {
    log_to_stderr();
    let config = args.effective()?;
    let Some(kubernetes) = config.kubernetes.clone() else {
        bail!("PADDOCK_KUBERNETES_NAMESPACE is not set: it names the namespace in which runs are");
    };
    let shutdown = stop_on_signal()?;
    let pool = connect(config.database_url.expose())?;
    check_rights(&pool).await.context("the serving role")?;
    let admin = bind(config.admin_listen).await?;
    let canary = bind(kubernetes.canary_listen).await?;
    let parts = Parts::new(config, pool).await?;
    let mut running = JoinSet::new();
    running.spawn(cluster::canary(canary));
    let health = health(parts.adapter.clone());
    let stop = shutdown.clone().cancelled_owned();
    running.spawn(async move {
        tokio::select! {
            served = axum::serve(admin, health).into_future() => {
                if let Err(error) = served {
                    tracing::error!(%error, "the admin listener failed");
                }
            }
            () = stop => {}
        }
    });
    running.spawn(ring(parts.nats.clone(), parts.commands.doorbell(), shutdown.clone()));
    parts.start_records(&mut running, &shutdown);
    parts.start_adapter(&mut running, &shutdown);
    tracing::info!(namespace = kubernetes.namespace, "adapting");
    shutdown.cancelled().await;
    let _ = tokio::time::timeout(Duration::from_secs(5), running.join_all()).await;
    Ok(ExitCode::SUCCESS)
}

/// Ready while it can do its work, or stands by for another one that does.
fn health(adapter: Adapter) -> Router {
    let adapter = Arc::new(adapter);
    let ready = async move || {
        let problem = adapter.problem();
        let status =
            if problem.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, Json(serde_json::json!({ "ready": problem.is_none(), "problem": problem })))
    };
    Router::new().route("/healthz", get(async || "ok\n")).route(
        "/readyz",
        get(move || {
            let ready = ready.clone();
            async move { ready().await }
        }),
    )
}

/// Rings when something happened to a run: another process appends and projects. Without NATS the adapter looks
/// every few seconds.
async fn ring(nats: async_nats::Client, bell: Doorbell, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        let heard = async {
            let mut told = nats.subscribe(RUNS).await?;
            while told.next().await.is_some() {
                bell.ring();
            }
            Ok::<_, async_nats::SubscribeError>(())
        };
        tokio::select! {
            heard = heard => if let Err(error) = heard {
                tracing::warn!(%error, "NATS is not listened to");
            },
            () = shutdown.cancelled() => return,
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
