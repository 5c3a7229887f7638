//! The writer thread.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use keys::KeyName;
use link::Cause;
use vms_core::{MonoTime, SegmentId, StreamId, WallTime};

use super::file::{Fault, SegmentFile, clock_step, fragment_end};
use super::keyfeed::{KeyOrder, ReadyKey, key_name};
use super::pulse::Beat;
use super::sync::{Ack, SyncItem};
use super::volume::free_bytes;
use super::{DiskConfig, FragmentJob, Job};
use crate::catalogue::{Catalogue, GapChange, SegmentState};
use crate::format::{FLAG_SUSPECT, SegmentHeader};
use crate::plan::{self, CutReason, Hole, OpenSpan, UnitEnd};
use crate::ports::Clock;

/// A stream without space tries again at most so often.
const RETRY_US: u64 = 1_000_000;

/// Room that is kept from one record to the next: 1 s at 16 Mbit/s.
const ROOM_KEPT: usize = 2 * 1024 * 1024;

/// A stream waits so long for a key.
const KEY_WAIT_US: u64 = 4_000_000;

/// How long the end waits for keys that footage waits for: so many looks of so long.
const END_LOOKS: u32 = 100;
const END_LOOK: Duration = Duration::from_millis(50);

/// Free space is asked for at most so often.
const SPACE_US: u64 = 500_000;

/// A stream that cannot be written: since which lost fragment, when to try again, and why.
#[derive(Clone, Copy, Debug)]
struct Blocked {
    since: WallTime,
    retry_at: MonoTime,
    cause: Cause,
}

#[derive(Default)]
struct StreamFile {
    open: Option<SegmentFile>,
    blocked: Option<Blocked>,
    /// The key of the next segment, saved and not used.
    ready: Option<ReadyKey>,
    /// The key thread will answer.
    is_ordered: bool,
    /// Fragments that wait for a key, in order. Each holds its part of the byte bound.
    waiting: VecDeque<FragmentJob>,
    /// Since when they wait.
    waits_since: MonoTime,
    /// The stream is to be closed once those are written.
    closes: bool,
}

/// The writer's state; lives on its thread.
pub(super) struct Writer {
    config: DiskConfig,
    clock: Arc<dyn Clock>,
    catalogue: Arc<Catalogue>,
    rounds: SyncSender<Vec<SyncItem>>,
    orders: SyncSender<KeyOrder>,
    key_thread: std::thread::JoinHandle<()>,
    streams: HashMap<StreamId, StreamFile>,
    unsynced: HashMap<SegmentId, SyncItem>,
    fault: Box<dyn Fault>,
    synced_at: MonoTime,
    space: (MonoTime, bool),
    /// Where records are put together.
    room: Vec<u8>,
}

/// The way to the sync thread, and to the key thread.
type Helpers = (SyncSender<Vec<SyncItem>>, (SyncSender<KeyOrder>, std::thread::JoinHandle<()>));

impl Writer {
    pub(super) fn new(
        config: DiskConfig,
        clock: Arc<dyn Clock>,
        catalogue: Arc<Catalogue>,
        (rounds, (orders, key_thread)): Helpers,
        fault: Box<dyn Fault>,
    ) -> Self {
        let now = clock.mono();
        Self {
            config,
            clock,
            catalogue,
            rounds,
            orders,
            key_thread,
            streams: HashMap::new(),
            unsynced: HashMap::new(),
            fault,
            synced_at: now,
            space: (MonoTime::default(), true),
            room: Vec::new(),
        }
    }

    pub(super) fn run(mut self, inbox: &Receiver<Job>, beat: &Beat) {
        let sync_us = u64::try_from(self.config.sync_every.as_micros()).unwrap_or(u64::MAX);
        loop {
            match inbox.recv_timeout(self.config.sync_every) {
                Ok(Job::Shutdown) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(job) => beat.during(|| self.take(job)),
                Err(RecvTimeoutError::Timeout) => self.sync(),
            }
            if self.clock.mono().micros.saturating_sub(self.synced_at.micros) >= sync_us {
                self.sync();
            }
        }
        self.end(inbox);
    }

    fn take(&mut self, job: Job) {
        match job {
            Job::Fragment(job) => self.fragment(*job),
            Job::Hole { stream, hole } => self.hole(stream, hole),
            Job::Close { stream } => match self.streams.get_mut(&stream) {
                Some(file) if !file.waiting.is_empty() => file.closes = true,
                Some(_) | None => self.close(stream, 0),
            },
            Job::Suspect { segment } => self.suspect(segment),
            Job::Key { stream, made } => self.key_made(stream, made),
            Job::Shutdown => {}
        }
    }

    /// Waits a little for keys that footage waits for, then closes every file.
    fn end(mut self, inbox: &Receiver<Job>) {
        let waits = |this: &Self| this.streams.values().any(|file| !file.waiting.is_empty());
        for _ in 0..END_LOOKS {
            if !waits(&self) {
                break;
            }
            match inbox.recv_timeout(END_LOOK) {
                Ok(job) => self.take(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let streams: Vec<StreamId> = self.streams.keys().copied().collect();
        for stream in streams {
            self.close(stream, 0);
        }
        let round = self.round();
        self.rounds.send(round).ok();
        let Self { orders, key_thread, .. } = self;
        drop(orders);
        // An answer under way must find room. A thread that hangs in a disk is left behind.
        for _ in 0..END_LOOKS {
            if key_thread.is_finished() {
                break;
            }
            if let Err(RecvTimeoutError::Disconnected) = inbox.recv_timeout(END_LOOK) {
                break;
            }
        }
    }

    /// What waits for a sync, oldest footage first: a stream is durable up to an instant only when all before it is.
    fn round(&mut self) -> Vec<SyncItem> {
        let mut round: Vec<SyncItem> = self.unsynced.drain().map(|(_, item)| item).collect();
        round.sort_by_key(|item| item.until);
        round
    }

    fn sync(&mut self) {
        self.synced_at = self.clock.mono();
        self.give_up_late();
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
        let file = self.streams.entry(stream).or_default();
        if file.waiting.is_empty() {
            self.place(job);
            return;
        }
        let is_ordered = file.is_ordered;
        file.waiting.push_back(job);
        if !is_ordered {
            // The queue of orders was full before.
            let front = self.streams.get(&stream).and_then(|file| file.waiting.front());
            if let Some((name, at)) = front.map(needed) {
                self.order(stream, name, at);
            }
        }
    }

    /// Writes a fragment, or has it wait for the key of the segment that it begins.
    fn place(&mut self, job: FragmentJob) {
        let stream = job.facts.stream;
        let from = job.fragment.first().clocks.wall;
        let blocked = self.streams.entry(stream).or_default().blocked;
        if let Some(Blocked { retry_at, .. }) = blocked
            && self.clock.mono() < retry_at
        {
            return;
        }
        let has_space = self.has_space();
        if has_space && self.cut(&job).is_some() && !self.has_key(&job) {
            let (name, at) = needed(&job);
            let now = self.clock.mono();
            let file = self.streams.entry(stream).or_default();
            if file.waiting.is_empty() {
                file.waits_since = now;
            }
            file.waiting.push_back(job);
            self.order(stream, name, at);
            return;
        }
        let written = if has_space {
            self.write(&job, blocked)
        } else {
            Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
        };
        match written {
            Ok(()) => {
                if blocked.is_some() {
                    tracing::warn!(%stream, "recording goes on: what stopped it is mended (space is back, or the keys are)");
                    self.catalogue.set_blocked(stream, None);
                }
                self.streams.entry(stream).or_default().blocked = None;
            }
            Err(error) if is_full(&error) => {
                if blocked.is_none() {
                    tracing::error!(%stream, %error, "no space: recording stands still");
                    metrics::counter!("recorder_disk_full_total").increment(1);
                }
                self.block(stream, from, Cause::Disk);
            }
            Err(error) if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem => {
                if blocked.is_none() {
                    tracing::error!(%stream, "the volume of footage can only be read: recording stands still");
                    metrics::counter!("recorder_write_errors_total").increment(1);
                }
                // What the kernel did not write before is gone: the file is not written again.
                self.give_up(stream, from);
            }
            Err(error) => {
                tracing::error!(%stream, %error, "a write failed: the segment is suspect");
                metrics::counter!("recorder_write_errors_total").increment(1);
                self.give_up(stream, from);
                self.retry_now(stream);
            }
        }
    }

    /// The stream stands still from `from` on, or still does.
    fn block(&mut self, stream: StreamId, from: WallTime, cause: Cause) {
        let retry_at = MonoTime { micros: self.clock.mono().micros.saturating_add(RETRY_US) };
        let file = self.streams.entry(stream).or_default();
        let since = file.blocked.map_or(from, |blocked| blocked.since.min(from));
        // A hole that turns out to begin earlier is another one; the one that was told ends where this one takes over.
        let was_later = file.blocked.filter(|blocked| since < blocked.since);
        if let Some(Blocked { since: told, cause, .. }) = was_later {
            self.catalogue.gap(GapChange { stream, from: told, to: Some(told.plus(Duration::from_micros(1))), cause });
        }
        if was_later.is_some() || file.blocked.is_none_or(|blocked| blocked.cause != cause) {
            self.catalogue.gap(GapChange { stream, from: since, to: None, cause });
            self.catalogue.set_blocked(stream, Some(cause));
        }
        file.blocked = Some(Blocked { since, retry_at, cause });
    }

    /// Whether the key of the segment that `job` begins is at hand.
    fn has_key(&mut self, job: &FragmentJob) -> bool {
        let (name, _) = needed(job);
        let file = self.streams.entry(job.facts.stream).or_default();
        // One of another hour or class was made for nothing; it is not kept.
        file.ready.take_if(|ready| ready.name != name);
        file.ready.is_some()
    }

    fn order(&mut self, stream: StreamId, name: KeyName, at: WallTime) {
        let file = self.streams.entry(stream).or_default();
        if !file.is_ordered {
            file.is_ordered = self.orders.try_send(KeyOrder { stream, name, at }).is_ok();
        }
    }

    fn key_made(&mut self, stream: StreamId, made: Option<ReadyKey>) {
        let file = self.streams.entry(stream).or_default();
        file.is_ordered = false;
        if made.is_none() {
            self.no_key(stream);
        } else {
            file.ready = made;
            for job in std::mem::take(&mut file.waiting) {
                self.fragment(job);
            }
        }
        let file = self.streams.entry(stream).or_default();
        if file.waiting.is_empty() && std::mem::take(&mut file.closes) {
            self.close(stream, 0);
        }
    }

    /// What waits for a key is given up; the stream stands still.
    fn no_key(&mut self, stream: StreamId) {
        let file = self.streams.entry(stream).or_default();
        let waiting = std::mem::take(&mut file.waiting);
        let Some(first) = waiting.front() else { return };
        if file.blocked.is_none() {
            tracing::error!(%stream, "no key can be saved: recording stands still");
            metrics::counter!("recorder_keys_stopped_total").increment(1);
        }
        let from = first.fragment.first().clocks.wall;
        // What was recorded under a saved key is complete.
        self.close(stream, 0);
        self.block(stream, from, Cause::Keys);
    }

    /// A disk of the key store that hangs is one that fails.
    fn give_up_late(&mut self) {
        let now = self.clock.mono();
        let late = |file: &StreamFile| {
            !file.waiting.is_empty() && now.micros.saturating_sub(file.waits_since.micros) > KEY_WAIT_US
        };
        let late: Vec<StreamId> =
            self.streams.iter().filter(|(_, file)| late(file)).map(|(stream, _)| *stream).collect();
        late.into_iter().for_each(|stream| self.no_key(stream));
    }

    /// Why a new segment begins with this fragment, if one does.
    fn cut(&self, job: &FragmentJob) -> Option<CutReason> {
        let open = self.streams.get(&job.facts.stream).and_then(|file| file.open.as_ref());
        let span = open.map(|file| OpenSpan {
            epoch: file.header.epoch,
            param_set: file.param_set,
            mono: file.header.mono,
            wall: file.header.wall,
            class: file.header.class.as_str(),
        });
        plan::cut(span, job.fragment.first(), job.facts.class.as_str(), self.config.limits)
    }

    fn write(&mut self, job: &FragmentJob, blocked: Option<Blocked>) -> std::io::Result<()> {
        let stream = job.facts.stream;
        let first = job.fragment.first();
        if let Some(reason) = self.cut(job) {
            self.close(stream, 0);
            self.open(job, reason)?;
        }
        let frame_ticks = job.fragment.samples().first().map_or(0, |sample| sample.duration);
        let last = self.catalogue.end(stream);
        let hole = match blocked {
            Some(Blocked { since, cause, .. }) => Some(Hole { from: since, to: first.clocks.wall, cause }),
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
        let (segment, file_len, clocks) = (file.header.segment, file.len, file.clocks);
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
            state.flags |= clocks;
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
        let ready = self.streams.get_mut(&facts.stream).and_then(|file| file.ready.take());
        let Some(ReadyKey { name, key }) = ready else { return Err(std::io::Error::other("no key at hand")) };
        let header = SegmentHeader {
            segment: key.segment(),
            stream: facts.stream,
            camera: facts.camera,
            key_epoch: key.epoch().raw(),
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
            key_epoch: header.key_epoch,
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
            flags: clock_step(header.reason),
        };
        let mut key = Some(key);
        let (root, fault) = (&self.config.root, self.fault.as_mut());
        let mut made = SegmentFile::create(root, &path, header.clone(), &mut key, fault);
        // The sweeper may have removed the empty hour folder in that moment.
        if made.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            made = SegmentFile::create(root, &path, header, &mut key, fault);
        }
        let mut file = match made {
            Ok(file) => file,
            Err(error) => {
                // It sealed nothing: it serves for the next try.
                if let Some(file) = self.streams.get_mut(&facts.stream) {
                    file.ready = key.map(|key| ReadyKey { name, key });
                }
                return Err(error);
            }
        };
        file.param_set = first.param_set;
        self.catalogue.put(state);
        metrics::counter!("recorder_segments_total").increment(1);
        self.streams.entry(facts.stream).or_default().open = Some(file);
        // The next one is made while this one grows.
        let next = first.clocks.wall.plus(Duration::from_micros(self.config.limits.target_us));
        self.order(facts.stream, key_name(facts.camera, &facts.class, next), next);
        Ok(())
    }

    fn close(&mut self, stream: StreamId, flags: u8) {
        let Some(mut file) = self.streams.get_mut(&stream).and_then(|file| file.open.take()) else { return };
        let (segment, end) = (file.header.segment, file.end());
        match file.close(flags, end, self.fault.as_mut()) {
            Ok((at, digest)) => {
                // The row of a closed segment goes to the index and to `serve`: after a power cut it must not name bytes that are not there.
                if let Err(error) = file.handle().sync() {
                    tracing::error!(%segment, %error, "fdatasync failed: the segment is suspect");
                    metrics::counter!("recorder_sync_errors_total").increment(1);
                    self.unsynced.remove(&segment);
                    self.suspect(segment);
                    return;
                }
                self.catalogue.set_previous(stream, digest);
                let file_len = file.len;
                self.catalogue.change(segment, |state| {
                    state.closing_at = Some(at);
                    state.digest = Some(digest);
                    state.file_len = file_len;
                    state.flags |= flags;
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

    /// Abandons the open file. What was not promised may be lost with it: the next fragment, in a new file, notes the hole from where
    /// the stream was durable, or from `from` on when that was earlier.
    fn give_up(&mut self, stream: StreamId, from: WallTime) {
        self.abandon(stream);
        let since = self.catalogue.durable(stream).map_or(from, |durable| durable.min(from));
        self.block(stream, since, Cause::Disk);
    }

    /// The next fragment is tried at once, in a new file.
    fn retry_now(&mut self, stream: StreamId) {
        let now = self.clock.mono();
        if let Some(blocked) = self.streams.get_mut(&stream).and_then(|file| file.blocked.as_mut()) {
            blocked.retry_at = now;
        }
    }

    fn suspect(&mut self, segment: SegmentId) {
        let found =
            self.streams.iter().find(|(_, file)| file.open.as_ref().is_some_and(|open| open.header.segment == segment));
        if let Some(stream) = found.map(|(stream, _)| *stream) {
            let end = self.catalogue.end(stream).map(|end| end.wall);
            let durable = self.catalogue.durable(stream);
            if let Some((_, end)) = durable.zip(end).filter(|(since, end)| since < end) {
                self.give_up(stream, end);
                self.retry_now(stream);
            } else {
                self.abandon(stream);
            }
            return;
        }
        let mut lost = None;
        self.catalogue.change(segment, |state| {
            state.flags |= FLAG_SUSPECT;
            lost = Some((state.stream, state.from, state.to));
        });
        if let Some((stream, from, to)) = lost {
            let from = self.catalogue.durable(stream).map_or(from, |durable| durable.max(from));
            if from < to {
                let is_open = self.streams.get(&stream).is_some_and(|file| file.open.is_some());
                if is_open {
                    self.hole(stream, Hole { from, to, cause: Cause::Disk });
                } else {
                    // No file to note it in: the next one does, so that the media tell it without the index.
                    self.block(stream, from, Cause::Disk);
                    self.retry_now(stream);
                }
            }
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

/// The key that the segment needs which begins with this fragment, and when it begins.
fn needed(job: &FragmentJob) -> (KeyName, WallTime) {
    let at = job.fragment.first().clocks.wall;
    (key_name(job.facts.camera, &job.facts.class, at), at)
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}
