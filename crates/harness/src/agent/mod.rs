//! The agent: OpenCode, as a server on a loopback port with a password that never leaves the sandbox.

mod client;
mod launch;
pub(crate) mod proxy;
mod shims;

use std::{os::unix::process::ExitStatusExt as _, process::ExitStatus, sync::Arc, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::{
    process::Child,
    sync::{Mutex, Notify, watch},
    time::{Instant, sleep, timeout},
};

use self::{client::Client, launch::Words};
use crate::{
    config::Config,
    failure::{Failure, Step},
    processes,
    wire::Agent,
};

/// How long it has to answer.
const START: Duration = Duration::from_mins(1);
/// How long it has to end by itself.
const STOP: Duration = Duration::from_secs(5);

/// Where the kernel counts what it killed in this container for want of memory: cgroup v2 and v1.
const KILLS: [&str; 2] =
    ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"];

fn has_killed(counts: &str) -> bool {
    let count = counts.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.is_some_and(|count| count.trim() != "0")
}

/// The agent of this sandbox.
pub(crate) struct Agents {
    config: Config,
    state: watch::Sender<State>,
    /// One start or stop at a time.
    change: Mutex<()>,
    /// Rings when a start under way is not wanted any more.
    unwanted: Notify,
}

#[derive(Clone)]
enum State {
    NotStarted,
    Starting(Pid),
    Running(Arc<Running>),
    Exited(ExitStatus),
}

/// One that answers.
struct Running {
    pid: Pid,
    client: Client,
    version: String,
}

impl Agents {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            state: watch::Sender::new(State::NotStarted),
            change: Mutex::new(()),
            unwanted: Notify::new(),
        }
    }

    /// Starts it, unless it runs already, and waits until it answers.
    pub(crate) async fn start(self: &Arc<Self>, config: &Value) -> Step<()> {
        let _change = self.change.lock().await;
        if matches!(*self.state.borrow(), State::Running(_)) {
            return Ok(());
        }
        // What an earlier one left behind when it ended by itself.
        processes::kill_agent(None).await;
        let launched = launch::launch(&self.config, config)?;
        let pid = launched.pid;
        self.state.send_replace(State::Starting(pid));
        tokio::spawn(Arc::clone(self).keep(launched.child, pid));
        tokio::select! {
            version = self.answering(&launched.client, &launched.words) => {
                let version = version?;
                let running = Arc::new(Running { pid, client: launched.client, version });
                // It may have ended since it answered.
                self.state.send_if_modified(|state| {
                    let starting = matches!(state, State::Starting(_));
                    if starting {
                        *state = State::Running(running);
                    }
                    starting
                });
                Ok(())
            }
            () = self.unwanted.notified() => {
                processes::kill_agent(Some(pid)).await;
                self.ended().await;
                Err(Failure::agent("it was told to stop while it started"))
            }
        }
    }

    /// Ends it: aborts its turns, disposes of its instances, SIGTERM, then SIGKILL to all that it started.
    pub(crate) async fn stop(&self) {
        self.unwanted.notify_waiters();
        let _change = self.change.lock().await;
        let running = match &*self.state.borrow() {
            State::Running(running) => Some(Arc::clone(running)),
            State::NotStarted | State::Starting(_) | State::Exited(_) => None,
        };
        if let Some(running) = running {
            let (pid, client) = (running.pid, &running.client);
            let _ = timeout(STOP, client.abort_all()).await;
            let _ = timeout(STOP, client.dispose()).await;
            let _ = kill_process_group(pid, Signal::TERM);
            let _ = timeout(STOP, self.ended()).await;
            processes::kill_agent(Some(pid)).await;
            self.ended().await;
        } else {
            processes::kill_agent(None).await;
        }
        self.state.send_replace(State::NotStarted);
    }

    /// How it is.
    pub(crate) fn status(&self) -> Agent {
        match &*self.state.borrow() {
            State::NotStarted => Agent::NotStarted,
            State::Starting(_) => Agent::Starting,
            State::Running(running) => Agent::Running { version: running.version.clone() },
            State::Exited(status) => Agent::Exited {
                code: status.code(),
                signal: status.signal(),
                out_of_memory: status.signal() == Some(Signal::KILL.as_raw())
                    && KILLS.iter().any(|file| {
                        std::fs::read_to_string(file).is_ok_and(|text| has_killed(&text))
                    }),
            },
        }
    }

    /// Its process, while there is one.
    pub(crate) fn pid(&self) -> Option<Pid> {
        match &*self.state.borrow() {
            State::Starting(pid) => Some(*pid),
            State::Running(running) => Some(running.pid),
            State::NotStarted | State::Exited(_) => None,
        }
    }

    /// How to reach it, while it answers.
    fn client(&self) -> Option<Client> {
        match &*self.state.borrow() {
            State::Running(running) => Some(running.client.clone()),
            State::NotStarted | State::Starting(_) | State::Exited(_) => None,
        }
    }

    /// Waits until there is no process of it.
    pub(crate) async fn ended(&self) {
        let gone = |state: &State| matches!(state, State::NotStarted | State::Exited(_));
        let _ = self.state.subscribe().wait_for(gone).await;
    }

    /// Holds the process, and notices that it ended.
    async fn keep(self: Arc<Self>, mut child: Child, pid: Pid) {
        let status = child.wait().await.unwrap_or_default();
        tracing::info!(%status, pid = pid.as_raw_nonzero().get(), "the agent ended");
        self.state.send_replace(State::Exited(status));
    }

    async fn answering(&self, client: &Client, words: &Words) -> Step<String> {
        let until = Instant::now() + START;
        loop {
            if let Some(version) = client.health().await {
                return Ok(version);
            }
            let exited = match &*self.state.borrow() {
                State::Exited(status) => Some(*status),
                State::NotStarted | State::Starting(_) | State::Running(_) => None,
            };
            if let Some(status) = exited {
                return Err(Failure::agent(format!(
                    "it ended at once ({status}): {}",
                    words.said()
                )));
            }
            if Instant::now() > until {
                processes::kill_agent(self.pid()).await;
                self.ended().await;
                let words = words.said();
                return Err(Failure::agent(format!("it did not answer within a minute: {words}")));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}
