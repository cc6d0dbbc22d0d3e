//! What the link keeps of a run beside its stream.

use domain::ids::RunId;
use sqlx::PgPool;

/// The subject of the first commit that the run pushed.
pub async fn pushed_subject(pool: &PgPool, run: RunId) -> Result<Option<String>, sqlx::Error> {
    let subject = sqlx::query_scalar!("select subject from runtime.run_link where run = $1", run.0)
        .fetch_optional(pool)
        .await?;
    Ok(subject.flatten())
}

/// Runs of deleted sessions of which something is still kept.
pub async fn of_deleted_sessions(pool: &PgPool) -> Result<Vec<RunId>, sqlx::Error> {
    let runs = sqlx::query_scalar!(
        "select run from runtime.run_link held
         where exists (select from paddock.event
           where stream = 'session-' || held.session and name = 'session.deleted')
         limit 1000",
    )
    .fetch_all(pool)
    .await?;
    Ok(runs.into_iter().map(RunId).collect())
}

/// Forgets what the link kept of a run.
pub async fn forget(pool: &PgPool, run: RunId) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from runtime.run_link where run = $1", run.0).execute(pool).await?;
    Ok(())
}
