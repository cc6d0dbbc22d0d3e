//! Lets go of what nothing will read again: bundles that a newer one of the same run superseded, uploads
//! that nobody went on with, all that a deleted session left behind, and what is older than it is to be kept.

use std::time::Duration;

use api::{
    bundles::{Bundles, Superseded},
    output::Outputs,
    settings::Installation,
};
use commands::{Caused, CommandError, Commands};
use domain::{
    event::{Actor, Part},
    ids::RunId,
    session,
};

use super::{Task, Tools};

pub(super) struct Retention {
    commands: Commands,
    bundles: Bundles,
    outputs: Outputs,
    installation: Installation,
}

impl Retention {
    pub(super) fn new(tools: &Tools) -> Self {
        Self {
            commands: tools.commands.clone(),
            bundles: tools.bundles.clone(),
            outputs: tools.outputs.clone(),
            installation: tools.installation.clone(),
        }
    }

    /// Removes one bundle, unless it is the one that the session goes on from.
    async fn expire(&self, bundle: Superseded) -> anyhow::Result<()> {
        let (state, _) = self.commands.load_session(bundle.session).await?;
        if let session::State::Known(session) = &state
            && session.head.as_ref().is_some_and(|head| head.digest == bundle.digest)
        {
            return Ok(());
        }
        self.bundles.remove(bundle.session, &bundle.digest).await?;
        let command = session::Command::ExpireBundle { digest: bundle.digest };
        let caused = Caused::by(Actor::System(Part::Retention));
        match self.commands.session(bundle.session, command, caused).await {
            Ok(_) | Err(CommandError::Session(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn forget(&self, run: RunId) -> anyhow::Result<()> {
        self.outputs.remove(run).await?;
        api::link::forget(self.commands.pool(), run).await?;
        Ok(())
    }
}

impl Task for Retention {
    const NAME: &'static str = "retention";
    const PERIOD: Duration = Duration::from_mins(1);
    const WAKES: bool = false;

    async fn round(&mut self) -> anyhow::Result<()> {
        // What an erasure could not take out of the store at once.
        api::audit::remove_erased_bundles(&self.commands, &self.bundles).await?;
        let kept = self.installation.now().await?.retention();
        for bundle in self.bundles.superseded((&kept).into()).await? {
            let (session, digest) = (bundle.session, bundle.digest.clone());
            if let Err(error) = self.expire(bundle).await {
                tracing::error!(%session, %digest, error = &*error, "a bundle could not be removed");
            }
        }
        for run in api::link::of_deleted_sessions(self.commands.pool()).await? {
            if let Err(error) = self.forget(run).await {
                tracing::error!(%run, error = &*error, "a run's output could not be removed");
            }
        }
        if let Some(days) = kept.output_days {
            for run in api::link::ended_before(self.commands.pool(), days).await? {
                if let Err(error) = self.outputs.remove(run).await {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(%run, error, "a run's output could not be removed");
                }
            }
        }
        let partial = Duration::from_hours(kept.partial_upload_hours.into());
        let partial = self.bundles.prune_partial(partial).await?;
        if partial > 0 {
            tracing::info!(partial, "uploads that nobody went on with were removed");
        }
        Ok(())
    }
}
