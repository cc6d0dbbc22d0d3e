//! The loop: read what should be, look at what is, act on the difference.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::PathBuf,
    time::Duration,
};

use anyhow::Context as _;
use commands::{Caused, CommandError, Commands};
use domain::{
    event::{Actor, Part},
    ids::{Generation, RunId},
    run::{Command, Enforcement, Failure},
    workload::{Desired, Phase},
};
use projections::Views;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    limits::Limits,
    plan::{Action, Observed, plan},
    shutdown::{directories, runs},
    workload::{self, Workload},
};

/// How often it looks when nothing wakes it.
const LOOK: Duration = Duration::from_millis(500);
/// How often the disk is measured.
const MEASURE: Duration = Duration::from_secs(2);
/// How long the gateway has to offer a run's socket.
const GATEWAY: Duration = Duration::from_secs(20);
/// How long an ended run's sidecar has to end by itself.
const GRACE: Duration = Duration::from_secs(10);
/// How often a sidecar is started again before its workload is lost.
const SIDECAR_STARTS: u32 = 20;

/// What the adapter works with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data directory.
    pub data_dir: PathBuf,
    /// The program inside.
    pub harness_bin: PathBuf,
    /// The agent's program.
    pub opencode_bin: PathBuf,
    /// The program that is the sidecar too.
    pub paddock_bin: PathBuf,
    /// The link listener's WebSocket.
    pub link_url: Url,
    /// Where bundles go beside the link.
    pub bundles_url: Url,
    /// An address that sidecars reach and sandboxes must not.
    pub canary_addr: String,
    /// The directory in which the gateway makes a socket for each run.
    pub gateway_sockets: PathBuf,
    /// The first host uid for runs, when started as root.
    pub uid_base: u32,
}

impl Config {
    /// A workload's directory.
    pub(crate) fn directory(&self, run: RunId, generation: Generation) -> PathBuf {
        self.data_dir.join("runs").join(run.to_string()).join(generation.to_string())
    }
}

struct Adapter {
    config: Config,
    commands: Commands,
    views: Views,
    as_root: bool,
    waiting_for_gateway: HashMap<RunId, Instant>,
    sidecar_starts: HashMap<(RunId, Generation), (u32, Instant)>,
    measured: Instant,
}

/// Runs until told to stop. Workloads go on without it.
pub async fn run(config: Config, commands: Commands, views: Views, shutdown: CancellationToken) {
    let mut bell = commands.doorbell().listen();
    let mut adapter = Adapter {
        config,
        commands,
        views,
        as_root: rustix::process::geteuid().is_root(),
        waiting_for_gateway: HashMap::new(),
        sidecar_starts: HashMap::new(),
        measured: Instant::now(),
    };
    while !shutdown.is_cancelled() {
        if let Err(error) = adapter.round().await {
            tracing::error!(error = &*error, "a round of the adapter failed");
        }
        tokio::select! {
            () = sleep(LOOK) => {}
            () = bell.rung() => sleep(Duration::from_millis(20)).await,
            () = shutdown.cancelled() => {}
        }
    }
}

impl Adapter {
    async fn round(&mut self) -> anyhow::Result<()> {
        let desired = self.views.desired_workloads().await?;
        for action in plan(&desired, &self.observe()) {
            if let Err(error) = self.act(&action).await {
                tracing::error!(?action, error = &*error, "a workload could not be dealt with");
            }
        }
        if self.measured.elapsed() > MEASURE {
            self.measured = Instant::now();
            for wanted in desired.iter().filter(|wanted| wanted.phase == Phase::Keep) {
                self.measure(wanted).await?;
            }
        }
        Ok(())
    }

    fn observe(&self) -> Vec<Observed> {
        let found = directories(&self.config.data_dir.join("runs"));
        let of = |dir: &std::path::Path| -> Option<(RunId, Generation)> {
            let generation = dir.file_name()?.to_str()?.parse().ok()?;
            Some((dir.parent()?.file_name()?.to_str()?.parse().ok()?, Generation(generation)))
        };
        found
            .into_iter()
            .filter_map(|(_, dir)| {
                let (run, generation) = of(&dir)?;
                let recorded = crate::processes::Recorded::read(&dir);
                Some(Observed {
                    run,
                    generation,
                    begun: recorded.get("sandbox").is_some(),
                    sandbox: runs(&dir, "sandbox"),
                    sidecar: runs(&dir, "sidecar"),
                })
            })
            .collect()
    }

    async fn act(&mut self, action: &Action) -> anyhow::Result<()> {
        match action {
            Action::Create(desired) => match self.create(desired).await {
                Ok(()) => Ok(()),
                Err(error) => self.refuse(desired, &error).await,
            },
            Action::RestartSidecar(desired) => self.restart_sidecar(desired).await,
            Action::ReportLost(desired) => {
                self.report(
                    desired.run,
                    Command::ReportLost {
                        generation: desired.generation,
                        reason: "the sandbox ended".to_owned(),
                    },
                )
                .await
            }
            Action::Remove { run, generation, report } => {
                self.remove(*run, *generation).await?;
                if *report {
                    let generation = *generation;
                    let removed =
                        Command::ReportWorkloadRemoved { generation, output_digest: None };
                    self.report(*run, removed).await?;
                }
                Ok(())
            }
        }
    }

    async fn create(&mut self, desired: &Desired) -> anyhow::Result<()> {
        if !Workload::of(&self.config, desired).has_begun()
            && !self.gateway_is_there(desired.run)?
        {
            return Ok(());
        }
        let workload = Workload::of(&self.config, desired);
        let group = workload::group_name(&desired.run.to_string(), &desired.generation.to_string());
        let limits = Limits::prepare(&group, desired.memory_mib, desired.disk_mib, self.as_root);
        if !workload.has_begun() {
            let uids = self.uids(desired)?;
            workload.prepare(uids)?;
            let token = hex::encode(self.commands.context().token());
            let digest: [u8; 32] = Sha256::digest(&token).into();
            self.commands.issue_identity(desired.run, desired.generation, digest).await?;
            workload.write_identity(&token, uids)?;
            workload.start_sandbox(&limits, uids)?;
            workload.start_sidecar(uids)?;
        }
        let enforcement = Enforcement {
            sandbox: "bubblewrap".to_owned(),
            limits: limits.enforced,
            missing: limits.missing,
        };
        let generation = desired.generation;
        self.report(desired.run, Command::ReportWorkloadCreated { generation, enforcement }).await
    }

    /// Whether the gateway offers the run's socket; an error when it took too long.
    fn gateway_is_there(&mut self, run: RunId) -> anyhow::Result<bool> {
        let socket = self.config.gateway_sockets.join(run.to_string()).join("gateway.sock");
        if socket.exists() {
            self.waiting_for_gateway.remove(&run);
            return Ok(true);
        }
        let since = *self.waiting_for_gateway.entry(run).or_insert_with(Instant::now);
        anyhow::ensure!(
            since.elapsed() < GATEWAY,
            "the gateway does not offer a socket for the run"
        );
        Ok(false)
    }

    /// As root: two uids that no other live workload has, the agent's and the sidecar's.
    fn uids(&self, desired: &Desired) -> anyhow::Result<Option<(u32, u32)>> {
        use std::os::unix::fs::MetadataExt as _;
        if !self.as_root {
            return Ok(None);
        }
        let own = self.config.directory(desired.run, desired.generation);
        let uid = |dir: &std::path::Path| Some(fs::metadata(dir).ok()?.uid());
        if let (Some(agent), Some(sidecar)) = (uid(&own.join("home")), uid(&own.join("sidecar")))
            && agent != 0
            && sidecar != 0
        {
            return Ok(Some((agent, sidecar)));
        }
        let found = directories(&self.config.data_dir.join("runs"));
        let taken: HashSet<u32> =
            found.iter().filter_map(|(_, dir)| uid(&dir.join("home"))).collect();
        let agent = (0..30_000)
            .map(|slot| self.config.uid_base + 2 * slot)
            .find(|uid| !taken.contains(uid))
            .context("no uid is free for the run")?;
        Ok(Some((agent, agent + 1)))
    }

    async fn restart_sidecar(&mut self, desired: &Desired) -> anyhow::Result<()> {
        let key = (desired.run, desired.generation);
        let (starts, last) = self.sidecar_starts.entry(key).or_insert((0, Instant::now()));
        let backoff = Duration::from_millis(200) * (*starts).min(25);
        if *starts > 0 && last.elapsed() < backoff {
            return Ok(());
        }
        *starts += 1;
        *last = Instant::now();
        if *starts > SIDECAR_STARTS {
            return self
                .report(
                    desired.run,
                    Command::ReportLost {
                        generation: desired.generation,
                        reason: "the sidecar ended too often".to_owned(),
                    },
                )
                .await;
        }
        let uids = self.uids(desired)?;
        Workload::of(&self.config, desired).start_sidecar(uids)
    }

    async fn remove(&mut self, run: RunId, generation: Generation) -> anyhow::Result<()> {
        let dir = self.config.directory(run, generation);
        if dir.exists() {
            let recorded = crate::processes::Recorded::read(&dir);
            if let Some(sidecar) = recorded.get("sidecar") {
                // It is told by the link that the run has ended, and says its last words.
                sidecar.gone_within(GRACE).await;
            }
            workload::end(&dir, Duration::from_secs(1)).await;
            fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
            if let Some(parent) = dir.parent() {
                let _ = fs::remove_dir(parent);
            }
        }
        Limits::remove(&workload::group_name(&run.to_string(), &generation.to_string()));
        self.sidecar_starts.remove(&(run, generation));
        Ok(())
    }

    /// A workload whose files have outgrown it fails, and no other.
    async fn measure(&self, desired: &Desired) -> anyhow::Result<()> {
        let workload = Workload::of(&self.config, desired);
        let most = u64::from(desired.disk_mib) * 1024 * 1024;
        if workload.disk_bytes() <= most {
            return Ok(());
        }
        let words = format!("the disk is full: {} MiB are allowed", desired.disk_mib);
        self.refuse(desired, &anyhow::anyhow!(words)).await
    }

    async fn refuse(&self, desired: &Desired, error: &anyhow::Error) -> anyhow::Result<()> {
        let detail = self.commands.context().seal(format!("{error:#}"));
        let command = Command::ReportRefused {
            generation: desired.generation,
            failure: Failure::Sandbox,
            detail: Some(detail.reference.clone()),
        };
        let mut caused = Caused::by(Actor::System(Part::Adapter));
        caused.texts = vec![detail];
        settled(self.commands.run(desired.run, command, caused).await)
    }

    async fn report(&self, run: RunId, command: Command) -> anyhow::Result<()> {
        settled(self.commands.run(run, command, Caused::by(Actor::System(Part::Adapter))).await)
    }
}

/// A report that the run refuses is late: what it should do now is in the next round's list.
fn settled(done: Result<commands::Accepted, CommandError>) -> anyhow::Result<()> {
    match done {
        Ok(_) | Err(CommandError::Run(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
