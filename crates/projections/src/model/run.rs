use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    event::{Actor, Recorded},
    ids::{CredentialId, Generation, InputId, Position, RunId, StreamVersion},
    run::{
        EgressMode, Enforcement, Event, Failure, InputKind, Outcome, Probe, PublishStage,
        QueueReason, Requested, Usage,
    },
    text::TextRef,
};
use serde::{Deserialize, Serialize};

use super::summary::{summary, text};

/// What a run may reach, and who decided it last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Egress {
    /// What it may reach.
    pub mode: EgressMode,
    /// The last decision, if it was not as it is for every run.
    pub changed: Option<EgressChange>,
}

/// Who decided what a run may reach.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EgressChange {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: Actor,
    /// Why.
    pub reason: Option<TextRef>,
}

/// Which value of its credential a run used last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialUse {
    /// The credential.
    pub id: CredentialId,
    /// Which of its values.
    pub generation: Generation,
    /// Since when.
    pub at: DateTime<Utc>,
}

/// How long the last snapshot may take before the run ends without it, in seconds.
const SNAPSHOT_SECONDS: i64 = 180;

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    /// Its id.
    pub id: RunId,
    /// As it was asked for.
    pub requested: Requested,
    /// What it may reach.
    pub egress: Egress,
    /// Its first prompt.
    pub prompt: Option<TextRef>,
    /// Where it is in its life.
    pub state: RunState,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Why it waits in the queue.
    pub queued: Option<QueueReason>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Whether it changed anything, once it ended well.
    pub changes: Option<bool>,
    /// Why it failed, or is about to.
    pub failure: Option<Failure>,
    /// In whose words.
    pub detail: Option<TextRef>,
    /// Whether it is to be cancelled.
    pub cancelling: bool,
    /// Whether it was told to publish and end: a workload that takes over goes on from there.
    pub finishing: bool,
    /// The newest generation.
    pub generation: Option<Generation>,
    /// What should be true of its workload.
    pub workload: Workload,
    /// What holds its workload in.
    pub enforcement: Option<Enforcement>,
    /// Why its workload does not begin yet.
    pub waiting: Option<String>,
    /// How its fence was proven.
    pub fence: Vec<Probe>,
    /// How often it was retried, and why the last time.
    pub retries: u32,
    /// Why its last workload was lost.
    pub lost: Option<String>,
    /// Until when it stays idle.
    pub idle_until: Option<DateTime<Utc>>,
    /// What waits for an answer.
    pub inputs: BTreeMap<InputId, Input>,
    /// How many prompts it had.
    pub prompts: u32,
    /// The commit pushed.
    pub pushed: Option<String>,
    /// How opening the pull request goes.
    pub publishing: Publishing,
    /// Its pull request.
    pub pull_request: Option<PullRequest>,
    /// What it used.
    pub usage: Usage,
    /// The credential that it used; none before it did, or where that is the installation's own.
    pub credential: Option<CredentialUse>,
    /// The agent's own id of its session, and its version.
    pub agent: Option<(String, String)>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it was admitted.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// What last happened, and when.
    pub last_event: (String, DateTime<Utc>),
    /// Its stream's version.
    pub version: StreamVersion,
}

/// Where a run is in its life, as people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the design names them; domain::run::Stage says what each is")]
pub enum RunState {
    Queued,
    Provisioning,
    Restoring,
    Running,
    AwaitingInput,
    Idle,
    Publishing,
    Snapshotting,
    Succeeded,
    Failed,
    Cancelled,
}

impl RunState {
    /// Every state.
    pub const ALL: [Self; 11] = [
        Self::Queued,
        Self::Provisioning,
        Self::Restoring,
        Self::Running,
        Self::AwaitingInput,
        Self::Idle,
        Self::Publishing,
        Self::Snapshotting,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];
}

/// What should be true of a run's workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Workload {
    /// There is none, and should be none.
    None,
    /// One should be made.
    Create,
    /// It was made and should stay.
    Keep,
    /// It should go.
    Remove,
}

impl Workload {
    /// The name in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Create => "create",
            Self::Keep => "keep",
            Self::Remove => "remove",
        }
    }
}

/// Something that waits for an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// What kind of answer.
    pub kind: InputKind,
    /// What is asked.
    pub detail: TextRef,
    /// When it is refused if nobody answers.
    pub until: DateTime<Utc>,
    /// Since when it waits.
    pub since: DateTime<Utc>,
}

/// How opening the pull request goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Publishing {
    /// When it is tried (again); none when there is nothing to do.
    pub next: Option<DateTime<Utc>>,
    /// How often it failed.
    pub failures: u32,
    /// In whose words, the last time.
    pub detail: Option<TextRef>,
}

/// A pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Its page.
    pub url: String,
}

/// One entry of a run's time line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimelineRow {
    /// Its place in the run's stream.
    pub version: StreamVersion,
    /// Its place in the log.
    pub position: Position,
    /// When.
    pub time: DateTime<Utc>,
    /// Who or what caused it.
    pub actor: Actor,
    /// What happened, by its wire name.
    pub name: String,
    /// In words.
    pub summary: String,
    /// The text that came with it, if one did.
    pub text: Option<TextRef>,
}

impl TimelineRow {
    pub(super) fn of(position: Position, recorded: &Recorded, event: &Event, name: String) -> Self {
        Self {
            version: recorded.version,
            position,
            time: recorded.time,
            actor: recorded.actor,
            name,
            summary: summary(event),
            text: text(event).cloned(),
        }
    }
}

impl RunRow {
    /// The row that `run.requested` begins; no other event begins one.
    pub(super) fn begun(recorded: &Recorded, event: &Event) -> Option<Self> {
        let Event::Requested(requested) = event else { return None };
        Some(Self {
            id: RunId(recorded.stream.id),
            requested: (**requested).clone(),
            egress: Egress { mode: EgressMode::named(&requested.egress), changed: None },
            prompt: None,
            state: RunState::Queued,
            since: recorded.time,
            queued: None,
            outcome: None,
            changes: None,
            failure: None,
            detail: None,
            cancelling: false,
            finishing: false,
            generation: None,
            workload: Workload::None,
            enforcement: None,
            waiting: None,
            fence: vec![],
            retries: 0,
            lost: None,
            idle_until: None,
            inputs: BTreeMap::new(),
            prompts: 0,
            pushed: None,
            publishing: Publishing::default(),
            pull_request: None,
            usage: Usage::default(),
            credential: None,
            agent: None,
            created_at: recorded.time,
            started_at: None,
            finished_at: None,
            last_event: ("run.requested".to_owned(), recorded.time),
            version: recorded.version,
        })
    }

    /// The texts that it refers to.
    pub fn texts(&self) -> impl Iterator<Item = &TextRef> {
        let inputs = self.inputs.values().map(|input| &input.detail);
        let egress = self.egress.changed.iter().filter_map(|change| change.reason.as_ref());
        self.prompt
            .iter()
            .chain(egress)
            .chain(&self.detail)
            .chain(&self.publishing.detail)
            .chain(inputs)
    }

    /// Whether it has neither ended nor waits in the queue.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.state != RunState::Queued && self.finished_at.is_none()
    }

    /// Whether it is not over: it waits, is active, or has a workload that is not reported as removed.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.finished_at.is_none() || self.workload != Workload::None
    }

    /// When something becomes due if nothing else happens.
    #[must_use]
    pub fn due(&self) -> Option<DateTime<Utc>> {
        if self.finished_at.is_some() {
            return None;
        }
        if self.state == RunState::Snapshotting {
            return Some(self.since + TimeDelta::seconds(SNAPSHOT_SECONDS));
        }
        let deadline = i64::from(self.requested.deadline_seconds);
        let deadline = self.started_at.map(|at| at + TimeDelta::seconds(deadline));
        let inputs = self.inputs.values().map(|input| input.until).min();
        let idle = self.idle_until.filter(|_| self.state == RunState::Idle);
        [deadline, inputs, idle].into_iter().flatten().min()
    }

    fn enter(&mut self, state: RunState, at: DateTime<Utc>) {
        if self.state != state {
            self.state = state;
            self.since = at;
        }
        if state != RunState::AwaitingInput {
            self.inputs.clear();
        }
        if state != RunState::Idle {
            self.idle_until = None;
        }
        if state != RunState::Queued {
            self.queued = None;
        }
    }

    fn end(&mut self, outcome: Outcome, at: DateTime<Utc>) {
        let state = match outcome {
            Outcome::Succeeded => RunState::Succeeded,
            Outcome::Failed => RunState::Failed,
            Outcome::Cancelled => RunState::Cancelled,
        };
        self.enter(state, at);
        self.outcome = Some(outcome);
        self.finished_at = Some(at);
        self.publishing.next = None;
        if self.workload != Workload::None {
            self.workload = Workload::Remove;
        }
    }

    fn publish_failed(
        &mut self,
        stage: PublishStage,
        detail: &TextRef,
        retry_at: Option<DateTime<Utc>>,
        at: DateTime<Utc>,
    ) {
        let failure = match stage {
            PublishStage::Push => Failure::Push,
            PublishStage::PullRequest => {
                self.publishing.failures += 1;
                self.publishing.next = retry_at;
                self.publishing.detail = Some(detail.clone());
                Failure::PullRequest
            }
        };
        if retry_at.is_none() && self.finished_at.is_none() {
            self.failure = Some(failure);
            self.detail = Some(detail.clone());
            self.publishing.next = None;
            self.enter(RunState::Snapshotting, at);
        }
    }

    /// Takes in one event of its own stream.
    pub(super) fn apply(&mut self, recorded: &Recorded, event: &Event, name: &str) {
        let at = recorded.time;
        self.version = recorded.version;
        self.last_event = (name.to_owned(), at);
        match event {
            Event::Requested(_)
            | Event::Restored { .. }
            | Event::SnapshotStored { .. }
            | Event::WorkloadObserved { .. } => {}
            Event::Queued { reason } => {
                self.enter(RunState::Queued, at);
                self.queued = Some(reason.clone());
            }
            Event::Admitted { generation } => {
                self.started_at = Some(at);
                self.generation = Some(*generation);
                self.workload = Workload::Create;
                self.enter(RunState::Provisioning, at);
            }
            Event::WorkloadCreated { enforcement, .. } => {
                if self.workload == Workload::Create {
                    self.workload = Workload::Keep;
                }
                self.enforcement = Some(enforcement.clone());
                // The sidecar in it may have said more by now.
                if self.state == RunState::Provisioning {
                    self.enter(RunState::Restoring, at);
                }
            }
            Event::WorkloadWaiting { reason, .. } => self.waiting = Some(reason.clone()),
            Event::FenceVerified { probes, .. } => {
                self.waiting = None;
                self.fence.clone_from(probes);
            }
            Event::Ready { agent_session, agent_version, .. } => {
                self.waiting = None;
                self.agent = Some((agent_session.clone(), agent_version.clone()));
                let resumed = if self.finishing { RunState::Publishing } else { RunState::Running };
                self.enter(resumed, at);
            }
            Event::PromptSubmitted { text, .. } => {
                self.prompts += 1;
                self.prompt.get_or_insert_with(|| text.clone());
                if self.state == RunState::Idle {
                    self.enter(RunState::Running, at);
                }
            }
            Event::TurnStarted { .. } | Event::Interrupted {} => self.enter(RunState::Running, at),
            Event::Idle { until } => {
                self.enter(RunState::Idle, at);
                self.idle_until = Some(*until);
            }
            Event::InputRequired { input, kind, detail, until } => {
                self.enter(RunState::AwaitingInput, at);
                let waits = Input { kind: *kind, detail: detail.clone(), until: *until, since: at };
                self.inputs.insert(input.clone(), waits);
            }
            Event::InputGiven { input, .. } => {
                self.inputs.remove(input);
                if self.state == RunState::AwaitingInput && self.inputs.is_empty() {
                    self.enter(RunState::Running, at);
                }
            }
            Event::EgressModeChanged { mode, reason } => {
                let changed = EgressChange { at, actor: recorded.actor, reason: reason.clone() };
                self.egress = Egress { mode: *mode, changed: Some(changed) };
            }
            Event::CredentialUsed { credential, generation } => {
                let used = CredentialUse { id: *credential, generation: *generation, at };
                self.credential = Some(used);
            }
            Event::FinishRequested { .. } => {
                self.finishing = true;
                self.enter(RunState::Publishing, at);
            }
            Event::CancelRequested {} => {
                self.cancelling = true;
                self.publishing.next = None;
                self.enter(RunState::Snapshotting, at);
            }
            Event::TurnFailed { failure, detail } => {
                self.failure = Some(*failure);
                self.detail.clone_from(detail);
                self.publishing.next = None;
                self.enter(RunState::Snapshotting, at);
            }
            Event::BranchPushed { head, .. } => {
                self.pushed = Some(head.clone());
                self.publishing.next = Some(at);
            }
            Event::PublishSkipped {} => {
                self.changes = Some(false);
                self.publishing.next = None;
                self.enter(RunState::Snapshotting, at);
            }
            Event::PublishFailed { stage, detail, retry_at, .. } => {
                self.publish_failed(*stage, detail, *retry_at, at);
            }
            Event::PublishRequested {} => {
                self.publishing = Publishing { next: Some(at), ..Publishing::default() };
            }
            Event::PullRequestOpened { number, url, .. } => {
                self.pull_request = Some(PullRequest { number: *number, url: url.clone() });
                self.publishing = Publishing::default();
                if self.finished_at.is_none() {
                    self.enter(RunState::Snapshotting, at);
                }
            }
            Event::UsageReported { usage } => self.usage = *usage,
            Event::Lost { reason, .. } => self.lost = Some(reason.clone()),
            Event::Retried { generation } => {
                self.retries += 1;
                self.generation = Some(*generation);
                self.workload = Workload::Create;
                // What was proven of the one before says nothing of this one.
                self.enforcement = None;
                self.waiting = None;
                self.fence.clear();
                self.enter(RunState::Provisioning, at);
            }
            Event::Succeeded { changes } => {
                self.changes = Some(*changes);
                self.end(Outcome::Succeeded, at);
            }
            Event::Failed { failure, detail } => {
                self.failure = Some(*failure);
                self.detail.clone_from(detail);
                self.end(Outcome::Failed, at);
            }
            Event::Cancelled {} => self.end(Outcome::Cancelled, at),
            Event::WorkloadRemoved { generation, .. } => {
                if self.generation == Some(*generation) {
                    self.workload = Workload::None;
                }
            }
        }
    }
}
