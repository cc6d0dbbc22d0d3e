//! A database of the server that `scripts/bench` started.

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};

pub(crate) struct Database {
    socket: String,
    name: &'static str,
}

impl Database {
    /// Makes it anew, with Paddock's schema.
    pub(crate) async fn new(name: &'static str) -> anyhow::Result<Self> {
        let socket = std::env::var("PADDOCK_BENCH_SOCKET")
            .context("PADDOCK_BENCH_SOCKET is not set: use `make bench`")?;
        let database = Self { socket, name };
        let mut admin = PgConnection::connect(&database.url("postgres", "postgres")).await?;
        let drop = format!("drop database if exists {name} with (force)");
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut admin).await?;
        let create = format!("create database {name} owner paddock_owner");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut admin).await?;
        commands::migrate(&database.url(name, "paddock_owner")).await?;
        Ok(database)
    }

    /// What `paddock serve` uses.
    pub(crate) fn pool(&self, most: u32) -> anyhow::Result<PgPool> {
        Ok(commands::connect(&self.url(self.name, "paddock_serve"), most)?)
    }

    /// A connection that may do anything.
    pub(crate) async fn admin(&self) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect(&self.url(self.name, "postgres")).await?)
    }

    /// The least that an event store could do: the same columns, without what gives the order, and the two
    /// constraints that no event store can be without.
    pub(crate) async fn make_plain_table(&self) -> anyhow::Result<()> {
        sqlx::raw_sql(
            "create table public.plain (
               id uuid not null primary key, stream text collate \"C\" not null, version bigint not null,
               name text collate \"C\" not null, schema smallint not null, actor text collate \"C\" not null,
               time timestamptz not null, correlation uuid not null, body bytea not null,
               unique (stream, version)
             );
             grant select, insert on public.plain to paddock_serve",
        )
        .execute(&mut self.admin().await?)
        .await?;
        Ok(())
    }

    fn url(&self, database: &str, role: &str) -> String {
        format!("postgres:///{database}?host={}&user={role}", self.socket)
    }
}
