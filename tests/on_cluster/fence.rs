//! A pod reaches the gateway and the link, and nothing else.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::cluster::World;

/// A pod like a run's, whose labels no policy selects.
async fn without_policy(world: &World) -> anyhow::Result<String> {
    let image = std::env::var("PADDOCK_HARNESS_IMAGE")?;
    let restricted =
        json!({ "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } });
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "open", "namespace": world.namespace },
        "spec": {
            "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
            "securityContext": { "runAsNonRoot": true, "runAsUser": 1000,
                "seccompProfile": { "type": "RuntimeDefault" } },
            "containers": [{ "name": "harness", "image": image, "imagePullPolicy": "Never",
                "command": ["sleep", "600"], "securityContext": restricted }],
        },
    });
    world.apply(&pod).await?;
    world.kubectl(&["wait", "--for=condition=Ready", "pod/open", "--timeout=60s"]).await?;
    Ok("open".to_owned())
}

#[tokio::test]
async fn from_a_run_nothing_is_reached_that_the_same_pod_without_policy_reaches()
-> anyhow::Result<()> {
    let world = World::start().await?;
    let session = world.paddock.session("Fenced").await?;
    let run = world.paddock.run(&session, "never-finish").await?;
    world.paddock.wait_state(&run, "running").await?;
    let pod = world.pod_of(&run, 1).await?;
    let open = without_policy(&world).await?;
    let (_, api) = world.inside(&pod, "harness", "echo $KUBERNETES_SERVICE_HOST:443").await?;
    let node = world.kubectl(&["get", "pod", &pod, "-o", "jsonpath={.status.hostIP}"]).await?;
    let canary = world.canary.clone();
    for target in [canary.as_str(), api.trim(), &format!("{node}:10250")] {
        ensure!(world.connects(&open, "harness", target).await?, "{target} is shut for everybody");
        ensure!(!world.connects(&pod, "harness", target).await?, "the run reaches {target}");
        ensure!(!world.connects(&pod, "sidecar", target).await?, "the sidecar reaches {target}");
    }
    // No credential of the cluster is anywhere near the agent.
    let (_, secrets) = world.inside(&pod, "harness", "ls /var/run/secrets 2>&1; env").await?;
    ensure!(!secrets.contains("kubernetes.io") && !secrets.contains("eyJ"), "{secrets}");
    world.paddock.post(&format!("runs/{run}/cancel"), Value::Null).await?;
    world.paddock.wait_end(&run).await?;
    world.kubectl(&["delete", "pod", "open", "--wait=false"]).await?;
    world.end().await
}

#[tokio::test]
async fn a_policy_that_is_deleted_or_changed_is_put_back() -> anyhow::Result<()> {
    let world = World::start().await?;
    let there = async |world: &World| {
        let spec = "jsonpath={.spec.policyTypes}{.spec.egress}";
        world.kubectl(&["get", "networkpolicy", "paddock-egress-github", "-o", spec]).await
    };
    world.eventually("the policy is there", async |world| Ok(there(world).await.is_ok())).await?;
    let before = there(&world).await?;
    world.kubectl(&["delete", "networkpolicy", "paddock-egress-github"]).await?;
    let back = async |world: &World| Ok(there(world).await.is_ok_and(|now| now == before));
    world.eventually("the deleted policy is back", back).await?;
    let open = r#"{"spec":{"egress":[{}]}}"#;
    world
        .kubectl(&["patch", "networkpolicy", "paddock-egress-github", "--type=merge", "-p", open])
        .await?;
    world.eventually("the opened policy is shut again", back).await?;
    world.end().await
}

#[tokio::test]
async fn labels_that_are_taken_from_a_runs_pod_are_put_back() -> anyhow::Result<()> {
    let world = World::start().await?;
    let session = world.paddock.session("Stripped").await?;
    let run = world.paddock.run(&session, "never-finish").await?;
    world.paddock.wait_state(&run, "running").await?;
    let pod = world.pod_of(&run, 1).await?;
    let labels = async |world: &World| {
        world.kubectl(&["get", "pod", &pod, "-o", "jsonpath={.metadata.labels}"]).await
    };
    let before = labels(&world).await?;
    let taken = ["app.kubernetes.io/managed-by-", "paddock.dev/run-", "paddock.dev/generation-"];
    world.kubectl(&[&["label", "pod", &pod][..], &taken].concat()).await?;
    world
        .eventually("the labels are back", async |world| Ok(labels(world).await? == before))
        .await?;
    world.paddock.post(&format!("runs/{run}/cancel"), Value::Null).await?;
    world.paddock.wait_end(&run).await?;
    world.paddock.removed(&run).await?;
    world.end().await
}

#[tokio::test]
async fn a_policy_beside_the_fence_that_allows_everything_starts_no_agent() -> anyhow::Result<()> {
    let world = World::start().await?;
    // Allows everything to what is managed by Paddock: policies add up, so the fence is open.
    let open = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": { "name": "open", "namespace": world.namespace },
        "spec": { "podSelector": {}, "policyTypes": ["Egress"], "egress": [{}] },
    });
    world.apply(&open).await?;
    let session = world.paddock.session("Open").await?;
    let run = world.paddock.run(&session, "slow").await?;
    let ended = world.paddock.wait_end(&run).await?;
    ensure!(ended["outcome"] == "failed", "{ended:#}");
    let reason = ended["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("the fence is open: the control plane"), "{reason}");
    let events = world.paddock.events(&run).await?;
    ensure!(!events.iter().any(|event| event == "run.ready"), "the agent ran: {events:?}");
    ensure!(world.paddock.model_log().unwrap_or_default().is_empty(), "the model was asked");
    world.end().await
}
