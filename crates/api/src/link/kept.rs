//! What the link keeps of a run beside its stream.

use domain::ids::RunId;
use link::Answered;
use sqlx::{PgConnection, PgPool};

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

/// Runs that ended more than so many days ago and of which output is still kept.
pub async fn ended_before(pool: &PgPool, days: u32) -> Result<Vec<RunId>, sqlx::Error> {
    let runs = sqlx::query_scalar!(
        "select run from runtime.run_link held
         where settled and seen_at < now() - make_interval(days => $1)
           and exists (select from runtime.run_output o where o.run = held.run)
         order by seen_at limit 1000",
        i32::try_from(days).unwrap_or(i32::MAX),
    )
    .fetch_all(pool)
    .await?;
    Ok(runs.into_iter().map(RunId).collect())
}

/// Which edition of a run's diff is kept, to be compared with an earlier answer; none where none is.
pub(crate) async fn changes_edition(
    pool: &PgPool,
    run: RunId,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select xmin::text as "edition!" from runtime.run_changes where run = $1"#,
        run.0
    )
    .fetch_optional(pool)
    .await
}

/// Forgets what the link kept of a run.
pub async fn forget(pool: &PgPool, run: RunId) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from runtime.run_changes where run = $1", run.0).execute(pool).await?;
    sqlx::query!("delete from runtime.run_link where run = $1", run.0).execute(pool).await?;
    Ok(())
}

/// Keeps a run's newest diff.
pub(super) async fn keep_changes_in_tx(
    connection: &mut PgConnection,
    run: RunId,
    changes: &Answered,
) -> Result<(), sqlx::Error> {
    let Answered::Changes { base, head, diff, truncated } = changes;
    sqlx::query!(
        "insert into runtime.run_changes (run, base, head, diff, truncated) values ($1, $2, $3, $4, $5)
         on conflict (run) do update set base = excluded.base, head = excluded.head,
           diff = excluded.diff, truncated = excluded.truncated",
        run.0,
        plain(base),
        plain(head),
        diff.as_bytes(),
        truncated,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The newest diff kept of a run.
pub async fn kept_changes(pool: &PgPool, run: RunId) -> Result<Option<Answered>, sqlx::Error> {
    let kept = sqlx::query!(
        "select base, head, diff, truncated from runtime.run_changes where run = $1",
        run.0
    )
    .fetch_optional(pool)
    .await?;
    Ok(kept.map(|kept| Answered::Changes {
        base: kept.base,
        head: kept.head,
        diff: String::from_utf8_lossy(&kept.diff).into_owned(),
        truncated: kept.truncated,
    }))
}

/// A commit's name; what is none is not kept.
fn plain(commit: &str) -> String {
    commit.chars().filter(char::is_ascii_hexdigit).take(64).collect()
}
