//! The tables, and their second set while they are built anew.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

/// Which set of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    /// The one in use.
    Live,
    /// The one being built.
    Next,
}

/// Every table of a set.
pub(crate) const TABLES: [&str; 6] =
    ["session", "run", "run_timeline", "bundle", "binding", "checkpoint"];

impl Set {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Live => "",
            Self::Next => "_next",
        }
    }

    /// A table's name in this set.
    pub(crate) fn name(self, table: &str) -> String {
        format!("view.{table}{}", self.suffix())
    }

    /// SQL with `{session}`, `{run}`, … replaced by this set's tables.
    pub(crate) fn sql(self, text: &str) -> AssertSqlSafe<String> {
        let mut text = text.to_owned();
        for table in TABLES {
            text = text.replace(&format!("{{{table}}}"), &self.name(table));
        }
        AssertSqlSafe(text)
    }
}

/// The shape of the rows. Raise it with every change of `model` or of the definitions below: read models of
/// another shape are built anew before anything is served.
pub(crate) const SHAPE: i32 = 6;

/// The columns beside `body` are what lists and the background tasks look for; `body` is the whole row as
/// `model` has it. Names of constraints and indexes are PostgreSQL's own, so that both sets have them.
pub(crate) const DEFINITIONS: &str = "
create table {session} (
  id         uuid   not null primary key,
  owner      uuid   not null,
  standing   text   not null,
  work       text   not null,
  repo       text   not null,
  title      uuid   not null,
  about      text   not null,
  pull       boolean not null,
  changed    bigint not null,
  version    bigint not null,
  body       json   not null
);
create index on {session} (standing, id);
create index on {session} (changed);
create index on {session} (owner);
create index on {session} (id) where pull;
create table {run} (
  id         uuid   not null primary key,
  session    uuid   not null,
  owner      uuid   not null,
  queued     boolean not null,
  active     boolean not null,
  workload   text   not null,
  publishing timestamptz,
  due        timestamptz,
  credential uuid,
  version    bigint not null,
  body       json   not null
);
create index on {run} (session, id);
create index on {run} (id) where queued or active or workload <> 'none';
create index on {run} (publishing) where publishing is not null;
create index on {run} (due) where due is not null;
create index on {run} (credential, id) where credential is not null;
create table {run_timeline} (
  run        uuid   not null,
  version    bigint not null,
  body       json   not null,
  primary key (run, version)
);
create table {bundle} (
  id         text   not null collate \"C\",
  session    uuid   not null,
  position   bigint not null,
  expired    boolean not null,
  body       json   not null,
  primary key (session, id)
);
create index on {bundle} (session, position) where not expired;
create table {binding} (
  id         uuid   not null primary key,
  scope      text   not null,
  holds      boolean not null,
  position   bigint not null,
  version    bigint not null,
  body       json   not null
);
create index on {binding} (position) where holds;
create table {checkpoint} (
  projection text    not null primary key,
  position   bigint  not null,
  shape      integer not null
);
";

/// What is at the place of the tables in use.
pub(crate) enum Found {
    /// Nothing.
    Missing,
    /// Tables of this build's shape.
    Fitting,
    /// Tables of another build's shape.
    Other,
}

pub(crate) async fn found(connection: &mut PgConnection) -> Result<Found, sqlx::Error> {
    let there: bool = sqlx::query_scalar("select to_regclass('view.checkpoint') is not null")
        .fetch_one(&mut *connection)
        .await?;
    if !there {
        return Ok(Found::Missing);
    }
    // By way of JSON, because the first shape had no such column.
    let shape: Option<Option<i32>> =
        sqlx::query_scalar("select (to_jsonb(c)->>'shape')::integer from view.checkpoint c")
            .fetch_optional(connection)
            .await?;
    Ok(if shape == Some(Some(SHAPE)) { Found::Fitting } else { Found::Other })
}

/// Waits for whoever else makes or replaces tables, until the transaction ends.
pub(crate) async fn lock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    const LOCK: i64 = 0x7061_6464_7669_6577;
    sqlx::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(connection).await?;
    Ok(())
}

pub(crate) async fn create(connection: &mut PgConnection, set: Set) -> Result<(), sqlx::Error> {
    connection.execute(set.sql(DEFINITIONS)).await?;
    sqlx::query(set.sql("insert into {checkpoint} values ('views', 0, $1)"))
        .bind(SHAPE)
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn drop_all(connection: &mut PgConnection, set: Set) -> Result<(), sqlx::Error> {
    for table in TABLES {
        let sql = AssertSqlSafe(format!("drop table if exists {}", set.name(table)));
        connection.execute(sql).await?;
    }
    Ok(())
}

/// How often the tables in use are asked for before a replacement is given up: about a minute.
const CLAIMS: u32 = 240;

/// Waits until nobody reads the tables in use, and keeps everybody out until the transaction ends.
///
/// All of them at once, and each time for less than the second after which PostgreSQL looks for a deadlock:
/// somebody who has read one table and now wants another goes first, and is never the one who is broken off.
async fn claim(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let tables: Option<String> = sqlx::query_scalar(
        "select string_agg(format('view.%I', tablename), ', ') from pg_tables
         where schemaname = 'view' and tablename = any($1)",
    )
    .bind(TABLES.as_slice())
    .fetch_one(&mut *connection)
    .await?;
    let Some(tables) = tables else { return Ok(()) };
    let wanted = format!("lock table {tables} in access exclusive mode");
    connection.execute("set local lock_timeout = '200ms'; savepoint claim").await?;
    for left in (0..CLAIMS).rev() {
        match connection.execute(AssertSqlSafe(wanted.clone())).await {
            Ok(_) => break,
            Err(error) if left > 0 && is_lock_timeout(&error) => {
                connection.execute("rollback to savepoint claim").await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(error),
        }
    }
    connection.execute("set local lock_timeout = 0").await?;
    Ok(())
}

fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some("55P03")
}

/// Puts the tables of `Next` in the place of those in use.
pub(crate) async fn swap(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    claim(connection).await?;
    drop_all(connection, Set::Live).await?;
    for table in TABLES {
        let sql = AssertSqlSafe(format!("alter table {} rename to {table}", Set::Next.name(table)));
        connection.execute(sql).await?;
    }
    Ok(())
}
