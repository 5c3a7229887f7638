//! Small things that the recorder keeps beside the footage, as JSON: read at the start, replaced as a whole.

use std::io::{Error, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What was kept; `None` where nothing was.
///
/// # Errors
/// Of the disk, or `InvalidData` when it is damaged.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> std::io::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(raw) => serde_json::from_slice(&raw)
            .map(Some)
            .map_err(|_| Error::new(ErrorKind::InvalidData, format!("{} is damaged", path.display()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Keeps it: new file (mode 0600), fsync, rename, fsync of the folder.
///
/// # Errors
/// Of the disk; what was kept before is then still there.
pub(crate) fn save<T: Serialize + ?Sized>(path: &Path, what: &T) -> std::io::Result<()> {
    let raw = serde_json::to_vec(what)?;
    let temporary = path.with_extension("new");
    std::fs::remove_file(&temporary).ok();
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(&raw)?;
    durable::sync_all(&file)?;
    std::fs::rename(&temporary, path)?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        durable::sync_folder(folder)?;
    }
    Ok(())
}
