//! Notes for the log of uses from processes that do not hold it: roles that start and end, and commands beside a running `serve`.
//!
//! A note is one file in `STATE/notes`, written durably under a name that rises with time; `serve` makes a leaf of each and removes
//! it. A note becomes one leaf whatever is killed: the leaf names the note, and the name is kept in the database before the file goes.
//! Overflow policy: [`NOTES_MAX`] notes may wait; past that a new one is refused, with a warning.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use audit::LeafKind;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vms_app::UseCases;
use vms_app::gate::{AuditLog as _, LogEntry};
use vms_app::ports::Ids as _;
use vms_store::Store;
use vms_store::log::{Sequencer, carry};

use crate::keys::write_durably;
use crate::wiring::system::{SystemClock, SystemRandom};

/// Notes that may wait for `serve`.
const NOTES_MAX: usize = 5_000;
/// Longest note, bytes.
const NOTE_MAX: u64 = 64 * 1024;
/// Notes of one round.
const ROUND_MAX: usize = 200;
/// Name of the source in leaves.
const SOURCE: &str = "notes";
/// What is noted.
pub(crate) const ROLE_STARTED: &str = "role_started";
/// What is noted.
pub(crate) const ROLE_ENDED: &str = "role_ended";
/// What is noted.
pub(crate) const DETAILS_EXPORTED: &str = "details_exported";
const OPERATIONS: [&str; 3] = [ROLE_STARTED, ROLE_ENDED, DETAILS_EXPORTED];

/// One note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// One of [`OPERATIONS`].
    operation: String,
    /// When it was written, microseconds since 1970.
    at_us: i64,
    /// The rest.
    details: Value,
}

/// Where notes lie.
pub(crate) fn folder(state: &Path) -> PathBuf {
    state.join("notes")
}

/// The name of a note in the log and in the database.
fn item(name: &str) -> String {
    format!("note {name}")
}

fn names(dir: &Path) -> anyhow::Result<Vec<String>> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| dir.display().to_string())?,
    };
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.ok()?.file_name().to_str()?.strip_suffix(".json").map(str::to_owned)
    };
    let mut names: Vec<String> = entries.filter_map(name).collect();
    names.sort_unstable();
    Ok(names)
}

/// Leaves a note; gives its name.
///
/// # Errors
/// The folder cannot be written, or too many notes wait.
pub(crate) fn leave(dir: &Path, operation: &'static str, details: Value) -> anyhow::Result<String> {
    anyhow::ensure!(names(dir)?.len() < NOTES_MAX, "{NOTES_MAX} notes wait for `serve` to take them into the log");
    let name = SystemRandom.uuid().simple().to_string();
    let note = Note { operation: operation.to_owned(), at_us: SystemClock::wall_now().micros, details };
    write_durably(&dir.join(format!("{name}.json")), &serde_json::to_vec(&note)?, 0o600)?;
    Ok(name)
}

/// As [`leave`], where what is noted happens all the same.
pub(crate) fn leave_or_warn(dir: &Path, operation: &'static str, details: Value) {
    if let Err(error) = leave(dir, operation, details) {
        tracing::warn!(error.chain = %format!("{error:#}"), "the log of uses will not say: {operation}");
    }
}

/// Waits until a note stands in the log; takes it back otherwise.
///
/// # Errors
/// It does not within `patience`.
pub(crate) async fn carried(store: &Store, dir: &Path, name: &str, patience: Duration) -> anyhow::Result<()> {
    let asked = tokio::time::Instant::now();
    while asked.elapsed() < patience {
        if !carry::told(store, &[item(name)]).await?.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let path = dir.join(format!("{name}.json"));
    std::fs::remove_file(&path).with_context(|| path.display().to_string())?;
    anyhow::bail!("the log of uses did not take the leaf of this within {} s: does `serve` run?", patience.as_secs())
}

/// Takes notes into the log.
#[derive(Debug)]
pub(crate) struct NotesCarrier {
    cases: Arc<UseCases>,
    store: Arc<Store>,
    log: Sequencer,
    dir: PathBuf,
    /// What reached the log before a kill is known.
    recalled: tokio::sync::Mutex<bool>,
}

impl NotesCarrier {
    pub(crate) fn new(cases: Arc<UseCases>, store: Arc<Store>, log: Sequencer, dir: PathBuf) -> Self {
        Self { cases, store, log, dir, recalled: tokio::sync::Mutex::new(false) }
    }

    /// One round. After an error the next one finds out first what reached the log.
    pub(crate) async fn round(&self) -> anyhow::Result<()> {
        let mut recalled = self.recalled.lock().await;
        if !std::mem::take(&mut *recalled) && !self.recall().await? {
            return Ok(());
        }
        for name in names(&self.dir)?.into_iter().take(ROUND_MAX) {
            self.take(&name).await?;
        }
        *recalled = true;
        Ok(())
    }

    /// The newest leaf of each operation may name a note that the database does not know. False while details of leaves are still on
    /// their way into the database.
    async fn recall(&self) -> anyhow::Result<bool> {
        if carry::copied(&self.store).await? < self.log.size() {
            return Ok(false);
        }
        for operation in OPERATIONS {
            if let Some((leaf, details)) = carry::newest(&self.store, operation, SOURCE).await? {
                let items: Vec<String> = serde_json::from_value(details.get("items").cloned().unwrap_or_default())?;
                carry::tell(&self.store, &items, leaf).await?;
            }
        }
        Ok(true)
    }

    async fn take(&self, name: &str) -> anyhow::Result<()> {
        let path = self.dir.join(format!("{name}.json"));
        let items = [item(name)];
        if carry::told(&self.store, &items).await?.is_empty() {
            match read(&path)? {
                Some(note) => {
                    let leaf = self.write(note, &items).await?;
                    carry::tell(&self.store, &items, leaf).await?;
                }
                None => tracing::error!(note = name, "a note for the log does not read, and is dropped"),
            }
        }
        std::fs::remove_file(&path).with_context(|| path.display().to_string())
    }

    async fn write(&self, note: Note, items: &[String]) -> anyhow::Result<u64> {
        let kind = if note.operation == DETAILS_EXPORTED { LeafKind::Use } else { LeafKind::System };
        let mut details = json!({ "source": SOURCE, "items": items, "at_us": note.at_us });
        if let (Some(all), Some(said)) = (details.as_object_mut(), note.details.as_object()) {
            all.extend(said.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        let details = json!({ "operation": note.operation, "actor": null, "details": details });
        let entry = LogEntry { kind, at: self.cases.clock().now(), decision: None, refers: None, details };
        self.log.append(entry).await.map_err(|error| anyhow::anyhow!(error)).context("writing a leaf")
    }
}

/// A note; `None` when it is none.
fn read(path: &Path) -> anyhow::Result<Option<Note>> {
    let length = std::fs::metadata(path).with_context(|| path.display().to_string())?.len();
    if length > NOTE_MAX {
        return Ok(None);
    }
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let note: Option<Note> = serde_json::from_slice(&bytes).ok();
    Ok(note.filter(|note| OPERATIONS.contains(&note.operation.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_in_the_order_in_which_they_were_left() {
        let dir = tempfile::tempdir().unwrap();
        let notes = folder(dir.path());
        assert_eq!(names(&notes).unwrap(), Vec::<String>::new());
        let left: Vec<String> =
            (0..5).map(|n| leave(&notes, ROLE_STARTED, json!({ "role": "recorder", "pid": n })).unwrap()).collect();
        assert_eq!(names(&notes).unwrap(), left);
        let path = |name: &str| notes.join(format!("{name}.json"));
        let note = read(&path(&left[3])).unwrap().unwrap();
        assert_eq!((note.operation.as_str(), &note.details["pid"]), (ROLE_STARTED, &json!(3)));
        for (bad, text) in [
            ("x", "nonsense".to_owned()),
            ("y", r#"{"operation":"login","at_us":1,"details":{}}"#.to_owned()),
            ("z", format!("{{\"operation\":\"{}\"}}", "a".repeat(70_000))),
        ] {
            std::fs::write(path(bad), text).unwrap();
            assert_eq!(read(&path(bad)).unwrap(), None, "{bad}");
        }
    }
}
