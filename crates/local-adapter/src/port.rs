//! The adapter port, as the control plane serves it: the one module that knows of commands and read models.

use std::future::Future;

use commands::{Accepted, Caused, CommandError, Commands};
use domain::{
    event::{Actor, Part},
    ids::{Generation, RunId},
    run::{Command, Enforcement, Failure},
    workload::Desired,
};
use projections::Views;
use sha2::{Digest as _, Sha256};

/// What is said of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// It is made, and this holds it in.
    Created(Enforcement),
    /// It is gone.
    Lost(String),
    /// It cannot be made, or took more than it may; trying again will not help.
    Refused(String),
    /// What was made is gone again.
    Removed,
}

/// Where the adapter learns what should be, and says what is.
pub trait Port: Send + Sync + 'static {
    /// Every workload that should exist, or whose removal is still to be reported.
    fn desired(&self) -> impl Future<Output = anyhow::Result<Vec<Desired>>> + Send;

    /// A new identity for a workload's sidecar; one given before stops working.
    fn identity(
        &self,
        run: RunId,
        generation: Generation,
    ) -> impl Future<Output = anyhow::Result<String>> + Send;

    /// Reports. One that comes too late to change anything is settled too.
    fn report(
        &self,
        run: RunId,
        generation: Generation,
        report: Report,
    ) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Returns when something may have changed. It only wakes.
    fn woken(&self) -> impl Future<Output = ()> + Send;
}

/// The port of a control plane.
pub(crate) struct Serving {
    commands: Commands,
    views: Views,
    bell: tokio::sync::Mutex<commands::Listener>,
}

impl Serving {
    pub(crate) fn new(commands: Commands, views: Views) -> Self {
        let bell = tokio::sync::Mutex::new(commands.doorbell().listen());
        Self { commands, views, bell }
    }
}

impl Port for Serving {
    async fn desired(&self) -> anyhow::Result<Vec<Desired>> {
        Ok(self.views.desired_workloads().await?)
    }

    async fn identity(&self, run: RunId, generation: Generation) -> anyhow::Result<String> {
        let token = hex::encode(self.commands.context().token());
        let digest: [u8; 32] = Sha256::digest(&token).into();
        self.commands.issue_identity(run, generation, digest).await?;
        Ok(token)
    }

    async fn report(
        &self,
        run: RunId,
        generation: Generation,
        report: Report,
    ) -> anyhow::Result<()> {
        let mut caused = Caused::by(Actor::System(Part::Adapter));
        let command = match report {
            Report::Created(enforcement) => {
                Command::ReportWorkloadCreated { generation, enforcement }
            }
            Report::Lost(reason) => Command::ReportLost { generation, reason },
            Report::Refused(words) => {
                let detail = self.commands.context().seal(words);
                let reference = detail.reference.clone();
                caused.texts = vec![detail];
                Command::ReportRefused {
                    generation,
                    failure: Failure::Sandbox,
                    detail: Some(reference),
                }
            }
            Report::Removed => {
                let removed = self.commands.workload_removed(run, generation, caused).await;
                return settled(removed);
            }
        };
        settled(self.commands.run(run, command, caused).await)
    }

    async fn woken(&self) {
        self.bell.lock().await.rung().await;
    }
}

/// What the run refuses comes late: what it wants now is in the next list.
fn settled(reported: Result<Accepted, CommandError>) -> anyhow::Result<()> {
    match reported {
        Ok(_) | Err(CommandError::Run(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
