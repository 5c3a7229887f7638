//! A copy of the log's public files, wherever they lie, and how tiles are read out of it.

use crate::tree;

/// Hashes in a full tile.
pub const TILE_WIDTH: u64 = 256;

/// The public files of a log, by path (`checkpoint`, `tile/…`).
pub trait Folder {
    /// Content of a file; `None` when there is no such file.
    fn get(&self, path: &str) -> Option<Vec<u8>>;
    /// Every path below `tile/`.
    fn paths(&self) -> Vec<String>;
}

impl Folder for std::collections::BTreeMap<String, Vec<u8>> {
    fn get(&self, path: &str) -> Option<Vec<u8>> {
        self.get(path).cloned()
    }

    fn paths(&self) -> Vec<String> {
        self.keys().filter(|path| path.starts_with("tile/")).cloned().collect()
    }
}

/// Something in a copy of the log that does not hold, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct Fault {
    /// File, leaf or segment.
    pub place: String,
    /// What is wrong with it.
    pub what: String,
}

pub(crate) fn fault(place: &str, what: &str) -> Fault {
    Fault { place: place.to_owned(), what: what.to_owned() }
}

/// What a file below `tile/` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileName {
    /// Level of hashes; `None`: entries.
    pub level: Option<u32>,
    /// Number in its level.
    pub number: u64,
    /// Hashes or entries in it.
    pub width: usize,
}

impl TileName {
    /// Reads a path; `None` when no log writes it so.
    pub fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("tile/")?;
        let (level, rest) = rest.split_once('/')?;
        let level = match level {
            "entries" => None,
            digit => Some(digit.parse().ok().filter(|level| *level < 7)?),
        };
        let (number, width) = match rest.split_once(".p/") {
            None => (rest, 256),
            Some((number, width)) => (number, width.parse().ok().filter(|width| (1..256).contains(width))?),
        };
        let mut value = 0_u64;
        let groups: Vec<&str> = number.split('/').collect();
        for (place, group) in groups.iter().enumerate() {
            let is_last = place + 1 == groups.len();
            let digits = if is_last { group } else { group.strip_prefix('x')? };
            if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            value = value.checked_mul(1_000)?.checked_add(digits.parse().ok()?)?;
        }
        let name = Self { level, number: value, width };
        // One path for each tile.
        (name.path() == path).then_some(name)
    }

    /// The path again.
    pub fn path(&self) -> String {
        let width = (self.width < 256).then_some(self.width);
        match self.level {
            None => tree::entries_path(self.number, width),
            Some(level) => tree::tile_path(usize::try_from(level).unwrap_or(usize::MAX), self.number, width),
        }
    }
}

/// The first `width` hashes of a tile; a log that went on may have the whole tile in the place of the partial one.
///
/// # Errors
/// [`Fault`] when it is missing or cut.
pub(crate) fn tile_bytes(folder: &dyn Folder, level: usize, number: u64, width: usize) -> Result<Vec<u8>, Fault> {
    let partial = tree::tile_path(level, number, (width < 256).then_some(width));
    let whole = tree::tile_path(level, number, None);
    let bytes = folder.get(&partial).or_else(|| folder.get(&whole)).ok_or_else(|| fault(&partial, "missing"))?;
    bytes.get(..width * 32).map(<[u8]>::to_vec).ok_or_else(|| fault(&partial, "cut short"))
}

/// The first `width` entries of a bundle.
pub(crate) fn bundle(folder: &dyn Folder, number: u64, width: usize) -> Result<Vec<Vec<u8>>, Fault> {
    let partial = tree::entries_path(number, (width < 256).then_some(width));
    let whole = tree::entries_path(number, None);
    let bytes = folder.get(&partial).or_else(|| folder.get(&whole)).ok_or_else(|| fault(&partial, "missing"))?;
    let mut entries = tree::unbundle(&bytes).ok_or_else(|| fault(&partial, "cut short"))?;
    if entries.len() < width {
        return Err(fault(&partial, "too few entries"));
    }
    entries.truncate(width);
    Ok(entries)
}

/// One entry of a tree of `size`.
pub(crate) fn entry(folder: &dyn Folder, size: u64, index: u64) -> Result<Vec<u8>, Fault> {
    let number = index / TILE_WIDTH;
    let width = usize::try_from(size.saturating_sub(number * TILE_WIDTH).min(TILE_WIDTH)).unwrap_or(0);
    let mut entries = bundle(folder, number, width)?;
    let place = usize::try_from(index % TILE_WIDTH).unwrap_or(usize::MAX);
    if place < entries.len() { Ok(entries.swap_remove(place)) } else { Err(fault(&format!("leaf {index}"), "missing")) }
}

/// Feeds foreign bytes to the parser (fuzz target and corpus test).
pub fn fuzz_tile_name(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Some(name) = TileName::parse(text)
    {
        assert_eq!(name.path(), text, "one path for each tile");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_has_one_path() {
        let name = |level, number, width| Some(TileName { level, number, width });
        for (path, wanted) in [
            ("tile/0/x001/x234/067", name(Some(0), 1_234_067, 256)),
            ("tile/entries/000.p/17", name(None, 0, 17)),
            ("tile/1/000.p/256", None),
            ("tile/1/000.p/0", None),
            ("tile/1/x000/000", None),
            ("tile/00/000", None),
            ("tile/7/000", None),
            ("tile/1/../../x", None),
            ("tile/0/0000", None),
            ("tile/0/000.p/+5", None),
        ] {
            assert_eq!(TileName::parse(path), wanted, "{path}");
            fuzz_tile_name(path.as_bytes());
        }
    }
}
