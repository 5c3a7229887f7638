//! A recorder's disk, a clock and a store that lies, for the tests of the tiers.

pub(crate) mod fault;
pub(crate) mod servers;
pub(crate) mod short;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rand::{RngExt as _, SeedableRng as _};
use tiers::plan::TierName;
use tiers::{
    Cache, Clock, Facts, Ledger, LocalCopies, Mover, MoverLimits, Policy, PortError, RecorderName, Rule, Setup,
    Standing, Tier,
};
use vms_core::{CameraId, RetentionClass, SegmentId, StreamId, WallTime};

/// 2026-11-22T00:00:00Z.
pub(crate) const START: WallTime = WallTime::from_secs(1_795_305_600);

/// Wall clock that follows tokio's, paused or not.
#[derive(Debug)]
pub(crate) struct TestClock(tokio::time::Instant);

impl TestClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(tokio::time::Instant::now()))
    }
}

impl Clock for TestClock {
    fn wall(&self) -> WallTime {
        START.plus(self.0.elapsed())
    }
}

/// A clock at the end of 2100.
#[derive(Debug)]
pub(crate) struct Ahead;

impl Clock for Ahead {
    fn wall(&self) -> WallTime {
        WallTime::from_secs(4_133_894_400)
    }
}

/// The recorder's side: files in a folder.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) folder: tempfile::TempDir,
    segments: Mutex<BTreeMap<SegmentId, (Facts, Standing)>>,
    pub(crate) free: AtomicU64,
    /// Drops that came for a segment under a hold.
    pub(crate) refused: AtomicU64,
}

impl Disk {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            folder: tempfile::tempdir().unwrap(),
            segments: Mutex::default(),
            free: AtomicU64::new(u64::MAX),
            refused: AtomicU64::new(0),
        })
    }

    pub(crate) fn file(&self, segment: SegmentId) -> PathBuf {
        self.folder.path().join(segment.to_string())
    }

    /// Records a closed segment that ended at `to`: content follows from the number.
    pub(crate) fn record(&self, number: u32, to: WallTime, len: usize) -> Facts {
        let bytes = content(number, len);
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        id[12..].copy_from_slice(&number.to_be_bytes());
        let facts = Facts {
            segment: SegmentId::from_bytes(id),
            camera: CameraId::from_bytes([1; 16]),
            stream: StreamId::from_bytes([2; 16]),
            class: RetentionClass::parse("RC-VID-OPEN").unwrap(),
            epoch: u64::from(number) << 32,
            from: to.minus(Duration::from_secs(60)),
            to,
            len: len as u64,
        };
        std::fs::write(self.file(facts.segment), bytes).unwrap();
        let standing = Standing { held: false, expires_at: Some(to.plus(Duration::from_secs(30 * 86_400))) };
        self.segments.lock().unwrap().insert(facts.segment, (facts.clone(), standing));
        facts
    }

    pub(crate) fn hold(&self, segment: SegmentId, held: bool) {
        self.segments.lock().unwrap().get_mut(&segment).unwrap().1.held = held;
    }

    pub(crate) fn expire(&self, segment: SegmentId, at: WallTime) {
        self.segments.lock().unwrap().get_mut(&segment).unwrap().1.expires_at = Some(at);
    }

    pub(crate) fn has(&self, segment: SegmentId) -> bool {
        self.file(segment).exists()
    }

    pub(crate) fn all(&self) -> Vec<Facts> {
        self.segments.lock().unwrap().values().map(|(facts, _)| facts.clone()).collect()
    }
}

/// What segment `number` holds.
pub(crate) fn content(number: u32, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    rand::rngs::StdRng::seed_from_u64(u64::from(number)).fill(&mut bytes[..]);
    bytes
}

#[async_trait]
impl LocalCopies for Disk {
    async fn closed(&self, after: Option<SegmentId>, limit: usize) -> Result<Vec<Facts>, PortError> {
        let segments = self.segments.lock().unwrap();
        let later = segments.iter().filter(|(id, _)| after.is_none_or(|after| **id > after) && self.has(**id));
        Ok(later.map(|(_, (facts, _))| facts.clone()).take(limit).collect())
    }

    async fn path(&self, segment: SegmentId) -> Result<Option<PathBuf>, PortError> {
        Ok(Some(self.file(segment)).filter(|file| file.exists()))
    }

    async fn standing(&self, segments: &[Facts]) -> Result<Vec<Standing>, PortError> {
        let known = self.segments.lock().unwrap();
        Ok(segments.iter().map(|facts| known.get(&facts.segment).map(|(_, s)| *s).unwrap_or_default()).collect())
    }

    async fn drop_copy(&self, segment: SegmentId) -> Result<bool, PortError> {
        if self.segments.lock().unwrap().get(&segment).is_some_and(|(_, standing)| standing.held) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Ok(false);
        }
        match std::fs::remove_file(self.file(segment)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(PortError { what: error.to_string() }),
        }
    }

    fn free_bytes(&self) -> Option<u64> {
        Some(self.free.load(Ordering::Relaxed))
    }
}

pub(crate) fn tier_name() -> TierName {
    TierName("archive".into())
}

pub(crate) fn rule(hot: Duration) -> Rule {
    Rule { camera: None, class: None, tier: Some(tier_name()), hot, keep_both: false, upload_after: Duration::ZERO }
}

pub(crate) fn limits(part_bytes: u64) -> MoverLimits {
    MoverLimits { parallel: 4, bytes_per_s: 0, part_bytes, read_back_one_in: 1 }
}

pub(crate) fn recorder() -> RecorderName {
    RecorderName::parse("rec-1").unwrap()
}

/// A mover over a tier with the ledger in `state`.
pub(crate) async fn mover(
    disk: &Arc<Disk>,
    state: &std::path::Path,
    tier: Tier,
    limits: MoverLimits,
    hot: Duration,
    clock: &Arc<TestClock>,
) -> Mover {
    Mover::new(Setup {
        recorder: recorder(),
        tiers: vec![(tier, limits)],
        policy: Policy { rules: vec![rule(hot)], local_wanted: 0 },
        ledger: Ledger::open(&state.join("tiers.sqlite")).await.unwrap(),
        local: disk.clone(),
        clock: clock.clone(),
        seed: 7,
        cache: Some(Cache::open(&state.join("cache"), 4_500).unwrap()),
    })
}

/// Everything of a stream, or its error.
pub(crate) async fn gather(
    mover: &Mover,
    segment: SegmentId,
    range: std::ops::Range<u64>,
) -> Result<Vec<u8>, tiers::ReadError> {
    use futures_util::TryStreamExt as _;
    let stream = mover.open_range(segment, range).await?;
    let parts: Vec<bytes::Bytes> = stream.try_collect().await?;
    Ok(parts.concat())
}
