//! The platform itself in pods: what `deploy/` makes of a cluster, as the page on installing says.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    process::{Child, Command},
    time::Instant,
};

use crate::{
    cluster::{host, kubectl, kubectl_command, node_is_ours, on_node, shared_node},
    support::{Installation, PATIENCE, REPO, git, program, token},
};

const SYSTEM: &str = "paddock-system";
const RUNS: &str = "paddock-runs";
const CREDENTIALS: &str = "paddock-credentials";
/// Where the node has the artifact store's volume.
const VOLUME: &str = "/var/lib/paddock-platform-test";
const PARTS: [&str; 4] = ["serve", "k8s-adapter", "egress", "artifacts"];

/// The platform on the cluster, with a forge and a model on this machine.
struct Platform {
    paddock: Installation,
    outside: Vec<Child>,
    forward: Option<Child>,
    port: u16,
    /// Whether the cluster is this machine's own: then the volume is made here.
    own: bool,
}

async fn system(arguments: &[&str]) -> anyhow::Result<String> {
    let mut all = vec!["--namespace", SYSTEM];
    all.extend(arguments);
    kubectl(&all).await
}

/// A line for the node's shell.
async fn shell(line: &str) -> anyhow::Result<String> {
    on_node(&["exec", "sh", "-c", line]).await
}

/// From `dir` to the directory of the manifests: a kustomization takes no absolute path.
fn to_deploy(dir: &Path) -> anyhow::Result<PathBuf> {
    let deploy = fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy"))?;
    let up: PathBuf = fs::canonicalize(dir)?.components().skip(1).map(|_| "..").collect();
    Ok(up.join(deploy.strip_prefix("/")?))
}

fn image(name: &str) -> anyhow::Result<(String, String)> {
    let image = std::env::var(name).with_context(|| format!("{name} is not set"))?;
    let (name, tag) = image.rsplit_once(':').context("an image without a tag")?;
    Ok((name.to_owned(), tag.to_owned()))
}

impl Platform {
    async fn start() -> anyhow::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let own = node_is_ours();
        remove(own).await?;
        let dir = tempfile::Builder::new().prefix("paddock-platform-").tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let (outside, urls) = outside(&dir.path().join("data")).await?;
        overlay(dir.path(), port, &urls, own)?;
        let overlay = dir.path().to_string_lossy().into_owned();
        let text = kubectl(&["kustomize", &overlay]).await?;
        let all = dir.path().join("all.yaml");
        fs::write(&all, text)?;
        let all = all.to_string_lossy().into_owned();
        // As its page says: the namespaces first, then the Secrets, then all of it.
        for namespace in [SYSTEM, RUNS] {
            kubectl(&["create", "namespace", namespace]).await?;
        }
        if own {
            volume().await?;
        }
        let paddock = Installation::elsewhere(dir, String::new(), String::new())?;
        let mut this = Self { paddock, outside, forward: None, port, own };
        let backends = this.paddock.dir.path().join("backends.yaml");
        kubectl(&["apply", "-f", &backends.to_string_lossy()]).await?;
        this.secrets().await?;
        kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &all]).await?;
        for part in PARTS {
            this.rolled_out(part).await?;
        }
        this.sign_in().await?;
        Ok(this)
    }

    async fn secrets(&self) -> anyhow::Result<()> {
        let address = async |service: &str| {
            system(&["get", "service", service, "-o", "jsonpath={.spec.clusterIP}"]).await
        };
        let database = address("postgres").await?;
        let of = |role: &str| format!("postgres://{role}@{database}:5432/paddock");
        let secrets = self.paddock.data().join("secrets");
        let key = |name: &str| fs::read_to_string(secrets.join(name));
        for (name, pairs) in [
            (
                "paddock-database",
                vec![("url", of("paddock_serve")), ("migration-url", of("paddock_owner"))],
            ),
            ("paddock-nats", vec![("url", format!("nats://{}:4222", address("nats").await?))]),
            ("paddock-gateway", vec![("token", uuid::Uuid::new_v4().to_string())]),
            ("paddock-artifacts", vec![("token", uuid::Uuid::new_v4().to_string())]),
            ("paddock-github", vec![("token", key("forge")?)]),
            ("paddock-model", vec![("key", key("model")?)]),
        ] {
            let literals: Vec<String> =
                pairs.iter().map(|(key, value)| format!("--from-literal={key}={value}")).collect();
            let mut line = vec!["create", "secret", "generic", name];
            line.extend(literals.iter().map(String::as_str));
            system(&line).await?;
        }
        Ok(())
    }

    async fn rolled_out(&self, part: &str) -> anyhow::Result<()> {
        let name = format!("deployment/paddock-{part}");
        let done = system(&["rollout", "status", &name, "--timeout=150s"]).await;
        match done {
            Ok(_) => Ok(()),
            Err(error) => bail!("{error:#}\n{}", self.told().await),
        }
    }

    /// A token of the installation's own user, and a way to the API, as an admin without a provider has them.
    async fn sign_in(&mut self) -> anyhow::Result<()> {
        let login = ["/usr/bin/paddock", "--json", "login", "--in-database", "--api-token"];
        let mut line = vec!["exec", "deployment/paddock-serve", "-c", "serve", "--"];
        line.extend(login);
        let made: Value = serde_json::from_str(&system(&line).await?)?;
        let token = made["token"].as_str().context("no token")?.to_owned();
        self.paddock.is_at(format!("http://127.0.0.1:{}", self.port), token);
        self.forward().await
    }

    async fn forward(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(mut old) = self.forward.take() {
                let _ = old.kill().await;
            }
            let ports = format!("{}:7080", self.port);
            let mut command = kubectl_command(&["--namespace", SYSTEM, "port-forward"]);
            command.args(["deployment/paddock-serve", &ports]).kill_on_drop(true);
            self.forward = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
            for _ in 0..30 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let answer = self.paddock.call(Method::GET, "me", None).await;
                if answer.is_ok_and(|(status, _)| status.is_success()) {
                    return Ok(());
                }
            }
            ensure!(Instant::now() < until, "the API is not reached\n{}", self.told().await);
        }
    }

    /// What the cluster says, for a failing test.
    async fn told(&self) -> String {
        let mut told = system(&["get", "pods,pvc,events", "-o", "wide"]).await.unwrap_or_default();
        for part in PARTS {
            let label = format!("app.kubernetes.io/component={part}");
            let line = ["logs", "-l", &label, "--tail=40", "--all-containers", "--prefix"];
            told.push_str(&system(&line).await.unwrap_or_default());
        }
        let runs = ["--namespace", RUNS, "get", "pods,networkpolicies,leases", "-o", "wide"];
        told.push_str(&kubectl(&runs).await.unwrap_or_default());
        told
    }

    /// Waits until a run is as it should be; the way to the API is found again where it broke.
    async fn until(
        &mut self,
        run: &str,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let until = Instant::now() + Duration::from_mins(4);
        loop {
            match self.paddock.call(Method::GET, &format!("runs/{run}"), None).await {
                Ok((status, now)) if status.is_success() => {
                    if holds(&now) {
                        return Ok(now);
                    }
                    if Instant::now() > until || !now["finished_at"].is_null() {
                        bail!("never {what}: {now:#}\n{}", self.told().await);
                    }
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                _ => self.forward().await?,
            }
        }
    }

    async fn success(&mut self, run: &str) -> anyhow::Result<Value> {
        let ended = self.until(run, "ended", |run| !run["finished_at"].is_null()).await?;
        if ended["outcome"] != "succeeded" {
            bail!("{ended:#}\n{}", self.told().await);
        }
        Ok(ended)
    }

    async fn end(mut self) -> anyhow::Result<()> {
        if let Some(mut forward) = self.forward.take() {
            let _ = forward.kill().await;
        }
        for mut part in std::mem::take(&mut self.outside) {
            let _ = part.kill().await;
        }
        remove(self.own).await
    }
}

/// What an earlier test left, and what this one does. The definitions of Paddock's objects stay: they are everybody's.
async fn remove(own: bool) -> anyhow::Result<()> {
    // While the adapter is there: it lets go of runs that have ended.
    let of = async |namespace: &str, timeout: &str| {
        kubectl(&["delete", "namespace", namespace, "--ignore-not-found", timeout]).await
    };
    if of(RUNS, "--timeout=40s").await.is_err() {
        let runs = ["--namespace", RUNS, "get", "harnessruns", "-o", "name"];
        for run in kubectl(&runs).await?.lines() {
            let none = r#"{"metadata":{"finalizers":null}}"#;
            let patch = ["--namespace", RUNS, "patch", run, "--type=merge", "-p", none];
            kubectl(&patch).await?;
        }
        of(RUNS, "--timeout=50s").await?;
    }
    for namespace in [SYSTEM, CREDENTIALS] {
        of(namespace, "--timeout=50s").await?;
    }
    for kind in ["clusterrolebinding", "clusterrole"] {
        let part_of = "app.kubernetes.io/part-of=paddock";
        kubectl(&["delete", kind, "-l", part_of, "--ignore-not-found"]).await?;
    }
    if own {
        kubectl(&["delete", "pv", "paddock-platform-test", "--ignore-not-found"]).await?;
        shell(&format!("umount {VOLUME} 2>/dev/null || true")).await?;
    }
    Ok(())
}

/// A small volume on the node, which is bound to the claim.
async fn volume() -> anyhow::Result<()> {
    shell(&format!("mkdir -p {VOLUME} && mount -t tmpfs -o size=64m none {VOLUME}")).await?;
    let node = kubectl(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]).await?;
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": { "name": "paddock-platform-test" },
        "spec": {
            "capacity": { "storage": "50Gi" }, "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "",
            "claimRef": { "namespace": SYSTEM, "name": "paddock-artifacts" },
            "local": { "path": VOLUME },
            "nodeAffinity": { "required": { "nodeSelectorTerms": [{ "matchExpressions": [
                { "key": "kubernetes.io/hostname", "operator": "In", "values": [node.trim()] },
            ] }] } },
        },
    });
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), volume.to_string())?;
    kubectl(&["apply", "-f", &file.path().to_string_lossy()]).await?;
    Ok(())
}

struct Urls {
    forge: String,
    forge_api: String,
    model: String,
}

/// A forge and a model on this machine, where pods reach them.
async fn outside(data: &Path) -> anyhow::Result<(Vec<Child>, Urls)> {
    let (demo, secrets) = (data.join("demo"), data.join("secrets"));
    fs::create_dir_all(&demo)?;
    fs::create_dir_all(&secrets)?;
    for name in ["forge", "model"] {
        fs::write(secrets.join(name), uuid::Uuid::new_v4().to_string())?;
    }
    let mut running = vec![];
    for name in ["forge", "model"] {
        let mut command = Command::new(program(&format!("paddock-{name}"))?);
        command.arg("--listen").arg(format!("{}:0", host()));
        command.arg("--announce").arg(demo.join(format!("{name}.json")));
        match name {
            "forge" => {
                command.arg("--data").arg(demo.join("forge")).arg("--seed-demo");
                command.arg("--token-file").arg(secrets.join("forge"));
            }
            _ => {
                command.arg("--log").arg(demo.join("model.log"));
                command.arg("--key-file").arg(secrets.join("model"));
            }
        }
        let log = fs::File::create(data.join(format!("{name}.log")))?;
        running.push(command.stdin(Stdio::null()).stderr(log).kill_on_drop(true).spawn()?);
    }
    let read = async |name: &str| -> anyhow::Result<Value> {
        for _ in 0..200 {
            if let Ok(text) = fs::read(demo.join(name)) {
                return Ok(serde_json::from_slice(&text)?);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("{name} did not appear")
    };
    let (forge, model) = (read("forge.json").await?, read("model.json").await?);
    let text = |of: &Value, key: &str| of[key].as_str().unwrap_or_default().to_owned();
    let urls = Urls {
        forge: text(&forge, "url"),
        forge_api: text(&forge, "api_url"),
        model: text(&model, "url"),
    };
    Ok((running, urls))
}

/// A kustomization over that of `deploy/`, with what is particular to this cluster.
fn overlay(dir: &Path, port: u16, urls: &Urls, own: bool) -> anyhow::Result<()> {
    let (image_name, tag) = image("PADDOCK_SIDECAR_IMAGE")?;
    let backends = std::env::var("PADDOCK_BACKENDS_IMAGE").context("PADDOCK_BACKENDS_IMAGE")?;
    let text =
        include_str!("backends.yaml").replace("image: backends", &format!("image: {backends}"));
    fs::write(dir.join("backends.yaml"), text)?;
    let config = json!([{
        "op": "replace", "path": "/data", "value": {
            "PADDOCK_MODEL": "demo/scripted",
            "PADDOCK_MODEL_URL": urls.model, "PADDOCK_GITHUB_URL": urls.forge,
            "PADDOCK_GITHUB_API_URL": urls.forge_api,
            "PADDOCK_PUBLIC_URL": format!("http://127.0.0.1:{port}"),
            "PADDOCK_SIDECAR_IMAGE": std::env::var("PADDOCK_SIDECAR_IMAGE")?,
            "PADDOCK_HARNESS_IMAGE": std::env::var("PADDOCK_HARNESS_IMAGE")?,
            "PADDOCK_IMAGE_PULL_POLICY": std::env::var("PADDOCK_IMAGE_PULL_POLICY")
                .unwrap_or_else(|_| "IfNotPresent".to_owned()),
        },
    }]);
    let mut patches = vec![json!({
        "target": { "kind": "ConfigMap", "name": "paddock" }, "patch": config.to_string(),
    })];
    if own {
        let claim = json!([{ "op": "add", "path": "/spec/storageClassName", "value": "" }]);
        let target = json!({ "kind": "PersistentVolumeClaim", "name": "paddock-artifacts" });
        patches.push(json!({ "target": target, "patch": claim.to_string() }));
    }
    let kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": [to_deploy(dir)?],
        "images": [{ "name": "paddock", "newName": image_name, "newTag": tag }],
        "patches": patches,
    });
    fs::write(dir.join("kustomization.yaml"), kustomization.to_string())?;
    Ok(())
}

/// What a service account may, as the API server says it.
async fn can(account: &str, verb: &str, what: &str, namespace: &str) -> anyhow::Result<bool> {
    let who = format!("--as=system:serviceaccount:{SYSTEM}:{account}");
    // A slash would name an object.
    let (what, part) = what.split_once('/').unwrap_or((what, ""));
    let part = format!("--subresource={part}");
    let line = ["auth", "can-i", verb, what, &part, "--namespace", namespace, &who];
    let output = kubectl_command(&line).output().await?;
    match String::from_utf8_lossy(&output.stdout).trim() {
        "yes" => Ok(true),
        "no" => Ok(false),
        other => bail!("{other} {}", String::from_utf8_lossy(&output.stderr)),
    }
}

#[tokio::test]
async fn the_platform_in_pods_does_the_main_job_and_loses_nothing_when_each_of_them_goes()
-> anyhow::Result<()> {
    let _node = shared_node().await;
    let mut platform = Platform::start().await?;
    least_rights().await?;
    fenced_from_each_other().await?;

    // What is registered is a Secret, and outlives the pod that was told it.
    let value = token();
    let known = json!({ "token": format!("{value} write {REPO}") });
    platform.paddock.forge_test(Method::POST, "tokens", &known).await?;
    let registered = json!({ "name": "work", "value": value, "repo": REPO });
    platform.paddock.post("credentials", registered).await?;
    ensure!(credential_secrets().await? == 1, "a Secret of its own");

    // From the issue to the pull request.
    let session = platform.paddock.session("In pods").await?;
    let body = json!({ "prompt": "[scenario: fix-greeter] greets nobody by name" });
    let run = platform.paddock.run_with(&session, body).await?;
    let ended = platform.success(&run).await?;
    let number = ended["pull_request"]["number"].as_u64().context("no pull request")?;
    let pulls = platform.paddock.pull_requests().await?;
    ensure!(pulls.len() == 1 && pulls[0]["number"] == number, "{pulls:?}");
    let branch = ended["branch"].as_str().context("no branch")?;
    let head = git(&platform.paddock.bare_repository(), &["rev-parse", branch])?;
    ensure!(pulls[0]["head"]["sha"].as_str() == Some(head.trim()), "{pulls:?}");
    ensure!(ended["repo"] == REPO && ended["sandbox"] == "pod", "{ended:#}");
    let fence = ended["fence"].as_array().context("no proof")?;
    let canary = fence.iter().find(|probe| probe["target"] == "the control plane");
    let verdict = canary.context("the canary was not tried")?["verdict"].as_str();
    ensure!(matches!(verdict, Some("refused" | "timed_out")), "{verdict:?}");

    // Its bundle is on the volume, and comes through the API in ranges.
    let list = platform.paddock.get(&format!("sessions/{session}/artifacts")).await?;
    let newest = list["items"][0].clone();
    let digest = newest["digest"].as_str().context("no bundle")?;
    if platform.own {
        let file = format!("{VOLUME}/store/bundle/{}/{digest}", &digest[..2]);
        let sum = shell(&format!("sha256sum {file}")).await?;
        ensure!(sum.starts_with(digest), "{sum}");
    }

    // Each part goes in mid-run.
    let session = platform.paddock.session("Parts go").await?;
    let run = platform.paddock.run(&session, "slow").await?;
    platform.until(&run, "running", |run| run["state"] == "running").await?;
    let pod = runs_pod(&run).await?;
    for part in PARTS {
        let label = format!("app.kubernetes.io/component={part}");
        system(&["delete", "pod", "-l", &label, "--wait=false"]).await?;
    }
    for part in PARTS {
        platform.rolled_out(part).await?;
    }
    platform.forward().await?;
    ensure!(runs_pod(&run).await? == pod, "another pod");
    let ended = platform.success(&run).await?;
    ensure!(ended["credential"]["name"] == "work", "{ended:#}");
    let events = platform.paddock.events(&run).await?;
    ensure!(!events.iter().any(|event| event == "run.lost"), "{events:?}");

    if platform.own {
        full(&mut platform).await?;
    }
    platform.end().await
}

/// As many as there are credentials.
async fn credential_secrets() -> anyhow::Result<usize> {
    let line = ["--namespace", CREDENTIALS, "get", "secrets", "-o", "name"];
    Ok(kubectl(&line).await?.lines().filter(|name| name.contains("paddock-credential.")).count())
}

/// The adapter makes pods, and of all Secrets only those of credentials are read, by the control plane.
async fn least_rights() -> anyhow::Result<()> {
    for account in ["paddock-k8s-adapter", "paddock-serve", "paddock-nothing", "default"] {
        for namespace in [SYSTEM, RUNS, "kube-system"] {
            for verb in ["get", "list", "watch", "create", "update", "delete"] {
                ensure!(!can(account, verb, "secrets", namespace).await?, "{account} {verb}");
            }
        }
    }
    for (account, verb, what, namespace, may) in [
        ("paddock-serve", "list", "secrets", CREDENTIALS, true),
        ("paddock-serve", "update", "secrets", CREDENTIALS, false),
        ("paddock-serve", "watch", "secrets", CREDENTIALS, false),
        ("paddock-k8s-adapter", "get", "secrets", CREDENTIALS, false),
        ("paddock-k8s-adapter", "create", "pods", RUNS, true),
        ("paddock-k8s-adapter", "create", "pods", SYSTEM, false),
        ("paddock-k8s-adapter", "create", "pods/exec", RUNS, false),
        ("paddock-k8s-adapter", "delete", "networkpolicies", RUNS, false),
        ("paddock-k8s-adapter", "create", "tokenreviews", RUNS, false),
        ("paddock-serve", "create", "tokenreviews", RUNS, true),
        ("paddock-serve", "create", "pods", RUNS, false),
        ("paddock-serve", "get", "pods", RUNS, false),
        ("paddock-nothing", "get", "pods", SYSTEM, false),
    ] {
        let allowed = can(account, verb, what, namespace).await?;
        ensure!(allowed == may, "{account} {verb} {what} in {namespace}: {allowed}");
    }
    Ok(())
}

/// A pod that is none of them comes to the canary and to nothing else of theirs.
async fn fenced_from_each_other() -> anyhow::Result<()> {
    let mut reached = vec![];
    for service in ["paddock-canary:7086", "paddock-artifacts:7084", "paddock-gateway:7083"] {
        let (name, port) = service.split_once(':').context("no port")?;
        let address = system(&["get", "service", name, "-o", "jsonpath={.spec.clusterIP}"]).await?;
        let line = format!("timeout 4 bash -c 'exec 3<>/dev/tcp/{address}/{port}'");
        let mut command = kubectl_command(&["--namespace", SYSTEM, "exec", "nats", "--"]);
        if command.args(["bash", "-c", &line]).output().await?.status.success() {
            reached.push(name);
        }
    }
    ensure!(reached == ["paddock-canary"], "{reached:?}");
    Ok(())
}

async fn runs_pod(run: &str) -> anyhow::Result<String> {
    let label = format!("paddock.dev/run={run}");
    let path = "jsonpath={.items[*].metadata.uid}";
    kubectl(&["--namespace", RUNS, "get", "pods", "-l", &label, "-o", path]).await
}

/// The volume is full: the run says so and ends once there is room.
async fn full(platform: &mut Platform) -> anyhow::Result<()> {
    let filler = format!("{VOLUME}/store/filler");
    shell(&format!("dd if=/dev/zero of={filler} bs=1M count=100 2>/dev/null || true")).await?;
    let session = platform.paddock.session("Full").await?;
    let run = platform.paddock.run(&session, "leftovers").await?;
    let waits = |run: &Value| {
        let reason = run["reason"].as_str().unwrap_or_default();
        run["state"] == "snapshotting" && reason.contains("the artifact store is full")
    };
    platform.until(&run, "waiting for room", waits).await?;
    shell(&format!("rm {filler}")).await?;
    let ended = platform.success(&run).await?;
    ensure!(ended["reason"].is_null(), "{ended:#}");
    Ok(())
}
