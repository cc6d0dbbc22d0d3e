use chrono::{DateTime, Utc};
use domain::{
    github::{Branch, Repository},
    session::PullState,
};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};

use super::{GitHub, GitHubError, repositories::escaped};

/// Where a repository may keep its template, in the order in which GitHub looks.
const TEMPLATES: [&str; 6] = [
    ".github/PULL_REQUEST_TEMPLATE.md",
    ".github/pull_request_template.md",
    "PULL_REQUEST_TEMPLATE.md",
    "pull_request_template.md",
    "docs/PULL_REQUEST_TEMPLATE.md",
    "docs/pull_request_template.md",
];
/// The longest name of an edition that is remembered.
const MAX_ETAG: usize = 200;
/// The most bytes of a template that are used.
const MAX_TEMPLATE: usize = 16 * 1024;

/// A pull request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Pull {
    /// Its number.
    pub number: u64,
    /// Its page.
    pub html_url: String,
    /// `open` or `closed`.
    pub state: String,
    /// Whether it is a draft.
    #[serde(default)]
    pub draft: bool,
    /// When it was merged, if it was.
    #[serde(default)]
    pub merged_at: Option<DateTime<Utc>>,
    /// Its text, if it has one.
    #[serde(default)]
    pub body: Option<String>,
    /// What is to be merged.
    pub head: Head,
}

impl Pull {
    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> PullState {
        if self.merged_at.is_some() {
            PullState::Merged
        } else if self.state == "closed" {
            PullState::Closed
        } else if self.draft {
            PullState::Draft
        } else {
            PullState::Open
        }
    }
}

/// What a look at a pull request found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Looked {
    /// It is as it was when the forge gave that edition out. Costs nothing of a rate limit.
    AsBefore,
    /// It is this, with the name of this edition of it, if the forge gives one.
    Now(Box<Pull>, Option<String>),
}

/// What a pull request is to merge.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Head {
    /// The commit's full name.
    pub sha: String,
}

/// A pull request to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewPull {
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// The branch to be merged.
    pub head: Branch,
    /// The branch to merge it into.
    pub base: Branch,
    /// Whether it is a draft.
    pub draft: bool,
}

#[derive(Deserialize)]
struct Contents {
    #[serde(default)]
    encoding: String,
    #[serde(default)]
    content: String,
}

impl GitHub {
    /// The open pull request that is to merge `head` into `base`, if there is one.
    pub async fn open_pull(
        &self,
        repo: &Repository,
        head: &Branch,
        base: &Branch,
    ) -> Result<Option<Pull>, GitHubError> {
        let head = escaped(&format!("{}:{head}", repo.owner()));
        let base = escaped(base.as_str());
        let path = format!("/repos/{repo}/pulls?state=open&head={head}&base={base}&per_page=1");
        let found: Vec<Pull> = self.get(&path).await?.json(self.now())?;
        Ok(found.into_iter().next())
    }

    /// A pull request.
    pub async fn pull(&self, repo: &Repository, number: u64) -> Result<Pull, GitHubError> {
        self.get(&format!("/repos/{repo}/pulls/{number}")).await?.json(self.now())
    }

    /// Looks at a pull request once; `edition` is what the last look gave out.
    pub async fn look_at_pull(
        &self,
        repo: &Repository,
        number: u64,
        edition: Option<&str>,
    ) -> Result<Looked, GitHubError> {
        let path = format!("/repos/{repo}/pulls/{number}");
        let answer = self.get_unless(&path, edition).await?;
        if answer.status == StatusCode::NOT_MODIFIED {
            return Ok(Looked::AsBefore);
        }
        let edition = answer.headers.get(header::ETAG).and_then(|etag| etag.to_str().ok());
        let edition = edition.filter(|etag| etag.len() <= MAX_ETAG).map(str::to_owned);
        Ok(Looked::Now(Box::new(answer.json(self.now())?), edition))
    }

    /// Makes a pull request. Not tried again: [`open_pull`](Self::open_pull) tells whether it was made.
    pub async fn create_pull(&self, repo: &Repository, new: &NewPull) -> Result<Pull, GitHubError> {
        self.post(&format!("/repos/{repo}/pulls"), new).await?.json(self.now())
    }

    /// The repository's template for pull requests, if it has one.
    pub async fn pull_template(
        &self,
        repo: &Repository,
        base: &Branch,
    ) -> Result<Option<String>, GitHubError> {
        for path in TEMPLATES {
            let reference = escaped(base.as_str());
            let path = format!("/repos/{repo}/contents/{path}?ref={reference}");
            match self.get(&path).await?.json::<Contents>(self.now()) {
                Ok(found) => return Ok(decoded(&found)),
                // A directory of several templates is none to choose from by itself.
                Err(GitHubError::NotFound | GitHubError::Unreadable { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

fn decoded(contents: &Contents) -> Option<String> {
    use base64::Engine as _;
    if contents.encoding != "base64" {
        return None;
    }
    let packed: String = contents.content.split_ascii_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(packed).ok()?;
    let mut text = String::from_utf8(bytes).ok()?;
    text.truncate(text.floor_char_boundary(MAX_TEMPLATE));
    (!text.trim().is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_decoded_from_lines_of_base64() {
        let contents =
            |content: &str| Contents { encoding: "base64".into(), content: content.to_owned() };
        assert_eq!(decoded(&contents("IyMg\nV2hh\ndA==\n")).as_deref(), Some("## What"));
        assert_eq!(decoded(&contents("ICAK")), None);
        assert_eq!(decoded(&contents("%%%")), None);
    }
}
