//! `paddock-harness`: see the library.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use harness::Config;

/// Runs inside an agent's sandbox; started by an adapter.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The Unix socket that the sidecar dials.
    #[arg(long)]
    socket: PathBuf,
    /// The gateway's Unix socket; without one the sidecar says where the gateway is.
    #[arg(long)]
    gateway: Option<PathBuf>,
    /// The loopback address at which the gateway is offered inside.
    #[arg(long, default_value = "127.0.0.1:3128")]
    proxy: std::net::SocketAddr,
    /// The directory that holds the repository as `repo`.
    #[arg(long, default_value = "/workspace")]
    workspace: PathBuf,
    /// The agent's home.
    #[arg(long, default_value = "/home/agent")]
    home: PathBuf,
    /// The OpenCode program.
    #[arg(long, default_value = "opencode")]
    opencode: PathBuf,
    /// A variable for the agent: NAME=VALUE, or NAME of one that this has itself; may be repeated.
    #[arg(long, value_name = "NAME")]
    agent_env: Vec<String>,
}

fn main() -> anyhow::Result<ExitCode> {
    // Wrong arguments are said once, by the process that was given them.
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if !harness::is_server() {
        return runtime.block_on(harness::run_as_init());
    }
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    runtime.block_on(harness::serve(Config {
        socket: arguments.socket,
        gateway: arguments.gateway,
        proxy: arguments.proxy,
        workspace: arguments.workspace,
        home: arguments.home,
        opencode: arguments.opencode,
        agent_env: arguments.agent_env.iter().filter_map(|text| harness::variable(text)).collect(),
    }))?;
    Ok(ExitCode::SUCCESS)
}
