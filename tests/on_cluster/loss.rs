//! Pods that go before their time.

use anyhow::ensure;
use serde_json::Value;

use crate::cluster::World;

#[tokio::test]
async fn a_pod_that_is_deleted_by_hand_is_retried_from_its_last_snapshot() -> anyhow::Result<()> {
    let world = World::start().await?;
    let session = world.paddock.session("Deleted").await?;
    let run = world.paddock.run(&session, "slow").await?;
    world.paddock.wait_state(&run, "running").await?;
    let pod = world.pod_of(&run, 1).await?;
    world.kubectl(&["delete", "pod", &pod, "--wait=false"]).await?;
    let ended = world.paddock.wait_success(&run).await?;
    ensure!(ended["generation"] == 2, "{ended:#}");
    let events = world.paddock.events(&run).await?;
    let at = |name: &str| events.iter().position(|event| event == name);
    ensure!(at("run.snapshot.stored") < at("run.lost"), "no snapshot before the end: {events:?}");
    ensure!(at("run.lost") < at("run.retried"), "{events:?}");
    world.end().await
}

#[tokio::test]
async fn a_memory_bomb_hurts_its_own_pod_only() -> anyhow::Result<()> {
    let world = World::start().await?;
    let session = world.paddock.session("Greedy").await?;
    let body = serde_json::json!({ "prompt": "[scenario: memory-bomb] Go.", "profile": "small" });
    let bomb = world.paddock.run_with(&session, body).await?;
    world.paddock.wait(&bomb, "begun", |run| run["state"] == "running").await?;
    let session = world.paddock.session("Bystander").await?;
    let bystander = world.paddock.run(&session, "leftovers").await?;
    world.paddock.wait_success(&bystander).await?;
    // However it ends, it ends: the kernel may choose the agent, or only what the agent started.
    let patience = std::time::Duration::from_mins(5);
    let ended = |run: &Value| !run["finished_at"].is_null();
    world.paddock.wait_within(patience, &bomb, "ended", ended).await?;
    world.end().await
}

#[tokio::test]
async fn a_run_that_no_node_has_room_for_says_so_and_can_be_cancelled() -> anyhow::Result<()> {
    let world = World::start().await?;
    let session = world.paddock.session("Too large").await?;
    let body = serde_json::json!({ "prompt": "Go.", "profile": "huge" });
    let run = world.paddock.run_with(&session, body).await?;
    // In the scheduler's own words.
    let says_so = |run: &Value| run["reason"].as_str().is_some_and(|text| text.contains("memory"));
    let waits = world.paddock.wait(&run, "waiting for a node", says_so).await?;
    ensure!(
        waits["reason"].as_str().is_some_and(|text| text.contains("not scheduled")),
        "{waits:#}"
    );
    world.paddock.post(&format!("runs/{run}/cancel"), Value::Null).await?;
    world.paddock.wait_end(&run).await?;
    world.end().await
}

#[tokio::test]
async fn an_evicted_pod_takes_its_snapshot_and_the_run_goes_on_elsewhere() -> anyhow::Result<()> {
    let world = World::start().await?;
    let session = world.paddock.session("Evicted").await?;
    let run = world.paddock.run(&session, "slow").await?;
    world.paddock.wait_state(&run, "running").await?;
    let pod = world.pod_of(&run, 1).await?;
    let eviction = serde_json::json!({
        "apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": { "name": pod, "namespace": world.namespace },
    });
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), eviction.to_string())?;
    let path = format!("/api/v1/namespaces/{}/pods/{pod}/eviction", world.namespace);
    world.kubectl(&["create", "--raw", &path, "-f", &file.path().to_string_lossy()]).await?;
    let ended = world.paddock.wait_success(&run).await?;
    ensure!(ended["generation"] == 2, "{ended:#}");
    let events = world.paddock.events(&run).await?;
    let at = |name: &str| events.iter().position(|event| event == name);
    ensure!(at("run.snapshot.stored") < at("run.lost"), "no snapshot before the end: {events:?}");
    world.end().await
}

#[tokio::test]
async fn an_image_that_is_missing_is_named_and_the_fence_was_proven_before() -> anyhow::Result<()> {
    let nowhere = ("PADDOCK_HARNESS_IMAGE", "paddock.dev/nowhere:1");
    let world = World::start_with(&[nowhere]).await?;
    let session = world.paddock.session("No image").await?;
    let run = world.paddock.run(&session, "slow").await?;
    let says_so = |run: &Value| {
        run["reason"].as_str().is_some_and(|text| {
            text.contains("harness does not start") && text.contains("paddock.dev/nowhere:1")
        })
    };
    world.paddock.wait(&run, "waiting for its image", says_so).await?;
    let events = world.paddock.events(&run).await?;
    ensure!(events.iter().any(|event| event == "run.fence.verified"), "{events:?}");
    world.paddock.post(&format!("runs/{run}/cancel"), Value::Null).await?;
    world.paddock.wait_end(&run).await?;
    world.end().await
}

#[tokio::test]
async fn a_kubelet_that_is_killed_does_not_disturb_the_run() -> anyhow::Result<()> {
    // Another cluster's node is not ours to touch.
    if std::env::var("PADDOCK_TEST_CLUSTER").as_deref() != Ok("own") {
        return Ok(());
    }
    let world = World::start().await?;
    let session = world.paddock.session("Kubelet").await?;
    let run = world.paddock.run(&session, "slow").await?;
    world.paddock.wait_state(&run, "running").await?;
    for arguments in [&["stop", "kubelet", "KILL"][..], &["start", "kubelet"]] {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/cluster");
        let done = tokio::process::Command::new(script).args(arguments).output().await?;
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let ended = world.paddock.wait_success(&run).await?;
    ensure!(ended["generation"] == 1, "{ended:#}");
    world.end().await
}
