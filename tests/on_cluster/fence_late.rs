//! A fence that is not there, or not any more, or not yet: the run waits or fails, and never runs open.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::ensure;
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt as _, net::TcpListener, time::timeout};

use crate::cluster::{World, host};

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
