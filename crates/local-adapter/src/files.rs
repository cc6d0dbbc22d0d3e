//! A workload's files: how much they take, and their removal. The agent made them: names, depths and
//! permissions are hostile, so the system's own tools walk them, which follow no link and nest without end.

use std::{ffi::OsString, io, path::Path, process::Stdio};

use rustix::process::geteuid;
use tokio::process::Command;

use crate::launch::PATH;

/// A tool that no permission of the agent's keeps out, and then a plain one. As root the first is plain
/// itself; as a user it has a user namespace in which this user is root. Where none is to be had, the plain
/// one does what can be done.
fn tools(line: &[OsString]) -> [Command; 2] {
    let plain = || {
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]);
        command
    };
    let strong = || {
        let mut command = Command::new("bwrap");
        command.args(["--unshare-user", "--uid", "0", "--gid", "0"]);
        for capability in ["CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER"] {
            command.args(["--cap-add", capability]);
        }
        command.args(["--dev-bind", "/", "/", "--"]).args(line);
        command
    };
    [if geteuid().is_root() { plain() } else { strong() }, plain()].map(|mut command| {
        command.env_clear().env("PATH", PATH).env("LC_ALL", "C");
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    })
}

fn line(words: &[&str], paths: &[&Path]) -> Vec<OsString> {
    let words = words.iter().map(Into::into);
    words.chain(paths.iter().map(|path| path.as_os_str().to_owned())).collect()
}

/// What the files below these paths take on disk: bytes, and how many there are.
pub(crate) async fn taken(paths: &[&Path]) -> io::Result<(u64, u64)> {
    let bytes = total(&["du", "-scx", "-B1", "--"], paths).await?;
    Ok((bytes, total(&["du", "-scx", "--inodes", "--"], paths).await?))
}

async fn total(words: &[&str], paths: &[&Path]) -> io::Result<u64> {
    for mut command in tools(&line(words, paths)) {
        // What goes away while it looks is no error here.
        let output = command.stderr(Stdio::null()).output().await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let total = text.lines().rev().find_map(|line| line.strip_suffix("\ttotal"));
        if let Some(total) = total.and_then(|number| number.trim().parse().ok()) {
            return Ok(total);
        }
    }
    Err(io::Error::other("du says nothing"))
}

/// Removes a directory and all below it.
pub(crate) async fn remove(dir: &Path) -> io::Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    let words = ["rm", "-rf", "--one-file-system", "--"];
    let mut said = Vec::new();
    for mut command in tools(&line(&words, &[dir])) {
        said = command.output().await?.stderr;
        if !dir.exists() {
            return Ok(());
        }
    }
    let said = String::from_utf8_lossy(&said);
    let first = said.lines().next().unwrap_or("it stays");
    Err(io::Error::other(format!("{} cannot be removed: {first}", dir.display())))
}
