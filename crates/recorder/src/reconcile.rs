//! The daily comparison of keys, rows and files beside a recorder at work: does anything outlive its term, and does anything lie where
//! nobody knows of it?
//!
//! Belongs here: looking, and counting. Does not belong here: mending (`belfry check --repair`), destroying (`sweep`). It reads no media: names
//! of files, rows and the state of keys are enough; `belfry check --deep` reads every byte. What is found is looked at twice, since recording,
//! sweeping and moving go on meanwhile.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keys::{Hour, KeyEpoch};
use serde::{Deserialize, Serialize};
use vms_core::{CameraId, SegmentId, StreamId, WallTime};

use crate::index::Index;
use crate::plan::SEGMENT_EXT;
use crate::sweep::{SweepError, Terms, key_dies_at, term_s};
use crate::vault::Vault;

/// A key, a file may outlive its end by so much: the sweeper comes every minute, and a batch takes a while.
pub const LATE: Duration = Duration::from_hours(1);

/// Rows of one stream, class and term that are looked at for one past its term.
const ROWS_MAX: u32 = 20_000;

/// Names of one kind that are told in the log.
const TOLD_MAX: usize = 5;

/// What a comparison found. The record of it is for the log of uses and for an overseer: counts, no names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciled {
    /// Hour keys that live.
    pub keys: u64,
    /// Files that were seen.
    pub files: u64,
    /// Keys that live an hour and more past their end.
    pub overdue_keys: u64,
    /// Segments that no hold keeps and that are there, here or in the object store, an hour and more past their term.
    pub overdue_files: u64,
    /// Segments that no hold keeps, whose key is dead and which are still there.
    pub keyless_files: u64,
    /// Rows whose file is not there.
    pub missing_files: u64,
    /// Files without a row, or that a row calls erased.
    pub unknown_files: u64,
}

impl Reconciled {
    /// Something outlives its term: an alarm.
    pub const fn is_overdue(&self) -> bool {
        self.overdue_keys > 0 || self.overdue_files > 0
    }

    /// Nothing to say.
    pub const fn is_clean(&self) -> bool {
        !self.is_overdue() && self.keyless_files == 0 && self.missing_files == 0 && self.unknown_files == 0
    }
}

/// Compares keys and rows with trusted time `now`, and the files below `media` with the rows.
///
/// # Errors
/// [`SweepError`].
pub async fn reconcile(
    media: &Path,
    index: &Index,
    vault: &Arc<Vault>,
    terms: &Terms,
    now: WallTime,
) -> Result<Reconciled, SweepError> {
    let mut found = Reconciled::default();
    overdue_keys(index, vault, terms, now, &mut found).await?;
    overdue_rows(index, vault, terms, now, &mut found).await?;
    files(media, index, now, &mut found).await?;
    Ok(found)
}

async fn overdue_keys(
    index: &Index,
    vault: &Arc<Vault>,
    terms: &Terms,
    now: WallTime,
    found: &mut Reconciled,
) -> Result<(), SweepError> {
    if !vault.is_configured() {
        return Ok(());
    }
    let ring = Arc::clone(vault);
    let until = Hour::from_count(u32::MAX);
    let work = tokio::task::spawn_blocking(move || ring.with(|ring| Ok(ring.hours_before(until))));
    let live = work.await.map_err(|_| std::io::Error::other("the comparison was broken off"))??;
    let (ring, decisions) = (Arc::clone(vault), vault.decisions());
    let work = tokio::task::spawn_blocking(move || {
        ring.with(|ring| {
            let is_late = |epoch: KeyEpoch, name: &keys::KeyName| {
                decisions.until(name).is_some_and(|until| until.plus(LATE) <= now) && !ring.pins(epoch)
            };
            Ok(ring.gated_hours().iter().filter(|(epoch, name, _)| is_late(*epoch, name)).count())
        })
    });
    let late = work.await.map_err(|_| std::io::Error::other("the comparison was broken off"))??;
    found.overdue_keys += u64::try_from(late).unwrap_or(u64::MAX);
    let recorded = index.recorded_terms().await?;
    found.keys = u64::try_from(live.len()).unwrap_or(u64::MAX);
    for (epoch, name) in live {
        let keys::Scope::Camera(camera) = name.scope else { continue };
        let known = || {
            let of = |row: &&(CameraId, String, u64)| row.0 == camera && row.1 == name.class.as_str();
            recorded.iter().find(of).map(|row| row.2).filter(|keep| *keep > 0)
        };
        // About to move behind the gate.
        if vault.decisions().until(&name).is_some_and(|until| until > now) {
            continue;
        }
        let Some(keep) = terms.term_of(&name).or_else(known) else { continue };
        if key_dies_at(name.hour, keep).plus(LATE) <= now {
            found.overdue_keys += 1;
            if found.overdue_keys <= u64::try_from(TOLD_MAX).unwrap_or(0) {
                tracing::error!(key = %epoch, "a key of footage lives past its end");
            }
        }
    }
    Ok(())
}

async fn overdue_rows(
    index: &Index,
    vault: &Arc<Vault>,
    terms: &Terms,
    now: WallTime,
    found: &mut Reconciled,
) -> Result<(), SweepError> {
    for of in index.classes().await? {
        let Some(keep_s) = term_s(&terms.streams, &of) else { continue };
        let until = now.minus(Duration::from_secs(keep_s)).minus(LATE);
        for row in index.ended_before(&of, until, ROWS_MAX).await? {
            // What a decision keeps behind the magistrate's gate has its own end.
            let until = KeyEpoch::new(row.key_epoch).and_then(|epoch| vault.kept_until(epoch));
            let is_kept = until.is_some_and(|until| until.plus(LATE) > now);
            found.overdue_files += u64::from(!is_kept && !vault.is_held(row.segment));
        }
    }
    for epoch in index.key_epochs().await? {
        if KeyEpoch::new(epoch).is_some_and(|epoch| vault.is_destroyed(epoch)) {
            for row in index.of_key(epoch).await? {
                found.keyless_files += u64::from(!vault.is_held(row.segment));
            }
        }
    }
    Ok(())
}

/// Names of the segment files in the folder of an hour; none where there is no such folder.
fn names(folder: &Path) -> std::io::Result<BTreeSet<String>> {
    let listing = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        listing => listing?,
    };
    let mut names = BTreeSet::new();
    for entry in listing {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == SEGMENT_EXT)
            && let Some(name) = path.file_name().and_then(|name| name.to_str())
        {
            names.insert(name.to_owned());
        }
    }
    Ok(names)
}

/// Folders of hours below `media`, each as `STREAM/DAY/HOUR/`.
fn hour_folders(media: &Path) -> std::io::Result<BTreeSet<String>> {
    let mut at = vec![String::new()];
    for _ in 0..3 {
        let mut below = Vec::new();
        for folder in at {
            let listing = match std::fs::read_dir(media.join(&folder)) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                listing => listing?,
            };
            for entry in listing {
                let entry = entry?;
                if entry.file_type()?.is_dir()
                    && let Some(name) = entry.file_name().to_str()
                    && (!folder.is_empty() || name.starts_with("str_"))
                {
                    below.push(format!("{folder}{name}/"));
                }
            }
        }
        at = below;
    }
    Ok(at.into_iter().collect())
}

/// The folder of an hour below that of its stream: `YYYY-MM-DD/HH`.
fn hour_of(at: WallTime) -> String {
    let path = crate::plan::segment_path(StreamId::from_bytes([0; 16]), SegmentId::from_bytes([0; 16]), at);
    let parts: Vec<String> = path.iter().skip(1).take(2).map(|part| part.to_string_lossy().into_owned()).collect();
    parts.join("/")
}

async fn files(media: &Path, index: &Index, now: WallTime, found: &mut Reconciled) -> Result<(), SweepError> {
    let root = media.to_owned();
    let walk = tokio::task::spawn_blocking(move || hour_folders(&root));
    let mut folders = walk.await.map_err(|_| std::io::Error::other("the comparison was broken off"))??;
    folders.extend(index.folders().await?);
    // What began within the last hour may not be in the index yet.
    let fresh = hour_of(now.minus(LATE));
    for folder in folders {
        if folder.split_once('/').is_some_and(|(_, hour)| hour.trim_end_matches('/') >= fresh.as_str()) {
            continue;
        }
        let rows: BTreeSet<String> = index.files_in(&folder).await?.into_iter().collect();
        let at = media.join(&folder);
        let work = tokio::task::spawn_blocking(move || names(&at));
        let here = work.await.map_err(|_| std::io::Error::other("the comparison was broken off"))??;
        found.files += u64::try_from(here.len()).unwrap_or(u64::MAX);
        let here: BTreeSet<String> = here.into_iter().map(|name| format!("{folder}{name}")).collect();
        for path in rows.difference(&here) {
            // Erased or moved between the two looks?
            if index.has_file(path).await? == Some(true) && !media.join(path).exists() {
                found.missing_files += 1;
                tell(found.missing_files, path, "the file of a row is missing");
            }
        }
        for path in here.difference(&rows) {
            if index.has_file(path).await? != Some(true) && media.join(path).exists() {
                found.unknown_files += 1;
                tell(found.unknown_files, path, "a file has no row, or an erased one");
            }
        }
    }
    Ok(())
}

fn tell(count: u64, path: &str, what: &'static str) {
    if count <= u64::try_from(TOLD_MAX).unwrap_or(0) {
        tracing::error!(path, what, "`belfry check` says more");
    }
}
