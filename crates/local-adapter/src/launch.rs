//! Starting a process that must neither depend on this one nor be forgotten by it.

use std::{
    ffi::OsString,
    fs::OpenOptions,
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, Command},
};

use crate::processes::Identity;

/// Where programs are looked for; the caller's environment is not handed on.
pub(crate) const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What the shell does first. It closes what the caller was itself given open: a descriptor is a right, and
/// none goes to the agent. Then it goes on only once it is told that it is on the record: a caller that is
/// killed before that closes the pipe, and nothing was started.
const GATE: &str = r#"for fd in /proc/self/fd/*; do
fd=${fd##*/}; [ "$fd" -le 2 ] || eval "exec $fd>&-"; done
read -r go && [ "$go" = go ] || exit 75
"#;

/// A program to start as a session of its own.
#[derive(Debug)]
pub(crate) struct Launch {
    /// What a shell does before it becomes the program: it has `arguments` as its own, and ends with
    /// `exec`.
    pub(crate) script: String,
    /// The shell's arguments.
    pub(crate) arguments: Vec<OsString>,
    /// Variables beside `PATH`.
    pub(crate) environment: Vec<(&'static str, OsString)>,
    /// Where what it prints goes.
    pub(crate) log: PathBuf,
}

impl Launch {
    /// Starts it, and lets it go on once `record` has written down which process it is.
    ///
    /// Its parent may be any thread of this process: no death signal ties it to one.
    pub(crate) async fn start(
        self,
        record: impl FnOnce(Identity) -> io::Result<()>,
    ) -> io::Result<Identity> {
        let log = append(&self.log)?;
        let mut command = Command::new("/usr/bin/setsid");
        // Not any shell: of descriptors above 9 some know nothing.
        command.args(["bash", "-c"]).arg(format!("{GATE}{}", self.script)).arg("bash");
        command.args(self.arguments).env_clear().env("PATH", PATH).envs(self.environment);
        command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log).current_dir("/");
        let mut child = command.spawn()?;
        let ended = || io::Error::other("it ended at once");
        let identity = child.id().and_then(Identity::of).ok_or_else(ended)?;
        record(identity.clone())?;
        let mut gate = child.stdin.take().ok_or_else(ended)?;
        gate.write_all(b"go\n").await?;
        drop(gate);
        reap(child);
        Ok(identity)
    }
}

/// Reaped here while this process lives; by init when it does not.
fn reap(mut child: Child) {
    tokio::spawn(async move {
        let _ = child.wait().await;
    });
}

fn append(path: &Path) -> io::Result<std::fs::File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// The last lines of what a program printed, as one without control characters.
pub(crate) fn last_words(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let from = text.len().saturating_sub(2000);
    let text = String::from_utf8_lossy(&text[from..]).into_owned();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let words = lines[lines.len().saturating_sub(3)..].join("; ");
    words.chars().filter(|character| !character.is_control()).collect()
}
