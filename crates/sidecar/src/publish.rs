//! Publishing, as far as it is the workload's: commit what is left, push the branch. The control plane opens
//! the pull request.

use std::time::Duration;

use harness::wire::{CommitRequest, PushRequest, StepErrorKind};
use link::{Fact, Job};

use crate::{SidecarError, harness_client::Harness, job::commit_message};

const TRIES: u32 = 5;
const FIRST_BACKOFF: Duration = Duration::from_secs(1);

/// Commits what is left: whether there was anything, or the fact that it cannot be.
pub(crate) async fn commit(
    harness: &Harness,
    job: &Job,
) -> Result<Result<bool, Fact>, SidecarError> {
    let commit = CommitRequest {
        message: commit_message(job),
        author_name: job.author_name.clone(),
        author_email: job.author_email.clone(),
        committer_name: "Paddock".to_owned(),
        committer_email: "noreply@paddock.dev".to_owned(),
    };
    match harness.commit(&commit).await {
        Ok(done) => Ok(Ok(done.committed)),
        Err(SidecarError::Step(error)) => Ok(Err(Fact::PushFailed { detail: error.detail })),
        Err(error) => Err(error),
    }
}

/// Pushes; what came of it, as a fact.
pub(crate) async fn push(harness: &Harness, job: &Job) -> Result<Fact, SidecarError> {
    let request = PushRequest { branch: job.branch.to_string(), base: job.base.to_string() };
    let mut backoff = FIRST_BACKOFF;
    for attempt in 1.. {
        match harness.push(&request).await {
            Ok(report) => {
                return Ok(match report.pushed {
                    Some(pushed) => Fact::Pushed {
                        head: pushed.head,
                        commits: pushed.commits,
                        subject: pushed.subject,
                    },
                    None => Fact::NothingToPublish,
                });
            }
            Err(SidecarError::Step(error))
                if error.kind == StepErrorKind::Unavailable && attempt < TRIES =>
            {
                tokio::time::sleep(backoff).await;
                backoff *= 2;
            }
            Err(SidecarError::Step(error)) => return Ok(Fact::PushFailed { detail: error.detail }),
            Err(error) => return Err(error),
        }
    }
    Ok(Fact::PushFailed { detail: "the forge does not answer".to_owned() })
}
