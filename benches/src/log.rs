//! The log of uses, verified from its files alone: checkpoint signature, root over all entries, journal behind it.
//!
//! Shares no code with the sequencer that wrote it: RFC 6962 section 2.1 and the C2SP texts `tlog-checkpoint`, `tlog-tiles` and
//! `signed-note`, written down a second time.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

const BUNDLE: u64 = 256;
/// Length and checksum before each journal record.
const HEAD_LEN: usize = 12;
/// A key id and an Ed25519 signature (signed-note).
const SIGNATURE_LEN: usize = 4 + 64;

type Hash = [u8; 32];

/// A log that verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Leaves under the signed checkpoint.
    pub size: u64,
    /// Leaves in the journal past it: durable, to be signed with the next checkpoint.
    pub unsigned: u64,
}

#[derive(Deserialize)]
struct Record {
    i: u64,
    l: String,
}

/// Verifies the log in `dir` (`public/`, `journal/`) with the key `log.pub` in the folder `keys` beside it.
///
/// # Errors
/// What does not agree, or a file that cannot be read.
pub fn verify(dir: &Path) -> anyhow::Result<Verified> {
    let keys = dir.parent().context("no folder above the log")?.join("keys");
    let key = std::fs::read_to_string(keys.join("log.pub")).context("the log's public key")?;
    let text = std::fs::read_to_string(dir.join("public/checkpoint")).context("the checkpoint")?;
    let (size, root) = checkpoint(&text, key.trim())?;
    let entries = entries(&dir.join("public/tile/entries"), size)?;
    let leaves: Vec<Hash> = entries.iter().map(|entry| hash(&[&[0], entry])).collect();
    ensure!(tree_root(&leaves) == root, "the entries do not give the signed root of size {size}");
    let mut next = size;
    for record in journal(&dir.join("journal"))? {
        if record.i < size {
            let signed = usize::try_from(record.i).ok().and_then(|at| entries.get(at));
            ensure!(signed.is_some_and(|entry| entry == record.l.as_bytes()), "journal and entry {} differ", record.i);
        } else {
            ensure!(record.i == next, "the journal lacks leaf {next}");
            next += 1;
        }
    }
    Ok(Verified { size, unsigned: next - size })
}

/// Size and root of a checkpoint whose signature is good.
fn checkpoint(text: &str, key: &str) -> anyhow::Result<(u64, Hash)> {
    // The last part is base64, in which a `+` may stand too.
    let mut parts = key.splitn(3, '+');
    let origin = parts.next().context("the public key is empty")?;
    let encoded = parts.nth(1).context("the public key has not three parts")?;
    let encoded = STANDARD.decode(encoded).context("the public key")?;
    let (algorithm, public) = encoded.split_first().context("the public key is empty")?;
    ensure!(*algorithm == 1, "the public key is not Ed25519");
    let public = VerifyingKey::from_bytes(public.try_into().context("the public key's length")?)?;

    let (body, signatures) = text.split_once("\n\n").context("the checkpoint has no signature")?;
    let signed = format!("{body}\n");
    let prefix = format!("— {origin} ");
    let signature =
        signatures.lines().find_map(|line| line.strip_prefix(&prefix)).context("no signature of this log")?;
    let signature = STANDARD.decode(signature).context("the signature")?;
    ensure!(signature.len() == SIGNATURE_LEN, "the signature's length");
    let signature: [u8; 64] = signature.get(4..).context("the signature's length")?.try_into()?;
    public.verify_strict(signed.as_bytes(), &Signature::from_bytes(&signature)).context("the signature is wrong")?;

    let mut lines = body.lines();
    ensure!(lines.next() == Some(origin), "the checkpoint is of another log");
    let size = lines.next().context("no size")?.parse()?;
    let root = STANDARD.decode(lines.next().context("no root")?)?;
    Ok((size, root.try_into().map_err(|_| anyhow::anyhow!("the root's length"))?))
}

/// Every entry of a tree of `size` leaves, from its bundles.
fn entries(dir: &Path, size: u64) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for bundle in 0..size.div_ceil(BUNDLE) {
        let width = (size - bundle * BUNDLE).min(BUNDLE);
        let mut name = format!("{:03}", bundle % 1000);
        let mut rest = bundle / 1000;
        while rest > 0 {
            name = format!("x{:03}/{name}", rest % 1000);
            rest /= 1000;
        }
        let path = dir.join(if width == BUNDLE { name } else { format!("{name}.p/{width}") });
        let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let mut rest = bytes.as_slice();
        for _ in 0..width {
            let (length, after) = rest.split_first_chunk::<2>().context("a bundle is cut")?;
            let (entry, after) =
                after.split_at_checked(usize::from(u16::from_be_bytes(*length))).context("a bundle is cut")?;
            all.push(entry.to_vec());
            rest = after;
        }
        ensure!(rest.is_empty(), "bytes to spare in {}", path.display());
    }
    Ok(all)
}

/// Whole records of every journal file, in order; a cut tail of the newest file was never acknowledged.
fn journal(dir: &Path) -> anyhow::Result<Vec<Record>> {
    let mut files: Vec<_> =
        std::fs::read_dir(dir).context("the journal")?.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut records = Vec::new();
    for (position, path) in files.iter().enumerate() {
        let bytes = std::fs::read(path)?;
        let mut rest = bytes.as_slice();
        while let Some((body, after)) = split_record(rest) {
            records.push(serde_json::from_slice(body).with_context(|| format!("a record of {}", path.display()))?);
            rest = after;
        }
        if !rest.is_empty() && position + 1 < files.len() {
            bail!("{} is damaged", path.display());
        }
    }
    Ok(records)
}

/// Body of the first record and what follows it; `None` when it is not whole.
fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD_LEN)?;
    let (length, check) = head.split_first_chunk::<4>()?;
    let (body, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    let digest = hash(&[body]);
    (digest.get(..8) == Some(check)).then_some((body, rest))
}

fn hash(parts: &[&[u8]]) -> Hash {
    let mut state = Sha256::new();
    parts.iter().for_each(|part| state.update(part));
    state.finalize().into()
}

/// RFC 6962 section 2.1.
fn tree_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => hash(&[]),
        [one] => *one,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            hash(&[&[1], &tree_root(left), &tree_root(right)])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with another implementation (Python's `cryptography`): the key's base64 holds a `+`.
    #[test]
    fn a_checkpoint_is_checked_against_its_key() {
        let key = "example.org/log+5d0d67c6+AROY9ixtGkV8UbpqS189vS9p/KkyFiGNyJl+QWvRfZPK";
        let good = "example.org/log\n3\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n\n— example.org/log XQ1nxirTtLre1RTxiajFilrv0hFjh6E7gT2ODqnAbUquPnVqucL7QJmRZlyx8ErMoaC2SCsEd2r6ulK5QCrG+a9IYQQ=\n";
        assert_eq!(checkpoint(good, key).unwrap(), (3, [7; 32]));
        assert!(checkpoint(&good.replace("\n3\n", "\n4\n"), key).is_err(), "another size");
        assert!(checkpoint(good, &key.replacen("example", "elsewhere", 1)).is_err(), "another log");
    }

    /// Vectors of RFC 6962's reference implementation (certificate-transparency, merkletree tests).
    #[test]
    fn roots_are_those_of_rfc_6962() {
        let inputs =
            ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
        let bytes = |text: &str| -> Vec<u8> {
            (0..text.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(text.get(at..at + 2).unwrap(), 16).unwrap())
                .collect()
        };
        let leaves: Vec<Hash> = inputs.iter().map(|input| hash(&[&[0], &bytes(input)])).collect();
        for (size, root) in [
            (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
            (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
        ] {
            assert_eq!(tree_root(&leaves[..size]).to_vec(), bytes(root), "{size} leaves");
        }
    }
}
