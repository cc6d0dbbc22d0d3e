//! Control groups, of version 1 (a directory in each hierarchy) or 2 (one directory in what is delegated).

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::processes::Identity;

/// CPU: two processors' worth, in microseconds of each 100,000.
const CPU_PERIOD: u32 = 100_000;

const ROOT: &str = "/sys/fs/cgroup";
/// Those of version 1 that are used.
const HIERARCHIES: [&str; 3] = ["memory", "pids", "cpu"];

/// What could be made.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) groups: Vec<PathBuf>,
    pub(super) memory: bool,
    pub(super) pids: bool,
    pub(super) cpu: bool,
}

/// Every place where [`make`] may make a group of this name.
pub(super) fn places(name: &str) -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    if !root.join("cgroup.controllers").exists() {
        return HIERARCHIES.iter().map(|controller| root.join(controller).join(name)).collect();
    }
    let own = own_group(&fs::read_to_string("/proc/self/cgroup").unwrap_or_default());
    let above = own.iter().flat_map(|own| own.ancestors());
    above.map(|above| root.join(above).join(name)).collect()
}

/// Makes a workload's groups, with their limits.
pub(super) fn make(name: &str, memory: u64, pids: u32, cpu_millis: u32) -> Made {
    let root = Path::new(ROOT);
    if root.join("cgroup.controllers").exists() {
        let own = own_group(&fs::read_to_string("/proc/self/cgroup").unwrap_or_default());
        return own
            .map(|own| unified(root, &own, name, memory, pids, cpu_millis))
            .unwrap_or_default();
    }
    hierarchies(root, name, memory, pids, cpu_millis)
}

/// Version 1. Memory and swap together are bounded where the kernel counts swap.
fn hierarchies(root: &Path, name: &str, memory: u64, pids: u32, cpu_millis: u32) -> Made {
    let mut made = Made::default();
    let mut hierarchy = |controller: &str, settings: &[(&str, String)]| {
        let group = root.join(controller).join(name);
        let set = root.join(controller).is_dir() && apply(&group, settings, 1);
        if set {
            made.groups.push(group);
        }
        set
    };
    let memory = hierarchy(
        "memory",
        &[
            ("memory.limit_in_bytes", memory.to_string()),
            ("memory.memsw.limit_in_bytes", memory.to_string()),
        ],
    );
    let pids = hierarchy("pids", &[("pids.max", pids.to_string())]);
    let cpu = hierarchy(
        "cpu",
        &[
            ("cpu.cfs_period_us", CPU_PERIOD.to_string()),
            ("cpu.cfs_quota_us", quota(cpu_millis).to_string()),
        ],
    );
    Made { memory, pids, cpu, ..made }
}

/// Version 2: a group beneath the nearest of our own group and those above it that lets us, and hands on
/// the memory controller at least.
fn unified(root: &Path, own: &Path, name: &str, memory: u64, pids: u32, cpu_millis: u32) -> Made {
    for above in own.ancestors() {
        let parent = root.join(above);
        if !has(&parent, "memory") {
            hand_on(&parent);
        }
        if !has(&parent, "memory") {
            continue;
        }
        let mut settings =
            vec![("memory.max", memory.to_string()), ("memory.swap.max", "0".to_owned())];
        let (holds_pids, holds_cpu) = (has(&parent, "pids"), has(&parent, "cpu"));
        if holds_pids {
            settings.push(("pids.max", pids.to_string()));
        }
        if holds_cpu {
            settings.push(("cpu.max", format!("{} {CPU_PERIOD}", quota(cpu_millis))));
        }
        let group = parent.join(name);
        if apply(&group, &settings, settings.len()) {
            return Made { groups: vec![group], memory: true, pids: holds_pids, cpu: holds_cpu };
        }
    }
    Made::default()
}

/// So many microseconds of each period: of all cores together.
fn quota(cpu_millis: u32) -> u64 {
    u64::from(cpu_millis) * u64::from(CPU_PERIOD) / 1000
}

/// Whether a group hands a controller on to those beneath it.
fn has(group: &Path, controller: &str) -> bool {
    let handed = fs::read_to_string(group.join("cgroup.subtree_control")).unwrap_or_default();
    handed.split_whitespace().any(|name| name == controller)
}

/// Asks a group to hand its controllers on. The kernel refuses where the group holds processes itself,
/// or is not ours.
fn hand_on(group: &Path) {
    for controller in ["+memory", "+pids", "+cpu"] {
        let _ = fs::write(group.join("cgroup.subtree_control"), controller);
    }
}

/// Makes a group with these settings, if a process can enter it. The first `needed` count: a kernel that
/// does not count swap has no setting for it.
fn apply(group: &Path, settings: &[(&str, String)], needed: usize) -> bool {
    if fs::create_dir(group).is_err() && !group.is_dir() {
        return false;
    }
    let set = settings.iter().enumerate().all(|(at, (file, value))| {
        let written = fs::write(group.join(file), value);
        written.is_ok() || at >= needed || *file == "memory.swap.max"
    });
    if set && can_be_entered(group) {
        return true;
    }
    let _ = fs::remove_dir(group);
    false
}

/// A process that moves between groups needs rights on the one that holds both.
fn can_be_entered(group: &Path) -> bool {
    Command::new("/bin/sh")
        .args(["-c", "echo $$ >\"$1\"", "sh"])
        .arg(group.join("cgroup.procs"))
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Our own group of version 2, relative to the root.
fn own_group(text: &str) -> Option<PathBuf> {
    text.lines().find_map(|line| line.strip_prefix("0::/")).map(PathBuf::from)
}

/// Ends what is in a workload's groups, and removes them.
pub(crate) async fn end_all(groups: &[PathBuf]) {
    let until = Instant::now() + Duration::from_secs(5);
    for group in groups {
        while group.exists() && fs::remove_dir(group).is_err() && Instant::now() < until {
            if fs::write(group.join("cgroup.kill"), "1").is_err() {
                kill_members(group);
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Whether the kernel has killed something in one of these groups for want of memory.
pub(super) fn killed_for_memory(groups: &[PathBuf]) -> bool {
    let counts = |text: String| {
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.is_some_and(|count| count.trim() != "0")
    };
    ["memory.oom_control", "memory.events"].iter().any(|file| {
        groups.iter().any(|group| fs::read_to_string(group.join(file)).is_ok_and(counts))
    })
}

fn members(group: &Path) -> Vec<u32> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// A member is proven by being there still after it was looked at.
fn kill_members(group: &Path) {
    let seen: Vec<Identity> = members(group).into_iter().filter_map(Identity::of).collect();
    let still = members(group);
    for process in seen.into_iter().filter(|process| still.contains(&process.pid)) {
        process.signal(Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_group_is_the_one_without_a_hierarchy() {
        let text = "4:memory:/a\n0::/user.slice/user-1000.slice/session-1.scope\n";
        let own = PathBuf::from("user.slice/user-1000.slice/session-1.scope");
        assert_eq!(own_group(text), Some(own));
        assert_eq!(own_group("4:memory:/a\n"), None);
        assert_eq!(own_group("0::/\n"), Some(PathBuf::new()));
    }

    #[test]
    fn a_group_hands_on_what_it_says() {
        let group = tempfile::tempdir().unwrap();
        assert!(!has(group.path(), "memory"));
        fs::write(group.path().join("cgroup.subtree_control"), "cpuset memory pids\n").unwrap();
        assert!(has(group.path(), "memory") && has(group.path(), "pids"));
        assert!(!has(group.path(), "cpu"));
    }

    /// A tree as version 2 shows it: our own scope, the slice that holds it, the root. Asked to hand a
    /// controller on, a plain file does not: as the kernel where we may not ask.
    fn tree(handed: [&str; 3]) -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let own = PathBuf::from("user.slice/session.scope");
        fs::create_dir_all(root.path().join(&own)).unwrap();
        for (group, handed) in own.ancestors().zip(handed) {
            fs::write(root.path().join(group).join("cgroup.subtree_control"), handed).unwrap();
        }
        (root, own)
    }

    fn written(group: &Path, file: &str) -> Option<String> {
        fs::read_to_string(group.join(file)).ok()
    }

    #[test]
    fn version_2_gets_one_group_beneath_the_nearest_that_hands_memory_on() {
        let (root, own) = tree(["cpuset pids", "cpuset cpu memory pids", "memory"]);
        let made = unified(root.path(), &own, "run", 1 << 20, 7, 2000);
        let group = root.path().join("user.slice/run");
        assert_eq!(made.groups, std::slice::from_ref(&group));
        assert!(made.memory && made.pids && made.cpu);
        for (file, value) in [
            ("memory.max", "1048576"),
            ("memory.swap.max", "0"),
            ("pids.max", "7"),
            ("cpu.max", "200000 100000"),
        ] {
            assert_eq!(written(&group, file).as_deref(), Some(value), "{file}");
        }
        // A process went in, to see whether one can.
        let entered = written(&group, "cgroup.procs").unwrap();
        assert!(entered.trim().parse::<u32>().is_ok(), "{entered}");
        assert!(!root.path().join(&own).join("run").exists());
    }

    #[test]
    fn version_2_says_which_controllers_are_not_handed_on() {
        let (root, own) = tree(["memory", "", ""]);
        let made = unified(root.path(), &own, "run", 1 << 20, 7, 2000);
        let group = root.path().join(own).join("run");
        assert_eq!(made.groups, std::slice::from_ref(&group));
        assert_eq!((made.memory, made.pids, made.cpu), (true, false, false));
        assert_eq!((written(&group, "pids.max"), written(&group, "cpu.max")), (None, None));
        let limits = super::super::Limits::of(made, 1, 1);
        assert!(limits.missing.contains(&"cpu".to_owned()) && limits.bounds_memory());
    }

    #[test]
    fn version_2_that_hands_no_memory_on_gives_no_group() {
        let (root, own) = tree(["pids", "cpu pids", "cpu"]);
        let made = unified(root.path(), &own, "run", 1 << 20, 7, 2000);
        assert!(made.groups.is_empty() && !made.memory && !made.pids && !made.cpu);
        assert!(!root.path().join("user.slice/run").exists());
    }

    #[test]
    fn version_1_has_a_group_in_each_hierarchy_that_is_there() {
        let root = tempfile::tempdir().unwrap();
        for controller in ["memory", "cpu"] {
            fs::create_dir(root.path().join(controller)).unwrap();
        }
        let made = hierarchies(root.path(), "run", 1 << 20, 7, 2000);
        assert_eq!((made.memory, made.pids, made.cpu), (true, false, true));
        let [memory, cpu] = ["memory/run", "cpu/run"].map(|group| root.path().join(group));
        assert_eq!(made.groups, [memory.clone(), cpu.clone()]);
        assert_eq!(written(&memory, "memory.limit_in_bytes").as_deref(), Some("1048576"));
        assert_eq!(written(&cpu, "cpu.cfs_quota_us").as_deref(), Some("200000"));
    }

    #[test]
    fn what_the_kernel_killed_for_memory_is_told_by_either_version() {
        let [none, first, second] = [0, 1, 2].map(|_| tempfile::tempdir().unwrap());
        let calm = "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n";
        fs::write(none.path().join("memory.oom_control"), calm).unwrap();
        fs::write(first.path().join("memory.oom_control"), calm.replace("kill 0", "kill 3"))
            .unwrap();
        fs::write(second.path().join("memory.events"), "oom 1\noom_kill 1\n").unwrap();
        let killed = |dir: &tempfile::TempDir| killed_for_memory(&[dir.path().to_owned()]);
        assert!(!killed(&none) && killed(&first) && killed(&second) && !killed_for_memory(&[]));
    }

    #[tokio::test]
    async fn a_group_that_is_still_in_use_is_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let group = dir.path().join("group");
        // What is in a plain directory stands for processes. This one cannot be told to kill.
        fs::create_dir_all(group.join("cgroup.kill")).unwrap();
        let busy = group.clone();
        let freed = tokio::spawn(async move {
            sleep(Duration::from_millis(100)).await;
            fs::remove_dir(busy.join("cgroup.kill")).unwrap();
        });
        end_all(&[dir.path().join("gone"), group.clone()]).await;
        freed.await.unwrap();
        assert!(!group.exists());
    }
}
