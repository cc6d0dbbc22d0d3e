use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use serde::Deserialize;
use thiserror::Error;
use tokio::time::{Instant, sleep};

use super::{Features, Sandbox, arguments, arguments::OWN_ETC, filter};
use crate::{
    launch::{Launch, last_words},
    limits::Limits,
    processes::Identity,
};

/// How long bubblewrap has to make the namespaces.
const PATIENCE: Duration = Duration::from_secs(20);

/// Opens bubblewrap's descriptors, enters the control groups, and becomes it. When the machine runs out of
/// memory, what is in a sandbox goes first.
const SCRIPT: &str = r#"exec 3<"$1" 4<"$2" 5>"$3" </dev/null; shift 3
echo 1000 >/proc/self/oom_score_adj
while [ "$1" != -- ]; do echo $$ >"$1" || exit 70; shift; done; shift
exec "$@""#;

/// Why a sandbox did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Its files could not be written, or no process be started.
    #[error("the sandbox cannot be started")]
    Io(#[from] io::Error),
    /// bubblewrap gave up.
    #[error("the sandbox cannot be made: {0}")]
    Ended(String),
    /// bubblewrap did nothing for too long.
    #[error("bubblewrap does not answer")]
    Silent,
}

/// A sandbox that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// bubblewrap's process, outside.
    pub sandbox: Identity,
    /// PID 1 inside.
    pub init: Identity,
}

/// One line of what bubblewrap tells.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Told {
    child_pid: Option<u32>,
    exit_code: Option<i32>,
}

impl Sandbox {
    /// Starts it as a session of its own. Each process is recorded, by the name of its field in
    /// [`Started`], before it counts on anything.
    pub async fn start(
        &self,
        limits: &Limits,
        record: impl Fn(&str, Identity) -> io::Result<()>,
    ) -> Result<Started, StartError> {
        let bwrap = arguments(self, Features::of_bubblewrap().await, limits);
        self.write_files(&bwrap.options)?;
        let file = |name: &str| self.launch_dir.join(name).into_os_string();
        let mut line = vec![file("options"), file("filter"), file("status")];
        line.extend(limits.groups().iter().map(|group| group.join("cgroup.procs").into()));
        line.extend(["--", "bwrap", "--args", "3"].map(Into::into));
        line.extend(bwrap.program.into_iter().map(Into::into));
        let launch = Launch {
            script: SCRIPT.to_owned(),
            arguments: line,
            environment: vec![],
            log: self.log.clone(),
        };
        let sandbox = launch.start(|identity| record("sandbox", identity)).await?;
        let init = self.wait_for_init(&sandbox).await?;
        record("init", init.clone())?;
        Ok(Started { sandbox, init })
    }

    fn write_files(&self, options: &[String]) -> io::Result<()> {
        let write = |name: &str, bytes: &[u8], mode: u32| {
            let path = self.launch_dir.join(name);
            fs::write(&path, bytes)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))
        };
        let options: Vec<u8> =
            options.iter().flat_map(|text| [text.as_bytes(), b"\0"]).flatten().copied().collect();
        write("options", &options, 0o600)?;
        write("filter", &filter(self.uid.is_some()), 0o600)?;
        write("status", b"", 0o600)?;
        for (name, text) in OWN_ETC {
            // A start that was cut short is repeated: what is there is written again.
            write(name, text.as_bytes(), 0o644)?;
        }
        Ok(())
    }

    async fn wait_for_init(&self, sandbox: &Identity) -> Result<Identity, StartError> {
        let until = Instant::now() + PATIENCE;
        loop {
            // Looked at in this order: what had ended had told all.
            let alive = sandbox.is_alive();
            let init = init_of(&self.launch_dir, sandbox);
            match init {
                Some(init) if alive => return Ok(init),
                _ if !alive => return Err(StartError::Ended(last_words(&self.log))),
                _ if Instant::now() > until => return Err(StartError::Silent),
                _ => sleep(Duration::from_millis(5)).await,
            }
        }
    }
}

/// PID 1 of a sandbox that has one: the process that bubblewrap named, if it is bubblewrap's child.
pub(crate) fn init_of(launch_dir: &Path, sandbox: &Identity) -> Option<Identity> {
    let pid = told(launch_dir).child_pid?;
    crate::processes::is_child(pid, sandbox.pid).then(|| Identity::of(pid))?
}

/// Whether bubblewrap came as far as having a process inside.
pub(crate) fn was_inside(launch_dir: &Path) -> bool {
    told(launch_dir).child_pid.is_some()
}

/// How the program inside ended, as far as bubblewrap told.
pub(crate) fn exit_code(launch_dir: &Path) -> Option<i32> {
    told(launch_dir).exit_code
}

fn told(launch_dir: &Path) -> Told {
    let text = fs::read_to_string(launch_dir.join("status")).unwrap_or_default();
    let lines = serde_json::Deserializer::from_str(&text).into_iter::<Told>();
    lines.map_while(Result::ok).fold(Told::default(), |told, line| Told {
        child_pid: line.child_pid.or(told.child_pid),
        exit_code: line.exit_code.or(told.exit_code),
    })
}
