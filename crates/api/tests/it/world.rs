//! A control plane's link listener on a database of its own, as many replicas of it as wanted.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use api::{
    bundles::Bundles,
    link::{Author, Issued, JobSettings, LinkState, Links, router},
    output::Outputs,
};
use commands::{Caused, Commands, Context};
use domain::{
    event::{Actor, Part},
    ids::{Generation, RunId, SessionId, UserId},
    run::{self, Enforcement, Probe, Requested, Verdict},
    session,
};
use futures::{SinkExt as _, StreamExt as _, future::BoxFuture};
use link::{Down, Up};
use sha2::{Digest as _, Sha256};
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Error, Message, client::IntoClientRequest as _},
};
use url::Url;

pub(crate) struct World {
    pub(crate) commands: Commands,
    pub(crate) outputs: Outputs,
    pub(crate) bundles: Bundles,
    pub(crate) links: Links,
    pub(crate) address: SocketAddr,
    pub(crate) store: tempfile::TempDir,
    pub(crate) owner: UserId,
    pub(crate) database: String,
    options: PgConnectOptions,
}

pub(crate) struct Workload {
    pub(crate) session: SessionId,
    pub(crate) run: RunId,
    pub(crate) generation: Generation,
    pub(crate) token: String,
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

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|pool, store| Box::pin(async move { in_directory(pool, &store).await })).await
    }

    /// One whose bundles are on S3.
    pub(crate) async fn on_s3() -> Self {
        Self::with(|pool, store| {
            Box::pin(async move { Bundles::of(pool, crate::s3::bucket(&store).await, 64 * MIB) })
        })
        .await
    }

    async fn with(bundles: impl FnOnce(PgPool, PathBuf) -> BoxFuture<'static, Bundles>) -> Self {
        // The HTTP client has no cryptography of its own. A second installation changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let owner = server();
        let database = format!("test_{}", uuid::Uuid::now_v7().simple());
        let mut connection = PgConnection::connect_with(&owner).await.unwrap();
        let create = format!("create database {database}");
        connection.execute(AssertSqlSafe(create)).await.unwrap();
        let options = owner.database(&database);
        let mut connection = PgConnection::connect_with(&options).await.unwrap();
        commands::migrate::MIGRATIONS.run(&mut connection).await.unwrap();
        let store = tempfile::tempdir().unwrap();
        let serving = options.clone().username("paddock_serve");
        let pool = PgPoolOptions::new().max_connections(20).connect_with(serving).await.unwrap();
        let mut world = Self {
            commands: Commands::new(pool.clone(), Context::system()),
            outputs: Outputs::new(pool.clone()),
            bundles: bundles(pool.clone(), store.path().to_owned()).await,
            links: Links::default(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            store,
            owner: UserId(uuid::Uuid::now_v7()),
            database,
            options: server(),
        };
        world.address = serve(world.state()).await;
        world
    }

    pub(crate) fn pool(&self) -> &PgPool {
        self.commands.pool()
    }

    fn state(&self) -> LinkState {
        let job = JobSettings {
            github_url: Url::parse("https://github.test/").unwrap(),
            public_url: Url::parse("https://paddock.test").unwrap(),
            model: "test/model".to_owned(),
            permission: Arc::new(|_| serde_json::json!({ "*": "allow" })),
            author: Arc::new(|_| Author { name: "A".to_owned(), email: "a@test".to_owned() }),
            snapshot_interval_seconds: 60,
            door: Arc::new(|_, _| None),
        };
        LinkState {
            commands: self.commands.clone(),
            outputs: self.outputs.clone(),
            bundles: self.bundles.clone(),
            links: self.links.clone(),
            job: Arc::new(job),
            identities: Arc::new(Issued(self.commands.clone())),
            canary: "127.0.0.1:1".into(),
        }
    }

    /// Another replica: it shares the database and nothing else.
    pub(crate) async fn replica(&self) -> SocketAddr {
        let pool = self.pool().clone();
        let state = LinkState {
            commands: Commands::new(pool.clone(), Context::system()),
            bundles: in_directory(pool.clone(), self.store.path()).await,
            outputs: Outputs::new(pool),
            links: Links::default(),
            ..self.state()
        };
        serve(state).await
    }

    /// A session with one run, admitted.
    pub(crate) async fn admitted(&self) -> Workload {
        self.admitted_with(|_| {}).await
    }

    /// As [`admitted`](Self::admitted), somebody's.
    pub(crate) async fn admitted_of(&self, owner: UserId) -> Workload {
        self.admitted_for(owner, |_| {}).await
    }

    pub(crate) async fn admitted_with(&self, change: impl FnOnce(&mut Requested)) -> Workload {
        self.admitted_for(self.owner, change).await
    }

    async fn admitted_for(&self, owner: UserId, change: impl FnOnce(&mut Requested)) -> Workload {
        let context = self.commands.context();
        let session = SessionId(context.id());
        let run = RunId(context.id());
        let title = context.seal("Fix it".to_owned());
        let created = session::Created {
            repo: "acme/widget".parse().unwrap(),
            base: "main".parse().unwrap(),
            branch: format!("paddock/{session}").parse().unwrap(),
            title: title.reference.clone(),
            issue: None,
            owner,
        };
        let mut caused = self.caused();
        caused.texts.push(title);
        let create = session::Command::Create(created.clone());
        self.commands.session(session, create, caused).await.unwrap();
        let prompt = context.seal("Please fix the bug".to_owned());
        let mut requested = requested(session, owner, &created);
        change(&mut requested);
        let request = run::Command::Request {
            requested: Box::new(requested),
            message: context.message_id(),
            prompt: prompt.reference.clone(),
            egress_reason: None,
        };
        let mut caused = self.caused();
        caused.texts.push(prompt);
        self.commands.start_run(session, run, request, caused).await.unwrap();
        self.run(run, run::Command::Admit).await;
        let token = self.identity(run, Generation::FIRST).await;
        Workload { session, run, generation: Generation::FIRST, token }
    }

    /// A session with one run whose agent works, and its link, with the first prompt taken off it.
    pub(crate) async fn running(&self) -> (Workload, Sidecar) {
        use link::Fact;
        let workload = self.admitted().await;
        let generation = workload.generation;
        self.run(
            workload.run,
            run::Command::ReportWorkloadCreated { generation, enforcement: ENFORCED },
        )
        .await;
        let mut sidecar = self.dial(&workload).await;
        sidecar.hello(generation, 0).await;
        let probe = Probe { target: "canary".to_owned(), verdict: Verdict::Refused };
        sidecar.fact(Fact::Fence { probes: vec![probe] }).await;
        sidecar.fact(Fact::Restored { from: None, git_head: "0".repeat(40) }).await;
        sidecar
            .fact(Fact::Ready { agent_session: "ses_1".into(), agent_version: "1.0".into() })
            .await;
        let prompt = sidecar.instruction().await;
        assert!(matches!(prompt.instruct, link::Instruct::Prompt { .. }), "{prompt:?}");
        (workload, sidecar)
    }

    pub(crate) async fn run(&self, run: RunId, command: run::Command) {
        let caused = Caused::by(Actor::System(Part::Operator));
        self.commands.run(run, command, caused).await.unwrap();
    }

    pub(crate) async fn state_of(&self, run: RunId) -> run::Run {
        match self.commands.load_run(run).await.unwrap().0 {
            run::State::Known(run) => *run,
            run::State::New => panic!("no such run"),
        }
    }

    pub(crate) async fn identity(&self, run: RunId, generation: Generation) -> String {
        let token = hex::encode(self.commands.context().token());
        let digest = Sha256::digest(token.as_bytes()).into();
        self.commands.issue_identity(run, generation, digest).await.unwrap();
        token
    }

    pub(crate) fn caused(&self) -> Caused {
        Caused::by(Actor::User(self.owner))
    }

    pub(crate) async fn dial(&self, workload: &Workload) -> Sidecar {
        Sidecar::dial(self.address, &workload.token).await.unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The server's own user, at another database.
    pub(crate) fn superuser(&self) -> PgConnectOptions {
        self.options.clone().username("postgres").database("postgres")
    }

    /// Drops the database. A test that fails leaves its own behind, to look at.
    pub(crate) async fn end(self) {
        self.pool().close().await;
        let mut connection = PgConnection::connect_with(&self.options).await.unwrap();
        let drop = format!("drop database {}", self.database);
        connection.execute(AssertSqlSafe(drop)).await.unwrap();
    }
}

pub(crate) const ENFORCED: Enforcement =
    Enforcement { sandbox: String::new(), limits: vec![], missing: vec![] };

const MIB: u64 = 1024 * 1024;

async fn in_directory(pool: PgPool, store: &Path) -> Bundles {
    let address = Url::from_directory_path(store).unwrap();
    Bundles::open_store(pool, &address, MIB).await.unwrap()
}

fn requested(session: SessionId, owner: UserId, created: &session::Created) -> Requested {
    Requested {
        session,
        owner,
        repo: created.repo.clone(),
        base: created.base.clone(),
        branch: created.branch.clone(),
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
        disk_mib: 2048,
        max_retries: 2,
        harness: domain::run::Harness::default(),
        credential: None,
    }
}

async fn serve(state: LinkState) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router(state)).await });
    address
}

/// The sidecar's end of a link.
pub(crate) struct Sidecar {
    socket: WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>,
    pub(crate) next: u64,
    /// Instructions that came while something else was waited for.
    told: std::collections::VecDeque<link::Instruction>,
}

impl Sidecar {
    pub(crate) async fn dial(address: SocketAddr, token: &str) -> Result<Self, Box<Error>> {
        let mut request = format!("ws://{address}/link").into_client_request()?;
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
        let (socket, _) = tokio_tungstenite::connect_async(request).await?;
        Ok(Self { socket, next: 1, told: std::collections::VecDeque::default() })
    }

    pub(crate) async fn send(&mut self, up: &Up) {
        self.send_text(serde_json::to_string(up).unwrap()).await;
    }

    pub(crate) async fn send_text(&mut self, text: String) {
        // The server may have hung up: what it said before that is still to be read.
        let _ = self.socket.send(Message::text(text)).await;
    }

    /// The server's next message; none once it hung up.
    pub(crate) async fn next(&mut self) -> Option<Down> {
        let message = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => {
                        return Some(serde_json::from_str(&text).unwrap());
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                    Some(Ok(_)) => {}
                }
            }
        };
        let patience = Duration::from_secs(10);
        tokio::time::timeout(patience, message).await.expect("a message within ten seconds")
    }

    /// Says hello; gives the epoch and the number of the last frame stored.
    pub(crate) async fn hello(&mut self, generation: Generation, done: u64) -> (u64, u64) {
        let done = domain::ids::StreamVersion(done);
        self.send(&Up::Hello { generation, done }).await;
        match self.next().await {
            Some(Down::Welcome { epoch, acked, .. }) => {
                self.next = acked + 1;
                (epoch, acked)
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn frame(&mut self, body: link::Body) -> u64 {
        let seq = self.next;
        self.next += 1;
        self.send(&Up::Frame { seq, body }).await;
        seq
    }

    /// Sends a fact and waits until it is acknowledged.
    pub(crate) async fn fact(&mut self, fact: link::Fact) {
        let seq = self.frame(link::Body::Fact(fact)).await;
        self.acked(seq).await;
    }

    /// Waits until a frame is acknowledged; instructions in between are kept.
    pub(crate) async fn acked(&mut self, seq: u64) {
        loop {
            match self.next().await {
                Some(Down::Ack { seq: acked }) if acked >= seq => return,
                Some(Down::Ack { .. }) => {}
                Some(Down::Instruction(instruction)) => self.told.push_back(instruction),
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) async fn instruction(&mut self) -> link::Instruction {
        if let Some(told) = self.told.pop_front() {
            return told;
        }
        loop {
            match self.next().await {
                Some(Down::Instruction(instruction)) => return instruction,
                Some(Down::Ack { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) async fn refused(&mut self) -> (String, bool) {
        loop {
            match self.next().await {
                Some(Down::Refused { reason, retry }) => return (reason, retry),
                Some(Down::Ack { .. } | Down::Instruction(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
