//! One request against one table.

use vms_core::{Profile, Relation, Rendition, Right};

use crate::table::{Condition, RoleTable};

/// Shortest justification that is taken for one (`domain.md` H2, condition j).
const JUSTIFICATION_MIN_CHARS: usize = 10;
const DAY_US: i64 = 86_400_000_000;

/// Everything that a decision depends on; resolved by the gate before it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// Active profile of the session.
    pub profile: Profile,
    /// What is wanted.
    pub right: Right,
    /// How the actor's organisation stands to the object.
    pub relation: Relation,
    /// Rendition asked for.
    pub rendition: Rendition,
    /// Whether a purpose code was given.
    pub has_purpose: bool,
    /// Justification text, as given.
    pub justification: Option<&'a str>,
    /// Case, report or ticket number, as given.
    pub case_ref: Option<&'a str>,
    /// Another person has agreed, or is asked with this very request.
    pub has_second_person: bool,
    /// Age of the oldest material asked for, microseconds; 0 for live.
    pub age_us: i64,
    /// An activated event covers the camera now.
    pub event_active: bool,
    /// The workstation is registered as police supervised.
    pub police_station: bool,
}

/// What the request lacks and the person can supply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Requirement {
    /// A purpose code.
    Purpose,
    /// A justification of at least ten characters that is no repetition of one.
    Justification,
    /// A case, report or ticket number.
    Case,
    /// The approval of a second person.
    SecondPerson,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenyReason {
    /// The table has no cell for this profile, right and relation.
    NotInTable,
    /// Only during an activated event.
    NoEvent,
    /// Only at a police-supervised station.
    NoPoliceStation,
    /// Older than the profile may see.
    TooOld,
    /// Only the coarse rendition.
    OnlyMasked,
}

impl DenyReason {
    /// Stable word for logs and problem documents.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotInTable => "not_in_table",
            Self::NoEvent => "no_event",
            Self::NoPoliceStation => "no_police_station",
            Self::TooOld => "too_old",
            Self::OnlyMasked => "only_masked",
        }
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allow,
    /// Yes, once this is supplied.
    Missing(Vec<Requirement>),
    /// No.
    Deny(DenyReason),
}

/// Decides. Total: every request has an answer, and what the table does not name is a no.
pub fn decide(table: &RoleTable, request: &Request<'_>) -> Decision {
    let Some(conditions) = table.cell(request.profile, request.right, request.relation) else {
        return Decision::Deny(DenyReason::NotInTable);
    };
    let mut missing = Vec::new();
    for condition in conditions {
        match condition {
            Condition::Justification => {
                if !request.has_purpose {
                    missing.push(Requirement::Purpose);
                }
                if !request.justification.is_some_and(is_justification) {
                    missing.push(Requirement::Justification);
                }
            }
            Condition::Case => {
                if request.case_ref.is_none_or(|case| case.trim().chars().count() < 3) {
                    missing.push(Requirement::Case);
                }
            }
            Condition::SecondPerson => {
                if !request.has_second_person {
                    missing.push(Requirement::SecondPerson);
                }
            }
            Condition::Event if !request.event_active => return Decision::Deny(DenyReason::NoEvent),
            Condition::PoliceStation if !request.police_station => return Decision::Deny(DenyReason::NoPoliceStation),
            Condition::Masked if request.rendition != Rendition::Coarse => {
                return Decision::Deny(DenyReason::OnlyMasked);
            }
            Condition::AgeMaxDays(days) if request.age_us > i64::from(*days).saturating_mul(DAY_US) => {
                return Decision::Deny(DenyReason::TooOld);
            }
            Condition::Event | Condition::PoliceStation | Condition::Masked | Condition::AgeMaxDays(_) => {}
        }
    }
    if missing.is_empty() { Decision::Allow } else { Decision::Missing(missing) }
}

/// Ten characters that are not one or two characters over and over.
fn is_justification(text: &str) -> bool {
    let text = text.trim();
    let mut kinds: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    text.chars().count() >= JUSTIFICATION_MIN_CHARS && kinds.len() >= 4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(profile: Profile, right: Right, relation: Relation) -> Request<'static> {
        Request {
            profile,
            right,
            relation,
            rendition: Rendition::Original,
            has_purpose: false,
            justification: None,
            case_ref: None,
            has_second_person: false,
            age_us: 0,
            event_active: false,
            police_station: false,
        }
    }

    #[test]
    fn the_table_decides() {
        use {DenyReason as D, Profile as P, Relation as R, Requirement as Q};
        let table = RoleTable::embedded().unwrap();
        let live = |p, r| request(p, Right::Live, r);
        let past = |p, r, days: i64| Request { age_us: days * DAY_US, ..request(p, Right::Playback, r) };
        let why =
            |r: Request<'static>| Request { has_purpose: true, justification: Some("brand in de Hoogstraat"), ..r };
        let poor = |r: Request<'static>| Request { has_purpose: true, justification: Some("aaaaaaaaaaaa"), ..r };
        let case = |r: Request<'static>| Request { case_ref: Some("BR.11.L3.4711/2026"), ..r };
        let missing = |list: &[Requirement]| Decision::Missing(list.to_vec());
        let export = |p, r| request(p, Right::Export, r);
        let two = |r: Request<'static>| Request { has_second_person: true, ..r };
        let coarse = |r: Request<'static>| Request { rendition: Rendition::Coarse, ..r };
        for (asked, wanted) in [
            (live(P::P01, R::Own), Decision::Allow),
            (live(P::P01, R::Shared), missing(&[Q::Purpose, Q::Justification])),
            (poor(live(P::P01, R::Shared)), missing(&[Q::Justification])),
            (why(live(P::P01, R::Shared)), Decision::Allow),
            (why(live(P::P01, R::Other)), Decision::Deny(D::NotInTable)),
            (why(live(P::P02, R::Other)), Decision::Deny(D::NoEvent)),
            (Request { event_active: true, ..why(live(P::P02, R::Other)) }, Decision::Allow),
            (live(P::P11, R::Own), Decision::Deny(D::OnlyMasked)),
            (coarse(live(P::P11, R::Own)), Decision::Allow),
            (live(P::P13, R::Own), Decision::Deny(D::NoPoliceStation)),
            (live(P::P17, R::Own), Decision::Deny(D::NotInTable)),
            (why(past(P::P01, R::Own, 2)), Decision::Allow),
            (why(past(P::P01, R::Own, 3)), Decision::Deny(D::TooOld)),
            (why(past(P::P04, R::Own, 3)), missing(&[Q::Case])),
            (case(why(past(P::P04, R::Own, 30))), Decision::Allow),
            (case(why(past(P::P04, R::Own, 31))), Decision::Deny(D::TooOld)),
            (case(why(export(P::P02, R::Own))), missing(&[Q::SecondPerson])),
            (two(why(export(P::P02, R::Own))), missing(&[Q::Case])),
            (two(case(why(export(P::P02, R::Shared)))), Decision::Allow),
            (two(case(why(Request { age_us: 31 * DAY_US, ..export(P::P04, R::Own) }))), Decision::Deny(D::TooOld)),
            (two(case(why(export(P::P04, R::Shared)))), Decision::Deny(D::NotInTable)),
            (two(case(why(export(P::P01, R::Own)))), Decision::Deny(D::NotInTable)),
            (two(case(why(export(P::P03, R::Own)))), Decision::Deny(D::NotInTable)),
            (request(P::P03, Right::ExportApprove, R::Own), Decision::Allow),
            (request(P::P03, Right::ExportApprove, R::Shared), Decision::Deny(D::NotInTable)),
        ] {
            assert_eq!(decide(&table, &asked), wanted, "{asked:?}");
        }
    }
}
