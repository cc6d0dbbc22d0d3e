//! A data directory with an adapter on it, and single sandboxes.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use domain::{
    ids::{Generation, RunId, SessionId},
    run::Enforcement,
    workload::{Desired, Phase},
};
use local_adapter::{
    Config, Port, Report,
    limits::Limits,
    processes::{Identity, Recorded},
    recorded, run_with,
    sandbox::{Sandbox, Started},
};
use rustix::process::geteuid;
use tempfile::TempDir;
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until something holds; what it is goes into the failure.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn is_root() -> bool {
    geteuid().is_root()
}

/// A directory that every uid may pass.
pub(crate) fn directory() -> TempDir {
    let dir = tempfile::Builder::new().prefix("paddock-sandbox-").tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
    dir
}

/// Written by another process: a child that is started meanwhile would hold it open for writing, and what is
/// written cannot be run.
pub(crate) fn script(path: &Path, text: &str) {
    let mut writing = Command::new("sh");
    writing.args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$2\" >\"$1\" && chmod 755 \"$1\"", "sh"]);
    assert!(writing.arg(path).arg(text).status().unwrap().success());
}

/// A copy of a program, made as a script is.
pub(crate) fn program(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success());
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Host uids for this test alone, beside all other tests of the machine.
pub(crate) fn uid_base() -> u32 {
    700_000_000 + (Uuid::new_v4().as_u128() % 100_000_000) as u32
}

/// One sandbox without an adapter, around a shell script.
pub(crate) struct Cell {
    pub(crate) dir: TempDir,
    pub(crate) sandbox: Sandbox,
}

impl Cell {
    pub(crate) fn new(text: &str) -> Self {
        let dir = directory();
        let sandbox = Self::sandbox(dir.path(), text);
        Self { dir, sandbox }
    }

    pub(crate) fn sandbox(dir: &Path, text: &str) -> Sandbox {
        let uid = is_root().then(uid_base);
        let make = |name: &str| {
            let path = dir.join(name);
            fs::create_dir(&path).unwrap();
            chown(&path, uid, uid).unwrap();
            path
        };
        Sandbox {
            home: make("home"),
            workspace: make("workspace"),
            harness_dir: make("harness"),
            gateway_dir: make("gateway"),
            launch_dir: make("launch"),
            programs: vec![],
            command: ["bash", "-c", text].map(str::to_owned).to_vec(),
            uid,
            log: dir.join("log"),
        }
    }

    pub(crate) async fn start(&self) -> Started {
        let started = self.sandbox.start(&Limits::without_groups(512, 512), |_, _| Ok(())).await;
        started.unwrap_or_else(|error| panic!("{error}: {}", self.said()))
    }

    /// What it printed.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.sandbox.log).unwrap_or_default()
    }
}

/// What a script prints in a sandbox until it ends.
pub(crate) async fn inside(text: &str) -> String {
    // It ends only after it was seen to run.
    let cell = Cell::new(&format!("{text}\nsleep 0.2"));
    let started = cell.start().await;
    assert!(started.sandbox.gone_within(PATIENCE).await, "{}", cell.said());
    cell.said()
}

/// A port whose list a test writes, and whose reports it reads.
#[derive(Clone, Default)]
pub(crate) struct Board(Arc<BoardState>);

#[derive(Default)]
struct BoardState {
    data_dir: Mutex<Option<PathBuf>>,
    desired: Mutex<HashMap<RunId, Desired>>,
    reports: Mutex<Vec<(RunId, Generation, Report)>>,
    changed: Notify,
}

impl Board {
    pub(crate) fn want(&self, desired: Desired) {
        self.0.desired.lock().unwrap().insert(desired.run, desired);
        self.0.changed.notify_one();
    }

    pub(crate) fn forget(&self, run: RunId) {
        self.0.desired.lock().unwrap().remove(&run);
        self.0.changed.notify_one();
    }

    fn sidecar(&self, run: RunId, generation: Generation) -> Option<Identity> {
        let data_dir = self.0.data_dir.lock().unwrap().clone()?;
        let dir = data_dir.join("runs").join(run.to_string()).join(generation.to_string());
        Recorded::read(&dir).living("sidecar").cloned()
    }

    pub(crate) fn reports(&self, run: RunId) -> Vec<(Generation, Report)> {
        let reports = self.0.reports.lock().unwrap();
        let of_run = reports.iter().filter(|(of, _, _)| *of == run);
        of_run.map(|(_, generation, report)| (*generation, report.clone())).collect()
    }
}

impl Port for Board {
    async fn desired(&self) -> anyhow::Result<Vec<Desired>> {
        Ok(self.0.desired.lock().unwrap().values().cloned().collect())
    }

    async fn identity(&self, _: RunId, _: Generation) -> anyhow::Result<String> {
        Ok(Uuid::new_v4().simple().to_string())
    }

    /// As a run would: what was made is kept, and what ended is to be removed.
    async fn report(
        &self,
        run: RunId,
        generation: Generation,
        report: Report,
    ) -> anyhow::Result<()> {
        let mut desired = self.0.desired.lock().unwrap();
        let Some(wanted) = desired.get_mut(&run).filter(|wanted| wanted.generation == generation)
        else {
            return Ok(());
        };
        match (&report, wanted.phase) {
            (Report::Created(_), Phase::Create) => wanted.phase = Phase::Keep,
            (
                Report::Lost(_) | Report::Refused(_) | Report::Over(_),
                Phase::Create | Phase::Keep,
            ) => {
                wanted.phase = Phase::Remove;
                // Its link would tell it.
                if let Some(sidecar) = self.sidecar(run, generation) {
                    sidecar.signal(rustix::process::Signal::TERM);
                }
            }
            (Report::Removed, Phase::Remove) => {
                desired.remove(&run);
            }
            _ => return Ok(()),
        }
        self.0.reports.lock().unwrap().push((run, generation, report));
        self.0.changed.notify_one();
        Ok(())
    }

    async fn woken(&self) {
        self.0.changed.notified().await;
    }
}

/// What stands for the harness: it answers, then does what is in `text`.
pub(crate) fn harness(text: &str) -> String {
    format!("touch /run/paddock/harness.sock\n{text}\nexec sleep 1000")
}

/// A data directory, and an adapter on it.
pub(crate) struct Installation {
    pub(crate) dir: TempDir,
    pub(crate) board: Board,
    uid_base: u32,
    running: Option<(JoinHandle<()>, CancellationToken)>,
}

impl Installation {
    /// Whose harness is this script, and whose sidecar does nothing.
    pub(crate) fn new(text: &str) -> Self {
        let dir = directory();
        script(&dir.path().join("paddock-harness"), text);
        script(&dir.path().join("opencode"), "true");
        script(&dir.path().join("paddock"), "echo started; exec sleep 1000");
        let uid_base = uid_base();
        let board = Board::default();
        *board.0.data_dir.lock().unwrap() = Some(dir.path().join("data"));
        Self { dir, board, uid_base, running: None }
    }

    pub(crate) fn config_in(dir: &Path, uid_base: u32) -> Config {
        Config {
            data_dir: dir.join("data"),
            harness_bin: dir.join("paddock-harness"),
            opencode_bin: dir.join("opencode"),
            paddock_bin: dir.join("paddock"),
            link_url: "ws://127.0.0.1:9/link".parse().unwrap(),
            bundles_url: "http://127.0.0.1:9".parse().unwrap(),
            canary_addr: "127.0.0.1:9".to_owned(),
            gateway_sockets: dir.join("gateways"),
            uid_base,
        }
    }

    pub(crate) fn config(&self) -> Config {
        Self::config_in(self.dir.path(), self.uid_base)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn path_of(&self, run: RunId, generation: u32) -> PathBuf {
        self.data().join("runs").join(run.to_string()).join(generation.to_string())
    }

    pub(crate) fn start(&mut self) {
        let stop = CancellationToken::new();
        let adapter = run_with(self.config(), self.board.clone(), stop.clone());
        self.running = Some((tokio::spawn(adapter), stop));
    }

    pub(crate) async fn stop(&mut self) {
        let (adapter, stop) = self.running.take().unwrap();
        stop.cancel();
        adapter.await.unwrap();
    }

    /// Asks for a workload.
    pub(crate) fn want(&self, change: impl FnOnce(&mut Desired)) -> RunId {
        let mut desired = Desired {
            run: RunId(Uuid::new_v4()),
            session: SessionId(Uuid::new_v4()),
            generation: Generation(1),
            phase: Phase::Create,
            accept_unenforced: false,
            memory_mib: 256,
            disk_mib: 256,
            egress: "github".to_owned(),
            deadline_seconds: 3600,
            harness: domain::run::Harness::default(),
        };
        change(&mut desired);
        let run = desired.run;
        gateway(&self.dir.path().join("gateways"), run);
        self.board.want(desired);
        run
    }

    /// Waits for a report.
    pub(crate) async fn report<T>(
        &self,
        run: RunId,
        mut is: impl FnMut(&Report) -> Option<T>,
    ) -> T {
        let mut found = None;
        let end = Instant::now() + PATIENCE;
        while found.is_none() {
            let reports = self.board.reports(run);
            assert!(Instant::now() < end, "not among {reports:?}\n{}", self.logs(run));
            found = reports.iter().find_map(|(_, report)| is(report));
            sleep(Duration::from_millis(20)).await;
        }
        found.unwrap()
    }

    pub(crate) async fn created(&self, run: RunId) -> Enforcement {
        self.report(run, |report| match report {
            Report::Created(enforcement) => Some(enforcement.clone()),
            Report::Refused(words) => panic!("refused: {words}"),
            _ => None,
        })
        .await
    }

    pub(crate) async fn removed(&self, run: RunId) {
        self.report(run, |report| (*report == Report::Removed).then_some(())).await;
    }

    pub(crate) async fn refused(&self, run: RunId) -> String {
        self.report(run, |report| match report {
            Report::Refused(words) => Some(words.clone()),
            _ => None,
        })
        .await
    }

    pub(crate) async fn over(&self, run: RunId) -> String {
        self.report(run, |report| match report {
            Report::Over(words) => Some(words.clone()),
            _ => None,
        })
        .await
    }

    pub(crate) fn logs(&self, run: RunId) -> String {
        let dir = self.path_of(run, 1);
        let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap_or_default();
        format!("sandbox: {}\nsidecar: {}", read("sandbox.log"), read("sidecar.log"))
    }

    /// A recorded process that runs.
    pub(crate) fn process(&self, run: RunId, generation: u32, name: &str) -> Option<Identity> {
        Recorded::read(&self.path_of(run, generation)).living(name).cloned()
    }

    /// Says that a run has ended, and waits until all of it is gone.
    pub(crate) async fn end(&self, run: RunId, generation: u32) {
        if let Some(sidecar) = self.process(run, generation, "sidecar") {
            // It ends by itself, as the sidecar of an ended run does.
            sidecar.signal(rustix::process::Signal::KILL);
        }
        let mut wanted = self.board.0.desired.lock().unwrap().get(&run).cloned().unwrap();
        wanted.phase = Phase::Remove;
        self.board.want(wanted);
        let removed = (Generation(generation), Report::Removed);
        until("it is removed", || self.board.reports(run).contains(&removed)).await;
        self.nothing_is_left(run);
    }

    /// No process, directory, mount or control group of the run.
    pub(crate) fn nothing_is_left(&self, run: RunId) {
        let id = run.to_string();
        assert_eq!(traces(&id), Vec::<String>::new());
        assert!(!self.data().join("runs").join(&id).exists(), "a directory of {id} is left");
        assert!(recorded(&self.data()).iter().all(|workload| workload.run != run));
    }
}

impl Drop for Installation {
    /// A failed test leaves nothing behind either.
    fn drop(&mut self) {
        if let Some((adapter, stop)) = self.running.take() {
            stop.cancel();
            adapter.abort();
        }
        let data = self.data();
        let end = move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            for workload in recorded(&data) {
                if let Some(sidecar) = workload.processes.living("sidecar") {
                    sidecar.signal(rustix::process::Signal::KILL);
                }
            }
            runtime.block_on(local_adapter::shutdown_all(&data));
        };
        let _ = std::thread::spawn(end).join();
    }
}

/// The directory that the gateway makes for a run.
pub(crate) fn gateway(sockets: &Path, run: RunId) {
    let dir = sockets.join(run.to_string());
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("gateway.sock"), "").unwrap();
}

/// Processes whose arguments or mounts name `id`, mounts of this namespace, and control groups.
pub(crate) fn traces(id: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        for name in ["cmdline", "mountinfo"] {
            let text = fs::read(entry.path().join(name)).unwrap_or_default();
            if String::from_utf8_lossy(&text).contains(id) {
                found.push(format!("{}/{name}", entry.path().display()));
            }
        }
    }
    let mut dirs = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().contains(id) {
                    found.push(entry.path().display().to_string());
                }
                dirs.push(entry.path());
            }
        }
    }
    found
}
