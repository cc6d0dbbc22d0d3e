//! What of `paddock audit` asks a server.

use std::{
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use audit::proof;
use chrono::{DateTime, Utc};
use clap::Args;
use futures::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::form_urlencoded::Serializer;
use uuid::Uuid;

use super::held::{Held, hashes, held};
use crate::cli::{CliError, Client, output};

/// How long a position may take until it is signed.
const SIGNED: Duration = Duration::from_secs(15);

const EVENTS: &[(&str, &str)] = &[
    ("POSITION", "/position"),
    ("TIME", "/time"),
    ("TYPE", "/type"),
    ("OUTCOME", "/outcome"),
    ("ACTOR", "/actor"),
    ("TARGET", "/target"),
];
const RUNS: &[(&str, &str)] = &[
    ("RUN", "/run_id"),
    ("SINCE", "/since"),
    ("UNTIL", "/until"),
    ("REPOSITORY", "/repo"),
    ("BY", "/created_by"),
    ("POSITION", "/position"),
];
const BINDINGS: &[(&str, &str)] = &[
    ("SUBJECT", "/subject"),
    ("ROLE", "/role"),
    ("SCOPE", "/scope"),
    ("GRANTED BY", "/granted_by"),
];

/// Which events.
#[derive(Args)]
pub(super) struct EventsArgs {
    /// By whom: user:ID, pod:RUN/GENERATION, system:PART or kubernetes:ID.
    #[arg(long)]
    actor: Option<String>,
    /// About what: run-ID, session-ID and so on; of refusals, what they were for.
    #[arg(long)]
    target: Option<String>,
    /// Of this type, such as run.requested, or run.*
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// accepted or refused.
    #[arg(long)]
    outcome: Option<String>,
    /// Not before this time, such as 2026-01-31T08:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<DateTime<Utc>>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<DateTime<Utc>>,
    /// How many, the newest first.
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
}

/// Which runs.
#[derive(Args)]
#[group(skip)]
pub(super) struct RunsArgs {
    /// Those that could reach any public host at some time between --since and --until.
    #[arg(long, requires = "since", conflicts_with_all = ["credential", "image"])]
    full_egress: bool,
    /// Those that used this credential.
    #[arg(long, value_name = "ID", conflicts_with = "image")]
    credential: Option<Uuid>,
    /// Those of which a container ran the image of this digest, or of one that begins so.
    #[arg(long, value_name = "DIGEST")]
    image: Option<String>,
    /// From.
    #[arg(long, value_name = "TIME")]
    since: Option<DateTime<Utc>>,
    /// To; now unless told otherwise.
    #[arg(long, value_name = "TIME")]
    until: Option<DateTime<Utc>>,
}

fn query(path: &str, parts: Vec<(&str, Option<String>)>) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in parts {
        if let Some(value) = value {
            query.append_pair(name, &value);
        }
    }
    format!("{path}?{}", query.finish())
}

/// Prints events of the record.
pub(super) async fn events(client: &Client, args: EventsArgs, json: bool) -> anyhow::Result<()> {
    let time = |time: Option<DateTime<Utc>>| time.map(|time| time.to_rfc3339());
    let mut items: Vec<Value> = vec![];
    let mut cursor: Option<String> = None;
    while items.len() < args.limit {
        let path = query(
            "audit/events",
            vec![
                ("limit", Some((args.limit - items.len()).min(200).to_string())),
                ("cursor", cursor.take()),
                ("actor", args.actor.clone()),
                ("target", args.target.clone()),
                ("type", args.kind.clone()),
                ("outcome", args.outcome.clone()),
                ("since", time(args.since)),
                ("until", time(args.until)),
            ],
        );
        let mut page = client.get(&path).await?;
        if let Value::Array(more) = page["items"].take() {
            items.extend(more);
        }
        match page["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    output::print_list(json, &items, EVENTS, "nothing was recorded that fits");
    Ok(())
}

/// Prints the runs that something may have reached.
pub(super) async fn runs(client: &Client, args: RunsArgs, json: bool) -> anyhow::Result<()> {
    if !args.full_egress && args.credential.is_none() && args.image.is_none() {
        bail!(CliError::usage("say what by: --full-egress, --credential ID or --image DIGEST"));
    }
    let time = |time: Option<DateTime<Utc>>| time.map(|time| time.to_rfc3339());
    let parts = vec![
        ("egress", args.full_egress.then(|| "full".to_owned())),
        ("credential", args.credential.map(|id| id.to_string())),
        ("image", args.image),
        ("since", time(args.since)),
        ("until", time(args.until)),
    ];
    let answer = client.get(&query("audit/runs", parts)).await?;
    let items = answer["items"].as_array().cloned().unwrap_or_default();
    output::print_list(json, &items, RUNS, "no run");
    Ok(())
}

/// Prints the roles that held at a time.
pub(super) async fn access(client: &Client, at: DateTime<Utc>, json: bool) -> anyhow::Result<()> {
    let path = query("audit/role-bindings", vec![("at", Some(at.to_rfc3339()))]);
    let answer = client.get(&path).await?;
    let items = answer["items"].as_array().cloned().unwrap_or_default();
    output::print_list(json, &items, BINDINGS, "nobody had been given a role then");
    Ok(())
}

/// Holds the server to what it signed before, and prints its newest checkpoint.
pub(super) async fn checkpoint(client: &Client, json: bool) -> anyhow::Result<()> {
    let held = held(client).await?;
    let value = json!({
        "checkpoint": held.checkpoint.note(),
        "size": held.checkpoint.checkpoint().size,
        "key": held.key.as_str(),
        "before": held.before,
    });
    // The note alone is what is printed, so that it can be kept in a file.
    output::print(json, &value, |_| held.checkpoint.note().trim_end().to_owned());
    if !json {
        match held.before {
            Some(size) => eprintln!("goes on from the {size} positions that were seen before"),
            None => eprintln!("seen for the first time; compare the key: {}", held.key),
        }
    }
    Ok(())
}

/// What was signed, once a position is in it: where the log is signed at all, that takes a moment.
async fn covering(client: &Client, position: u64) -> anyhow::Result<Held> {
    let began = Instant::now();
    let mut told = false;
    loop {
        let held = held(client).await?;
        let size = held.checkpoint.checkpoint().size;
        if position <= size {
            return Ok(held);
        }
        if began.elapsed() > SIGNED {
            bail!("position {position} is not signed: {size} positions are");
        }
        if !told {
            eprintln!("waiting until position {position} is signed; {size} positions are");
            told = true;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Proves that an event is in what is signed, and checks that here.
pub(super) async fn proof(client: &Client, position: u64, json: bool) -> anyhow::Result<()> {
    let held = covering(client, position).await?;
    let size = held.checkpoint.checkpoint().size;
    let proven =
        client.get(&format!("audit/proof/inclusion?position={position}&size={size}")).await?;
    let event = client.get(&format!("audit/events/{position}")).await;
    let leaf = match &event {
        // With the right to see it, the leaf is made here of what is shown.
        Ok(event) => {
            let entry = event["entry"].as_str().context("an event without its entry")?;
            let stored = event["stored"].as_str().context("an event without its body")?;
            let hash = hex::encode(Sha256::digest(stored.as_bytes()));
            if !entry.contains(&format!("\"body_hash\":\"{hash}\"")) {
                bail!("IT DOES NOT HOLD: the body shown is not the one that was recorded");
            }
            Sha256::new().chain_update([0]).chain_update(entry.as_bytes()).finalize().into()
        }
        Err(_) => hex::decode(proven["leaf"].as_str().unwrap_or_default())
            .ok()
            .and_then(|leaf| leaf.try_into().ok())
            .context("a proof without a leaf")?,
    };
    let path = hashes(&proven["hashes"])?;
    if let Err(error) = proof::includes(held.checkpoint.checkpoint(), position, leaf, &path) {
        bail!("IT DOES NOT HOLD: {error}");
    }
    let value = json!({
        "holds": true,
        "position": position,
        "leaf": hex::encode(leaf),
        "hashes": proven["hashes"],
        "checkpoint": held.checkpoint.note(),
        "event": event.as_ref().map_or(Value::Null, |event| event["event"].clone()),
    });
    output::print(json, &value, |_| {
        let what = event
            .as_ref()
            .map_or_else(|_| "its leaf".to_owned(), |it| output::cell(it, "/event/type"));
        format!("position {position}, {what}, is in the {size} positions that {} signed", held.key)
    });
    Ok(())
}

/// Takes the whole record out as a file.
pub(super) async fn export(client: &Client, path: &Path, json: bool) -> anyhow::Result<()> {
    let held = held(client).await?;
    if path.exists() {
        bail!(CliError::usage(format!("{} is there already", path.display())));
    }
    let answer = client.open("audit/export", None).await?;
    let partial = PathBuf::from(format!("{}.partial", path.display()));
    let mut file =
        std::fs::File::create(&partial).with_context(|| partial.display().to_string())?;
    let mut bytes = answer.bytes_stream();
    let (mut written, mut told) = (0_u64, Instant::now());
    let shown = std::io::stderr().is_terminal();
    while let Some(part) = bytes.next().await {
        let part = part.context("the export broke off; try again")?;
        file.write_all(&part)?;
        written += part.len() as u64;
        if shown && told.elapsed().as_millis() > 500 {
            told = Instant::now();
            eprint!("\r{} MiB ", written >> 20);
        }
    }
    file.sync_all()?;
    std::fs::rename(&partial, path)?;
    let value =
        json!({ "file": path.display().to_string(), "bytes": written, "key": held.key.as_str() });
    output::print(json, &value, |_| {
        format!(
            "{written} bytes; verify them with: paddock audit verify {} --key '{}'",
            path.display(),
            held.key
        )
    });
    Ok(())
}

/// Erases texts.
pub(super) async fn erase(client: &Client, texts: &[Uuid], json: bool) -> anyhow::Result<()> {
    let body = json!({ "texts": texts });
    let done = client.send(Method::POST, "audit/erasures", Some(&body)).await?;
    output::print(json, &done, |done| {
        let count = |name: &str| done[name].as_array().map_or(0, Vec::len);
        let mut lines = vec![format!(
            "erased {} texts, the output of {} runs and {} bundles",
            count("texts"),
            count("runs"),
            count("bundles"),
        )];
        if count("waiting") > 0 {
            lines.push(format!("{} bundles wait for the store to answer", count("waiting")));
        }
        lines.push("not reached:".to_owned());
        let not = done["not_reached"].as_array().into_iter().flatten().filter_map(Value::as_str);
        lines.extend(not.map(|what| format!("  {what}")));
        lines.join("\n")
    });
    Ok(())
}
