//! A database of its own for each test, with a log that the test writes: the sequencer is another crate's.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain::{
    codec,
    event::{Actor, Event},
    ids::{Position, StreamVersion},
    stream::StreamId,
};
use projections::{Health, Views};
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::story::{OWNER, Story, time, walk};

/// A log and its read models.
pub(crate) struct World {
    /// As the serving role.
    pub(crate) pool: PgPool,
    /// As the owner of the schema.
    pub(crate) owner: PgPool,
    pub(crate) views: Views,
    /// Where the log ends; a change wakes the projector.
    pub(crate) head: watch::Sender<Position>,
    versions: Mutex<BTreeMap<StreamId, StreamVersion>>,
    place: AtomicUsize,
    database: String,
}

/// The development database's address: from the environment, or from the file that `scripts/dev-db`
/// writes.
fn server() -> PgConnectOptions {
    let url = std::env::var("DATABASE_URL").unwrap_or_else(|_| {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.env");
        let text = std::fs::read_to_string(file).expect("run scripts/dev-db start first");
        let line = text.lines().find_map(|line| line.strip_prefix("DATABASE_URL="));
        line.expect("an address").trim_matches('"').to_owned()
    });
    url.parse().expect("an address of PostgreSQL")
}

/// Fails a test that would wait for ever.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), what).await.expect("within a minute")
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = format!("test_{}", Uuid::new_v4().simple());
        let mut connection = PgConnection::connect_with(&server()).await.unwrap();
        let create = format!("create database {database}");
        connection.execute(AssertSqlSafe(create)).await.unwrap();
        let options = server().database(&database);
        let owner =
            PgPoolOptions::new().max_connections(4).connect_with(options.clone()).await.unwrap();
        sqlx::migrate!("../../migrations").run(&owner).await.unwrap();
        let serving = options.username("paddock_serve");
        let pool = PgPoolOptions::new().max_connections(12).connect_with(serving).await.unwrap();
        projections::prepare(&pool).await.unwrap();
        Self {
            views: Views::new(pool.clone(), Health::default()),
            pool,
            owner,
            head: watch::Sender::new(Position::START),
            versions: Mutex::default(),
            place: AtomicUsize::new(0),
            database,
        }
    }

    /// Writes events to the end of the log, with the positions that are next.
    pub(crate) async fn append(&self, events: &[(StreamId, Event)]) {
        self.append_by(Actor::User(OWNER), events).await;
    }

    /// The same, by somebody else.
    pub(crate) async fn append_by(&self, actor: Actor, events: &[(StreamId, Event)]) {
        let rows: Vec<Row> =
            events.iter().map(|(stream, event)| self.row(*stream, event)).collect();
        self.insert(actor, &rows).await;
    }

    /// Writes an event that this build cannot read.
    pub(crate) async fn append_poison(&self, stream: StreamId) {
        let mut row = self.row(stream, &Event::Run(domain::run::Event::Cancelled {}));
        "run.exploded".clone_into(&mut row.name);
        self.insert(Actor::User(OWNER), &[row]).await;
    }

    fn row(&self, stream: StreamId, event: &Event) -> Row {
        let mut versions = self.versions.lock().unwrap();
        let version = versions.entry(stream).or_insert(StreamVersion::NONE);
        *version = version.next();
        let codec::Encoded { name, schema, body } = codec::encode(event);
        Row { stream: stream.to_string(), version: version.0, name, schema, body }
    }

    async fn insert(&self, actor: Actor, rows: &[Row]) {
        if rows.is_empty() {
            return;
        }
        let place = self.place.fetch_add(rows.len(), Ordering::SeqCst);
        let ids: Vec<Uuid> = rows.iter().map(|_| Uuid::new_v4()).collect();
        let positions: Vec<i64> = (place + 1..=place + rows.len()).map(number).collect();
        let mut tx = self.pool.begin().await.unwrap();
        sqlx::query(
            "insert into paddock.event (id, stream, version, name, schema, actor, time, correlation, body)
             select i, s, v, n, c, $6, t, i, b
             from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::smallint[],
                         $7::timestamptz[], $8::bytea[]) r(i, s, v, n, c, t, b)",
        )
        .bind(&ids)
        .bind(rows.iter().map(|row| row.stream.clone()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.version.cast_signed()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.name.clone()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.schema.cast_signed()).collect::<Vec<_>>())
        .bind(actor.to_string())
        .bind((place..place + rows.len()).map(time).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.body.clone()).collect::<Vec<_>>())
        .execute(&mut *tx)
        .await
        .unwrap();
        sqlx::query(
            "insert into paddock.log (position, event, leaf)
             select p, i, decode(repeat('00', 32), 'hex') from unnest($1::bigint[], $2::uuid[]) r(p, i)",
        )
        .bind(&positions)
        .bind(&ids)
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
        let end = Position(u64::try_from(place + rows.len()).unwrap());
        self.head.send_replace(end);
    }

    /// Where the log ends.
    pub(crate) fn end(&self) -> Position {
        *self.head.borrow()
    }

    /// Starts a projector.
    pub(crate) fn project(&self) -> Projector {
        let stop = CancellationToken::new();
        let health = self.views.health().clone();
        let running =
            projections::run(self.pool.clone(), self.head.subscribe(), health, stop.clone());
        Projector { stop, task: tokio::spawn(running) }
    }

    /// Waits until all of the log is projected.
    pub(crate) async fn caught_up(&self) {
        soon(self.views.caught_up_to(self.end())).await.unwrap();
    }

    pub(crate) async fn count(&self, table: &str) -> i64 {
        let sql = format!("select count(*) from {table}");
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&self.pool).await.unwrap()
    }

    /// Drops the database. A test that fails leaves its own behind, to look at.
    pub(crate) async fn drop(self) {
        self.pool.close().await;
        self.owner.close().await;
        let mut connection = PgConnection::connect_with(&server()).await.unwrap();
        let drop = format!("drop database {}", self.database);
        connection.execute(AssertSqlSafe(drop)).await.unwrap();
    }
}

struct Row {
    stream: String,
    version: u64,
    name: String,
    schema: u16,
    body: Vec<u8>,
}

fn number(place: usize) -> i64 {
    i64::try_from(place).unwrap()
}

/// A projector at work.
pub(crate) struct Projector {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Projector {
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        soon(self.task).await.unwrap();
    }
}

/// A story of so many steps.
pub(crate) fn story(steps: usize) -> Story {
    let mut story = Story::default();
    walk().take(steps).for_each(|step| story.step(step));
    story
}

/// The sight of somebody who sees everything.
pub(crate) fn all() -> domain::access::Sight {
    domain::access::Sight::everything(OWNER)
}
