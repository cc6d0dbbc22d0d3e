//! What holds for every credential, whatever it is told and in whatever order.

use proptest::prelude::*;
use uuid::Uuid;

use crate::{
    codec,
    credential::{
        Checked, Command, Event, Kind, Outcome, Reason, Registered, Rejection, State, decide,
        evolve, fold,
    },
    event::Event as AnyEvent,
    ids::{Generation, UserId, ValueId},
    stream::StreamKind,
};

fn value() -> impl Strategy<Value = ValueId> {
    (0_u128..4).prop_map(|id| ValueId(Uuid::from_u128(id)))
}

fn registered() -> impl Strategy<Value = Registered> {
    let kind = prop::sample::select(vec![Kind::Pat, Kind::ClassicPat, Kind::App { app: 7 }]);
    let owner = prop::option::of(Just(UserId(Uuid::from_u128(9))));
    (kind, owner, value()).prop_map(|(kind, owner, value)| Registered {
        name: "work".parse().expect("a name"),
        kind,
        owner,
        value,
    })
}

fn checked() -> impl Strategy<Value = Checked> {
    let outcome = prop::sample::select(vec![
        Outcome::Works { push: Some(true), expires_at: None },
        Outcome::Refused { reason: Reason::BadCredential },
        Outcome::Unknown { reason: Reason::Unreachable },
    ]);
    let repo = prop::option::of(Just("acme/widget".parse().expect("a repository")));
    (1_u32..4, repo, outcome).prop_map(|(generation, repo, outcome)| Checked {
        generation: Generation(generation),
        repo,
        outcome,
    })
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        2 => registered().prop_map(Command::Register),
        3 => value().prop_map(|value| Command::Rotate { value }),
        3 => checked().prop_map(Command::Check),
        1 => Just(Command::Revoke),
    ]
}

proptest! {
    #[test]
    fn whatever_it_is_told_its_events_fold_and_come_back_from_their_stored_form(
        commands in prop::collection::vec(command(), 1..16),
    ) {
        let mut state = State::New;
        let mut all = vec![];
        for command in commands {
            let before = state.known().map(|credential| credential.generation);
            let Ok(events) = decide(&state, command) else { continue };
            for event in &events {
                let stored = codec::encode(&AnyEvent::Credential(event.clone()));
                let read = codec::decode(StreamKind::Credential, &stored.name, stored.schema, &stored.body);
                prop_assert_eq!(read.expect("decodes"), AnyEvent::Credential(event.clone()));
            }
            state = events.iter().fold(state, evolve);
            all.extend(events);
            let after = state.known().map(|credential| credential.generation);
            prop_assert!(after >= before, "a generation never comes back");
        }
        prop_assert_eq!(fold(&all), state);
    }

    #[test]
    fn a_revoked_one_stays_so(registered in registered(), command in command()) {
        let state = fold(&[Event::Registered(registered), Event::Revoked {}]);
        let decided = decide(&state, command.clone());
        if command == Command::Revoke {
            prop_assert_eq!(decided, Ok(vec![]));
        } else {
            prop_assert!(decided.is_err());
        }
    }
}

fn active() -> State {
    fold(&[Event::Registered(Registered {
        name: "work".parse().expect("a name"),
        kind: Kind::Pat,
        owner: None,
        value: ValueId(Uuid::from_u128(1)),
    })])
}

#[test]
fn another_value_is_another_generation_and_nothing_is_known_of_it_yet() {
    let good = Outcome::Works { push: Some(true), expires_at: None };
    let check = |generation| {
        Command::Check(Checked { generation: Generation(generation), repo: None, outcome: good })
    };
    let state = active();
    let state = decide(&state, check(1)).expect("checked").iter().fold(state, evolve);
    assert!(state.known().expect("known").checked.is_some());
    let rotate = Command::Rotate { value: ValueId(Uuid::from_u128(2)) };
    let state = decide(&state, rotate.clone()).expect("rotated").iter().fold(state, evolve);
    let known = state.known().expect("known");
    assert_eq!((known.generation, &known.checked), (Generation(2), &None));
    assert_eq!(decide(&state, rotate), Ok(vec![]), "the same again is nothing new");
    assert_eq!(decide(&state, check(1)), Ok(vec![]), "what was said of the old value is late");
}

#[test]
fn what_is_not_there_cannot_be_told_anything_and_what_is_there_is_there_once() {
    assert_eq!(decide(&State::New, Command::Revoke), Err(Rejection::NotFound));
    let State::Active(credential) = active() else { panic!("active") };
    let again = Command::Register(credential.registered.clone());
    assert_eq!(decide(&State::Active(credential), again), Err(Rejection::Exists));
}
