//! The decision (`domain.md` B): pure, and the same for the same tables and input, years later.
//!
//! Order: zone, plate, hour, lists, permits, pairing, what is counted already, fine. Whoever may pass is found before
//! anything waits for an exit, so that an authorised read is never kept.

use std::time::Duration;

use vms_core::WallTime;

use super::outcome::{Reason, ZbtOutcome, ZbtVerdict};
use super::permit::{Cover, cover, regularisation_ends};
use super::right::{Ground, Right};
use super::rule_set::RuleSet;
use super::snapshot::{ListKind, Passage, PriorPassage, ZbtInput};
use super::zone::{Pairing, Zone};
use super::{WindowId, fine::Dedupe};
use crate::day::Day;
use crate::grammar::PlateKind;
use crate::snapshot_hash::snapshot_hash;

/// Decides one passage.
pub fn decide(rules: &RuleSet, input: &ZbtInput) -> ZbtOutcome {
    let at = input.passage.at();
    let mut run = Run { rules, input, at, day: Day::at(at), reasons: Vec::new(), rule: None, zone: None };
    let verdict = run.verdict();
    run.outcome(verdict)
}

struct Run<'a> {
    rules: &'a RuleSet,
    input: &'a ZbtInput,
    at: WallTime,
    day: Day,
    reasons: Vec<Reason>,
    rule: Option<WindowId>,
    zone: Option<&'a Zone>,
}

impl<'a> Run<'a> {
    fn verdict(&mut self) -> ZbtVerdict {
        let Some(zone) = self.rules.zone(&self.input.zone) else {
            return self.undetermined(Reason::ZoneUnknown);
        };
        if !zone.enabled {
            return self.out_of_scope(Reason::ZoneNotEnabled);
        }
        if !zone.validity.holds(self.day) {
            return self.out_of_scope(Reason::ZoneNotInForce);
        }
        self.zone = Some(zone);
        if self.input.reading.kind == PlateKind::Trailer {
            return self.out_of_scope(Reason::TrailerPlate);
        }
        match self.input.passage {
            Passage::Exit { .. } => return self.out_of_scope(Reason::ExitWithoutEntry),
            Passage::Stay { entered_at, left_at } if !pairs(zone, entered_at, left_at) => {
                return self.out_of_scope(Reason::NotAPair);
            }
            Passage::Entry { .. } | Passage::Stay { .. } => {}
        }
        let Some(closed) = zone.closed_at(self.at, &self.rules.holidays) else {
            self.reasons.push(Reason::OpenHours);
            return ZbtVerdict::Open;
        };
        self.rule = Some(closed.id.clone());
        if let Some(verdict) = self.listed(zone).or_else(|| self.permitted(zone)) {
            return verdict;
        }
        self.reasons.push(Reason::NoRight);
        if let Some(verdict) = self.unpaired(zone) {
            return verdict;
        }
        self.penalty(zone)
    }

    fn undetermined(&mut self, reason: Reason) -> ZbtVerdict {
        self.reasons.push(reason);
        ZbtVerdict::Undetermined
    }

    fn out_of_scope(&mut self, reason: Reason) -> ZbtVerdict {
        self.reasons.push(reason);
        ZbtVerdict::OutOfScope
    }

    fn listed(&mut self, zone: &Zone) -> Option<ZbtVerdict> {
        for right in self.usable(zone) {
            let Ground::List { lists, plate_kinds } = &right.ground else { continue };
            let entries = || self.input.listings.iter().filter(|entry| contains(lists, entry.list));
            let in_force = entries().any(|entry| entry.from <= self.at && entry.to.is_none_or(|to| self.at < to));
            if in_force || plate_kinds.contains(&self.input.reading.kind) {
                self.reasons.push(Reason::Listed { right: right.code.clone() });
                return Some(ZbtVerdict::Exempt { right: right.code.clone() });
            }
            if entries().next().is_some() {
                self.reasons.push(Reason::ListingNotInForce { right: right.code.clone() });
            }
        }
        None
    }

    fn permitted(&mut self, zone: &Zone) -> Option<ZbtVerdict> {
        let mut failed = Vec::new();
        for permit in &self.input.permits {
            let id = permit.id.clone();
            match cover(self.rules, zone, permit, self.at) {
                Ok(how) => {
                    self.reasons.push(match how {
                        Cover::Granted => Reason::PermitCovers { permit: id.clone() },
                        Cover::Regularised => Reason::PermitRegularises { permit: id.clone() },
                    });
                    return Some(ZbtVerdict::Permitted { right: permit.right.clone(), permit: id });
                }
                Err(why) => failed.push(Reason::PermitFails { permit: id, why }),
            }
        }
        self.reasons.append(&mut failed);
        None
    }

    fn usable(&self, zone: &Zone) -> impl Iterator<Item = &'a Right> + use<'a> {
        let (day, code) = (self.day, zone.code.clone());
        self.rules.rights.iter().filter(move |right| right.validity.holds(day) && right.zones.contains(&code))
    }

    /// What an entry comes to for which the zone asks for an exit.
    fn unpaired(&mut self, zone: &Zone) -> Option<ZbtVerdict> {
        match (zone.pairing, self.input.passage) {
            (Pairing::EntryOnly, _) => None,
            (Pairing::EntryExit, Passage::Stay { .. }) => {
                self.reasons.push(Reason::ExitRead);
                None
            }
            (Pairing::EntryExit, Passage::Entry { .. } | Passage::Exit { .. }) => {
                let until = self.at.plus(pair_span(zone));
                if self.input.decided_at < until {
                    return Some(ZbtVerdict::AwaitsExit { until });
                }
                Some(self.out_of_scope(Reason::EntryWithoutExit))
            }
        }
    }

    fn penalty(&mut self, zone: &Zone) -> ZbtVerdict {
        let history = &self.input.history;
        if history.candidates.iter().chain(&history.warnings).any(|prior| self.counts(zone, prior)) {
            self.reasons.push(Reason::CountedBefore);
            return ZbtVerdict::AlreadyCounted;
        }
        if let Some(until) = zone.warn_until.filter(|until| self.day <= *until) {
            self.reasons.push(Reason::WarningPeriod { until });
            return ZbtVerdict::Warning { fine_from: until.plus_days(1) };
        }
        let Some(fine) = self.rules.fines.in_force(self.day) else {
            return self.undetermined(Reason::NoFineRule);
        };
        ZbtVerdict::Candidate {
            fine: fine.id.clone(),
            amount_cents: fine.amount_cents,
            currency: fine.currency.clone(),
        }
    }

    /// Whether an earlier passage stands for this one too. One at the same instant always does: a read told twice.
    fn counts(&self, zone: &Zone, prior: &PriorPassage) -> bool {
        let here = prior.zone == zone.code;
        let same_day = Day::at(prior.at) == self.day;
        match self.rules.fines.dedupe {
            Dedupe::VehicleZoneDay => here && same_day,
            Dedupe::VehicleDay => same_day,
            Dedupe::Passage => here && prior.at == self.at,
        }
    }

    fn outcome(mut self, verdict: ZbtVerdict) -> ZbtOutcome {
        let (for_official, kept, finding) = match verdict {
            ZbtVerdict::Candidate { .. } => (true, true, true),
            ZbtVerdict::Warning { .. } | ZbtVerdict::Undetermined => (true, true, false),
            ZbtVerdict::AwaitsExit { .. } => (false, true, false),
            ZbtVerdict::Open
            | ZbtVerdict::Exempt { .. }
            | ZbtVerdict::Permitted { .. }
            | ZbtVerdict::AlreadyCounted
            | ZbtVerdict::OutOfScope => (false, false, false),
        };
        let reading = self.input.reading;
        let confirm_plate_first = for_official && reading.needs_confirmation();
        if confirm_plate_first {
            self.reasons.extend(reading.corrected.then_some(Reason::PlateCorrected));
            self.reasons.extend((!reading.country_sure).then_some(Reason::CountryUnsure));
            self.reasons.extend((!reading.auto_accept).then_some(Reason::PlateKindWeak));
        }
        let fines = &self.rules.fines;
        let zone = self.zone.filter(|_| finding);
        ZbtOutcome {
            verdict,
            rule: self.rule,
            day: self.day,
            reasons: self.reasons,
            confirm_plate_first,
            final_from: zone.and_then(|zone| regularisation_ends(self.rules, zone, self.at)),
            retention: if kept { fines.candidate.clone() } else { fines.authorised.clone() },
            erase_now: !kept,
            rule_set_version: self.rules.version().clone(),
            snapshot_hash: snapshot_hash(self.input),
        }
    }
}

fn contains(lists: &[ListKind], list: ListKind) -> bool {
    lists.contains(&list)
}

fn pair_span(zone: &Zone) -> Duration {
    Duration::from_secs(u64::from(zone.pair_hours) * 3_600)
}

/// Whether an exit belongs to an entry.
fn pairs(zone: &Zone, entered_at: WallTime, left_at: WallTime) -> bool {
    entered_at < left_at && left_at < entered_at.plus(pair_span(zone))
}
