//! One sandbox: bubblewrap with user, network, pid, ipc and uts namespaces of its own, a read-only system, a
//! private home and workspace, and nothing of the caller's environment.
//!
//! The program is PID 1 in there, not a child of bubblewrap's own init: the agent has the program's uid,
//! and PID 1 is the one process that it can neither kill nor stop. The program has to reap, and
//! `paddock-harness` does. When PID 1 ends, the kernel ends all the others, and bubblewrap's process outside
//! ends too.

mod arguments;
mod filter;
mod start;

use std::path::PathBuf;

pub(crate) use self::start::{exit_code, init_of, was_inside};
pub use self::{
    arguments::{Arguments, arguments},
    filter::filter,
    start::{StartError, Started},
};

/// The uid inside, whoever it is outside.
pub const UID_INSIDE: u32 = 1000;

/// What a sandbox is made of.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// Becomes /home/agent.
    pub home: PathBuf,
    /// Becomes /workspace.
    pub workspace: PathBuf,
    /// Becomes /run/paddock: holds the harness's socket.
    pub harness_dir: PathBuf,
    /// Becomes /run/paddock-gateway: holds the gateway's socket. The directory, so that a socket that
    /// replaces it is there too.
    pub gateway_dir: PathBuf,
    /// Where the files are from which bubblewrap starts; nobody inside sees them.
    pub launch_dir: PathBuf,
    /// Bound read-only, each to a path inside.
    pub programs: Vec<(PathBuf, PathBuf)>,
    /// What runs inside, as PID 1.
    pub command: Vec<String>,
    /// The host uid, when started as root; never 0.
    pub uid: Option<u32>,
    /// Where what it prints goes.
    pub log: PathBuf,
}

/// What the installed bubblewrap can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// `--disable-userns`, from 0.8.0 on. Without it the filter alone denies nested user namespaces.
    pub disable_userns: bool,
}

impl Features {
    /// Asks it.
    pub async fn of_bubblewrap() -> Self {
        let help = tokio::process::Command::new("bwrap")
            .arg("--help")
            .env_clear()
            .env("PATH", crate::launch::PATH)
            .output()
            .await;
        let said = help.map(|help| [help.stdout, help.stderr].concat()).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        Self { disable_userns: said.contains("--disable-userns") }
    }
}
