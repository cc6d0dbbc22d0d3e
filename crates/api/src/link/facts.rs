//! What a sidecar reports, as commands of its run.

use chrono::{DateTime, Utc};
use commands::{Caused, CommandError, Context};
use domain::{
    event::Actor,
    ids::{Generation, RunId},
    run::{Command, PublishStage, SnapshotCause},
    session::BundleInfo,
    text::TextRef,
};
use link::{Fact, SnapshotUpload};
use sqlx::{Postgres, Transaction};

use super::{LinkState, bounds, identity::Identified};
use crate::bundles::BundleError;

/// What a fact comes to.
pub(super) enum Effect {
    Command(Command),
    /// A command that carries no generation of its own: only the newest workload may cause it.
    OfNewest(Command),
    /// The branch was pushed; its first commit's subject is kept beside.
    Pushed(Command, String),
    Snapshot(BundleInfo, SnapshotCause),
    /// It makes no sense: not applied, so that it blocks nothing.
    Nonsense(&'static str),
}

/// Why a fact was not applied.
#[derive(Debug, thiserror::Error)]
pub(super) enum FactError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("the bundle could not be looked up")]
    Bundle(#[from] BundleError),
}

impl From<sqlx::Error> for FactError {
    fn from(error: sqlx::Error) -> Self {
        Self::Command(error.into())
    }
}

/// Translates a fact; texts in it are sealed into `caused`.
pub(super) fn effect(
    context: &Context,
    generation: Generation,
    now: DateTime<Utc>,
    fact: Fact,
    caused: &mut Caused,
) -> Effect {
    let mut seal = |text: String| -> TextRef {
        let sealed = context.seal(text);
        let reference = sealed.reference.clone();
        caused.texts.push(sealed);
        reference
    };
    Effect::Command(match fact {
        Fact::Fence { probes } => {
            let probes = bounds::probes(probes);
            let detail = bounds::not_fenced(&probes).map(&mut seal);
            Command::ReportFence { generation, probes, detail }
        }
        Fact::Restored { git_head, .. } if !bounds::is_commit(&git_head) => {
            return Effect::Nonsense("a HEAD that is no commit");
        }
        Fact::Restored { from, git_head } => Command::ReportRestored { generation, from, git_head },
        Fact::Ready { agent_session, agent_version }
            if !bounds::is_agent_id(&agent_session) || !bounds::is_version(&agent_version) =>
        {
            return Effect::Nonsense("an agent's session or version that cannot be one");
        }
        Fact::Ready { agent_session, agent_version } => {
            Command::ReportReady { generation, agent_session, agent_version }
        }
        Fact::TurnStarted { message } if !bounds::is_agent_id(&message.0) => {
            return Effect::Nonsense("a message's id that cannot be one");
        }
        Fact::TurnStarted { message } => Command::ReportTurnStarted { generation, message },
        Fact::TurnEnded { message } => Command::ReportTurnEnded { generation, message, now },
        Fact::Failed { failure, detail } => {
            let detail = (!detail.is_empty()).then(|| seal(bounds::words(detail)));
            Command::ReportTurnFailed { generation, failure, detail }
        }
        Fact::InputRequired { input, .. } | Fact::InputWithdrawn { input }
            if !bounds::is_agent_id(&input.0) =>
        {
            return Effect::Nonsense("a question's id that cannot be one");
        }
        Fact::InputRequired { input, kind, detail } => {
            let detail = seal(bounds::json(&detail));
            Command::ReportInputRequired { generation, input, kind, detail, now }
        }
        Fact::InputWithdrawn { input } => Command::ReportInputWithdrawn { generation, input },
        Fact::Pushed { head, .. } if !bounds::is_commit(&head) => {
            return Effect::Nonsense("a pushed head that is no commit");
        }
        Fact::Pushed { head, commits, subject } => {
            let command = Command::ReportPushed { generation, head, commits };
            return Effect::Pushed(command, bounds::line(&subject));
        }
        Fact::NothingToPublish => Command::ReportNothingToPublish { generation },
        Fact::PushFailed { detail } => {
            let detail = seal(bounds::words(detail));
            return Effect::OfNewest(Command::ReportPublishFailed {
                stage: PublishStage::Push,
                detail,
                retry_at: None,
            });
        }
        Fact::Usage { usage } => Command::ReportUsage { generation, usage },
        Fact::SnapshotStored { upload } if !bounds::is_commit(&upload.git_head) => {
            return Effect::Nonsense("a snapshot's HEAD that is no commit");
        }
        Fact::SnapshotStored { upload } => {
            let SnapshotUpload { digest, parent, size, git_head, cause, left_out: _ } = upload;
            return Effect::Snapshot(BundleInfo { digest, parent, size, git_head }, cause);
        }
        Fact::SnapshotWaits { reason } => Command::ReportSnapshotWaiting { generation, reason },
        Fact::SnapshotAbandoned { .. } => return Effect::OfNewest(Command::AbandonSnapshot),
        Fact::Lost { reason } => Command::ReportLost { generation, reason: bounds::line(&reason) },
    })
}

/// Carries a fact out within the transaction that stores its frame. A refusal is no error: it is logged,
/// and the frame is stored without effect.
pub(super) async fn apply_in_tx(
    link: &LinkState,
    tx: &mut Transaction<'_, Postgres>,
    from: &Identified,
    seq: u64,
    fact: Fact,
) -> Result<(), FactError> {
    let context = link.commands.context();
    let mut caused = Caused::by(Actor::Pod(from.run, from.generation));
    caused.request = format!("link:{seq}");
    let abandoned = match &fact {
        Fact::SnapshotAbandoned { detail } => Some(bounds::line(detail)),
        _ => None,
    };
    if let Some(detail) = abandoned {
        tracing::warn!(run = %from.run, detail, "the last snapshot was abandoned");
    }
    let now = context.now();
    let done = match effect(context, from.generation, now, fact, &mut caused) {
        Effect::Command(command) => run(link, tx, from.run, command, &caused).await,
        Effect::OfNewest(command) => {
            of_newest(link, tx, from.run, from.generation, command, &caused).await
        }
        Effect::Pushed(command, subject) => {
            sqlx::query!(
                "update runtime.run_link set subject = $2 where run = $1",
                from.run.0,
                subject,
            )
            .execute(&mut **tx)
            .await?;
            run(link, tx, from.run, command, &caused).await
        }
        Effect::Snapshot(bundle, cause) => snapshot(link, tx, from, bundle, cause, &caused).await,
        Effect::Nonsense(what) => {
            tracing::warn!(run = %from.run, seq, what, "a report makes no sense");
            return Ok(());
        }
    };
    match done {
        Err(FactError::Command(error)) if error.refusal().is_some() => {
            let refusal = &error as &dyn std::error::Error;
            tracing::info!(run = %from.run, seq, error = refusal, "a report was refused");
            Ok(())
        }
        other => other,
    }
}

async fn run(
    link: &LinkState,
    tx: &mut Transaction<'_, Postgres>,
    run: RunId,
    command: Command,
    caused: &Caused,
) -> Result<(), FactError> {
    link.commands.run_in_tx(tx, run, command, caused).await?;
    Ok(())
}

async fn of_newest(
    link: &LinkState,
    tx: &mut Transaction<'_, Postgres>,
    run_id: RunId,
    generation: Generation,
    command: Command,
    caused: &Caused,
) -> Result<(), FactError> {
    let state = link.commands.load_run(run_id).await.map_err(CommandError::from)?.0;
    match state {
        domain::run::State::Known(known) if known.generation == Some(generation) => {
            run(link, tx, run_id, command, caused).await
        }
        _ => Ok(()),
    }
}

/// A bundle counts once all of it is here with the right digest: then the session's upload is recorded.
async fn snapshot(
    link: &LinkState,
    tx: &mut Transaction<'_, Postgres>,
    from: &Identified,
    bundle: BundleInfo,
    cause: SnapshotCause,
    caused: &Caused,
) -> Result<(), FactError> {
    if link.bundles.uploaded(from.session(), &bundle.digest).await? == Some(bundle.size) {
        link.commands
            .store_snapshot_in_tx(tx, from.run, from.generation, bundle, cause, caused)
            .await?;
        return Ok(());
    }
    tracing::warn!(run = %from.run, digest = %bundle.digest, "a bundle was reported that is not there");
    if cause == SnapshotCause::Final {
        let command = Command::AbandonSnapshot;
        return of_newest(link, tx, from.run, from.generation, command, caused).await;
    }
    Ok(())
}
