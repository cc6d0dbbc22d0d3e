use axum::extract::State;
use domain::{
    github::{Branch, Repository},
    ids::SessionId,
    session::{Command, Created},
};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    answer::{CommandBody, Done},
    github::GitHubError,
    problem::{Answer, Problem},
    request::{Asked, text},
    state::AppState,
};

/// What a session is made with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSession {
    /// The repository, as owner/name.
    repo: String,
    /// What it is about; the issue's title where an issue is named.
    title: Option<String>,
    /// The issue to work on.
    issue: Option<u64>,
    /// The branch to merge into; the repository's default branch unless told otherwise.
    base: Option<String>,
}

/// Starts a line of work on a repository.
#[utoipa::path(post, path = "/api/v1/sessions", operation_id = "createSession", tag = "sessions",
    request_body = NewSession,
    responses((status = 201, description = "It is there", body = CommandBody)))]
pub(crate) async fn create_session(
    State(state): State<AppState>,
    asked: Asked<NewSession>,
) -> Answer<Done> {
    let new = &asked.body;
    let repo: Repository = new.repo.parse().map_err(|error| Problem::field("repo", error))?;
    let about = state.github.repository(&repo).await?;
    if !about.can_push() {
        return Err(Problem::field("repo", "the installation's credential may not push to it"));
    }
    let base = base_of(&state, &repo, new.base.as_deref().unwrap_or(&about.default_branch)).await?;
    let title = match (&new.title, new.issue) {
        (Some(title), _) => title.clone(),
        (None, Some(number)) => issue_title(&state, &repo, number).await?,
        (None, None) => return Err(Problem::field("title", "is needed where no issue is named")),
    };
    let title = text("title", title)?;
    let context = state.commands.context();
    let id = SessionId(context.id());
    let sealed = context.seal(title.clone());
    let created = Created {
        repo,
        base,
        branch: working_branch(&title, id.0)?,
        title: sealed.reference.clone(),
        issue: new.issue,
        owner: asked.caller.user,
    };
    let caused = asked.caused(vec![sealed]);
    Ok(Done::created(state.commands.session(id, Command::Create(created), caused).await?))
}

async fn base_of(state: &AppState, repo: &Repository, base: &str) -> Answer<Branch> {
    let base: Branch = base.parse().map_err(|error| Problem::field("base", error))?;
    match state.github.branch(repo, &base).await? {
        Some(_) => Ok(base),
        None => Err(Problem::field("base", format!("the repository has no branch {base}"))),
    }
}

async fn issue_title(state: &AppState, repo: &Repository, number: u64) -> Answer<String> {
    match state.github.issue(repo, number).await {
        Ok(issue) => Ok(issue.title),
        Err(GitHubError::NotFound) => {
            Err(Problem::field("issue", format!("the repository has no issue #{number}")))
        }
        Err(error) => Err(error.into()),
    }
}

/// `paddock/<what it is about>-<a bit of its id>`: readable, and never somebody else's.
pub(super) fn working_branch(title: &str, id: Uuid) -> Answer<Branch> {
    let mut slug = String::new();
    for word in title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        if slug.len() + word.len() > 40 {
            break;
        }
        if !slug.is_empty() {
            slug.push('-');
        }
        slug.push_str(&word.to_ascii_lowercase());
    }
    let bits = id.simple().to_string();
    let joint = if slug.is_empty() { "" } else { "-" };
    // The last digits: the first ones of a version 7 id are the time.
    let name = format!("paddock/{slug}{joint}{}", &bits[26..]);
    name.parse().map_err(|error| Problem::field("title", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_working_branch_is_a_branch_whatever_the_title() {
        for title in
            ["Fix: greet('World')!", "", "ä ö ü", "-x..y~z^", &"long word ".repeat(50), "../../etc"]
        {
            let branch = working_branch(title, Uuid::from_u128(7)).unwrap();
            assert!(branch.as_str().starts_with("paddock/"), "{branch}");
            assert!(branch.as_str().len() < 80, "{branch}");
        }
        let branch = working_branch("Fix: greet('World')!", Uuid::from_u128(7)).unwrap();
        assert_eq!(branch.as_str(), "paddock/fix-greet-world-000007");
    }
}
