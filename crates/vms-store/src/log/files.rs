//! Tiles and checkpoint as files: temporary name, write, sync, rename, sync of the folder.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use audit::{Leaf, LogKey, TileWrite, Tree};

use super::LogFault;

/// The public folder of the log.
#[derive(Debug)]
pub struct PublicFiles {
    dir: PathBuf,
}

impl PublicFiles {
    /// Opens or makes the folder.
    ///
    /// # Errors
    /// [`LogFault::Io`].
    pub fn open(dir: &Path) -> Result<Self, LogFault> {
        std::fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// The tree of the last signed checkpoint; empty when there is none.
    ///
    /// # Errors
    /// [`LogFault::Tampered`] when the tiles do not give the signed root, or the signature is not ours.
    pub fn recover(&self, key: &LogKey) -> Result<Tree, LogFault> {
        let path = self.dir.join("checkpoint");
        if !path.exists() {
            return Ok(Tree::default());
        }
        let text = std::fs::read(path)?;
        let verifier = key.verifier_key();
        let origin = verifier.split('+').next().unwrap_or("");
        let (size, root) = audit::note::open(&text, origin, verifier)
            .map_err(|failure| LogFault::Tampered(format!("the checkpoint: {failure}")))?;
        let tree = self.read_edge(size)?;
        if tree.root() == root {
            Ok(tree)
        } else {
            Err(LogFault::Tampered(format!("the tiles do not give the signed root of size {size}")))
        }
    }

    /// Reads the right edge of a tree of `size` back from the tiles.
    ///
    /// # Errors
    /// [`LogFault::Tampered`] when a tile is missing or cut.
    pub fn read_edge(&self, size: u64) -> Result<Tree, LogFault> {
        let (edge, bundle) = Tree::edge_paths(size);
        let mut tiles = Vec::with_capacity(edge.len());
        for (level, path) in edge {
            tiles.push((level, self.read(&path)?));
        }
        let bundle = bundle.map(|path| self.read(&path)).transpose()?;
        Tree::from_edge(size, &tiles, bundle.as_deref())
            .ok_or_else(|| LogFault::Tampered(format!("a tile of size {size} is cut")))
    }

    /// A file as it is on disk.
    ///
    /// # Errors
    /// [`LogFault::Tampered`] when it is not there.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, LogFault> {
        std::fs::read(self.dir.join(path)).map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                LogFault::Tampered(format!("{path} is missing"))
            } else {
                LogFault::Io(error)
            }
        })
    }

    /// The newest leaf of a tree whose tiles are on disk.
    ///
    /// # Errors
    /// [`LogFault::Tampered`] when its bundle is missing or cut.
    pub fn newest_leaf(&self, tree: &Tree) -> Result<Option<Leaf>, LogFault> {
        let line = match tree.full_bundle_path() {
            None => tree.last_entry().map(<[u8]>::to_vec),
            Some(path) => audit::tree::unbundle(&self.read(&path)?).and_then(|mut entries| entries.pop()),
        };
        Ok(line.and_then(|line| Leaf::parse(std::str::from_utf8(&line).ok()?).ok()))
    }

    /// Writes a tile.
    ///
    /// # Errors
    /// [`LogFault::Io`].
    pub fn write_tile(&self, tile: &TileWrite) -> Result<(), LogFault> {
        Ok(replace(&self.dir.join(&tile.path), &tile.bytes)?)
    }

    /// Removes the partial forms of tiles that are full. Only once a checkpoint is signed that needs none of them: a kill in between
    /// must leave what the checkpoint before names.
    ///
    /// # Errors
    /// [`LogFault::Io`].
    pub fn drop_partials(&self, tiles: &[TileWrite]) -> Result<(), LogFault> {
        for tile in tiles.iter().filter(|tile| tile.full) {
            match std::fs::remove_dir_all(self.dir.join(format!("{}.p", tile.path))) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Replaces the checkpoint.
    ///
    /// # Errors
    /// [`LogFault::Io`].
    pub fn write_checkpoint(&self, signed: &[u8]) -> Result<(), LogFault> {
        Ok(replace(&self.dir.join("checkpoint"), signed)?)
    }

    /// Replaces the newest checkpoint that witnesses cosigned.
    ///
    /// # Errors
    /// [`LogFault::Io`].
    pub fn write_cosigned(&self, note: &[u8]) -> Result<(), LogFault> {
        Ok(replace(&self.dir.join("checkpoint.cosigned"), note)?)
    }
}

pub(super) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent)?;
    let mut temporary = path.to_owned().into_os_string();
    temporary.push(".tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    durable::sync_data(&file)?;
    std::fs::rename(&temporary, path)?;
    durable::sync_folder(parent)
}
