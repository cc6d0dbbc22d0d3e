//! What a signer remembers outside of the database: it signs nothing that does not go on from that.

use std::{
    io,
    path::{Path, PathBuf},
};

use audit::SignedCheckpoint;

/// A file that holds the newest checkpoint that was signed with the keys beside it.
#[derive(Clone, Debug)]
pub struct Memory(PathBuf);

impl Memory {
    /// The memory in that file, which need not be there yet.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(super) fn recall(&self) -> io::Result<Option<SignedCheckpoint>> {
        match std::fs::read_to_string(&self.0) {
            Ok(note) => SignedCheckpoint::parse(&note).map(Some).map_err(|error| {
                let words =
                    format!("{}: {error}; it holds the last checkpoint signed", self.0.display());
                io::Error::new(io::ErrorKind::InvalidData, words)
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces it whole, or not at all.
    pub(super) fn keep(&self, checkpoint: &SignedCheckpoint) -> io::Result<()> {
        let new = self.0.with_extension("new");
        std::fs::write(&new, checkpoint.note())?;
        std::fs::rename(&new, &self.0)
    }
}
