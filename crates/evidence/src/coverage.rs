//! What a camera's footage covers, and which holes it has: the noted ones, and those that nobody noted.

use serde::{Deserialize, Serialize};

use crate::manifest::{CameraFacts, CameraReport, Gap, SegmentFact};
use crate::papers::NOT_NOTED;
use crate::port::Frames;
use crate::times::Utc;

/// Shortest hole that is told, microseconds (reliability R12).
const HOLE_US: i64 = 200_000;

/// Rest of a hole beside a noted gap that is still told: recorders note arrivals, frames have lengths.
const REST_US: i64 = 1_000_000;

/// One camera so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CameraState {
    noted: Vec<Gap>,
    holes: Vec<(Utc, Utc)>,
    segments: Vec<SegmentFact>,
    first: Option<Utc>,
    last: Option<LastFrames>,
}

/// The newest frames of a camera.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LastFrames {
    end: Utc,
    end_dts: i64,
}

impl CameraState {
    /// Notes where the frames that follow come from.
    pub(crate) fn segment(&mut self, fact: SegmentFact) {
        if self.segments.iter().all(|known| known.id != fact.id) {
            self.segments.push(fact);
        }
    }

    /// Notes a hole that the recorder knows of.
    pub(crate) fn gap(&mut self, gap: Gap) {
        self.noted.push(gap);
    }

    /// Notes the time that `frames` cover, and a hole before them; gives where the camera's footage has come to. `film_hole`: what
    /// the film's timeline shows as a hole, ticks. Arrivals waver, so the two may differ by some frames: a hole that only the film shows is told too.
    pub(crate) fn note(&mut self, frames: &Frames, film_hole: u64) -> Utc {
        let first = frames.fragment.first();
        let arrived = Utc(first.clocks.wall);
        if let Some(last) = self.last {
            let hole = if frames.same_clock {
                first.dts.ticks_90k.saturating_sub(last.end_dts).saturating_mul(100) / 9
            } else {
                arrived.micros().saturating_sub(last.end.micros())
            };
            let shown = i64::try_from(film_hole).unwrap_or(i64::MAX).saturating_mul(100) / 9;
            let hole = if hole > HOLE_US { hole } else { hole.max(shown) };
            if hole > HOLE_US {
                self.holes.push((last.end, Utc::from_micros(last.end.micros().saturating_add(hole))));
            }
        }
        let ticks = i64::try_from(frames.fragment.ticks()).unwrap_or(i64::MAX);
        let end = Utc::from_micros(arrived.micros().saturating_add(ticks.saturating_mul(100) / 9));
        self.first.get_or_insert(arrived);
        self.last = Some(LastFrames { end, end_dts: first.dts.ticks_90k.saturating_add(ticks) });
        end
    }

    /// Every hole of the span: noted ones with their cause, the others as `not_noted`.
    pub(crate) fn report(&self, facts: CameraFacts, (from, to): (Utc, Utc)) -> CameraReport {
        let mut holes = self.holes.clone();
        match (self.first, self.last) {
            (Some(first), Some(last)) => {
                holes.push((from, first));
                holes.push((last.end, to));
            }
            (None, None) | (Some(_), None) | (None, Some(_)) => holes.push((from, to)),
        }
        let mut gaps = self.noted.clone();
        for (start, end) in holes {
            gaps.extend(unexplained(start, end, &self.noted));
        }
        gaps.sort_by_key(|gap| (gap.from, gap.to));
        let (delivered_from, delivered_to) = (self.first, self.last.map(|last| last.end));
        CameraReport { facts, delivered_from, delivered_to, gaps, segments: self.segments.clone() }
    }
}

/// What of a hole no noted gap explains.
fn unexplained(start: Utc, end: Utc, noted: &[Gap]) -> Vec<Gap> {
    let mut rests = vec![(start.micros(), end.micros())];
    let mut shortest = HOLE_US;
    for gap in noted {
        let (from, to) = (gap.from.micros(), gap.to.micros());
        if from < end.micros() && start.micros() < to {
            shortest = REST_US;
        }
        rests = rests
            .into_iter()
            .flat_map(|(a, b)| if to <= a || b <= from { [(a, b), (b, b)] } else { [(a, from), (to, b)] })
            .filter(|(a, b)| a < b)
            .collect();
    }
    let long = rests.into_iter().filter(|(a, b)| b.saturating_sub(*a) > shortest);
    let gap = |(a, b)| Gap { from: Utc::from_micros(a), to: Utc::from_micros(b), cause: NOT_NOTED.to_owned() };
    long.map(gap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_noted_gap_explains_the_hole_around_it() {
        let at = |tens_of_ms: i64| Utc::from_micros(tens_of_ms * 10_000);
        let gap = |from, to| Gap { from: at(from), to: at(to), cause: "silent".to_owned() };
        let told = |start, end, noted: &[Gap]| {
            unexplained(at(start), at(end), noted).iter().map(|gap| (gap.from, gap.to)).collect::<Vec<_>>()
        };
        // Hole, noted gaps, what is told beside them.
        assert_eq!(told(1000, 1010, &[]), []);
        assert_eq!(told(1000, 1030, &[]), [(at(1000), at(1030))]);
        assert_eq!(told(1000, 2000, &[gap(1004, 1990)]), []);
        assert_eq!(told(1000, 2000, &[gap(1000, 1300), gap(1300, 2000)]), []);
        assert_eq!(told(1000, 2000, &[gap(1200, 1300)]), [(at(1000), at(1200)), (at(1300), at(2000))]);
        assert_eq!(told(1000, 2000, &[gap(3000, 4000)]), [(at(1000), at(2000))]);
        assert_eq!(told(2000, 1000, &[]), [], "no hole");
    }
}
