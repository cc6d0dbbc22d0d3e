//! The page in a browser: how heavy it is, and what long lists and long transcripts cost it. An installation is filled
//! here; `web/bench/page.mjs` measures.

use std::process::Stdio;

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use link::Item;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tokio::{
    process::Command,
    time::{Duration, MissedTickBehavior, interval},
};
use uuid::Uuid;

use crate::{
    Scale,
    report::{Goal, Report},
    support::{Installation, program},
};

/// Sessions in the list, and how many of them change each second.
const SESSIONS: usize = 500;
const LIVE: usize = 20;
/// Parts of the long transcript, and in each of its messages.
const PARTS: usize = 50_000;
const TOGETHER: usize = 100;
/// The most bytes of a piece of text in one item.
const PIECE: usize = 128 * 1024;

/// A measurement, as the script prints it.
#[derive(Deserialize)]
struct Measured {
    name: String,
    unit: String,
    values: Vec<f64>,
    most: Option<f64>,
}

pub(crate) async fn in_a_browser(scale: &Scale, report: &mut Report) -> anyhow::Result<()> {
    let installation = &Installation::start().await?;
    let long = ended(installation, "A long one").await?;
    let hostile = ended(installation, "A wide one").await?;
    let last = fill(installation, &long, long_transcript()).await?;
    fill(installation, &hostile, wide_transcript()).await?;
    let sessions: Vec<String> = stream::iter(0..SESSIONS)
        .map(|number| async move { installation.session(&format!("Session {number}")).await })
        .buffered(8)
        .try_collect()
        .await?;
    let measured = tokio::select! {
        measured = measure(scale, installation, [&long, &last, &hostile]) => measured?,
        changed = change(installation, &sessions[..LIVE]) => match changed? {},
    };
    for Measured { name, unit, values, most } in measured {
        let unit = ["ms", "kB", "%", "nodes"].into_iter().find(|known| *known == unit);
        let unit = unit.context("a unit that is not known")?;
        report.values(name, unit, values, most.map_or(Goal::None, Goal::AtMost));
    }
    Ok(())
}

/// A run that has ended, to be filled.
async fn ended(installation: &Installation, title: &str) -> anyhow::Result<String> {
    let session = installation.session(title).await?;
    let run = installation.run(&session, "empty-diff").await?;
    installation.wait_success(&run).await?;
    Ok(run)
}

/// Puts items behind a run's stored output, as the link stores them; the id of the last part.
async fn fill(installation: &Installation, run: &str, items: Vec<Item>) -> anyhow::Result<String> {
    let socket = installation.data().join("postgres/socket");
    let url = format!("postgres:///paddock?host={}&user=paddock_owner", socket.display());
    let mut connection = PgConnection::connect(&url).await?;
    let run: Uuid = run.parse()?;
    let newest: i64 =
        sqlx::query_scalar("select coalesce(max(seq), 0) from runtime.run_output where run = $1")
            .bind(run)
            .fetch_one(&mut connection)
            .await?;
    let mut last = String::new();
    let mut seq = newest;
    for lot in items.chunks(2_000) {
        let (mut seqs, mut packed, mut bytes, mut keys, mut messages) =
            (vec![], vec![], vec![], vec![], vec![]);
        for item in lot {
            seq += 1;
            let (part, message) = match item {
                Item::Part { id, message, .. } => {
                    last.clone_from(id);
                    (Some(id.clone()), Some(message.clone()))
                }
                Item::Text { part, .. } => (Some(part.clone()), None),
                Item::Message { id, .. } => (None, Some(id.clone())),
                Item::Removed { .. } | Item::Gap { .. } => (None, None),
            };
            let (zstd, item) = commands::output::pack(serde_json::to_vec(item)?);
            seqs.push(seq);
            packed.push(zstd);
            bytes.push(item);
            keys.push(part.map(String::into_bytes));
            messages.push(message.map(String::into_bytes));
        }
        sqlx::query(
            "with item as (
               select * from unnest($2::bigint[], $3::boolean[], $4::bytea[], $5::bytea[], $6::bytea[])
                 as t(seq, zstd, item, part, message)
             ), stored as (
               insert into runtime.run_output (run, seq, zstd, item, part)
               select $1, seq, zstd, item, part from item
             ), part as (
               insert into runtime.run_part as known (run, part, message, bytes)
               select $1, part, (array_agg(message) filter (where message is not null))[1],
                      sum(length(item)) from item
               where part is not null group by part
               on conflict (run, part) do update set bytes = known.bytes + excluded.bytes
             )
             insert into runtime.run_message (run, message, seq)
             select $1, message, seq from item where part is null and message is not null",
        )
        .bind(run)
        .bind(seqs)
        .bind(packed)
        .bind(bytes)
        .bind(keys)
        .bind(messages)
        .execute(&mut connection)
        .await?;
    }
    ensure!(!last.is_empty(), "nothing was stored");
    Ok(last)
}

/// Messages of many tool calls, as a long piece of work has them, with prose in between. Ids sort behind OpenCode's own.
fn long_transcript() -> Vec<Item> {
    let mut items = vec![];
    for lot in 0..PARTS / TOGETHER {
        let message = format!("msg_z{lot:06}");
        items.push(begun(&message));
        for place in 0..TOGETHER {
            let number = lot * TOGETHER + place;
            let id = format!("prt_z{number:07}");
            let (part, field, text) = if number.is_multiple_of(10) {
                let text =
                    format!("Step {number}: I look at **what** `it` says.\n\n- one\n- two\n");
                (json!({ "type": "text" }), "/text", text)
            } else {
                let input =
                    json!({ "command": format!("make step-{number}"), "description": "A step" });
                let state = json!({ "status": "completed", "input": input, "title": "make",
                    "time": { "start": 1_790_000_000_000_u64, "end": 1_790_000_001_000_u64 } });
                let part = json!({ "type": "tool", "tool": "bash", "callID": id, "state": state });
                (part, "/state/output", "a line of output\n".repeat(12))
            };
            push(&mut items, &message, &id, part, field, &text);
        }
    }
    items
}

/// One line of 5 MB, and ten thousand lines.
fn wide_transcript() -> Vec<Item> {
    let message = "msg_z";
    let mut items = vec![begun(message)];
    let line = "x\u{202e}<b>\u{1b}[31m ".repeat(5_000_000 / 13);
    push(&mut items, message, "prt_z1", json!({ "type": "text" }), "/text", &line);
    let coloured = |n: usize| format!("{n}: \u{1b}[3{}mcolour\u{1b}[0m", n % 8);
    let lines = (0..10_000).map(coloured).collect::<Vec<_>>().join("\n");
    let state = json!({ "status": "completed", "input": { "command": "seq" }, "title": "seq" });
    let part = json!({ "type": "tool", "tool": "bash", "callID": "c", "state": state });
    push(&mut items, message, "prt_z2", part, "/state/output", &lines);
    items
}

fn begun(message: &str) -> Item {
    let info = json!({ "id": message, "role": "assistant", "modelID": "scripted", "providerID": "paddock",
        "time": { "created": 1_790_000_000_000_u64 } });
    Item::Message { id: message.to_owned(), info }
}

/// A part, and its text in pieces.
fn push(items: &mut Vec<Item>, message: &str, id: &str, mut part: Value, field: &str, text: &str) {
    part["id"] = json!(id);
    part["messageID"] = json!(message);
    items.push(Item::Part { message: message.to_owned(), id: id.to_owned(), part });
    let mut offset = 0;
    while offset < text.len() {
        let end = text.floor_char_boundary((offset + PIECE).min(text.len()));
        items.push(Item::Text {
            part: id.to_owned(),
            field: field.to_owned(),
            offset: offset as u64,
            text: text[offset..end].to_owned(),
        });
        offset = end;
    }
}

/// Renames each of these sessions once a second, spread over it.
async fn change(
    installation: &Installation,
    sessions: &[String],
) -> anyhow::Result<std::convert::Infallible> {
    let mut tick = interval(Duration::from_secs(1) / u32::try_from(sessions.len())?);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for (number, session) in sessions.iter().cycle().enumerate() {
        tick.tick().await;
        let body = json!({ "title": format!("Changed as number {number}") });
        let path = format!("sessions/{session}");
        let (status, answer) = installation.call(Method::PATCH, &path, Some(body)).await?;
        ensure!(status.is_success(), "{status} {answer}");
    }
    anyhow::bail!("there is no session to change")
}

async fn measure(
    scale: &Scale,
    installation: &Installation,
    [long, last, hostile]: [&str; 3],
) -> anyhow::Result<Vec<Measured>> {
    let login = Command::new(program("paddock")?)
        .args(["login", "--json", "--data-dir"])
        .arg(installation.data())
        .output()
        .await?;
    let login: Value = serde_json::from_slice(&login.stdout).context("no sign-in link")?;
    let link = login["url"].as_str().context("no sign-in link")?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/web");
    let output = Command::new(script)
        .args(["bench", &installation.url, link, long, last, hostile])
        .env("ROUNDS", scale.rounds.to_string())
        .env("SECONDS", if scale.rounds > 8 { "10" } else { "5" })
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await?;
    ensure!(output.status.success(), "the page could not be measured");
    serde_json::from_slice(&output.stdout).context("not what was to be measured")
}
