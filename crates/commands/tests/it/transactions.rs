//! Transactions that append events as other event stores do it: slowly, and with ids drawn in an order
//! that is not that of the commits. Paddock's own append is one short statement; a reader of the log must
//! be right for these too.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use domain::{
    actor::{Event, SignIn},
    codec,
};
use sqlx::{Connection, PgConnection, error::DatabaseError};
use tokio::task::JoinSet;
use uuid::Uuid;

/// How a transaction goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The idempotency row first, then the stream's head, then the event.
    KeyFirst,
    /// A compare-and-swap on the stream's row, then the event.
    CompareAndSwap,
}

/// What was committed: each event's id, with its stream and version.
pub(crate) type Committed = Arc<Mutex<HashMap<Uuid, (String, i64)>>>;

/// Writes with so many clients on so many streams until told to stop. A connection that breaks is made
/// again; an event counts as committed only when the commit was answered.
pub(crate) struct Writers {
    pub(crate) committed: Committed,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Writers {
    pub(crate) fn start(url: &str, way: Way, clients: u32, streams: u32) -> Self {
        let mut writers = Self {
            committed: Committed::default(),
            stop: Arc::new(AtomicBool::new(false)),
            tasks: JoinSet::new(),
        };
        let family = Uuid::now_v7();
        for client in 0..clients {
            let (url, stop) = (url.to_owned(), Arc::clone(&writers.stop));
            let committed = Arc::clone(&writers.committed);
            writers.tasks.spawn(async move {
                let mut turn = client;
                let mut connection = None;
                while !stop.load(Ordering::Relaxed) {
                    turn += 1;
                    let stream = stream(family, turn % streams);
                    match write(&mut connection, &url, way, &stream).await {
                        Ok(Some((id, version))) => {
                            committed.lock().unwrap().insert(id, (stream, version));
                        }
                        Ok(None) => {}
                        Err(_) => {
                            connection = None;
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                    }
                }
            });
        }
        writers
    }

    pub(crate) async fn stop(self) -> HashMap<Uuid, (String, i64)> {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await;
        Arc::into_inner(self.committed).unwrap().into_inner().unwrap()
    }
}

fn stream(family: Uuid, number: u32) -> String {
    let number = family.as_u128().wrapping_add(u128::from(number) << 64);
    format!("actor-{}", Uuid::from_u128(number))
}

/// One transaction; none where a rival took the version.
async fn write(
    kept: &mut Option<PgConnection>,
    url: &str,
    way: Way,
    stream: &str,
) -> Result<Option<(Uuid, i64)>, sqlx::Error> {
    let connection = match kept {
        Some(connection) => connection,
        None => kept.insert(PgConnection::connect(url).await?),
    };
    let mut tx = connection.begin().await?;
    let id = Uuid::now_v7();
    let version: i64 = match way {
        Way::KeyFirst => {
            sqlx::query(
                "insert into paddock.idempotency (actor, key, fingerprint, stream, version, target, time)
                 values ('test', $1, '', $2, 0, $3, now())",
            )
            .bind(id.to_string())
            .bind(stream)
            .bind(id)
            .execute(&mut *tx)
            .await?;
            pause(&mut tx).await?;
            sqlx::query_scalar(
                "select coalesce(max(version), 0) + 1 from paddock.event where stream = $1",
            )
            .bind(stream)
            .fetch_one(&mut *tx)
            .await?
        }
        Way::CompareAndSwap => compare_and_swap(&mut tx, stream).await?,
    };
    let body = codec::encode(&Event::SignedIn { method: SignIn::OneTimeLink }.into());
    let inserted = sqlx::query(
        "insert into paddock.event (id, stream, version, name, schema, actor, time, correlation, body)
         values ($1, $2, $3, $4, $5, 'system:operator', now(), $1, $6)",
    )
    .bind(id)
    .bind(stream)
    .bind(version)
    .bind(body.name)
    .bind(i16::try_from(body.schema).unwrap())
    .bind(body.body)
    .execute(&mut *tx)
    .await;
    match inserted {
        Err(error) if error.as_database_error().is_some_and(DatabaseError::is_unique_violation) => {
            tx.rollback().await?;
            return Ok(None);
        }
        Err(error) => return Err(error),
        Ok(_) => {}
    }
    pause(&mut tx).await?;
    tx.commit().await?;
    Ok(Some((id, version)))
}

/// Tries until it is this transaction that moves the stream's row on.
async fn compare_and_swap(tx: &mut PgConnection, stream: &str) -> Result<i64, sqlx::Error> {
    sqlx::query("insert into runtime.hot values ($1, 0) on conflict do nothing")
        .bind(stream)
        .execute(&mut *tx)
        .await?;
    loop {
        let expected: i64 = sqlx::query_scalar("select version from runtime.hot where stream = $1")
            .bind(stream)
            .fetch_one(&mut *tx)
            .await?;
        let swapped = sqlx::query(
            "update runtime.hot set version = version + 1 where stream = $1 and version = $2",
        )
        .bind(stream)
        .bind(expected)
        .execute(&mut *tx)
        .await?;
        if swapped.rows_affected() == 1 {
            return Ok(expected + 1);
        }
    }
}

/// What a busy machine does between two statements.
async fn pause(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("select pg_sleep(random() * 0.004)").execute(connection).await.map(drop)
}
