//! The agent: OpenCode, as a server on a loopback port with a password that never leaves the sandbox.

use std::{
    net::{Ipv4Addr, SocketAddr},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use axum::{
    body::Body,
    http::{Request, header},
};
use base64::Engine as _;
use http_body_util::BodyExt as _;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::{
    process::{Child, Command},
    sync::Mutex,
    time::{Instant, sleep, timeout},
};

use crate::{
    failure::{Failure, Step},
    server::Config,
    wire::{Agent, Status},
};

/// How long it has to answer.
const START: Duration = Duration::from_mins(1);
/// How long it has to end by itself.
const STOP: Duration = Duration::from_secs(5);
/// A request sent just after the port opens is never answered: each try is short.
const TRY: Duration = Duration::from_secs(1);
/// The file that keeps OpenCode from installing a plugin into its configuration directory.
const PLUGIN_LOCK: &str =
    r#"{"lockfileVersion":3,"packages":{"":{"dependencies":{"@opencode-ai/plugin":"1.18.33"}}}}"#;

/// The agent of this sandbox.
pub(crate) struct Agents {
    config: Config,
    client: Client<HttpConnector, Body>,
    current: Mutex<Current>,
}

enum Current {
    NotStarted,
    Running { child: Box<Child>, port: u16, authorization: String, version: String },
    Exited(ExitStatus),
}

/// How to reach it.
pub(crate) struct Address {
    pub(crate) at: SocketAddr,
    pub(crate) authorization: String,
    pub(crate) client: Client<HttpConnector, Body>,
}

impl Agents {
    pub(crate) fn new(config: Config) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { config, client, current: Mutex::new(Current::NotStarted) }
    }

    /// Starts it, unless it runs already, and waits until it answers.
    pub(crate) async fn start(&self, config: &Value) -> Step<()> {
        let mut current = self.current.lock().await;
        current.look();
        if matches!(*current, Current::Running { .. }) {
            return Ok(());
        }
        prepare_home(&self.config.home)?;
        let password = random_password()?;
        let port = free_port()?;
        let mut child = self.command(config, &password, port).spawn()?;
        let authorization = format!(
            "Basic {}",
            base64::engine::general_purpose::STANDARD.encode(format!("opencode:{password}"))
        );
        let until = Instant::now() + START;
        let version = loop {
            if let Some(status) = child.try_wait()? {
                *current = Current::Exited(status);
                return Err(Failure::agent(format!("it ended at once: {status}")));
            }
            if let Some(version) = self.health(port, &authorization).await {
                break version;
            }
            if Instant::now() > until {
                let _ = child.kill().await;
                return Err(Failure::agent("it did not answer within a minute"));
            }
            sleep(Duration::from_millis(100)).await;
        };
        *current = Current::Running { child: Box::new(child), port, authorization, version };
        Ok(())
    }

    /// Ends it: disposes of its instances, SIGTERM, then SIGKILL to all that it started.
    pub(crate) async fn stop(&self) {
        let mut current = self.current.lock().await;
        current.look();
        if let Current::Running { child, port, authorization, .. } = &mut *current {
            let dispose = self.request("POST", *port, "global/dispose", authorization);
            let _ = timeout(STOP, dispose).await;
            let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
            if let Some(group) = group {
                let _ = kill_process_group(group, Signal::TERM);
                let _ = timeout(STOP, child.wait()).await;
                let _ = kill_process_group(group, Signal::KILL);
            }
            let _ = child.wait().await;
        }
        *current = Current::NotStarted;
    }

    /// How it is.
    pub(crate) async fn status(&self) -> Status {
        let mut current = self.current.lock().await;
        current.look();
        let agent = match &*current {
            Current::NotStarted => Agent::NotStarted,
            Current::Running { version, .. } => Agent::Running { version: version.clone() },
            Current::Exited(status) => {
                Agent::Exited { code: status.code(), signal: status.signal() }
            }
        };
        Status { agent, harness_version: env!("CARGO_PKG_VERSION").to_owned() }
    }

    /// Whether it runs.
    pub(crate) async fn is_running(&self) -> bool {
        self.pid().await.is_some()
    }

    /// Its process.
    pub(crate) async fn pid(&self) -> Option<u32> {
        let mut current = self.current.lock().await;
        current.look();
        match &*current {
            Current::Running { child, .. } => child.id(),
            Current::NotStarted | Current::Exited(_) => None,
        }
    }

    /// How to reach it, while it runs.
    pub(crate) async fn address(&self) -> Option<Address> {
        let mut current = self.current.lock().await;
        current.look();
        match &*current {
            Current::Running { port, authorization, .. } => Some(Address {
                at: (Ipv4Addr::LOCALHOST, *port).into(),
                authorization: authorization.clone(),
                client: self.client.clone(),
            }),
            Current::NotStarted | Current::Exited(_) => None,
        }
    }

    fn command(&self, config: &Value, password: &str, port: u16) -> Command {
        let home = &self.config.home;
        let proxy = format!("http://{}", self.config.proxy);
        let mut command = Command::new(&self.config.opencode);
        command
            .args(["serve", "--hostname", "127.0.0.1", "--port", &port.to_string()])
            .current_dir(self.config.repository())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", home)
            .env("USER", "agent")
            .env("LANG", "C.UTF-8")
            .env("TERM", "dumb")
            .env("XDG_DATA_HOME", home.join(".local/share"))
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("XDG_CACHE_HOME", home.join(".cache"))
            .env("XDG_STATE_HOME", home.join(".local/state"))
            .envs(
                ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"]
                    .map(|name| (name, &proxy)),
            )
            .envs(["NO_PROXY", "no_proxy"].map(|name| (name, "localhost,127.0.0.1,::1")))
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_GLOBAL", crate::git::global_config(&self.config))
            .env("OPENCODE_SERVER_PASSWORD", password)
            .env("OPENCODE_CONFIG_CONTENT", config.to_string())
            .envs(
                [
                    "OPENCODE_DISABLE_PROJECT_CONFIG",
                    "OPENCODE_DISABLE_MODELS_FETCH",
                    "OPENCODE_DISABLE_AUTOUPDATE",
                    "OPENCODE_DISABLE_LSP_DOWNLOAD",
                    "OPENCODE_DISABLE_SHARE",
                    "OPENCODE_DISABLE_DEFAULT_PLUGINS",
                    "OPENCODE_PURE",
                ]
                .map(|name| (name, "1")),
            )
            .stdin(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        command
    }

    async fn health(&self, port: u16, authorization: &str) -> Option<String> {
        let answer = timeout(TRY, self.request("GET", port, "global/health", authorization));
        let body: Value = serde_json::from_slice(&answer.await.ok()??).ok()?;
        Some(body["version"].as_str().unwrap_or("unknown").to_owned())
    }

    async fn request(
        &self,
        method: &str,
        port: u16,
        path: &str,
        authorization: &str,
    ) -> Option<Vec<u8>> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://127.0.0.1:{port}/{path}"))
            .header(header::AUTHORIZATION, authorization)
            .body(Body::empty())
            .ok()?;
        let answer = self.client.request(request).await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        let body = http_body_util::Limited::new(answer.into_body(), 64 * 1024);
        Some(body.collect().await.ok()?.to_bytes().to_vec())
    }
}

impl Current {
    /// Notices that it ended.
    fn look(&mut self) {
        if let Self::Running { child, .. } = self
            && let Ok(Some(status)) = child.try_wait()
        {
            *self = Self::Exited(status);
        }
    }
}

fn prepare_home(home: &Path) -> Step<()> {
    let config = home.join(".config/opencode");
    for dir in [config.join("node_modules"), home.join(".local/share"), home.join(".cache")] {
        std::fs::create_dir_all(dir)?;
    }
    std::fs::write(config.join("package.json"), "{}")?;
    std::fs::write(config.join("package-lock.json"), PLUGIN_LOCK)?;
    Ok(())
}

fn random_password() -> Step<String> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).map_err(Failure::other)?;
    Ok(hex::encode(bytes))
}

/// A port that is free now: inside, nothing but the agent competes for it.
fn free_port() -> Step<u16> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
