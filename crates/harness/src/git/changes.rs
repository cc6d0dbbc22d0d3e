use crate::{
    failure::Step,
    git::Git,
    server::Config,
    wire::{Changes, ChangesRequest, MAX_DIFF_BYTES},
};

/// The branch's diff against its base, with what is not committed and not yet tracked. A copy of the index
/// is used: the agent's own stays as it is.
pub(crate) async fn changes(config: &Config, request: &ChangesRequest) -> Step<Changes> {
    let git = Git::new(config);
    let base = format!("refs/remotes/origin/{}", request.base);
    let base = git.run(&["merge-base", &base, "HEAD"]).await?;
    let head = git.run(&["rev-parse", "HEAD"]).await?;
    let index = tempfile::NamedTempFile::new()?;
    let own = config.repository().join(".git/index");
    if own.exists() {
        std::fs::copy(own, index.path())?;
    }
    let beside = Git::new(config).env("GIT_INDEX_FILE", index.path().to_string_lossy());
    beside.run(&["add", "--all"]).await?;
    let diff = [
        "diff",
        "--cached",
        "--no-ext-diff",
        "--no-textconv",
        "--no-color",
        "--find-renames",
        &base,
    ];
    let said = beside.attempt(&diff, MAX_DIFF_BYTES as u64).await?;
    if !said.success && !said.truncated {
        return Err(said.failure(&diff));
    }
    let diff = String::from_utf8_lossy(&said.stdout).into_owned();
    Ok(Changes { base, head, diff, truncated: said.truncated })
}
