//! The main job.

use anyhow::{Context as _, ensure};
use serde_json::json;

use crate::support::{Installation, REPO, git};

#[tokio::test]
async fn an_issue_becomes_a_pull_request_and_a_second_prompt_changes_the_same_branch()
-> anyhow::Result<()> {
    let mut paddock = Installation::start().await?;
    let issue = paddock.get(&format!("repositories/{REPO}/issues/1")).await?;
    let prompt = format!("{}\n\n{}", issue["title"], issue["body"]);
    let made = paddock.post("sessions", json!({ "repo": REPO, "issue": 1 })).await?;
    let session = made["id"].as_str().context("no id")?;

    let run = paddock.run_with(session, json!({ "prompt": prompt })).await?;
    let ended = paddock.wait_success(&run).await?;
    let number = ended["pull_request"]["number"].as_u64().context("no pull request")?;
    let branch = ended["branch"].as_str().context("no branch")?.to_owned();
    let first = git(&paddock.bare_repository(), &["rev-parse", &branch])?;
    let pulls = paddock.pull_requests().await?;
    ensure!(pulls.len() == 1 && pulls[0]["number"] == number, "{pulls:?}");
    ensure!(pulls[0]["body"].as_str().is_some_and(|body| body.contains("Closes #1")), "{pulls:?}");
    ensure!(pulls[0]["head"]["sha"].as_str() == Some(first.trim()), "{pulls:?}");

    let events = paddock.events(&run).await?;
    for name in [
        "run.requested",
        "run.prompt.submitted",
        "run.admitted",
        "run.workload.created",
        "run.fence.verified",
        "run.restored",
        "run.ready",
        "run.idle",
        "run.finish.requested",
        "run.branch.pushed",
        "run.pull_request.opened",
        "run.snapshot.stored",
        "run.succeeded",
    ] {
        ensure!(events.iter().any(|event| event == name), "no {name} in {events:?}");
    }

    // The log holds what the output was: whoever reads it can compute the same.
    let removed = paddock.removed(&run).await?;
    let output = paddock.raw_output(&run).await?;
    let digest = commands::output::digest_of(output.iter().map(String::as_str));
    ensure!(!output.is_empty() && removed.ends_with(&digest), "{removed}, not {digest}");

    let prompt = "[scenario: leftovers] Also say goodbye.";
    let again = paddock.run_with(session, json!({ "prompt": prompt })).await?;
    let ended = paddock.wait_success(&again).await?;
    ensure!(ended["pull_request"]["number"].as_u64() == Some(number), "{ended:#}");
    let second = git(&paddock.bare_repository(), &["rev-parse", &branch])?;
    ensure!(first != second, "the second prompt changed nothing");
    // What the agent left uncommitted was committed for it, by name and with the run's page.
    let log = git(&paddock.bare_repository(), &["log", "--format=%an|%cn|%B", &branch])?;
    ensure!(log.contains("Paddock-Run: "), "{log}");
    git(&paddock.bare_repository(), &["merge-base", "--is-ancestor", first.trim(), second.trim()])?;
    ensure!(paddock.pull_requests().await?.len() == 1, "a second pull request");
    paddock.down().await
}

/// On the newest NATS where `NATS_SERVER` names one; the other journeys are on Debian's.
#[tokio::test]
async fn a_run_that_changes_nothing_succeeds_without_a_pull_request() -> anyhow::Result<()> {
    let newest = std::env::var("NATS_SERVER").unwrap_or_else(|_| "nats-server".to_owned());
    let mut paddock = Installation::start_with(&[("PADDOCK_NATS_SERVER", &newest)]).await?;
    let session = paddock.session("Look around").await?;
    let run = paddock.run(&session, "empty-diff").await?;
    let ended = paddock.wait_success(&run).await?;
    ensure!(ended["pull_request"].is_null(), "{ended:#}");
    ensure!(
        ended["reason"].as_str().is_some_and(|reason| reason.contains("no changes")),
        "{ended:#}"
    );
    ensure!(paddock.pull_requests().await?.is_empty(), "a pull request for nothing");
    paddock.down().await
}
