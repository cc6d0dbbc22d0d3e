//! The sequencer against the three workloads that break the usual ways to read an event table.

use std::{collections::HashMap, time::Duration};

use commands::{
    Doorbell, Progress, Standing,
    sequencer::{self, Options},
};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    postgres::Cluster,
    readers::{self, Delivered, Faults},
    support::{Database, sequenced, whole},
    transactions::{Way, Writers},
};

/// How long each workload runs at least, how many events it must come to, and how long that may take.
const RUN: Duration = Duration::from_millis(2500);
const ENOUGH: usize = 1500;
const MOST: Duration = Duration::from_secs(12);

pub(crate) fn sequence(
    pool: &PgPool,
    options: Options,
    tasks: &mut JoinSet<()>,
) -> (Progress, CancellationToken) {
    let (progress, stop) = (Progress::new(), CancellationToken::new());
    let run = sequencer::run(
        pool.clone(),
        Doorbell::new(),
        progress.clone(),
        None,
        options,
        stop.clone(),
    );
    tasks.spawn(run);
    (progress, stop)
}

/// What the log delivers, in its order.
async fn log(pool: &PgPool) -> Delivered {
    let rows: Vec<(Uuid, String, i64)> = sqlx::query_as(
        "select e.id, e.stream, e.version from paddock.log l join paddock.event e on e.id = l.event
         order by l.position",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    Delivered::new(rows)
}

struct Seen {
    committed: HashMap<Uuid, (String, i64)>,
    a: Delivered,
    b: Delivered,
    c: Delivered,
    d: Delivered,
}

impl Seen {
    fn faults(&self) -> [Faults; 4] {
        [&self.a, &self.b, &self.c, &self.d].map(|reader| reader.faults(&self.committed))
    }
}

/// Runs one workload with all four readers on it.
async fn workload(cluster: &Cluster, name: &str, way: Way, streams: u32) -> Seen {
    let mut owner = cluster.connect("postgres", "paddock_owner").await;
    let create = format!("create database {name}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut owner).await.unwrap();
    let owner_url = cluster.url(name, "paddock_owner");
    commands::migrate(&owner_url).await.unwrap();
    let mut owner = PgConnection::connect(&owner_url).await.unwrap();
    let hot = "create table runtime.hot (stream text primary key, version bigint not null)";
    sqlx::raw_sql(hot).execute(&mut owner).await.unwrap();

    let url = cluster.url(name, "paddock_serve");
    let pool = commands::connect(&url, 8).unwrap();
    let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
    let (_, stop_sequencer) = sequence(&pool, Options::default(), &mut tasks);
    let readers = [readers::Way::A, readers::Way::B, readers::Way::C]
        .map(|way| readers::read(url.clone(), way, stop.clone()));
    let writers = Writers::start(&url, way, 16, streams);
    tokio::time::sleep(RUN).await;
    let _ = tokio::time::timeout(MOST, async {
        while writers.committed.lock().unwrap().len() < ENOUGH {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let committed = writers.stop().await;
    stop.cancel();
    let [a, b, c] = readers;
    let (a, b, c) = (a.await.unwrap(), b.await.unwrap(), c.await.unwrap());
    sequenced(&pool).await;
    let d = log(&pool).await;
    whole(&pool).await;
    stop_sequencer.cancel();
    tasks.join_all().await;
    assert!(committed.len() > 300, "only {} events: nothing is shown by that", committed.len());
    Seen { committed, a, b, c, d }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_misses_repeats_and_inverts_nothing_where_the_usual_readers_do() {
    let cluster = Cluster::start(false).await;
    let clean = Faults::default();

    let seen = workload(&cluster, "key_first", Way::KeyFirst, 12).await;
    let [a, b, c, d] = seen.faults();
    println!(
        "idempotency row first: {} events\n A {a:?}\n B {b:?}\n C {c:?}\n D {d:?}",
        seen.committed.len()
    );
    assert!(a.missed > 0, "reader A was not caught: the workload shows nothing");
    assert!(b.missed > 0, "reader B was not caught: the workload shows nothing");
    assert!(c.inversions > 0, "reader C was not caught: the workload shows nothing");
    assert_eq!(d, clean);

    let seen = workload(&cluster, "compare_and_swap", Way::CompareAndSwap, 8).await;
    let [a, b, c, d] = seen.faults();
    println!(
        "compare and swap: {} events\n A {a:?}\n B {b:?}\n C {c:?}\n D {d:?}",
        seen.committed.len()
    );
    assert!(a.missed > 0, "reader A was not caught: the workload shows nothing");
    assert!(b.missed > 0, "reader B was not caught: the workload shows nothing");
    assert!(c.inversions > 0, "reader C was not caught: the workload shows nothing");
    assert_eq!(d, clean);

    let mut elsewhere = cluster.connect("postgres", "postgres").await;
    let mut open = elsewhere.begin().await.unwrap();
    sqlx::query("select pg_current_xact_id()").execute(&mut *open).await.unwrap();
    let seen = workload(&cluster, "open_elsewhere", Way::KeyFirst, 12).await;
    open.rollback().await.unwrap();
    let [a, b, c, d] = seen.faults();
    println!(
        "open writer elsewhere: {} events\n A {a:?}\n B {b:?}\n C {c:?}\n D {d:?}",
        seen.committed.len()
    );
    assert!(a.missed > 0, "reader A was not caught: the workload shows nothing");
    assert!(seen.b.is_empty(), "reader B was not caught: the workload shows nothing");
    assert!(seen.c.is_empty(), "reader C was not caught: the workload shows nothing");
    assert_eq!(d, clean);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rivals_that_both_work_at_once_never_give_two_events_one_position() {
    let database = Database::new().await;
    let pool = database.pool();
    let mut tasks = JoinSet::new();
    let options = Options { elected: false, tick: Duration::from_millis(1), ..Options::default() };
    let stops: Vec<_> = (0..3).map(|_| sequence(&pool, options.clone(), &mut tasks).1).collect();
    let writers = Writers::start(&database.serve_url(), Way::KeyFirst, 8, 8);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let committed = writers.stop().await;
    sequenced(&pool).await;
    stops.iter().for_each(CancellationToken::cancel);
    tasks.join_all().await;
    assert_eq!(log(&pool).await.faults(&committed), Faults::default());
    let report = whole(&pool).await;
    assert_eq!(report.positions, committed.len() as u64);
}

#[tokio::test]
async fn a_backlog_is_sequenced_in_bounded_batches_while_more_comes() {
    let database = Database::new().await;
    let pool = database.pool();
    let writers = Writers::start(&database.serve_url(), Way::KeyFirst, 8, 8);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(sequencer::lag(&pool).await.unwrap().events > 50);
    let mut tasks = JoinSet::new();
    let options = Options { batch: 7, ..Options::default() };
    let (_, stop) = sequence(&pool, options, &mut tasks);
    tokio::time::sleep(Duration::from_millis(700)).await;
    let committed = writers.stop().await;
    sequenced(&pool).await;
    stop.cancel();
    tasks.join_all().await;
    assert_eq!(log(&pool).await.faults(&committed), Faults::default());
    whole(&pool).await;
    let (partial, largest): (i64, i64) = sqlx::query_as(
        "select count(*) filter (where seq is not null), max(last - first + 1) from paddock.log_batch",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert!(partial > 3, "{partial} batches left some of their difference to the next");
    assert!(largest <= 7 * 8, "a batch of {largest}");
}

#[tokio::test]
async fn a_standby_takes_over_when_the_holder_of_the_lock_is_gone() {
    let database = Database::new().await;
    let pool = database.pool();
    let (mut first, mut second) = (JoinSet::new(), JoinSet::new());
    let (progress, _) = sequence(&pool, Options::default(), &mut first);
    let mut standing = progress.sequencer();
    standing.wait_for(|standing| *standing == Standing::Active).await.unwrap();
    let (progress, stop) = sequence(&pool, Options::default(), &mut second);
    let mut standing = progress.sequencer();
    standing.wait_for(|standing| *standing == Standing::Standby).await.unwrap();
    first.abort_all();
    standing.wait_for(|standing| *standing == Standing::Active).await.unwrap();
    stop.cancel();
    second.join_all().await;
}
