//! What holds for the settings, whatever they are told and in whatever order.

use proptest::prelude::*;

use super::*;
use crate::{codec, event::Event as AnyEvent, stream::StreamKind};

fn limits() -> impl Strategy<Value = Limits> {
    (0_u32..12_000, 0_u32..12_000)
        .prop_map(|(max_runs, max_runs_per_owner)| Limits { max_runs, max_runs_per_owner })
}

fn host() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a.org", ".b.org", "C.org:8080", "https://d.org", "*", "1.2.3.4"])
        .prop_map(str::to_owned)
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["default", "large", "a.b", "", "-x", "a/b"]).prop_map(str::to_owned)
}

fn profile() -> impl Strategy<Value = Box<Profile>> {
    let names = prop::sample::select(vec!["NODE_ENV", "A_TOKEN", "PATH", "1"]);
    let images = prop::sample::select(vec![None, Some("agent:1"), Some("not an image")]);
    (0_u32..4096, names, images, any::<bool>()).prop_map(|(memory_mib, name, image, with)| {
        let env = with.then(|| (name.to_owned(), "x".to_owned())).into_iter().collect();
        let image = image.map(str::to_owned);
        Box::new(Profile { image, memory_mib, env, ..Profile::default() })
    })
}

fn retention() -> impl Strategy<Value = Retention> {
    (0_u32..100, prop::option::of(0_u32..40_000), prop::option::of(0_u32..5)).prop_map(
        |(minutes, bundle_days, output_days)| Retention {
            superseded_bundle_minutes: minutes,
            bundle_days,
            output_days,
            ..Retention::default()
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        prop::option::of(limits()).prop_map(Command::ChangeLimits),
        prop::option::of(prop::collection::vec(host(), 0..4)).prop_map(Command::ChangeAllowList),
        (name(), profile()).prop_map(|(name, profile)| Command::ChangeProfile { name, profile }),
        (name(), any::<bool>())
            .prop_map(|(name, configured)| Command::RemoveProfile { name, configured }),
        prop::option::of(retention()).prop_map(Command::ChangeRetention),
    ]
}

/// That nothing in force is wrong.
fn is_valid(state: &State) -> bool {
    state.limits.iter().all(|limits| limits.faults().is_empty())
        && state.retention.iter().all(|retention| retention.faults().is_empty())
        && state.allow_list.iter().all(|hosts| checked_hosts(hosts).as_ref() == Ok(hosts))
        && state.profiles.iter().all(|(name, profile)| {
            checked_name(name).is_none()
                && profile.iter().all(|profile| profile.faults().is_empty())
        })
        && state.profiles.get(DEFAULT_PROFILE) != Some(&None)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_they_are_told_what_is_in_force_is_valid(told in prop::collection::vec(command(), 0..30)) {
        let mut state = State::default();
        let mut history = vec![];
        for command in told {
            let Ok(events) = decide(&state, command.clone()) else { continue };
            prop_assert!(events.len() <= 1);
            for event in &events {
                let encoded = codec::encode(&AnyEvent::Settings(event.clone()));
                let decoded = codec::decode(
                    StreamKind::Settings,
                    &encoded.name,
                    encoded.schema,
                    &encoded.body,
                );
                prop_assert_eq!(decoded.expect("what is encoded decodes"), AnyEvent::Settings(event.clone()));
            }
            let changed = !events.is_empty();
            let before = state.clone();
            state = events.iter().fold(state, evolve);
            prop_assert_eq!(changed, before != state, "an event for nothing, or none for something");
            history.extend(events);
            prop_assert_eq!(&fold(&history), &state);
            prop_assert!(is_valid(&state), "{:?}", state);
            prop_assert_eq!(decide(&state, command), Ok(vec![]));
        }
    }
}

fn faults(command: Command) -> Vec<String> {
    match decide(&State::default(), command) {
        Err(Rejection::Invalid(faults)) => faults.into_iter().map(|fault| fault.field).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_wrong_field_is_named_at_once() {
    let profile = Profile {
        memory_mib: 1,
        deadline_seconds: 1,
        egress: "open".to_owned(),
        image: Some("Not An Image".to_owned()),
        runtime_class: Some("gVisor!".to_owned()),
        description: "two\nlines".to_owned(),
        permission: serde_json::json!(7),
        env: [("API_TOKEN", "x"), ("PATH", "/x")].map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
        ..Profile::default()
    };
    let name = "a b".to_owned();
    let mut fields = faults(Command::ChangeProfile { name, profile: Box::new(profile) });
    fields.sort();
    assert_eq!(
        fields,
        [
            "deadline_seconds",
            "description",
            "egress",
            "env.API_TOKEN",
            "env.PATH",
            "image",
            "memory_mib",
            "name",
            "permission",
            "runtime_class"
        ]
    );
    let limits = Limits { max_runs: 10_001, max_runs_per_owner: 10_001 };
    assert_eq!(faults(Command::ChangeLimits(Some(limits))), ["max_runs", "max_runs_per_owner"]);
    let retention = Retention {
        superseded_bundle_minutes: 9,
        bundle_days: Some(0),
        output_days: Some(0),
        partial_upload_hours: 0,
    };
    assert_eq!(faults(Command::ChangeRetention(Some(retention))).len(), 4);
}

#[test]
fn a_profile_of_the_configuration_can_be_removed_and_the_default_cannot() {
    let remove =
        |name: &str, configured| Command::RemoveProfile { name: name.to_owned(), configured };
    let state = State::default();
    assert_eq!(decide(&state, remove("default", true)), Err(Rejection::DefaultProfile));
    let unknown = Rejection::NoSuchProfile("x".to_owned());
    assert_eq!(decide(&state, remove("x", false)), Err(unknown));
    let removed = decide(&state, remove("x", true)).expect("taken");
    assert_eq!(removed, [Event::ProfileRemoved { name: "x".to_owned() }]);
    let state = removed.iter().fold(state, evolve);
    assert_eq!(decide(&state, remove("x", true)), Ok(vec![]));
    // It can be made again.
    let profile = Box::<Profile>::default();
    let made = decide(&state, Command::ChangeProfile { name: "x".to_owned(), profile });
    assert_eq!(made.expect("taken").len(), 1);
}
