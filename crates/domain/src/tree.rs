//! The RFC 6962 tree over the log's leaves: its root commits to every position up to a size.

use sha2::{Digest, Sha256};

use crate::leaf::LeafHash;

/// A tree that leaves are added to in order. Holds one hash a level, not the leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    /// The roots of the perfect subtrees that the size is made of, the largest first: one for each bit
    /// of the size that is set.
    subtrees: Vec<LeafHash>,
}

impl Tree {
    /// A tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, subtrees: Vec::new() }
    }

    /// The tree of that size whose perfect subtrees, the largest first, are these: one for each bit of the size that
    /// is set. None where their number is another.
    #[must_use]
    pub fn of_subtrees(size: u64, subtrees: Vec<LeafHash>) -> Option<Self> {
        (subtrees.len() == size.count_ones() as usize).then_some(Self { size, subtrees })
    }

    /// How many leaves it has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds the leaf of the next position.
    pub fn push(&mut self, leaf: LeafHash) {
        let mut right = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.subtrees.pop() {
                right = node(&left, &right);
            }
        }
        self.subtrees.push(right);
        self.size += 1;
    }

    /// The root hash over all leaves so far (RFC 6962, section 2.1).
    #[must_use]
    pub fn root(&self) -> LeafHash {
        let mut right = self.subtrees.iter().rev();
        match right.next() {
            None => Sha256::digest([]).into(),
            Some(smallest) => right.fold(*smallest, |root, left| node(left, &root)),
        }
    }
}

/// The hash of a node above two others (RFC 6962, section 2.1).
#[must_use]
pub fn node(left: &LeafHash, right: &LeafHash) -> LeafHash {
    let mut hash = Sha256::new();
    hash.update([1]);
    hash.update(left);
    hash.update(right);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of RFC 6962, word for word.
    fn defined(leaves: &[LeafHash]) -> LeafHash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [leaf] => *leaf,
            _ => {
                let k = leaves.len().next_power_of_two() / 2;
                node(&defined(&leaves[..k]), &defined(&leaves[k..]))
            }
        }
    }

    fn leaf(data: &[u8]) -> LeafHash {
        Sha256::new().chain_update([0]).chain_update(data).finalize().into()
    }

    #[test]
    fn the_root_is_the_one_that_rfc_6962_defines_at_every_size() {
        let mut tree = Tree::new();
        let mut leaves = vec![];
        assert_eq!(tree.root(), defined(&leaves));
        for number in 0_u32..300 {
            leaves.push(leaf(&number.to_be_bytes()));
            tree.push(leaves[leaves.len() - 1]);
            assert_eq!(tree.root(), defined(&leaves), "at size {}", leaves.len());
        }
        assert_eq!(tree.size(), 300);
    }

    /// The test vectors of certificate-transparency's own tree tests.
    #[test]
    fn the_roots_of_the_published_vectors_come_out() {
        let inputs = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = Tree::new();
        for (input, root) in inputs.iter().zip(roots) {
            tree.push(leaf(&hex::decode(input).expect("hex")));
            assert_eq!(hex::encode(tree.root()), root);
        }
    }
}
