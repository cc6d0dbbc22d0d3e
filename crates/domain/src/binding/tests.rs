//! What holds for every binding, whatever it is told and in whatever order.

use proptest::prelude::*;
use uuid::Uuid;

use crate::{
    access::{Role, Scope, Subject},
    binding::{Command, Grant, Rejection, State, decide, evolve, fold, id_of},
    codec,
    event::Event as AnyEvent,
    ids::{SessionId, UserId},
    stream::StreamKind,
};

fn scope() -> impl Strategy<Value = Scope> {
    let session = SessionId(Uuid::from_u128(1));
    prop::sample::select(vec![Scope::Global, Scope::Session(session)])
}

fn grant() -> impl Strategy<Value = Grant> {
    let role = prop::sample::select(Role::ALL.to_vec());
    let subject = prop::sample::select(vec![
        Subject::User(UserId(Uuid::from_u128(1))),
        Subject::Group("platform".to_owned()),
        Subject::Kubernetes(UserId(Uuid::from_u128(2))),
    ]);
    (subject, role, scope(), any::<bool>()).prop_map(|(subject, role, scope, limited)| {
        let repositories =
            if limited { vec!["acme/*".parse().expect("a pattern")] } else { vec![] };
        Grant { subject, role, scope, repositories }
    })
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        2 => grant().prop_map(Command::Grant),
        1 => any::<bool>().prop_map(|last_admin| Command::Revoke { last_admin }),
    ]
}

proptest! {
    #[test]
    fn whatever_a_binding_is_told_its_events_fold_and_come_back_from_their_stored_form(
        commands in prop::collection::vec(command(), 1..12),
    ) {
        let mut state = State::New;
        let mut all = vec![];
        for command in commands {
            let Ok(events) = decide(&state, command) else { continue };
            for event in &events {
                let stored = codec::encode(&AnyEvent::Binding(event.clone()));
                let read = codec::decode(StreamKind::Binding, &stored.name, stored.schema, &stored.body);
                prop_assert_eq!(read.expect("decodes"), AnyEvent::Binding(event.clone()));
            }
            state = events.iter().fold(state, evolve);
            all.extend(events);
        }
        prop_assert_eq!(fold(&all), state);
    }

    #[test]
    fn a_binding_is_there_once_and_a_revoked_one_stays_so(grant in grant()) {
        let Ok(events) = decide(&State::New, Command::Grant(grant.clone())) else { return Ok(()) };
        let state = fold(&events);
        prop_assert_eq!(decide(&state, Command::Grant(grant.clone())), Err(Rejection::Exists));
        let revoked = decide(&state, Command::Revoke { last_admin: false }).expect("revoked");
        let state = revoked.iter().fold(state, evolve);
        prop_assert_eq!(&state, &State::Revoked);
        prop_assert_eq!(decide(&state, Command::Revoke { last_admin: false }), Ok(vec![]));
        prop_assert!(decide(&state, Command::Grant(grant)).is_ok());
    }
}

fn of(role: Role, scope: Scope, repositories: &[&str]) -> Grant {
    let subject = Subject::Group("platform".to_owned());
    let repositories = repositories.iter().map(|text| text.parse().expect("a pattern")).collect();
    Grant { subject, role, scope, repositories }
}

#[test]
fn the_last_admin_stays() {
    let state = State::Granted(of(Role::Admin, Scope::Global, &[]));
    let revoke = |last_admin| Command::Revoke { last_admin };
    assert_eq!(decide(&state, revoke(true)), Err(Rejection::LastAdmin));
    assert!(decide(&state, revoke(false)).is_ok());
    let of_session = State::Granted(of(Role::Admin, Scope::Session(SessionId(Uuid::nil())), &[]));
    assert!(decide(&of_session, revoke(true)).is_ok(), "it was admin of one session only");
}

#[test]
fn repositories_are_for_maintainers_of_the_installation_and_they_need_some() {
    let session = Scope::Session(SessionId(Uuid::nil()));
    for (grant, expected) in [
        (of(Role::Maintainer, Scope::Global, &["acme/*"]), None),
        (of(Role::Maintainer, Scope::Global, &[]), Some(Rejection::RepositoriesMissing)),
        (of(Role::Maintainer, session, &["acme/*"]), Some(Rejection::RepositoriesUnexpected)),
        (of(Role::Admin, Scope::Global, &["*"]), Some(Rejection::RepositoriesUnexpected)),
        (of(Role::Viewer, Scope::Global, &[]), None),
        (of(Role::Maintainer, session, &[]), None),
    ] {
        let decided = decide(&State::New, Command::Grant(grant.clone()));
        assert_eq!(decided.err(), expected, "{grant:?}");
    }
}

#[test]
fn another_role_scope_or_subject_is_another_binding() {
    let user = Subject::User(UserId(Uuid::from_u128(7)));
    let id = id_of(&user, Role::Viewer, Scope::Global);
    assert_eq!(id, id_of(&user.clone(), Role::Viewer, Scope::Global));
    let others = [
        id_of(&user, Role::Admin, Scope::Global),
        id_of(&user, Role::Viewer, Scope::Session(SessionId(Uuid::from_u128(7)))),
        id_of(&Subject::Kubernetes(UserId(Uuid::from_u128(7))), Role::Viewer, Scope::Global),
        id_of(&Subject::Group(format!("user:{}", Uuid::from_u128(7))), Role::Viewer, Scope::Global),
    ];
    assert!(others.iter().all(|other| *other != id));
}
