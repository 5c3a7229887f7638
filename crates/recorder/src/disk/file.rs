//! One growing segment file, and the crash-safe steps around it (reliability 4.1.3).
//!
//! What a crash leaves: before the rename, a file whose name starts with a dot and that holds no footage (recovery removes
//! it); after it, a segment without a closing record (recovery closes it). A plain `write` hands a fragment to the kernel, so
//! that a kill loses nothing of it; `fdatasync` comes in groups, for power cuts.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use durable::Synced;
use keys::SealedWriterKey;
use media::{Fragment, ParamSetId, ParameterSets};
use vms_core::{MonoTime, SyncState, WallTime};

use crate::format::write::Pen;
use crate::format::{
    Closing, DigestKind, FLAG_CAMERA_CLOCK, FLAG_CLOCK_STEP, FragmentEntry, RunningDigest, SegmentHeader, TRAILER,
    write,
};
use crate::plan::{CutReason, Hole};

/// Where the file protocol can be made to fail in tests: asked before every write.
pub(crate) trait Fault: Send {
    /// An error instead of the write of `bytes` bytes; `Some(n)` of the error pair writes `n` bytes first.
    fn write(&mut self, bytes: usize) -> Option<(usize, std::io::Error)>;
}

/// Never fails.
#[derive(Debug)]
pub(crate) struct NoFault;

impl Fault for NoFault {
    fn write(&mut self, _bytes: usize) -> Option<(usize, std::io::Error)> {
        None
    }
}

/// The growing file.
pub(crate) struct SegmentFile {
    file: Arc<Synced>,
    pen: Pen,
    pub(crate) header: SegmentHeader,
    /// Bytes of whole records.
    pub(crate) len: u64,
    number: u32,
    hash: RunningDigest,
    pub(crate) entries: Vec<FragmentEntry>,
    pub(crate) sets: Vec<Arc<ParameterSets>>,
    pub(crate) units: u32,
    pub(crate) payload: u64,
    pub(crate) param_set: ParamSetId,
    /// What is known of the clocks so far: closing flags.
    pub(crate) clocks: u8,
}

/// End of the last unit of a fragment: sequence, monotonic and wall time.
pub(crate) fn fragment_end(fragment: &Fragment) -> (u64, MonoTime, WallTime) {
    let last = fragment.last();
    let length_us = fragment.samples().last().map_or(0, |sample| u64::from(sample.duration) * 100 / 9);
    let mono = MonoTime { micros: last.clocks.mono.micros.saturating_add(length_us) };
    (last.seq, mono, last.clocks.wall.plus(std::time::Duration::from_micros(length_us)))
}

/// Makes the folders of `relative` below `root`, each made durable in its parent.
fn make_folders(root: &Path, relative: &Path) -> std::io::Result<PathBuf> {
    let mut at = root.to_owned();
    for part in relative.parent().into_iter().flat_map(Path::components) {
        let parent = at.clone();
        at.push(part);
        match std::fs::create_dir(&at) {
            Ok(()) => durable::sync_folder(&parent)?,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(at)
}

impl SegmentFile {
    /// Makes the file: exclusive under a temporary name, header, fdatasync, rename, fsync of the folder. `key` is taken when the file
    /// is there; after an error it has sealed nothing and serves for the next try.
    pub(crate) fn create(
        root: &Path,
        relative: &Path,
        header: SegmentHeader,
        key: &mut Option<SealedWriterKey>,
        fault: &mut dyn Fault,
    ) -> std::io::Result<Self> {
        let folder = make_folders(root, relative)?;
        let path = root.join(relative);
        let temporary = folder.join(format!(".{}.tmp", header.segment));
        let bytes = write::header(&header);
        let made = Self::create_named(&temporary, &path, &folder, &bytes, fault);
        if made.is_err() {
            // A file that cannot even hold its header must not stay and fill the folder; it holds no footage.
            std::fs::remove_file(&temporary).ok();
        }
        let file = made?;
        let mut hash = RunningDigest::new(DigestKind::OURS);
        hash.update(&bytes);
        let pen = match key.take() {
            Some(key) => Pen::sealed(key, &bytes),
            None => Pen::clear(header.segment, DigestKind::OURS),
        };
        Ok(Self {
            file: Arc::new(Synced::new(file)),
            pen,
            clocks: clock_step(header.reason),
            header,
            len: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            number: 0,
            hash,
            entries: Vec::new(),
            sets: Vec::new(),
            units: 0,
            payload: 0,
            param_set: ParamSetId(0),
        })
    }

    fn create_named(
        temporary: &Path,
        path: &Path,
        folder: &Path,
        bytes: &[u8],
        fault: &mut dyn Fault,
    ) -> std::io::Result<File> {
        let file = OpenOptions::new().read(true).append(true).create_new(true).open(temporary)?;
        write_whole(&file, bytes, fault)?;
        durable::sync_data(&file)?;
        std::fs::rename(temporary, path)?;
        durable::sync_folder(folder)?;
        Ok(file)
    }

    /// A handle for the group sync.
    pub(crate) fn handle(&self) -> Arc<Synced> {
        Arc::clone(&self.file)
    }

    fn append(&mut self, record: &[u8], fault: &mut dyn Fault) -> std::io::Result<()> {
        if let Err(error) = write_whole(self.file.file(), record, fault) {
            // Half a record is cut off again, so that the file stays whole if space returns. Its number has sealed.
            self.number = self.number.saturating_add(u32::from(self.pen.is_sealed()));
            self.file.file().set_len(self.len)?;
            return Err(error);
        }
        let trailer = record.last_chunk::<TRAILER>().expect("a record should end with its trailer");
        self.hash.update(trailer);
        self.len = self.len.saturating_add(u64::try_from(record.len()).unwrap_or(u64::MAX));
        self.number = self.number.saturating_add(1);
        Ok(())
    }

    /// Appends a gap record.
    pub(crate) fn gap(&mut self, hole: &Hole, fault: &mut dyn Fault) -> std::io::Result<()> {
        let record = write::gap(&mut self.pen, self.number, hole).map_err(refused)?;
        self.append(&record, fault)
    }

    /// Appends a fragment, and its parameter sets before it when the file does not have them. `room` is where the record is put
    /// together: one for all files, so that no fragment asks for memory of its own.
    pub(crate) fn fragment(
        &mut self,
        fragment: &Fragment,
        sets: &Arc<ParameterSets>,
        room: &mut Vec<u8>,
        fault: &mut dyn Fault,
    ) -> std::io::Result<FragmentEntry> {
        if !self.sets.iter().any(|known| known.id == sets.id) {
            let record = write::parameters(&mut self.pen, self.number, sets).map_err(refused)?;
            self.append(&record, fault)?;
            self.sets.push(Arc::clone(sets));
        }
        let entry = write::fragment(&mut self.pen, self.number, self.len, fragment, room).map_err(refused)?;
        self.append(room, fault)?;
        self.param_set = fragment.first().param_set;
        if fragment.units().iter().any(|unit| unit.clocks.sync == SyncState::Differs) {
            self.clocks |= FLAG_CAMERA_CLOCK;
        }
        self.units = self.units.saturating_add(entry.units);
        self.payload = self.payload.saturating_add(u64::from(entry.payload));
        self.entries.push(entry);
        Ok(entry)
    }

    /// Wall time of the end of what is written.
    pub(crate) fn end(&self) -> WallTime {
        self.entries.last().map_or(self.header.wall, FragmentEntry::wall_end)
    }

    /// Appends the closing record; gives its offset and the digest of the whole segment.
    pub(crate) fn close(
        &mut self,
        flags: u8,
        end: WallTime,
        fault: &mut dyn Fault,
    ) -> std::io::Result<(u64, [u8; 32])> {
        let closing = Closing {
            flags: flags | self.clocks,
            end,
            units: self.units,
            payload: self.payload,
            entries: self.entries.clone(),
            digest: self.hash.finish(),
        };
        let at = self.len;
        let record = write::closing(&mut self.pen, self.number, &closing).map_err(refused)?;
        self.append(&record, fault)?;
        Ok((at, self.hash.finish()))
    }
}

/// The flag of a segment that began for this reason.
pub(crate) const fn clock_step(reason: u8) -> u8 {
    if reason == CutReason::ClockStep.code() { FLAG_CLOCK_STEP } else { 0 }
}

fn refused(error: keys::SealError) -> std::io::Error {
    std::io::Error::other(error)
}

fn write_whole(mut file: &File, bytes: &[u8], fault: &mut dyn Fault) -> std::io::Result<()> {
    if let Some((part, error)) = fault.write(bytes.len()) {
        file.write_all(bytes.get(..part).unwrap_or_default())?;
        return Err(error);
    }
    file.write_all(bytes)
}
