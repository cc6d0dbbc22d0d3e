//! The main job, by pods.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::{
    audit::Audit,
    cluster::World,
    support::{REPO, git},
};

#[tokio::test]
async fn an_issue_becomes_a_pull_request_by_a_pod_that_proved_its_fence() -> anyhow::Result<()> {
    let audit = Audit::from_now();
    let world = World::start().await?;
    let paddock = &world.paddock;
    let issue = paddock.get(&format!("repositories/{REPO}/issues/1")).await?;
    let prompt = format!("{}\n\n{}", issue["title"], issue["body"]);
    let made = paddock.post("sessions", json!({ "repo": REPO, "issue": 1 })).await?;
    let session = made["id"].as_str().context("no id")?;
    let run = paddock.run_with(session, json!({ "prompt": prompt })).await?;
    let ended = paddock.wait_success(&run).await?;

    let number = ended["pull_request"]["number"].as_u64().context("no pull request")?;
    let branch = ended["branch"].as_str().context("no branch")?;
    let head = git(&paddock.bare_repository(), &["rev-parse", branch])?;
    let pulls = paddock.pull_requests().await?;
    ensure!(pulls.len() == 1 && pulls[0]["number"] == number, "{pulls:?}");
    ensure!(pulls[0]["head"]["sha"].as_str() == Some(head.trim()), "{pulls:?}");
    ensure!(ended["sandbox"] == "pod", "{ended:#}");
    // What no pod may reach was not reached, and the canary answered somebody else meanwhile.
    let fence = ended["fence"].as_array().context("no proof")?;
    for target in ["the control plane", "the API server", "the node"] {
        let probe = fence.iter().find(|probe| probe["target"] == target);
        let verdict = probe.with_context(|| format!("{target} was not tried"))?["verdict"].as_str();
        ensure!(matches!(verdict, Some("refused" | "timed_out")), "{target}: {verdict:?}");
    }
    let events = paddock.events(&run).await?;
    let at = |name: &str| events.iter().position(|event| event == name);
    ensure!(at("run.fence.verified") < at("run.restored"), "{events:?}");
    paddock.removed(&run).await?;
    // The last states are told within a second or two.
    tokio::time::sleep(Duration::from_secs(3)).await;
    if let Some(audit) = audit {
        let mut writes = audit.writes("paddock-adapter/", &world.namespace)?;
        ensure!(writes.contains_key("patch pods"), "the audit log tells of no pod: {writes:?}");
        // What does not grow with the runs: the adapter's Lease and the fence.
        writes.retain(|what, _| !what.contains("leases") && !what.contains("networkpolicies"));
        ensure!(writes.values().sum::<u32>() <= 12, "too many writes for one run: {writes:?}");
    }
    world.end().await
}

#[tokio::test]
async fn a_second_run_continues_in_a_new_pod() -> anyhow::Result<()> {
    let world = World::start().await?;
    let paddock = &world.paddock;
    let session = paddock.session("Two pods").await?;
    let body = json!({ "prompt": "[scenario: workspace-state] First.", "linger_seconds": 600 });
    let first = paddock.run_with(&session, body).await?;
    paddock.wait_state(&first, "idle").await?;
    paddock.post(&format!("runs/{first}/cancel"), Value::Null).await?;
    paddock.wait_end(&first).await?;
    paddock.removed(&first).await?;

    let body = json!({ "prompt": "[scenario: workspace-look] Second.", "linger_seconds": 600 });
    let second = paddock.run_with(&session, body).await?;
    paddock.wait_state(&second, "idle").await?;
    let pod = world.pod_of(&second, 1).await?;
    let (_, stashes) = world.inside(&pod, "harness", "git -C /workspace/repo stash list").await?;
    ensure!(stashes.lines().count() == 1, "the stash of the first run is not there: {stashes}");
    let asked = paddock.model_log()?;
    let asked = asked.iter().map(Value::to_string).collect::<String>();
    ensure!(asked.contains("First.") && asked.contains("Second."), "the conversation is not one");
    paddock.post(&format!("runs/{second}/cancel"), Value::Null).await?;
    paddock.wait_end(&second).await?;
    world.end().await
}

#[tokio::test]
async fn a_run_goes_on_through_a_restart_of_every_part() -> anyhow::Result<()> {
    let mut world = World::start().await?;
    let session = world.paddock.session("Restarts").await?;
    let run = world.paddock.run(&session, "slow").await?;
    world.paddock.wait_state(&run, "running").await?;
    let uid = |pods: Vec<Value>| pods[0]["metadata"]["uid"].clone();
    let before = uid(world.pods().await?);
    for part in ["serve", "egress", "nats", "postgres"] {
        world.paddock.kill_part(part)?;
    }
    world.paddock.kill_up().await?;
    world.paddock.up().await?;
    ensure!(uid(world.pods().await?) == before, "another pod");
    world.paddock.wait_success(&run).await?;
    let events = world.paddock.events(&run).await?;
    ensure!(!events.iter().any(|event| event == "run.lost"), "{events:?}");
    world.end().await
}
