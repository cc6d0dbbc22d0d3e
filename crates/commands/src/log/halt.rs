//! The mark that stops sequencer and relay of every process until the log is adopted.

use sqlx::PgExecutor;

use crate::StoreError;

/// Halts, for this reason, unless it is halted already.
pub(crate) async fn halt(executor: impl PgExecutor<'_>, reason: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into runtime.log_halt (reason) values ($1) on conflict do nothing",
        reason
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Why it is halted, if it is.
pub(crate) async fn halted(executor: impl PgExecutor<'_>) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar!("select reason from runtime.log_halt").fetch_optional(executor).await?)
}

/// Lets them go on.
pub(crate) async fn resume(executor: impl PgExecutor<'_>) -> Result<(), StoreError> {
    sqlx::query!("delete from runtime.log_halt").execute(executor).await?;
    Ok(())
}
