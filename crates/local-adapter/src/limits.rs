//! What a workload may use of the machine: by cgroup v1 or v2 where they are writable, by rlimits for the
//! rest. What cannot be enforced is said.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustix::process::{Resource, getrlimit};

/// The most processes of one sandbox.
const PIDS: u32 = 1024;
/// CPU: two processors' worth, in microseconds of each 100,000.
const CPU_QUOTA: u32 = 200_000;
const CPU_PERIOD: u32 = 100_000;
/// The most open files.
const OPEN_FILES: u64 = 65_536;

/// The limits of one workload, set up and to be applied as it starts.
#[derive(Clone, Debug)]
pub struct Limits {
    groups: Vec<PathBuf>,
    disk_mib: u32,
    as_root: bool,
    /// What is enforced.
    pub enforced: Vec<String>,
    /// What is not.
    pub missing: Vec<String>,
}

impl Limits {
    /// Makes the workload's groups where that is possible. `uid_of_its_own` says whether a limit by uid
    /// counts this workload's processes only.
    #[must_use]
    pub fn prepare(name: &str, memory_mib: u32, disk_mib: u32, uid_of_its_own: bool) -> Self {
        let memory = u64::from(memory_mib) * 1024 * 1024;
        let mut limits = Self {
            groups: vec![],
            disk_mib,
            as_root: uid_of_its_own,
            enforced: vec![],
            missing: vec![],
        };
        let wanted: [(&str, Vec<(&str, String)>); 3] = [
            (
                "memory",
                vec![
                    ("memory.limit_in_bytes", memory.to_string()),
                    ("memory.memsw.limit_in_bytes", memory.to_string()),
                ],
            ),
            ("pids", vec![("pids.max", PIDS.to_string())]),
            (
                "cpu",
                vec![
                    ("cpu.cfs_period_us", CPU_PERIOD.to_string()),
                    ("cpu.cfs_quota_us", CPU_QUOTA.to_string()),
                ],
            ),
        ];
        if let Some(group) = unified(name, memory) {
            limits.groups.push(group);
            limits.enforced = ["memory", "pids", "cpu"].map(str::to_owned).to_vec();
        } else {
            for (controller, settings) in wanted {
                match hierarchy(controller, name, &settings) {
                    Some(group) => {
                        limits.groups.push(group);
                        limits.enforced.push(controller.to_owned());
                    }
                    None if controller == "pids" && uid_of_its_own => {
                        limits.enforced.push("pids".to_owned());
                    }
                    None => limits.missing.push(controller.to_owned()),
                }
            }
        }
        // A file's size is bounded at once, their sum by looking at it.
        limits.enforced.push("disk".to_owned());
        limits
    }

    /// What stands before the sandbox's own command: the shell enters the groups, then becomes it.
    #[must_use]
    pub fn prefix(&self) -> Vec<String> {
        let mut script = String::new();
        for group in &self.groups {
            script.push_str("echo $$ > '");
            script.push_str(&group.join("cgroup.procs").to_string_lossy());
            script.push_str("' || exit 70; ");
        }
        script.push_str("exec \"$@\"");
        let blocks = u64::from(self.disk_mib) * 1024 * 1024;
        let mut prefix = vec![
            "/bin/sh".to_owned(),
            "-c".to_owned(),
            script,
            "sh".to_owned(),
            "prlimit".to_owned(),
        ];
        prefix.push(format!("--fsize={blocks}"));
        // Never more than this process may have: raising it is not everybody's right.
        let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        prefix.push(format!("--nofile={}", most.min(OPEN_FILES)));
        prefix.push("--core=0".to_owned());
        if self.as_root {
            prefix.push(format!("--nproc={PIDS}"));
        }
        prefix
    }

    /// Removes the groups of a workload that has ended.
    pub fn remove(name: &str) {
        for root in ["/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/cpu"] {
            let _ = fs::remove_dir(Path::new(root).join(name));
        }
        if let Some(own) = own_unified() {
            let _ = fs::remove_dir(own.join(name));
        }
    }
}

/// A group of a v1 hierarchy with these settings, if it can be made. A setting that this kernel does not
/// have (swap accounting) is no reason to go without the others: the first one counts.
fn hierarchy(controller: &str, name: &str, settings: &[(&str, String)]) -> Option<PathBuf> {
    let group = Path::new("/sys/fs/cgroup").join(controller).join(name);
    fs::create_dir_all(&group).ok()?;
    for (at, (file, value)) in settings.iter().enumerate() {
        if fs::write(group.join(file), value).is_err() && at == 0 {
            let _ = fs::remove_dir(&group);
            return None;
        }
    }
    Some(group)
}

/// A group of the v2 hierarchy, below our own delegated one, if all three controllers are there.
fn unified(name: &str, memory: u64) -> Option<PathBuf> {
    let own = own_unified()?;
    let controllers = fs::read_to_string(own.join("cgroup.controllers")).ok()?;
    if !["memory", "pids", "cpu"]
        .iter()
        .all(|wanted| controllers.split_whitespace().any(|has| has == *wanted))
    {
        return None;
    }
    fs::write(own.join("cgroup.subtree_control"), "+memory +pids +cpu").ok()?;
    let group = own.join(name);
    fs::create_dir_all(&group).ok()?;
    let settings = [
        ("memory.max", memory.to_string()),
        ("memory.swap.max", "0".to_owned()),
        ("pids.max", PIDS.to_string()),
        ("cpu.max", format!("{CPU_QUOTA} {CPU_PERIOD}")),
    ];
    for (file, value) in settings {
        fs::write(group.join(file), value).ok()?;
    }
    Some(group)
}

fn own_unified() -> Option<PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let root = Path::new("/sys/fs/cgroup");
    root.join("cgroup.controllers").exists().then(|| root.join(own))
}
