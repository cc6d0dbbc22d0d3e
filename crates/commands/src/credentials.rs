//! The credentials: commands about them, and all of them as the log has them. They are few and change seldom, so that
//! they are kept in memory and read anew when there is another event of one.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use domain::{
    access::Resource,
    codec,
    credential::{Command, Credential, Event as CredentialEvent, State, evolve},
    event::{Actor, Event},
    ids::{CredentialId, EventId, StreamVersion},
    stream::{StreamId, StreamKind},
};
use sqlx::PgPool;

use crate::{Accepted, Caused, CommandError, Commands, StoreError, handler::work::Work};

/// A credential with who did what to it when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownCredential {
    /// Its id.
    pub id: CredentialId,
    /// What is known of it.
    pub credential: Credential,
    /// Who registered it.
    pub registered_by: Actor,
    /// When.
    pub registered_at: DateTime<Utc>,
    /// Since when its value counts.
    pub value_since: DateTime<Utc>,
    /// When the forge was asked about that value last.
    pub checked_at: Option<DateTime<Utc>>,
    /// When it was revoked, and by whom.
    pub revoked: Option<(DateTime<Utc>, Actor)>,
    /// Its stream's version.
    pub version: StreamVersion,
}

impl KnownCredential {
    /// What it is to a decision.
    #[must_use]
    pub fn resource(&self) -> Resource {
        Resource::Credential { id: self.id, owner: self.credential.registered.owner }
    }

    /// Why it cannot be used, if it cannot.
    #[must_use]
    pub fn unusable(&self, now: DateTime<Utc>) -> Option<&'static str> {
        if self.revoked.is_some() {
            return Some("it was revoked");
        }
        let expired = self.credential.expires_at().is_some_and(|expires| expires <= now);
        expired.then_some("it has expired: rotate it")
    }
}

/// The credentials as they were last read.
#[derive(Debug, Default)]
pub(crate) struct KnownCredentials(Mutex<(i64, Arc<Vec<KnownCredential>>)>);

impl Commands {
    /// Handles a credential's command.
    pub async fn credential(
        &self,
        id: CredentialId,
        command: Command,
        caused: Caused,
    ) -> Result<Accepted, CommandError> {
        self.handle(Work::Credential { id, command }, caused).await
    }

    /// Every credential that there ever was, as it is committed now; the newest first.
    pub async fn credentials(&self) -> Result<Arc<Vec<KnownCredential>>, StoreError> {
        self.known_credentials().load(self.pool()).await
    }

    /// One of them, as it is committed now.
    pub async fn known_credential(
        &self,
        id: CredentialId,
    ) -> Result<Option<KnownCredential>, StoreError> {
        let all = self.credentials().await?;
        Ok(all.iter().find(|known| known.id == id).cloned())
    }
}

impl KnownCredentials {
    async fn load(&self, pool: &PgPool) -> Result<Arc<Vec<KnownCredential>>, StoreError> {
        // They are never fewer, so another number is another state.
        let edition = sqlx::query_scalar!(
            r#"select count(*) as "count!" from paddock.event
               where stream >= 'credential-' and stream < 'credential.'"#
        )
        .fetch_one(pool)
        .await?;
        let (known, all) = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if edition == known {
            return Ok(all);
        }
        let (edition, all) = read(pool).await?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever read at the same time may have seen more.
        if edition > kept.0 {
            *kept = (edition, all.clone());
        }
        Ok(all)
    }
}

async fn read(pool: &PgPool) -> Result<(i64, Arc<Vec<KnownCredential>>), StoreError> {
    let rows = sqlx::query!(
        "select id, stream, version, name, schema, actor, time, body from paddock.event
         where stream >= 'credential-' and stream < 'credential.' order by stream, version"
    )
    .fetch_all(pool)
    .await?;
    let edition = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let mut all: Vec<KnownCredential> = vec![];
    for row in rows {
        let id = EventId(row.id);
        let stream: StreamId =
            row.stream.parse().map_err(|_| StoreError::Row { id, what: "a stream" })?;
        let actor: Actor =
            row.actor.parse().map_err(|_| StoreError::Row { id, what: "an actor" })?;
        let schema = row.schema.unsigned_abs();
        let event = codec::decode(StreamKind::Credential, &row.name, schema, &row.body)
            .map_err(|source| StoreError::Decode { id, source })?;
        let Event::Credential(event) = event else { continue };
        let of = CredentialId(stream.id);
        let version = StreamVersion(row.version.unsigned_abs());
        match all.last_mut().filter(|known| known.id == of) {
            Some(known) => known.goes_on(&event, row.time, actor, version),
            None => all.extend(begun(of, &event, row.time, actor, version)),
        }
    }
    // Ids are in the order of time.
    all.sort_by_key(|known| std::cmp::Reverse(known.id));
    Ok((edition, Arc::new(all)))
}

fn begun(
    id: CredentialId,
    event: &CredentialEvent,
    at: DateTime<Utc>,
    actor: Actor,
    version: StreamVersion,
) -> Option<KnownCredential> {
    let State::Active(credential) = evolve(State::New, event) else { return None };
    Some(KnownCredential {
        id,
        credential,
        registered_by: actor,
        registered_at: at,
        value_since: at,
        checked_at: None,
        revoked: None,
        version,
    })
}

impl KnownCredential {
    fn goes_on(
        &mut self,
        event: &CredentialEvent,
        at: DateTime<Utc>,
        actor: Actor,
        version: StreamVersion,
    ) {
        self.version = version;
        match event {
            CredentialEvent::Registered(_) => {}
            CredentialEvent::Rotated { .. } => {
                self.value_since = at;
                self.checked_at = None;
            }
            CredentialEvent::Verified(_) => self.checked_at = Some(at),
            CredentialEvent::Revoked {} => self.revoked = Some((at, actor)),
        }
        let before = match self.revoked {
            Some(_) if !matches!(event, CredentialEvent::Revoked {}) => {
                State::Revoked(self.credential.clone())
            }
            Some(_) | None => State::Active(self.credential.clone()),
        };
        if let Some(now) = evolve(before, event).known() {
            self.credential = now.clone();
        }
    }
}
