//! Tests of the whole store, on a disk that crashes and fails where it is told to.

mod backups;
mod crash;
mod fakedisk;
mod gate;
mod holds;
mod journal;
mod rows;
mod story;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use vms_core::{CameraId, RetentionClass, SegmentId, WallTime};

use crate::{
    CopyPaths, Disk, Hour, KeyEpoch, KeyError, KeyName, KeyRing, KeyStoreConfig, OpenOptions, OpenSegmentError,
    Protection, Random, RandomError, Scope, SealedWriterKey, SecondCopy,
};

/// Numbers that look random and come out the same every time.
#[derive(Debug, Default)]
pub(crate) struct SeededRandom(AtomicU64);

impl Random for SeededRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomError> {
        for chunk in out.chunks_mut(8) {
            // SplitMix64 (Steele, Lea, Flood 2014).
            let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_be_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

pub(crate) fn at(secs: i64) -> WallTime {
    WallTime::from_secs(secs)
}

pub(crate) fn name(camera: u8, hour: u32) -> KeyName {
    KeyName {
        scope: Scope::Camera(CameraId::from_bytes([camera; 16])),
        class: RetentionClass::parse("RC-VID-OPEN").unwrap(),
        hour: Hour::from_count(hour),
    }
}

pub(crate) fn segment(number: u8) -> SegmentId {
    SegmentId::from_bytes([number; 16])
}

pub(crate) fn paths(root: &Path, copy: &str) -> CopyPaths {
    CopyPaths { store: root.join(copy).join("store"), root: root.join(copy).join("root") }
}

pub(crate) fn config(root: &Path, has_second: bool) -> KeyStoreConfig {
    let second = if has_second { SecondCopy::At(paths(root, "b")) } else { SecondCopy::OneDisk };
    KeyStoreConfig {
        first: paths(root, "a"),
        second,
        protection: Protection::FileMode,
        remember: Duration::from_secs(40 * 86_400),
    }
}

pub(crate) fn base() -> PathBuf {
    PathBuf::from("/keys")
}

pub(crate) const CREATE: OpenOptions =
    OpenOptions { may_create: true, is_read_only: false, is_fresh: false, adopt: None, without: None };

pub(crate) fn open(
    disk: &Arc<impl Disk + 'static>,
    random: &Arc<SeededRandom>,
    config: KeyStoreConfig,
    options: OpenOptions,
) -> Result<KeyRing, KeyError> {
    KeyRing::open(Arc::clone(disk) as Arc<dyn Disk>, Arc::clone(random) as Arc<dyn Random>, config, options, at(0))
}

/// Footage: what the recorder has on its own disk.
#[derive(Clone, Debug)]
pub(crate) struct Film {
    pub(crate) segment: SegmentId,
    pub(crate) epoch: KeyEpoch,
    pub(crate) sealed: Vec<u8>,
}

impl Film {
    pub(crate) fn shoot(mut key: SealedWriterKey) -> Self {
        let mut sealed = key.segment().as_bytes().to_vec();
        key.seal(0, b"head", &mut sealed).unwrap();
        Self { segment: key.segment(), epoch: key.epoch(), sealed }
    }

    /// Whether it can be seen. A key that opens and then shows something else fails the test.
    pub(crate) fn look(&self, ring: &KeyRing) -> Result<(), OpenSegmentError> {
        let opener = ring.open_segment(self.segment, self.epoch)?;
        let mut body = self.sealed.clone();
        assert_eq!(opener.open_in_place(0, b"head", &mut body).expect("a wrong key"), self.segment.as_bytes());
        Ok(())
    }
}
