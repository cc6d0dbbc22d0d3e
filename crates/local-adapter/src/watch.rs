//! Limits that no kernel holds here: what a workload takes is looked at, and one that took too much ends.
//!
//! Looking at many files takes time, so the file system is asked first, which does not: a workload
//! cannot have grown past its limit unless that much is gone from the free space.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::fs::statvfs;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    files,
    limits::Limits,
    processes::descendants,
    workload::{Place, end_sandbox},
};

/// How often the free space is looked at, and memory where no control group bounds it.
const GLANCE: Duration = Duration::from_millis(100);
/// How long free space alone is believed: what others free hides what a workload takes.
const BELIEVED: Duration = Duration::from_secs(15);
/// How many files a MiB of its disk allows for: as many as file systems are usually made for.
const FILES_PER_MIB: u64 = 64;
/// What a workload takes up, of its directory.
const COUNTED: [&str; 4] = ["home", "workspace", "harness", "sandbox.log"];

/// The workloads that are looked at.
#[derive(Clone)]
pub(crate) struct Watch {
    data_dir: PathBuf,
    watched: Arc<Mutex<HashMap<PathBuf, Watched>>>,
}

#[derive(Clone)]
struct Watched {
    place: Place,
    limits: Limits,
    /// At the last look: when it was, how long it took, what was taken, and what was free then.
    looked: Option<(Instant, Duration, Taken, Taken)>,
}

/// Bytes and files.
type Taken = (u64, u64);

impl Watch {
    pub(crate) fn of(data_dir: PathBuf) -> Self {
        Self { data_dir, watched: Arc::default() }
    }

    /// Watches these, and no others.
    pub(crate) fn only(&self, places: Vec<Place>) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|dir, _| places.iter().any(|place| place.dir == *dir));
        for place in places {
            if !watched.contains_key(&place.dir)
                && let Some(limits) = Limits::load(&place.dir)
            {
                watched.insert(place.dir.clone(), Watched { place, limits, looked: None });
            }
        }
    }

    /// Looks until told to stop.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            for watched in self.all() {
                if let Some(words) = self.look(&watched).await {
                    tracing::warn!(dir = %watched.place.dir.display(), words, "a workload is over its limit");
                    if let Err(error) = watched.place.is_over(&words) {
                        tracing::error!(%error, "that a workload is over its limit cannot be written down");
                    }
                    end_sandbox(&watched.place).await;
                    self.forget(&watched);
                }
            }
            tokio::select! {
                () = sleep(GLANCE) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    fn all(&self) -> Vec<Watched> {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.values().cloned().collect()
    }

    fn forget(&self, watched: &Watched) {
        let mut all = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&watched.place.dir);
    }

    /// What a workload took too much of, in words.
    async fn look(&self, watched: &Watched) -> Option<String> {
        let limits = &watched.limits;
        if !limits.bounds_memory() && resident(&watched.place) > limits.memory_bytes() {
            return Some(limits.out_of_memory());
        }
        let free = statvfs(&self.data_dir).ok()?;
        let free = (free.f_bfree.saturating_mul(free.f_frsize), free.f_ffree);
        if !watched.is_due(free) {
            return None;
        }
        let began = Instant::now();
        let paths = COUNTED.map(|name| watched.place.join(name));
        let taken = files::taken(&paths.each_ref().map(PathBuf::as_path)).await;
        let taken = taken.inspect_err(|error| tracing::warn!(%error, "a workload's files")).ok()?;
        let mut all = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watched) = all.get_mut(&watched.place.dir) {
            watched.looked = Some((Instant::now(), began.elapsed(), taken, free));
        }
        let most = watched.most();
        if taken.0 > most.0 {
            return Some(format!("the disk is full: {} MiB are allowed", limits.disk_mib));
        }
        (taken.1 > most.1).then(|| format!("too many files: {} are allowed", most.1))
    }
}

impl Watched {
    fn most(&self) -> Taken {
        (self.limits.disk_bytes(), u64::from(self.limits.disk_mib) * FILES_PER_MIB)
    }

    /// Whether its files are to be counted, given what is free now. Never for more than a third of the
    /// time.
    fn is_due(&self, free: Taken) -> bool {
        let Some((when, took, taken, was_free)) = self.looked else { return true };
        let most = self.most();
        let may_be_over = taken.0 + was_free.0.saturating_sub(free.0) > most.0
            || taken.1 + was_free.1.saturating_sub(free.1) > most.1;
        when.elapsed() > took * 2 && (may_be_over || when.elapsed() > BELIEVED)
    }
}

/// What the processes of a sandbox hold in memory for themselves.
fn resident(place: &Place) -> u64 {
    let recorded = place.recorded();
    let Some(root) = recorded.living("init").or_else(|| recorded.living("sandbox")) else {
        return 0;
    };
    let pids = descendants(root.pid).into_iter().chain([root.pid]);
    pids.filter_map(|pid| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
    })
    .sum()
}
