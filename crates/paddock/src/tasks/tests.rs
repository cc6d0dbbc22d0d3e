//! The tasks on a real database, with sequencer and projector, and a forge on a socket.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use api::{
    bundles::Bundles,
    credentials::{Credentials, FileStore},
    gateway::Policies,
    github::GitHub,
    output::Outputs,
    pulls::PullChecks,
    settings::{Configured, Installation, Layer},
};
use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse as _, Response},
    routing::get,
};
use commands::{Caused, Commands, Context, Progress, sequencer};
use domain::{
    event::{Actor, Event as AnyEvent, Part},
    ids::{Generation, InputId, MessageId, RunId, SessionId, StreamVersion, UserId},
    run::{
        Answer, Command, Enforcement, Event, InputKind, Probe, QueueReason, Requested, Stage,
        State as RunState, Verdict,
    },
    session,
    settings::Limits,
};
use projections::{Health, Views};
use serde_json::{Value, json};
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{Tools, fixture, run};

mod settings;

/// What the forge holds, and what it does.
#[derive(Default)]
struct Forge {
    pulls: Mutex<Vec<Value>>,
    /// How many requests to make a pull request it fails.
    fails: AtomicU32,
    asked: AtomicU32,
}

impl Forge {
    async fn serve(self: &Arc<Self>) -> Url {
        let app = Router::new()
            .route("/repos/acme/widget/issues/{number}", get(issue))
            .route("/repos/acme/widget/pulls", get(list).post(create))
            .route("/repos/acme/widget/pulls/{number}", get(pull))
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Url::parse(&url).unwrap()
    }

    fn add(&self, new: &Value) -> Value {
        let mut pulls = self.pulls.lock().unwrap();
        let number = pulls.len() + 1;
        pulls.push(json!({
            "number": number, "html_url": format!("https://forge.test/acme/widget/pull/{number}"),
            "state": "open", "title": new["title"], "body": new["body"], "draft": new["draft"],
            "head": { "sha": "a".repeat(40), "ref": new["head"] },
        }));
        pulls[number - 1].clone()
    }

    fn all(&self) -> Vec<Value> {
        self.pulls.lock().unwrap().clone()
    }
}

async fn issue(Path(number): Path<u64>) -> Json<Value> {
    Json(
        json!({ "number": number, "title": "It crashes", "state": "open", "html_url": "https://x" }),
    )
}

async fn list(State(forge): State<Arc<Forge>>) -> Json<Value> {
    Json(forge.all().into())
}

async fn pull(State(forge): State<Arc<Forge>>, Path(number): Path<usize>) -> Json<Value> {
    Json(forge.all()[number - 1].clone())
}

async fn create(State(forge): State<Arc<Forge>>, Json(new): Json<Value>) -> Response {
    forge.asked.fetch_add(1, Ordering::SeqCst);
    let failing =
        forge.fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
    if failing.is_ok() {
        let words = Json(json!({ "message": "Server Error" }));
        return (http_500(), words).into_response();
    }
    (axum::http::StatusCode::CREATED, Json(forge.add(&new))).into_response()
}

fn http_500() -> axum::http::StatusCode {
    axum::http::StatusCode::INTERNAL_SERVER_ERROR
}

struct World {
    commands: Commands,
    views: Views,
    pulls: PullChecks,
    policies: Policies,
    tools: Tools,
    forge: Arc<Forge>,
    owner: UserId,
    shutdown: CancellationToken,
    database: String,
    _store: tempfile::TempDir,
}

fn server() -> PgConnectOptions {
    let url = std::env::var("DATABASE_URL").unwrap_or_else(|_| {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.env");
        let text = std::fs::read_to_string(file).expect("run scripts/dev-db start first");
        let line = text.lines().find_map(|line| line.strip_prefix("DATABASE_URL="));
        line.expect("an address").trim_matches('"').to_owned()
    });
    url.parse().expect("an address of PostgreSQL")
}

impl World {
    async fn new(limits: Limits) -> Self {
        let limits = Layer { value: limits, given: true };
        let configured = Configured { limits, ..Configured::default() };
        let _ = rustls::crypto::ring::default_provider().install_default();
        let database = format!("test_{}", uuid::Uuid::now_v7().simple());
        let mut connection = PgConnection::connect_with(&server()).await.unwrap();
        connection.execute(AssertSqlSafe(format!("create database {database}"))).await.unwrap();
        let options = server().database(&database);
        let mut connection = PgConnection::connect_with(&options).await.unwrap();
        commands::migrate::MIGRATIONS.run(&mut connection).await.unwrap();
        let serving = options.username("paddock_serve");
        let pool = PgPoolOptions::new().max_connections(20).connect_with(serving).await.unwrap();
        projections::prepare(&pool).await.unwrap();

        let shutdown = CancellationToken::new();
        let commands = Commands::new(pool.clone(), Context::system());
        let (progress, health) = (Progress::new(), Health::default());
        let options = sequencer::Options::default();
        let (bell, stop) = (commands.doorbell(), shutdown.clone());
        tokio::spawn(sequencer::run(pool.clone(), bell, progress.clone(), None, options, stop));
        let (head, stop) = (progress.head(), shutdown.clone());
        tokio::spawn(projections::run(pool.clone(), head, health.clone(), stop));

        let forge = Arc::new(Forge::default());
        let store = tempfile::tempdir().unwrap();
        let address = Url::from_directory_path(store.path()).unwrap();
        let policies = Policies::unknown();
        let (pulls, views) = (PullChecks::default(), Views::new(pool.clone(), health));
        let github = GitHub::new(&forge.serve().await, None, Context::system().clock).unwrap();
        let secrets = FileStore::open(&store.path().join("secrets"), Context::system().entropy);
        let secrets = Arc::new(secrets.unwrap());
        let tools = Tools {
            credentials: Credentials::new(commands.clone(), github.clone(), secrets, false),
            commands: commands.clone(),
            views: views.clone(),
            github,
            bundles: Bundles::open_store(pool.clone(), &address, 1024).await.unwrap(),
            outputs: Outputs::new(pool),
            pulls: pulls.clone(),
            doors: crate::serve::Doors::none(),
            policies: policies.clone(),
            installation: Installation::new(commands.clone(), Arc::new(configured)),
            by_memory_here: true,
            public_url: Url::parse("https://paddock.test/").unwrap(),
        };
        tokio::spawn(run(tools.clone(), shutdown.clone()));
        let owner = UserId(uuid::Uuid::now_v7());
        Self {
            commands,
            views,
            pulls,
            policies,
            tools,
            forge,
            owner,
            shutdown,
            database,
            _store: store,
        }
    }

    async fn start(&self, change: impl FnOnce(&mut Requested)) -> RunId {
        let context = self.commands.context();
        let (session, id) = (SessionId(context.id()), RunId(context.id()));
        let mut requested = Requested { session, owner: self.owner, ..fixture::requested() };
        requested.memory_mib = 64;
        change(&mut requested);
        let title = context.seal("t".to_owned());
        let created = session::Created {
            repo: requested.repo.clone(),
            base: requested.base.clone(),
            branch: requested.branch.clone(),
            title: title.reference.clone(),
            issue: requested.issue,
            owner: self.owner,
        };
        let mut caused = Caused::by(Actor::User(self.owner));
        caused.texts.push(title);
        let create = session::Command::Create(created);
        self.commands.session(session, create, caused.clone()).await.unwrap();
        let prompt = context.seal("Please fix it".to_owned());
        caused.texts = vec![prompt.clone()];
        let request = Command::Request {
            requested: Box::new(requested),
            message: MessageId("msg_1".to_owned()),
            prompt: prompt.reference,
            egress_reason: None,
        };
        self.commands.start_run(session, id, request, caused).await.unwrap();
        id
    }

    async fn run(&self, run: RunId, command: Command) {
        let caused = Caused::by(Actor::System(Part::Operator));
        self.commands.run(run, command, caused).await.unwrap();
    }

    /// Takes an admitted run to its first turn.
    async fn work(&self, run: RunId) {
        let generation = Generation::FIRST;
        let enforcement = Enforcement { sandbox: String::new(), limits: vec![], missing: vec![] };
        let probes = vec![Probe { target: "canary".to_owned(), verdict: Verdict::Refused }];
        let (agent_session, agent_version) = ("ses_1".to_owned(), "1".to_owned());
        for command in [
            Command::ReportWorkloadCreated { generation, enforcement },
            Command::ReportFence { generation, probes },
            Command::ReportRestored { generation, from: None, git_head: "b".repeat(40) },
            Command::ReportReady { generation, agent_session, agent_version },
        ] {
            self.run(run, command).await;
        }
    }

    async fn turn_ended(&self, run: RunId) {
        let (generation, now) = (Generation::FIRST, self.commands.context().now());
        let message = MessageId("msg_1".to_owned());
        self.run(run, Command::ReportTurnEnded { generation, message, now }).await;
    }

    async fn pushed(&self, run: RunId) {
        let (generation, head) = (Generation::FIRST, "a".repeat(40));
        self.run(run, Command::ReportPushed { generation, head, commits: 1 }).await;
    }

    async fn stage(&self, run: RunId) -> Stage {
        match self.commands.load_run(run).await.unwrap().0 {
            RunState::Known(run) => run.stage,
            RunState::New => panic!("no such run"),
        }
    }

    /// The run's events, once one of them is `wanted`.
    async fn until(&self, run: RunId, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        let seen = async {
            loop {
                let events = self.commands.run_events(run, StreamVersion::NONE).await.unwrap();
                let events: Vec<Event> = events
                    .into_iter()
                    .filter_map(|recorded| match recorded.event {
                        AnyEvent::Run(event) => Some(event),
                        _ => None,
                    })
                    .collect();
                if events.iter().any(&wanted) {
                    return events;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), seen).await.expect("the event comes")
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.commands.pool().close().await;
        let mut connection = PgConnection::connect_with(&server()).await.unwrap();
        let drop = format!("drop database {}", self.database);
        connection.execute(AssertSqlSafe(drop)).await.unwrap();
    }
}

const ONE: Limits = Limits { max_runs: 1, max_runs_per_owner: 1 };

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_admitted_published_after_a_failure_and_makes_room_for_the_next() {
    let world = World::new(ONE).await;
    world.forge.fails.store(1, Ordering::SeqCst);
    let first = world.start(|requested| requested.issue = Some(7)).await;
    world.until(first, |event| matches!(event, Event::Admitted { .. })).await;
    let second = world.start(|_| {}).await;
    let full = QueueReason::RunsActive { active: 1, limit: 1 };
    world.until(second, |event| *event == Event::Queued { reason: full.clone() }).await;
    world.work(first).await;
    world.turn_ended(first).await;
    assert_eq!(world.stage(first).await, Stage::Publishing);
    world.pushed(first).await;

    let is_opened = |event: &Event| matches!(event, Event::PullRequestOpened { .. });
    let events = world.until(first, is_opened).await;
    let failed = events.iter().filter(|event| {
        matches!(event, Event::PublishFailed { attempt: 1, retry_at: Some(_), .. })
    });
    assert_eq!(failed.count(), 1);
    let opened = events.iter().find(|event| is_opened(event));
    let expected = Event::PullRequestOpened {
        number: 1,
        url: "https://forge.test/acme/widget/pull/1".to_owned(),
        head: "a".repeat(40),
        created: true,
    };
    assert_eq!(opened, Some(&expected));
    let pulls = world.forge.all();
    assert_eq!((pulls.len(), &pulls[0]["title"]), (1, &json!("It crashes")));
    let body = pulls[0]["body"].as_str().unwrap();
    assert!(body.contains("Closes #7") && body.contains("Please fix it"), "{body}");
    assert!(body.contains(&format!("https://paddock.test/runs/{first}")), "{body}");

    world.run(first, Command::AbandonSnapshot).await;
    world.until(second, |event| matches!(event, Event::Admitted { .. })).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_made_before_it_was_recorded_is_found_and_no_second_one_made() {
    let world = World::new(ONE).await;
    let id = world.start(|_| {}).await;
    world.until(id, |event| matches!(event, Event::Admitted { .. })).await;
    let body = format!("Made in https://paddock.test/runs/{id}");
    world.forge.add(&json!({ "title": "t", "body": body, "head": "paddock/fix", "draft": false }));
    world.work(id).await;
    world.turn_ended(id).await;
    world.pushed(id).await;
    let opened = |event: &Event| matches!(event, Event::PullRequestOpened { created: true, .. });
    world.until(id, opened).await;
    assert_eq!(world.forge.asked.load(Ordering::SeqCst), 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_answers_times_out_and_what_idles_too_long_finishes() {
    let world = World::new(ONE).await;
    let id = world
        .start(|requested| {
            requested.input_timeout_seconds = 1;
            requested.linger_seconds = 1;
        })
        .await;
    world.until(id, |event| matches!(event, Event::Admitted { .. })).await;
    world.work(id).await;
    let (context, generation) = (world.commands.context(), Generation::FIRST);
    let detail = context.seal("{}".to_owned());
    let mut caused = Caused::by(Actor::Pod(id, generation));
    caused.texts.push(detail.clone());
    let required = Command::ReportInputRequired {
        generation,
        input: InputId("per_1".to_owned()),
        kind: InputKind::Permission,
        detail: detail.reference,
        now: context.now(),
    };
    world.commands.run(id, required, caused).await.unwrap();
    let timed_out =
        |event: &Event| matches!(event, Event::InputGiven { answer: Answer::TimedOut, .. });
    world.until(id, timed_out).await;
    world.turn_ended(id).await;
    world.until(id, |event| matches!(event, Event::FinishRequested { .. })).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_are_told_of_a_run_from_its_admission_to_its_end() {
    let world = World::new(ONE).await;
    let id = world.start(|_| {}).await;
    world.until(id, |event| matches!(event, Event::Admitted { .. })).await;
    let told = async |wanted: usize| {
        let seen = async {
            while world.policies.current().map(|runs| runs.len()) != Some(wanted) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), seen).await.expect("it is published");
    };
    told(1).await;
    assert_eq!(world.policies.current().unwrap()[0].run, id);
    world.run(id, Command::Cancel).await;
    world.run(id, Command::AbandonSnapshot).await;
    told(0).await;
    world.end().await;
}

#[tokio::test]
async fn what_becomes_of_a_pull_request_is_recorded_once() {
    let world = World::new(Limits::default()).await;
    let run = world.start(|requested| requested.linger_seconds = 0).await;
    world.until(run, |event| matches!(event, Event::Admitted { .. })).await;
    world.work(run).await;
    world.turn_ended(run).await;
    world.until(run, |event| matches!(event, Event::FinishRequested { .. })).await;
    world.pushed(run).await;
    world.until(run, |event| matches!(event, Event::PullRequestOpened { .. })).await;
    let session = match world.commands.load_run(run).await.unwrap().0 {
        RunState::Known(run) => run.requested.session,
        RunState::New => panic!("no such run"),
    };
    let becomes = async |change: Value, state: session::PullState| {
        for (name, value) in change.as_object().unwrap() {
            world.forge.pulls.lock().unwrap()[0][name] = value.clone();
        }
        let seen = async {
            loop {
                world.pulls.look_at(session);
                let row = world.views.session(session).await.unwrap().unwrap();
                if row.pull_request.is_some_and(|pull| pull.state == state) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), seen).await.expect("seen");
    };
    let begun = world.commands.context().now();
    becomes(json!({ "draft": true }), session::PullState::Draft).await;
    assert!(world.pulls.checked_at(session).is_some_and(|at| at >= begun));
    becomes(json!({ "state": "closed" }), session::PullState::Closed).await;
    // A closed one is looked at only because somebody looks at the session.
    becomes(json!({ "state": "open", "draft": false }), session::PullState::Open).await;
    let merged = json!({ "state": "closed", "merged_at": "2026-01-01T00:00:00Z" });
    becomes(merged, session::PullState::Merged).await;
    let names: Vec<String> = sqlx::query_scalar(
        "select name from paddock.event where stream = $1 and name like 'session.pull%' order by version",
    )
    .bind(format!("session-{session}"))
    .fetch_all(world.commands.pool())
    .await
    .unwrap();
    let expected = ["drafted", "closed", "reopened", "merged"];
    assert_eq!(names, expected.map(|name| format!("session.pull_request.{name}")));
    world.end().await;
}
