use domain::{
    run::{EgressMode, Event, InputKind, PublishStage},
    session,
};

use super::words;

/// What happened to a run, in a few words for a list; none where it says nothing to people. Free text is
/// not in events, so not here either.
pub(super) fn in_run(event: &Event) -> Option<String> {
    let said = match event {
        Event::Requested(_) => "asked for".to_owned(),
        Event::Queued { reason } => format!("queued: {}", words::queued(reason)),
        Event::Admitted { .. } => "admitted".to_owned(),
        Event::WorkloadCreated { .. } => "the sandbox was made".to_owned(),
        Event::FenceVerified { .. } => "the fence was proven".to_owned(),
        Event::Restored { from: Some(_), .. } => "restored the last snapshot".to_owned(),
        Event::Restored { from: None, .. } => "cloned the repository".to_owned(),
        Event::Ready { .. } => "the agent started".to_owned(),
        Event::PromptSubmitted { .. } => "was given a prompt".to_owned(),
        Event::TurnStarted { .. } => "began a turn".to_owned(),
        Event::Idle { .. } => "the turn is over".to_owned(),
        Event::InputRequired { kind: InputKind::Permission, .. } => {
            "asked for a permission".to_owned()
        }
        Event::InputRequired { kind: InputKind::Question, .. } => "asked a question".to_owned(),
        Event::InputGiven { answer, .. } => answered(answer).to_owned(),
        Event::Interrupted {} => "interrupted".to_owned(),
        Event::EgressModeChanged { mode: EgressMode::Full, .. } => {
            "may reach any public host".to_owned()
        }
        Event::EgressModeChanged { mode: EgressMode::Github, .. } => {
            "may reach GitHub only".to_owned()
        }
        Event::FinishRequested { .. } => "told to publish and end".to_owned(),
        Event::CancelRequested {} => "told to end without publishing".to_owned(),
        Event::TurnFailed { failure, .. } | Event::Failed { failure, .. } => {
            words::failure(*failure).to_owned()
        }
        Event::BranchPushed { commits: 1, .. } => "pushed 1 commit".to_owned(),
        Event::BranchPushed { commits, .. } => format!("pushed {commits} commits"),
        Event::PublishSkipped {} => "nothing to publish".to_owned(),
        Event::PublishFailed { stage: PublishStage::Push, .. } => "the push failed".to_owned(),
        Event::PublishFailed { stage: PublishStage::PullRequest, attempt, .. } => {
            format!("the pull request could not be opened (try {attempt})")
        }
        Event::PublishRequested {} => "told to try the pull request again".to_owned(),
        Event::PullRequestOpened { number, .. } => format!("pull request #{number} is there"),
        Event::WorkloadWaiting { reason, .. } => reason.clone(),
        Event::Lost { .. } => "the workload was lost".to_owned(),
        Event::Retried { .. } => "is started again".to_owned(),
        Event::Succeeded { changes: true } => "done".to_owned(),
        Event::Succeeded { changes: false } => "done, without changes".to_owned(),
        Event::Cancelled {} => "cancelled".to_owned(),
        Event::UsageReported { .. }
        | Event::CredentialUsed { .. }
        | Event::SnapshotStored { .. }
        | Event::WorkloadObserved { .. }
        | Event::WorkloadRemoved { .. } => return None,
    };
    Some(said)
}

/// What happened to a session, likewise.
pub(super) fn in_session(event: &session::Event) -> Option<String> {
    use session::Event as Is;
    let said = match event {
        Is::Created(_) => "made".to_owned(),
        Is::Renamed { .. } => "renamed".to_owned(),
        Is::Forked { .. } => "forked".to_owned(),
        Is::Archived {} => "archived".to_owned(),
        Is::Restored {} => "brought back from the archive".to_owned(),
        Is::PullRequestMerged { number } => format!("pull request #{number} was merged"),
        Is::PullRequestClosed { number } => format!("pull request #{number} was closed"),
        Is::PullRequestReopened { number } => format!("pull request #{number} was opened again"),
        Is::PullRequestDrafted { number } => format!("pull request #{number} is a draft now"),
        Is::PullRequestReadied { number } => format!("pull request #{number} is ready for review"),
        Is::Deleted {}
        | Is::RunStarted { .. }
        | Is::RunEnded { .. }
        | Is::BundleStored { .. }
        | Is::BundleExpired { .. } => return None,
    };
    Some(said)
}

const fn answered(answer: &domain::run::Answer) -> &'static str {
    use domain::run::Answer;
    match answer {
        Answer::Once => "was allowed it once",
        Answer::Always => "was allowed it from now on",
        Answer::Reject { .. } => "was refused",
        Answer::Answers { .. } => "was given an answer",
        Answer::TimedOut => "was refused: nobody answered in time",
        Answer::Withdrawn => "asks no longer",
    }
}
