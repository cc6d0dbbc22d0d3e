//! What GitHub says of a credential, and the tokens that an app's key makes.

use chrono::{DateTime, NaiveDateTime, Utc};
use domain::github::Repository;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{GitHub, GitHubError, RepositoryInfo, answer::Answer};

/// The header in which GitHub says when the token of a request expires.
const EXPIRES: &str = "github-authentication-token-expiration";

/// What GitHub says of a credential that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The repository, where one was asked for.
    pub repository: Option<RepositoryInfo>,
    /// When the credential expires, where it says so.
    pub expires_at: Option<DateTime<Utc>>,
}

/// An app's installation on a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Installed {
    /// Its number.
    pub id: u64,
}

/// A token that was made for one repository. Without `Debug`: it is a secret.
#[derive(Deserialize)]
pub struct MintedToken {
    /// The token.
    #[serde(deserialize_with = "secret")]
    pub token: Zeroizing<String>,
    /// Until when it is good.
    pub expires_at: DateTime<Utc>,
}

fn secret<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(from).map(Zeroizing::new)
}

impl GitHub {
    /// Asks once, with this client's credential, what that is good for.
    pub async fn try_credential(&self, repo: Option<&Repository>) -> Result<Tried, GitHubError> {
        let path = repo.map_or_else(|| "/user".to_owned(), |repo| format!("/repos/{repo}"));
        let answer = self.look(&path).await?;
        let expires_at = expires_at(&answer);
        let repository = if repo.is_some() {
            Some(answer.json(self.now())?)
        } else {
            answer.json::<serde_json::Value>(self.now())?;
            None
        };
        Ok(Tried { repository, expires_at })
    }

    /// Where the app of this client's key is installed for a repository.
    pub async fn installation(&self, repo: &Repository) -> Result<Installed, GitHubError> {
        self.get(&format!("/repos/{repo}/installation")).await?.json(self.now())
    }

    /// Whether the app's key is good.
    pub async fn app(&self) -> Result<(), GitHubError> {
        self.look("/app").await?.json::<serde_json::Value>(self.now()).map(|_| ())
    }

    /// Makes a token that may do what a run does, to one repository.
    pub async fn mint(
        &self,
        installation: Installed,
        repo: &Repository,
    ) -> Result<MintedToken, GitHubError> {
        let path = format!("/app/installations/{}/access_tokens", installation.id);
        // No `workflows`: a push that touches them is refused by GitHub itself.
        let body = json!({
            "repositories": [repo.name()],
            "permissions": {
                "contents": "write", "pull_requests": "write", "issues": "read", "metadata": "read",
            },
        });
        self.post(&path, &body).await?.json(self.now())
    }

    /// Ends this client's own token, if it is one that was made so. One that is ended already is fine.
    pub async fn end_token(&self) -> Result<(), GitHubError> {
        let answer = self.delete("/installation/token").await?;
        match answer.done(self.now()) {
            Ok(()) | Err(GitHubError::Unauthorised | GitHubError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// `2027-01-31 09:00:00 UTC` or `2027-01-31 09:00:00 +0000`.
fn expires_at(answer: &Answer) -> Option<DateTime<Utc>> {
    let text = answer.headers.get(EXPIRES)?.to_str().ok()?;
    let zoned = DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S %z").ok();
    zoned.map(|at| at.to_utc()).or_else(|| {
        let plain = text.strip_suffix(" UTC").unwrap_or(text);
        NaiveDateTime::parse_from_str(plain, "%Y-%m-%d %H:%M:%S").ok().map(|at| at.and_utc())
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;

    #[test]
    fn the_forms_in_which_an_expiry_comes_are_read() {
        let read = |text: &str| {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static(EXPIRES),
                text.parse().expect("a value"),
            )]);
            expires_at(&Answer { status: StatusCode::OK, headers, body: vec![] })
        };
        let at = "2027-01-31T09:00:00Z".parse().ok();
        assert_eq!(read("2027-01-31 09:00:00 UTC"), at);
        assert_eq!(read("2027-01-31 09:00:00 +0000"), at);
        assert_eq!(read("2027-01-31 10:00:00 +0100"), at);
        assert_eq!(read("soon"), None);
    }
}
