//! The decision (`domain.md` C2): pure, and the same for the same tables and input, years later.
//!
//! Every check is made and every failed one is named; a single one makes the pair not usable.

use vms_core::WallTime;

use super::RuleId;
use super::certificate::Site;
use super::measure::{Bounds, bounds, correct, distance, limit, uncertainty_us};
use super::number::Fraction;
use super::outcome::{End, Instrument, Measured, Reason, TrajectoryOutcome, TrajectoryVerdict};
use super::parameters::Parameters;
use super::road::State;
use super::rule_set::RuleSet;
use super::snapshot::{Control, EndClock, EndRead, TrajectoryInput};
use crate::day::Day;
use crate::snapshot_hash::snapshot_hash;

/// Decides one pair.
pub fn decide(rules: &RuleSet, input: &TrajectoryInput) -> TrajectoryOutcome {
    let mut run = Run { rules, input, reasons: Vec::new() };
    let (verdict, rule, measured) = run.verdict();
    run.outcome(verdict, rule, measured)
}

type Verdict = (TrajectoryVerdict, Option<RuleId>, Option<Measured>);

const NOT_USABLE: Verdict = (TrajectoryVerdict::NotUsable, None, None);

struct Run<'a> {
    rules: &'a RuleSet,
    input: &'a TrajectoryInput,
    reasons: Vec<Reason>,
}

impl Run<'_> {
    fn verdict(&mut self) -> Verdict {
        let Some((entry, exit)) = self.pair() else { return NOT_USABLE };
        let day = Day::at(entry.at);
        let Some(rules) = self.rules.parameters.on(day) else {
            self.reasons.push(Reason::TablesSilent);
            return NOT_USABLE;
        };
        self.check_pair(rules, &entry, &exit);
        let (clock_in, clock_out) = (&self.input.entry_clock, &self.input.exit_clock);
        let (u_in, u_out) = (uncertainty_us(rules, clock_in), uncertainty_us(rules, clock_out));
        let Some(bounds) = bounds(entry.at, exit.at, u_in, u_out) else {
            self.reasons.push(Reason::ExitNotAfterEntry);
            return NOT_USABLE;
        };
        self.check_site(entry.at, exit.at);
        self.check_clocks(rules, bounds);
        self.measure(rules, bounds)
    }

    /// The one entry and the one exit.
    fn pair(&mut self) -> Option<(EndRead, EndRead)> {
        let input = self.input;
        let before = self.reasons.len();
        match input.entries.len() {
            0 => self.reasons.push(Reason::NoEntry),
            1 => {}
            _ => self.reasons.push(Reason::SeveralEntries),
        }
        match input.exits.len() {
            0 => self.reasons.push(Reason::NoExit),
            1 => {}
            _ => self.reasons.push(Reason::SeveralExits),
        }
        if input.left_between {
            self.reasons.push(Reason::LeftBetween);
        }
        let usable = self.reasons.len() == before;
        usable.then(|| Some((*input.entries.first()?, *input.exits.first()?))).flatten()
    }

    fn check_pair(&mut self, rules: &Parameters, entry: &EndRead, exit: &EndRead) {
        if entry.country != exit.country {
            self.reasons.push(Reason::CountriesDiffer);
        }
        if let (Some(one), Some(other)) = (entry.class, exit.class)
            && one != other
        {
            self.reasons.push(Reason::ClassesDiffer);
        }
        if entry.confidence_ppm.min(exit.confidence_ppm) < rules.confidence_min_ppm {
            self.reasons.push(Reason::ConfidenceLow);
        }
    }

    fn check_site(&mut self, entered: WallTime, left: WallTime) {
        let code = &self.input.trajectory;
        let (first, last) = (Day::at(entered), Day::at(left));
        match self.rules.road(code) {
            None => self.reasons.push(Reason::TrajectoryUnknown),
            Some(road) => {
                let in_force = road.validity.holds(first) && road.validity.holds(last);
                match (road.state, in_force) {
                    (State::Active, true) => {}
                    (State::Active | State::Planned | State::Unconfirmed, _) => {
                        self.reasons.push(Reason::TrajectoryNotActive);
                    }
                }
            }
        }
        let stated = &self.input.stated;
        for (end, stated) in [(End::Entry, &stated.entry), (End::Exit, &stated.exit)] {
            let site = self.rules.certificates.site(code, end, first, last);
            if site.is_none_or(|site| stated.as_ref().is_some_and(|number| *number != site.document)) {
                self.reasons.push(Reason::NotVerified { end });
            }
        }
    }

    fn check_clocks(&mut self, rules: &Parameters, bounds: Bounds) {
        let (entry, exit) = (&self.input.entry_clock, &self.input.exit_clock);
        for (end, clock) in [(End::Entry, entry), (End::Exit, exit)] {
            if !locked(clock, bounds) {
                self.reasons.push(Reason::ClockNotLocked { end });
            }
        }
        let offset_us = entry.offset_us.abs_diff(exit.offset_us);
        if offset_us > rules.clock_offset_max_us {
            self.reasons.push(Reason::ClocksApart { offset_us });
        }
    }

    fn measure(&mut self, rules: &Parameters, bounds: Bounds) -> Verdict {
        let code = &self.input.trajectory;
        let (first, last) = (Day::at(bounds.from), Day::at(bounds.to));
        let certificate = self.rules.certificates.distance(code, first).filter(|one| one.validity.holds(last));
        let limit = self.rules.road(code).and_then(|road| limit(road, &self.input.signs, bounds));
        if certificate.is_none() {
            self.reasons.push(Reason::NoCertificate);
        }
        if limit.is_none() && self.rules.road(code).is_some() {
            self.reasons.push(Reason::TablesSilent);
        }
        let (Some(certificate), Some((limit_kmh, by_sign))) = (certificate, limit) else { return NOT_USABLE };
        let used = distance(rules, certificate);
        let raw = Fraction::of_run(certificate.certified, bounds.time_us);
        let favourable = Fraction::of_run(used, bounds.favourable_us);
        let (Some(raw), Some(favourable)) = (raw, favourable) else { return NOT_USABLE };
        self.check_speed(rules, raw);
        if !self.reasons.is_empty() {
            return NOT_USABLE;
        }
        let corrected = correct(rules, favourable);
        self.reasons.push(corrected.reason);
        self.reasons.extend(by_sign.then_some(Reason::VariableSign { kmh: limit_kmh }));
        let offset_us = self.input.entry_clock.offset_us.abs_diff(self.input.exit_clock.offset_us);
        let off_target = offset_us > rules.clock_offset_target_us;
        self.reasons.extend(off_target.then_some(Reason::ClocksOffTarget { offset_us }));
        let measured = Measured {
            certified: certificate.certified,
            distance: used,
            document: certificate.document.clone(),
            instruments: self.instruments(),
            time_us: bounds.time_us,
            favourable_us: bounds.favourable_us,
            raw,
            favourable,
            truncated_kmh: corrected.truncated_kmh,
            corrected_kmh: corrected.corrected_kmh,
            limit_kmh,
        };
        (self.judge(corrected.corrected_kmh, limit_kmh), Some(corrected.rule), Some(measured))
    }

    fn instruments(&self) -> Vec<Instrument> {
        let days = |reads: &[EndRead]| reads.first().map(|read| Day::at(read.at));
        let (Some(first), Some(last)) = (days(&self.input.entries), days(&self.input.exits)) else { return Vec::new() };
        let site = |end| self.rules.certificates.site(&self.input.trajectory, end, first, last);
        let instrument = |site: &Site| Instrument {
            end: site.end,
            serial: site.serial.clone(),
            approval: site.approval.clone(),
            verification: site.document.clone(),
        };
        [End::Entry, End::Exit].into_iter().filter_map(site).map(instrument).collect()
    }

    fn check_speed(&mut self, rules: &Parameters, raw: Fraction) {
        if raw.below(u64::from(rules.plausible_kmh_min)) {
            self.reasons.push(Reason::TooSlow);
        }
        if raw.above(u64::from(rules.plausible_kmh_max)) {
            self.reasons.push(Reason::TooFast);
        }
        let second = match self.input.control {
            None => {
                self.reasons.push(Reason::NoControl);
                return;
            }
            // The raw numerator is that of the certified distance: the same distance over the second time.
            Some(Control::SecondClock { micros }) => (micros > 0).then_some(Fraction { num: raw.num, den: micros }),
            Some(Control::SpotSpeed { base, micros }) => Fraction::of_run(base, micros),
        };
        if second.is_none_or(|second| second.differs_by_more_than(raw, rules.control_percent_max)) {
            self.reasons.push(Reason::ControlDiffers);
        }
    }

    fn judge(&mut self, corrected_kmh: u16, limit_kmh: u16) -> TrajectoryVerdict {
        let over_kmh = corrected_kmh.saturating_sub(limit_kmh);
        if over_kmh == 0 {
            self.reasons.push(Reason::WithinLimit);
            TrajectoryVerdict::Compliant
        } else if self.input.prosecuted_from_kmh.is_some_and(|from| corrected_kmh < from) {
            self.reasons.push(Reason::BelowProsecution);
            TrajectoryVerdict::BelowThreshold { over_kmh }
        } else {
            TrajectoryVerdict::Infraction { over_kmh }
        }
    }

    fn outcome(
        mut self,
        verdict: TrajectoryVerdict,
        rule: Option<RuleId>,
        measured: Option<Measured>,
    ) -> TrajectoryOutcome {
        let finding = match verdict {
            TrajectoryVerdict::Infraction { .. } => true,
            TrajectoryVerdict::Compliant | TrajectoryVerdict::BelowThreshold { .. } | TrajectoryVerdict::NotUsable => {
                false
            }
        };
        let ends = || self.input.entries.iter().chain(&self.input.exits);
        let confirm_plate_first = finding && ends().any(|end| end.reading.needs_confirmation());
        if confirm_plate_first {
            let doubtful = || ends().map(|end| end.reading).filter(|reading| !reading.confirmed);
            let corrected = doubtful().any(|reading| reading.corrected);
            let unsure = doubtful().any(|reading| !reading.country_sure);
            let weak = doubtful().any(|reading| !reading.auto_accept);
            self.reasons.extend(corrected.then_some(Reason::PlateCorrected));
            self.reasons.extend(unsure.then_some(Reason::CountryUnsure));
            self.reasons.extend(weak.then_some(Reason::PlateKindWeak));
        }
        let parameters = &self.rules.parameters;
        TrajectoryOutcome {
            verdict,
            trajectory: self.input.trajectory.clone(),
            rule,
            day: self.input.entries.first().or(self.input.exits.first()).map(|read| Day::at(read.at)),
            measured,
            reasons: self.reasons,
            confirm_plate_first,
            retention: if finding { parameters.file.clone() } else { parameters.passage.clone() },
            erase_now: !finding,
            rule_set_version: self.rules.version().clone(),
            snapshot_hash: snapshot_hash(self.input),
        }
    }
}

fn locked(clock: &EndClock, bounds: Bounds) -> bool {
    clock.locked_from <= bounds.from && clock.locked_until.is_some_and(|until| bounds.to <= until)
}
