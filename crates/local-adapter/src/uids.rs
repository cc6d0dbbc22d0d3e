//! Host uids, as root: two for each workload, the agent's and the sidecar's, that nothing else on the
//! machine runs under. Which they are is recorded by the owners of the workload's directories.

use std::{collections::HashSet, fs, os::unix::fs::MetadataExt as _, path::Path};

use rustix::process::geteuid;

use crate::processes;

/// How many pairs an installation has.
const PAIRS: u32 = 30_000;

/// A workload's uids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Uids {
    /// What is inside the sandbox.
    pub(crate) agent: u32,
    /// The sidecar, outside.
    pub(crate) sidecar: u32,
}

impl Uids {
    /// Those of a workload that has its directories. A user's are all the user's own.
    pub(crate) fn of(dir: &Path) -> Option<Self> {
        if !geteuid().is_root() {
            return None;
        }
        let (agent, sidecar) = (owner(&dir.join("home"))?, owner(&dir.join("sidecar"))?);
        (agent != 0 && sidecar != 0).then_some(Self { agent, sidecar })
    }

    /// A pair from `base` on that neither another workload of the data directory has, nor any process of
    /// the machine: another installation may have the same base.
    pub(crate) fn free(base: u32, workloads: &[Self]) -> Option<Self> {
        let mut taken: HashSet<u32> = in_use();
        taken.extend(workloads.iter().flat_map(|uids| [uids.agent, uids.sidecar]));
        (0..PAIRS)
            .filter_map(|nth| base.checked_add(2 * nth))
            .map(|agent| Self { agent, sidecar: agent + 1 })
            .find(|uids| {
                uids.agent != 0 && !taken.contains(&uids.agent) && !taken.contains(&uids.sidecar)
            })
    }
}

fn owner(dir: &Path) -> Option<u32> {
    Some(fs::metadata(dir).ok()?.uid())
}

/// The uids under which something runs.
fn in_use() -> HashSet<u32> {
    let status = |pid| fs::read_to_string(format!("/proc/{pid}/status")).ok();
    let mut uids = HashSet::new();
    for text in processes::all().filter_map(status) {
        let line = text.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
        uids.extend(line.split_whitespace().filter_map(|uid| uid.parse::<u32>().ok()));
    }
    uids
}

/// The first directory on the way to `path` that other uids cannot pass.
pub(crate) fn closed_to_others(path: &Path) -> Option<&Path> {
    let passable = |dir: &Path| fs::metadata(dir).is_ok_and(|about| about.mode() & 0o001 != 0);
    path.ancestors().skip(1).find(|dir| !passable(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_workloads_share_a_uid_and_none_is_root() {
        let mut workloads = Vec::new();
        for _ in 0..100 {
            let uids = Uids::free(0, &workloads).unwrap();
            assert!(uids.agent != 0 && uids.sidecar != 0 && uids.agent != uids.sidecar);
            workloads.push(uids);
        }
        let all: HashSet<u32> =
            workloads.iter().flat_map(|uids| [uids.agent, uids.sidecar]).collect();
        assert_eq!(all.len(), 200);
    }

    #[test]
    fn a_uid_under_which_something_runs_is_not_taken() {
        let own = rustix::process::geteuid().as_raw();
        let uids = Uids::free(own, &[]).unwrap();
        assert!(uids.agent != own && uids.sidecar != own);
    }

    #[test]
    fn a_directory_that_others_cannot_pass_is_named() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a/b");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let mode = |mode| fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode));
        mode(0o700).unwrap();
        assert_eq!(closed_to_others(&file), Some(dir.path()));
        mode(0o711).unwrap();
        assert_eq!(closed_to_others(&file), None);
    }
}
