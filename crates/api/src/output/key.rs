use sha2::{Digest as _, Sha256};

/// The longest id that is kept as it is: PostgreSQL indexes no more than some 2,700 bytes.
const LONGEST: usize = 200;

/// An agent's id as it is stored: bytes, because it may hold anything, and cut to size, because it may be of
/// any length. The order of ids is kept.
pub(super) fn key(id: &str) -> Vec<u8> {
    let bytes = id.as_bytes();
    if bytes.len() <= LONGEST {
        return bytes.to_vec();
    }
    let mut key = bytes[..LONGEST].to_vec();
    key.extend_from_slice(b"#");
    key.extend_from_slice(&Sha256::digest(bytes));
    key
}

/// What a gap's key ends in, behind that of the part before it.
const GAP: &[u8] = b"~~";
/// How long that end is.
const GAP_LENGTH: usize = GAP.len() + 16;

/// The key of a gap that comes after the part (or gap) with the key `before`.
pub(super) fn gap_key(before: &[u8], before_is_gap: bool, seq: u64) -> Vec<u8> {
    let end = if before_is_gap { before.len().saturating_sub(GAP_LENGTH) } else { before.len() };
    let mut key = before[..end].to_vec();
    key.extend_from_slice(GAP);
    key.extend_from_slice(format!("{seq:016x}").as_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_short_and_in_the_order_of_their_ids() {
        let long = "p".repeat(5_000);
        assert!(key(&long).len() < 300);
        assert_ne!(key(&long), key(&format!("{long}x")));
        let ids = ["", "a\0", &long, "prt_1", "prt_2", "q"];
        assert!(ids.map(key).is_sorted());
    }

    #[test]
    fn gaps_come_after_their_part_one_after_the_other_and_do_not_grow() {
        let part = key("prt_1");
        let first = gap_key(&part, false, 7);
        let second = gap_key(&first, true, 300);
        assert!([part, first.clone(), second.clone(), key("prt_2")].is_sorted());
        assert_eq!(first.len(), second.len());
    }
}
