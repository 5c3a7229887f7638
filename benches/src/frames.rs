//! Frames on disk against the simulator's counters: every access unit of a simulated camera carries a number.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use keys::{CopyPaths, KeyRing, KeyStoreConfig, OpenOptions, Protection, RealDisk, SecondCopy, SystemRandom};
use recorder::format::Kind;
use recorder::format::read::{StoredFragment, head, record, scan};
use sim::counter::find_counter_in_unit;
use vms_core::{Codec, WallTime};

/// One recorded frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The simulator's counter.
    pub number: u64,
    /// When the simulator sent it, wall µs.
    pub sent_us: i64,
    /// Decoding can start there.
    pub is_key: bool,
}

/// Everything that one camera has on disk.
#[derive(Clone, Debug, Default)]
pub struct Footage {
    /// In order of number.
    pub frames: Vec<Frame>,
    /// Frames recorded twice.
    pub doubled: u64,
}

/// A run of numbers that is not on disk between two that are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// First number that is missing.
    pub first: u64,
    /// How many are missing.
    pub frames: u64,
    /// From the last frame before to the first frame after, by the simulator's clock, µs.
    pub span_us: i64,
    /// When the last frame before was sent, wall µs.
    pub since_us: i64,
}

impl Hole {
    /// How many of the missing frames had been sent by `at_us`, when the hole began before it: what a kill at that instant cost.
    pub fn sent_before(&self, at_us: i64) -> u64 {
        let frames = i64::try_from(self.frames).unwrap_or(i64::MAX);
        let every_us = self.span_us / frames.saturating_add(1).max(1);
        let sent = at_us.saturating_sub(self.since_us).checked_div(every_us).unwrap_or(0);
        u64::try_from(sent.clamp(0, frames)).unwrap_or(0)
    }

    /// Whether it lies around an instant, give or take `slack_us`.
    pub const fn is_around(&self, at_us: i64, slack_us: i64) -> bool {
        self.since_us - slack_us <= at_us && at_us <= self.since_us + self.span_us + slack_us
    }
}

impl Footage {
    /// Middle time between two key frames, seconds; 0 when there are less than two.
    #[expect(clippy::cast_precision_loss, reason = "a figure for a report")]
    pub fn key_interval_s(&self) -> f64 {
        let keys: Vec<i64> = self.frames.iter().filter(|frame| frame.is_key).map(|frame| frame.sent_us).collect();
        let mut spans: Vec<i64> = keys.iter().zip(keys.iter().skip(1)).map(|(a, b)| b - a).collect();
        spans.sort_unstable();
        spans.get(spans.len() / 2).map_or(0.0, |span| *span as f64 / 1e6)
    }

    /// Holes between the first and the last recorded frame.
    pub fn holes(&self) -> Vec<Hole> {
        let pairs = self.frames.iter().zip(self.frames.iter().skip(1));
        pairs
            .filter(|(before, after)| after.number > before.number + 1)
            .map(|(before, after)| Hole {
                first: before.number + 1,
                frames: after.number - before.number - 1,
                span_us: after.sent_us - before.sent_us,
                since_us: before.sent_us,
            })
            .collect()
    }
}

/// What a walk over the footage found.
#[derive(Debug, Default)]
pub struct Walk {
    /// By the simulator's camera number.
    pub cameras: BTreeMap<u32, Footage>,
    /// Segment files read.
    pub segments: u64,
    /// Files that do not parse, with the reason.
    pub damaged: Vec<String>,
    /// Access units without a counter.
    pub unmarked: u64,
    /// Streams by the simulator's camera number.
    pub streams: BTreeMap<u32, String>,
    /// Digest of each segment as its bytes are, in hexadecimal; of one that is not closed so far.
    pub digests: BTreeMap<String, String>,
}

/// Opens the key store of the rig whose footage lies in `media` (`state/footage/media`), beside a running recorder and for reading
/// only. `None` where there is none: the footage is of a version that did not seal.
///
/// # Errors
/// It is there but does not open.
pub fn key_ring(media: &Path) -> anyhow::Result<Option<KeyRing>> {
    let state = media.parent().and_then(Path::parent).context("the media lie in state/footage/media")?;
    let folder = state.join("footage-keys");
    let config = || KeyStoreConfig {
        first: CopyPaths { store: folder.join("store"), root: folder.join("root") },
        second: SecondCopy::OneDisk,
        protection: Protection::FileMode,
        remember: Duration::from_secs(86_400),
    };
    let options = OpenOptions { is_read_only: true, ..OpenOptions::default() };
    let open =
        || KeyRing::open(Arc::new(RealDisk), Arc::new(SystemRandom::new()), config(), options, WallTime::default());
    let mut opened = open();
    // The recorder may be changing the root at this moment.
    for _ in 0..20 {
        match &opened {
            Ok(_) => break,
            Err(keys::KeyError::NoCopy) if !folder.exists() => return Ok(None),
            Err(_) => opened = open(),
        }
    }
    Ok(Some(opened.context("the key store of the footage does not open")?))
}

/// Reads every segment under `dir`, closed or not. Their keys lie in `footage-keys` beside the folder that `dir` is in.
///
/// # Errors
/// The folder cannot be listed, or the key store does not open.
pub fn walk(dir: &Path) -> anyhow::Result<Walk> {
    let mut found = Walk::default();
    // The files first: a key is there before its file.
    let files = segment_files(dir)?;
    let keys = key_ring(dir)?;
    for path in files {
        found.segments += 1;
        if let Err(error) = read_segment(&path, keys.as_ref(), &mut found) {
            found.damaged.push(format!("{}: {error:#}", path.display()));
        }
    }
    for footage in found.cameras.values_mut() {
        let before = footage.frames.len();
        footage.frames.sort_by_key(|frame| frame.number);
        footage.frames.dedup_by_key(|frame| frame.number);
        footage.doubled = u64::try_from(before - footage.frames.len())?;
    }
    Ok(found)
}

fn segment_files(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains(".blf") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn read_segment(path: &Path, keys: Option<&KeyRing>, found: &mut Walk) -> anyhow::Result<()> {
    let file = File::open(path)?;
    let head = head(&file)?;
    let header = &head.header;
    let key = match (head.key_epoch(), keys) {
        (Some(epoch), Some(keys)) => Some(keys.open_segment(header.segment, epoch)?),
        (Some(_), None) => anyhow::bail!("it is sealed, and there is no key store"),
        (None, _) => None,
    };
    let scanned = scan(&file, key.as_ref())?;
    found.digests.insert(header.segment.to_string(), hex::encode(scanned.digest));
    let codec = scanned.parameters.first().map_or(Codec::H264, |sets| sets.codec);
    for entry in &scanned.entries {
        let raw = record(&file, &head, key.as_ref(), entry.at)?;
        if raw.kind != Kind::Fragment {
            anyhow::bail!("the table names a record that is no fragment");
        }
        let fragment = StoredFragment::parse(&raw.body).context("a fragment does not parse")?;
        for unit in fragment.units(header.epoch) {
            match find_counter_in_unit(codec, &unit.payload) {
                Some(counter) => {
                    let footage = found.cameras.entry(counter.camera).or_default();
                    found.streams.entry(counter.camera).or_insert_with(|| header.stream.to_string());
                    let (number, sent_us) = (counter.frame, counter.sent_at.micros);
                    footage.frames.push(Frame { number, sent_us, is_key: unit.is_key });
                }
                None => found.unmarked += 1,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_counted_exactly() {
        let at = |number: u64| i64::try_from(number).unwrap() * 40_000;
        let frame = |number: u64| Frame { number, sent_us: at(number), is_key: number % 2 == 1 };
        let footage = Footage { frames: [1, 2, 5, 6, 9].map(frame).to_vec(), doubled: 0 };
        let seen: Vec<_> = footage.holes().iter().map(|hole| (hole.first, hole.frames, hole.span_us)).collect();
        assert_eq!(seen, [(3, 2, 120_000), (7, 2, 120_000)]);
        assert_eq!(footage.key_interval_s(), 0.16);
        let hole = footage.holes()[0];
        for (at, sent) in [(60_000, 0), (80_000, 0), (119_000, 0), (121_000, 1), (165_000, 2), (900_000, 2)] {
            assert_eq!(hole.sent_before(at), sent, "at {at}");
        }
        assert!(hole.is_around(100_000, 0) && hole.is_around(210_000, 10_000) && !hole.is_around(215_000, 10_000));
    }
}
