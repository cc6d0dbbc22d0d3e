//! `paddock-model`: a model that plays scenarios.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;
use paddock_tests::{
    announce::{announce, secret},
    model::{Config, start},
};
use serde_json::json;

/// An OpenAI-compatible model that plays scenarios from files.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The file that says where it listens.
    #[arg(long)]
    announce: PathBuf,
    /// Scenarios beside the built-in ones, which they replace by name.
    #[arg(long, value_name = "DIR")]
    scenarios: Option<PathBuf>,
    /// The file that gets a line of JSON for each request.
    #[arg(long)]
    log: PathBuf,
    /// The file that holds the key that callers need. Without a key everybody is let in.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The key itself; others on this machine can see it.
    #[arg(long, conflicts_with = "key_file")]
    key: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let key = match arguments.key_file {
        Some(file) => Some(secret(&file)?),
        None => arguments.key,
    };
    let Arguments { listen, scenarios, log, .. } = arguments;
    let serving = start(Config { listen, scenarios, log, key }).await?;
    announce(&arguments.announce, &json!({ "url": serving.url() }))?;
    serving.forever().await
}
