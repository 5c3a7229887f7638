//! What a segment is to a tier, and the name of its object. The name alone rebuilds the ledger.
//!
//! `PREFIX/belfry1/RECORDER/CLASS/CAMERA/STREAM/2026-11-22T15/FROM-TO-EPOCH-SEGMENT-LENGTH-SHA256.seg`: the hour of the start in UTC, instants
//! in microseconds since 1970 with twenty digits (so that a listing is in the order of time), the epoch in sixteen hexadecimal
//! digits, the length in bytes and the SHA-256 of the object. Same name, same content: an upload may be repeated at any time.

use std::fmt;
use std::str::FromStr;

use vms_core::{CameraId, RetentionClass, SegmentId, StreamId, WallTime};

/// Version of the layout, and the folder that holds it.
pub(crate) const LAYOUT: &str = "belfry1";

/// Longest name, bytes. S3 allows 1,024 with the prefix.
pub const NAME_LEN_MAX: usize = 512;

const SUFFIX: &str = ".seg";

/// Name of one recorder, unique in a bucket: 1 to 32 of `a`–`z`, `0`–`9`, `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecorderName(Box<str>);

impl RecorderName {
    /// `None` when the text does not fit.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=32).contains(&text.len())
            && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
        fits.then(|| Self(text.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One closed, sealed segment as the recorder knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Id.
    pub segment: SegmentId,
    /// Camera.
    pub camera: CameraId,
    /// Stream of the camera.
    pub stream: StreamId,
    /// Retention class at the time of recording.
    pub class: RetentionClass,
    /// Key epoch named by the segment's clear head.
    pub epoch: u64,
    /// First unit; not before 1970.
    pub from: WallTime,
    /// End of the last unit.
    pub to: WallTime,
    /// Bytes of the sealed file.
    pub len: u64,
}

/// SHA-256 of a sealed file.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not the name of an object of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a segment of this program")]
pub struct NotAName;

impl FromStr for Digest {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let mut raw = [0; 32];
        hex::decode_to_slice(text, &mut raw).map_err(|_| NotAName)?;
        Ok(Self(raw))
    }
}

/// The name of one object, below the prefix of the tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName {
    /// Whose segment it is.
    pub recorder: RecorderName,
    /// The segment.
    pub facts: Facts,
    /// Of its bytes.
    pub digest: Digest,
}

/// The folder of everything of one recorder, below the prefix of the tier.
pub(crate) fn recorder_folder(recorder: &RecorderName) -> String {
    format!("{LAYOUT}/{}", recorder.as_str())
}

fn hour(at: WallTime) -> Option<String> {
    let stamp = jiff::Timestamp::from_microsecond(at.micros).ok()?;
    Some(stamp.strftime("%Y-%m-%dT%H").to_string())
}

impl ObjectName {
    /// The text.
    ///
    /// # Errors
    /// [`NotAName`] when an instant lies before 1970 or past the year 9999, or the end before the start.
    pub fn encode(&self) -> Result<String, NotAName> {
        let Facts { segment, camera, stream, class, epoch, from, to, len } = &self.facts;
        if from.micros < 0 || to < from {
            return Err(NotAName);
        }
        let hour = hour(*from).ok_or(NotAName)?;
        hour_of_end(*to)?;
        Ok(format!(
            "{}/{}/{camera}/{stream}/{hour}/{:020}-{:020}-{epoch:016x}-{segment}-{len}-{}{SUFFIX}",
            recorder_folder(&self.recorder),
            class.as_str(),
            from.micros,
            to.micros,
            self.digest,
        ))
    }

    /// Reads a name. Only the text that [`ObjectName::encode`] writes is one.
    ///
    /// # Errors
    /// [`NotAName`].
    pub fn parse(text: &str) -> Result<Self, NotAName> {
        if text.len() > NAME_LEN_MAX {
            return Err(NotAName);
        }
        let mut folders = text.split('/');
        let mut next = || folders.next().ok_or(NotAName);
        if next()? != LAYOUT {
            return Err(NotAName);
        }
        let recorder = RecorderName::parse(next()?).ok_or(NotAName)?;
        let class = RetentionClass::parse(next()?).ok_or(NotAName)?;
        let camera = next()?.parse().map_err(|_| NotAName)?;
        let stream = next()?.parse().map_err(|_| NotAName)?;
        next()?;
        let mut parts = next()?.strip_suffix(SUFFIX).ok_or(NotAName)?.split('-');
        let mut part = || parts.next().ok_or(NotAName);
        let from = WallTime::from_micros(part()?.parse().map_err(|_| NotAName)?);
        let to = WallTime::from_micros(part()?.parse().map_err(|_| NotAName)?);
        let epoch = u64::from_str_radix(part()?, 16).map_err(|_| NotAName)?;
        let segment = part()?.parse().map_err(|_| NotAName)?;
        let len = part()?.parse().map_err(|_| NotAName)?;
        let digest = part()?.parse()?;
        let facts = Facts { segment, camera, stream, class, epoch, from, to, len };
        let name = Self { recorder, facts, digest };
        // One spelling only: signs, capitals, missing zeros, a wrong hour or anything behind make another text.
        if name.encode()? == text { Ok(name) } else { Err(NotAName) }
    }
}

fn hour_of_end(to: WallTime) -> Result<(), NotAName> {
    hour(to).map(|_| ()).ok_or(NotAName)
}

/// For fuzzing: what reads as a name is written the same way.
pub fn fuzz_object_name(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(name) = ObjectName::parse(text) {
        assert_eq!(name.encode().as_deref(), Ok(text), "a name should be written as it was read");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> ObjectName {
        let facts = Facts {
            segment: SegmentId::from_bytes([1; 16]),
            camera: CameraId::from_bytes([2; 16]),
            stream: StreamId::from_bytes([3; 16]),
            class: RetentionClass::parse("RC-VID-OPEN").unwrap(),
            epoch: 0x0007_8655_dead_beef,
            from: WallTime::from_micros(1_795_359_600_123_456),
            to: WallTime::from_micros(1_795_359_660_000_000),
            len: 30_000_000,
        };
        ObjectName { recorder: RecorderName::parse("rec-1").unwrap(), facts, digest: Digest([0xab; 32]) }
    }

    #[test]
    fn a_name_says_everything_and_reads_back() {
        let text = name().encode().unwrap();
        assert_eq!(
            text,
            "belfry1/rec-1/RC-VID-OPEN/cam_02020202020202020202020202020202/str_03030303030303030303030303030303/\
             2026-11-22T15/00001795359600123456-00001795359660000000-00078655deadbeef-\
             seg_01010101010101010101010101010101-30000000-\
             abababababababababababababababababababababababababababababababab.seg"
        );
        assert!(text.len() < NAME_LEN_MAX);
        assert_eq!(ObjectName::parse(&text), Ok(name()));
    }

    #[test]
    fn other_texts_are_no_names() {
        let good = name().encode().unwrap();
        let bad = [
            String::new(),
            good.replace("belfry1", "belfry2"),
            good.replace("T15/", "T16/"),
            good.replace("-00001795359660", "-1795359660"),
            good.replace("-00001795359660", "-+0001795359660"),
            good.replace("deadbeef", "DEADBEEF"),
            good.replace("rec-1", "Rec 1"),
            good.replace("RC-VID", "VID"),
            format!("{good}x"),
            good.replace(".seg", "-1.seg"),
            "a/".repeat(400),
        ];
        for text in bad {
            assert_eq!(ObjectName::parse(&text), Err(NotAName), "{text}");
            fuzz_object_name(text.as_bytes());
        }
        fuzz_object_name(good.as_bytes());
        fuzz_object_name(&[0xff, 0xfe]);
        let mut cut = good;
        while cut.pop().is_some() {
            fuzz_object_name(cut.as_bytes());
        }
    }

    #[test]
    fn instants_that_have_no_name() {
        let mut early = name();
        early.facts.from = WallTime::from_micros(-1);
        assert_eq!(early.encode(), Err(NotAName));
        let mut turned = name();
        turned.facts.to = WallTime::from_micros(5);
        assert_eq!(turned.encode(), Err(NotAName));
        let mut late = name();
        late.facts.to = WallTime::from_micros(i64::MAX);
        assert_eq!(late.encode(), Err(NotAName));
    }
}
