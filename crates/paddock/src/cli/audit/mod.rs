//! `paddock audit …`: the record of everything, asked, taken out and verified.

mod held;
mod server;
mod verify;

use std::{path::PathBuf, process::ExitCode};

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use uuid::Uuid;

pub(crate) use self::verify::generate;
use super::{Client, Server};

/// `paddock audit`'s flags.
#[derive(Args)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List events of the record, the newest first.
    Events(server::EventsArgs),
    /// List the runs that something may have reached: full egress in a time, a credential, an image.
    Runs(server::RunsArgs),
    /// List the roles that held at a time.
    Access {
        /// The time, such as 2026-01-31T08:00:00Z.
        #[arg(long)]
        at: DateTime<Utc>,
    },
    /// Print the newest signed checkpoint, and hold the server to the one that was seen before. Exits with 1 where it
    /// does not go on from that.
    Checkpoint,
    /// Prove that an event is in what was signed, and check the proof.
    Proof {
        /// The event's position.
        position: u64,
    },
    /// Take the whole record out as one file.
    Export {
        /// The file; it must not be there yet.
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
    /// Erase texts for ever, with all output and bundles that may repeat them. What commits to them stays.
    Erase {
        /// The texts, by the `ref` that events have in their place.
        #[arg(required = true, value_name = "TEXT")]
        texts: Vec<Uuid>,
    },
    /// Verify the file of an export, of the file alone. Exits with 0 where it holds, 1 where it does not, 2 where it
    /// cannot be read.
    Verify(verify::VerifyArgs),
    /// Make a key that checkpoints of a log are signed with. Prints the public half.
    Keygen(verify::KeygenArgs),
}

/// Carries out `paddock audit …`.
pub(crate) async fn audit(args: AuditArgs, json: bool) -> anyhow::Result<ExitCode> {
    let client = || Client::find(&args.server);
    match args.verb {
        Verb::Verify(args) => {
            return tokio::task::spawn_blocking(move || verify::verify(&args, json)).await?;
        }
        Verb::Keygen(args) => return verify::keygen(&args, json),
        Verb::Events(events) => server::events(&client()?, events, json).await?,
        Verb::Runs(runs) => server::runs(&client()?, runs, json).await?,
        Verb::Access { at } => server::access(&client()?, at, json).await?,
        Verb::Checkpoint => server::checkpoint(&client()?, json).await?,
        Verb::Proof { position } => server::proof(&client()?, position, json).await?,
        Verb::Export { output } => server::export(&client()?, &output, json).await?,
        Verb::Erase { texts } => server::erase(&client()?, &texts, json).await?,
    }
    Ok(ExitCode::SUCCESS)
}
