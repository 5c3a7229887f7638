//! The manifest: what is in the folder, what it was made of, and which batch came before.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::job::RunFacts;
use crate::record::SCHEMA;

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
    /// Every file but this one and its signature, by name.
    pub files: Vec<FileDigest>,
}

/// Why a manifest is not signed, a stable word and what it is about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {what}")]
pub struct Refusal {
    /// `manifest_unreadable`, `not_reconciled` or `differs`.
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

    /// Whether this is the manifest of that run and of these two files of lines: what the holder of the key asks before it signs.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check(bytes: &[u8], facts: &RunFacts, offences: &[u8], rejects: &[u8]) -> Result<Self, Refusal> {
        let manifest = Self::parse(bytes).ok_or(Refusal { code: "manifest_unreadable", what: "manifest.json" })?;
        if !facts.totals.reconcile() {
            return Err(Refusal { code: "not_reconciled", what: "totals of the run" });
        }
        let differs = |what| Err(Refusal { code: "differs", what });
        let again = Self::of(facts, manifest.files.clone());
        if again != manifest {
            return differs("run, chain, window or totals");
        }
        for (name, lines) in [("offences.jsonl", offences), ("rejects.jsonl", rejects)] {
            if !manifest.files.contains(&FileDigest::of(name, lines)) {
                return differs(name);
            }
        }
        Ok(manifest)
    }
}

/// Arbitrary bytes as a manifest: what is read is written back byte by byte.
pub fn fuzz_manifest(data: &[u8]) {
    if let Some(manifest) = Manifest::parse(data) {
        assert_eq!(manifest.bytes(), data);
    }
}
