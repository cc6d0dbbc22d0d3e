//! What a workload may use of the machine: by control groups of version 1 or 2 where they are writable, by
//! rlimits and by looking for the rest. What is not enforced is said.

mod groups;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustix::process::{Resource, geteuid, getrlimit};
use serde::{Deserialize, Serialize};

pub(crate) use self::groups::end_all;

/// The most processes and threads of one sandbox.
const PIDS: u32 = 1024;
/// The most open files.
const OPEN_FILES: u64 = 65_536;
/// From this kernel on, a user namespace counts its own processes against RLIMIT_NPROC.
const COUNTS_BY_NAMESPACE: (u32, u32) = (5, 14);

/// The limits of one workload, kept in its directory: who takes it over must know them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    groups: Vec<PathBuf>,
    /// The most memory, in MiB.
    pub memory_mib: u32,
    /// The most disk, in MiB.
    pub disk_mib: u32,
    /// What is enforced.
    pub enforced: Vec<String>,
    /// What is not.
    pub missing: Vec<String>,
}

impl Limits {
    /// Makes the workload's groups where that is possible, and keeps the limits in its directory. Where the
    /// groups may be is kept before one is made: a start that is cut short leaves none.
    pub(crate) fn prepare(
        dir: &Path,
        name: &str,
        memory_mib: u32,
        disk_mib: u32,
        cpu_millis: u32,
    ) -> io::Result<Self> {
        let mut planned = Self::without_groups(memory_mib, disk_mib);
        planned.groups = groups::places(name);
        planned.save(dir)?;
        let made = groups::make(name, u64::from(memory_mib) * 1024 * 1024, PIDS, cpu_millis);
        let limits = Self::of(made, memory_mib, disk_mib);
        limits.save(dir)?;
        Ok(limits)
    }

    /// The limits of a machine on which no control group can be made.
    #[must_use]
    pub fn without_groups(memory_mib: u32, disk_mib: u32) -> Self {
        Self::of(groups::Made::default(), memory_mib, disk_mib)
    }

    fn of(made: groups::Made, memory_mib: u32, disk_mib: u32) -> Self {
        let mut limits = Self { groups: made.groups, memory_mib, disk_mib, ..Self::default() };
        for (name, held) in [
            ("memory", made.memory),
            ("pids", made.pids || counts_processes()),
            ("cpu", made.cpu),
            // One file's size is bounded at once, their sum by looking at it.
            ("disk", true),
        ] {
            let list = if held { &mut limits.enforced } else { &mut limits.missing };
            list.push(name.to_owned());
        }
        limits
    }

    /// The control groups that it enters before it starts.
    pub(crate) fn groups(&self) -> &[PathBuf] {
        &self.groups
    }

    /// Whether the kernel bounds its memory.
    pub(crate) fn bounds_memory(&self) -> bool {
        self.enforced.iter().any(|name| name == "memory")
    }

    /// Whether the kernel has killed something of the workload's for want of memory.
    pub(crate) fn killed_for_memory(&self) -> bool {
        groups::killed_for_memory(&self.groups)
    }

    /// What is said of a workload that took more memory than it may.
    pub(crate) fn out_of_memory(&self) -> String {
        format!("out of memory: {} MiB are allowed", self.memory_mib)
    }

    /// The most bytes on disk.
    pub(crate) fn disk_bytes(&self) -> u64 {
        u64::from(self.disk_mib) * 1024 * 1024
    }

    /// The most bytes in memory.
    pub(crate) fn memory_bytes(&self) -> u64 {
        u64::from(self.memory_mib) * 1024 * 1024
    }

    /// What stands before the program, inside: only there does RLIMIT_NPROC count the sandbox's processes
    /// alone, and not all of the user's.
    #[must_use]
    pub fn inside(&self) -> Vec<String> {
        // Never more than this process may have: raising it is not everybody's right.
        let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        vec![
            "prlimit".to_owned(),
            format!("--fsize={}", self.disk_bytes()),
            format!("--nofile={}", most.min(OPEN_FILES)),
            "--core=0".to_owned(),
            format!("--nproc={PIDS}"),
        ]
    }

    /// Keeps them in a workload's directory.
    pub(crate) fn save(&self, dir: &Path) -> io::Result<()> {
        let beside = dir.join("limits.new");
        fs::write(&beside, serde_json::to_vec(self)?)?;
        fs::rename(beside, dir.join("limits.json"))
    }

    /// Those kept in a workload's directory.
    pub(crate) fn load(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(dir.join("limits.json")).ok()?).ok()
    }
}

/// Whether RLIMIT_NPROC counts one sandbox's processes only: as root each has a uid of its own.
fn counts_processes() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    geteuid().is_root() || version(&release) >= Some(COUNTS_BY_NAMESPACE)
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|character: char| !character.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_told_apart() {
        assert_eq!(version("6.1.0-13-amd64\n"), Some((6, 1)));
        assert_eq!(version("5.10.0"), Some((5, 10)));
        assert!(version("5.10.0") < Some(COUNTS_BY_NAMESPACE));
        assert_eq!(version("x"), None);
    }

    #[test]
    fn what_no_group_holds_is_missing() {
        let limits = Limits::without_groups(1, 1);
        assert_eq!(limits.missing, ["memory", "cpu"]);
        assert_eq!(limits.enforced, ["pids", "disk"]);
        assert!(!limits.bounds_memory());
    }
}
