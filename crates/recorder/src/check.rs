//! `belfry check`: do rows, files, keys and deletion records of one recorder agree?
//!
//! Reads only, beside a running recorder, unless it is asked to repair; then nobody else may have the key store. What is younger than
//! [`SETTLE`] is passed over: it may be under way. Each finding is one line with the segment or file it is about; no footage, no key.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keys::{KeyEpoch, KeyRing, OpenSegmentError, SegmentOpener};
use vms_core::{SegmentId, WallTime};

use crate::catalogue::Batch;
use crate::deletions::{Line, Step};
use crate::format::{Kind, read};
use crate::gated::Decisions;
use crate::index::{Index, IndexError, Located};
use crate::recover::{RecoverError, recover_file_with};
use crate::sweep::{Terms, key_dies_at};

/// What changed this lately may still be changing.
pub const SETTLE: Duration = Duration::from_mins(5);

/// A key may outlive its end by so much: the sweeper comes every minute, and waits for trusted time.
const LATE: Duration = Duration::from_hours(1);

/// How to look.
#[derive(Clone, Debug, Default)]
pub struct CheckOptions {
    /// Read every byte of every file, not only heads and closing records.
    pub is_deep: bool,
    /// Mend what may be mended: rows of files that have none, rows whose file is gone, files of erased rows.
    pub repairs: bool,
}

/// What disagrees. The order is that of gravity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finding {
    /// A key that a deletion record calls destroyed still opens.
    DeadKeyOpens,
    /// A key, and with it footage, is past its term.
    PastTerm,
    /// A file that a row calls erased is there.
    ErasedFileThere,
    /// A row names a file that is not there.
    FileMissing,
    /// A file does not agree with its row, or is damaged.
    FileDamaged,
    /// A sealed segment has no key, although nobody destroyed it.
    KeyLost,
    /// A file whose key was destroyed still lies there.
    Keyless,
    /// Footage of an earlier version, in clear.
    Clear,
    /// A segment that was given up on a failing disk, or cut, and has no closing record yet.
    Unclosed,
    /// A file without a row.
    Unknown,
    /// A key past its first term that a decision keeps has not moved behind the magistrate's gate.
    WaitsForGate,
    /// A batch of keys was planned and its destruction never proven.
    Unproven,
}

impl Finding {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::DeadKeyOpens => "a key that was destroyed by the records still opens",
            Self::PastTerm => "a key lives past the term of its class",
            Self::ErasedFileThere => "a file that was erased by its row is there",
            Self::FileMissing => "the file of a row is missing",
            Self::FileDamaged => "a file is damaged, or is not what its row says",
            Self::KeyLost => "a sealed segment has no key",
            Self::Keyless => "a file whose key was destroyed still lies there",
            Self::Clear => "footage lies in clear: it is sealed in the background, or goes with its term",
            Self::Unclosed => "a segment was given up on a failing disk, or cut: the next start closes it",
            Self::Unknown => "a file has no row",
            Self::WaitsForGate => {
                "a key that a decision keeps waits for the magistrate's gate; nobody sees its footage"
            }
            Self::Unproven => "the destruction of a batch of keys was planned and never proven",
        }
    }

    /// Whether it is what a recorder at work shows for a while.
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::Clear | Self::Keyless | Self::Unclosed | Self::WaitsForGate | Self::Unproven)
    }
}

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// Rows looked at.
    pub rows: u64,
    /// Files looked at.
    pub files: u64,
    /// Rows whose file left for a tier, by the ledger of the tiers; the store is not asked.
    pub away: u64,
    /// Segments of the rows that a key opens.
    pub opened: u64,
    /// Findings, each with what it is about.
    pub findings: Vec<(Finding, String)>,
    /// Things mended.
    pub repaired: u64,
}

impl CheckReport {
    fn add(&mut self, finding: Finding, about: impl ToString) {
        self.findings.push((finding, about.to_string()));
    }

    /// Nothing disagrees, but for what passes by itself.
    pub fn is_whole(&self) -> bool {
        self.findings.iter().all(|(finding, _)| finding.is_passing())
    }

    /// How many of each kind.
    pub fn counts(&self) -> BTreeMap<Finding, usize> {
        let mut counts = BTreeMap::new();
        for (finding, _) in &self.findings {
            *counts.entry(*finding).or_default() += 1;
        }
        counts
    }
}

/// Why a check could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The disk.
    #[error("the recorder's folder or its index cannot be read: is `recorder.dir` right?")]
    Io(#[from] std::io::Error),
    /// The key store.
    #[error(transparent)]
    Keys(#[from] keys::KeyError),
    /// A repair.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// The ledger of the tiers.
    #[error(transparent)]
    Ledger(#[from] tiers::LedgerError),
}

/// Checks the recorder whose folder is `dir`. Blocks on the disk: run it on a runtime of its own.
///
/// # Errors
/// [`CheckError`].
pub async fn check(
    dir: &Path,
    ring: &KeyRing,
    terms: &Terms,
    options: &CheckOptions,
    now: WallTime,
) -> Result<CheckReport, CheckError> {
    // Opening makes one where there is none.
    std::fs::metadata(dir.join("index.db"))?;
    let (media, index) = (dir.join("media"), Index::open(&dir.join("index.db")).await?);
    let settled = now.minus(SETTLE);
    let mut report = CheckReport::default();
    let rows = index.all().await?;
    let mut known: BTreeSet<PathBuf> = BTreeSet::new();
    let (mut gone, mut erased, mut away) = (Vec::new(), Vec::new(), Vec::new());
    let ledger = match dir.join(crate::tiering::LEDGER) {
        path if path.exists() => Some(tiers::Ledger::open(&path).await?),
        _ => None,
    };
    for (row, is_erased) in &rows {
        known.insert(PathBuf::from(&row.path));
        if row.to >= settled {
            continue;
        }
        report.rows += 1;
        let path = media.join(&row.path);
        if *is_erased {
            if path.exists() {
                report.add(Finding::ErasedFileThere, &row.path);
                erased.push(row.clone());
            }
            continue;
        }
        let is_in_tier = match (path.exists(), &ledger) {
            (false, Some(ledger)) => ledger.row(row.segment).await?.is_some_and(|found| is_stored(&found, row)),
            (true, _) | (false, None) => false,
        };
        if is_in_tier {
            report.away += 1;
            drop(open_key(row, ring, &mut report));
            if !row.is_away {
                away.push(row.clone());
            }
            continue;
        }
        check_row(&media, row, ring, options, &mut report);
        // What left for a tier is not made a hole because the ledger of the tiers was lost: that is rebuilt from the stores.
        if !path.exists() && !row.is_away {
            gone.push(row.clone());
        }
    }
    let unclosed = index.unclosed().await?.into_iter().map(|row| PathBuf::from(row.path)).collect();
    let unknown = check_files(&media, (&known, &unclosed), settled, &mut report)?;
    check_keys(dir, ring, terms, now, &mut report)?;
    if options.repairs {
        for row in &away {
            report.repaired += u64::from(index.mark_away(row.segment).await?);
        }
        repair(&media, &index, ring, (&gone, &erased, &unknown), now, &mut report).await?;
    }
    report.findings.sort();
    index.close().await;
    Ok(report)
}

/// Whether a tier has a segment as its row describes it.
fn is_stored(found: &tiers::Row, row: &Located) -> bool {
    let is_it = (found.facts.stream, found.facts.len, found.facts.epoch) == (row.stream, row.file_len, row.key_epoch);
    is_it && found.remote == tiers::Remote::Stored
}

/// The key of a row, `Some(None)` for one in clear; `None` where there is none, which is told.
fn open_key(row: &Located, ring: &KeyRing, report: &mut CheckReport) -> Option<Option<SegmentOpener>> {
    match KeyEpoch::new(row.key_epoch).map(|epoch| ring.open_segment(row.segment, epoch)) {
        None => {
            report.add(Finding::Clear, row.segment);
            Some(None)
        }
        Some(Ok(key)) => {
            report.opened += 1;
            Some(Some(key))
        }
        // Nothing here opens what is behind the magistrate's gate: its head and its file were looked at.
        Some(Err(OpenSegmentError::Gated)) => None,
        Some(Err(OpenSegmentError::Destroyed(_))) => {
            report.add(Finding::Keyless, row.segment);
            None
        }
        Some(Err(error)) => {
            report.add(Finding::KeyLost, format!("{}: {error}", row.segment));
            None
        }
    }
}

fn check_row(media: &Path, row: &Located, ring: &KeyRing, options: &CheckOptions, report: &mut CheckReport) {
    let Some(key) = open_key(row, ring, report) else { return };
    let Some(closing_at) = row.closing_at else { return };
    let file = match File::open(media.join(&row.path)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            report.add(Finding::FileMissing, &row.path);
            return;
        }
        Err(error) => {
            report.add(Finding::FileDamaged, format!("{}: {error}", row.path));
            return;
        }
    };
    let mut wrong = |what: &str| report.add(Finding::FileDamaged, format!("{}: {what}", row.path));
    let Ok(head) = read::head(&file) else { return wrong("its header does not read") };
    let header = &head.header;
    if (header.segment, header.stream, header.key_epoch) != (row.segment, row.stream, row.key_epoch) {
        return wrong("it is another segment than its row says");
    }
    if file.metadata().map(|about| about.len()).ok() != Some(row.file_len) {
        return wrong("its length is not that of its row");
    }
    if options.is_deep {
        let found = read::scan(&file, key.as_ref()).ok();
        let fits = found.is_some_and(|found| {
            found.closing_at == Some(closing_at) && row.digest.as_deref() == Some(&hex::encode(found.digest))
        });
        if !fits {
            wrong("its bytes are not those of its digest");
        }
        return;
    }
    let end = read::record(&file, &head, key.as_ref(), closing_at).ok();
    if end.filter(|end| end.kind == Kind::Closing).and_then(|end| read::closing(&end.body)).is_none() {
        wrong("its closing record does not read");
    }
}

/// Files that have no row and are old enough to have one.
fn check_files(
    media: &Path,
    (known, unclosed): (&BTreeSet<PathBuf>, &BTreeSet<PathBuf>),
    settled: WallTime,
    report: &mut CheckReport,
) -> Result<Vec<PathBuf>, CheckError> {
    let mut unknown = Vec::new();
    for path in crate::recover::all_files(media)? {
        report.files += 1;
        if known.contains(&path) {
            continue;
        }
        let head = File::open(media.join(&path)).ok().and_then(|file| read::head(&file).ok());
        if head.is_some_and(|head| head.header.wall >= settled) {
            continue;
        }
        let finding = if unclosed.contains(&path) { Finding::Unclosed } else { Finding::Unknown };
        report.add(finding, path.display());
        unknown.push(path);
    }
    Ok(unknown)
}

/// Keys against their terms, and against the deletion records.
fn check_keys(
    dir: &Path,
    ring: &KeyRing,
    terms: &Terms,
    now: WallTime,
    report: &mut CheckReport,
) -> Result<(), CheckError> {
    let mut live = BTreeSet::new();
    let decisions = Decisions::load(&dir.join(crate::gated::FILE))?;
    for (epoch, name, _) in ring.live_hours() {
        live.insert(epoch);
        if terms.term_of(&name).is_some_and(|keep| key_dies_at(name.hour, keep).plus(LATE) < now) {
            let waits = decisions.until(&name).is_some_and(|until| until > now);
            let finding = if waits { Finding::WaitsForGate } else { Finding::PastTerm };
            report.add(finding, format!("{epoch} of hour {}", name.hour.count()));
        }
    }
    let mut planned: BTreeMap<u64, Vec<KeyEpoch>> = BTreeMap::new();
    for line in crate::deletions::lines(&dir.join("deletions"))? {
        let Line { batch, step, .. } = line;
        match step {
            Step::Planned { keys, .. } => {
                planned.insert(batch, keys.iter().filter_map(crate::deletions::PlannedKey::epoch).collect());
            }
            Step::KeysDestroyed { .. } => {
                for epoch in planned.remove(&batch).unwrap_or_default() {
                    if live.contains(&epoch) {
                        report.add(Finding::DeadKeyOpens, format!("{epoch} of batch {batch}"));
                    }
                }
            }
            Step::FilesErased { .. }
            | Step::Approved(_)
            | Step::ClockApproved(_)
            | Step::Gated { .. }
            | Step::Lost(_)
            | Step::Reconciled(_) => {}
        }
    }
    for (batch, _) in planned.iter().filter(|(_, keys)| !keys.is_empty()) {
        report.add(Finding::Unproven, format!("batch {batch}"));
    }
    Ok(())
}

/// Mends what may be mended without a loss.
async fn repair(
    media: &Path,
    index: &Index,
    ring: &KeyRing,
    (gone, erased, unknown): (&[Located], &[Located], &[PathBuf]),
    now: WallTime,
    report: &mut CheckReport,
) -> Result<(), CheckError> {
    // A file that is not there is a hole with a cause, not a promise.
    index.mark_erased(gone, now, true).await?;
    report.repaired += u64::try_from(gone.len()).unwrap_or(0);
    for row in erased {
        std::fs::remove_file(media.join(&row.path))?;
        report.repaired += 1;
    }
    let mut batch = Batch::default();
    for path in unknown {
        let mut opener = |header: &crate::format::SegmentHeader| {
            let epoch = KeyEpoch::new(header.key_epoch)?;
            ring.open_segment(header.segment, epoch).ok()
        };
        if let Ok((state, gaps, _)) = recover_file_with(media, path, &mut opener) {
            batch.segments.push(state);
            batch.gaps.extend(gaps);
            report.repaired += 1;
        }
    }
    if !batch.segments.is_empty() {
        let flushed = index.flushed_at().await?;
        index.flush(&batch, flushed).await?;
    }
    Ok(())
}

/// Ids of segments, for a caller that lists them.
pub fn segments(report: &CheckReport) -> Vec<SegmentId> {
    report.findings.iter().filter_map(|(_, about)| about.split(':').next()?.parse().ok()).collect()
}
