//! PID 1's duties, in a process of their own: reap what the agent orphans, pass signals on. The server is
//! its child, so that neither takes the other's children.

use std::process::{Command, ExitCode};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, wait};
use tokio::signal::unix::{SignalKind, signal};

/// Set for the server's process, which is not PID 1.
const SERVER: &str = "PADDOCK_HARNESS_SERVER";

/// Whether this process has PID 1's duties.
#[must_use]
pub fn is_init() -> bool {
    getpid() == Pid::INIT && std::env::var_os(SERVER).is_none()
}

/// Starts this program again as the server, reaps until it ends, and ends as it did.
pub async fn run_as_init() -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut child = signal(SignalKind::child())?;
    let server = Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(SERVER, "1")
        .spawn()?;
    let pid = i32::try_from(server.id()).ok().and_then(Pid::from_raw);
    loop {
        tokio::select! {
            _ = child.recv() => {
                while let Ok(Some((reaped, status))) = wait(WaitOptions::NOHANG) {
                    if Some(reaped) == pid {
                        let code = status.exit_status().and_then(|code| u8::try_from(code).ok());
                        return Ok(ExitCode::from(code.unwrap_or(1)));
                    }
                }
            }
            _ = terminate.recv() => {
                if let Some(pid) = pid {
                    let _ = kill_process(pid, Signal::TERM);
                }
            }
        }
    }
}
