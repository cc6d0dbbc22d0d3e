use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Once},
    time::{Duration, Instant},
};

use harness::wire::{
    Agent, CloneRequest, Cloned, RestoreQuery, Restored, Snapshot, StartRequest, Status, StepError,
};
use reqwest::{Body, Client, Method};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::{BRANCH, Forge, Model, REMOTE, children, gateway};

/// The directories of one run, a forge and a model behind a gateway's socket.
pub(crate) struct Sandbox {
    pub(crate) dir: TempDir,
    pub(crate) forge: Forge,
    pub(crate) model: Arc<Model>,
    pub(crate) gateway: JoinHandle<()>,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["run", "gateway", "home", "workspace", "forge"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let forge = Forge::new(&dir.path().join("forge"));
        let model = Arc::new(Model::default());
        let socket = dir.path().join("gateway/gateway.sock");
        let gateway = gateway::serve(&socket, forge.root.clone(), Arc::clone(&model));
        Self { dir, forge, model, gateway }
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.dir.path().join("workspace/repo")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// A gateway that was restarted, on a socket of the same name.
    pub(crate) fn restart_gateway(&mut self) {
        self.gateway.abort();
        let socket = self.dir.path().join("gateway/gateway.sock");
        self.gateway = gateway::serve(&socket, self.forge.root.clone(), Arc::clone(&self.model));
    }

    /// A workload on another machine: the same paths, nothing in them.
    pub(crate) fn wipe(&self) {
        for name in ["home", "workspace"] {
            let dir = self.dir.path().join(name);
            std::fs::remove_dir_all(&dir).unwrap();
            std::fs::create_dir(&dir).unwrap();
        }
    }

    pub(crate) async fn harness(&self) -> Harness {
        self.harness_with(&opencode()).await
    }

    pub(crate) async fn harness_with(&self, opencode: &Path) -> Harness {
        let in_dir = |name: &str| self.dir.path().join(name);
        let proxy = free_address();
        let socket = in_dir("run/harness.sock");
        let child = Command::new(env!("CARGO_BIN_EXE_paddock-harness"))
            .arg("--socket")
            .arg(&socket)
            .arg("--gateway")
            .arg(in_dir("gateway/gateway.sock"))
            .arg("--proxy")
            .arg(proxy.to_string())
            .arg("--workspace")
            .arg(in_dir("workspace"))
            .arg("--home")
            .arg(in_dir("home"))
            .arg("--opencode")
            .arg(opencode)
            .env("CALLERS_OWN", "canary-of-the-callers-environment")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        PROVIDER.call_once(|| {
            rustls::crypto::ring::default_provider().install_default().unwrap();
        });
        let http = Client::builder().unix_socket(socket.as_path()).no_proxy().build().unwrap();
        let harness = Harness { child, http, proxy, socket };
        for _ in 0..200 {
            if harness.ask::<Status>(Method::GET, "status", &()).await.is_ok() {
                return harness;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the harness does not answer");
    }

    /// With the repository cloned.
    pub(crate) async fn cloned(&self) -> Harness {
        let harness = self.harness().await;
        harness.clone(REMOTE, "main", BRANCH, false).await.unwrap();
        harness
    }
}

static PROVIDER: Once = Once::new();

/// One process of the program under test.
pub(crate) struct Harness {
    pub(crate) child: Child,
    pub(crate) http: Client,
    pub(crate) proxy: SocketAddr,
    pub(crate) socket: PathBuf,
}

pub(crate) type Answer<T> = Result<T, StepError>;

impl Harness {
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Answer<T> {
        self.ask(Method::POST, path, body).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Answer<T> {
        let request = self.http.request(method, format!("http://harness/v1/{path}")).json(body);
        read(request.send().await).await
    }

    pub(crate) async fn clone(
        &self,
        remote_url: &str,
        base: &str,
        branch: &str,
        branch_is_ours: bool,
    ) -> Answer<Cloned> {
        let (remote_url, base, branch) = (remote_url.into(), base.into(), branch.into());
        self.post("clone", &CloneRequest { remote_url, base, branch, branch_is_ours }).await
    }

    pub(crate) async fn status(&self) -> Agent {
        self.ask::<Status>(Method::GET, "status", &()).await.unwrap().agent
    }

    pub(crate) async fn start(&self) -> Answer<Status> {
        assert!(
            opencode().is_file(),
            "PADDOCK_OPENCODE names no OpenCode: `make test` installs one"
        );
        self.start_whatever_it_is().await
    }

    pub(crate) async fn start_whatever_it_is(&self) -> Answer<Status> {
        let options = json!({
            "baseURL": format!("http://{}/model/v1", self.proxy), "apiKey": "canary-of-the-key",
        });
        let limit = json!({ "context": 128_000, "output": 8192 });
        let config = json!({
            "model": "fake/scripted", "small_model": "fake/scripted",
            "enabled_providers": ["fake"],
            "provider": { "fake": {
                "npm": "@ai-sdk/openai-compatible", "options": options,
                "models": { "scripted": { "tool_call": true, "limit": limit } },
            } },
            "permission": { "*": "allow" }, "share": "disabled", "autoupdate": false,
        });
        self.post("agent/start", &StartRequest { config }).await
    }

    /// Takes a snapshot and fetches it.
    pub(crate) async fn bundle(&self) -> (Snapshot, Vec<u8>) {
        let taken: Snapshot = self.post("snapshot", &()).await.unwrap();
        let content = self.http.get("http://harness/v1/snapshot/content").send().await.unwrap();
        let content = content.bytes().await.unwrap().to_vec();
        assert_eq!(content.len() as u64, taken.size);
        (taken, content)
    }

    pub(crate) async fn discard(&self) {
        self.http.delete("http://harness/v1/snapshot").send().await.unwrap();
    }

    pub(crate) async fn restore(&self, bundle: Vec<u8>, branch: &str) -> Answer<Restored> {
        let query = RestoreQuery { remote_url: REMOTE.into(), branch: branch.into() };
        let request = self.http.post("http://harness/v1/restore").query(&query);
        read(request.body(Body::from(bundle)).send().await).await
    }

    /// The agent's own API.
    pub(crate) async fn agent(&self, method: Method, path: &str, body: &Value) -> Value {
        let request = self.http.request(method, format!("http://harness/v1/agent/http/{path}"));
        let answer = request.json(body).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Gives the agent a prompt and waits until its turn is over.
    pub(crate) async fn turn(&self, session: &str, prompt: &str) {
        let parts = json!([{ "type": "text", "text": prompt }]);
        let path = format!("session/{session}/prompt_async");
        let before = self.finished(session).await;
        self.agent(Method::POST, &path, &json!({ "parts": parts })).await;
        for _ in 0..300 {
            if self.finished(session).await > before {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the turn did not end: {:#}", self.messages(session).await);
    }

    /// The messages once they stay as they are: the agent writes a title and the like after a turn.
    pub(crate) async fn settled_messages(&self, session: &str) -> Value {
        let mut before = self.messages(session).await;
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = self.messages(session).await;
            if now == before {
                return now;
            }
            before = now;
        }
    }

    pub(crate) async fn messages(&self, session: &str) -> Value {
        self.agent(Method::GET, &format!("session/{session}/message"), &Value::Null).await
    }

    async fn finished(&self, session: &str) -> usize {
        let messages = self.messages(session).await;
        let done = |message: &&Value| message["info"]["finish"] == "stop";
        messages.as_array().unwrap().iter().filter(done).count()
    }

    pub(crate) async fn session(&self) -> String {
        let session = self.agent(Method::POST, "session", &json!({ "title": "Test" })).await;
        session["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Waits until the process has ended.
    pub(crate) async fn ended(&mut self, within: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + within;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        None
    }

    /// Ends it as an adapter would, without a sidecar that wants a snapshot.
    pub(crate) async fn end(mut self) {
        let _ = self.post::<Status>("agent/stop", &()).await;
        self.signal("-TERM");
        assert!(self.ended(Duration::from_secs(10)).await.is_some());
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        // Only a test that failed gets here with a process that runs. Its init ends the rest.
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let server = children(self.child.id());
            for pid in server {
                let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
            }
            let _ = self.child.wait();
        }
    }
}

async fn read<T: DeserializeOwned>(answer: reqwest::Result<reqwest::Response>) -> Answer<T> {
    let other = |detail: String| StepError { kind: harness::wire::StepErrorKind::Other, detail };
    let answer = answer.map_err(|error| other(format!("{error:?}")))?;
    let ok = answer.status().is_success();
    let text = answer.text().await.map_err(|error| other(error.to_string()))?;
    if ok {
        return Ok(serde_json::from_str(&text).unwrap_or_else(|_| panic!("answered {text}")));
    }
    Err(serde_json::from_str(&text).unwrap_or_else(|_| panic!("failed with {text}")))
}

/// The real one; only tests that start it need it.
fn opencode() -> PathBuf {
    std::env::var_os("PADDOCK_OPENCODE").unwrap_or("opencode".into()).into()
}

fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}
