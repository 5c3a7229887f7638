//! The section of a key store: `[recorder.keys]` for footage, `[reads.keys]` for plate reads and findings.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// One key store (docs/KEYS.md).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Keys {
    /// First copy of the key store; empty: `footage-keys/store` (or `read-keys/store`) in the state folder. Never inside `recorder.dir`.
    pub store: PathBuf,
    /// Its root, best on another medium; empty: `footage-keys/root` (or `read-keys/root`) in the state folder.
    pub root: PathBuf,
    /// Second copy, on another disk or host.
    pub second_store: PathBuf,
    /// Its root.
    pub second_root: PathBuf,
    /// There is no second copy, and that is meant: when the disk dies, every key dies, and all that they sealed with it, wherever it is.
    pub one_disk: bool,
    /// Secret that guards the roots: a name in `$CREDENTIALS_DIRECTORY` (systemd's `LoadCredentialEncrypted=`), or a path. Empty:
    /// whoever has the disk of a root has what is in its term.
    pub credential: String,
    /// The secret before it, while it is changed.
    pub credential_before: String,
    /// The root is changed so often, hours: 1 to 24.
    pub root_change_hours: u32,
    /// Folder of backups; empty: none are made.
    pub backup: PathBuf,
    /// Folder of the keys of backups: never copied, never beside the backups.
    pub backup_keys: PathBuf,
    /// Folder of the magistrate's gate of this key store, best on a medium that is attached when a magistrate has decided; empty:
    /// `footage-gate` (or `read-gate`) in the state folder.
    pub gate: PathBuf,
    /// A second place for the same; empty: none, and what is behind the gate is lost with the first.
    pub gate_copy: PathBuf,
    /// A backup is made so often, hours: 1 to 24. Each can be read for 72 h at most.
    pub backup_every_hours: u32,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            store: PathBuf::new(),
            root: PathBuf::new(),
            second_store: PathBuf::new(),
            second_root: PathBuf::new(),
            one_disk: true,
            credential: String::new(),
            credential_before: String::new(),
            root_change_hours: 1,
            backup: PathBuf::new(),
            backup_keys: PathBuf::new(),
            gate: PathBuf::new(),
            gate_copy: PathBuf::new(),
            backup_every_hours: 6,
        }
    }
}

impl Keys {
    /// Relative paths count from `folder`; what is empty gets its place below `state`.
    pub(super) fn resolve(&mut self, state: &Path, name: &str, folder: &Path) {
        for (path, default) in [(&mut self.store, "store"), (&mut self.root, "root")] {
            *path = if path.as_os_str().is_empty() { state.join(name).join(default) } else { folder.join(&*path) };
        }
        if self.gate.as_os_str().is_empty() {
            self.gate = state.join(name.replace("-keys", "-gate"));
        } else {
            self.gate = folder.join(&self.gate);
        }
        let others = [&mut self.second_store, &mut self.second_root, &mut self.backup, &mut self.backup_keys];
        for path in others.into_iter().chain([&mut self.gate_copy]) {
            if !path.as_os_str().is_empty() {
                *path = folder.join(&*path);
            }
        }
    }

    /// What cannot work: which key of the section (empty: several), and what to do.
    pub(super) fn problem(&self, footage: &Path) -> Option<(&'static str, &'static str)> {
        let is_set = |path: &Path| !path.as_os_str().is_empty();
        if is_set(&self.second_store) != is_set(&self.second_root) {
            return Some(("second_root", "goes with `second_store`: name a folder for both, or none"));
        }
        if !is_set(&self.second_store) && !self.one_disk {
            let what = "must name a folder on another disk or host; or say `one_disk = true`: then, when the disk of \
                        the keys dies, all that they sealed is lost, wherever it lies";
            return Some(("second_store", what));
        }
        if is_set(&self.second_store) && self.one_disk {
            return Some(("one_disk", "must be false: a second copy is named"));
        }
        if is_set(&self.backup) != is_set(&self.backup_keys) {
            let what = "goes with `backup`: a backup needs a folder, and another one for its keys";
            return Some(("backup_keys", what));
        }
        if self.credential.is_empty() && !self.credential_before.is_empty() {
            return Some(("credential", "must be the new secret while `credential_before` is named"));
        }
        if !(1..=24).contains(&self.root_change_hours) || !(1..=24).contains(&self.backup_every_hours) {
            return Some(("", "root_change_hours and backup_every_hours must be 1 to 24"));
        }
        let named = self.folders();
        if named.iter().any(|path| path.starts_with(footage)) {
            return Some(("", "no folder of keys may lie inside `recorder.dir`, beside what they open"));
        }
        let apart = |at: usize, one: &Path| named.iter().skip(at + 1).all(|other| one != other.as_path());
        if !named.iter().enumerate().all(|(at, one)| apart(at, one)) {
            return Some(("", "each folder must be another one"));
        }
        None
    }

    fn folders(&self) -> Vec<&PathBuf> {
        let all = [&self.store, &self.root, &self.second_store, &self.second_root, &self.backup, &self.backup_keys];
        all.into_iter().chain([&self.gate, &self.gate_copy]).filter(|path| !path.as_os_str().is_empty()).collect()
    }

    /// Whether two key stores share no folder.
    pub(super) fn is_apart_from(&self, other: &Self) -> bool {
        let others = other.folders();
        self.folders().iter().all(|folder| !others.contains(folder))
    }

    /// Where a credential lies.
    pub(crate) fn credential_path(name: &str) -> Option<PathBuf> {
        let path = Path::new(name);
        if path.is_absolute() {
            return Some(path.to_owned());
        }
        std::env::var_os("CREDENTIALS_DIRECTORY").map(|folder| Path::new(&folder).join(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_store_has_a_gate_of_its_own() {
        let (state, folder) = (Path::new("/s"), Path::new("/f"));
        for (name, gate, wanted) in [
            ("footage-keys", "", "/s/footage-gate"),
            ("read-keys", "", "/s/read-gate"),
            ("read-keys", "medium/gate", "/f/medium/gate"),
            ("read-keys", "/media/gate", "/media/gate"),
        ] {
            let mut keys = Keys { gate: gate.into(), ..Keys::default() };
            keys.resolve(state, name, folder);
            assert_eq!(
                (keys.gate.as_path(), keys.gate_copy.as_path()),
                (Path::new(wanted), Path::new("")),
                "{name} {gate}"
            );
        }
    }
}
