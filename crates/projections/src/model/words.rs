use domain::run::{Failure, QueueReason, Verdict};

use super::{RunRow, RunState};

/// Why a run is where it is, in words. `detail` is the text of `row.detail`, where it still exists.
#[must_use]
pub fn reason(row: &RunRow, detail: Option<&str>) -> Option<String> {
    let with_detail = |words: &str| match detail {
        Some(detail) => format!("{words}: {detail}"),
        None => words.to_owned(),
    };
    Some(match row.state {
        RunState::Queued => {
            row.queued.as_ref().map_or_else(|| "waiting for admission".to_owned(), queued)
        }
        RunState::Provisioning => match &row.lost {
            Some(lost) if row.retries > 0 => format!("starting again after: {lost}"),
            _ => "the sandbox is being made".to_owned(),
        },
        RunState::Restoring => {
            "the fence is proven, the repository put in place, the agent started".to_owned()
        }
        RunState::Running | RunState::Cancelled => return None,
        RunState::AwaitingInput => {
            format!("waiting for {} to be answered", plural(row.inputs.len()))
        }
        RunState::Idle => match row.idle_until {
            Some(until) => {
                format!("the turn is over; stays until {}", until.format("%H:%M:%S UTC"))
            }
            None => "the turn is over".to_owned(),
        },
        RunState::Publishing => match (&row.pushed, row.publishing.failures) {
            (None, _) => "committing and pushing".to_owned(),
            (Some(_), 0) => "pushed, pull request pending".to_owned(),
            (Some(_), failures) => {
                with_detail(&format!("pushed, pull request pending; {failures} tries failed"))
            }
        },
        RunState::Snapshotting => "the last snapshot is being taken".to_owned(),
        RunState::Succeeded => match row.changes {
            Some(false) => "no changes".to_owned(),
            _ => return None,
        },
        RunState::Failed => with_detail(row.failure.map_or("failed", failure)),
    })
}

fn plural(count: usize) -> String {
    if count == 1 { "a request".to_owned() } else { format!("{count} requests") }
}

/// Why a run waits in the queue.
pub(super) fn queued(reason: &QueueReason) -> String {
    match reason {
        QueueReason::RunsActive { active, limit } => format!("{active} of {limit} runs are active"),
        QueueReason::OwnerRunsActive { active, limit } => {
            format!("{active} of {limit} runs of this session's owner are active")
        }
        QueueReason::Memory { needed_mib, free_mib } => {
            format!("{needed_mib} MiB of memory are needed and {free_mib} MiB are free")
        }
        QueueReason::Adapter { problem } => problem.clone(),
    }
}

/// A kind of failure.
pub(super) const fn failure(failure: Failure) -> &'static str {
    match failure {
        Failure::Agent => "the agent failed",
        Failure::Model => "the model failed",
        Failure::Deadline => "the deadline passed",
        Failure::LinkLost => "the link was gone for too long",
        Failure::Lost => "the workload was lost too often",
        Failure::Sandbox => "the sandbox could not be made or its fence not proven",
        Failure::Repository => "the repository could not be read",
        Failure::Restore => "the bundle could not be restored",
        Failure::BranchExists => "the working branch exists and is not this session's",
        Failure::Push => "the branch could not be pushed",
        Failure::PullRequest => "pushed, but the pull request could not be opened",
    }
}

/// What came of a probe.
pub(super) const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Refused => "refused",
        Verdict::TimedOut => "timed out",
        Verdict::Reached => "REACHED",
        Verdict::NotProvable => "not provable here",
    }
}
