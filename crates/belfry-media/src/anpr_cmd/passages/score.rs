//! What the reader made of a film against what drove through it. Pure.

/// A read this long before or after its vehicle crosses the line can be that vehicle's, seconds.
const REACH_S: f64 = 6.0;

/// A vehicle that drives through the picture.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Driven {
    pub(super) plate: String,
    /// Seconds into the film at the read line.
    pub(super) at: f64,
    /// Middle of its plate at the line, pixels.
    pub(super) place: (f64, f64),
    /// Wholly inside the film, so that it counts.
    pub(super) counts: bool,
}

/// A passage that the reader told.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) text: String,
    pub(super) confidence: f64,
    pub(super) at: f64,
    pub(super) place: (f64, f64),
    pub(super) looks: usize,
}

/// What became of one vehicle: `told` is empty when it was not read, its first item is its read otherwise.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fate {
    pub(super) driven: usize,
    pub(super) read: Option<usize>,
    pub(super) right: bool,
}

/// The fates of the vehicles that count, and the reads that are no vehicle's: second reads of one, and ghosts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Verdict {
    pub(super) fates: Vec<Fate>,
    /// The right text a second time.
    pub(super) again: Vec<usize>,
    /// A wrong text beside the vehicle's own read, or where nothing drove.
    pub(super) ghosts: Vec<usize>,
}

/// Gives every read to a vehicle: equal texts first, then wrong ones to the nearest vehicle that has none yet.
/// The film of `seconds` is a loop: who crosses the line at its start is in the picture at its end.
pub(super) fn judge(driven: &[Driven], told: &[Told], seconds: f64) -> Verdict {
    let apart = |a: f64, b: f64| {
        let gap = (a - b).rem_euclid(seconds);
        gap.min(seconds - gap)
    };
    let mut read_of: Vec<Option<usize>> = vec![None; driven.len()];
    let mut verdict = Verdict::default();
    let mut wrong = Vec::new();
    for (r, read) in told.iter().enumerate() {
        let near = |d: &Driven| apart(d.at, read.at) <= REACH_S && d.plate == read.text;
        let own = driven.iter().zip(&read_of).position(|(d, taken)| taken.is_none() && near(d));
        if let Some(slot) = own.and_then(|d| read_of.get_mut(d)) {
            *slot = Some(r);
        } else if let Some(known) = driven.iter().find(|d| near(d)) {
            // Who crosses the line near the loop's seam is in the picture at both ends of the film.
            if known.counts && (known.at - read.at).abs() <= REACH_S {
                verdict.again.push(r);
            }
        } else {
            wrong.push((r, read));
        }
    }
    let right = read_of.clone();
    for (r, read) in wrong {
        let free = driven.iter().zip(&read_of).enumerate().filter(|(_, (_, taken))| taken.is_none());
        let near = free.filter(|(_, (d, _))| apart(d.at, read.at) <= REACH_S);
        // A second of time weighs like 120 pixels: about what a plate moves.
        let far = |d: &Driven| apart(d.at, read.at) * 120.0 + (d.place.0 - read.place.0).abs();
        let best = near.min_by(|(_, (a, _)), (_, (b, _))| far(a).total_cmp(&far(b))).map(|(d, _)| d);
        match best.and_then(|d| read_of.get_mut(d)) {
            Some(slot) => *slot = Some(r),
            None => verdict.ghosts.push(r),
        }
    }
    let fates = driven.iter().zip(read_of).zip(right).enumerate().filter(|(_, ((d, _), _))| d.counts);
    verdict.fates = fates.map(|(driven, ((_, read), right))| Fate { driven, read, right: right.is_some() }).collect();
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    fn driven(plate: &str, at: f64, x: f64) -> Driven {
        Driven { plate: plate.to_owned(), at, place: (x, 500.0), counts: at > 2.0 }
    }

    fn told(text: &str, at: f64, x: f64) -> Told {
        Told { text: text.to_owned(), confidence: 0.9, at, place: (x, 500.0), looks: 3 }
    }

    #[test]
    fn every_read_finds_its_vehicle() {
        let all = [driven("AB12", 1.0, 100.0), driven("CD34", 5.0, 100.0), driven("EF56", 5.5, 900.0)];
        let fate = |driven, read, right| Fate { driven, read, right };
        for (name, reads, fates, again, ghosts) in [
            ("nothing read", vec![], vec![fate(1, None, false), fate(2, None, false)], vec![], vec![]),
            (
                "all read, one twice",
                vec![
                    told("AB12", 1.2, 90.0),
                    told("EF56", 5.0, 880.0),
                    told("CD34", 4.8, 90.0),
                    told("EF56", 6.0, 9.0),
                ],
                vec![fate(1, Some(2), true), fate(2, Some(1), true)],
                vec![3],
                vec![],
            ),
            (
                "a wrong text goes to the vehicle at its place",
                vec![told("AB12", 1.2, 90.0), told("EF58", 5.2, 880.0)],
                vec![fate(1, None, false), fate(2, Some(1), false)],
                vec![],
                vec![],
            ),
            (
                "too many reads",
                vec![told("EF56", 5.2, 880.0), told("CD34", 5.2, 90.0), told("AB12", 1.0, 1.0), told("XX", 5.0, 80.0)],
                vec![fate(1, Some(1), true), fate(2, Some(0), true)],
                vec![],
                vec![3],
            ),
            (
                "the text of another time is wrong, and of the loop's other end it is not",
                vec![told("CD34", 30.0, 90.0), told("AB12", 59.0, 90.0)],
                vec![fate(1, None, false), fate(2, None, false)],
                vec![],
                vec![0],
            ),
        ] {
            assert_eq!(judge(&all, &reads, 60.0), Verdict { fates, again, ghosts }, "{name}");
        }
    }
}
