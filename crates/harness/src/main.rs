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
    /// The gateway's Unix socket.
    #[arg(long)]
    gateway: PathBuf,
    /// The loopback address at which the gateway is offered inside.
    #[arg(long, default_value = "127.0.0.1:3128")]
    proxy: std::net::SocketAddr,
    /// The directory that holds the repository as `repo`.
    #[arg(long)]
    workspace: PathBuf,
    /// The agent's home.
    #[arg(long)]
    home: PathBuf,
    /// The OpenCode program.
    #[arg(long)]
    opencode: PathBuf,
}

fn main() -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    if harness::is_init() {
        return runtime.block_on(harness::run_as_init());
    }
    let arguments = Arguments::parse();
    runtime.block_on(harness::serve(Config {
        socket: arguments.socket,
        gateway: arguments.gateway,
        proxy: arguments.proxy,
        workspace: arguments.workspace,
        home: arguments.home,
        opencode: arguments.opencode,
    }))?;
    Ok(ExitCode::SUCCESS)
}
