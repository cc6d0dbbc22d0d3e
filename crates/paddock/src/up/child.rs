//! One supervised process: started or taken over, started again when it ends, ended when told to.

use std::{
    ffi::OsString,
    fs,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use local_adapter::processes::Identity;
use rustix::process::Signal;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::{layout::Layout, records::Records};

const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LAST_BACKOFF: Duration = Duration::from_secs(5);
/// A process that ran for this long is started again at once when it ends.
const STEADY: Duration = Duration::from_secs(10);
/// How long a process has to end by itself.
const GRACE: Duration = Duration::from_secs(10);

/// How to start a process.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// Its name in records and logs.
    pub(crate) name: &'static str,
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
    stop: Signal,
}

impl Spec {
    /// A process without arguments.
    pub(crate) fn new(name: &'static str, program: impl Into<PathBuf>) -> Self {
        Self {
            name,
            program: program.into(),
            arguments: vec![],
            environment: vec![],
            stop: Signal::TERM,
        }
    }

    /// Adds an argument.
    pub(crate) fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    pub(crate) fn args<A: Into<OsString>>(self, arguments: impl IntoIterator<Item = A>) -> Self {
        arguments.into_iter().fold(self, Self::arg)
    }

    /// Sets a variable of its environment, which begins empty but for PATH, HOME, LANG and RUST_LOG.
    pub(crate) fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// The signal that ends it in an orderly way.
    pub(crate) fn stop_with(mut self, signal: Signal) -> Self {
        self.stop = signal;
        self
    }

    fn log(&self, layout: &Layout) -> PathBuf {
        layout.join("log").join(format!("{}.log", self.name))
    }

    fn start(&self, layout: &Layout) -> anyhow::Result<Child> {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log(layout))?;
        let mut command = Command::new("setsid");
        command.arg(&self.program).args(&self.arguments).env_clear();
        for name in ["PATH", "HOME", "LANG", "RUST_LOG"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.current_dir(layout.root());
        command.spawn().with_context(|| format!("cannot start {}", self.program.display()))
    }
}

/// A supervised process.
pub(crate) struct Supervised {
    name: &'static str,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

/// What runs: a child of this process, or one of an earlier `up`.
enum Running {
    Child(Child),
    Adopted(Identity),
}

impl Supervised {
    /// Takes over the recorded process of that name, or starts one, and keeps it running.
    pub(crate) fn keep(spec: Spec, layout: Layout, records: Records) -> anyhow::Result<Self> {
        let first = match records.living(spec.name) {
            Some(identity) => Running::Adopted(identity),
            None => start(&spec, &layout, &records)?,
        };
        let stop = CancellationToken::new();
        let name = spec.name;
        let task = tokio::spawn(supervise(spec, layout, records, first, stop.clone()));
        Ok(Self { name, stop, task })
    }

    /// Ends whatever is recorded under the spec's name, then starts it: for a part that must run with
    /// this `up`'s own settings.
    pub(crate) async fn renew(
        spec: Spec,
        layout: Layout,
        records: Records,
    ) -> anyhow::Result<Self> {
        if let Some(identity) = records.living(spec.name) {
            end(&spec, &mut Running::Adopted(identity)).await;
        }
        Self::keep(spec, layout, records)
    }

    /// Ends it, and waits until it has ended.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(name = self.name, %error, "supervision ended badly");
        }
    }
}

fn start(spec: &Spec, layout: &Layout, records: &Records) -> anyhow::Result<Running> {
    let child = spec.start(layout)?;
    let pid = child.id().context("it ended at once")?;
    records.set(spec.name, Identity::of(pid))?;
    Ok(Running::Child(child))
}

async fn supervise(
    spec: Spec,
    layout: Layout,
    records: Records,
    mut running: Running,
    stop: CancellationToken,
) {
    let mut backoff = FIRST_BACKOFF;
    loop {
        let since = Instant::now();
        tokio::select! {
            () = exited(&mut running) => {}
            () = stop.cancelled() => break,
        }
        if since.elapsed() > STEADY {
            backoff = FIRST_BACKOFF;
        }
        let why =
            last_line(&spec.log(&layout)).map_or_else(String::new, |line| format!(": {line}"));
        eprintln!("{} ended{why}\n{0} is started again in {} ms", spec.name, backoff.as_millis());
        tokio::select! {
            () = tokio::time::sleep(backoff) => {}
            () = stop.cancelled() => break,
        }
        backoff = (backoff * 2).min(LAST_BACKOFF);
        match start(&spec, &layout, &records) {
            Ok(started) => running = started,
            Err(error) => eprintln!("{}: {error:#}", spec.name),
        }
    }
    end(&spec, &mut running).await;
    if let Err(error) = records.set(spec.name, None) {
        eprintln!("{}: cannot record its end: {error:#}", spec.name);
    }
}

/// The last line of a log, without what a terminal would act on: what a process that ended said last.
fn last_line(log: &Path) -> Option<String> {
    const MOST: u64 = 1024;
    let mut file = fs::File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MOST))).ok()?;
    let mut end = vec![];
    file.take(MOST).read_to_end(&mut end).ok()?;
    let text = String::from_utf8_lossy(&end);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().filter(|character| !character.is_control()).collect())
}

async fn exited(running: &mut Running) {
    match running {
        Running::Child(child) => {
            let _ = child.wait().await;
        }
        Running::Adopted(identity) => {
            while identity.is_alive() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn end(spec: &Spec, running: &mut Running) {
    let identity = match running {
        Running::Child(child) => child.id().and_then(Identity::of),
        Running::Adopted(identity) => Some(identity.clone()),
    };
    let Some(identity) = identity else { return };
    for signal in [spec.stop, Signal::KILL] {
        identity.signal(signal);
        if tokio::time::timeout(GRACE, exited(running)).await.is_ok() {
            return;
        }
        eprintln!("{} does not end by itself", spec.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_log_is_found_and_harmless() {
        let log = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(last_line(log.path()), None);
        let long = "x".repeat(5000);
        fs::write(log.path(), format!("first\n{long}\nit is \u{1b}[31mmissing\n\n")).unwrap();
        assert_eq!(last_line(log.path()).unwrap(), "it is [31mmissing");
    }
}
