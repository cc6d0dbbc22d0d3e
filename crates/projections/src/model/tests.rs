//! The read model says of every run what the domain decides by.

#[path = "../../tests/it/story.rs"]
mod story;

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    event::{Actor, Event, Part, Positioned, Recorded},
    ids::{
        CorrelationId, EventId, Generation, InputId, MessageId, Position, RunId, SessionId,
        StreamVersion, TextId,
    },
    run::{self, Answer, Command, EgressMode, Ending, FinishCause, InputKind, Outcome, Run, Stage},
    session,
    stream::StreamId,
    text::TextRef,
};
use proptest::prelude::*;
use uuid::Uuid;

use super::{Delta, RunAction, RunRow, RunState, SessionAction, SessionRow, Workload, reason};
use crate::{
    log_reader::Logged,
    tables::{DEFINITIONS, SHAPE},
};
use story::{Story, time};

/// What the read models make of a history, as it goes on.
#[derive(Default)]
struct Told {
    delta: Delta,
    versions: BTreeMap<StreamId, StreamVersion>,
    place: usize,
}

impl Told {
    fn up_to_date(&mut self, story: &Story) {
        for (stream, event) in &story.events[self.place..] {
            let version = self.versions.entry(*stream).or_insert(StreamVersion::NONE);
            *version = version.next();
            self.delta.apply(&logged(self.place, *stream, *version, event)).expect("in order");
            self.place += 1;
        }
    }
}

fn logged(place: usize, stream: StreamId, version: StreamVersion, event: &Event) -> Logged {
    let recorded = Recorded {
        id: EventId(Uuid::from_u128(place as u128)),
        stream,
        version,
        actor: Actor::System(Part::Operator),
        time: time(place),
        correlation: CorrelationId(Uuid::nil()),
        event: event.clone(),
    };
    let positioned = Positioned { position: Position(place as u64 + 1), recorded };
    Logged { positioned, name: domain::codec::encode(event).name }
}

fn state_of(stage: &Stage) -> RunState {
    match stage {
        Stage::Queued { .. } => RunState::Queued,
        Stage::Provisioning => RunState::Provisioning,
        Stage::Restoring => RunState::Restoring,
        Stage::Running => RunState::Running,
        Stage::AwaitingInput { .. } => RunState::AwaitingInput,
        Stage::Idle { .. } => RunState::Idle,
        Stage::Publishing => RunState::Publishing,
        Stage::Snapshotting { .. } => RunState::Snapshotting,
        Stage::Ended(Outcome::Succeeded) => RunState::Succeeded,
        Stage::Ended(Outcome::Failed) => RunState::Failed,
        Stage::Ended(Outcome::Cancelled) => RunState::Cancelled,
    }
}

fn agrees(row: &RunRow, run: &Run) {
    assert_eq!(row.state, state_of(&run.stage));
    assert_eq!(row.requested, run.requested);
    assert_eq!(row.egress.mode, run.egress);
    assert_eq!(row.generation, run.generation);
    assert_eq!(row.retries, run.retries);
    assert_eq!(row.prompts, run.prompts);
    assert_eq!(row.pushed, run.pushed);
    assert_eq!(row.finishing, run.finishing);
    assert_eq!(row.usage, run.usage);
    assert_eq!(row.pull_request.as_ref().map(|pull| pull.number), run.pull_request);
    assert_eq!(row.finished_at.is_some(), matches!(run.stage, Stage::Ended(_)));
    assert_eq!(row.workload == Workload::None, run.workload_removed);
    let waiting = match &run.stage {
        Stage::AwaitingInput { inputs } => inputs.clone(),
        _ => BTreeMap::new(),
    };
    let shown = row.inputs.iter().map(|(id, input)| (id.clone(), (input.kind, input.until)));
    assert_eq!(shown.collect::<BTreeMap<_, _>>(), waiting);
    let idle = if let Stage::Idle { until } = &run.stage { Some(*until) } else { None };
    assert_eq!(row.idle_until, idle);
    if let Stage::Snapshotting { ending: Ending::Failed { failure, detail } } = &run.stage {
        assert_eq!((row.failure, &row.detail), (Some(*failure), detail));
    }
    if row.finished_at.is_some() {
        assert_eq!(row.publishing.next.is_some(), run.publish_requested);
    }
}

/// Whether the domain does anything when that is asked for now.
fn accepts(run: &Run, action: RunAction) -> bool {
    let text = TextRef { reference: TextId(Uuid::nil()), commit: String::new() };
    let waiting = match &run.stage {
        Stage::AwaitingInput { inputs } => inputs.iter().next().map(|(id, (kind, _))| (id, *kind)),
        _ => None,
    };
    let command = match action {
        RunAction::Prompt => Command::Prompt { message: MessageId("new".to_owned()), text },
        RunAction::Answer => {
            let none = InputId("none".to_owned());
            let (input, kind) = waiting.unwrap_or((&none, InputKind::Permission));
            let answer = match kind {
                InputKind::Permission => Answer::Once,
                InputKind::Question => Answer::Answers { answers: text },
            };
            Command::GiveInput { input: input.clone(), answer }
        }
        RunAction::Interrupt => Command::Interrupt,
        RunAction::Finish => Command::Finish { cause: FinishCause::Asked },
        RunAction::Cancel => Command::Cancel,
        RunAction::Publish => Command::RequestPublish,
        RunAction::WidenEgress => {
            Command::ChangeEgress { mode: EgressMode::Full, reason: Some(text) }
        }
        RunAction::NarrowEgress => Command::ChangeEgress { mode: EgressMode::Github, reason: None },
    };
    let state = run::State::Known(Box::new(run.clone()));
    run::decide(&state, command).is_ok_and(|events| !events.is_empty())
}

fn offers_what_is_accepted(row: &RunRow, run: &Run) {
    let offered = row.allowed_actions();
    for action in RunAction::ALL {
        // A second interrupt does nothing and harms nothing.
        let again = action == RunAction::Interrupt && run.interrupted.is_some();
        if !again {
            assert_eq!(offered.contains(&action), accepts(run, action), "{action:?} of {row:?}");
        }
    }
}

fn session_agrees(row: &SessionRow, state: &session::State) {
    let session = match state {
        session::State::Known(session) => session,
        session::State::New => panic!("a row of a session that is not there"),
        session::State::Deleted => return assert!(row.deleted),
    };
    assert_eq!(row.title, session.created.title);
    assert_eq!(row.archived, session.standing == session::Standing::Archived);
    assert_eq!(row.active_run, session.active_run);
    assert_eq!(row.head, session.head);
    assert_eq!(row.forked_from, session.forked_from);
    let offered = row.allowed_actions();
    let asked = [
        (SessionAction::Archive, session::Command::Archive),
        (SessionAction::Restore, session::Command::Restore),
        (SessionAction::Delete, session::Command::Delete),
        (SessionAction::Start, session::Command::StartRun { run: RunId(Uuid::max()) }),
    ];
    for (action, command) in asked {
        let accepted = session::decide(state, command).is_ok_and(|events| !events.is_empty());
        assert_eq!(offered.contains(&action), accepted, "{action:?} of {row:?}");
    }
}

fn steps() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
    prop::collection::vec(any::<(u8, u8, u8)>(), 1..250)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn rows_agree_with_the_domain_and_offer_what_it_accepts(steps in steps()) {
        let (mut story, mut told) = (Story::default(), Told::default());
        for step in steps {
            let before = story.events.len();
            story.step(step);
            told.up_to_date(&story);
            for (stream, _) in &story.events[before..] {
                checked(&story, &told.delta, *stream);
            }
        }
        for ((session, digest), (_, bundle)) in &told.delta.bundles {
            let there = match &story.sessions[session] {
                session::State::Known(session) => session.bundles.contains(digest),
                session::State::New | session::State::Deleted => false,
            };
            prop_assert_eq!(!bundle.expired, there);
        }
    }
}

fn checked(story: &Story, delta: &Delta, stream: StreamId) {
    let (session, run) = (SessionId(stream.id), RunId(stream.id));
    if let Some(state) = story.sessions.get(&session) {
        session_agrees(&delta.sessions[&session], state);
    }
    if let Some(run::State::Known(known)) = story.runs.get(&run) {
        let row = &delta.runs[&run];
        agrees(row, known);
        offers_what_is_accepted(row, known);
        says_why(row);
    }
}

/// Every moment in which a run does not work has a reason.
fn says_why(row: &RunRow) {
    let need_not =
        matches!(row.state, RunState::Running | RunState::Succeeded | RunState::Cancelled);
    assert!(need_not || reason(row, |_| Some("words")).is_some(), "{:?} says nothing", row.state);
}

#[test]
fn stories_get_everywhere() {
    let mut seen = BTreeSet::new();
    let mut story = Story::default();
    for step in story::walk().take(4_000) {
        story.step(step);
        for state in story.runs.values() {
            if let run::State::Known(run) = state {
                seen.insert(format!("{:?}", state_of(&run.stage)));
            }
        }
        if story.sessions.len() > 30 {
            story = Story::default();
        }
    }
    assert_eq!(seen.len(), RunState::ALL.len(), "{seen:?}");
}

fn json(row: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(row).expect("rows serialise")
}

/// Every place in a row's JSON that may hold something.
fn places(value: &serde_json::Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                // Inputs are named by the agent.
                let name = if name.starts_with("in_") { "*" } else { name };
                places(value, &format!("{at}.{name}"), found);
            }
        }
        serde_json::Value::Array(items) => {
            for item in items {
                places(item, &format!("{at}[]"), found);
            }
        }
        serde_json::Value::Null => {}
        _ => {
            found.insert(at.to_owned());
        }
    }
}

#[test]
fn rows_of_another_shape_have_another_number() {
    let (mut story, mut told) = (Story::default(), Told::default());
    let mut found = BTreeSet::new();
    for step in story::walk().take(3_000) {
        let before = story.events.len();
        story.step(step);
        told.up_to_date(&story);
        for (stream, _) in &story.events[before..] {
            if let Some(row) = told.delta.sessions.get(&SessionId(stream.id)) {
                places(&json(row), "session", &mut found);
            }
            if let Some(row) = told.delta.runs.get(&RunId(stream.id)) {
                places(&json(row), "run", &mut found);
            }
        }
    }
    for (_, row) in &told.delta.timeline {
        places(&json(row), "run_timeline", &mut found);
    }
    for (_, row) in told.delta.bundles.values() {
        places(&json(row), "bundle", &mut found);
    }
    let found: Vec<String> = found.into_iter().collect();
    let shape = format!("shape {SHAPE}\n{DEFINITIONS}\n{}\n", found.join("\n"));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/model/shape.txt");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, &shape).expect("writable");
    }
    let known = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        known == shape,
        "rows changed: raise tables::SHAPE, then run this with UPDATE_SNAPSHOTS=1"
    );
}

#[test]
fn an_event_that_does_not_follow_is_refused() {
    let mut story = Story::default();
    story.step((0, 1, 0));
    let (stream, event) = &story.events[0];
    let mut delta = Delta::default();
    let late = logged(0, *stream, StreamVersion(2), event);
    let refused = delta.apply(&late).expect_err("the first event is missing");
    assert!(refused.to_string().contains("version 2, where 1 is next"), "{refused}");
    let headless = Event::Run(run::Event::Cancelled {});
    let orphan = logged(0, RunId(Uuid::nil()).into(), StreamVersion(1), &headless);
    delta.apply(&orphan).expect_err("no run begins with its end");
    let first = logged(0, *stream, StreamVersion(1), event);
    delta.apply(&first).expect("the first");
    delta.apply(&first).expect_err("once is enough");
    assert_eq!(delta.sessions[&SessionId(stream.id)].version, StreamVersion(1));
    assert!(delta.runs.is_empty() && delta.timeline.is_empty());
    assert_eq!(Generation::FIRST.0, 1);
}

#[test]
fn a_failed_run_says_what_it_waited_for_and_why_it_was_lost() {
    let mut story = Story::default();
    let is_requested = |event: &Event| matches!(event, Event::Run(run::Event::Requested(_)));
    story::walk()
        .find(|step| {
            story.step(*step);
            story.events.iter().any(|(_, event)| is_requested(event))
        })
        .expect("a run is requested");
    let (stream, event) =
        story.events.iter().find(|(_, event)| is_requested(event)).cloned().expect("it is there");
    let Event::Run(requested) = &event else { panic!("it is a run's") };
    let recorded = logged(0, stream, StreamVersion(1), &event).positioned.recorded;
    let after = |events: &[run::Event]| {
        let mut row = RunRow::begun(&recorded, requested).expect("it begins one");
        for event in events {
            row.apply(&recorded, event, "");
        }
        reason(&row, |_| None).expect("it says why")
    };
    let generation = Generation::FIRST;
    let failed = |failure| run::Event::Failed { failure, detail: None };
    let waiting = run::Event::WorkloadWaiting { generation, reason: "no node has room".to_owned() };
    let lost = run::Event::Lost { generation, reason: "the pod was evicted".to_owned() };
    let never_began = after(&[waiting, failed(run::Failure::Deadline)]);
    assert_eq!(never_began, "the deadline passed while it waited: no node has room");
    let too_often = after(&[lost, failed(run::Failure::Lost)]);
    assert!(too_often.ends_with("the last time because the pod was evicted"), "{too_often}");
    assert_eq!(after(&[failed(run::Failure::Limit)]), "it took more than it may");

    let waits = |reason| run::Event::SnapshotWaiting { generation, reason };
    let full = waits(run::Hindrance::StoreFull);
    let ended = run::Event::Succeeded { changes: true };
    assert_eq!(
        after(&[full.clone(), ended]),
        "it ended without its last snapshot: the artifact store is full"
    );
    let cancelled = run::Event::CancelRequested {};
    assert_eq!(
        after(&[waits(run::Hindrance::StoreAway), cancelled.clone()]),
        "cancelled; the last snapshot is being taken; it waits: the artifact store does not answer"
    );
    let stored = run::Event::SnapshotStored {
        generation,
        digest: domain::ids::BundleDigest("ab".repeat(32)),
        cause: run::SnapshotCause::Final,
    };
    assert_eq!(after(&[full, cancelled, stored]), "cancelled; the last snapshot is being taken");
}
