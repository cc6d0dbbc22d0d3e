//! The control plane goes and comes back; the agent does not notice.

use std::time::Duration;

use anyhow::ensure;

use crate::support::{Installation, opencode_pid, signal};

/// Every line of `line 1` … `line 20000` once and in order, in what the assistant said.
fn numbered_lines(items: &[link::Item]) -> anyhow::Result<usize> {
    let mut fold = link::Fold::default();
    for item in items {
        fold.push(item);
    }
    let messages = fold.messages();
    let text: String = messages
        .iter()
        .filter(|message| message.info["role"] == "assistant")
        .flat_map(|message| &message.parts)
        .filter(|part| part["type"] == "text")
        .filter_map(|part| part["text"].as_str())
        .collect();
    let mut next = 1;
    for line in text.lines() {
        if let Some(number) = line.strip_prefix("line ") {
            let number: usize = number.trim().parse()?;
            ensure!(number == next, "line {number} where {next} was due");
            next += 1;
        }
    }
    Ok(next - 1)
}

#[tokio::test]
async fn twenty_thousand_lines_survive_six_kills_of_serve_and_sidecar() -> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let session = paddock.session("Count").await?;
    let run = paddock.run(&session, "numbered-lines").await?;
    paddock.wait_state(&run, "running").await?;
    for round in 0..6 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        if round % 2 == 0 {
            paddock.kill_part("serve")?;
        } else {
            signal(paddock.sidecar_pid(&run)?, "KILL")?;
        }
    }
    paddock.wait_success(&run).await?;
    let stored = paddock.output(&run).await?;
    ensure!(numbered_lines(&stored)? == 20_000, "{} lines", numbered_lines(&stored)?);
    let events = paddock.events(&run).await?;
    ensure!(!events.iter().any(|name| name == "run.lost"), "{events:?}");
    paddock.down().await
}

#[tokio::test]
async fn a_model_call_in_flight_outlives_up_itself() -> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let session = paddock.session("Slow and steady").await?;
    let run = paddock.run(&session, "slow").await?;
    paddock.wait_state(&run, "running").await?;
    let calls = |paddock: &Installation| -> anyhow::Result<usize> {
        let log = paddock.model_log()?;
        Ok(log
            .iter()
            .filter(|call| call["messages"].to_string().contains("[scenario: slow]"))
            .count())
    };
    while calls(&paddock)? == 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let serve = paddock.pid("serve")?;
    let before = calls(&paddock)?;
    paddock.kill_up().await?;
    signal(serve, "KILL")?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    paddock.up().await?;
    paddock.wait_success(&run).await?;
    // The scenario answers in as many calls as it has steps; a call that was cut would be made again.
    let retried = calls(&paddock)?;
    ensure!(retried >= before, "the log went backwards");
    let events = paddock.events(&run).await?;
    ensure!(!events.iter().any(|name| name == "run.lost"), "{events:?}");
    paddock.down().await
}

#[tokio::test]
async fn an_opencode_that_is_killed_is_retried_from_the_last_snapshot() -> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let session = paddock.session("Killed").await?;
    let run = paddock.run(&session, "slow").await?;
    paddock.wait_state(&run, "running").await?;
    let inside = opencode_pid(&run)?;
    signal(inside, "KILL")?;
    paddock.wait_success(&run).await?;
    let events = paddock.events(&run).await?;
    for name in ["run.lost", "run.retried"] {
        ensure!(events.iter().any(|event| event == name), "no {name} in {events:?}");
    }
    paddock.down().await
}
