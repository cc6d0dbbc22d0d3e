//! Harness profiles, as pods get them.

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cluster::{World, kubectl};

impl World {
    /// Sets a profile while everything runs.
    async fn profile(&self, name: &str, profile: Value) -> anyhow::Result<Value> {
        let path = format!("settings/profiles/{name}");
        let (status, answer) = self.paddock.call(Method::PUT, &path, Some(profile)).await?;
        ensure!(status.is_success(), "{status} {answer}");
        Ok(answer)
    }

    async fn run_of(&self, title: &str, scenario: &str, profile: &str) -> anyhow::Result<String> {
        let session = self.paddock.session(title).await?;
        let prompt = format!("[scenario: {scenario}] {title}");
        self.paddock.run_with(&session, json!({ "prompt": prompt, "profile": profile })).await
    }

    async fn pod(&self, run: &str) -> anyhow::Result<Value> {
        let name = self.pod_of(run, 1).await?;
        Ok(serde_json::from_str(&self.kubectl(&["get", "pod", &name, "-o", "json"]).await?)?)
    }
}

#[tokio::test]
async fn what_a_profile_gives_arrives_in_the_pod_and_a_run_keeps_it() -> anyhow::Result<()> {
    let world = World::start().await?;
    // By a name of the test's own, the handler that every containerd has.
    let walled = world.namespace.clone();
    world
        .apply(&json!({
            "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass",
            "metadata": { "name": walled }, "handler": "runc",
        }))
        .await?;
    let given = json!({
        "runtime_class": walled,
        "memory_mib": 1536, "cpu_millis": 1500, "disk_mib": 2048, "deadline_seconds": 1800,
        "env": { "GREETING": "hello there", "LANG": "C" },
    });
    world.profile("given", given).await?;
    let run = world.run_of("Given", "slow", "given").await?;
    // What is changed meanwhile is for later runs.
    world.profile("given", json!({ "memory_mib": 512 })).await?;
    world.paddock.wait_state(&run, "running").await?;
    let pod = world.pod(&run).await?;
    let agent = &pod["spec"]["containers"][0];
    let limits = &agent["resources"]["limits"];
    ensure!(limits["memory"] == "1536Mi" && limits["cpu"] == "1500m", "{limits}");
    ensure!(limits["ephemeral-storage"] == "2Gi", "{limits}");
    ensure!(pod["spec"]["activeDeadlineSeconds"] == 1800 + 600, "{}", pod["spec"]);
    ensure!(pod["spec"]["runtimeClassName"] == walled.as_str(), "{}", pod["spec"]);
    // Not only in the description of the pod: in the environment of the agent itself.
    let name = pod["metadata"]["name"].as_str().context("a name")?;
    let line = "for p in /proc/[0-9]*; do \
        tr '\\0' '\\n' <$p/environ 2>/dev/null | grep -q '^OPENCODE_SERVER_PASSWORD=' && \
        tr '\\0' '\\n' <$p/environ; done";
    let (_, environment) = world.inside(name, "harness", line).await?;
    ensure!(environment.lines().any(|line| line == "GREETING=hello there"), "{environment}");
    ensure!(!environment.contains("PADDOCK_"), "{environment}");
    world.paddock.post(&format!("runs/{run}/cancel"), Value::Null).await?;
    world.paddock.wait_end(&run).await?;
    kubectl(&["delete", "runtimeclass", &walled]).await?;
    world.end().await
}

#[tokio::test]
async fn a_runtime_class_that_the_cluster_does_not_have_refuses_the_run() -> anyhow::Result<()> {
    let world = World::start().await?;
    let saved = world.profile("walled", json!({ "runtime_class": "no-such-wall" })).await?;
    ensure!(saved["changes"].to_string().contains("no-such-wall"), "{saved}");
    let run = world.run_of("Walled", "slow", "walled").await?;
    let ended = world.paddock.wait_end(&run).await?;
    ensure!(ended["state"] == "failed" && ended["outcome"] == "failed", "{ended:#}");
    let reason = ended["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("RuntimeClass") && reason.contains("no-such-wall"), "{reason}");
    // Never with a weaker wall: there was no pod at all.
    let events = world.paddock.events(&run).await?;
    ensure!(!events.iter().any(|event| event == "run.workload.created"), "{events:?}");
    ensure!(!events.iter().any(|event| event == "run.retried"), "{events:?}");
    world.end().await
}

#[tokio::test]
async fn a_profile_whose_image_is_nowhere_waits_and_says_so() -> anyhow::Result<()> {
    let world = World::start().await?;
    world.profile("nowhere", json!({ "image": "paddock.dev/nowhere:7" })).await?;
    let run = world.run_of("Nowhere", "slow", "nowhere").await?;
    let says_so = |run: &Value| {
        run["reason"].as_str().is_some_and(|text| {
            text.contains("harness does not start") && text.contains("paddock.dev/nowhere:7")
        })
    };
    world.paddock.wait(&run, "waiting for its image", says_so).await?;
    world.paddock.post(&format!("runs/{run}/cancel"), Value::Null).await?;
    world.paddock.wait_end(&run).await?;
    world.end().await
}
