use std::io::BufRead;

use domain::tree::Tree;

use super::{Against, Failure, lines::Line, lines::Lines, verify};
use crate::{Hash, SignedCheckpoint, VerifyingKey};

/// Something older of the same log.
pub enum Older {
    /// A checkpoint of it.
    Checkpoint(SignedCheckpoint),
    /// An export of it, to be read twice.
    Export(Box<dyn BufRead>, Box<dyn BufRead>),
}

impl Older {
    pub(super) fn open(self, key: Option<&VerifyingKey>) -> Result<Reading, Failure> {
        match self {
            Self::Checkpoint(signed) => Ok(Reading { signed, leaves: None }),
            Self::Export(first, again) => {
                // The key that is known may be one that came later.
                let _ = key;
                let older =
                    verify(first, Against::default(), &mut |_, _| {}).map_err(|failure| {
                        Failure::Unreadable(format!(
                            "the older one does not hold itself: {failure}"
                        ))
                    })?;
                Ok(Reading { signed: older.checkpoint, leaves: Some(Lines::new(again)) })
            }
        }
    }
}

/// The older one, read beside the newer.
pub(super) struct Reading {
    signed: SignedCheckpoint,
    leaves: Option<Lines<Box<dyn BufRead>>>,
}

impl Reading {
    pub(super) fn checkpoint(&self) -> &SignedCheckpoint {
        &self.signed
    }

    /// Whether it knows every leaf, rather than the root over them.
    pub(super) fn is_by_leaf(&self) -> bool {
        self.leaves.is_some()
    }

    /// Whether it has that leaf at that position, or, at its size, that root.
    pub(super) fn agrees(&mut self, position: u64, leaf: Hash, tree: &Tree) -> bool {
        let says = self.signed.checkpoint();
        if position > says.size {
            return true;
        }
        match &mut self.leaves {
            Some(lines) => next(lines).is_some_and(|older| older == hex::encode(leaf)),
            None => position < says.size || tree.root() == says.root,
        }
    }
}

fn next(lines: &mut Lines<Box<dyn BufRead>>) -> Option<String> {
    loop {
        if let Line::Event(event) = lines.next().ok()?? {
            return Some(event.leaf.into_owned());
        }
    }
}
