//! From "not allowed" to a warning, a fine, or neither: groups, grace, windows, yearly limits (`domain.md` A8).

use vms_core::WallTime;

use super::fine::{Fine, HolderChange, Overlap, Trigger, WindowStart};
use super::outcome::{LezVerdict, Reason};
use super::rule::Rule;
use super::rule_set::RuleSet;
use super::snapshot::{History, PriorFine, VehicleSnapshot};
use super::vehicle::banned_on;
use crate::day::Day;

/// What is wrong with the vehicle's presence.
#[derive(Clone, Copy, Debug)]
pub(super) enum Offence<'a> {
    /// The criteria table does not allow the vehicle.
    Vehicle { row: &'a Rule, vehicle: &'a VehicleSnapshot },
    /// A foreign vehicle without a registration.
    ForeignUnregistered,
    /// Wrong data in the registration.
    RegistrationWrong,
}

/// The part of the history that counts: what a change of holder forgets is left out.
struct Counted<'a> {
    fines: Vec<&'a PriorFine>,
    warnings: Vec<Day>,
}

/// What follows; pushes the reasons.
pub(super) fn penalty(
    rules: &RuleSet,
    offence: Offence<'_>,
    history: &History,
    registered_from: Option<Day>,
    day: Day,
    reasons: &mut Vec<Reason>,
) -> LezVerdict {
    let counted = counted(rules, history, registered_from);
    if let Some(from) = transition(rules, offence, day) {
        reasons.push(Reason::Transition { from });
        return if counted.warnings.is_empty() {
            LezVerdict::Warning { fine: None, fine_from: from }
        } else {
            LezVerdict::NoFineInWindow { fine: None, until: from }
        };
    }
    let fine = match choose(rules, offence, day) {
        Ok(fine) => fine,
        Err(reason) => {
            reasons.push(reason);
            return LezVerdict::Undetermined;
        }
    };
    if let Some(verdict) = warning(fine, &counted, day, reasons) {
        return verdict;
    }
    if let Some(until) = window(rules, fine, &counted, day, reasons) {
        return LezVerdict::NoFineInWindow { fine: Some(fine.id.clone()), until };
    }
    LezVerdict::Infraction { fine: fine.id.clone(), amount_cents: fine.amount_cents, currency: fine.currency.clone() }
}

fn counted<'a>(rules: &RuleSet, history: &'a History, registered_from: Option<Day>) -> Counted<'a> {
    let since = |at: WallTime| registered_from.is_none_or(|from| Day::at(at) >= from);
    let forget_fines = match rules.fines.interpretation.holder_change {
        HolderChange::ResetsBoth => true,
        HolderChange::ResetsWarning => false,
    };
    let warnings = history.warnings.iter().filter(|warning| since(warning.infraction_at));
    Counted {
        fines: history.fines.iter().filter(|fine| !forget_fines || since(fine.infraction_at)).collect(),
        warnings: warnings.map(|warning| Day::at(warning.infraction_at)).collect(),
    }
}

/// First day of fines, while the step of the table that bans the vehicle only warns. A vehicle that the step before
/// banned already has had its transition.
fn transition(rules: &RuleSet, offence: Offence<'_>, day: Day) -> Option<Day> {
    let Offence::Vehicle { row, vehicle } = offence else { return None };
    if day >= row.enforce_from {
        return None;
    }
    let before = banned_on(rules, &row.id, vehicle, row.validity.from.previous());
    (before != Some(true)).then_some(row.enforce_from)
}

fn choose<'a>(rules: &'a RuleSet, offence: Offence<'_>, day: Day) -> Result<&'a Fine, Reason> {
    for fine in rules.fines.in_force(day) {
        let applies = match (fine.trigger, offence) {
            (Trigger::BannedBefore | Trigger::NewlyBanned, Offence::Vehicle { row, vehicle }) => {
                let reference = fine.reference_date.ok_or(Reason::NoFineRule)?;
                let banned = banned_on(rules, &row.id, vehicle, reference).ok_or(Reason::FineGroupUnknown)?;
                banned == (fine.trigger == Trigger::BannedBefore)
            }
            (Trigger::ForeignUnregistered, Offence::ForeignUnregistered)
            | (Trigger::RegistrationWrong, Offence::RegistrationWrong) => true,
            (
                Trigger::BannedBefore
                | Trigger::NewlyBanned
                | Trigger::ForeignUnregistered
                | Trigger::RegistrationWrong
                | Trigger::Announced,
                Offence::Vehicle { .. } | Offence::ForeignUnregistered | Offence::RegistrationWrong,
            ) => false,
        };
        if applies {
            return Ok(fine);
        }
    }
    Err(Reason::NoFineRule)
}

/// The warning that some fines ask for first, and the months after it. Half-open: on the last month's same day fines start.
fn warning(fine: &Fine, counted: &Counted<'_>, day: Day, reasons: &mut Vec<Reason>) -> Option<LezVerdict> {
    let months = fine.warning_grace_months?;
    let Some(first) = counted.warnings.iter().min().copied() else {
        reasons.push(Reason::FirstInfraction);
        return Some(LezVerdict::Warning { fine: Some(fine.id.clone()), fine_from: day.plus_months(months) });
    };
    let until = first.plus_months(months);
    (day < until).then(|| {
        reasons.push(Reason::WarningGrace { first });
        LezVerdict::NoFineInWindow { fine: Some(fine.id.clone()), until }
    })
}

/// First day of the next possible fine, when an earlier (or, for a read that came late, a later) fine stands in the way.
fn window(rules: &RuleSet, fine: &Fine, counted: &Counted<'_>, day: Day, reasons: &mut Vec<Reason>) -> Option<Day> {
    let table = &rules.fines;
    let mut until: Option<Day> = None;
    for prior in &counted.fines {
        let own = table.by_id(&prior.fine).map_or(fine.window_months, |known| known.window_months);
        let months = match table.interpretation.overlap {
            Overlap::MostFavourable => fine.window_months.max(own),
            Overlap::ReadDate => fine.window_months,
            Overlap::FineDate => own,
        };
        let from = Day::at(match table.interpretation.window_start {
            WindowStart::Infraction => prior.infraction_at,
            WindowStart::Issue => prior.issued_at.unwrap_or(prior.infraction_at),
        });
        // Symmetric, so that the order in which reads arrive does not change how many fines there can be.
        let (earlier, later) = (from.min(day), from.max(day));
        if later < earlier.plus_months(months) {
            reasons.push(Reason::FineWindow { counted_from: from, months });
            until = until.max(Some(from.plus_months(months)));
        }
    }
    if until.is_some() {
        return until;
    }
    let in_year = || counted.fines.iter().filter(|prior| Day::at(prior.infraction_at).year() == day.year());
    let next_year = Day::new(day.year().saturating_add(1), 1, 1).unwrap_or(day);
    let number = u16::try_from(in_year().count()).unwrap_or(u16::MAX);
    if fine.year_max.is_some_and(|max| number >= max) {
        reasons.push(Reason::YearlyNumber);
        return Some(next_year);
    }
    let fined = in_year().fold(0_u32, |sum, prior| sum.saturating_add(prior.amount_cents));
    if fine.year_cap_cents.is_some_and(|cap| fined.saturating_add(fine.amount_cents) > cap) {
        reasons.push(Reason::YearlyAmount);
        return Some(next_year);
    }
    None
}
