//! Every way in which a run can end other than well.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::support::{Installation, REPO, git};

#[tokio::test]
async fn a_model_that_is_down_fails_the_run_in_its_own_words() -> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let session = paddock.session("Down").await?;
    let run = paddock.run(&session, "fail-500").await?;
    let ended = paddock.wait_end(&run).await?;
    ensure!(ended["outcome"] == "failed", "{ended:#}");
    let reason = ended["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("down for maintenance"), "{ended:#}");
    ensure!(paddock.pull_requests().await?.is_empty(), "published all the same");
    paddock.down().await
}

#[tokio::test]
async fn cancelled_while_running_it_publishes_nothing_and_the_session_goes_on() -> anyhow::Result<()>
{
    let mut paddock = Installation::start().await?;
    let session = paddock.session("Stop it").await?;
    let run = paddock.run(&session, "never-finish").await?;
    paddock.wait_state(&run, "running").await?;
    paddock.post(&format!("runs/{run}/cancel"), Value::Null).await?;
    let ended = paddock.wait_end(&run).await?;
    ensure!(ended["outcome"] == "cancelled", "{ended:#}");
    let next = paddock.run(&session, "leftovers").await?;
    paddock.wait_success(&next).await?;
    paddock.down().await
}

#[tokio::test]
async fn cancelled_while_queued_and_while_provisioning() -> anyhow::Result<()> {
    let mut paddock = Installation::start_with(&[("PADDOCK_MAX_RUNS", "1")]).await?;
    let first = paddock.session("First").await?;
    let busy = paddock.run(&first, "never-finish").await?;
    let second = paddock.session("Second").await?;
    let queued = paddock.run(&second, "leftovers").await?;
    let waits = paddock
        .wait(&queued, "waiting with a reason", |run| {
            run["state"] == "queued"
                && run["reason"].as_str().is_some_and(|text| text.contains("1 of 1"))
        })
        .await?;
    ensure!(waits["allowed_actions"].to_string().contains("cancel"), "{waits:#}");
    paddock.post(&format!("runs/{queued}/cancel"), Value::Null).await?;
    ensure!(paddock.wait_end(&queued).await?["outcome"] == "cancelled");
    paddock.post(&format!("runs/{busy}/cancel"), Value::Null).await?;
    ensure!(paddock.wait_end(&busy).await?["outcome"] == "cancelled");

    let third = paddock.session("Third").await?;
    let early = paddock.run(&third, "leftovers").await?;
    paddock.wait(&early, "admitted", |run| run["state"] != "queued").await?;
    paddock.post(&format!("runs/{early}/cancel"), Value::Null).await?;
    ensure!(paddock.wait_end(&early).await?["outcome"] == "cancelled");
    paddock.down().await
}

#[tokio::test]
async fn a_deadline_ends_the_run() -> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let session = paddock.session("Slow").await?;
    let body = json!({ "prompt": "[scenario: never-finish] Begin.", "deadline_seconds": 60 });
    let run = paddock.run_with(&session, body).await?;
    let ended = paddock.wait_end(&run).await?;
    ensure!(ended["outcome"] == "failed", "{ended:#}");
    ensure!(
        ended["reason"].as_str().is_some_and(|reason| reason.contains("deadline")),
        "{ended:#}"
    );
    paddock.down().await
}

#[tokio::test]
async fn a_pull_request_that_cannot_be_opened_is_tried_again_and_can_be_resumed()
-> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    paddock.forge_fault("POST", "/api/v3/repos", 502, 1000).await?;
    let session = paddock.session("Publish later").await?;
    let run = paddock.run(&session, "leftovers").await?;
    let ended = paddock.wait_end(&run).await?;
    ensure!(ended["outcome"] == "failed", "{ended:#}");
    let branch = ended["branch"].as_str().unwrap_or_default();
    git(&paddock.bare_repository(), &["rev-parse", branch])?;
    let tries = paddock.events(&run).await?;
    let tries = tries.iter().filter(|name| *name == "run.publish.failed").count();
    ensure!(tries > 1, "tried {tries} times");
    ensure!(ended["allowed_actions"].to_string().contains("publish"), "{ended:#}");

    paddock.forge_fault("POST", "/api/v3/repos", 502, 0).await?;
    paddock.post(&format!("runs/{run}/publish"), Value::Null).await?;
    let path = format!("runs/{run}");
    for _ in 0..200 {
        if paddock.get(&path).await?["pull_request"]["number"].is_u64() {
            ensure!(paddock.pull_requests().await?.len() == 1);
            return paddock.down().await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    anyhow::bail!("no pull request after all: {:#}", paddock.get(&path).await?)
}

#[tokio::test]
async fn a_branch_of_somebody_else_is_not_touched() -> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let session = paddock.session("Taken").await?;
    let branch = paddock.get(&format!("sessions/{session}")).await?["branch"].clone();
    let branch = branch.as_str().unwrap_or_default();
    git(&paddock.bare_repository(), &["branch", branch, "main"])?;
    let before = git(&paddock.bare_repository(), &["rev-parse", branch])?;
    let run = paddock.run(&session, "leftovers").await?;
    let ended = paddock.wait_end(&run).await?;
    ensure!(ended["outcome"] == "failed", "{ended:#}");
    ensure!(ended["reason"].as_str().is_some_and(|reason| reason.contains("branch")), "{ended:#}");
    ensure!(git(&paddock.bare_repository(), &["rev-parse", branch])? == before);
    paddock.down().await
}

#[tokio::test]
async fn a_permission_that_nobody_answers_is_refused_after_its_time() -> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let session = paddock.session("Nobody there").await?;
    let body = json!({
        "prompt": "[scenario: ask-permission] Go.", "profile": "careful", "input_timeout_seconds": 2,
    });
    let run = paddock.run_with(&session, body).await?;
    paddock.wait_end(&run).await?;
    let events = paddock.get(&format!("runs/{run}/events?limit=200")).await?;
    ensure!(
        events.to_string().contains("timed_out") || events.to_string().contains("timed out"),
        "{events:#}"
    );
    paddock.down().await
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_refused_before_anything_starts() -> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let body = json!({ "repo": "octo-demo/nowhere", "title": "x" });
    let (status, problem) = paddock.call(reqwest::Method::POST, "sessions", Some(body)).await?;
    ensure!(status == 422 || status == 404, "{status} {problem}");
    ensure!(problem.to_string().contains("repo"), "{problem}");
    let sessions = paddock.get("sessions").await?;
    ensure!(sessions["items"].as_array().is_some_and(Vec::is_empty), "{sessions} after {REPO}");
    paddock.down().await
}
