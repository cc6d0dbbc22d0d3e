//! What is done about one workload, beside what is done about others.

use std::{sync::Arc, time::Duration};

use commands::Report;
use domain::{
    ids::{Generation, RunId},
    workload::Desired,
};

use crate::{
    Config, files,
    plan::Removal,
    port::Port,
    uids::Uids,
    workload::{self, Place, Workload},
};

/// How long an ended run's sidecar has to end by itself: it is told by the link, and says its last words.
const GRACE: Duration = Duration::from_secs(10);
/// How long any other sidecar has.
const SHORT: Duration = Duration::from_secs(1);

/// An action whose time has come.
pub(crate) enum Acting {
    /// Start what has its directories and uids.
    Create(Desired, Option<Uids>),
    /// Report what an earlier adapter made.
    TakeOver(Desired),
    RestartSidecar(Desired),
    ReportLost(Desired),
    Lost(Desired, String),
    Refuse(Desired, String),
    Over(Desired, String),
    Remove(RunId, Generation, Removal),
}

/// A workload that cannot be made.
pub(crate) fn refuse(desired: Desired, error: &anyhow::Error) -> Acting {
    Acting::Refuse(desired, format!("{error:#}"))
}

impl Acting {
    pub(crate) async fn act<P: Port>(
        self,
        config: Arc<Config>,
        port: Arc<P>,
    ) -> anyhow::Result<()> {
        let place =
            |desired: &Desired| Place::of(&config.data_dir, desired.run, desired.generation);
        let (desired, report) = match self {
            Self::Create(desired, uids) => {
                let workload = Workload::of(&config, &desired, uids);
                let token = port.identity(desired.run, desired.generation).await?;
                let report = match make(&workload, &token, &group_name(&desired)).await {
                    Ok(()) => Report::Created(workload.place.enforcement()),
                    Err(error) => Report::Refused(format!("{error:#}")),
                };
                (desired, report)
            }
            Self::TakeOver(desired) => {
                let uids = Uids::of(&place(&desired).dir);
                let workload = Workload::of(&config, &desired, uids);
                let report = match workload.take_over().await {
                    Ok(()) => Report::Created(workload.place.enforcement()),
                    Err(error) => Report::Lost(format!("{error:#}")),
                };
                (desired, report)
            }
            Self::RestartSidecar(desired) => {
                let uids = Uids::of(&place(&desired).dir);
                return Workload::of(&config, &desired, uids).start_sidecar().await;
            }
            Self::ReportLost(desired) => {
                let (how, words) = place(&desired).how_it_ended();
                tracing::warn!(run = %desired.run, generation = %desired.generation, how, words, "lost");
                (desired, Report::Lost(how))
            }
            Self::Lost(desired, reason) => (desired, Report::Lost(reason)),
            Self::Refuse(desired, words) => (desired, Report::Refused(words)),
            Self::Over(desired, words) => (desired, Report::Over(words)),
            Self::Remove(run, generation, why) => {
                remove(&Place::of(&config.data_dir, run, generation), why).await?;
                if why == Removal::Ended {
                    port.report(run, generation, Report::Removed).await?;
                }
                return Ok(());
            }
        };
        port.report(desired.run, desired.generation, report).await
    }
}

async fn make(workload: &Workload<'_>, token: &str, group: &str) -> anyhow::Result<()> {
    workload.write_identity(token)?;
    workload.start(group).await
}

/// The name of a workload's control groups.
fn group_name(desired: &Desired) -> String {
    format!("paddock-{}-{}", desired.run, desired.generation)
}

async fn remove(place: &Place, why: Removal) -> anyhow::Result<()> {
    if why == Removal::Ended
        && let Some(sidecar) = place.recorded().living("sidecar")
    {
        sidecar.gone_within(GRACE).await;
    }
    workload::end(place, SHORT).await;
    files::remove(&place.dir).await?;
    if let Some(run) = place.dir.parent() {
        // Another generation of the run may be there.
        let _ = std::fs::remove_dir(run);
    }
    Ok(())
}
