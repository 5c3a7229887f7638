//! Sealed segments made cheaply: the format is that of the recorder, the pictures are noise.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use keys::{CopyPaths, Hour, KeyName, KeyStoreConfig, Protection, Scope, SealedWriterKey, SecondCopy};
use media::{AccessUnit, Clocks, Fragment, ParameterSets};
use recorder::catalogue::SegmentState;
use recorder::format::write::{self, Pen};
use recorder::format::{Closing, SegmentHeader};
use recorder::plan::segment_path;
use recorder::ports::Clock;
use recorder::vault::{Vault, VaultConfig};
use vms_core::{CameraId, Codec, MediaTime, MonoTime, RetentionClass, SegmentId, StreamId, SyncState, WallTime};

/// Of a 98×66 test picture, High profile.
const SPS: &str = "6764000aacd9472f8888c044000003000400000300c83c489658";
const PPS: &str = "68ebe0e4b22c";
/// Retention class of everything here.
pub(crate) const CLASS: &str = "RC-VID-OPEN";
/// When everything here begins.
pub(crate) const START_S: i64 = 1_800_000_000;
const TRAILER: usize = 32;

/// A clock that stands.
#[derive(Debug)]
struct Standing;

impl Clock for Standing {
    fn wall(&self) -> WallTime {
        WallTime::from_secs(START_S)
    }

    fn mono(&self) -> MonoTime {
        MonoTime { micros: 1_000_000_000 }
    }

    fn is_trusted(&self) -> bool {
        true
    }
}

/// A new key store below `dir`, in one copy.
pub(crate) fn vault(dir: &Path) -> anyhow::Result<Arc<Vault>> {
    std::fs::create_dir_all(dir)?;
    let first = CopyPaths { store: dir.join("keys/store"), root: dir.join("keys/root") };
    let store = KeyStoreConfig {
        first,
        second: SecondCopy::OneDisk,
        protection: Protection::FileMode,
        remember: Duration::from_hours(40 * 24),
    };
    let config = VaultConfig { store, root_every: Duration::from_hours(1), backup: None, gate: None, stops: "a bench" };
    Ok(Arc::new(Vault::open(Some(config), dir, true, Arc::new(Standing))))
}

fn nal(text: &str) -> anyhow::Result<Bytes> {
    Ok(hex::decode(text)?.into())
}

pub(crate) fn sets() -> anyhow::Result<ParameterSets> {
    ParameterSets::from_nals(Codec::H264, vec![], vec![nal(SPS)?], vec![nal(PPS)?]).context("parameter sets")
}

/// One second of `bytes` in 25 pictures, the first of them a key frame.
pub(crate) fn second(sets: &ParameterSets, at: WallTime, number: u64, bytes: usize) -> anyhow::Result<Fragment> {
    let mut units = Vec::with_capacity(25);
    for picture in 0..25_u64 {
        let mut payload = BytesMut::new();
        let mut slice = vec![0x5a_u8; (bytes / 25).max(16)];
        if let Some(head) = slice.first_mut() {
            *head = if picture == 0 { 0x65 } else { 0x41 };
        }
        media::nal::put_length_prefixed(&slice, &mut payload);
        let seq = number * 25 + picture;
        let ticks = MediaTime::from_ticks(i64::try_from(seq)? * 3_600);
        units.push(AccessUnit {
            seq,
            epoch: 1,
            payload: payload.freeze(),
            is_key: picture == 0,
            pts: ticks,
            dts: ticks,
            clocks: Clocks {
                wall: at.plus(Duration::from_millis(picture * 40)),
                mono: MonoTime { micros: 1_000_000 + seq * 40_000 },
                camera: None,
                sync: SyncState::Unknown,
            },
            lost_before: 0,
            param_set: sets.id,
        });
    }
    Fragment::new(units, 3_600).context("a fragment")
}

/// Which segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Which {
    pub(crate) camera: u32,
    pub(crate) number: u32,
    pub(crate) wall: WallTime,
}

pub(crate) fn id16(high: u32, low: u32) -> [u8; 16] {
    let mut raw = [7; 16];
    for (slot, byte) in raw.iter_mut().zip(high.to_be_bytes().into_iter().chain(low.to_be_bytes())) {
        *slot = byte;
    }
    raw
}

pub(crate) fn stream(camera: u32) -> StreamId {
    StreamId::from_bytes(id16(camera, 1))
}

pub(crate) fn camera(camera: u32) -> CameraId {
    CameraId::from_bytes(id16(camera, 2))
}

pub(crate) fn class() -> anyhow::Result<RetentionClass> {
    RetentionClass::parse(CLASS).context("the class")
}

pub(crate) fn key_name(of: u32, wall: WallTime) -> anyhow::Result<KeyName> {
    Ok(KeyName { scope: Scope::Camera(camera(of)), class: class()?, hour: Hour::of(wall) })
}

/// A closed, sealed segment of so many seconds: its path below the media folder, and its bytes.
pub(crate) fn segment(
    key: SealedWriterKey,
    which: Which,
    seconds: u64,
    bytes: usize,
) -> anyhow::Result<(std::path::PathBuf, Vec<u8>)> {
    let sets = sets()?;
    let header = SegmentHeader {
        segment: key.segment(),
        stream: stream(which.camera),
        camera: camera(which.camera),
        key_epoch: key.epoch().raw(),
        wall: which.wall,
        mono: MonoTime { micros: 1_000_000 },
        epoch: 1,
        reason: 0,
        boot: [0; 16],
        previous: [0; 32],
        class: class()?,
    };
    let mut out = write::header(&header);
    let mut hash = blake3::Hasher::new();
    hash.update(&out);
    let mut pen = Pen::sealed(key, &out);
    let mut put = |out: &mut Vec<u8>, record: &[u8]| {
        hash.update(record.last_chunk::<TRAILER>().map_or(&[][..], |trailer| &trailer[..]));
        out.extend_from_slice(record);
    };
    put(&mut out, &write::parameters(&mut pen, 0, &sets)?);
    let (mut entries, mut record, mut payload) = (Vec::new(), Vec::new(), 0);
    for n in 0..seconds {
        let fragment = second(&sets, which.wall.plus(Duration::from_secs(n)), n, bytes)?;
        let (number, at) = (u32::try_from(n)? + 1, u64::try_from(out.len())?);
        let entry = write::fragment(&mut pen, number, at, &fragment, &mut record)?;
        payload += u64::from(entry.payload);
        entries.push(entry);
        put(&mut out, &record);
    }
    let closing = Closing {
        flags: 0,
        end: which.wall.plus(Duration::from_secs(seconds)),
        units: u32::try_from(seconds * 25)?,
        payload,
        entries,
        digest: *hash.finalize().as_bytes(),
    };
    let number = u32::try_from(seconds)? + 1;
    out.extend(write::closing(&mut pen, number, &closing)?);
    Ok((segment_path(header.stream, header.segment, which.wall), out))
}

/// A row of the index without a file.
pub(crate) fn row(which: Which, key_epoch: u64) -> anyhow::Result<SegmentState> {
    let segment = SegmentId::from_bytes(id16(which.camera, which.number));
    Ok(SegmentState {
        segment,
        stream: stream(which.camera),
        camera: camera(which.camera),
        class: class()?,
        keep_s: 30 * 86_400,
        path: segment_path(stream(which.camera), segment, which.wall),
        from: which.wall,
        to: which.wall.plus(Duration::from_secs(60)),
        key_epoch,
        epoch: 1,
        boot: [0; 16],
        last_seq: 1_499,
        last_mono: MonoTime::default(),
        payload: 30_000_000,
        file_len: 30_100_000,
        units: 1_500,
        entries: Vec::new(),
        sets: Vec::new(),
        closing_at: Some(30_000_000),
        digest: Some([1; 32]),
        flags: 0,
    })
}
