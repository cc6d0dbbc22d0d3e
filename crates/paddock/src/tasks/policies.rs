//! Tells the gateways which runs there are, and what each may reach.

use api::gateway::{Policies, Policy};
use projections::Views;

use super::{Task, Tools};

pub(super) struct Publication {
    views: Views,
    policies: Policies,
}

impl Publication {
    pub(super) fn new(tools: &Tools) -> Self {
        Self { views: tools.views.clone(), policies: tools.policies.clone() }
    }
}

impl Task for Publication {
    const NAME: &'static str = "policies";

    async fn round(&mut self) -> anyhow::Result<()> {
        let runs = self.views.active_runs().await?;
        let policies = runs.into_iter().map(|run| Policy {
            run: run.id,
            repo: run.requested.repo,
            branch: run.requested.branch,
            egress: run.requested.egress,
            hosts: vec![],
            // A fence that is found open fails the run, which takes it off this list.
            suspended: false,
        });
        self.policies.publish(policies.collect());
        Ok(())
    }
}
