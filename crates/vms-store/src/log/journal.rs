//! The journal: leaves with salt and details, each behind length and checksum, fsynced as a group.
//!
//! Record: `u32` length of the body, first 8 bytes of the body's SHA-256, body (JSON). A cut or damaged tail is what a
//! crash leaves: it was never acknowledged and is cut off. Damage before the last record is not a crash and is refused.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::LogFault;

/// Records in one file.
const RECORDS_MAX: u64 = 4_096;
const HEAD_LEN: usize = 12;
/// What [`Journal::has_room`] tries, bytes: a group of ordinary leaves.
const ROOM: usize = 64 * 1024;
/// Longest body: details are a few hundred bytes; a manifest digest keeps batches small.
const BODY_MAX: usize = 1 << 20;
/// Longest details: with quotes escaped twice they still fit a body.
pub const DETAILS_MAX: usize = 400 * 1024;

/// One leaf with what opens its commitment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Index in the log.
    #[serde(rename = "i")]
    pub index: u64,
    /// The leaf line.
    #[serde(rename = "l")]
    pub leaf: String,
    /// Salt of the commitment.
    #[serde(rename = "s")]
    pub salt: [u8; 32],
    /// Details, JSON text exactly as committed to.
    #[serde(rename = "d")]
    pub details: String,
}

/// The files, newest open for appending.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    /// First index of each file, rising; the last one is open.
    starts: Vec<u64>,
    open: Option<File>,
    next: u64,
}

impl Journal {
    /// Opens the folder; returns every whole record at or after the file that holds `from`.
    ///
    /// # Errors
    /// [`LogFault::Tampered`] for damage that no crash explains.
    pub fn recover(dir: &Path, from: u64) -> Result<(Self, Vec<Record>), LogFault> {
        std::fs::create_dir_all(dir)?;
        let mut starts: Vec<u64> = std::fs::read_dir(dir)?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".log")?.parse().ok())
            .collect();
        starts.sort_unstable();
        let mut records = Vec::new();
        for (position, start) in starts.iter().enumerate() {
            let newest = position + 1 == starts.len();
            if starts.get(position + 1).is_some_and(|after| *after <= from) {
                continue;
            }
            let path = file_path(dir, *start);
            let mut bytes = Vec::new();
            File::open(&path)?.read_to_end(&mut bytes)?;
            let (whole, found) = parse(&bytes);
            records.extend(found);
            if whole < bytes.len() {
                if !newest {
                    return Err(LogFault::Tampered(format!("journal file {start} is damaged")));
                }
                let file = OpenOptions::new().write(true).open(&path)?;
                file.set_len(u64::try_from(whole).unwrap_or(0))?;
                durable::sync_all(&file)?;
            }
        }
        let next = records.last().map_or(from, |record| record.index + 1).max(from);
        let mut journal = Self { dir: dir.to_owned(), starts, open: None, next };
        journal.roll()?;
        Ok((journal, records))
    }

    /// Index of the oldest record still held.
    pub fn first(&self) -> u64 {
        self.starts.first().copied().unwrap_or(self.next)
    }

    /// Appends and makes durable.
    ///
    /// # Errors
    /// The write or the sync failed: recover before going on.
    pub fn append(&mut self, records: &[Record]) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        for record in records {
            let body = serde_json::to_vec(record)?;
            bytes.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend_from_slice(&checksum(&body));
            bytes.extend_from_slice(&body);
        }
        let file = self.open.as_mut().ok_or(std::io::ErrorKind::NotConnected)?;
        file.write_all(&bytes)?;
        durable::sync_data(file)?;
        self.next = records.last().map_or(self.next, |record| record.index + 1);
        let start = self.starts.last().copied().unwrap_or(0);
        if self.next.saturating_sub(start) >= RECORDS_MAX {
            self.roll()?;
        }
        Ok(())
    }

    /// Whether the disk takes another group: writes as much beside the journal, and takes it back.
    ///
    /// # Errors
    /// It does not.
    pub fn has_room(&self) -> std::io::Result<()> {
        let path = self.dir.join("room");
        let mut file = File::create(&path)?;
        let written = file.write_all(&[0; ROOM]).and_then(|()| durable::sync_data(&file));
        // What it took is given back whatever happened.
        let gone = std::fs::remove_file(&path);
        written.and(gone)
    }

    /// Refuses every append until recovered.
    pub fn poison(&mut self) {
        self.open = None;
    }

    /// Whether appends are refused.
    pub const fn is_poisoned(&self) -> bool {
        self.open.is_none()
    }

    fn roll(&mut self) -> std::io::Result<()> {
        let path = file_path(&self.dir, self.next);
        self.open = Some(OpenOptions::new().create(true).append(true).open(path)?);
        durable::sync_folder(&self.dir)?;
        if self.starts.last() != Some(&self.next) {
            self.starts.push(self.next);
        }
        Ok(())
    }

    /// Records from `after` on, at most `limit`.
    ///
    /// # Errors
    /// [`LogFault::Io`].
    pub fn read_from(&self, after: u64, limit: usize) -> Result<Vec<Record>, LogFault> {
        let mut found = Vec::new();
        for (position, start) in self.starts.iter().enumerate() {
            if self.starts.get(position + 1).is_some_and(|next| *next <= after) {
                continue;
            }
            let bytes = std::fs::read(file_path(&self.dir, *start))?;
            found.extend(parse(&bytes).1.into_iter().filter(|record| record.index >= after));
            if found.len() >= limit {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Removes files whose records all lie below `index`.
    ///
    /// # Errors
    /// A file could not be removed.
    pub fn forget_below(&mut self, index: u64) -> std::io::Result<()> {
        while let [first, second, ..] = self.starts.as_slice() {
            if *second > index {
                break;
            }
            std::fs::remove_file(file_path(&self.dir, *first))?;
            self.starts.remove(0);
        }
        Ok(())
    }
}

fn file_path(dir: &Path, start: u64) -> PathBuf {
    dir.join(format!("{start:020}.log"))
}

fn checksum(body: &[u8]) -> [u8; 8] {
    let digest: [u8; 32] = Sha256::digest(body).into();
    let mut short = [0_u8; 8];
    short.iter_mut().zip(digest).for_each(|(slot, byte)| *slot = byte);
    short
}

/// Whole records from the start, and where the first that is not whole begins.
fn parse(bytes: &[u8]) -> (usize, Vec<Record>) {
    let mut records = Vec::new();
    let mut rest = bytes;
    while let Some((head, after)) = rest.split_at_checked(HEAD_LEN) {
        let length = head.first_chunk::<4>().map_or(0, |raw| u32::from_be_bytes(*raw));
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > BODY_MAX {
            break;
        }
        let Some((body, after)) = after.split_at_checked(length) else { break };
        if head.get(4..) != Some(checksum(body).as_slice()) {
            break;
        }
        let Ok(record) = serde_json::from_slice(body) else { break };
        records.push(record);
        rest = after;
    }
    (bytes.len() - rest.len(), records)
}

/// Feeds foreign bytes to the parser (fuzz target and corpus test).
pub fn fuzz_journal(data: &[u8]) {
    drop(parse(data));
}
