//! A `paddock up --demo --idle` of a test's own, and what tests do with it.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

/// The repository that the forge is seeded with.
pub(crate) const REPO: &str = "octo-demo/greeter";
/// How long anything may take before a test gives up and shows the logs.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// Profiles for runs that are to ask, and that are to be too large.
const PROFILES: &str = "
[profiles.careful]
permission = { '*' = 'allow', external_directory = 'ask' }
[profiles.small]
memory_mib = 1024
disk_mib = 512
deadline_seconds = 60
max_retries = 0
[profiles.cramped]
memory_mib = 1024
disk_mib = 512
[profiles.brief]
link_timeout_seconds = 4
[profiles.open]
unenforced = true
[profiles.huge]
memory_mib = 4000000
";

/// A running installation with its data directory; both go when it is dropped.
pub(crate) struct Installation {
    pub(crate) dir: tempfile::TempDir,
    up: Option<Child>,
    environment: Vec<(String, String)>,
    pub(crate) url: String,
    token: String,
    http: reqwest::Client,
}

impl Installation {
    /// Starts one and waits until it is ready.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        Self::start_with(&[]).await
    }

    /// One that somebody else runs, at an address and with a token; what it needs outside is in `dir/data`.
    pub(crate) fn elsewhere(
        dir: tempfile::TempDir,
        url: String,
        token: String,
    ) -> anyhow::Result<Self> {
        let http =
            reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
        Ok(Self { dir, up: None, environment: vec![], url, token, http })
    }

    /// From now on it is there, and that is its token.
    pub(crate) fn is_at(&mut self, url: String, token: String) {
        (self.url, self.token) = (url, token);
    }

    /// Starts one with these variables in its environment.
    pub(crate) async fn start_with(environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        let mut this = Self::prepare(environment)?;
        this.up().await?;
        Ok(this)
    }

    /// Starts one whose secrets of those names are given.
    pub(crate) async fn start_with_secrets(secrets: &[(&str, &str)]) -> anyhow::Result<Self> {
        let mut this = Self::prepare(&[])?;
        let dir = this.data().join("secrets");
        std::fs::create_dir_all(&dir)?;
        for (name, value) in secrets {
            std::fs::write(dir.join(name), value)?;
        }
        this.up().await?;
        Ok(this)
    }

    fn prepare(environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::Builder::new().prefix("paddock-journey-").tempdir()?;
        // Other uids pass through: PostgreSQL's and the sandboxes'.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711))?;
        let config = dir.path().join("paddock.toml");
        std::fs::write(&config, PROFILES)?;
        let config = config.to_string_lossy().into_owned();
        let environment = environment
            .iter()
            .chain([&("PADDOCK_CONFIG", config.as_str())])
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let http =
            reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
        Ok(Self { dir, up: None, environment, url: String::new(), token: String::new(), http })
    }

    /// Starts `paddock up` on the data directory, again or for the first time.
    pub(crate) async fn up(&mut self) -> anyhow::Result<()> {
        let listen = self.url.strip_prefix("http://").unwrap_or("127.0.0.1:0").to_owned();
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.dir.path().join("up.log"))?;
        let mut child = Command::new(program("paddock")?)
            .args(["up", "--demo", "--idle", "--json", "--listen", &listen, "--data-dir"])
            .arg(self.data())
            .env("PADDOCK_OPENCODE", opencode()?)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let stdout = child.stdout.take().context("no output")?;
        self.up = Some(child);
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await??;
        let Some(line) = line else { bail!("`paddock up` ended:\n{}", self.logs()) };
        let announced: Value = serde_json::from_str(&line)?;
        let url = announced["url"].as_str();
        url.with_context(|| format!("{line}\n{}", self.logs()))?.clone_into(&mut self.url);
        self.token = std::fs::read_to_string(self.data().join("secrets/cli-token"))?;
        Ok(())
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Ends `paddock up` in an orderly way, and all that it started.
    pub(crate) async fn down(&mut self) -> anyhow::Result<()> {
        if let Some(mut up) = self.up.take() {
            signal(up.id().context("it has ended already")?, "TERM")?;
            let status = tokio::time::timeout(PATIENCE, up.wait()).await??;
            ensure!(status.success(), "`paddock up` ended with {status}:\n{}", self.logs());
        }
        Ok(())
    }

    /// Kills `paddock up` and nothing else.
    pub(crate) async fn kill_up(&mut self) -> anyhow::Result<()> {
        let mut up = self.up.take().context("it does not run")?;
        up.kill().await?;
        Ok(())
    }

    /// The pid of a part that `paddock up` supervises.
    pub(crate) fn pid(&self, part: &str) -> anyhow::Result<u32> {
        let records: Value = serde_json::from_slice(&std::fs::read(self.data().join("up.json"))?)?;
        let pid = records[part]["pid"].as_u64().with_context(|| format!("no {part} recorded"))?;
        Ok(u32::try_from(pid)?)
    }

    /// `kill -9` of a part that `paddock up` supervises.
    pub(crate) fn kill_part(&self, part: &str) -> anyhow::Result<()> {
        signal(self.pid(part)?, "KILL")
    }

    /// One request to the API: its status and its JSON.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let mut request = self
            .http
            .request(method, format!("{}/api/v1/{path}", self.url))
            .bearer_auth(self.token.trim());
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let status = response.status();
        let bytes = response.bytes().await?;
        let value = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes)? };
        Ok((status, value))
    }

    /// A read that must succeed; a server that is away is waited for.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.call(Method::GET, path, None).await {
                Ok((status, value)) if status.is_success() => return Ok(value),
                Ok((status, value)) if status.as_u16() < 500 || Instant::now() > until => {
                    bail!("GET {path}: {status} {value}")
                }
                Err(error) if Instant::now() > until => return Err(error),
                Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// A command that must be accepted; a server that is away is waited for, with the same key.
    pub(crate) async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        let key = uuid::Uuid::new_v4().to_string();
        let nothing = json!({});
        let until = Instant::now() + PATIENCE;
        loop {
            let answer = self
                .http
                .post(format!("{}/api/v1/{path}", self.url))
                .bearer_auth(self.token.trim())
                .header("idempotency-key", &key)
                .json(if body.is_null() { &nothing } else { &body })
                .send()
                .await;
            match answer {
                Ok(answer) if answer.status().is_success() => {
                    let done: Value = answer.json().await?;
                    if let (Some(stream), Some(version)) =
                        (done["stream"].as_str(), done["version"].as_u64())
                    {
                        // What is read from here on includes it.
                        self.get(&format!("runs?limit=1&at_least={stream}@{version}")).await?;
                    }
                    return Ok(done);
                }
                Ok(answer) if answer.status().as_u16() < 500 || Instant::now() > until => {
                    bail!("POST {path}: {} {}", answer.status(), answer.text().await?)
                }
                Err(error) if Instant::now() > until => return Err(error.into()),
                Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// A new session on the seeded repository.
    pub(crate) async fn session(&self, title: &str) -> anyhow::Result<String> {
        let made = self.post("sessions", json!({ "repo": REPO, "title": title })).await?;
        Ok(made["id"].as_str().context("no id")?.to_owned())
    }

    /// A new run of a session that plays a scenario.
    pub(crate) async fn run(&self, session: &str, scenario: &str) -> anyhow::Result<String> {
        self.run_with(session, json!({ "prompt": format!("[scenario: {scenario}] Please go on.") }))
            .await
    }

    /// A new run of a session.
    pub(crate) async fn run_with(&self, session: &str, body: Value) -> anyhow::Result<String> {
        let made = self.post(&format!("sessions/{session}/runs"), body).await?;
        Ok(made["id"].as_str().context("no id")?.to_owned())
    }

    /// Waits until a run is as `reached` says, and answers it then.
    pub(crate) async fn wait(
        &self,
        run: &str,
        what: &str,
        reached: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        self.wait_within(PATIENCE, run, what, reached).await
    }

    /// The same with a patience of the caller's.
    pub(crate) async fn wait_within(
        &self,
        patience: Duration,
        run: &str,
        what: &str,
        reached: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let until = Instant::now() + patience;
        loop {
            let now = self.get(&format!("runs/{run}")).await?;
            if reached(&now) {
                return Ok(now);
            }
            if Instant::now() > until || !now["finished_at"].is_null() {
                bail!("never {what}: {now:#}\n{}", self.logs());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a run is in `state`.
    pub(crate) async fn wait_state(&self, run: &str, state: &str) -> anyhow::Result<Value> {
        self.wait(run, state, |run| run["state"] == state).await
    }

    /// Waits until a run has ended.
    pub(crate) async fn wait_end(&self, run: &str) -> anyhow::Result<Value> {
        self.wait(run, "ended", |run| !run["finished_at"].is_null()).await
    }

    /// Waits until a run has ended well.
    pub(crate) async fn wait_success(&self, run: &str) -> anyhow::Result<Value> {
        let ended = self.wait_end(run).await?;
        ensure!(ended["outcome"] == "succeeded", "{ended:#}\n{}", self.logs());
        Ok(ended)
    }

    /// The stored output of a run.
    pub(crate) async fn output(&self, run: &str) -> anyhow::Result<Vec<link::Item>> {
        let lines = self.raw_output(run).await?;
        lines.iter().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// The stored output of a run, each item as it is stored.
    pub(crate) async fn raw_output(&self, run: &str) -> anyhow::Result<Vec<String>> {
        let text = self
            .http
            .get(format!("{}/api/v1/runs/{run}/output?follow=false", self.url))
            .bearer_auth(self.token.trim())
            .send()
            .await?
            .error_for_status()?
            .text()
            .await?;
        let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
        Ok(lines.filter(|data| data.contains("\"item\"")).map(str::to_owned).collect())
    }

    /// Waits until what was made for a run is gone; what its last event says.
    pub(crate) async fn removed(&self, run: &str) -> anyhow::Result<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let page = self.get(&format!("runs/{run}/events?limit=200")).await?;
            let items = page["items"].as_array().context("no items")?;
            if let Some(removed) = items.iter().find(|item| item["type"] == "run.workload.removed")
            {
                return Ok(removed["summary"].as_str().unwrap_or_default().to_owned());
            }
            ensure!(Instant::now() < until, "never removed:\n{}", self.logs());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The names of a run's events, in order.
    pub(crate) async fn events(&self, run: &str) -> anyhow::Result<Vec<String>> {
        let page = self.get(&format!("runs/{run}/events?limit=200")).await?;
        let items = page["items"].as_array().context("no items")?;
        Ok(items.iter().filter_map(|item| item["type"].as_str().map(str::to_owned)).collect())
    }

    /// The requests that the model got, the newest last.
    pub(crate) fn model_log(&self) -> anyhow::Result<Vec<Value>> {
        let text = std::fs::read_to_string(self.data().join("demo/model.log"))?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// The forge's own address.
    pub(crate) fn forge(&self) -> anyhow::Result<String> {
        let announced: Value =
            serde_json::from_slice(&std::fs::read(self.data().join("demo/forge.json"))?)?;
        Ok(announced["url"].as_str().context("no url")?.to_owned())
    }

    /// The bare repository on the forge.
    pub(crate) fn bare_repository(&self) -> PathBuf {
        self.data().join("demo/forge/git").join(format!("{REPO}.git"))
    }

    /// Lets the forge answer the next `count` requests of that kind with `status`.
    pub(crate) async fn forge_fault(
        &self,
        method: &str,
        prefix: &str,
        status: u16,
        count: u32,
    ) -> anyhow::Result<()> {
        let fault = json!({
            "method": method, "path_prefix": prefix, "count": count, "status": status,
            "body": { "message": "the forge is down for maintenance" },
        });
        self.forge_test(Method::POST, "faults", &fault).await.map(|_| ())
    }

    /// Lets the forge do the next request of that kind and answer it late.
    pub(crate) async fn forge_delay(
        &self,
        method: &str,
        prefix: &str,
        delay_ms: u64,
    ) -> anyhow::Result<()> {
        let fault =
            json!({ "method": method, "path_prefix": prefix, "count": 1, "delay_ms": delay_ms });
        self.forge_test(Method::POST, "faults", &fault).await.map(|_| ())
    }

    /// What tests alone may do to the forge, under `/_test/`.
    pub(crate) async fn forge_test(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<Value> {
        let token = std::fs::read_to_string(self.data().join("secrets/forge"))?;
        let request = self.http.request(method, format!("{}/_test/{path}", self.forge()?));
        let answer = request.bearer_auth(token.trim()).json(body).send().await?;
        let bytes = answer.error_for_status()?.bytes().await?;
        Ok(if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes)? })
    }

    /// The sidecar's process in a run's first workload.
    pub(crate) fn sidecar_pid(&self, run: &str) -> anyhow::Result<u32> {
        let path = self.data().join("runs").join(run).join("1/processes.json");
        let records: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
        let pid = records["sidecar"]["pid"].as_u64().with_context(|| format!("{records}"))?;
        Ok(u32::try_from(pid)?)
    }

    /// The pull requests of the seeded repository.
    pub(crate) async fn pull_requests(&self) -> anyhow::Result<Vec<Value>> {
        let token = std::fs::read_to_string(self.data().join("secrets/forge"))?;
        let url = format!("{}/api/v3/repos/{REPO}/pulls?state=all&per_page=100", self.forge()?);
        let answer = self.http.get(url).bearer_auth(token.trim()).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// The last lines of every log, for a failing test.
    pub(crate) fn logs(&self) -> String {
        let mut files: Vec<PathBuf> = vec![self.dir.path().join("up.log")];
        collect_logs(&self.data(), &mut files);
        files
            .into_iter()
            .filter_map(|path| {
                let text = String::from_utf8_lossy(&std::fs::read(&path).ok()?).into_owned();
                let lines: Vec<&str> = text.lines().rev().take(25).collect();
                let tail = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
                Some(format!("--- {}\n{tail}", path.display()))
            })
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        let pid = self.up.as_ref().and_then(Child::id);
        if let Some(pid) = pid {
            let _ = signal(pid, "TERM");
            let until = Instant::now() + Duration::from_secs(30);
            while Path::new(&format!("/proc/{pid}")).exists() && Instant::now() < until {
                // The child is ours: only a wait takes it out of /proc.
                if let Some(up) = self.up.as_mut() {
                    let _ = up.try_wait();
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

fn collect_logs(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_dir
            && !["postgres", "nats", "home", "workspace"].iter().any(|skip| path.ends_with(skip))
        {
            collect_logs(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "log")
            && !path.ends_with("model.log")
        {
            into.push(path);
        }
    }
}

/// A new token in the form of the forge's fine-grained ones.
pub(crate) fn token() -> String {
    format!("github_pat_{}_canary", uuid::Uuid::new_v4().simple())
}

/// A program built beside the tests.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let dir = own.parent().and_then(Path::parent).context("no target directory")?;
    let path = dir.join(name);
    ensure!(path.is_file(), "{} is not built: `cargo build --workspace --bins`", path.display());
    Ok(path)
}

fn opencode() -> anyhow::Result<String> {
    std::env::var("PADDOCK_OPENCODE")
        .context("PADDOCK_OPENCODE is not set: `make test` installs OpenCode and sets it")
}

/// Sends a signal by pid.
pub(crate) fn signal(pid: u32, name: &str) -> anyhow::Result<()> {
    let status =
        std::process::Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status()?;
    ensure!(status.success(), "cannot signal {pid}");
    Ok(())
}

/// Runs git on the forge's bare repository.
pub(crate) fn git(dir: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output = std::process::Command::new("git")
        .args(["-c", "safe.directory=*", "-C"])
        .arg(dir)
        .args(arguments)
        .output()?;
    ensure!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// OpenCode's pid as the machine sees it: the process whose home is that run's.
pub(crate) fn opencode_pid(run: &str) -> anyhow::Result<u32> {
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let Ok(command) = std::fs::read(entry.path().join("cmdline")) else { continue };
        let is_opencode = String::from_utf8_lossy(&command).contains("opencode\0serve");
        let mounts = std::fs::read_to_string(entry.path().join("mountinfo")).unwrap_or_default();
        if is_opencode && mounts.contains(run) {
            return Ok(pid);
        }
    }
    anyhow::bail!("no OpenCode of run {run} found")
}
