//! The API tokens that `paddock login` got, a file a server, which only its owner can read.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use url::Url;

/// What is kept of one server.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The server's address.
    pub(super) url: String,
    /// The token's public id.
    pub(super) id: uuid::Uuid,
    /// The token.
    pub(super) token: String,
    /// When it stops working.
    pub(super) expires_at: DateTime<Utc>,
}

/// Where they are kept.
pub(super) struct Store(PathBuf);

impl Store {
    /// In the user's directory of configuration.
    pub(super) fn of_user() -> anyhow::Result<Self> {
        let config = match std::env::var_os("XDG_CONFIG_HOME") {
            Some(dir) => PathBuf::from(dir),
            None => {
                PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".config")
            }
        };
        Ok(Self(config.join("paddock/servers")))
    }

    /// What is kept of a server, if there is something.
    pub(super) fn get(&self, server: &Url) -> anyhow::Result<Option<Kept>> {
        let path = self.path(server);
        match fs::read(&path) {
            Ok(text) => {
                Ok(Some(serde_json::from_slice(&text).with_context(|| path.display().to_string())?))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// Keeps it, in place of what was kept before.
    pub(super) fn put(&self, server: &Url, kept: &Kept) -> anyhow::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .with_context(|| self.0.display().to_string())?;
        let path = self.path(server);
        let beside = path.with_extension(format!("{}.new", std::process::id()));
        let written = private(&beside).and_then(|mut file| {
            file.write_all(&serde_json::to_vec_pretty(kept)?)?;
            fs::rename(&beside, &path)
        });
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
        written.with_context(|| format!("cannot write {}", path.display()))
    }

    /// Forgets it.
    pub(super) fn remove(&self, server: &Url) -> anyhow::Result<()> {
        let path = self.path(server);
        fs::remove_file(&path).with_context(|| path.display().to_string())
    }

    fn path(&self, server: &Url) -> PathBuf {
        let port = server.port_or_known_default().unwrap_or_default();
        let host = server.host_str().unwrap_or_default().replace(['[', ']', ':'], "_");
        self.0.join(format!("{}-{host}-{port}.json", server.scheme()))
    }
}

/// A new file that nobody else can read, not even for a moment.
fn private(path: &Path) -> std::io::Result<fs::File> {
    fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn each_server_has_a_token_of_its_own_that_only_its_owner_can_read() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store(dir.path().join("servers"));
        let (one, other): (Url, Url) =
            ("https://one.test".parse().unwrap(), "https://one.test:8443".parse().unwrap());
        let kept = |token: &str| Kept {
            url: one.to_string(),
            id: uuid::Uuid::nil(),
            token: token.to_owned(),
            expires_at: DateTime::UNIX_EPOCH,
        };
        assert!(store.get(&one).unwrap().is_none());
        store.put(&one, &kept("pdk_1")).unwrap();
        store.put(&other, &kept("pdk_2")).unwrap();
        store.put(&one, &kept("pdk_3")).unwrap();
        assert_eq!(store.get(&one).unwrap().unwrap().token, "pdk_3");
        assert_eq!(store.get(&other).unwrap().unwrap().token, "pdk_2");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&store.path(&one)), 0o600);
        assert_eq!(mode(&store.0), 0o700);
        assert_eq!(fs::read_dir(&store.0).unwrap().count(), 2);
        store.remove(&one).unwrap();
        assert!(store.get(&one).unwrap().is_none());
    }
}
