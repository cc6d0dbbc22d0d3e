//! `paddock-forge`: a forge on this machine.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;
use paddock_tests::{
    announce::{announce, secret},
    forge::{Forge, router},
};
use serde_json::json;

/// Git over HTTP and the part of GitHub's REST API that Paddock uses, on real bare repositories.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where repositories and pull requests are kept.
    #[arg(long)]
    data: PathBuf,
    /// The file that says where it listens.
    #[arg(long)]
    announce: PathBuf,
    /// The file that holds the one token.
    #[arg(long)]
    token_file: PathBuf,
    /// Make the sample repository and issue.
    #[arg(long)]
    seed_demo: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let listener = tokio::net::TcpListener::bind(arguments.listen).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let forge = Forge::open(arguments.data, &url, secret(&arguments.token_file)?)?;
    if arguments.seed_demo {
        forge.seed_demo().await?;
    }
    announce(&arguments.announce, &json!({ "url": url, "api_url": format!("{url}/api/v3") }))?;
    axum::serve(listener, router(forge)).await?;
    Ok(())
}
