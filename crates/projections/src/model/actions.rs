use domain::run::EgressMode;
use serde::{Deserialize, Serialize};

use super::{RunRow, RunState, SessionRow};

/// What may be asked of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the API's command of that name")]
pub enum RunAction {
    Prompt,
    Answer,
    Interrupt,
    Finish,
    Cancel,
    Publish,
    WidenEgress,
    NarrowEgress,
}

impl RunAction {
    /// Every action.
    pub const ALL: [Self; 8] = [
        Self::Prompt,
        Self::Answer,
        Self::Interrupt,
        Self::Finish,
        Self::Cancel,
        Self::Publish,
        Self::WidenEgress,
        Self::NarrowEgress,
    ];
}

/// What may be asked of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the API's command of that name")]
pub enum SessionAction {
    Start,
    Rename,
    Archive,
    Restore,
    Delete,
    Fork,
    Share,
}

impl SessionAction {
    /// Every action.
    pub const ALL: [Self; 7] = [
        Self::Start,
        Self::Rename,
        Self::Archive,
        Self::Restore,
        Self::Delete,
        Self::Fork,
        Self::Share,
    ];
}

impl RunRow {
    /// What would be accepted now: pages offer these and no others.
    #[must_use]
    pub fn allowed_actions(&self) -> Vec<RunAction> {
        let mut actions = self.steps();
        // What may be told something may be allowed more; less may be allowed until the end.
        match self.egress.mode {
            EgressMode::Github if actions.contains(&RunAction::Prompt) => {
                actions.push(RunAction::WidenEgress);
            }
            EgressMode::Full if self.finished_at.is_none() => actions.push(RunAction::NarrowEgress),
            EgressMode::Github | EgressMode::Full => {}
        }
        actions
    }

    /// What brings it on in its life.
    fn steps(&self) -> Vec<RunAction> {
        use RunAction::{Answer, Cancel, Finish, Interrupt, Prompt, Publish};
        match self.state {
            // It goes on publishing as soon as it is there again.
            RunState::Provisioning | RunState::Restoring if self.finishing => vec![Cancel],
            RunState::Queued | RunState::Provisioning | RunState::Restoring => {
                vec![Prompt, Cancel]
            }
            RunState::Running => vec![Prompt, Interrupt, Finish, Cancel],
            RunState::AwaitingInput => vec![Answer, Prompt, Interrupt, Finish, Cancel],
            RunState::Idle => vec![Prompt, Finish, Cancel],
            RunState::Snapshotting if self.cancelling => vec![],
            RunState::Publishing | RunState::Snapshotting => vec![Cancel],
            RunState::Succeeded | RunState::Failed | RunState::Cancelled => {
                let pending = self.publishing.next.is_some();
                let unpublished = self.pushed.is_some() && self.pull_request.is_none();
                if unpublished && !pending { vec![Publish] } else { vec![] }
            }
        }
    }
}

impl SessionRow {
    /// What would be accepted now: pages offer these and no others.
    #[must_use]
    pub fn allowed_actions(&self) -> Vec<SessionAction> {
        use SessionAction::{Archive, Delete, Fork, Rename, Restore, Share, Start};
        let mut actions = vec![Rename, Share];
        match (self.active_run, self.archived) {
            (Some(_), _) => {}
            (None, true) => actions.extend([Restore, Delete]),
            (None, false) => actions.extend([Start, Archive, Delete]),
        }
        if self.head.is_some() {
            actions.push(Fork);
        }
        actions
    }
}
