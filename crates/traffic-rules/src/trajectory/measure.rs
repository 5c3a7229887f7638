//! From two instants and a certificate to a corrected speed, every step in the driver's favour.

use vms_core::WallTime;

use super::RuleId;
use super::certificate::Distance;
use super::number::{Fraction, Millimetres};
use super::outcome::Reason;
use super::parameters::{Parameters, Rounding};
use super::road::Road;
use super::snapshot::{EndClock, LimitSign};
use crate::day::Day;

/// The stretch of time in which the run may have happened: both reads, each moved outwards by its clock's uncertainty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) from: WallTime,
    pub(super) to: WallTime,
    /// Time between the reads, µs.
    pub(super) time_us: u64,
    /// Longest time that the run may have taken, µs.
    pub(super) favourable_us: u64,
}

/// Uncertainty of one end's clock, µs: the largest of what the tables ask for, what the clock states, and its offset.
pub(super) fn uncertainty_us(rules: &Parameters, clock: &EndClock) -> u64 {
    rules.clock_uncertainty_us.max(clock.uncertainty_us).max(clock.offset_us.unsigned_abs())
}

/// `None` when the exit is not after the entry.
pub(super) fn bounds(entered: WallTime, left: WallTime, entry_us: u64, exit_us: u64) -> Option<Bounds> {
    let time_us = u64::try_from(left.micros_since(entered)).ok().filter(|micros| *micros > 0)?;
    let span = std::time::Duration::from_micros;
    Some(Bounds {
        from: entered.minus(span(entry_us)),
        to: left.plus(span(exit_us)),
        time_us,
        favourable_us: time_us.saturating_add(entry_us).saturating_add(exit_us),
    })
}

/// The distance that counts: shorter by its uncertainty where the tables say so.
pub(super) fn distance(rules: &Parameters, certificate: &Distance) -> Millimetres {
    let off = if rules.subtract_distance_uncertainty { certificate.uncertainty.0 } else { 0 };
    Millimetres(certificate.certified.0.saturating_sub(off))
}

/// A speed that is rounded and corrected.
#[derive(Clone, Debug)]
pub(super) struct Corrected {
    pub(super) truncated_kmh: u16,
    pub(super) corrected_kmh: u16,
    pub(super) rule: RuleId,
    pub(super) reason: Reason,
}

/// Down to whole km/h, less the margin, down again.
pub(super) fn correct(rules: &Parameters, speed: Fraction) -> Corrected {
    let truncated_kmh = match rules.rounding {
        Rounding::TruncateSubtractTruncate => u16::try_from(speed.truncated()).unwrap_or(u16::MAX),
    };
    if truncated_kmh <= rules.margin_flat_to_kmh {
        return Corrected {
            truncated_kmh,
            corrected_kmh: truncated_kmh.saturating_sub(rules.margin_flat_kmh),
            rule: RuleId::new("TRJ-MARGIN-FLAT"),
            reason: Reason::MarginFlat { kmh: rules.margin_flat_kmh },
        };
    }
    let left = u32::from(truncated_kmh) * u32::from(100_u16.saturating_sub(rules.margin_percent)) / 100;
    Corrected {
        truncated_kmh,
        corrected_kmh: u16::try_from(left).unwrap_or(u16::MAX),
        rule: RuleId::new("TRJ-MARGIN-PERCENT"),
        reason: Reason::MarginPercent { percent: rules.margin_percent },
    }
}

/// The highest limit in force at any instant of the run, and whether a sign showed it. `None` where the table has none.
pub(super) fn limit(road: &Road, signs: &[LimitSign], bounds: Bounds) -> Option<(u16, bool)> {
    let fixed = road.limit_on(Day::at(bounds.from))?.max(road.limit_on(Day::at(bounds.to))?);
    let shown = |sign: &LimitSign| sign.kmh.map_or((fixed, false), |kmh| (kmh, true));
    let before = signs.iter().filter(|sign| sign.at <= bounds.from).max_by_key(|sign| sign.at);
    // Of two changes at one instant the higher counts.
    let at_start = before.map_or((fixed, false), |last| {
        let twins = signs.iter().filter(|sign| sign.at == last.at).map(shown);
        twins.max().unwrap_or((fixed, false))
    });
    let during = signs.iter().filter(|sign| bounds.from < sign.at && sign.at <= bounds.to).map(shown);
    during.chain([at_start]).max()
}
