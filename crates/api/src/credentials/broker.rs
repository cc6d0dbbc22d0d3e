use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use commands::{Caused, CommandError, Commands, KnownCredential, StoreError};
use domain::{
    credential::Kind,
    event::{Actor, Part},
    github::Repository,
    ids::{CredentialId, Generation, RunId},
    run,
};
use tokio::sync::Mutex;

use super::{Place, SecretStore, SecretStoreError, SecretValue, mint::Minted};
use crate::github::{GitHub, GitHubError};

/// Hands credentials out. Cheap to clone.
#[derive(Clone)]
pub struct Credentials {
    pub(super) commands: Commands,
    /// The forge, with the installation's own token where there is one.
    pub(super) github: GitHub,
    pub(super) store: Arc<dyn SecretStore>,
    /// Whether classic tokens can be registered.
    pub(super) classic: bool,
    /// The tokens that were made of apps' keys for runs.
    pub(super) minted: Arc<Mutex<HashMap<(CredentialId, RunId), Minted>>>,
    /// The same for questions about repositories, by their names.
    pub(super) looks: Arc<Mutex<HashMap<(CredentialId, String), Minted>>>,
}

/// What a run's request to the forge is to carry. Without `Debug`: it holds a secret.
pub struct Handed {
    /// Which credential.
    pub credential: CredentialId,
    /// Which of its values.
    pub generation: Generation,
    /// The token.
    pub token: SecretValue,
    /// Until when it is good, where that is known.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Why a credential is not handed out. Never holds a value.
#[derive(Debug, thiserror::Error)]
pub enum Withheld {
    /// There is no such run.
    #[error("there is no such run")]
    NoRun,
    /// There is no such credential.
    #[error("the run's credential is not there")]
    NotThere,
    /// It was revoked.
    #[error("the run's credential was revoked")]
    Revoked,
    /// It has expired.
    #[error("the run's credential has expired: rotate it")]
    Expired,
    /// Its value cannot be read now.
    #[error("the value of the run's credential cannot be read")]
    Secret(#[from] SecretStoreError),
    /// The forge makes no token of it.
    #[error("the forge makes no token of the run's credential")]
    Forge(#[from] GitHubError),
    /// The use could not be recorded.
    #[error("that the credential is used could not be recorded")]
    Command(#[from] CommandError),
    /// The log could not be read.
    #[error("the log could not be read")]
    Store(#[from] StoreError),
}

impl Withheld {
    /// The rule by which a gateway refuses; none where asking again may help.
    #[must_use]
    pub const fn rule(&self) -> Option<&'static str> {
        match self {
            Self::NoRun | Self::NotThere => Some("credential.unknown"),
            Self::Revoked => Some("credential.revoked"),
            Self::Expired => Some("credential.expired"),
            Self::Secret(SecretStoreError::Missing | SecretStoreError::Sealed) => {
                Some("credential.lost")
            }
            Self::Forge(
                GitHubError::NotFound | GitHubError::Unauthorised | GitHubError::Forbidden { .. },
            ) => Some("credential.refused"),
            Self::Secret(SecretStoreError::Away(_))
            | Self::Forge(_)
            | Self::Command(_)
            | Self::Store(_) => None,
        }
    }

    /// With what is behind it, in one line.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Self::Secret(error) => format!("{self}: {error}"),
            Self::Forge(error) => format!("{self}: {}", error.in_words()),
            Self::NoRun
            | Self::NotThere
            | Self::Revoked
            | Self::Expired
            | Self::Command(_)
            | Self::Store(_) => self.to_string(),
        }
    }
}

/// For the control plane's own requests to the forge.
impl From<Withheld> for GitHubError {
    fn from(withheld: Withheld) -> Self {
        match withheld {
            Withheld::Forge(error) => error,
            other if other.rule().is_none() => Self::Unavailable { detail: other.in_words() },
            other => Self::Withheld { reason: other.in_words() },
        }
    }
}

impl Credentials {
    /// Hands out what is in `store`; where a run has none of its own, `github`'s token is used.
    #[must_use]
    pub fn new(
        commands: Commands,
        github: GitHub,
        store: Arc<dyn SecretStore>,
        classic: bool,
    ) -> Self {
        let (minted, looks) = (Arc::default(), Arc::default());
        Self { commands, github, store, classic, minted, looks }
    }

    /// Whether there is a token by configuration.
    #[must_use]
    pub fn has_installations_own(&self) -> bool {
        self.github.has_token()
    }

    /// What a run's requests to the forge are to carry; nothing where that is the installation's own token. That it
    /// is used is on the run's record before this returns.
    pub async fn of_run(&self, id: RunId) -> Result<Option<Handed>, Withheld> {
        let run::State::Known(run) = self.commands.load_run(id).await?.0 else {
            return Err(Withheld::NoRun);
        };
        let Some(credential) = run.requested.credential else { return Ok(None) };
        // A value that goes just as it is read was rotated or revoked: the second look knows.
        match self.for_run(id, &run.requested.repo, credential).await {
            Err(Withheld::Secret(SecretStoreError::Missing)) => {
                self.for_run(id, &run.requested.repo, credential).await.map(Some)
            }
            handed => handed.map(Some),
        }
    }

    async fn for_run(
        &self,
        id: RunId,
        repo: &Repository,
        credential: CredentialId,
    ) -> Result<Handed, Withheld> {
        let known = self.usable(credential).await?;
        let generation = known.credential.generation;
        let use_it = run::Command::UseCredential { credential, generation };
        self.commands.run(id, use_it, Caused::by(Actor::System(Part::Broker))).await?;
        let (token, expires_at) = match known.credential.registered.kind {
            Kind::Pat | Kind::ClassicPat => {
                (self.value(&known).await?, known.credential.expires_at())
            }
            Kind::App { app } => {
                let (token, until) = self.minted_for(&known, app, id, repo).await?;
                (token, Some(until))
            }
        };
        Ok(Handed { credential, generation, token, expires_at })
    }

    /// The forge, as a run's requests reach it.
    pub async fn forge_of_run(&self, id: RunId) -> Result<GitHub, GitHubError> {
        match self.of_run(id).await? {
            Some(handed) => self.github.with_token(handed.token.expose()),
            None => Ok(self.github.clone()),
        }
    }

    /// The forge, as questions about a repository reach it with this credential, or the installation's own.
    pub async fn forge_with(
        &self,
        credential: Option<CredentialId>,
        repo: &Repository,
    ) -> Result<GitHub, GitHubError> {
        let Some(credential) = credential else { return Ok(self.github.clone()) };
        let known = self.usable(credential).await?;
        match known.credential.registered.kind {
            Kind::Pat | Kind::ClassicPat => {
                let value = self.value(&known).await.map_err(Withheld::from)?;
                self.github.with_token(value.expose())
            }
            Kind::App { app } => {
                let token = self.minted_to_look(&known, app, repo).await?;
                self.github.with_token(token.expose())
            }
        }
    }

    async fn usable(&self, id: CredentialId) -> Result<KnownCredential, Withheld> {
        let known = self.commands.known_credential(id).await?.ok_or(Withheld::NotThere)?;
        if known.revoked.is_some() {
            return Err(Withheld::Revoked);
        }
        let now = self.commands.context().now();
        if known.unusable(now).is_some() {
            return Err(Withheld::Expired);
        }
        Ok(known)
    }

    pub(super) async fn value(
        &self,
        known: &KnownCredential,
    ) -> Result<SecretValue, SecretStoreError> {
        self.store.get(Place::Value(known.id, known.credential.value)).await
    }
}
