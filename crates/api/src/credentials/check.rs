//! Asks the forge what a credential is good for, and says plainly what came of it.

use commands::KnownCredential;
use domain::{
    credential::{Checked, Kind, Outcome, Reason},
    github::Repository,
};

use super::{Credentials, Withheld};
use crate::github::{GitHub, GitHubError, Tried};

impl Credentials {
    /// Tries a credential's value, on a repository where one is named.
    pub(super) async fn check(&self, known: &KnownCredential, repo: Option<Repository>) -> Checked {
        let tried = match known.credential.registered.kind {
            Kind::Pat | Kind::ClassicPat => self.try_token(known, repo.as_ref()).await,
            Kind::App { app } => self.try_app(known, app, repo.as_ref()).await,
        };
        let outcome = match tried {
            Ok(tried) => works(&tried),
            Err(outcome) => outcome,
        };
        Checked { generation: known.credential.generation, repo, outcome }
    }

    async fn try_token(
        &self,
        known: &KnownCredential,
        repo: Option<&Repository>,
    ) -> Result<Tried, Outcome> {
        let value = self.value(known).await.map_err(|error| withheld(&error.into()))?;
        let forge = self.github.with_token(value.expose()).map_err(|error| failed(&error))?;
        forge.try_credential(repo).await.map_err(|error| failed(&error))
    }

    async fn try_app(
        &self,
        known: &KnownCredential,
        app: u64,
        repo: Option<&Repository>,
    ) -> Result<Tried, Outcome> {
        let app = self.forge_as_app(known, app).await.map_err(|error| withheld(&error))?;
        let Some(repo) = repo else {
            app.app().await.map_err(|error| failed(&error))?;
            return Ok(Tried { repository: None, expires_at: None });
        };
        let not_installed = |error: GitHubError| match error {
            GitHubError::NotFound => Outcome::Refused { reason: Reason::NotInstalled },
            error => failed(&error),
        };
        let installation = app.installation(repo).await.map_err(not_installed)?;
        let minted = app.mint(installation, repo).await.map_err(|error| failed(&error))?;
        let forge = self.github.with_token(&minted.token).map_err(|error| failed(&error))?;
        let tried = forge.try_credential(Some(repo)).await;
        ended(&forge).await;
        // The token that was tried expires in an hour; the key does not.
        tried.map(|tried| Tried { expires_at: None, ..tried }).map_err(|error| failed(&error))
    }
}

async fn ended(forge: &GitHub) {
    if let Err(error) = forge.end_token().await {
        tracing::warn!(%error, "a token that was made to try an app's key was not ended: it expires");
    }
}

fn works(tried: &Tried) -> Outcome {
    let push = tried.repository.as_ref().map(|repo| repo.why_not_writable().is_none());
    Outcome::Works { push, expires_at: tried.expires_at }
}

fn withheld(error: &Withheld) -> Outcome {
    match error {
        Withheld::Forge(error) => failed(error),
        Withheld::NoRun
        | Withheld::NotThere
        | Withheld::Revoked
        | Withheld::Expired
        | Withheld::Secret(_)
        | Withheld::Command(_)
        | Withheld::Store(_) => Outcome::Unknown { reason: Reason::StoreAway },
    }
}

fn failed(error: &GitHubError) -> Outcome {
    let refused = |reason| Outcome::Refused { reason };
    let unknown = |reason| Outcome::Unknown { reason };
    match error {
        GitHubError::Unauthorised => refused(Reason::BadCredential),
        GitHubError::Forbidden { .. } => refused(Reason::Forbidden),
        GitHubError::NotFound => refused(Reason::RepositoryNotFound),
        GitHubError::RateLimited { .. } => unknown(Reason::RateLimited),
        GitHubError::Unavailable { .. } => unknown(Reason::Unreachable),
        GitHubError::Rejected { .. } | GitHubError::Unreadable { .. } => {
            unknown(Reason::Unreadable)
        }
        GitHubError::Withheld { .. } => unknown(Reason::StoreAway),
    }
}
