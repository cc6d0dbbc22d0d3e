//! The bounded queue of decisions. An allowed request takes its place before it passes, so nothing
//! passes that could not be recorded; a refusal that finds no place is counted.

use std::{
    collections::{HashMap, VecDeque},
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::Utc;
use domain::ids::RunId;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{Decision, Kind, Verdict, journal::Journal};

/// Decisions kept for one run; half of them refusals at most, so that a flood of refusals neither
/// cuts the run off from its model nor pushes out what it was allowed.
const PER_RUN: usize = 10_000;
const REFUSALS_PER_RUN: usize = PER_RUN / 2;
/// Decisions kept for all runs: some tens of megabytes on disk.
const IN_ALL: usize = 50_000;

#[derive(Clone)]
pub(crate) struct DecisionLog {
    inner: Arc<Mutex<Inner>>,
    wake: Arc<Notify>,
}

struct Inner {
    journal: Journal,
    unsent: VecDeque<Decision>,
    open: HashMap<Uuid, Decision>,
    by_run: HashMap<RunId, Held>,
    /// Refusals that found no place, and are not on the record as a number yet.
    uncounted: HashMap<RunId, u64>,
    dropped: u64,
}

#[derive(Default)]
struct Held {
    all: usize,
    refused: usize,
}

impl DecisionLog {
    /// Opens the log with what an earlier process left unsent.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let (journal, unsent) = Journal::open(path)?;
        let mut inner = Inner {
            journal,
            unsent: VecDeque::new(),
            open: HashMap::new(),
            by_run: HashMap::new(),
            uncounted: HashMap::new(),
            dropped: 0,
        };
        for decision in unsent {
            inner.hold(&decision);
            inner.unsent.push_back(decision);
        }
        Ok(Self { inner: Arc::new(Mutex::new(inner)), wake: Arc::new(Notify::new()) })
    }

    /// Takes a place for a decision that allows; false if there is none left.
    pub(crate) fn allow(&self, decision: &Decision) -> bool {
        let mut inner = self.lock();
        if !inner.has_room(decision) {
            return false;
        }
        inner.hold(decision);
        inner.journal.opened(decision);
        inner.open.insert(decision.id, decision.clone());
        true
    }

    /// Records what an allowed request came to.
    pub(crate) fn close(&self, decision: Decision) {
        let mut inner = self.lock();
        if inner.open.remove(&decision.id).is_none() {
            return;
        }
        if decision.verdict == Verdict::Refused {
            // It took its place as allowed, and its first bytes said otherwise.
            inner.by_run.entry(decision.run).or_default().refused += 1;
        }
        inner.journal.decided(&decision);
        inner.unsent.push_back(decision);
        drop(inner);
        self.wake.notify_one();
    }

    /// Records a refusal, or counts it if there is no place.
    pub(crate) fn refuse(&self, decision: Decision) {
        let mut inner = self.lock();
        if inner.has_room(&decision) {
            inner.hold(&decision);
            inner.journal.decided(&decision);
            inner.unsent.push_back(decision);
        } else {
            inner.dropped += 1;
            *inner.uncounted.entry(decision.run).or_default() += 1;
            if inner.dropped.is_power_of_two() {
                tracing::warn!(dropped = inner.dropped, run = %decision.run, "too many refusals to keep");
            }
        }
        drop(inner);
        self.wake.notify_one();
    }

    /// Up to `limit` of the oldest unsent decisions.
    pub(super) fn oldest(&self, limit: usize) -> Vec<Decision> {
        self.lock().unsent.iter().take(limit).cloned().collect()
    }

    /// Forgets what the control plane has. `batch` is what [`DecisionLog::oldest`] gave last: only
    /// the back of the queue changed since.
    pub(super) fn forget(&self, batch: &[Decision]) {
        let mut inner = self.lock();
        let count = batch.len().min(inner.unsent.len());
        let gone: Vec<Decision> = inner.unsent.drain(..count).collect();
        for decision in &gone {
            inner.release(decision);
        }
        inner.count_refusals();
        let ids: Vec<Uuid> = gone.iter().map(|decision| decision.id).collect();
        inner.journal.reported(&ids);
        if inner.journal.wants_rewrite() {
            let Inner { journal, unsent, open, .. } = &mut *inner;
            if let Err(error) = journal.rewrite(&mut unsent.iter(), &mut open.values()) {
                tracing::error!(%error, "the journal of decisions cannot be written anew");
            }
        }
    }

    /// Counts decisions that the control plane will not take.
    pub(super) fn count_dropped(&self, count: usize) {
        self.lock().dropped += count as u64;
    }

    /// How many are unsent, and how many were dropped since the start.
    pub(crate) fn figures(&self) -> (usize, u64) {
        let inner = self.lock();
        (inner.unsent.len(), inner.dropped)
    }

    /// Returns when there may be something to send.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics half-way through a change of this state.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn has_room(&self, decision: &Decision) -> bool {
        let total = self.unsent.len() + self.open.len();
        let (all, refused) = self.by_run.get(&decision.run).map_or((0, 0), |h| (h.all, h.refused));
        total < IN_ALL
            && all < PER_RUN
            && (decision.verdict == Verdict::Allowed || refused < REFUSALS_PER_RUN)
    }

    /// Puts the number of refusals that were not kept on the record, where there is room again.
    fn count_refusals(&mut self) {
        for (run, count) in std::mem::take(&mut self.uncounted) {
            let summary = Decision {
                id: Uuid::now_v7(),
                run,
                at: Utc::now(),
                kind: Kind::Http,
                host: String::new(),
                port: 0,
                verdict: Verdict::Refused,
                rule: format!("record-full: {count} refusals more"),
                address: None,
                bytes_up: 0,
                bytes_down: 0,
                duration_ms: 0,
                status: None,
            };
            if self.has_room(&summary) {
                self.hold(&summary);
                self.journal.decided(&summary);
                self.unsent.push_back(summary);
            } else {
                self.uncounted.insert(run, count);
            }
        }
    }

    fn hold(&mut self, decision: &Decision) {
        let held = self.by_run.entry(decision.run).or_default();
        held.all += 1;
        held.refused += usize::from(decision.verdict == Verdict::Refused);
    }

    fn release(&mut self, decision: &Decision) {
        if let Some(held) = self.by_run.get_mut(&decision.run) {
            held.all = held.all.saturating_sub(1);
            if decision.verdict == Verdict::Refused {
                held.refused = held.refused.saturating_sub(1);
            }
            if held.all == 0 {
                self.by_run.remove(&decision.run);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(run: RunId, verdict: Verdict) -> Decision {
        Decision {
            id: Uuid::now_v7(),
            run,
            at: Utc::now(),
            kind: Kind::Model,
            host: String::new(),
            port: 0,
            verdict,
            rule: "model".into(),
            address: None,
            bytes_up: 0,
            bytes_down: 0,
            duration_ms: 0,
            status: None,
        }
    }

    #[test]
    fn a_flood_of_refusals_leaves_room_and_nothing_passes_unrecorded() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = DecisionLog::open(&dir.path().join("decisions.jsonl")).expect("a log");
        let (flooding, other) = (RunId(Uuid::now_v7()), RunId(Uuid::now_v7()));
        for _ in 0..REFUSALS_PER_RUN + 7 {
            log.refuse(decision(flooding, Verdict::Refused));
        }
        assert_eq!(log.figures(), (REFUSALS_PER_RUN, 7));
        let mut passed = 0;
        loop {
            let allowed = decision(flooding, Verdict::Allowed);
            if !log.allow(&allowed) {
                break;
            }
            log.close(allowed);
            passed += 1;
        }
        assert_eq!(passed, PER_RUN - REFUSALS_PER_RUN);
        let allowed = decision(other, Verdict::Allowed);
        assert!(log.allow(&allowed), "another run has its own room");
        log.close(allowed);

        log.forget(&log.oldest(1));
        let summary = log.lock().unsent.back().cloned().expect("a summary");
        assert_eq!(
            (summary.run, summary.rule.as_str()),
            (flooding, "record-full: 7 refusals more")
        );
        while let batch = log.oldest(500)
            && !batch.is_empty()
        {
            log.forget(&batch);
        }
        assert!(log.allow(&decision(flooding, Verdict::Allowed)), "room again");
        assert!(log.lock().by_run.len() == 1, "nothing is left of a run without decisions");
    }

    #[test]
    fn a_decision_that_turns_into_a_refusal_is_counted_right() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = DecisionLog::open(&dir.path().join("decisions.jsonl")).expect("a log");
        let run = RunId(Uuid::now_v7());
        let mut turned = decision(run, Verdict::Allowed);
        assert!(log.allow(&turned));
        turned.verdict = Verdict::Refused;
        log.close(turned);
        assert_eq!(log.lock().by_run[&run].refused, 1);
        log.forget(&log.oldest(1));
        assert!(log.lock().by_run.is_empty());
    }
}
