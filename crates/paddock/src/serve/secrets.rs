//! Where credentials are kept.

use std::sync::Arc;

use anyhow::Context as _;
use api::credentials::{FileStore, Place, SecretStore, SecretStoreError, SecretValue};
use commands::Context;
use futures::future::BoxFuture;
use k8s_adapter::Secrets;

use super::cluster;
use crate::config::CredentialStore;

/// Opens the store that the configuration names.
pub(super) async fn open(
    store: &CredentialStore,
    context: &Context,
) -> anyhow::Result<Arc<dyn SecretStore>> {
    Ok(match store {
        CredentialStore::Directory(dir) => {
            let opened = FileStore::open(dir, context.entropy.clone());
            Arc::new(opened.context("the store of credentials")?)
        }
        CredentialStore::Kubernetes(namespace) => {
            let client = cluster::client("credentials").await?;
            Arc::new(ClusterSecrets(Secrets::new(client, namespace)))
        }
    })
}

/// Secrets of a cluster.
struct ClusterSecrets(Secrets);

fn away(error: &kube::Error) -> SecretStoreError {
    // What the API server says of a Secret may quote it: only its kind is passed on.
    let words = match error {
        kube::Error::Api(status) => {
            format!("the cluster answers {} {}", status.code, status.reason)
        }
        _ => "the cluster's API server does not answer".to_owned(),
    };
    SecretStoreError::Away(words)
}

impl SecretStore for ClusterSecrets {
    fn put<'a>(
        &'a self,
        at: Place,
        value: &'a SecretValue,
    ) -> BoxFuture<'a, Result<(), SecretStoreError>> {
        Box::pin(async move {
            self.0.put(&at.to_string(), value.expose()).await.map_err(|error| away(&error))
        })
    }

    fn get(&self, at: Place) -> BoxFuture<'_, Result<SecretValue, SecretStoreError>> {
        Box::pin(async move {
            let found = self.0.get(&at.to_string()).await.map_err(|error| away(&error))?;
            let bytes = found.ok_or(SecretStoreError::Missing)?;
            String::from_utf8(bytes).map(Into::into).map_err(|_| SecretStoreError::Sealed)
        })
    }

    fn remove(&self, at: Place) -> BoxFuture<'_, Result<(), SecretStoreError>> {
        Box::pin(async move { self.0.remove(&at.to_string()).await.map_err(|error| away(&error)) })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Place>, SecretStoreError>> {
        Box::pin(async move {
            let names = self.0.names().await.map_err(|error| away(&error))?;
            Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
        })
    }
}
