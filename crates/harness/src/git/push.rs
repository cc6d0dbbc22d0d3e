use super::{Git, NO_COMMIT, settings::route};
use crate::{
    config::Config,
    failure::{Failure, Step},
    wire::{PushReport, PushRequest, Pushed, StepErrorKind},
};

/// The longest subject that is passed on.
const MAX_SUBJECT: usize = 200;

/// Pushes the working branch, never by force, if it has anything that its base has not.
pub(crate) async fn push(config: &Config, request: &PushRequest) -> Step<PushReport> {
    let git = Git::new(config);
    let head = git.head().await?;
    let base = base(&git, &request.base).await?;
    let range = format!("{base}..{head}");
    let commits = match head.as_str() {
        NO_COMMIT => 0,
        _ => git.run(&["rev-list", "--count", &range]).await?.parse().map_err(Failure::other)?,
    };
    if commits == 0 {
        return Ok(PushReport { pushed: None });
    }
    let to = format!("{head}:refs/heads/{}", request.branch);
    let push = [
        "push",
        "--quiet",
        "--no-verify",
        "--no-follow-tags",
        "--no-recurse-submodules",
        "origin",
        &to,
    ];
    let url = git.run(&["config", "--get", "remote.origin.url"]).await?;
    Git::new(config).set(route(config, &url)?).remote().run(&push).await?;
    // The oldest comes first; the rest is not read.
    let subjects = Git::new(config).at_most(64 * 1024);
    let said = subjects.attempt(&["log", "--reverse", "--format=%s", &range]).await?;
    let text = said.text();
    let subject = text.lines().next().unwrap_or_default();
    let subject = subject.chars().filter(|c| !c.is_control()).take(MAX_SUBJECT).collect();
    Ok(PushReport { pushed: Some(Pushed { head, commits, subject }) })
}

/// The newest known commit of the branch to merge into.
pub(super) async fn base(git: &Git<'_>, branch: &str) -> Step<String> {
    let base = git.commit_of(&format!("refs/remotes/origin/{branch}")).await?;
    base.ok_or_else(|| {
        let words = format!("the workspace does not know origin's branch {branch}");
        Failure::new(StepErrorKind::BaseMissing, words)
    })
}
