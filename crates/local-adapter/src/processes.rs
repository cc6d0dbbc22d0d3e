//! Processes by more than their pid: start time and boot id say whether it is still the same one.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

/// One process of this machine, since its last boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its process id.
    pub pid: u32,
    /// When it started, in clock ticks since the boot (field 22 of /proc/pid/stat).
    pub started: u64,
    /// Which boot.
    pub boot: String,
}

impl Identity {
    /// The process that has this pid now.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self { pid, started: stat(pid)?.started, boot: boot() })
    }

    /// Whether it still runs: a zombie does not.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.boot == boot()
            && stat(self.pid).is_some_and(|stat| stat.started == self.started && stat.state != 'Z')
    }

    /// Signals it, and nobody else who may have got its pid: the descriptor stays with the process that
    /// was looked at.
    pub fn signal(&self, signal: Signal) {
        let Some(pid) = Pid::from_raw(self.pid.cast_signed()) else { return };
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return };
        if self.is_alive() {
            let _ = pidfd_send_signal(process, signal);
        }
    }

    /// Waits until it is gone; false if that takes longer than `patience`.
    pub async fn gone_within(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while self.is_alive() {
            if Instant::now() > until {
                return false;
            }
            sleep(Duration::from_millis(20)).await;
        }
        true
    }

    /// Ends it: first in an orderly way, then not.
    pub async fn end(&self, grace: Duration) {
        self.signal(Signal::TERM);
        if !self.gone_within(grace).await {
            self.kill().await;
        }
    }

    /// Kills it and waits until it is gone.
    pub async fn kill(&self) {
        self.signal(Signal::KILL);
        self.gone_within(Duration::from_secs(5)).await;
    }
}

struct Stat {
    state: char,
    parent: u32,
    started: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    // A name may hold any byte.
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text);
    // It stands in brackets.
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    Some(Stat { state, parent, started })
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// The process ids of this machine.
pub(crate) fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Whether one process is the child of another.
pub(crate) fn is_child(pid: u32, parent: u32) -> bool {
    stat(pid).is_some_and(|stat| stat.parent == parent)
}

/// The children of a process, and theirs.
#[must_use]
pub fn descendants(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = all().filter_map(|pid| Some((pid, stat(pid)?.parent))).collect();
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() {
        let of = found[next];
        next += 1;
        found.extend(parents.iter().filter(|(_, parent)| *parent == of).map(|(pid, _)| *pid));
    }
    found.split_off(1)
}

/// The recorded processes of one workload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// By name: `sandbox` is bubblewrap's process outside, `init` the first one inside, `sidecar` the
    /// sidecar's.
    #[serde(flatten)]
    pub processes: BTreeMap<String, Identity>,
}

impl Recorded {
    /// Reads what is recorded in a workload's directory.
    #[must_use]
    pub fn read(dir: &Path) -> Self {
        let text = fs::read(Self::path(dir)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Records a process. What has a record is whole: the file is replaced at once.
    pub fn record(dir: &Path, name: &str, identity: Identity) -> std::io::Result<()> {
        let mut recorded = Self::read(dir);
        recorded.processes.insert(name.to_owned(), identity);
        let beside = dir.join("processes.new");
        fs::write(&beside, serde_json::to_vec(&recorded)?)?;
        fs::rename(beside, Self::path(dir))
    }

    /// The process of that name, if it is recorded.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Identity> {
        self.processes.get(name)
    }

    /// The process of that name, if it is recorded and runs.
    #[must_use]
    pub fn living(&self, name: &str) -> Option<&Identity> {
        self.get(name).filter(|identity| identity.is_alive())
    }

    fn path(dir: &Path) -> PathBuf {
        dir.join("processes.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_is_told_from_another_with_its_pid() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let identity = Identity::of(child.id()).unwrap();
        assert!(identity.is_alive());
        let later = Identity { started: identity.started + 1, ..identity.clone() };
        let earlier_boot = Identity { boot: "another".to_owned(), ..identity.clone() };
        for other in [later, earlier_boot] {
            assert!(!other.is_alive());
            other.signal(Signal::KILL);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(identity.is_alive());
        identity.signal(Signal::KILL);
        assert!(identity.gone_within(Duration::from_secs(5)).await);
        child.wait().unwrap();
    }

    #[test]
    fn a_record_is_read_back_and_a_broken_one_names_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let own = Identity::of(std::process::id()).unwrap();
        Recorded::record(dir.path(), "sandbox", own.clone()).unwrap();
        Recorded::record(dir.path(), "sidecar", own.clone()).unwrap();
        let recorded = Recorded::read(dir.path());
        assert_eq!(recorded.living("sandbox"), Some(&own));
        assert_eq!(recorded.living("sidecar"), Some(&own));
        fs::write(dir.path().join("processes.json"), "{\"sandbox\":{\"pid\":1").unwrap();
        assert_eq!(Recorded::read(dir.path()), Recorded::default());
    }
}
