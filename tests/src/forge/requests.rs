use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use serde::Serialize;

use super::{Forge, state::now, token::Caller};

/// How many requests are remembered.
const REMEMBERED: usize = 20_000;

/// The requests that came, the oldest first. No header and no body is kept, so no secret.
#[derive(Default)]
pub(super) struct Requests(Mutex<VecDeque<Seen>>);

/// A request that came.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Seen {
    at: String,
    method: String,
    path: String,
    query: Option<String>,
    /// Which token it carried, from 1; 0 where it was one that is not known.
    token: Option<usize>,
    status: u16,
}

impl Requests {
    pub(super) fn all(&self) -> Vec<Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn push(&self, seen: Seen) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == REMEMBERED {
            all.pop_front();
        }
        all.push_back(seen);
    }
}

/// Remembers a request once its answer is known.
pub(super) async fn record(
    State(forge): State<Arc<Forge>>,
    request: Request,
    next: Next,
) -> Response {
    let (method, uri) = (request.method().to_string(), request.uri().clone());
    let token = match Caller::of(&forge, request.headers()) {
        Caller::Anonymous => None,
        Caller::Wrong => Some(0),
        Caller::Known(number, _) => Some(number),
    };
    let response = next.run(request).await;
    if !uri.path().starts_with("/_test") {
        forge.requests.push(Seen {
            at: now(),
            method,
            path: uri.path().to_owned(),
            query: uri.query().map(str::to_owned),
            token,
            status: response.status().as_u16(),
        });
    }
    response
}
