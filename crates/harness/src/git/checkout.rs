use super::{
    Git,
    settings::{offer, route},
};
use crate::{
    bundle::clear,
    config::Config,
    failure::{Failure, Step},
    wire::{CloneRequest, Cloned, RestoreQuery, Restored, StepErrorKind},
};

/// Clones the repository and checks out the working branch: made from the base, or the session's own.
pub(crate) async fn clone(config: &Config, request: &CloneRequest) -> Step<Cloned> {
    offer(config, &request.remote_url)?;
    let repository = config.repository();
    // A clone that was cut short: nobody has worked in it yet.
    clear(&repository)?;
    let target = repository.to_string_lossy();
    let url = request.remote_url.as_str();
    let outside = Git::anywhere(config, &config.workspace).set(route(config, url)?).remote();
    outside.run(&["clone", "--no-checkout", "--quiet", "--", url, &target]).await?;
    let git = Git::new(config);
    let base = format!("refs/remotes/origin/{}", request.base);
    let Some(base_head) = git.commit_of(&base).await? else {
        let branches = ["for-each-ref", "--count=1", "refs/remotes/origin"];
        let words = if git.run(&branches).await?.is_empty() {
            "the repository is empty: it has no branch yet".to_owned()
        } else {
            format!("the repository has no branch {}", request.base)
        };
        return Err(Failure::new(StepErrorKind::BaseMissing, words));
    };
    let own = format!("refs/remotes/origin/{}", request.branch);
    let from = match (git.commit_of(&own).await?, request.branch_is_ours) {
        (Some(own_head), true) => own_head,
        (Some(_), false) => {
            return Err(Failure::new(
                StepErrorKind::BranchExists,
                format!("the branch {} exists and is not this session's", request.branch),
            ));
        }
        (None, _) => base_head,
    };
    git.run(&["checkout", "--quiet", "--no-track", "-B", &request.branch, &from]).await?;
    Ok(Cloned { git_head: git.head().await? })
}

/// Makes a restored repository ready: the gateway's route, and the working branch, which a fork does not
/// have yet. Nothing of the working tree changes.
pub(crate) async fn resume(config: &Config, query: &RestoreQuery) -> Step<Restored> {
    offer(config, &query.remote_url)?;
    let git = Git::new(config);
    let branch = format!("refs/heads/{}", query.branch);
    let git_head = git.head().await?;
    if git_head != super::NO_COMMIT && git.commit_of(&branch).await?.is_none() {
        git.run(&["checkout", "--quiet", "--no-track", "-b", &query.branch]).await?;
    }
    // Every file has a new inode: said once here, not found out by the agent's first command. A conflict
    // makes it fail, and is nothing wrong.
    git.attempt(&["update-index", "-q", "--refresh"]).await?;
    Ok(Restored { git_head })
}
