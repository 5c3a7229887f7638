//! The disk ladder: what gives way first when the disk that footage lies on runs full, and whether cameras and disk fit at all.
//!
//! Belongs here: functions of values (reliability 4.1.9). Does not belong here: asking the disk, erasing (`sweep`), moving to the object
//! store (`tiers`).
//!
//! Headroom is the time for which the cameras may go on as they do now. There are two bounds: the volume, which others fill
//! too, and the cap that the configuration sets for footage. Below twelve hours there is an alarm; below four local copies go that the object
//! store is known to have; below two what is optional stops, where it is the volume that runs full (the cap is for footage alone,
//! so that nothing optional takes of it); below half an hour of the volume, or over the cap, the oldest footage of the least important
//! class goes, each batch with a record of the loss. What is held never goes.

use std::time::Duration;

/// Below this there is an alarm.
pub const ALARM: Duration = Duration::from_hours(12);
/// Below this local copies go that were verified remotely.
pub const SHED: Duration = Duration::from_hours(4);
/// Below this previews, exports and sub-streams stop.
pub const SPARE: Duration = Duration::from_hours(2);
/// Below this footage goes before its term.
pub const LOSE: Duration = Duration::from_mins(30);

/// On a small volume half an hour may be more than there is: never more than this part of it is made free.
const LOSE_PART: u64 = 20;

/// A camera whose rate is not known is reckoned with this, bits per second (blueprint 1).
pub const RATE_DEFAULT: u64 = 4_000_000;

/// What the decision depends on. Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Size of the volume.
    pub volume: u64,
    /// Free on it.
    pub free: u64,
    /// Kept free for index and databases: below it nothing is recorded.
    pub reserve: u64,
    /// Footage on it, growing files counted in.
    pub used: u64,
    /// What footage may take; `None`: what the volume has.
    pub cap: Option<u64>,
    /// What arrives to be recorded, per second.
    pub rate: u64,
    /// Of the footage: local copies that the object store has and that were compared with it.
    pub verified: u64,
    /// Of the footage: what a hold keeps. It never goes.
    pub held: u64,
}

/// How far down the ladder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rung {
    /// Room for twelve hours and more.
    #[default]
    Ample,
    /// Less than twelve hours.
    Alarm,
    /// Less than four: what lies elsewhere goes here.
    Shed,
    /// Less than two: what is optional stops.
    Spare,
    /// Less than half an hour, or over the cap: footage goes before its term.
    Lose,
    /// The same, and there is nothing that may go: recording stops when the space is used up.
    Exhausted,
}

impl Rung {
    /// Stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ample => "ample",
            Self::Alarm => "alarm",
            Self::Shed => "shed",
            Self::Spare => "spare",
            Self::Lose => "lose",
            Self::Exhausted => "exhausted",
        }
    }

    /// Number of the rung for a figure: 0 is the top.
    pub const fn number(self) -> u8 {
        match self {
            Self::Ample => 0,
            Self::Alarm => 1,
            Self::Shed => 2,
            Self::Spare => 3,
            Self::Lose => 4,
            Self::Exhausted => 5,
        }
    }
}

/// What to do now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Where one stands.
    pub rung: Rung,
    /// For so long there is room; `None`: nothing arrives, or the cap is reached before the volume and there is no end to that.
    pub headroom: Option<Duration>,
    /// Bytes of verified local copies to drop.
    pub shed: u64,
    /// Previews, exports and sub-streams are not made.
    pub spares: bool,
    /// Bytes of footage to erase before its term, the least important first.
    pub lose: u64,
}

fn lasts(bytes: u64, rate: u64) -> Option<Duration> {
    (rate > 0).then(|| Duration::from_secs(bytes / rate))
}

fn needs(rate: u64, span: Duration) -> u64 {
    rate.saturating_mul(span.as_secs())
}

/// Where on the ladder, and what to do.
pub fn look(space: &Space) -> Look {
    let Space { volume, free, reserve, used, cap, rate, verified, held } = *space;
    let usable = free.saturating_sub(reserve);
    let left = cap.map_or(u64::MAX, |cap| cap.saturating_sub(used));
    let over = cap.map_or(0, |cap| used.saturating_sub(cap));
    // Where the cap is reached first, footage never takes more of the volume than that.
    let volume_lasts = if left < usable { None } else { lasts(usable, rate) };
    let headroom = lasts(left.min(usable), rate);
    let is_below = |bound: Duration, has: Option<Duration>| has.is_some_and(|has| has < bound);
    // With nothing arriving the reserve still has to be there.
    let floor = needs(rate, LOSE).min(volume / LOSE_PART);
    let short = if left < usable { 0 } else { floor.saturating_add(reserve).saturating_sub(free) };
    let wanted = over.max(short);
    let (shed, may_lose) = if is_below(SHED, headroom) || wanted > 0 {
        let below = over.max(reserve.saturating_sub(free));
        let target = needs(rate, SHED).saturating_add(below).saturating_sub(left.min(usable)).max(wanted);
        (verified.min(target), used.saturating_sub(held).saturating_sub(verified))
    } else {
        (0, 0)
    };
    // What is shed makes room in the same look.
    let lose = wanted.saturating_sub(shed).min(may_lose);
    let spares = is_below(SPARE, volume_lasts) || short > 0;
    let rung = if wanted > shed.saturating_add(lose) {
        Rung::Exhausted
    } else if lose > 0 {
        Rung::Lose
    } else if spares {
        Rung::Spare
    } else if is_below(SHED, headroom) {
        Rung::Shed
    } else if is_below(ALARM, headroom) {
        Rung::Alarm
    } else {
        Rung::Ample
    };
    Look { rung, headroom, shed, spares, lose }
}

/// One stream that is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Bits per second, measured or reckoned.
    pub bits_per_s: u64,
    /// Seconds that it is to be kept.
    pub keep_s: u64,
}

/// Where footage may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Size of the volume, bytes.
    pub volume: u64,
    /// Of it: free, or taken by footage.
    pub for_footage: u64,
    /// Kept free.
    pub reserve: u64,
    /// Cap of the configuration.
    pub cap: Option<u64>,
    /// Hours that footage stays on this disk at most before the object store alone has it; `None`: there is no object store.
    pub hot_hours: Option<u32>,
}

/// Whether cameras and disk fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// How many streams.
    pub streams: usize,
    /// Bytes that their terms need on this disk.
    pub needs: u64,
    /// Bytes that there are.
    pub has: u64,
    /// Footage can be kept for so long, where the longest term is not reached.
    pub keeps: Option<Duration>,
    /// The longest term on this disk.
    pub longest: Duration,
    /// The cap is larger than what the volume can give.
    pub is_cap_too_large: bool,
}

impl Admission {
    /// Every term can be kept.
    pub const fn fits(&self) -> bool {
        self.needs <= self.has
    }

    /// With figures, for a person.
    pub fn words(&self) -> String {
        let gib = |bytes: u64| format!("{}.{} GiB", bytes >> 30, (bytes >> 20) % 1024 * 10 / 1024);
        let days =
            |span: Duration| format!("{}.{} days", span.as_secs() / 86_400, span.as_secs() % 86_400 * 10 / 86_400);
        let (streams, needs, has, longest) = (self.streams, gib(self.needs), gib(self.has), days(self.longest));
        let mut words = format!("{streams} streams for up to {longest} need {needs}, there are {has}");
        if let Some(keeps) = self.keeps {
            let keeps = days(keeps);
            words.push_str(&format!(": footage would go after about {keeps}, before its term"));
        }
        if self.is_cap_too_large {
            words.push_str("; `recorder.disk_cap_mib` is more than the volume has");
        }
        words
    }
}

/// Index, databases, rounding to blocks, footage of the hour that dies: so much is added, in thousandths.
const OVERHEAD: u64 = 10;

/// Compares what the terms need with what there is.
pub fn admit(needs: &[Need], place: &Place) -> Admission {
    let here = |keep_s: u64| place.hot_hours.map_or(keep_s, |hours| keep_s.min(u64::from(hours).saturating_mul(3_600)));
    let of = |need: &Need, span_s: u64| (need.bits_per_s / 8).saturating_mul(span_s);
    let all = |longest_s: u64| -> u64 {
        let bytes =
            needs.iter().fold(0_u64, |sum, need| sum.saturating_add(of(need, here(need.keep_s).min(longest_s))));
        bytes.saturating_add(bytes / 1_000 * OVERHEAD)
    };
    let longest_s = needs.iter().map(|need| here(need.keep_s)).max().unwrap_or(0);
    let volume_has = place.for_footage.saturating_sub(place.reserve);
    let has = place.cap.map_or(volume_has, |cap| cap.min(volume_has));
    let needed = all(longest_s);
    let keeps = (needed > has).then(|| {
        // The oldest goes first, whosever it is: the span at which all together fill the disk.
        let (mut low, mut high) = (0, longest_s);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if all(middle) <= has { low = middle } else { high = middle - 1 }
        }
        Duration::from_secs(low)
    });
    Admission {
        streams: needs.len(),
        needs: needed,
        has,
        keeps,
        longest: Duration::from_secs(longest_s),
        is_cap_too_large: place.cap.is_some_and(|cap| cap > volume_has),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    /// 100 GiB, 36 MiB/s less than a tenth of a TiB an hour; nothing else on it.
    fn space(free: u64) -> Space {
        Space { volume: 1_000 * GIB, free, reserve: GIB, used: 700 * GIB, rate: GIB / 360, ..Space::default() }
    }

    #[test]
    fn each_rung_does_its_own_and_what_comes_before_it() {
        // Ten GiB an hour.
        for (free, verified, held, wanted) in [
            (500, 0, 0, (Rung::Ample, 0, false, 0)),
            (122, 300, 0, (Rung::Ample, 0, false, 0)),
            (120, 300, 0, (Rung::Alarm, 0, false, 0)),
            (42, 300, 0, (Rung::Alarm, 0, false, 0)),
            (31, 300, 0, (Rung::Shed, 10, false, 0)),
            (31, 0, 0, (Rung::Shed, 0, false, 0)),
            (31, 7, 0, (Rung::Shed, 7, false, 0)),
            (11, 300, 0, (Rung::Spare, 30, true, 0)),
            (11, 0, 0, (Rung::Spare, 0, true, 0)),
            // Half an hour and the reserve: six GiB.
            (5, 0, 0, (Rung::Lose, 0, true, 1)),
            (0, 0, 0, (Rung::Lose, 0, true, 6)),
            // What the object store has goes before anything is lost.
            (0, 300, 0, (Rung::Spare, 41, true, 0)),
            (0, 4, 0, (Rung::Lose, 4, true, 2)),
            // Held footage never goes.
            (0, 0, 698, (Rung::Exhausted, 0, true, 2)),
            (0, 0, 700, (Rung::Exhausted, 0, true, 0)),
            (0, 2, 697, (Rung::Exhausted, 2, true, 1)),
        ] {
            let space = Space { verified: verified * GIB, held: held * GIB, ..space(free * GIB) };
            let found = look(&space);
            let gib = |bytes: u64| (bytes + GIB / 4) / GIB;
            let found_short = (found.rung, gib(found.shed), found.spares, gib(found.lose));
            assert_eq!(found_short, wanted, "{free} free, {verified} verified, {held} held");
        }
    }

    #[test]
    fn a_cap_is_kept_by_losing_and_stops_nothing_else() {
        let capped = |used: u64, cap: u64| Space { used: used * GIB, cap: Some(cap * GIB), ..space(500 * GIB) };
        for (used, cap, verified, wanted) in [
            (100, 400, 0, (Rung::Ample, 0, 0)),
            (300, 400, 0, (Rung::Alarm, 0, 0)),
            (399, 400, 0, (Rung::Shed, 0, 0)),
            (399, 400, 100, (Rung::Shed, 39, 0)),
            (400, 400, 0, (Rung::Shed, 0, 0)),
            (410, 400, 0, (Rung::Lose, 0, 10)),
            (410, 400, 100, (Rung::Shed, 50, 0)),
        ] {
            let found = look(&Space { verified: verified * GIB, ..capped(used, cap) });
            let gib = |bytes: u64| (bytes + GIB / 4) / GIB;
            assert_eq!((found.rung, gib(found.shed), gib(found.lose)), wanted, "{used} of {cap}");
            assert!(!found.spares, "the volume has room");
        }
    }

    #[test]
    fn with_nothing_to_record_there_is_no_end_and_the_reserve_is_kept() {
        let still = Space { rate: 0, ..space(500 * GIB) };
        assert_eq!(look(&still), Look::default());
        let full = look(&Space { free: GIB / 2, ..still });
        assert_eq!((full.rung, full.lose), (Rung::Lose, GIB / 2));
        // A volume that holds less than half an hour is not emptied for it.
        let small = Space {
            volume: 200 << 20,
            free: 8 << 20,
            reserve: 4 << 20,
            used: 60 << 20,
            rate: 1 << 20,
            ..Space::default()
        };
        let found = look(&small);
        assert_eq!((found.rung, found.lose), (Rung::Lose, 6 << 20));
    }

    #[test]
    fn what_does_not_fit_is_said_with_figures() {
        let place = Place {
            volume: 2_200_000 << 30,
            for_footage: 2_200_000 << 30,
            reserve: 20 << 30,
            cap: None,
            hot_hours: None,
        };
        let region = vec![Need { bits_per_s: RATE_DEFAULT, keep_s: 30 * 86_400 }; 1_457];
        let found = admit(&region, &place);
        assert!(found.fits() && found.keeps.is_none());
        // 1.9 PB (blueprint 1), with a hundredth for what is beside it.
        assert_eq!(found.needs / 1_000_000_000_000, 1_907);
        // Half of it is there: fifteen days.
        let half = admit(&region, &Place { cap: Some(found.needs / 2), ..place });
        assert!(!half.fits() && !half.is_cap_too_large);
        assert_eq!(half.keeps.unwrap().as_secs() / 3_600, 15 * 24);
        assert!(half.words().contains("15.0 days"), "{}", half.words());
        // With an object store behind it two days on this disk are enough.
        assert!(admit(&region, &Place { cap: Some(found.needs / 15), hot_hours: Some(48), ..place }).fits());
        // Short terms first: a camera that is kept a day loses nothing while the others do.
        let mixed = [Need { bits_per_s: 8_000, keep_s: 86_400 }, Need { bits_per_s: 8_000, keep_s: 864_000 }];
        let found = admit(
            &mixed,
            &Place { volume: 1 << 40, for_footage: 400_000_000, reserve: 0, cap: Some(1 << 40), hot_hours: None },
        );
        assert!(found.is_cap_too_large && !found.fits());
        assert_eq!(found.keeps.unwrap().as_secs(), 309_639);
        assert!(admit(&[], &place).fits());
    }

    #[test]
    fn no_figure_breaks_it() {
        for rate in [0, 1, u64::MAX] {
            for free in [0, 1, u64::MAX] {
                for cap in [None, Some(0), Some(u64::MAX)] {
                    let found = look(&Space {
                        volume: u64::MAX,
                        free,
                        reserve: free,
                        used: u64::MAX,
                        cap,
                        rate,
                        verified: free,
                        held: 0,
                    });
                    assert!(found.lose <= u64::MAX - free, "what is verified elsewhere is not lost: {found:?}");
                    let fits = admit(
                        &[Need { bits_per_s: rate, keep_s: free }],
                        &Place { volume: free, for_footage: free, reserve: rate, cap, hot_hours: Some(1) },
                    );
                    assert_eq!(fits.keeps.is_none(), fits.fits());
                }
            }
        }
    }
}
