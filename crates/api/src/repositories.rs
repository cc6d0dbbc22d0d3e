//! What the forge says of a repository: for choosing one, and a branch and an issue of it.

use axum::{Json, extract::State};
use domain::github::Repository;
use projections::Cursor;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    access::{Allowance, Caller},
    answer::ListBody,
    github::{BranchInfo, GitHub, GitHubError, Issue, Page},
    problem::{Answer, Problem},
    request::{ListQuery, Params, Segments},
    state::AppState,
};

/// How many pages of the forge are looked through at once.
const LOOKED_THROUGH: u32 = 5;

/// A repository.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RepositoryBody {
    repo: String,
    default_branch: String,
    private: bool,
    /// Whether sessions can work on it: nothing stands against pushing to it.
    can_push: bool,
    /// Why not, in words.
    why_not: Option<String>,
}

/// A branch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BranchBody {
    name: String,
    commit: String,
}

/// An issue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IssueBody {
    number: u64,
    title: String,
    body: Option<String>,
    url: String,
}

impl From<Issue> for IssueBody {
    fn from(issue: Issue) -> Self {
        Self { number: issue.number, title: issue.title, body: issue.body, url: issue.html_url }
    }
}

fn repository(owner: &str, name: &str) -> Answer<Repository> {
    format!("{owner}/{name}").parse().map_err(|error| Problem::field("repo", error))
}

/// The forge, as the caller's own credential reaches it where they have one.
async fn forge(state: &AppState, caller: &Caller, repo: &Repository) -> Answer<GitHub> {
    state.forge_for(&Allowance::of(state, caller), repo).await
}

/// Says whether a repository is there and can be worked on.
#[utoipa::path(get, path = "/api/v1/repositories/{owner}/{name}", operation_id = "getRepository", tag = "repositories",
    params(("owner" = String, Path), ("name" = String, Path)),
    responses((status = 200, description = "It is there", body = RepositoryBody)))]
pub(crate) async fn get_repository(
    State(state): State<AppState>,
    caller: Caller,
    Segments((owner, name)): Segments<(String, String)>,
) -> Answer<Json<RepositoryBody>> {
    let repo = repository(&owner, &name)?;
    match forge(&state, &caller, &repo).await?.repository(&repo).await {
        Ok(found) => Ok(Json(RepositoryBody {
            can_push: found.why_not_writable().is_none(),
            why_not: found.why_not_writable().map(str::to_owned),
            private: found.private,
            repo: found.full_name,
            default_branch: found.default_branch,
        })),
        Err(GitHubError::NotFound) => Err(Problem::not_found("repository")),
        Err(error) => Err(error.into()),
    }
}

/// Which branches or issues.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForgeQuery {
    /// How many items, 1 to 200; the forge may give fewer at a time.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Those with this in their name, title or number: of the first few pages, which are looked through.
    q: Option<String>,
}

impl ForgeQuery {
    fn list(&self) -> ListQuery {
        ListQuery { limit: self.limit, cursor: self.cursor.clone(), at_least: None }
    }

    /// What is looked for, in lower case.
    fn wanted(&self) -> Option<String> {
        let q = self.q.as_deref().map(str::trim).filter(|q| !q.is_empty());
        q.map(str::to_lowercase)
    }
}

/// Lists a repository's branches.
#[utoipa::path(get, path = "/api/v1/repositories/{owner}/{name}/branches", operation_id = "listBranches", tag = "repositories",
    params(("owner" = String, Path), ("name" = String, Path), ForgeQuery),
    responses((status = 200, description = "A part of the list", body = ListBody<BranchBody>)))]
pub(crate) async fn list_branches(
    State(state): State<AppState>,
    caller: Caller,
    Segments((owner, name)): Segments<(String, String)>,
    Params(query): Params<ForgeQuery>,
) -> Answer<Json<ListBody<BranchBody>>> {
    let repo = repository(&owner, &name)?;
    let list = format!("branches {repo} {:?}", query.q);
    let wanted = query.wanted();
    let forge = forge(&state, &caller, &repo).await?;
    let get = |page| {
        let (github, repo) = (forge.clone(), repo.clone());
        async move { github.branches(&repo, page).await }
    };
    let is = |branch: &BranchInfo| {
        wanted.as_ref().is_none_or(|q| branch.name.to_lowercase().contains(q.as_str()))
    };
    let found = looked_through(&list, &query.list(), wanted.is_some(), get, is).await?;
    let body = |branch: BranchInfo| BranchBody { name: branch.name, commit: branch.commit.sha };
    let items = found.items.into_iter().map(body).collect();
    Ok(Json(ListBody { items, next: next(&list, found.next) }))
}

/// Lists a repository's open issues.
#[utoipa::path(get, path = "/api/v1/repositories/{owner}/{name}/issues", operation_id = "listIssues", tag = "repositories",
    params(("owner" = String, Path), ("name" = String, Path), ForgeQuery),
    responses((status = 200, description = "A part of the list", body = ListBody<IssueBody>)))]
pub(crate) async fn list_issues(
    State(state): State<AppState>,
    caller: Caller,
    Segments((owner, name)): Segments<(String, String)>,
    Params(query): Params<ForgeQuery>,
) -> Answer<Json<ListBody<IssueBody>>> {
    let repo = repository(&owner, &name)?;
    let list = format!("issues {repo} {:?}", query.q);
    let wanted = query.wanted();
    let forge = forge(&state, &caller, &repo).await?;
    let get = |page| {
        let (github, repo) = (forge.clone(), repo.clone());
        async move { github.issues(&repo, page).await }
    };
    let is = |issue: &Issue| {
        wanted.as_ref().is_none_or(|q| {
            format!("#{} {}", issue.number, issue.title.to_lowercase()).contains(q.as_str())
        })
    };
    let found = looked_through(&list, &query.list(), wanted.is_some(), get, is).await?;
    let items = found.items.into_iter().map(IssueBody::from).collect();
    Ok(Json(ListBody { items, next: next(&list, found.next) }))
}

/// A page of what is wanted; where something is looked for, of a few pages of the forge at once.
async fn looked_through<T, F>(
    list: &str,
    query: &ListQuery,
    looking: bool,
    get: impl Fn(u32) -> F,
    is: impl Fn(&T) -> bool,
) -> Answer<Page<T>>
where
    F: Future<Output = Result<Page<T>, GitHubError>>,
{
    query.limit()?;
    let mut found = get(page_of(list, query)?).await?;
    found.items.retain(&is);
    let mut looked_at = 1;
    while let Some(page) = found.next.filter(|_| looking && looked_at < LOOKED_THROUGH) {
        let more = get(page).await?;
        found.items.extend(more.items.into_iter().filter(&is));
        found.next = more.next;
        looked_at += 1;
    }
    Ok(found)
}

/// Shows one issue.
#[utoipa::path(get, path = "/api/v1/repositories/{owner}/{name}/issues/{number}", operation_id = "getIssue", tag = "repositories",
    params(("owner" = String, Path), ("name" = String, Path), ("number" = u64, Path)),
    responses((status = 200, description = "The issue", body = IssueBody)))]
pub(crate) async fn get_issue(
    State(state): State<AppState>,
    caller: Caller,
    Segments((owner, name, number)): Segments<(String, String, u64)>,
) -> Answer<Json<IssueBody>> {
    let repo = repository(&owner, &name)?;
    match forge(&state, &caller, &repo).await?.issue(&repo, number).await {
        Ok(issue) => Ok(Json(issue.into())),
        Err(GitHubError::NotFound) => Err(Problem::not_found("issue")),
        Err(error) => Err(error.into()),
    }
}

/// The forge counts its pages; callers see a cursor.
fn page_of(list: &str, query: &ListQuery) -> Answer<u32> {
    Ok(query.cursor.as_deref().map_or(Ok(1), |cursor| Cursor::key(list, cursor))?)
}

fn next(list: &str, page: Option<u32>) -> Option<String> {
    page.map(|page| Cursor::after(list, page).encode())
}
