use std::time::Duration;

use rustix::process::Pid;

use super::Git;
use crate::{
    config::Config,
    failure::Step,
    processes,
    wire::{CommitRequest, Committed},
};

/// How long a git command of the agent's has to give the index back.
const LOCKED: Duration = Duration::from_secs(10);

/// Commits what is left, as the repository's own ignore rules have it. A filter that the repository
/// requires and that fails keeps it back: what it would have sealed must not be pushed as it is.
pub(crate) async fn commit(
    config: &Config,
    agent: Option<Pid>,
    request: &CommitRequest,
) -> Step<Committed> {
    let git = Git::new(config)
        .env("GIT_AUTHOR_NAME", &request.author_name)
        .env("GIT_AUTHOR_EMAIL", &request.author_email)
        .env("GIT_COMMITTER_NAME", &request.committer_name)
        .env("GIT_COMMITTER_EMAIL", &request.committer_email)
        .input(request.message.as_bytes());
    unlock(config, agent).await?;
    let add = ["add", "--all", "--ignore-errors"];
    let said = git.attempt(&add).await?;
    if !said.is_partial() {
        return Err(said.failure(&add));
    }
    let difference = ["diff", "--cached", "--quiet", "--no-ext-diff", "--ignore-submodules=dirty"];
    let said = git.attempt(&difference).await?;
    let changed = match said.code {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(said.failure(&difference)),
    };
    if changed {
        let commit = [
            "commit",
            "--quiet",
            "--no-verify",
            "--no-gpg-sign",
            "--cleanup=whitespace",
            "--file=-",
        ];
        git.run(&commit).await?;
    }
    Ok(Committed { head: git.head().await?, committed: changed })
}

/// A git command that was killed in the middle, when a turn was aborted, leaves the index locked for ever.
async fn unlock(config: &Config, agent: Option<Pid>) -> Step<()> {
    let lock = config.repository().join(".git/index.lock");
    let until = tokio::time::Instant::now() + LOCKED;
    while lock.symlink_metadata().is_ok() {
        if !processes::agent_runs(agent, "git") || tokio::time::Instant::now() > until {
            tracing::info!("an index lock that nobody holds is removed");
            std::fs::remove_file(&lock)?;
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
