use domain::{
    run::{Failure, Hindrance, QueueReason, Verdict},
    text::TextRef,
};

use super::{RunRow, RunState, asks::asks};

/// Why a run is where it is, in words; none where the state says all. `text` looks a text up, if it still
/// exists.
#[must_use]
pub fn reason<'t>(row: &RunRow, text: impl Fn(&TextRef) -> Option<&'t str>) -> Option<String> {
    let with = |words: &str, detail: &Option<TextRef>| match detail.as_ref().and_then(&text) {
        Some(detail) => format!("{words}: {detail}"),
        None => words.to_owned(),
    };
    let failed = |kind: Failure| with(failure(kind), &row.detail);
    let pending = || match row.publishing.failures {
        0 => "pushed, pull request pending".to_owned(),
        1 => with("pushed, pull request pending; 1 try failed", &row.publishing.detail),
        tries => {
            let words = format!("pushed, pull request pending; {tries} tries failed");
            with(&words, &row.publishing.detail)
        }
    };
    let words = match row.state {
        RunState::Queued => Some(match &row.queued {
            Some(reason) => queued(reason),
            None => "waiting for admission".to_owned(),
        }),
        RunState::Provisioning | RunState::Restoring if row.waiting.is_some() => {
            row.waiting.clone()
        }
        RunState::Provisioning => Some(match &row.lost {
            Some(lost) if row.retries > 0 => format!("starting again after: {lost}"),
            _ => "the sandbox is being made".to_owned(),
        }),
        RunState::Restoring => {
            let words = "the fence is proven, the repository put in place, the agent started";
            Some(words.to_owned())
        }
        RunState::Running => None,
        RunState::AwaitingInput => {
            let first = row.inputs.values().next();
            let asked = first.map(|input| asks(input.kind, text(&input.detail)));
            let more = row.inputs.len().saturating_sub(1);
            Some(match (asked, more) {
                (None, _) => "waiting for an answer".to_owned(),
                (Some(asked), 0) => asked,
                (Some(asked), more) => format!("{asked}; and {more} more"),
            })
        }
        RunState::Idle => Some(match row.idle_until {
            Some(until) => {
                format!("the turn is over; stays until {}", until.format("%H:%M:%S UTC"))
            }
            None => "the turn is over".to_owned(),
        }),
        RunState::Publishing if row.pushed.is_none() => Some("committing and pushing".to_owned()),
        RunState::Publishing => Some(pending()),
        RunState::Snapshotting if row.cancelling => {
            Some("cancelled; the last snapshot is being taken".to_owned())
        }
        RunState::Snapshotting => Some(match row.failure {
            Some(kind) => format!("the last snapshot is being taken after {}", failed(kind)),
            None => "the last snapshot is being taken".to_owned(),
        }),
        // Asked for again after the end.
        _ if row.publishing.next.is_some() => Some(pending()),
        RunState::Failed
            if row.failure == Some(Failure::PullRequest) && row.pull_request.is_some() =>
        {
            Some("pushed; the pull request was opened later".to_owned())
        }
        RunState::Failed => Some(match (row.failure, &row.waiting, &row.lost) {
            (None, _, _) => "it failed".to_owned(),
            // It never began, and this is what it waited for.
            (Some(Failure::Deadline), Some(waiting), _) => {
                format!("the deadline passed while it waited: {waiting}")
            }
            (Some(Failure::Lost), _, Some(lost)) => {
                format!("the workload was lost too often, the last time because {lost}")
            }
            (Some(kind), _, _) => failed(kind),
        }),
        RunState::Succeeded if row.changes == Some(false) => Some("no changes".to_owned()),
        RunState::Succeeded | RunState::Cancelled => None,
    };
    match row.snapshot_waits {
        None => words,
        Some(reason) => Some(waiting(row, words, reason)),
    }
}

/// A reason, with that of a snapshot that is not stored.
fn waiting(row: &RunRow, words: Option<String>, reason: Hindrance) -> String {
    let reason = hindrance(reason);
    let waits = match row.state {
        RunState::Succeeded | RunState::Failed | RunState::Cancelled => {
            format!("it ended without its last snapshot: {reason}")
        }
        RunState::Snapshotting => format!("it waits: {reason}"),
        RunState::Provisioning | RunState::Restoring => {
            format!("the bundle to go on from waits: {reason}")
        }
        _ => format!("a snapshot waits: {reason}"),
    };
    words.map_or(waits.clone(), |words| format!("{words}; {waits}"))
}

/// Why a snapshot cannot be stored.
pub(super) const fn hindrance(reason: Hindrance) -> &'static str {
    match reason {
        Hindrance::StoreFull => "the artifact store is full",
        Hindrance::StoreAway => "the artifact store does not answer",
    }
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
        Failure::Limit => "it took more than it may",
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
