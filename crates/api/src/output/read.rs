use std::io::Read as _;

use link::Item;
use sha2::{Digest as _, Sha256};

/// The most bytes one item may unpack to: far above what the link lets in.
const MAX_ITEM_BYTES: u64 = 16 * 1024 * 1024;

/// One stored item.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its number: dense from 1 over all generations of the run.
    pub seq: u64,
    /// The exact JSON that was stored, on one line.
    pub json: String,
}

impl Stored {
    /// The item. What this build does not know reads as a gap, so that a reader goes on.
    #[must_use]
    pub fn item(&self) -> Item {
        serde_json::from_str(&self.json)
            .unwrap_or_else(|_| Item::Gap { reason: "written by a newer Paddock".to_owned() })
    }
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

pub(super) fn update(hash: &mut Sha256, json: &str) {
    hash.update(json.as_bytes());
    hash.update(b"\n");
}

/// Packs an item's JSON if that makes it smaller.
pub(super) fn pack(json: Vec<u8>) -> (bool, Vec<u8>) {
    const WORTH_IT: usize = 200;
    if json.len() < WORTH_IT {
        return (false, json);
    }
    match zstd::bulk::compress(&json, 3) {
        Ok(packed) if packed.len() < json.len() => (true, packed),
        Ok(_) | Err(_) => (false, json),
    }
}

pub(super) fn unpack(packed: bool, item: Vec<u8>) -> std::io::Result<String> {
    let bytes = if packed {
        let mut bytes = vec![];
        zstd::Decoder::new(&item[..])?.take(MAX_ITEM_BYTES).read_to_end(&mut bytes)?;
        bytes
    } else {
        item
    };
    String::from_utf8(bytes).map_err(|_| std::io::ErrorKind::InvalidData.into())
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
