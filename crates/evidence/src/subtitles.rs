//! Wall-clock subtitles (WebVTT): what time it was, once per fragment, for a player that shows them.

use crate::times::Utc;

/// First line of the file.
pub(crate) const HEADER: &str = "WEBVTT\n\n";

/// One cue from `start` to `end` of media time, ticks of 1/90,000 s.
pub(crate) fn cue(start: u64, end: u64, at: Utc, camera: &str) -> String {
    let name: String = camera.chars().map(|c| if "<>&\n\r".contains(c) { ' ' } else { c }).collect();
    format!("{} --> {}\n{} {name}\n\n", stamp(start), stamp(end), at.local())
}

fn stamp(ticks: u64) -> String {
    let ms = ticks / 90;
    format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cue_tells_the_time_of_the_region() {
        let at = Utc::parse("2026-11-22T10:23:11.120000Z").unwrap();
        let wanted = "01:00:00.000 --> 01:00:01.000\n2026-11-22 11:23:11.120 +01:00 Kunstlaan b \n\n";
        assert_eq!(cue(324_000_000, 324_090_000, at, "Kunstlaan<b>"), wanted);
    }
}
