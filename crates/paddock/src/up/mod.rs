//! `paddock up`: everything on one machine. It supervises PostgreSQL, NATS, the gateway, the control
//! plane and, with `--demo`, a forge and a model; the control plane's local adapter supervises the
//! sandboxes.
//!
//! `kill -9` of this program leaves all of them working: each is a process in a session of its own,
//! recorded with pid and start time. The next `up` on the same data directory takes them over. Ctrl-C
//! ends them all.

mod child;
mod demo;
pub(crate) mod layout;
mod nats;
mod postgres;
mod records;
mod stack;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use self::{layout::Layout, stack::Stack};
use crate::config::{Settings, default_data_dir};

/// `paddock up`'s flags.
#[derive(Args, Clone)]
pub(crate) struct UpArgs {
    /// Add a forge with a sample repository and issue, and a scripted model, and run the issue to its
    /// pull request: no account and no key needed.
    #[arg(long)]
    pub(crate) demo: bool,
    /// With --demo: exit when the pull request is there, with 0, or with the reason when it is not.
    #[arg(long, requires = "demo")]
    pub(crate) once: bool,
    /// With --demo: start the parts and wait; run nothing by itself.
    #[arg(long, requires = "demo", conflicts_with = "once")]
    pub(crate) idle: bool,
    /// Where it keeps its data.
    #[arg(long, env = "PADDOCK_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where browsers and the command line reach it; port 0 takes a free one.
    #[arg(long, env = "PADDOCK_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:7080")]
    pub(crate) listen: SocketAddr,
    /// A TOML file with the control plane's settings.
    #[arg(long, env = "PADDOCK_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The OpenCode program.
    #[arg(long, env = "PADDOCK_OPENCODE", value_name = "FILE")]
    pub(crate) opencode: Option<PathBuf>,
    /// The model that agents use, as provider/model.
    #[arg(long, env = "PADDOCK_MODEL", value_name = "PROVIDER/MODEL")]
    pub(crate) model: Option<String>,
    /// The model provider's base URL, such as https://api.openai.com/v1.
    #[arg(long, env = "PADDOCK_MODEL_URL", value_name = "URL")]
    pub(crate) model_url: Option<url::Url>,
    /// A file that holds the provider's key.
    #[arg(long, env = "PADDOCK_MODEL_KEY_FILE", value_name = "FILE")]
    pub(crate) model_key_file: Option<PathBuf>,
    /// GitHub's REST API, or that of an Enterprise host.
    #[arg(long, env = "PADDOCK_GITHUB_API_URL", value_name = "URL")]
    pub(crate) github_api_url: Option<url::Url>,
    /// Where repositories are cloned from.
    #[arg(long, env = "PADDOCK_GITHUB_URL", value_name = "URL")]
    pub(crate) github_url: Option<url::Url>,
    /// A file that holds a token with the right to push and to open pull requests.
    #[arg(long, env = "PADDOCK_GITHUB_TOKEN_FILE", value_name = "FILE")]
    pub(crate) github_token_file: Option<PathBuf>,
    /// The demo model's scenarios, in place of the built-in place beside this program.
    #[arg(long, env = "PADDOCK_SCENARIOS", value_name = "DIR", requires = "demo")]
    pub(crate) scenarios: Option<PathBuf>,
}

/// Runs until Ctrl-C, SIGTERM, or the end of `--once`.
pub(crate) async fn up(args: UpArgs, json: bool) -> anyhow::Result<ExitCode> {
    let dir = match &args.data_dir {
        Some(dir) => std::path::absolute(dir)?,
        None => default_data_dir()?,
    };
    let layout = Layout::create(dir)?;
    let _lock = layout.lock()?;
    for line in local_adapter::preflight().await.lines() {
        eprintln!("{line}");
    }
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut stack = Stack::new(layout, args.clone(), json);
    let result = tokio::select! {
        result = drive(&mut stack, &args, json) => result,
        _ = interrupt.recv() => Ok(ExitCode::SUCCESS),
        _ = terminate.recv() => Ok(ExitCode::SUCCESS),
    };
    if !json {
        eprintln!("ending what was started …");
    }
    stack.stop().await;
    result
}

async fn drive(stack: &mut Stack, args: &UpArgs, json: bool) -> anyhow::Result<ExitCode> {
    let client = stack.start().await?;
    if args.demo && !args.idle {
        let followed = demo::run(&client, json).await?;
        if args.once {
            return Ok(followed.exit_code());
        }
    }
    if !json {
        eprintln!("Ctrl-C ends everything.");
    }
    std::future::pending().await
}

/// The settings of the control plane that the flags of `up` give it.
fn settings_of(args: &UpArgs) -> Settings {
    Settings {
        model: args.model.clone(),
        github_api_url: args.github_api_url.clone(),
        github_url: args.github_url.clone(),
        github_token_file: args.github_token_file.clone(),
        opencode: args.opencode.clone(),
        ..Settings::default()
    }
}
