//! The deletion records: what was destroyed, when, why, and the proof of it, for the log of uses and for an overseer.
//!
//! JSON lines, one file for each month of UTC, only appended to, each line synced. A batch has up to three lines with its
//! number: `planned` (the keys, before anything happens), `keys_destroyed` (with the digest that the key store gave), `files_erased`
//! (with a digest over ids and digests of the segments). A batch that a crash cut after `planned` is finished at the next start:
//! destroying a key twice does nothing. Ids and times only: no footage, no key.

use std::collections::BTreeMap;
use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};

use keys::{Destruction, KeyEpoch, KeyName, Scope};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use vms_core::WallTime;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Number of the batch: rises by one.
    pub batch: u64,
    /// Wall time, microseconds.
    pub at_us: i64,
    /// What was done.
    pub step: Step,
}

/// A step of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// These keys are to be destroyed.
    Planned {
        /// `end_of_term`, `space` or `order`.
        reason: String,
        /// The keys.
        keys: Vec<PlannedKey>,
    },
    /// These keys outlive their first term by a decision: they move behind the magistrate's gate. Written before they move; a crash may
    /// write it again.
    Gated {
        /// The keys, at most [`GATED_LINE`].
        keys: Vec<MovedKey>,
    },
    /// They are.
    KeysDestroyed {
        /// How many this call destroyed.
        count: u64,
        /// Digest by the key store over these keys, hexadecimal.
        digest: String,
        /// Root generation in force: what a disk may keep of their wraps is dead when it is.
        generation: u32,
        /// Copies of the key store that were not there and still owe the overwriting.
        missing: Vec<String>,
    },
    /// Two people let a batch through that is larger than any day's.
    Approved(Approval),
    /// Two people said that the clock of the host is right, after it had moved.
    ClockApproved(crate::trust::ClockApproval),
    /// Footage went before its term, for room.
    Lost(Loss),
    /// Keys, files and rows were compared.
    Reconciled(crate::reconcile::Reconciled),
    /// The files are gone.
    FilesErased {
        /// How many.
        count: u64,
        /// SHA-256 over id and digest of each segment, in order of id, hexadecimal.
        digest: String,
    },
}

/// Most keys of one line of moves: it goes into the log whole, which a line of more than 64 KiB does not.
pub const GATED_LINE: usize = 200;

/// Most decisions that a line names of one key.
const DECISIONS_NAMED: usize = 3;

/// An hour key that moves behind the magistrate's gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedKey {
    /// Its number, hexadecimal, as in the heads of segments.
    pub epoch: String,
    /// `cam_…`.
    pub camera: String,
    /// Retention class.
    pub class: String,
    /// End of its second term as the calendar counts it at the move, microseconds; that of a leap year may come a day later.
    pub until_us: i64,
    /// The decisions that keep it.
    pub decisions: Vec<String>,
}

impl MovedKey {
    /// `None` for a key that is not of a camera.
    pub fn of(epoch: KeyEpoch, name: &KeyName, until: WallTime, decisions: &crate::gated::Decisions) -> Option<Self> {
        let PlannedKey { epoch, camera, class } = PlannedKey::of(epoch, name)?;
        let decisions = decisions.of(name).take(DECISIONS_NAMED).map(str::to_owned).collect();
        Some(Self { epoch, camera, class, until_us: until.micros, decisions })
    }
}

/// Footage that went before its term: one batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// How many segments.
    pub count: u64,
    /// Their files, bytes.
    pub bytes: u64,
    /// `str_…` of each stream that lost something.
    pub streams: Vec<String>,
    /// Start of the oldest, microseconds.
    pub from_us: i64,
    /// End of the newest.
    pub to_us: i64,
    /// SHA-256 over id and digest of each segment, in order of id, hexadecimal.
    pub digest: String,
}

impl Loss {
    /// Of these files.
    pub fn of(gone: &[crate::index::Located]) -> Self {
        let mut files: Vec<(String, String)> =
            gone.iter().map(|one| (one.segment.to_string(), one.digest.clone().unwrap_or_default())).collect();
        let streams: std::collections::BTreeSet<String> = gone.iter().map(|one| one.stream.to_string()).collect();
        Self {
            count: u64::try_from(gone.len()).unwrap_or(u64::MAX),
            bytes: gone.iter().map(|one| one.file_len).sum(),
            streams: streams.into_iter().collect(),
            from_us: gone.iter().map(|one| one.from.micros).min().unwrap_or(0),
            to_us: gone.iter().map(|one| one.to.micros).max().unwrap_or(0),
            digest: digest_of(&mut files),
        }
    }
}

/// SHA-256 over id and digest of each, in order of id.
fn digest_of(files: &mut [(String, String)]) -> String {
    files.sort_unstable();
    let mut digest = Sha256::new();
    for (segment, of) in files.iter() {
        digest.update(format!("{segment} {of}\n"));
    }
    hex::encode(digest.finalize())
}

/// What two people let through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Keys of this hour (since 1970) and before.
    pub until_hour: u32,
    /// Who.
    pub first: String,
    /// And who else.
    pub second: String,
}

impl Approval {
    fn path(dir: &Path) -> PathBuf {
        dir.join("approval.json")
    }

    /// Lays it where the sweeper looks for it.
    ///
    /// # Errors
    /// Of the disk, or `InvalidInput` when it is one person.
    pub fn give(&self, dir: &Path) -> std::io::Result<()> {
        let (first, second) = (self.first.trim(), self.second.trim());
        if first.is_empty() || second.is_empty() || first.eq_ignore_ascii_case(second) {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "two people have to approve"));
        }
        std::fs::create_dir_all(dir)?;
        let temporary = dir.join("approval.new");
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        durable::sync_all(&file)?;
        std::fs::rename(temporary, Self::path(dir))?;
        durable::sync_folder(dir)
    }
}

/// One hour key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedKey {
    /// Its number, hexadecimal, as in the heads of segments.
    pub epoch: String,
    /// `cam_…`.
    pub camera: String,
    /// Retention class.
    pub class: String,
}

impl PlannedKey {
    /// `None` for a key that is not of a camera.
    pub fn of(epoch: KeyEpoch, name: &KeyName) -> Option<Self> {
        let Scope::Camera(camera) = name.scope else { return None };
        Some(Self { epoch: epoch.to_string(), camera: camera.to_string(), class: name.class.as_str().to_owned() })
    }

    /// The number again.
    pub fn epoch(&self) -> Option<KeyEpoch> {
        KeyEpoch::new(u64::from_str_radix(&self.epoch, 16).ok()?)
    }
}

/// Every line of the records in `dir`, oldest first; none where there is no such folder. A line that a crash cut is left out.
///
/// # Errors
/// Of the disk.
pub fn lines(dir: &Path) -> std::io::Result<Vec<Line>> {
    let mut names = match files(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        names => names?,
    };
    names.sort();
    let mut lines = Vec::new();
    for path in names {
        read(&path, |line| lines.push(line))?;
    }
    Ok(lines)
}

fn files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let paths = std::fs::read_dir(dir)?.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.filter(|path| path.extension().is_some_and(|end| end == "jsonl")).collect())
}

fn read(path: &Path, mut take: impl FnMut(Line)) -> std::io::Result<()> {
    for line in std::io::BufReader::new(std::fs::File::open(path)?).lines() {
        // A line that a crash cut was never acted upon.
        if let Ok(line) = serde_json::from_str(&line?) {
            take(line);
        }
    }
    Ok(())
}

/// Records after the one named `after` (empty: from the beginning), at most `limit`: name and line of each. A name is the month and
/// the place of the line in its file, so that it never changes; a line that a crash cut is none.
///
/// # Errors
/// Of the disk; `InvalidInput` for what is no name.
pub fn since(dir: &Path, after: &str, limit: usize) -> std::io::Result<Vec<(String, String)>> {
    let bad = || std::io::Error::new(std::io::ErrorKind::InvalidInput, "not the name of a deletion record");
    let (month, place) = match after.split_once(':') {
        None if after.is_empty() => ("", 0),
        None => return Err(bad()),
        Some((month, place)) => (month, place.parse::<u64>().map_err(|_| bad())?),
    };
    let mut names = match files(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        names => names?,
    };
    names.sort();
    let mut found = Vec::new();
    for path in names {
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()).filter(|name| *name >= month) else {
            continue;
        };
        let (mut at, known) = if name == month { (place, true) } else { (0, false) };
        let mut reader = std::io::BufReader::new(std::fs::File::open(&path)?);
        std::io::Seek::seek(&mut reader, std::io::SeekFrom::Start(at))?;
        let mut skip = known;
        let mut line = Vec::new();
        while found.len() < limit {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)?;
            // A line without its end may still be cut off.
            if length == 0 || line.last() != Some(&b'\n') {
                break;
            }
            let text = String::from_utf8_lossy(line.get(..length - 1).unwrap_or(&[])).into_owned();
            if !skip && serde_json::from_str::<Line>(&text).is_ok() {
                found.push((format!("{name}:{at:012}"), text));
            }
            skip = false;
            at += u64::try_from(length).unwrap_or(0);
        }
    }
    Ok(found)
}

/// Feeds foreign bytes to the parser (fuzz target and corpus test).
pub fn fuzz_deletion_line(data: &[u8]) {
    drop(serde_json::from_slice::<Line>(data));
}

/// A batch whose keys are not destroyed for certain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenBatch {
    /// Its number.
    pub batch: u64,
    /// Why they were to be destroyed.
    pub reason: keys::Reason,
    /// The keys.
    pub keys: Vec<PlannedKey>,
}

/// The records of one recorder.
#[derive(Clone, Debug)]
pub struct DeletionLog {
    dir: PathBuf,
    next: u64,
}

impl DeletionLog {
    /// Opens the records in `dir`; also gives the batches that were planned and whose keys are not destroyed for certain.
    ///
    /// # Errors
    /// Of the disk.
    pub fn open(dir: &Path) -> std::io::Result<(Self, Vec<OpenBatch>)> {
        std::fs::create_dir_all(dir)?;
        let mut open: BTreeMap<u64, OpenBatch> = BTreeMap::new();
        let mut newest = 0;
        let mut names = files(dir)?;
        names.sort();
        // A batch is finished within minutes: the two newest months hold every open one.
        for path in names.iter().rev().take(2).rev() {
            read(path, |Line { batch, step, .. }| {
                newest = newest.max(batch);
                match step {
                    Step::Planned { reason, keys } => {
                        let reason = keys::Reason::parse(&reason).unwrap_or(keys::Reason::Order);
                        open.insert(batch, OpenBatch { batch, reason, keys });
                    }
                    Step::KeysDestroyed { .. } => drop(open.remove(&batch)),
                    Step::FilesErased { .. }
                    | Step::Approved(_)
                    | Step::ClockApproved(_)
                    | Step::Gated { .. }
                    | Step::Lost(_)
                    | Step::Reconciled(_) => {}
                }
            })?;
        }
        Ok((Self { dir: dir.to_owned(), next: newest + 1 }, open.into_values().collect()))
    }

    /// Notes what is about to be destroyed; the number of the batch.
    ///
    /// # Errors
    /// Of the disk: then nothing may be destroyed.
    pub fn plan(&mut self, reason: keys::Reason, keys: Vec<PlannedKey>, now: WallTime) -> std::io::Result<u64> {
        let batch = self.next;
        self.append(&Line {
            batch,
            at_us: now.micros,
            step: Step::Planned { reason: reason.as_str().to_owned(), keys },
        })?;
        self.next += 1;
        Ok(batch)
    }

    /// Notes something with a number of its own; the number.
    ///
    /// # Errors
    /// Of the disk.
    pub fn note(&mut self, step: Step, now: WallTime) -> std::io::Result<u64> {
        let batch = self.next;
        self.append(&Line { batch, at_us: now.micros, step })?;
        self.next += 1;
        Ok(batch)
    }

    /// Takes an approval for keys up to `hour`, if one lies there, and notes it. It serves once.
    ///
    /// # Errors
    /// Of the disk.
    pub fn take_approval(&mut self, hour: u32, now: WallTime) -> std::io::Result<bool> {
        let path = Approval::path(&self.dir);
        let raw = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            raw => raw?,
        };
        let given = serde_json::from_slice::<Approval>(&raw).ok().filter(|given| given.until_hour >= hour);
        if let Some(given) = &given {
            self.append(&Line { batch: self.next, at_us: now.micros, step: Step::Approved(given.clone()) })?;
            self.next += 1;
        }
        std::fs::remove_file(&path)?;
        Ok(given.is_some())
    }

    /// Notes the proof.
    ///
    /// # Errors
    /// Of the disk: the batch is finished again at the next start.
    pub fn destroyed(&self, batch: u64, done: &Destruction) -> std::io::Result<()> {
        let step = Step::KeysDestroyed {
            count: u64::try_from(done.keys.len()).unwrap_or(u64::MAX),
            digest: hex::encode(done.digest),
            generation: done.generation.number(),
            missing: done.missing.iter().map(ToString::to_string).collect(),
        };
        self.append(&Line { batch, at_us: done.at.micros, step })
    }

    /// Notes the files, given as id and digest in text form.
    ///
    /// # Errors
    /// Of the disk.
    pub fn erased(&self, batch: u64, files: &mut [(String, String)], now: WallTime) -> std::io::Result<()> {
        let count = u64::try_from(files.len()).unwrap_or(u64::MAX);
        let step = Step::FilesErased { count, digest: digest_of(files) };
        self.append(&Line { batch, at_us: now.micros, step })
    }

    fn append(&self, line: &Line) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        let (year, month, ..) = crate::plan::civil(WallTime::from_micros(line.at_us));
        let path = self.dir.join(format!("{year:04}-{month:02}.jsonl"));
        let is_new = !path.exists();
        let mut file = std::fs::OpenOptions::new().create(true).read(true).append(true).open(&path)?;
        // Behind a line that a crash cut.
        let length = file.metadata()?.len();
        if length > 0 {
            use std::os::unix::fs::FileExt as _;
            let mut last = [0];
            file.read_exact_at(&mut last, length - 1)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        file.write_all(&text)?;
        durable::sync_data(&file)?;
        if is_new {
            durable::sync_folder(&self.dir)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_was_cut_short_is_found_again_and_numbers_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let key =
            |n: u64| PlannedKey { epoch: format!("{n:016x}"), camera: "cam_1".into(), class: "RC-VID-OPEN".into() };
        let done = Destruction {
            at: WallTime::from_secs(1_800_000_000),
            reason: keys::Reason::EndOfTerm,
            keys: Vec::new(),
            digest: [7; 32],
            generation: keys::Generation::from_number(3),
            missing: vec![keys::Copy::Second],
            remaining: 0,
        };
        let now = WallTime::from_secs(1_800_000_000);
        let (mut log, open) = DeletionLog::open(dir.path()).unwrap();
        assert!(open.is_empty());
        let first = log.plan(keys::Reason::EndOfTerm, vec![key(1 << 32 | 1)], now).unwrap();
        log.destroyed(first, &done).unwrap();
        let second = log.plan(keys::Reason::Space, vec![key(2 << 32), key(3 << 32)], now).unwrap();
        assert_eq!((first, second), (1, 2));
        let path = std::fs::read_dir(dir.path()).unwrap().last().unwrap().unwrap().path();
        let whole = std::fs::read(&path).unwrap();
        // Cut at every byte: the open batch is there as soon as its line is whole.
        for length in 0..=whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let (mut log, open) = DeletionLog::open(dir.path()).unwrap();
            let lines = whole[..length].iter().filter(|byte| **byte == b'\n').count();
            // A line that lacks only its end is whole as well.
            let lines = lines + usize::from(length < whole.len() && whole[length] == b'\n');
            let numbers: Vec<u64> = open.iter().map(|open| open.batch).collect();
            let wanted: &[u64] = [&[][..], &[1], &[], &[2]][lines];
            assert_eq!(numbers, wanted, "cut at {length}");
            let next = log.plan(keys::Reason::EndOfTerm, Vec::new(), now).unwrap();
            assert_eq!(next, [1, 2, 2, 3][lines], "cut at {length}");
            assert!(DeletionLog::open(dir.path()).unwrap().1.iter().any(|open| open.batch == next));
        }
        std::fs::write(&path, &whole).unwrap();
        let (_, open) = DeletionLog::open(dir.path()).unwrap();
        assert_eq!(open[0].reason, keys::Reason::Space);
        // Read on from every record, in pages of every size.
        let all = since(dir.path(), "", 100).unwrap();
        let wanted = lines(dir.path()).unwrap();
        let read: Vec<Line> = all.iter().map(|(_, line)| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((read.len(), read), (3, wanted));
        for limit in 1..4 {
            let (mut after, mut paged) = (String::new(), Vec::new());
            loop {
                let page = since(dir.path(), &after, limit).unwrap();
                let Some((last, _)) = page.last() else { break };
                after.clone_from(last);
                paged.extend(page);
            }
            assert_eq!(paged, all, "{limit} at a time");
        }
        // A cut line is none, now and when the next one was written behind it.
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(since(dir.path(), "", 100).unwrap().len(), 2);
        std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        let (mut log, _) = DeletionLog::open(dir.path()).unwrap();
        log.plan(keys::Reason::EndOfTerm, Vec::new(), now).unwrap();
        assert_eq!(since(dir.path(), &all[1].0, 100).unwrap().len(), 1);
        assert!(since(dir.path(), "nonsense", 1).is_err());
        std::fs::write(&path, &whole).unwrap();
        for bytes in [&whole[..], b"{}", b"\xff"] {
            fuzz_deletion_line(bytes);
        }
        assert_eq!(open[0].keys[1].epoch().map(KeyEpoch::raw), Some(3 << 32));
    }
}
