//! The tables, and their second set while they are built anew.

use sqlx::{AssertSqlSafe, Executor as _, PgConnection, PgPool};

/// Which set of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    /// The one in use.
    Live,
    /// The one being built.
    Next,
}

/// Every table of a set.
pub(crate) const TABLES: [&str; 5] = ["session", "run", "run_timeline", "bundle", "checkpoint"];

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

/// The columns beside `body` are what lists and the background tasks look for; `body` is the whole row as
/// `model` has it. Names of constraints and indexes are PostgreSQL's own, so that both sets have them.
const DEFINITIONS: &str = "
create table {session} (
  id         uuid   not null primary key,
  owner      uuid   not null,
  archived   boolean not null,
  version    bigint not null,
  body       json   not null
);
create table {run} (
  id         uuid   not null primary key,
  session    uuid   not null,
  owner      uuid   not null,
  queued     boolean not null,
  active     boolean not null,
  workload   text   not null,
  publishing timestamptz,
  due        timestamptz,
  version    bigint not null,
  body       json   not null
);
create index on {run} (session, id);
create index on {run} (id) where queued or active or workload <> 'none';
create index on {run} (publishing) where publishing is not null;
create index on {run} (due) where due is not null;
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
  body       json   not null,
  primary key (session, id)
);
create index on {bundle} (session, position);
create table {checkpoint} (
  projection text   not null primary key,
  position   bigint not null
);
insert into {checkpoint} values ('views', 0);
";

/// Makes the tables that are missing. Several processes at once wait for each other.
pub async fn prepare(pool: &PgPool) -> Result<(), sqlx::Error> {
    const LOCK: i64 = 0x7061_6464_7669_6577;
    let mut tx = pool.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *tx).await?;
    let there: bool = sqlx::query_scalar("select to_regclass('view.checkpoint') is not null")
        .fetch_one(&mut *tx)
        .await?;
    if !there {
        create(&mut tx, Set::Live).await?;
    }
    tx.commit().await
}

pub(crate) async fn create(connection: &mut PgConnection, set: Set) -> Result<(), sqlx::Error> {
    connection.execute(set.sql(DEFINITIONS)).await.map(drop)
}

pub(crate) async fn drop_all(connection: &mut PgConnection, set: Set) -> Result<(), sqlx::Error> {
    for table in TABLES {
        let sql = AssertSqlSafe(format!("drop table if exists {}", set.name(table)));
        connection.execute(sql).await?;
    }
    Ok(())
}

/// Puts the tables of `Next` in the place of those in use.
pub(crate) async fn swap(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    drop_all(connection, Set::Live).await?;
    for table in TABLES {
        let sql = AssertSqlSafe(format!("alter table {} rename to {table}", Set::Next.name(table)));
        connection.execute(sql).await?;
    }
    Ok(())
}
