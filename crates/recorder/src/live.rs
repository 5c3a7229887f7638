//! Live origin of one stream: a ring from the last key frame, one muxing for all viewers, a bounded queue per viewer.
//!
//! Overflow of a viewer's queue (bytes, or the oldest frame waiting over 500 ms): everything waiting is dropped, the viewer is
//! told how many frames, and goes on with the next key frame. One slow viewer costs nobody else anything.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use bytes::Bytes;
use link::{Cause, StreamPhase};
use media::fmp4::FragmentHead;
use media::{AccessUnit, LivePlace, LiveTimeline, ParameterSets, Sample};
use tokio::sync::Notify;
use vms_core::{MonoTime, StreamId};

/// Bytes that may wait for one viewer (console.md 2.5.5): 2 s at 16 Mbit/s.
pub const QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Longest wait of a frame for one viewer (console.md 2.5.5).
pub const QUEUE_AGE_US_MAX: u64 = 500_000;

/// The first burst (ring from the last key frame) gets so much more time.
const FIRST_BURST_US: u64 = 2_000_000;

/// Bytes kept from the last key frame at most; a longer group of pictures makes joiners wait for the next one.
pub const RING_BYTES_MAX: usize = 32 * 1024 * 1024;

/// One frame as all viewers share it.
#[derive(Debug)]
pub struct LiveItem {
    /// The stream.
    pub stream: StreamId,
    /// The unit.
    pub unit: AccessUnit,
    /// Its parameter sets.
    pub sets: Arc<ParameterSets>,
    /// The timeline breaks before it.
    pub discontinuity: bool,
    /// Counts per stream.
    pub seq: u64,
    place: LivePlace,
    boxes: OnceLock<Bytes>,
}

impl LiveItem {
    /// `moof` and `mdat`; made once, whoever asks first. Empty when the unit fits no box.
    pub fn boxes(&self) -> Bytes {
        let make = || {
            let LivePlace { decode, duration, composition } = self.place;
            let size = u32::try_from(self.unit.payload.len()).unwrap_or(u32::MAX);
            let samples = [Sample { size, duration, composition, is_key: self.unit.is_key }];
            let sequence = u32::try_from(self.seq & 0xffff_ffff).unwrap_or(0);
            FragmentHead { sequence, decode, entry: 1, samples: &samples }.wrap(&self.unit.payload).unwrap_or_default()
        };
        self.boxes.get_or_init(make).clone()
    }
}

/// What a viewer gets.
#[derive(Clone, Debug)]
pub enum Feed {
    /// A frame.
    Frame(Arc<LiveItem>),
    /// So many frames were left out; a key frame follows.
    Dropped(u32),
    /// The camera session changed.
    State(StreamPhase, Option<Cause>),
}

#[derive(Debug, Default)]
struct Waiting {
    /// With the latest instant at which the frame should have left, µs of monotonic time.
    feeds: VecDeque<(u64, Feed)>,
    bytes: usize,
    bytes_max: usize,
    /// Nothing until the next key frame.
    skipping: bool,
    dropped: u32,
}

/// The queue of one viewer.
#[derive(Debug, Default)]
pub struct ViewerQueue {
    waiting: Mutex<Waiting>,
    news: Notify,
}

impl ViewerQueue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn push(&self, item: &Arc<LiveItem>, now: MonoTime) {
        let mut waiting = self.lock();
        let length = item.unit.payload.len();
        let late = waiting.feeds.front().is_some_and(|(due, _)| now.micros > *due);
        if !waiting.skipping && (late || waiting.bytes.saturating_add(length) > waiting.bytes_max) {
            let lost = waiting.feeds.iter().map(|(_, feed)| match feed {
                Feed::Frame(_) => 1,
                Feed::Dropped(frames) => *frames,
                Feed::State(..) => 0,
            });
            let lost = lost.fold(0, u32::saturating_add);
            waiting.dropped = waiting.dropped.saturating_add(lost);
            waiting.feeds.retain(|(_, feed)| matches!(feed, Feed::State(..)));
            waiting.bytes = 0;
            waiting.bytes_max = QUEUE_BYTES_MAX.max(length);
            waiting.skipping = true;
            metrics::counter!("recorder_live_overflows_total").increment(1);
        }
        let due = now.micros.saturating_add(QUEUE_AGE_US_MAX);
        if waiting.skipping {
            if !item.unit.is_key {
                waiting.dropped = waiting.dropped.saturating_add(1);
                return;
            }
            waiting.skipping = false;
            let dropped = std::mem::take(&mut waiting.dropped);
            if dropped > 0 {
                waiting.feeds.push_back((due, Feed::Dropped(dropped)));
            }
        }
        waiting.bytes = waiting.bytes.saturating_add(length);
        waiting.feeds.push_back((due, Feed::Frame(Arc::clone(item))));
        drop(waiting);
        self.news.notify_one();
    }

    fn state(&self, phase: StreamPhase, cause: Option<Cause>) {
        let mut waiting = self.lock();
        // Only the newest state counts.
        waiting.feeds.retain(|(_, feed)| !matches!(feed, Feed::State(..)));
        waiting.feeds.push_back((u64::MAX, Feed::State(phase, cause)));
        drop(waiting);
        self.news.notify_one();
    }

    fn skip_to_key(&self) {
        let mut waiting = self.lock();
        waiting.skipping = true;
    }

    fn pop(&self) -> Option<Feed> {
        let mut waiting = self.lock();
        let (_, feed) = waiting.feeds.pop_front()?;
        if let Feed::Frame(item) = &feed {
            waiting.bytes = waiting.bytes.saturating_sub(item.unit.payload.len());
        }
        Some(feed)
    }

    /// The next thing for the viewer. Cancel safe.
    pub async fn next(&self) -> Feed {
        loop {
            if let Some(feed) = self.pop() {
                return feed;
            }
            self.news.notified().await;
        }
    }
}

/// The origin of one stream.
#[derive(Debug)]
pub struct LiveOrigin {
    stream: StreamId,
    line: LiveTimeline,
    ring: Vec<Arc<LiveItem>>,
    ring_bytes: usize,
    seq: u64,
    last: Option<(u64, u64, MonoTime)>,
    viewers: Vec<Arc<ViewerQueue>>,
}

impl LiveOrigin {
    /// Nothing yet.
    pub const fn new(stream: StreamId) -> Self {
        Self {
            stream,
            line: LiveTimeline::new(),
            ring: Vec::new(),
            ring_bytes: 0,
            seq: 0,
            last: None,
            viewers: Vec::new(),
        }
    }

    /// Viewers now.
    pub const fn viewers(&self) -> usize {
        self.viewers.len()
    }

    /// Takes in a unit and hands it to every viewer.
    pub fn push(&mut self, unit: AccessUnit, sets: Arc<ParameterSets>, now: MonoTime) {
        let mono = unit.clocks.mono;
        let new_epoch = self.last.is_some_and(|(epoch, _, _)| epoch != unit.epoch);
        let jumped = self.last.is_some_and(|(_, seq, _)| unit.seq != seq.saturating_add(1));
        if new_epoch {
            let silence_us = self.last.map_or(0, |(_, _, last)| mono.micros.saturating_sub(last.micros));
            self.line.restart(silence_us);
            self.forget();
        }
        self.last = Some((unit.epoch, unit.seq, mono));
        let place = self.line.place(unit.pts, unit.dts);
        self.seq = self.seq.saturating_add(1);
        let discontinuity = new_epoch || jumped || unit.lost_before > 0;
        if unit.is_key {
            self.ring.clear();
            self.ring_bytes = 0;
        }
        let length = unit.payload.len();
        let item = Arc::new(LiveItem {
            stream: self.stream,
            unit,
            sets,
            discontinuity,
            seq: self.seq,
            place,
            boxes: OnceLock::new(),
        });
        if item.unit.is_key || !self.ring.is_empty() {
            self.ring_bytes = self.ring_bytes.saturating_add(length);
            self.ring.push(Arc::clone(&item));
            if self.ring_bytes > RING_BYTES_MAX {
                self.ring.clear();
                self.ring_bytes = 0;
            }
        }
        for viewer in &self.viewers {
            viewer.push(&item, now);
        }
    }

    /// Tells every viewer.
    pub fn state(&self, phase: StreamPhase, cause: Option<Cause>) {
        for viewer in &self.viewers {
            viewer.state(phase, cause);
        }
    }

    /// Forgets what joiners could start from: the camera session ended.
    pub fn forget(&mut self) {
        self.ring.clear();
        self.ring_bytes = 0;
        for viewer in &self.viewers {
            viewer.skip_to_key();
        }
    }

    /// A new viewer, with everything since the last key frame waiting for it.
    pub fn join(&mut self, now: MonoTime) -> Arc<ViewerQueue> {
        let due = now.micros.saturating_add(FIRST_BURST_US);
        let feeds: VecDeque<_> = self.ring.iter().map(|item| (due, Feed::Frame(Arc::clone(item)))).collect();
        let waiting = Waiting {
            skipping: feeds.is_empty(),
            feeds,
            bytes: self.ring_bytes,
            bytes_max: QUEUE_BYTES_MAX.saturating_add(self.ring_bytes),
            dropped: 0,
        };
        let queue = Arc::new(ViewerQueue { waiting: Mutex::new(waiting), news: Notify::new() });
        self.viewers.push(Arc::clone(&queue));
        queue
    }

    /// A viewer went.
    pub fn leave(&mut self, queue: &Arc<ViewerQueue>) {
        self.viewers.retain(|viewer| !Arc::ptr_eq(viewer, queue));
    }
}

#[cfg(test)]
mod tests {
    use media::{Clocks, ParamSetId};
    use vms_core::{Codec, MediaTime};

    use super::*;

    fn sets() -> Arc<ParameterSets> {
        Arc::new(ParameterSets {
            id: ParamSetId(1),
            codec: Codec::H264,
            vps: vec![],
            sps: vec![],
            pps: vec![],
            width: 1,
            height: 1,
            rfc6381: String::new(),
            reorder_depth: 0,
        })
    }

    fn unit(seq: u64, is_key: bool, bytes: usize) -> AccessUnit {
        let ticks = i64::try_from(seq).unwrap() * 3600;
        AccessUnit {
            seq,
            epoch: 1,
            payload: Bytes::from(vec![0; bytes]),
            is_key,
            pts: MediaTime::from_ticks(ticks),
            dts: MediaTime::from_ticks(ticks),
            clocks: Clocks::default(),
            lost_before: 0,
            param_set: ParamSetId(1),
        }
    }

    const fn at(ms: u64) -> MonoTime {
        MonoTime { micros: ms * 1000 }
    }

    fn drain(queue: &ViewerQueue) -> Vec<String> {
        let name = |feed| match feed {
            Feed::Frame(item) => format!("{}{}", if item.unit.is_key { "K" } else { "d" }, item.unit.seq),
            Feed::Dropped(frames) => format!("-{frames}"),
            Feed::State(phase, _) => format!("{phase:?}"),
        };
        std::iter::from_fn(|| queue.pop().map(name)).collect()
    }

    #[test]
    fn joiners_start_at_the_last_key_frame() {
        let mut origin = LiveOrigin::new(StreamId::from_bytes([1; 16]));
        let early = origin.join(at(0));
        origin.push(unit(0, false, 9), sets(), at(0));
        assert!(drain(&early).is_empty());
        for (seq, key) in [(1, true), (2, false), (3, true), (4, false)] {
            origin.push(unit(seq, key, 9), sets(), at(seq * 40));
        }
        let late = origin.join(at(200));
        assert_eq!(drain(&early), ["-1", "K1", "d2", "K3", "d4"]);
        assert_eq!(drain(&late), ["K3", "d4"]);
        origin.leave(&early);
        assert_eq!(origin.viewers(), 1);
    }

    #[test]
    fn a_slow_viewer_skips_to_the_next_key_frame_and_is_told() {
        // By age: the queue is not read for over 500 ms.
        let mut origin = LiveOrigin::new(StreamId::from_bytes([1; 16]));
        let (slow, fast) = (origin.join(at(0)), origin.join(at(0)));
        let mut seen = Vec::new();
        for seq in 0..60 {
            origin.push(unit(seq, seq % 25 == 0, 9), sets(), at(seq * 40));
            seen.extend(drain(&fast));
        }
        assert_eq!(seen.len(), 60);
        // Frame 13 (520 ms) found frame 0 waiting since 0 ms, frame 38 found frame 25: nothing is counted twice or forgotten.
        let slow = drain(&slow);
        assert_eq!(slow[..2], ["-50", "K50"]);
        // By bytes.
        let mut origin = LiveOrigin::new(StreamId::from_bytes([1; 16]));
        let slow = origin.join(at(0));
        for seq in 0..6 {
            origin.push(unit(seq, seq == 0 || seq == 5, QUEUE_BYTES_MAX / 3), sets(), at(0));
        }
        assert_eq!(drain(&slow), ["-5", "K5"]);
    }

    #[test]
    fn boxes_are_made_once_and_shared() {
        let mut origin = LiveOrigin::new(StreamId::from_bytes([1; 16]));
        let queues = [origin.join(at(0)), origin.join(at(0))];
        origin.push(unit(0, true, 100), sets(), at(0));
        let made: Vec<Bytes> = queues
            .iter()
            .map(|queue| match queue.pop() {
                Some(Feed::Frame(item)) => item.boxes(),
                Some(Feed::Dropped(_) | Feed::State(..)) | None => panic!("a frame should wait"),
            })
            .collect();
        assert_eq!(made[0].as_ptr(), made[1].as_ptr());
        assert_eq!(made[0].len(), 92 + 16 + 8 + 100);
    }

    #[test]
    fn a_new_epoch_is_a_discontinuity_and_needs_a_key_frame() {
        let mut origin = LiveOrigin::new(StreamId::from_bytes([1; 16]));
        let queue = origin.join(at(0));
        origin.push(unit(0, true, 9), sets(), at(0));
        for (seq, key) in [(0, false), (1, true)] {
            origin.push(AccessUnit { epoch: 2, ..unit(seq, key, 9) }, sets(), at(100));
        }
        origin.state(StreamPhase::Waiting, None);
        origin.state(StreamPhase::Live, None);
        assert_eq!(drain(&queue), ["K0", "-1", "K1", "Live"]);
    }
}
