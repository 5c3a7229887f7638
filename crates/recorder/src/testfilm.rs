//! Synthetic units for tests: real parameter sets around made-up slices.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use bytes::{Bytes, BytesMut};
use keys::{CopyPaths, KeyStoreConfig, Protection, SecondCopy};
use media::{AccessUnit, Clocks, Fragment, FragmentBuilder, FragmentLimits, ParameterSets};
use vms_core::{CameraId, Codec, MediaTime, MonoTime, RetentionClass, StreamId, WallTime};

use crate::disk::StreamFacts;
use crate::ports::Clock;
use crate::vault::{Vault, VaultConfig};

/// Of a 98×66 test picture, High profile.
const SPS: &str = "6764000aacd9472f8888c0440000030004000003 00c83c489658";
const PPS: &str = "68ebe0e4b22c";

pub(crate) fn nal(text: &str) -> Bytes {
    hex::decode(text.replace(' ', "")).unwrap().into()
}

pub(crate) fn sets() -> Arc<ParameterSets> {
    Arc::new(ParameterSets::from_nals(Codec::H264, vec![], vec![nal(SPS)], vec![nal(PPS)]).unwrap())
}

/// The same picture with one more picture parameter set: another id.
pub(crate) fn other_sets() -> Arc<ParameterSets> {
    let list = vec![nal(PPS), nal("6853e0e4b22c")];
    Arc::new(ParameterSets::from_nals(Codec::H264, vec![], vec![nal(SPS)], list).unwrap())
}

pub(crate) fn stream(number: u8) -> StreamId {
    StreamId::from_bytes([number; 16])
}

pub(crate) fn facts(number: u8) -> Arc<StreamFacts> {
    Arc::new(StreamFacts {
        stream: stream(number),
        camera: CameraId::from_bytes([number; 16]),
        class: RetentionClass::parse("RC-VID-OPEN").unwrap(),
        keep_s: 3_600,
    })
}

/// Frame `seq` of a film of 25 frames/s that starts at `start`, a key frame every `gop` frames.
pub(crate) fn unit(start: (WallTime, MonoTime), epoch: u64, seq: u64, gop: u64) -> AccessUnit {
    let is_key = seq.is_multiple_of(gop);
    let mut payload = BytesMut::new();
    if is_key {
        media::nal::put_length_prefixed(&nal(SPS), &mut payload);
        media::nal::put_length_prefixed(&nal(PPS), &mut payload);
    }
    let mut slice = vec![if is_key { 0x65 } else { 0x41 }, 0x88];
    slice.extend_from_slice(&epoch.to_be_bytes());
    slice.extend_from_slice(&seq.to_be_bytes());
    slice.resize(40 + usize::try_from(seq % 7).unwrap() * 11, 0xaa);
    media::nal::put_length_prefixed(&slice, &mut payload);
    let ticks = MediaTime::from_ticks(i64::try_from(seq).unwrap() * 3_600);
    AccessUnit {
        seq,
        epoch,
        payload: payload.freeze(),
        is_key,
        pts: ticks,
        dts: ticks,
        clocks: Clocks {
            wall: WallTime::from_micros(start.0.micros + i64::try_from(seq).unwrap() * 40_000),
            mono: MonoTime { micros: start.1.micros + seq * 40_000 },
            camera: seq.is_multiple_of(2).then(|| WallTime::from_secs(7)),
            sync: vms_core::SyncState::Agrees,
        },
        lost_before: u32::from(seq == 3),
        param_set: sets().id,
    }
}

pub(crate) const START: (WallTime, MonoTime) = (WallTime::from_secs(1_800_000_000), MonoTime { micros: 5_000_000_000 });

pub(crate) fn film(epoch: u64, seqs: std::ops::Range<u64>, gop: u64) -> Vec<AccessUnit> {
    seqs.map(|seq| unit(START, epoch, seq, gop)).collect()
}

pub(crate) fn fragments(units: Vec<AccessUnit>) -> Vec<Fragment> {
    let mut builder = FragmentBuilder::new(FragmentLimits::DEFAULT);
    let mut out: Vec<Fragment> = units.into_iter().filter_map(|unit| builder.push(unit)).collect();
    out.extend(builder.flush());
    out
}

pub(crate) fn payload(units: &[AccessUnit]) -> Vec<u8> {
    units.iter().flat_map(|unit| unit.payload.to_vec()).collect()
}

/// A key store below `dir`, in one copy.
pub(crate) fn vault_config(dir: &Path) -> VaultConfig {
    let at = |name: &str| CopyPaths { store: dir.join(name).join("store"), root: dir.join(name).join("root") };
    VaultConfig {
        store: KeyStoreConfig {
            first: at("keys"),
            second: SecondCopy::OneDisk,
            protection: Protection::FileMode,
            remember: std::time::Duration::from_secs(40 * 86_400),
        },
        root_every: std::time::Duration::from_secs(3_600),
        gate: Some(keys::GatePlan { folder: dir.join("gate"), copy: None, protection: Protection::FileMode }),
        stops: "nothing is recorded",
        backup: None,
    }
}

/// Opens or makes it.
pub(crate) fn vault(dir: &Path, clock: Arc<dyn Clock>) -> Arc<Vault> {
    let vault = Vault::open(Some(vault_config(dir)), dir, true, clock);
    assert!(vault.with(|ring| Ok(ring.is_whole())).unwrap());
    Arc::new(vault)
}

/// A clock that stands still.
#[derive(Debug)]
pub(crate) struct FixedClock;

impl Clock for FixedClock {
    fn wall(&self) -> WallTime {
        START.0
    }

    fn mono(&self) -> MonoTime {
        START.1
    }

    fn is_trusted(&self) -> bool {
        true
    }
}

/// A clock that runs with tokio's, from a fixed instant, and can be moved.
#[derive(Debug)]
pub(crate) struct TestClock {
    begun: tokio::time::Instant,
    wall_shift_us: AtomicI64,
    trusted: AtomicBool,
}

impl TestClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: tokio::time::Instant::now(),
            wall_shift_us: AtomicI64::new(0),
            trusted: AtomicBool::new(true),
        })
    }

    pub(crate) fn step_wall(&self, micros: i64) {
        self.wall_shift_us.fetch_add(micros, Ordering::SeqCst);
    }

    pub(crate) fn trust(&self, trusted: bool) {
        self.trusted.store(trusted, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn wall(&self) -> WallTime {
        let shift = self.wall_shift_us.load(Ordering::SeqCst);
        WallTime::from_micros(START.0.micros + 3_600_000_000 + shift).plus(self.begun.elapsed())
    }

    fn mono(&self) -> MonoTime {
        let passed = u64::try_from(self.begun.elapsed().as_micros()).unwrap();
        MonoTime { micros: START.1.micros + 3_600_000_000 + passed }
    }

    fn is_trusted(&self) -> bool {
        self.trusted.load(Ordering::SeqCst)
    }
}

/// Waits until `check` gives something, at most a minute: other builds may share the machine.
pub(crate) async fn until<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    for _ in 0..6_000 {
        if let Some(found) = check() {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("waited in vain for {what}");
}
