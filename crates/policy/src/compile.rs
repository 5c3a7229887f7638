//! From the table to Cedar: one `permit` per cell, one `forbid … unless` per condition, one small policy set per profile
//! and right. Cedar looks at every policy of a set, so a slice keeps a decision as cheap as its own cells.
//!
//! Belongs here: the text, its identifiers, the slices, the schema. Does not belong here: what a request means (`decide`).

use std::collections::HashMap;
use std::fmt::Write as _;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, Policy, PolicyId, PolicySet};
use vms_core::{Profile, Relation, Right};

use crate::condition::Condition;
use crate::decide::{DenyReason, Requirement};
use crate::groups::survives_suspension;
use crate::table::{MatrixError, Table};

const DAY_US: i64 = 86_400_000_000;

/// What it means that a policy decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The cell's yes.
    Permit,
    /// Something is lacking that the person can supply.
    Lacks(Requirement),
    /// Something does not hold that the person can't supply.
    Denies(DenyReason),
}

/// One policy: its name, its text, and what it means.
#[derive(Clone, Debug)]
pub(crate) struct Clause {
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) verdict: Verdict,
    /// The condition behind it; `None` for the yes and for the suspension.
    pub(crate) condition: Option<Condition>,
}

/// The policies of one profile and right.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    pub(crate) principal: EntityUid,
    pub(crate) action: EntityUid,
    pub(crate) set: PolicySet,
    pub(crate) meaning: HashMap<PolicyId, (Verdict, Option<Condition>)>,
}

/// Every slice, the three relations, and the whole as one set.
#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    pub(crate) slices: HashMap<(Profile, Right), Slice>,
    relations: [EntityUid; 3],
}

impl Compiled {
    pub(crate) fn relation(&self, relation: Relation) -> EntityUid {
        let [own, shared, other] = &self.relations;
        match relation {
            Relation::Own => own.clone(),
            Relation::Shared => shared.clone(),
            Relation::Other => other.clone(),
        }
    }
}

/// The name of a cell, such as `P01/live/shared`.
pub fn cell_id(profile: Profile, right: Right, relation: Relation) -> String {
    format!("{profile}/{right}/{relation}")
}

/// Compiles a table.
pub(crate) fn compile(table: &Table) -> Result<Compiled, MatrixError> {
    let mut slices: HashMap<(Profile, Right), Slice> = HashMap::new();
    for ((profile, right, relation), conditions) in table.cells() {
        let slice = match slices.entry((profile, right)) {
            std::collections::hash_map::Entry::Occupied(slice) => slice.into_mut(),
            std::collections::hash_map::Entry::Vacant(free) => free.insert(empty_slice(profile, right)?),
        };
        let source = table.source_of(right).unwrap_or_default();
        for clause in cell_clauses(profile, right, relation, conditions, source) {
            add(slice, &clause)?;
        }
    }
    let relations = [uid("Relation", "own")?, uid("Relation", "shared")?, uid("Relation", "other")?];
    Ok(Compiled { slices, relations })
}

/// The whole matrix as one set, for checks; decisions use the slices.
pub(crate) fn whole(table: &Table) -> Result<PolicySet, MatrixError> {
    let mut set = PolicySet::new();
    for clause in clauses(table) {
        set.add(policy(&clause)?).map_err(|error| MatrixError::Compile(error.to_string()))?;
    }
    Ok(set)
}

/// The whole policy text, for a lawyer or an engineer.
pub(crate) fn text(table: &Table) -> String {
    let mut text = format!(
        "// The role matrix, version {}, from {}, as Cedar policies. Deny by default.\n// Source: {}\n// SHA-256 of its text: {}\n",
        table.version(),
        table.valid_from(),
        table.source(),
        table.digest()
    );
    for clause in clauses(table) {
        text.push('\n');
        text.push_str(&clause.text);
    }
    text
}

fn clauses(table: &Table) -> Vec<Clause> {
    let mut all: Vec<Clause> = Right::ALL.iter().filter_map(|right| suspension(*right)).collect();
    for ((profile, right, relation), conditions) in table.cells() {
        let source = table.source_of(right).unwrap_or_default();
        all.extend(cell_clauses(profile, right, relation, conditions, source));
    }
    all
}

fn empty_slice(profile: Profile, right: Right) -> Result<Slice, MatrixError> {
    let mut slice = Slice {
        principal: uid("Profile", profile.as_str())?,
        action: uid("Action", right.as_str())?,
        set: PolicySet::new(),
        meaning: HashMap::new(),
    };
    if let Some(clause) = suspension(right) {
        add(&mut slice, &clause)?;
    }
    Ok(slice)
}

fn add(slice: &mut Slice, clause: &Clause) -> Result<(), MatrixError> {
    slice.set.add(policy(clause)?).map_err(|error| MatrixError::Compile(error.to_string()))?;
    slice.meaning.insert(PolicyId::new(&clause.id), (clause.verdict, clause.condition));
    Ok(())
}

fn policy(clause: &Clause) -> Result<Policy, MatrixError> {
    Policy::parse(Some(PolicyId::new(&clause.id)), &clause.text)
        .map_err(|error| MatrixError::Compile(format!("{}: {error}", clause.id)))
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, MatrixError> {
    let kind: EntityTypeName = format!("Belfry::{kind}")
        .parse()
        .map_err(|error: cedar_policy::ParseErrors| MatrixError::Compile(error.to_string()))?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

/// A suspension by the overseer ends every right that is no oversight.
fn suspension(right: Right) -> Option<Clause> {
    if survives_suspension(right) {
        return None;
    }
    let id = format!("suspended/{right}");
    let text = format!(
        "@id(\"{id}\")\nforbid (principal, action == Belfry::Action::\"{right}\", resource)\nwhen {{ context.suspended }};\n"
    );
    Some(Clause { id, text, verdict: Verdict::Denies(DenyReason::Suspended), condition: None })
}

fn cell_clauses(
    profile: Profile,
    right: Right,
    relation: Relation,
    conditions: &[Condition],
    source: &str,
) -> Vec<Clause> {
    let cell = cell_id(profile, right, relation);
    let scope = format!(
        "(\n  principal == Belfry::Profile::\"{profile}\",\n  action == Belfry::Action::\"{right}\",\n  resource == Belfry::Relation::\"{relation}\"\n)"
    );
    let obliges = if conditions.contains(&Condition::NotifyOwner) { "@obliges(\"notify_owner\")\n" } else { "" };
    let source = quoted(source);
    let text = format!("@id(\"{cell}\")\n@source(\"{source}\")\n{obliges}permit {scope};\n");
    let mut found = vec![Clause { id: cell.clone(), text, verdict: Verdict::Permit, condition: None }];
    for condition in conditions {
        for (word, test, verdict) in tests(*condition) {
            let id = format!("{cell}/{word}");
            let text = format!("@id(\"{id}\")\nforbid {scope}\nunless {{ {test} }};\n");
            found.push(Clause { id, text, verdict, condition: Some(*condition) });
        }
    }
    found
}

/// What a condition asks of the context, and what it means when that does not hold.
fn tests(condition: Condition) -> Vec<(String, String, Verdict)> {
    use {DenyReason as D, Requirement as Q, Verdict as V};
    let word = condition.to_string();
    let one = |test: &str, verdict| vec![(word.clone(), test.to_owned(), verdict)];
    let younger = |days: u16| format!("context.age_us <= {}", i64::from(days).saturating_mul(DAY_US));
    match condition {
        Condition::Justification => vec![
            ("purpose".to_owned(), "context.purpose".to_owned(), V::Lacks(Q::Purpose)),
            (word, "context.justified".to_owned(), V::Lacks(Q::Justification)),
        ],
        Condition::Case => one("context.case_given", V::Lacks(Q::Case)),
        Condition::SecondPerson => one("context.second_person", V::Lacks(Q::SecondPerson)),
        Condition::SecondPersonAfterDays(days) => {
            one(&format!("{} || context.second_person", younger(days)), V::Lacks(Q::SecondPerson))
        }
        Condition::MagistrateAfterDays(days) => {
            one(&format!("{} || context.magistrate", younger(days)), V::Lacks(Q::Magistrate))
        }
        Condition::Event => one("context.event", V::Denies(D::NoEvent)),
        Condition::PoliceStation => one("context.police_station", V::Denies(D::NoPoliceStation)),
        Condition::OwnTerritory => one("context.own_territory", V::Denies(D::NotOwnTerritory)),
        Condition::Flow => one("context.flow", V::Denies(D::FlowInactive)),
        Condition::OwnFile => one("context.own_file", V::Denies(D::NotOwnFile)),
        Condition::Masked => one("context.coarse", V::Denies(D::OnlyMasked)),
        Condition::Aggregated => one("context.aggregated", V::Denies(D::OnlyAggregated)),
        Condition::ReadOnly => one("context.reads_only", V::Denies(D::ReadOnly)),
        Condition::AgeMaxDays(days) => one(&younger(days), V::Denies(D::TooOld)),
        Condition::NotifyOwner => Vec::new(),
    }
}

/// For inside a Cedar string.
fn quoted(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).flat_map(char::escape_default).collect::<String>().replace("\\'", "'")
}

/// The Cedar schema of the compiled text: closed lists of profiles, rights and relations, and the context's shape.
pub(crate) fn schema() -> String {
    let list = |words: Vec<&str>| words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    let profiles = list(Profile::ALL.iter().map(|profile| profile.as_str()).collect());
    let relations = list(Relation::ALL.iter().map(|relation| relation.as_str()).collect());
    let rights = list(Right::ALL.iter().map(|right| right.as_str()).collect());
    let mut text = format!(
        "namespace Belfry {{\n  entity Profile enum [{profiles}];\n  entity Relation enum [{relations}];\n  type Circumstances = {{\n"
    );
    for name in BOOLS {
        let written = writeln!(text, "    {name}: Bool,");
        debug_assert!(written.is_ok(), "writing to a string does not fail");
    }
    text.push_str("    age_us: Long,\n  };\n");
    let applies = "appliesTo { principal: [Profile], resource: [Relation], context: Circumstances }";
    let written = writeln!(text, "  action {rights} {applies};\n}}");
    debug_assert!(written.is_ok(), "writing to a string does not fail");
    text
}

/// The yes-or-no facts of the context, in the order in which `decide` gives them.
pub(crate) const BOOLS: [&str; 14] = [
    "purpose",
    "justified",
    "case_given",
    "second_person",
    "magistrate",
    "event",
    "police_station",
    "own_territory",
    "flow",
    "own_file",
    "coarse",
    "aggregated",
    "reads_only",
    "suspended",
];
