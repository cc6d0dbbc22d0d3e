//! The guard of an allowed request: it writes the record when the last byte has passed, and also
//! when either side hangs up in the middle.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::Utc;
use domain::ids::RunId;
use uuid::Uuid;

use super::{Decision, DecisionLog, Kind, Verdict};
use crate::answer::Refusal;

/// What a run asked for.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) run: RunId,
    pub(crate) kind: Kind,
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Asked {
    fn decided(&self, verdict: Verdict, rule: &str, status: Option<u16>) -> Decision {
        Decision {
            id: Uuid::now_v7(),
            run: self.run,
            at: Utc::now(),
            kind: self.kind,
            host: printable(&self.host),
            port: self.port,
            verdict,
            rule: rule.to_owned(),
            address: None,
            bytes_up: 0,
            bytes_down: 0,
            duration_ms: 0,
            status,
        }
    }
}

/// What the sandbox wrote, without a password before the host, made harmless for terminals, JSON and
/// PostgreSQL, and bounded.
fn printable(host: &str) -> String {
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    host.chars().flat_map(char::escape_default).take(255).collect()
}

/// An allowed request under way. Share it with everything that moves its bytes; it is written when
/// the last of them is dropped.
#[derive(Clone)]
pub(crate) struct Record(Arc<Open>);

struct Open {
    log: DecisionLog,
    decision: Mutex<Decision>,
    up: AtomicU64,
    down: AtomicU64,
    began: Instant,
}

impl Record {
    /// Records that a request is allowed; none if no record of it can be kept.
    pub(crate) fn allow(log: &DecisionLog, asked: &Asked, rule: &str) -> Option<Self> {
        let decision = asked.decided(Verdict::Allowed, rule, None);
        log.allow(&decision).then(|| {
            Self(Arc::new(Open {
                log: log.clone(),
                decision: Mutex::new(decision),
                up: AtomicU64::new(0),
                down: AtomicU64::new(0),
                began: Instant::now(),
            }))
        })
    }

    /// Records a refusal.
    pub(crate) fn refuse(log: &DecisionLog, asked: &Asked, refusal: &Refusal) {
        let status = Some(refusal.status.as_u16());
        let mut decision = asked.decided(Verdict::Refused, refusal.rule, status);
        decision.address = refusal.address;
        log.refuse(decision);
    }

    /// A rule found against it only after it was allowed (what a tunnel's first bytes said).
    pub(crate) fn turn_down(&self, rule: &str) {
        self.change(|decision| {
            decision.verdict = Verdict::Refused;
            rule.clone_into(&mut decision.rule);
        });
    }

    pub(crate) fn status(&self, status: u16) {
        self.change(|decision| decision.status = Some(status));
    }

    pub(crate) fn address(&self, address: IpAddr) {
        self.change(|decision| decision.address = Some(address));
    }

    pub(crate) fn up(&self, bytes: usize) {
        self.0.up.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn down(&self, bytes: usize) {
        self.0.down.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Returns when no byte went either way for so long, or for up to twice as long.
    pub(crate) async fn idle(&self, patience: Duration) {
        let mut before = self.moved();
        loop {
            tokio::time::sleep(patience).await;
            let now = self.moved();
            if now == before {
                return;
            }
            before = now;
        }
    }

    fn moved(&self) -> u64 {
        self.0.up.load(Ordering::Relaxed).wrapping_add(self.0.down.load(Ordering::Relaxed))
    }

    fn change(&self, change: impl FnOnce(&mut Decision)) {
        change(&mut self.0.decision.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut decision = self.decision.get_mut().unwrap_or_else(PoisonError::into_inner).clone();
        decision.bytes_up = self.up.load(Ordering::Relaxed);
        decision.bytes_down = self.down.load(Ordering::Relaxed);
        decision.duration_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.log.close(decision);
    }
}
