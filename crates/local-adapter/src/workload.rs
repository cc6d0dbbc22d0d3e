//! One workload's directory and processes.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use domain::workload::Desired;

use crate::{
    Config,
    limits::Limits,
    processes::{Identity, Recorded, descendants},
    sandbox::Sandbox,
};

/// The name of a workload's control groups.
pub(crate) fn group_name(run: &str, generation: &str) -> String {
    format!("paddock-{run}-{generation}")
}

/// One workload, as it is on disk.
pub(crate) struct Workload<'a> {
    config: &'a Config,
    desired: &'a Desired,
    dir: PathBuf,
}

impl<'a> Workload<'a> {
    pub(crate) fn of(config: &'a Config, desired: &'a Desired) -> Self {
        Self { config, desired, dir: config.directory(desired.run, desired.generation) }
    }

    pub(crate) fn sidecar_dir(&self) -> PathBuf {
        self.dir.join("sidecar")
    }

    /// Where the sidecar reads its identity.
    pub(crate) fn identity_file(&self) -> PathBuf {
        self.sidecar_dir().join("identity")
    }

    pub(crate) fn has_begun(&self) -> bool {
        Recorded::read(&self.dir).get("sandbox").is_some()
    }

    /// Makes the directories, each for the one uid that is to use it.
    pub(crate) fn prepare(&self, uids: Option<(u32, u32)>) -> anyhow::Result<()> {
        let (agent, sidecar) = (uids.map(|uids| uids.0), uids.map(|uids| uids.1));
        let make = |dir: &Path, owner: Option<u32>, mode: u32| -> anyhow::Result<()> {
            fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
            fs::set_permissions(dir, fs::Permissions::from_mode(mode))?;
            if owner.is_some() {
                chown(dir, owner, owner)?;
            }
            Ok(())
        };
        let run = self.dir.parent().context("a workload's directory has a parent")?;
        make(run, None, 0o711)?;
        make(&self.dir, None, 0o711)?;
        for name in ["home", "workspace"] {
            make(&self.dir.join(name), agent, 0o700)?;
        }
        // The agent makes the socket, the sidecar passes through to it: nobody else may.
        let harness = self.dir.join("harness");
        fs::create_dir_all(&harness)?;
        fs::write(harness.join("passwd"), "agent:x:1000:1000:agent:/home/agent:/bin/sh\n")?;
        fs::write(harness.join("group"), "agent:x:1000:\n")?;
        make(&harness, None, 0o750)?;
        chown(&harness, agent, sidecar)?;
        make(&self.sidecar_dir(), sidecar, 0o700)?;
        Ok(())
    }

    /// Writes the sidecar's identity.
    pub(crate) fn write_identity(
        &self,
        token: &str,
        uids: Option<(u32, u32)>,
    ) -> anyhow::Result<()> {
        let path = self.identity_file();
        fs::write(&path, token)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400))?;
        chown(&path, uids.map(|uids| uids.1), uids.map(|uids| uids.1))?;
        Ok(())
    }

    /// Starts the sandbox and records it.
    pub(crate) fn start_sandbox(
        &self,
        limits: &Limits,
        uids: Option<(u32, u32)>,
    ) -> anyhow::Result<()> {
        let inside = Path::new("/opt/paddock");
        let (harness, opencode) = (inside.join("paddock-harness"), inside.join("opencode"));
        let command = [
            harness.to_string_lossy().as_ref(),
            "--socket",
            "/run/paddock/harness.sock",
            "--gateway",
            "/run/paddock-gateway/gateway.sock",
            "--workspace",
            "/workspace",
            "--home",
            "/home/agent",
            "--opencode",
            opencode.to_string_lossy().as_ref(),
        ]
        .map(str::to_owned);
        let sandbox = Sandbox {
            home: self.dir.join("home"),
            workspace: self.dir.join("workspace"),
            harness_dir: self.dir.join("harness"),
            gateway_dir: self.config.gateway_sockets.join(self.desired.run.to_string()),
            programs: vec![
                (self.config.harness_bin.clone(), harness),
                (self.config.opencode_bin.clone(), opencode),
            ],
            command: command.to_vec(),
            uid: uids.map(|uids| uids.0),
            log: self.dir.join("sandbox.log"),
        };
        let pid = sandbox.start(limits).context("bubblewrap cannot be started")?;
        let identity = Identity::of(pid).context("the sandbox ended at once")?;
        Ok(Recorded::record(&self.dir, "sandbox", identity)?)
    }

    /// Starts the sidecar and records it.
    pub(crate) fn start_sidecar(&self, uids: Option<(u32, u32)>) -> anyhow::Result<()> {
        let log =
            fs::OpenOptions::new().create(true).append(true).open(self.dir.join("sidecar.log"))?;
        let mut command = Command::new("setsid");
        if let Some((_, uid)) = uids {
            command.arg("setpriv").arg(format!("--reuid={uid}")).arg(format!("--regid={uid}"));
            command.args([
                "--clear-groups",
                "--no-new-privs",
                "--bounding-set=-all",
                "--inh-caps=-all",
            ]);
        }
        command
            .arg(&self.config.paddock_bin)
            .arg("sidecar")
            .args(["--run", &self.desired.run.to_string()])
            .args(["--generation", &self.desired.generation.to_string()])
            .args(["--link-url", self.config.link_url.as_str()])
            .args(["--bundles-url", self.config.bundles_url.as_str()])
            .arg("--identity-file")
            .arg(self.identity_file())
            .arg("--harness-socket")
            .arg(self.dir.join("harness/harness.sock"))
            .arg("--spool-dir")
            .arg(self.sidecar_dir())
            .args(["--canary", &self.config.canary_addr]);
        if self.desired.accept_unenforced {
            command.arg("--accept-unenforced");
        }
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        if let Some(level) = std::env::var_os("RUST_LOG") {
            command.env("RUST_LOG", level);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).current_dir("/");
        let mut child = command.spawn().context("the sidecar cannot be started")?;
        let identity = Identity::of(child.id()).context("the sidecar ended at once")?;
        Recorded::record(&self.dir, "sidecar", identity)?;
        std::thread::Builder::new().name("reap".to_owned()).spawn(move || {
            let _ = child.wait();
        })?;
        Ok(())
    }

    /// How many bytes its files have.
    pub(crate) fn disk_bytes(&self) -> u64 {
        ["home", "workspace"].iter().map(|name| size_of(&self.dir.join(name))).sum()
    }
}

/// Ends a workload's processes: the sidecar may finish first.
pub(crate) async fn end(dir: &Path, grace: Duration) {
    let recorded = Recorded::read(dir);
    if let Some(sidecar) = recorded.get("sidecar") {
        sidecar.end(grace).await;
    }
    if let Some(sandbox) = recorded.get("sandbox") {
        // bubblewrap's own child is the init of the sandbox: with it all inside ends.
        let inside: Vec<Identity> =
            descendants(sandbox.pid).into_iter().filter_map(Identity::of).collect();
        if sandbox.is_alive() {
            for process in inside {
                process.signal(rustix::process::Signal::KILL);
            }
        }
        sandbox.end(Duration::from_secs(2)).await;
    }
}

/// The sum of the sizes below a directory; links are not followed.
fn size_of(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(about) if about.is_dir() => size_of(&entry.path()),
            // What is really taken: a file with holes is smaller than it says.
            Ok(about) => about.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}
