//! Erasure: a text goes, and all that may repeat it; the events that committed to it stay as they are.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    event::Event,
    ids::{BundleDigest, RunId, SessionId, TextId},
    log::Event as LogEvent,
    session,
    stream::{StreamId, StreamKind},
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Audit;
use crate::{
    Caused, CommandError, StoreError,
    handler::work::fold_session,
    store::{
        Append, AppendError,
        append::Unit,
        load::{head_on, load_on},
    },
};

/// Why nothing was erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// There is no such text, or it was erased before.
    #[error("there is no text {0}, or it was erased before")]
    NoSuchText(TextId),
    /// What may repeat it is still being made.
    #[error(
        "session {session} has an active run, which may repeat the text: finish or cancel run {run} first"
    )]
    RunActive {
        /// Whose.
        session: SessionId,
        /// Which.
        run: RunId,
    },
    /// The command failed.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl From<sqlx::Error> for EraseError {
    fn from(error: sqlx::Error) -> Self {
        Self::Command(error.into())
    }
}

impl From<StoreError> for EraseError {
    fn from(error: StoreError) -> Self {
        Self::Command(error.into())
    }
}

/// What an erasure reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erased {
    /// The version of the log's own stream that says so.
    pub version: domain::ids::StreamVersion,
    /// The runs whose output went.
    pub runs: Vec<RunId>,
    /// The bundles that are to go.
    pub bundles: Vec<ErasedBundle>,
}

/// A bundle that may hold an erased text, and is still in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasedBundle {
    /// Whose it is.
    pub session: SessionId,
    /// Its name.
    pub digest: BundleDigest,
}

impl Audit {
    /// Erases texts: their rows, and the output of every run that may repeat them, in one transaction with the event
    /// that says so. The bundles of those runs are noted as to be removed from the store:
    /// [`erased_bundles`](Self::erased_bundles).
    pub async fn erase(&self, texts: &[TextId], caused: &Caused) -> Result<Erased, EraseError> {
        const ATTEMPTS: u32 = 5;
        for _ in 1..ATTEMPTS {
            match self.erase_once(texts, caused).await {
                Err(EraseError::Command(CommandError::Contended)) => {}
                done => return done,
            }
        }
        self.erase_once(texts, caused).await
    }

    async fn erase_once(&self, texts: &[TextId], caused: &Caused) -> Result<Erased, EraseError> {
        let mut tx = self.pool().begin().await?;
        let ids: Vec<Uuid> =
            texts.iter().map(|text| text.0).collect::<BTreeSet<_>>().into_iter().collect();
        let gone = sqlx::query_scalar!(
            "delete from paddock.event_text where id = any($1) returning id",
            &ids
        )
        .fetch_all(&mut *tx)
        .await?;
        if let Some(missing) = ids.iter().find(|id| !gone.contains(id)) {
            return Err(EraseError::NoSuchText(TextId(*missing)));
        }
        let reach = Reach::of(&mut tx, &ids).await?;
        let runs: Vec<Uuid> = reach.runs.iter().map(|run| run.0).collect();
        forget(&mut tx, &runs).await?;
        let bundles = reach.bundles(&mut tx, &runs).await?;
        let (sessions, digests): (Vec<Uuid>, Vec<String>) =
            bundles.iter().map(|bundle| (bundle.session.0, bundle.digest.0.clone())).unzip();
        sqlx::query!(
            "insert into runtime.erased_bundle (session, digest)
             select * from unnest($1::uuid[], $2::text[]) on conflict do nothing",
            &sessions,
            &digests,
        )
        .execute(&mut *tx)
        .await?;
        let runs: Vec<RunId> = reach.runs.into_iter().collect();
        let event = LogEvent::TextErased {
            texts: ids.into_iter().map(TextId).collect(),
            runs: runs.clone(),
        };
        let after = head_on(&mut *tx, StreamId::LOG).await?;
        let append = Append { after, events: vec![Event::Log(event)] };
        let unit = Unit::new(self.commands.context(), caused.actor, vec![append], &[]);
        match unit.insert(&mut *tx, None).await {
            Ok(()) => {}
            Err(AppendError::VersionTaken | AppendError::KeyTaken) => {
                return Err(CommandError::Contended.into());
            }
            Err(AppendError::Store(error)) => return Err(error.into()),
        }
        tx.commit().await?;
        self.commands.doorbell().ring_for(StreamId::LOG);
        Ok(Erased { version: unit.head(0), runs, bundles })
    }

    /// The bundles that may hold erased texts and are still to be removed.
    pub async fn erased_bundles(&self) -> Result<Vec<ErasedBundle>, StoreError> {
        let rows = sqlx::query!("select session, digest from runtime.erased_bundle")
            .fetch_all(self.pool())
            .await?;
        let bundle = |session, digest| ErasedBundle {
            session: SessionId(session),
            digest: BundleDigest(digest),
        };
        Ok(rows.into_iter().map(|row| bundle(row.session, row.digest)).collect())
    }

    /// One of them is out of the store.
    pub async fn bundle_removed(&self, bundle: &ErasedBundle) -> Result<(), StoreError> {
        sqlx::query!(
            "delete from runtime.erased_bundle where session = $1 and digest = $2",
            bundle.session.0,
            bundle.digest.0,
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }
}

/// What may repeat a text: the output of the runs that it was said to or by, and of all later ones of their session,
/// which begin with what the agent remembers; the same of sessions that began from one of their bundles.
#[derive(Default)]
struct Reach {
    runs: BTreeSet<RunId>,
    sessions: BTreeMap<SessionId, session::State>,
}

impl Reach {
    async fn of(connection: &mut PgConnection, texts: &[Uuid]) -> Result<Self, EraseError> {
        let mut reach = Self::default();
        for text in texts {
            let streams = sqlx::query_scalar!(
                "select distinct stream from paddock.event
                 where position(convert_to($1, 'UTF8') in body) > 0 and name <> 'log.text.erased'",
                text.to_string(),
            )
            .fetch_all(&mut *connection)
            .await?;
            for stream in streams.iter().filter_map(|stream| stream.parse::<StreamId>().ok()) {
                // A session's title is said to nobody but the forge.
                if stream.kind == StreamKind::Run {
                    reach.add_run(&mut *connection, RunId(stream.id)).await?;
                }
            }
        }
        Ok(reach)
    }

    async fn add_run(
        &mut self,
        connection: &mut PgConnection,
        run: RunId,
    ) -> Result<(), EraseError> {
        let loaded = load_on(&mut *connection, run.into()).await?;
        let session = loaded.events.iter().find_map(|event| match event {
            Event::Run(domain::run::Event::Requested(requested)) => Some(requested.session),
            _ => None,
        });
        self.runs.insert(run);
        match session {
            Some(session) => self.add_session(connection, session, Some(run)).await,
            None => Ok(()),
        }
    }

    /// All of a session from a run on.
    async fn add_session(
        &mut self,
        connection: &mut PgConnection,
        session: SessionId,
        from: Option<RunId>,
    ) -> Result<(), EraseError> {
        let mut waiting = vec![(session, from)];
        while let Some((session, from)) = waiting.pop() {
            let events = load_on(&mut *connection, session.into()).await?.events;
            let state = fold_session(&events);
            if let session::State::Known(known) = &state
                && let Some(run) = known.active_run
            {
                return Err(EraseError::RunActive { session, run });
            }
            self.sessions.insert(session, state);
            let mut begun = from.is_none();
            let mut digests = BTreeSet::new();
            for event in &events {
                match event {
                    Event::Session(session::Event::RunStarted { run }) => {
                        begun |= from == Some(*run);
                        if begun {
                            self.runs.insert(*run);
                        }
                    }
                    Event::Session(session::Event::BundleStored { bundle, .. }) if begun => {
                        digests.insert(bundle.digest.0.clone());
                    }
                    _ => {}
                }
            }
            for digest in digests {
                let forks = sqlx::query_scalar!(
                    "select stream from paddock.event
                     where name = 'session.forked' and position(convert_to($1, 'UTF8') in body) > 0",
                    digest,
                )
                .fetch_all(&mut *connection)
                .await?;
                let forks = forks.iter().filter_map(|fork| fork.parse::<StreamId>().ok());
                let new = forks
                    .map(|fork| SessionId(fork.id))
                    .filter(|fork| !self.sessions.contains_key(fork));
                waiting.extend(new.map(|fork| (fork, None)));
            }
        }
        Ok(())
    }

    /// The bundles that those runs made, of every session that has them.
    async fn bundles(
        &self,
        connection: &mut PgConnection,
        runs: &[Uuid],
    ) -> Result<Vec<ErasedBundle>, StoreError> {
        let rows = sqlx::query!(
            "select session, digest from runtime.artifact
             where digest in (select digest from runtime.artifact where run = any($1))",
            runs,
        )
        .fetch_all(connection)
        .await?;
        let digests: BTreeSet<&String> = rows.iter().map(|row| &row.digest).collect();
        let mut bundles: BTreeSet<(SessionId, String)> =
            rows.iter().map(|row| (SessionId(row.session), row.digest.clone())).collect();
        for (session, state) in &self.sessions {
            let session::State::Known(known) = state else { continue };
            let held = known.bundles.iter().filter(|digest| digests.contains(&digest.0));
            bundles.extend(held.map(|digest| (*session, digest.0.clone())));
        }
        let bundle = |(session, digest)| ErasedBundle { session, digest: BundleDigest(digest) };
        Ok(bundles.into_iter().map(bundle).collect())
    }
}

/// Removes what was kept of runs beside the log.
async fn forget(connection: &mut PgConnection, runs: &[Uuid]) -> Result<(), StoreError> {
    sqlx::query!("delete from runtime.run_part where run = any($1)", runs)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("delete from runtime.run_message where run = any($1)", runs)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("delete from runtime.run_output where run = any($1)", runs)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("delete from runtime.run_changes where run = any($1)", runs)
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        "update runtime.run_link set doing = null, doing_at = null, subject = null where run = any($1)",
        runs,
    )
    .execute(connection)
    .await?;
    Ok(())
}
