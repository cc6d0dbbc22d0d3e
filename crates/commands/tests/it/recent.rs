//! States that are remembered between commands: they save a read, and never decide what is committed.

use commands::{Commands, Context};
use domain::{
    ids::{SessionId, UserId},
    session::Command,
    stream::StreamId,
};
use sqlx::{Connection, PgConnection};

use crate::support::{Database, by, make_session, user};

async fn is_appended(commands: &Commands, id: SessionId, owner: UserId, command: Command) -> u64 {
    commands.session(id, command, by(owner)).await.unwrap().version.0
}

/// The names of a stream's events, which have to be those of versions 1, 2, 3, …
async fn history(admin: &mut PgConnection, id: SessionId) -> Vec<String> {
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "select version, name from paddock.event where stream = $1 order by version",
    )
    .bind(StreamId::from(id).to_string())
    .fetch_all(admin)
    .await
    .unwrap();
    let versions: Vec<i64> = rows.iter().map(|(version, _)| *version).collect();
    let gapless: Vec<i64> = (1..).take(rows.len()).collect();
    assert_eq!(versions, gapless);
    rows.into_iter().map(|(_, name)| name).collect()
}

/// What a restore of the database to an earlier point would leave.
async fn restore(admin: &mut PgConnection, id: SessionId, version: i64) {
    let mut tx = admin.begin().await.unwrap();
    for statement in [
        "alter table paddock.event disable trigger event_never_changes",
        "delete from paddock.event where stream = $1 and version > $2",
        "alter table paddock.event enable always trigger event_never_changes",
    ] {
        let query = sqlx::query(statement);
        let query = if statement.contains('$') {
            query.bind(StreamId::from(id).to_string()).bind(version)
        } else {
            query
        };
        query.execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn what_another_process_appended_counts_though_something_else_is_remembered() {
    let database = Database::new().await;
    let [one, other] = [(); 2].map(|()| Commands::new(database.pool(), Context::system()));
    let owner = user();
    let id = make_session(&one, owner).await;
    for round in 0..5 {
        // By what each remembers, its own command would change nothing from the second round on.
        assert_eq!(is_appended(&one, id, owner, Command::Archive).await, 2 + 2 * round);
        assert_eq!(is_appended(&other, id, owner, Command::Restore).await, 3 + 2 * round);
    }
    let mut admin = PgConnection::connect(&database.admin_url()).await.unwrap();
    assert_eq!(history(&mut admin, id).await.len(), 11);
}

#[tokio::test]
async fn nothing_is_appended_after_events_that_a_restored_database_has_not() {
    let database = Database::new().await;
    let commands = Commands::new(database.pool(), Context::system());
    let owner = user();
    let id = make_session(&commands, owner).await;
    let mut admin = PgConnection::connect(&database.admin_url()).await.unwrap();
    for command in [Command::Archive, Command::Restore, Command::Archive] {
        is_appended(&commands, id, owner, command).await;
    }
    // It remembers version 4, archived; the database has 1, open.
    restore(&mut admin, id, 1).await;
    assert_eq!(is_appended(&commands, id, owner, Command::Delete).await, 2);
    assert_eq!(history(&mut admin, id).await, ["session.created", "session.deleted"]);
}

#[tokio::test]
async fn a_version_of_another_history_is_not_the_one_that_is_remembered() {
    let database = Database::new().await;
    let [one, other] = [(); 2].map(|()| Commands::new(database.pool(), Context::system()));
    let owner = user();
    let id = make_session(&one, owner).await;
    let mut admin = PgConnection::connect(&database.admin_url()).await.unwrap();
    is_appended(&one, id, owner, Command::Archive).await;
    restore(&mut admin, id, 1).await;
    // Version 2 is there again, and is another event.
    is_appended(&other, id, owner, Command::Delete).await;
    one.session(id, Command::Restore, by(owner)).await.unwrap_err();
    assert_eq!(history(&mut admin, id).await, ["session.created", "session.deleted"]);
}
