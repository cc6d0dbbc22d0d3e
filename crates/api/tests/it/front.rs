//! The public listener with all that is behind it: sequencer, projector, and a forge of its own.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use api::{
    AppState, Settings,
    access::{Access, AccessSettings, issue_local_token, local_user},
    credentials::{Credentials, FileStore},
    gateway::{Decisions, GatewayState, Policies},
    github::GitHub,
    pulls::PullChecks,
    settings::Configured as Settled,
    system::{Probe, System},
};
use commands::{
    Caused, Progress,
    access::{Authority, Configured},
    sequencer,
};
use domain::{
    access::{Role, Scope, Subject},
    binding::Grant,
    event::{Actor, Part},
    ids::{Position, UserId},
};
use projections::{Health, Views};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{forge::Forge, world::World};

pub(crate) struct Front {
    pub(crate) world: World,
    pub(crate) forge: Forge,
    pub(crate) views: Views,
    pub(crate) progress: Progress,
    pub(crate) token: String,
    /// Whose the token is.
    pub(crate) admin: UserId,
    pub(crate) http: reqwest::Client,
    state: AppState,
    gateway: GatewayState,
    base: String,
    stop: CancellationToken,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Front {
    pub(crate) async fn new() -> Self {
        Self::with(|_, _| {}).await
    }

    /// With this configuration.
    pub(crate) async fn configured(configured: Settled) -> Self {
        Self::made(|_, _| {}, configured, true).await
    }

    /// `change` is called before anything is served.
    pub(crate) async fn with(change: impl FnOnce(&mut Vec<Probe>, &Progress)) -> Self {
        Self::made(change, Settled::default(), true).await
    }

    /// One whose admin is one by configuration, or else by a binding alone.
    pub(crate) async fn with_admin(by_configuration: bool) -> Self {
        Self::made(|_, _| {}, Settled::default(), by_configuration).await
    }

    async fn made(
        change: impl FnOnce(&mut Vec<Probe>, &Progress),
        settled: Settled,
        by_configuration: bool,
    ) -> Self {
        let world = World::new().await;
        let pool = world.pool().clone();
        projections::prepare(&pool).await.unwrap();
        let context = world.commands.context().clone();
        let views = Views::new(pool.clone(), Health::default());
        let progress = Progress::new();
        let stop = CancellationToken::new();
        tokio::spawn(sequencer::run(
            pool.clone(),
            world.commands.doorbell(),
            progress.clone(),
            None,
            sequencer::Options::default(),
            stop.clone(),
        ));
        tokio::spawn(projections::run(
            pool.clone(),
            progress.head(),
            views.health().clone(),
            stop.clone(),
        ));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let base = format!("http://{address}");
        let forge = Forge::start().await;
        let github = GitHub::new(&forge.url, Some("right"), context.clock.clone()).unwrap();
        let decisions = Decisions::new(pool.clone());
        let secrets = world.store.path().join("secrets");
        let secrets = Arc::new(FileStore::open(&secrets, context.entropy.clone()).unwrap());
        let credentials = Credentials::new(world.commands.clone(), github.clone(), secrets, false);
        let gateway = GatewayState::new(Policies::unknown(), decisions.clone(), "t")
            .with_credentials(credentials.clone());
        let mut probes = vec![
            Probe::database(views.clone()),
            Probe::sequencer(progress.clone()),
            Probe::projections(views.clone()),
            Probe::egress(gateway.presence()),
            Probe::forge(github.clone()),
        ];
        change(&mut probes, &progress);
        let system = System::new(probes, None, context.clock.clone());
        tokio::spawn(system.clone().run(stop.clone()));
        let admin = local_user(&pool, &context).await.unwrap();
        let mut configured = Configured::default();
        if by_configuration {
            configured.users.push(admin);
        } else {
            let (subject, role, scope) = (Subject::User(admin), Role::Admin, Scope::Global);
            let grant = Grant { subject, role, scope, repositories: vec![] };
            let caused = Caused::by(Actor::System(Part::Operator));
            world.commands.grant_role(grant, caused).await.unwrap();
        }
        let authority = Authority::load(pool.clone(), configured).await.unwrap();
        let (refreshed, over) = (authority.clone(), stop.clone());
        tokio::spawn(async move { refreshed.refresh_until(over).await });
        let state = AppState {
            commands: world.commands.clone(),
            authority: authority.clone(),
            views: views.clone(),
            github,
            credentials,
            outputs: world.outputs.clone(),
            bundles: world.bundles.clone(),
            decisions,
            links: world.links.clone(),
            pulls: PullChecks::default(),
            system,
            access: Access::new(AccessSettings::local()),
            settings: Arc::new(Settings {
                public_url: Url::parse(&base).unwrap(),
                configured: Arc::new(settled),
                egress_full: true,
            }),
        };
        let router = api::router(state.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let token = issue_local_token(&pool, &context).await.unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { world, forge, views, progress, token, admin, http, state, gateway, base, stop }
    }

    /// Another replica, with a memory of its own of who may do what; where it listens.
    pub(crate) async fn replica(&self) -> String {
        let configured = Configured { users: vec![self.admin], ..Configured::default() };
        let authority = Authority::load(self.world.pool().clone(), configured).await.unwrap();
        let (refreshed, over) = (authority.clone(), self.stop.clone());
        tokio::spawn(async move { refreshed.refresh_until(over).await });
        let access = Access::new(AccessSettings::local());
        let state = AppState { authority, access, ..self.state.clone() };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = api::router(state);
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    /// What hands credentials out.
    pub(crate) fn credentials(&self) -> &Credentials {
        &self.state.credentials
    }

    /// The same on the same store, as if started anew.
    pub(crate) fn credentials_anew(&self) -> Credentials {
        let entropy = self.world.commands.context().entropy.clone();
        let secrets = FileStore::open(&self.world.store.path().join("secrets"), entropy).unwrap();
        let (commands, github) = (self.world.commands.clone(), self.state.github.clone());
        Credentials::new(commands, github, Arc::new(secrets), false)
    }

    /// An API token of somebody's.
    pub(crate) async fn token_of(&self, user: UserId) -> String {
        let token = format!("pdk_{}", uuid::Uuid::now_v7());
        sqlx::query(
            "insert into runtime.person (id, issuer, subject, name, created_at)
             values ($1, 'https://id.test', $2, 'Somebody', now()) on conflict do nothing",
        )
        .bind(user.0)
        .bind(user.to_string())
        .execute(self.world.pool())
        .await
        .unwrap();
        sqlx::query(
            "insert into runtime.api_token (id, token_sha256, person, name, created_at, expires_at)
             values ($1, sha256($2), $3, 'test', now(), now() + interval '1 hour')",
        )
        .bind(uuid::Uuid::now_v7())
        .bind(token.as_bytes())
        .bind(user.0)
        .execute(self.world.pool())
        .await
        .unwrap();
        token
    }

    /// Gives somebody a role, as the admin; a maintainer of everything is one of all repositories.
    pub(crate) async fn bind(&self, subject: &str, role: &str, scope: &str) -> String {
        let all = if role == "maintainer" && scope == "global" { vec!["*"] } else { vec![] };
        let new = serde_json::json!({
            "subject": subject, "role": role, "scope": scope, "repositories": all,
        });
        if !scope.starts_with("credential") {
            return self.post("/api/v1/role-bindings", &new).await;
        }
        // There may be no such credential here: the binding is made without being asked for.
        let subject = subject.strip_prefix("user:").and_then(|id| id.parse().ok()).unwrap();
        let role = Role::ALL.into_iter().find(|known| known.as_str() == role).unwrap();
        let (subject, scope) = (Subject::User(subject), scope.parse().unwrap());
        let grant = Grant { subject, role, scope, repositories: vec![] };
        let caused = Caused::by(Actor::System(Part::Operator));
        let accepted = self.world.commands.grant_role(grant, caused).await.unwrap();
        self.state.authority.refresh().await.unwrap();
        accepted.target.to_string()
    }

    /// A gateway that asks for its policies again and again, until it is aborted.
    pub(crate) async fn gateway(&self) -> tokio::task::JoinHandle<()> {
        let url = format!("{}/gateway/v1/policies", self.gateway_listener().await);
        let http = self.http.clone();
        tokio::spawn(async move {
            loop {
                let answer = http.get(&url).bearer_auth("t").send().await;
                if !answer.is_ok_and(|answer| answer.status() == 200) {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        })
    }

    /// Where gateways report.
    pub(crate) async fn gateway_listener(&self) -> String {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = api::gateway::router(self.gateway.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// A request with the token.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path)).bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        answered(self.request(Method::GET, path)).await
    }

    /// Gets what must be there.
    pub(crate) async fn read(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: &Value) -> Answered {
        answered(self.request(method, path).json(body)).await
    }

    /// Posts what must be accepted; gives the id.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> String {
        let answer = self.send(Method::POST, path, body).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.body);
        answer.body["id"].as_str().unwrap().to_owned()
    }

    /// Waits until all that was appended is in the lists.
    pub(crate) async fn caught_up(&self) {
        let appended = async {
            loop {
                let left: i64 = sqlx::query_scalar(
                    "select count(*) from paddock.event e
                     where not exists (select from paddock.log l where l.event = e.id)",
                )
                .fetch_one(self.world.pool())
                .await
                .unwrap();
                if left == 0 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let end: i64 = sqlx::query_scalar("select coalesce(max(position), 0) from paddock.log")
                .fetch_one(self.world.pool())
                .await
                .unwrap();
            self.views.caught_up_to(Position(end.unsigned_abs())).await.unwrap();
        };
        tokio::time::timeout(Duration::from_secs(20), appended).await.expect("caught up");
    }

    /// How many events sessions and runs have.
    pub(crate) async fn events(&self) -> i64 {
        sqlx::query_scalar(
            "select count(*) from paddock.event where stream like 'session-%' or stream like 'run-%'",
        )
        .fetch_one(self.world.pool())
        .await
        .unwrap()
    }

    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.world.end().await;
    }
}

pub(crate) async fn answered(request: RequestBuilder) -> Answered {
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let text = answer.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Answered { status, headers, body }
}
