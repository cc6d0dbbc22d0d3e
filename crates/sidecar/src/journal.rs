//! What the sidecar has carried out: small, replaced whole.

use std::path::{Path, PathBuf};

use domain::{
    ids::{BundleDigest, InputId, MessageId, StreamVersion},
    run::{EgressMode, Usage},
};
use serde::{Deserialize, Serialize};

/// The journal of one generation.
pub(crate) struct Journal {
    path: PathBuf,
    /// What it says.
    pub(crate) notes: Notes,
}

/// What is noted.
#[expect(clippy::struct_excessive_bools, reason = "a list of steps done, not a state machine")]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Notes {
    /// Up to which version instructions have been carried out.
    pub(crate) done: StreamVersionOrNone,
    /// Whether the fence was proven.
    pub(crate) fenced: bool,
    /// By which of the gateway's doors it leaves.
    pub(crate) egress: EgressMode,
    /// Whether the repository is in place.
    pub(crate) restored: bool,
    /// The agent's session.
    pub(crate) agent_session: Option<String>,
    /// What the session had used before this generation.
    pub(crate) usage_before: Usage,
    /// The newest prompt, and the message that stands for it where its turn was cut short before.
    pub(crate) prompt: Option<(MessageId, MessageId)>,
    /// Whether the newest prompt was in the restored state already: its turn may have been cut short.
    pub(crate) restored_prompt: bool,
    /// Whether the newest prompt's end was reported.
    pub(crate) turn_reported: bool,
    /// Whether the turn was interrupted.
    pub(crate) interrupted: bool,
    /// What was reported as asked and is not answered.
    pub(crate) asked: Vec<InputId>,
    /// The newest bundle stored.
    pub(crate) bundle: Option<BundleDigest>,
    /// Whether the last snapshot was reported.
    pub(crate) final_snapshot: bool,
}

/// A version, zero before the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct StreamVersionOrNone(pub(crate) StreamVersion);

impl Default for StreamVersionOrNone {
    fn default() -> Self {
        Self(StreamVersion::NONE)
    }
}

impl Journal {
    /// Opens the journal in `dir`, as the last process left it.
    pub(crate) fn open(dir: &Path) -> std::io::Result<Self> {
        let path = dir.join("journal.json");
        let notes = match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Notes::default(),
            Err(error) => return Err(error),
        };
        Ok(Self { path, notes })
    }

    /// Changes it, on disk too.
    pub(crate) fn note(&mut self, change: impl FnOnce(&mut Notes)) -> std::io::Result<()> {
        let before = self.notes.clone();
        change(&mut self.notes);
        if self.notes == before {
            return Ok(());
        }
        let beside = self.path.with_extension("new");
        std::fs::write(&beside, serde_json::to_vec(&self.notes)?)?;
        std::fs::rename(beside, &self.path)
    }
}
