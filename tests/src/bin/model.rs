//! `paddock-model`: a model that plays scenarios.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;
use paddock_tests::{
    announce::{announce, secret},
    model::{Model, router},
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
    #[arg(long)]
    scenarios: Option<PathBuf>,
    /// The file that gets a line for each request.
    #[arg(long)]
    log: PathBuf,
    /// The file that holds the key that callers need.
    #[arg(long)]
    key_file: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let listener = tokio::net::TcpListener::bind(arguments.listen).await?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    let key = secret(&arguments.key_file)?;
    let model = Model::new(arguments.scenarios.as_deref(), &arguments.log, key)?;
    announce(&arguments.announce, &json!({ "url": url }))?;
    axum::serve(listener, router(model)).await?;
    Ok(())
}
