//! The projector: batch after batch of the log, each with its effect and the checkpoint in one transaction.

use std::{collections::BTreeSet, time::Duration};

use domain::{
    event::{Event, Positioned},
    ids::{Position, RunId, SessionId},
    run,
    stream::StreamKind,
};
use sqlx::{PgConnection, PgPool};
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    Health, ViewError, log_reader,
    model::{BundleRow, Delta, RunRow, SessionRow},
    tables::Set,
};

/// The most events of one batch.
pub(crate) const BATCH: i64 = 1_000;
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
                if events > 0 { Duration::ZERO } else { POLL }
            }
            Err(error) => {
                let problem = chain(&error);
                tracing::error!(%problem, "the projection stands still");
                health.stuck(problem);
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
    let events = log_reader::after(&mut tx, Position(checkpoint.unsigned_abs()), limit).await?;
    let Some(last) = events.last() else {
        return Ok((Position(checkpoint.unsigned_abs()), 0));
    };
    let position = last.position;
    let mut delta = load(&mut tx, set, &events).await?;
    for event in &events {
        delta.apply(event);
    }
    store(&mut tx, set, &delta).await?;
    sqlx::query(set.sql("update {checkpoint} set position = $1 where projection = 'views'"))
        .bind(position.0.cast_signed())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok((position, events.len()))
}

/// The rows that a batch touches, as they are before it.
async fn load(
    connection: &mut PgConnection,
    set: Set,
    events: &[Positioned],
) -> Result<Delta, ViewError> {
    let ids = |kind| -> Vec<Uuid> {
        let of_kind = events.iter().filter(|event| event.recorded.stream.kind == kind);
        of_kind.map(|event| event.recorded.stream.id).collect::<BTreeSet<_>>().into_iter().collect()
    };
    let mut delta = Delta::default();
    let rows: Vec<(String,)> =
        sqlx::query_as(set.sql("select body::text from {run} where id = any($1)"))
            .bind(ids(StreamKind::Run))
            .fetch_all(&mut *connection)
            .await?;
    for (body,) in rows {
        let row: RunRow = serde_json::from_str(&body)?;
        delta.runs.insert(row.id, row);
    }
    let requested = events.iter().filter_map(|event| match &event.recorded.event {
        Event::Run(run::Event::Requested(requested)) => Some(requested.session.0),
        _ => None,
    });
    let mut sessions: BTreeSet<Uuid> = ids(StreamKind::Session).into_iter().collect();
    sessions.extend(delta.runs.values().map(|row| row.requested.session.0));
    sessions.extend(requested);
    let sessions: Vec<Uuid> = sessions.into_iter().collect();
    let rows: Vec<(String,)> =
        sqlx::query_as(set.sql("select body::text from {session} where id = any($1)"))
            .bind(&sessions)
            .fetch_all(&mut *connection)
            .await?;
    for (body,) in rows {
        let row: SessionRow = serde_json::from_str(&body)?;
        delta.sessions.insert(row.id, row);
    }
    let rows: Vec<(Uuid, String, i64, String)> = sqlx::query_as(
        set.sql("select session, id, position, body::text from {bundle} where session = any($1)"),
    )
    .bind(ids(StreamKind::Session))
    .fetch_all(&mut *connection)
    .await?;
    for (session, id, position, body) in rows {
        let row: BundleRow = serde_json::from_str(&body)?;
        delta.bundles.insert((SessionId(session), id), (position.unsigned_abs(), row));
    }
    Ok(delta)
}

/// One statement a table.
async fn store(connection: &mut PgConnection, set: Set, delta: &Delta) -> Result<(), ViewError> {
    store_sessions(connection, set, delta).await?;
    store_runs(connection, set, delta).await?;
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
    .execute(&mut *connection)
    .await?;
    let (mut ids, mut sessions, mut positions, mut bodies) = (vec![], vec![], vec![], vec![]);
    for ((SessionId(session), id), (position, row)) in &delta.bundles {
        ids.push(id.clone());
        sessions.push(*session);
        positions.push(position.cast_signed());
        bodies.push(serde_json::to_string(row)?);
    }
    sqlx::query(set.sql(
        "insert into {bundle} (id, session, position, body)
         select i, s, p, b::json from unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[]) t(i, s, p, b)
         on conflict (session, id) do update set position = excluded.position, body = excluded.body",
    ))
    .bind(ids)
    .bind(sessions)
    .bind(positions)
    .bind(bodies)
    .execute(&mut *connection)
    .await?;
    Ok(())
}

async fn store_sessions(
    connection: &mut PgConnection,
    set: Set,
    delta: &Delta,
) -> Result<(), ViewError> {
    let (mut ids, mut owners, mut archived, mut versions, mut bodies) =
        (vec![], vec![], vec![], vec![], vec![]);
    for row in delta.sessions.values() {
        ids.push(row.id.0);
        owners.push(row.owner.0);
        archived.push(row.archived || row.deleted);
        versions.push(row.version.0.cast_signed());
        bodies.push(serde_json::to_string(row)?);
    }
    sqlx::query(set.sql(
        "insert into {session} (id, owner, archived, version, body)
         select i, o, a, v, b::json
         from unnest($1::uuid[], $2::uuid[], $3::boolean[], $4::bigint[], $5::text[]) t(i, o, a, v, b)
         on conflict (id) do update
         set archived = excluded.archived, version = excluded.version, body = excluded.body",
    ))
    .bind(ids)
    .bind(owners)
    .bind(archived)
    .bind(versions)
    .bind(bodies)
    .execute(connection)
    .await?;
    Ok(())
}

async fn store_runs(
    connection: &mut PgConnection,
    set: Set,
    delta: &Delta,
) -> Result<(), ViewError> {
    let rows: Vec<&RunRow> = delta.runs.values().collect();
    let bodies = rows.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    sqlx::query(set.sql(
        "insert into {run} (id, session, owner, queued, active, workload, publishing, due, version, body)
         select i, s, o, q, a, w, p, d, v, b::json
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::boolean[], $5::boolean[], $6::text[],
                     $7::timestamptz[], $8::timestamptz[], $9::bigint[], $10::text[])
              t(i, s, o, q, a, w, p, d, v, b)
         on conflict (id) do update
         set queued = excluded.queued, active = excluded.active, workload = excluded.workload,
             publishing = excluded.publishing, due = excluded.due, version = excluded.version,
             body = excluded.body",
    ))
    .bind(rows.iter().map(|row| row.id.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.requested.session.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.requested.owner.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.state == crate::model::RunState::Queued).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.is_active()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.workload.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.publishing.next).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.due()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.version.0.cast_signed()).collect::<Vec<_>>())
    .bind(bodies)
    .execute(connection)
    .await?;
    Ok(())
}
