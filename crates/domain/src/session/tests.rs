//! What holds for every session, whatever it is told and in whatever order.

use proptest::prelude::*;
use uuid::Uuid;

use crate::{
    codec,
    event::Event as AnyEvent,
    ids::{BundleDigest, Generation, RunId, SessionId, TextId, UserId},
    run::Outcome,
    session::{
        BundleInfo, Command, Created, Event, PullState, Standing, State, decide, evolve, fold,
    },
    stream::StreamKind,
    text::TextRef,
};

fn title(number: u8) -> TextRef {
    TextRef { reference: TextId(Uuid::from_u128(number.into())), commit: "00".repeat(32) }
}

fn created() -> Created {
    Created {
        repo: "octo/hello".parse().expect("a repository"),
        base: "main".parse().expect("a branch"),
        branch: "paddock/fix".parse().expect("a branch"),
        title: title(0),
        issue: Some(1),
        owner: UserId(Uuid::nil()),
    }
}

fn bundle(number: u8) -> BundleInfo {
    BundleInfo {
        digest: BundleDigest(format!("{number:064x}")),
        parent: None,
        size: 1,
        git_head: "0".repeat(40),
    }
}

fn run() -> impl Strategy<Value = RunId> {
    (1_u128..3).prop_map(|number| RunId(Uuid::from_u128(number)))
}

fn pull_state() -> impl Strategy<Value = PullState> {
    use PullState::{Closed, Draft, Merged, Open};
    prop::sample::select(vec![Open, Draft, Merged, Closed])
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        4 => Just(Command::Create(created())),
        1 => Just(Command::Fork {
            created: created(),
            from: SessionId(Uuid::nil()),
            bundle: bundle(9),
        }),
        1 => (0_u8..3).prop_map(|number| Command::Rename { title: title(number) }),
        1 => Just(Command::Archive),
        1 => Just(Command::Restore),
        1 => Just(Command::Delete),
        4 => run().prop_map(|run| Command::StartRun { run }),
        2 => run().prop_map(|run| Command::EndRun { run, outcome: Outcome::Succeeded }),
        4 => (run(), 0_u8..3).prop_map(|(run, number)| Command::StoreBundle {
            run,
            generation: Generation::FIRST,
            bundle: bundle(number),
        }),
        2 => (0_u8..3).prop_map(|number| Command::ExpireBundle { digest: bundle(number).digest }),
        3 => (1_u64..3, pull_state(), pull_state()).prop_map(|(number, was, state)| {
            Command::ObservePullRequest { number, was, state }
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_session_is_told_it_stays_in_order(told in prop::collection::vec(command(), 0..40)) {
        let mut state = State::New;
        let mut history = vec![];
        for command in told {
            let before = state.clone();
            let Ok(events) = decide(&state, command.clone()) else { continue };
            for event in &events {
                let encoded = codec::encode(&AnyEvent::Session(event.clone()));
                let decoded = codec::decode(
                    StreamKind::Session,
                    &encoded.name,
                    encoded.schema,
                    &encoded.body,
                );
                prop_assert_eq!(decoded.expect("what is encoded decodes"), AnyEvent::Session(event.clone()));
            }
            state = events.iter().fold(state, evolve);
            history.extend(events);
            prop_assert_eq!(&fold(&history), &state);
            if before == State::Deleted {
                prop_assert_eq!(&state, &State::Deleted);
                continue;
            }
            if let State::Known(session) = &state {
                let archived = session.standing == Standing::Archived;
                prop_assert!(!archived || session.active_run.is_none(), "archived with an active run");
            }
            let again = decide(&state, command.clone());
            prop_assert!(
                again.as_ref().is_ok_and(Vec::is_empty) || again.is_err(),
                "{:?} again: {:?}", command, again
            );
        }
    }
}

#[test]
fn only_the_active_run_stores_bundles_and_a_bundle_goes_once() {
    let run = RunId(Uuid::from_u128(1));
    let tell = |state: State, command: Command| {
        let events = decide(&state, command).expect("taken");
        (events.iter().fold(state, evolve), events.len())
    };
    let store = |run, number| Command::StoreBundle {
        run,
        generation: Generation::FIRST,
        bundle: bundle(number),
    };
    let (state, _) = tell(State::New, Command::Create(created()));
    assert!(decide(&state, store(run, 1)).is_err());
    let (state, _) = tell(state, Command::StartRun { run });
    let (state, _) = tell(state, store(run, 1));
    let (state, _) = tell(state, store(run, 2));
    let expire = || Command::ExpireBundle { digest: bundle(1).digest };
    let (state, gone) = tell(state, expire());
    assert_eq!(gone, 1);
    assert_eq!(tell(state, expire()).1, 0);
}

#[test]
fn what_became_of_a_pull_request_is_told_once_and_step_by_step() {
    use PullState::{Closed, Draft, Merged, Open};
    let mut state = fold([&Event::Created(created())]);
    for (was, is, events) in [
        (Draft, Draft, vec![]),
        (Draft, Open, vec![Event::PullRequestReadied { number: 7 }]),
        // What was seen counts more than what was taken to be.
        (Draft, Open, vec![]),
        (Open, Closed, vec![Event::PullRequestClosed { number: 7 }]),
        (
            Open,
            Draft,
            vec![Event::PullRequestReopened { number: 7 }, Event::PullRequestDrafted { number: 7 }],
        ),
        (Draft, Merged, vec![Event::PullRequestMerged { number: 7 }]),
        (Open, Merged, vec![]),
    ] {
        let command = Command::ObservePullRequest { number: 7, was, state: is };
        assert_eq!(decide(&state, command).expect("taken"), events, "{was:?} to {is:?}");
        state = events.iter().fold(state, evolve);
    }
    // Another pull request is another matter.
    let command = Command::ObservePullRequest { number: 8, was: Open, state: Merged };
    assert_eq!(decide(&state, command), Ok(vec![Event::PullRequestMerged { number: 8 }]));
}
