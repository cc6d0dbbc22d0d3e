use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{extract::FromRequestParts, http::request::Parts};
use domain::ids::UserId;
use tokio::time::{Instant, timeout};

use super::caller::{Caller, Credential};
use crate::{
    problem::{Answer, Problem},
    state::AppState,
};

/// How long somebody is known without being looked up again.
const MEMORY: Duration = Duration::from_mins(10);
/// How long the database may take to say who somebody is, where it is known already.
const PATIENCE: Duration = Duration::from_secs(1);
/// The most callers that are remembered.
const MOST: usize = 1_000;

/// Who was let in lately, by digests: for reads that must work while the database is away. Cheap to clone.
#[derive(Clone, Default)]
pub struct Known(Arc<Mutex<HashMap<Credential, (UserId, Instant)>>>);

impl Known {
    pub(super) fn learn(&self, credential: Credential, user: UserId) {
        let mut known = self.known();
        if known.len() >= MOST && !known.contains_key(&credential) {
            known.retain(|_, (_, at)| at.elapsed() < MEMORY);
            if known.len() >= MOST {
                return;
            }
        }
        known.insert(credential, (user, Instant::now()));
    }

    pub(super) fn forget(&self, credential: Credential) {
        self.known().remove(&credential);
    }

    fn user(&self, credential: Credential) -> Option<UserId> {
        let known = self.known();
        known.get(&credential).filter(|(_, at)| at.elapsed() < MEMORY).map(|(user, _)| *user)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Credential, (UserId, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who asks, as the database says, or while it does not answer, as it last said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownCaller(pub(crate) Caller);

impl FromRequestParts<AppState> for KnownCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Answer<Self> {
        let credential = Credential::of(parts, state)?;
        let known = state.known.user(credential);
        let answer = match known {
            None => Some(credential.caller(state).await),
            Some(_) => timeout(PATIENCE, credential.caller(state)).await.ok(),
        };
        match (answer, known) {
            (Some(Ok(caller)), _) => Ok(Self(caller)),
            (Some(Err(problem)), None) => Err(problem),
            (Some(Err(problem)), Some(_)) if problem.is_unauthenticated() => Err(problem),
            (Some(Err(_)) | None, Some(user)) => Ok(Self(Caller { user, credential })),
            (None, None) => Err(Problem::unauthenticated()),
        }
    }
}
