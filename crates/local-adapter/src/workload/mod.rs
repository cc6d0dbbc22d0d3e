//! One workload: its directory, its processes.

mod end;
mod make;
mod start;

use std::{
    fs,
    path::{Path, PathBuf},
};

use domain::{
    ids::{Generation, RunId},
    run::Enforcement,
    workload::Desired,
};

pub(crate) use self::end::{end, end_sandbox};
use crate::{
    Config,
    launch::last_words,
    limits::Limits,
    plan::Observed,
    processes::Recorded,
    sandbox::{exit_code, was_inside},
    uids::Uids,
};

/// The name of the limit that a workload misses when it has no sandbox at all.
const SANDBOX: &str = "sandbox";

/// How bubblewrap tells of SIGKILL.
const KILLED: i32 = 128 + 9;

/// A workload's directory.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The directory itself.
    pub(crate) dir: PathBuf,
}

impl Place {
    /// A workload's, whether it is there or not.
    pub(crate) fn of(data_dir: &Path, run: RunId, generation: Generation) -> Self {
        let dir = data_dir.join("runs").join(run.to_string()).join(generation.to_string());
        Self { dir }
    }

    /// All that are there.
    pub(crate) fn all(data_dir: &Path) -> Vec<Self> {
        let below = |dir: &Path| -> Vec<PathBuf> {
            let entries = fs::read_dir(dir).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
        };
        let runs = below(&data_dir.join("runs"));
        runs.iter().flat_map(|run| below(run)).map(|dir| Self { dir }).collect()
    }

    /// Whose it is; a directory of another name is nobody's.
    pub(crate) fn key(&self) -> Option<(RunId, Generation)> {
        let generation = self.dir.file_name()?.to_str()?.parse().ok()?;
        let run = self.dir.parent()?.file_name()?.to_str()?.parse().ok()?;
        Some((run, Generation(generation)))
    }

    /// A path below it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Where the sidecar reads its identity.
    pub(crate) fn identity_file(&self) -> PathBuf {
        self.join("sidecar/identity")
    }

    /// The harness's socket, from outside.
    pub(crate) fn harness_socket(&self) -> PathBuf {
        self.join("harness/harness.sock")
    }

    /// Its recorded processes.
    pub(crate) fn recorded(&self) -> Recorded {
        Recorded::read(&self.dir)
    }

    /// What is seen of it.
    pub(crate) fn observe(&self) -> Option<Observed> {
        let (run, generation) = self.key()?;
        let recorded = self.recorded();
        let ended = recorded.get("init").is_some_and(|init| !init.is_alive());
        let sandbox = recorded.living(SANDBOX).is_some() && !ended;
        Some(Observed {
            run,
            generation,
            begun: sandbox || was_inside(&self.join("launch")) || self.has_no_walls(),
            sandbox,
            sidecar: recorded.living("sidecar").is_some(),
            over: fs::read_to_string(self.join("over"))
                .ok()
                .or_else(|| if ended { self.died_for_memory() } else { None }),
        })
    }

    /// That the kernel killed the first process inside because the workload took too much memory, in words.
    fn died_for_memory(&self) -> Option<String> {
        let limits = Limits::load(&self.dir)?;
        let killed = exit_code(&self.join("launch")).is_none_or(|code| code == KILLED);
        (killed && limits.killed_for_memory()).then(|| limits.out_of_memory())
    }

    /// Says that it took more than it may: it ends for good, and these are the words.
    pub(crate) fn is_over(&self, words: &str) -> std::io::Result<()> {
        let beside = self.join("over.new");
        fs::write(&beside, words)?;
        fs::rename(beside, self.join("over"))
    }

    /// How its sandbox ended, as far as that is known; and what was printed last, which may be the
    /// agent's own words.
    pub(crate) fn how_it_ended(&self) -> (String, String) {
        let code = exit_code(&self.join("launch"));
        let how = code.map(|code| format!(" with {code}")).unwrap_or_default();
        (format!("the sandbox ended{how}"), last_words(&self.join("sandbox.log")))
    }

    /// What holds it in.
    pub(crate) fn enforcement(&self) -> Enforcement {
        let limits = Limits::load(&self.dir).unwrap_or_default();
        let sandbox = if self.has_no_walls() { "none" } else { "bubblewrap" };
        Enforcement {
            sandbox: sandbox.to_owned(),
            limits: limits.enforced,
            missing: limits.missing,
        }
    }

    fn has_no_walls(&self) -> bool {
        Limits::load(&self.dir)
            .is_some_and(|limits| limits.missing.iter().any(|name| name == SANDBOX))
    }
}

/// One workload that is to run.
pub(crate) struct Workload<'a> {
    config: &'a Config,
    desired: &'a Desired,
    /// Where it is.
    pub(crate) place: Place,
    uids: Option<Uids>,
}

impl<'a> Workload<'a> {
    /// The workload, with the uids that its directories have, or are to have.
    pub(crate) fn of(config: &'a Config, desired: &'a Desired, uids: Option<Uids>) -> Self {
        let place = Place::of(&config.data_dir, desired.run, desired.generation);
        Self { config, desired, place, uids }
    }

    /// The gateway's directory for it.
    fn gateway_dir(&self) -> PathBuf {
        self.config.gateway_sockets.join(self.desired.run.to_string())
    }
}
