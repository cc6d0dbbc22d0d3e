//! Lets queued runs start when there is room, and says why the others wait.

mod plan;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use api::settings::Installation;
use commands::{Caused, Commands};
use domain::{
    event::{Actor, Part},
    ids::RunId,
    run::Command,
    settings,
};
use futures::{StreamExt as _, stream};
use projections::{
    Views,
    model::{RunRow, RunState, Workload},
};

use self::plan::{Active, Capacity, Decision, Waiting, plan};
use super::{Task, Tools, memory};

/// How many waiting runs are dealt with at once.
const AT_ONCE: usize = 8;
/// Of how many it is said in one round why they wait: those that may begin are looked for again before the next.
const MOST_TOLD: usize = 100;
/// How long it waits after news: this is a part of how long a run takes to begin.
const SETTLE: Duration = Duration::from_millis(2);

pub(super) struct Admission {
    commands: Commands,
    views: Views,
    installation: Installation,
    /// Whether runs take this machine's memory.
    by_memory_here: bool,
}

impl Admission {
    pub(super) fn new(tools: &Tools) -> Self {
        Self {
            commands: tools.commands.clone(),
            views: tools.views.clone(),
            installation: tools.installation.clone(),
            by_memory_here: tools.by_memory_here,
        }
    }
}

impl Task for Admission {
    const NAME: &'static str = "admission";

    async fn round(&mut self) -> anyhow::Result<()> {
        let runs = self.views.live_runs().await?;
        let waiting = waiting(&runs);
        if waiting.is_empty() {
            return Ok(());
        }
        // A run admitted since they were read still waits among them: it is counted as one that begins.
        let active = active(&runs);
        let free_mib = memory::available_mib().filter(|_| self.by_memory_here);
        let settings::Limits { max_runs, max_runs_per_owner } =
            self.installation.now().await?.limits();
        let capacity = Capacity { max_runs, max_runs_per_owner, free_mib };
        let decided = plan(&waiting, active, capacity);
        // Those that may begin come first: why thousands wait is told after.
        let (admitted, told): (Vec<_>, Vec<_>) =
            decided.into_iter().partition(|(_, decision)| *decision == Decision::Admit);
        let told = told.into_iter().take(MOST_TOLD);
        stream::iter(admitted.into_iter().chain(told))
            .for_each_concurrent(AT_ONCE, |(run, decision)| self.carry_out(run, decision))
            .await;
        Ok(())
    }

    fn settle(_: Duration) -> Duration {
        SETTLE
    }
}

impl Admission {
    async fn carry_out(&self, run: RunId, decision: Decision) {
        let command = match decision {
            Decision::Admit => Command::Admit,
            Decision::Wait(reason) => Command::Queue { reason },
        };
        let caused = Caused::by(Actor::System(Part::Admission));
        let done = self.commands.run(run, command, caused).await;
        if let Err(error) = done.context("admission") {
            tracing::error!(%run, error = &*error, "a waiting run could not be looked at");
        }
    }
}

fn waiting(runs: &[Arc<RunRow>]) -> Vec<Waiting> {
    let queued = runs.iter().filter(|row| row.state == RunState::Queued);
    let waiting = queued.map(|row| Waiting {
        run: row.id,
        owner: row.requested.owner,
        memory_mib: row.requested.memory_mib,
        reason: row.queued.clone(),
    });
    waiting.collect()
}

fn active(runs: &[Arc<RunRow>]) -> Active {
    let mut active = Active::default();
    for row in runs {
        if row.is_active() {
            *active.by_owner.entry(row.requested.owner).or_default() += 1;
        }
        match row.workload {
            Workload::Create => active.beginning_mib.push(row.requested.memory_mib),
            Workload::Keep => active.working_mib.push(row.requested.memory_mib),
            Workload::None | Workload::Remove => {}
        }
    }
    active
}
