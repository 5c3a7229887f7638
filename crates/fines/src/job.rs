//! Writing a batch, so that a kill at any point loses nothing and doubles nothing.
//!
//! ```text
//! OUT/RUN.part/   the folder while it grows
//! OUT/RUN/        the batch; it has this name only when it is signed and has passed its own check
//!
//! open ──▶ lines ──▶ papers ──▶ sign ──▶ check ──▶ name
//! ```
//!
//! The ledger alone decides what a run holds: it takes its findings once, in one transaction, and gives the same lines at every question. So
//! a run that was killed is simply done again: every file comes out with the same bytes, and the signature too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::manifest::{FileDigest, Manifest, Totals, Waiting, sha256};
use crate::parquet_table::parquet_of;
use crate::record::{Batch, Record, Reject, csv_of};
use crate::sign::{Seal, key_pem};
use crate::verify;

/// So often a run is begun again when what it holds changed under it.
const CHANGES_MAX: u32 = 5;

/// What the ledger says of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFacts {
    /// Its name, also that of the folder.
    pub run: String,
    /// Of which findings.
    pub batch: Batch,
    /// Whose, `org_…`; `None`: the tax administration's.
    pub authority: Option<String>,
    /// Number in the chain, from 1.
    pub chain: u64,
    /// SHA-256 of the manifest before; empty for the first.
    pub previous: String,
    /// Start of the window, RFC 3339.
    pub from: String,
    /// First instant after it.
    pub to: String,
    /// When the findings were taken.
    pub opened_at: String,
    /// Version of the tables.
    pub rule_set: String,
    /// Totals.
    pub totals: Totals,
    /// What waits for a later batch; `None` in runs of before.
    pub waiting: Option<Waiting>,
    /// SHA-256 of the manifest, once it was signed.
    pub signed: Option<String>,
}

/// One picture of a line.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// Path inside the folder.
    pub file: String,
    /// JPEG.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Picture").field("file", &self.file).field("bytes", &self.bytes.len()).finish()
    }
}

/// One line of a run, exactly as it stands in its file, without the line feed.
#[derive(Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1 without gaps.
    pub position: u64,
    /// A record, or a finding that became none.
    pub is_record: bool,
    /// JSON.
    pub text: String,
    /// Its pictures.
    pub pictures: Vec<Picture>,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line")
            .field("position", &self.position)
            .field("is_record", &self.is_record)
            .finish_non_exhaustive()
    }
}

/// Any error of the ledger.
pub type LedgerError = Box<dyn std::error::Error + Send + Sync>;

/// Where runs lie. Blocking: a batch is written on a thread of its own.
pub trait Ledger {
    /// Takes the findings of the window, or finds the run that took them.
    ///
    /// # Errors
    /// What stands in the way.
    fn open(&mut self) -> Result<RunFacts, LedgerError>;
    /// The next lines after a number, in order; none at the end. The same at every question.
    ///
    /// # Errors
    /// What stands in the way.
    fn lines(&mut self, run: &str, after: u64) -> Result<Vec<Line>, LedgerError>;
    /// Signs the manifest; the same manifest gives the same signature, another one is refused.
    ///
    /// # Errors
    /// What stands in the way.
    fn seal(&mut self, run: &str, manifest: &[u8]) -> Result<Seal, LedgerError>;
}

/// Why a batch was not written. The run stays open; doing it again goes on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The ledger.
    #[error("the ledger of runs: {0}")]
    Ledger(LedgerError),
    /// The disk.
    #[error("{what} `{path}`: {source}")]
    Disk {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The totals do not add up, or the lines are not what the totals say: the run stays open.
    #[error("the run stays open: {0}")]
    NotReconciled(String),
    /// The folder is there and is not what was signed.
    #[error("`{0}` is there already and is not the batch that was signed; move it away and run again")]
    Changed(String),
    /// The finished folder did not pass its own check: it gets no name.
    #[error("the finished batch does not pass its own check: {0}")]
    NotVerified(String),
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// `opened`, `lines`, `signed`, `done`.
    pub step: &'static str,
    /// Lines so far.
    pub done: u64,
    /// Lines in all.
    pub total: u64,
}

/// A finished batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The folder.
    pub folder: PathBuf,
    /// What the run is.
    pub facts: RunFacts,
    /// SHA-256 of the manifest.
    pub manifest_sha256: String,
    /// It was there already, unchanged.
    pub was_there: bool,
}

/// Whether a name from a ledger leads nowhere but into the folder.
pub(crate) fn is_plain(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 120 && !name.starts_with('.') && name.chars().all(is_word)
}

/// Whether a path of a manifest stays inside the folder.
pub(crate) fn is_inside(file: &str) -> bool {
    !file.split('/').any(|step| step.is_empty() || step.starts_with('.'))
}

fn is_picture(file: &str) -> bool {
    file.strip_prefix("images/").is_some_and(|name| is_plain(name) && name.ends_with(".jpg"))
}

/// Lines of a run, gathered.
#[derive(Default)]
struct Gathered {
    offences: String,
    rejects: String,
    records: Vec<Record>,
    files: BTreeMap<String, FileDigest>,
    merged: u64,
    refused: u64,
    last: u64,
}

/// Writes the batch of a run into `out`, or finds it there. What a run holds can change once while it is written: a finding whose term
/// ends is closed in its run, and the batch is written with what is left.
///
/// # Errors
/// [`RunError`]; the run stays open, and doing it again goes on.
pub fn run(
    disk: &dyn Disk,
    out: &Path,
    ledger: &mut dyn Ledger,
    progress: &mut dyn FnMut(Progress),
) -> Result<Done, RunError> {
    let mut facts = ledger.open().map_err(RunError::Ledger)?;
    let mut tries = 0;
    loop {
        let error = match write(disk, out, ledger, &facts, progress) {
            Ok(done) => return Ok(done),
            Err(error @ (RunError::NotReconciled(_) | RunError::Ledger(_))) => error,
            Err(error) => return Err(error),
        };
        tries += 1;
        match ledger.open() {
            Ok(now) if now != facts && tries < CHANGES_MAX => facts = now,
            Ok(_) | Err(_) => return Err(error),
        }
    }
}

fn write(
    disk: &dyn Disk,
    out: &Path,
    ledger: &mut dyn Ledger,
    facts: &RunFacts,
    progress: &mut dyn FnMut(Progress),
) -> Result<Done, RunError> {
    let totals = facts.totals;
    progress(Progress { step: "opened", done: 0, total: totals.taken });
    if !is_plain(&facts.run) {
        return Err(RunError::NotReconciled("the run's name is none".to_owned()));
    }
    let waits = facts.waiting.as_ref();
    if !totals.reconcile() || waits.is_some_and(|waiting| !waiting.reconcile(totals.taken)) {
        return Err(RunError::NotReconciled(format!("totals do not add up: {totals:?}, {waits:?}")));
    }
    let (folder, part) = (out.join(&facts.run), out.join(format!("{}.part", facts.run)));
    if folder.exists() {
        return found(folder, ledger, facts.clone());
    }
    let on = |what: &'static str, path: &Path, done: std::io::Result<()>| {
        done.map_err(|source| RunError::Disk { what, path: path.display().to_string(), source })
    };
    let manifest = match ready(&part, facts) {
        Some(manifest) => manifest,
        None => {
            on("making the folder", &part, disk.make_folder(&part.join("images")))?;
            let gathered = gather(disk, &part, ledger, facts, progress)?;
            papers(disk, &part, facts, &gathered)?
        }
    };
    let seal = ledger.seal(&facts.run, &manifest).map_err(RunError::Ledger)?;
    progress(Progress { step: "signed", done: totals.taken, total: totals.taken });
    on("writing", &part, disk.put(&part.join("manifest.sig"), &seal.signature))?;
    on("writing", &part, disk.put(&part.join("key.pem"), key_pem(&seal.key).as_bytes()))?;
    let report = verify::folder(&part, &verify::Trust { key: Some(seal.key), previous: None });
    if report.verdict != verify::Verdict::Holds {
        return Err(RunError::NotVerified(report.words()));
    }
    on("naming", &folder, disk.rename(&part, &folder))?;
    progress(Progress { step: "done", done: totals.taken, total: totals.taken });
    Ok(Done { folder, facts: facts.clone(), manifest_sha256: sha256(&manifest), was_there: false })
}

/// The manifest of a folder that an earlier try completed and had signed: its findings may be gone since, so it is not gathered again.
fn ready(part: &Path, facts: &RunFacts) -> Option<Vec<u8>> {
    let manifest = std::fs::read(part.join("manifest.json")).ok()?;
    let is_signed = facts.signed.as_deref() == Some(&sha256(&manifest));
    (is_signed && verify::has_all(part, &Manifest::parse(&manifest)?)).then_some(manifest)
}

/// Lines, table and manifest on the disk; the manifest's bytes. What an earlier try left of findings that are gone since goes.
fn papers(disk: &dyn Disk, part: &Path, facts: &RunFacts, gathered: &Gathered) -> Result<Vec<u8>, RunError> {
    let on = |what: &'static str, path: &Path, done: std::io::Result<()>| {
        done.map_err(|source| RunError::Disk { what, path: path.display().to_string(), source })
    };
    for entry in std::fs::read_dir(part.join("images")).into_iter().flatten().flatten() {
        let name = format!("images/{}", entry.file_name().to_string_lossy());
        if !gathered.files.contains_key(&name) {
            on("removing", &entry.path(), disk.remove(&entry.path()))?;
        }
    }
    let mut files: Vec<FileDigest> = gathered.files.values().cloned().collect();
    let csv = csv_of(facts.batch, &gathered.records);
    let table = parquet_of(&gathered.records)
        .map_err(|error| RunError::NotReconciled(format!("offences.parquet could not be made: {error}")))?;
    for (name, bytes) in [
        ("offences.jsonl", gathered.offences.as_bytes()),
        ("rejects.jsonl", gathered.rejects.as_bytes()),
        ("offences.csv", csv.as_bytes()),
        ("offences.parquet", table.as_slice()),
    ] {
        on("writing", &part.join(name), disk.put(&part.join(name), bytes))?;
        files.push(FileDigest::of(name, bytes));
    }
    let manifest = Manifest::of(facts, files).bytes();
    on("writing", part, disk.put(&part.join("manifest.json"), &manifest))?;
    Ok(manifest)
}

/// The folder that is there, when it is what was signed: by the key of the ledger, which gives the same signature for the same manifest. The
/// folder's own key proves nothing: whoever changed the folder could have put that there too.
fn found(folder: PathBuf, ledger: &mut dyn Ledger, facts: RunFacts) -> Result<Done, RunError> {
    let changed = || RunError::Changed(folder.display().to_string());
    let manifest = std::fs::read(folder.join("manifest.json")).map_err(|_| changed())?;
    let digest = sha256(&manifest);
    if facts.signed.as_deref() != Some(&digest) {
        return Err(changed());
    }
    let seal = ledger.seal(&facts.run, &manifest).map_err(RunError::Ledger)?;
    let report = verify::folder(&folder, &verify::Trust { key: Some(seal.key), previous: None });
    if report.verdict != verify::Verdict::Holds {
        return Err(changed());
    }
    Ok(Done { folder, facts, manifest_sha256: digest, was_there: true })
}

fn gather(
    disk: &dyn Disk,
    part: &Path,
    ledger: &mut dyn Ledger,
    facts: &RunFacts,
    progress: &mut dyn FnMut(Progress),
) -> Result<Gathered, RunError> {
    let mut gathered = Gathered::default();
    loop {
        let lines = ledger.lines(&facts.run, gathered.last).map_err(RunError::Ledger)?;
        if lines.is_empty() {
            break;
        }
        for line in lines {
            take(disk, part, facts, &mut gathered, &line)?;
        }
        progress(Progress { step: "lines", done: gathered.last, total: facts.totals.taken });
    }
    let seen = Totals {
        taken: gathered.last,
        merged: gathered.merged,
        refused: gathered.refused,
        ..verify::totals_of(&gathered.records)
    };
    if seen != facts.totals {
        let words = format!("the lines do not add up to the totals: {seen:?} instead of {:?}", facts.totals);
        return Err(RunError::NotReconciled(words));
    }
    Ok(gathered)
}

fn take(disk: &dyn Disk, part: &Path, facts: &RunFacts, gathered: &mut Gathered, line: &Line) -> Result<(), RunError> {
    let bad = |what: &str| RunError::NotReconciled(format!("line {}: {what}", line.position));
    if line.position != gathered.last + 1 || line.text.contains('\n') {
        return Err(bad("out of order"));
    }
    gathered.last = line.position;
    let of = |run: &str, position: u64| run == facts.run && position == line.position;
    if !line.is_record {
        let reject: Reject = serde_json::from_str(&line.text).map_err(|_| bad("unreadable"))?;
        match reject.outcome.as_str() {
            "merged" if of(&reject.run, reject.position) => gathered.merged += 1,
            "refused" if of(&reject.run, reject.position) => gathered.refused += 1,
            _ => return Err(bad("of another run, or with an unknown outcome")),
        }
        gathered.rejects.push_str(&line.text);
        gathered.rejects.push('\n');
        return Ok(());
    }
    let record: Record = serde_json::from_str(&line.text).map_err(|_| bad("unreadable"))?;
    if !of(&record.run, record.position) || record.pictures.len() != line.pictures.len() {
        return Err(bad("of another run, or without its pictures"));
    }
    for (fact, picture) in record.pictures.iter().zip(&line.pictures) {
        let digest = FileDigest::of(&fact.file, &picture.bytes);
        let is_it = fact.file == picture.file && is_picture(&fact.file);
        if !is_it || digest.sha256 != fact.sha256 || digest.bytes != fact.bytes {
            return Err(bad("a picture is not the one that the line names"));
        }
        let path = part.join(&fact.file);
        // What an earlier try left, left whole.
        if !std::fs::read(&path).is_ok_and(|there| there == picture.bytes) {
            disk.put(&path, &picture.bytes).map_err(|source| RunError::Disk {
                what: "writing",
                path: path.display().to_string(),
                source,
            })?;
        }
        gathered.files.insert(fact.file.clone(), digest);
    }
    gathered.offences.push_str(&line.text);
    gathered.offences.push('\n');
    gathered.records.push(record);
    Ok(())
}
