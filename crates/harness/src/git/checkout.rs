use crate::{
    failure::{Failure, Step},
    git::{Git, route},
    server::Config,
    wire::{CloneRequest, Cloned, RestoreQuery, Restored, StepErrorKind},
};

/// Clones the repository and checks out the working branch: made from the base, or the session's own.
pub(crate) async fn clone(config: &Config, request: &CloneRequest) -> Step<Cloned> {
    route(config, &request.remote_url).await?;
    let repository = config.repository();
    if repository.exists() {
        // A clone that was cut short: nobody has worked in it yet.
        std::fs::remove_dir_all(&repository)?;
    }
    let target = repository.to_string_lossy();
    let outside = Git::new(config).at(&config.workspace);
    outside.run(&["clone", "--no-checkout", "--quiet", &request.remote_url, &target]).await?;
    let git = Git::new(config);
    let remote = |branch: &str| format!("refs/remotes/origin/{branch}");
    let there = |said: super::Said| said.success;
    let base = remote(&request.base);
    if !there(git.attempt(&["rev-parse", "--verify", "--quiet", &base], 100).await?) {
        return Err(Failure::new(
            StepErrorKind::BaseMissing,
            format!("the repository has no branch {}", request.base),
        ));
    }
    let own = remote(&request.branch);
    let exists = there(git.attempt(&["rev-parse", "--verify", "--quiet", &own], 100).await?);
    let from = match (exists, request.branch_is_ours) {
        (true, true) => own,
        (true, false) => {
            return Err(Failure::new(
                StepErrorKind::BranchExists,
                format!("the branch {} exists and is not this session's", request.branch),
            ));
        }
        (false, _) => base,
    };
    git.run(&["checkout", "--quiet", "--no-track", "-B", &request.branch, &from]).await?;
    Ok(Cloned { git_head: git.run(&["rev-parse", "HEAD"]).await? })
}

/// Makes a restored repository ready: the gateway's route, and the working branch, which a fork does not
/// have yet. Nothing of the working tree changes.
pub(crate) async fn resume(config: &Config, query: &RestoreQuery) -> Step<Restored> {
    route(config, &query.remote_url).await?;
    let git = Git::new(config);
    let branch = format!("refs/heads/{}", query.branch);
    let known = git.attempt(&["rev-parse", "--verify", "--quiet", &branch], 100).await?;
    if !known.success {
        git.run(&["checkout", "--quiet", "-b", &query.branch]).await?;
    }
    Ok(Restored { git_head: git.run(&["rev-parse", "HEAD"]).await? })
}
