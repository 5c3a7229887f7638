//! The assignment: kept on disk (mode 0600, credentials sealed), split over ingest processes.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use link::{Assignment, StreamSpec, TransportKind};
use serde::{Deserialize, Serialize};
use vms_core::{RetentionClass, StreamId};

use crate::disk::StreamFacts;
use crate::hub::HubSpec;
use crate::kept;

/// Cameras of one ingest process at most (blueprint 2).
pub const SHARD_CAMERAS_MAX: usize = 25;

/// Ingest processes from this number on run the GStreamer transport (`belfry-media`); below it the pure Rust one.
pub const GST_SHARD_FIRST: u32 = 1_000;

/// What is kept on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// As `serve` sent it last.
    pub assignment: Assignment,
    /// Which ingest process has which camera; key: camera id, and `/gst` behind it for the GStreamer kind.
    pub shards: BTreeMap<String, u32>,
}

impl Default for Kept {
    fn default() -> Self {
        let assignment =
            Assignment { version: 0, streams: Vec::new(), allowed_networks: Vec::new(), allowed_ports: Vec::new() };
        Self { assignment, shards: BTreeMap::new() }
    }
}

fn key(spec: &StreamSpec) -> (String, bool) {
    let gst = match spec.transport {
        TransportKind::Retina => false,
        TransportKind::GstTcp | TransportKind::GstUdp => true,
    };
    (if gst { format!("{}/gst", spec.camera) } else { spec.camera.clone() }, gst)
}

/// Splits cameras over ingest processes. A camera stays where it was; a new one goes to the first process with room.
pub fn split(streams: &[StreamSpec], before: &BTreeMap<String, u32>) -> BTreeMap<String, u32> {
    let mut after: BTreeMap<String, u32> = BTreeMap::new();
    let mut load: HashMap<u32, usize> = HashMap::new();
    for spec in streams {
        let (key, _) = key(spec);
        if let Some(shard) = before.get(&key)
            && !after.contains_key(&key)
        {
            *load.entry(*shard).or_default() += 1;
            after.insert(key, *shard);
        }
    }
    for spec in streams {
        let (key, gst) = key(spec);
        if after.contains_key(&key) {
            continue;
        }
        let first = if gst { GST_SHARD_FIRST } else { 0 };
        let shard = (first..).find(|shard| load.get(shard).copied().unwrap_or(0) < SHARD_CAMERAS_MAX).unwrap_or(first);
        *load.entry(shard).or_default() += 1;
        after.insert(key, shard);
    }
    after
}

/// How many ingest processes of each kind an assignment needs: pure Rust, GStreamer. At least one of the first kind.
pub fn shards_needed(shards: &BTreeMap<String, u32>) -> (u32, u32) {
    let top = |gst: bool| {
        let of_kind = shards.values().filter(|shard| (**shard >= GST_SHARD_FIRST) == gst);
        of_kind.max().map_or(0, |shard| shard - if gst { GST_SHARD_FIRST } else { 0 } + 1)
    };
    (top(false).max(1), top(true))
}

impl Kept {
    /// The streams of one ingest process.
    pub fn of_shard(&self, shard: u32) -> Vec<&StreamSpec> {
        let in_shard = |spec: &&StreamSpec| self.shards.get(&key(spec).0) == Some(&shard);
        self.assignment.streams.iter().filter(in_shard).collect()
    }

    /// Reads what was kept; the default when nothing was.
    ///
    /// # Errors
    /// Of the disk, or `InvalidData`.
    pub fn load(path: &Path) -> std::io::Result<Self> {
        Ok(kept::load(path)?.unwrap_or_default())
    }

    /// Keeps it: new file, fsync, rename, fsync of the folder.
    ///
    /// # Errors
    /// Of the disk; what was kept before is then still there.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        kept::save(path, self)
    }
}

/// What the recorder makes of one stream; `None` when an id or the class does not parse.
pub fn hub_spec(spec: &StreamSpec) -> Option<(StreamId, HubSpec)> {
    let stream: StreamId = spec.stream.parse().ok()?;
    let facts = StreamFacts {
        stream,
        camera: spec.camera.parse().ok()?,
        class: RetentionClass::parse(&spec.retention_class).or_else(|| unrecorded_class(spec.record))?,
        keep_s: spec.keep_s,
    };
    Some((stream, HubSpec { facts: Arc::new(facts), record: spec.record, on_demand: spec.on_demand }))
}

/// A stream that is never recorded needs no retention class.
fn unrecorded_class(record: bool) -> Option<RetentionClass> {
    if record { None } else { RetentionClass::parse("RC-NONE") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(camera: usize, transport: TransportKind) -> StreamSpec {
        StreamSpec {
            stream: format!("str_{camera:032x}"),
            camera: format!("cam_{camera:032x}"),
            use_: "main".to_owned(),
            url: "rtsp://127.0.0.1/".to_owned(),
            sealed_credentials: None,
            transport,
            record: true,
            on_demand: false,
            retention_class: "RC-VID-OPEN".to_owned(),
            keep_s: 60,
        }
    }

    #[test]
    fn cameras_stay_in_their_process_and_fill_the_gaps() {
        let many: Vec<StreamSpec> = (0..60).map(|n| spec(n, TransportKind::Retina)).collect();
        let first = split(&many, &BTreeMap::new());
        assert_eq!(shards_needed(&first), (3, 0));
        for shard in 0..3 {
            assert!(first.values().filter(|s| **s == shard).count() <= SHARD_CAMERAS_MAX);
        }
        // Ten of the first process go, two come: nobody moves, the new ones fill the holes.
        let mut fewer: Vec<StreamSpec> = many[10..].to_vec();
        fewer.extend([spec(100, TransportKind::Retina), spec(101, TransportKind::GstUdp)]);
        let second = split(&fewer, &first);
        for spec in &many[10..] {
            assert_eq!(second.get(&spec.camera), first.get(&spec.camera));
        }
        assert_eq!(second.get(&fewer[50].camera), Some(&0));
        assert_eq!(second.get(&format!("{}/gst", fewer[51].camera)), Some(&GST_SHARD_FIRST));
        assert_eq!(shards_needed(&second), (3, 1));
        assert_eq!(shards_needed(&BTreeMap::new()), (1, 0));
    }

    #[test]
    fn two_streams_of_a_camera_share_a_process() {
        let mut sub = spec(1, TransportKind::Retina);
        sub.stream = format!("str_{:032x}", 99);
        let streams = [spec(1, TransportKind::Retina), sub];
        let kept = Kept {
            shards: split(&streams, &BTreeMap::new()),
            assignment: Assignment { version: 1, streams: streams.to_vec(), ..Kept::default().assignment },
        };
        assert_eq!(kept.of_shard(0).len(), 2);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("assignment.json");
        assert_eq!(Kept::load(&path).unwrap(), Kept::default());
        kept.save(&path).unwrap();
        kept.save(&path).unwrap();
        assert_eq!(Kept::load(&path).unwrap(), kept);
        std::fs::write(&path, b"{").unwrap();
        assert!(Kept::load(&path).is_err());
    }
}
