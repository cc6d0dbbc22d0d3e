//! Ends what has waited or run for too long.

mod plan;

use std::{collections::BTreeMap, time::Instant};

use api::link::{Silent, settle, silent};
use commands::{Caused, CommandError, Commands};
use domain::{
    event::{Actor, Part},
    ids::{RunId, StreamVersion},
    run::{self, Stage},
};
use projections::Views;

use self::plan::{Silence, overdue};
use super::{Task, Tools};

/// From when on a silent link is looked at.
const SILENT_SECONDS: u32 = 30;

pub(super) struct Deadlines {
    commands: Commands,
    views: Views,
    /// Since when this process could have heard a sidecar.
    listening: Instant,
}

impl Deadlines {
    pub(super) fn new(tools: &Tools) -> Self {
        Self {
            commands: tools.commands.clone(),
            views: tools.views.clone(),
            listening: Instant::now(),
        }
    }

    /// Looks at one run, whatever the views say of it. What became due by its events is asked for at
    /// exactly their version: a prompt in between means that it is not due any more.
    async fn look(&self, run: RunId, silent: Option<Silent>) -> anyhow::Result<()> {
        let events = self.commands.run_events(run, StreamVersion::NONE).await?;
        let Some(version) = events.last().map(|last| last.version) else { return Ok(()) };
        let silence = silent.map(|silent| Silence {
            generation: silent.generation,
            // A control plane that was away heard nobody.
            seconds: silent.seconds.min(self.listening.elapsed().as_secs()),
        });
        if let Some(command) = overdue(&events, silence, self.commands.context().now()) {
            tracing::info!(%run, ?command, "overdue");
            let mut caused = Caused::by(Actor::System(Part::Deadlines));
            caused.if_match = Some(version);
            match self.commands.run(run, command, caused).await {
                // Something happened meanwhile, or the run refuses it: the next round looks again.
                Ok(_) | Err(CommandError::IfMatch { .. } | CommandError::Run(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if silent.is_some() && self.has_ended(run).await? {
            settle(self.commands.pool(), run).await?;
        }
        Ok(())
    }

    async fn has_ended(&self, run: RunId) -> anyhow::Result<bool> {
        Ok(match self.commands.load_run(run).await?.0 {
            run::State::Known(run) => matches!(run.stage, Stage::Ended(_)),
            run::State::New => true,
        })
    }
}

impl Task for Deadlines {
    const NAME: &'static str = "deadlines";
    /// Time passes without appends.
    const WAKES: bool = false;

    async fn round(&mut self) -> anyhow::Result<()> {
        let mut runs: BTreeMap<RunId, Option<Silent>> = BTreeMap::new();
        for due in self.views.due(self.commands.context().now()).await? {
            runs.insert(due.run, None);
        }
        for silent in silent(self.commands.pool(), SILENT_SECONDS).await? {
            runs.insert(silent.run, Some(silent));
        }
        for (run, silent) in runs {
            if let Err(error) = self.look(run, silent).await {
                tracing::error!(%run, error = &*error, "a run's deadlines could not be looked at");
            }
        }
        Ok(())
    }
}
