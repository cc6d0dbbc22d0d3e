//! Proving the log whole, and taking it over.

use commands::{
    Commands, Context,
    log::{AdoptError, Problem, adopt, check, current_epoch},
    sequencer::Options,
};
use domain::{
    event::{Actor, Part},
    ids::Position,
    leaf::LeafHash,
    stream::StreamId,
};
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::task::JoinSet;

use crate::{
    sequencer::sequence,
    support::{Database, make_session, rename, sequenced, start_run, user, whole},
};

async fn filled(database: &Database) -> Commands {
    let commands = Commands::new(database.pool(), Context::system());
    for _ in 0..3 {
        let owner = user();
        let session = make_session(&commands, owner).await;
        start_run(&commands, session, owner).await;
        let (command, caused) = rename(commands.context(), owner, "another");
        commands.session(session, command, caused).await.unwrap();
    }
    let mut tasks = JoinSet::new();
    let (_, stop) = sequence(commands.pool(), Options::default(), &mut tasks);
    sequenced(commands.pool()).await;
    stop.cancel();
    tasks.join_all().await;
    commands
}

/// The definition of RFC 6962, word for word.
fn root(leaves: &[LeafHash]) -> LeafHash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            Sha256::new()
                .chain_update([1])
                .chain_update(root(left))
                .chain_update(root(right))
                .finalize()
                .into()
        }
    }
}

#[tokio::test]
async fn a_whole_log_is_counted_and_its_root_is_that_of_rfc_6962() {
    let database = Database::new().await;
    let commands = filled(&database).await;
    let report = whole(commands.pool()).await;
    assert_eq!((report.events, report.positions, report.streams), (15, 15, 6));
    assert_eq!((report.texts, report.erased), (9, 0));
    let leaves: Vec<Vec<u8>> = sqlx::query_scalar("select leaf from paddock.log order by position")
        .fetch_all(commands.pool())
        .await
        .unwrap();
    let leaves: Vec<LeafHash> = leaves.into_iter().map(|leaf| leaf.try_into().unwrap()).collect();
    assert_eq!(report.root, root(&leaves));
}

/// Does harm as a superuser, with the triggers taken away, and returns what the check finds.
async fn harmed(statements: &str) -> Vec<Problem> {
    let database = Database::new().await;
    let commands = filled(&database).await;
    let mut admin = PgConnection::connect(&database.admin_url()).await.unwrap();
    let harm = format!(
        "alter table paddock.event disable trigger all; alter table paddock.log disable trigger all;
         alter table paddock.event_text disable trigger all;
         alter table paddock.log_batch disable trigger all; {statements}"
    );
    sqlx::raw_sql(AssertSqlSafe(harm)).execute(&mut admin).await.unwrap();
    check(commands.pool()).await.unwrap().problems
}

#[tokio::test]
async fn every_harm_to_the_log_is_found() {
    let problems = harmed("delete from paddock.log where position = 4").await;
    assert!(problems.contains(&Problem::Hole { expected: 4, found: 5 }), "{problems:?}");
    let problems =
        harmed("delete from paddock.event where version = 2 and stream like 'session-%'").await;
    assert!(problems.iter().any(|problem| matches!(problem, Problem::NoEvent(_))), "{problems:?}");
    let gap = |problem: &Problem| matches!(problem, Problem::Gap { expected: 2, found: 3, .. });
    assert!(problems.iter().any(gap), "{problems:?}");
    for column in
        ["actor = 'system:adapter'", "time = time + interval '1 microsecond'", "body = body || ' '"]
    {
        let harm = format!(
            "update paddock.event set {column} where id = (select event from paddock.log where position = 3)"
        );
        let problems = harmed(&harm).await;
        assert!(
            matches!(problems[..], [Problem::Leaf { position: 3, .. }]),
            "{column}: {problems:?}"
        );
    }
    let swap = "update paddock.log set position = case position when 2 then -3 else -2 end
                where position in (2, 3)";
    let swap = format!(
        "alter table paddock.log drop constraint log_position_positive; {swap};
         update paddock.log set position = -position where position < 0"
    );
    let problems = harmed(&swap).await;
    assert!(problems.iter().any(|problem| matches!(problem, Problem::Gap { .. })), "{problems:?}");
    let problems = harmed("update paddock.event_text set bytes = bytes || 'x'").await;
    assert_eq!(problems.len(), 9, "{problems:?}");
    assert!(problems.iter().all(|problem| matches!(problem, Problem::Text { .. })), "{problems:?}");
    let problems =
        harmed("insert into paddock.event_text values (gen_random_uuid(), '0123456789abcdef', '')")
            .await;
    assert_eq!(problems, [Problem::Unreferenced(1)]);
    let problems = harmed(
        "delete from paddock.log_batch where number = (select max(number) from paddock.log_batch)",
    )
    .await;
    assert!(matches!(problems[..], [Problem::Batch { .. }]), "{problems:?}");
}

#[tokio::test]
async fn an_erased_text_leaves_the_log_whole() {
    let database = Database::new().await;
    let commands = filled(&database).await;
    let mut owner = PgConnection::connect(&database.owner_url()).await.unwrap();
    let erase =
        "delete from paddock.event_text where id = (select id from paddock.event_text limit 1)";
    sqlx::raw_sql(erase).execute(&mut owner).await.unwrap();
    let report = whole(commands.pool()).await;
    assert_eq!((report.texts, report.erased), (8, 1));
}

#[tokio::test]
async fn a_log_that_moved_to_another_database_halts_until_it_is_adopted() {
    let database = Database::new().await;
    let commands = filled(&database).await;
    let operator = Actor::System(Part::Operator);
    let pool = commands.pool();
    let (before, _) = current_epoch(pool).await.unwrap();
    let not_needed = adopt(pool, None, commands.context(), operator).await.unwrap_err();
    assert!(matches!(not_needed, AdoptError::NotNeeded(epoch) if epoch == before));

    // What a dump loaded into another cluster looks like: another identifier, and events whose
    // transaction ids say nothing here. One of them had no position yet.
    let mut admin = PgConnection::connect(&database.admin_url()).await.unwrap();
    make_session(&commands, user()).await;
    let moved = "alter table paddock.epoch disable trigger all;
        update paddock.epoch set system_identifier = '42';
        alter table paddock.log_batch disable trigger all;
        update paddock.log_batch set snapshot = '900000:900000:', since = '900000:900000:'";
    sqlx::raw_sql(moved).execute(&mut admin).await.unwrap();

    let mut tasks = JoinSet::new();
    let (progress, stop) = sequence(pool, Options::default(), &mut tasks);
    let mut standing = progress.sequencer();
    standing.wait_for(|standing| matches!(standing, commands::Standing::Halted(_))).await.unwrap();
    let report = check(pool).await.unwrap();
    assert!(matches!(report.problems[..], [Problem::Moved { .. }]), "{report}");
    assert_eq!((report.events, report.positions), (16, 15));

    let adopted = adopt(pool, None, commands.context(), operator).await.unwrap();
    assert_eq!(adopted.size, Position(15));
    assert_eq!(adopted.root, report.root);
    assert_eq!(adopted.epoch.counter, 2);
    assert_eq!(adopted.epoch.system_identifier, before.system_identifier);
    standing.wait_for(|standing| *standing == commands::Standing::Active).await.unwrap();
    make_session(&commands, user()).await;
    sequenced(pool).await;
    stop.cancel();
    tasks.join_all().await;
    let report = whole(pool).await;
    assert_eq!((report.events, report.positions), (18, 18), "one of them is log.adopted");
    let log = commands::store::load(pool, StreamId::LOG).await.unwrap();
    assert_eq!(log.events.len(), 1);
    assert_eq!(current_epoch(pool).await.unwrap(), (adopted.epoch, Position(15)));
}
