//! Building every read model anew.

use chrono::{DateTime, Utc};
use commands::{Commands, Context};
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, Postgres, postgres::PgArguments, query::Query,
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    Scale,
    database::Database,
    history::{self, Background},
    report::{Goal, Report},
};

const TABLES: [&str; 4] = ["session", "run", "run_timeline", "bundle"];

pub(crate) async fn all(scale: &Scale, report: &mut Report) -> anyhow::Result<()> {
    let database = Database::new("bench_rebuild").await?;
    let pool = database.pool(24)?;
    let commands = Commands::new(pool.clone(), Context::system());
    let background = Background::start(&commands).await?;
    history::fill(&commands, scale.log).await?;
    background.caught_up(&pool).await?;
    background.stop().await?;
    let mut admin = database.admin().await?;
    // By itself: a vacuum takes no part in a transaction, and two statements in one text are one.
    for statement in ["create extension pg_stat_statements", "vacuum analyze"] {
        sqlx::query(statement).execute(&mut admin).await?;
    }
    let events: i64 =
        sqlx::query_scalar("select max(position) from paddock.log").fetch_one(&mut admin).await?;

    let mut rates = vec![];
    let mut whole = vec![];
    let mut tables = TABLES.map(|_| vec![]);
    for round in 0..=scale.rounds {
        sqlx::query("select pg_stat_statements_reset()").execute(&mut admin).await?;
        let began = Instant::now();
        let rebuilt = projections::rebuild(&pool, false).await?;
        let took = began.elapsed().as_secs_f64();
        anyhow::ensure!(rebuilt.is_equal(), "the read models in use were wrong: {rebuilt}");
        let mut inserting = vec![];
        for table in TABLES {
            inserting.push(spent(&mut admin, &format!("view.{table}_next")).await?);
        }
        let mut bare_all = 0.0;
        for ((table, pairs), inserting) in TABLES.iter().zip(&mut tables).zip(inserting) {
            let (rows, bare) = bare_insert(&mut admin, table).await?;
            bare_all += bare;
            if round > 0 {
                pairs.push((rows / bare, rows / inserting));
            }
        }
        // The first round only warms up.
        if round > 0 {
            rates.push(number(events)? / took);
            whole.push((number(events)? / bare_all, number(events)? / took));
        }
    }
    report.values(
        format!("rebuild of all read models, {events} events"),
        "events/s",
        rates,
        Goal::AtLeast(50_000.0),
    );
    for (table, pairs) in TABLES.iter().zip(&tables) {
        let name = format!(
            "rebuild of `{table}`, PostgreSQL's time for its statements, beside one bare insert"
        );
        report.pairs(name, "rows/s", pairs, Goal::Ratio(0.5));
    }
    let name =
        "whole rebuild (reading, folding, comparing too), beside the bare inserts of all tables";
    report.pairs(name, "events/s", &whole, Goal::None);
    pool.close().await;
    admin.close().await?;
    Ok(())
}

/// The seconds that PostgreSQL spent on statements that change a table: to make it, its indexes, its rows.
async fn spent(admin: &mut PgConnection, table: &str) -> anyhow::Result<f64> {
    let milliseconds: f64 = sqlx::query_scalar(
        "select coalesce(sum(total_exec_time), 0) from pg_stat_statements
         where query ~* '^\\s*(insert|update|copy|create|alter|delete)'
           and query ~ (replace($1, '.', '\\.') || '\\M')",
    )
    .bind(table)
    .fetch_one(admin)
    .await?;
    anyhow::ensure!(milliseconds > 0.0, "no statement changed {table}");
    Ok(milliseconds / 1000.0)
}

/// Inserts the rows of a read model into a copy with the same indexes, by one statement that gets them as
/// arrays: how many, and the seconds that PostgreSQL spent on it.
async fn bare_insert(admin: &mut PgConnection, table: &str) -> anyhow::Result<(f64, f64)> {
    let columns: Vec<(String, String)> = sqlx::query_as(
        "select attname::text, atttypid::regtype::text from pg_attribute
         where attrelid = ('view.' || $1)::regclass and attnum > 0 and not attisdropped order by attnum",
    )
    .bind(table)
    .fetch_all(&mut *admin)
    .await?;
    let mut held = vec![];
    for (name, kind) in &columns {
        held.push(Column::read(admin, table, name, kind).await?);
    }
    let make = format!(
        "drop table if exists view.copy_next; create table view.copy_next (like view.{table} including all)"
    );
    sqlx::raw_sql(AssertSqlSafe(make)).execute(&mut *admin).await?;
    sqlx::query("select pg_stat_statements_reset()").execute(&mut *admin).await?;
    let numbered = || columns.iter().enumerate();
    let values: Vec<_> = numbered().map(|(i, (_, kind))| format!("c{i}::{kind}")).collect();
    let arrays: Vec<_> = numbered()
        .map(|(i, (_, kind))| {
            format!("${}::{}[]", i + 1, if kind == "json" { "text" } else { kind })
        })
        .collect();
    let names: Vec<_> = numbered().map(|(i, _)| format!("c{i}")).collect();
    let insert = format!(
        "insert into view.copy_next select {} from unnest({}) t({})",
        values.join(", "),
        arrays.join(", "),
        names.join(", ")
    );
    let mut query = sqlx::query(AssertSqlSafe(insert));
    for column in held {
        query = column.bind(query);
    }
    let rows = query.execute(&mut *admin).await?.rows_affected();
    let seconds = spent(admin, "view.copy_next").await?;
    sqlx::raw_sql("drop table view.copy_next").execute(admin).await?;
    Ok((number(i64::try_from(rows)?)?, seconds))
}

/// All values of a column, as the projector would send them.
enum Column {
    Uuid(Vec<Uuid>),
    Number(Vec<i64>),
    Truth(Vec<bool>),
    Time(Vec<Option<DateTime<Utc>>>),
    Text(Vec<String>),
}

impl Column {
    async fn read(
        admin: &mut PgConnection,
        table: &str,
        name: &str,
        kind: &str,
    ) -> anyhow::Result<Self> {
        let text = if kind == "json" { "::text" } else { "" };
        let all = AssertSqlSafe(format!("select {name}{text} from view.{table} order by ctid"));
        Ok(match kind {
            "uuid" => Self::Uuid(sqlx::query_scalar(all).fetch_all(admin).await?),
            "bigint" => Self::Number(sqlx::query_scalar(all).fetch_all(admin).await?),
            "boolean" => Self::Truth(sqlx::query_scalar(all).fetch_all(admin).await?),
            "timestamp with time zone" => {
                Self::Time(sqlx::query_scalar(all).fetch_all(admin).await?)
            }
            "text" | "json" => Self::Text(sqlx::query_scalar(all).fetch_all(admin).await?),
            other => anyhow::bail!("a column of type {other}: say how it is sent"),
        })
    }

    fn bind(self, query: Query<'_, Postgres, PgArguments>) -> Query<'_, Postgres, PgArguments> {
        match self {
            Self::Uuid(values) => query.bind(values),
            Self::Number(values) => query.bind(values),
            Self::Truth(values) => query.bind(values),
            Self::Time(values) => query.bind(values),
            Self::Text(values) => query.bind(values),
        }
    }
}

fn number(count: i64) -> anyhow::Result<f64> {
    Ok(f64::from(u32::try_from(count)?))
}
