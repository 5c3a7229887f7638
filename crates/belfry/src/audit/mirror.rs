//! A folder of the log's public files on disk, and a copy of it that only grows.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use audit::Folder;
use audit::folder::TileName;

/// Longest file of a log: an entry bundle of 256 entries of 64 KiB would be 16 MiB; leaves of this log are under 200 bytes.
const FILE_MAX: u64 = 1 << 20;

/// The public files below a path.
#[derive(Clone, Debug)]
pub(crate) struct DirFolder {
    dir: PathBuf,
    checkpoint: &'static str,
}

impl DirFolder {
    /// With the newest signed checkpoint.
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), checkpoint: "checkpoint" }
    }

    /// With the newest checkpoint that witnesses cosigned, where there is one.
    pub(crate) fn cosigned(dir: &Path) -> Self {
        let has = dir.join("checkpoint.cosigned").exists();
        Self { dir: dir.to_owned(), checkpoint: if has { "checkpoint.cosigned" } else { "checkpoint" } }
    }

    fn walk(&self, below: &Path, found: &mut Vec<String>) {
        let Ok(entries) = std::fs::read_dir(below) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.walk(&path, found);
            } else if let Some(path) = path.strip_prefix(&self.dir).ok().and_then(Path::to_str) {
                found.push(path.to_owned());
            }
        }
    }
}

impl Folder for DirFolder {
    fn get(&self, path: &str) -> Option<Vec<u8>> {
        let path = self.dir.join(if path == "checkpoint" { self.checkpoint } else { path });
        std::fs::metadata(&path).ok().filter(|found| found.is_file() && found.len() <= FILE_MAX)?;
        std::fs::read(path).ok()
    }

    fn paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.walk(&self.dir.join("tile"), &mut found);
        found.sort();
        found
    }
}

/// Whether a whole tile of that name is there: it never changes again.
fn is_whole(path: &str) -> bool {
    TileName::parse(path).is_some_and(|name| name.width == 256)
}

/// Copies what `to` does not have yet: whole tiles once, partial ones of now, checkpoints last, so that a copy that is cut off holds
/// under the checkpoint that it had. Gives the number of files copied.
///
/// # Errors
/// Of the disk, or when the source has no checkpoint.
pub(crate) fn copy(from: &Path, to: &Path) -> anyhow::Result<usize> {
    // Read first: tiles are written before the checkpoint that needs them.
    let notes: Vec<(&str, Vec<u8>)> = ["checkpoint.cosigned", "checkpoint"]
        .into_iter()
        .filter_map(|name| Some((name, std::fs::read(from.join(name)).ok()?)))
        .collect();
    anyhow::ensure!(notes.iter().any(|(name, _)| *name == "checkpoint"), "`{}` holds no log", from.display());
    let mut count = 0;
    for path in DirFolder::new(from).paths() {
        let (source, target) = (from.join(&path), to.join(&path));
        if Path::new(&path).extension().is_some_and(|end| end == "tmp") || target.exists() {
            continue;
        }
        match std::fs::read(&source) {
            Ok(bytes) => write(&target, &bytes)?,
            // A partial tile that became whole meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_whole(&path) => continue,
            Err(error) => return Err(error).with_context(|| source.display().to_string()),
        }
        count += 1;
    }
    for (name, bytes) in notes {
        write(&to.join(name), &bytes)?;
        count += 1;
    }
    Ok(count)
}

/// Temporary name, write, sync, rename.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let said = || path.display().to_string();
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).with_context(said)?;
    let mut temporary = path.to_owned().into_os_string();
    temporary.push(".tmp");
    let mut file = std::fs::File::create(&temporary).with_context(said)?;
    file.write_all(bytes).with_context(said)?;
    file.sync_data().with_context(said)?;
    std::fs::rename(&temporary, path).with_context(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_takes_what_is_new_and_holds_at_every_size() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let key = audit::LogKey::from_seed("belfry.test/log", &[1; 32]).unwrap();
        let mut tree = audit::Tree::default();
        let mut copied = Vec::new();
        for step in [10_u64, 300, 300, 290] {
            for n in 0..step {
                let commitment = audit::Commitment::to(&[0; 32], &n.to_be_bytes());
                let at = vms_core::WallTime::from_secs(1_790_000_000);
                let leaf = audit::Leaf { kind: audit::LeafKind::Use, at, decision: None, refers: None, commitment };
                tree.push(leaf.to_line().as_bytes());
            }
            for tile in tree.take_tiles() {
                write(&here.path().join(&tile.path), &tile.bytes).unwrap();
            }
            write(&here.path().join("checkpoint"), &key.sign(tree.size(), tree.root()).unwrap()).unwrap();
            copied.push(copy(here.path(), there.path()).unwrap());
            let pins = audit::Pins { log_key: key.verifier_key().to_owned(), ..audit::Pins::default() };
            let checked = audit::check(&DirFolder::cosigned(there.path()), &pins).unwrap();
            assert_eq!(checked.size, tree.size());
        }
        // Whole tiles are copied once: 900 leaves have three of each kind.
        assert!(copied.iter().all(|count| *count < 10), "{copied:?}");
        assert!(copy(there.path().join("nothing").as_path(), here.path()).is_err());
    }
}
