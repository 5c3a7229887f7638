//! One request against one matrix.
//!
//! Belongs here: what a request and an answer are, and how Cedar's answer becomes ours. Does not belong here: finding out
//! whether an event is active or who owns a camera.

use cedar_policy::{Authorizer, Context, Entities, PolicySet, RestrictedExpression};
use vms_core::{Profile, Purpose, Relation, Rendition, Right};

use crate::compile::{BOOLS, Slice, Verdict};
use crate::condition::Condition;
use crate::matrix::Matrix;

/// Shortest justification that is taken for one (`domain.md` H2, condition j).
const JUSTIFICATION_MIN_CHARS: usize = 10;
/// Fewest different characters in a justification: fewer is a key held down ("no repeats").
const JUSTIFICATION_MIN_KINDS: usize = 4;
/// Shortest case number or reference of a magistrate's decision.
const REFERENCE_MIN_CHARS: usize = 3;

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
    /// Purpose code, as given.
    pub purpose: Option<Purpose>,
    /// Justification text, as given.
    pub justification: Option<&'a str>,
    /// Case, report or ticket number, as given.
    pub case_ref: Option<&'a str>,
    /// Reference of a magistrate's written decision, as given.
    pub magistrate_ref: Option<&'a str>,
    /// Another person has agreed, or is asked with this very request.
    pub has_second_person: bool,
    /// Age of the oldest material asked for, microseconds; 0 for live.
    pub age_us: i64,
    /// An activated event, or an emergency access, covers the camera now.
    pub event_active: bool,
    /// The workstation is registered as police supervised.
    pub police_station: bool,
    /// The object lies in the territory of the actor's organisation.
    pub own_territory: bool,
    /// The data flow or authorisation for this purpose is active.
    pub flow_active: bool,
    /// The object belongs to a file in the actor's own queue.
    pub own_file: bool,
    /// The overseer has suspended what is asked for.
    pub suspended: bool,
    /// The answer holds counts only, with small ones left out.
    pub aggregated: bool,
    /// Nothing is changed by it.
    pub reads_only: bool,
}

impl Request<'_> {
    /// A bare request: nothing given, nothing holds, and it only looks.
    pub const fn bare(profile: Profile, right: Right, relation: Relation) -> Self {
        Self {
            profile,
            right,
            relation,
            rendition: Rendition::Original,
            purpose: None,
            justification: None,
            case_ref: None,
            magistrate_ref: None,
            has_second_person: false,
            age_us: 0,
            event_active: false,
            police_station: false,
            own_territory: false,
            flow_active: false,
            own_file: false,
            suspended: false,
            aggregated: false,
            reads_only: true,
        }
    }

    /// The facts of [`BOOLS`], in that order.
    fn facts(&self) -> [bool; 14] {
        [
            self.purpose.is_some(),
            self.justification.is_some_and(is_justification),
            self.case_ref.is_some_and(is_reference),
            self.has_second_person,
            self.magistrate_ref.is_some_and(is_reference),
            self.event_active,
            self.police_station,
            self.own_territory,
            self.flow_active,
            self.own_file,
            self.rendition == Rendition::Coarse,
            self.aggregated,
            self.reads_only,
            self.suspended,
        ]
    }

    fn context(&self) -> Option<Context> {
        let bools = BOOLS.iter().zip(self.facts());
        let mut pairs: Vec<(String, RestrictedExpression)> =
            bools.map(|(name, fact)| ((*name).to_owned(), RestrictedExpression::new_bool(fact))).collect();
        pairs.push(("age_us".to_owned(), RestrictedExpression::new_long(self.age_us)));
        Context::from_pairs(pairs).ok()
    }
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
    /// A magistrate's written decision.
    Magistrate,
}

impl Requirement {
    /// Stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Purpose => "purpose",
            Self::Justification => "justification",
            Self::Case => "case",
            Self::SecondPerson => "second_person",
            Self::Magistrate => "magistrate",
        }
    }
}

/// Why not. The order is the order in which one is told when several hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DenyReason {
    /// The table has no cell for this profile, right and relation.
    NotInTable,
    /// The overseer has suspended it.
    Suspended,
    /// Only during an activated event.
    NoEvent,
    /// Only at a police-supervised station.
    NoPoliceStation,
    /// Only in one's own territory.
    NotOwnTerritory,
    /// Only while the data flow is active.
    FlowInactive,
    /// Only for a file in one's own queue.
    NotOwnFile,
    /// Only the coarse rendition.
    OnlyMasked,
    /// Only counts.
    OnlyAggregated,
    /// Only to look at.
    ReadOnly,
    /// Older than the profile may see.
    TooOld,
    /// The policies could not be evaluated: a fault of ours, and a no.
    Fault,
}

impl DenyReason {
    /// Stable word for logs and problem documents.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotInTable => "not_in_table",
            Self::Suspended => "suspended",
            Self::NoEvent => "no_event",
            Self::NoPoliceStation => "no_police_station",
            Self::NotOwnTerritory => "not_own_territory",
            Self::FlowInactive => "flow_inactive",
            Self::NotOwnFile => "not_own_file",
            Self::OnlyMasked => "only_masked",
            Self::OnlyAggregated => "only_aggregated",
            Self::ReadOnly => "read_only",
            Self::TooOld => "too_old",
            Self::Fault => "policy_fault",
        }
    }
}

/// What a yes obliges to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Obligations {
    /// The owner is told.
    pub notify_owner: bool,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes, and what comes with it.
    Allow(Obligations),
    /// Yes, once this is supplied.
    Missing(Vec<Requirement>),
    /// No.
    Deny(DenyReason),
}

impl Decision {
    /// Whether it is a yes as it stands.
    pub const fn is_allow(&self) -> bool {
        matches!(self, Self::Allow(_))
    }
}

/// The answer with what decided it.
pub(crate) struct Answer {
    pub(crate) decision: Decision,
    /// Identifiers of the policies that decided, sorted.
    pub(crate) decided_by: Vec<String>,
    /// Conditions of the cell that were not met.
    pub(crate) unmet: Vec<Condition>,
}

impl Answer {
    fn no(reason: DenyReason) -> Self {
        Self { decision: Decision::Deny(reason), decided_by: Vec::new(), unmet: Vec::new() }
    }
}

/// Decides. Total: every request has an answer, and what the matrix does not name is a no.
pub fn decide(matrix: &Matrix, request: &Request<'_>) -> Decision {
    matrix.decide(request)
}

pub(crate) fn answer(matrix: &Matrix, request: &Request<'_>) -> Answer {
    match matrix.compiled().slices.get(&(request.profile, request.right)) {
        None => Answer::no(DenyReason::NotInTable),
        Some(slice) => answer_from(matrix, request, slice, &slice.set),
    }
}

/// The answer of another set with the same identifiers: the slice's own, or the whole.
pub(crate) fn answer_from(matrix: &Matrix, request: &Request<'_>, slice: &Slice, set: &PolicySet) -> Answer {
    let Some(cell) = matrix.cell(request.profile, request.right, request.relation) else {
        return Answer::no(DenyReason::NotInTable);
    };
    let Some(context) = request.context() else { return Answer::no(DenyReason::Fault) };
    let (principal, action) = (slice.principal.clone(), slice.action.clone());
    let relation = matrix.compiled().relation(request.relation);
    let Ok(asked) = cedar_policy::Request::new(principal, action, relation, context, None) else {
        return Answer::no(DenyReason::Fault);
    };
    let response = Authorizer::new().is_authorized(&asked, set, &Entities::empty());
    let diagnostics = response.diagnostics();
    // A policy that can't be evaluated is left out by Cedar: a forbid would then not forbid. So any error is a no.
    if diagnostics.errors().next().is_some() {
        return Answer::no(DenyReason::Fault);
    }
    let mut decided_by: Vec<String> = diagnostics.reason().map(ToString::to_string).collect();
    decided_by.sort_unstable();
    let meant: Vec<(Verdict, Option<Condition>)> =
        diagnostics.reason().map(|id| slice.meaning.get(id).copied()).collect::<Option<_>>().unwrap_or_default();
    let mut unmet: Vec<Condition> = meant.iter().filter_map(|(_, condition)| *condition).collect();
    unmet.sort_unstable();
    unmet.dedup();
    let decision = match response.decision() {
        cedar_policy::Decision::Allow if meant.iter().any(|(verdict, _)| *verdict == Verdict::Permit) => {
            Decision::Allow(Obligations { notify_owner: cell.contains(&Condition::NotifyOwner) })
        }
        // A yes by a policy that is not the cell's own can't be: the set would not be the matrix's.
        cedar_policy::Decision::Allow => Decision::Deny(DenyReason::Fault),
        cedar_policy::Decision::Deny => refusal(meant.into_iter().map(|(verdict, _)| verdict)),
    };
    Answer { decision, decided_by, unmet }
}

/// A no that the person can do nothing about goes before what is lacking.
fn refusal(verdicts: impl Iterator<Item = Verdict>) -> Decision {
    let (mut reasons, mut lacks) = (Vec::new(), Vec::new());
    for verdict in verdicts {
        match verdict {
            Verdict::Denies(reason) => reasons.push(reason),
            Verdict::Lacks(requirement) => lacks.push(requirement),
            Verdict::Permit => {}
        }
    }
    lacks.sort_unstable();
    lacks.dedup();
    match reasons.into_iter().min() {
        Some(reason) => Decision::Deny(reason),
        None if lacks.is_empty() => Decision::Deny(DenyReason::Fault),
        None => Decision::Missing(lacks),
    }
}

fn is_reference(text: &str) -> bool {
    text.trim().chars().count() >= REFERENCE_MIN_CHARS
}

/// Ten characters that are not two or three over and over.
fn is_justification(text: &str) -> bool {
    let text = text.trim();
    let mut kinds: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    text.chars().count() >= JUSTIFICATION_MIN_CHARS && kinds.len() >= JUSTIFICATION_MIN_KINDS
}

#[cfg(test)]
mod tests;
