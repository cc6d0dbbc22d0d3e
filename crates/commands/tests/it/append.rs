use commands::{Caused, CommandError, Commands, Context};
use domain::{
    event::{Actor, Part},
    ids::{BundleDigest, RunId, SessionId, StreamVersion},
    run::{self, Enforcement, SnapshotCause, Stage},
    session,
    stream::StreamId,
};

use crate::support::{
    Database, GENERATION, by, create, make_session, rename, request, start_run, user,
};

fn commands(database: &Database) -> Commands {
    Commands::new(database.pool(), Context::system())
}

fn adapter() -> Caused {
    Caused::by(Actor::System(Part::Adapter))
}

#[test]
fn an_append_of_a_version_after_one_that_is_not_committed_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile-fail/*.rs");
}

#[tokio::test]
async fn a_session_is_created_renamed_and_loaded_with_its_texts() {
    let database = Database::new().await;
    let commands = commands(&database);
    let owner = user();
    let id = make_session(&commands, owner).await;
    let (command, caused) = rename(commands.context(), owner, "Füße\0!");
    let text = caused.texts[0].reference.reference;
    let accepted = commands.session(id, command, caused).await.unwrap();
    assert_eq!(accepted.version, StreamVersion(2));
    assert_eq!(accepted.stream, StreamId::from(id));
    assert_eq!(accepted.target, id.0);
    assert!(!accepted.replayed);
    let (state, version) = commands.load_session(id).await.unwrap();
    assert!(matches!(state, session::State::Known(_)));
    assert_eq!(version, StreamVersion(2));
    assert_eq!(commands.text(text).await.unwrap().as_deref(), Some("Füße\0!"));
}

#[tokio::test]
async fn an_if_match_two_versions_ahead_is_refused_and_nothing_is_appended() {
    let database = Database::new().await;
    let commands = commands(&database);
    let owner = user();
    let id = make_session(&commands, owner).await;
    for ahead in [0, 2, 3] {
        let (command, caused) = rename(commands.context(), owner, "x");
        let caused = Caused { if_match: Some(StreamVersion(ahead)), ..caused };
        let refused = commands.session(id, command, caused).await.unwrap_err();
        assert!(
            matches!(refused, CommandError::IfMatch { actual: StreamVersion(1) }),
            "{refused:?}"
        );
    }
    assert_eq!(commands.load_session(id).await.unwrap().1, StreamVersion(1));
    let (command, caused) = rename(commands.context(), owner, "x");
    let caused = Caused { if_match: Some(StreamVersion(1)), ..caused };
    commands.session(id, command, caused).await.unwrap();
}

#[tokio::test]
async fn a_run_starts_in_both_streams_and_ends_in_both() {
    let database = Database::new().await;
    let commands = commands(&database);
    let owner = user();
    let session = make_session(&commands, owner).await;
    let run = start_run(&commands, session, owner).await;
    let known = |state| match state {
        session::State::Known(session) => session,
        other => panic!("{other:?}"),
    };
    let state = commands.load_session(session).await.unwrap().0;
    assert_eq!(known(state).active_run, Some(run));

    let (second, caused) = request(commands.context(), session, owner);
    let second_id = RunId(commands.context().id());
    let refused = commands.start_run(session, second_id, second, caused).await.unwrap_err();
    assert!(matches!(
        refused,
        CommandError::Session(session::Rejection::RunActive(active)) if active == run
    ));
    assert_eq!(commands.load_run(second_id).await.unwrap().1, StreamVersion::NONE);

    let accepted = commands.run(run, run::Command::Cancel, by(owner)).await.unwrap();
    assert_eq!(
        accepted.version,
        StreamVersion(4),
        "requested, prompted, asked to cancel, cancelled"
    );
    let state = commands.load_session(session).await.unwrap().0;
    assert_eq!(known(state).active_run, None);
    let again = commands.run(run, run::Command::Cancel, by(owner)).await.unwrap();
    assert_eq!(again.version, accepted.version, "asked again, nothing happens");
}

#[tokio::test]
async fn a_final_snapshot_is_stored_and_ends_the_run_in_the_callers_transaction() {
    let database = Database::new().await;
    let commands = commands(&database);
    let owner = user();
    let session = make_session(&commands, owner).await;
    let run = start_run(&commands, session, owner).await;
    let enforcement =
        Enforcement { sandbox: "bubblewrap".to_owned(), limits: vec![], missing: vec![] };
    let probe = run::Probe { target: "canary".to_owned(), verdict: run::Verdict::Refused };
    for command in [
        run::Command::Admit,
        run::Command::ReportWorkloadCreated { generation: GENERATION, enforcement },
        run::Command::ReportFence { generation: GENERATION, probes: vec![probe], detail: None },
        run::Command::ReportReady {
            generation: GENERATION,
            agent_session: "ses_1".to_owned(),
            agent_version: "1".to_owned(),
        },
        run::Command::Cancel,
    ] {
        commands.run(run, command, adapter()).await.unwrap();
    }
    let bundle = session::BundleInfo {
        digest: BundleDigest("ab".repeat(32)),
        parent: None,
        size: 10,
        git_head: "cd".repeat(20),
    };
    let pod = Caused::by(Actor::Pod(run, GENERATION));
    let mut tx = commands.pool().begin().await.unwrap();
    let store = commands.store_snapshot_in_tx(
        &mut tx,
        run,
        GENERATION,
        bundle.clone(),
        SnapshotCause::Final,
        &pod,
    );
    store.await.unwrap();
    let (_, before) = commands.load_session(session).await.unwrap();
    assert_eq!(before, StreamVersion(2), "created, run started; the rest is not committed");
    tx.commit().await.unwrap();
    let (state, version) = commands.load_session(session).await.unwrap();
    assert_eq!(version, StreamVersion(4));
    let session::State::Known(state) = state else { panic!("{state:?}") };
    assert_eq!(state.head, Some(bundle));
    assert_eq!(state.active_run, None);
    let run::State::Known(run) = commands.load_run(run).await.unwrap().0 else { panic!() };
    assert_eq!(run.stage, Stage::Ended(run::Outcome::Cancelled));
}

#[tokio::test]
async fn two_commands_in_one_transaction_follow_each_other() {
    let database = Database::new().await;
    let commands = commands(&database);
    let owner = user();
    let session = make_session(&commands, owner).await;
    let run = start_run(&commands, session, owner).await;
    let mut tx = commands.pool().begin().await.unwrap();
    let admit = commands.run_in_tx(&mut tx, run, run::Command::Admit, &adapter()).await.unwrap();
    let cancel = commands.run_in_tx(&mut tx, run, run::Command::Cancel, &adapter()).await.unwrap();
    assert_eq!(admit.version.next().next(), cancel.version, "asked to cancel, and cancelled");
    tx.commit().await.unwrap();
    assert_eq!(commands.load_run(run).await.unwrap().1, cancel.version);
}

#[tokio::test]
async fn commands_that_race_on_one_stream_all_get_their_own_version() {
    const WRITERS: u64 = 16;
    const EACH: u64 = 8;
    let database = Database::new().await;
    let commands = commands(&database);
    let owner = user();
    let id = make_session(&commands, owner).await;
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        let commands = commands.clone();
        writers.spawn(async move {
            let mut versions = vec![];
            while versions.len() < usize::try_from(EACH).unwrap() {
                let (command, caused) = rename(commands.context(), owner, "again");
                match commands.session(id, command, caused).await {
                    Ok(accepted) => versions.push(accepted.version.0),
                    Err(CommandError::Contended) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
            versions
        });
    }
    let mut versions: Vec<u64> = writers.join_all().await.concat();
    versions.sort_unstable();
    assert_eq!(versions, (2..2 + WRITERS * EACH).collect::<Vec<_>>());
}

#[tokio::test]
async fn unknown_sessions_and_runs_are_refused_by_name() {
    let database = Database::new().await;
    let commands = commands(&database);
    let owner = user();
    let (command, caused) = rename(commands.context(), owner, "x");
    let refused = commands.session(SessionId(commands.context().id()), command, caused).await;
    assert!(matches!(refused, Err(CommandError::Session(session::Rejection::NotFound))));
    let run = RunId(commands.context().id());
    let refused = commands.run(run, run::Command::Cancel, by(owner)).await;
    assert!(matches!(refused, Err(CommandError::Run(run::Rejection::NotFound))));
    let (request, caused) = request(commands.context(), SessionId(run.0), owner);
    let refused = commands.run(run, request, caused).await;
    assert!(matches!(refused, Err(CommandError::Session(session::Rejection::NotFound))));
    assert_eq!(commands.load_run(run).await.unwrap().1, StreamVersion::NONE);
}

#[tokio::test]
async fn every_append_rings_the_doorbell() {
    let database = Database::new().await;
    let commands = commands(&database);
    let mut listener = commands.doorbell().listen();
    let (command, caused) = create(commands.context(), user());
    commands.session(SessionId(commands.context().id()), command, caused).await.unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(1), listener.rung()).await.unwrap();
}

#[tokio::test]
async fn an_identity_is_known_by_its_tokens_digest_until_another_is_issued() {
    let database = Database::new().await;
    let commands = commands(&database);
    let run = RunId(commands.context().id());
    commands.issue_identity(run, GENERATION, [1; 32]).await.unwrap();
    assert_eq!(commands.identify([1; 32]).await.unwrap(), Some((run, GENERATION)));
    commands.issue_identity(run, GENERATION, [2; 32]).await.unwrap();
    assert_eq!(commands.identify([1; 32]).await.unwrap(), None);
    assert_eq!(commands.identify([2; 32]).await.unwrap(), Some((run, GENERATION)));
}
