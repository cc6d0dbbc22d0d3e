use crate::{
    failure::Step,
    git::Git,
    server::Config,
    wire::{CommitRequest, Committed, PushReport, PushRequest, Pushed},
};

/// Commits what is left, as the repository's own ignore rules have it.
pub(crate) async fn commit(config: &Config, request: &CommitRequest) -> Step<Committed> {
    let git = Git::new(config)
        .env("GIT_AUTHOR_NAME", &request.author_name)
        .env("GIT_AUTHOR_EMAIL", &request.author_email)
        .env("GIT_COMMITTER_NAME", &request.committer_name)
        .env("GIT_COMMITTER_EMAIL", &request.committer_email)
        .input(request.message.as_bytes());
    git.run(&["add", "--all"]).await?;
    let unchanged = git.attempt(&["diff", "--cached", "--quiet"], 0).await?.code == Some(0);
    if !unchanged {
        git.run(&["commit", "--quiet", "--no-verify", "--no-gpg-sign", "--file=-"]).await?;
    }
    Ok(Committed { head: git.run(&["rev-parse", "HEAD"]).await?, committed: !unchanged })
}

/// Pushes the working branch, never by force, if it has anything that its base has not.
pub(crate) async fn push(config: &Config, request: &PushRequest) -> Step<PushReport> {
    let git = Git::new(config);
    let base = format!("refs/remotes/origin/{}", request.base);
    let range = format!("{base}..HEAD");
    let count = git.run(&["rev-list", "--count", &range]).await?;
    let commits = count.parse().unwrap_or(0);
    if commits == 0 {
        return Ok(PushReport { pushed: None });
    }
    let to = format!("HEAD:refs/heads/{}", request.branch);
    git.run(&["push", "--quiet", "--no-verify", "origin", &to]).await?;
    let subjects =
        git.run(&["log", "--reverse", "--format=%s", "--max-count=1000", &range]).await?;
    Ok(PushReport {
        pushed: Some(Pushed {
            head: git.run(&["rev-parse", "HEAD"]).await?,
            commits,
            subject: subjects.lines().next().unwrap_or_default().chars().take(200).collect(),
        }),
    })
}
