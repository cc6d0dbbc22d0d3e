//! `paddock-forge`: a forge on this machine.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;
use paddock_tests::{
    announce::{announce, secret},
    forge::{Config, Token, start},
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
    /// A file of tokens, one a line: `SECRET [read|write] [expires=TIME] [OWNER/NAME …]`. Without more than the secret a
    /// token may write, and to every repository.
    #[arg(long, value_name = "FILE", required_unless_present = "token")]
    token_file: Option<PathBuf>,
    /// A token in the same form, with commas for blanks; others on this machine can see it.
    #[arg(long)]
    token: Vec<Token>,
    /// Make the sample repository and issue.
    #[arg(long)]
    seed_demo: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut tokens = match &arguments.token_file {
        Some(file) => Token::all_in(&secret(file)?)?,
        None => vec![],
    };
    tokens.extend(arguments.token);
    let Arguments { listen, data, seed_demo, .. } = arguments;
    let (forge, serving) = start(Config { listen, data, tokens, seed_demo }).await?;
    let url = json!({ "url": serving.url(), "api_url": forge.api_url() });
    announce(&arguments.announce, &url)?;
    serving.forever().await
}
