//! Intervals and medians. Pure.

use std::time::Duration;

/// Standard normal quantile of a two-sided 95 % interval.
const Z: f64 = 1.959_964;

/// 95 % Wilson score interval of `good` out of `all`, as shares (Wilson 1927).
pub(super) fn wilson(good: u32, all: u32) -> (f64, f64) {
    if all == 0 {
        return (0.0, 1.0);
    }
    let n = f64::from(all);
    let p = f64::from(good) / n;
    let middle = p + Z * Z / (2.0 * n);
    let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    (((middle - spread) / scale).max(0.0), ((middle + spread) / scale).min(1.0))
}

/// `92.7 % (51/55, 95 % interval 82.7–97.1)`.
pub(super) fn share(good: u32, all: u32) -> String {
    if all == 0 {
        return "–".to_owned();
    }
    let (low, high) = wilson(good, all);
    let p = f64::from(good) / f64::from(all);
    format!("{:.1} % ({good}/{all}, 95 % interval {:.1}–{:.1})", p * 100.0, low * 100.0, high * 100.0)
}

/// Probability of `good` or fewer out of `all` when each is good with probability `p`.
fn at_most(good: u32, all: u32, p: f64) -> f64 {
    let (log_p, log_q) = (p.ln(), (-p).ln_1p());
    let mut log_choose = 0.0;
    let mut sum = 0.0;
    for k in 0..=good.min(all) {
        if k > 0 {
            log_choose += f64::from(all - k + 1).ln() - f64::from(k).ln();
        }
        sum += (log_choose + f64::from(k) * log_p + f64::from(all - k) * log_q).exp();
    }
    sum.min(1.0)
}

/// Exact 95 % interval of `good` out of `all`, as shares (Clopper and Pearson 1934): the shares under which so many, or so
/// few, would come up in one case of forty.
pub(super) fn exact(good: u32, all: u32) -> (f64, f64) {
    // `falls(p)` falls as p rises; halving 60 times is finer than a double shows.
    let solve = |falls: &dyn Fn(f64) -> f64, wanted: f64| {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if falls(middle) > wanted { low = middle } else { high = middle }
        }
        f64::midpoint(low, high)
    };
    let low = if good == 0 { 0.0 } else { solve(&|p| at_most(good - 1, all, p), 0.975) };
    let high = if good >= all { 1.0 } else { solve(&|p| at_most(good, all, p), 0.025) };
    (low, high)
}

/// Like [`share`], with the exact interval.
pub(super) fn exact_share(good: u32, all: u32) -> String {
    if all == 0 {
        return "–".to_owned();
    }
    let (low, high) = exact(good, all);
    let p = f64::from(good) / f64::from(all);
    format!("{:.1} % ({good}/{all}, exact 95 % interval {:.1}–{:.1})", p * 100.0, low * 100.0, high * 100.0)
}

/// The value below which `per_cent` of the sorted spans lie, in milliseconds.
pub(super) fn percentile(spans: &[Duration], per_cent: usize) -> f64 {
    let mut sorted = spans.to_vec();
    sorted.sort();
    let at = (sorted.len() * per_cent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0.0, |span| super::ms(*span))
}

/// O and 0, I and 1, B and 8 taken as one (anpr.md 4.7).
pub(super) fn merged(text: &str) -> String {
    let one = |c| match c {
        'O' => '0',
        'I' => '1',
        'B' => '8',
        other => other,
    };
    text.chars().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_right() {
        let (low, high) = wilson(51, 55);
        assert!((low - 0.827).abs() < 0.001 && (high - 0.971).abs() < 0.001);
        assert_eq!(wilson(0, 0), (0.0, 1.0));
        // From the tables of Clopper and Pearson, and 3/n, the rule of three, for none out of many.
        for (good, all, low, high) in [
            (5, 10, 0.1871, 0.8129),
            (10, 10, 0.6915, 1.0),
            (0, 10, 0.0, 0.3085),
            (0, 1000, 0.0, 0.00368),
            (158, 158, 0.9769, 1.0),
        ] {
            let (l, h) = exact(good, all);
            assert!((l - low).abs() < 2e-4 && (h - high).abs() < 2e-4, "{good}/{all}: {l} {h}");
        }
        assert_eq!(exact_share(0, 0), "–");
        assert_eq!(share(0, 0), "–");
        let spans: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert!((percentile(&spans, 50) - 51.0).abs() < 1e-9 && (percentile(&spans, 95) - 96.0).abs() < 1e-9);
        assert_eq!(merged("1OIB8"), "10188");
    }
}
