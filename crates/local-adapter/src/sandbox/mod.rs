//! One sandbox: bubblewrap with user, network, pid, ipc and uts namespaces of its own, a read-only system, a
//! private home and workspace, and nothing of the caller's environment.

mod arguments;

use std::{
    fs::{self, File},
    io::Write as _,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::pipe::{PipeFlags, pipe_with};

use crate::limits::Limits;

pub use self::arguments::arguments;

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
    /// Becomes /run/paddock-gateway: holds the gateway's socket.
    pub gateway_dir: PathBuf,
    /// Bound read-only, each to a path inside.
    pub programs: Vec<(PathBuf, PathBuf)>,
    /// What runs inside, as PID 1 of the agent's uid.
    pub command: Vec<String>,
    /// The host uid, when started as root; never 0.
    pub uid: Option<u32>,
    /// Where what it prints goes.
    pub log: PathBuf,
}

impl Sandbox {
    /// Starts it as a session of its own. Its process is bubblewrap's; with it all inside ends.
    pub fn start(&self, limits: &Limits) -> std::io::Result<u32> {
        let log = fs::OpenOptions::new().create(true).append(true).open(&self.log)?;
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        let bwrap = arguments(self);
        // Arguments would be seen in /proc, and the environment is inherited as it is: both stay empty.
        // bubblewrap reads its options from descriptor 3. Only standard descriptors can be handed over
        // without unsafe code, so a shell moves it there, then becomes what it starts.
        let mut child = Command::new("/usr/bin/setsid")
            .args(["/bin/sh", "-c", "exec 3<&0 </dev/null; exec \"$@\"", "sh"])
            .args(limits.prefix())
            .args(["bwrap", "--args", "3"])
            .args(&bwrap.program)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .stdin(Stdio::from(read))
            .stdout(log.try_clone()?)
            .stderr(log)
            .current_dir("/")
            .spawn()?;
        send(write, &bwrap.options)?;
        let pid = child.id();
        // Reaped here while this process lives; by init when it does not.
        std::thread::Builder::new().name("reap".to_owned()).spawn(move || {
            let _ = child.wait();
        })?;
        Ok(pid)
    }
}

fn send(write: OwnedFd, options: &[String]) -> std::io::Result<()> {
    let mut file = File::from(write);
    for option in options {
        file.write_all(option.as_bytes())?;
        file.write_all(b"\0")?;
    }
    Ok(())
}

/// A directory's path as bubblewrap takes it.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
