use domain::{
    run::{Answer, Event, FinishCause, InputKind, PublishStage, WorkloadStage},
    text::TextRef,
};

use super::words;

/// An event of a run in a few words, for its time line. Free text is not in events, so not here either.
pub(super) fn summary(event: &Event) -> String {
    match event {
        Event::Requested(requested) => format!("on {} of {}", requested.branch, requested.repo),
        Event::Queued { reason } => words::queued(reason),
        Event::Admitted { generation } | Event::Retried { generation } => {
            format!("workload {generation} may start")
        }
        Event::WorkloadCreated { enforcement, .. } if enforcement.missing.is_empty() => {
            format!("in {}, every limit enforced", enforcement.sandbox)
        }
        Event::WorkloadCreated { enforcement, .. } => {
            format!(
                "in {}; not enforced here: {}",
                enforcement.sandbox,
                enforcement.missing.join(", ")
            )
        }
        Event::FenceVerified { probes, .. } => {
            let tried: Vec<String> = probes
                .iter()
                .map(|probe| format!("{}: {}", probe.target, words::verdict(probe.verdict)))
                .collect();
            tried.join("; ")
        }
        Event::Restored { from: Some(digest), .. } => format!("from bundle {:.12}", digest.0),
        Event::Restored { from: None, git_head, .. } => format!("cloned at {git_head:.12}"),
        Event::Ready { agent_version, .. } => format!("OpenCode {agent_version}"),
        Event::PromptSubmitted { message, .. } | Event::TurnStarted { message } => {
            message.to_string()
        }
        Event::Idle { until } => format!("until {}", until.format("%H:%M:%S UTC")),
        Event::InputRequired { kind: InputKind::Permission, .. } => "a permission".to_owned(),
        Event::InputRequired { kind: InputKind::Question, .. } => "an answer".to_owned(),
        Event::InputGiven { answer, .. } => answered(answer).to_owned(),
        Event::EgressModeChanged { mode, .. } => format!("egress {}", mode.as_str()),
        Event::CredentialUsed { credential, generation } => {
            format!("generation {generation} of {credential}")
        }
        Event::FinishRequested { cause: FinishCause::Asked } => "asked for".to_owned(),
        Event::FinishRequested { cause: FinishCause::Idle } => "nothing more came".to_owned(),
        Event::TurnFailed { failure, .. } | Event::Failed { failure, .. } => {
            words::failure(*failure).to_owned()
        }
        Event::BranchPushed { head, commits } => format!("{commits} commits, at {head:.12}"),
        Event::PublishSkipped {} | Event::Succeeded { changes: false } => "no changes".to_owned(),
        Event::PublishFailed { stage, attempt, retry_at, .. } => {
            let step = match stage {
                PublishStage::Push => "push",
                PublishStage::PullRequest => "pull request",
            };
            let next = if retry_at.is_some() { "will be tried again" } else { "given up" };
            format!("{step}, try {attempt}: {next}")
        }
        Event::PullRequestOpened { number, url, .. } => format!("#{number} {url}"),
        Event::UsageReported { usage } => {
            format!("{} tokens in, {} out", usage.input_tokens, usage.output_tokens)
        }
        Event::SnapshotStored { digest, .. } => format!("bundle {:.12}", digest.0),
        Event::WorkloadWaiting { reason, .. } | Event::Lost { reason, .. } => reason.clone(),
        Event::WorkloadObserved { stage: WorkloadStage::Began, .. } => "all of it runs".to_owned(),
        Event::WorkloadObserved { stage: WorkloadStage::Ended, .. } => "as it ended".to_owned(),
        Event::Succeeded { changes: true } => "with changes".to_owned(),
        Event::WorkloadRemoved { output_digest: Some(digest), .. } => {
            format!("all output stored, SHA-256 {digest}")
        }
        Event::Interrupted {}
        | Event::CancelRequested {}
        | Event::PublishRequested {}
        | Event::Cancelled {}
        | Event::WorkloadRemoved { output_digest: None, .. } => String::new(),
    }
}

/// The text that an event refers to.
pub(super) const fn text(event: &Event) -> Option<&TextRef> {
    match event {
        Event::PromptSubmitted { text, .. } | Event::WorkloadObserved { text, .. } => Some(text),
        Event::InputRequired { detail, .. } | Event::PublishFailed { detail, .. } => Some(detail),
        Event::InputGiven { answer, .. } => match answer {
            Answer::Reject { message } => message.as_ref(),
            Answer::Answers { answers } => Some(answers),
            Answer::Once | Answer::Always | Answer::TimedOut | Answer::Withdrawn => None,
        },
        Event::EgressModeChanged { reason, .. } => reason.as_ref(),
        Event::TurnFailed { detail, .. } | Event::Failed { detail, .. } => detail.as_ref(),
        Event::Requested(_)
        | Event::Queued { .. }
        | Event::Admitted { .. }
        | Event::WorkloadCreated { .. }
        | Event::WorkloadWaiting { .. }
        | Event::FenceVerified { .. }
        | Event::Restored { .. }
        | Event::Ready { .. }
        | Event::TurnStarted { .. }
        | Event::Idle { .. }
        | Event::Interrupted {}
        | Event::CredentialUsed { .. }
        | Event::FinishRequested { .. }
        | Event::CancelRequested {}
        | Event::BranchPushed { .. }
        | Event::PublishSkipped {}
        | Event::PublishRequested {}
        | Event::PullRequestOpened { .. }
        | Event::UsageReported { .. }
        | Event::SnapshotStored { .. }
        | Event::Lost { .. }
        | Event::Retried { .. }
        | Event::Succeeded { .. }
        | Event::Cancelled {}
        | Event::WorkloadRemoved { .. } => None,
    }
}

const fn answered(answer: &Answer) -> &'static str {
    match answer {
        Answer::Once => "allowed once",
        Answer::Always => "allowed from now on",
        Answer::Reject { .. } => "refused",
        Answer::Answers { .. } => "answered",
        Answer::TimedOut => "refused: timed out",
        Answer::Withdrawn => "no longer asked",
    }
}
