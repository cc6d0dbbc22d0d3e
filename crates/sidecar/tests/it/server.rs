use std::{
    net::{Ipv4Addr, TcpListener},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use sidecar::opencode::Client;
use tokio::process::{Child, Command};

const PASSWORD: &str = "only for this test";

/// A real OpenCode with a home of its own.
pub(crate) struct Server {
    _child: Child,
    _home: tempfile::TempDir,
    url: String,
    http: reqwest::Client,
}

impl Server {
    /// Starts it, with a model that answers at `model_url`.
    pub(crate) async fn start(model_url: &str) -> anyhow::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let program = std::env::var("PADDOCK_OPENCODE")
            .context("PADDOCK_OPENCODE is not set: `make test` installs OpenCode and sets it")?;
        let home = tempfile::tempdir()?;
        let repository = home.path().join("repo");
        std::fs::create_dir(&repository)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let config = json!({
            "model": "fake/scripted", "small_model": "fake/scripted", "enabled_providers": ["fake"],
            "provider": { "fake": {
                "npm": "@ai-sdk/openai-compatible",
                "options": { "baseURL": model_url, "apiKey": "none" },
                "models": { "scripted": { "tool_call": true, "limit": { "context": 128_000, "output": 8192 } } },
            } },
            "permission": { "*": "allow" }, "share": "disabled", "autoupdate": false,
        });
        let child = Command::new(program)
            .args(["serve", "--hostname", "127.0.0.1", "--port", &port.to_string()])
            .current_dir(&repository)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", home.path())
            .env("OPENCODE_SERVER_PASSWORD", PASSWORD)
            .env("OPENCODE_CONFIG_CONTENT", config.to_string())
            .env("OPENCODE_DISABLE_MODELS_FETCH", "1")
            .env("OPENCODE_DISABLE_DEFAULT_PLUGINS", "1")
            .env("OPENCODE_PURE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        let url = format!("http://127.0.0.1:{port}");
        let server = Self { _child: child, _home: home, url, http };
        let until = Instant::now() + Duration::from_mins(1);
        // Each try is short: a request sent just after the port opens is never answered.
        while server.get("global/health").await.is_err() {
            if Instant::now() > until {
                bail!("OpenCode did not answer within a minute");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(server)
    }

    /// The client under test.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.http.clone(), &self.url).with_password("opencode", PASSWORD)
    }

    /// The server's answer to a plain request.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.http.get(format!("{}/{path}", self.url));
        let request = request.basic_auth("opencode", Some(PASSWORD));
        let request = request.timeout(Duration::from_secs(if path == "doc" { 20 } else { 1 }));
        let answer = request.send().await?.error_for_status()?;
        Ok(serde_json::from_slice(&answer.bytes().await?)?)
    }
}
