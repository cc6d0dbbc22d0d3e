//! The artifact store in a process of its own, on a volume of a size of its own, which runs full.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::json;

use crate::support::{Installation, program};

/// Turn, push and end each wait for the store for a while.
const SLOW: Duration = Duration::from_mins(4);

/// `paddock artifacts` on a volume of a few KiB that is mounted for it alone.
struct Store {
    dir: tempfile::TempDir,
    role: Child,
    address: String,
    url: String,
    token: String,
}

impl Store {
    fn start(kib: u32) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let token = dir.path().join("token").to_string_lossy().into_owned();
        std::fs::write(&token, "the right one")?;
        std::fs::create_dir(dir.path().join("volume"))?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let url = format!("http://{address}");
        let role = Self::role(dir.path(), &token, &address, kib)?;
        Ok(Self { dir, role, address, url, token })
    }

    fn role(dir: &Path, token: &str, address: &str, kib: u32) -> anyhow::Result<Child> {
        let script = format!(
            "mount -t tmpfs -o size={kib}k none \"$1\" && exec \"$2\" artifacts --dir \"$1\" --listen {address} \
             --admin-listen 127.0.0.1:0 --token-file \"$3\""
        );
        let mut command = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        let log = std::fs::File::create(dir.join("log"))?;
        command.args(["--mount", "--", "sh", "-c", &script, "sh"]);
        command.arg(dir.join("volume")).arg(program("paddock")?).arg(token);
        let role = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        let until = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(address).is_err() {
            if Instant::now() > until {
                bail!("no store:\n{}", std::fs::read_to_string(dir.join("log"))?);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(role)
    }

    /// Gives the volume another size while it is in use.
    fn resize(&self, kib: u32) -> anyhow::Result<()> {
        let pid = self.role.id().to_string();
        let volume = self.dir.path().join("volume");
        let mut command = Command::new("nsenter");
        command.args(["--target", &pid, "--mount"]);
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        let size = format!("remount,size={kib}k");
        let done = command.args(["mount", "-o", &size]).arg(volume).status()?;
        ensure!(done.success(), "the volume keeps its size");
        Ok(())
    }

    async fn list(&self) -> anyhow::Result<Vec<String>> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let answer = http.get(format!("{}/objects", self.url)).bearer_auth("the right one");
        let text = answer.send().await?.error_for_status()?.text().await?;
        text.lines()
            .map(|line| {
                let listed: serde_json::Value = serde_json::from_str(line)?;
                Ok(listed["path"].as_str().context("no path")?.to_owned())
            })
            .collect()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.role.kill();
        let _ = self.role.wait();
    }
}

#[tokio::test]
async fn a_snapshot_waits_while_the_store_is_full_the_run_says_so_and_it_is_stored_once_there_is_room()
-> anyhow::Result<()> {
    let store = Store::start(16)?;
    let environment = [
        ("PADDOCK_ARTIFACT_STORE", store.url.as_str()),
        ("PADDOCK_ARTIFACT_TOKEN_FILE", store.token.as_str()),
    ];
    let mut paddock = Installation::start_with(&environment).await?;
    let session = paddock.session("Full").await?;
    let run = paddock.run(&session, "fix-greeter").await?;
    // The last snapshot, after the pull request: the run does not end without it.
    let waits = |run: &serde_json::Value| {
        let reason = run["reason"].as_str().unwrap_or_default();
        run["state"] == "snapshotting" && reason.contains("the artifact store is full")
    };
    paddock.wait_within(SLOW, &run, "says that the store is full", waits).await?;
    let events = paddock.events(&run).await?;
    ensure!(events.iter().any(|event| event == "run.snapshot.waiting"), "{events:?}");
    ensure!(!events.iter().any(|event| event == "run.snapshot.stored"), "{events:?}");
    ensure!(store.list().await?.iter().all(|path| !path.starts_with("bundle/")), "half a bundle");
    let system = paddock.get("system").await?;
    let parts = system["parts"].as_array().context("no parts")?;
    let part = parts.iter().find(|part| part["name"] == "artifacts").context("it is not named")?;
    ensure!(part["ok"] == false, "{part:#}");
    ensure!(part["detail"].as_str().is_some_and(|detail| detail.contains("full")), "{part:#}");

    store.resize(512 * 1024)?;
    let ended = paddock.wait_success(&run).await?;
    ensure!(ended["reason"].is_null(), "{ended:#}");
    let bundles = store.list().await?;
    ensure!(bundles.iter().any(|path| path.starts_with("bundle/")), "{bundles:?}");
    ensure!(!bundles.iter().any(|path| path.starts_with("partial/")), "{bundles:?}");
    // It is good for a second run.
    let next = paddock.run(&session, "leftovers").await?;
    paddock.wait_success(&next).await?;
    ensure!(paddock.events(&next).await?.iter().any(|event| event == "run.restored"));
    paddock.down().await
}

#[tokio::test]
async fn a_run_begins_once_the_store_gives_its_bundle() -> anyhow::Result<()> {
    let store = Store::start(512 * 1024)?;
    let environment = [
        ("PADDOCK_ARTIFACT_STORE", store.url.as_str()),
        ("PADDOCK_ARTIFACT_TOKEN_FILE", store.token.as_str()),
    ];
    let mut paddock = Installation::start_with(&environment).await?;
    let session = paddock.session("Away").await?;
    let body = json!({ "prompt": "[scenario: leftovers] First." });
    paddock.wait_success(&paddock.run_with(&session, body).await?).await?;
    let pid = store.role.id();
    crate::support::signal(pid, "STOP")?;
    // What is stopped keeps its connections and takes new ones: only time tells that it does not answer.
    let run = paddock.run(&session, "leftovers").await?;
    paddock.wait_state(&run, "restoring").await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    ensure!(paddock.get(&format!("runs/{run}")).await?["state"] == "restoring");
    crate::support::signal(pid, "CONT")?;
    paddock.wait_success(&run).await?;
    ensure!(store.address.starts_with("127.0.0.1"));
    paddock.down().await
}
