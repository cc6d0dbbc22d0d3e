use domain::{
    event::Actor,
    run::{Event, Failure},
};
use serde::{Deserialize, Serialize};

use super::{RunRow, RunState};

/// What a session asks of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// An answer, or a look at a failure that nobody has acted on yet.
    NeedsYou,
    /// Nothing: it works.
    Working,
    /// Patience, or a further prompt.
    Waiting,
    /// Nothing: its last run has ended.
    Done,
}

impl Group {
    /// Every group, in the order in which people look at them.
    pub const ALL: [Self; 4] = [Self::NeedsYou, Self::Working, Self::Waiting, Self::Done];

    /// The name in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NeedsYou => "needs_you",
            Self::Working => "working",
            Self::Waiting => "waiting",
            Self::Done => "done",
        }
    }

    /// By its run alone.
    pub(super) fn of(run: &RunRow) -> Self {
        let pending = run.publishing.next.is_some();
        match run.state {
            RunState::AwaitingInput => Self::NeedsYou,
            RunState::Queued | RunState::Idle => Self::Waiting,
            // It failed and is tried again later.
            RunState::Publishing if pending && run.publishing.failures > 0 => Self::Waiting,
            RunState::Provisioning
            | RunState::Restoring
            | RunState::Running
            | RunState::Publishing
            | RunState::Snapshotting => Self::Working,
            RunState::Succeeded | RunState::Failed | RunState::Cancelled if pending => {
                if run.publishing.failures > 0 { Self::Waiting } else { Self::Working }
            }
            RunState::Succeeded | RunState::Failed | RunState::Cancelled => Self::Done,
        }
    }
}

/// Whether somebody is to look at a failure, after an event of the session's newest run: until a person
/// does something with the session, or it turns out well after all.
pub(super) fn attention(before: bool, actor: Actor, event: &Event, run: &RunRow) -> bool {
    let before = before && !actor.is_somebody();
    match event {
        Event::Failed { .. } => true,
        Event::PublishFailed { retry_at: None, .. } => before || run.finished_at.is_some(),
        Event::PullRequestOpened { .. } => before && run.failure != Some(Failure::PullRequest),
        Event::Requested(_)
        | Event::Queued { .. }
        | Event::Admitted { .. }
        | Event::WorkloadCreated { .. }
        | Event::WorkloadWaiting { .. }
        | Event::WorkloadObserved { .. }
        | Event::FenceVerified { .. }
        | Event::Restored { .. }
        | Event::Ready { .. }
        | Event::PromptSubmitted { .. }
        | Event::TurnStarted { .. }
        | Event::Idle { .. }
        | Event::InputRequired { .. }
        | Event::InputGiven { .. }
        | Event::Interrupted {}
        | Event::EgressModeChanged { .. }
        | Event::CredentialUsed { .. }
        | Event::FinishRequested { .. }
        | Event::CancelRequested {}
        | Event::TurnFailed { .. }
        | Event::BranchPushed { .. }
        | Event::PublishSkipped {}
        | Event::PublishFailed { retry_at: Some(_), .. }
        | Event::PublishRequested {}
        | Event::UsageReported { .. }
        | Event::SnapshotStored { .. }
        | Event::Lost { .. }
        | Event::Retried { .. }
        | Event::Succeeded { .. }
        | Event::Cancelled {}
        | Event::WorkloadRemoved { .. } => before,
    }
}
