//! What people register, as Secrets of one namespace: the control plane's own, where no run is.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, PostParams},
};

/// What tells these Secrets from all others of the namespace.
const LABEL: &str = "paddock.dev/secret";
const CREDENTIAL: &str = "credential";
/// What their names begin with.
const PREFIX: &str = "paddock-credential.";
/// The key of the value.
const VALUE: &str = "value";

/// Secrets by names of one's own. Cheap to clone.
#[derive(Clone)]
pub struct Secrets {
    api: Api<Secret>,
}

impl Secrets {
    /// Those of a namespace.
    #[must_use]
    pub fn new(client: Client, namespace: &str) -> Self {
        Self { api: Api::namespaced(client, namespace) }
    }

    /// Keeps a value under a name, in place of any that is there.
    ///
    /// # Errors
    ///
    /// Where the API server does not do it.
    pub async fn put(&self, name: &str, value: &str) -> Result<(), kube::Error> {
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(format!("{PREFIX}{name}")),
                labels: Some(BTreeMap::from([(LABEL.to_owned(), CREDENTIAL.to_owned())])),
                ..ObjectMeta::default()
            },
            type_: Some("paddock.dev/credential".to_owned()),
            // What is there is never changed: the API server need not be asked again and again.
            immutable: Some(true),
            data: Some(BTreeMap::from([(VALUE.to_owned(), ByteString(value.as_bytes().to_vec()))])),
            ..Secret::default()
        };
        match self.api.create(&PostParams::default(), &secret).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {
                self.remove(name).await?;
                self.api.create(&PostParams::default(), &secret).await.map(|_| ())
            }
            created => created.map(|_| ()),
        }
    }

    /// The value under a name, if there is one.
    ///
    /// # Errors
    ///
    /// Where the API server does not answer.
    pub async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, kube::Error> {
        let secret = self.api.get_opt(&format!("{PREFIX}{name}")).await?;
        let data = secret.and_then(|secret| secret.data);
        Ok(data.and_then(|mut data| data.remove(VALUE)).map(|value| value.0))
    }

    /// Lets a value go.
    ///
    /// # Errors
    ///
    /// Where the API server does not do it.
    pub async fn remove(&self, name: &str) -> Result<(), kube::Error> {
        match self.api.delete(&format!("{PREFIX}{name}"), &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            removed => removed.map(|_| ()),
        }
    }

    /// The names under which there is something.
    ///
    /// # Errors
    ///
    /// Where the API server does not answer.
    pub async fn names(&self) -> Result<Vec<String>, kube::Error> {
        // Metadata only: no value is read to find out what there is.
        let list = ListParams::default().labels(&format!("{LABEL}={CREDENTIAL}"));
        let found = self.api.list_metadata(&list).await?;
        let names = found.items.into_iter().filter_map(|secret| secret.metadata.name);
        let own = names.filter_map(|name| name.strip_prefix(PREFIX).map(str::to_owned));
        Ok(own.collect())
    }
}
