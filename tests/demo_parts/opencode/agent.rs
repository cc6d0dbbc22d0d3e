//! A real OpenCode that is served by the scripted model, in a home and a repository of its own.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use paddock_tests::{
    model::{Config, start},
    serving::Serving,
};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    time::sleep,
};

const KEY: &str = "the model's key";
const PASSWORD: &str = "of the test";
/// The file that keeps OpenCode from installing a plugin into its configuration directory.
const PLUGIN_LOCK: &str =
    r#"{"lockfileVersion":3,"packages":{"":{"dependencies":{"@opencode-ai/plugin":"1.18.33"}}}}"#;
/// The demo's repository, as far as scenarios look at it.
const FILES: [(&str, &str); 3] = [
    ("README.md", "# greeter\n"),
    ("greet.sh", "#!/bin/sh\nname=$1\necho \"Hello, nmae!\"\n"),
    ("test.sh", "#!/bin/sh\n[ \"$(sh ./greet.sh Ada)\" = \"Hello, Ada!\" ] && echo ok\n"),
];

/// OpenCode and its model. Both end when it is dropped.
pub(crate) struct Agent {
    http: Client,
    url: String,
    dir: TempDir,
    _model: Serving,
    _opencode: Child,
}

/// One prompt and all that came of it.
pub(crate) struct Turn {
    /// The messages since the prompt, oldest first.
    pub(crate) messages: Vec<Value>,
}

impl Turn {
    fn parts<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        let parts = self.messages.iter().filter(|message| message["info"]["role"] == "assistant");
        let parts = parts.filter_map(|message| message["parts"].as_array()).flatten();
        parts.filter(move |part| part["type"] == kind)
    }

    /// The tool calls, in order.
    pub(crate) fn tools(&self) -> Vec<&Value> {
        self.parts("tool").collect()
    }

    /// What the model said, without what it thought.
    pub(crate) fn text(&self) -> String {
        self.parts("text").filter_map(|part| part["text"].as_str()).collect()
    }

    /// The error that ended it, if one did.
    pub(crate) fn error(&self) -> Option<&Value> {
        self.messages.iter().map(|message| &message["info"]["error"]).find(|error| !error.is_null())
    }

    /// Each tool's name with its output; fails unless all calls were taken and went well.
    pub(crate) fn done(&self) -> Vec<(&str, &str)> {
        assert!(self.error().is_none(), "{:?}", self.error());
        let outputs = self.tools().into_iter().map(|tool| {
            assert_eq!(tool["state"]["status"], "completed", "{tool:#}");
            (tool["tool"].as_str().unwrap(), tool["state"]["output"].as_str().unwrap())
        });
        let outputs: Vec<_> = outputs.collect();
        assert!(outputs.iter().all(|(name, _)| *name != "invalid"), "{outputs:?}");
        outputs
    }
}

impl Agent {
    /// Starts both. `permission` is OpenCode's own setting.
    pub(crate) async fn start(permission: &Value) -> Self {
        let opencode = std::env::var_os("PADDOCK_OPENCODE")
            .map(PathBuf::from)
            .expect("PADDOCK_OPENCODE must name the OpenCode binary");
        assert!(opencode.is_file(), "PADDOCK_OPENCODE: there is no {}", opencode.display());
        let dir = tempfile::tempdir().unwrap();
        make_repository(&dir.path().join("repo")).await;
        let model = Config {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            scenarios: None,
            log: dir.path().join("model.log"),
            key: Some(KEY.to_owned()),
        };
        let model = start(model).await.unwrap();
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let settings = settings(model.url(), permission);
        let opencode = command(&opencode, dir.path(), &settings, port).spawn().unwrap();
        let mut agent = Self {
            http: client(),
            url: format!("http://127.0.0.1:{port}"),
            dir,
            _model: model,
            _opencode: opencode,
        };
        agent.wait_until_healthy().await;
        agent
    }

    async fn wait_until_healthy(&mut self) {
        let until = Instant::now() + Duration::from_secs(90);
        loop {
            let request = self.http.get(format!("{}/global/health", self.url));
            let request = request.basic_auth("opencode", Some(PASSWORD));
            // One that comes just after the port opens is never answered.
            let answer = request.timeout(Duration::from_secs(1)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            assert!(Instant::now() < until, "OpenCode did not start");
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// The repository that it works on.
    pub(crate) fn repository(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    /// What the model was asked so far, as its log has it.
    pub(crate) fn requests(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.dir.path().join("model.log")).unwrap();
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What the model was asked in a scenario.
    pub(crate) fn requests_in(&self, scenario: &str) -> Vec<Value> {
        let mut requests = self.requests();
        requests.retain(|request| request["scenario"] == scenario);
        requests
    }

    /// Calls OpenCode; null where it answers with nothing.
    pub(crate) async fn call(&self, method: Method, path: &str, body: &Value) -> Value {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        request = request.basic_auth("opencode", Some(PASSWORD));
        request = request.header("x-opencode-directory", self.repository().to_str().unwrap());
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// A look at OpenCode.
    pub(crate) async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, &Value::Null).await
    }

    /// A new session's id.
    pub(crate) async fn session(&self) -> String {
        let session = self.call(Method::POST, "/session", &json!({})).await;
        session["id"].as_str().unwrap().to_owned()
    }

    /// Sends a prompt, and does not wait.
    pub(crate) async fn prompt(&self, session: &str, text: &str) {
        let body = json!({ "parts": [{ "type": "text", "text": text }] });
        self.call(Method::POST, &format!("/session/{session}/prompt_async"), &body).await;
    }

    /// Waits until the newest prompt, which holds `text`, has been answered or has failed.
    pub(crate) async fn end_of(&self, session: &str, text: &str) -> Turn {
        let until = Instant::now() + Duration::from_secs(150);
        loop {
            // Before the messages: once it is idle, they are all there.
            let idle = self.get("/session/status").await[session].is_null();
            let messages = self.get(&format!("/session/{session}/message")).await;
            let mut messages = messages.as_array().cloned().unwrap_or_default();
            let at = messages.iter().rposition(|message| {
                message["info"]["role"] == "user" && message["parts"].to_string().contains(text)
            });
            let messages = messages.split_off(at.unwrap_or(messages.len()));
            if messages.last().is_some_and(|last| has_ended(&last["info"], idle)) {
                return Turn { messages };
            }
            assert!(Instant::now() < until, "{text} does not end: {messages:#?}");
            sleep(Duration::from_millis(150)).await;
        }
    }

    /// Plays a scenario in a session, to its end.
    pub(crate) async fn play_in(&self, session: &str, scenario: &str) -> Turn {
        let text = format!("[scenario: {scenario}]");
        self.prompt(session, &format!("{text} Go.")).await;
        self.end_of(session, &text).await
    }

    /// Plays a scenario in a new session, to its end.
    pub(crate) async fn play(&self, scenario: &str) -> Turn {
        self.play_in(&self.session().await, scenario).await
    }

    /// The first of what waits for a person, at `/permission` or `/question`.
    pub(crate) async fn waiting(&self, path: &str) -> Value {
        let until = Instant::now() + Duration::from_mins(1);
        loop {
            if let Some(first) = self.get(path).await.get(0) {
                return first.clone();
            }
            assert!(Instant::now() < until, "nothing waits at {path}");
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Whether nothing comes after this message. A refused permission ends a turn in the midst of its calls.
fn has_ended(info: &Value, idle: bool) -> bool {
    let completed = info["time"]["completed"].is_number();
    let said_all = completed && (idle || info["finish"] != "tool-calls");
    info["role"] == "assistant" && (said_all || !info["error"].is_null())
}

fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

fn settings(model_url: &str, permission: &Value) -> Value {
    json!({
        "model": "fake/scripted", "small_model": "fake/scripted", "enabled_providers": ["fake"],
        "provider": { "fake": {
            "npm": "@ai-sdk/openai-compatible",
            "options": { "baseURL": model_url, "apiKey": KEY },
            "models": { "scripted": {
                "tool_call": true, "limit": { "context": 128_000, "output": 8192 },
            } },
        } },
        "permission": permission, "share": "disabled", "autoupdate": false,
    })
}

fn command(opencode: &Path, dir: &Path, settings: &Value, port: u16) -> Command {
    let home = dir.join("home");
    let config = home.join(".config/opencode");
    std::fs::create_dir_all(config.join("node_modules")).unwrap();
    std::fs::write(config.join("package.json"), "{}").unwrap();
    std::fs::write(config.join("package-lock.json"), PLUGIN_LOCK).unwrap();
    let off = ["PROJECT_CONFIG", "MODELS_FETCH", "AUTOUPDATE", "LSP_DOWNLOAD", "DEFAULT_PLUGINS"];
    let mut command = Command::new(opencode);
    command
        .args(["serve", "--hostname", "127.0.0.1", "--port", &port.to_string()])
        .current_dir(dir.join("repo"))
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", &home)
        .env("TMPDIR", dir)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("OPENCODE_SERVER_PASSWORD", PASSWORD)
        .env("OPENCODE_CONFIG_CONTENT", settings.to_string())
        .env("OPENCODE_PURE", "1")
        .envs(off.map(|name| (format!("OPENCODE_DISABLE_{name}"), "1")))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

async fn make_repository(dir: &Path) {
    std::fs::create_dir_all(dir).unwrap();
    for (name, text) in FILES {
        std::fs::write(dir.join(name), text).unwrap();
    }
    git(dir, &["init", "--quiet", "--initial-branch=main"]).await;
    git(dir, &["config", "user.name", "Test"]).await;
    git(dir, &["config", "user.email", "test@localhost"]).await;
    git(dir, &["add", "."]).await;
    git(dir, &["update-index", "--chmod=+x", "greet.sh", "test.sh"]).await;
    git(dir, &["commit", "--quiet", "-m", "Greet people"]).await;
    git(dir, &["checkout", "--quiet", "--force", "main"]).await;
    git(dir, &["checkout-index", "--force", "--all"]).await;
}

/// What git says.
pub(crate) async fn git(dir: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(dir).env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", dir);
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
