//! Ending everything that a data directory's runs left running.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{limits::Limits, processes::Recorded, workload};

/// How long a sidecar has for a last snapshot.
const GRACE: Duration = Duration::from_secs(25);

/// Ends every recorded sandbox and sidecar below `data_dir`. What they did so far is snapshotted, if the
/// control plane still answers.
pub async fn shutdown_all(data_dir: &Path) {
    let workloads = directories(&data_dir.join("runs"));
    let mut ending = tokio::task::JoinSet::new();
    for (name, dir) in workloads {
        ending.spawn(async move {
            workload::end(&dir, GRACE).await;
            Limits::remove(&name);
        });
    }
    ending.join_all().await;
}

/// The directories of workloads, with their names among cgroups.
pub(crate) fn directories(runs: &Path) -> Vec<(String, PathBuf)> {
    let below = |dir: &Path| -> Vec<PathBuf> {
        fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    let mut found = Vec::new();
    for run in below(runs) {
        for generation in below(&run) {
            let part =
                |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            found.push((workload::group_name(&part(&run), &part(&generation)), generation));
        }
    }
    found
}

/// Whether anything recorded in a workload's directory runs.
pub(crate) fn runs(dir: &Path, name: &str) -> bool {
    Recorded::read(dir).get(name).is_some_and(crate::processes::Identity::is_alive)
}
