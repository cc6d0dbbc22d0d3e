//! Limits that no kernel holds here: what a workload takes is looked at, and one that took too much ends.
//!
//! Looking at many files takes time, so the file system is asked first, which does not: a workload
//! cannot have grown past its limit unless that much is gone from the free space.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::fs::statvfs;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    files,
    limits::Limits,
    memory,
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
    /// Whether its files are being counted.
    counting: bool,
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
        let mut watched = self.lock();
        watched.retain(|dir, _| places.iter().any(|place| place.dir == *dir));
        for place in places {
            if !watched.contains_key(&place.dir)
                && let Some(limits) = Limits::load(&place.dir)
            {
                let dir = place.dir.clone();
                watched.insert(dir, Watched { place, limits, counting: false, looked: None });
            }
        }
    }

    /// Looks until told to stop. Each workload is looked at beside the others: the files of one may take
    /// long to count.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut looks = JoinSet::new();
        while !shutdown.is_cancelled() {
            for (watched, words) in self.over_memory().await {
                looks.spawn(self.clone().end(watched, words));
            }
            if let Ok(free) = statvfs(&self.data_dir) {
                let free = (free.f_bfree.saturating_mul(free.f_frsize), free.f_ffree);
                for watched in self.due(free) {
                    looks.spawn(self.clone().count(watched, free));
                }
            }
            while looks.try_join_next().is_some() {}
            tokio::select! {
                () = sleep(GLANCE) => {}
                () = shutdown.cancelled() => {}
            }
        }
        // What is cut off here is done by whoever watches next.
        looks.shutdown().await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that hold more memory than they may where no control group bounds it, each with that in
    /// words.
    async fn over_memory(&self) -> Vec<(Watched, String)> {
        let mut unbounded: Vec<Watched> = self
            .lock()
            .values()
            .filter(|watched| !watched.limits.bounds_memory())
            .cloned()
            .collect();
        if unbounded.is_empty() {
            return vec![];
        }
        let look = move || {
            unbounded.retain(|watched| {
                memory::holds_more_than(&watched.place, watched.limits.memory_bytes())
            });
            unbounded
        };
        let over = tokio::task::spawn_blocking(look).await.unwrap_or_default();
        let words = |watched: Watched| {
            let words = watched.limits.out_of_memory();
            (watched, words)
        };
        over.into_iter().map(words).collect()
    }

    /// Those whose files are to be counted now, and are not yet.
    fn due(&self, free: Taken) -> Vec<Watched> {
        let mut watched = self.lock();
        let due = watched.values_mut().filter(|watched| !watched.counting && watched.is_due(free));
        due.map(|watched| {
            watched.counting = true;
            watched.clone()
        })
        .collect()
    }

    /// Counts a workload's files, and ends it if they are too large or too many.
    async fn count(self, watched: Watched, free: Taken) {
        let began = Instant::now();
        let paths = COUNTED.map(|name| watched.place.join(name));
        let taken = files::taken(&paths.each_ref().map(PathBuf::as_path)).await;
        if let Some(of) = self.lock().get_mut(&watched.place.dir) {
            of.counting = false;
            // What cannot be counted is not tried again at once either.
            let known = taken.as_ref().copied().unwrap_or_default();
            of.looked = Some((Instant::now(), began.elapsed(), known, free));
        }
        let words = match taken {
            Ok(taken) => watched.over_disk(taken),
            Err(error) => {
                let dir = watched.place.dir.display();
                tracing::warn!(%dir, %error, "a workload's files cannot be counted");
                None
            }
        };
        if let Some(words) = words {
            self.end(watched, words).await;
        }
    }

    /// Ends a workload that took more than it may.
    async fn end(self, watched: Watched, words: String) {
        let dir = &watched.place.dir;
        tracing::warn!(dir = %dir.display(), words, "a workload is over its limit");
        if let Err(error) = watched.place.is_over(&words) {
            tracing::error!(%error, "that a workload is over its limit cannot be written down");
        }
        self.lock().remove(dir);
        end_sandbox(&watched.place).await;
    }
}

impl Watched {
    fn most(&self) -> Taken {
        (self.limits.disk_bytes(), u64::from(self.limits.disk_mib) * FILES_PER_MIB)
    }

    /// What it took too much of, in words.
    fn over_disk(&self, taken: Taken) -> Option<String> {
        let most = self.most();
        if taken.0 > most.0 {
            return Some(format!("the disk is full: {} MiB are allowed", self.limits.disk_mib));
        }
        (taken.1 > most.1).then(|| format!("too many files: {} are allowed", most.1))
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
