use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{
    ids::{BundleDigest, Generation, InputId, MessageId},
    run::{
        EgressMode, Event, Failure, InputKind, Outcome, PublishStage, QueueReason, Requested,
        SnapshotCause, Usage, WorkloadStage,
    },
    text::TextRef,
};

/// A run, folded from its events.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum State {
    /// No event yet.
    #[default]
    New,
    /// It exists.
    Known(Box<Run>),
}

/// What is known of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// As it was asked for.
    pub requested: Requested,
    /// Where it is in its life.
    pub stage: Stage,
    /// What it may reach now.
    pub egress: EgressMode,
    /// The newest generation admitted; none while it waits for the first time.
    pub generation: Option<Generation>,
    /// What was reported of the workload of that generation.
    pub reported: Reported,
    /// Why its workload does not begin, as last said.
    pub waiting: Option<String>,
    /// Whether the workload of that generation is known to be removed.
    pub workload_removed: bool,
    /// The newest prompt.
    pub last_prompt: MessageId,
    /// How many prompts there were: more than one means that somebody attends.
    pub prompts: u32,
    /// The prompt whose turn was interrupted, until that turn is over.
    pub interrupted: Option<MessageId>,
    /// How often it was retried.
    pub retries: u32,
    /// The commit pushed, if any.
    pub pushed: Option<String>,
    /// How often opening the pull request failed.
    pub pull_request_failures: u32,
    /// The pull request's number, if there is one.
    pub pull_request: Option<u64>,
    /// Once it was asked to publish: what goes on after a lost workload.
    pub finishing: bool,
    /// Whether the pull request was asked for again, after the run ended, and that is under way.
    pub publish_requested: bool,
    /// The newest snapshot: of which generation, which bundle, and why.
    pub snapshot: Option<(Generation, BundleDigest, SnapshotCause)>,
    /// The newest usage report.
    pub usage: Usage,
    /// Which value of its credential was used for it last.
    pub credential: Option<Generation>,
}

/// What was reported of one workload while it starts. Adapter and sidecar report apart from each other,
/// so that these come in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// It was made.
    pub made: bool,
    /// Its fence was proven.
    pub fence: bool,
    /// The repository is in place.
    pub restored: bool,
    /// When in its life what is seen of it was last said.
    pub observed: Option<WorkloadStage>,
}

/// Where a run is in its life. Every stage but `Running` has a reason that people are shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Waiting for room.
    Queued {
        /// Why, once admission has looked at it.
        reason: Option<QueueReason>,
    },
    /// The adapter makes the workload.
    Provisioning,
    /// The fence is proven, the repository put in place, the agent started.
    Restoring,
    /// The agent works.
    Running,
    /// The agent waits for answers.
    AwaitingInput {
        /// What it asked, and until when it waits.
        inputs: BTreeMap<InputId, (InputKind, DateTime<Utc>)>,
    },
    /// The turn is over; a prompt goes on, time ends it.
    Idle {
        /// Until when it stays.
        until: DateTime<Utc>,
    },
    /// Committing, pushing, opening the pull request.
    Publishing,
    /// The last snapshot is being taken.
    Snapshotting {
        /// What the run ends with when it is.
        ending: Ending,
    },
    /// It ended.
    Ended(Outcome),
}

/// What a run will end with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Well.
    Succeeded {
        /// Whether it changed anything.
        changes: bool,
    },
    /// Badly.
    Failed {
        /// Why, as a kind.
        failure: Failure,
        /// In whose words.
        detail: Option<TextRef>,
    },
    /// Cancelled.
    Cancelled,
}

/// The state after `event`. Total: an event that does not fit changes nothing.
#[must_use]
pub fn evolve(state: State, event: &Event) -> State {
    match (state, event) {
        (State::New, Event::Requested(requested)) => State::Known(Box::new(Run {
            requested: (**requested).clone(),
            egress: EgressMode::named(&requested.egress),
            stage: Stage::Queued { reason: None },
            generation: None,
            reported: Reported::default(),
            waiting: None,
            workload_removed: true,
            last_prompt: MessageId(String::new()),
            prompts: 0,
            interrupted: None,
            retries: 0,
            pushed: None,
            pull_request_failures: 0,
            pull_request: None,
            finishing: false,
            publish_requested: false,
            snapshot: None,
            usage: Usage::default(),
            credential: None,
        })),
        (State::New, _) => State::New,
        (State::Known(run), event) => State::Known(evolve_known(run, event)),
    }
}

/// The state after all of `events`, from nothing.
#[must_use]
pub fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> State {
    events.into_iter().fold(State::New, evolve)
}

fn evolve_known(mut run: Box<Run>, event: &Event) -> Box<Run> {
    match event {
        Event::Requested(_) | Event::Lost { .. } => {}
        Event::Queued { reason } => run.stage = Stage::Queued { reason: Some(reason.clone()) },
        Event::Admitted { generation } => run.begin(*generation),
        Event::Retried { generation } => {
            run.begin(*generation);
            run.retries += 1;
        }
        Event::WorkloadCreated { .. } => {
            run.reported.made = true;
            if matches!(run.stage, Stage::Provisioning) {
                run.stage = Stage::Restoring;
            }
        }
        Event::WorkloadWaiting { reason, .. } => run.waiting = Some(reason.clone()),
        Event::WorkloadObserved { stage, .. } => run.reported.observed = Some(*stage),
        Event::FenceVerified { .. } => run.reported.fence = true,
        Event::Restored { .. } => run.reported.restored = true,
        Event::Ready { .. } => {
            run.stage = if run.finishing { Stage::Publishing } else { Stage::Running };
        }
        Event::PromptSubmitted { message, .. } => {
            run.last_prompt = message.clone();
            run.prompts += 1;
            if matches!(run.stage, Stage::Idle { .. }) {
                run.stage = Stage::Running;
            }
        }
        Event::TurnStarted { .. } => run.stage = Stage::Running,
        Event::Idle { until } => {
            run.interrupted = None;
            run.stage = Stage::Idle { until: *until };
        }
        Event::Interrupted {} => {
            run.interrupted = Some(run.last_prompt.clone());
            run.stage = Stage::Running;
        }
        Event::InputRequired { input, kind, until, .. } => {
            let mut inputs = match run.stage {
                Stage::AwaitingInput { inputs } => inputs,
                _ => BTreeMap::new(),
            };
            inputs.insert(input.clone(), (*kind, *until));
            run.stage = Stage::AwaitingInput { inputs };
        }
        Event::InputGiven { input, .. } => {
            if let Stage::AwaitingInput { inputs } = &mut run.stage {
                inputs.remove(input);
                if inputs.is_empty() {
                    run.stage = Stage::Running;
                }
            }
        }
        Event::EgressModeChanged { mode, .. } => run.egress = *mode,
        Event::CredentialUsed { generation, .. } => run.credential = Some(*generation),
        Event::FinishRequested { .. } => {
            run.finishing = true;
            run.stage = Stage::Publishing;
        }
        Event::CancelRequested {} => {
            run.stage = Stage::Snapshotting { ending: Ending::Cancelled };
        }
        Event::TurnFailed { failure, detail } => {
            let ending = Ending::Failed { failure: *failure, detail: detail.clone() };
            run.stage = Stage::Snapshotting { ending };
        }
        Event::BranchPushed { head, .. } => run.pushed = Some(head.clone()),
        Event::PublishSkipped {} => run.publishes(false),
        Event::PublishFailed { stage, detail, retry_at, .. } => {
            run.publishing_failed(*stage, detail, retry_at.is_none());
        }
        Event::PublishRequested {} => {
            run.pull_request_failures = 0;
            run.publish_requested = true;
        }
        Event::PullRequestOpened { number, .. } => {
            run.pull_request = Some(*number);
            run.publish_requested = false;
            run.publishes(true);
        }
        Event::UsageReported { usage } => run.usage = *usage,
        Event::SnapshotStored { generation, digest, cause } => {
            run.snapshot = Some((*generation, digest.clone(), *cause));
        }
        Event::Succeeded { .. } => run.stage = Stage::Ended(Outcome::Succeeded),
        Event::Failed { .. } => run.stage = Stage::Ended(Outcome::Failed),
        Event::Cancelled {} => run.stage = Stage::Ended(Outcome::Cancelled),
        Event::WorkloadRemoved { generation, .. } => {
            if run.generation == Some(*generation) {
                run.workload_removed = true;
            }
        }
    }
    run
}

impl Run {
    fn begin(&mut self, generation: Generation) {
        self.generation = Some(generation);
        self.reported = Reported::default();
        self.waiting = None;
        self.workload_removed = false;
        self.stage = Stage::Provisioning;
    }

    fn publishes(&mut self, changes: bool) {
        if !matches!(self.stage, Stage::Ended(_)) {
            self.stage = Stage::Snapshotting { ending: Ending::Succeeded { changes } };
        }
    }

    fn publishing_failed(&mut self, stage: PublishStage, detail: &TextRef, finally: bool) {
        let failure = match stage {
            PublishStage::Push => Failure::Push,
            PublishStage::PullRequest => {
                self.pull_request_failures += 1;
                Failure::PullRequest
            }
        };
        if !finally {
            return;
        }
        self.publish_requested = false;
        if !matches!(self.stage, Stage::Ended(_)) {
            let ending = Ending::Failed { failure, detail: Some(detail.clone()) };
            self.stage = Stage::Snapshotting { ending };
        }
    }
}
