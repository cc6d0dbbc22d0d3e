//! The cluster, as `kubectl` shows it, and a `paddock up` whose runs are pods there.

use std::{net::TcpListener, process::Stdio, time::Duration};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::{
    process::Command,
    sync::{RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Instant,
};

use crate::support::Installation;

/// This machine, as pods reach it.
pub(crate) fn host() -> String {
    std::env::var("PADDOCK_TEST_HOST_ADDRESS").unwrap_or_else(|_| "10.243.0.1".to_owned())
}

/// Who may ask for sessions and runs by objects.
pub(crate) const REQUESTER: &str = "gitops@example.org";

/// The node is everybody's. Whoever takes a part of it away has it alone.
static NODE: RwLock<()> = RwLock::const_new(());

#[expect(dead_code, reason = "held, not read")]
enum Held {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

/// A namespace of a test's own, with an installation beside the cluster.
pub(crate) struct World {
    _node: Held,
    pub(crate) paddock: Installation,
    pub(crate) namespace: String,
    /// Where runs may not go.
    pub(crate) canary: String,
    /// Where sidecars go.
    pub(crate) link: String,
    /// The gateway's listener for runs that may reach any public host.
    pub(crate) full: String,
}

impl World {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        Self::start_with(&[]).await
    }

    /// With these variables too in the installation's environment.
    pub(crate) async fn start_with(more: &[(&str, &str)]) -> anyhow::Result<Self> {
        let node = Held::Shared(NODE.read().await);
        Self::begin(node, more).await
    }

    /// While no other test uses the node: for those that disturb it. None where it is not ours to disturb.
    pub(crate) async fn start_alone() -> anyhow::Result<Option<Self>> {
        if !node_is_ours() {
            return Ok(None);
        }
        let node = Held::Alone(NODE.write().await);
        Self::begin(node, &[]).await.map(Some)
    }

    async fn begin(node: Held, more: &[(&str, &str)]) -> anyhow::Result<Self> {
        let namespace = format!("paddock-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
        kubectl(&["create", "namespace", &namespace]).await?;
        let restricted = "pod-security.kubernetes.io/enforce=restricted";
        kubectl(&["label", "namespace", &namespace, restricted]).await?;
        let place = || -> anyhow::Result<String> {
            Ok(TcpListener::bind((host(), 0))?.local_addr()?.to_string())
        };
        let (link, egress, full, canary) = (place()?, place()?, place()?, place()?);
        let mut environment = vec![
            ("PADDOCK_KUBERNETES_NAMESPACE", namespace.as_str()),
            ("PADDOCK_LINK_LISTEN", &link),
            ("PADDOCK_LINK_ADDRESS", &link),
            ("PADDOCK_EGRESS_LISTEN", &egress),
            ("PADDOCK_EGRESS_ADDRESS", &egress),
            ("PADDOCK_EGRESS_FULL_LISTEN", &full),
            ("PADDOCK_EGRESS_FULL_ADDRESS", &full),
            ("PADDOCK_CANARY_LISTEN", &canary),
            ("PADDOCK_KUBERNETES_REQUESTERS", REQUESTER),
        ];
        environment.extend(more);
        let paddock = Installation::start_with(&environment).await?;
        Ok(Self { _node: node, paddock, namespace, canary, link, full })
    }

    /// Applies an object as somebody; what the API server says against it, if it does.
    pub(crate) async fn apply_as(
        &self,
        name: &str,
        object: &Value,
    ) -> anyhow::Result<Result<(), String>> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), object.to_string())?;
        let path = file.path().to_string_lossy().into_owned();
        let mut command = command(&["--namespace", &self.namespace, "apply", "--as", name]);
        // As an admin: what is refused is not refused for want of rights.
        let output = command.args(["--as-group=system:masters", "-f", &path]).output().await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(if output.status.success() { Ok(()) } else { Err(said) })
    }

    /// Ends it; nothing of it may be left on the cluster but the fence.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        self.eventually("no pod is left", async |world| Ok(world.pods().await?.is_empty())).await?;
        self.paddock.down().await
    }

    /// Applies an object in the namespace.
    pub(crate) async fn apply(&self, object: &Value) -> anyhow::Result<()> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), object.to_string())?;
        self.kubectl(&["apply", "-f", &file.path().to_string_lossy()]).await?;
        Ok(())
    }

    /// Lets no adapter work until [`World::resume_adapter`]: somebody else holds the Lease.
    pub(crate) async fn suspend_adapter(&self) -> anyhow::Result<()> {
        self.lease("somebody else").await?;
        // Its holder finds that out when it next renews it.
        tokio::time::sleep(Duration::from_secs(10)).await;
        Ok(())
    }

    /// Lets the adapter work again.
    pub(crate) async fn resume_adapter(&self) -> anyhow::Result<()> {
        self.lease("").await
    }

    async fn lease(&self, holder: &str) -> anyhow::Result<()> {
        let spec = json!({ "spec": { "holderIdentity": holder, "renewTime": "2099-01-01T00:00:00.000000Z" } });
        let lease = ["patch", "lease", "paddock-adapter", "--type=merge", "-p", &spec.to_string()];
        self.kubectl(&lease).await?;
        Ok(())
    }

    /// What `kubectl` answers in the namespace.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut all = vec!["--namespace", &self.namespace];
        all.extend(arguments);
        kubectl(&all).await
    }

    /// The pods of runs.
    pub(crate) async fn pods(&self) -> anyhow::Result<Vec<Value>> {
        let list = self.kubectl(&["get", "pods", "-l", "paddock.dev/run", "-o", "json"]).await?;
        let list: Value = serde_json::from_str(&list)?;
        Ok(list["items"].as_array().context("no list")?.clone())
    }

    /// The name of a run's pod, once it is there.
    pub(crate) async fn pod_of(&self, run: &str, generation: u32) -> anyhow::Result<String> {
        let name = format!("run-{run}-{generation}");
        self.eventually("the pod is there", async |world| {
            let there = ["get", "pod", &name, "--ignore-not-found", "-o", "name"];
            Ok(!world.kubectl(&there).await?.is_empty())
        })
        .await?;
        Ok(name)
    }

    /// Runs a shell line in a container of a pod; what it says and whether it succeeded.
    pub(crate) async fn inside(
        &self,
        pod: &str,
        container: &str,
        line: &str,
    ) -> anyhow::Result<(bool, String)> {
        let mut command = command(&["--namespace", &self.namespace, "exec", pod, "-c", container]);
        let output = command.args(["--", "bash", "-c", line]).output().await?;
        Ok((output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    /// Whether a connection from a container comes about.
    pub(crate) async fn connects(
        &self,
        pod: &str,
        container: &str,
        to: &str,
    ) -> anyhow::Result<bool> {
        let (host, port) = to.rsplit_once(':').unwrap_or((to, "80"));
        let line = format!("timeout 4 bash -c 'exec 3<>/dev/tcp/{host}/{port}'");
        Ok(self.inside(pod, container, &line).await?.0)
    }

    /// Waits until something holds.
    pub(crate) async fn eventually(
        &self,
        what: &str,
        holds: impl AsyncFn(&Self) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let until = Instant::now() + Duration::from_secs(90);
        while !holds(self).await? {
            if Instant::now() > until {
                let pods = self.kubectl(&["describe", "pods"]).await.unwrap_or_default();
                anyhow::bail!("not in time: {what}\n{pods}\n{}", self.paddock.logs());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }
}

impl Drop for World {
    /// What a test that failed left running would take from the others what they need.
    fn drop(&mut self) {
        let kubectl = |arguments: &[&str]| {
            let mut command = std::process::Command::new(program());
            let _ = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
        };
        // Nobody is left who would take away what keeps these.
        let keep = r#"{"metadata":{"finalizers":null}}"#;
        for kind in ["harnessruns", "sessions.paddock.dev"] {
            let list = ["get", kind, "--namespace", &self.namespace, "-o", "name"];
            let list = std::process::Command::new(program()).args(list).output();
            let names = list.map(|list| String::from_utf8_lossy(&list.stdout).into_owned());
            let names = names.unwrap_or_default();
            for name in names.lines() {
                let of = &self.namespace;
                kubectl(&["patch", name, "--namespace", of, "--type=merge", "-p", keep]);
            }
        }
        kubectl(&["delete", "namespace", &self.namespace, "--wait=false"]);
    }
}

fn program() -> String {
    std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".to_owned())
}

/// The node, while nobody takes a part of it away.
pub(crate) async fn shared_node() -> RwLockReadGuard<'static, ()> {
    NODE.read().await
}

/// `kubectl` with these arguments.
pub(crate) fn kubectl_command(arguments: &[&str]) -> Command {
    command(arguments)
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.arg("--request-timeout=60s").args(arguments);
    command.stdin(Stdio::null());
    command
}

/// What `kubectl` answers.
pub(crate) async fn kubectl(arguments: &[&str]) -> anyhow::Result<String> {
    let output = command(arguments).output().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "kubectl {arguments:?}: {said}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Something done to the node of this machine's own cluster.
pub(crate) async fn on_node(arguments: &[&str]) -> anyhow::Result<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/cluster");
    let done = Command::new(script).args(arguments).output().await?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8(done.stdout)?)
}

/// Another cluster's node is not ours to touch.
pub(crate) fn node_is_ours() -> bool {
    std::env::var("PADDOCK_TEST_CLUSTER").as_deref() == Ok("own")
}
