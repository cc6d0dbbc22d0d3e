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
async fn memory_beyond_the_limit_ends_the_run_with_that_reason() -> anyhow::Result<()> {
    let world = World::start().await?;
    let session = world.paddock.session("Greedy").await?;
    let body = serde_json::json!({ "prompt": "[scenario: memory-bomb] Go.", "profile": "small" });
    let run = world.paddock.run_with(&session, body).await?;
    let ended = world.paddock.wait_end(&run).await?;
    ensure!(ended["outcome"] == "failed", "{ended:#}");
    world.end().await
}

#[tokio::test]
async fn a_run_that_no_node_has_room_for_is_cancelled_without_a_trace() -> anyhow::Result<()> {
    let world = World::start().await?;
    let session = world.paddock.session("Too large").await?;
    let body = serde_json::json!({ "prompt": "Go.", "profile": "huge" });
    let run = world.paddock.run_with(&session, body).await?;
    let pod = world.pod_of(&run, 1).await?;
    let condition = "jsonpath={.status.conditions[?(@.type==\"PodScheduled\")].reason}";
    world
        .eventually("the scheduler says so", async |world| {
            let reason = world.kubectl(&["get", "pod", &pod, "-o", condition]).await?;
            Ok(reason == "Unschedulable")
        })
        .await?;
    world.paddock.post(&format!("runs/{run}/cancel"), Value::Null).await?;
    world.paddock.wait_end(&run).await?;
    world.end().await
}
