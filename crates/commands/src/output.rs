//! The stored form of runs' output, and its seal: the digest that the event which closes a run carries.

use std::io::Read as _;

use domain::{
    ids::{Generation, RunId},
    run,
};
use futures::TryStreamExt as _;
use sha2::{Digest as _, Sha256};
use sqlx::PgExecutor;

use crate::{Accepted, Caused, CommandError, Commands, StoreError};

/// The most bytes one item may unpack to: far above what the link lets in.
const MAX_ITEM_BYTES: u64 = 16 * 1024 * 1024;

/// Packs an item's JSON if that makes it smaller: whether it is compressed, and the bytes to store.
#[must_use]
pub fn pack(json: Vec<u8>) -> (bool, Vec<u8>) {
    const WORTH_IT: usize = 200;
    if json.len() < WORTH_IT {
        return (false, json);
    }
    match zstd::bulk::compress(&json, 3) {
        Ok(packed) if packed.len() < json.len() => (true, packed),
        Ok(_) | Err(_) => (false, json),
    }
}

/// The JSON that was packed.
///
/// # Errors
///
/// Where it is not what [`pack`] makes.
pub fn unpack(packed: bool, item: Vec<u8>) -> std::io::Result<String> {
    let bytes = if packed {
        let mut bytes = vec![];
        zstd::Decoder::new(&item[..])?.take(MAX_ITEM_BYTES).read_to_end(&mut bytes)?;
        bytes
    } else {
        item
    };
    String::from_utf8(bytes).map_err(|_| std::io::ErrorKind::InvalidData.into())
}

/// SHA-256 of a run's output, lower-case hexadecimal: over each item's JSON, in order, each followed by
/// a line feed, which no JSON of one line holds.
pub fn digest_of<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for json in items {
        update(&mut hash, json);
    }
    hex::encode(hash.finalize())
}

fn update(hash: &mut Sha256, json: &str) {
    hash.update(json.as_bytes());
    hash.update(b"\n");
}

impl Commands {
    /// Reports that what the adapter made for a run is gone, with the digest of all output that was stored
    /// of the run. From here on nothing more is: whoever still held the run's link has lost it.
    ///
    /// # Errors
    ///
    /// Those of [`run`](Self::run).
    pub async fn workload_removed(
        &self,
        id: RunId,
        generation: Generation,
        caused: Caused,
    ) -> Result<Accepted, CommandError> {
        sqlx::query!(
            "update runtime.run_link set epoch = epoch + 1 where run = $1 and generation = $2",
            id.0,
            i32::try_from(generation.0).unwrap_or(i32::MAX),
        )
        .execute(self.pool())
        .await?;
        let output_digest = Some(digest(self.pool(), id).await?);
        self.run(id, run::Command::ReportWorkloadRemoved { generation, output_digest }, caused)
            .await
    }
}

/// What [`digest_of`] makes of all that is stored of a run.
async fn digest(executor: impl PgExecutor<'_>, run: RunId) -> Result<String, StoreError> {
    let mut rows = sqlx::query!(
        "select zstd, item from runtime.run_output where run = $1 order by seq",
        run.0,
    )
    .fetch(executor);
    let mut hash = Sha256::new();
    while let Some(row) = rows.try_next().await? {
        let json = unpack(row.zstd, row.item);
        update(&mut hash, &json.map_err(|error| sqlx::Error::Decode(error.into()))?);
    }
    Ok(hex::encode(hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_unpacks_to_the_same() {
        for json in ["{}".to_owned(), format!("\"{}\"", "paddock ".repeat(500))] {
            let (packed, item) = pack(json.clone().into_bytes());
            assert_eq!(packed, json.len() > 200);
            assert_eq!(unpack(packed, item).unwrap(), json);
        }
    }

    #[test]
    fn the_digest_tells_where_one_item_ends() {
        assert_ne!(digest_of(["1", "23"]), digest_of(["12", "3"]));
        assert_eq!(
            digest_of(["a"]),
            "87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7"
        );
    }
}
