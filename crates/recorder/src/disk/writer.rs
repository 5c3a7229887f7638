//! The writer thread and the sync thread.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};

use link::Cause;
use vms_core::{MonoTime, SegmentId, StreamId, WallTime};

use super::file::{Fault, SegmentFile, fragment_end};
use super::{AckBoard, DiskConfig, FragmentJob, Job};
use crate::catalogue::{Catalogue, GapChange, SegmentState};
use crate::format::{FLAG_SUSPECT, SegmentHeader};
use crate::plan::{self, CutReason, Hole, OpenSpan, UnitEnd};
use crate::ports::Clock;

/// A stream without space tries again at most so often.
const RETRY_US: u64 = 1_000_000;

/// Room that is kept from one record to the next: 1 s at 16 Mbit/s.
const ROOM_KEPT: usize = 2 * 1024 * 1024;

/// Free space is asked for at most so often.
const SPACE_US: u64 = 500_000;

/// One file to sync: what survives a power cut afterwards, and who waits to hear of it.
#[derive(Debug)]
pub(super) struct SyncItem {
    segment: SegmentId,
    stream: StreamId,
    file: Arc<File>,
    until: WallTime,
    ack: Option<Ack>,
}

/// What may be acknowledged once a file is synced.
#[derive(Debug)]
struct Ack {
    to: Arc<AckBoard>,
    epoch: u64,
    seq: u64,
}

impl SyncItem {
    fn sync(&self, catalogue: &Catalogue) -> std::io::Result<()> {
        self.file.sync_data()?;
        catalogue.set_durable(self.stream, self.until);
        if let Some(Ack { to, epoch, seq }) = &self.ack {
            to.put(self.stream, *epoch, *seq);
        }
        Ok(())
    }
}

/// Tells the kernel of every file of a round before the first is synced. What is dirty then goes to the disk together, so that
/// few journal commits serve all; what the round before synced leaves the page cache, which footage would fill with what
/// is rarely read again. Advice only: a refusal changes nothing.
fn announce(round: &[SyncItem]) {
    for item in round {
        rustix::fs::fadvise(&item.file, 0, None, rustix::fs::Advice::DontNeed).ok();
    }
}

/// Starts the sync thread; a round that is not finished makes the next one wait (the channel holds one).
pub(super) fn start_sync(
    catalogue: Arc<Catalogue>,
    jobs: SyncSender<Job>,
) -> std::io::Result<SyncSender<Vec<SyncItem>>> {
    let (rounds, inbox) = sync_channel::<Vec<SyncItem>>(1);
    let work = move || {
        for round in inbox {
            announce(&round);
            for item in &round {
                if let Err(error) = item.sync(&catalogue) {
                    // Never synced again: the kernel may have dropped the dirty pages and call a retry a success.
                    tracing::error!(segment = %item.segment, %error, "fdatasync failed: the segment is suspect");
                    metrics::counter!("recorder_sync_errors_total").increment(1);
                    jobs.send(Job::Suspect { segment: item.segment }).ok();
                }
            }
            // Once for all: each word to an ingest process wakes two threads.
            let mut boards: Vec<&Arc<AckBoard>> =
                round.iter().filter_map(|item| Some(&item.ack.as_ref()?.to)).collect();
            boards.dedup_by(|one, other| Arc::ptr_eq(one, other));
            boards.iter().for_each(|board| board.tell());
        }
    };
    // The writer owns the only sender: the thread ends with it.
    let thread = std::thread::Builder::new().name("recorder-sync".to_owned()).spawn(work)?;
    drop(thread);
    Ok(rounds)
}

#[derive(Default)]
struct StreamFile {
    open: Option<SegmentFile>,
    /// Since when there is no space: wall start of the first fragment lost, and when to try again.
    blocked: Option<(WallTime, MonoTime)>,
}

/// The writer's state; lives on its thread.
pub(super) struct Writer {
    config: DiskConfig,
    clock: Arc<dyn Clock>,
    catalogue: Arc<Catalogue>,
    rounds: SyncSender<Vec<SyncItem>>,
    streams: HashMap<StreamId, StreamFile>,
    unsynced: HashMap<SegmentId, SyncItem>,
    fault: Box<dyn Fault>,
    synced_at: MonoTime,
    space: (MonoTime, bool),
    /// Where records are put together.
    room: Vec<u8>,
}

impl Writer {
    pub(super) fn new(
        config: DiskConfig,
        clock: Arc<dyn Clock>,
        catalogue: Arc<Catalogue>,
        rounds: SyncSender<Vec<SyncItem>>,
        fault: Box<dyn Fault>,
    ) -> Self {
        let now = clock.mono();
        Self {
            config,
            clock,
            catalogue,
            rounds,
            streams: HashMap::new(),
            unsynced: HashMap::new(),
            fault,
            synced_at: now,
            space: (MonoTime::default(), true),
            room: Vec::new(),
        }
    }

    pub(super) fn run(mut self, inbox: &Receiver<Job>) {
        let sync_us = u64::try_from(self.config.sync_every.as_micros()).unwrap_or(u64::MAX);
        loop {
            match inbox.recv_timeout(self.config.sync_every) {
                Ok(Job::Fragment(job)) => self.fragment(*job),
                Ok(Job::Hole { stream, hole }) => self.hole(stream, hole),
                Ok(Job::Close { stream }) => self.close(stream, 0),
                Ok(Job::Suspect { segment }) => self.suspect(segment),
                Err(RecvTimeoutError::Timeout) => self.sync(),
                Ok(Job::Shutdown) | Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.clock.mono().micros.saturating_sub(self.synced_at.micros) >= sync_us {
                self.sync();
            }
        }
        let streams: Vec<StreamId> = self.streams.keys().copied().collect();
        for stream in streams {
            self.close(stream, 0);
        }
        let round = self.round();
        self.rounds.send(round).ok();
    }

    /// What waits for a sync, oldest footage first: a stream is durable up to an instant only when all before it is.
    fn round(&mut self) -> Vec<SyncItem> {
        let mut round: Vec<SyncItem> = self.unsynced.drain().map(|(_, item)| item).collect();
        round.sort_by_key(|item| item.until);
        round
    }

    fn sync(&mut self) {
        self.synced_at = self.clock.mono();
        if self.unsynced.is_empty() {
            return;
        }
        let round = self.round();
        if let Err(error) = self.rounds.try_send(round) {
            let (std::sync::mpsc::TrySendError::Full(round) | std::sync::mpsc::TrySendError::Disconnected(round)) =
                error;
            // The disk is slow: these files stay due, newer instants replace them.
            metrics::counter!("recorder_sync_late_total").increment(1);
            for item in round {
                self.unsynced.entry(item.segment).or_insert(item);
            }
        }
    }

    fn has_space(&mut self) -> bool {
        let now = self.clock.mono();
        if now.micros.saturating_sub(self.space.0.micros) >= SPACE_US || !self.space.1 {
            let free = free_bytes(&self.config.root);
            self.space = (now, free.is_none_or(|free| free >= self.config.reserve_bytes));
        }
        self.space.1
    }

    fn fragment(&mut self, job: FragmentJob) {
        let stream = job.facts.stream;
        let from = job.fragment.first().clocks.wall;
        let blocked = self.streams.entry(stream).or_default().blocked;
        if let Some((_, retry_at)) = blocked
            && self.clock.mono() < retry_at
        {
            return;
        }
        let written = if self.has_space() {
            self.write(&job, blocked.map(|(since, _)| since))
        } else {
            Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
        };
        match written {
            Ok(()) => {
                if blocked.is_some() {
                    tracing::warn!(%stream, "space is back: recording goes on");
                    self.catalogue.set_blocked(stream, false);
                }
                self.streams.entry(stream).or_default().blocked = None;
            }
            Err(error) if is_full(&error) => {
                let retry_at = MonoTime { micros: self.clock.mono().micros.saturating_add(RETRY_US) };
                let since = blocked.map_or(from, |(since, _)| since);
                if blocked.is_none() {
                    tracing::error!(%stream, %error, "no space: recording stands still");
                    metrics::counter!("recorder_disk_full_total").increment(1);
                    self.catalogue.gap(GapChange { stream, from: since, to: None, cause: Cause::Disk });
                    self.catalogue.set_blocked(stream, true);
                }
                self.streams.entry(stream).or_default().blocked = Some((since, retry_at));
            }
            Err(error) => {
                tracing::error!(%stream, %error, "a write failed: the segment is suspect");
                metrics::counter!("recorder_write_errors_total").increment(1);
                let (_, _, to) = fragment_end(&job.fragment);
                self.catalogue.gap(GapChange { stream, from, to: Some(to), cause: Cause::Disk });
                self.abandon(stream);
            }
        }
    }

    fn write(&mut self, job: &FragmentJob, blocked_since: Option<WallTime>) -> std::io::Result<()> {
        let stream = job.facts.stream;
        let first = job.fragment.first();
        let open = self.streams.get(&stream).and_then(|file| file.open.as_ref());
        let span = open.map(|file| OpenSpan {
            epoch: file.header.epoch,
            param_set: file.param_set,
            mono: file.header.mono,
            wall: file.header.wall,
            class: file.header.class.as_str(),
        });
        let cut = plan::cut(span, first, job.facts.class.as_str(), self.config.limits);
        if let Some(reason) = cut {
            self.close(stream, 0);
            self.open(job, reason)?;
        }
        let frame_ticks = job.fragment.samples().first().map_or(0, |sample| sample.duration);
        let last = self.catalogue.end(stream);
        let hole = match blocked_since {
            Some(since) => Some(Hole { from: since, to: first.clocks.wall, cause: Cause::Disk }),
            None => plan::hole(last.as_ref(), first, frame_ticks, job.hint),
        };
        let hole = hole.filter(|hole| hole.from < hole.to);
        let Some(file) = self.streams.get_mut(&stream).and_then(|file| file.open.as_mut()) else {
            return Err(std::io::Error::other("no open segment"));
        };
        if let Some(hole) = hole {
            file.gap(&hole, self.fault.as_mut())?;
            let Hole { from, to, cause } = hole;
            self.catalogue.gap(GapChange { stream, from, to: Some(to), cause });
        }
        let entry = file.fragment(&job.fragment, &job.sets, &mut self.room, self.fault.as_mut())?;
        self.room.clear();
        self.room.shrink_to(ROOM_KEPT);
        let (seq, mono, wall) = fragment_end(&job.fragment);
        let epoch = file.header.epoch;
        let (segment, file_len) = (file.header.segment, file.len);
        let ack = job.acks.as_ref().map(|to| Ack { to: Arc::clone(to), epoch, seq });
        let item = SyncItem { segment, stream, file: file.handle(), until: wall, ack };
        self.unsynced.insert(segment, item);
        let sets = Arc::clone(&job.sets);
        self.catalogue.change(segment, |state| {
            state.to = wall.max(state.to);
            state.last_seq = seq;
            state.last_mono = mono;
            state.units = state.units.saturating_add(entry.units);
            state.payload = state.payload.saturating_add(u64::from(entry.payload));
            state.file_len = file_len;
            state.entries.push(entry);
            if !state.sets.iter().any(|known| known.id == sets.id) {
                state.sets.push(sets);
            }
        });
        self.catalogue.set_end(stream, UnitEnd { epoch, seq, wall, mono, same_boot: true });
        metrics::counter!("recorder_written_bytes_total").increment(u64::from(entry.payload));
        Ok(())
    }

    fn open(&mut self, job: &FragmentJob, reason: CutReason) -> std::io::Result<()> {
        let first = job.fragment.first();
        let facts = &job.facts;
        let header = SegmentHeader {
            segment: segment_id(first.clocks.wall),
            stream: facts.stream,
            camera: facts.camera,
            key_epoch: 0,
            wall: first.clocks.wall,
            mono: first.clocks.mono,
            epoch: first.epoch,
            reason: reason.code(),
            boot: self.config.boot,
            previous: self.catalogue.previous(facts.stream),
            class: facts.class.clone(),
        };
        let path = plan::segment_path(facts.stream, header.segment, first.clocks.wall);
        let state = SegmentState {
            segment: header.segment,
            stream: facts.stream,
            camera: facts.camera,
            class: facts.class.clone(),
            keep_s: facts.keep_s,
            path: path.clone(),
            from: first.clocks.wall,
            to: first.clocks.wall,
            epoch: first.epoch,
            boot: self.config.boot,
            last_seq: first.seq,
            last_mono: first.clocks.mono,
            payload: 0,
            file_len: 0,
            units: 0,
            entries: Vec::new(),
            sets: Vec::new(),
            closing_at: None,
            digest: None,
            flags: 0,
        };
        let made = SegmentFile::create(&self.config.root, &path, header.clone(), self.fault.as_mut());
        let mut file = match made {
            // The sweeper may have removed the empty hour folder in that moment.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                SegmentFile::create(&self.config.root, &path, header, self.fault.as_mut())?
            }
            Err(error) => return Err(error),
            Ok(file) => file,
        };
        file.param_set = first.param_set;
        self.catalogue.put(state);
        metrics::counter!("recorder_segments_total").increment(1);
        self.streams.entry(facts.stream).or_default().open = Some(file);
        Ok(())
    }

    fn close(&mut self, stream: StreamId, flags: u8) {
        let Some(mut file) = self.streams.get_mut(&stream).and_then(|file| file.open.take()) else { return };
        let end = file.entries.last().map_or(file.header.wall, crate::format::FragmentEntry::wall_end);
        let segment = file.header.segment;
        match file.close(flags, end, self.fault.as_mut()) {
            Ok((at, digest)) => {
                self.catalogue.set_previous(stream, digest);
                let file_len = file.len;
                self.catalogue.change(segment, |state| {
                    state.closing_at = Some(at);
                    state.digest = Some(digest);
                    state.file_len = file_len;
                    state.flags = flags;
                });
                let until = self.catalogue.end(stream).map_or(end, |last| last.wall);
                // What waits to be acknowledged in this file goes on waiting.
                let ack = self.unsynced.remove(&segment).and_then(|item| item.ack);
                self.unsynced.insert(segment, SyncItem { segment, stream, file: file.handle(), until, ack });
            }
            Err(error) => {
                // Recovery closes it at the next start; what it holds is whole.
                tracing::error!(%segment, %error, "a segment could not be closed");
                metrics::counter!("recorder_close_errors_total").increment(1);
            }
        }
    }

    /// Leaves the open file of a stream alone: never written or synced again.
    fn abandon(&mut self, stream: StreamId) {
        if let Some(file) = self.streams.get_mut(&stream).and_then(|file| file.open.take()) {
            let segment = file.header.segment;
            self.unsynced.remove(&segment);
            self.catalogue.change(segment, |state| state.flags |= FLAG_SUSPECT);
        }
    }

    fn suspect(&mut self, segment: SegmentId) {
        let found =
            self.streams.iter().find(|(_, file)| file.open.as_ref().is_some_and(|open| open.header.segment == segment));
        match found.map(|(stream, _)| *stream) {
            Some(stream) => self.abandon(stream),
            None => self.catalogue.change(segment, |state| state.flags |= FLAG_SUSPECT),
        }
    }

    fn hole(&mut self, stream: StreamId, hole: Hole) {
        let Hole { from, to, cause } = hole;
        if let Some(file) = self.streams.get_mut(&stream).and_then(|file| file.open.as_mut())
            && let Err(error) = file.gap(&hole, self.fault.as_mut())
        {
            tracing::warn!(%stream, %error, "a gap record could not be written; the index has it");
        }
        self.catalogue.gap(GapChange { stream, from, to: Some(to), cause });
    }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

/// Bytes free for an ordinary user on the volume of `path`.
pub(crate) fn free_bytes(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// UUID version 7 (RFC 9562): milliseconds of wall time, then random bits.
fn segment_id(at: WallTime) -> SegmentId {
    let millis = u64::try_from(at.micros.div_euclid(1_000)).unwrap_or(0);
    let random: u128 = rand::random();
    let value = (u128::from(millis & 0xffff_ffff_ffff) << 80) | (random & ((1 << 80) - 1));
    let value = (value & !(0xf << 76)) | (7 << 76);
    let value = (value & !(0b11 << 62)) | (0b10 << 62);
    SegmentId::from_bytes(value.to_be_bytes())
}
