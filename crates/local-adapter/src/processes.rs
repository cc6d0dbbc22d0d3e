//! Processes by more than their pid: start time and boot id say whether it is still the same one.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
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

    /// Signals it, and nobody else who may have got its pid.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid.cast_signed())
            && self.is_alive()
        {
            let _ = kill_process(pid, signal);
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
            self.signal(Signal::KILL);
            self.gone_within(Duration::from_secs(5)).await;
        }
    }
}

struct Stat {
    state: char,
    started: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets and may hold any character.
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    let started = fields.nth(18)?.parse().ok()?;
    Some(Stat { state, started })
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// The children of a process, and theirs.
#[must_use]
pub fn descendants(root: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let text = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent =
            text.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        parents.extend(parent.map(|parent: u32| (pid, parent)));
    }
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
    /// By name: `sandbox`, `sidecar`.
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

    /// Records a process.
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
        let other = Identity { started: identity.started + 1, ..identity.clone() };
        assert!(!other.is_alive());
        other.signal(Signal::KILL);
        assert!(identity.is_alive());
        identity.signal(Signal::KILL);
        assert!(identity.gone_within(Duration::from_secs(5)).await);
        child.wait().unwrap();
    }
}
