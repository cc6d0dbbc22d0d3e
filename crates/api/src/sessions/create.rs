use axum::{extract::State, http::StatusCode};
use commands::Accepted;
use domain::{
    access::{Action, Resource},
    github::{Branch, Repository},
    ids::SessionId,
    session::{Command, Created},
};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    access::Allowance,
    answer::{CommandBody, Done},
    github::{GitHub, GitHubError},
    problem::{Answer, Problem},
    request::{Asked, By, line},
    state::AppState,
};

/// The most characters of a title.
pub(super) const MAX_TITLE: usize = 500;

/// What a session is made with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSession {
    /// The repository, as owner/name.
    pub(crate) repo: String,
    /// What it is about, in one line of at most 500 characters; the issue's title where an issue is named.
    pub(crate) title: Option<String>,
    /// The issue to work on.
    pub(crate) issue: Option<u64>,
    /// The branch to merge into; the repository's default branch unless told otherwise.
    pub(crate) base: Option<String>,
}

/// Starts a line of work on a repository.
#[utoipa::path(post, path = "/api/v1/sessions", operation_id = "createSession", tag = "sessions",
    request_body = NewSession,
    responses((status = 201, description = "It is there", body = CommandBody)))]
pub(crate) async fn create_session(
    State(state): State<AppState>,
    asked: Asked<NewSession>,
) -> Answer<Done> {
    let allowance = Allowance::of(&state, &asked.caller);
    Ok(Done::created(create(&state, &asked.by, &allowance, &asked.body).await?))
}

/// Starts a line of work, whoever asks, and however.
pub(crate) async fn create(
    state: &AppState,
    by: &By,
    allowance: &Allowance,
    new: &NewSession,
) -> Answer<Accepted> {
    const NAME: &str = "session.create";
    if let Some(first) = by.answered(state, NAME, None).await? {
        return Ok(first);
    }
    let settled = settled(state, allowance, new).await;
    let Settled { repo, base, title } = by.audited(state, NAME, None, settled).await?;
    let context = state.commands.context();
    let id = SessionId(context.id());
    let branch = working_branch(&title, id.0)?;
    let sealed = context.seal(title);
    let created = Created {
        repo,
        base,
        branch,
        title: sealed.reference.clone(),
        issue: new.issue,
        owner: by.owner,
    };
    let caused = by.caused(vec![sealed]);
    Ok(state.commands.session(id, Command::Create(created), caused).await?)
}

/// What the forge had to say for.
struct Settled {
    repo: Repository,
    base: Branch,
    title: String,
}

async fn settled(state: &AppState, allowance: &Allowance, new: &NewSession) -> Answer<Settled> {
    let repo: Repository = new.repo.parse().map_err(|error| Problem::field("repo", error))?;
    let base = new.base.as_deref().map(str::parse).transpose();
    let base: Option<Branch> = base.map_err(|error| Problem::field("base", error))?;
    let title = new.title.as_deref().map(|title| line("title", title, MAX_TITLE)).transpose()?;
    if title.is_none() && new.issue.is_none() {
        return Err(Problem::field("title", "is needed where no issue is named"));
    }
    // Before the forge is asked: of what one may not use nothing is said.
    allowance.demand(Action::CreateSession, &Resource::Repository(repo.clone()))?;
    let forge = state.forge_for(allowance, &repo).await?;
    let about = forge.repository(&repo).await?;
    if let Some(words) = about.why_not_writable() {
        return Err(refused("repository-not-writable", "repo", words));
    }
    let base = match base {
        Some(base) => base,
        None => about.default_branch.parse().map_err(|error| Problem::field("base", error))?,
    };
    if forge.branch(&repo, &base).await?.is_none() {
        let words = format!("the repository has no branch {base}");
        return Err(refused("base-not-found", "base", &words));
    }
    let of_issue = match new.issue {
        Some(number) => Some(issue_title(&forge, &repo, number).await?),
        None => None,
    };
    // One of the two is there.
    let title = title.or(of_issue).unwrap_or_default();
    Ok(Settled { repo, base, title })
}

async fn issue_title(forge: &GitHub, repo: &Repository, number: u64) -> Answer<String> {
    match forge.issue(repo, number).await {
        // Another's words: made to fit, not refused.
        Ok(issue) => {
            let title: String = issue.title.chars().filter(|c| !c.is_control()).collect();
            let title: String = title.trim().chars().take(MAX_TITLE).collect();
            Ok(if title.is_empty() { format!("Issue #{number}") } else { title })
        }
        Err(GitHubError::NotFound) => {
            let words = format!("the repository has no issue #{number}");
            Err(refused("issue-not-found", "issue", &words))
        }
        Err(error) => Err(error.into()),
    }
}

fn refused(code: &str, field: &str, words: &str) -> Problem {
    Problem::refused(StatusCode::UNPROCESSABLE_ENTITY, code, field, words)
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
