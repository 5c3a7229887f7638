//! Scaling of one plane: area average when it shrinks, bilinear when it grows, rows first so that memory is walked once.

use crate::num;

/// Which source samples make one output sample, with weights that sum to 1.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tap {
    first: usize,
    weights: Vec<f32>,
}

/// Taps of `out` samples that together cover source samples `[from, from + span)` of `limit`.
pub(crate) fn taps(out: usize, from: f32, span: f32, limit: usize) -> Vec<Tap> {
    let scale = span / num::real(out.max(1));
    let last = limit.saturating_sub(1);
    (0..out)
        .map(|i| {
            let centre = from + (num::real(i) + 0.5) * scale;
            if scale <= 1.0 {
                let at = (centre - 0.5).clamp(0.0, num::real(last));
                let first = num::index(at, last);
                let part = at - num::real(first);
                return Tap { first, weights: if first < last { vec![1.0 - part, part] } else { vec![1.0] } };
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
            Tap { first, weights }
        })
        .collect()
}

/// Adds up the source rows of one output row, `channels` interleaved samples a pixel.
pub(crate) fn sum_rows<'a>(tap: &Tap, row: impl Fn(usize) -> &'a [u8], sum: &mut [f32]) {
    sum.fill(0.0);
    for (k, weight) in tap.weights.iter().enumerate() {
        for (slot, sample) in sum.iter_mut().zip(row(tap.first + k)) {
            *slot += weight * f32::from(*sample);
        }
    }
}

/// One output sample of channel `channel` from a summed row.
pub(crate) fn sum_columns(tap: &Tap, row: &[f32], channels: usize, channel: usize) -> f32 {
    let run = row.get(tap.first * channels + channel..).unwrap_or_default();
    run.iter().step_by(channels).zip(&tap.weights).map(|(sample, weight)| sample * weight).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_averages_and_growing_interpolates() {
        let row = [0.0, 10.0, 20.0, 30.0];
        let at = |out, from, span| -> Vec<f32> {
            taps(out, from, span, 4).iter().map(|t| sum_columns(t, &row, 1, 0)).collect()
        };
        assert_eq!(at(2, 0.0, 4.0), [5.0, 25.0]);
        assert_eq!(at(1, 0.0, 4.0), [15.0]);
        assert_eq!(at(4, 0.0, 4.0), [0.0, 10.0, 20.0, 30.0]);
        assert_eq!(at(4, 1.0, 2.0), [7.5, 12.5, 17.5, 22.5]);
        let mut sum = [0.0; 2];
        let rows = [[0_u8, 4], [8, 4]];
        let tap = &taps(1, 0.0, 2.0, 2)[0];
        sum_rows(tap, |y| &rows[y], &mut sum);
        assert_eq!(sum, [4.0, 4.0]);
    }
}
