use domain::github::{Branch, Repository};
use serde::Deserialize;

use super::{GitHub, GitHubError, Page};

/// How many there are on a page.
const PER_PAGE: u32 = 50;

/// A repository, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RepositoryInfo {
    /// `owner/name`, as GitHub spells it.
    pub full_name: String,
    /// The branch that work begins from unless told otherwise.
    pub default_branch: String,
    /// Whether it is private.
    #[serde(default)]
    pub private: bool,
    /// Whether nothing can be pushed to it any more.
    #[serde(default)]
    pub archived: bool,
    /// Its page.
    pub html_url: String,
    #[serde(default)]
    permissions: Permissions,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
struct Permissions {
    #[serde(default)]
    push: bool,
}

impl RepositoryInfo {
    /// Why nothing can be pushed to it, in words.
    #[must_use]
    pub fn why_not_writable(&self) -> Option<&'static str> {
        if self.archived {
            Some("the repository is archived")
        } else if !self.can_push() {
            Some("the installation's credential may not push to it")
        } else {
            None
        }
    }

    /// Whether the credential may push.
    #[must_use]
    pub fn can_push(&self) -> bool {
        self.permissions.push
    }
}

/// A branch.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct BranchInfo {
    /// Its name.
    pub name: String,
    /// The commit it is at.
    pub commit: CommitInfo,
}

/// A commit, by name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CommitInfo {
    /// Its full name.
    pub sha: String,
}

/// An issue.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Issue {
    /// Its number.
    pub number: u64,
    /// What it is about.
    pub title: String,
    /// Its text, if it has one.
    #[serde(default)]
    pub body: Option<String>,
    /// `open` or `closed`.
    pub state: String,
    /// Its page.
    pub html_url: String,
    /// Pull requests are in GitHub's lists of issues too; this tells them apart.
    #[serde(default)]
    pull_request: Option<serde_json::Value>,
}

/// Whose credential it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct User {
    /// Their name on GitHub.
    pub login: String,
    /// Their number.
    pub id: u64,
}

impl GitHub {
    /// A repository.
    pub async fn repository(&self, repo: &Repository) -> Result<RepositoryInfo, GitHubError> {
        self.get(&format!("/repos/{repo}")).await?.json(self.now())
    }

    /// A page of a repository's branches; the first page is 1.
    pub async fn branches(
        &self,
        repo: &Repository,
        page: u32,
    ) -> Result<Page<BranchInfo>, GitHubError> {
        let path = format!("/repos/{repo}/branches?per_page={PER_PAGE}&page={page}");
        self.get(&path).await?.page(self.now())
    }

    /// The commit that a branch is at; none where there is no such branch.
    pub async fn branch(
        &self,
        repo: &Repository,
        branch: &Branch,
    ) -> Result<Option<BranchInfo>, GitHubError> {
        let path = format!("/repos/{repo}/branches/{}", escaped(branch.as_str()));
        match self.get(&path).await?.json(self.now()) {
            Ok(found) => Ok(Some(found)),
            Err(GitHubError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A page of a repository's open issues, the newest first, without pull requests; the first page
    /// is 1. A page may hold fewer than the next one.
    pub async fn issues(&self, repo: &Repository, page: u32) -> Result<Page<Issue>, GitHubError> {
        let path = format!("/repos/{repo}/issues?state=open&per_page={PER_PAGE}&page={page}");
        let mut found: Page<Issue> = self.get(&path).await?.page(self.now())?;
        found.items.retain(|issue| issue.pull_request.is_none());
        Ok(found)
    }

    /// An issue. A pull request of that number is none.
    pub async fn issue(&self, repo: &Repository, number: u64) -> Result<Issue, GitHubError> {
        let path = format!("/repos/{repo}/issues/{number}");
        let issue: Issue = self.get(&path).await?.json(self.now())?;
        if issue.pull_request.is_some() { Err(GitHubError::NotFound) } else { Ok(issue) }
    }

    /// Whose credential it is.
    pub async fn user(&self) -> Result<User, GitHubError> {
        self.get("/user").await?.json(self.now())
    }
}

/// A branch's name as one segment of a path or a value of a query.
pub(super) fn escaped(name: &str) -> String {
    url::form_urlencoded::byte_serialize(name.as_bytes()).collect()
}
