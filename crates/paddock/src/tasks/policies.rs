//! Tells the gateways which runs there are, and what each may reach.

use api::{
    gateway::{Policies, Policy, PolicyCredential},
    settings::Installation,
};
use commands::{Commands, KnownCredential};
use domain::ids::{CredentialId, Generation};
use projections::Views;

use super::{Task, Tools};
use crate::serve::Doors;

pub(super) struct Publication {
    commands: Commands,
    views: Views,
    policies: Policies,
    doors: Doors,
    installation: Installation,
}

impl Publication {
    pub(super) fn new(tools: &Tools) -> Self {
        Self {
            commands: tools.commands.clone(),
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
        let credentials = self.commands.credentials().await?;
        let policies = runs.iter().map(|run| Policy {
            run: run.id,
            door_sha256: run
                .generation
                .and_then(|generation| self.doors.sha256(run.id, generation)),
            repo: run.requested.repo.clone(),
            branch: run.requested.branch.clone(),
            egress: run.egress.mode.as_str().to_owned(),
            hosts: hosts.clone(),
            credential: run.requested.credential.map(|id| named(id, &credentials)),
            // A fence that is found open fails the run, which takes it off this list.
            suspended: false,
        });
        self.policies.publish(policies.collect());
        Ok(())
    }
}

/// A credential by name, and whether it counts. One that is not there counts as revoked.
fn named(id: CredentialId, all: &[KnownCredential]) -> PolicyCredential {
    match all.iter().find(|known| known.id == id) {
        Some(known) => PolicyCredential {
            id,
            generation: known.credential.generation,
            revoked: known.revoked.is_some(),
        },
        None => PolicyCredential { id, generation: Generation::FIRST, revoked: true },
    }
}
