use std::{fmt, str::FromStr};

use domain::ids::{CredentialId, RunId, ValueId};
use futures::future::BoxFuture;

use super::SecretValue;

/// Where a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// One value of a credential.
    Value(CredentialId, ValueId),
    /// The token that was made of an app's key for one run.
    Minted(CredentialId, RunId),
}

/// Keeps secrets: in an encrypted directory on one machine, or as Secrets of a cluster. What is put is there once
/// this returns, and is never changed.
pub trait SecretStore: Send + Sync {
    /// Keeps a secret.
    fn put<'a>(
        &'a self,
        at: Place,
        value: &'a SecretValue,
    ) -> BoxFuture<'a, Result<(), SecretStoreError>>;
    /// Reads it.
    fn get(&self, at: Place) -> BoxFuture<'_, Result<SecretValue, SecretStoreError>>;
    /// Lets it go; nothing where it is gone already.
    fn remove(&self, at: Place) -> BoxFuture<'_, Result<(), SecretStoreError>>;
    /// What is kept.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Place>, SecretStoreError>>;
}

/// Why a secret cannot be kept or read. Never holds one.
#[derive(Debug, thiserror::Error)]
pub enum SecretStoreError {
    /// It is not there.
    #[error("the secret is not in the store")]
    Missing,
    /// What is there was not sealed with this key for this place, or was changed since.
    #[error("the secret cannot be opened: it was sealed with another key, or was changed")]
    Sealed,
    /// The store does not work now.
    #[error("the secret store cannot be used: {0}")]
    Away(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(credential, value) => write!(f, "value.{credential}.{value}"),
            Self::Minted(credential, run) => write!(f, "token.{credential}.{run}"),
        }
    }
}

/// The text names no place.
#[derive(Debug, thiserror::Error)]
#[error("not the name of a place for a secret")]
pub struct NotAPlace;

impl FromStr for Place {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '.');
        let (kind, credential, id) = (parts.next(), parts.next(), parts.next());
        let credential = credential.and_then(|id| id.parse().ok()).ok_or(NotAPlace)?;
        let id = id.ok_or(NotAPlace)?;
        match kind {
            Some("value") => Ok(Self::Value(credential, id.parse().map_err(|_| NotAPlace)?)),
            Some("token") => Ok(Self::Minted(credential, id.parse().map_err(|_| NotAPlace)?)),
            Some(_) | None => Err(NotAPlace),
        }
    }
}
