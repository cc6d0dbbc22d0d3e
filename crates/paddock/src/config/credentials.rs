//! Where credentials are kept.

use std::path::PathBuf;

use anyhow::bail;
use serde::Serialize;
use url::Url;

/// Where credentials are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CredentialStore {
    /// Sealed files on this machine.
    Directory(PathBuf),
    /// Secrets in this namespace of the cluster.
    Kubernetes(String),
}

impl TryFrom<&Url> for CredentialStore {
    type Error = anyhow::Error;

    fn try_from(url: &Url) -> anyhow::Result<Self> {
        let namespace = url.host_str().filter(|host| !host.is_empty());
        match (url.scheme(), namespace, url.to_file_path()) {
            ("file", None, Ok(dir)) => Ok(Self::Directory(dir)),
            ("kubernetes", Some(namespace), _) if matches!(url.path(), "" | "/") => {
                Ok(Self::Kubernetes(namespace.to_owned()))
            }
            _ => {
                bail!("credential_store = {url}: it is file:///directory or kubernetes://namespace")
            }
        }
    }
}
