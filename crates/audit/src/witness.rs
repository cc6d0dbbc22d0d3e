//! What is said to a witness, by the protocol of C2SP tlog-witness: it cosigns what goes on from what it saw.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::{Hash, SignedCheckpoint};

/// The body of `add-checkpoint`: the size that the witness saw last, the proof from there, the checkpoint.
#[must_use]
pub fn request(seen: u64, proof: &[Hash], checkpoint: &SignedCheckpoint) -> String {
    let mut body = format!("old {seen}\n");
    for hash in proof {
        body.push_str(&BASE64_STANDARD.encode(hash));
        body.push('\n');
    }
    format!("{body}\n{}", checkpoint.note())
}

/// The parts of such a body.
#[must_use]
pub fn parse(body: &str) -> Option<(u64, Vec<Hash>, SignedCheckpoint)> {
    let (head, note) = body.split_once("\n\n")?;
    let mut lines = head.lines();
    let seen = lines.next()?.strip_prefix("old ")?.parse().ok()?;
    let hashes = lines.map(|line| BASE64_STANDARD.decode(line).ok()?.try_into().ok());
    Some((seen, hashes.collect::<Option<_>>()?, SignedCheckpoint::parse(note).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Checkpoint, SigningKey};

    #[test]
    fn what_is_said_to_a_witness_is_what_it_reads() {
        let key = SigningKey::parse(&SigningKey::generate("log", [1; 32]).unwrap()).unwrap();
        let checkpoint = Checkpoint {
            origin: "log".to_owned(),
            size: 5,
            root: [3; 32],
            epoch: "1-1-1".to_owned(),
        };
        let signed = checkpoint.sign(&[&key]);
        for proof in [vec![], vec![[1; 32], [2; 32]]] {
            let body = request(3, &proof, &signed);
            assert_eq!(parse(&body), Some((3, proof, signed.clone())), "{body}");
        }
    }
}
