use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{
    ids::{Generation, InputId, MessageId},
    run::{Event, Failure, InputKind, Outcome, QueueReason, Requested, Usage},
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
    /// The newest generation admitted; none while it waits for the first time.
    pub generation: Option<Generation>,
    /// Whether the workload of that generation is known to be removed.
    pub workload_removed: bool,
    /// The newest prompt.
    pub last_prompt: MessageId,
    /// How many prompts there were: more than one means that somebody attends.
    pub prompts: u32,
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
    /// The newest usage report.
    pub usage: Usage,
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
            stage: Stage::Queued { reason: None },
            generation: None,
            workload_removed: true,
            last_prompt: MessageId(String::new()),
            prompts: 0,
            retries: 0,
            pushed: None,
            pull_request_failures: 0,
            pull_request: None,
            finishing: false,
            usage: Usage::default(),
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
        Event::Requested(_) | Event::FenceVerified { .. } | Event::Restored { .. } => {}
        Event::PublishRequested {} => run.pull_request_failures = 0,
        Event::SnapshotStored { .. } => {}
        Event::Queued { reason } => run.stage = Stage::Queued { reason: Some(reason.clone()) },
        Event::Admitted { generation } => {
            run.generation = Some(*generation);
            run.workload_removed = false;
            run.stage = Stage::Provisioning;
        }
        Event::WorkloadCreated { .. } => run.stage = Stage::Restoring,
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
        Event::Idle { until } => run.stage = Stage::Idle { until: *until },
        Event::Interrupted {} => run.stage = Stage::Running,
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
        Event::PublishSkipped {} => {
            run.stage = Stage::Snapshotting { ending: Ending::Succeeded { changes: false } };
        }
        Event::PublishFailed { stage, detail, retry_at, .. } => {
            let failure = match stage {
                super::PublishStage::Push => Failure::Push,
                super::PublishStage::PullRequest => {
                    run.pull_request_failures += 1;
                    Failure::PullRequest
                }
            };
            if retry_at.is_none() && !matches!(run.stage, Stage::Ended(_)) {
                let ending = Ending::Failed { failure, detail: Some(detail.clone()) };
                run.stage = Stage::Snapshotting { ending };
            }
        }
        Event::PullRequestOpened { number, .. } => {
            run.pull_request = Some(*number);
            if !matches!(run.stage, Stage::Ended(_)) {
                run.stage = Stage::Snapshotting { ending: Ending::Succeeded { changes: true } };
            }
        }
        Event::UsageReported { usage } => run.usage = *usage,
        Event::Lost { .. } => {}
        Event::Retried { generation } => {
            run.generation = Some(*generation);
            run.workload_removed = false;
            run.retries += 1;
            run.stage = Stage::Provisioning;
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
