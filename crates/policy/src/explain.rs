//! Why an answer is what it is, and what a profile may do at all.
//!
//! Belongs here: answers in a form for people. Does not belong here: printing.

use vms_core::{Profile, Relation, Right};

use crate::compile::cell_id;
use crate::condition::{Condition, cell_text};
use crate::decide::{Answer, Decision, Request};
use crate::matrix::Matrix;
use crate::table::Table;

/// One condition of a cell, and whether the request met it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The condition.
    pub condition: Condition,
    /// Whether it was met. What only obliges is met by nature.
    pub met: bool,
}

/// What decided one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Version of the matrix.
    pub version: String,
    /// SHA-256 of its text, hex.
    pub digest: String,
    /// The cell's name, such as `P01/live/shared`.
    pub cell: String,
    /// How the cell is written; `None` when there is no such cell.
    pub text: Option<String>,
    /// Where its row comes from.
    pub source: Option<String>,
    /// Each condition, in the order of the words.
    pub conditions: Vec<Checked>,
    /// Names of the policies that decided: the cell for a yes; the conditions that were not met for a no.
    pub decided_by: Vec<String>,
    /// The answer.
    pub decision: Decision,
}

impl Explanation {
    pub(crate) fn of(matrix: &Matrix, request: &Request<'_>, answer: Answer) -> Self {
        let cell = matrix.cell(request.profile, request.right, request.relation);
        let conditions = cell.unwrap_or_default().iter();
        Self {
            version: matrix.version().to_owned(),
            digest: matrix.digest().to_owned(),
            cell: cell_id(request.profile, request.right, request.relation),
            text: cell.map(cell_text),
            source: matrix.source_of(request.right).map(str::to_owned),
            conditions: conditions
                .map(|condition| Checked { condition: *condition, met: !answer.unmet.contains(condition) })
                .collect(),
            decided_by: answer.decided_by,
            decision: answer.decision,
        }
    }
}

/// What a profile may do towards cameras of one relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ability {
    /// The right.
    pub right: Right,
    /// What it needs; empty when it needs nothing.
    pub needs: Vec<Condition>,
    /// Where the row comes from.
    pub source: String,
}

/// Every right of a profile towards one relation, with what it needs.
pub fn simulate(table: &Table, profile: Profile, relation: Relation) -> Vec<Ability> {
    let rights = table.rights_of(profile).into_iter();
    rights
        .filter_map(|right| {
            let needs = table.cell(profile, right, relation)?.to_vec();
            Some(Ability { right, needs, source: table.source_of(right).unwrap_or_default().to_owned() })
        })
        .collect()
}
