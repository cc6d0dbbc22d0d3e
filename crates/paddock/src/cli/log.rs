//! `paddock log …` and `paddock rebuild`: the operator's view of the log. They talk to the database itself, so
//! that they work while no server does.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use domain::event::{Actor, Part};
use serde_json::json;

use super::{Server, error::CliError, output};
use crate::config::{Secret, default_data_dir};

/// Which database.
#[derive(Args)]
pub(crate) struct Database {
    /// PostgreSQL, as the serving role; that of a running `paddock up` unless told otherwise.
    #[arg(long, env = "PADDOCK_DATABASE_URL", hide_env_values = true)]
    database_url: Option<Secret>,
    #[command(flatten)]
    server: Server,
}

/// `paddock log …`
#[derive(Subcommand)]
pub(crate) enum LogCommand {
    /// Prove that every stream is gapless, positions are dense and every leaf and text is as it was.
    Check {
        #[command(flatten)]
        database: Database,
    },
    /// Take over a log that was restored or failed over: begins a new epoch.
    Adopt {
        #[command(flatten)]
        database: Database,
        /// NATS, to compare the stream with the log; that of a running `paddock up` unless told otherwise.
        #[arg(long, env = "PADDOCK_NATS_URL", hide_env_values = true)]
        nats_url: Option<Secret>,
    },
}

/// `paddock rebuild`'s flags.
#[derive(Args)]
pub(crate) struct RebuildArgs {
    #[command(flatten)]
    database: Database,
    /// Compare with the read models in use, and change nothing.
    #[arg(long)]
    diff: bool,
}

/// What `paddock up` writes for commands that talk to its database and NATS.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct Backends {
    /// PostgreSQL, as the serving role.
    pub(crate) database_url: String,
    /// NATS, with its token.
    pub(crate) nats_url: String,
}

impl Backends {
    /// Where they are written, readable by their owner alone.
    pub(crate) fn path(data_dir: &std::path::Path) -> std::path::PathBuf {
        data_dir.join("secrets/backends.json")
    }
}

/// Carries out `paddock log …`.
pub(crate) async fn log(command: LogCommand, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        LogCommand::Check { database } => check(&database, json).await,
        LogCommand::Adopt { database, nats_url } => adopt(&database, nats_url, json).await,
    }
}

async fn check(database: &Database, json: bool) -> anyhow::Result<ExitCode> {
    let pool = crate::serve::connect(&database.url()?)?;
    let report = commands::log::check(&pool).await?;
    let value = json!({
        "whole": report.is_whole(),
        "epoch": report.epoch.to_string(),
        "events": report.events,
        "positions": report.positions,
        "streams": report.streams,
        "texts": report.texts,
        "erased": report.erased,
        "root": hex::encode(report.root),
        "problems": report.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    output::print(json, &value, |_| report.to_string());
    Ok(if report.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn adopt(
    database: &Database,
    nats_url: Option<Secret>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let pool = crate::serve::connect(&database.url()?)?;
    let nats_url = match nats_url {
        Some(url) => url,
        None => Secret::from(database.backends()?.nats_url),
    };
    let client = crate::serve::connect_nats(nats_url.expose()).await?;
    let relay = commands::relay::Relay::new(client, "paddock");
    let actor = Actor::System(Part::Operator);
    let adopted =
        commands::log::adopt(&pool, Some(&relay), &commands::Context::system(), actor).await?;
    let value = json!({
        "epoch": adopted.epoch.to_string(),
        "previous": adopted.previous.to_string(),
        "size": adopted.size.0,
        "root": hex::encode(adopted.root),
    });
    output::print(json, &value, |_| {
        format!(
            "epoch {} begins; {} positions of epoch {} are taken over",
            adopted.epoch, adopted.size, adopted.previous
        )
    });
    Ok(ExitCode::SUCCESS)
}

/// Builds the read models anew, or says how they would differ.
pub(crate) async fn rebuild(args: RebuildArgs, json: bool) -> anyhow::Result<ExitCode> {
    let pool = crate::serve::connect(&args.database.url()?)?;
    let report = projections::rebuild(&pool, args.diff).await?;
    let value = serde_json::to_value(&report)?;
    output::print(json, &value, |_| report.to_string());
    Ok(if args.diff && !report.is_equal() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Database {
    fn url(&self) -> anyhow::Result<String> {
        match &self.database_url {
            Some(url) => Ok(url.expose().to_owned()),
            None => Ok(self.backends()?.database_url),
        }
    }

    fn backends(&self) -> anyhow::Result<Backends> {
        let data_dir = match &self.server.data_dir {
            Some(dir) => dir.clone(),
            None => default_data_dir()?,
        };
        let path = Backends::path(&data_dir);
        let text = std::fs::read(&path).map_err(|_| {
            CliError::unreachable(format!(
                "no running `paddock up` found in {}: name the database in PADDOCK_DATABASE_URL",
                data_dir.display()
            ))
        })?;
        Ok(serde_json::from_slice(&text)?)
    }
}
