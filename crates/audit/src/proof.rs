//! Proofs out of a folder of tiles: that a leaf is in a tree, and that a tree grew out of an older one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tlog_tiles::tlog::{Error, Hash, check_record, check_tree, prove_record, prove_tree, record_hash};
use tlog_tiles::{Tile, TileHashReader, TileReader};

use crate::cosign::{self, NOTE_MAX, WitnessVerifier};
use crate::folder::{Fault, Folder, entry, fault, tile_bytes};
use crate::leaf::Leaf;

/// First line of the file (C2SP tlog-proof).
const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// Most hashes of a proof.
pub const HASHES_MAX: usize = 63;
/// Longest proof file that is read, bytes.
pub const PROOF_MAX: usize = NOTE_MAX + 8 * 1024;

struct Tiles<'a>(&'a dyn Folder);

impl TileReader for Tiles<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        let read = |tile: &Tile| {
            let width = usize::try_from(tile.width()).map_err(|_| Error::InvalidTile)?;
            let level = usize::from(tile.level());
            tile_bytes(self.0, level, tile.level_index(), width).map_err(|_| Error::InvalidTile)
        };
        tiles.iter().map(read).collect()
    }

    fn save_tiles(&self, _tiles: &[Tile], _data: &[Vec<u8>]) {}
}

/// The hashes that show that the tree of `new` leaves grew out of that of `old` (RFC 6962 section 2.1.2); none from an empty tree.
///
/// # Errors
/// [`Fault`] when the tiles do not give the root.
pub fn consistency(folder: &dyn Folder, old: u64, new: (u64, Hash)) -> Result<Vec<Hash>, Fault> {
    if old == 0 || old == new.0 {
        return Ok(Vec::new());
    }
    if old > new.0 {
        return Err(fault("tiles", "the older tree is larger"));
    }
    let tiles = Tiles(folder);
    let reader = TileHashReader::new(new.0, new.1, &tiles);
    prove_tree(new.0, old, &reader).map_err(|_| fault("tiles", "they do not give the signed root"))
}

/// Whether `proof` shows that the tree of `new` grew out of `old`. An empty tree is the start of every other.
pub fn is_consistent(proof: &[Hash], old: (u64, Hash), new: (u64, Hash)) -> bool {
    if old.0 == 0 {
        return proof.is_empty();
    }
    if old.0 == new.0 {
        return proof.is_empty() && old.1 == new.1;
    }
    check_tree(&proof.to_vec(), new.0, new.1, old.0, old.1).is_ok()
}

/// A leaf with all that is needed to check it, offline.
#[derive(Clone, Debug, PartialEq)]
pub struct Inclusion {
    /// The leaf's line.
    pub leaf: String,
    /// Its index.
    pub index: u64,
    /// From the leaf's sibling up.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint, verbatim.
    pub checkpoint: String,
}

impl Inclusion {
    /// Makes the proof out of a folder whose checkpoint opens with `log_key`.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn prove(folder: &dyn Folder, log_key: &str, index: u64) -> Result<Self, Fault> {
        let text = folder.get("checkpoint").ok_or_else(|| fault("checkpoint", "missing"))?;
        let (size, root) =
            cosign::open(&text, log_key, &[]).map_err(|failure| fault("checkpoint", &failure.to_string()))?;
        if index >= size {
            return Err(fault("checkpoint", &format!("it has {size} leaves")));
        }
        let tiles = Tiles(folder);
        let reader = TileHashReader::new(size, root, &tiles);
        let hashes =
            prove_record(size, index, &reader).map_err(|_| fault("tiles", "they do not give the signed root"))?;
        let leaf = entry(folder, size, index)?;
        check_record(&hashes, size, root, index, record_hash(&leaf))
            .map_err(|_| fault(&format!("leaf {index}"), "the tiles do not hold it"))?;
        let leaf = String::from_utf8(leaf).map_err(|_| fault(&format!("leaf {index}"), "malformed"))?;
        let checkpoint = String::from_utf8(text).map_err(|_| fault("checkpoint", "malformed"))?;
        Ok(Self { leaf, index, hashes, checkpoint })
    }

    /// The text of the `.tlog-proof` file; the leaf stands in its `extra` line.
    pub fn to_text(&self) -> String {
        let mut out = format!("{HEADER}\nextra {}\nindex {}\n", STANDARD.encode(&self.leaf), self.index);
        for hash in &self.hashes {
            out.push_str(&STANDARD.encode(hash.0));
            out.push('\n');
        }
        out.push('\n');
        out.push_str(&self.checkpoint);
        out
    }

    /// Reads a file of [`Inclusion::to_text`].
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > PROOF_MAX {
            return None;
        }
        let (head, checkpoint) = text.split_once("\n\n")?;
        let mut lines = head.lines();
        if lines.next()? != HEADER {
            return None;
        }
        let leaf = String::from_utf8(STANDARD.decode(lines.next()?.strip_prefix("extra ")?).ok()?).ok()?;
        let index = lines.next()?.strip_prefix("index ")?.parse().ok()?;
        let hashes = lines.map(hash_of_base64).collect::<Option<Vec<_>>>()?;
        let is_short = hashes.len() <= HASHES_MAX;
        is_short.then(|| Self { leaf, index, hashes, checkpoint: checkpoint.to_owned() })
    }

    /// Checks leaf, inclusion, signature and cosignatures; gives the leaf and the size of the tree.
    ///
    /// # Errors
    /// [`Fault`] says which of them does not hold.
    pub fn check(&self, log_key: &str, witnesses: &[WitnessVerifier]) -> Result<(Leaf, u64), Fault> {
        let leaf = Leaf::parse(&self.leaf).map_err(|_| fault("leaf", "malformed"))?;
        let (size, root) = cosign::open(self.checkpoint.as_bytes(), log_key, witnesses)
            .map_err(|failure| fault("checkpoint", &failure.to_string()))?;
        let hash = record_hash(self.leaf.as_bytes());
        let is_in = self.index < size && check_record(&self.hashes, size, root, self.index, hash).is_ok();
        if is_in { Ok((leaf, size)) } else { Err(fault("proof", "the leaf is not in the tree of the checkpoint")) }
    }
}

/// Thirty-two bytes in base64.
pub fn hash_of_base64(text: &str) -> Option<Hash> {
    Some(Hash(STANDARD.decode(text).ok()?.try_into().ok()?))
}

/// A hash in base64.
pub fn hash_to_base64(hash: &Hash) -> String {
    STANDARD.encode(hash.0)
}

/// Feeds foreign bytes to the parser (fuzz target and corpus test).
pub fn fuzz_proof(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Some(proof) = Inclusion::parse(text)
    {
        drop(proof.check("fuzz.example/log+00000000+AAAA", &[]));
    }
}
