//! The full check of a copy of the log: signatures, every tile against its entries, the root, and every leaf.
//!
//! `tools/verify_log.py` checks the same and shares no code with this.

use tlog_tiles::tlog::{EMPTY_HASH, Hash, node_hash, record_hash};

use crate::cosign::{self, WitnessVerifier};
use crate::folder::{Fault, Folder, TILE_WIDTH, TileName, bundle, fault};
use crate::rules::Leaves;
use crate::tree;

/// What an overseer brings along.
#[derive(Clone, Debug, Default)]
pub struct Pins {
    /// The log's public key.
    pub log_key: String,
    /// Every witness that must have cosigned.
    pub witnesses: Vec<WitnessVerifier>,
    /// The signed checkpoint that was kept when the log was looked at last.
    pub old: Option<Vec<u8>>,
}

/// A log that holds.
#[derive(Debug)]
pub struct Checked {
    /// Leaves.
    pub size: u64,
    /// Root.
    pub root: Hash,
    /// What the leaves say, for [`Leaves::details`].
    pub leaves: Leaves,
}

/// The rows of the tree: row 0 holds the hashes of the leaves, each row above those of whole pairs.
#[derive(Debug, Default)]
struct Rows(Vec<Vec<Hash>>);

impl Rows {
    fn push(&mut self, leaf: Hash) {
        let (mut hash, mut level) = (leaf, 0_usize);
        loop {
            if self.0.len() == level {
                self.0.push(Vec::new());
            }
            let Some(row) = self.0.get_mut(level) else { return };
            let left = if row.len() % 2 == 1 { row.last().copied() } else { None };
            row.push(hash);
            let Some(left) = left else { return };
            hash = node_hash(left, hash);
            level += 1;
        }
    }

    /// The root of the first `size` leaves.
    fn root(&self, size: u64) -> Option<Hash> {
        let mut parts = Vec::new();
        let mut at = 0_u64;
        for level in (0..u32::try_from(self.0.len()).ok()?).rev() {
            if (size >> level) & 1 == 1 {
                let row = self.0.get(usize::try_from(level).ok()?)?;
                parts.push(*row.get(usize::try_from(at >> level).ok()?)?);
                at += 1 << level;
            }
        }
        if at != size {
            return None;
        }
        let mut right_to_left = parts.into_iter().rev();
        let Some(last) = right_to_left.next() else { return Some(EMPTY_HASH) };
        Some(right_to_left.fold(last, |right, left| node_hash(left, right)))
    }

    /// The hashes of a tile that the tree has.
    fn tile(&self, level: u32, number: u64, width: usize) -> &[Hash] {
        let row = usize::try_from(8 * level).ok().and_then(|row| self.0.get(row));
        let start = number.checked_mul(TILE_WIDTH).and_then(|start| usize::try_from(start).ok());
        let rest = row.zip(start).and_then(|(row, start)| row.get(start..)).unwrap_or(&[]);
        rest.get(..width).unwrap_or(rest)
    }
}

/// Checks the public files.
///
/// # Errors
/// [`Fault`] names the first place that does not hold.
pub fn check(folder: &dyn Folder, pins: &Pins) -> Result<Checked, Fault> {
    let text = folder.get("checkpoint").ok_or_else(|| fault("checkpoint", "missing"))?;
    let (size, root) =
        cosign::open(&text, &pins.log_key, &pins.witnesses).map_err(|why| fault("checkpoint", &why.to_string()))?;
    let mut rows = Rows::default();
    let mut leaves = Leaves::default();
    for number in 0..size.div_ceil(TILE_WIDTH) {
        let width = usize::try_from((size - number * TILE_WIDTH).min(TILE_WIDTH)).unwrap_or(0);
        for entry in bundle(folder, number, width)? {
            rows.push(record_hash(&entry));
            leaves.push(&entry)?;
        }
    }
    if rows.root(size) != Some(root) {
        return Err(fault("checkpoint", "its root is not that of the entries"));
    }
    if let Some(old) = &pins.old {
        let opened = cosign::open(old, &pins.log_key, &[]);
        let (old_size, old_root) = opened.map_err(|why| fault("old checkpoint", &why.to_string()))?;
        if old_size > size {
            let what = format!("it has {size} leaves, the one that you kept had {old_size}: rolled back");
            return Err(fault("checkpoint", &what));
        }
        if rows.root(old_size) != Some(old_root) {
            return Err(fault("checkpoint", &format!("its first {old_size} leaves are not those you knew")));
        }
    }
    for path in folder.paths() {
        check_file(folder, &path, &rows, size)?;
    }
    Ok(Checked { size, root, leaves })
}

/// A file says what the leaves say; what lies beyond the signed size says nothing yet.
fn check_file(folder: &dyn Folder, path: &str, rows: &Rows, size: u64) -> Result<(), Fault> {
    if std::path::Path::new(path).extension().is_some_and(|end| end == "tmp") {
        return Ok(());
    }
    let name = TileName::parse(path).ok_or_else(|| fault(path, "no file of a log"))?;
    let bytes = folder.get(path).ok_or_else(|| fault(path, "missing"))?;
    let misfit = || fault(path, "does not fit the entries");
    let found: Vec<Hash> = match name.level {
        None => {
            let entries = tree::unbundle(&bytes).ok_or_else(|| fault(path, "cut short"))?;
            entries.iter().map(|entry| record_hash(entry)).collect()
        }
        Some(_) if bytes.len() % 32 != 0 => return Err(fault(path, "a wrong length")),
        Some(_) => bytes.chunks_exact(32).filter_map(|raw| raw.try_into().ok().map(Hash)).collect(),
    };
    if found.len() != name.width {
        return Err(fault(path, &format!("not {} wide", name.width)));
    }
    let known = rows.tile(name.level.unwrap_or(0), name.number, name.width);
    let is_within = name.level.is_some() || name.number.saturating_mul(TILE_WIDTH) <= size;
    if is_within && found.get(..known.len()) != Some(known) { Err(misfit()) } else { Ok(()) }
}
