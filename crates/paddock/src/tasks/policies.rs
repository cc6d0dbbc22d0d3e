//! Tells the gateways which runs there are, and what each may reach.

use api::{
    gateway::{Policies, Policy},
    settings::Installation,
};
use projections::Views;

use super::{Task, Tools};
use crate::serve::Doors;

pub(super) struct Publication {
    views: Views,
    policies: Policies,
    doors: Doors,
    installation: Installation,
}

impl Publication {
    pub(super) fn new(tools: &Tools) -> Self {
        Self {
            views: tools.views.clone(),
            policies: tools.policies.clone(),
            doors: tools.doors.clone(),
            installation: tools.installation.clone(),
        }
    }
}

impl Task for Publication {
    const NAME: &'static str = "policies";

    async fn round(&mut self) -> anyhow::Result<()> {
        let runs = self.views.active_runs().await?;
        let hosts = self.installation.now().await?.allow_list();
        let policies = runs.iter().map(|run| Policy {
            run: run.id,
            door_sha256: run
                .generation
                .and_then(|generation| self.doors.sha256(run.id, generation)),
            repo: run.requested.repo.clone(),
            branch: run.requested.branch.clone(),
            egress: run.egress.mode.as_str().to_owned(),
            hosts: hosts.clone(),
            // A fence that is found open fails the run, which takes it off this list.
            suspended: false,
        });
        self.policies.publish(policies.collect());
        Ok(())
    }
}
