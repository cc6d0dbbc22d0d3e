use std::time::Duration;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Query, Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use super::{Decision, Decisions, Policies, Presence};
use crate::credentials::Credentials;

/// The longest that a poll waits for a change: a gateway that hangs is one that does not ask again.
const POLL: Duration = Duration::from_millis(2_500);
/// The most decisions in one report, and its most bytes.
const MAX_DECISIONS: usize = 2_000;
const MAX_REPORT: usize = 4 * 1024 * 1024;

/// What the gateways' listener works with. Cheap to clone.
#[derive(Clone)]
pub struct GatewayState {
    policies: Policies,
    decisions: Decisions,
    presence: Presence,
    token_sha256: [u8; 32],
    pub(super) credentials: Option<Credentials>,
}

impl GatewayState {
    /// Serves `policies` to whoever has `token`, and keeps what they decided.
    #[must_use]
    pub fn new(policies: Policies, decisions: Decisions, token: &str) -> Self {
        let token_sha256 = Sha256::digest(token.as_bytes()).into();
        let presence = Presence::default();
        Self { policies, decisions, presence, token_sha256, credentials: None }
    }

    /// Hands out the credentials of runs too.
    #[must_use]
    pub fn with_credentials(self, credentials: Credentials) -> Self {
        Self { credentials: Some(credentials), ..self }
    }

    /// Whether a gateway keeps in touch.
    #[must_use]
    pub fn presence(&self) -> Presence {
        self.presence.clone()
    }
}

/// The routes of the gateways' listener.
pub fn router(state: GatewayState) -> Router {
    Router::new()
        .route("/gateway/v1/policies", get(policies))
        .route("/gateway/v1/decisions", post(decisions))
        .route("/gateway/v1/credential", post(super::credential::credential))
        .layer(DefaultBodyLimit::max(MAX_REPORT))
        .layer(from_fn_with_state(state.clone(), authorise))
        .with_state(state)
}

async fn authorise(State(state): State<GatewayState>, request: Request, next: Next) -> Response {
    if bearer(request.headers()) == Some(state.token_sha256) {
        next.run(request).await
    } else {
        (StatusCode::UNAUTHORIZED, "the gateways' token is missing or wrong").into_response()
    }
}

/// Compared as a digest: how far a wrong one is right does not show in the time taken.
fn bearer(headers: &HeaderMap) -> Option<[u8; 32]> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Sha256::digest(token.trim().as_bytes()).into())
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: String,
}

/// Answers at once if the policies are others than the caller knows; otherwise when they change, or when
/// it has waited long enough.
async fn policies(State(state): State<GatewayState>, Query(after): Query<After>) -> Response {
    let _polling = state.presence.polls();
    let mut published = state.policies.listen();
    let news = published
        .wait_for(|edition| edition.as_ref().is_some_and(|edition| edition.etag != after.after));
    let _ = timeout(POLL, news).await;
    let edition = published.borrow().clone();
    match edition {
        Some(edition) => Json(&*edition).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "no policies are known yet").into_response(),
    }
}

#[derive(Deserialize)]
struct Report {
    decisions: Vec<Decision>,
}

async fn decisions(State(state): State<GatewayState>, Json(report): Json<Report>) -> Response {
    if report.decisions.len() > MAX_DECISIONS {
        let most = format!("at most {MAX_DECISIONS} decisions in one report");
        return (StatusCode::PAYLOAD_TOO_LARGE, most).into_response();
    }
    match state.decisions.keep(report.decisions).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "decisions were not kept");
            (StatusCode::SERVICE_UNAVAILABLE, "the database failed").into_response()
        }
    }
}
