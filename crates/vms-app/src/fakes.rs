//! Fakes for tests: ids that repeat, a clock that is set by hand, a log in memory, and a media side that plays frames.
//! The stores are never faked: tests run on real databases.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _, unfold};
use tokio::sync::mpsc;
use vms_core::{DecisionId, Rendition, StreamId, TimeRange, WallTime};

use crate::gate::{AuditLog, LogEntry};
use crate::model::StreamSpec;
use crate::ports::{
    Clock, Ids, LiveControl, LiveEvent, LiveFeed, MediaError, MediaPort, MediaSource, ProbeReport, RangeForm,
    RangeHandle, RangeInfo, RangePart, RangeParts, StillMask,
};
use crate::words::Cause;

/// A stream over a bounded receiver.
fn stream_of<T: Send + 'static>(receiver: mpsc::Receiver<T>) -> BoxStream<'static, T> {
    unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|item| (item, receiver)) }).boxed()
}

/// Ids and "random" bytes from a counter, so that a test's values repeat.
#[derive(Debug, Default)]
pub struct FixedIds(AtomicU64);

impl Ids for FixedIds {
    fn uuid(&self) -> uuid::Uuid {
        uuid::Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed)) + (1 << 100))
    }

    fn random(&self, out: &mut [u8]) {
        for byte in out {
            let n = self.0.fetch_add(7, Ordering::Relaxed);
            // Mixed whole (SplitMix64): many hundreds of tokens in one test must still differ.
            let n = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            let [first, ..] = (n ^ (n >> 31)).to_be_bytes();
            *byte = first;
        }
    }
}

/// A clock that stands still until it is told.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Starts at `at`.
    pub fn at(at: WallTime) -> Self {
        Self(AtomicI64::new(at.micros))
    }

    /// Goes on by so many seconds.
    pub fn pass_s(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> WallTime {
        WallTime::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// How the log in memory behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogMode {
    /// It takes leaves.
    #[default]
    Fine,
    /// It refuses every leaf.
    Down,
    /// It refuses every leaf: its disk is full.
    Full,
    /// It never answers.
    Frozen,
}

/// The log in memory; can be told to fail.
#[derive(Debug, Default)]
pub struct MemoryLog {
    entries: Mutex<Vec<LogEntry>>,
    mode: Mutex<LogMode>,
}

impl MemoryLog {
    /// Everything so far.
    pub fn entries(&self) -> Vec<LogEntry> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on appends fail, or work again.
    pub fn set_broken(&self, broken: bool) {
        self.set_mode(if broken { LogMode::Down } else { LogMode::Fine });
    }

    /// How it behaves from now on.
    pub fn set_mode(&self, mode: LogMode) {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode;
    }

    async fn answers(&self) -> Result<(), crate::BoxError> {
        let mode = *self.mode.lock().unwrap_or_else(PoisonError::into_inner);
        match mode {
            LogMode::Fine => Ok(()),
            LogMode::Down => Err("the fake log is broken".into()),
            LogMode::Full => Err(Box::new(std::io::Error::from(std::io::ErrorKind::StorageFull))),
            LogMode::Frozen => std::future::pending().await,
        }
    }
}

#[async_trait]
impl AuditLog for MemoryLog {
    async fn append(&self, entry: LogEntry) -> Result<u64, crate::BoxError> {
        self.answers().await?;
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.push(entry);
        Ok(u64::try_from(entries.len()).unwrap_or(u64::MAX) - 1)
    }

    async fn stands(&self) -> Result<(), crate::BoxError> {
        self.answers().await
    }
}

/// What the fake media side was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaCall {
    /// A live stream was opened with this capability.
    OpenLive(MediaSource, StreamId, Rendition, String),
    /// A live stream got a fresh capability.
    Renew(String),
    /// A decision's streams were closed.
    Revoke(DecisionId),
    /// A span was opened.
    OpenRange(StreamId, TimeRange, RangeForm),
    /// A masked still was taken.
    Still(StreamId, TimeRange, StillMask),
    /// A test picture was taken.
    TestPicture(StreamId),
}

/// A media side under a test's hand: what the test sends is what the viewer gets.
#[derive(Debug, Default)]
pub struct FakeMedia {
    calls: Arc<Mutex<Vec<MediaCall>>>,
    feeds: Mutex<Vec<mpsc::Sender<LiveEvent>>>,
    /// With which the last span was opened.
    capability: Mutex<Option<String>>,
    /// The virtual file of every span; empty means no footage.
    pub film: Bytes,
}

impl FakeMedia {
    /// With a virtual file.
    pub fn with_film(film: Bytes) -> Self {
        Self { film, ..Self::default() }
    }

    /// What it was asked so far.
    pub fn calls(&self) -> Vec<MediaCall> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The capability with which the last span was opened.
    pub fn last_capability(&self) -> Option<String> {
        self.capability.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The sending end of the newest live stream.
    pub fn feed(&self) -> Option<mpsc::Sender<LiveEvent>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner).last().cloned()
    }

    fn note(&self, call: MediaCall) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

#[derive(Debug)]
struct FakeControl(Arc<Mutex<Vec<MediaCall>>>);

#[async_trait]
impl LiveControl for FakeControl {
    async fn renew(&self, capability: String) -> Result<(), MediaError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(MediaCall::Renew(capability));
        Ok(())
    }
}

#[derive(Debug)]
struct FakeRange {
    info: RangeInfo,
    film: Bytes,
}

#[async_trait]
impl RangeHandle for FakeRange {
    fn info(&self) -> &RangeInfo {
        &self.info
    }

    async fn read(&self, _capability: String, start: u64, end: u64) -> Result<Bytes, MediaError> {
        let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(self.film.len());
        Ok(self.film.slice(at(start)..at(end)))
    }

    /// Two fragments with a jump between them, of a film whose init segment is `init`.
    async fn parts(&self, _capability: String) -> Result<RangeParts, MediaError> {
        let half = self.info.size / 2;
        let part = |at, size, shows_us, wall_s: i64, is_jump| RangePart {
            at,
            size,
            shows_us,
            length_us: 1_000_000,
            at_wall: WallTime::from_micros(self.info.starts_at.micros + wall_s * 1_000_000),
            init: 1,
            is_key: true,
            is_jump,
        };
        let parts = vec![part(0, half, 0, 0, false), part(half, self.info.size - half, 6_000_000, 6, true)];
        let init = Bytes::from_static(b"init");
        Ok(RangeParts { parts, inits: vec![init.clone(), init] })
    }

    async fn picture(&self, _capability: String, number: u32) -> Result<Bytes, MediaError> {
        Ok(Bytes::from(format!("picture {number}")))
    }
}

#[async_trait]
impl MediaPort for FakeMedia {
    async fn open_live(
        &self,
        source: MediaSource,
        capability: String,
        stream: StreamId,
        rendition: Rendition,
    ) -> Result<LiveFeed, MediaError> {
        self.note(MediaCall::OpenLive(source, stream, rendition, capability));
        let (sender, receiver) = mpsc::channel(256);
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        Ok(LiveFeed { events: stream_of(receiver), control: Box::new(FakeControl(Arc::clone(&self.calls))) })
    }

    async fn open_range(
        &self,
        capability: String,
        stream: StreamId,
        range: TimeRange,
        form: RangeForm,
    ) -> Result<Box<dyn RangeHandle>, MediaError> {
        *self.capability.lock().unwrap_or_else(PoisonError::into_inner) = Some(capability);
        self.note(MediaCall::OpenRange(stream, range, form));
        if self.film.is_empty() {
            return Err(MediaError::NoFootage);
        }
        let info = RangeInfo {
            size: u64::try_from(self.film.len()).unwrap_or(u64::MAX),
            etag: "fake".to_owned(),
            mime: "video/mp4; codecs=\"avc1.42e01e\"".to_owned(),
            starts_at: range.from,
            ends_at: range.to,
            gaps: Vec::new(),
            start_offset_us: 0,
            clock: vec![(0, range.from)],
        };
        Ok(Box::new(FakeRange { info, film: self.film.clone() }))
    }

    async fn test_picture(&self, _picture: String, _source: String, stream: StreamId) -> Result<Bytes, MediaError> {
        self.note(MediaCall::TestPicture(stream));
        Ok(Bytes::from_static(b"\xff\xd8fake"))
    }

    async fn still(
        &self,
        _picture: String,
        _source: String,
        stream: StreamId,
        span: TimeRange,
        mask: &StillMask,
    ) -> Result<(WallTime, Bytes), MediaError> {
        self.note(MediaCall::Still(stream, span, mask.clone()));
        if self.film.is_empty() {
            Err(MediaError::NoFootage)
        } else {
            Ok((span.from, Bytes::from_static(b"\xff\xd8still")))
        }
    }

    async fn probe(&self, _source: MediaSource, _spec: &StreamSpec) -> Result<ProbeReport, MediaError> {
        Ok(ProbeReport {
            ok: false,
            cause: Some(Cause::Unreachable),
            detail: "nobody answers".to_owned(),
            codec: None,
            width: None,
            height: None,
            first_key_ms: None,
            offers_audio: false,
        })
    }

    async fn seal_credentials(&self, _source: MediaSource, user: &str, password: &str) -> Result<Vec<u8>, MediaError> {
        // Not sealed at all: a test can see what arrived.
        Ok(format!("{user}:{password}").into_bytes())
    }

    async fn revoke(&self, decision: DecisionId) {
        self.note(MediaCall::Revoke(decision));
    }
}
