//! Sends decisions to the control plane, oldest first, until it has them.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{Decision, DecisionLog};
use crate::control::{Control, ControlError};

const BATCH: usize = 500;
/// Lets a burst gather into one batch.
const GATHER: Duration = Duration::from_millis(50);
const FASTEST: Duration = Duration::from_millis(200);
const SLOWEST: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last batches may take when the gateway stops; what is left waits on disk.
const LAST_CALL: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct Batch<'a> {
    decisions: &'a [Decision],
}

pub(crate) struct Reporter {
    pub(crate) control: Control,
    pub(crate) log: DecisionLog,
}

impl Reporter {
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        shutdown.run_until_cancelled(self.send_for_ever()).await;
        let _ = tokio::time::timeout(LAST_CALL, self.send_all()).await;
    }

    async fn send_for_ever(&self) {
        let mut wait = FASTEST;
        loop {
            match self.send_all().await {
                Ok(()) => {
                    wait = FASTEST;
                    self.log.woken().await;
                    tokio::time::sleep(GATHER).await;
                }
                Err(error) => {
                    if wait == FASTEST {
                        tracing::warn!(%error, "decisions cannot be reported; they wait on disk");
                    }
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(SLOWEST);
                }
            }
        }
    }

    async fn send_all(&self) -> Result<(), ControlError> {
        loop {
            let batch = self.log.oldest(BATCH);
            if batch.is_empty() {
                return Ok(());
            }
            match self.send(&batch).await {
                Err(ControlError::Status(status)) if is_about_content(status) => {
                    self.send_singly(&batch).await?;
                }
                sent => {
                    sent?;
                    self.log.forget(&batch);
                }
            }
        }
    }

    /// One decision that the control plane does not take must not hold up all others for ever.
    async fn send_singly(&self, batch: &[Decision]) -> Result<(), ControlError> {
        for decision in batch {
            let one = std::slice::from_ref(decision);
            match self.send(one).await {
                Err(ControlError::Status(status)) if is_about_content(status) => {
                    tracing::error!(id = %decision.id, run = %decision.run, %status, "a decision was not taken");
                    self.log.count_dropped(1);
                }
                sent => sent?,
            }
            self.log.forget(one);
        }
        Ok(())
    }

    async fn send(&self, decisions: &[Decision]) -> Result<(), ControlError> {
        let url = self.control.url("gateway/v1/decisions");
        let request = self.control.post(url).timeout(TIMEOUT).json(&Batch { decisions });
        self.control.send(request).await.map(drop)
    }
}

fn is_about_content(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY
    )
}
