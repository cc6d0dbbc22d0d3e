//! Ending everything that a data directory's runs left running.

use std::{path::Path, time::Duration};

use domain::ids::{Generation, RunId};

use crate::{
    processes::Recorded,
    workload::{self, Place},
};

/// How long a sidecar has for a last snapshot.
const GRACE: Duration = Duration::from_secs(25);

/// One workload of a data directory, and its processes as they were recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedWorkload {
    /// The run.
    pub run: RunId,
    /// Which of its workloads.
    pub generation: Generation,
    /// Its processes, whether they still run or not.
    pub processes: Recorded,
}

/// Every workload that is recorded below `data_dir`.
#[must_use]
pub fn recorded(data_dir: &Path) -> Vec<RecordedWorkload> {
    Place::all(data_dir)
        .iter()
        .filter_map(|place| {
            let (run, generation) = place.key()?;
            Some(RecordedWorkload { run, generation, processes: place.recorded() })
        })
        .collect()
}

/// Ends every recorded sandbox and sidecar below `data_dir`, and removes their control groups. What they
/// did so far is snapshotted, if the control plane still answers. Directories stay: the next start finds
/// that their runs are lost.
pub async fn shutdown_all(data_dir: &Path) {
    let mut ending = tokio::task::JoinSet::new();
    for place in Place::all(data_dir) {
        ending.spawn(async move { workload::end(&place, GRACE).await });
    }
    ending.join_all().await;
}
