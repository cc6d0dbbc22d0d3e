//! Tells the gateways which runs there are, and what each may reach.

use std::collections::HashMap;

use anyhow::Context as _;
use api::gateway::{Policies, Policy};
use commands::Commands;
use domain::{
    ids::RunId,
    run::{self, Requested},
    workload::Phase,
};
use projections::Views;

use super::{Task, Tools};

pub(super) struct Publication {
    commands: Commands,
    views: Views,
    policies: Policies,
    /// What each run asked for: it never changes.
    known: HashMap<RunId, Requested>,
}

impl Publication {
    pub(super) fn new(tools: &Tools) -> Self {
        Self {
            commands: tools.commands.clone(),
            views: tools.views.clone(),
            policies: tools.policies.clone(),
            known: HashMap::new(),
        }
    }

    async fn policy(&mut self, run: RunId) -> anyhow::Result<Policy> {
        if !self.known.contains_key(&run) {
            let run::State::Known(found) = self.commands.load_run(run).await?.0 else {
                anyhow::bail!("run {run} has no events");
            };
            self.known.insert(run, found.requested);
        }
        let requested = self.known.get(&run).context("just inserted")?;
        Ok(Policy {
            run,
            repo: requested.repo.clone(),
            branch: requested.branch.clone(),
            egress: requested.egress.clone(),
            hosts: vec![],
            suspended: false,
        })
    }
}

impl Task for Publication {
    const NAME: &'static str = "policies";

    /// All or nothing: a list with a run missing would shut that run.
    async fn round(&mut self) -> anyhow::Result<()> {
        let workloads = self.views.desired_workloads().await?;
        let mut policies = vec![];
        for workload in workloads {
            if workload.phase != Phase::Remove {
                policies.push(self.policy(workload.run).await?);
            }
        }
        self.known.retain(|run, _| policies.iter().any(|policy| policy.run == *run));
        self.policies.publish(policies);
        Ok(())
    }
}
