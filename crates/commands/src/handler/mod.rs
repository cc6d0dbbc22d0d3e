//! Handling commands: load → fold → decide → append.

mod attempt;
mod recent;
mod refused;
pub(crate) mod work;

use std::sync::Arc;

use domain::{
    event::{Actor, Event, Recorded},
    ids::{Generation, RunId, SessionId, StreamVersion},
    run, session, settings,
    stream::StreamId,
};
use sqlx::{PgPool, Postgres, Transaction};

use crate::{
    Accepted, Caused, CommandError, Context, Doorbell, Idempotency, SettingsLog, StoreError,
    credentials::KnownCredentials,
    handler::{recent::Recent, work::Work},
    settings::KnownSettings,
    store::{self, Append, AppendError, append::Unit, key::first_answer, load},
};

/// Handles commands and reads single streams. Cheap to clone.
#[derive(Clone)]
pub struct Commands {
    pool: PgPool,
    context: Context,
    doorbell: Doorbell,
    recent: Arc<Recent>,
    settings: Arc<KnownSettings>,
    credentials: Arc<KnownCredentials>,
}

impl Commands {
    /// Handles commands on the event log in `pool`.
    #[must_use]
    pub fn new(pool: PgPool, context: Context) -> Self {
        Self {
            pool,
            context,
            doorbell: Doorbell::new(),
            recent: Arc::default(),
            settings: Arc::default(),
            credentials: Arc::default(),
        }
    }

    /// The clock and the randomness in use.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The database.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub(crate) fn known_credentials(&self) -> &KnownCredentials {
        &self.credentials
    }

    /// Rings after every append through this value or a clone of it.
    #[must_use]
    pub fn doorbell(&self) -> Doorbell {
        self.doorbell.clone()
    }

    /// Handles a session's command.
    pub async fn session(
        &self,
        id: SessionId,
        command: session::Command,
        caused: Caused,
    ) -> Result<Accepted, CommandError> {
        self.handle(Work::Session { id, command }, caused).await
    }

    /// Handles a run's command. Where it ends the run, the session's active run ends with it, in the
    /// same transaction. A request is handled as [`start_run`](Self::start_run).
    pub async fn run(
        &self,
        id: RunId,
        command: run::Command,
        caused: Caused,
    ) -> Result<Accepted, CommandError> {
        self.handle(Work::of_run(id, command), caused).await
    }

    /// Handles a command about the installation's settings.
    pub async fn settings(
        &self,
        command: settings::Command,
        caused: Caused,
    ) -> Result<Accepted, CommandError> {
        self.handle(Work::Settings { command }, caused).await
    }

    /// Makes a run and makes it the session's active one, in one transaction. `If-Match` is about the
    /// session; the answer is about the run.
    pub async fn start_run(
        &self,
        session: SessionId,
        run: RunId,
        request: run::Command,
        caused: Caused,
    ) -> Result<Accepted, CommandError> {
        self.handle(Work::StartRun { session, run, request }, caused).await
    }

    /// Handles a run's command within the caller's transaction, which sees its own events. On
    /// [`CommandError::Contended`] and [`CommandError::Store`] the transaction is lost and the caller
    /// begins it anew; after any other refusal it goes on. A refusal is not recorded: it is the caller's
    /// to call [`refused`](Self::refused). The caller rings the doorbell after the commit.
    pub async fn run_in_tx(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        id: RunId,
        command: run::Command,
        caused: &Caused,
    ) -> Result<Accepted, CommandError> {
        self.in_tx(tx, &Work::of_run(id, command), caused).await
    }

    /// Records a bundle in the run's and in the session's stream, within the caller's transaction, as
    /// [`run_in_tx`](Self::run_in_tx).
    pub async fn store_snapshot_in_tx(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        run: RunId,
        generation: Generation,
        bundle: session::BundleInfo,
        cause: run::SnapshotCause,
        caused: &Caused,
    ) -> Result<Accepted, CommandError> {
        self.in_tx(tx, &Work::StoreSnapshot { run, generation, bundle, cause }, caused).await
    }

    /// A session as it is now. A session without events is `State::New` at version 0.
    pub async fn load_session(
        &self,
        id: SessionId,
    ) -> Result<(session::State, StreamVersion), StoreError> {
        let loaded = store::load(&self.pool, id.into()).await?;
        Ok((work::fold_session(&loaded.events), loaded.version.get()))
    }

    /// A run as it is now. A run without events is `State::New` at version 0.
    pub async fn load_run(&self, id: RunId) -> Result<(run::State, StreamVersion), StoreError> {
        let loaded = store::load(&self.pool, id.into()).await?;
        Ok((work::fold_run(&loaded.events), loaded.version.get()))
    }

    /// The settings as they are now, with all that was ever changed.
    pub async fn load_settings(&self) -> Result<Arc<SettingsLog>, StoreError> {
        self.settings.load(&self.pool).await
    }

    /// A run's events after a version, in order.
    pub async fn run_events(
        &self,
        id: RunId,
        after: StreamVersion,
    ) -> Result<Vec<Recorded>, StoreError> {
        load::events_after(&self.pool, id.into(), after).await
    }

    /// The first answer to this key of this actor, if there is one: for those who decide something before
    /// the command, which must not be decided anew.
    pub async fn answered(
        &self,
        actor: Actor,
        key: &Idempotency,
    ) -> Result<Option<Accepted>, CommandError> {
        first_answer(&self.pool, actor, key).await
    }

    /// As [`actor`](Self::actor), within the caller's transaction: on any error it is lost. The caller
    /// rings the doorbell after the commit.
    pub async fn actor_in_tx(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        stream: StreamId,
        event: domain::actor::Event,
        caused: &Caused,
    ) -> Result<(), CommandError> {
        let after = load::head_on(&mut **tx, stream).await?;
        let append = Append { after, events: vec![Event::Actor(event)] };
        let unit = Unit::new(&self.context, caused.actor, vec![append], &caused.texts);
        match unit.insert(&mut **tx, None).await {
            Ok(()) => Ok(()),
            Err(AppendError::VersionTaken | AppendError::KeyTaken) => Err(CommandError::Contended),
            Err(AppendError::Store(error)) => Err(error.into()),
        }
    }

    /// Appends events of an actor's own stream that follow from no decision: signing in, tokens.
    pub async fn actor(
        &self,
        stream: StreamId,
        event: domain::actor::Event,
        caused: &Caused,
    ) -> Result<(), CommandError> {
        self.append_any(stream, Event::Actor(event), caused).await
    }
}
