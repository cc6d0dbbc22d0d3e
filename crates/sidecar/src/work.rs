//! The sidecar's life: reach the harness, take the link, prove the fence, put the repository in place,
//! start the agent, then follow it and carry out instructions until the run has ended.

mod held;
mod instructions;
mod look;
mod pod;
mod start;

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{
    ids::{Generation, RunId},
    run::{Probe, SnapshotCause},
};
use link::{Answered, Ask, Fact, Job, MAX_FRAME_BYTES};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use url::Url;

use crate::{
    SidecarError,
    connection::{Dial, Incoming, Link, Shared, keep},
    growing::Growing,
    harness_client::Harness,
    journal::Journal,
    opencode::Client,
    snapshot::{Identity, Store},
    spool::Spool,
};

/// How often the agent is looked at while nothing says that it did anything.
const LOOK: Duration = Duration::from_secs(1);
/// How long a burst of events is let go by before the agent is looked at.
const CALM: Duration = Duration::from_millis(150);
/// How long the harness may be silent before the workload is given up.
const HARNESS_SILENCE: Duration = Duration::from_secs(10);

/// What a sidecar is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The run.
    pub run: RunId,
    /// Which of its workloads this is.
    pub generation: Generation,
    /// The link listener's WebSocket.
    pub link_url: Url,
    /// Where bundles go beside the link.
    pub bundles_url: Url,
    /// The file that holds the run's identity.
    pub identity_file: PathBuf,
    /// The harness's socket.
    pub harness_socket: PathBuf,
    /// Where it keeps what is not acknowledged.
    pub spool_dir: PathBuf,
    /// An address that it reaches and the sandbox must not.
    pub canary: String,
    /// Go on although the fence cannot be proven.
    pub accept_unenforced: bool,
    /// Where the agent has this process's network and begins once the fence is proven: a pod.
    pub pod: Option<Pod>,
}

/// What is different in a pod.
#[derive(Clone, Debug)]
pub struct Pod {
    /// The address of the machine on which it is.
    pub node: Option<IpAddr>,
}

impl Config {
    /// A file of the spool that is there once the fence is proven: a pod's startup probe looks for it.
    #[must_use]
    pub fn proof(spool_dir: &Path) -> PathBuf {
        spool_dir.join("fence.proven")
    }
}

/// Everything that the parts of a sidecar's life share.
struct Work {
    config: Config,
    harness: Harness,
    agent: Client,
    store: Store,
    shared: Shared,
    journal: Journal,
    link: Link,
    job: Box<Job>,
    /// What the agent says and does not list yet.
    growing: Arc<Mutex<Growing>>,
    /// Since when the turn looks cut short.
    cut_since: Option<Instant>,
    /// When the last snapshot was taken, and whether anything happened since.
    last_snapshot: Instant,
    changed: bool,
    /// The newest snapshot, until it is stored.
    held: Option<held::Held>,
    /// The agent's side is given up: only the link is kept.
    given_up: bool,
    /// Whether what was there when the pod was told to end is kept.
    kept_before_the_end: bool,
}

/// Rings when the agent's events say that something happened.
#[derive(Default)]
struct Woken {
    piece: Notify,
    other: Notify,
}

fn lock(growing: &Mutex<Growing>) -> MutexGuard<'_, Growing> {
    growing.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a workload did not come up.
enum Down {
    Failed(SidecarError),
    Open(Vec<Probe>),
}

/// How the sidecar's life goes on.
enum Next {
    Continue,
    Exit,
}

/// Runs until the run has ended, or the workload is not wanted any more.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), SidecarError> {
    let identity = Identity(config.identity_file.clone());
    // One that cannot be read at all is said at once.
    identity.read().await?;
    let shared = Shared::new(Spool::open(&config.spool_dir)?);
    let journal = Journal::open(&config.spool_dir)?;
    let harness = Harness::at(&config.harness_socket).map_err(SidecarError::Harness)?;
    let http = reqwest::Client::builder().no_proxy().build().map_err(SidecarError::Harness)?;
    let store = Store {
        http,
        url: config.bundles_url.clone(),
        identity: identity.clone(),
        dir: config.spool_dir.clone(),
    };
    let dial = Dial { url: config.link_url.clone(), identity, generation: config.generation };
    let linked = CancellationToken::new();
    let mut link = keep(dial, shared.clone(), journal.notes.done.0, linked.clone());
    let job = first_job(&mut link, &stop).await?;
    let Some(job) = job else { return Ok(()) };
    let mut work = Work {
        agent: harness.agent(),
        config,
        harness,
        store,
        shared,
        journal,
        link,
        job,
        growing: Arc::default(),
        cut_since: None,
        last_snapshot: Instant::now(),
        changed: false,
        held: None,
        given_up: false,
        kept_before_the_end: false,
    };
    let result = work.live(&stop).await;
    linked.cancel();
    result
}

/// The branch's diff against its base, small enough for one frame.
async fn changes(harness: &Harness, base: String) -> Result<Answered, SidecarError> {
    let changes = harness.changes(&harness::wire::ChangesRequest { base }).await?;
    let (mut diff, mut truncated) = (changes.diff, changes.truncated);
    // Escaped, a diff can be several times as long.
    while serde_json::to_string(&diff)?.len() > MAX_FRAME_BYTES - 16 * 1024 {
        let half = (0..=diff.len() / 2).rev().find(|at| diff.is_char_boundary(*at));
        diff.truncate(half.unwrap_or(0));
        truncated = true;
    }
    Ok(Answered::Changes { base: changes.base, head: changes.head, diff, truncated })
}

async fn first_job(
    link: &mut Link,
    stop: &CancellationToken,
) -> Result<Option<Box<Job>>, SidecarError> {
    loop {
        tokio::select! {
            incoming = link.incoming.recv() => match incoming {
                Some(Incoming::Job(job)) => return Ok(Some(job)),
                Some(Incoming::Refused(reason)) => return Err(SidecarError::NotWanted(reason)),
                Some(Incoming::Instruction(_) | Incoming::Ask(..)) => {}
                None => return Ok(None),
            },
            () = stop.cancelled() => return Ok(None),
        }
    }
}

impl Work {
    async fn live(&mut self, stop: &CancellationToken) -> Result<(), SidecarError> {
        let (broken, mut fence_broke) = mpsc::channel(1);
        let _proving = AbortOnDropHandle::new(tokio::spawn(self.prove_again(broken)));
        let up = tokio::select! {
            up = self.bring_up() => up.map_err(Down::Failed),
            Some(probes) = fence_broke.recv() => Err(Down::Open(probes)),
            () = stop.cancelled() => return Ok(()),
        };
        match up {
            Ok(()) => {}
            Err(Down::Failed(error)) => self.give_up(&error)?,
            Err(Down::Open(probes)) => self.fence_broke(probes).await?,
        }
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let wake = self.listen();
        loop {
            tokio::select! {
                incoming = self.link.incoming.recv() => match incoming {
                    Some(incoming) => {
                        if let Next::Exit = self.take(incoming).await? {
                            return self.leave().await;
                        }
                    }
                    None => return Ok(()),
                },
                () = wake.other.notified() => {
                    sleep(CALM).await;
                    self.look().await?;
                }
                () = wake.piece.notified() => {
                    sleep(CALM).await;
                    self.pass_on()?;
                }
                _ = ticks.tick() => {
                    self.watch_link().await?;
                    self.look().await?;
                    self.try_held().await?;
                    self.keep_before_the_end().await?;
                }
                Some(probes) = fence_broke.recv() => self.fence_broke(probes).await?,
                () = stop.cancelled() => {
                    self.stopped().await;
                    return Ok(());
                }
            }
        }
    }

    async fn take(&mut self, incoming: Incoming) -> Result<Next, SidecarError> {
        match incoming {
            Incoming::Job(job) => self.job = job,
            Incoming::Ask(ask, what) => self.answer(ask, &what),
            Incoming::Refused(reason) => {
                tracing::info!(%reason, "the workload is not wanted any more");
                return Ok(Next::Exit);
            }
            Incoming::Instruction(instruction) => {
                if instruction.version <= self.journal.notes.done.0 {
                    return Ok(Next::Continue);
                }
                // What came before it is said first.
                self.look().await?;
                let next = self.carry_out(&instruction.instruct).await?;
                self.journal.note(|notes| notes.done.0 = instruction.version)?;
                self.link.done.send_replace(instruction.version);
                return Ok(next);
            }
        }
        Ok(Next::Continue)
    }

    /// Answers beside everything else: a question must not wait for a step.
    fn answer(&self, ask: u64, what: &Ask) {
        let Ask::Changes = what;
        let harness = self.harness.clone();
        let answers = self.link.answers.clone();
        let base = self.job.base.to_string();
        tokio::spawn(async move {
            let changes = changes(&harness, base).await;
            let _ = answers.send((ask, changes.map_err(|error| error.to_string())));
        });
    }

    fn say(&self, fact: Fact) -> Result<(), SidecarError> {
        Ok(self.shared.with(|spool| spool.fact(fact))?)
    }

    /// The agent's side cannot go on: said once, then only the link is kept.
    fn give_up(&mut self, error: &SidecarError) -> Result<(), SidecarError> {
        if self.given_up {
            return Ok(());
        }
        self.given_up = true;
        let fact = start::fact_of(error);
        tracing::warn!(%error, "the workload is given up");
        self.say(fact)
    }

    /// Stops the agent when there was no link for too long, and says so when there is one again.
    async fn watch_link(&mut self) -> Result<(), SidecarError> {
        let limit = Duration::from_secs(u64::from(self.job.link_timeout_seconds));
        let since = *self.link.down_since.borrow();
        if self.given_up || since.is_none_or(|since| since.elapsed() < limit) {
            return Ok(());
        }
        self.given_up = true;
        let _ = self.harness.stop().await;
        self.say(Fact::Failed {
            failure: domain::run::Failure::LinkLost,
            detail: format!("no link for {} s", limit.as_secs()),
        })
    }

    /// Told to stop from outside: what the agent did so far is kept, if there is time.
    async fn stopped(&mut self) {
        let kept = self.given_up || self.kept_before_the_end;
        if !kept && self.journal.notes.agent_session.is_some() {
            let _ = timeout(
                Duration::from_secs(20),
                self.snapshot(SnapshotCause::Stop, held::Before::Stop),
            )
            .await;
        }
        self.settle(Duration::from_secs(5)).await;
    }

    /// Keeps the diff as it is now, for when the pod is gone.
    async fn keep_changes(&self) -> Result<(), SidecarError> {
        match changes(&self.harness, self.job.base.to_string()).await {
            Ok(changes) => Ok(self.shared.with(|spool| spool.changes(changes))?),
            Err(error) => {
                tracing::warn!(%error, "the diff cannot be kept");
                Ok(())
            }
        }
    }

    /// The run has ended.
    async fn leave(&mut self) -> Result<(), SidecarError> {
        let _ = self.harness.stop().await;
        self.settle(Duration::from_secs(5)).await;
        Ok(())
    }

    async fn settle(&self, patience: Duration) {
        let until = Instant::now() + patience;
        while !self.shared.with(|spool| spool.is_settled()) && Instant::now() < until {
            sleep(Duration::from_millis(20)).await;
        }
    }
}
