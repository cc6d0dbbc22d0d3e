//! The adapter port, as the control plane serves it: the one module that knows of commands and read models.

use std::future::Future;

use commands::{Commands, Report};
use domain::{
    ids::{Generation, RunId},
    workload::Desired,
};
use projections::Views;
use sha2::{Digest as _, Sha256};

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
        Ok(self.commands.report(run, generation, report).await?)
    }

    async fn woken(&self) {
        self.bell.lock().await.rung().await;
    }
}
