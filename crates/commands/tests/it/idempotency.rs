use commands::{Caused, CommandError, Commands, Context, Idempotency};
use domain::{
    ids::{RunId, SessionId, StreamVersion},
    run, session,
};
use uuid::Uuid;

use crate::support::{Database, by, create, make_session, rename, request, start_run, user};

fn key(fingerprint: u8) -> Idempotency {
    Idempotency { key: "the key".to_owned(), fingerprint: [fingerprint; 32] }
}

#[tokio::test]
async fn a_create_asked_for_again_answers_with_what_was_created_first() {
    let database = Database::new().await;
    let commands = Commands::new(database.pool(), Context::system());
    let owner = user();
    let ask = async |fingerprint| {
        let (command, caused) = create(commands.context(), owner);
        let caused = Caused { idempotency: Some(key(fingerprint)), ..caused };
        commands.session(SessionId(commands.context().id()), command, caused).await
    };
    let first = ask(1).await.unwrap();
    assert!(!first.replayed);
    let again = ask(1).await.unwrap();
    assert!(again.replayed);
    assert_eq!(
        (again.stream, again.version, again.target),
        (first.stream, first.version, first.target)
    );
    assert!(matches!(ask(2).await, Err(CommandError::KeyReused)));
    let sessions = sqlx::query_scalar!(
        r#"select count(*) as "count!" from paddock.event where stream like 'session-%'"#
    );
    assert_eq!(sessions.fetch_one(commands.pool()).await.unwrap(), 1);
}

#[tokio::test]
async fn the_first_answer_stands_even_where_the_command_would_now_be_refused() {
    let database = Database::new().await;
    let commands = Commands::new(database.pool(), Context::system());
    let owner = user();
    let session = make_session(&commands, owner).await;
    let start = async || {
        let (command, caused) = request(commands.context(), session, owner);
        let caused = Caused { idempotency: Some(key(1)), ..caused };
        commands.start_run(session, RunId(commands.context().id()), command, caused).await
    };
    let first = start().await.unwrap();
    let again = start().await.unwrap();
    assert!(again.replayed, "one active run a session, and the first request is why there is one");
    assert_eq!(again.target, first.target);
    commands.run(RunId(first.target), run::Command::Cancel, by(owner)).await.unwrap();
    assert_eq!(start().await.unwrap().target, first.target, "no second run, though there is room");
}

#[tokio::test]
async fn a_command_that_changes_nothing_keeps_its_key_too() {
    let database = Database::new().await;
    let commands = Commands::new(database.pool(), Context::system());
    let owner = user();
    let session = make_session(&commands, owner).await;
    let run = start_run(&commands, session, owner).await;
    commands.run(run, run::Command::Cancel, by(owner)).await.unwrap();
    let cancel = async |fingerprint| {
        let caused = Caused { idempotency: Some(key(fingerprint)), ..by(owner) };
        commands.run(run, run::Command::Cancel, caused).await
    };
    let first = cancel(1).await.unwrap();
    assert_eq!((first.version, first.replayed), (StreamVersion(4), false));
    let again = cancel(1).await.unwrap();
    assert_eq!((again.version, again.replayed), (StreamVersion(4), true));
    assert!(matches!(cancel(2).await, Err(CommandError::KeyReused)));
}

#[tokio::test]
async fn a_key_is_its_actors_own() {
    let database = Database::new().await;
    let commands = Commands::new(database.pool(), Context::system());
    for _ in 0..2 {
        let (command, caused) = create(commands.context(), user());
        let caused = Caused { idempotency: Some(key(1)), ..caused };
        let id = SessionId(commands.context().id());
        let answer = commands.session(id, command, caused).await.unwrap();
        assert_eq!((answer.target, answer.replayed), (id.0, false));
    }
}

#[tokio::test]
async fn requests_with_one_key_that_race_are_carried_out_once_and_answered_alike() {
    let database = Database::new().await;
    let commands = Commands::new(database.pool(), Context::system());
    let owner = user();
    let session = make_session(&commands, owner).await;
    for round in 0..10 {
        let mut racers = tokio::task::JoinSet::new();
        for racer in 0..8_u32 {
            let commands = commands.clone();
            racers.spawn(async move {
                let idempotency =
                    Some(Idempotency { key: format!("round {round}"), fingerprint: [1; 32] });
                if round % 2 == 0 {
                    let (command, caused) = create(commands.context(), owner);
                    let id = SessionId(commands.context().id());
                    commands.session(id, command, Caused { idempotency, ..caused }).await
                } else {
                    let (command, caused) = rename(commands.context(), owner, &racer.to_string());
                    commands.session(session, command, Caused { idempotency, ..caused }).await
                }
            });
        }
        let answers: Vec<_> = racers.join_all().await.into_iter().map(Result::unwrap).collect();
        let alike: Vec<(Uuid, StreamVersion)> =
            answers.iter().map(|answer| (answer.target, answer.version)).collect();
        assert!(alike.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1, "{answers:?}");
    }
    let (state, version) = commands.load_session(session).await.unwrap();
    assert!(matches!(state, session::State::Known(_)));
    assert_eq!(version, StreamVersion(6), "created, and renamed in five rounds");
}
