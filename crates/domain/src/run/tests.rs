//! What holds for every run, whatever it is told and in whatever order.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use uuid::Uuid;

use crate::{
    codec,
    event::Event as AnyEvent,
    ids::{BundleDigest, Generation, InputId, MessageId, SessionId, TextId, UserId},
    run::{
        Answer, Command, Enforcement, Event, Failure, FinishCause, Harness, InputKind, Outcome,
        Probe, PublishStage, QueueReason, Rejection, Requested, Run, SnapshotCause, Stage, State,
        Usage, Verdict, decide, evolve, fold,
    },
    stream::StreamKind,
    text::TextRef,
};

fn text() -> TextRef {
    TextRef { reference: TextId(Uuid::nil()), commit: "00".repeat(32) }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("in range")
}

fn message(number: u8) -> MessageId {
    MessageId(format!("msg_{number}"))
}

fn requested() -> Requested {
    Requested {
        session: SessionId(Uuid::nil()),
        owner: UserId(Uuid::nil()),
        repo: "octo/hello".parse().expect("a repository"),
        base: "main".parse().expect("a branch"),
        branch: "paddock/fix".parse().expect("a branch"),
        issue: None,
        profile: "default".to_owned(),
        egress: "github".to_owned(),
        accept_unenforced: false,
        from: None,
        draft: false,
        deadline_seconds: 3600,
        linger_seconds: 0,
        attended_linger_seconds: 600,
        input_timeout_seconds: 60,
        link_timeout_seconds: 1800,
        memory_mib: 2048,
        disk_mib: 2048,
        max_retries: 1,
        harness: Harness::default(),
        credential: None,
    }
}

fn request(requested: Requested) -> Command {
    Command::Request {
        requested: Box::new(requested),
        message: message(0),
        prompt: text(),
        egress_reason: Some(text()),
    }
}

const FIRST: Generation = Generation::FIRST;

fn created() -> Command {
    let enforcement = Enforcement { sandbox: "box".to_owned(), limits: vec![], missing: vec![] };
    Command::ReportWorkloadCreated { generation: FIRST, enforcement }
}

fn probed(verdict: Verdict) -> Command {
    let probes = vec![Probe { target: "canary".to_owned(), verdict }];
    Command::ReportFence { generation: FIRST, probes }
}

fn ready() -> Command {
    Command::ReportReady {
        generation: FIRST,
        agent_session: "ses".to_owned(),
        agent_version: "1".to_owned(),
    }
}

fn turn_ended() -> Command {
    Command::ReportTurnEnded { generation: FIRST, message: message(0), now: now() }
}

fn asked(input: &str) -> Command {
    Command::ReportInputRequired {
        generation: FIRST,
        input: InputId(input.to_owned()),
        kind: InputKind::Permission,
        detail: text(),
        now: now(),
    }
}

/// A run that went through these commands, each of which it took.
fn after(requested: Requested, commands: &[Command]) -> State {
    let mut state = State::New;
    for command in [&[request(requested)], commands].concat() {
        let events =
            decide(&state, command.clone()).unwrap_or_else(|why| panic!("{command:?}: {why}"));
        state = events.iter().fold(state, evolve);
    }
    state
}

fn running() -> Vec<Command> {
    vec![Command::Admit, created(), probed(Verdict::Refused), ready()]
}

fn run_of(state: &State) -> &Run {
    match state {
        State::Known(run) => run,
        State::New => panic!("no run"),
    }
}

#[test]
fn the_sidecars_first_reports_count_though_the_adapters_comes_after_them() {
    let commands = [Command::Admit, probed(Verdict::Refused), ready()];
    let state = after(requested(), &commands);
    assert_eq!(run_of(&state).stage, Stage::Running);
    let events = decide(&state, created()).expect("taken");
    assert!(matches!(events[..], [Event::WorkloadCreated { .. }]));
    assert_eq!(run_of(&events.iter().fold(state, evolve)).stage, Stage::Running);
}

#[test]
fn without_a_proven_fence_no_run_becomes_ready() {
    let state = after(requested(), &[Command::Admit, created()]);
    assert_eq!(decide(&state, ready()), Err(Rejection::OutOfOrder));
    for verdict in [Verdict::Reached, Verdict::NotProvable] {
        let events = decide(&state, probed(verdict)).expect("taken");
        assert!(matches!(events[..], [Event::Failed { failure: Failure::Sandbox, .. }]));
    }
    let lenient = Requested { accept_unenforced: true, ..requested() };
    let state = after(lenient, &[Command::Admit, created(), probed(Verdict::NotProvable), ready()]);
    assert_eq!(run_of(&state).stage, Stage::Running);
}

#[test]
fn a_fence_that_is_found_open_later_fails_the_run() {
    let state = after(requested(), &running());
    assert_eq!(decide(&state, probed(Verdict::TimedOut)), Ok(vec![]));
    let events = decide(&state, probed(Verdict::Reached)).expect("taken");
    assert!(matches!(events[..], [Event::Failed { failure: Failure::Sandbox, .. }]));
}

#[test]
fn an_interrupt_withdraws_what_the_agent_asked_and_keeps_the_run() {
    let mut commands = running();
    commands.extend([asked("a"), asked("b")]);
    let state = after(requested(), &commands);
    let events = decide(&state, Command::Interrupt).expect("taken");
    assert!(
        matches!(
            &events[..],
            [
                Event::InputGiven { answer: Answer::Withdrawn, .. },
                Event::InputGiven { answer: Answer::Withdrawn, .. },
                Event::Interrupted {}
            ]
        ),
        "{events:?}"
    );
    let state = events.iter().fold(state, evolve);
    assert_eq!(run_of(&state).stage, Stage::Running);
    // The profile would end an unattended run now, but somebody is there.
    let events = decide(&state, turn_ended()).expect("taken");
    assert!(matches!(events[..], [Event::Idle { .. }]), "{events:?}");
}

#[test]
fn a_prompt_that_comes_as_time_runs_out_keeps_the_run() {
    let attended = Requested { linger_seconds: 5, ..requested() };
    let mut commands = running();
    commands.extend([turn_ended(), Command::Prompt { message: message(1), text: text() }]);
    let state = after(attended, &commands);
    assert_eq!(decide(&state, Command::Finish { cause: FinishCause::Idle }), Ok(vec![]));
    let asked = decide(&state, Command::Finish { cause: FinishCause::Asked });
    assert!(matches!(asked.as_deref(), Ok([Event::FinishRequested { .. }])));
}

#[test]
fn what_ends_before_the_agent_works_leaves_nothing_to_snapshot() {
    for commands in [vec![Command::Admit], vec![Command::Admit, created()]] {
        let state = after(requested(), &commands);
        let cancelled = decide(&state, Command::Cancel).expect("taken");
        assert_eq!(cancelled, [Event::CancelRequested {}, Event::Cancelled {}]);
        let failure = Failure::Repository;
        let failed = Command::ReportTurnFailed { generation: FIRST, failure, detail: None };
        assert_eq!(decide(&state, failed), Ok(vec![Event::Failed { failure, detail: None }]));
        let expired = decide(&state, Command::Expire { failure: Failure::Deadline });
        let failed = Event::Failed { failure: Failure::Deadline, detail: None };
        assert_eq!(expired, Ok(vec![failed]));
    }
}

#[test]
fn a_report_of_a_workload_that_was_replaced_is_refused() {
    let lost = Command::ReportLost { generation: FIRST, reason: "gone".to_owned() };
    let mut commands = running();
    commands.push(lost);
    let state = after(requested(), &commands);
    assert_eq!(run_of(&state).stage, Stage::Provisioning);
    let current = FIRST.next();
    assert_eq!(
        decide(&state, probed(Verdict::Refused)),
        Err(Rejection::Superseded { reported: FIRST, current })
    );
}

fn generation() -> impl Strategy<Value = Generation> {
    prop_oneof![4 => Just(1), 2 => Just(2), 1 => Just(3)].prop_map(Generation)
}

fn input() -> impl Strategy<Value = InputId> {
    prop_oneof!["a", "b"].prop_map(InputId)
}

fn failure() -> impl Strategy<Value = Failure> {
    prop_oneof![Just(Failure::Agent), Just(Failure::Deadline), Just(Failure::Push)]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        Just(Answer::Once),
        Just(Answer::Always),
        Just(Answer::Reject { message: Some(text()) }),
        Just(Answer::Answers { answers: text() }),
        Just(Answer::TimedOut),
    ]
}

/// What people and the control plane ask for.
fn asked_for() -> impl Strategy<Value = Command> {
    prop_oneof![
        1 => Just(Command::Queue { reason: QueueReason::RunsActive { active: 1, limit: 1 } }),
        1 => Just(Command::Queue { reason: QueueReason::Memory { needed_mib: 2, free_mib: 1 } }),
        3 => Just(Command::Admit),
        2 => (1_u8..4).prop_map(|number| Command::Prompt { message: message(number), text: text() }),
        1 => Just(Command::Interrupt),
        2 => (input(), answer()).prop_map(|(input, answer)| Command::GiveInput { input, answer }),
        1 => prop_oneof![Just(FinishCause::Asked), Just(FinishCause::Idle)]
            .prop_map(|cause| Command::Finish { cause }),
        1 => Just(Command::Cancel),
        1 => failure().prop_map(|failure| Command::Expire { failure }),
        1 => any::<bool>().prop_map(|finally| Command::ReportPublishFailed {
            stage: PublishStage::PullRequest,
            detail: text(),
            retry_at: (!finally).then(now),
        }),
        1 => Just(Command::RequestPublish),
        1 => (1_u64..3).prop_map(|number| Command::RecordPullRequest {
            number,
            url: format!("https://forge.test/{number}"),
            head: "0".repeat(40),
            created: true,
        }),
        1 => Just(Command::AbandonSnapshot),
    ]
}

/// What adapter and sidecar report of how a workload comes and goes.
fn reported_of_workload() -> impl Strategy<Value = Command> {
    let verdict = prop_oneof![4 => Just(Verdict::Refused), 1 => Just(Verdict::Reached)];
    prop_oneof![
        2 => generation().prop_map(|generation| Command::ReportWorkloadCreated {
            generation,
            enforcement: Enforcement { sandbox: String::new(), limits: vec![], missing: vec![] },
        }),
        2 => (generation(), verdict).prop_map(|(generation, verdict)| Command::ReportFence {
            generation,
            probes: vec![Probe { target: "canary".to_owned(), verdict }],
        }),
        1 => generation().prop_map(|generation| Command::ReportRestored {
            generation,
            from: None,
            git_head: "0".repeat(40),
        }),
        3 => generation().prop_map(|generation| Command::ReportReady {
            generation,
            agent_session: "ses".to_owned(),
            agent_version: "1".to_owned(),
        }),
        1 => generation()
            .prop_map(|generation| Command::ReportLost { generation, reason: "gone".to_owned() }),
        1 => (generation(), failure()).prop_map(|(generation, failure)| Command::ReportRefused {
            generation,
            failure,
            detail: None,
        }),
        1 => generation().prop_map(|generation| Command::ReportWorkloadRemoved {
            generation,
            output_digest: None,
        }),
    ]
}

/// What a sidecar reports of its agent's work.
fn reported_of_agent() -> impl Strategy<Value = Command> {
    let cause = prop_oneof![Just(SnapshotCause::Turn), Just(SnapshotCause::Final)];
    prop_oneof![
        1 => (generation(), 0_u8..4).prop_map(|(generation, number)| Command::ReportTurnStarted {
            generation,
            message: message(number),
        }),
        3 => (generation(), 0_u8..4).prop_map(|(generation, number)| Command::ReportTurnEnded {
            generation,
            message: message(number),
            now: now(),
        }),
        1 => (generation(), failure()).prop_map(|(generation, failure)| Command::ReportTurnFailed {
            generation,
            failure,
            detail: Some(text()),
        }),
        3 => (generation(), input(), any::<bool>()).prop_map(|(generation, input, question)| {
            let kind = if question { InputKind::Question } else { InputKind::Permission };
            Command::ReportInputRequired { generation, input, kind, detail: text(), now: now() }
        }),
        1 => (generation(), input())
            .prop_map(|(generation, input)| Command::ReportInputWithdrawn { generation, input }),
        2 => generation().prop_map(|generation| Command::ReportPushed {
            generation,
            head: "1".repeat(40),
            commits: 2,
        }),
        1 => generation().prop_map(|generation| Command::ReportNothingToPublish { generation }),
        1 => (generation(), any::<u64>()).prop_map(|(generation, input_tokens)| Command::ReportUsage {
            generation,
            usage: Usage { input_tokens, ..Usage::default() },
        }),
        3 => (generation(), cause, 0_u8..2).prop_map(|(generation, cause, bundle)| {
            let digest = BundleDigest(format!("{bundle:064x}"));
            Command::ReportSnapshot { generation, digest, cause }
        }),
    ]
}

fn commands() -> impl Strategy<Value = (Requested, Vec<Command>)> {
    let requested =
        (any::<bool>(), 0_u32..2, 0_u32..3).prop_map(|(lenient, linger, retries)| Requested {
            accept_unenforced: lenient,
            linger_seconds: linger * 60,
            max_retries: retries,
            ..requested()
        });
    let command = prop_oneof![asked_for(), reported_of_workload(), reported_of_agent()];
    let begun = prop_oneof![Just(vec![]), Just(running())];
    (requested, begun, prop::collection::vec(command, 0..40))
        .prop_map(|(requested, begun, more)| (requested, [begun, more].concat()))
}

fn is_terminal(event: &Event) -> bool {
    matches!(event, Event::Succeeded { .. } | Event::Failed { .. } | Event::Cancelled {})
}

/// What was asked and not answered, by the events alone.
fn unanswered(events: &[Event]) -> BTreeSet<InputId> {
    let mut inputs = BTreeSet::new();
    for event in events {
        match event {
            Event::InputRequired { input, .. } => {
                inputs.insert(input.clone());
            }
            Event::InputGiven { input, .. } => {
                inputs.remove(input);
            }
            _ => {}
        }
    }
    inputs
}

fn check(run: &Run, events: &[Event]) {
    let ended = events.iter().position(is_terminal);
    assert_eq!(matches!(run.stage, Stage::Ended(_)), ended.is_some(), "ended: {events:?}");
    let waiting: BTreeSet<InputId> = match &run.stage {
        Stage::AwaitingInput { inputs } => {
            assert!(!inputs.is_empty(), "it waits for nothing");
            inputs.keys().cloned().collect()
        }
        _ => BTreeSet::new(),
    };
    assert_eq!(waiting, unanswered(events), "what waits for an answer: {events:?}");
    assert!(run.retries <= run.requested.max_retries);
    let proven = run.reported.fence || run.requested.accept_unenforced;
    let works =
        matches!(run.stage, Stage::Running | Stage::AwaitingInput { .. } | Stage::Idle { .. });
    assert!(proven || !works, "it works without a proven fence: {events:?}");
    for event in events.iter().skip(ended.map_or(events.len(), |ended| ended + 1)) {
        let allowed = matches!(
            event,
            Event::WorkloadRemoved { .. }
                | Event::UsageReported { .. }
                | Event::CredentialUsed { .. }
                | Event::PublishRequested {}
                | Event::PublishFailed { .. }
                | Event::PullRequestOpened { .. }
        );
        assert!(allowed, "{event:?} after the end");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_run_is_told_it_stays_in_order((requested, told) in commands()) {
        let mut history: Vec<Event> = vec![];
        let mut state = State::New;
        let mut ended: Option<Outcome> = None;
        for command in [vec![request(requested)], told].concat() {
            let Ok(events) = decide(&state, command.clone()) else { continue };
            for event in &events {
                let encoded = codec::encode(&AnyEvent::Run(event.clone()));
                let decoded =
                    codec::decode(StreamKind::Run, &encoded.name, encoded.schema, &encoded.body);
                prop_assert_eq!(decoded.expect("what is encoded decodes"), AnyEvent::Run(event.clone()));
            }
            state = events.iter().fold(state, evolve);
            history.extend(events);
            prop_assert_eq!(&fold(&history), &state);
            let run = run_of(&state);
            check(run, &history);
            if let Some(outcome) = ended {
                prop_assert_eq!(&run.stage, &Stage::Ended(outcome));
            } else if let Stage::Ended(outcome) = run.stage {
                ended = Some(outcome);
            }
            // Each failed try to publish counts, though it fails as the one before.
            if !matches!(command, Command::ReportPublishFailed { .. }) {
                let again = decide(&state, command.clone());
                prop_assert!(
                    again.as_ref().is_ok_and(Vec::is_empty) || again.is_err(),
                    "{:?} again: {:?}", command, again
                );
            }
        }
    }
}
