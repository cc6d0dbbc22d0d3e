use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use domain::workload::Desired;
use tokio::time::{Instant, sleep};

use super::{SANDBOX, Workload, end_sandbox};
use crate::{
    launch::{Launch, PATH},
    limits::Limits,
    preflight,
    processes::Recorded,
    sandbox::{Sandbox, init_of},
    uids::{Uids, closed_to_others},
};

/// How long the harness has to offer its socket.
const PATIENCE: Duration = Duration::from_secs(30);

/// Enters the control groups and becomes the program.
const BARE: &str = r#"exec </dev/null
while [ "$1" != -- ]; do echo $$ >"$1" || exit 70; shift; done; shift
exec "$@""#;

/// Becomes the program, whose file is open as descriptor 9: it may stand where its own uid cannot go.
const BY_DESCRIPTOR: &str = r#"exec 9<"$1" </dev/null; shift; exec "$@""#;
const DIRECTLY: &str = "exec </dev/null; exec \"$@\"";

impl Workload<'_> {
    /// Starts the sandbox with the sidecar beside it, and waits until the harness answers. Without a
    /// sandbox to be had, a profile that accepts `unenforced` gets what there is.
    pub(crate) async fn start(&self, group: &str) -> anyhow::Result<()> {
        if let Some(words) = not_here(self.desired) {
            bail!(words);
        }
        let prepare = || {
            let (memory, disk) = (self.desired.memory_mib, self.desired.disk_mib);
            let cpu = self.desired.harness.cpu_millis();
            Limits::prepare(&self.place.dir, group, memory, disk, cpu)
        };
        let limits = prepare()?;
        let Err(error) = self.start_walled(&limits).await else { return Ok(()) };
        let remedy = preflight::remedy();
        let error = if remedy.is_empty() { error } else { anyhow!("{error:#}\n{remedy}") };
        if !self.desired.accept_unenforced {
            return Err(error);
        }
        tracing::warn!(run = %self.desired.run, error = &*error, "no sandbox: the run goes without");
        end_sandbox(&self.place).await;
        let mut limits = prepare()?;
        limits.missing.push(SANDBOX.to_owned());
        limits.save(&self.place.dir)?;
        self.start_bare(&limits).await
    }

    /// Goes on with what an earlier adapter started: it may have ended between any two steps.
    pub(crate) async fn take_over(&self) -> anyhow::Result<()> {
        if self.place.recorded().living("sidecar").is_none() {
            self.start_sidecar().await?;
        }
        self.wait_for_harness().await?;
        let recorded = self.place.recorded();
        if recorded.get("init").is_none()
            && let Some(sandbox) = recorded.get(SANDBOX)
            && let Some(init) = init_of(&self.place.join("launch"), sandbox)
        {
            Recorded::record(&self.place.dir, "init", init)?;
        }
        Ok(())
    }

    async fn start_walled(&self, limits: &Limits) -> anyhow::Result<()> {
        let inside = Path::new("/opt/paddock");
        let (harness, opencode) = (inside.join("paddock-harness"), inside.join("opencode"));
        let sandbox = Sandbox {
            home: self.place.join("home"),
            workspace: self.place.join("workspace"),
            harness_dir: self.place.join("harness"),
            gateway_dir: self.gateway_dir(),
            launch_dir: self.place.join("launch"),
            command: harness_line(
                &harness,
                "/run/paddock/harness.sock".as_ref(),
                "/run/paddock-gateway/gateway.sock".as_ref(),
                ["/workspace".as_ref(), "/home/agent".as_ref()],
                &opencode,
                &self.desired.harness.env,
            ),
            programs: vec![
                (self.config.harness_bin.clone(), harness),
                (self.config.opencode_bin.clone(), opencode),
            ],
            uid: self.uids.map(|uids| uids.agent),
            log: self.place.join("sandbox.log"),
        };
        let dir = &self.place.dir;
        sandbox.start(limits, |name, identity| Recorded::record(dir, name, identity)).await?;
        self.start_sidecar().await?;
        self.wait_for_harness().await
    }

    /// The same program on the machine itself, under what limits there are: for machines on which no
    /// sandbox can be made and profiles that accept it.
    async fn start_bare(&self, limits: &Limits) -> anyhow::Result<()> {
        let mut line: Vec<OsString> =
            limits.groups().iter().map(|group| group.join("cgroup.procs").into()).collect();
        line.push("--".into());
        line.extend(as_uid(self.uids.map(|uids| uids.agent)));
        let inside = limits.inside();
        // A user's processes are all counted together out here.
        let counted =
            inside.iter().filter(|word| self.uids.is_some() || !word.starts_with("--nproc"));
        line.extend(counted.map(Into::into));
        let command = harness_line(
            &self.outside(&self.config.harness_bin, "paddock-harness").await?,
            &self.place.harness_socket(),
            &self.gateway_dir().join("gateway.sock"),
            [&self.place.join("workspace"), &self.place.join("home")],
            &self.outside(&self.config.opencode_bin, "opencode").await?,
            &self.desired.harness.env,
        );
        line.extend(command.into_iter().map(Into::into));
        let launch = Launch {
            script: BARE.to_owned(),
            arguments: line,
            environment: vec![("HOME", self.place.join("home").into()), ("LANG", "C.UTF-8".into())],
            log: self.place.join("sandbox.log"),
        };
        launch.start(|identity| Recorded::record(&self.place.dir, SANDBOX, identity)).await?;
        if self.place.recorded().living("sidecar").is_none() {
            self.start_sidecar().await?;
        }
        self.wait_for_harness().await
    }

    /// A program where the run's own uid can start it: no mount brings it there.
    async fn outside(&self, program: &Path, name: &str) -> anyhow::Result<PathBuf> {
        let Ok(real) = program.canonicalize() else { return Ok(program.to_owned()) };
        if self.uids.is_none() || closed_to_others(&real).is_none() {
            return Ok(program.to_owned());
        }
        let own = self.place.join(name);
        let _ = fs::remove_file(&own);
        if fs::hard_link(&real, &own).is_err() {
            // By a process of its own: one that is started here meanwhile would hold the copy open for
            // writing, and it could not be run.
            let mut copy = tokio::process::Command::new("cp");
            copy.arg(&real).arg(&own).env_clear().env("PATH", PATH);
            if !copy.status().await?.success() {
                bail!("{} cannot be brought to the run", real.display());
            }
        }
        Ok(own)
    }

    async fn wait_for_harness(&self) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        while self.place.harness_socket().symlink_metadata().is_err() {
            if self.place.recorded().living(SANDBOX).is_none() {
                let (how, words) = self.place.how_it_ended();
                bail!("{how}: {words}");
            }
            if Instant::now() > until {
                bail!("the harness does not answer");
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Starts the sidecar, on what an earlier one left in its spool.
    pub(crate) async fn start_sidecar(&self) -> anyhow::Result<()> {
        let mut line = as_uid(self.uids.map(|uids| uids.sidecar));
        let program = &self.config.paddock_bin;
        let mut script = DIRECTLY;
        if let Some(Uids { .. }) = self.uids {
            if let Some(dir) = closed_to_others(&self.place.join("sidecar")) {
                bail!(
                    "{} is closed to the uids of runs: allow others to pass (chmod o+x), or choose \
                     another data directory",
                    dir.display()
                );
            }
            if closed_to_others(program).is_some() {
                script = BY_DESCRIPTOR;
                line.push("/proc/self/fd/9".into());
                line.insert(0, program.into());
            }
        }
        if script == DIRECTLY {
            line.push(program.into());
        }
        line.extend(self.sidecar_arguments());
        let launch = Launch {
            script: script.to_owned(),
            arguments: line,
            environment: std::env::var_os("RUST_LOG")
                .map(|log| ("RUST_LOG", log))
                .into_iter()
                .collect(),
            log: self.place.join("sidecar.log"),
        };
        launch
            .start(|identity| Recorded::record(&self.place.dir, "sidecar", identity))
            .await
            .context("the sidecar cannot be started")?;
        Ok(())
    }

    fn sidecar_arguments(&self) -> Vec<OsString> {
        let config = self.config;
        let mut line: Vec<OsString> = vec!["sidecar".into()];
        let mut option = |name: &str, value: OsString| line.extend([name.into(), value]);
        option("--run", self.desired.run.to_string().into());
        option("--generation", self.desired.generation.to_string().into());
        option("--link-url", config.link_url.as_str().into());
        option("--bundles-url", config.bundles_url.as_str().into());
        option("--identity-file", self.place.identity_file().into());
        option("--harness-socket", self.place.harness_socket().into());
        option("--spool-dir", self.place.join("sidecar").into());
        option("--canary", config.canary_addr.clone().into());
        if self.desired.accept_unenforced {
            line.push("--accept-unenforced".into());
        }
        line
    }
}

/// Why this machine cannot give what the run's profile asks for. A wall that is weaker than the one asked for, or
/// other programs than those of an image, are not put in its place without a word.
fn not_here(desired: &Desired) -> Option<String> {
    let (what, name) = match (&desired.harness.runtime_class, &desired.harness.image) {
        (Some(class), _) => ("RuntimeClass", class),
        (None, Some(image)) => ("image", image),
        (None, None) => return None,
    };
    Some(format!(
        "the profile asks for the {what} {name}, and runs on this machine are no pods: change the profile, or run \
         it on a cluster"
    ))
}

/// What stands before a program that is to run under a uid of its own, without a right beyond it.
fn as_uid(uid: Option<u32>) -> Vec<OsString> {
    let mut line: Vec<OsString> = vec!["setpriv".into(), "--no-new-privs".into()];
    if let Some(uid) = uid {
        line.extend([format!("--reuid={uid}").into(), format!("--regid={uid}").into()]);
        line.extend(["--clear-groups", "--bounding-set=-all", "--inh-caps=-all"].map(Into::into));
    }
    line
}

fn harness_line(
    harness: &Path,
    socket: &Path,
    gateway: &Path,
    [workspace, home]: [&Path; 2],
    opencode: &Path,
    env: &BTreeMap<String, String>,
) -> Vec<String> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut line = vec![text(harness)];
    for (name, path) in [
        ("--socket", socket),
        ("--gateway", gateway),
        ("--workspace", workspace),
        ("--home", home),
        ("--opencode", opencode),
    ] {
        line.extend([name.to_owned(), text(path)]);
    }
    // Plain variables: no secret is among them, and none of the programs around the agent sees them.
    line.extend(env.iter().map(|(name, value)| format!("--agent-env={name}={value}")));
    line
}
