//! A database for each test, and commands to fill it with.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use commands::{Caused, Clock, Commands, Context};
use domain::{
    event::Actor,
    ids::{Generation, Position, RunId, SessionId, UserId},
    run, session,
};
use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;

/// A database of the server that `scripts/dev-db` started. It goes when this goes.
pub(crate) struct Database {
    server: String,
    name: String,
}

impl Database {
    pub(crate) async fn new() -> Self {
        let database = Self { server: server(), name: format!("test_{}", Uuid::now_v7().simple()) };
        let mut connection = PgConnection::connect(&database.url("postgres", OWNER)).await.unwrap();
        let create = format!("create database {}", database.name);
        sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
        commands::migrate(&database.owner_url()).await.unwrap();
        database
    }

    pub(crate) fn owner_url(&self) -> String {
        self.url(&self.name, OWNER)
    }

    pub(crate) fn serve_url(&self) -> String {
        self.url(&self.name, "paddock_serve")
    }

    pub(crate) fn admin_url(&self) -> String {
        self.url(&self.name, "postgres")
    }

    pub(crate) fn pool(&self) -> PgPool {
        commands::connect(&self.serve_url(), 24).unwrap()
    }

    fn url(&self, database: &str, role: &str) -> String {
        format!("postgres:///{database}?host={}&user={role}", self.server)
    }
}

const OWNER: &str = "paddock_owner";

impl Drop for Database {
    fn drop(&mut self) {
        let url = self.url("postgres", "postgres");
        let drop = format!("drop database if exists {} with (force)", self.name);
        let dropped = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut connection = PgConnection::connect(&url).await.unwrap();
                sqlx::raw_sql(sqlx::AssertSqlSafe(drop)).execute(&mut connection).await.unwrap();
            });
        });
        dropped.join().unwrap();
    }
}

/// The socket directory of the server that `DATABASE_URL` or the workspace's `.env` names.
fn server() -> String {
    let url = std::env::var("DATABASE_URL").unwrap_or_else(|_| {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.env");
        let text = std::fs::read_to_string(file).expect("scripts/dev-db start writes .env");
        text.trim().trim_start_matches("DATABASE_URL=").trim_matches('"').to_owned()
    });
    let (_, rest) = url.split_once("host=").expect("a socket directory in DATABASE_URL");
    rest.split('&').next().unwrap_or(rest).to_owned()
}

/// A clock that stands still until it is moved.
#[derive(Clone)]
pub(crate) struct StoppedClock(Arc<Mutex<DateTime<Utc>>>);

impl StoppedClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Context::system().now())))
    }

    pub(crate) fn advance(&self, by: TimeDelta) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for StoppedClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

pub(crate) fn user() -> UserId {
    UserId(Uuid::now_v7())
}

pub(crate) fn by(user: UserId) -> Caused {
    Caused::by(Actor::User(user))
}

/// A command that makes a session, and what causes it.
pub(crate) fn create(context: &Context, owner: UserId) -> (session::Command, Caused) {
    let title = context.seal("Fix the bug".to_owned());
    let created = session::Created {
        repo: "octo/hello".parse().unwrap(),
        base: "main".parse().unwrap(),
        branch: "paddock/fix".parse().unwrap(),
        title: title.reference.clone(),
        issue: Some(7),
        owner,
    };
    (session::Command::Create(created), Caused { texts: vec![title], ..by(owner) })
}

pub(crate) async fn make_session(commands: &Commands, owner: UserId) -> SessionId {
    let id = SessionId(commands.context().id());
    let (command, caused) = create(commands.context(), owner);
    commands.session(id, command, caused).await.unwrap();
    id
}

pub(crate) fn rename(context: &Context, owner: UserId, title: &str) -> (session::Command, Caused) {
    let title = context.seal(title.to_owned());
    let command = session::Command::Rename { title: title.reference.clone() };
    (command, Caused { texts: vec![title], ..by(owner) })
}

/// A command that asks for a run, and what causes it.
pub(crate) fn request(
    context: &Context,
    session: SessionId,
    owner: UserId,
) -> (run::Command, Caused) {
    let prompt = context.seal("Please fix it".to_owned());
    let requested = run::Requested {
        session,
        owner,
        repo: "octo/hello".parse().unwrap(),
        base: "main".parse().unwrap(),
        branch: "paddock/fix".parse().unwrap(),
        issue: None,
        profile: "default".to_owned(),
        egress: "github".to_owned(),
        accept_unenforced: false,
        from: None,
        draft: false,
        deadline_seconds: 3600,
        linger_seconds: 0,
        attended_linger_seconds: 600,
        input_timeout_seconds: 600,
        link_timeout_seconds: 1800,
        memory_mib: 2048,
        disk_mib: 4096,
        max_retries: 2,
        harness: domain::run::Harness::default(),
        credential: None,
    };
    let command = run::Command::Request {
        requested: Box::new(requested),
        message: context.message_id(),
        prompt: prompt.reference.clone(),
        egress_reason: None,
    };
    (command, Caused { texts: vec![prompt], ..by(owner) })
}

pub(crate) async fn start_run(commands: &Commands, session: SessionId, owner: UserId) -> RunId {
    let run = RunId(commands.context().id());
    let (command, caused) = request(commands.context(), session, owner);
    commands.start_run(session, run, command, caused).await.unwrap();
    run
}

pub(crate) const GENERATION: Generation = Generation::FIRST;

/// Waits until every committed event has a position; returns the last.
pub(crate) async fn sequenced(pool: &PgPool) -> Position {
    for _ in 0..1000 {
        if commands::sequencer::lag(pool).await.unwrap().events == 0 {
            let head = sqlx::query_scalar!(
                r#"select coalesce(max(position), 0) as "head!" from paddock.log"#
            );
            return Position(head.fetch_one(pool).await.unwrap().unsigned_abs());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the sequencer does not catch up");
}

/// Checks the whole log, which must be whole.
pub(crate) async fn whole(pool: &PgPool) -> commands::log::Report {
    let report = commands::log::check(pool).await.unwrap();
    assert!(report.is_whole(), "{report}");
    report
}
