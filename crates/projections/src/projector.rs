//! The projector: batch after batch of the log, each with its effect and the checkpoint in one transaction.

use std::{collections::BTreeSet, time::Duration};

use domain::{
    event::{Event, Recorded},
    ids::{Position, RunId, SessionId},
    run, session,
};
use sqlx::{PgConnection, PgPool};
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    Health, ViewError,
    log_reader::{self, Logged},
    model::{BindingRow, BundleRow, Delta, RunRow, RunState, SessionRow},
    tables::Set,
};

/// The most events of one batch.
pub(crate) const BATCH: i64 = 1_000;
/// The shortest time from one batch to the next while it keeps up: what comes meanwhile goes together, for
/// the price of one. An event after a pause does not wait.
const PACE: Duration = Duration::from_millis(10);
/// How often the log is looked at when nothing wakes the projector.
const POLL: Duration = Duration::from_millis(100);
/// How long after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// Projects until told to stop. `head` only wakes: reading on from the checkpoint is what counts. Several
/// processes may run it: the checkpoint's row lock lets one at a time.
pub async fn run(
    pool: PgPool,
    mut head: watch::Receiver<Position>,
    health: Health,
    shutdown: CancellationToken,
) {
    loop {
        let wait = match batch(&pool, Set::Live, BATCH).await {
            Ok((position, events)) => {
                health.reached(position);
                match i64::try_from(events) {
                    Ok(0) => POLL,
                    Ok(BATCH) => Duration::ZERO,
                    Ok(_) | Err(_) => {
                        sleep(PACE).await;
                        Duration::ZERO
                    }
                }
            }
            Err(error) => {
                health.stuck(&chain(&error));
                RETRY
            }
        };
        if wait.is_zero() && !shutdown.is_cancelled() {
            continue;
        }
        tokio::select! {
            () = sleep(wait) => {}
            Ok(()) = head.changed() => {}
            () = shutdown.cancelled() => return,
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Projects the next batch into a set of tables; where the checkpoint is then, and how many events it was.
/// What comes before an event that cannot be projected is projected; then it stands still.
pub(crate) async fn batch(
    pool: &PgPool,
    set: Set,
    limit: i64,
) -> Result<(Position, usize), ViewError> {
    let mut tx = pool.begin().await?;
    let checkpoint: i64 = sqlx::query_scalar(
        set.sql("select position from {checkpoint} where projection = 'views' for update"),
    )
    .fetch_one(&mut *tx)
    .await?;
    let checkpoint = Position(checkpoint.unsigned_abs());
    let events = log_reader::after(&mut tx, checkpoint, limit).await?;
    if events.is_empty() {
        return Ok((checkpoint, 0));
    }
    let mut delta = load(&mut tx, set, &events).await?;
    let mut position = checkpoint;
    let mut applied = 0;
    for logged in &events {
        match delta.apply(logged) {
            Ok(()) => position = logged.positioned.position,
            Err(error) if applied == 0 => {
                return Err(ViewError::poison(position.0.cast_signed() + 1, error));
            }
            Err(_) => break,
        }
        applied += 1;
    }
    store(&mut tx, set, &delta).await?;
    sqlx::query(set.sql("update {checkpoint} set position = $1 where projection = 'views'"))
        .bind(position.0.cast_signed())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok((position, applied))
}

/// The rows that a batch touches, as they are before it.
async fn load(
    connection: &mut PgConnection,
    set: Set,
    events: &[Logged],
) -> Result<Delta, ViewError> {
    let mut delta = Delta::default();
    let mut touched = Touched::default();
    for logged in events {
        touched.by(&logged.positioned.recorded);
    }
    for body in
        bodies(connection, set, "select body::text from {run} where id = any($1)", touched.runs)
            .await?
    {
        let row: RunRow = serde_json::from_str(&body)?;
        touched.sessions.insert(row.requested.session.0);
        delta.stored.insert(row.id.0);
        delta.runs.insert(row.id, row);
    }
    let sql = "select body::text from {session} where id = any($1)";
    for body in bodies(connection, set, sql, touched.sessions).await? {
        let row: SessionRow = serde_json::from_str(&body)?;
        delta.stored.insert(row.id.0);
        delta.sessions.insert(row.id, row);
    }
    let sql = "select position, body::text from {binding} where id = any($1)";
    if !touched.bindings.is_empty() {
        let ids: Vec<Uuid> = touched.bindings.into_iter().collect();
        let rows: Vec<(i64, String)> =
            sqlx::query_as(set.sql(sql)).bind(ids).fetch_all(&mut *connection).await?;
        for (position, body) in rows {
            let row: BindingRow = serde_json::from_str(&body)?;
            delta.bindings.insert(row.id, (position.unsigned_abs(), row));
        }
    }
    if !touched.expired.is_empty() || !touched.deleted.is_empty() {
        let (sessions, ids): (Vec<Uuid>, Vec<String>) = touched.expired.into_iter().unzip();
        let deleted: Vec<Uuid> = touched.deleted.into_iter().collect();
        let rows: Vec<(i64, String)> = sqlx::query_as(set.sql(
            "select position, body::text from {bundle} where session = any($1)
             union all
             select b.position, b.body::text from unnest($2::uuid[], $3::text[]) t(session, id)
               join {bundle} b on b.session = t.session and b.id = t.id
             where b.session <> all($1)",
        ))
        .bind(deleted)
        .bind(sessions)
        .bind(ids)
        .fetch_all(&mut *connection)
        .await?;
        for (position, body) in rows {
            let row: BundleRow = serde_json::from_str(&body)?;
            let key = (row.session, row.info.digest.clone());
            delta.bundles.insert(key, (position.unsigned_abs(), row));
        }
    }
    Ok(delta)
}

async fn bodies(
    connection: &mut PgConnection,
    set: Set,
    sql: &str,
    ids: BTreeSet<Uuid>,
) -> Result<Vec<String>, ViewError> {
    if ids.is_empty() {
        return Ok(vec![]);
    }
    let ids: Vec<Uuid> = ids.into_iter().collect();
    Ok(sqlx::query_scalar(set.sql(sql)).bind(ids).fetch_all(connection).await?)
}

/// What a batch touches that may be there already.
#[derive(Default)]
struct Touched {
    sessions: BTreeSet<Uuid>,
    runs: BTreeSet<Uuid>,
    bindings: BTreeSet<Uuid>,
    /// Single bundles, by session and digest.
    expired: BTreeSet<(Uuid, String)>,
    /// Sessions whose bundles all go.
    deleted: BTreeSet<Uuid>,
}

impl Touched {
    fn by(&mut self, recorded: &Recorded) {
        let id = recorded.stream.id;
        match &recorded.event {
            Event::Session(event) => {
                self.sessions.insert(id);
                match event {
                    session::Event::BundleExpired { digest } => {
                        self.expired.insert((id, digest.0.clone()));
                    }
                    session::Event::Deleted {} => {
                        self.deleted.insert(id);
                    }
                    session::Event::Created(_)
                    | session::Event::Renamed { .. }
                    | session::Event::Forked { .. }
                    | session::Event::Archived {}
                    | session::Event::Restored {}
                    | session::Event::RunStarted { .. }
                    | session::Event::RunEnded { .. }
                    | session::Event::BundleStored { .. }
                    | session::Event::PullRequestMerged { .. }
                    | session::Event::PullRequestClosed { .. }
                    | session::Event::PullRequestReopened { .. }
                    | session::Event::PullRequestDrafted { .. }
                    | session::Event::PullRequestReadied { .. } => {}
                }
            }
            Event::Run(event) => {
                self.runs.insert(id);
                if let run::Event::Requested(requested) = event {
                    self.sessions.insert(requested.session.0);
                }
            }
            Event::Binding(_) => {
                self.bindings.insert(id);
            }
            Event::Actor(_) | Event::Log(_) | Event::Settings(_) | Event::Credential(_) => {}
        }
    }
}

/// One statement a table; where rows may be there already two, since looking for them costs those that are new.
async fn store(connection: &mut PgConnection, set: Set, delta: &Delta) -> Result<(), ViewError> {
    let (known, new): (Vec<_>, Vec<_>) =
        delta.sessions.values().partition(|row| delta.stored.contains(&row.id.0));
    store_sessions(&mut *connection, set, &new, "").await?;
    store_sessions(&mut *connection, set, &known, SESSION_AGAIN).await?;
    let (known, new): (Vec<_>, Vec<_>) =
        delta.runs.values().partition(|row| delta.stored.contains(&row.id.0));
    store_runs(&mut *connection, set, &new, "").await?;
    store_runs(&mut *connection, set, &known, RUN_AGAIN).await?;
    if !delta.timeline.is_empty() {
        store_timeline(&mut *connection, set, delta).await?;
    }
    if !delta.bundles.is_empty() {
        store_bundles(&mut *connection, set, delta).await?;
    }
    if !delta.bindings.is_empty() {
        store_bindings(connection, set, delta).await?;
    }
    Ok(())
}

async fn store_timeline(
    connection: &mut PgConnection,
    set: Set,
    delta: &Delta,
) -> Result<(), ViewError> {
    let (mut runs, mut versions, mut bodies) = (vec![], vec![], vec![]);
    for (RunId(run), row) in &delta.timeline {
        runs.push(*run);
        versions.push(row.version.0.cast_signed());
        bodies.push(serde_json::to_string(row)?);
    }
    sqlx::query(set.sql(
        "insert into {run_timeline} (run, version, body)
         select r, v, b::json from unnest($1::uuid[], $2::bigint[], $3::text[]) t(r, v, b)",
    ))
    .bind(runs)
    .bind(versions)
    .bind(bodies)
    .execute(connection)
    .await?;
    Ok(())
}

async fn store_bundles(
    connection: &mut PgConnection,
    set: Set,
    delta: &Delta,
) -> Result<(), ViewError> {
    let (mut ids, mut sessions, mut positions, mut expired, mut bodies) =
        (vec![], vec![], vec![], vec![], vec![]);
    for ((SessionId(session), digest), (position, row)) in &delta.bundles {
        ids.push(digest.0.clone());
        sessions.push(*session);
        positions.push(position.cast_signed());
        expired.push(row.expired);
        bodies.push(serde_json::to_string(row)?);
    }
    sqlx::query(set.sql(
        "insert into {bundle} (id, session, position, expired, body)
         select i, s, p, e, b::json
         from unnest($1::text[], $2::uuid[], $3::bigint[], $4::boolean[], $5::text[]) t(i, s, p, e, b)
         on conflict (session, id) do update
         set position = excluded.position, expired = excluded.expired, body = excluded.body",
    ))
    .bind(ids)
    .bind(sessions)
    .bind(positions)
    .bind(expired)
    .bind(bodies)
    .execute(connection)
    .await?;
    Ok(())
}

async fn store_bindings(
    connection: &mut PgConnection,
    set: Set,
    delta: &Delta,
) -> Result<(), ViewError> {
    let rows = delta.bindings.values();
    let bodies = rows.clone().map(|(_, row)| serde_json::to_string(row));
    sqlx::query(set.sql(
        "insert into {binding} (id, scope, holds, position, version, body)
         select i, s, h, p, v, b::json
         from unnest($1::uuid[], $2::text[], $3::boolean[], $4::bigint[], $5::bigint[], $6::text[])
              t(i, s, h, p, v, b)
         on conflict (id) do update
         set scope = excluded.scope, holds = excluded.holds, position = excluded.position,
             version = excluded.version, body = excluded.body",
    ))
    .bind(rows.clone().map(|(_, row)| row.id.0).collect::<Vec<_>>())
    .bind(rows.clone().map(|(_, row)| row.grant.scope.to_string()).collect::<Vec<_>>())
    .bind(rows.clone().map(|(_, row)| row.holds).collect::<Vec<_>>())
    .bind(rows.clone().map(|(position, _)| position.cast_signed()).collect::<Vec<_>>())
    .bind(rows.clone().map(|(_, row)| row.version.0.cast_signed()).collect::<Vec<_>>())
    .bind(bodies.collect::<Result<Vec<_>, _>>()?)
    .execute(connection)
    .await?;
    Ok(())
}

/// What becomes of a session's row that is there already.
const SESSION_AGAIN: &str = "on conflict (id) do update
         set standing = excluded.standing, work = excluded.work, title = excluded.title,
             about = excluded.about, pull = excluded.pull, changed = excluded.changed,
             version = excluded.version, body = excluded.body";

async fn store_sessions(
    connection: &mut PgConnection,
    set: Set,
    rows: &[&SessionRow],
    again: &str,
) -> Result<(), ViewError> {
    if rows.is_empty() {
        return Ok(());
    }
    let bodies = rows.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    sqlx::query(set.sql(&format!(
        "insert into {{session}} (id, owner, standing, work, repo, title, about, pull, changed, version, body)
         select i, o, s, w, r, t, a, p, c, v, b::json
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[],
                     $8::boolean[], $9::bigint[], $10::bigint[], $11::text[])
              t(i, o, s, w, r, t, a, p, c, v, b)
         {again}",
    )))
    .bind(rows.iter().map(|row| row.id.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.owner.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.standing()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.group().as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.repo.to_string().to_lowercase()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.title.reference.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.about()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.has_live_pull()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.changed.0.cast_signed()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.version.0.cast_signed()).collect::<Vec<_>>())
    .bind(bodies)
    .execute(connection)
    .await?;
    Ok(())
}

/// What becomes of a run's row that is there already.
const RUN_AGAIN: &str = "on conflict (id) do update
         set queued = excluded.queued, active = excluded.active, workload = excluded.workload,
             publishing = excluded.publishing, due = excluded.due, credential = excluded.credential,
             version = excluded.version, body = excluded.body";

async fn store_runs(
    connection: &mut PgConnection,
    set: Set,
    rows: &[&RunRow],
    again: &str,
) -> Result<(), ViewError> {
    if rows.is_empty() {
        return Ok(());
    }
    let bodies = rows.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    sqlx::query(set.sql(&format!(
        "insert into {{run}} (id, session, owner, queued, active, workload, publishing, due, credential,
                             version, body)
         select i, s, o, q, a, w, p, d, c, v, b::json
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::boolean[], $5::boolean[], $6::text[],
                     $7::timestamptz[], $8::timestamptz[], $9::uuid[], $10::bigint[], $11::text[])
              t(i, s, o, q, a, w, p, d, c, v, b)
         {again}",
    )))
    .bind(rows.iter().map(|row| row.id.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.requested.session.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.requested.owner.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.state == RunState::Queued).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.is_active()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.workload.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.publishing.next).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.due()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.credential.as_ref().map(|used| used.id.0)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.version.0.cast_signed()).collect::<Vec<_>>())
    .bind(bodies)
    .execute(connection)
    .await?;
    Ok(())
}
