//! The adapter is killed at each of its named places: nothing is made twice, nothing is left.

use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::cluster::World;

/// How often it is killed: `PADDOCK_KILLS`, or ten times.
fn kills() -> usize {
    std::env::var("PADDOCK_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(10)
}

#[tokio::test]
async fn an_adapter_that_is_killed_anywhere_makes_nothing_twice_and_leaves_nothing()
-> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let armed = dir.path().to_string_lossy().into_owned();
    let world = World::start_with(&[("PADDOCK_FAILPOINTS", &armed)]).await?;
    let mut runs = vec![];
    for kill in 0..kills() {
        let name = k8s_adapter::FAILPOINTS[kill % k8s_adapter::FAILPOINTS.len()];
        let armed = dir.path().join(name);
        std::fs::write(&armed, "")?;
        let session = world.paddock.session(&format!("Kill {kill} at {name}")).await?;
        let run = world.paddock.run(&session, "empty-diff").await?;
        gone(&world, &armed).await.with_context(|| format!("kill {kill} at {name}"))?;
        runs.push(run);
    }
    for run in &runs {
        let ended = world.paddock.wait_success(run).await?;
        // One workload did it all: the kill cost nothing.
        ensure!(ended["generation"] == 1, "{ended:#}");
        world.paddock.removed(run).await?;
        let events = world.paddock.events(run).await?;
        let count = |name: &str| events.iter().filter(|event| *event == name).count();
        for once in ["run.workload.removed", "run.fence.verified"] {
            ensure!(count(once) == 1, "{once} happened {} times: {events:?}", count(once));
        }
        // A short run can be over before there is an adapter again to say that its pod is there.
        ensure!(count("run.workload.created") <= 1, "made twice: {events:?}");
    }
    world.eventually("no pod is left", async |world| Ok(world.pods().await?.is_empty())).await?;
    let policies = world.kubectl(&["get", "networkpolicies", "-o", "name"]).await?;
    ensure!(policies.lines().count() == 2, "{policies}");
    ensure!(world.kubectl(&["get", "secrets", "-o", "name"]).await?.is_empty());
    world.end().await
}

/// The file is taken away by the process that it kills.
async fn gone(world: &World, armed: &Path) -> anyhow::Result<()> {
    world.eventually("the adapter is killed", async |_| Ok(!armed.exists())).await
}
