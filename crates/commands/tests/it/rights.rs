use commands::{Commands, Context, check_rights, rights::RightsError};
use sqlx::{AssertSqlSafe, Connection, PgConnection, error::DatabaseError};

use crate::support::{Database, make_session, user};

#[tokio::test]
async fn the_serving_role_is_accepted_and_any_greater_one_refused() {
    let database = Database::new().await;
    check_rights(&database.pool()).await.unwrap();
    for url in [database.owner_url(), database.admin_url()] {
        let pool = commands::connect(&url, 1).unwrap();
        let refused = check_rights(&pool).await.unwrap_err();
        assert!(matches!(refused, RightsError::TooMuch { .. }), "{refused}");
    }
    let mut owner = PgConnection::connect(&database.owner_url()).await.unwrap();
    for (right, table) in [
        ("update (body)", "event"),
        ("update", "event_text"),
        ("truncate", "log"),
        ("delete", "checkpoint"),
    ] {
        let grant = format!("grant {right} on paddock.{table} to paddock_serve");
        sqlx::raw_sql(AssertSqlSafe(grant)).execute(&mut owner).await.unwrap();
        let refused = check_rights(&database.pool()).await.unwrap_err();
        assert!(matches!(refused, RightsError::TooMuch { .. }), "{right}: {refused}");
        let revoke = format!("revoke {right} on paddock.{table} from paddock_serve");
        sqlx::raw_sql(AssertSqlSafe(revoke)).execute(&mut owner).await.unwrap();
        check_rights(&database.pool()).await.unwrap();
    }
    let revoke = "revoke insert on paddock.event from paddock_serve";
    sqlx::raw_sql(revoke).execute(&mut owner).await.unwrap();
    let refused = check_rights(&database.pool()).await.unwrap_err();
    assert!(matches!(refused, RightsError::TooLittle { .. }), "{refused}");
}

#[tokio::test]
async fn nobody_changes_or_removes_an_event_not_even_the_owner() {
    let database = Database::new().await;
    let commands = Commands::new(database.pool(), Context::system());
    make_session(&commands, user()).await;
    let mut serve = PgConnection::connect(&database.serve_url()).await.unwrap();
    let mut owner = PgConnection::connect(&database.owner_url()).await.unwrap();
    let mut admin = PgConnection::connect(&database.admin_url()).await.unwrap();
    sqlx::raw_sql("set session_replication_role = replica").execute(&mut admin).await.unwrap();
    for statement in [
        "update paddock.event set actor = 'x'",
        "delete from paddock.event",
        "truncate paddock.event",
        "update paddock.event_text set bytes = ''",
        "truncate paddock.event_text",
        "update paddock.log set leaf = leaf",
        "delete from paddock.log",
        "truncate paddock.log",
        "delete from paddock.log_batch",
        "update paddock.epoch set timeline = 2",
        "delete from paddock.tree_hash",
        "update paddock.checkpoint set note = ''",
        "truncate paddock.checkpoint",
    ] {
        for (role, connection) in
            [("serve", &mut serve), ("owner", &mut owner), ("admin", &mut admin)]
        {
            let done = sqlx::raw_sql(statement).execute(&mut *connection).await;
            let error = done.expect_err(&format!("{role}: {statement}"));
            let code = error.as_database_error().and_then(DatabaseError::code).unwrap_or_default();
            let expected = if role == "serve" { "42501" } else { "23000" };
            assert_eq!(code, expected, "{role}: {statement}: {error}");
        }
    }
    // What erasure takes away: the log goes on to say that there was a text, and to commit to it.
    sqlx::raw_sql("delete from paddock.event_text").execute(&mut serve).await.unwrap();
}

#[tokio::test]
async fn migrating_twice_changes_nothing() {
    let database = Database::new().await;
    commands::migrate(&database.owner_url()).await.unwrap();
}
