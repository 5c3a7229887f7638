//! The check of a batch, with nothing but the folder: did anything change, does it add up, is it signed, what came before.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::manifest::{FileDigest, MANIFEST_MAX, Manifest, Totals, sha256};
use crate::parquet_table::{is_ours, parquet_of};
use crate::record::{Batch, Kind, Record, Reject, SCHEMA, csv_of};
use crate::sign::{Seal, key_from_pem, key_pem};

/// Longest file that is read, bytes.
const FILE_MAX: u64 = 1 << 30;

/// What is known by another way.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// The public key; without it that of the folder is used, and the report says so.
    pub key: Option<[u8; 32]>,
    /// The batch before; without it the chain is only told.
    pub previous: Option<PathBuf>,
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing changed.
    Holds,
    /// Something changed, is missing or is too much.
    Changed,
    /// It could not be looked at.
    Unreadable,
}

impl Verdict {
    /// 0, 1 or 2.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Holds => 0,
            Self::Changed => 1,
            Self::Unreadable => 2,
        }
    }
}

/// The report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In one word.
    pub verdict: Verdict,
    /// What is wrong, one sentence each.
    pub wrong: Vec<String>,
    /// What else is worth knowing.
    pub notes: Vec<String>,
    /// The manifest, where it could be read.
    pub manifest: Option<Manifest>,
    /// Its SHA-256: what the next batch names as the one before.
    pub manifest_sha256: Option<String>,
}

impl Report {
    /// What is wrong, in one line.
    pub fn words(&self) -> String {
        self.wrong.join("; ")
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        if let (Some(manifest), Some(digest)) = (&self.manifest, &self.manifest_sha256) {
            let totals = manifest.totals;
            writeln!(out, "run       {} (number {} of the chain)", manifest.run, manifest.chain).ok();
            writeln!(out, "window    {} – {}", manifest.from, manifest.to).ok();
            writeln!(
                out,
                "totals    {} taken = {} records ({} fines, {} warnings, {} files) + {} merged + {} refused",
                totals.taken,
                totals.records,
                totals.fines,
                totals.warnings,
                totals.files,
                totals.merged,
                totals.refused
            )
            .ok();
            if let Some(waiting) = &manifest.waiting {
                writeln!(
                    out,
                    "approved  {} = {} taken + {} not final{} + {} whose holder is not known yet",
                    waiting.approved,
                    totals.taken,
                    waiting.not_final,
                    waiting.until.as_ref().map(|until| format!(" (until {until})")).unwrap_or_default(),
                    waiting.holder
                )
                .ok();
            }
            writeln!(out, "manifest  {digest}").ok();
        }
        self.notes.iter().for_each(|note| out.push_str(&format!("note      {note}\n")));
        self.wrong.iter().for_each(|wrong| out.push_str(&format!("WRONG     {wrong}\n")));
        out.push_str(match self.verdict {
            Verdict::Holds => "nothing changed\n",
            Verdict::Changed => "CHANGED: do not use this batch\n",
            Verdict::Unreadable => "could not be checked\n",
        });
        out
    }
}

fn read(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > limit) {
        return Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge));
    }
    Ok(bytes)
}

/// Counts of the records alone.
pub(crate) fn totals_of(records: &[Record]) -> Totals {
    let mut totals = Totals::default();
    for record in records {
        totals.records += 1;
        match record.kind {
            Kind::Fine => {
                totals.fines += 1;
                totals.amount_cents += u64::from(record.amount_cents.unwrap_or(0));
            }
            Kind::Warning => totals.warnings += 1,
            Kind::File => totals.files += 1,
        }
    }
    totals
}

/// Checks a folder.
pub fn folder(path: &Path, trust: &Trust) -> Report {
    let mut report = Report {
        verdict: Verdict::Unreadable,
        wrong: Vec::new(),
        notes: Vec::new(),
        manifest: None,
        manifest_sha256: None,
    };
    let bytes = match read(&path.join("manifest.json"), MANIFEST_MAX) {
        Ok(bytes) => bytes,
        Err(error) => {
            report.wrong.push(format!("manifest.json: {error}"));
            return report;
        }
    };
    report.manifest_sha256 = Some(sha256(&bytes));
    match Manifest::parse(&bytes) {
        None => report.wrong.push("manifest.json is no manifest, or is spelt otherwise than it was written".to_owned()),
        Some(manifest) => {
            signature(path, &bytes, trust, &mut report);
            let files = files(path, &manifest, &mut report.wrong);
            let records = lines(&manifest, &files, &mut report.wrong);
            table(&records, &files, &mut report);
            chain(path, &manifest, trust, &mut report);
            report.manifest = Some(manifest);
        }
    }
    report.verdict = if report.wrong.is_empty() { Verdict::Holds } else { Verdict::Changed };
    report
}

fn signature(path: &Path, manifest: &[u8], trust: &Trust, report: &mut Report) {
    let own = read(&path.join("key.pem"), 4_096).ok().and_then(|text| {
        let key = key_from_pem(std::str::from_utf8(&text).ok()?)?;
        // One spelling, so that a changed byte is a changed file.
        (key_pem(&key).as_bytes() == text).then_some(key)
    });
    let Some(key) = trust.key.or(own) else {
        report.wrong.push("key.pem is missing or no key, and no key was given".to_owned());
        return;
    };
    if trust.key.is_none() {
        report.notes.push(format!(
            "the key is the folder's own ({}): compare it with the published one, or give --key",
            hex::encode(key)
        ));
    } else if own != trust.key {
        report.wrong.push("key.pem is not the key that was given".to_owned());
    }
    let signature = read(&path.join("manifest.sig"), 64).ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
    if !signature.is_some_and(|signature| Seal { signature, key }.holds(manifest)) {
        report.wrong.push("manifest.sig is no signature of the key over manifest.json".to_owned());
    }
}

/// Whether every file that a manifest names is there as it names it.
pub(crate) fn has_all(path: &Path, manifest: &Manifest) -> bool {
    let is_it = |file: &FileDigest| {
        crate::job::is_inside(&file.file)
            && read(&path.join(&file.file), FILE_MAX).is_ok_and(|bytes| FileDigest::of(&file.file, &bytes) == *file)
    };
    manifest.files.iter().all(is_it)
}

/// Every file has its digest, and there is no other.
fn files(path: &Path, manifest: &Manifest, wrong: &mut Vec<String>) -> BTreeMap<String, Vec<u8>> {
    let mut kept = BTreeMap::new();
    let mut named: BTreeSet<String> = ["manifest.json", "manifest.sig", "key.pem"].map(str::to_owned).into();
    for file in &manifest.files {
        if !crate::job::is_inside(&file.file) || !named.insert(file.file.clone()) {
            wrong.push(format!("the manifest names `{}`, which is no file of a batch, or twice", file.file));
            continue;
        }
        match read(&path.join(&file.file), FILE_MAX) {
            Err(error) => wrong.push(format!("{}: {error}", file.file)),
            Ok(bytes) if FileDigest::of(&file.file, &bytes) != *file => {
                wrong.push(format!("{} was changed", file.file))
            }
            Ok(bytes) => {
                // Pictures are not looked into.
                if !file.file.starts_with("images/") {
                    kept.insert(file.file.clone(), bytes);
                }
            }
        }
    }
    for (folder, prefix) in [(path.to_owned(), ""), (path.join("images"), "images/")] {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if name != "images" && !named.contains(&name) {
                wrong.push(format!("{name} is no part of the batch"));
            }
        }
    }
    kept
}

fn parsed<T: serde::de::DeserializeOwned>(name: &str, bytes: &[u8], wrong: &mut Vec<String>) -> Vec<T> {
    let mut out = Vec::new();
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match serde_json::from_slice(line) {
            Ok(value) => out.push(value),
            Err(_) => wrong.push(format!("{name}: line {} cannot be read", number + 1)),
        }
    }
    out
}

/// Lines, pictures, table and totals agree.
fn lines(manifest: &Manifest, files: &BTreeMap<String, Vec<u8>>, wrong: &mut Vec<String>) -> Vec<Record> {
    let file = |name: &str| files.get(name).map_or(&[][..], Vec::as_slice);
    let records: Vec<Record> = parsed("offences.jsonl", file("offences.jsonl"), wrong);
    let rejects: Vec<Reject> = parsed("rejects.jsonl", file("rejects.jsonl"), wrong);
    for name in ["offences.jsonl", "rejects.jsonl", "offences.csv"] {
        if !manifest.files.iter().any(|file| file.file == name) {
            wrong.push(format!("{name} is not in the manifest"));
        }
    }
    let outcome =
        |word: &str| u64::try_from(rejects.iter().filter(|reject| reject.outcome == word).count()).unwrap_or(0);
    let (merged, refused) = (outcome("merged"), outcome("refused"));
    let counted = totals_of(&records);
    let seen = Totals { taken: counted.records + merged + refused, merged, refused, ..counted };
    if seen != manifest.totals || !manifest.reconcile() {
        wrong.push("the totals do not add up to the lines".to_owned());
    }
    let mut positions: Vec<u64> = records.iter().map(|record| record.position).collect();
    positions.extend(rejects.iter().map(|reject| reject.position));
    positions.sort_unstable();
    if !positions.iter().copied().eq(1..=seen.taken) {
        wrong.push("the numbers of the lines have a gap, or one twice".to_owned());
    }
    let keys: BTreeSet<&str> = records.iter().map(|record| record.offence.as_str()).collect();
    let findings = records.iter().map(|record| &record.finding).chain(rejects.iter().map(|reject| &reject.finding));
    let findings: BTreeSet<&String> = findings.collect();
    if keys.len() != records.len() || findings.len() != positions.len() {
        wrong.push("a record or a finding stands there twice".to_owned());
    }
    let is_ours = |schema: u32| schema == SCHEMA;
    if !is_ours(manifest.schema)
        || !records.iter().map(|record| record.schema).chain(rejects.iter().map(|reject| reject.schema)).all(is_ours)
    {
        wrong.push("it is of a version that this program does not know".to_owned());
    }
    if !records.iter().all(Record::has_its_amount) {
        wrong.push("a fine has no amount, or something else has one".to_owned());
    }
    let runs = records.iter().map(|record| &record.run).chain(rejects.iter().map(|reject| &reject.run));
    if runs.into_iter().any(|run| *run != manifest.run) {
        wrong.push("a line is of another run".to_owned());
    }
    let shown: BTreeSet<(&str, u64, &str)> = records
        .iter()
        .flat_map(|record| &record.pictures)
        .map(|picture| (picture.file.as_str(), picture.bytes, picture.sha256.as_str()))
        .collect();
    let named = manifest.files.iter().filter(|file| file.file.starts_with("images/"));
    let named: BTreeSet<(&str, u64, &str)> =
        named.map(|file| (file.file.as_str(), file.bytes, file.sha256.as_str())).collect();
    if shown != named {
        wrong.push("the pictures are not those that the records name".to_owned());
    }
    match Batch::of(manifest.batch.as_deref()) {
        None => wrong.push("the manifest is of findings that this program does not know".to_owned()),
        Some(batch) if csv_of(batch, &records).as_bytes() != file("offences.csv") => {
            wrong.push("offences.csv is not the table of the records".to_owned());
        }
        Some(_) => {}
    }
    records
}

/// The Parquet table is that of the records. It is made again and compared, never read: bytes of a folder that may be anybody's are no food
/// for a large parser. One that another version of this program or of its library wrote has its digest only; older batches have none.
fn table(records: &[Record], files: &BTreeMap<String, Vec<u8>>, report: &mut Report) {
    let Some(found) = files.get("offences.parquet") else { return };
    match parquet_of(records) {
        Ok(made) if made == *found => {}
        Ok(_) if is_ours(found) => report.wrong.push("offences.parquet is not the table of the records".to_owned()),
        Ok(_) | Err(_) => report.notes.push(
            "offences.parquet was written by another version: its digest holds, its content was not compared with the lines"
                .to_owned(),
        ),
    }
}

/// The digest names the batch before; that it is the one before in the same chain is another question.
fn before_it(manifest: &Manifest, before: &[u8], name: &str, report: &mut Report) {
    let follows = |before: Manifest| {
        before.chain.checked_add(1) == Some(manifest.chain)
            && before.batch == manifest.batch
            && before.authority == manifest.authority
    };
    if !Manifest::parse(before).is_some_and(follows) {
        report.wrong.push(format!("{name} is of another chain, or not the one before in it"));
    }
}

fn chain(path: &Path, manifest: &Manifest, trust: &Trust, report: &mut Report) {
    if (manifest.chain == 1) != manifest.previous.is_empty() {
        report.wrong.push("only the first batch has none before it".to_owned());
    }
    if let Some(before) = &trust.previous {
        match read(&before.join("manifest.json"), MANIFEST_MAX) {
            Ok(bytes) if sha256(&bytes) == manifest.previous => {
                report.notes.push(format!("follows {}", before.display()));
                before_it(manifest, &bytes, &before.display().to_string(), report);
            }
            Ok(_) => report.wrong.push(format!("the batch before is not {}", before.display())),
            Err(error) => report.wrong.push(format!("{}: {error}", before.display())),
        }
        return;
    }
    if manifest.previous.is_empty() {
        return;
    }
    // Beside it, as the runs lay it down.
    let beside = path.parent().and_then(|parent| std::fs::read_dir(parent).ok()).into_iter().flatten().flatten();
    let found = beside.map(|entry| entry.path()).find_map(|folder| {
        let bytes = read(&folder.join("manifest.json"), MANIFEST_MAX).ok()?;
        (sha256(&bytes) == manifest.previous).then_some((folder, bytes))
    });
    if let Some((folder, bytes)) = &found {
        before_it(manifest, bytes, &folder.display().to_string(), report);
    }
    report.notes.push(match found {
        Some((folder, _)) => format!("follows {}", folder.display()),
        None => format!("the batch before (manifest {}) is not beside this one", manifest.previous),
    });
}
