//! Scaling of one plane: area average when it shrinks, bilinear when it grows, rows first so that memory is walked once.
//!
//! Rows are added up in whole numbers of 1/256 grey level, so that eight samples go through one instruction; what that
//! rounds away is under half a grey level.

use crate::num;

/// Weights of the rows of one output row add up to this: 255 of it still fit 16 bits.
const WHOLE: u16 = 256;

/// A weight below this is what rounding left.
const SLIVER: f32 = 1e-3;

/// How the taps of a row repeat: the two common cases need no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pattern {
    /// Every output sample is the mean of the next `count` source samples, as where 1920 become 640.
    Even,
    /// Two output samples share three source samples, as where 960 become 640.
    ThreeToTwo,
    /// Anything else.
    Any,
}

/// Which source samples make one output sample: `count` for each, some of them of no weight.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Taps {
    pattern: Pattern,
    count: usize,
    first: Vec<usize>,
    /// `count` for each output sample; they sum to 1.
    weights: Vec<f32>,
}

/// First source sample and weights of one output sample.
fn tap(centre: f32, scale: f32, last: usize) -> (usize, Vec<f32>) {
    if scale <= 1.0 {
        let at = (centre - 0.5).clamp(0.0, num::real(last));
        let first = num::index(at, last);
        let part = at - num::real(first);
        return (first, if first < last && part > SLIVER { vec![1.0 - part, part] } else { vec![1.0] });
    }
    let (low, high) = (centre - scale / 2.0, centre + scale / 2.0);
    let first = num::index(low, last);
    let until = num::index(high.ceil() - 1.0, last).max(first);
    let mut weights: Vec<f32> =
        (first..=until).map(|k| (high.min(num::real(k) + 1.0) - low.max(num::real(k))).max(0.0)).collect();
    let sum: f32 = weights.iter().sum();
    if sum > 0.0 {
        weights.iter_mut().for_each(|w| *w /= sum);
    } else {
        weights = vec![1.0];
    }
    // A sliver that rounding left at an end would make every tap one longer.
    if weights.len() > 1 && weights.last().is_some_and(|w| *w < SLIVER) {
        weights.pop();
    }
    if weights.len() > 1 && weights.first().is_some_and(|w| *w < SLIVER) {
        weights.remove(0);
        return (first + 1, weights);
    }
    (first, weights)
}

impl Taps {
    /// Taps of `out` samples that together cover source samples `[from, from + span)` of `limit`.
    pub(crate) fn new(out: usize, from: f32, span: f32, limit: usize) -> Self {
        let scale = span / num::real(out.max(1));
        let last = limit.saturating_sub(1);
        let each: Vec<(usize, Vec<f32>)> =
            (0..out).map(|i| tap(from + (num::real(i) + 0.5) * scale, scale, last)).collect();
        let count = each.iter().map(|(_, weights)| weights.len()).max().unwrap_or(1);
        let (first, weights) = (Vec::with_capacity(out), Vec::with_capacity(out * count));
        let mut taps = Self { pattern: Pattern::Any, count, first, weights };
        for (first, weights) in each {
            // Near the end the run of samples begins earlier, with nothing for those before.
            let begin = first.min(limit.saturating_sub(count));
            let before = first - begin;
            taps.first.push(begin);
            let end = taps.weights.len() + count;
            taps.weights.extend(std::iter::repeat_n(0.0, before));
            taps.weights.extend(weights);
            taps.weights.resize(end, 0.0);
        }
        if taps.is_even() {
            taps.pattern = Pattern::Even;
        } else if taps.is_three_to_two() {
            taps.pattern = Pattern::ThreeToTwo;
        }
        taps
    }

    /// Source samples from the first to behind the last that are needed.
    pub(crate) fn reach(&self) -> std::ops::Range<usize> {
        let end = self.first.last().map_or(0, |first| first + self.count);
        self.first.first().copied().unwrap_or(0)..end
    }

    /// First row and weights in 1/256 (they sum to 256) of each output row.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (usize, Vec<u16>)> + '_ {
        self.first.iter().zip(self.weights.chunks_exact(self.count)).map(|(first, weights)| {
            let mut left = WHOLE;
            let mut sum = 0.0;
            let mut whole: Vec<u16> = Vec::with_capacity(weights.len());
            for weight in weights {
                // What is rounded away from one weight is given to the next.
                sum += weight * f32::from(WHOLE);
                let upto = u16::try_from(num::index(sum + 0.5, usize::from(WHOLE))).unwrap_or(WHOLE);
                whole.push(upto.saturating_sub(WHOLE - left));
                left = WHOLE - upto;
            }
            if let Some(slot) = whole.last_mut() {
                *slot += left;
            }
            (*first, whole)
        })
    }

    /// Output samples 0..=255 of channel `channel` of `channels` interleaved ones, from a row that [`sum_rows`] made.
    pub(crate) fn columns(&self, row: &[f32], (channels, channel): (usize, usize), out: &mut [f32]) {
        match (channels, self.pattern, self.count) {
            (1, Pattern::Even, 1) => self.even_columns::<1>(row, out),
            (1, Pattern::Even, 2) => self.even_columns::<2>(row, out),
            (1, Pattern::Even, 3) => self.even_columns::<3>(row, out),
            (1, Pattern::ThreeToTwo, _) => self.three_to_two(row, out),
            (1, _, 1) => self.columns_of::<1>(row, out),
            (1, _, 2) => self.columns_of::<2>(row, out),
            (1, _, 3) => self.columns_of::<3>(row, out),
            (1, _, 4) => self.columns_of::<4>(row, out),
            _ => {
                let taps = self.first.iter().zip(self.weights.chunks_exact(self.count));
                for (slot, (first, weights)) in out.iter_mut().zip(taps) {
                    let run = row.get(first * channels + channel..).unwrap_or_default();
                    *slot = run.iter().step_by(channels).zip(weights).map(|(s, w)| s * w).sum();
                }
            }
        }
    }

    fn is_even(&self) -> bool {
        let begin = self.first.first().copied().unwrap_or(0);
        let share = 1.0 / num::real(self.count);
        let in_row = |(i, first): (usize, &usize)| *first == begin + i * self.count;
        self.first.iter().enumerate().all(in_row) && self.weights.iter().all(|w| (w - share).abs() < 1e-6)
    }

    fn is_three_to_two(&self) -> bool {
        if self.count != 2 {
            return false;
        }
        let begin = self.first.first().copied().unwrap_or(0);
        let in_row = |(i, first): (usize, &usize)| *first == begin + i / 2 * 3 + i % 2;
        let ends = [[2.0 / 3.0, 1.0 / 3.0], [1.0 / 3.0, 2.0 / 3.0]];
        let near = |(pair, wanted): (&[f32; 2], &[f32; 2])| pair.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-4);
        self.first.len().is_multiple_of(2)
            && self.first.iter().enumerate().all(in_row)
            && self.weights.as_chunks::<2>().0.iter().zip(ends.iter().cycle()).all(near)
    }

    fn three_to_two(&self, row: &[f32], out: &mut [f32]) {
        let begin = self.first.first().copied().unwrap_or(0);
        let runs = row.get(begin..).unwrap_or_default().as_chunks::<3>().0;
        for ([left, right], [a, b, c]) in out.as_chunks_mut::<2>().0.iter_mut().zip(runs) {
            *left = (a + a + b) * (1.0 / 3.0);
            *right = (b + c + c) * (1.0 / 3.0);
        }
    }

    fn even_columns<const N: usize>(&self, row: &[f32], out: &mut [f32]) {
        let begin = self.first.first().copied().unwrap_or(0);
        let runs = row.get(begin..).unwrap_or_default().as_chunks::<N>().0;
        for (slot, run) in out.iter_mut().zip(runs) {
            *slot = run.iter().sum::<f32>() * (1.0 / num::real(N));
        }
    }

    /// The same for one channel and as many taps as the compiler can unroll.
    fn columns_of<const N: usize>(&self, row: &[f32], out: &mut [f32]) {
        let taps = self.first.iter().zip(self.weights.as_chunks::<N>().0);
        for (slot, (first, weights)) in out.iter_mut().zip(taps) {
            let Some(run) = row.get(*first..).and_then(|rest| rest.first_chunk::<N>()) else { continue };
            *slot = run.iter().zip(weights).map(|(s, w)| s * w).sum();
        }
    }
}

/// Adds up the source rows of one output row into `out`, 0..=255; `weights` are in 1/256 and sum to 256, so nothing
/// overflows 16 bits. `sum` is scratch of the same length.
pub(crate) fn sum_rows<'a>(
    (first, weights): (usize, &[u16]),
    row: impl Fn(usize) -> &'a [u8],
    sum: &mut [u16],
    out: &mut [f32],
) {
    let mut rows = weights.iter().enumerate().filter(|(_, weight)| **weight > 0);
    match rows.next() {
        Some((k, weight)) => {
            for (slot, sample) in sum.iter_mut().zip(row(first + k)) {
                *slot = weight.wrapping_mul(u16::from(*sample));
            }
        }
        None => sum.fill(0),
    }
    for (k, weight) in rows {
        for (slot, sample) in sum.iter_mut().zip(row(first + k)) {
            *slot = slot.wrapping_add(weight.wrapping_mul(u16::from(*sample)));
        }
    }
    for (slot, sum) in out.iter_mut().zip(sum.iter()) {
        *slot = f32::from(*sum) * (1.0 / f32::from(WHOLE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_averages_and_growing_interpolates() {
        let row = [0.0, 10.0, 20.0, 30.0];
        let at = |out: usize, from, span| -> Vec<f32> {
            let mut made = vec![0.0; out];
            Taps::new(out, from, span, 4).columns(&row, (1, 0), &mut made);
            made
        };
        assert_eq!(at(2, 0.0, 4.0), [5.0, 25.0]);
        assert_eq!(at(1, 0.0, 4.0), [15.0]);
        assert_eq!(at(4, 0.0, 4.0), [0.0, 10.0, 20.0, 30.0]);
        assert_eq!(at(4, 1.0, 2.0), [7.5, 12.5, 17.5, 22.5]);
        let thirds: Vec<f32> = (0..12_u8).map(f32::from).collect();
        let (mut even, mut odd) = ([0.0; 4], [0.0; 3]);
        Taps::new(4, 0.0, 12.0, 12).columns(&thirds, (1, 0), &mut even);
        Taps::new(3, 3.0, 9.0, 12).columns(&thirds, (1, 0), &mut odd);
        assert!(even.iter().zip([1.0, 4.0, 7.0, 10.0]).all(|(a, b)| (a - b).abs() < 1e-4), "{even:?}");
        assert!(odd.iter().zip([4.0, 7.0, 10.0]).all(|(a, b)| (a - b).abs() < 1e-4), "{odd:?}");
        let mut shared = [0.0; 4];
        Taps::new(4, 3.0, 6.0, 12).columns(&thirds, (1, 0), &mut shared);
        assert!(shared.iter().zip([10.0 / 3.0, 14.0 / 3.0, 19.0 / 3.0, 23.0 / 3.0]).all(|(a, b)| (a - b).abs() < 1e-3));
        let mut same = [0.0; 3];
        Taps::new(3, 2.0, 3.0, 12).columns(&thirds, (1, 0), &mut same);
        assert_eq!(same, [2.0, 3.0, 4.0]);
        // Seven taps, more than are unrolled, and the second of two channels.
        let long: Vec<f32> = (0..28).map(|v| if v % 2 == 1 { 100.0 } else { 0.0 }).collect();
        let mut made = [0.0; 2];
        Taps::new(2, 0.0, 14.0, 14).columns(&long, (2, 1), &mut made);
        assert!(made.iter().all(|v| (v - 100.0).abs() < 0.01), "{made:?}");
    }

    #[test]
    fn rows_are_added_up_whole() {
        let source = [[0_u8, 4], [8, 4], [255, 255]];
        let sums = |out, from, span| -> Vec<[f32; 2]> {
            let taps = Taps::new(out, from, span, 3);
            let make = |(first, weights): (usize, Vec<u16>)| {
                assert_eq!(weights.iter().sum::<u16>(), WHOLE, "{weights:?}");
                let mut out = [7.0; 2];
                sum_rows((first, &weights), |y| &source[y], &mut [7; 2], &mut out);
                out
            };
            taps.rows().map(make).collect()
        };
        assert_eq!(sums(1, 0.0, 2.0), [[4.0, 4.0]]);
        assert_eq!(sums(3, 0.0, 3.0)[2], [255.0; 2]);
        let thirds = sums(1, 0.0, 3.0)[0][0];
        assert!((thirds - 263.0 / 3.0).abs() < 0.5, "{thirds}");
        assert_eq!((Taps::new(2, 0.0, 2.0, 3).reach(), Taps::new(2, 0.5, 2.0, 3).reach()), (0..2, 0..3));
    }
}
