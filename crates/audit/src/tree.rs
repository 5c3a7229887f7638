//! The right edge of the tree: enough to add leaves, to know the root, and to write tiles (height 8, C2SP tlog-tiles).

use tlog_tiles::tlog::{EMPTY_HASH, Hash, node_hash, record_hash};

/// Hashes in a full tile.
const TILE_WIDTH: usize = 256;

/// One tile or entry bundle to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileWrite {
    /// Path below the log's folder, such as `tile/0/x001/234.p/17` or `tile/entries/000`.
    pub path: String,
    /// Whole content.
    pub bytes: Vec<u8>,
    /// 256 wide: it will never change again.
    pub full: bool,
}

/// The growing tree. Holds the partial tile of every level and the entries of the newest bundle.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    size: u64,
    /// Hashes of the newest, not yet full tile of each tile level, lowest first.
    levels: Vec<Vec<Hash>>,
    /// Tiles that became full since the last [`Tree::take_tiles`].
    filled: Vec<TileWrite>,
    /// Leaves of the newest bundle.
    entries: Vec<Vec<u8>>,
}

impl Tree {
    /// Leaves in the tree.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The newest leaf, when its bundle is not full.
    pub fn last_entry(&self) -> Option<&[u8]> {
        self.entries.last().map(Vec::as_slice)
    }

    /// Path of the full bundle that ends with the newest leaf; `None` when the newest bundle is not full.
    pub fn full_bundle_path(&self) -> Option<String> {
        (self.entries.is_empty() && self.size > 0).then(|| entries_path((self.size - 1) / 256, None))
    }

    /// Adds one leaf and returns its index.
    pub fn push(&mut self, leaf: &[u8]) -> u64 {
        let index = self.size;
        self.size += 1;
        self.entries.push(leaf.to_vec());
        if self.entries.len() == TILE_WIDTH {
            let path = entries_path(index / 256, None);
            self.filled.push(TileWrite { path, bytes: bundle(&self.entries), full: true });
            self.entries.clear();
        }
        self.push_hash(0, record_hash(leaf));
        index
    }

    fn push_hash(&mut self, level: usize, hash: Hash) {
        if self.levels.len() == level {
            self.levels.push(Vec::with_capacity(TILE_WIDTH));
        }
        let Some(tile) = self.levels.get_mut(level) else { return };
        tile.push(hash);
        if tile.len() == TILE_WIDTH {
            let done = std::mem::take(tile);
            let number = (self.size >> (8 * (level + 1))).saturating_sub(1);
            let path = tile_path(level, number, None);
            self.filled.push(TileWrite { path, bytes: concat(&done), full: true });
            self.push_hash(level + 1, perfect_root(&done));
        }
    }

    /// The root over all leaves (RFC 6962 section 2.1).
    pub fn root(&self) -> Hash {
        let mut subtrees = Vec::new();
        for tile in self.levels.iter().rev() {
            let mut rest = tile.as_slice();
            for bit in (0..8).rev() {
                let width = 1_usize << bit;
                if tile.len() & width != 0 {
                    let (chunk, after) = rest.split_at_checked(width).unwrap_or((rest, &[]));
                    subtrees.push(perfect_root(chunk));
                    rest = after;
                }
            }
        }
        let mut right_to_left = subtrees.into_iter().rev();
        let Some(last) = right_to_left.next() else { return EMPTY_HASH };
        right_to_left.fold(last, |right, left| node_hash(left, right))
    }

    /// Every tile that changed since the last call: full ones once, the partial ones of now.
    pub fn take_tiles(&mut self) -> Vec<TileWrite> {
        let mut tiles = std::mem::take(&mut self.filled);
        for (level, tile) in self.levels.iter().enumerate() {
            if !tile.is_empty() {
                let path = tile_path(level, self.size >> (8 * (level + 1)), Some(tile.len()));
                tiles.push(TileWrite { path, bytes: concat(tile), full: false });
            }
        }
        if !self.entries.is_empty() {
            let path = entries_path(self.size / 256, Some(self.entries.len()));
            tiles.push(TileWrite { path, bytes: bundle(&self.entries), full: false });
        }
        tiles
    }

    /// Paths of the partial tiles and the partial bundle of a tree of `size` leaves: what a restart reads back.
    pub fn edge_paths(size: u64) -> (Vec<(usize, String)>, Option<String>) {
        let mut edge = Vec::new();
        let mut level = 0_usize;
        while level < 8 && size >> (8 * level) > 0 {
            let width = usize::try_from((size >> (8 * level)) & 255).unwrap_or(0);
            if width > 0 {
                // At the eighth level nothing lies above.
                let above = u32::try_from(8 * (level + 1)).ok().and_then(|bits| size.checked_shr(bits)).unwrap_or(0);
                edge.push((level, tile_path(level, above, Some(width))));
            }
            level += 1;
        }
        let width = usize::try_from(size & 255).unwrap_or(0);
        (edge, (width > 0).then(|| entries_path(size / 256, Some(width))))
    }

    /// Rebuilds the right edge from what [`Tree::edge_paths`] named; `None` when widths do not fit `size`.
    pub fn from_edge(size: u64, tiles: &[(usize, Vec<u8>)], bundle: Option<&[u8]>) -> Option<Self> {
        // Seven levels of tiles hold more than any log; a larger size is damage.
        if size >> 56 > 0 {
            return None;
        }
        let mut levels = Vec::new();
        let mut level = 0_usize;
        while level < 8 && size >> (8 * level) > 0 {
            let width = usize::try_from((size >> (8 * level)) & 255).ok()?;
            let bytes = tiles.iter().find(|tile| tile.0 == level).map_or(&[][..], |tile| &tile.1);
            let hashes: Vec<Hash> = bytes.chunks_exact(32).filter_map(|raw| raw.try_into().ok().map(Hash)).collect();
            if hashes.len() != width || bytes.len() != width * 32 {
                return None;
            }
            levels.push(hashes);
            level += 1;
        }
        let entries = match bundle {
            None => Vec::new(),
            Some(bytes) => unbundle(bytes)?,
        };
        if u64::try_from(entries.len()).ok()? != size & 255 {
            return None;
        }
        Some(Self { size, levels, filled: Vec::new(), entries })
    }
}

/// Entries of a bundle; `None` when it is cut or has bytes to spare.
pub fn unbundle(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let (head, rest) = bytes.split_at_checked(2)?;
        let length = usize::from(u16::from_be_bytes(head.try_into().ok()?));
        let (entry, rest) = rest.split_at_checked(length)?;
        entries.push(entry.to_vec());
        bytes = rest;
    }
    Some(entries)
}

fn bundle(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        // A leaf line is under 200 bytes; the format's length field is 16 bits.
        out.extend_from_slice(&u16::try_from(entry.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend_from_slice(entry);
    }
    out
}

fn concat(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

fn perfect_root(hashes: &[Hash]) -> Hash {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => node_hash(*left, *right),
                [one] => *one,
                _ => EMPTY_HASH,
            })
            .collect();
    }
    row.first().copied().unwrap_or(EMPTY_HASH)
}

fn number_path(number: u64) -> String {
    let mut groups = vec![format!("{:03}", number % 1000)];
    let mut rest = number / 1000;
    while rest > 0 {
        groups.push(format!("x{:03}", rest % 1000));
        rest /= 1000;
    }
    groups.reverse();
    groups.join("/")
}

fn with_width(path: String, width: Option<usize>) -> String {
    match width {
        Some(width) => format!("{path}.p/{width}"),
        None => path,
    }
}

pub(crate) fn tile_path(level: usize, number: u64, width: Option<usize>) -> String {
    with_width(format!("tile/{level}/{}", number_path(number)), width)
}

pub(crate) fn entries_path(number: u64, width: Option<usize>) -> String {
    with_width(format!("tile/entries/{}", number_path(number)), width)
}

/// For tests of whoever signs: one bit of one hash or entry that the tree keeps in memory turns over; false when there is none.
#[doc(hidden)]
pub fn flip_in_memory(tree: &mut Tree, at: usize, bit: u8) -> bool {
    let bytes: usize = tree.levels.iter().map(|level| level.len() * 32).sum();
    let mut at = at % (bytes + tree.entries.iter().map(Vec::len).sum::<usize>()).max(1);
    for byte in
        tree.levels.iter_mut().flatten().flat_map(|hash| hash.0.iter_mut()).chain(tree.entries.iter_mut().flatten())
    {
        if at == 0 {
            *byte ^= 1 << (bit % 8);
            return true;
        }
        at -= 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use tlog_tiles::tlog::{Error, HashReader, stored_hashes, tree_hash};

    /// The library's own tree, as the independent reference.
    #[derive(Default)]
    struct Reference(Vec<Hash>);

    impl HashReader for Reference {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
            Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
        }
    }

    #[test]
    fn the_edge_of_the_largest_log_has_paths() {
        // Found by fuzzing: a damaged size made a shift overflow at the eighth level.
        for size in [u64::MAX, 1 << 63, 1 << 56] {
            let (paths, _) = Tree::edge_paths(size);
            assert!(!paths.is_empty(), "{size}");
            let tile = |level: usize| vec![0; 32 * usize::try_from((size >> (8 * level)) & 255).unwrap()];
            let tiles: Vec<(usize, Vec<u8>)> = paths.iter().map(|(level, _)| (*level, tile(*level))).collect();
            assert!(Tree::from_edge(size, &tiles, None).is_none(), "{size} is damage");
        }
    }

    #[test]
    fn roots_agree_with_the_reference_at_every_size() {
        let (mut tree, mut reference) = (Tree::default(), Reference::default());
        assert_eq!(tree.root(), EMPTY_HASH);
        for n in 0..1_500_u64 {
            let leaf = format!("leaf {n}");
            let stored = stored_hashes(n, leaf.as_bytes(), &reference).unwrap();
            reference.0.extend(stored);
            assert_eq!(tree.push(leaf.as_bytes()), n);
            assert_eq!(tree.root(), tree_hash(n + 1, &reference).unwrap(), "size {}", n + 1);
        }
    }

    #[test]
    fn the_edge_read_back_goes_on_as_if_nothing_happened() {
        for size in [0_u64, 1, 5, 255, 256, 257, 511, 65_536 + 300] {
            let mut tree = Tree::default();
            let mut files = std::collections::BTreeMap::new();
            for n in 0..size {
                tree.push(&n.to_be_bytes());
            }
            files.extend(tree.take_tiles().into_iter().map(|tile| (tile.path, tile.bytes)));
            let (edge, bundle) = Tree::edge_paths(size);
            let tiles: Vec<_> = edge.into_iter().map(|(level, path)| (level, files[&path].clone())).collect();
            let bundle = bundle.map(|path| files[&path].clone());
            let mut back = Tree::from_edge(size, &tiles, bundle.as_deref()).unwrap();
            assert_eq!(back.root(), tree.root(), "size {size}");
            for n in 0..300_u64 {
                tree.push(&n.to_le_bytes());
                back.push(&n.to_le_bytes());
            }
            assert_eq!(back.root(), tree.root());
            assert_eq!(back.take_tiles(), tree.take_tiles());
        }
    }

    #[test]
    fn paths_follow_the_specification() {
        assert_eq!(tile_path(0, 1_234_067, None), "tile/0/x001/x234/067");
        assert_eq!(tile_path(1, 0, Some(17)), "tile/1/000.p/17");
        assert_eq!(entries_path(1_000, Some(1)), "tile/entries/x001/000.p/1");
    }

    #[test]
    fn cut_bundles_are_refused() {
        assert_eq!(unbundle(&[0, 2, b'a', b'b']), Some(vec![b"ab".to_vec()]));
        assert_eq!(unbundle(&[0, 3, b'a', b'b']), None);
        assert_eq!(unbundle(&[0]), None);
    }
}
