//! Many looks at one plate → one read with a calibrated confidence. Pure: looks in, a value out.

use std::collections::BTreeMap;

use vms_core::{MonoTime, Plate, WallTime};

use crate::ctc::Reading;
use crate::grammar::Grammar;
use crate::rectify::{self, Quad};

/// Looks follow each other in the same light from the same angle and err alike: `n` of them count as `n` to this power.
const INDEPENDENCE: f64 = 0.6;

/// Width of a plate in pixels from which more pixels tell no more (anpr.md 4.5: unreadable under about 80 for many
/// readers, sharp from there).
pub const WIDTH_ENOUGH: f32 = 90.0;

/// A look whose plate touches the edge of the picture may show only part of the text.
const EDGE_WEIGHT: f64 = 0.05;

/// Texts considered at most.
const TEXTS_MAX: usize = 64;

/// A shorter text is no read: one to three digits are court plates that OCR must never accept alone (domain.md F1).
const TEXT_LEN_MIN: usize = 4;

/// The width of the plate must change by this factor before we speak of a direction.
const DIRECTION_RATIO: f32 = 1.12;

/// One look at a plate.
#[derive(Clone, Debug)]
pub struct Look {
    /// Host monotonic time of the picture.
    pub mono: MonoTime,
    /// Wall time of the picture.
    pub at: WallTime,
    /// Probability that it is a plate.
    pub score: f32,
    /// Corners, pixels.
    pub quad: Quad,
    /// Possible texts.
    pub reading: Reading,
    /// The box touches the edge of the picture.
    pub cut_off: bool,
}

impl Look {
    /// What this look is worth beside others, 0..=1.
    pub fn worth(&self) -> f64 {
        let (width, _) = rectify::size_of(&self.quad);
        let size = f64::from((width / WIDTH_ENOUGH).clamp(0.1, 1.0));
        let edge = if self.cut_off { EDGE_WEIGHT } else { 1.0 };
        size * edge * f64::from(self.score.clamp(0.0, 1.0))
    }

    /// Orders looks for the evidence picture.
    pub fn rank(&self) -> f64 {
        self.worth() * (0.05 + self.reading.certainty())
    }
}

/// Which way the vehicle went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards the camera.
    Approaching,
    /// Away from it.
    Leaving,
    /// Cannot be told.
    Unknown,
}

impl Direction {
    /// The word in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approaching => "approaching",
            Self::Leaving => "leaving",
            Self::Unknown => "unknown",
        }
    }
}

/// Raw confidence → probability of being right, straight lines between measured points.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration {
    points: Vec<[f64; 2]>,
}

impl Calibration {
    /// From rising pairs; without any, raw confidence is passed through, but never above 0.99: nothing was measured.
    pub const fn new(points: Vec<[f64; 2]>) -> Self {
        Self { points }
    }

    /// The probability.
    pub fn apply(&self, raw: f64) -> f64 {
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else { return raw.clamp(0.0, 0.99) };
        if raw <= first[0] {
            // Below what was measured, fall straight to 0.
            return if first[0] > 0.0 { first[1] * (raw / first[0]).max(0.0) } else { first[1] };
        }
        let spans = self.points.iter().zip(self.points.iter().skip(1));
        for ([x0, y0], [x1, y1]) in spans {
            if raw <= *x1 {
                return y0 + (y1 - y0) * (raw - x0) / (x1 - x0);
            }
        }
        last[1]
    }
}

/// One passage.
#[derive(Clone, Debug)]
pub struct Fused {
    /// The text.
    pub plate: Plate,
    /// Calibrated probability that the whole text is right.
    pub confidence: f64,
    /// The formats changed what the looks alone would have said.
    pub corrected: bool,
    /// Index of the best look.
    pub best: usize,
    /// Number of looks.
    pub looks: usize,
    /// Which way.
    pub direction: Direction,
}

/// Fuses the looks of one track; `None` when no text of plate length comes out.
pub fn fuse(looks: &[Look], grammar: &Grammar, calibration: &Calibration) -> Option<Fused> {
    let ranked = hypotheses(looks, grammar);
    let best_soft = ranked.iter().max_by(|a, b| a.soft.total_cmp(&b.soft))?;
    let best_seen = ranked.iter().max_by(|a, b| a.seen.total_cmp(&b.seen))?;
    let top = best_soft.soft;
    let sum: f64 = ranked.iter().map(|h| (h.soft - top).exp()).sum();
    // A text that no look names would fit some format as well as the best of them does.
    let format = ranked.iter().map(|h| h.soft - h.seen).fold(0.0, f64::max);
    let other = (none_of_them(looks) + format - top).exp();
    let probability = |h: &Hypothesis| (h.soft - top).exp() / (sum + other);
    let mut raw = probability(best_soft);
    let mut text = best_soft.text.clone();
    let mut corrected = best_soft.text != best_seen.text;
    if let Some(repaired) = grammar.repair(&text) {
        // What the reader itself gave to the repaired text counts whole; what it gave to the text as it stood, half.
        raw = 0.5 * raw + ranked.iter().find(|h| h.text == repaired).map_or(0.0, probability);
        text = repaired;
        corrected = true;
    }
    if text.len() < TEXT_LEN_MIN {
        return None;
    }
    if looks.len() == 1 && !grammar.fits(&text) {
        // A text of no format that was seen once is most often half a plate: the rest was behind a pole or a lorry.
        raw *= 0.5;
    }
    // The best picture is one that shows the text, not the one with the surest other text.
    let shows = |look: &Look| if look.reading.best() == best_seen.text { 1.0 } else { 0.1 };
    let rank = |look: &Look| look.rank() * shows(look);
    let best = looks.iter().enumerate().max_by(|(_, a), (_, b)| rank(a).total_cmp(&rank(b))).map(|(i, _)| i)?;
    Some(Fused {
        plate: Plate::parse(&text).ok()?,
        confidence: calibration.apply(raw),
        corrected,
        best,
        looks: looks.len(),
        direction: direction(looks),
    })
}

struct Hypothesis {
    text: String,
    /// Log-likelihood by the looks alone.
    seen: f64,
    /// With the formats' soft score.
    soft: f64,
}

/// What each look adds to the sum: its worth, scaled so that all together count as fewer.
fn weights(looks: &[Look]) -> Vec<f64> {
    let total: f64 = looks.iter().map(Look::worth).sum();
    // One full look counts as one; many count as a power of their number.
    let together = if total > 1.0 { total.powf(INDEPENDENCE) / total } else { 1.0 };
    looks.iter().map(|look| (look.worth() * together).max(1e-3)).collect()
}

/// Probability that one look leaves to each text it does not name.
fn rest(look: &Look) -> f64 {
    let named: f64 = look.reading.candidates.iter().map(|(_, p)| p).sum();
    ((1.0 - named).max(0.0) * 0.05).clamp(1e-5, 0.05)
}

fn hypotheses(looks: &[Look], grammar: &Grammar) -> Vec<Hypothesis> {
    let mut mass: BTreeMap<&str, f64> = BTreeMap::new();
    for look in looks {
        for (text, p) in &look.reading.candidates {
            *mass.entry(text.as_str()).or_default() += p * look.worth();
        }
    }
    let mut texts: Vec<(&str, f64)> = mass.into_iter().filter(|(text, _)| !text.is_empty()).collect();
    texts.sort_by(|a, b| b.1.total_cmp(&a.1));
    texts.truncate(TEXTS_MAX);
    let weights = weights(looks);
    let likelihood = |text: &str| -> f64 {
        let of = |look: &Look| look.reading.candidates.iter().find(|(t, _)| t == text).map_or(0.0, |(_, p)| *p);
        looks.iter().zip(&weights).map(|(look, w)| w * of(look).max(rest(look)).ln()).sum()
    };
    texts
        .into_iter()
        .map(|(text, _)| {
            let seen = likelihood(text);
            Hypothesis { text: text.to_owned(), seen, soft: seen + grammar.score(text) }
        })
        .collect()
}

/// Log-likelihood of "some text that no look names".
fn none_of_them(looks: &[Look]) -> f64 {
    let named = |look: &Look| look.reading.candidates.iter().map(|(_, p)| p).sum::<f64>();
    looks.iter().zip(weights(looks)).map(|(look, w)| w * (1.0 - named(look)).max(1e-4).ln()).sum()
}

/// By the width of the plate: mean of the first third against mean of the last, cut-off looks left out.
fn direction(looks: &[Look]) -> Direction {
    let widths: Vec<f32> = looks.iter().filter(|l| !l.cut_off).map(|l| rectify::size_of(&l.quad).0).collect();
    let third = widths.len() / 3;
    if third == 0 {
        return Direction::Unknown;
    }
    let mean = |run: &mut dyn Iterator<Item = &f32>| run.take(third).sum::<f32>();
    let (first, last) = (mean(&mut widths.iter()), mean(&mut widths.iter().rev()));
    if last > first * DIRECTION_RATIO {
        Direction::Approaching
    } else if first > last * DIRECTION_RATIO {
        Direction::Leaving
    } else {
        Direction::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(width: f32, candidates: &[(&str, f64)]) -> Look {
        Look {
            mono: MonoTime::default(),
            at: WallTime::default(),
            score: 0.95,
            quad: [(0.0, 0.0), (width, 0.0), (width, width / 4.7), (0.0, width / 4.7)],
            reading: Reading { candidates: candidates.iter().map(|(t, p)| ((*t).to_owned(), *p)).collect() },
            cut_off: false,
        }
    }

    #[test]
    fn looks_become_one_read() {
        let cut = |text| Look { cut_off: true, ..look(100.0, &[(text, 0.99)]) };
        // (looks, text, confidence from, to, corrected)
        let table: [(Vec<Look>, &str, f64, f64, bool); 7] = [
            (vec![look(100.0, &[("1ABC234", 0.98)])], "1ABC234", 0.95, 1.0, false),
            // Two of three agree.
            (
                vec![
                    look(100.0, &[("1ABC234", 0.9)]),
                    look(100.0, &[("1ABC284", 0.6), ("1ABC234", 0.3)]),
                    look(100.0, &[("1ABC234", 0.8)]),
                ],
                "1ABC234",
                0.9,
                1.0,
                false,
            ),
            // Cut-off looks, however sure, count for little.
            (
                vec![cut("BC234"), cut("BC234"), cut("BC234"), look(90.0, &[("1ABC234", 0.9)])],
                "1ABC234",
                0.8,
                1.0,
                false,
            ),
            // A near tie is decided by the format, and says so.
            (vec![look(100.0, &[("1ABCO34", 0.52), ("1ABC034", 0.46)])], "1ABC034", 0.7, 0.99, true),
            // The reader is sure of a character that no format allows: exchanged, flagged, never above even odds.
            (vec![look(100.0, &[("1ABCO34", 0.99)])], "1ABC034", 0.0, 0.5, true),
            // A text that fits nothing and has nothing to exchange is left alone.
            (vec![look(100.0, &[("GWAGEN", 0.9)])], "GWAGEN", 0.85, 1.0, false),
            // A blurred look leaves much to texts it does not name.
            (vec![look(40.0, &[("1ABC234", 0.3)])], "1ABC234", 0.0, 0.75, false),
        ];
        let grammar = Grammar::built_in();
        for (looks, text, low, high, corrected) in table {
            let fused = fuse(&looks, &grammar, &Calibration::new(vec![[0.0, 0.0], [1.0, 1.0]])).unwrap();
            assert_eq!((fused.plate.reveal(), fused.corrected), (text, corrected));
            assert!((low..=high).contains(&fused.confidence), "{text}: {}", fused.confidence);
            assert_eq!(fused.looks, looks.len());
        }
    }

    #[test]
    fn nothing_readable_is_no_read() {
        let grammar = Grammar::built_in();
        for looks in [vec![], vec![look(50.0, &[("", 0.9)])], vec![look(50.0, &[("12", 0.9)])]] {
            assert!(fuse(&looks, &grammar, &Calibration::default()).is_none());
        }
    }

    #[test]
    fn half_a_plate_seen_once_is_doubted() {
        let grammar = Grammar::built_in();
        for (text, count, is_doubted) in
            [("1UZF", 1, true), ("1UZF", 3, false), ("1UZF234", 1, false), ("GWAGEN", 1, false)]
        {
            let looks = vec![look(80.0, &[(text, 0.99)]); count];
            let fused = fuse(&looks, &grammar, &Calibration::default()).unwrap();
            assert_eq!(fused.confidence < 0.6, is_doubted, "{text} {count}: {}", fused.confidence);
        }
    }

    #[test]
    fn the_width_tells_the_direction() {
        for (widths, wanted) in [
            (vec![40.0, 50.0, 60.0, 80.0], Direction::Approaching),
            (vec![80.0, 60.0, 50.0], Direction::Leaving),
            (vec![80.0, 81.0, 82.0], Direction::Unknown),
            (vec![40.0, 80.0], Direction::Unknown),
        ] {
            let looks: Vec<Look> = widths.iter().map(|w| look(*w, &[("1ABC234", 0.9)])).collect();
            assert_eq!(direction(&looks), wanted, "{widths:?}");
        }
    }

    #[test]
    fn confidence_follows_the_measured_points() {
        let calibration = Calibration::new(vec![[0.5, 0.4], [0.9, 0.8], [1.0, 0.99]]);
        for (raw, wanted) in [(0.25, 0.2), (0.5, 0.4), (0.7, 0.6), (0.95, 0.895), (1.0, 0.99)] {
            assert!((calibration.apply(raw) - wanted).abs() < 1e-9, "{raw}");
        }
        assert!((Calibration::default().apply(1.0) - 0.99).abs() < 1e-9);
    }
}
