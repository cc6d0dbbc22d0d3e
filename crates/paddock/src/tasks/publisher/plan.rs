use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    event::{Event as AnyEvent, Recorded},
    run::{Event, PublishStage, Run, Stage, State, evolve},
};

/// How often opening a pull request is tried before people have to ask for it.
const ATTEMPTS: u32 = 5;
/// The wait after the first failure; it doubles.
const WAIT: TimeDelta = TimeDelta::seconds(2);
/// The longest that a rate limit is waited for.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);

/// A pull request that is to be there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Work {
    pub(super) run: Run,
    /// Which try it is, from 1.
    pub(super) attempt: u32,
}

/// What there is to publish of a run now, by its events from the beginning.
pub(super) fn work(events: &[Recorded], now: DateTime<Utc>) -> Option<Work> {
    let mut state = State::New;
    let mut asked_again = false;
    let mut retry_at = None;
    for recorded in events {
        let AnyEvent::Run(event) = &recorded.event else { continue };
        state = evolve(state, event);
        match event {
            Event::PublishRequested {} => {
                asked_again = true;
                retry_at = None;
            }
            Event::PublishFailed { stage: PublishStage::PullRequest, retry_at: next, .. } => {
                asked_again &= next.is_some();
                retry_at = *next;
            }
            _ => {}
        }
    }
    let State::Known(run) = state else { return None };
    let wanted = match run.stage {
        Stage::Publishing => true,
        Stage::Ended(_) => asked_again,
        Stage::Queued { .. }
        | Stage::Provisioning
        | Stage::Restoring
        | Stage::Running
        | Stage::AwaitingInput { .. }
        | Stage::Idle { .. }
        | Stage::Snapshotting { .. } => false,
    };
    let due = retry_at.is_none_or(|at| at <= now);
    let open = run.pushed.is_some() && run.pull_request.is_none();
    let attempt = run.pull_request_failures + 1;
    (wanted && due && open).then_some(Work { run: *run, attempt })
}

/// When to try again after the failure of a try; never, after the last one.
pub(super) fn retry_at(
    attempt: u32,
    now: DateTime<Utc>,
    limited_until: Option<DateTime<Utc>>,
) -> Option<DateTime<Utc>> {
    if attempt >= ATTEMPTS {
        return None;
    }
    let backoff = now + WAIT * (1 << (attempt.max(1) - 1).min(10));
    let limited = limited_until.map_or(backoff, |until| until.min(now + LONGEST_WAIT));
    Some(backoff.max(limited))
}

#[cfg(test)]
mod tests {
    use domain::{
        ids::Generation,
        run::{FinishCause, Outcome},
    };

    use super::*;
    use crate::tasks::fixture::{at, recorded, requested, text};

    fn publishing() -> Vec<(i64, Event)> {
        let generation = Generation::FIRST;
        vec![
            (0, Event::Requested(Box::new(requested()))),
            (1, Event::Admitted { generation }),
            (2, Event::FinishRequested { cause: FinishCause::Asked }),
            (3, Event::BranchPushed { head: "0a".into(), commits: 1 }),
        ]
    }

    fn failed(retry_at: Option<i64>) -> Event {
        let stage = PublishStage::PullRequest;
        Event::PublishFailed { stage, detail: text(), attempt: 1, retry_at: retry_at.map(at) }
    }

    fn attempt(events: &[(i64, Event)], now: i64) -> Option<u32> {
        work(&recorded(events.to_vec()), at(now)).map(|work| work.attempt)
    }

    fn opened() -> Event {
        Event::PullRequestOpened {
            number: 1,
            url: String::new(),
            head: String::new(),
            created: true,
        }
    }

    #[test]
    fn a_pushed_branch_of_a_publishing_run_wants_its_pull_request() {
        let mut events = publishing();
        assert_eq!(attempt(&events[..3], 10), None, "nothing is pushed yet");
        assert_eq!(attempt(&events, 10), Some(1));
        events.push((10, opened()));
        assert_eq!(attempt(&events, 11), None);
        let mut cancelled = publishing();
        cancelled.push((10, Event::CancelRequested {}));
        assert_eq!(attempt(&cancelled, 11), None);
    }

    #[test]
    fn a_failure_is_tried_again_when_its_time_came_and_after_the_last_only_when_asked() {
        let mut events = publishing();
        events.push((10, failed(Some(12))));
        assert_eq!(attempt(&events, 11), None);
        assert_eq!(attempt(&events, 12), Some(2));
        events.push((12, failed(None)));
        assert_eq!(attempt(&events, 100), None, "it takes its last snapshot now");
        events
            .push((20, Event::Failed { failure: domain::run::Failure::PullRequest, detail: None }));
        assert_eq!(attempt(&events, 100), None);
        events.push((30, Event::PublishRequested {}));
        assert_eq!(attempt(&events, 100), Some(1), "the count begins anew");
        events.push((31, failed(Some(33))));
        assert_eq!((attempt(&events, 32), attempt(&events, 33)), (None, Some(2)));
        events.push((33, failed(None)));
        assert_eq!(attempt(&events, 100), None);
        events.push((40, Event::PublishRequested {}));
        events.push((41, opened()));
        assert_eq!(attempt(&events, 100), None);
        let State::Known(run) =
            domain::run::fold(recorded(events).iter().filter_map(
                |recorded| match &recorded.event {
                    AnyEvent::Run(event) => Some(event),
                    _ => None,
                },
            ))
        else {
            panic!()
        };
        assert_eq!(run.stage, Stage::Ended(Outcome::Failed));
    }

    #[test]
    fn tries_are_two_four_eight_and_sixteen_seconds_apart_and_five_in_all() {
        let waits: Vec<_> = (1..=5)
            .map(|attempt| retry_at(attempt, at(0), None).map(|at| at.timestamp()))
            .collect();
        assert_eq!(waits, [Some(2), Some(4), Some(8), Some(16), None]);
        assert_eq!(retry_at(1, at(0), Some(at(60))), Some(at(60)));
        assert_eq!(retry_at(1, at(0), Some(at(100_000))), Some(at(3600)));
        assert_eq!(retry_at(2, at(50), Some(at(0))), Some(at(54)), "a limit that is over");
    }
}
