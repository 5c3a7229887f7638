//! For tests of clocks: programs under a wall clock that a file moves (libfaketime).

use std::path::{Path, PathBuf};

/// Where the library lies, if it is installed.
pub(crate) fn library() -> Option<PathBuf> {
    let found = ["x86_64", "aarch64"]
        .map(|machine| PathBuf::from(format!("/usr/lib/{machine}-linux-gnu/faketime/libfaketimeMT.so.1")));
    found.into_iter().find(|path| path.exists())
}

/// What a program's environment needs so that its wall clock, and nothing else, follows the file.
pub(crate) fn variables(library: &Path, offset: &Path) -> [(&'static str, String); 6] {
    [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", offset.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("NO_FAKE_STAT", "1".to_owned()),
    ]
}

/// Moves the clock by so many seconds against the real one.
pub(crate) fn set(offset: &Path, seconds: i64) {
    // The programs read it at every look at the clock: never half of it.
    let beside = offset.with_extension("new");
    std::fs::write(&beside, format!("{seconds:+}s\n")).unwrap();
    std::fs::rename(beside, offset).unwrap();
}
