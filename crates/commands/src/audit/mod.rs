//! The audit: what is signed of the log, proofs of what is in it, its export, and erasure.
//!
//! Everything that a proof needs is kept beside the log and only ever added to: the leaves with their positions, the
//! roots of each 256, 65,536, … leaves, and the signed checkpoints. The key is not in the database's reach.

mod erase;
mod export;
mod memory;
mod signer;
mod tree;

use audit::{
    Hash, SignedCheckpoint, VerifyingKey,
    proof::{Proof, ProofError},
    tile::Tile,
};
use chrono::{DateTime, Utc};
use sqlx::PgPool;

pub use self::{
    erase::{EraseError, Erased, ErasedBundle},
    export::{Export, ExportError},
    memory::Memory,
    signer::{Keys, run},
};
use crate::{Commands, StoreError, store::append::signed};

/// A checkpoint as it was stored.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The checkpoint.
    pub checkpoint: SignedCheckpoint,
    /// When it was signed.
    pub time: DateTime<Utc>,
}

/// Reads what was signed, and proves. Cheap to clone.
#[derive(Clone)]
pub struct Audit {
    commands: Commands,
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum NoProof {
    /// There is nothing of that kind to prove, or not yet.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// Not so much is signed yet.
    #[error("{0} positions are signed")]
    NotSigned(u64),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for NoProof {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Commands {
    /// The audit of this log.
    #[must_use]
    pub fn audit(&self) -> Audit {
        Audit { commands: self.clone() }
    }
}

impl Audit {
    fn pool(&self) -> &PgPool {
        self.commands.pool()
    }

    /// The newest checkpoint; none where nothing was signed yet.
    pub async fn checkpoint(&self) -> Result<Option<Signed>, StoreError> {
        let row =
            sqlx::query!("select note, time from paddock.checkpoint order by number desc limit 1")
                .fetch_optional(self.pool())
                .await?;
        row.map(|row| stored(&row.note, row.time)).transpose()
    }

    /// The first checkpoint of at least that size; none where there is none yet.
    pub async fn checkpoint_covering(&self, size: u64) -> Result<Option<Signed>, StoreError> {
        let row = sqlx::query!(
            "select note, time from paddock.checkpoint where size >= $1 order by size, number limit 1",
            signed(size),
        )
        .fetch_optional(self.pool())
        .await?;
        row.map(|row| stored(&row.note, row.time)).transpose()
    }

    /// The first checkpoint from that size on that a key signed.
    pub async fn checkpoint_by(
        &self,
        size: u64,
        key: &VerifyingKey,
    ) -> Result<Option<SignedCheckpoint>, StoreError> {
        let note = sqlx::query_scalar!(
            "select note from paddock.checkpoint where size >= $1 and key = $2 order by size, number limit 1",
            signed(size),
            key.as_str(),
        )
        .fetch_optional(self.pool())
        .await?;
        note.map(|note| parsed(&note)).transpose()
    }

    /// The keys that checkpoints were signed with, the oldest first.
    pub async fn keys(&self) -> Result<Vec<VerifyingKey>, StoreError> {
        let mut connection = self.pool().acquire().await?;
        signer::keys(&mut connection, i64::MAX).await
    }

    /// Makes a proof about what is signed.
    pub async fn proof(&self, proof: Proof) -> Result<Vec<Hash>, NoProof> {
        let needs = proof.needs()?;
        let (Proof::Inclusion { size, .. } | Proof::Consistency { size, .. }) = proof;
        let mut connection = self.pool().acquire().await?;
        let there = tree::signed_size(&mut connection).await?;
        if size > there {
            return Err(NoProof::NotSigned(there));
        }
        Ok(proof.made_of(&tree::roots(&mut connection, &needs).await?)?)
    }

    /// The leaf of a position; none where there is none.
    pub async fn leaf(&self, position: u64) -> Result<Option<Hash>, StoreError> {
        let mut connection = self.pool().acquire().await?;
        let place = position.saturating_sub(1);
        Ok(tree::hashes(&mut connection, 0, place..position).await?.pop())
    }

    /// A tile's hashes; none where not all of them are signed yet.
    pub async fn tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, StoreError> {
        let mut connection = self.pool().acquire().await?;
        if tile.leaves() > tree::signed_size(&mut connection).await? {
            return Ok(None);
        }
        let hashes = tree::hashes(&mut connection, tile.level, tile.places()).await?;
        Ok((hashes.len() == usize::from(tile.width)).then(|| hashes.concat()))
    }
}

fn stored(note: &str, time: DateTime<Utc>) -> Result<Signed, StoreError> {
    Ok(Signed { checkpoint: parsed(note)?, time })
}

/// A stored note. One that cannot be read was not stored by this program.
fn parsed(note: &str) -> Result<SignedCheckpoint, StoreError> {
    SignedCheckpoint::parse(note).map_err(|error| {
        let source = Box::new(error);
        StoreError::Database(sqlx::Error::ColumnDecode { index: "note".to_owned(), source })
    })
}
