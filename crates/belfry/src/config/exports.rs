//! Where evidence exports are made, and what they may take.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Evidence exports (docs/EVIDENCE.md).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Exports {
    /// Packages; empty: `exports` in the state folder. Best on a disk of its own, encrypted: what lies here is footage in clear.
    pub dir: PathBuf,
    /// Key that signs packages, made at the first start with mode 0600; its certificate lies beside it with the ending `pem`. Empty:
    /// `keys/export.key` in the state folder.
    pub key: PathBuf,
    /// Who signs, in the certificate that is made at the first start: the organisation.
    pub organisation: String,
    /// The installation.
    pub installation: String,
    /// Packages made at once; the rest waits.
    pub jobs_max: u32,
    /// Exports that may wait for an approval or their turn; one more is refused.
    pub waiting_max: u32,
    /// Longest span of one export, minutes.
    pub span_max_minutes: u32,
    /// A finished package is removed after so many hours; 0: at the term of its class (RC-EXP), which it can never pass.
    pub keep_hours: u32,
    /// Exports stop before the disk has less than this, MiB.
    pub keep_free_mib: u64,
}

impl Default for Exports {
    fn default() -> Self {
        Self {
            dir: PathBuf::new(),
            key: PathBuf::new(),
            organisation: "Belfry".to_owned(),
            installation: "Belfry".to_owned(),
            jobs_max: 2,
            waiting_max: 100,
            span_max_minutes: 720,
            keep_hours: 0,
            keep_free_mib: 1024,
        }
    }
}

impl Exports {
    pub(super) fn resolve(&mut self, state: &Path, folder: &Path) {
        for (path, default) in [(&mut self.dir, "exports"), (&mut self.key, "keys/export.key")] {
            *path = if path.as_os_str().is_empty() { state.join(default) } else { folder.join(&*path) };
        }
    }

    /// What cannot work: key and what to do.
    pub(super) fn problem(&self, footage: &Path) -> Option<(&'static str, &'static str)> {
        if self.dir.starts_with(footage) || footage.starts_with(&self.dir) {
            return Some(("exports.dir", "must lie apart from `recorder.dir`"));
        }
        if self.key.starts_with(&self.dir) {
            return Some(("exports.key", "must not lie beside what it signs"));
        }
        if self.organisation.trim().is_empty() || self.installation.trim().is_empty() {
            return Some(("exports.installation", "a court must be able to tell who signed: name both"));
        }
        if !(1..=8).contains(&self.jobs_max) || !(1..=1_000).contains(&self.waiting_max) {
            return Some(("exports.jobs_max", "must be 1 to 8, and waiting_max 1 to 1000"));
        }
        if !(1..=720).contains(&self.span_max_minutes) {
            return Some(("exports.span_max_minutes", "must be 1 to 720"));
        }
        None
    }
}
