//! The command line: `paddock <noun> <verb>`.

mod access;
pub(crate) mod audit;
mod client;
mod credential;
mod error;
mod follow;
mod in_database;
pub(crate) mod log;
mod login;
pub(crate) mod output;
mod roles;
mod run;
mod session;
mod settings;
mod store;
mod token;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

pub(crate) use self::{
    client::{Announced, Client},
    error::{CliError, report},
    follow::{Followed, follow_new},
    roles::stop_on_signal,
};

/// Runs coding agents in fenced sandboxes and delivers their pull requests.
#[derive(Parser)]
#[command(version, max_term_width = 100, propagate_version = true)]
pub(crate) struct Cli {
    /// Print JSON: exactly one value, or one a line while following.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    command: Command,
}

/// Where the server is: a running `paddock up` of the same data directory unless told otherwise.
#[derive(Args, Clone)]
pub(crate) struct Server {
    /// The data directory of a running `paddock up`.
    #[arg(long, env = "PADDOCK_DATA_DIR", global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The address of a server, such as https://paddock.example.org.
    #[arg(long = "server", env = "PADDOCK_URL", global = true, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The API token for it; the one that `paddock login` got unless told otherwise.
    #[arg(long, env = "PADDOCK_TOKEN", global = true, hide_env_values = true)]
    pub(crate) token: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything on this machine: database, NATS, server, gateway and the agents' sandboxes.
    Up(crate::up::UpArgs),
    /// Run the control plane alone, on a database and NATS that are given.
    Serve(Box<crate::config::ServeArgs>),
    /// Run the adapter of a cluster alone: what makes runs pods.
    K8sAdapter(Box<crate::config::ServeArgs>),
    /// Run the egress gateway.
    Egress(crate::config::EgressArgs),
    /// Serve the artifact store of a volume to the control plane.
    Artifacts(crate::config::ArtifactsArgs),
    /// Run beside one agent; started by an adapter.
    #[command(hide = true)]
    Sidecar(roles::SidecarArgs),
    /// Whether a sidecar has proven its fence; a pod's startup probe.
    #[command(hide = true)]
    FenceProven(roles::FenceArgs),
    /// Bring the database's schema up to date, as its owner.
    Migrate(roles::MigrateArgs),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(roles::ConfigCommand),
    /// Look after the event log.
    #[command(subcommand)]
    Log(log::LogCommand),
    /// Build every read model anew from the log.
    Rebuild(log::RebuildArgs),
    /// Print the Kubernetes objects to apply before Paddock runs on a cluster.
    Crds,
    /// Sign in at a server, or print a one-time link to the page of a running `paddock up`.
    Login(login::LoginArgs),
    /// Revoke and forget the token that `paddock login` got.
    Logout(login::ServerArgs),
    /// Say who you are at the server.
    Whoami(login::ServerArgs),
    /// API tokens of yours.
    Token(token::TokenArgs),
    /// Sessions: lines of work on a repository.
    Session(session::SessionArgs),
    /// Runs: stretches of an agent's work in a session.
    Run(run::RunArgs),
    /// Roles: who may do what, and why.
    Access(access::AccessArgs),
    /// Credentials: what runs carry to the forge, who may use it, where it was used.
    Credential(credential::CredentialArgs),
    /// The record of everything: read it, take it out, verify it.
    Audit(audit::AuditArgs),
    /// Print a run's output.
    Logs(run::LogsArgs),
    /// Settings of the installation: limits, allow-list, harness profiles, retention.
    Settings(settings::SettingsArgs),
}

/// Carries out one invocation.
pub(crate) async fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let json = cli.json;
    match cli.command {
        Command::Up(args) => crate::up::up(args, json).await,
        Command::Serve(args) => Box::pin(crate::serve::serve(*args)).await,
        Command::K8sAdapter(args) => Box::pin(crate::serve::adapter(*args)).await,
        Command::Egress(args) => roles::egress(args).await,
        Command::Artifacts(args) => roles::artifacts(args).await,
        Command::Sidecar(args) => roles::sidecar(args).await,
        Command::FenceProven(args) => Ok(roles::fence_proven(&args)),
        Command::Migrate(args) => roles::migrate(args).await,
        Command::Config(command) => roles::config(command, json),
        Command::Log(command) => log::log(command, json).await,
        Command::Rebuild(args) => log::rebuild(args, json).await,
        Command::Crds => roles::crds(),
        Command::Login(args) => login::login(args, json).await,
        Command::Logout(args) => login::logout(args, json).await,
        Command::Whoami(args) => login::whoami(args, json).await,
        Command::Token(args) => token::token(args, json).await,
        Command::Session(args) => session::session(args, json).await,
        Command::Run(args) => run::run(args, json).await,
        Command::Access(args) => access::access(args, json).await,
        Command::Credential(args) => credential::credential(args, json).await,
        Command::Audit(args) => audit::audit(args, json).await,
        Command::Logs(args) => run::logs(args, json).await,
        Command::Settings(args) => settings::settings(args, json).await,
    }
}
