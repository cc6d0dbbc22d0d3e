//! What somebody who saw a log before holds it to: what it signed then, it must go on from.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::{Hash, SignedCheckpoint, VerifyingKey, export::EntryForm, proof};

/// Why a log is not the one that was seen before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// Its checkpoint is signed by nobody known.
    #[error("its checkpoint is not signed by the key that signed before, {0}")]
    Key(String),
    /// It is another log.
    #[error("it calls itself {now}, and called itself {before}")]
    OtherLog {
        /// What it was called.
        before: String,
        /// What it is called.
        now: String,
    },
    /// It is shorter.
    #[error("it had {before} positions and has {now}: it was rolled back")]
    RolledBack {
        /// How many there were.
        before: u64,
        /// How many there are.
        now: u64,
    },
    /// It has another past.
    #[error(
        "its first {0} positions are not those that it signed before: it forked, or was rewritten"
    )]
    Forked(u64),
}

/// Whether `now` goes on from `before`, by a proof of consistency from the one's size to the other's. `keys` are those
/// that the log may sign with: the one that signed before, and those that it handed over to.
pub fn hold(
    before: &SignedCheckpoint,
    now: &SignedCheckpoint,
    keys: &[VerifyingKey],
    proof: &[Hash],
) -> Result<(), Breach> {
    let (old, new) = (before.checkpoint(), now.checkpoint());
    if old.origin != new.origin {
        return Err(Breach::OtherLog { before: old.origin.clone(), now: new.origin.clone() });
    }
    if !keys.iter().any(|key| now.is_signed_by(key)) {
        let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
        return Err(Breach::Key(names.join(" or ")));
    }
    if new.size < old.size {
        return Err(Breach::RolledBack { before: old.size, now: new.size });
    }
    proof::extends(old, new, proof).map_err(|_| Breach::Forked(old.size))
}

/// That one key handed over to another, as the server shows it: an event of the log, in a tree that both signed.
#[derive(Clone, Debug, Deserialize)]
pub struct Handover {
    /// The checkpoint that both signed.
    pub checkpoint: String,
    /// The event's position.
    pub position: u64,
    /// What its leaf is made of.
    pub entry: String,
    /// Its body as it was stored.
    pub stored: String,
    /// The proof that it is in that tree, in hexadecimal digits.
    pub hashes: Vec<String>,
}

impl Handover {
    /// The key that `from` handed over to; none where this does not prove it.
    #[must_use]
    pub fn from(&self, from: &VerifyingKey) -> Option<VerifyingKey> {
        #[derive(Deserialize)]
        struct Rotated {
            from: String,
            to: String,
        }
        let signed = SignedCheckpoint::parse(&self.checkpoint).ok()?;
        let entry: EntryForm<'_> = serde_json::from_str(&self.entry).ok()?;
        let body: Rotated = serde_json::from_str(&self.stored).ok()?;
        let to = VerifyingKey::parse(&body.to).ok()?;
        let says = entry.name == "log.key.rotated"
            && entry.stream.starts_with("log-")
            && entry.body_hash == hex::encode(Sha256::digest(self.stored.as_bytes()))
            && body.from == from.as_str();
        let leaf = Sha256::new().chain_update([0]).chain_update(self.entry.as_bytes()).finalize();
        let hashes = self.hashes.iter().map(|hash| hex::decode(hash).ok()?.try_into().ok());
        let hashes: Vec<Hash> = hashes.collect::<Option<_>>()?;
        proof::includes(signed.checkpoint(), self.position, leaf.into(), &hashes).ok()?;
        (says && signed.is_signed_by(from) && signed.is_signed_by(&to)).then_some(to)
    }
}
