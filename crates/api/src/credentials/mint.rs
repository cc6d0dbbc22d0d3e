//! Tokens made of an app's key: each for one repository, with the rights that a run needs, and ended with it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use commands::KnownCredential;
use domain::{
    github::Repository,
    ids::{CredentialId, Generation, RunId},
    run::{self, Stage},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use super::{Credentials, Place, SecretStoreError, SecretValue, Withheld};
use crate::github::{GitHub, GitHubError};

/// How long before its end a token is made anew.
const EARLY: TimeDelta = TimeDelta::minutes(5);
/// How long the app's own word is good; GitHub allows ten minutes.
const WORD: Duration = Duration::from_mins(9);
/// How far GitHub's clock may be behind.
const BEHIND: Duration = Duration::from_mins(1);

/// A token that was made for a run.
pub(super) struct Minted {
    generation: Generation,
    token: SecretValue,
    expires_at: DateTime<Utc>,
}

/// What an app says of itself.
#[derive(Serialize)]
struct Claims {
    iat: i64,
    exp: i64,
    iss: String,
}

/// Why a text is no app's key. Never holds the text.
#[derive(Debug, thiserror::Error)]
#[error("is not an RSA private key in PEM form, as GitHub makes them for an app")]
pub(super) struct NotAKey;

/// Reads an app's key.
pub(super) fn app_key(pem: &str) -> Result<EncodingKey, NotAKey> {
    EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(|_| NotAKey)
}

impl Credentials {
    /// The token for a run: the one that it has, or another where that ends soon or was made of another key.
    pub(super) async fn minted_for(
        &self,
        known: &KnownCredential,
        app: u64,
        run: RunId,
        repo: &Repository,
    ) -> Result<(SecretValue, DateTime<Utc>), Withheld> {
        // One at a time: two requests of a run at once share what the first of them makes.
        let mut all = self.minted.lock().await;
        let now = self.commands.context().now();
        let (key, generation) = ((known.id, run), known.credential.generation);
        if let Some(minted) = all.get(&key)
            && minted.generation == generation
            && minted.expires_at - EARLY > now
        {
            return Ok((minted.token.clone(), minted.expires_at));
        }
        let made = self.mint(known, app, repo).await?;
        let (token, expires_at) = (SecretValue::from(made.token), made.expires_at);
        // Kept where a control plane that starts anew finds what it has to end.
        let place = Place::Minted(known.id, run);
        let before = self.store.get(place).await;
        if let Err(error) = self.store.put(place, &token).await {
            self.end(&token).await?;
            return Err(error.into());
        }
        match before {
            Ok(before) => {
                if let Err(error) = self.end(&before).await {
                    tracing::warn!(run.id = %run, %error, "an old token was not ended: it expires");
                }
            }
            Err(SecretStoreError::Missing) => {}
            Err(error) => tracing::warn!(run.id = %run, %error, "an old token cannot be read"),
        }
        all.insert(key, Minted { generation, token: token.clone(), expires_at });
        Ok((token, expires_at))
    }

    /// A token for questions about a repository. It is in memory alone: an hour ends it, or the end of its key.
    pub(super) async fn minted_to_look(
        &self,
        known: &KnownCredential,
        app: u64,
        repo: &Repository,
    ) -> Result<SecretValue, Withheld> {
        let mut all = self.looks.lock().await;
        let now = self.commands.context().now();
        let (key, generation) = ((known.id, repo.to_string()), known.credential.generation);
        all.retain(|_, minted| minted.expires_at - EARLY > now);
        if let Some(minted) = all.get(&key).filter(|minted| minted.generation == generation) {
            return Ok(minted.token.clone());
        }
        let made = self.mint(known, app, repo).await?;
        let (token, expires_at) = (SecretValue::from(made.token), made.expires_at);
        all.insert(key, Minted { generation, token: token.clone(), expires_at });
        Ok(token)
    }

    /// Ends those that were made of a key that was revoked.
    async fn end_looks(&self) {
        let mut all = self.looks.lock().await;
        let Ok(credentials) = self.commands.credentials().await else { return };
        let revoked = |id: CredentialId| {
            credentials.iter().any(|known| known.id == id && known.revoked.is_some())
        };
        let over: Vec<_> = all.keys().filter(|(id, _)| revoked(*id)).cloned().collect();
        for key in over {
            let Some(minted) = all.get(&key) else { continue };
            match self.end(&minted.token).await {
                Ok(()) => drop(all.remove(&key)),
                Err(error) => tracing::warn!(%error, "a token could not be ended"),
            }
        }
    }

    pub(super) async fn mint(
        &self,
        known: &KnownCredential,
        app: u64,
        repo: &Repository,
    ) -> Result<crate::github::MintedToken, Withheld> {
        let forge = self.forge_as_app(known, app).await?;
        let installation = forge.installation(repo).await?;
        Ok(forge.mint(installation, repo).await?)
    }

    /// The forge, asked by an app as itself.
    pub(super) async fn forge_as_app(
        &self,
        known: &KnownCredential,
        app: u64,
    ) -> Result<GitHub, Withheld> {
        let key =
            app_key(self.value(known).await?.expose()).map_err(|_| SecretStoreError::Sealed)?;
        let now = self.commands.context().now().timestamp();
        let claims = Claims {
            iat: now - BEHIND.as_secs().cast_signed(),
            exp: now + WORD.as_secs().cast_signed(),
            iss: app.to_string(),
        };
        let word = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key)
            .map_err(|_| SecretStoreError::Sealed)?;
        Ok(self.github.with_token(&word)?)
    }

    async fn end(&self, token: &SecretValue) -> Result<(), GitHubError> {
        self.github.with_token(token.expose())?.end_token().await
    }

    /// Ends the tokens of runs that are over, and those made of a key that was revoked. What cannot be ended now is
    /// there the next time.
    pub async fn end_minted(&self) -> Result<(), SecretStoreError> {
        self.end_looks().await;
        for place in self.store.list().await? {
            let Place::Minted(credential, run) = place else { continue };
            match self.is_over(credential, run).await {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) => {
                    tracing::warn!(run.id = %run, %error, "it is not known whether a token is needed");
                    continue;
                }
            }
            // Whoever makes one for the same run waits.
            let mut all = self.minted.lock().await;
            let token = match self.store.get(place).await {
                Ok(token) => token,
                Err(SecretStoreError::Missing) => continue,
                Err(error) => {
                    tracing::error!(run.id = %run, %error, "a token cannot be ended: it expires");
                    continue;
                }
            };
            match self.end(&token).await {
                Ok(()) => {
                    all.remove(&(credential, run));
                    self.store.remove(place).await?;
                    tracing::info!(run.id = %run, "the token made for it was ended");
                }
                Err(error) => tracing::warn!(run.id = %run, %error, "a token could not be ended"),
            }
        }
        Ok(())
    }

    async fn is_over(
        &self,
        credential: CredentialId,
        run: RunId,
    ) -> Result<bool, commands::StoreError> {
        let known = self.commands.known_credential(credential).await?;
        if known.is_none_or(|known| known.revoked.is_some()) {
            return Ok(true);
        }
        Ok(match self.commands.load_run(run).await?.0 {
            run::State::New => true,
            run::State::Known(run) => {
                matches!(run.stage, Stage::Ended(_)) && !run.publish_requested
            }
        })
    }
}
