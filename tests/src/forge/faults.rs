use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Forge;
use crate::serving::CutOff;

/// What is to go wrong, in the order in which it was asked for.
#[derive(Default)]
pub(super) struct Faults(Mutex<Vec<Fault>>);

/// What is to go wrong with some requests.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fault {
    /// The method, or `*` for any.
    method: String,
    path_prefix: String,
    /// How many requests pass before it begins.
    #[serde(default)]
    skip: u32,
    /// How many requests it touches; 0 ends the fault.
    count: u32,
    /// What is answered in place of doing it.
    status: Option<u16>,
    body: Option<Value>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// How long the answer waits, after the request was done.
    #[serde(default)]
    delay_ms: u64,
    /// The connection closes in place of an answer.
    close: Option<Close>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Close {
    /// The request is not done.
    Before,
    /// The request is done, and whoever asked does not hear of it.
    After,
}

impl Faults {
    /// Asks for a fault, in place of the one for the same requests.
    pub(super) fn add(&self, fault: Fault) {
        let mut faults = self.lock();
        faults
            .retain(|known| known.method != fault.method || known.path_prefix != fault.path_prefix);
        faults.push(fault);
    }

    /// Ends all.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// Those that are still to come.
    pub(super) fn due(&self) -> Vec<Fault> {
        self.lock().iter().filter(|fault| fault.count > 0).cloned().collect()
    }

    fn take(&self, method: &str, path: &str) -> Option<Fault> {
        let mut faults = self.lock();
        let fault = faults.iter_mut().find(|fault| {
            fault.count > 0
                && (fault.method == "*" || fault.method == method)
                && path.starts_with(&fault.path_prefix)
        })?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        fault.count -= 1;
        Some(fault.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets a request go wrong, if it is to.
pub(super) async fn inject(
    State(forge): State<Arc<Forge>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    if path.starts_with("/_test") {
        return next.run(request).await;
    }
    let Some(fault) = forge.faults.take(request.method().as_str(), path) else {
        return next.run(request).await;
    };
    let mut answer = match fault.status.and_then(|status| StatusCode::from_u16(status).ok()) {
        _ if fault.close == Some(Close::Before) => StatusCode::NO_CONTENT.into_response(),
        Some(status) => (status, Json(fault.body.unwrap_or(Value::Null))).into_response(),
        None => next.run(request).await,
    };
    for (name, value) in &fault.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            answer.headers_mut().insert(name, value);
        }
    }
    tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
    if fault.close.is_some() {
        answer.extensions_mut().insert(CutOff);
    }
    answer
}
