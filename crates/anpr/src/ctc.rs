//! From the reader's log-probabilities to texts: prefix beam search (Hannun 2014) over classes where 0 is blank.

use std::collections::HashMap;

/// Texts that the search keeps at each step: enough for two unsure characters with three choices each.
const BEAM: usize = 12;

/// Classes below this probability at a step are not followed.
const PRUNE: f64 = 1e-4;

/// Texts that one reading keeps.
pub const CANDIDATES_MAX: usize = 8;

/// Longest text followed; no plate is longer.
const LEN_MAX: usize = vms_core::Plate::LEN_MAX;

/// Possible texts of one plate, most probable first. Probabilities sum to at most 1; the rest is any other text.
#[derive(Clone, PartialEq, Default)]
pub struct Reading {
    /// Text and probability.
    pub candidates: Vec<(String, f64)>,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reading({} candidates, hidden)", self.candidates.len())
    }
}

impl Reading {
    /// The most probable text, empty when nothing was read.
    pub fn best(&self) -> &str {
        self.candidates.first().map_or("", |(text, _)| text.as_str())
    }

    /// Probability of the most probable text.
    pub fn certainty(&self) -> f64 {
        self.candidates.first().map_or(0.0, |(_, p)| *p)
    }

    /// Probability of each character of the best text: the share of candidates that agree on it.
    pub fn characters(&self) -> Vec<f64> {
        let best = self.best();
        let agrees = |i: usize, c: char| {
            self.candidates
                .iter()
                .filter(move |(t, _)| t.len() == best.len() && t.chars().nth(i) == Some(c))
                .map(|(_, p)| p)
        };
        best.chars().enumerate().map(|(i, c)| agrees(i, c).sum::<f64>().min(1.0)).collect()
    }

    /// Upper and lower line of a plate as one reading.
    #[must_use]
    pub fn joined(&self, lower: &Self) -> Self {
        let mut candidates: Vec<(String, f64)> = Vec::new();
        for (a, p) in self.candidates.iter().take(4) {
            for (b, q) in lower.candidates.iter().take(4) {
                candidates.push((format!("{a}{b}"), p * q));
            }
        }
        Self::ranked(candidates)
    }

    fn ranked(mut candidates: Vec<(String, f64)>) -> Self {
        candidates.retain(|(text, _)| text.len() <= LEN_MAX);
        candidates.sort_by(|a, b| b.1.total_cmp(&a.1));
        candidates.truncate(CANDIDATES_MAX);
        Self { candidates }
    }
}

/// Probability of a prefix that ends in blank, and of one that ends in its last character.
#[derive(Clone, Copy, Default)]
struct Ends {
    blank: f64,
    letter: f64,
}

/// Decodes `steps` rows of `classes` natural log-probabilities.
pub fn decode(logprobs: &[f32], classes: usize, alphabet: &[u8]) -> Reading {
    let mut beams: Vec<(Vec<u8>, Ends)> = vec![(Vec::new(), Ends { blank: 1.0, letter: 0.0 })];
    for row in logprobs.chunks_exact(classes.max(1)) {
        beams = step(&beams, row, alphabet.len());
    }
    let spell = |prefix: &[u8]| -> String {
        prefix.iter().filter_map(|c| alphabet.get(usize::from(*c)).map(|b| char::from(*b))).collect()
    };
    Reading::ranked(beams.into_iter().map(|(prefix, ends)| (spell(&prefix), ends.blank + ends.letter)).collect())
}

fn step(beams: &[(Vec<u8>, Ends)], row: &[f32], letters: usize) -> Vec<(Vec<u8>, Ends)> {
    let probability = |class: usize| f64::from(row.get(class).copied().unwrap_or(f32::NEG_INFINITY)).exp();
    let likely: Vec<(u8, f64)> = (0..letters)
        .filter_map(|c| u8::try_from(c).ok().map(|code| (code, probability(c + 1))))
        .filter(|(_, p)| *p >= PRUNE)
        .collect();
    let blank = probability(0);
    let mut next: HashMap<Vec<u8>, Ends> = HashMap::new();
    for (prefix, ends) in beams {
        let total = ends.blank + ends.letter;
        let last = prefix.last().copied();
        let same = next.entry(prefix.clone()).or_default();
        same.blank += total * blank;
        if let Some(code) = last {
            same.letter += ends.letter * probability(usize::from(code) + 1);
        }
        if prefix.len() > LEN_MAX {
            continue;
        }
        for (code, p) in &likely {
            // A repeated character needs a blank between.
            let from = if last == Some(*code) { ends.blank } else { total };
            let mut longer = prefix.clone();
            longer.push(*code);
            next.entry(longer).or_default().letter += from * p;
        }
    }
    let mut beams: Vec<_> = next.into_iter().filter(|(_, e)| e.blank + e.letter > 1e-9).collect();
    beams.sort_by(|(a, x), (b, y)| (y.blank + y.letter).total_cmp(&(x.blank + x.letter)).then_with(|| a.cmp(b)));
    beams.truncate(BEAM);
    beams
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows from `class:probability` lists; the rest of each row is shared evenly by nothing.
    fn rows(steps: &[&[(usize, f32)]]) -> Vec<f32> {
        let row = |step: &&[(usize, f32)]| {
            let mut row = vec![1e-9_f32; 4];
            step.iter().for_each(|(class, p)| row[*class] = *p);
            row.into_iter().map(f32::ln)
        };
        steps.iter().flat_map(row).collect()
    }

    #[test]
    fn texts_are_spelt_with_their_probability() {
        let alphabet = b"AB0";
        for (steps, wanted, certainty) in [
            (rows(&[&[(1, 1.0)], &[(1, 1.0)], &[(2, 1.0)]]), "AB", 1.0),
            (rows(&[&[(1, 1.0)], &[(0, 1.0)], &[(1, 1.0)]]), "AA", 1.0),
            (rows(&[&[(0, 0.6), (1, 0.4)]]), "", 0.6),
            (rows(&[&[(0, 0.6), (1, 0.4)], &[(0, 0.6), (1, 0.4)]]), "A", 0.64),
            (rows(&[&[(3, 0.6), (2, 0.4)], &[(1, 1.0)]]), "0A", 0.6),
            (vec![], "", 1.0),
        ] {
            let reading = decode(&steps, 4, alphabet);
            assert_eq!(reading.best(), wanted);
            assert!((reading.certainty() - certainty).abs() < 1e-3, "{wanted} {}", reading.certainty());
        }
    }

    #[test]
    fn characters_and_lines_keep_their_probability() {
        let alphabet = b"AB0";
        let upper = decode(&rows(&[&[(3, 0.6), (2, 0.4)], &[(1, 1.0)]]), 4, alphabet);
        let sure: Vec<f64> = upper.characters().iter().map(|p| (p * 100.0).round() / 100.0).collect();
        assert_eq!(sure, [0.6, 1.0]);
        let lower = decode(&rows(&[&[(2, 0.5), (1, 0.5)]]), 4, alphabet);
        let both = upper.joined(&lower);
        assert!((both.certainty() - 0.3).abs() < 1e-3 && both.best().starts_with("0A"));
        assert!(!format!("{both:?}").contains("0A"));
    }
}
