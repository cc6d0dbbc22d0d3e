//! An implementation of RFC 6962 that is not ours agrees on roots and proofs.

use audit::{Checkpoint, Hash, proof, proof::Proof, tile};
use ct_merkle::{ConsistencyProof, InclusionProof, mem_backed_tree::MemoryBackedTree};
use domain::tree::Tree;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

type Oracle = MemoryBackedTree<sha2_next::Sha256, Vec<u8>>;

fn leaf(number: u64) -> Vec<u8> {
    format!("event {number}").into_bytes()
}

fn hash(number: u64) -> Hash {
    Sha256::new().chain_update([0]).chain_update(leaf(number)).finalize().into()
}

fn checkpoint(size: u64) -> Checkpoint {
    let mut tree = Tree::new();
    (1..=size).for_each(|number| tree.push(hash(number)));
    Checkpoint { origin: "log".to_owned(), size, root: tree.root(), epoch: String::new() }
}

fn oracle(size: u64) -> Oracle {
    let mut oracle = Oracle::new();
    (1..=size).for_each(|number| oracle.push(leaf(number)));
    oracle
}

/// Makes a proof of the leaves.
fn made(proof: Proof) -> Vec<Hash> {
    let needs = proof.needs().unwrap();
    let hashes: Vec<Hash> = needs
        .iter()
        .map(|need| {
            let first = need.place << need.height;
            let leaves: Vec<Hash> =
                (first..first + (1 << need.height)).map(|at| hash(at + 1)).collect();
            tile::root_of(&leaves).unwrap()
        })
        .collect();
    proof.made_of(&hashes).unwrap()
}

fn bytes(proof: &[Hash]) -> Vec<u8> {
    proof.concat()
}

#[test]
fn the_oracle_has_the_same_roots() {
    let mut tree = Tree::new();
    let mut oracle = Oracle::new();
    for number in 1..=700 {
        tree.push(hash(number));
        oracle.push(leaf(number));
        assert_eq!(oracle.root().as_bytes()[..], tree.root(), "at size {number}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_oracle_makes_and_takes_the_same_proofs_of_inclusion(size in 1_u64..600, at in 0_u64..600) {
        let position = at % size + 1;
        let proof = made(Proof::Inclusion { position, size });
        let oracle = oracle(size);
        let index = usize::try_from(position - 1).unwrap();
        let same = oracle.prove_inclusion(index);
        prop_assert_eq!(same.as_bytes(), &bytes(&proof)[..]);
        let theirs = InclusionProof::try_from_bytes(bytes(&proof)).unwrap();
        prop_assert!(oracle.root().verify_inclusion(&leaf(position), position - 1, &theirs).is_ok());
        let root = checkpoint(size);
        prop_assert_eq!(proof::includes(&root, position, hash(position), &proof), Ok(()));
        // Of nothing else.
        prop_assert!(proof::includes(&root, position, hash(position + 1), &proof).is_err());
        if size > 1 {
            let other = position % size + 1;
            prop_assert!(proof::includes(&root, other, hash(position), &proof).is_err());
            let mut less = proof.clone();
            less.pop();
            prop_assert!(proof::includes(&root, position, hash(position), &less).is_err());
        }
    }

    #[test]
    fn the_oracle_makes_and_takes_the_same_proofs_of_consistency(size in 2_u64..600, at in 0_u64..600) {
        let from = at % (size - 1) + 1;
        let proof = made(Proof::Consistency { from, size });
        let (old, new) = (oracle(from), oracle(size));
        let additions = usize::try_from(size - from).unwrap();
        let same = new.prove_consistency(additions);
        prop_assert_eq!(same.as_bytes(), &bytes(&proof)[..]);
        let theirs = ConsistencyProof::try_from_bytes(bytes(&proof)).unwrap();
        prop_assert!(new.root().verify_consistency(&old.root(), &theirs).is_ok());
        let (older, newer) = (checkpoint(from), checkpoint(size));
        prop_assert_eq!(proof::extends(&older, &newer, &proof), Ok(()));
        let forked = Checkpoint { root: [7; 32], ..older };
        prop_assert!(proof::extends(&forked, &newer, &proof).is_err());
    }
}

#[test]
fn there_is_no_proof_of_what_is_not_there() {
    for proof in [
        Proof::Inclusion { position: 0, size: 5 },
        Proof::Inclusion { position: 6, size: 5 },
        Proof::Inclusion { position: 1, size: 0 },
        Proof::Consistency { from: 0, size: 5 },
        Proof::Consistency { from: 6, size: 5 },
    ] {
        assert_eq!(proof.needs(), Err(proof::ProofError::NotInTree), "{proof:?}");
    }
    assert_eq!(Proof::Consistency { from: 5, size: 5 }.needs(), Ok(vec![]));
}
