//! The filter of lists against decisions one by one, over worlds at random: who is in which groups, what was granted
//! and revoked, whose session is on which repository.

use std::collections::BTreeSet;

use commands::access::{Authority, Configured, Principal, Who};
use domain::{
    access::{Action, RepositoryPattern, Resource, Role, Scope, Subject},
    binding::{Event, Grant, Revoked, id_of},
    codec,
    event::Event as AnyEvent,
    ids::{CredentialId, SessionId, UserId},
    stream::StreamId,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::World;

/// How many worlds are in one database, and compared by one query.
const SET: u32 = 500;
/// How many worlds there are, where nobody says otherwise.
const WORLDS: u32 = 2_000;

const USERS: u32 = 3;
const SESSIONS: u32 = 4;
const GROUPS: [&str; 2] = ["staff", "guests"];
const REPOSITORIES: [&str; 6] =
    ["acme/one", "acme/w_dget", "acme/wxdget", "octo/one", "Acme/Two", "acme-two/one"];
const PATTERNS: [&str; 7] =
    ["*", "acme/*", "octo/one", "*/one", "acme/w_dget", "ACME/t*", "acme*/o*"];

/// SplitMix64: the same worlds for the same seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: u32) -> u32 {
        u32::try_from(self.next() % u64::from(most)).unwrap()
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(u32::try_from(from.len()).unwrap())).unwrap()].clone()
    }
}

/// An id of one world's own.
fn id(world: u32, kind: u32, number: u32) -> Uuid {
    Uuid::from_u128((u128::from(world) << 64) | (u128::from(kind) << 32) | u128::from(number + 1))
}

fn user(world: u32, number: u32) -> UserId {
    UserId(id(world, 1, number))
}

fn session(world: u32, number: u32) -> SessionId {
    SessionId(id(world, 2, number))
}

struct Set {
    events: Vec<(StreamId, i64, Event)>,
    principals: Vec<(u32, Principal)>,
    sessions: Vec<(u32, Resource)>,
    configured: Configured,
}

fn set(first: u32, dice: &mut Dice) -> Set {
    let mut set = Set {
        events: vec![],
        principals: vec![],
        sessions: vec![],
        configured: Configured::default(),
    };
    for world in first..first + SET {
        for number in 0..USERS {
            let mut who = Principal::of(Who::User(user(world, number)));
            let groups = GROUPS.iter().filter(|_| dice.one_in(2));
            who.groups = groups.map(|name| format!("{name} of {world}")).collect();
            who.ceiling = dice.pick(&[None, None, Some(Role::Viewer), Some(Role::Maintainer)]);
            if dice.one_in(40) {
                set.configured.users.push(user(world, number));
            }
            set.principals.push((world, who));
        }
        for number in 0..SESSIONS {
            let owner = user(world, dice.below(USERS));
            let repo = dice.pick(&REPOSITORIES).parse().unwrap();
            set.sessions
                .push((world, Resource::Session { id: session(world, number), owner, repo }));
        }
        let mut known = BTreeSet::new();
        for _ in 0..dice.below(6) {
            let grant = grant(world, dice);
            let stream: StreamId = id_of(&grant.subject, grant.role, grant.scope).into();
            if !known.insert(stream) {
                continue;
            }
            let Grant { subject, role, scope, .. } = grant.clone();
            set.events.push((stream, 1, Event::RoleGranted(grant)));
            if dice.one_in(5) {
                let revoked = Revoked { subject, role, scope };
                set.events.push((stream, 2, Event::RoleRevoked(revoked)));
            }
        }
    }
    set
}

fn grant(world: u32, dice: &mut Dice) -> Grant {
    let subject = match dice.below(5) {
        0 | 1 => Subject::User(user(world, dice.below(USERS))),
        2 | 3 => Subject::Group(format!("{} of {world}", dice.pick(&GROUPS))),
        // Nobody who signs in, although the id is one of theirs.
        _ => Subject::Kubernetes(user(world, dice.below(USERS))),
    };
    let role = dice.pick(&Role::ALL);
    let scope = match dice.below(5) {
        0 | 1 => Scope::Global,
        2 | 3 => Scope::Session(session(world, dice.below(SESSIONS))),
        _ => Scope::Credential(CredentialId(session(world, dice.below(SESSIONS)).0)),
    };
    let limited = role == Role::Maintainer && scope == Scope::Global;
    let patterns = if limited { 1 + dice.below(2) } else { 0 };
    let repositories = (0..patterns).map(|_| dice.pick(&PATTERNS));
    let repositories: Vec<RepositoryPattern> =
        repositories.map(|text| text.parse().unwrap()).collect();
    Grant { subject, role, scope, repositories }
}

/// Appends bindings as the store would; positions are nobody's business here.
async fn append(world: &World, events: &[(StreamId, i64, Event)]) {
    let (mut ids, mut streams, mut versions, mut names, mut bodies) =
        (vec![], vec![], vec![], vec![], vec![]);
    for (stream, version, event) in events {
        let encoded = codec::encode(&AnyEvent::Binding(event.clone()));
        ids.push(Uuid::now_v7());
        streams.push(stream.to_string());
        versions.push(*version);
        names.push(encoded.name);
        bodies.push(encoded.body);
    }
    sqlx::query(
        "insert into paddock.event (id, stream, version, name, schema, actor, time, correlation, body)
         select i, s, v, n, 1, 'system:operator', now(), i, b
         from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::bytea[]) t(i, s, v, n, b)",
    )
    .bind(ids)
    .bind(streams)
    .bind(versions)
    .bind(names)
    .bind(bodies)
    .execute(world.pool())
    .await
    .unwrap();
}

/// What lists would show, of every principal and all sessions of its world, by one query.
async fn listed(world: &World, set: &Set, authority: &Authority) -> BTreeSet<(usize, Uuid)> {
    let principals = set.principals.iter().enumerate().map(|(n, (world, who))| {
        let sight = authority.sight(who);
        let sessions: Vec<Uuid> = sight.sessions.iter().map(|session| session.0).collect();
        json!({
            "n": n, "world": world, "everything": sight.everything, "owner": sight.owner,
            "sessions": sessions, "repositories": sight.repositories,
        })
    });
    let sessions = set.sessions.iter().map(|(world, resource)| {
        let Resource::Session { id, owner, repo } = resource else { panic!("a session") };
        // As the read model has it.
        let repo = repo.as_str().to_lowercase();
        json!({ "world": world, "id": id, "owner": owner, "repo": repo })
    });
    let seen = projections::seen("p.everything", "p.owner", "p.sessions", "p.repositories");
    let rows: Vec<(i64, Uuid)> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select p.n, s.id
         from jsonb_to_recordset($1) p(n bigint, world bigint, everything boolean, owner uuid,
                                       sessions uuid[], repositories text[])
         join jsonb_to_recordset($2) s(world bigint, id uuid, owner uuid, repo text)
           on s.world = p.world
         where {seen}"
    )))
    .bind(Value::Array(principals.collect()))
    .bind(Value::Array(sessions.collect()))
    .fetch_all(world.pool())
    .await
    .unwrap();
    rows.into_iter().map(|(n, id)| (usize::try_from(n).unwrap(), id)).collect()
}

#[tokio::test]
async fn a_list_holds_what_one_by_one_is_allowed_over_random_worlds() {
    let worlds = std::env::var("PADDOCK_WORLDS").ok().and_then(|text| text.parse().ok());
    let worlds: u32 = worlds.unwrap_or(WORLDS);
    let (mut seen, mut hidden) = (0_u64, 0_u64);
    for first in (0..worlds).step_by(usize::try_from(SET).unwrap()) {
        let mut dice = Dice(u64::from(first) ^ 0x0070_6164_646f_636b);
        let set = set(first, &mut dice);
        let world = World::new().await;
        append(&world, &set.events).await;
        let authority =
            Authority::load(world.pool().clone(), set.configured.clone()).await.unwrap();
        let listed = listed(&world, &set, &authority).await;
        for (n, (of, who)) in set.principals.iter().enumerate() {
            for (_, resource) in set.sessions.iter().filter(|(world, _)| world == of) {
                let Resource::Session { id, .. } = resource else { panic!("a session") };
                let allowed = authority.may(who, Action::ReadSession, resource);
                let bindings = authority.bindings_of(who);
                assert_eq!(
                    listed.contains(&(n, id.0)),
                    allowed,
                    "world {of}: {who:?} and {resource:?} with {bindings:?}"
                );
                if allowed { seen += 1 } else { hidden += 1 }
            }
        }
        world.end().await;
    }
    // Neither everything nor nothing: otherwise it would prove little.
    assert!(seen > hidden / 10 && hidden > seen / 10, "{seen} seen, {hidden} not");
}
