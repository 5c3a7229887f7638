//! What a volume has left.

use std::path::Path;

/// Size of the volume of `path`, and bytes free on it for an ordinary user.
pub(crate) fn volume_bytes(path: &Path) -> Option<(u64, u64)> {
    let found = rustix::fs::statvfs(path).ok()?;
    Some((found.f_blocks.saturating_mul(found.f_frsize), found.f_bavail.saturating_mul(found.f_frsize)))
}

/// Files that an ordinary user can still make on the volume of `path`; `None` where the file system sets no bound.
pub(crate) fn free_files(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    (found.f_files > 0).then_some(found.f_favail)
}

/// Bytes free for an ordinary user on the volume of `path`.
pub(crate) fn free_bytes(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}
