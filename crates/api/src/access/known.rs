use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{extract::FromRequestParts, http::request::Parts};
use tokio::time::{Instant, timeout};

use super::{
    caller::{Caller, Credential},
    scope,
};
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
pub(super) struct Known(Arc<Mutex<HashMap<Credential, (Caller, Instant)>>>);

impl Known {
    pub(super) fn learn(&self, caller: &Caller) {
        let mut known = self.known();
        if known.len() >= MOST && !known.contains_key(&caller.credential) {
            known.retain(|_, (_, at)| at.elapsed() < MEMORY);
            if known.len() >= MOST {
                return;
            }
        }
        known.insert(caller.credential, (caller.clone(), Instant::now()));
    }

    pub(super) fn forget(&self, credential: Credential) {
        self.known().remove(&credential);
    }

    fn caller(&self, credential: Credential) -> Option<Caller> {
        let known = self.known();
        let known = known.get(&credential).filter(|(_, at)| at.elapsed() < MEMORY);
        known.map(|(caller, _)| caller.clone())
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Credential, (Caller, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who asks, as the database says, or while it does not answer, as it last said.
#[derive(Clone, Debug)]
pub(crate) struct KnownCaller(pub(crate) Caller);

impl FromRequestParts<AppState> for KnownCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Answer<Self> {
        if let Some(caller) = parts.extensions.get::<Caller>() {
            return Ok(Self(caller.clone()));
        }
        let credential = Credential::of(parts, state)?;
        let known = state.access.known().caller(credential);
        let answer = match known {
            None => Some(credential.caller(state).await),
            Some(_) => timeout(PATIENCE, credential.caller(state)).await.ok(),
        };
        let caller = match (answer, known) {
            (Some(Ok(caller)), _) => caller,
            (Some(Err(problem)), None) => return Err(problem),
            (Some(Err(problem)), Some(_)) if problem.is_unauthenticated() => return Err(problem),
            (Some(Err(_)) | None, Some(known)) => known,
            (None, None) => return Err(Problem::unauthenticated()),
        };
        scope::admits(&caller, parts, state).await?;
        Ok(Self(caller))
    }
}
