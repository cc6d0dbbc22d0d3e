//! Which runs have not been heard of for a while.

use chrono::{DateTime, Utc};
use domain::ids::{Generation, RunId};
use sqlx::PgPool;

/// A run whose sidecar was not heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silent {
    /// The run.
    pub run: RunId,
    /// The generation that last said hello.
    pub generation: Generation,
    /// When it was last heard of, by the database's clock.
    pub seen_at: DateTime<Utc>,
    /// For how many seconds it has been silent, by the same clock.
    pub seconds: u64,
}

/// The runs that nothing was heard of for longer than `seconds`, the longest silent first.
pub async fn silent(pool: &PgPool, seconds: u32) -> Result<Vec<Silent>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select run, generation, seen_at,
             extract(epoch from now() - seen_at)::bigint as "seconds!"
           from runtime.run_link
           where not settled and seen_at < now() - make_interval(secs => $1)
           order by seen_at limit 1000"#,
        f64::from(seconds),
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Silent {
            run: RunId(row.run),
            generation: Generation(row.generation.unsigned_abs()),
            seen_at: row.seen_at,
            seconds: row.seconds.unsigned_abs(),
        })
        .collect())
}

/// Says that nobody waits for the run's link any more: it has ended.
pub async fn settle(pool: &PgPool, run: RunId) -> Result<(), sqlx::Error> {
    sqlx::query!("update runtime.run_link set settled = true where run = $1", run.0)
        .execute(pool)
        .await?;
    Ok(())
}
