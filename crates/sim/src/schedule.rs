//! When which access unit leaves a camera: a pure function of the time since the server started.
//!
//! A camera replays its film in an endless loop from its own phase. Unit `n` of its stream, its timestamps and its due
//! time follow from `n` alone, so every viewer of a camera sees the same counters and no task runs while nobody looks.

use std::sync::Arc;
use std::time::Duration;

use crate::film::{Film, FilmUnit};

/// One stream of one camera in time.
#[derive(Clone, Debug)]
pub struct Schedule {
    film: Arc<Film>,
    /// Where in the film the stream stands at the server's start, ticks, below the film's duration.
    phase: i64,
    /// Index in the film of the first unit at or after `phase`.
    first: u64,
}

/// One unit as it is sent.
#[derive(Debug)]
pub struct Due<'a> {
    /// Its counter: 0 for the first unit after the server's start.
    pub counter: u64,
    /// The film's unit.
    pub unit: &'a FilmUnit,
    /// Presentation time on the endless stream, 90 kHz ticks.
    pub pts: i64,
    /// When it is due, since the server's start.
    pub after: Duration,
}

impl Schedule {
    /// A stream that starts `phase` into the film (taken modulo its length).
    pub fn new(film: Arc<Film>, phase: Duration) -> Self {
        let phase = ticks(phase).rem_euclid(film.duration().max(1));
        let first = film.units().partition_point(|u| u.dts < phase);
        Self { first: u64::try_from(first).unwrap_or(0), film, phase }
    }

    /// The film.
    pub fn film(&self) -> &Arc<Film> {
        &self.film
    }

    /// Position on the endless stream at `since_start`, ticks: what a timestamp "now" would be.
    pub fn position(&self, since_start: Duration) -> i64 {
        self.phase.saturating_add(ticks(since_start))
    }

    /// Unit number `counter`, counted from the server's start. `None` only past the end of 64-bit time.
    pub fn due(&self, counter: u64) -> Option<Due<'_>> {
        let len = u64::try_from(self.film.units().len()).ok()?;
        let absolute = self.first.checked_add(counter)?;
        let base = i64::try_from(absolute.checked_div(len)?).ok()?.checked_mul(self.film.duration())?;
        let unit = self.film.units().get(usize::try_from(absolute.checked_rem(len)?).ok()?)?;
        let after = base.checked_add(unit.dts)?.checked_sub(self.phase)?;
        Some(Due { counter, unit, pts: base.checked_add(unit.pts)?, after: from_ticks(after) })
    }

    /// Counter of the first unit that is due at or after `since_start`.
    pub fn counter_at(&self, since_start: Duration) -> u64 {
        let position = self.position(since_start);
        let duration = self.film.duration().max(1);
        let loops = u64::try_from(position.div_euclid(duration)).unwrap_or(0);
        let inside = position.rem_euclid(duration);
        let len = u64::try_from(self.film.units().len()).unwrap_or(1);
        let index = u64::try_from(self.film.units().partition_point(|u| u.dts < inside)).unwrap_or(0);
        loops.saturating_mul(len).saturating_add(index).saturating_sub(self.first)
    }
}

fn ticks(span: Duration) -> i64 {
    i64::try_from(span.as_nanos().saturating_mul(9) / 100_000).unwrap_or(i64::MAX)
}

/// Rounded up, so that `counter_at(due(n).after) == n`.
fn from_ticks(ticks: i64) -> Duration {
    let nanos = i128::from(ticks.max(0)).saturating_mul(100_000).saturating_add(8) / 9;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::film::FilmTiming;
    use vms_core::Codec;

    fn film() -> Arc<Film> {
        let stream = crate::film::tests::tiny_annex_b(50, 25);
        Arc::new(Film::from_annex_b(Codec::H264, &stream, FilmTiming { frames: 30_000, per_seconds: 1001 }).unwrap())
    }

    #[test]
    fn time_goes_on_over_the_seam() {
        for phase_ms in [0, 1, 700, 1_668, 5_000] {
            let schedule = Schedule::new(film(), Duration::from_millis(phase_ms));
            let mut last: Option<(i64, Duration)> = None;
            for n in 0..175 {
                let due = schedule.due(n).unwrap();
                if let Some((pts, after)) = last {
                    assert_eq!(due.pts - pts, 3003, "unit {n}");
                    assert!(due.after > after);
                }
                last = Some((due.pts, due.after));
                assert_eq!(schedule.counter_at(due.after), n, "phase {phase_ms}");
            }
        }
    }

    #[test]
    fn positions_and_units_agree() {
        let schedule = Schedule::new(film(), Duration::from_millis(123));
        let due = schedule.due(100).unwrap();
        assert_eq!(schedule.position(due.after), due.pts); // no reordering in this film
    }
}
