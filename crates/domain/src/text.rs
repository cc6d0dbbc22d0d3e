//! Free text stays out of events: a body holds a reference and a commitment, the text itself lives
//! in a row that can be erased without touching the log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::TextId;

/// The most bytes a text may have: 1 MiB.
pub const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// What an event's body holds in place of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TextRef {
    /// The row of `event_text`.
    #[serde(rename = "ref")]
    pub reference: TextId,
    /// SHA-256 of `salt ‖ bytes`, lower-case hexadecimal.
    pub commit: String,
}

/// A text with its salt and the reference that commits to it: what `event_text` stores.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedText {
    /// What the event holds.
    pub reference: TextRef,
    /// Sixteen random bytes, so that a short text cannot be guessed from its commitment.
    pub salt: [u8; 16],
    /// The text.
    pub text: String,
}

impl SealedText {
    /// Seals `text` under an id and a salt that the caller drew at random.
    #[must_use]
    pub fn seal(reference: TextId, salt: [u8; 16], text: String) -> Self {
        let commit = commitment(&salt, text.as_bytes());
        Self { reference: TextRef { reference, commit }, salt, text }
    }
}

impl std::fmt::Debug for SealedText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedText").field("reference", &self.reference).finish_non_exhaustive()
    }
}

/// The commitment to a text: SHA-256 of `salt ‖ bytes`, lower-case hexadecimal.
#[must_use]
pub fn commitment(salt: &[u8; 16], bytes: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(salt);
    hash.update(bytes);
    hex::encode(hash.finalize())
}
