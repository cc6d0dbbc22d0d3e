//! The roles of the program that are not for people: gateway, artifact store, sidecar, migration; and looking at the
//! configuration.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use domain::ids::{Generation, RunId};
use tokio_util::sync::CancellationToken;

use super::output;
use crate::config::{ArtifactsArgs, EgressArgs, Secret, ServeArgs, read_secret};

/// `paddock sidecar`'s flags.
#[derive(Args)]
pub(crate) struct SidecarArgs {
    /// The run.
    #[arg(long)]
    run: RunId,
    /// Its generation.
    #[arg(long)]
    generation: u32,
    /// The link listener's WebSocket.
    #[arg(long)]
    link_url: url::Url,
    /// Where bundles go beside the link.
    #[arg(long)]
    bundles_url: url::Url,
    /// The file that holds the run's identity.
    #[arg(long)]
    identity_file: PathBuf,
    /// The harness's socket.
    #[arg(long)]
    harness_socket: PathBuf,
    /// Where it keeps what is not acknowledged.
    #[arg(long)]
    spool_dir: PathBuf,
    /// An address that it reaches and the sandbox must not.
    #[arg(long)]
    canary: String,
    /// Go on although the fence cannot be proven.
    #[arg(long)]
    accept_unenforced: bool,
    /// It is in a pod with the agent, which begins once the fence is proven.
    #[arg(long)]
    pod: bool,
    /// The address of the machine on which the pod is.
    #[arg(long, env = "PADDOCK_NODE_ADDRESS", requires = "pod")]
    node: Option<std::net::IpAddr>,
}

/// `paddock fence-proven`'s flags.
#[derive(Args)]
pub(crate) struct FenceArgs {
    /// Where the sidecar keeps what is not acknowledged.
    #[arg(long)]
    spool_dir: PathBuf,
}

/// Says whether the sidecar has proven the fence: a pod's startup probe.
pub(crate) fn fence_proven(args: &FenceArgs) -> ExitCode {
    if sidecar::Config::proof(&args.spool_dir).exists() {
        return ExitCode::SUCCESS;
    }
    eprintln!("the fence is not proven yet");
    ExitCode::FAILURE
}

/// `paddock migrate`'s flags.
#[derive(Args)]
pub(crate) struct MigrateArgs {
    /// PostgreSQL, as the owner of the schema.
    #[arg(long, env = "PADDOCK_MIGRATION_DATABASE_URL", hide_env_values = true)]
    migration_database_url: Secret,
}

/// `paddock config …`
#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check the control plane's settings and print what they come to, secrets hidden.
    Check(Box<ServeArgs>),
}

/// Runs the gateway until it is told to stop.
pub(crate) async fn egress(args: EgressArgs) -> anyhow::Result<ExitCode> {
    crate::serve::log_to_stderr();
    let config = egress::Config {
        sockets: args.sockets,
        state: args.state,
        control_url: args.control_url,
        control_token: read_secret(&args.control_token_file)?.expose().to_owned().into(),
        model: match (args.model_url, args.model_key_file) {
            (Some(url), key) => Some(egress::Upstream {
                url,
                credential: key
                    .map(|file| read_secret(&file))
                    .transpose()?
                    .map(|key| key.expose().to_owned().into()),
            }),
            (None, _) => None,
        },
        git: egress::Upstream {
            url: args.github_url,
            credential: args
                .github_token_file
                .map(|file| read_secret(&file))
                .transpose()?
                .map(|token| token.expose().to_owned().into()),
        },
        allow: args.allow.iter().map(|rule| rule.parse()).collect::<Result<_, _>>()?,
        listen: args.listen,
        full_listen: args.full_listen,
        admin_listen: args.admin_listen,
    };
    egress::run(config, stop_on_signal()?).await?;
    Ok(ExitCode::SUCCESS)
}

/// Serves the artifact store of a volume until it is told to stop.
pub(crate) async fn artifacts(args: ArtifactsArgs) -> anyhow::Result<ExitCode> {
    crate::serve::log_to_stderr();
    let token = read_secret(&args.token_file)?;
    let served = artifacts::Served::open(&args.dir, token.expose())
        .with_context(|| format!("the artifact store in {}", args.dir.display()))?;
    let stop = stop_on_signal()?;
    let mut running = tokio::task::JoinSet::new();
    for (address, router) in [
        (args.listen, artifacts::router(served.clone())),
        (args.admin_listen, artifacts::admin(served.clone())),
    ] {
        let listener = crate::serve::bind(address).await?;
        let stop = stop.clone().cancelled_owned();
        running.spawn(async move {
            let served = axum::serve(listener, router).with_graceful_shutdown(stop).await;
            if let Err(error) = served {
                tracing::error!(%error, "a listener failed");
            }
        });
    }
    running.spawn(served.sweep_until(stop.clone()));
    tracing::info!(listen = %args.listen, dir = %args.dir.display(), "serving artifacts");
    stop.cancelled().await;
    // What is being written is nearly written; what is not is begun anew by whoever sends it.
    let _ = tokio::time::timeout(Duration::from_secs(5), running.join_all()).await;
    Ok(ExitCode::SUCCESS)
}

/// Runs beside one agent until its run has ended.
pub(crate) async fn sidecar(args: SidecarArgs) -> anyhow::Result<ExitCode> {
    crate::serve::log_to_stderr();
    let config = sidecar::Config {
        run: args.run,
        generation: Generation(args.generation),
        link_url: args.link_url,
        bundles_url: args.bundles_url,
        identity_file: args.identity_file,
        harness_socket: args.harness_socket,
        spool_dir: args.spool_dir,
        canary: args.canary,
        accept_unenforced: args.accept_unenforced,
        pod: args.pod.then_some(sidecar::Pod { node: args.node }),
    };
    sidecar::run(config, stop_on_signal()?).await?;
    Ok(ExitCode::SUCCESS)
}

/// Brings the schema up to date.
pub(crate) async fn migrate(args: MigrateArgs) -> anyhow::Result<ExitCode> {
    commands::migrate(args.migration_database_url.expose()).await?;
    Ok(ExitCode::SUCCESS)
}

/// Prints what the settings come to.
pub(crate) fn config(command: ConfigCommand, json: bool) -> anyhow::Result<ExitCode> {
    let ConfigCommand::Check(args) = command;
    let effective = serde_json::to_value(args.effective()?)?;
    output::print(json, &effective, |effective| {
        serde_json::to_string_pretty(effective).unwrap_or_default()
    });
    Ok(ExitCode::SUCCESS)
}

/// Prints what a cluster has to know before Paddock runs there.
pub(crate) fn crds() -> anyhow::Result<ExitCode> {
    print!("{}", k8s_adapter::manifest()?);
    Ok(ExitCode::SUCCESS)
}

/// A token that SIGTERM and SIGINT cancel.
pub(crate) fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let cancelled = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        cancelled.cancel();
    });
    Ok(stop)
}
