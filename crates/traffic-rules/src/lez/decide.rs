//! The decision (`domain.md` A9): pure, and the same for the same tables and input, years later.

use vms_core::{Country, WallTime};

use super::RuleId;
use super::exemption::{Effect, Facts};
use super::norm::category_key;
use super::outcome::{LezOutcome, LezVerdict, Reason};
use super::penalty::{Offence, penalty};
use super::rule_set::RuleSet;
use super::segment::Place;
use super::snapshot::{ForeignRegistration, LezInput, Lookup, VehicleSnapshot};
use super::vehicle::{Conformity, conformity, fuel_group};
use crate::day::Day;
use crate::grammar::PlateKind;
use crate::snapshot_hash::snapshot_hash;

/// The day that a read counts for: two reads around midnight in Brussels are two days.
pub fn lez_day(at: WallTime) -> Day {
    Day::at(at)
}

/// Decides one read. The order is: place, plate, criteria table, exemptions, day pass, fine: a vehicle that the table allows
/// uses up no exemption and no pass.
pub fn decide(rules: &RuleSet, input: &LezInput) -> LezOutcome {
    let mut run = Run { rules, input, day: lez_day(input.at), reasons: Vec::new(), rule: None };
    let verdict = run.verdict();
    run.outcome(verdict)
}

struct Run<'a> {
    rules: &'a RuleSet,
    input: &'a LezInput,
    day: Day,
    reasons: Vec<Reason>,
    rule: Option<RuleId>,
}

/// How the vehicle stands before passes, warnings and fines.
enum Standing<'a> {
    Settled(LezVerdict),
    Offence(Offence<'a>),
}

impl<'a> Run<'a> {
    fn verdict(&mut self) -> LezVerdict {
        if let Some(verdict) = self.out_of_place() {
            return verdict;
        }
        let kind = self.vehicle().and_then(|vehicle| vehicle.plate_kind).unwrap_or(self.input.reading.kind);
        if kind == PlateKind::Trailer {
            self.reasons.push(Reason::TrailerPlate);
            return LezVerdict::OutOfScope;
        }
        match self.standing(kind) {
            Standing::Settled(verdict @ (LezVerdict::Allowed | LezVerdict::OutOfScope)) => verdict,
            unsettled @ (Standing::Settled(_) | Standing::Offence(_)) => {
                if let Some(verdict) = self.exemption(kind) {
                    return verdict;
                }
                match unsettled {
                    Standing::Settled(_) | Standing::Offence(_) if self.has_pass() => LezVerdict::Pass,
                    Standing::Settled(verdict) => verdict,
                    Standing::Offence(offence) => self.penalty(offence),
                }
            }
        }
    }

    fn penalty(&mut self, offence: Offence<'a>) -> LezVerdict {
        let registered = self.vehicle().and_then(|vehicle| vehicle.registration_from);
        penalty(self.rules, offence, &self.input.history, registered, self.day, &mut self.reasons)
    }

    fn undetermined(&mut self, reason: Reason) -> LezVerdict {
        self.reasons.push(reason);
        LezVerdict::Undetermined
    }

    fn out_of_place(&mut self) -> Option<LezVerdict> {
        let territory = &self.rules.territory;
        if self.day < territory.in_force_from {
            self.reasons.push(Reason::ZoneNotInForce);
            return Some(LezVerdict::OutOfScope);
        }
        match territory.place(self.input.segment.as_ref()?, self.input.at) {
            Place::Inside(remark) => {
                self.reasons.extend(remark);
                None
            }
            Place::Outside(reason) => {
                self.reasons.push(reason);
                Some(LezVerdict::OutOfScope)
            }
            Place::Unknown(reason) => Some(self.undetermined(reason)),
        }
    }

    /// The vehicle, when the registration that names it holds the day of the read.
    fn vehicle(&self) -> Option<&'a VehicleSnapshot> {
        let vehicle = self.input.vehicle.vehicle()?;
        let started = vehicle.registration_from.is_none_or(|from| from <= self.day);
        let not_ended = vehicle.registration_to.is_none_or(|to| self.day <= to);
        (started && not_ended).then_some(vehicle)
    }

    fn exemption(&mut self, kind: PlateKind) -> Option<LezVerdict> {
        let vehicle = self.vehicle();
        let category = vehicle.and_then(|vehicle| vehicle.category.as_deref()).and_then(category_key);
        let facts = Facts {
            day: self.day,
            plate_kind: kind,
            first_registration: vehicle.and_then(|vehicle| vehicle.first_registration),
            special_use: vehicle.and_then(|vehicle| vehicle.special_use),
            fuel_group: vehicle.and_then(|vehicle| fuel_group(self.rules, vehicle)),
            category: category.as_deref(),
        };
        let mut by_person = None;
        for exemption in &self.rules.exemptions {
            let grants = || self.input.exemptions.iter().filter(|grant| grant.code == exemption.code);
            let granted = grants().any(|grant| exemption.granted(grant, self.input.at));
            if granted || exemption.proven(&facts) {
                match exemption.effect {
                    Effect::Exempt => return Some(LezVerdict::Exempt { exemption: exemption.code.clone() }),
                    Effect::Manual => by_person = Some(exemption.code.clone()),
                }
            } else if grants().next().is_some() {
                self.reasons.push(Reason::GrantNotInForce { exemption: exemption.code.clone() });
            }
        }
        by_person.map(|exemption| self.undetermined(Reason::ExemptionNeedsPerson { exemption }))
    }

    fn standing(&mut self, kind: PlateKind) -> Standing<'a> {
        let (input, day) = (self.input, self.day);
        let mut data_wrong = false;
        if input.country != Country::BELGIUM {
            if !input.reading.country_sure && !input.reading.confirmed {
                return Standing::Settled(self.undetermined(Reason::CountryUnsure));
            }
            let registration = input.foreign_registration.filter(|registration| self.in_force(registration));
            if registration.is_none() && !self.rules.fines.registration_not_needed(input.country, day) {
                self.reasons.push(Reason::ForeignUnregistered);
                return Standing::Offence(Offence::ForeignUnregistered);
            }
            data_wrong = registration.is_some_and(|registration| registration.data_wrong);
        }
        let Some(vehicle) = self.vehicle() else {
            let reason = match (&input.vehicle, kind) {
                (Lookup::Found { .. }, _) => Reason::RegistrationPeriod,
                (Lookup::Unknown | Lookup::NotAsked, PlateKind::Trade) => Reason::TradePlate,
                (Lookup::Unknown, _) => Reason::VehicleUnknown,
                (Lookup::NotAsked, _) => Reason::RegistryNotAsked,
            };
            return Standing::Settled(self.undetermined(reason));
        };
        let standing = self.vehicle_standing(vehicle);
        if data_wrong && matches!(standing, Standing::Settled(LezVerdict::Allowed)) {
            self.reasons.push(Reason::RegistrationWrong);
            return Standing::Offence(Offence::RegistrationWrong);
        }
        standing
    }

    fn vehicle_standing(&mut self, vehicle: &'a VehicleSnapshot) -> Standing<'a> {
        let rules = self.rules;
        match conformity(rules, vehicle, self.day, &mut self.reasons) {
            Conformity::Allowed(rule) => {
                self.rule = Some(rule);
                Standing::Settled(LezVerdict::Allowed)
            }
            Conformity::OutOfScope(rule) => {
                self.rule = rule;
                Standing::Settled(LezVerdict::OutOfScope)
            }
            Conformity::Undetermined(rule) => {
                self.rule = rule;
                Standing::Settled(LezVerdict::Undetermined)
            }
            Conformity::NotAllowed(row) => {
                self.rule = Some(row.id.clone());
                if let Some(country) = vehicle.import_country.clone() {
                    self.reasons.push(Reason::ImportedCertificate { country });
                }
                Standing::Offence(Offence::Vehicle { row, vehicle })
            }
        }
    }

    fn in_force(&self, registration: &ForeignRegistration) -> bool {
        let legal_end = self.rules.fines.registration_years_max(registration.from);
        let within_law = legal_end.is_none_or(|years| self.day < registration.from.plus_years(years));
        registration.from <= self.day && registration.to.is_none_or(|to| self.day <= to) && within_law
    }

    /// Whether a valid day pass covers the day. Passes of the year count in the order in which they were bought.
    fn has_pass(&mut self) -> bool {
        let mut year: Vec<_> = self.input.passes.iter().filter(|pass| pass.day.year() == self.day.year()).collect();
        year.sort_by_key(|pass| (pass.bought_at, pass.day));
        let Some((before, pass)) = year.iter().enumerate().find(|(_, pass)| pass.day == self.day) else { return false };
        let max = self.rules.fines.pass_year_max(self.day);
        if before >= usize::from(max) {
            self.reasons.push(Reason::DayPassBeyondYear { max });
            return false;
        }
        let closed = self.rules.fines.pass_closed_from(self.day);
        if closed.is_some_and(|closed| pass.bought_at >= closed.start()) {
            self.reasons.push(Reason::DayPassLate);
            return false;
        }
        self.reasons.push(Reason::DayPass);
        true
    }

    fn outcome(mut self, verdict: LezVerdict) -> LezOutcome {
        let (finding, question) = match verdict {
            LezVerdict::Infraction { .. } | LezVerdict::Warning { .. } => (true, false),
            LezVerdict::Undetermined => (false, true),
            LezVerdict::Allowed
            | LezVerdict::Exempt { .. }
            | LezVerdict::Pass
            | LezVerdict::NoFineInWindow { .. }
            | LezVerdict::OutOfScope => (false, false),
        };
        let reading = self.input.reading;
        let mut doubts = Vec::new();
        if !reading.confirmed {
            doubts.extend(reading.corrected.then_some(Reason::PlateCorrected));
            doubts.extend((!reading.country_sure).then_some(Reason::CountryUnsure));
            doubts.extend((!reading.auto_accept).then_some(Reason::PlateKindWeak));
        }
        doubts.retain(|doubt| !self.reasons.contains(doubt));
        let confirm_plate_first = (finding || question) && reading.needs_confirmation();
        if confirm_plate_first {
            self.reasons.append(&mut doubts);
        }
        let closed = self.rules.fines.pass_closed_from(self.day).filter(|_| finding);
        LezOutcome {
            verdict,
            rule: self.rule,
            day: self.day,
            reasons: self.reasons,
            confirm_plate_first,
            final_from: closed.map(Day::start),
            rule_set_version: self.rules.version().clone(),
            snapshot_hash: snapshot_hash(self.input),
        }
    }
}
