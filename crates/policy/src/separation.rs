//! The ten separation rules of `domain.md` H, as far as a table can break them, and the law's term of one month. They are
//! code and not data: no edit of the matrix gets past them.
//!
//! Belongs here: what a table alone can show. Does not belong here: what depends on persons, sessions or time
//! (`docs/MATRIX.md` says for each rule where the rest is held).

use std::collections::BTreeMap;
use std::fmt;

use vms_core::{Profile, Relation, Right};

use crate::condition::Condition;
use crate::groups::{
    ADMINISTRATORS, APART, FILE_WORKERS, GIVES, IMAGE, LOG, MACHINE, OVERSEERS, OVERSIGHT, PAST, PLATES,
};
use crate::table::CellKey;

/// After so many days police images and reads open only by a magistrate's decision (Police Function Act 25/7 and
/// 44/11/3decies, `domain.md` D3: one month; the stricter 30 × 24 h of D6).
pub const FIRST_TERM_DAYS: u16 = 30;

/// Which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// 1: administrators see no image and give themselves nothing.
    AdministratorsDoNotLook,
    /// 2: whoever approves is not who asks, and belongs to the camera's owner.
    ApproverIsAnother,
    /// 3: overseers do not operate.
    OverseersDoNotOperate,
    /// 4: nobody alters the log.
    LogIsOnlyRead,
    /// 5: who writes a watchlist does not approve it.
    WatchlistAuthorIsNotApprover,
    /// 6: emergency access is P02's, with reason, notice and another's review.
    BreakGlassIsReviewed,
    /// 7: LEZ and ZBT agents see their own files only.
    FilesOnly,
    /// 8: only P16 activates events, and only an event opens what nobody shared.
    EventsOpenTheRest,
    /// 9: machines have machines' rights only, people have none of those.
    MachinesApart,
    /// 10: every look at others' cameras and at the past carries its purpose.
    PurposeIsCarried,
    /// The law's term: older than a month only with a magistrate.
    FirstTerm,
}

impl Rule {
    /// Every rule, in the order of `domain.md` H.
    pub const ALL: [Self; 11] = [
        Self::AdministratorsDoNotLook,
        Self::ApproverIsAnother,
        Self::OverseersDoNotOperate,
        Self::LogIsOnlyRead,
        Self::WatchlistAuthorIsNotApprover,
        Self::BreakGlassIsReviewed,
        Self::FilesOnly,
        Self::EventsOpenTheRest,
        Self::MachinesApart,
        Self::PurposeIsCarried,
        Self::FirstTerm,
    ];

    /// Its name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AdministratorsDoNotLook => "separation rule 1 (administrators do not look)",
            Self::ApproverIsAnother => "separation rule 2 (the approver is another)",
            Self::OverseersDoNotOperate => "separation rule 3 (overseers do not operate)",
            Self::LogIsOnlyRead => "separation rule 4 (the log is only read)",
            Self::WatchlistAuthorIsNotApprover => "separation rule 5 (a watchlist's author does not approve it)",
            Self::BreakGlassIsReviewed => "separation rule 6 (emergency access is reviewed)",
            Self::FilesOnly => "separation rule 7 (agents see their own files only)",
            Self::EventsOpenTheRest => "separation rule 8 (only an event opens what nobody shared)",
            Self::MachinesApart => "separation rule 9 (machines apart from people)",
            Self::PurposeIsCarried => "separation rule 10 (a purpose is carried)",
            Self::FirstTerm => "the law's first term (a magistrate after 30 days)",
        }
    }
}

/// One cell that breaks one rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Which rule.
    pub rule: Rule,
    /// Whose cell.
    pub profile: Profile,
    /// Of which right.
    pub right: Right,
    /// Towards what.
    pub relation: Relation,
    /// What is wrong with it.
    pub what: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, profile, right, relation, what } = self;
        write!(f, "{}: {profile} {right} {relation}: {what}", rule.name())
    }
}

/// One cell, with the questions that rules ask.
struct Cell<'a> {
    profile: Profile,
    right: Right,
    relation: Relation,
    conditions: &'a [Condition],
}

impl Cell<'_> {
    fn has(&self, condition: Condition) -> bool {
        self.conditions.contains(&condition)
    }

    fn days(&self, stem: Condition) -> Option<u16> {
        self.conditions.iter().find(|condition| condition.stem() == stem.stem()).and_then(|found| found.days())
    }

    fn is(&self, group: &[Right]) -> bool {
        group.contains(&self.right)
    }
}

pub(crate) fn check(cells: &BTreeMap<CellKey, Vec<Condition>>) -> Result<(), Vec<Violation>> {
    let holds_any = |profile: Profile, right: Right| {
        Relation::ALL.iter().any(|relation| cells.contains_key(&(profile, right, *relation)))
    };
    let mut found = Vec::new();
    for ((profile, right, relation), conditions) in cells {
        let cell = Cell { profile: *profile, right: *right, relation: *relation, conditions };
        let mut broken: Vec<(Rule, &'static str)> = Vec::new();
        for rule in [people, approval, emergencies, files, reach, terms] {
            rule(&cell, &mut broken);
        }
        for (asks, approves) in APART {
            if cell.right == *approves && holds_any(cell.profile, *asks) {
                broken.push((apart_rule(*approves), "the profile that asks also approves"));
            }
        }
        let (profile, right, relation) = (*profile, *right, *relation);
        found.extend(broken.into_iter().map(|(rule, what)| Violation { rule, profile, right, relation, what }));
    }
    if found.is_empty() { Ok(()) } else { Err(found) }
}

fn apart_rule(approves: Right) -> Rule {
    if approves == Right::WatchlistApprove {
        Rule::WatchlistAuthorIsNotApprover
    } else if approves == Right::BreakGlassReview {
        Rule::BreakGlassIsReviewed
    } else {
        Rule::ApproverIsAnother
    }
}

/// Rules 1, 3, 4 and 9: what kinds of profiles never hold.
fn people(cell: &Cell<'_>, broken: &mut Vec<(Rule, &'static str)>) {
    if ADMINISTRATORS.contains(&cell.profile) {
        let test = cell.profile == Profile::P17 && cell.right == Right::CameraTestPicture;
        let strict = [Condition::Masked, Condition::Justification, Condition::Case, Condition::NotifyOwner];
        if test && !strict.into_iter().all(|condition| cell.has(condition)) {
            broken.push((
                Rule::AdministratorsDoNotLook,
                "a test picture is masked, with a ticket, and the owner is told",
            ));
        }
        if (cell.is(IMAGE) && !test) || cell.is(PLATES) || cell.is(LOG) {
            broken.push((Rule::AdministratorsDoNotLook, "an administrator sees no image, no plate and no log of uses"));
        }
        if cell.is(GIVES) {
            broken.push((Rule::AdministratorsDoNotLook, "an administrator approves nothing that gives rights"));
        }
    }
    if OVERSEERS.contains(&cell.profile) && !cell.is(OVERSIGHT) {
        broken.push((Rule::OverseersDoNotOperate, "an overseer holds no operational right"));
    }
    if cell.right == Right::OversightPlayback && !OVERSEERS.contains(&cell.profile) {
        broken.push((Rule::OverseersDoNotOperate, "only overseers look in order to check"));
    }
    let reads_log = [Right::AuditTechnical, Right::AuditConfig, Right::AuditAdmin, Right::AuditCount];
    if reads_log.contains(&cell.right) && !cell.has(Condition::ReadOnly) {
        broken.push((Rule::LogIsOnlyRead, "a part of the log is only looked at"));
    }
    if (cell.profile == Profile::P24) != cell.is(MACHINE) {
        broken.push((Rule::MachinesApart, "machines hold machines' rights only, and nobody else does"));
    }
}

/// Rule 2: approvals.
fn approval(cell: &Cell<'_>, broken: &mut Vec<(Rule, &'static str)>) {
    let four_eyes = [Right::Export, Right::Unmask, Right::WatchlistEdit, Right::WatchlistUrgent];
    if four_eyes.contains(&cell.right) && !cell.has(Condition::SecondPerson) {
        broken.push((Rule::ApproverIsAnother, "it needs a second person"));
    }
    let by_owner = [Right::ExportApprove, Right::UnmaskApprove, Right::GrantApprove, Right::CameraShare];
    if by_owner.contains(&cell.right) && cell.relation != Relation::Own {
        broken.push((Rule::ApproverIsAnother, "only somebody of the camera's owner approves"));
    }
}

/// Rules 6 and 8: emergencies and events.
fn emergencies(cell: &Cell<'_>, broken: &mut Vec<(Rule, &'static str)>) {
    if cell.right == Right::BreakGlass {
        if cell.profile != Profile::P02 {
            broken.push((Rule::BreakGlassIsReviewed, "only P02 opens emergency access"));
        }
        if !cell.has(Condition::Justification) || !cell.has(Condition::NotifyOwner) {
            broken.push((Rule::BreakGlassIsReviewed, "it needs a reason, and the owner is told"));
        }
    }
    if cell.right == Right::EventActivate {
        if cell.profile != Profile::P16 {
            broken.push((Rule::EventsOpenTheRest, "only P16 activates events"));
        }
        if !cell.has(Condition::Case) || !cell.has(Condition::NotifyOwner) {
            broken.push((Rule::EventsOpenTheRest, "it needs the authority's reference, and owners are told"));
        }
    }
    let looks = cell.is(IMAGE) && cell.right != Right::OversightPlayback && cell.right != Right::CameraTestPicture;
    let told = cell.has(Condition::Event) && cell.has(Condition::NotifyOwner);
    if looks && cell.relation == Relation::Other && !told {
        broken.push((Rule::EventsOpenTheRest, "what nobody shared opens only during an event, and the owner is told"));
    }
    let past = cell.is(PAST) && cell.right != Right::OversightPlayback;
    if past && cell.relation == Relation::Other {
        broken.push((Rule::EventsOpenTheRest, "the past of what nobody shared opens to nobody"));
    }
}

/// Rule 7: agents who work files.
fn files(cell: &Cell<'_>, broken: &mut Vec<(Rule, &'static str)>) {
    if !FILE_WORKERS.contains(&cell.profile) {
        return;
    }
    if cell.is(IMAGE) || cell.is(PLATES) {
        broken.push((Rule::FilesOnly, "an agent sees no camera and searches no plate"));
    }
    if cell.right == Right::FineFile && !cell.has(Condition::OwnFile) {
        broken.push((Rule::FilesOnly, "an agent sees files of the own queue only"));
    }
}

/// Rule 10: purposes.
fn reach(cell: &Cell<'_>, broken: &mut Vec<(Rule, &'static str)>) {
    let away = cell.is(IMAGE) && cell.right != Right::Ptz && cell.relation != Relation::Own;
    let past = cell.is(PAST) || cell.right == Right::HoldSet;
    if (past || away) && !cell.has(Condition::Justification) {
        broken.push((Rule::PurposeIsCarried, "it needs a purpose and a justification"));
    }
}

/// The law's first term.
fn terms(cell: &Cell<'_>, broken: &mut Vec<(Rule, &'static str)>) {
    if !cell.is(PAST) {
        return;
    }
    let Some(days) = cell.days(Condition::AgeMaxDays(1)) else {
        broken.push((Rule::FirstTerm, "it has no bound in age"));
        return;
    };
    let gated = cell.days(Condition::MagistrateAfterDays(1)).is_some_and(|after| after <= FIRST_TERM_DAYS);
    if days > FIRST_TERM_DAYS && !gated {
        broken.push((Rule::FirstTerm, "older than 30 days needs a magistrate's decision"));
    }
}

#[cfg(test)]
mod tests;
