//! The last policies on disk, so that a gateway that restarts while the control plane is away cuts
//! no agent off. They name repositories and hosts, never a credential.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::Policies;

pub(crate) struct PolicyFile {
    path: PathBuf,
}

impl PolicyFile {
    pub(crate) fn new(state: &Path) -> Self {
        Self { path: state.join("policies.json") }
    }

    /// The last policies that were written; none if there are none or they cannot be read.
    pub(crate) fn read(&self) -> Option<Policies> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::error!(%error, "the stored policies cannot be read");
                return None;
            }
        };
        serde_json::from_slice(&bytes)
            .inspect_err(|error| tracing::error!(%error, "the stored policies make no sense"))
            .ok()
    }

    /// Replaces them atomically.
    pub(crate) fn write(&self, policies: &Policies) -> io::Result<()> {
        let next = self.path.with_extension("json.next");
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&next)?;
        file.write_all(&serde_json::to_vec(policies)?)?;
        file.sync_all()?;
        fs::rename(&next, &self.path)
    }
}
