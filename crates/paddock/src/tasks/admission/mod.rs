//! Lets queued runs start when there is room, and says why the others wait.

mod plan;

use anyhow::Context as _;
use commands::{Caused, Commands};
use domain::{
    event::{Actor, Part},
    run::Command,
    workload::Phase,
};
use projections::Views;

use self::plan::{Active, Capacity, Decision, Waiting, plan};
use super::{Task, Tools, memory};

/// How many runs may be active at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) max_runs: u32,
    pub(crate) max_runs_per_owner: u32,
    /// Whether runs take this machine's memory.
    pub(crate) by_memory_here: bool,
}

pub(super) struct Admission {
    commands: Commands,
    views: Views,
    limits: Limits,
}

impl Admission {
    pub(super) fn new(tools: &Tools, limits: Limits) -> Self {
        Self { commands: tools.commands.clone(), views: tools.views.clone(), limits }
    }
}

impl Task for Admission {
    const NAME: &'static str = "admission";

    async fn round(&mut self) -> anyhow::Result<()> {
        let waiting = self.waiting().await?;
        if waiting.is_empty() {
            return Ok(());
        }
        // The queue is read first: a run admitted since then counts twice, never not at all.
        let active = self.active().await?;
        let free_mib = memory::available_mib().filter(|_| self.limits.by_memory_here);
        let capacity = Capacity { limits: self.limits, free_mib };
        for (run, decision) in plan(&waiting, active, capacity) {
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
        Ok(())
    }
}

impl Admission {
    async fn waiting(&self) -> anyhow::Result<Vec<Waiting>> {
        let queue = self.views.queue().await?;
        let waiting = queue.into_iter().map(|queued| Waiting {
            run: queued.run,
            owner: queued.owner,
            memory_mib: queued.memory_mib,
            reason: queued.reason,
        });
        Ok(waiting.collect())
    }

    async fn active(&self) -> anyhow::Result<Active> {
        let by_owner = self.views.active().await?.into_iter().collect();
        let mut active = Active { by_owner, ..Active::default() };
        for workload in self.views.desired_workloads().await? {
            match workload.phase {
                Phase::Create => active.beginning_mib.push(workload.memory_mib),
                Phase::Keep => active.working_mib.push(workload.memory_mib),
                Phase::Remove => {}
            }
        }
        Ok(active)
    }
}
