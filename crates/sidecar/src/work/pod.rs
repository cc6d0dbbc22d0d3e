//! What is different in a pod: the agent has this process's network, and the cluster may end the pod.

use std::time::Duration;

use domain::run::{Probe, SnapshotCause};
use link::Fact;
use tokio::{sync::mpsc, time::sleep};

use super::{Config, Work, held::Before};
use crate::{SidecarError, fence};

/// How often the fence is proven again.
const PROOF: Duration = Duration::from_secs(30);

impl Work {
    /// Proves the fence again and again, and passes on a proof that it is open. Whether the canary answers is
    /// of no interest here: what is reached is reached.
    pub(super) fn prove_again(
        &self,
        broken: mpsc::Sender<Vec<Probe>>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let pod = self.config.pod.clone().filter(|_| !self.config.accept_unenforced);
        let (store, canary) = (self.store.clone(), self.config.canary.clone());
        let proven = Config::proof(&self.config.spool_dir);
        async move {
            let Some(pod) = pod else { return };
            loop {
                sleep(PROOF).await;
                if !proven.exists() {
                    continue;
                }
                let from = fence::From::Here { store: &store, node: pod.node };
                match fence::prove(from, &canary).await {
                    Ok(probes) if fence::is_reached(&probes) => {
                        let _ = broken.send(probes).await;
                        return;
                    }
                    Ok(_) => {}
                    Err(error) => tracing::warn!(%error, "the fence was not tried this time"),
                }
            }
        }
    }

    /// The agent stops, and the run fails; with it the gateway closes the run's door.
    pub(super) async fn fence_broke(&mut self, probes: Vec<Probe>) -> Result<(), SidecarError> {
        if self.given_up {
            return Ok(());
        }
        self.given_up = true;
        let _ = self.harness.stop().await;
        tracing::warn!(?probes, "the fence is open: the workload is given up");
        self.say(Fact::Fence { probes })
    }

    /// A pod that is told to end waits for the snapshot in which what the agent did is kept.
    pub(super) async fn keep_before_the_end(&mut self) -> Result<(), SidecarError> {
        let over = self.given_up || self.kept_before_the_end || self.journal.notes.final_snapshot;
        if self.config.pod.is_none() || over || self.journal.notes.agent_session.is_none() {
            return Ok(());
        }
        let Ok(status) = self.harness.status().await else { return Ok(()) };
        if status.ending {
            self.kept_before_the_end = true;
            self.snapshot(SnapshotCause::Stop, Before::Stop).await?;
        }
        Ok(())
    }
}
