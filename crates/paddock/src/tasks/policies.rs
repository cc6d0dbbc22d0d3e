//! Tells the gateways which runs there are, and what each may reach.

use api::gateway::{Policies, Policy};
use projections::Views;

use super::{Task, Tools};
use crate::serve::Doors;

pub(super) struct Publication {
    views: Views,
    policies: Policies,
    doors: Doors,
}

impl Publication {
    pub(super) fn new(tools: &Tools) -> Self {
        Self {
            views: tools.views.clone(),
            policies: tools.policies.clone(),
            doors: tools.doors.clone(),
        }
    }
}

impl Task for Publication {
    const NAME: &'static str = "policies";

    async fn round(&mut self) -> anyhow::Result<()> {
        let runs = self.views.active_runs().await?;
        let policies = runs.into_iter().map(|run| Policy {
            run: run.id,
            door_sha256: run
                .generation
                .and_then(|generation| self.doors.sha256(run.id, generation)),
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
