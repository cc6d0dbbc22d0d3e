//! Pods that go before their time, or never come: each has its own reason, and its own outcome.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::cluster::World;

/// How a run says that a workload was lost, for each time that one was.
async fn losses(world: &World, run: &str) -> anyhow::Result<Vec<String>> {
    let page = world.paddock.get(&format!("runs/{run}/events?limit=200")).await?;
    let items = page["items"].as_array().context("no items")?;
    let lost = items.iter().filter(|item| item["type"] == "run.lost");
    Ok(lost.filter_map(|item| item["summary"].as_str().map(str::to_owned)).collect())
}

/// It went on in a second workload, from a snapshot that the first one took before its end.
pub(crate) async fn went_on(world: &World, run: &str, because: &str) -> anyhow::Result<()> {
    let ended = world.paddock.wait_success(run).await?;
    ensure!(ended["generation"] == 2, "{ended:#}");
    let events = world.paddock.events(run).await?;
    let at = |name: &str| events.iter().position(|event| event == name);
    ensure!(at("run.snapshot.stored") < at("run.lost"), "no snapshot before the end: {events:?}");
    ensure!(at("run.lost") < at("run.retried"), "{events:?}");
    let lost = losses(world, run).await?;
    ensure!(lost.len() == 1 && lost[0].contains(because), "{lost:?} does not say: {because}");
    Ok(())
}

#[tokio::test]
async fn a_pod_that_is_deleted_by_hand_is_retried_from_its_last_snapshot() -> anyhow::Result<()> {
    let world = World::start().await?;
    let session = world.paddock.session("Deleted").await?;
    let run = world.paddock.run(&session, "slow").await?;
    world.paddock.wait_state(&run, "running").await?;
    let pod = world.pod_of(&run, 1).await?;
    world.kubectl(&["delete", "pod", &pod, "--wait=false"]).await?;
    went_on(&world, &run, "the pod was deleted").await?;
    world.end().await
}

#[tokio::test]
async fn an_evicted_pod_takes_its_snapshot_and_the_run_goes_on_elsewhere() -> anyhow::Result<()> {
    let world = World::start().await?;
    let session = world.paddock.session("Evicted").await?;
    let run = world.paddock.run(&session, "slow").await?;
    world.paddock.wait_state(&run, "running").await?;
    let pod = world.pod_of(&run, 1).await?;
    let eviction = json!({
        "apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": { "name": pod, "namespace": world.namespace },
    });
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), eviction.to_string())?;
    let path = format!("/api/v1/namespaces/{}/pods/{pod}/eviction", world.namespace);
    world.kubectl(&["create", "--raw", &path, "-f", &file.path().to_string_lossy()]).await?;
    went_on(&world, &run, "the pod was evicted from the node").await?;
    world.end().await
}

#[tokio::test]
async fn a_memory_bomb_hurts_its_own_pod_only() -> anyhow::Result<()> {
    let world = World::start().await?;
    let session = world.paddock.session("Greedy").await?;
    let body = json!({ "prompt": "[scenario: memory-bomb-whole] Go.", "profile": "cramped" });
    let bomb = world.paddock.run_with(&session, body).await?;
    world.paddock.wait(&bomb, "begun", |run| run["state"] == "running").await?;
    let session = world.paddock.session("Bystander").await?;
    let bystander = world.paddock.run(&session, "leftovers").await?;
    world.paddock.wait_success(&bystander).await?;
    over(&world, &bomb, "took more memory than it may").await?;
    world.end().await
}

#[tokio::test]
async fn a_run_that_fills_its_disk_fails_and_says_so() -> anyhow::Result<()> {
    let world = World::start().await?;
    let session = world.paddock.session("Full").await?;
    let body = json!({ "prompt": "[scenario: disk-over] Go.", "profile": "cramped" });
    let run = world.paddock.run_with(&session, body).await?;
    over(&world, &run, "the pod took more disk than it may").await?;
    world.end().await
}

/// It failed for taking more than it may, and was not tried again: it would do the same again.
async fn over(world: &World, run: &str, because: &str) -> anyhow::Result<()> {
    let ended = |run: &Value| !run["finished_at"].is_null();
    let ended = world.paddock.wait_within(Duration::from_mins(4), run, "ended", ended).await?;
    ensure!(ended["outcome"] == "failed" && ended["failure"] == "limit", "{ended:#}");
    ensure!(ended["generation"] == 1, "{:?} {}", losses(world, run).await?, world.paddock.logs());
    let reason = ended["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains(because), "{reason}");
    Ok(())
}

#[tokio::test]
async fn what_never_begins_says_why_and_fails_at_its_deadline() -> anyhow::Result<()> {
    let nowhere = ("PADDOCK_HARNESS_IMAGE", "paddock.dev/nowhere:1");
    let world = World::start_with(&[nowhere]).await?;
    let start = async |title: &str, profile: &str| -> anyhow::Result<String> {
        let session = world.paddock.session(title).await?;
        let body = json!({ "prompt": "Go.", "profile": profile, "deadline_seconds": 60 });
        world.paddock.run_with(&session, body).await
    };
    let says = |words: &'static [&'static str]| {
        move |run: &Value| {
            let reason = run["reason"].as_str().unwrap_or_default();
            words.iter().all(|word| reason.contains(word))
        }
    };
    let (large, missing) = (start("Too large", "huge").await?, start("No image", "default").await?);
    // In the scheduler's own words, and the kubelet's; with the object behind it.
    let no_room = says(&["not scheduled", "memory", "Pod run-"]);
    world.paddock.wait(&large, "waiting for a node", no_room).await?;
    let no_image = says(&["harness does not start", "paddock.dev/nowhere:1", "Pod run-"]);
    world.paddock.wait(&missing, "waiting for its image", no_image).await?;
    let events = world.paddock.events(&missing).await?;
    ensure!(events.iter().any(|event| event == "run.fence.verified"), "{events:?}");
    for (run, why) in [(&large, "not scheduled"), (&missing, "harness does not start")] {
        let ended = world.paddock.wait_end(run).await?;
        ensure!(ended["outcome"] == "failed" && ended["failure"] == "deadline", "{ended:#}");
        let reason = ended["reason"].as_str().unwrap_or_default();
        ensure!(reason.contains("deadline") && reason.contains(why), "{reason}");
    }
    world.end().await
}
