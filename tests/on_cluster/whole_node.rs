//! Tests that have the node to themselves: they take a part of it away, or an address of its machine. By their name
//! they come last, so that nobody waits for them.

use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, UdpSocket},
    time::Instant,
};

use crate::{
    cluster::{World, host, on_node},
    fence_late::pod,
    loss::went_on,
};

/// The address of the metadata service of the large clouds, played on this machine while it lives.
struct Metadata(String);

impl Metadata {
    async fn start() -> anyhow::Result<Self> {
        let routes = tokio::process::Command::new("ip").args(["-o", "-4", "addr"]).output().await?;
        let routes = String::from_utf8(routes.stdout)?;
        let line = routes.lines().find(|line| line.contains(&format!(" {}/", host())));
        let device = line.and_then(|line| line.split_whitespace().nth(1)).unwrap_or("lo");
        let this = Self(device.to_owned());
        this.address("add")?;
        let listener = TcpListener::bind("169.254.169.254:80").await?;
        tokio::spawn(async move { while listener.accept().await.is_ok() {} });
        Ok(this)
    }

    fn address(&self, verb: &str) -> anyhow::Result<()> {
        let line = ["addr", verb, "169.254.169.254/32", "dev", &self.0];
        let status = std::process::Command::new("ip").args(line).status()?;
        ensure!(status.success(), "ip {line:?}");
        Ok(())
    }
}

impl Drop for Metadata {
    fn drop(&mut self) {
        let _ = self.address("del");
    }
}

#[tokio::test]
async fn neither_names_nor_the_metadata_service_are_to_be_had_from_a_run() -> anyhow::Result<()> {
    let Some(world) = World::start_alone().await? else { return Ok(()) };
    let resolver = UdpSocket::bind((host(), 53)).await?;
    tokio::spawn(async move {
        let mut packet = [0; 512];
        while let Ok((length, from)) = resolver.recv_from(&mut packet).await {
            let _ = resolver.send_to(&packet[..length], from).await;
        }
    });
    let _metadata = Metadata::start().await?;
    let session = world.paddock.session("No names").await?;
    let run = world.paddock.run(&session, "never-finish").await?;
    world.paddock.wait_state(&run, "running").await?;
    let fenced = world.pod_of(&run, 1).await?;
    world.apply(&pod("open", &json!({}), "sleep 600")?).await?;
    world.kubectl(&["wait", "--for=condition=Ready", "pod/open", "--timeout=60s"]).await?;
    let asks = format!(
        "exec 3<>/dev/udp/{}/53; for n in 1 2 3; do echo name >&3; timeout 1 head -c 1 <&3 && exit; done; exit 1",
        host()
    );
    for container in ["harness", "sidecar"] {
        ensure!(!world.inside(&fenced, container, &asks).await?.0, "{container} has DNS");
        let metadata = world.connects(&fenced, container, "169.254.169.254:80").await?;
        ensure!(!metadata, "{container} reaches the metadata service");
    }
    // What was not reached was there.
    ensure!(world.inside("open", "harness", &asks).await?.0, "nobody has DNS");
    ensure!(world.connects("open", "harness", "169.254.169.254:80").await?, "nobody reaches it");
    world.paddock.post(&format!("runs/{run}/cancel"), Value::Null).await?;
    world.paddock.wait_end(&run).await?;
    world.kubectl(&["delete", "pod", "open", "--wait=false"]).await?;
    world.end().await
}

/// A run whose pod waits for a node, and no adapter that would put a policy back.
async fn waiting_run(world: &World, title: &str) -> anyhow::Result<String> {
    let session = world.paddock.session(title).await?;
    let run = world.paddock.run(&session, "empty-diff").await?;
    let waits =
        |run: &Value| run["reason"].as_str().is_some_and(|reason| reason.contains("not scheduled"));
    world.paddock.wait(&run, "waiting for a node", waits).await?;
    world.suspend_adapter().await?;
    world.kubectl(&["delete", "networkpolicy", "paddock-egress-github"]).await?;
    Ok(run)
}

/// Waits until the sidecar has tried the fence, and looks that nothing of the agent has begun.
async fn tried_in_vain(world: &World, run: &str) -> anyhow::Result<()> {
    let pod = world.pod_of(run, 1).await?;
    world
        .eventually("the fence is tried in vain", async |world| {
            let log = world.kubectl(&["logs", &pod, "-c", "sidecar"]).await.unwrap_or_default();
            Ok(log.contains("the fence is not proven yet"))
        })
        .await?;
    let started = "jsonpath={.status.containerStatuses[?(@.name=='harness')].started}";
    let started = world.kubectl(&["get", "pod", &pod, "-o", started]).await?;
    ensure!(started != "true", "the agent's container runs");
    Ok(())
}

#[tokio::test]
async fn enforcement_that_comes_late_is_waited_for_and_one_that_never_comes_fails_the_run()
-> anyhow::Result<()> {
    let Some(world) = World::start_alone().await? else { return Ok(()) };
    let node = world.kubectl(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]).await?;
    world.kubectl(&["cordon", &node]).await?;
    let began = async {
        let late = waiting_run(&world, "Late").await?;
        world.kubectl(&["uncordon", &node]).await?;
        tried_in_vain(&world, &late).await?;
        world.resume_adapter().await?;
        world.paddock.wait_success(&late).await?;

        world.kubectl(&["cordon", &node]).await?;
        let never = waiting_run(&world, "Never").await?;
        world.kubectl(&["uncordon", &node]).await?;
        tried_in_vain(&world, &never).await?;
        let ended = world.paddock.wait_end(&never).await?;
        ensure!(ended["outcome"] == "failed", "{ended:#}");
        let reason = ended["reason"].as_str().unwrap_or_default();
        ensure!(reason.contains("the fence is open: the control plane"), "{reason}");
        let events = world.paddock.events(&never).await?;
        ensure!(!events.iter().any(|event| event == "run.ready"), "the agent ran: {events:?}");
        world.resume_adapter().await
    };
    let began = began.await;
    world.kubectl(&["uncordon", &node]).await?;
    began?;
    world.end().await
}

#[tokio::test]
async fn without_the_agent_that_enforces_policies_a_run_waits_and_says_so() -> anyhow::Result<()> {
    let Some(world) = World::start_alone().await? else { return Ok(()) };
    on_node(&["stop", "cilium-agent"]).await?;
    let waited = async {
        let session = world.paddock.session("No network").await?;
        let run = world.paddock.run(&session, "empty-diff").await?;
        let waits = |run: &Value| {
            run["reason"].as_str().is_some_and(|reason| {
                reason.contains("FailedCreatePodSandBox") && reason.contains("Pod run-")
            })
        };
        world.paddock.wait(&run, "waiting for its network", waits).await?;
        anyhow::Ok(run)
    };
    let waited = waited.await;
    on_node(&["start", "cilium-agent"]).await?;
    let run = waited?;
    let ended = |run: &Value| !run["finished_at"].is_null();
    let ended = world.paddock.wait_within(Duration::from_mins(4), &run, "ended", ended).await?;
    ensure!(ended["outcome"] == "succeeded", "{ended:#}");
    world.end().await
}

/// The processes of this machine whose command line holds a text: the node's are among them.
fn processes(of: &str) -> anyhow::Result<usize> {
    let mut found = 0;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        // One that has just ended has none.
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line: Vec<u8> = line.iter().map(|byte| if *byte == 0 { b' ' } else { *byte }).collect();
        found += usize::from(String::from_utf8_lossy(&line).contains(of));
    }
    Ok(found)
}

#[tokio::test]
async fn a_sidecar_that_outlives_its_pod_loses_its_link_within_ten_seconds() -> anyhow::Result<()> {
    let Some(world) = World::start_alone().await? else { return Ok(()) };
    let session = world.paddock.session("Outlived").await?;
    let run = world.paddock.run(&session, "never-finish").await?;
    world.paddock.wait_state(&run, "running").await?;
    let pod = world.pod_of(&run, 1).await?;
    let sidecar = format!("sidecar --run {run} --generation 1 ");
    ensure!(processes(&sidecar)? == 1, "no sidecar to be seen");
    // Nobody ends what is on the node, and the cluster says that nothing is there.
    on_node(&["stop", "kubelet", "KILL"]).await?;
    let outlived = async {
        world.kubectl(&["delete", "pod", &pod, "--force", "--grace-period=0"]).await?;
        let gone = Instant::now();
        world
            .eventually("the sidecar is told that it is not wanted", async |_| {
                Ok(processes(&sidecar)? == 0)
            })
            .await?;
        let took = gone.elapsed();
        ensure!(took < Duration::from_secs(10), "it was heard for {took:?}");
        Ok(())
    };
    let outlived = outlived.await;
    on_node(&["start", "kubelet"]).await?;
    outlived?;
    world.paddock.post(&format!("runs/{run}/cancel"), Value::Null).await?;
    world.paddock.wait_end(&run).await?;
    world.end().await
}

#[tokio::test]
async fn a_drained_node_is_named_and_the_run_goes_on_when_there_is_a_node_again()
-> anyhow::Result<()> {
    let Some(world) = World::start_alone().await? else { return Ok(()) };
    let session = world.paddock.session("Drained").await?;
    let run = world.paddock.run(&session, "slow").await?;
    world.paddock.wait_state(&run, "running").await?;
    let pod = world.pod_of(&run, 1).await?;
    let node = world.kubectl(&["get", "pod", &pod, "-o", "jsonpath={.spec.nodeName}"]).await?;
    let drained = drain(&world, &node, &run).await;
    world.kubectl(&["uncordon", &node]).await?;
    drained?;
    went_on(&world, &run, &format!("the node {node} is being drained")).await?;
    world.end().await
}

async fn drain(world: &World, node: &str, run: &str) -> anyhow::Result<()> {
    let only = format!("--pod-selector=paddock.dev/run={run}");
    let forced = ["--force", "--delete-emptydir-data", "--ignore-daemonsets", "--timeout=110s"];
    world.kubectl(&[&["drain", node, &only], &forced[..]].concat()).await?;
    let waits = |run: &Value| {
        run["reason"].as_str().is_some_and(|text| {
            text.contains("not scheduled")
                && text.contains("unschedulable")
                && text.contains("Pod run-")
        })
    };
    world.paddock.wait(run, "waiting for a node", waits).await?;
    Ok(())
}

#[tokio::test]
async fn a_node_that_is_lost_costs_what_came_after_the_last_snapshot() -> anyhow::Result<()> {
    let Some(world) = World::start_alone().await? else { return Ok(()) };
    let session = world.paddock.session("Lost node").await?;
    let body = json!({ "prompt": "[scenario: workspace-state] Go.", "linger_seconds": 600 });
    let run = world.paddock.run_with(&session, body).await?;
    world.paddock.wait_state(&run, "idle").await?;
    let pod = world.pod_of(&run, 1).await?;
    world
        .eventually("the turn's snapshot is stored", async |world| {
            let events = world.paddock.events(&run).await?;
            Ok(events.iter().any(|event| event == "run.snapshot.stored"))
        })
        .await?;
    on_node(&["stop", "kubelet", "KILL"]).await?;
    let killed = lose(&world, &pod).await;
    // Meanwhile it waits, and says for what.
    on_node(&["start", "kubelet"]).await?;
    killed?;
    let again = |run: &Value| run["generation"] == 2 && run["state"] == "idle";
    world.paddock.wait(&run, "idle again", again).await?;
    let pod = world.pod_of(&run, 2).await?;
    let (_, stashes) = world.inside(&pod, "harness", "git -C /workspace/repo stash list").await?;
    ensure!(stashes.lines().count() == 1, "the work of the turn is not there: {stashes}");
    world.paddock.post(&format!("runs/{run}/cancel"), Value::Null).await?;
    world.paddock.wait_end(&run).await?;
    world.end().await
}

/// What is left of a pod when its node is: nothing runs, and the cluster takes the object away.
async fn lose(world: &World, pod: &str) -> anyhow::Result<()> {
    let ctr =
        ["exec", "ctr", "--address", "/run/containerd/containerd.sock", "--namespace", "k8s.io"];
    let of_it = format!("labels.\"io.kubernetes.pod.name\"=={pod}");
    let containers = on_node(&[&ctr[..], &["containers", "list", "-q", &of_it]].concat()).await?;
    ensure!(!containers.is_empty(), "{pod} has no containers");
    for container in containers.lines() {
        // The one that installed something has ended.
        let _ = on_node(&[&ctr[..], &["tasks", "kill", "-s", "SIGKILL", container]].concat()).await;
    }
    world.kubectl(&["delete", "pod", pod, "--force", "--grace-period=0"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_kubelet_that_is_killed_does_not_disturb_the_run() -> anyhow::Result<()> {
    let Some(world) = World::start_alone().await? else { return Ok(()) };
    let session = world.paddock.session("Kubelet").await?;
    let run = world.paddock.run(&session, "slow").await?;
    world.paddock.wait_state(&run, "running").await?;
    on_node(&["stop", "kubelet", "KILL"]).await?;
    on_node(&["start", "kubelet"]).await?;
    let ended = world.paddock.wait_success(&run).await?;
    ensure!(ended["generation"] == 1, "{ended:#}");
    world.end().await
}
