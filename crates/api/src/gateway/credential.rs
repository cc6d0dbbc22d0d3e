use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use chrono::{DateTime, Utc};
use domain::ids::{CredentialId, Generation, RunId};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::GatewayState;

/// Whose credential is asked for.
#[derive(Deserialize)]
pub(super) struct Of {
    run: RunId,
}

/// A value, for a gateway's memory. Without `Debug`: it is a secret.
#[derive(Serialize)]
struct Value<'a> {
    credential: CredentialId,
    generation: Generation,
    token: &'a str,
    expires_at: Option<DateTime<Utc>>,
}

/// Why there is none.
#[derive(Serialize)]
struct Withheld {
    rule: &'static str,
    detail: String,
}

/// Hands the value that counts now to a gateway: 200 with it, 204 where the run has none of its own, 403 where it is
/// not to be had, 503 where that may pass. That it is used is on the run's record before.
pub(super) async fn credential(State(state): State<GatewayState>, Json(of): Json<Of>) -> Response {
    let Some(credentials) = &state.credentials else {
        return StatusCode::NO_CONTENT.into_response();
    };
    let handed = match credentials.of_run(of.run).await {
        Ok(None) => return StatusCode::NO_CONTENT.into_response(),
        Ok(Some(handed)) => handed,
        Err(withheld) => {
            let detail = withheld.in_words();
            let Some(rule) = withheld.rule() else {
                let error = &withheld as &dyn std::error::Error;
                tracing::error!(run.id = %of.run, error, "a credential could not be handed out");
                return (StatusCode::SERVICE_UNAVAILABLE, detail).into_response();
            };
            tracing::info!(run.id = %of.run, rule, "a credential is withheld");
            return (StatusCode::FORBIDDEN, Json(Withheld { rule, detail })).into_response();
        }
    };
    let value = Value {
        credential: handed.credential,
        generation: handed.generation,
        token: handed.token.expose(),
        expires_at: handed.expires_at,
    };
    let mut response = Json(value).into_response();
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    response
}
