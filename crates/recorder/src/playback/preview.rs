//! Previews: the key frames of a long span, thinned by its length, as fragments of one picture each. Nothing is decoded or kept: a picture
//! is read when it is asked for.
//!
//! A segment seals whole fragments, so that one picture costs the reading of its fragment (a second of footage at most).

use sha2::{Digest as _, Sha256};
use vms_core::{StreamId, TimeRange};

use super::parts::{self, Part, lay_out};
use super::{RangeError, RangeFile, Reader, Source, etag_of, found_within, select};
use crate::catalogue::Catalogue;
use crate::index::Index;

/// Longest span of a preview.
pub const PREVIEW_MAX_US: i64 = 24 * 3_600 * 1_000_000;

/// Span up to which pictures are this far apart, both in seconds: at most 900, 720 and 1,440 pictures.
const STEPS: [(i64, i64); 3] = [(15 * 60, 1), (2 * 3_600, 10), (24 * 3_600, 60)];

/// Opens the key frames of `range` of `stream`.
///
/// # Errors
/// [`RangeError`].
pub async fn open_preview(
    source: Source,
    index: &Index,
    catalogue: &Catalogue,
    stream: StreamId,
    range: TimeRange,
) -> Result<RangeFile, RangeError> {
    let (materials, gaps) = found_within(&source, index, catalogue, (stream, range), PREVIEW_MAX_US).await?;
    let built = tokio::task::spawn_blocking(move || {
        let laid = lay_out(&select(&materials, range))?;
        let parts = thinned(laid.parts, step_ticks(range));
        let mut tag = Sha256::new();
        tag.update(b"belfry preview 1\n");
        for init in &laid.inits {
            tag.update(init);
        }
        for part in &parts {
            tag.update(part.record.segment.as_bytes());
            tag.update(part.record.entry.number.to_be_bytes());
            tag.update(part.decode.to_be_bytes());
        }
        let first = parts.first().ok_or(RangeError::NoFootage)?;
        Ok(RangeFile {
            reader: Reader::new(source),
            size: 0,
            etag: etag_of(tag),
            mime: laid.mime,
            starts: first.record.entry.wall,
            ends: laid.ends,
            gaps,
            start_offset_us: parts::to_micros(first.shows()),
            clock: parts::clock(&parts),
            is_preview: true,
            head: bytes::Bytes::new(),
            inits: laid.inits,
            parts,
            cached: None,
        })
    });
    built.await.map_err(|_| RangeError::Gone)?
}

/// How far apart pictures of this span are, ticks.
fn step_ticks(range: TimeRange) -> u64 {
    let fits = |(span_s, _): &&(i64, i64)| range.micros() <= span_s * 1_000_000;
    let step_s = STEPS.iter().find(fits).map_or(60, |(_, step_s)| *step_s);
    u64::try_from(step_s).unwrap_or(60).saturating_mul(90_000)
}

/// Key frames at least `step` apart (a tenth less: arrival is not exact), each lasting to the next, or to the end of what it belongs to.
/// They stand at the time at which they show.
fn thinned(all: Vec<Part>, step: u64) -> Vec<Part> {
    let mut kept: Vec<Part> = Vec::new();
    let (mut run_end, mut is_broken) = (0, false);
    for part in all {
        is_broken |= part.is_break;
        let shows = part.shows();
        let previous = run_end;
        run_end = if is_broken { run_end } else { part.end() };
        let is_far = kept.last().is_none_or(|last: &Part| shows.saturating_sub(last.decode) >= step - step / 10);
        if !part.record.entry.is_key || !(is_far || is_broken) {
            continue;
        }
        let is_jump = kept.last().is_some_and(|last| is_broken || last.sample_entry != part.sample_entry);
        if let Some(last) = kept.last_mut() {
            last.ticks = if is_broken { previous } else { shows }.saturating_sub(last.decode);
        }
        run_end = part.end();
        let sequence = u32::try_from(kept.len() + 1).unwrap_or(u32::MAX);
        let mut picture = Part { decode: shows, sequence, is_break: is_broken, is_jump, ..part };
        picture.record.entry.composition = 0;
        kept.push(picture);
        is_broken = false;
    }
    if let Some(last) = kept.last_mut() {
        last.ticks = run_end.saturating_sub(last.decode);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::super::parts::tests::part;
    use super::*;

    #[test]
    fn pictures_are_thinned_and_last_to_the_next() {
        // Shows (s), key frame, break; then step (s) and what is kept as (shows, length).
        type Film = &'static [(u64, bool, bool)];
        let steady: Film = &[(0, true, false), (1, true, false), (2, true, false), (3, true, false)];
        let long_gop: Film = &[(0, true, false), (1, false, false), (2, true, false), (3, false, false)];
        let torn: Film = &[(0, true, false), (1, true, false), (7, true, true), (8, true, false)];
        type Kept = &'static [(u64, u64)];
        let cases: [(Film, u64, Kept); 6] = [
            (&[], 1, &[]),
            (steady, 1, &[(0, 1), (1, 1), (2, 1), (3, 1)]),
            (steady, 2, &[(0, 2), (2, 2)]),
            (long_gop, 1, &[(0, 2), (2, 2)]),
            (torn, 1, &[(0, 1), (1, 1), (7, 1), (8, 1)]),
            (torn, 10, &[(0, 2), (7, 2)]),
        ];
        for (film, step, wanted) in cases {
            let parts = film.iter().map(|(shows, is_key, is_break)| {
                let mut part = part(shows * 90_000, i64::try_from(*shows).unwrap() * 1_000, *is_break);
                part.record.entry.is_key = *is_key;
                part
            });
            let kept: Vec<(u64, u64)> = thinned(parts.collect(), step * 90_000)
                .iter()
                .map(|part| (part.shows() / 90_000, part.ticks / 90_000))
                .collect();
            assert_eq!(kept, wanted, "step {step}");
        }
    }

    #[test]
    fn a_long_span_has_fewer_pictures() {
        for (span_s, step_s) in [(1, 1), (900, 1), (901, 10), (7_200, 10), (7_201, 60), (86_400, 60)] {
            let range =
                TimeRange::new(vms_core::WallTime::from_secs(0), vms_core::WallTime::from_secs(span_s)).unwrap();
            assert_eq!(step_ticks(range), step_s * 90_000, "{span_s}");
        }
    }
}
