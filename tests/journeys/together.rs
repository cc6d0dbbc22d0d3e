//! Several runs on one machine.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use crate::support::Installation;

#[tokio::test]
async fn four_runs_work_at_once_and_the_fifth_waits_with_its_reason() -> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let mut runs = Vec::new();
    for number in 0..4 {
        let session = paddock.session(&format!("Task {number}")).await?;
        runs.push(paddock.run(&session, "slow").await?);
    }
    for run in &runs {
        paddock.wait_state(run, "running").await?;
    }
    let session = paddock.session("The fifth").await?;
    let fifth = paddock.run(&session, "leftovers").await?;
    paddock
        .wait(&fifth, "waiting with its reason", |run| {
            run["state"] == "queued"
                && run["reason"].as_str().is_some_and(|text| text.contains("4 of 4"))
        })
        .await?;
    runs.push(fifth);
    for run in &runs {
        let ended = paddock.wait_end(run).await?;
        ensure!(ended["outcome"] == "succeeded", "{ended:#}");
    }
    paddock.down().await
}

#[tokio::test]
async fn with_too_little_memory_a_run_waits_and_says_so() -> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let session = paddock.session("No room").await?;
    let body = json!({ "prompt": "[scenario: leftovers] Go.", "profile": "huge" });
    let run = paddock.run_with(&session, body).await?;
    paddock
        .wait(&run, "waiting for memory", |run| {
            run["state"] == "queued"
                && run["reason"].as_str().is_some_and(|text| text.contains("memory"))
        })
        .await?;
    paddock.down().await
}

/// A bomb in one run, an ordinary second run beside it: only the first may suffer.
async fn beside_a_bomb(scenario: &str) -> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let session = paddock.session("Bomb").await?;
    let body = json!({ "prompt": format!("[scenario: {scenario}] Go."), "profile": "small" });
    let bomb = paddock.run_with(&session, body).await?;
    paddock.wait(&bomb, "begun", |run| run["state"] == "running").await?;
    let session = paddock.session("Bystander").await?;
    let bystander = paddock.run(&session, "leftovers").await?;
    paddock.wait_success(&bystander).await?;
    // However it ends, it ends: by itself, or at its deadline and the three minutes that a last snapshot has.
    let patience = Duration::from_mins(5);
    paddock.wait_within(patience, &bomb, "ended", |run| !run["finished_at"].is_null()).await?;
    paddock.down().await
}

#[tokio::test]
async fn a_fork_bomb_hurts_its_own_run_only() -> anyhow::Result<()> {
    beside_a_bomb("fork-bomb").await
}

#[tokio::test]
async fn a_memory_bomb_hurts_its_own_run_only() -> anyhow::Result<()> {
    beside_a_bomb("memory-bomb").await
}

#[tokio::test]
async fn a_full_disk_hurts_its_own_run_only() -> anyhow::Result<()> {
    beside_a_bomb("disk-full").await
}
