//! The manifest: what is in the folder, what it was made of, and which batch came before.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::job::RunFacts;
use crate::parquet_table::parquet_of;
use crate::record::{Record, SCHEMA, csv_of};

/// Longest manifest that is read, bytes: some 100,000 pictures.
pub(crate) const MANIFEST_MAX: u64 = 32 * 1024 * 1024;

/// What became of the findings of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Findings that people approved in the window and that no run had taken.
    pub taken: u64,
    /// Lines of `offences.jsonl`.
    pub records: u64,
    /// Of these, fines.
    pub fines: u64,
    /// Of these, warnings.
    pub warnings: u64,
    /// Of these, files for somebody else's procedure.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub files: u64,
    /// Sum of the fines, cents.
    pub amount_cents: u64,
    /// Inside the window of another fine or warning of the vehicle.
    pub merged: u64,
    /// The tables say something else now than what was approved, or the finding's term ended.
    pub refused: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields over so")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Totals {
    /// Whether everything taken went somewhere.
    pub const fn reconcile(&self) -> bool {
        self.taken == self.records + self.merged + self.refused
            && self.records == self.fines + self.warnings + self.files
    }
}

/// What was approved before the end of the window and could have been taken: `approved = taken + not_final + holder`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// All of them.
    pub approved: u64,
    /// In this batch not, since their outcome can still change.
    pub not_final: u64,
    /// The last instant from which one of these is final, RFC 3339; with `not_final`.
    pub until: Option<String>,
    /// In this batch not, since the registry has not answered who holds the vehicle.
    pub holder: u64,
}

impl Waiting {
    /// Whether everything approved was taken or waits.
    pub const fn reconcile(&self, taken: u64) -> bool {
        self.approved == taken + self.not_final + self.holder && (self.not_final == 0) == self.until.is_none()
    }
}

/// One file of the folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileDigest {
    /// Path inside the folder.
    pub file: String,
    /// Length.
    pub bytes: u64,
    /// Digest, hexadecimal.
    pub sha256: String,
}

impl FileDigest {
    pub(crate) fn of(file: &str, bytes: &[u8]) -> Self {
        Self { file: file.to_owned(), bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX), sha256: sha256(bytes) }
    }
}

/// SHA-256, hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the folder.
    pub schema: u32,
    /// The run.
    pub run: String,
    /// Of which findings, [`Batch::word`]; left out for the low-emission zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// Whose, `org_…`; left out for the tax administration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// Number of the run in the chain, from 1.
    pub chain: u64,
    /// SHA-256 of the manifest before; empty for the first.
    pub previous: String,
    /// Start of the window (approvals), RFC 3339 in UTC.
    pub from: String,
    /// First instant after it.
    pub to: String,
    /// When the run took its findings.
    pub opened_at: String,
    /// Version of the tables.
    pub rule_set: String,
    /// Closing totals.
    pub totals: Totals,
    /// What waits for a later batch; left out in batches of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// Every file but this one and its signature, by name.
    pub files: Vec<FileDigest>,
}

/// Why a manifest is not signed, a stable word and what it is about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {what}")]
pub struct Refusal {
    /// `manifest_unreadable`, `not_reconciled`, `differs` or `other_version`.
    pub code: &'static str,
    /// About what.
    pub what: &'static str,
}

impl Manifest {
    pub(crate) fn of(facts: &RunFacts, mut files: Vec<FileDigest>) -> Self {
        files.sort_by(|one, other| one.file.cmp(&other.file));
        Self {
            schema: SCHEMA,
            run: facts.run.clone(),
            batch: facts.batch.word().map(str::to_owned),
            authority: facts.authority.clone(),
            chain: facts.chain,
            previous: facts.previous.clone(),
            from: facts.from.clone(),
            to: facts.to.clone(),
            opened_at: facts.opened_at.clone(),
            rule_set: facts.rule_set.clone(),
            totals: facts.totals,
            waiting: facts.waiting.clone(),
            files,
        }
    }

    /// The bytes that are signed.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = serde_json::to_vec_pretty(self).expect("a manifest of plain fields should serialise");
        out.push(b'\n');
        out
    }

    /// Reads it; only the spelling that [`Manifest::bytes`] writes counts.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let manifest: Self = serde_json::from_slice(bytes).ok()?;
        (manifest.bytes() == bytes).then_some(manifest)
    }

    /// Whether what was approved went somewhere.
    pub(crate) fn reconcile(&self) -> bool {
        self.totals.reconcile() && self.waiting.as_ref().is_none_or(|waiting| waiting.reconcile(self.totals.taken))
    }

    /// Whether this is the manifest of that run and of these two files of lines: what the holder of the key asks before it signs. Every file
    /// that it names must be made from the lines: the tables are made again here, and the pictures are those that the records name.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check(bytes: &[u8], facts: &RunFacts, offences: &[u8], rejects: &[u8]) -> Result<Self, Refusal> {
        let manifest = Self::parse(bytes).ok_or(Refusal { code: "manifest_unreadable", what: "manifest.json" })?;
        let differs = |what| Err(Refusal { code: "differs", what });
        let again = Self::of(facts, manifest.files.clone());
        if !again.reconcile() {
            return Err(Refusal { code: "not_reconciled", what: "totals of the run" });
        }
        if again != manifest {
            return differs("run, chain, window or totals");
        }
        let lines = offences.split_inclusive(|byte| *byte == b'\n').map(serde_json::from_slice);
        let Ok(records) = lines.collect::<Result<Vec<Record>, _>>() else { return differs("offences.jsonl") };
        if !records.iter().all(Record::has_its_amount) {
            return differs("amounts");
        }
        let csv = csv_of(facts.batch, &records);
        let mut wanted = vec![
            FileDigest::of("offences.jsonl", offences),
            FileDigest::of("rejects.jsonl", rejects),
            FileDigest::of("offences.csv", csv.as_bytes()),
        ];
        // A job of before makes no such table; one of another version makes another, which nobody here can vouch for.
        if let Some(table) = manifest.files.iter().find(|file| file.file == "offences.parquet") {
            match parquet_of(&records) {
                Ok(made) if FileDigest::of(&table.file, &made) == *table => wanted.push(table.clone()),
                Ok(_) | Err(_) => return Err(Refusal { code: "other_version", what: "offences.parquet" }),
            }
        }
        let pictures = records.iter().flat_map(|record| &record.pictures);
        wanted.extend(pictures.map(|picture| FileDigest {
            file: picture.file.clone(),
            bytes: picture.bytes,
            sha256: picture.sha256.clone(),
        }));
        wanted.sort_by(|one, other| one.file.cmp(&other.file));
        if let Some(stranger) = manifest.files.iter().find(|file| !wanted.contains(file)) {
            return differs(if stranger.file.starts_with("images/") { "pictures" } else { "files" });
        }
        if wanted != manifest.files { differs("files") } else { Ok(manifest) }
    }
}

/// Arbitrary bytes as a manifest: what is read is written back byte by byte.
pub fn fuzz_manifest(data: &[u8]) {
    if let Some(manifest) = Manifest::parse(data) {
        assert_eq!(manifest.bytes(), data);
    }
}
