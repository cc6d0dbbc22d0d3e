//! Ends that come from outside: a link that is gone, a repository that is gone, a cancellation at the last moment.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::support::{Installation, REPO, signal};

#[tokio::test]
async fn a_link_that_is_gone_for_longer_than_its_limit_ends_the_run() -> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let session = paddock.session("Cut off").await?;
    let body = json!({ "prompt": "[scenario: never-finish] Begin.", "profile": "brief" });
    let run = paddock.run_with(&session, body).await?;
    paddock.wait_state(&run, "running").await?;
    // It lives, and says nothing any more.
    let sidecar = paddock.sidecar_pid(&run)?;
    signal(sidecar, "STOP")?;
    let ended = paddock.wait_end(&run).await?;
    ensure!(ended["outcome"] == "failed" && ended["failure"] == "link_lost", "{ended:#}");
    ensure!(ended["reason"].is_string(), "{ended:#}");
    // Nothing of it stays.
    for _ in 0..300 {
        if !std::path::Path::new(&format!("/proc/{sidecar}")).exists() {
            return paddock.down().await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    anyhow::bail!("the sidecar {sidecar} is still there")
}

#[tokio::test]
async fn a_repository_that_is_gone_or_shut_when_it_is_cloned_fails_the_run_in_words()
-> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    for status in [404, 403] {
        let session = paddock.session(&format!("Answered {status}")).await?;
        paddock.forge_fault("GET", &format!("/{REPO}.git"), status, 1000).await?;
        let run = paddock.run(&session, "leftovers").await?;
        let ended = paddock.wait_end(&run).await?;
        ensure!(ended["outcome"] == "failed" && ended["failure"] == "repository", "{ended:#}");
        let reason = ended["reason"].as_str().unwrap_or_default();
        ensure!(reason.contains("repository"), "{ended:#}");
        paddock.forge_fault("GET", &format!("/{REPO}.git"), status, 0).await?;
    }
    ensure!(paddock.pull_requests().await?.is_empty());
    paddock.down().await
}

#[tokio::test]
async fn cancelled_while_publishing_it_opens_no_pull_request() -> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    paddock.forge_fault("POST", "/api/v3/repos", 502, 1000).await?;
    let session = paddock.session("Changed my mind").await?;
    let run = paddock.run(&session, "leftovers").await?;
    paddock.wait_state(&run, "publishing").await?;
    paddock.post(&format!("runs/{run}/cancel"), Value::Null).await?;
    let ended = paddock.wait_end(&run).await?;
    ensure!(ended["outcome"] == "cancelled", "{ended:#}");
    paddock.forge_fault("POST", "/api/v3/repos", 502, 0).await?;
    // The session can be resumed from there, and then it is published.
    let next = paddock.run(&session, "empty-diff").await?;
    paddock.wait_success(&next).await?;
    ensure!(paddock.pull_requests().await?.len() == 1, "the next run publishes what is there");
    paddock.down().await
}
