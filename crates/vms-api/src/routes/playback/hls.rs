//! A playback as an HLS playlist (RFC 8216 and its second edition): the same bytes by `EXT-X-BYTERANGE`, or the pictures of a preview one by one.
//! Addresses are relative and hold nothing secret: they open with the session's cookie only.

use std::fmt::Write as _;

use vms_app::ports::{RangeForm, RangeInfo, RangePart, RangeParts};

use crate::dto::common::instant;

/// A media segment grows until it is this long and a key frame follows.
const SEGMENT_MIN_US: u64 = 4_000_000;

/// A run of parts that lie one behind the other.
struct Run<'a> {
    first: &'a RangePart,
    number: usize,
    size: u64,
    length_us: u64,
}

/// Whole groups of pictures of one connection to the camera, about 4 s each; in a preview each picture by itself.
fn runs(parts: &[RangePart], form: RangeForm) -> Vec<Run<'_>> {
    let mut runs: Vec<Run<'_>> = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        match runs.last_mut() {
            Some(run)
                if form == RangeForm::Whole && !part.is_jump && !(part.is_key && run.length_us >= SEGMENT_MIN_US) =>
            {
                run.size = run.size.saturating_add(part.size);
                run.length_us = run.length_us.saturating_add(part.length_us);
            }
            Some(_) | None => runs.push(Run { first: part, number, size: part.size, length_us: part.length_us }),
        }
    }
    runs
}

fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// The playlist of playback `id`, to be served from the folder `…/playback/{id}/`.
pub(super) fn playlist(id: &str, info: &RangeInfo, form: RangeForm, parts: &RangeParts) -> String {
    let runs = runs(&parts.parts, form);
    let longest_us = runs.iter().map(|run| run.length_us).max().unwrap_or(0);
    let begins_us = parts.parts.first().map_or(0, |part| part.shows_us);
    let mut out = String::from("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-MEDIA-SEQUENCE:0\n");
    put(&mut out, &format!("#EXT-X-TARGETDURATION:{}", longest_us.div_ceil(1_000_000).max(1)));
    if runs.iter().all(|run| run.first.is_key) {
        put(&mut out, "#EXT-X-INDEPENDENT-SEGMENTS");
    }
    let late = seconds(info.start_offset_us.saturating_sub(begins_us));
    put(&mut out, &format!("#EXT-X-START:TIME-OFFSET={late},PRECISE=YES"));
    for (number, gap) in info.gaps.iter().enumerate() {
        let length = seconds(u64::try_from(gap.to.micros_since(gap.from)).unwrap_or(0));
        let (from, cause) = (instant(gap.from), gap.cause.as_str());
        let range = format!("#EXT-X-DATERANGE:ID=\"gap-{number}\",CLASS=\"eu.belfry.gap\",START-DATE=\"{from}\"");
        put(&mut out, &format!("{range},DURATION={length},X-CAUSE=\"{cause}\""));
    }
    let mut init = 0;
    for run in &runs {
        if run.first.is_jump {
            put(&mut out, "#EXT-X-DISCONTINUITY");
        }
        if run.first.init != init {
            init = run.first.init;
            put(&mut out, &format!("#EXT-X-MAP:URI=\"parts/init-{init}.mp4\""));
        }
        put(&mut out, &format!("#EXT-X-PROGRAM-DATE-TIME:{}", instant(run.first.at_wall)));
        put(&mut out, &format!("#EXTINF:{},", seconds(run.length_us)));
        match form {
            RangeForm::Whole => {
                put(&mut out, &format!("#EXT-X-BYTERANGE:{}@{}", run.size, run.first.at));
                put(&mut out, &format!("../{id}.mp4"));
            }
            RangeForm::Preview => put(&mut out, &format!("parts/{}.m4s", run.number)),
        }
    }
    put(&mut out, "#EXT-X-ENDLIST");
    out
}

fn put(out: &mut String, line: &str) {
    writeln!(out, "{line}").expect("writing to a string should not fail");
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use vms_app::model::TimelineGap;
    use vms_app::words::Cause;
    use vms_core::WallTime;

    use super::*;

    fn part(at: u64, shows_s: u64, wall_s: i64, (is_key, init, is_jump): (bool, u32, bool)) -> RangePart {
        let at_wall = WallTime::from_secs(1_795_345_200 + wall_s);
        let (shows_us, length_us) = (shows_s * 1_000_000, 1_000_000);
        RangePart { at, size: 100, shows_us, length_us, at_wall, init, is_key, is_jump }
    }

    #[test]
    fn a_playlist_says_where_the_bytes_are_and_when_they_were() {
        let key = (true, 1, false);
        let mut parts: Vec<RangePart> = (0..6).map(|n| part(1_000 + n * 100, n, n.cast_signed(), key)).collect();
        // A fragment in the middle of a group of pictures is no place to cut.
        parts[4].is_key = false;
        parts.push(part(1_600, 20, 20, (true, 2, true)));
        let inits = vec![Bytes::from_static(b"all"), Bytes::from_static(b"one"), Bytes::from_static(b"two")];
        let gap = TimelineGap {
            from: WallTime::from_secs(1_795_345_206),
            to: WallTime::from_secs(1_795_345_220),
            cause: Cause::Silent,
        };
        let info = RangeInfo {
            size: 1_700,
            etag: "e".to_owned(),
            mime: "video/mp4".to_owned(),
            starts_at: parts[0].at_wall,
            ends_at: WallTime::from_secs(1_795_345_221),
            gaps: vec![gap],
            start_offset_us: 840_000,
            clock: Vec::new(),
        };
        let parts = RangeParts { parts, inits };
        let expected = "#EXTM3U
#EXT-X-VERSION:7
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-TARGETDURATION:5
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-START:TIME-OFFSET=0.840000,PRECISE=YES
#EXT-X-DATERANGE:ID=\"gap-0\",CLASS=\"eu.belfry.gap\",START-DATE=\"2026-11-22T11:00:06.000000Z\",DURATION=14.000000,X-CAUSE=\"silent\"
#EXT-X-MAP:URI=\"parts/init-1.mp4\"
#EXT-X-PROGRAM-DATE-TIME:2026-11-22T11:00:00.000000Z
#EXTINF:5.000000,
#EXT-X-BYTERANGE:500@1000
../dec_1.mp4
#EXT-X-PROGRAM-DATE-TIME:2026-11-22T11:00:05.000000Z
#EXTINF:1.000000,
#EXT-X-BYTERANGE:100@1500
../dec_1.mp4
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI=\"parts/init-2.mp4\"
#EXT-X-PROGRAM-DATE-TIME:2026-11-22T11:00:20.000000Z
#EXTINF:1.000000,
#EXT-X-BYTERANGE:100@1600
../dec_1.mp4
#EXT-X-ENDLIST
";
        assert_eq!(playlist("dec_1", &info, RangeForm::Whole, &parts), expected);
        let preview = playlist("dec_1", &info, RangeForm::Preview, &parts);
        assert_eq!(preview.matches("#EXTINF:1.000000,\nparts/").count(), 7);
        assert!(!preview.contains("BYTERANGE") && !preview.contains("INDEPENDENT"), "{preview}");
    }
}
