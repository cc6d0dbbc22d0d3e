//! Bringing a workload up: each step once, also across restarts of this process.

use std::{sync::Arc, time::Duration};

use domain::{
    run::{EgressMode, Failure, Probe, Usage},
    workload::DOOR,
};
use futures::StreamExt as _;
use harness::wire::{
    Agent, CloneRequest, GatewayRequest, RestoreQuery, StartRequest, StepErrorKind,
};
use link::Fact;
use tokio::time::{Instant, sleep};

use super::{Config, HARNESS_SILENCE, Woken, Work, lock};
use crate::{
    SidecarError, fence,
    growing::{Growing, Heard},
    job::agent_config,
    opencode::Session,
};

/// How long an agent that lives may leave a question unanswered.
const AGENT_SILENCE: Duration = Duration::from_secs(5);
/// How long the fence of a pod may take to close.
const LATE: Duration = Duration::from_secs(30);
/// How long the sandbox has to begin.
const HARNESS_START: Duration = Duration::from_mins(1);
/// How long the agent's container has: its image may still have to be pulled.
const HARNESS_START_IN_A_POD: Duration = Duration::from_mins(15);

/// What a failure of the workload is, for the run.
pub(super) fn fact_of(error: &SidecarError) -> Fact {
    let detail = error.to_string();
    let failure = match error {
        SidecarError::Step(step) => match step.kind {
            StepErrorKind::RepositoryNotFound
            | StepErrorKind::Unauthorised
            | StepErrorKind::BaseMissing
            | StepErrorKind::Unavailable => Failure::Repository,
            StepErrorKind::BranchExists => Failure::BranchExists,
            StepErrorKind::BadBundle => Failure::Restore,
            StepErrorKind::Agent => Failure::Agent,
            StepErrorKind::PushRejected => Failure::Push,
            StepErrorKind::Other => Failure::Sandbox,
        },
        SidecarError::Refused(_) | SidecarError::Store(_) | SidecarError::Away(_) => {
            Failure::Restore
        }
        SidecarError::Harness(_) => return Fact::Lost { reason: detail },
        SidecarError::Nonsense(_) | SidecarError::Spool(_) | SidecarError::NotWanted(_) => {
            Failure::Sandbox
        }
    };
    Fact::Failed { failure, detail }
}

impl Work {
    /// Tells the sandbox by which of the gateway's doors it leaves, where it has no socket of its own there.
    pub(super) async fn use_door(&self) -> Result<(), SidecarError> {
        let Some(door) = &self.job.door else { return Ok(()) };
        let full = door.full.as_ref().filter(|_| self.journal.notes.egress == EgressMode::Full);
        let login = format!("{}:{}", self.config.run, door.credential);
        let address = full.unwrap_or(&door.address).clone();
        let door = DOOR.to_owned();
        self.harness.gateway(&GatewayRequest { address, door, login }).await
    }

    pub(super) async fn bring_up(&mut self) -> Result<(), SidecarError> {
        if self.config.pod.is_some() {
            // The agent's container begins after the proof.
            self.prove_fence().await?;
            self.await_harness(HARNESS_START_IN_A_POD).await?;
        } else {
            self.await_harness(HARNESS_START).await?;
            self.prove_fence().await?;
        }
        self.use_door().await?;
        if !self.journal.notes.restored {
            self.put_repository().await?;
        }
        let status = self.harness.start(&StartRequest { config: agent_config(&self.job) }).await?;
        if self.journal.notes.agent_session.is_none() {
            let session = self.agent_session().await?;
            let version = match status.agent {
                Agent::Running { version } => version,
                Agent::NotStarted | Agent::Starting | Agent::Exited { .. } => "unknown".to_owned(),
            };
            let before = usage_of(&session);
            self.say(Fact::Ready { agent_session: session.id.clone(), agent_version: version })?;
            self.journal.note(|notes| {
                notes.agent_session = Some(session.id);
                notes.usage_before = before;
            })?;
        }
        Ok(())
    }

    async fn prove_fence(&mut self) -> Result<(), SidecarError> {
        if self.journal.notes.fenced {
            return Ok(());
        }
        let probes = self.fence_in_time().await?;
        let open = fence::is_open(&probes);
        self.say(Fact::Fence { probes })?;
        if open && !self.config.accept_unenforced {
            // The run fails by that report.
            self.given_up = true;
            return Err(SidecarError::Nonsense("the fence is not proven".to_owned()));
        }
        std::fs::write(Config::proof(&self.config.spool_dir), [])?;
        Ok(self.journal.note(|notes| notes.fenced = true)?)
    }

    /// The proof, or what is wrong with it. Whoever enforces a pod's policy may come to it late: nothing of the
    /// agent has begun, so that it is waited for.
    async fn fence_in_time(&self) -> Result<Vec<Probe>, SidecarError> {
        let waits = self.config.pod.is_some() && !self.config.accept_unenforced;
        let until = Instant::now() + LATE;
        loop {
            let probes = fence::prove(self.vantage(), &self.config.canary).await?;
            if !waits || !fence::is_open(&probes) || Instant::now() > until {
                return Ok(probes);
            }
            tracing::warn!(?probes, "the fence is not proven yet");
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// From where the agent's ways out are tried.
    pub(super) fn vantage(&self) -> fence::From<'_> {
        match &self.config.pod {
            Some(pod) => fence::From::Here { store: &self.store, node: pod.node },
            None => fence::From::Inside(&self.harness),
        }
    }

    async fn await_harness(&self, patience: Duration) -> Result<(), SidecarError> {
        let until = Instant::now() + patience;
        loop {
            match self.harness.status().await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > until => return Err(error),
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn put_repository(&mut self) -> Result<(), SidecarError> {
        let git_head = match &self.job.restore {
            Some(digest) => {
                let bundle = self.bundle(digest).await?;
                let query = RestoreQuery {
                    remote_url: self.job.remote_url.clone(),
                    branch: self.job.branch.to_string(),
                };
                self.harness.restore(&query, bundle).await?.git_head
            }
            None => self.clone_with_patience().await?,
        };
        let git_head = git_head.chars().filter(char::is_ascii_hexdigit).take(64).collect();
        self.say(Fact::Restored { from: self.job.restore.clone(), git_head })?;
        let bundle = self.job.restore.clone();
        self.journal.note(|notes| {
            notes.restored = true;
            notes.bundle = bundle;
        })?;
        Ok(())
    }

    /// A forge that is away for a moment is waited for.
    async fn clone_with_patience(&self) -> Result<String, SidecarError> {
        let request = CloneRequest {
            remote_url: self.job.remote_url.clone(),
            base: self.job.base.to_string(),
            branch: self.job.branch.to_string(),
            branch_is_ours: self.job.branch_is_ours,
        };
        let mut backoff = Duration::from_secs(1);
        loop {
            match self.harness.clone_repository(&request).await {
                Ok(cloned) => return Ok(cloned.git_head),
                Err(error)
                    if error.kind() == StepErrorKind::Unavailable
                        && backoff < Duration::from_secs(20) =>
                {
                    sleep(backoff).await;
                    backoff *= 2;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The agent's session: the restored one, or a new one.
    async fn agent_session(&self) -> Result<Session, SidecarError> {
        let sessions = self.agent.sessions().await?;
        let own = sessions.into_iter().filter(|session| session.parent_id.is_none());
        match own.max_by(|a, b| a.time.created.total_cmp(&b.time.created)) {
            // A list has less in it than the session itself.
            Some(session) => self.agent.session(&session.id).await,
            None => self.agent.create_session("Paddock").await,
        }
    }

    /// Wakes whenever the agent says that something happened; kept up for as long as the sidecar lives.
    pub(super) fn listen(&self) -> Arc<Woken> {
        let wake = Arc::new(Woken::default());
        let (agent, woken) = (self.agent.clone(), Arc::clone(&wake));
        let growing = Arc::clone(&self.growing);
        tokio::spawn(async move {
            loop {
                if let Ok(events) = agent.events().await {
                    // What was said in between was not heard.
                    *lock(&growing) = Growing::default();
                    let mut events = std::pin::pin!(events);
                    while let Some(event) = events.next().await {
                        let heard = lock(&growing).hear(&event);
                        match heard {
                            Heard::Piece => woken.piece.notify_one(),
                            Heard::Other => woken.other.notify_one(),
                            Heard::Nothing => {}
                        }
                    }
                }
                sleep(Duration::from_millis(500)).await;
            }
        });
        wake
    }

    /// Whether the agent's side is still there; says so if not.
    pub(super) async fn is_alive(&mut self) -> Result<bool, SidecarError> {
        let until = Instant::now() + HARNESS_SILENCE;
        loop {
            match self.harness.status().await {
                Ok(status) => match status.agent {
                    Agent::Running { .. } => return Ok(true),
                    Agent::Starting => sleep(Duration::from_millis(200)).await,
                    Agent::NotStarted => {
                        self.lose("the agent is not running".to_owned())?;
                        return Ok(false);
                    }
                    Agent::Exited { out_of_memory: true, .. } => {
                        self.given_up = true;
                        let detail = "the agent took more memory than it may".to_owned();
                        self.say(Fact::Failed { failure: Failure::Limit, detail })?;
                        return Ok(false);
                    }
                    Agent::Exited { code, signal, .. } => {
                        let how = match (code, signal) {
                            (_, Some(signal)) => format!("killed by signal {signal}"),
                            (Some(code), None) => format!("exited with code {code}"),
                            (None, None) => "ended".to_owned(),
                        };
                        self.lose(format!("the agent was {how}"))?;
                        return Ok(false);
                    }
                },
                Err(error) if Instant::now() > until => {
                    self.lose(format!("the sandbox is gone: {error}"))?;
                    return Ok(false);
                }
                Err(_) => sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// Whether the agent answers, or at least lives: one that has just been killed is said to run until its
    /// end is noticed, and what was asked of it in that moment fails.
    pub(super) async fn answers(&mut self) -> Result<bool, SidecarError> {
        let until = Instant::now() + AGENT_SILENCE;
        loop {
            if !self.is_alive().await? {
                return Ok(false);
            }
            if self.agent.status().await.is_ok() || Instant::now() > until {
                return Ok(true);
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn lose(&mut self, reason: String) -> Result<(), SidecarError> {
        self.given_up = true;
        // The pod was told to end: by whose doing is for whoever sees the cluster to say.
        if self.kept_before_the_end {
            return Ok(());
        }
        self.say(Fact::Lost { reason })
    }
}

/// What a session used, in Paddock's units.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float that is out of range becomes the nearest integer"
)]
pub(super) fn usage_of(session: &Session) -> Usage {
    Usage {
        input_tokens: session.tokens.input as u64,
        output_tokens: session.tokens.output as u64,
        reasoning_tokens: session.tokens.reasoning as u64,
        cached_tokens: session.tokens.cache.read as u64,
        cost_micro_usd: (session.cost * 1e6).round() as u64,
    }
}
