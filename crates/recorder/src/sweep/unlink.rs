//! Files of erased segments, removed for good.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::index::Located;

/// Unlinks and makes it durable; gives back those that are surely gone.
pub(super) fn unlink(root: &Path, batch: Vec<Located>) -> Vec<Located> {
    let mut folders: HashMap<PathBuf, Vec<Located>> = HashMap::new();
    for one in batch {
        let path = root.join(&one.path);
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::error!(segment = %one.segment, %error, "a segment could not be erased");
                metrics::counter!("recorder_erase_errors_total").increment(1);
                continue;
            }
        }
        if let Some(folder) = path.parent() {
            folders.entry(folder.to_owned()).or_default().push(one);
        }
    }
    let mut gone = Vec::new();
    for (folder, segments) in folders {
        match File::open(&folder).and_then(|open| open.sync_all()) {
            Ok(()) => gone.extend(segments),
            // The folder itself is not there: nothing in it can be.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => gone.extend(segments),
            Err(error) => tracing::error!(%error, "a folder could not be synced after erasing"),
        }
        // Succeeds only when empty; a new segment of that hour makes it again.
        std::fs::remove_dir(&folder).ok();
    }
    gone
}
