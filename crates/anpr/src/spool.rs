//! The reader's sealed spool: a read is on disk before anybody hears of it, and stays until the central store has it.
//!
//! A folder of append-only files. File `NNN.reads` is named after the position of its first record; a record is
//! `len u32 | position u64 | nonce 12 | AES-256-GCM ciphertext and tag`, integers big endian, the position as
//! additional data. Each append is one write and one fsync. A torn record at the end of the newest file (power loss,
//! kill) was never acknowledged to anybody and is cut off. A file goes when all its records are acknowledged.
//!
//! Overflow policy: at [`BYTES_MAX`] the oldest file is dropped whole, counted in [`Spool::dropped`] and logged.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Key};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use link::ReadRow;
use vms_core::WallTime;

/// Bytes of all files together: 2 GiB hold about 15,000 reads with pictures, more than an hour at 4 reads a second.
pub const BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// A new file is begun from this size on, so that acknowledged reads leave the disk soon.
const FILE_BYTES: u64 = 8 * 1024 * 1024;

/// Largest record: row and two JPEG pictures.
const RECORD_MAX: usize = 4 * 1024 * 1024;

const HEAD: usize = 4 + 8 + 12;

/// Why the spool cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The disk.
    #[error("the spool `{path}` failed")]
    Disk {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The key file is not 32 bytes, or others may read it.
    #[error("the spool's key `{0}` is not 32 bytes that only its owner may read")]
    Key(PathBuf),
    /// A record is too large or cannot be sealed.
    #[error("a read could not be sealed")]
    Seal,
    /// A record does not open: damaged, or sealed with another key.
    #[error("a record of the spool does not open")]
    Damaged,
}

/// One read with its pictures.
#[derive(Clone, PartialEq, Debug)]
pub struct Spooled {
    /// The read; its `spool` is set by [`Spool::append`].
    pub row: ReadRow,
    /// JPEG.
    pub crop: Bytes,
    /// JPEG.
    pub overview: Bytes,
}

/// Length of a record's ciphertext, and what it holds if it opens.
type Found = (usize, Result<Spooled, SpoolError>);

#[derive(Debug, Clone, Copy)]
struct Record {
    position: u64,
    file: u64,
    offset: u64,
}

/// The spool. One owner; blocking file work, so call it from a thread that may block.
pub struct Spool {
    folder: PathBuf,
    cipher: Aes256Gcm,
    records: VecDeque<Record>,
    /// Open for appending: name and size.
    current: Option<(u64, File, u64)>,
    next: u64,
    bytes: u64,
    bytes_max: u64,
    dropped: u64,
    random: fn(&mut [u8]),
}

impl std::fmt::Debug for Spool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Spool({} waiting)", self.records.len())
    }
}

impl Spool {
    /// Opens the spool in `folder` with the key in `key_file`; makes both when absent. `now` places the first position
    /// of a fresh spool after those of any that was lost with its disk, `random` fills keys and nonces.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub fn open(folder: &Path, key_file: &Path, now: WallTime, random: fn(&mut [u8])) -> Result<Self, SpoolError> {
        std::fs::create_dir_all(folder).map_err(|e| disk(folder, e))?;
        let key = load_key(key_file, random)?;
        let mut spool = Self {
            folder: folder.to_owned(),
            cipher: Aes256Gcm::new(&Key::<Aes256Gcm>::from(key)),
            records: VecDeque::new(),
            current: None,
            next: u64::try_from(now.micros).unwrap_or(1).max(1),
            bytes: 0,
            bytes_max: BYTES_MAX,
            dropped: 0,
            random,
        };
        let acked = spool.load_ack()?;
        if let Some(acked) = acked {
            spool.next = acked + 1;
        }
        spool.scan()?;
        if let Some(acked) = acked {
            spool.forget(acked)?;
        }
        Ok(spool)
    }

    /// Reads waiting.
    pub fn waiting(&self) -> u64 {
        u64::try_from(self.records.len()).unwrap_or(u64::MAX)
    }

    /// Reads lost to overflow or damage since opening.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Seals one read and makes it durable; returns its position.
    ///
    /// # Errors
    /// [`SpoolError`]; then the read is not in the spool.
    pub fn append(&mut self, read: &Spooled) -> Result<u64, SpoolError> {
        let position = self.next;
        let plain = encode(read, position).ok_or(SpoolError::Seal)?;
        let mut nonce = [0_u8; 12];
        (self.random)(&mut nonce);
        let aad = position.to_be_bytes();
        let payload = Payload { msg: &plain, aad: &aad };
        let sealed = self.cipher.encrypt(&nonce.into(), payload).map_err(|_| SpoolError::Seal)?;
        if sealed.len() > RECORD_MAX {
            return Err(SpoolError::Seal);
        }
        let mut record = BytesMut::with_capacity(HEAD + sealed.len());
        record.put_u32(u32::try_from(sealed.len()).unwrap_or(u32::MAX));
        record.put_u64(position);
        record.put_slice(&nonce);
        record.put_slice(&sealed);
        let (name, offset) = self.write(position, &record)?;
        self.records.push_back(Record { position, file: name, offset });
        self.bytes += record.len() as u64;
        self.next += 1;
        self.make_room()?;
        Ok(position)
    }

    fn write(&mut self, position: u64, record: &[u8]) -> Result<(u64, u64), SpoolError> {
        if self.current.as_ref().is_none_or(|(_, _, size)| *size >= FILE_BYTES) {
            let path = self.path(position);
            let file = OpenOptions::new().create_new(true).append(true).mode(0o600).open(&path);
            let file = file.map_err(|e| disk(&path, e))?;
            sync_folder(&self.folder)?;
            self.current = Some((position, file, 0));
        }
        let folder = self.folder.clone();
        let Some((name, file, size)) = self.current.as_mut() else { return Err(SpoolError::Seal) };
        let offset = *size;
        if let Err(source) = file.write_all(record).and_then(|()| durable::sync_data(file)) {
            // What stands behind the last good record is unknown: never append to this file again.
            drop(file.set_len(offset));
            self.current = None;
            return Err(disk(&folder, source));
        }
        *size += record.len() as u64;
        Ok((*name, offset))
    }

    /// Up to `limit` reads after position `after`, oldest first.
    ///
    /// # Errors
    /// [`SpoolError::Disk`]. A damaged record is left out and counted.
    pub fn since(&mut self, after: u64, limit: usize) -> Result<Vec<Spooled>, SpoolError> {
        let wanted: Vec<Record> = self.records.iter().filter(|r| r.position > after).take(limit).copied().collect();
        let mut reads = Vec::with_capacity(wanted.len());
        let mut open: Option<(u64, File)> = None;
        for record in wanted {
            let path = self.path(record.file);
            if open.as_ref().is_none_or(|(name, _)| *name != record.file) {
                open = Some((record.file, File::open(&path).map_err(|e| disk(&path, e))?));
            }
            let Some((_, file)) = open.as_mut() else { continue };
            file.seek(SeekFrom::Start(record.offset)).map_err(|e| disk(&path, e))?;
            match self.read_record(file, &path)? {
                Some((_, Ok(read))) => reads.push(read),
                Some((_, Err(_))) | None => {
                    self.dropped += 1;
                    tracing::error!(position = record.position, "a read in the spool is damaged and was left out");
                    self.records.retain(|r| r.position != record.position);
                }
            }
        }
        Ok(reads)
    }

    /// Forgets every read up to and including `upto`; durable before it returns.
    ///
    /// # Errors
    /// [`SpoolError::Disk`].
    pub fn ack(&mut self, upto: u64) -> Result<(), SpoolError> {
        let upto = upto.min(self.next.saturating_sub(1));
        if self.load_ack()?.is_some_and(|before| before >= upto) {
            return Ok(());
        }
        let (path, part) = (self.folder.join("acked"), self.folder.join("acked.part"));
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&part)?;
            file.write_all(&upto.to_be_bytes())?;
            durable::sync_all(&file)?;
            std::fs::rename(&part, &path)
        };
        write().map_err(|e| disk(&path, e))?;
        sync_folder(&self.folder)?;
        self.forget(upto)
    }

    fn load_ack(&self) -> Result<Option<u64>, SpoolError> {
        let path = self.folder.join("acked");
        match std::fs::read(&path) {
            Ok(raw) => Ok(raw.first_chunk::<8>().map(|raw| u64::from_be_bytes(*raw))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(disk(&path, e)),
        }
    }

    fn forget(&mut self, upto: u64) -> Result<(), SpoolError> {
        self.records.retain(|r| r.position > upto);
        let in_use: Vec<u64> = self.records.iter().map(|r| r.file).collect();
        for name in self.names()? {
            if !in_use.contains(&name) {
                self.remove(name)?;
            }
        }
        Ok(())
    }

    fn remove(&mut self, name: u64) -> Result<(), SpoolError> {
        if self.current.as_ref().is_some_and(|(current, _, _)| *current == name) {
            self.current = None;
        }
        let path = self.path(name);
        let size = std::fs::metadata(&path).map_or(0, |m| m.len());
        std::fs::remove_file(&path).map_err(|e| disk(&path, e))?;
        self.bytes = self.bytes.saturating_sub(size);
        Ok(())
    }

    fn make_room(&mut self) -> Result<(), SpoolError> {
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.records.front().map(|r| r.file) else { return Ok(()) };
            let before = self.records.len();
            self.records.retain(|r| r.file != oldest);
            let lost = u64::try_from(before - self.records.len()).unwrap_or(0);
            self.dropped += lost;
            tracing::error!(lost, "the spool is full: its oldest reads were dropped");
            self.remove(oldest)?;
        }
        Ok(())
    }

    fn path(&self, name: u64) -> PathBuf {
        self.folder.join(format!("{name:020}.reads"))
    }

    /// Names of the files, oldest first.
    fn names(&self) -> Result<Vec<u64>, SpoolError> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(|e| disk(&self.folder, e))? {
            let entry = entry.map_err(|e| disk(&self.folder, e))?;
            let name = entry.file_name();
            names.extend(name.to_str().and_then(|n| n.strip_suffix(".reads")).and_then(|n| n.parse::<u64>().ok()));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Finds every record; cuts off a torn end of the newest file.
    fn scan(&mut self) -> Result<(), SpoolError> {
        let names = self.names()?;
        for name in &names {
            let path = self.path(*name);
            let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(|e| disk(&path, e))?;
            let size = file.metadata().map_err(|e| disk(&path, e))?.len();
            let mut offset = 0;
            while let Some((len, read)) = self.read_record(&mut file, &path)? {
                let Ok(read) = read else { break };
                self.records.push_back(Record { position: read.row.spool, file: *name, offset });
                self.next = self.next.max(read.row.spool + 1);
                offset += (HEAD + len) as u64;
            }
            if offset < size {
                let newest = names.last() == Some(name);
                tracing::warn!(bytes = size - offset, newest, "the end of a spool file does not open and is left out");
                if newest {
                    file.set_len(offset).and_then(|()| durable::sync_all(&file)).map_err(|e| disk(&path, e))?;
                }
            }
            self.bytes += size;
            self.next = self.next.max(name + 1);
        }
        Ok(())
    }

    /// The record at the file's position and the length of its ciphertext; `None` at the end or where it is torn.
    fn read_record(&self, file: &mut File, path: &Path) -> Result<Option<Found>, SpoolError> {
        let mut head = [0_u8; HEAD];
        if !fill(file, &mut head).map_err(|e| disk(path, e))? {
            return Ok(None);
        }
        let mut fields = head.as_slice();
        let len = usize::try_from(fields.get_u32()).unwrap_or(usize::MAX);
        let position = fields.get_u64();
        let mut nonce = [0_u8; 12];
        fields.copy_to_slice(&mut nonce);
        if len > RECORD_MAX {
            return Ok(None);
        }
        let mut sealed = vec![0; len];
        if !fill(file, &mut sealed).map_err(|e| disk(path, e))? {
            return Ok(None);
        }
        let payload = Payload { msg: &sealed, aad: &position.to_be_bytes() };
        let plain = self.cipher.decrypt(&nonce.into(), payload).map_err(|_| SpoolError::Damaged);
        Ok(Some((len, plain.and_then(|plain| decode(plain.into()).ok_or(SpoolError::Damaged)))))
    }
}

fn disk(path: &Path, source: std::io::Error) -> SpoolError {
    SpoolError::Disk { path: path.to_owned(), source }
}

fn sync_folder(folder: &Path) -> Result<(), SpoolError> {
    durable::sync_folder(folder).map_err(|e| disk(folder, e))
}

/// Fills `out`; false at the end of the file.
fn fill(file: &mut File, out: &mut [u8]) -> std::io::Result<bool> {
    match file.read_exact(out) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}

fn load_key(path: &Path, random: fn(&mut [u8])) -> Result<[u8; 32], SpoolError> {
    use std::os::unix::fs::MetadataExt as _;
    let made = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
    match made {
        Ok(mut file) => {
            let mut key = [0; 32];
            random(&mut key);
            file.write_all(&key).and_then(|()| durable::sync_all(&file)).map_err(|e| disk(path, e))?;
            path.parent().map_or(Ok(()), sync_folder)?;
            Ok(key)
        }
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            let private = std::fs::metadata(path).map_err(|e| disk(path, e))?.mode() & 0o077 == 0;
            let raw = std::fs::read(path).map_err(|e| disk(path, e))?;
            let key: Option<[u8; 32]> = raw.try_into().ok();
            key.filter(|_| private).ok_or_else(|| SpoolError::Key(path.to_owned()))
        }
        Err(e) => Err(disk(path, e)),
    }
}

/// `len u32 | row as JSON | crop | overview`.
fn encode(read: &Spooled, position: u64) -> Option<Vec<u8>> {
    let row = ReadRow {
        spool: position,
        crop_len: u32::try_from(read.crop.len()).ok()?,
        overview_len: u32::try_from(read.overview.len()).ok()?,
        ..read.row.clone()
    };
    let json = serde_json::to_vec(&row).ok()?;
    let mut out = Vec::with_capacity(4 + json.len() + read.crop.len() + read.overview.len());
    out.put_u32(u32::try_from(json.len()).ok()?);
    out.put_slice(&json);
    out.put_slice(&read.crop);
    out.put_slice(&read.overview);
    Some(out)
}

fn decode(mut plain: Bytes) -> Option<Spooled> {
    let json = usize::try_from(plain.try_get_u32().ok()?).ok()?;
    if plain.len() < json {
        return None;
    }
    let row: ReadRow = serde_json::from_slice(&plain.split_to(json)).ok()?;
    let (crop_len, overview_len) = (crate::num::wide(row.crop_len), crate::num::wide(row.overview_len));
    if plain.len() != crop_len.checked_add(overview_len)? {
        return None;
    }
    let crop = plain.split_to(crop_len);
    Some(Spooled { row, crop, overview: plain })
}

/// Feeds foreign bytes to the parser of opened records (fuzz target and corpus test).
pub fn fuzz_record(data: &[u8]) {
    drop(decode(Bytes::copy_from_slice(data)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Different bytes each time, as nonces need; not secret.
    fn counting(out: &mut [u8]) {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let value = COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        out.iter_mut().zip(value.iter().cycle()).for_each(|(slot, byte)| *slot = *byte);
    }

    fn read(text: &str) -> Spooled {
        let row = ReadRow {
            spool: 0,
            read: "rea_1".into(),
            camera: "cam_1".into(),
            stream: "str_1".into(),
            at_us: 7,
            plate: text.into(),
            countries: vec![("B".into(), 900_000)],
            confidence: 990_000,
            corrected: false,
            direction: "leaving".into(),
            looks: 3,
            corners: [0.0; 8],
            model: "m".into(),
            crop_len: 0,
            overview_len: 0,
            clock: None,
        };
        Spooled { row, crop: Bytes::from_static(b"crop"), overview: Bytes::from_static(b"overview") }
    }

    fn open(dir: &Path) -> Spool {
        Spool::open(&dir.join("spool"), &dir.join("key"), WallTime::from_micros(1000), counting).unwrap()
    }

    fn plates(spool: &mut Spool, after: u64) -> Vec<(u64, String)> {
        spool.since(after, 100).unwrap().into_iter().map(|r| (r.row.spool, r.row.plate)).collect()
    }

    #[test]
    fn reads_survive_restarts_until_acknowledged() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = open(dir.path());
        assert_eq!((spool.append(&read("1AAA111")).unwrap(), spool.append(&read("1BBB222")).unwrap()), (1000, 1001));
        drop(spool);
        let mut spool = open(dir.path());
        assert_eq!(spool.append(&read("1CCC333")).unwrap(), 1002);
        let all = [(1000, "1AAA111"), (1001, "1BBB222"), (1002, "1CCC333")].map(|(p, t)| (p, t.to_owned()));
        assert_eq!(plates(&mut spool, 0), all);
        assert_eq!(plates(&mut spool, 1000), all[1..]);
        spool.ack(1001).unwrap();
        drop(spool);
        let mut spool = open(dir.path());
        assert_eq!(plates(&mut spool, 0), all[2..]);
        assert_eq!(spool.since(0, 9).unwrap()[0].overview, Bytes::from_static(b"overview"));
        spool.ack(5000).unwrap();
        assert_eq!((spool.waiting(), spool.names().unwrap().len()), (0, 0));
        drop(spool);
        // A position is never given twice, even when nothing is left on disk but the acknowledgement.
        assert_eq!(open(dir.path()).append(&read("1DDD444")).unwrap(), 1003);
    }

    #[test]
    fn a_kill_in_the_middle_of_a_write_loses_only_that_write() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = open(dir.path());
        spool.append(&read("1AAA111")).unwrap();
        spool.append(&read("1BBB222")).unwrap();
        drop(spool);
        let path = dir.path().join("spool").join(format!("{:020}.reads", 1000));
        let whole = std::fs::read(&path).unwrap();
        let first = HEAD + usize::try_from(u32::from_be_bytes(whole[..4].try_into().unwrap())).unwrap();
        for cut in [first, first + 1, first + HEAD, whole.len() - 1] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut spool = open(dir.path());
            assert_eq!(plates(&mut spool, 0), [(1000, "1AAA111".to_owned())], "cut at {cut}");
            assert_eq!(std::fs::metadata(&path).unwrap().len(), first as u64);
            spool.append(&read("1EEE555")).unwrap();
            assert_eq!(plates(&mut spool, 1000).len(), 1);
            drop(spool);
            let files: Vec<_> =
                std::fs::read_dir(dir.path().join("spool")).unwrap().map(|e| e.unwrap().path()).collect();
            files.iter().for_each(|f| std::fs::remove_file(f).unwrap());
        }
    }

    #[test]
    fn nothing_is_readable_on_disk_and_a_foreign_key_opens_nothing() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        open(dir.path()).append(&read("1AAA111")).unwrap();
        let path = dir.path().join("spool").join(format!("{:020}.reads", 1000));
        let raw = std::fs::read(&path).unwrap();
        assert!(!raw.windows(7).any(|w| w == b"1AAA111") && !raw.windows(4).any(|w| w == b"crop"));
        let key = dir.path().join("key");
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        let opened = Spool::open(&dir.path().join("spool"), &key, WallTime::from_micros(1), counting);
        assert!(matches!(opened, Err(SpoolError::Key(_))));
        let other = dir.path().join("other");
        let mut spool = Spool::open(&dir.path().join("spool"), &other, WallTime::from_micros(1), counting).unwrap();
        assert_eq!(plates(&mut spool, 0), []);
    }

    #[test]
    fn a_full_spool_drops_its_oldest_and_counts() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = open(dir.path());
        spool.bytes_max = 20_000_000;
        let big = Spooled { overview: Bytes::from(vec![1; 3_000_000]), ..read("1AAA111") };
        for _ in 0..10 {
            spool.append(&big).unwrap();
        }
        assert!(spool.bytes <= 20_000_000);
        assert_eq!(spool.waiting() + spool.dropped(), 10);
        assert!(spool.dropped() >= 3);
    }

    #[test]
    fn a_record_of_before_says_nothing_of_its_clock() {
        let mut old = serde_json::to_value(read("1AAA111").row).unwrap();
        assert!(old.get("clock").is_none(), "nothing known is nothing written");
        old["crop_len"] = 4.into();
        let json = old.to_string();
        let mut record = u32::try_from(json.len()).unwrap().to_be_bytes().to_vec();
        record.extend(json.bytes().chain(*b"crop"));
        assert_eq!(decode(record.into()).unwrap().row.clock, None);
        let dir = tempfile::tempdir().unwrap();
        let mut spool = open(dir.path());
        let mut timed = read("1BBB222");
        let clock = link::message::ClockRow {
            locked_from_us: 1,
            locked_until_us: 9,
            offset_us: -3,
            uncertainty_us: 8_900,
            synced_us: None,
            second_us: Some(4),
        };
        timed.row.clock = Some(clock.clone());
        spool.append(&timed).unwrap();
        assert_eq!(spool.since(0, 1).unwrap()[0].row.clock, Some(clock));
    }

    #[test]
    fn rubbish_is_no_read() {
        for data in [&b""[..], b"\0\0\0\x09{}", b"\0\0\0\x02{}", b"\xff\xff\xff\xff"] {
            assert_eq!(decode(Bytes::copy_from_slice(data)), None);
            fuzz_record(data);
        }
    }
}
