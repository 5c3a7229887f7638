//! Laying fragments out on one time line: what stands where in a virtual file, which wall time it shows, and where a wish begins.

use std::sync::Arc;

use bytes::Bytes;
use link::PartRow;
use media::ParameterSets;
use media::fmp4::{self, MDAT_HEADER_LEN};
use vms_core::WallTime;

use super::{FragmentEntry, Material, RangeError, ReadError, Reader, RecordPlace, timeline};
use crate::format::read::StoredFragment;

/// The clock of a file's time line is told again where its wall time is off by more: over what a read pause of the ingest makes.
const CLOCK_SLACK_US: i64 = 200_000;

/// Most entries of such a clock: an hour in which the camera's clock is wrong by a third of a second each second.
const CLOCK_ENTRIES_MAX: usize = 4_096;

/// One fragment of the virtual file.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// First byte in the virtual file; 0 in a preview.
    pub(super) at: u64,
    /// Bytes there; 0 in a preview.
    pub(super) size: u64,
    pub(super) record: RecordPlace,
    pub(super) decode: u64,
    /// To the next part, or to its own end before a break.
    pub(super) ticks: u64,
    pub(super) sample_entry: u32,
    pub(super) sequence: u32,
    /// Another connection to the camera than before: the time line goes on by the wall clock.
    pub(super) is_break: bool,
    /// That, or other parameter sets.
    pub(super) is_jump: bool,
}

impl Part {
    /// When its first unit shows, ticks.
    pub(super) fn shows(&self) -> u64 {
        self.decode.saturating_add_signed(i64::from(self.record.entry.composition))
    }

    /// Its end on the time line, ticks.
    pub(super) const fn end(&self) -> u64 {
        self.decode.saturating_add(self.ticks)
    }

    pub(super) fn row(&self) -> PartRow {
        PartRow {
            at: self.at,
            size: self.size,
            shows: self.shows(),
            ticks: self.ticks,
            wall_us: self.record.entry.wall.micros,
            init: self.sample_entry,
            is_key: self.record.entry.is_key,
            jump: self.is_jump,
        }
    }
}

/// Fragments on one time line, and what a player needs before them.
#[derive(Debug)]
pub(super) struct Laid {
    /// Places are not given yet.
    pub(super) parts: Vec<Part>,
    /// The init segment of all sets, then one for each set alone.
    pub(super) inits: Vec<Bytes>,
    pub(super) mime: String,
    pub(super) starts: WallTime,
    pub(super) ends: WallTime,
}

/// Bytes of one fragment in the virtual file.
pub(super) fn part_len(entry: &FragmentEntry) -> u64 {
    fmp4::moof_len(u64::from(entry.units)) + MDAT_HEADER_LEN + u64::from(entry.payload)
}

pub(super) fn lay_out(chosen: &[(&Material, FragmentEntry)]) -> Result<Laid, RangeError> {
    let (Some((_, first)), Some((_, last))) = (chosen.first(), chosen.last()) else {
        return Err(RangeError::NoFootage);
    };
    let (starts, ends) = (first.wall, last.wall_end());
    let mut sets: Vec<Arc<ParameterSets>> = Vec::new();
    let mut parts: Vec<Part> = Vec::with_capacity(chosen.len());
    let mut before: Option<&Material> = None;
    for (((material, entry), decode), sequence) in chosen.iter().zip(timeline(chosen)).zip(1_u32..) {
        let known = sets.iter().position(|known| known.id == entry.param_set);
        let at = known.map_or_else(
            || {
                let found = material.sets.iter().find(|known| known.id == entry.param_set);
                sets.push(Arc::clone(found.ok_or(RangeError::Damaged(ReadError::Record { at: entry.at }))?));
                Ok::<usize, RangeError>(sets.len() - 1)
            },
            Ok,
        )?;
        let sample_entry = u32::try_from(at + 1).unwrap_or(1);
        let is_break = before.is_some_and(|before| before.epoch != material.epoch || before.boot != material.boot);
        if let Some(previous) = parts.last_mut()
            && !is_break
        {
            previous.ticks = decode.saturating_sub(previous.decode);
        }
        let other_sets = parts.last().is_some_and(|previous| previous.sample_entry != sample_entry);
        let path = Arc::clone(&material.path);
        parts.push(Part {
            at: 0,
            size: 0,
            record: RecordPlace { path, segment: material.segment, key_epoch: material.key_epoch, entry: *entry },
            decode,
            ticks: entry.ticks.into(),
            sample_entry,
            sequence,
            is_break,
            is_jump: is_break || other_sets,
        });
        before = Some(material);
    }
    let borrowed: Vec<&ParameterSets> = sets.iter().map(Arc::as_ref).collect();
    let mut inits = vec![fmp4::init_segment(&borrowed)?];
    for (at, set) in borrowed.iter().enumerate() {
        // A fragment names its sample entry by number: here every number is this set.
        inits.push(fmp4::init_segment(&vec![*set; at + 1])?);
    }
    Ok(Laid { parts, inits, mime: fmp4::mime(&borrowed), starts, ends })
}

/// From which instant of the time line on which wall time holds, both in microseconds.
pub(super) fn clock(parts: &[Part]) -> Vec<(u64, i64)> {
    let mut clock: Vec<(u64, i64)> = Vec::new();
    for part in parts {
        let (media, wall) = (to_micros(part.shows()), part.record.entry.wall.micros);
        let is_right = clock.last().is_some_and(|(known_media, known_wall)| {
            let passed = i64::try_from(media.saturating_sub(*known_media)).unwrap_or(i64::MAX);
            known_wall.saturating_add(passed).abs_diff(wall) <= CLOCK_SLACK_US.unsigned_abs()
        });
        if (part.is_break || !is_right) && clock.len() < CLOCK_ENTRIES_MAX {
            clock.push((media, wall));
        }
    }
    clock
}

/// Where the first frame at or after `from` is on the time line, microseconds. The frames of the fragment around it are looked at one
/// by one; when it cannot be read now, its clock alone is taken.
pub(super) fn start_offset(reader: &mut Reader, parts: &[Part], from: WallTime) -> u64 {
    let at = parts.partition_point(|part| part.record.entry.wall <= from).saturating_sub(1);
    let Some(part) = parts.get(at) else { return 0 };
    let late_us = from.micros_since(part.record.entry.wall);
    if late_us <= 0 {
        return to_micros(part.shows());
    }
    let late = u64::try_from(late_us.saturating_mul(9) / 100).unwrap_or(0);
    let next = parts.get(at + 1).map_or_else(|| part.end(), Part::shows);
    match reader.fragment(&part.record) {
        Ok(stored) => to_micros(first_from(&stored, part.decode, late).unwrap_or(next)),
        Err(_) => to_micros(part.shows().saturating_add(late).min(next)),
    }
}

/// When the first frame at least `late` ticks after the first unit shows.
fn first_from(stored: &StoredFragment, decode: u64, late: u64) -> Option<u64> {
    let mut at = decode;
    let mut shown = Vec::with_capacity(stored.samples.len());
    for sample in &stored.samples {
        shown.push(at.saturating_add_signed(i64::from(sample.composition)));
        at = at.saturating_add(u64::from(sample.duration));
    }
    let wanted = shown.first()?.saturating_add(late);
    shown.into_iter().filter(|shows| *shows >= wanted).min()
}

/// Ticks to the nearest microsecond: what players round a time stamp to.
pub(super) const fn to_micros(ticks: u64) -> u64 {
    ticks.saturating_mul(100).saturating_add(4) / 9
}

#[cfg(test)]
pub(super) mod tests {
    use media::Sample;
    use vms_core::{MediaTime, SegmentId};

    use super::*;
    use crate::testfilm::{START, sets};

    pub(in super::super) fn part(shows: u64, wall_ms: i64, is_break: bool) -> Part {
        let entry = FragmentEntry {
            at: 0,
            units: 25,
            payload: 1,
            ticks: 90_000,
            composition: 0,
            is_key: true,
            dts: MediaTime::default(),
            wall: WallTime::from_micros(START.0.micros + wall_ms * 1_000),
            seq: 0,
            param_set: sets().id,
            number: 0,
        };
        let record = RecordPlace { path: Arc::default(), segment: SegmentId::from_bytes([1; 16]), key_epoch: 0, entry };
        let (at, size, sequence, sample_entry) = (0, 0, 1, 1);
        Part { at, size, record, decode: shows, ticks: 90_000, sample_entry, sequence, is_break, is_jump: is_break }
    }

    #[test]
    fn a_clock_has_an_entry_where_the_line_would_be_wrong() {
        // Shows, wall, break; then what the clock says.
        type Film = &'static [(u64, i64, bool)];
        type Entries = &'static [(u64, i64)];
        let cases: [(Film, Entries); 4] = [
            (&[], &[]),
            (&[(0, 0, false), (90_000, 1_120, false), (180_000, 1_900, false)], &[(0, 0)]),
            (&[(0, 0, false), (90_000, 6_000, true), (180_000, 7_000, false)], &[(0, 0), (1_000_000, 6_000)]),
            (&[(0, 0, false), (90_000, 1_150, false), (180_000, 2_250, false)], &[(0, 0), (2_000_000, 2_250)]),
        ];
        for (parts, wanted) in cases {
            let parts: Vec<Part> = parts.iter().map(|(shows, wall, jump)| part(*shows, *wall, *jump)).collect();
            let wanted: Vec<(u64, i64)> =
                wanted.iter().map(|(media, wall)| (*media, START.0.micros + wall * 1_000)).collect();
            assert_eq!(clock(&parts), wanted);
        }
    }

    #[test]
    fn the_first_frame_from_an_instant_is_found_in_the_order_of_showing() {
        let sample = |composition| Sample { size: 1, duration: 3_600, composition, is_key: false };
        let stored = |compositions: &[i32]| StoredFragment {
            param_set: sets().id,
            samples: compositions.iter().map(|composition| sample(*composition)).collect(),
            arrivals: Vec::new(),
            seq: 0,
            dts: MediaTime::default(),
            payload: Bytes::new(),
        };
        let plain = stored(&[0; 4]);
        // Shown as 1, 4, 2, 3 frames after the decode time of the first.
        let reordered = stored(&[3_600, 3 * 3_600, 0, 0]);
        for (film, late, wanted) in [
            (&plain, 0, Some(1_000)),
            (&plain, 1, Some(4_600)),
            (&plain, 3_600, Some(4_600)),
            (&plain, 3 * 3_600, Some(11_800)),
            (&plain, 3 * 3_600 + 1, None),
            (&reordered, 0, Some(4_600)),
            (&reordered, 1, Some(8_200)),
            (&reordered, 3_600 + 1, Some(11_800)),
            (&reordered, 3 * 3_600, Some(15_400)),
        ] {
            assert_eq!(first_from(film, 1_000, late), wanted, "{late}");
        }
        assert_eq!([to_micros(3_000), to_micros(6_000), to_micros(90_000)], [33_333, 66_667, 1_000_000]);
    }
}
