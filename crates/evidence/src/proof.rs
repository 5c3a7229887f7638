//! Proof that the decision stands in the log: leaf, inclusion proof, signed checkpoint (C2SP tlog-proof).

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tlog_tiles::tlog::{Error, Hash, check_record, prove_record, record_hash};
use tlog_tiles::{Tile, TileHashReader, TileReader};

/// First line of the file.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Longest proof that is read, bytes.
pub(crate) const PROOF_MAX: u64 = 64 * 1024;

/// Most hashes: one per level of the tallest tree.
const HASHES_MAX: usize = 64;

/// A leaf of the log with all that is needed to check it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogProof {
    /// The leaf's line.
    pub leaf: String,
    /// Its index.
    pub index: u64,
    /// Name of the log.
    pub origin: String,
    /// Its public key, in the form of signed notes.
    pub verifier_key: String,
    /// Hashes of the inclusion proof, hexadecimal, from the leaf's sibling up.
    pub hashes: Vec<String>,
    /// The signed checkpoint, verbatim.
    pub checkpoint: String,
}

/// Why a proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProofFailure {
    #[error("the line is not a leaf of the log")]
    Leaf,
    #[error("the checkpoint does not hold")]
    Checkpoint,
    #[error("the leaf is not in the tree of the checkpoint")]
    Inclusion,
}

/// Hashes in one tile of full width (C2SP tlog-tiles).
const TILE_WIDTH: u64 = 256;

/// The tiles of a log on disk, as they are served to anybody.
struct Tiles<'a>(&'a Path);

impl TileReader for Tiles<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        let read = |tile: &Tile| std::fs::read(self.0.join(c2sp_path(tile))).map_err(|_| Error::InvalidTile);
        tiles.iter().map(read).collect()
    }

    fn save_tiles(&self, _tiles: &[Tile], _data: &[Vec<u8>]) {}
}

/// The older form of the paths names the height of a tile and calls entries data.
fn c2sp_path(tile: &Tile) -> String {
    tile.path().replacen("tile/8/data/", "tile/entries/", 1).replacen("tile/8/", "tile/", 1)
}

impl LogProof {
    /// Makes the proof for a leaf from the public folder of a log; `None` while the signed checkpoint does not hold the leaf, or when
    /// checkpoint and tiles do not agree.
    pub fn read(public: &Path, verifier_key: &str, index: u64) -> Option<Self> {
        let origin = verifier_key.split('+').next()?;
        let checkpoint = std::fs::read_to_string(public.join("checkpoint")).ok()?;
        let (size, root) = audit::note::open(checkpoint.as_bytes(), origin, verifier_key).ok()?;
        if index >= size {
            return None;
        }
        let hashes = prove_record(size, index, &TileHashReader::new(size, root, &Tiles(public))).ok()?;
        let number = index / TILE_WIDTH;
        let width = size.saturating_sub(number.saturating_mul(TILE_WIDTH)).min(TILE_WIDTH);
        let bundle = Tile::new(8, 0, number, u32::try_from(width).ok()?, true);
        let entries = audit::tree::unbundle(&std::fs::read(public.join(c2sp_path(&bundle))).ok()?)?;
        let leaf = entries.get(usize::try_from(index % TILE_WIDTH).ok()?)?.clone();
        check_record(&hashes, size, root, index, record_hash(&leaf)).ok()?;
        Some(Self {
            leaf: String::from_utf8(leaf).ok()?,
            index,
            origin: origin.to_owned(),
            verifier_key: verifier_key.to_owned(),
            hashes: hashes.iter().map(|hash| hex::encode(hash.0)).collect(),
            checkpoint,
        })
    }

    /// The text of the `.tlog-proof` file; `None` when a hash is none.
    pub(crate) fn to_text(&self) -> Option<String> {
        let mut out = format!("{HEADER}\nindex {}\n", self.index);
        for hash in &self.hashes {
            let raw: [u8; 32] = hex::decode(hash).ok()?.try_into().ok()?;
            out.push_str(&STANDARD.encode(raw));
            out.push('\n');
        }
        out.push('\n');
        out.push_str(&self.checkpoint);
        Some(out)
    }
}

/// A `.tlog-proof` file as read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ProofFile {
    pub(crate) index: u64,
    pub(crate) hashes: Vec<Hash>,
    pub(crate) checkpoint: String,
}

impl ProofFile {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (head, checkpoint) = text.split_once("\n\n")?;
        let mut lines = head.lines();
        if lines.next()? != HEADER {
            return None;
        }
        let mut line = lines.next()?;
        if line.starts_with("extra ") {
            line = lines.next()?;
        }
        let index: u64 = line.strip_prefix("index ")?.parse().ok()?;
        let mut hashes = Vec::new();
        for line in lines {
            let raw: [u8; 32] = STANDARD.decode(line).ok()?.try_into().ok()?;
            hashes.push(Hash(raw));
            if hashes.len() > HASHES_MAX {
                return None;
            }
        }
        Some(Self { index, hashes, checkpoint: checkpoint.to_owned() })
    }

    /// Checks leaf, inclusion and the checkpoint's signature; gives the size of the tree.
    pub(crate) fn check(&self, leaf: &str, origin: &str, verifier_key: &str) -> Result<u64, ProofFailure> {
        audit::Leaf::parse(leaf).map_err(|_| ProofFailure::Leaf)?;
        let opened = audit::note::open(self.checkpoint.as_bytes(), origin, verifier_key);
        let (size, root) = opened.map_err(|_| ProofFailure::Checkpoint)?;
        if self.index >= size {
            return Err(ProofFailure::Inclusion);
        }
        let hash = record_hash(leaf.as_bytes());
        check_record(&self.hashes, size, root, self.index, hash).map_err(|_| ProofFailure::Inclusion)?;
        Ok(size)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use tlog_tiles::tlog::{HashReader, stored_hashes, tree_hash};
    use vms_core::{DecisionId, WallTime};

    use super::*;

    #[derive(Default)]
    struct Stored(Vec<Hash>);

    impl HashReader for Stored {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
            Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
        }
    }

    /// A log of 300 leaves, the decision among them.
    pub(crate) fn proof(decision: DecisionId) -> LogProof {
        let (index, size) = (123_u64, 300_u64);
        let leaf = |at: u64| audit::Leaf {
            kind: audit::LeafKind::Open,
            at: WallTime::from_secs(1_790_000_000 + i64::try_from(at).unwrap()),
            decision: (at == index).then_some(decision),
            refers: None,
            commitment: audit::Commitment::to(&[1; 32], &at.to_be_bytes()),
        };
        let mut stored = Stored::default();
        for at in 0..size {
            let hashes = stored_hashes(at, leaf(at).to_line().as_bytes(), &stored).unwrap();
            stored.0.extend(hashes);
        }
        let key = audit::LogKey::from_seed("belfry.test/log", &[3; 32]).unwrap();
        let checkpoint = key.sign(size, tree_hash(size, &stored).unwrap()).unwrap();
        LogProof {
            leaf: leaf(index).to_line(),
            index,
            origin: "belfry.test/log".to_owned(),
            verifier_key: key.verifier_key().to_owned(),
            hashes: prove_record(size, index, &stored).unwrap().iter().map(|hash| hex::encode(hash.0)).collect(),
            checkpoint: String::from_utf8(checkpoint).unwrap(),
        }
    }

    #[test]
    fn a_proof_holds_for_its_leaf_and_log_only() {
        let proof = proof(DecisionId::from_bytes([5; 16]));
        let text = proof.to_text().unwrap();
        let file = ProofFile::parse(&text).unwrap();
        let check = |file: &ProofFile, leaf: &str, key: &str| file.check(leaf, &proof.origin, key);
        assert_eq!(check(&file, &proof.leaf, &proof.verifier_key), Ok(300));
        let other = audit::LogKey::from_seed("belfry.test/log", &[4; 32]).unwrap();
        assert_eq!(check(&file, &proof.leaf, other.verifier_key()), Err(ProofFailure::Checkpoint));
        assert_eq!(check(&file, "belfry/1 x", &proof.verifier_key), Err(ProofFailure::Leaf));
        let forged = proof.leaf.replace(" open ", " renew ");
        assert_eq!(check(&file, &forged, &proof.verifier_key), Err(ProofFailure::Inclusion));
        let moved = ProofFile { index: 124, ..file };
        assert_eq!(check(&moved, &proof.leaf, &proof.verifier_key), Err(ProofFailure::Inclusion));
        for wrong in ["", HEADER, "c2sp.org/tlog-proof@v1\nindex x\n\nc"] {
            assert_eq!(ProofFile::parse(wrong), None, "{wrong}");
        }
        // The text that the specification shows: an extra line is skipped.
        let extra = text.replace("index ", "extra YWdl\nindex ");
        assert_eq!(ProofFile::parse(&extra).map(|file| file.index), Some(123));
    }

    /// The log as the installation writes it: what is read back from its public folder holds, leaf by leaf.
    #[test]
    fn a_proof_is_made_from_the_public_folder() {
        let dir = tempfile::tempdir().unwrap();
        let key = audit::LogKey::from_seed("belfry.test/log", &[3; 32]).unwrap();
        let mut tree = audit::Tree::default();
        let leaf = |at: u64| audit::Leaf {
            kind: audit::LeafKind::Open,
            at: WallTime::from_secs(1_790_000_000 + i64::try_from(at).unwrap()),
            decision: Some(DecisionId::from_bytes([5; 16])),
            refers: None,
            commitment: audit::Commitment::to(&[1; 32], &at.to_be_bytes()),
        };
        let mut size = 0;
        for grown in [1, 255, 256, 257, 700] {
            while size < grown {
                tree.push(leaf(size).to_line().as_bytes());
                size += 1;
            }
            for tile in tree.take_tiles() {
                let path = dir.path().join(&tile.path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, &tile.bytes).unwrap();
            }
            std::fs::write(dir.path().join("checkpoint"), key.sign(size, tree.root()).unwrap()).unwrap();
            for index in [0, size / 2, size - 1] {
                let proof = LogProof::read(dir.path(), key.verifier_key(), index).unwrap();
                assert_eq!(proof.leaf, leaf(index).to_line(), "leaf {index} of {size}");
                let file = ProofFile::parse(&proof.to_text().unwrap()).unwrap();
                assert_eq!(file.check(&proof.leaf, &proof.origin, &proof.verifier_key), Ok(size));
            }
            assert!(LogProof::read(dir.path(), key.verifier_key(), size).is_none(), "not signed yet");
        }
        let other = audit::LogKey::from_seed("belfry.test/log", &[4; 32]).unwrap();
        assert!(LogProof::read(dir.path(), other.verifier_key(), 3).is_none(), "another log's key");
        std::fs::write(dir.path().join("tile/0/000"), [0; 8_192]).unwrap();
        assert!(LogProof::read(dir.path(), key.verifier_key(), 3).is_none(), "tiles that do not give the root");
    }
}
