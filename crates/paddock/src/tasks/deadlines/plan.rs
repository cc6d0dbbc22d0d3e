use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    event::{Event as AnyEvent, Recorded},
    ids::Generation,
    run::{Answer, Command, Event, Failure, FinishCause, Run, Stage, State, evolve},
};

/// The longest that the last snapshot may take.
const SNAPSHOT: TimeDelta = TimeDelta::minutes(3);

/// The longest that it is waited for where nobody has been heard of for longer than the link's limit.
const UNHEARD: TimeDelta = TimeDelta::seconds(10);

/// For how long nothing was heard of a run's sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Silence {
    /// Whose sidecar.
    pub(super) generation: Generation,
    /// For how many seconds, not counting those in which nobody could have heard it.
    pub(super) seconds: u64,
}

/// What is overdue in a run, by its events from the beginning: the most final first.
pub(super) fn overdue(
    events: &[Recorded],
    silence: Option<Silence>,
    now: DateTime<Utc>,
) -> Option<Command> {
    let (State::Known(run), times) = read(events) else { return None };
    match &run.stage {
        Stage::Ended(_) | Stage::Queued { .. } => return None,
        Stage::Snapshotting { .. } => {
            let unheard = silence.is_some_and(|silence| is_lost(&run, silence));
            let most = if unheard { UNHEARD } else { SNAPSHOT };
            let over = times.snapshotting.is_some_and(|since| since + most <= now);
            return over.then_some(Command::AbandonSnapshot);
        }
        Stage::Provisioning
        | Stage::Restoring
        | Stage::Running
        | Stage::AwaitingInput { .. }
        | Stage::Idle { .. }
        | Stage::Publishing => {}
    }
    let deadline = TimeDelta::seconds(run.requested.deadline_seconds.into());
    if times.admitted.is_some_and(|since| since + deadline <= now) {
        return Some(Command::Expire { failure: Failure::Deadline });
    }
    if silence.is_some_and(|silence| is_lost(&run, silence)) {
        return Some(Command::Expire { failure: Failure::LinkLost });
    }
    match &run.stage {
        Stage::Idle { until } if *until <= now => {
            Some(Command::Finish { cause: FinishCause::Idle })
        }
        Stage::AwaitingInput { inputs } => {
            let (input, _) = inputs.iter().find(|(_, (_, until))| *until <= now)?;
            Some(Command::GiveInput { input: input.clone(), answer: Answer::TimedOut })
        }
        _ => None,
    }
}

fn is_lost(run: &Run, silence: Silence) -> bool {
    run.generation == Some(silence.generation)
        && silence.seconds > u64::from(run.requested.link_timeout_seconds)
}

#[derive(Default)]
struct Times {
    /// When it was admitted for the first time.
    admitted: Option<DateTime<Utc>>,
    /// Since when it takes its last snapshot.
    snapshotting: Option<DateTime<Utc>>,
}

fn read(events: &[Recorded]) -> (State, Times) {
    let mut state = State::New;
    let mut times = Times::default();
    for recorded in events {
        let AnyEvent::Run(event) = &recorded.event else { continue };
        if matches!(event, Event::Admitted { .. }) {
            times.admitted = times.admitted.or(Some(recorded.time));
        }
        state = evolve(state, event);
        times.snapshotting = match &state {
            State::Known(run) if matches!(run.stage, Stage::Snapshotting { .. }) => {
                times.snapshotting.or(Some(recorded.time))
            }
            State::Known(_) | State::New => None,
        };
    }
    (state, times)
}

#[cfg(test)]
mod tests {
    use domain::{
        ids::InputId,
        run::{Enforcement, InputKind, Outcome},
    };

    use super::*;
    use crate::tasks::fixture::{at, recorded, requested, text};

    fn running() -> Vec<(i64, Event)> {
        let generation = Generation::FIRST;
        let enforcement = Enforcement { sandbox: String::new(), limits: vec![], missing: vec![] };
        vec![
            (0, Event::Requested(Box::new(requested()))),
            (10, Event::Admitted { generation }),
            (11, Event::WorkloadCreated { generation, enforcement }),
            (
                12,
                Event::Ready {
                    generation,
                    agent_session: String::new(),
                    agent_version: String::new(),
                },
            ),
        ]
    }

    fn due(events: Vec<(i64, Event)>, seconds: i64) -> Option<Command> {
        overdue(&recorded(events), None, at(seconds))
    }

    #[test]
    fn the_deadline_counts_from_the_first_admission_and_not_while_queued() {
        let failure = Failure::Deadline;
        assert_eq!(due(running(), 3609), None);
        assert_eq!(due(running(), 3610), Some(Command::Expire { failure }));
        assert_eq!(due(running()[..1].to_vec(), 100_000), None);
        let mut retried = running();
        retried.push((20, Event::Retried { generation: Generation(2) }));
        assert_eq!(due(retried, 3610), Some(Command::Expire { failure }));
    }

    #[test]
    fn an_idle_run_finishes_when_its_time_is_over() {
        let mut events = running();
        events.push((20, Event::Idle { until: at(30) }));
        assert_eq!(due(events.clone(), 29), None);
        let finish = Command::Finish { cause: FinishCause::Idle };
        assert_eq!(due(events, 30), Some(finish));
    }

    #[test]
    fn an_input_that_nobody_gave_times_out_and_the_others_wait_on() {
        let asked = |id: &str, until| Event::InputRequired {
            input: InputId(id.into()),
            kind: InputKind::Permission,
            detail: text(),
            until: at(until),
        };
        let mut events = running();
        events.extend([(20, asked("a", 90)), (21, asked("b", 50))]);
        assert_eq!(due(events.clone(), 49), None);
        let input = InputId("b".into());
        let timed_out = Command::GiveInput { input, answer: Answer::TimedOut };
        assert_eq!(due(events, 60), Some(timed_out));
    }

    #[test]
    fn a_last_snapshot_gets_three_minutes_whatever_else_passes() {
        let mut events = running();
        events.push((3500, Event::CancelRequested {}));
        assert_eq!(due(events.clone(), 3679), None);
        assert_eq!(due(events.clone(), 3680), Some(Command::AbandonSnapshot));
        events.push((3681, Event::Cancelled {}));
        assert_eq!(due(events.clone(), 10_000), None);
        let State::Known(run) = read(&recorded(events)).0 else { panic!() };
        assert_eq!(run.stage, Stage::Ended(Outcome::Cancelled));
    }

    #[test]
    fn a_last_snapshot_is_not_waited_for_where_nobody_is_heard_of() {
        let mut events = running();
        events.push((3500, Event::CancelRequested {}));
        let after = |seconds, now| {
            let silence = Silence { generation: Generation::FIRST, seconds };
            overdue(&recorded(events.clone()), Some(silence), at(now))
        };
        assert_eq!(after(1801, 3509), None);
        assert_eq!(after(1801, 3510), Some(Command::AbandonSnapshot));
        assert_eq!(after(1800, 3510), None);
    }

    #[test]
    fn a_link_gone_for_longer_than_allowed_is_lost_if_it_is_the_newest_workloads() {
        let lost = |generation, seconds| {
            let silence = Silence { generation: Generation(generation), seconds };
            overdue(&recorded(running()), Some(silence), at(20))
        };
        assert_eq!(lost(1, 1800), None);
        assert_eq!(lost(1, 1801), Some(Command::Expire { failure: Failure::LinkLost }));
        assert_eq!(lost(2, 1801), None);
    }
}
