//! Where the hashes of a tree are found: C2SP tlog-tiles of 256 hashes each.

use domain::tree::node;
use tlog_tiles::tlog;

use crate::Hash;

/// How many levels of the tree one tile spans.
pub const HEIGHT: u8 = 8;
/// How many hashes a full tile has.
pub const WIDTH: u64 = 1 << HEIGHT;

/// A perfect subtree: the `place`th of `2^height` leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subtree {
    /// How high it is: 0 is a leaf.
    pub height: u8,
    /// Which one of that height, from 0.
    pub place: u64,
}

impl Subtree {
    pub(crate) fn of_stored(index: u64) -> Self {
        let (height, place) = tlog::split_stored_hash_index(index);
        Self { height, place }
    }

    /// The tile level whose hashes it is made of, and which of them.
    #[must_use]
    pub const fn hashes(self) -> (u8, std::ops::Range<u64>) {
        let over = self.height % HEIGHT;
        let first = self.place << over;
        (self.height / HEIGHT, first..first + (1 << over))
    }

    /// The perfect subtrees that a tree of `size` leaves consists of, the largest first.
    #[must_use]
    pub fn of_tree(size: u64) -> Vec<Self> {
        let mut begin = 0;
        let heights = (0..u64::BITS).rev().filter(|bit| size >> bit & 1 == 1);
        let mut subtrees = vec![];
        for height in heights {
            // At most 63.
            subtrees
                .push(Self { height: u8::try_from(height).unwrap_or(0), place: begin >> height });
            begin += 1 << height;
        }
        subtrees
    }
}

/// The root over a power of two of hashes; none where it is not one.
#[must_use]
pub fn root_of(hashes: &[Hash]) -> Option<Hash> {
    if !hashes.len().is_power_of_two() {
        return None;
    }
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row.chunks_exact(2).map(|pair| node(&pair[0], &pair[1])).collect();
    }
    row.first().copied()
}

/// A tile's place in its log: `<level>/<index>[.p/<width>]`, the index in groups of three digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// 0 for leaves; a hash of level *n* is the root of 256^*n* of them.
    pub level: u8,
    /// Which one of its level.
    pub index: u64,
    /// How many hashes, 1 to 256.
    pub width: u16,
}

impl Tile {
    /// Reads the part of a path after `tile/`.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        // What the library takes for impossible: an empty tile, a level that no log reaches.
        let (level, _) = path.split_once('/')?;
        if !matches!(level, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7") || path.ends_with(".p/0")
        {
            return None;
        }
        let tile = tlog_tiles::Tile::from_path(&format!("tile/8/{path}")).ok()?;
        let width = u16::try_from(tile.width()).ok()?;
        (!tile.is_data()).then_some(Self { level: tile.level(), index: tile.level_index(), width })
    }

    /// The hashes of its level that it has.
    #[must_use]
    pub fn places(self) -> std::ops::Range<u64> {
        let first = self.index.saturating_mul(WIDTH);
        first..first.saturating_add(u64::from(self.width))
    }

    /// How many leaves the tree must have for all of them to be there.
    #[must_use]
    pub fn leaves(self) -> u64 {
        let each = 1_u64.checked_shl(u32::from(HEIGHT) * u32::from(self.level)).unwrap_or(u64::MAX);
        self.places().end.saturating_mul(each)
    }
}

/// The hashes of tile levels above the leaves, as they come with more leaves.
#[derive(Clone, Debug, Default)]
pub struct Growing {
    /// By level from 0: what is there of the tile that is not full.
    open: Vec<Vec<Hash>>,
    /// How many full tiles each level has.
    full: Vec<u64>,
}

/// The root of a full tile: a hash of the level above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Above {
    /// The level that it is a hash of, from 1.
    pub level: u8,
    /// Which hash of that level.
    pub place: u64,
    /// The hash.
    pub hash: Hash,
}

impl Growing {
    /// What a tree of `size` leaves goes on from: for each level, the hashes of its last tile, which is not full.
    /// [`open`](Self::open) says which those are.
    #[must_use]
    pub fn resume(size: u64, open: Vec<Vec<Hash>>) -> Option<Self> {
        let levels = Self::open(size);
        let fits = levels.len() == open.len()
            && levels
                .iter()
                .zip(&open)
                .all(|(range, hashes)| range.end - range.start == hashes.len() as u64);
        let full = levels.iter().map(|range| range.start / WIDTH).collect();
        fits.then_some(Self { open, full })
    }

    /// Of each level of a tree of `size` leaves, the hashes of the tile that is not full.
    #[must_use]
    pub fn open(size: u64) -> Vec<std::ops::Range<u64>> {
        let mut levels = vec![];
        let mut hashes = size;
        while hashes > 0 {
            levels.push(hashes / WIDTH * WIDTH..hashes);
            hashes /= WIDTH;
        }
        levels
    }

    /// Adds a leaf; `above` takes the hashes that are complete by it.
    pub fn push(&mut self, leaf: Hash, above: &mut Vec<Above>) {
        let (mut level, mut hash) = (0, leaf);
        loop {
            if self.open.len() == level {
                self.open.push(vec![]);
                self.full.push(0);
            }
            self.open[level].push(hash);
            if self.open[level].len() < 1 << HEIGHT {
                return;
            }
            let tile = std::mem::take(&mut self.open[level]);
            hash = root_of(&tile).unwrap_or_default();
            let place = self.full[level];
            self.full[level] += 1;
            level += 1;
            above.push(Above { level: u8::try_from(level).unwrap_or(u8::MAX), place, hash });
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::tree::Tree;

    use super::*;

    #[test]
    fn the_hashes_above_are_those_of_the_tree_whenever_one_begins_again() {
        let leaves: Vec<Hash> = (0..70_000_u32)
            .map(|number| {
                let mut leaf = [0; 32];
                leaf[..4].copy_from_slice(&number.to_be_bytes());
                leaf
            })
            .collect();
        let (mut growing, mut above, mut levels) =
            (Growing::default(), vec![], vec![leaves.clone(), vec![], vec![]]);
        for (at, leaf) in leaves.iter().enumerate() {
            growing.push(*leaf, &mut above);
            for Above { level, place, hash } in above.drain(..) {
                assert_eq!(place, levels[usize::from(level)].len() as u64);
                levels[usize::from(level)].push(hash);
            }
            if at % 9_973 == 0 {
                let ranges = Growing::open(at as u64 + 1);
                let open = ranges.iter().enumerate().map(|(level, range)| {
                    let (begin, end) = (
                        usize::try_from(range.start).unwrap(),
                        usize::try_from(range.end).unwrap(),
                    );
                    levels[level][begin..end].to_vec()
                });
                growing = Growing::resume(at as u64 + 1, open.collect()).expect("as it was");
            }
        }
        assert_eq!((levels[1].len(), levels[2].len()), (273, 1));
        let tree = |leaves: &[Hash]| {
            let mut tree = Tree::new();
            for leaf in leaves {
                tree.push(*leaf);
            }
            tree.root()
        };
        assert_eq!(levels[1][272], tree(&leaves[272 * 256..273 * 256]));
        assert_eq!(levels[2][0], tree(&leaves[..65_536]));
    }

    #[test]
    fn a_tile_is_named_as_c2sp_says() {
        let tile = |level, index, width| Some(Tile { level, index, width });
        assert_eq!(Tile::parse("0/x001/234"), tile(0, 1_234, 256));
        assert_eq!(Tile::parse("1/000.p/17"), tile(1, 0, 17));
        for wrong in [
            "",
            "0",
            "0/1234",
            "0/001.p/256",
            "0/001.p/0",
            "a/001",
            "0/x001",
            "64/000",
            "8/000",
            "data/000",
            "0/x999/x999/x999/x999/x999/x999/999",
            "0/../0",
            "0/-01",
        ] {
            assert_eq!(Tile::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Tile { level: 1, index: 2, width: 3 }.leaves(), (512 + 3) * 256);
    }

    #[test]
    fn a_tree_consists_of_perfect_subtrees() {
        let subtrees: Vec<_> =
            Subtree::of_tree(11).iter().map(|it| (it.height, it.place)).collect();
        assert_eq!(subtrees, [(3, 0), (1, 4), (0, 10)]);
        assert_eq!(Subtree { height: 9, place: 3 }.hashes(), (1, 6..8));
    }
}
