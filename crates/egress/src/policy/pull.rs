//! Asks the control plane for policies, for ever. What was answered last stays in force while it
//! does not answer.

use std::time::Duration;

use reqwest::StatusCode;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Policies, PolicyFile, Unchecked};
use crate::control::{Control, ControlError};

/// The longest wait between two tries while the control plane is away.
const SLOWEST: Duration = Duration::from_secs(2);
const FASTEST: Duration = Duration::from_millis(100);
/// The control plane holds a poll for up to 20 seconds.
const POLL: Duration = Duration::from_secs(30);

pub(crate) struct Puller {
    control: Control,
    file: PolicyFile,
    current: watch::Sender<Option<Policies>>,
}

impl Puller {
    /// Starts from what is on disk.
    pub(crate) fn new(control: Control, file: PolicyFile) -> Self {
        let current = watch::Sender::new(file.read());
        Self { control, file, current }
    }

    /// The policies in force; none until the first are known.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Policies>> {
        self.current.subscribe()
    }

    pub(crate) async fn run(self, shutdown: CancellationToken) {
        shutdown.run_until_cancelled(self.pull_for_ever()).await;
    }

    async fn pull_for_ever(self) {
        // Without a tag at first and after every failure: another control plane may answer now, to
        // which the old tag means nothing.
        let mut after = None;
        let mut wait = FASTEST;
        loop {
            match self.pull(after.as_deref()).await {
                Ok(Some(policies)) => {
                    after = Some(policies.etag.clone());
                    wait = FASTEST;
                    self.apply(policies);
                }
                Ok(None) => wait = FASTEST,
                Err(error) => {
                    if after.take().is_some() || wait == FASTEST {
                        tracing::warn!(%error, "no policies from the control plane: the last ones stay");
                    }
                    wait = (wait * 2).min(SLOWEST);
                }
            }
            // A control plane that answers at once, again and again, is not to be hammered either.
            tokio::time::sleep(wait.min(SLOWEST)).await;
        }
    }

    async fn pull(&self, after: Option<&str>) -> Result<Option<Policies>, ControlError> {
        let mut url = self.control.url("gateway/v1/policies");
        if let Some(after) = after {
            url.query_pairs_mut().append_pair("after", after);
        }
        let answer = self.control.send(self.control.get(url).timeout(POLL)).await?;
        if matches!(answer.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Ok(None);
        }
        let unchecked: Unchecked = answer.json().await.map_err(ControlError::unreachable)?;
        Ok(Some(unchecked.into()))
    }

    fn apply(&self, policies: Policies) {
        let changed = self.current.borrow().as_ref().is_none_or(|old| old.runs != policies.runs);
        if !changed {
            return;
        }
        let written = self.file.write(&policies);
        // In force first: what is on disk only matters at the next start.
        self.current.send_replace(Some(policies));
        if let Err(error) = written {
            tracing::error!(%error, "the policies cannot be stored; a restart would not know them");
        }
    }
}
