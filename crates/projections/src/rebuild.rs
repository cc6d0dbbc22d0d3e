//! Building every read model anew, from position 1.

use std::fmt;

use domain::ids::Position;
use serde::Serialize;
use sqlx::{Executor as _, PgConnection, PgPool};

use crate::{
    ViewError,
    projector::batch,
    tables::{Found, Set, create, drop_all, found, lock, swap},
};

/// The tables that are compared.
const COMPARED: [&str; 5] = ["session", "run", "run_timeline", "bundle", "binding"];

/// The most events of one batch. Far more than the projector takes: most rows are then written once, not
/// once a batch, and some 50 MiB of events are held at a time.
const LOT: i64 = 20_000;

/// What a rebuild came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rebuilt {
    /// Up to which position.
    pub position: Position,
    /// How the read models in use differed from it.
    pub differences: Vec<Differences>,
    /// Whether the new ones are in use now.
    pub replaced: bool,
}

/// How one read model differed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Differences {
    /// The table.
    pub table: String,
    /// Rows that are in use and should not be as they are.
    pub wrong: i64,
    /// Rows that should be in use and are not.
    pub missing: i64,
}

impl Rebuilt {
    /// Whether the read models in use were as they should be.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.differences.iter().all(|table| table.wrong == 0 && table.missing == 0)
    }
}

impl fmt::Display for Rebuilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Differences { table, wrong, missing } in &self.differences {
            writeln!(f, "{table:<13} {wrong} rows wrong, {missing} missing")?;
        }
        let done = if self.replaced { "replaced" } else { "compared" };
        write!(f, "{done} at position {}", self.position)
    }
}

/// Makes the read models where they are missing, and builds them anew where another build of Paddock made
/// them in another shape. Several processes at once wait for each other.
pub async fn prepare(pool: &PgPool) -> Result<(), ViewError> {
    let mut guard = pool.begin().await?;
    lock(&mut guard).await?;
    match found(&mut guard).await? {
        Found::Fitting => {}
        Found::Missing => create(&mut guard, Set::Live).await?,
        Found::Other => {
            tracing::info!("the read models are of another shape and are built anew");
            match build(pool, i64::MAX).await {
                Ok(position) => tracing::info!(%position, "the read models are built"),
                // The projector stops at the same event, says so, and goes on once it can be read.
                Err(error @ ViewError::Poison { .. }) => {
                    tracing::error!(%error, "the read models are built up to there");
                }
                Err(error) => return Err(error),
            }
            swap(&mut guard).await?;
        }
    }
    guard.commit().await?;
    Ok(())
}

/// Builds every read model anew and puts it in the place of the one in use; with `diff` it only says how
/// they differ. The projector goes on meanwhile: only the end, when both are at the same position, holds it.
pub async fn rebuild(pool: &PgPool, diff: bool) -> Result<Rebuilt, ViewError> {
    let mut guard = pool.begin().await?;
    lock(&mut guard).await?;
    build(pool, position_of(&mut guard, Set::Live).await?).await?;
    // The projector's first statement of a batch waits for this, holding nothing yet; readers do not.
    let hold = Set::Live.sql("lock table {checkpoint} in exclusive mode");
    guard.execute(hold).await?;
    let live = position_of(&mut guard, Set::Live).await?;
    let position = go_on(pool, live).await?;
    let mut differences = Vec::new();
    for table in COMPARED {
        differences.push(compare(&mut guard, table).await?);
    }
    if diff {
        drop_all(&mut guard, Set::Next).await?;
    } else {
        swap(&mut guard).await?;
    }
    guard.commit().await?;
    Ok(Rebuilt { position, differences, replaced: !diff })
}

/// Makes the second set of tables and fills it up to a position, or to the log's end.
async fn build(pool: &PgPool, until: i64) -> Result<Position, ViewError> {
    let mut tx = pool.begin().await?;
    drop_all(&mut tx, Set::Next).await?;
    create(&mut tx, Set::Next).await?;
    tx.commit().await?;
    go_on(pool, until).await
}

/// Fills the second set further. Positions are dense: their difference is a number of events.
async fn go_on(pool: &PgPool, until: i64) -> Result<Position, ViewError> {
    let mut at = {
        let mut connection = pool.acquire().await?;
        position_of(&mut connection, Set::Next).await?
    };
    while at < until {
        let (position, events) = batch(pool, Set::Next, (until - at).min(LOT)).await?;
        at = position.0.cast_signed();
        if events == 0 {
            break;
        }
    }
    Ok(Position(at.unsigned_abs()))
}

async fn position_of(connection: &mut PgConnection, set: Set) -> Result<i64, ViewError> {
    let sql = set.sql("select position from {checkpoint} where projection = 'views'");
    Ok(sqlx::query_scalar(sql).fetch_one(connection).await?)
}

async fn compare(connection: &mut PgConnection, table: &str) -> Result<Differences, ViewError> {
    let count = |from: Set, other: Set| {
        let text = format!(
            "select count(*) from (select t::text from {} t except all select t::text from {} t) d",
            from.name(table),
            other.name(table)
        );
        sqlx::AssertSqlSafe(text)
    };
    let wrong = sqlx::query_scalar(count(Set::Live, Set::Next)).fetch_one(&mut *connection).await?;
    let missing = sqlx::query_scalar(count(Set::Next, Set::Live)).fetch_one(connection).await?;
    Ok(Differences { table: table.to_owned(), wrong, missing })
}
