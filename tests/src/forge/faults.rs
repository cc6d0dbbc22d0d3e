use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::Value;

use super::{Forge, rest::has_token};

/// What is to go wrong, in the order in which it was asked for.
#[derive(Default)]
pub(super) struct Faults(Mutex<Vec<Fault>>);

/// What is to go wrong with some requests.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Fault {
    method: String,
    path_prefix: String,
    /// How many requests; 0 ends the fault.
    count: u32,
    /// What is answered in place of doing it.
    status: Option<u16>,
    body: Option<Value>,
    /// How long the answer waits, after the request was done.
    #[serde(default)]
    delay_ms: u64,
}

/// Asks for a fault. For tests: needs the token.
pub(super) async fn add(
    State(forge): State<Arc<Forge>>,
    headers: HeaderMap,
    Json(fault): Json<Fault>,
) -> StatusCode {
    if !has_token(&forge, &headers) {
        return StatusCode::UNAUTHORIZED;
    }
    let mut faults = forge.faults.0.lock().unwrap_or_else(PoisonError::into_inner);
    faults.retain(|known| known.method != fault.method || known.path_prefix != fault.path_prefix);
    faults.push(fault);
    StatusCode::NO_CONTENT
}

/// Lets a request go wrong, if it is to.
pub(super) async fn inject(
    State(forge): State<Arc<Forge>>,
    request: Request,
    next: Next,
) -> Response {
    let fault = {
        let mut faults = forge.faults.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = faults.iter_mut().find(|fault| {
            fault.count > 0
                && fault.method == request.method().as_str()
                && request.uri().path().starts_with(&fault.path_prefix)
        });
        due.map(|fault| {
            fault.count -= 1;
            fault.clone()
        })
    };
    let Some(fault) = fault else { return next.run(request).await };
    let answer = match fault.status.and_then(|status| StatusCode::from_u16(status).ok()) {
        Some(status) => (status, Json(fault.body.unwrap_or(Value::Null))).into_response(),
        None => next.run(request).await,
    };
    tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
    answer
}
