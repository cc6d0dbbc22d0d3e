//! Whose a session or a credential is and what it is about. That never changes, so it is read once.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use domain::{
    access::Resource,
    codec, credential,
    event::Event,
    github::Repository,
    ids::{CredentialId, EventId, RunId, SessionId, UserId},
    run, session,
    stream::StreamId,
};
use sqlx::PgPool;

use crate::StoreError;

/// How many sessions and runs are remembered.
const MOST: usize = 20_000;

/// What is known of sessions and runs.
#[derive(Debug, Default)]
pub(super) struct Origins(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    sessions: HashMap<SessionId, (UserId, Repository)>,
    runs: HashMap<RunId, SessionId>,
    credentials: HashMap<CredentialId, Option<UserId>>,
}

impl Origins {
    /// A session, deleted or not; none where there never was one.
    pub(super) async fn session(
        &self,
        pool: &PgPool,
        id: SessionId,
    ) -> Result<Option<Resource>, StoreError> {
        let known = self.known().sessions.get(&id).cloned();
        let known = match known {
            Some(known) => Some(known),
            None => match begun(pool, id.into()).await? {
                Some(Event::Session(session::Event::Created(created))) => {
                    let known = (created.owner, created.repo);
                    let mut all = self.known();
                    if all.sessions.len() >= MOST {
                        all.sessions.clear();
                    }
                    all.sessions.insert(id, known.clone());
                    Some(known)
                }
                Some(_) | None => None,
            },
        };
        Ok(known.map(|(owner, repo)| Resource::Session { id, owner, repo }))
    }

    /// The session of a run.
    pub(super) async fn run(
        &self,
        pool: &PgPool,
        id: RunId,
    ) -> Result<Option<Resource>, StoreError> {
        let known = self.known().runs.get(&id).copied();
        let session = match known {
            Some(session) => session,
            None => match begun(pool, id.into()).await? {
                Some(Event::Run(run::Event::Requested(requested))) => {
                    let mut all = self.known();
                    if all.runs.len() >= MOST {
                        all.runs.clear();
                    }
                    all.runs.insert(id, requested.session);
                    requested.session
                }
                Some(_) | None => return Ok(None),
            },
        };
        self.session(pool, session).await
    }

    /// A credential, revoked or not; none where there never was one.
    pub(super) async fn credential(
        &self,
        pool: &PgPool,
        id: CredentialId,
    ) -> Result<Option<Resource>, StoreError> {
        let known = self.known().credentials.get(&id).copied();
        let owner = match known {
            Some(owner) => owner,
            None => match begun(pool, id.into()).await? {
                Some(Event::Credential(credential::Event::Registered(registered))) => {
                    let mut all = self.known();
                    if all.credentials.len() >= MOST {
                        all.credentials.clear();
                    }
                    all.credentials.insert(id, registered.owner);
                    registered.owner
                }
                Some(_) | None => return Ok(None),
            },
        };
        Ok(Some(Resource::Credential { id, owner }))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream's first event.
async fn begun(pool: &PgPool, stream: StreamId) -> Result<Option<Event>, StoreError> {
    let row = sqlx::query!(
        "select id, name, schema, body from paddock.event where stream = $1 and version = 1",
        stream.to_string(),
    )
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let schema = row.schema.unsigned_abs();
    let event = codec::decode(stream.kind, &row.name, schema, &row.body)
        .map_err(|source| StoreError::Decode { id: EventId(row.id), source })?;
    Ok(Some(event))
}
