//! `paddock serve`: the control plane, put together.

mod adapter;
mod cluster;
mod doors;
mod elsewhere;
mod secrets;

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use api::{
    AppState, Settings,
    access::{Access, AccessSettings, Oidc, OidcSettings, local_user},
    bundles::Bundles,
    credentials::Credentials,
    gateway::{Decisions, GatewayState, Policies},
    github::GitHub,
    health::HealthState,
    link::{Author, Identities, Issued, JobSettings, LinkState, Links},
    output::Outputs,
    pulls::PullChecks,
    settings::{Configured, Installation},
    system::{PartName, Probe, System},
};
use axum::Router;
use chrono::TimeDelta;
use commands::{
    Commands, Context, Progress,
    access::{Authority, Configured as Admins},
    relay::Relay,
    sequencer,
};
use domain::ids::UserId;
use projections::{Health, Views};
use sqlx::PgPool;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use self::{adapter::Adapter, cluster::PodTokens};
pub(crate) use self::{doors::Doors, elsewhere::adapter};
use crate::{
    cli::stop_on_signal,
    config::{ConfiguredAdmin, Effective, ServeArgs, Where},
    tasks::{self, Tools},
};

/// The most connections to the database.
const CONNECTIONS: u32 = 40;
/// The largest bundle, in bytes.
const MAX_BUNDLE: u64 = 8 * 1024 * 1024 * 1024;
/// How often a run that changes something is snapshotted, in seconds.
const SNAPSHOT_INTERVAL: u32 = 60;
/// The first host uid for runs of any installation, when started as root.
const UID_BASE: u32 = 1_000_000;
/// How many host uids an installation has for its runs.
const UIDS: u32 = 60_000;

/// Logs to standard error, at RUST_LOG's level or `info`.
pub(crate) fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
}

/// Connects to the database.
pub(crate) fn connect(url: &str) -> anyhow::Result<PgPool> {
    commands::connect(url, CONNECTIONS).context("cannot reach the database")
}

/// A client of NATS, which may be away: it connects when NATS is back. User and password are in the URL.
pub(crate) async fn connect_nats(url: &str) -> anyhow::Result<async_nats::Client> {
    let address: url::Url = url.parse().context("the address of NATS")?;
    let mut options = async_nats::ConnectOptions::new().retry_on_initial_connect();
    if let Some(password) = address.password() {
        options = options.user_and_password(address.username().to_owned(), password.to_owned());
    }
    options.connect(url).await.context("the address of NATS")
}

/// The parts that share the one process.
struct Parts {
    config: Effective,
    configured: Arc<Configured>,
    commands: Commands,
    authority: Authority,
    views: Views,
    progress: Progress,
    outputs: Outputs,
    bundles: Bundles,
    links: Links,
    github: GitHub,
    credentials: Credentials,
    decisions: Decisions,
    pulls: PullChecks,
    gateway: GatewayState,
    policies: Policies,
    nats: async_nats::Client,
    adapter: Adapter,
    doors: Doors,
    cluster: Option<Cluster>,
    system: System,
    access: Access,
}

/// What there is where runs are pods.
struct Cluster {
    client: kube::Client,
    /// For looking at tokens, beside the adapter's own requests.
    reviews: kube::Client,
    config: k8s_adapter::Config,
    health: k8s_adapter::Health,
}

/// Runs the control plane until it is told to stop.
pub(crate) async fn serve(args: ServeArgs) -> anyhow::Result<ExitCode> {
    log_to_stderr();
    let config = args.effective()?;
    let shutdown = stop_on_signal()?;
    let pool = connect(config.database_url.expose())?;
    commands::check_rights(&pool).await.context("the serving role")?;
    projections::prepare(&pool).await.context("the read models")?;
    let parts = Parts::new(config, pool).await?;
    let listeners = parts.listen().await?;
    let mut running = JoinSet::new();
    if let Some(kubernetes) = parts.config.kubernetes.as_ref().filter(|_| parts.adapts()) {
        running.spawn(cluster::canary(bind(kubernetes.canary_listen).await?));
    }
    parts.start_log(&mut running, &shutdown);
    parts.start_signer(&mut running, &shutdown)?;
    parts.start_tasks(&mut running, &shutdown);
    for (listener, router) in listeners {
        let stop = shutdown.clone().cancelled_owned();
        running.spawn(async move {
            // Streams are open for as long as somebody looks: they are not waited for.
            tokio::select! {
                result = axum::serve(listener, router).into_future() => {
                    if let Err(error) = result {
                        tracing::error!(%error, "a listener failed");
                    }
                }
                () = stop => {}
            }
        });
    }
    tracing::info!(listen = %parts.config.listen, "serving");
    shutdown.cancelled().await;
    // Bounded: whoever is in the middle of something is in the middle of a transaction.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(3), running.join_all()).await;
    Ok(ExitCode::SUCCESS)
}

impl Parts {
    async fn new(config: Effective, pool: PgPool) -> anyhow::Result<Self> {
        let context = Context::system();
        let commands = Commands::new(pool.clone(), context.clone());
        let access = access(&config, &context)?;
        // Where people sign in at a provider, the user of the machine is nobody.
        let local =
            if access.settings().links { vec![local_user(&pool, &context).await?] } else { vec![] };
        let authority = Authority::load(pool.clone(), admins(&config, local)).await;
        let authority = authority.context("the role bindings")?;
        let token = config.github_token.as_ref().map(crate::config::Secret::expose);
        let github = GitHub::new(&config.github_api_url, token, context.clock.clone())?;
        let views = Views::new(pool.clone(), Health::default());
        let (decisions, policies) = (Decisions::new(pool.clone()), Policies::unknown());
        let token = config.gateway_token.expose();
        let secrets = secrets::open(&config.credential_store, &context).await?;
        let credentials =
            Credentials::new(commands.clone(), github.clone(), secrets, config.classic_tokens);
        let gateway = GatewayState::new(policies.clone(), decisions.clone(), token)
            .with_credentials(credentials.clone());
        let progress = Progress::new();
        let nats = connect_nats(config.nats_url.expose()).await?;
        let (adapter, cluster, doors) = match &config.kubernetes {
            None => {
                let programs = vec![config.harness.clone(), config.opencode.clone()];
                (Adapter::of_machine(programs), None, Doors::none())
            }
            Some(kubernetes) => {
                let client = cluster::client("adapter").await?;
                let reviews = cluster::client("link").await?;
                let health =
                    k8s_adapter::Health::new(Some("the cluster was not looked at yet".to_owned()));
                let adapter = match config.adapter {
                    Where::Here => Adapter::of_cluster(health.clone()),
                    Where::Elsewhere => Adapter::elsewhere(),
                };
                let doors = Doors::at(
                    kubernetes.egress_address,
                    kubernetes.egress_full_address,
                    config.gateway_token.expose(),
                );
                let config = cluster::config(kubernetes)?;
                (adapter, Some(Cluster { client, reviews, config, health }), doors)
            }
        };
        let token = config.artifact_token.as_ref().map(crate::config::Secret::expose);
        let bundles =
            Bundles::open_store(pool.clone(), &config.artifact_store, token, MAX_BUNDLE).await?;
        let probes = vec![
            Probe::database(views.clone()),
            Probe::sequencer(progress.clone()),
            Probe::relay(progress.clone(), nats_problem(nats.clone())),
            Probe::projections(views.clone()),
            Probe::signer(progress.clone(), config.audit.is_some()),
            match &cluster {
                Some(Cluster { reviews, config: of, .. }) if config.adapter == Where::Elsewhere => {
                    cluster::adapter(reviews.clone(), of.namespace.clone())
                }
                _ => Probe::new(PartName::Adapter, {
                    let adapter = adapter.clone();
                    move || std::future::ready(adapter.look())
                }),
            },
            Probe::artifacts(bundles.clone()),
            Probe::egress(gateway.presence()),
            Probe::forge(github.clone()),
            Probe::model(outside()?, config.model_url.clone()),
        ];
        let demo = config.demo.as_ref().map(|demo| (demo.repo.clone(), demo.issue));
        Ok(Self {
            system: System::new(probes, demo, context.clock.clone()),
            outputs: Outputs::new(pool.clone()),
            bundles,
            links: Links::default(),
            access,
            pulls: PullChecks::default(),
            views,
            progress,
            github,
            credentials,
            decisions,
            gateway,
            policies,
            nats,
            adapter,
            doors,
            cluster,
            commands,
            configured: Arc::new(config.installation.clone()),
            authority,
            config,
        })
    }

    /// Takes every address before anything runs: a port in use is said at once.
    async fn listen(&self) -> anyhow::Result<Vec<(TcpListener, Router)>> {
        let config = &self.config;
        let adapter = self.adapter.clone();
        let health = HealthState {
            views: self.views.clone(),
            progress: self.progress.clone(),
            adapter: Arc::new(move || adapter.problem()),
            bundles: self.bundles.clone(),
            access: self.access.clone(),
        };
        let mut listeners = Vec::new();
        for (address, router) in [
            (config.listen, api::router(self.app_state())),
            (config.link_listen, api::link::router(self.link_state())),
            (config.gateway_listen, api::gateway::router(self.gateway.clone())),
            (config.admin_listen, api::health::router(health)),
        ] {
            listeners.push((bind(address).await?, router));
        }
        Ok(listeners)
    }

    fn app_state(&self) -> AppState {
        AppState {
            commands: self.commands.clone(),
            authority: self.authority.clone(),
            views: self.views.clone(),
            github: self.github.clone(),
            credentials: self.credentials.clone(),
            outputs: self.outputs.clone(),
            bundles: self.bundles.clone(),
            decisions: self.decisions.clone(),
            links: self.links.clone(),
            pulls: self.pulls.clone(),
            system: self.system.clone(),
            access: self.access.clone(),
            settings: Arc::new(Settings {
                egress_full: self.doors.may_be_full(),
                public_url: self.config.public_url.clone(),
                configured: self.configured.clone(),
            }),
        }
    }

    fn link_state(&self) -> LinkState {
        let profiles = self.config.installation.profiles.clone();
        let doors = self.doors.clone();
        let identities: Arc<dyn Identities> = match &self.cluster {
            None => Arc::new(Issued(self.commands.clone())),
            Some(Cluster { reviews, config, .. }) => {
                let reviewer = k8s_adapter::Reviewer::new(reviews.clone(), &config.namespace);
                Arc::new(PodTokens::new(reviewer, self.commands.clone()))
            }
        };
        let canary = match &self.cluster {
            None => self.config.link_listen.to_string(),
            Some(cluster) => cluster.config.canary.clone(),
        };
        LinkState {
            commands: self.commands.clone(),
            outputs: self.outputs.clone(),
            bundles: self.bundles.clone(),
            links: self.links.clone(),
            job: Arc::new(JobSettings {
                github_url: self.config.github_url.clone(),
                public_url: self.config.public_url.clone(),
                model: self.config.model.clone(),
                permission: Arc::new(move |name| profiles.get(name).unwrap_or_default().permission),
                author: Arc::new(|user| Author {
                    name: "Paddock user".to_owned(),
                    email: format!("{user}@users.noreply.paddock.dev"),
                }),
                snapshot_interval_seconds: SNAPSHOT_INTERVAL,
                door: Arc::new(move |run, generation| doors.door(run, generation)),
            }),
            identities,
            canary: canary.into(),
        }
    }

    /// Sequencer, relay, projector: what makes one log of the events and reads it.
    fn start_log(&self, running: &mut JoinSet<()>, shutdown: &CancellationToken) {
        let pool = self.commands.pool().clone();
        let relay = Relay::new(self.nats.clone(), self.config.public_url.as_str());
        running.spawn(sequencer::run(
            pool.clone(),
            self.commands.doorbell(),
            self.progress.clone(),
            Some(relay.clone()),
            sequencer::Options::default(),
            shutdown.clone(),
        ));
        running.spawn(commands::relay::run(
            pool.clone(),
            relay,
            self.progress.clone(),
            shutdown.clone(),
        ));
        running.spawn(projections::run(
            pool,
            self.progress.head(),
            self.views.health().clone(),
            shutdown.clone(),
        ));
        self.start_records(running, shutdown);
    }

    /// What a process keeps of its own and has to keep up to date.
    fn start_records(&self, running: &mut JoinSet<()>, shutdown: &CancellationToken) {
        let (commands, stop) = (self.commands.clone(), shutdown.clone());
        running.spawn(async move { commands.flush_refusals_until(stop).await });
        let (authority, stop) = (self.authority.clone(), shutdown.clone());
        running.spawn(async move { authority.refresh_until(stop).await });
    }

    /// Whether the adapter is a part of this process.
    fn adapts(&self) -> bool {
        self.config.adapter == Where::Here
    }

    /// The signer of checkpoints, and their way to a witness.
    fn start_signer(
        &self,
        running: &mut JoinSet<()>,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<()> {
        let Some(keys) = &self.config.audit else {
            tracing::warn!("no PADDOCK_AUDIT_KEY_FILE: nothing of the log is signed");
            return Ok(());
        };
        tracing::info!(key = keys.key, "checkpoints are signed");
        let commands = self.commands.clone();
        running.spawn(commands::audit::run(
            commands.clone(),
            keys.keys()?,
            self.progress.clone(),
            shutdown.clone(),
        ));
        if let Some(url) = &self.config.audit_witness_url {
            let witness = api::audit::Witness::new(outside()?, url.clone(), commands);
            running.spawn(witness.run(shutdown.clone()));
        }
        Ok(())
    }

    /// What the control plane does by itself, and the adapter.
    fn start_tasks(&self, running: &mut JoinSet<()>, shutdown: &CancellationToken) {
        let tools = Tools {
            commands: self.commands.clone(),
            views: self.views.clone(),
            github: self.github.clone(),
            credentials: self.credentials.clone(),
            bundles: self.bundles.clone(),
            outputs: self.outputs.clone(),
            pulls: self.pulls.clone(),
            policies: self.policies.clone(),
            doors: self.doors.clone(),
            installation: Installation::new(self.commands.clone(), self.configured.clone()),
            by_memory_here: self.cluster.is_none(),
            public_url: self.config.public_url.clone(),
        };
        running.spawn(tasks::run(tools, shutdown.clone()));
        running.spawn(self.system.clone().run(shutdown.clone()));
        if let Some(oidc) = self.access.oidc().cloned() {
            running.spawn(async move { oidc.prepare().await });
        }
        if self.adapts() {
            self.start_adapter(running, shutdown);
        }
    }

    fn start_adapter(&self, running: &mut JoinSet<()>, shutdown: &CancellationToken) {
        if let Some(Cluster { client, config, health, .. }) = &self.cluster {
            let setup = k8s_adapter::Setup {
                config: config.clone(),
                client: client.clone(),
                commands: self.commands.clone(),
                views: self.views.clone(),
                requests: Arc::new(cluster::ByObjects::new(self.app_state())),
                health: health.clone(),
            };
            let adapter = k8s_adapter::run(setup, shutdown.clone());
            running.spawn(self.adapter.clone().run(adapter));
            return;
        }
        match self.adapter_config() {
            Ok(config) => {
                let (commands, views) = (self.commands.clone(), self.views.clone());
                let adapter = local_adapter::run(config, commands, views, shutdown.clone());
                running.spawn(self.adapter.clone().run(adapter));
            }
            Err(error) => {
                tracing::error!(error = &*error, "no adapter: no run can start");
                self.adapter.stopped(format!("{error:#}"));
            }
        }
    }

    fn adapter_config(&self) -> anyhow::Result<local_adapter::Config> {
        let config = &self.config;
        let link = config.link_listen;
        Ok(local_adapter::Config {
            data_dir: config.data_dir.clone(),
            harness_bin: config.harness.clone(),
            opencode_bin: config.opencode.clone(),
            paddock_bin: std::env::current_exe()?,
            link_url: format!("ws://{link}/link").parse()?,
            bundles_url: format!("http://{link}").parse()?,
            canary_addr: link.to_string(),
            gateway_sockets: config.data_dir.join("egress/runs"),
            uid_base: uid_base(&config.data_dir),
        })
    }
}

/// Who has rights before anybody was given any.
fn admins(config: &Effective, local: Vec<UserId>) -> Admins {
    let mut configured = Admins { users: local, ..Admins::default() };
    for admin in &config.admins {
        match admin {
            ConfiguredAdmin::Group(name) => configured.groups.push(name.clone()),
            ConfiguredAdmin::User(name) => configured.names.push(name.clone()),
        }
    }
    let requesters = config.kubernetes.iter().flat_map(|of| &of.requesters);
    configured.requesters.extend(requesters.map(|name| commands::kubernetes_id(name)));
    configured
}

/// Takes an address.
pub(crate) async fn bind(address: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) => bail!("cannot listen on {address}: {error}; choose another address"),
    }
}

/// Who may come in, as it was configured.
fn access(config: &Effective, context: &Context) -> anyhow::Result<Access> {
    let sign_in = &config.sign_in;
    let oidc = sign_in.oidc.as_ref().map(|oidc| {
        let settings = OidcSettings {
            issuer: oidc.issuer.clone(),
            client_id: oidc.client_id.clone(),
            client_secret: oidc.client_secret.as_ref().map(|secret| secret.expose().to_owned()),
            groups_claim: oidc.groups_claim.clone(),
            scopes: oidc.scopes.clone(),
        };
        Oidc::new(settings, &config.public_url, context.clone())
    });
    let settings = AccessSettings {
        links: sign_in.links,
        idle: TimeDelta::minutes(sign_in.idle_minutes.into()),
        absolute: TimeDelta::hours(sign_in.max_hours.into()),
    };
    Ok(Access::new(settings, oidc.transpose()?))
}

/// Why NATS is not connected, if it is not.
fn nats_problem(nats: async_nats::Client) -> impl Fn() -> Option<String> + Send + Sync + 'static {
    use async_nats::connection::State;
    move || match nats.connection_state() {
        State::Connected => None,
        State::Pending | State::Disconnected => Some("NATS is not connected".to_owned()),
    }
}

/// A client for looking whether somebody answers, without any credential.
fn outside() -> anyhow::Result<reqwest::Client> {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_millis(1_400))
        .redirect(reqwest::redirect::Policy::none());
    Ok(client.build()?)
}

/// The first host uid for runs of the installation in `data_dir`: two installations on one machine must
/// not share uids, because the kernel counts processes by them.
fn uid_base(data_dir: &std::path::Path) -> u32 {
    let digest = <sha2::Sha256 as sha2::Digest>::digest(data_dir.as_os_str().as_encoded_bytes());
    UID_BASE + (u32::from(digest[0]) << 8 | u32::from(digest[1])) % 1_000 * UIDS
}
