//! Health and readiness, on a listener of their own.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use commands::{Progress, Standing};
use projections::Views;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{access::Access, bundles::Bundles};

/// How long the artifact store may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// What readiness looks at.
#[derive(Clone)]
pub struct HealthState {
    /// The read models.
    pub views: Views,
    /// Sequencer and relay.
    pub progress: Progress,
    /// Whether the adapter can start runs; otherwise why not and what to do.
    pub adapter: Arc<dyn Fn() -> Option<String> + Send + Sync>,
    /// Where bundles are.
    pub bundles: Bundles,
    /// Who may come in.
    pub access: Access,
}

/// How one part is.
#[derive(Debug, Serialize)]
struct Part {
    name: &'static str,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// The admin listener's routes.
pub fn router(state: HealthState) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(state)
}

/// Ready means that commands and reads work; NATS, the adapter and the artifact store may be away meanwhile, and it
/// says so.
async fn ready(State(state): State<HealthState>) -> (StatusCode, Json<Value>) {
    let lag = state.views.lag().await;
    let database = part("database", lag.as_ref().err().map(ToString::to_string));
    let projections = part("projections", state.views.health().problem());
    let sequencer = part("sequencer", problem(&state.progress.sequencer().borrow()));
    let relay = part("relay", problem(&state.progress.relay().borrow()));
    let adapter = part("adapter", (state.adapter)());
    let artifacts = part("artifacts", away(&state.bundles).await);
    let ready = database.ok && projections.ok && sequencer.ok;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let lag =
        lag.map_or(Value::Null, |lag| json!({ "head": lag.head, "projected": lag.projected }));
    let parts = [database, projections, sequencer, relay, adapter, artifacts];
    (status, Json(json!({ "ready": ready, "parts": parts, "positions": lag })))
}

async fn metrics(State(state): State<HealthState>) -> Result<String, StatusCode> {
    let lag = state.views.lag().await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let relayed = state.progress.relayed().borrow().0;
    let mut text = format!(
        "# TYPE paddock_log_position gauge\npaddock_log_position {}\n\
         # TYPE paddock_projected_position gauge\npaddock_projected_position {}\n\
         # TYPE paddock_relayed_position gauge\npaddock_relayed_position {relayed}\n",
        lag.head, lag.projected
    );
    text.push_str("# TYPE paddock_sign_in_failures_total counter\n");
    for (code, count) in state.access.failures() {
        let _ = writeln!(text, "paddock_sign_in_failures_total{{code=\"{code}\"}} {count}");
    }
    Ok(text)
}

async fn away(bundles: &Bundles) -> Option<String> {
    match tokio::time::timeout(PATIENCE, bundles.look()).await {
        Ok(found) => found.err().map(|error| error.to_string()),
        Err(_) => Some("the artifact store does not answer in time".to_owned()),
    }
}

fn part(name: &'static str, problem: Option<String>) -> Part {
    Part { name, ok: problem.is_none(), problem }
}

fn problem(standing: &Standing) -> Option<String> {
    match standing {
        Standing::Active | Standing::Standby => None,
        Standing::Starting => Some("starting".to_owned()),
        Standing::Halted(why) | Standing::Down(why) => Some(why.clone()),
    }
}
