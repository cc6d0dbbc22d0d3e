//! The agent's processes, as `/proc` shows them: everything below this program's own init but the server
//! and what the server runs for itself. What the agent orphans comes back to that init, so nothing of it
//! escapes by a double fork.

use std::{collections::HashMap, fs, time::Duration};

use rustix::process::{Pid, Signal, getpid, getppid, kill_process};
use tokio::time::{Instant, sleep};

/// How long a process has to stand still after it was told to.
const HALT: Duration = Duration::from_secs(2);

/// The kernel's view of one process or thread.
#[derive(Clone, Copy)]
struct Stat {
    pid: Pid,
    parent: i32,
    state: u8,
}

impl Stat {
    fn read(path: &str) -> Option<Self> {
        let text = fs::read(format!("{path}/stat")).ok()?;
        // The name stands in brackets and may hold any byte.
        let end = text.iter().rposition(|byte| *byte == b')')?;
        let pid = text.split(|byte| *byte == b' ').next()?;
        let mut after = text.get(end + 2..)?.split(|byte| *byte == b' ');
        let state = *after.next()?.first()?;
        let number = |bytes| std::str::from_utf8(bytes).ok()?.parse().ok();
        Some(Self { pid: Pid::from_raw(number(pid)?)?, parent: number(after.next()?)?, state })
    }

    fn is_stopped(self) -> bool {
        matches!(self.state, b'T' | b't')
    }

    fn is_dead(self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }
}

fn all() -> Vec<Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit())
        .filter_map(|entry| Stat::read(entry.path().to_str()?))
        .collect()
}

/// Everything below `root`, itself left out, without the trees of `but`.
fn below(root: i32, but: impl Fn(Stat) -> bool) -> Vec<Stat> {
    let mut children: HashMap<i32, Vec<Stat>> = HashMap::new();
    for stat in all() {
        children.entry(stat.parent).or_default().push(stat);
    }
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(of) = next.pop() {
        for stat in children.remove(&of).into_iter().flatten() {
            if !but(stat) {
                found.push(stat);
                next.push(stat.pid.as_raw_nonzero().get());
            }
        }
    }
    found.retain(|stat| !stat.is_dead());
    found
}

/// Everything below the calling process.
pub(crate) fn own_tree() -> Vec<Pid> {
    let own = getpid().as_raw_nonzero().get();
    below(own, |_| false).into_iter().map(|stat| stat.pid).collect()
}

/// The agent's process and its descendants, and whatever it left to the init. Called by the server.
fn of_agent(agent: Option<Pid>) -> Vec<Stat> {
    let server = getpid();
    let mut found = Vec::new();
    if let Some(init) = getppid() {
        found = below(init.as_raw_nonzero().get(), |stat| stat.pid == server);
    }
    if let Some(agent) = agent {
        let agents = below(server.as_raw_nonzero().get(), |stat| {
            stat.parent == server.as_raw_nonzero().get() && stat.pid != agent
        });
        found.extend(agents);
    }
    found
}

/// Whether a program of this name runs among the agent's processes.
pub(crate) fn agent_runs(agent: Option<Pid>, name: &str) -> bool {
    of_agent(agent).into_iter().any(|stat| {
        let path = format!("/proc/{}/comm", stat.pid.as_raw_nonzero());
        fs::read_to_string(path).is_ok_and(|comm| comm.trim_end() == name)
    })
}

/// Where memory is short the kernel ends this process, or what it starts, before the server, which is to say so.
/// `proc_pid_oom_score_adj(5)`: whoever may not lower it may raise it.
pub(crate) fn first_to_go(agent: Pid) {
    let path = format!("/proc/{}/oom_score_adj", agent.as_raw_nonzero());
    if let Err(error) = fs::write(path, "1000") {
        tracing::warn!(%error, "the agent is not the first to go where memory is short");
    }
}

/// Kills all that is left of the agent, until nothing is.
pub(crate) async fn kill_agent(agent: Option<Pid>) {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let left = of_agent(agent);
        if left.is_empty() || Instant::now() > until {
            return;
        }
        for stat in left {
            let _ = kill_process(stat.pid, Signal::KILL);
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// While it lives, the agent and all that it started stand still.
pub(crate) struct Still(Vec<Pid>);

impl Still {
    /// Stops them, and waits until they do.
    pub(crate) fn hold(agent: Option<Pid>) -> Self {
        let mut held = Self(Vec::new());
        // What is started while the first are stopped is found in the next round.
        loop {
            let more: Vec<Stat> = of_agent(agent)
                .into_iter()
                // What the agent itself suspended stays so afterwards.
                .filter(|stat| !stat.is_stopped() && !held.0.contains(&stat.pid))
                .collect();
            if more.is_empty() {
                break;
            }
            for stat in more {
                if kill_process(stat.pid, Signal::STOP).is_ok() {
                    held.0.push(stat.pid);
                }
            }
            held.wait();
        }
        held
    }

    /// A system call under way ends first: its thread is not stopped yet.
    fn wait(&self) {
        let until = std::time::Instant::now() + HALT;
        while self.0.iter().any(|pid| moves(*pid)) && std::time::Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn moves(pid: Pid) -> bool {
    let threads = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero()));
    threads.into_iter().flatten().flatten().any(|thread| {
        let stat = thread.path().to_str().and_then(Stat::read);
        stat.is_some_and(|stat| !stat.is_stopped() && !stat.is_dead())
    })
}

impl Drop for Still {
    fn drop(&mut self) {
        for pid in self.0.iter().rev() {
            let _ = kill_process(*pid, Signal::CONT);
        }
    }
}
