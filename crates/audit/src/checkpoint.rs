//! What is signed of a log: a C2SP tlog-checkpoint in a signed note.

use signed_note::{Note, Signature, Signer};
use tlog_tiles::tlog;

use crate::{Hash, SigningKey, VerifyingKey};

/// The first `size` positions of a log, by the root over their leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// How many positions.
    pub size: u64,
    /// The RFC 6962 root hash over their leaves.
    pub root: Hash,
    /// The epoch that the log was in.
    pub epoch: String,
}

/// Why a text is not a signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It is not a note with signatures, or not in its one canonical form.
    #[error("it is not a signed note")]
    NotANote,
    /// The note is not a checkpoint of such a log.
    #[error("it is not a checkpoint: a name, a size, a root and an epoch, a line each")]
    NotACheckpoint,
}

const EPOCH: &str = "epoch ";

impl Checkpoint {
    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        use base64::{Engine as _, prelude::BASE64_STANDARD};
        let root = BASE64_STANDARD.encode(self.root);
        format!("{}\n{}\n{root}\n{EPOCH}{}\n", self.origin, self.size, self.epoch)
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let parsed = tlog_tiles::Checkpoint::from_bytes(text).ok()?;
        let epoch = parsed.extension().strip_prefix(EPOCH)?.strip_suffix('\n')?;
        let (origin, size) = (parsed.origin().to_owned(), parsed.size());
        let checkpoint = Self { origin, size, root: parsed.hash().0, epoch: epoch.to_owned() };
        (!epoch.contains('\n') && checkpoint.text().as_bytes() == text).then_some(checkpoint)
    }

    /// Signs it with each of `keys`.
    ///
    /// # Panics
    /// Never: its text is that of a note, and Ed25519 signs anything.
    #[must_use]
    pub fn sign(self, keys: &[&SigningKey]) -> SignedCheckpoint {
        let mut note = Note::new(self.text().as_bytes(), &[]).expect("the text of a note");
        let signers: Vec<&dyn Signer> =
            keys.iter().map(|key| key.signer() as &dyn Signer).collect();
        note.add_sigs(&signers).expect("Ed25519 signs anything");
        let bytes = String::from_utf8(note.to_bytes()).expect("a note is UTF-8");
        SignedCheckpoint::parse(&bytes).expect("what was just made")
    }

    pub(crate) const fn hash(&self) -> tlog::Hash {
        tlog::Hash(self.root)
    }
}

/// A checkpoint with its signatures, verified or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: String,
    signatures: Signatures,
}

#[derive(Clone, Debug, PartialEq)]
struct Signatures(Vec<Signature>);

impl Eq for Signatures {}

impl SignedCheckpoint {
    /// Reads one. Its signatures are not verified by that.
    pub fn parse(note: &str) -> Result<Self, CheckpointError> {
        let parsed = Note::from_bytes(note.as_bytes()).map_err(|_| CheckpointError::NotANote)?;
        let (_, lines) = note.rsplit_once("\n\n").ok_or(CheckpointError::NotANote)?;
        let signatures = lines.lines().map(|line| Signature::from_bytes(line.as_bytes()));
        let signatures = signatures.collect::<Result<Vec<_>, _>>();
        let signatures = Signatures(signatures.map_err(|_| CheckpointError::NotANote)?);
        if parsed.to_bytes() != note.as_bytes() || signatures.0.is_empty() {
            return Err(CheckpointError::NotANote);
        }
        let checkpoint = Checkpoint::parse(parsed.text()).ok_or(CheckpointError::NotACheckpoint)?;
        Ok(Self { checkpoint, note: note.to_owned(), signatures })
    }

    /// What it says.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note, with its signatures.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Whether this key signed it.
    #[must_use]
    pub fn is_signed_by(&self, key: &VerifyingKey) -> bool {
        let text = self.checkpoint.text();
        self.checkpoint.origin == key.name()
            && self.signatures.0.iter().any(|signature| key.verifies(text.as_bytes(), signature))
    }

    /// Whether every signature is that of one of `keys`: none can be changed unnoticed then.
    #[must_use]
    pub fn is_signed_by_none_but(&self, keys: &[VerifyingKey]) -> bool {
        let text = self.checkpoint.text();
        self.signatures
            .0
            .iter()
            .all(|signature| keys.iter().any(|key| key.verifies(text.as_bytes(), signature)))
    }

    /// The same checkpoint with more signatures: note lines, as a witness answers them.
    #[must_use]
    pub fn with(&self, lines: &str) -> Option<Self> {
        Self::parse(&format!("{}{lines}", self.note)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> SigningKey {
        let text = SigningKey::generate("example.org/log", [number; 32]).expect("a key");
        SigningKey::parse(&text).expect("a key")
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            origin: "example.org/log".to_owned(),
            size: 7,
            root: [9; 32],
            epoch: "1-1-1".to_owned(),
        }
    }

    #[test]
    fn a_checkpoint_is_signed_by_whoever_signed_it_and_by_nobody_else() {
        let signed = checkpoint().sign(&[&key(1), &key(2)]);
        assert_eq!(SignedCheckpoint::parse(signed.note()).as_ref(), Ok(&signed));
        assert_eq!(signed.checkpoint(), &checkpoint());
        assert!(signed.is_signed_by(key(1).verifying()) && signed.is_signed_by(key(2).verifying()));
        assert!(!signed.is_signed_by(key(3).verifying()));
        let both = [key(1).verifying().clone(), key(2).verifying().clone()];
        assert!(signed.is_signed_by_none_but(&both));
        assert!(!signed.is_signed_by_none_but(&both[..1]));
    }

    #[test]
    fn no_byte_of_a_note_can_be_another() {
        let signed = checkpoint().sign(&[&key(1)]);
        let keys = [key(1).verifying().clone()];
        for at in 0..signed.note().len() {
            for bit in 0..8 {
                let mut bytes = signed.note().as_bytes().to_vec();
                bytes[at] ^= 1 << bit;
                let Ok(text) = String::from_utf8(bytes) else { continue };
                let Ok(changed) = SignedCheckpoint::parse(&text) else { continue };
                let holds = changed.is_signed_by(&keys[0]) && changed.is_signed_by_none_but(&keys);
                assert!(!holds, "byte {at}, bit {bit}: {text}");
            }
        }
    }
}
