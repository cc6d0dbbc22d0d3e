//! A fence that is not there, or not any more, or not yet: the run waits or fails, and never runs open.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::ensure;
use serde_json::{Value, json};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, UdpSocket},
    time::timeout,
};

use crate::cluster::{World, host, node_is_ours, on_node};

/// A server outside that says of each connection who it came from, in the caller's own word.
struct Canary {
    address: String,
    callers: Arc<Mutex<Vec<String>>>,
}

impl Canary {
    async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((host(), 0)).await?;
        let address = listener.local_addr()?.to_string();
        let callers = Arc::<Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&callers);
        tokio::spawn(async move {
            while let Ok((mut stream, from)) = listener.accept().await {
                let mut word = [0; 16];
                let read = timeout(Duration::from_secs(2), stream.read(&mut word)).await;
                let length = read.ok().and_then(Result::ok).unwrap_or(0);
                let word = String::from_utf8_lossy(&word[..length]).trim().to_owned();
                let caller = if word.is_empty() { from.to_string() } else { word };
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(caller);
            }
        });
        Ok(Self { address, callers })
    }

    fn callers(&self) -> Vec<String> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A pod of nobody's that does `line` from its first instruction, in a container like an agent's.
pub(crate) fn pod(name: &str, labels: &Value, line: &str) -> anyhow::Result<Value> {
    let image = std::env::var("PADDOCK_HARNESS_IMAGE")?;
    let policy = std::env::var("PADDOCK_IMAGE_PULL_POLICY").unwrap_or_else(|_| "Never".to_owned());
    let restricted =
        json!({ "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } });
    Ok(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "labels": labels },
        "spec": {
            "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
            "restartPolicy": "Never",
            "securityContext": { "runAsNonRoot": true, "runAsUser": 1000,
                "seccompProfile": { "type": "RuntimeDefault" } },
            "containers": [{ "name": "harness", "image": image, "imagePullPolicy": policy,
                "command": ["bash", "-c", line], "securityContext": restricted }],
        },
    }))
}

/// What the policy for every run selects.
fn fenced() -> Value {
    json!({ "app.kubernetes.io/managed-by": "paddock", "paddock.dev/egress": "github" })
}

#[tokio::test]
async fn from_its_first_instruction_a_fenced_pod_reaches_nothing() -> anyhow::Result<()> {
    let world = World::start().await?;
    world
        .eventually("the policies are there", async |world| {
            let policies = world.kubectl(&["get", "networkpolicies", "-o", "name"]).await?;
            Ok(policies.lines().count() == 2)
        })
        .await?;
    let canary = Canary::start().await?;
    let (at, port) = canary.address.rsplit_once(':').unwrap_or_default();
    let tries = |name: &str| {
        format!(
            "end=$((SECONDS + 12)); while [ $SECONDS -lt $end ]; do \
             timeout 1 bash -c 'exec 3<>/dev/tcp/{at}/{port} && echo {name} >&3' 2>/dev/null; \
             sleep 0.05; done"
        )
    };
    world.apply(&pod("open", &json!({}), &tries("open"))?).await?;
    world.apply(&pod("fenced", &fenced(), &tries("fenced"))?).await?;
    for name in ["open", "fenced"] {
        let done = "--for=jsonpath={.status.phase}=Succeeded";
        world.kubectl(&["wait", done, &format!("pod/{name}"), "--timeout=90s"]).await?;
    }
    let callers = canary.callers();
    ensure!(!callers.is_empty(), "nobody reached the canary: it proves nothing");
    ensure!(callers.iter().all(|caller| caller == "open"), "{callers:?}");
    world.kubectl(&["delete", "pod", "open", "fenced", "--wait=false"]).await?;
    world.end().await
}

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
    if !node_is_ours() {
        return Ok(());
    }
    let world = World::start_alone().await?;
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
    if !node_is_ours() {
        return Ok(());
    }
    let world = World::start_alone().await?;
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
async fn a_fence_that_is_taken_away_from_a_running_agent_ends_its_run() -> anyhow::Result<()> {
    let world = World::start().await?;
    let session = world.paddock.session("Opened").await?;
    let run = world.paddock.run(&session, "never-finish").await?;
    world.paddock.wait_state(&run, "running").await?;
    world.suspend_adapter().await?;
    world.kubectl(&["delete", "networkpolicy", "paddock-egress-github"]).await?;
    let ended = world.paddock.wait_end(&run).await?;
    ensure!(ended["outcome"] == "failed" && ended["failure"] == "sandbox", "{ended:#}");
    let reason = ended["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("the fence is open: the control plane"), "{reason}");
    world.resume_adapter().await?;
    world.end().await
}

#[tokio::test]
async fn without_the_agent_that_enforces_policies_a_run_waits_and_says_so() -> anyhow::Result<()> {
    if !node_is_ours() {
        return Ok(());
    }
    let world = World::start_alone().await?;
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
