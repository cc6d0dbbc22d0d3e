//! Building every read model anew, from position 1.

use std::fmt;

use domain::ids::Position;
use serde::Serialize;
use sqlx::PgPool;

use crate::{
    ViewError,
    projector::{BATCH, batch},
    tables::{Set, create, drop_all, swap},
};

/// The columns that are compared, by table.
const COMPARED: [&str; 4] = ["session", "run", "run_timeline", "bundle"];

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

/// Builds every read model anew and puts it in the place of the one in use; with `diff` it only says how
/// they differ. The projector goes on meanwhile: the comparison holds it for the last batch.
pub async fn rebuild(pool: &PgPool, diff: bool) -> Result<Rebuilt, ViewError> {
    let mut connection = pool.acquire().await?;
    drop_all(&mut connection, Set::Next).await?;
    create(&mut connection, Set::Next).await?;
    drop(connection);
    while batch(pool, Set::Next, BATCH).await?.1 > 0 {}
    // From here the projector waits for this transaction: both sets are at the same position.
    let mut tx = pool.begin().await?;
    let live: i64 = sqlx::query_scalar(
        Set::Live.sql("select position from {checkpoint} where projection = 'views' for update"),
    )
    .fetch_one(&mut *tx)
    .await?;
    let mut next = position_of(&mut tx).await?;
    while next < live {
        // Positions are dense: this is exactly what is missing.
        batch(pool, Set::Next, (live - next).min(BATCH)).await?;
        next = position_of(&mut tx).await?;
    }
    let mut differences = Vec::new();
    if live == next {
        for table in COMPARED {
            differences.push(compare(&mut tx, table).await?);
        }
    }
    if diff {
        drop_all(&mut tx, Set::Next).await?;
    } else {
        swap(&mut tx).await?;
    }
    tx.commit().await?;
    Ok(Rebuilt { position: Position(next.unsigned_abs()), differences, replaced: !diff })
}

async fn position_of(connection: &mut sqlx::PgConnection) -> Result<i64, ViewError> {
    let sql = Set::Next.sql("select position from {checkpoint}");
    Ok(sqlx::query_scalar(sql).fetch_one(connection).await?)
}

async fn compare(
    connection: &mut sqlx::PgConnection,
    table: &str,
) -> Result<Differences, ViewError> {
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
