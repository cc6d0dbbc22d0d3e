//! The hashes of the tree: leaves from the log, those above from their own table.

use std::ops::Range;

use audit::{
    Hash,
    tile::{Growing, Subtree, root_of},
};
use domain::tree::Tree;
use sqlx::PgConnection;

use crate::{StoreError, store::append::signed};

/// How many positions are signed.
pub(super) async fn signed_size(connection: &mut PgConnection) -> Result<u64, StoreError> {
    let size =
        sqlx::query_scalar!("select size from paddock.checkpoint order by number desc limit 1")
            .fetch_optional(connection)
            .await?;
    Ok(size.unwrap_or_default().unsigned_abs())
}

/// Hashes of one tile level, those that are there.
pub(super) async fn hashes(
    connection: &mut PgConnection,
    level: u8,
    places: Range<u64>,
) -> Result<Vec<Hash>, StoreError> {
    let rows = if level == 0 {
        sqlx::query_scalar!(
            "select leaf from paddock.log where position > $1 and position <= $2 order by position",
            signed(places.start),
            signed(places.end),
        )
        .fetch_all(connection)
        .await?
    } else {
        sqlx::query_scalar!(
            "select hash from paddock.tree_hash where level = $1 and place >= $2 and place < $3
             order by place",
            i16::from(level),
            signed(places.start),
            signed(places.end),
        )
        .fetch_all(connection)
        .await?
    };
    // The tables' own constraints say that each has 32 bytes.
    Ok(rows.into_iter().map(|hash| hash.try_into().unwrap_or_default()).collect())
}

/// The roots of perfect subtrees, in their order.
pub(super) async fn roots(
    connection: &mut PgConnection,
    subtrees: &[Subtree],
) -> Result<Vec<Hash>, StoreError> {
    let mut roots = Vec::with_capacity(subtrees.len());
    for subtree in subtrees {
        let (level, places) = subtree.hashes();
        let count = places.end - places.start;
        let hashes = hashes(&mut *connection, level, places).await?;
        let whole = hashes.len() as u64 == count;
        let root = root_of(&hashes).filter(|_| whole);
        roots.push(root.ok_or_else(|| StoreError::Database(sqlx::Error::RowNotFound))?);
    }
    Ok(roots)
}

/// The tree over the first `size` leaves, of which the hashes above are stored.
pub(super) async fn tree(connection: &mut PgConnection, size: u64) -> Result<Tree, StoreError> {
    let roots = roots(connection, &Subtree::of_tree(size)).await?;
    Tree::of_subtrees(size, roots).ok_or_else(|| StoreError::Database(sqlx::Error::RowNotFound))
}

/// What the hashes above go on from.
pub(super) async fn growing(
    connection: &mut PgConnection,
    size: u64,
) -> Result<Growing, StoreError> {
    let mut open = vec![];
    for (level, places) in Growing::open(size).into_iter().enumerate() {
        let level = u8::try_from(level).unwrap_or(u8::MAX);
        open.push(hashes(&mut *connection, level, places).await?);
    }
    Growing::resume(size, open).ok_or_else(|| StoreError::Database(sqlx::Error::RowNotFound))
}
