//! PID 1's duties, in a process of their own: reap what the agent orphans, pass signals on. The server is
//! its child, so that neither takes the other's children. Where another program is PID 1, this one asks
//! the kernel for the orphans all the same.

use std::{
    process::{Command, ExitCode},
    time::Duration,
};

use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, getppid, kill_process, set_child_subreaper,
    set_parent_process_death_signal, wait,
};
use tokio::signal::unix::{SignalKind, signal};

use crate::processes::own_tree;

/// Set for the server's process: its init's process id.
const SERVER: &str = "PADDOCK_HARNESS_INIT";

/// Whether this process is the server; if so, it ends when its init does.
#[must_use]
pub fn is_server() -> bool {
    let Some(init) = std::env::var_os(SERVER) else { return false };
    let init = init.to_str().and_then(|init| Pid::from_raw(init.parse().ok()?));
    if init.is_none() || set_parent_process_death_signal(Some(Signal::KILL)).is_err() {
        return false;
    }
    // It may have ended before it was asked for.
    if getppid() != init {
        std::process::exit(1);
    }
    true
}

/// Starts this program again as the server, reaps until it ends, and ends as it did, leaving nothing.
///
/// Called on the main thread: the server's death signal follows the thread that started it.
pub async fn run_as_init() -> anyhow::Result<ExitCode> {
    set_child_subreaper(Some(getpid()))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut child = signal(SignalKind::child())?;
    let server = Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(SERVER, std::process::id().to_string())
        .spawn()?;
    let server = i32::try_from(server.id()).ok().and_then(Pid::from_raw);
    loop {
        tokio::select! {
            _ = child.recv() => {
                if let Some(status) = reap(server) {
                    leave_nothing().await;
                    let killed = status.terminating_signal().map(|signal| 128 + signal);
                    let code = status.exit_status().or(killed);
                    return Ok(ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)));
                }
            }
            _ = terminate.recv() => pass_on(server),
            _ = interrupt.recv() => pass_on(server),
        }
    }
}

fn pass_on(server: Option<Pid>) {
    if let Some(server) = server {
        let _ = kill_process(server, Signal::TERM);
    }
}

/// Reaps whatever has ended; how the server did, if it is among them.
fn reap(server: Option<Pid>) -> Option<WaitStatus> {
    let mut ended = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if Some(pid) == server {
            ended = Some(status);
        }
    }
    ended
}

/// As PID 1 the kernel would do this.
async fn leave_nothing() {
    for _ in 0..100 {
        let left = own_tree();
        if left.is_empty() {
            return;
        }
        for pid in left {
            let _ = kill_process(pid, Signal::KILL);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        reap(None);
    }
}
