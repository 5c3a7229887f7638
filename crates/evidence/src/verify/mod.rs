//! The check of an export: needs the folder and nothing else.
//!
//! Everything read here may be forged. Sizes are bounded before memory is taken, nothing is followed out of the folder, and a check that
//! could not be made is no check that holds.

mod film;
mod mp4;
mod report;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

pub use self::report::{Check, Outcome, Report, Verdict};
use crate::disk::{Hashes, feed};
use crate::manifest::{FileDigest, MANIFEST_MAX, Manifest};
use crate::papers::{CERTIFICATE, MANIFEST, PROOF, SIGNATURE, SUMS};
use crate::proof::{PROOF_MAX, ProofFile};
use crate::sign::{ALGORITHM, CERTIFICATE_MAX, SeenCertificate, certificate_from_pem, fingerprint};

/// Longest signature that is read, bytes.
const SIGNATURE_MAX: u64 = 1024;

/// Longest list of sums that is read, bytes.
const SUMS_MAX: u64 = 1024 * 1024;

/// What the person who checks knows from elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// SHA-256 of the installation's certificate, hexadecimal, with or without colons.
    pub certificate_sha256: Option<String>,
    /// Public key of the log, in the form of signed notes.
    pub log_key: Option<String>,
}

/// Checks the folder of an export.
pub fn folder(path: &Path, trust: &Trust) -> Report {
    let mut report = Report::default();
    let Some((manifest, bytes)) = read_manifest(path, &mut report) else {
        return report.close();
    };
    report.export_id = Some(manifest.export_id.clone());
    let certificate = check_certificate(path, &manifest, trust, &mut report);
    if let Some(certificate) = &certificate {
        check_signature(path, certificate, &bytes, &mut report);
        let at = manifest.started_at.micros().div_euclid(1_000_000);
        let valid = (certificate.seen.not_before..=certificate.seen.not_after).contains(&at);
        report.note(
            "certificate_period",
            CERTIFICATE,
            valid,
            "valid when the export was made",
            "not valid when the export was made",
        );
    }
    check_sums(path, &manifest, &mut report);
    check_names(path, &manifest, &mut report);
    for film in &manifest.films {
        film::check(path, &manifest, film, certificate.as_ref(), &mut report);
    }
    let films: BTreeSet<&str> = manifest.films.iter().map(|film| film.file.as_str()).collect();
    // A film was read by its own check; everything else is read here.
    for file in manifest.files.iter().filter(|file| !films.contains(file.file.as_str())) {
        check_file(path, file, &mut report);
    }
    check_log(path, &manifest, trust, &mut report);
    report.close()
}

/// A file of the folder, at most `limit` bytes. `None` also for a link: an export has none.
fn read_small(folder: &Path, name: &str, limit: u64) -> Option<Vec<u8>> {
    let path = folder.join(name);
    let about = std::fs::symlink_metadata(&path).ok()?;
    if !about.is_file() || about.len() > limit {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(&path).ok()?.take(limit).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn read_manifest(folder: &Path, report: &mut Report) -> Option<(Manifest, Vec<u8>)> {
    let Some(bytes) = read_small(folder, MANIFEST, MANIFEST_MAX) else {
        report.not_checked("manifest", MANIFEST, "there is no manifest here: not the folder of an export");
        return None;
    };
    let parsed = Manifest::parse(&bytes);
    report.result("manifest", MANIFEST, parsed.is_some(), "well formed", "not a manifest in its one spelling");
    parsed.map(|manifest| (manifest, bytes))
}

/// A certificate with what was read from it.
#[derive(Debug)]
struct Certificate {
    der: Vec<u8>,
    seen: SeenCertificate,
}

fn check_certificate(folder: &Path, manifest: &Manifest, trust: &Trust, report: &mut Report) -> Option<Certificate> {
    let limit = u64::try_from(CERTIFICATE_MAX).unwrap_or(0);
    let text = read_small(folder, CERTIFICATE, limit).and_then(|bytes| String::from_utf8(bytes).ok());
    let der = text.and_then(|text| certificate_from_pem(&text));
    let seen = der.as_ref().and_then(|der| SeenCertificate::parse(der).ok());
    let (Some(der), Some(seen)) = (der, seen) else {
        report.fail("certificate", CERTIFICATE, "not the certificate of a P-256 key in its one spelling");
        return None;
    };
    let print = fingerprint(&der);
    let signer = &manifest.signer;
    let named = signer.certificate_sha256 == print && signer.subject == seen.subject && signer.algorithm == ALGORITHM;
    report.result("certificate", CERTIFICATE, named, "the one the manifest names", "not the one the manifest names");
    match &trust.certificate_sha256 {
        Some(wanted) => {
            let wanted: String = wanted.chars().filter(|c| *c != ':').map(|c| c.to_ascii_lowercase()).collect();
            report.is_pinned = wanted == print;
            let words = format!("NOT the certificate that you trust: it has {print}");
            report.result("signer", CERTIFICATE, report.is_pinned, "the certificate that you trust", &words);
        }
        None => {
            let words = format!(
                "NOT PINNED: the check shows that nothing changed since `{}` sealed it, not who that is; compare {print} with \
                 the fingerprint that the installation gave you",
                seen.subject
            );
            report.remark("signer", CERTIFICATE, &words);
        }
    }
    named.then_some(Certificate { der, seen })
}

fn check_signature(folder: &Path, certificate: &Certificate, manifest: &[u8], report: &mut Report) {
    let digest: [u8; 32] = Sha256::digest(manifest).into();
    let holds = read_small(folder, SIGNATURE, SIGNATURE_MAX)
        .is_some_and(|signature| certificate.seen.holds(&digest, &signature));
    report.result(
        "signature",
        SIGNATURE,
        holds,
        "of the certificate, over the manifest",
        "does not hold over this manifest",
    );
}

fn check_sums(folder: &Path, manifest: &Manifest, report: &mut Report) {
    let same = read_small(folder, SUMS, SUMS_MAX).is_some_and(|bytes| bytes == manifest.sums().as_bytes());
    report.result("sums", SUMS, same, "the manifest's", "not the manifest's");
}

/// Names: every film's files are listed, none leads out of the folder, and what else lies there is told.
fn check_names(folder: &Path, manifest: &Manifest, report: &mut Report) {
    let plain = |name: &str| !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
    let mut known: BTreeSet<&str> = manifest.files.iter().map(|file| file.file.as_str()).collect();
    let once = known.len() == manifest.files.len();
    let parts = manifest.films.iter().flat_map(|film| [&film.file, &film.index, &film.subtitles]);
    let listed = parts.clone().all(|name| known.contains(name.as_str()));
    let sound = once && listed && known.iter().all(|name| plain(name));
    report.result(
        "names",
        MANIFEST,
        sound,
        "every file listed once",
        "a file is listed twice, not at all, or outside the folder",
    );
    known.extend([MANIFEST, SIGNATURE, CERTIFICATE, SUMS]);
    let Ok(entries) = std::fs::read_dir(folder) else {
        report.not_checked("others", ".", "the folder cannot be listed");
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !known.contains(name.as_str()) {
            report.remark("others", &name, "not part of the export");
        }
    }
}

/// Length and digests of one file.
fn check_file(folder: &Path, file: &FileDigest, report: &mut Report) {
    let path = folder.join(&file.file);
    let is_file = std::fs::symlink_metadata(&path).is_ok_and(|about| about.is_file());
    let mut hashes = Hashes::default();
    let read = is_file
        .then(|| File::open(&path).ok())
        .flatten()
        .and_then(|mut file| feed(&mut file, u64::MAX, |piece| hashes.update(piece)).ok());
    match read {
        None => report.fail("digests", &file.file, "missing, or cannot be read"),
        Some(bytes) => {
            let same = hashes.finish(&file.file, bytes) == *file;
            report.result(
                "digests",
                &file.file,
                same,
                "SHA-256 and BLAKE3 as in the manifest",
                "CHANGED: not the bytes of the manifest",
            );
        }
    }
}

fn check_log(folder: &Path, manifest: &Manifest, trust: &Trust, report: &mut Report) {
    let Some(log) = &manifest.log else {
        report.remark("log", MANIFEST, "no proof from the log is enclosed");
        return;
    };
    let file = read_small(folder, &log.proof, PROOF_MAX).filter(|_| log.proof == PROOF);
    let text = file.and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(proof) = text.and_then(|text| ProofFile::parse(&text)).filter(|proof| proof.index == log.index) else {
        report.fail("log", &log.proof, "not the proof that the manifest names");
        return;
    };
    match proof.check(&log.leaf, &log.origin, &log.verifier_key) {
        Ok(size) => {
            let words = format!("the decision is leaf {} of the {size} of `{}`", log.index, log.origin);
            report.hold("log", &log.proof, &words);
        }
        Err(failure) => report.fail("log", &log.proof, &failure.to_string()),
    }
    let decided = audit::Leaf::parse(&log.leaf).ok().and_then(|leaf| leaf.decision).map(|id| id.to_string());
    let same = decided.is_some() && decided == manifest.decision;
    report.result(
        "decision",
        &log.proof,
        same,
        "the leaf is of this export's decision",
        "the leaf is of another decision",
    );
    match &trust.log_key {
        Some(key) => {
            report.result(
                "log_key",
                &log.proof,
                *key == log.verifier_key,
                "the log that you trust",
                "NOT the log that you trust",
            );
        }
        None => report.remark("log_key", &log.proof, "the log's key is not pinned: it is the one the export names"),
    }
}

/// Feeds foreign bytes to every parser of an export (fuzz target and corpus test): the first byte chooses which.
pub fn fuzz_export(data: &[u8]) {
    let Some((which, rest)) = data.split_first() else { return };
    let text = std::str::from_utf8(rest);
    match which % 5 {
        0 => drop(Manifest::parse(rest)),
        1 => film::fuzz_film(rest),
        2 => drop(text.map(film::read_rows)),
        3 => drop(text.map(|text| ProofFile::parse(text).map(|proof| proof.check("belfry/1 x", "o", "k")))),
        _ => drop(text.map(|text| certificate_from_pem(text).map(|der| SeenCertificate::parse(&der).is_ok()))),
    }
}

#[cfg(test)]
mod mutator;
#[cfg(test)]
mod tests;
