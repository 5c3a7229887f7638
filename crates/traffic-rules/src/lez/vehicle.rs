//! One vehicle against the criteria table of one day.

use super::RuleId;
use super::norm::{FuelDoubt, FuelGroup, NormRead, NormTable, category_key};
use super::outcome::Reason;
use super::rule::{ClassTest, Condition, Minimum, Rule};
use super::rule_set::RuleSet;
use super::snapshot::{NormSource, VehicleSnapshot};
use crate::day::Day;

/// What the criteria table says of a vehicle.
#[derive(Debug)]
pub(super) enum Conformity<'a> {
    Allowed(RuleId),
    /// The table does not cover it; the rule that says so, when one does.
    OutOfScope(Option<RuleId>),
    NotAllowed(&'a Rule),
    Undetermined(Option<RuleId>),
}

/// What one row says of a vehicle.
enum Judged {
    Allowed(Reason),
    Banned(Reason),
    Doubt(Reason),
}

/// Finds the row that applies and what it says; pushes the reasons.
pub(super) fn conformity<'a>(
    rules: &'a RuleSet,
    vehicle: &VehicleSnapshot,
    day: Day,
    reasons: &mut Vec<Reason>,
) -> Conformity<'a> {
    let Some(category) = vehicle.category.as_deref().and_then(category_key) else {
        reasons.push(Reason::CategoryMissing);
        return Conformity::Undetermined(None);
    };
    let rows = rules.rules_on(day, &category);
    if let Some(outside) = rows.iter().find(|row| row.minimum == Minimum::Outside) {
        let written = vehicle.category.clone().unwrap_or_default();
        reasons.push(Reason::CategoryNotListed { category: written });
        return Conformity::OutOfScope(Some(outside.id.clone()));
    }
    let fuel = match rules.norms.fuel_group(&vehicle.fuels) {
        Ok(fuel) => fuel,
        Err(doubt) => {
            reasons.push(match doubt {
                FuelDoubt::Unknown => Reason::FuelUnknown,
                FuelDoubt::Mixed => Reason::FuelMixed,
            });
            return Conformity::Undetermined(None);
        }
    };
    let mut certain = Vec::new();
    let mut possible = Vec::new();
    for row in rows.into_iter().filter(|row| row.fuel.is_none_or(|group| group == fuel)) {
        match row.condition.as_ref().map_or(Some(true), |condition| holds(condition, rules, vehicle, &category)) {
            Some(true) => certain.push(row),
            Some(false) => {}
            None => possible.push(row),
        }
    }
    match (certain.first(), possible.is_empty()) {
        (Some(row), _) => settle(rules, row, vehicle, &category, reasons),
        (None, false) => settle_possible(rules, &possible, vehicle, &category, reasons),
        (None, true) => {
            reasons.push(Reason::CategoryNotInScope);
            Conformity::OutOfScope(None)
        }
    }
}

fn settle<'a>(
    rules: &RuleSet,
    row: &'a Rule,
    vehicle: &VehicleSnapshot,
    category: &str,
    reasons: &mut Vec<Reason>,
) -> Conformity<'a> {
    match judge(rules, row, vehicle, category) {
        Judged::Allowed(reason) => {
            reasons.push(reason);
            Conformity::Allowed(row.id.clone())
        }
        Judged::Banned(reason) => {
            reasons.push(reason);
            Conformity::NotAllowed(row)
        }
        Judged::Doubt(reason) => {
            reasons.push(reason);
            push_hint(rules, vehicle, category, reasons);
            Conformity::Undetermined(Some(row.id.clone()))
        }
    }
}

/// Class or mass are missing: only when every row that may apply allows the vehicle is the answer clear.
fn settle_possible<'a>(
    rules: &RuleSet,
    rows: &[&'a Rule],
    vehicle: &VehicleSnapshot,
    category: &str,
    reasons: &mut Vec<Reason>,
) -> Conformity<'a> {
    reasons.push(Reason::ClassUnknown);
    let mut first = None;
    for row in rows {
        match judge(rules, row, vehicle, category) {
            Judged::Allowed(reason) => first = first.or(Some((row.id.clone(), reason))),
            Judged::Banned(reason) | Judged::Doubt(reason) => {
                reasons.push(reason);
                push_hint(rules, vehicle, category, reasons);
                return Conformity::Undetermined(None);
            }
        }
    }
    first.map_or(Conformity::Undetermined(None), |(rule, reason)| {
        reasons.push(reason);
        Conformity::Allowed(rule)
    })
}

fn judge(rules: &RuleSet, row: &Rule, vehicle: &VehicleSnapshot, category: &str) -> Judged {
    let minimum = match row.minimum {
        Minimum::All | Minimum::Outside => return Judged::Allowed(Reason::NoNormNeeded),
        Minimum::Ban => return Judged::Banned(Reason::Banned),
        Minimum::Norm(minimum) => minimum,
    };
    let Some(stated) = &vehicle.euro_norm else { return Judged::Doubt(Reason::NormMissing) };
    let norms = &rules.norms;
    let Some(series) = norms.series_of(category) else { return Judged::Doubt(Reason::NormUnreadable) };
    match norms.read(series, &stated.text) {
        NormRead::Level(norm) => {
            let (name, minimum_name) = (norms.name(norm).to_owned(), norms.name(minimum).to_owned());
            match (NormTable::meets(norm, minimum), stated.source) {
                (Some(true), _) => Judged::Allowed(Reason::NormSuffices { norm: name, minimum: minimum_name }),
                (Some(false), NormSource::Certificate | NormSource::Accepted) => {
                    Judged::Banned(Reason::NormBelowMinimum { norm: name, minimum: minimum_name })
                }
                (Some(false), NormSource::Derived) => Judged::Doubt(Reason::NormDerived { norm: name }),
                (None, _) => Judged::Doubt(Reason::NormUnreadable),
            }
        }
        NormRead::OtherSeries { norm, equivalent } => Judged::Doubt(Reason::NormOfOtherSeries {
            norm: norms.name(norm).to_owned(),
            equivalent: equivalent.map(|norm| norms.name(norm).to_owned()),
        }),
        NormRead::Unreadable => Judged::Doubt(Reason::NormUnreadable),
    }
}

/// Whether the rule's row of another day bans the vehicle. `None` when that rests on a missing, derived or foreign norm.
pub(super) fn banned_on(rules: &RuleSet, rule: &RuleId, vehicle: &VehicleSnapshot, day: Day) -> Option<bool> {
    let Some(row) = rules.row(rule, day) else { return Some(false) };
    let derived = vehicle.euro_norm.as_ref().is_some_and(|stated| stated.source == NormSource::Derived);
    if derived && matches!(row.minimum, Minimum::Norm(_)) {
        return None;
    }
    let category = vehicle.category.as_deref().and_then(category_key)?;
    match judge(rules, row, vehicle, &category) {
        Judged::Allowed(_) => Some(false),
        Judged::Banned(_) => Some(true),
        Judged::Doubt(_) => None,
    }
}

/// The fuel group, as far as it can be told.
pub(super) fn fuel_group(rules: &RuleSet, vehicle: &VehicleSnapshot) -> Option<FuelGroup> {
    rules.norms.fuel_group(&vehicle.fuels).ok()
}

/// Whether the condition holds; `None` when the data do not say.
fn holds(condition: &Condition, rules: &RuleSet, vehicle: &VehicleSnapshot, category: &str) -> Option<bool> {
    if condition.category != category {
        return Some(true);
    }
    match &condition.test {
        ClassTest::Classes(classes) => class_of(rules, vehicle, category).map(|class| classes.contains(&class)),
        ClassTest::RefMassMax(kg) => rules.norms.ref_mass_kg(vehicle).map(|mass| mass <= *kg),
        ClassTest::RefMassOver(kg) => rules.norms.ref_mass_kg(vehicle).map(|mass| mass > *kg),
    }
}

/// The class: for N1 by reference mass, checked against the stated one; else as stated.
fn class_of(rules: &RuleSet, vehicle: &VehicleSnapshot, category: &str) -> Option<String> {
    let stated = vehicle.class.as_deref().and_then(class_word);
    if category != "N1" {
        return stated;
    }
    let by_mass = rules.norms.ref_mass_kg(vehicle).map(|kg| rules.norms.n1_class(kg).to_owned());
    match (by_mass, stated) {
        (Some(mass), Some(stated)) if mass != stated => None,
        (Some(class), _) | (None, Some(class)) => Some(class),
        (None, None) => None,
    }
}

/// The last word of a written class: `N1-II`, `class II` and `II` are one.
fn class_word(written: &str) -> Option<String> {
    let upper = written.to_uppercase();
    let word = upper.split(|c: char| !c.is_ascii_alphanumeric()).rfind(|word| !word.is_empty())?;
    Some(word.to_owned())
}

fn push_hint(rules: &RuleSet, vehicle: &VehicleSnapshot, category: &str, reasons: &mut Vec<Reason>) {
    let class = class_of(rules, vehicle, category);
    let hint = vehicle.first_registration.and_then(|first| rules.norms.hint(category, class.as_deref(), first));
    if let Some(norm) = hint {
        reasons.push(Reason::NormHint { norm: norm.to_owned() });
    }
}
