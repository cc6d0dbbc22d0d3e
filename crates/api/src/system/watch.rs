use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use commands::Clock;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Finding, PartName, Probe, SystemBody,
    body::{DemoBody, PartBody},
    probe::PATIENCE,
    words,
};

/// How long somebody who asked once is taken to watch.
const WATCHED: Duration = Duration::from_secs(10);
/// How long a single question waits for parts that were not looked at lately.
const FRESH: Duration = Duration::from_secs(3);
/// The most bytes of what was seen.
const MOST: usize = 500;

/// How the installation's parts are. Cheap to clone.
#[derive(Clone)]
pub struct System(Arc<Shared>);

struct Shared {
    probes: Vec<Probe>,
    clock: Arc<dyn Clock>,
    /// Since when this process runs: what `watched_until` and `looked` count from.
    start: Instant,
    /// Until when a single question counts as watching, in milliseconds.
    watched_until: AtomicU64,
    wanted: Notify,
    body: watch::Sender<Arc<SystemBody>>,
    /// When each probe last came back, in milliseconds, in the order of the probes.
    looked: watch::Sender<Vec<Option<u64>>>,
}

impl System {
    /// Looks by these probes; `demo` is the repository and the issue to try out.
    #[must_use]
    pub fn new(probes: Vec<Probe>, demo: Option<(String, u64)>, clock: Arc<dyn Clock>) -> Self {
        let body = SystemBody {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            demo: demo.map(|(repo, issue)| DemoBody { repo, issue }),
            parts: vec![],
        };
        Self(Arc::new(Shared {
            looked: watch::Sender::new(vec![None; probes.len()]),
            probes,
            clock,
            start: Instant::now(),
            watched_until: AtomicU64::new(0),
            wanted: Notify::new(),
            body: watch::Sender::new(Arc::new(body)),
        }))
    }

    /// Looks while somebody watches, until told to stop.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut looking = JoinSet::new();
        for place in 0..self.0.probes.len() {
            looking.spawn(self.clone().look(place, shutdown.clone()));
        }
        looking.join_all().await;
    }

    /// Follows how the parts are; for as long as the receiver lives, they are looked at.
    pub(crate) fn follow(&self) -> watch::Receiver<Arc<SystemBody>> {
        let receiver = self.0.body.subscribe();
        self.0.wanted.notify_waiters();
        receiver
    }

    /// How the parts are, looked at within the last seconds; what takes too long is as it last was.
    pub(crate) async fn now(&self) -> Arc<SystemBody> {
        let shared = &self.0;
        let now = self.millis();
        let until = now + u64::try_from(WATCHED.as_millis()).unwrap_or(u64::MAX);
        shared.watched_until.fetch_max(until, Ordering::Relaxed);
        shared.wanted.notify_waiters();
        let lately = now.saturating_sub(u64::try_from(FRESH.as_millis()).unwrap_or(u64::MAX));
        let mut looked = shared.looked.subscribe();
        let fresh =
            looked.wait_for(|looked| looked.iter().all(|at| at.is_some_and(|at| at >= lately)));
        let _ = timeout(FRESH, fresh).await;
        shared.body.borrow().clone()
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.0.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn is_watched(&self) -> bool {
        let shared = &self.0;
        shared.body.receiver_count() > 0
            || shared.watched_until.load(Ordering::Relaxed) > self.millis()
    }

    async fn look(self, place: usize, shutdown: CancellationToken) {
        let Probe { part, every, look } = self.0.probes[place].clone();
        while !shutdown.is_cancelled() {
            // Asked for before it is looked at whether anybody watches: whoever comes in between is seen.
            let wanted = self.0.wanted.notified();
            if !self.is_watched() {
                tokio::select! {
                    () = wanted => {}
                    () = shutdown.cancelled() => return,
                }
                continue;
            }
            let late = || Finding::wrong("no answer in time");
            let found = timeout(PATIENCE, look()).await.unwrap_or_else(|_| late());
            self.found(place, part, &found);
            tokio::select! {
                () = sleep(every) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    fn found(&self, place: usize, part: PartName, found: &Finding) {
        let now = self.0.clock.now();
        self.0.body.send_if_modified(|body| {
            let known = body.parts.iter().position(|known| known.name == part);
            let before = known.map(|known| &body.parts[known]);
            let after = described(part, found, before, now);
            if before == Some(&after) {
                return false;
            }
            let mut changed = SystemBody::clone(body);
            match known {
                Some(known) => changed.parts[known] = after,
                None => changed.parts.push(after),
            }
            changed.parts.sort_by_key(|part| part.name);
            *body = Arc::new(changed);
            true
        });
        let at = self.millis();
        self.0.looked.send_modify(|looked| looked[place] = Some(at));
    }
}

fn described(
    name: PartName,
    found: &Finding,
    before: Option<&PartBody>,
    now: DateTime<Utc>,
) -> PartBody {
    let ok = found.problem.is_none();
    let mut detail = found.problem.clone().unwrap_or_else(|| found.seen.clone());
    detail.truncate(detail.floor_char_boundary(MOST));
    let wrong = |words: &str| (!ok).then(|| words.to_owned());
    PartBody {
        name,
        ok,
        since: before.filter(|before| before.ok == ok).map_or(now, |before| before.since),
        detail,
        still_works: wrong(words::still_works(name)),
        action: wrong(words::action(name)),
        lag: found.lag,
    }
}
