//! Proofs of RFC 6962: that a leaf is in a tree, and that one tree goes on from another.
//!
//! The hashes that a proof is made of are asked for before it is made, so that whoever keeps them may wait for them.

use tlog_tiles::tlog::{self, HashReader};

use crate::{Hash, checkpoint::Checkpoint, tile::Subtree};

/// Why there is no such proof, or why one does not prove anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// There is nothing of that kind to prove.
    #[error("the tree has no such position, or is the smaller one")]
    NotInTree,
    /// It does not prove it.
    #[error("the proof does not hold")]
    DoesNotHold,
    /// Other hashes were given than asked for.
    #[error("hashes are missing")]
    Missing,
}

/// A proof that is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// That the event at `position` is in the tree over the first `size`.
    Inclusion {
        /// From 1.
        position: u64,
        /// How many leaves the tree has.
        size: u64,
    },
    /// That the tree of `size` leaves goes on from the tree of its first `from`.
    Consistency {
        /// The smaller tree's size.
        from: u64,
        /// The larger one's.
        size: u64,
    },
}

impl Proof {
    /// The roots of perfect subtrees that it is made of, in their order.
    pub fn needs(self) -> Result<Vec<Subtree>, ProofError> {
        let wanted = Wanted::default();
        self.with(&wanted)?;
        Ok(wanted.0.into_inner().into_iter().map(Subtree::of_stored).collect())
    }

    /// Makes it of the hashes of what it [`needs`](Self::needs).
    pub fn made_of(self, hashes: &[Hash]) -> Result<Vec<Hash>, ProofError> {
        if self.needs()?.len() != hashes.len() {
            return Err(ProofError::Missing);
        }
        Ok(self.with(&Given(hashes))?.into_iter().map(|hash| hash.0).collect())
    }

    fn with(self, hashes: &impl HashReader) -> Result<Vec<tlog::Hash>, ProofError> {
        let made = match self {
            Self::Inclusion { position: 0, .. } => return Err(ProofError::NotInTree),
            Self::Inclusion { position, size } => tlog::prove_record(size, position - 1, hashes),
            Self::Consistency { from, size } => tlog::prove_tree(size, from, hashes),
        };
        made.map_err(|_| ProofError::NotInTree)
    }
}

/// Takes note of what is asked for.
#[derive(Default)]
struct Wanted(std::cell::RefCell<Vec<u64>>);

impl HashReader for Wanted {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        self.0.borrow_mut().extend_from_slice(indexes);
        Ok(vec![tlog::EMPTY_HASH; indexes.len()])
    }
}

struct Given<'a>(&'a [Hash]);

impl HashReader for Given<'_> {
    fn read_hashes(&self, _: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        Ok(self.0.iter().copied().map(tlog::Hash).collect())
    }
}

/// Whether `leaf` is the leaf of `position` in the tree of a checkpoint.
pub fn includes(
    checkpoint: &Checkpoint,
    position: u64,
    leaf: Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if position == 0 || position > checkpoint.size {
        return Err(ProofError::NotInTree);
    }
    let proof = proof.iter().copied().map(tlog::Hash).collect();
    let (size, root) = (checkpoint.size, checkpoint.hash());
    tlog::check_record(&proof, size, root, position - 1, tlog::Hash(leaf))
        .map_err(|_| ProofError::DoesNotHold)
}

/// Whether the tree of `newer` goes on from that of `older`.
pub fn extends(older: &Checkpoint, newer: &Checkpoint, proof: &[Hash]) -> Result<(), ProofError> {
    if older.size == 0 || older.size > newer.size {
        return Err(ProofError::NotInTree);
    }
    let proof = proof.iter().copied().map(tlog::Hash).collect();
    tlog::check_tree(&proof, newer.size, newer.hash(), older.size, older.hash())
        .map_err(|_| ProofError::DoesNotHold)
}
