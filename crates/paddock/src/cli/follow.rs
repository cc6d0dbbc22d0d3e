//! Following a run: its state and reason as they change, and what the agent puts out.

use std::{io::Write as _, process::ExitCode, time::Duration};

use eventsource_stream::Eventsource as _;
use futures::StreamExt as _;
use link::Item;
use serde_json::{Value, json};

use super::{Client, error::CliError, output};

/// How a followed run ended.
#[derive(Debug)]
pub(crate) struct Followed {
    /// The run, as the server answers it.
    pub(crate) run: Value,
}

impl Followed {
    /// 0 when it succeeded, 1 otherwise.
    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.succeeded() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// Whether it ended well.
    pub(crate) fn succeeded(&self) -> bool {
        self.run["outcome"] == "succeeded"
    }
}

/// Prints what happens to a run that a command has just made.
pub(crate) async fn follow_new(
    client: &Client,
    made: &Value,
    json: bool,
) -> anyhow::Result<Followed> {
    let text = |name: &str| made[name].as_str().unwrap_or_default();
    // A command answers before its effect can be read.
    let at_least = format!("{}@{}", text("stream"), made["version"]);
    client.get(&format!("runs/{}?at_least={at_least}", text("id"))).await?;
    follow(client, text("id"), json).await
}

/// Prints what happens to `run` until it has ended. A server that goes away is waited for.
pub(crate) async fn follow(client: &Client, run: &str, json: bool) -> anyhow::Result<Followed> {
    let mut printer = Printer { json, ..Printer::default() };
    let output = print_output(client, run, true, json);
    tokio::pin!(output);
    let mut output_open = true;
    let mut away = false;
    let run = loop {
        match client.get(&format!("runs/{run}")).await {
            Ok(run) => {
                away = false;
                printer.state(&run);
                if !run["finished_at"].is_null() {
                    break run;
                }
            }
            Err(error) if is_unreachable(&error) => {
                if !std::mem::replace(&mut away, true) {
                    eprintln!("… the server is away; waiting for it");
                }
            }
            Err(error) => return Err(error),
        }
        tokio::select! {
            result = &mut output, if output_open => {
                output_open = false;
                result?;
            }
            () = tokio::time::sleep(Duration::from_millis(300)) => {}
        }
    };
    if output_open {
        let _ = tokio::time::timeout(Duration::from_secs(5), output).await;
    }
    printer.end(&run);
    Ok(Followed { run })
}

/// Prints a run's stored output, and what is added to it if `follow`.
pub(crate) async fn logs(
    client: &Client,
    run: &str,
    follow: bool,
    json: bool,
) -> anyhow::Result<()> {
    print_output(client, run, follow, json).await
}

fn is_unreachable(error: &anyhow::Error) -> bool {
    error.downcast_ref::<CliError>().is_some_and(|error| error.code == super::error::UNREACHABLE)
}

/// Prints output items, resuming from the last one when the connection breaks.
async fn print_output(client: &Client, run: &str, follow: bool, json: bool) -> anyhow::Result<()> {
    let mut last: Option<String> = None;
    let path = format!("runs/{run}/output{}", if follow { "" } else { "?follow=false" });
    loop {
        let response = match client.open(&path, last.as_deref()).await {
            Ok(response) => response,
            Err(error) if follow && is_unreachable(&error) => {
                tokio::time::sleep(Duration::from_millis(500)).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        let mut events = response.bytes_stream().eventsource();
        while let Some(Ok(event)) = events.next().await {
            if event.event == "end" {
                return Ok(());
            }
            print_item(&event.data, json);
            if !event.id.is_empty() {
                last = Some(event.id);
            }
        }
        if !follow {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn print_item(data: &str, json: bool) {
    if json {
        println!("{data}");
        return;
    }
    let Ok(item) = serde_json::from_str::<Item>(data) else { return };
    let mut out = std::io::stdout().lock();
    let _ = match item {
        Item::Text { text, .. } => write!(out, "{}", output::inert(&text)),
        Item::Part { part, .. } if part["type"] == "tool" => {
            tool(&part).map_or(Ok(()), |line| writeln!(out, "\n  {}", output::inert(&line)))
        }
        Item::Gap { reason } => writeln!(out, "\n  [left out: {}]", output::inert(&reason)),
        Item::Part { .. } | Item::Message { .. } | Item::Removed { .. } => Ok(()),
    };
    let _ = out.flush();
}

/// A finished tool call in one line.
fn tool(part: &Value) -> Option<String> {
    let status = part["state"]["status"].as_str()?;
    if !matches!(status, "completed" | "error") {
        return None;
    }
    let name = part["tool"].as_str().unwrap_or("tool");
    let title = part["state"]["title"].as_str().unwrap_or_default();
    Some(format!("[{name}: {title} – {status}]"))
}

/// Prints each change of state once.
#[derive(Default)]
struct Printer {
    json: bool,
    last: Option<(Value, Value)>,
}

impl Printer {
    fn state(&mut self, run: &Value) {
        let now = (run["state"].clone(), run["reason"].clone());
        if self.last.as_ref() == Some(&now) {
            return;
        }
        if self.json {
            println!("{}", json!({ "state": now.0, "reason": now.1 }));
        } else {
            let reason = now.1.as_str().map(|reason| format!(" – {reason}")).unwrap_or_default();
            println!("● {}{}", output::cell(run, "/state"), output::inert(&reason));
        }
        self.last = Some(now);
    }

    fn end(&self, run: &Value) {
        if self.json {
            println!("{run}");
        } else if let Some(url) = run["pull_request"]["url"].as_str() {
            println!("pull request: {}", output::inert(url));
        }
    }
}
