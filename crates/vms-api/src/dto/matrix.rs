//! The role matrix, its versions and what a change means.

use policy::{Ability, CellChange, Diff, Matrix};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vms_app::gate::Why;
use vms_app::matrix_edits::{MatrixInForce, MatrixSight};
use vms_app::matrix_ports::MatrixVersion;
use vms_core::WallTime;

use super::common::{instant, parse_instant};
use super::legal::SignatureView;
use crate::problem::Problem;

/// One cell: a profile's right towards one relation.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CellView {
    /// `P01` … `P24`.
    pub profile: &'static str,
    /// Word of the right.
    pub right: &'static str,
    /// `own`, `shared` or `other`.
    pub relation: &'static str,
    /// What it needs; empty when it needs nothing.
    pub needs: Vec<String>,
}

/// The matrix in force.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MatrixView {
    /// What its text calls itself.
    pub version: String,
    /// The day from which it was meant to hold.
    pub valid_from: String,
    /// Where it comes from.
    pub source: String,
    /// SHA-256 of its text, hex; stands in every leaf of a decision.
    pub digest: String,
    /// When it came into force; null before it was ever stored.
    pub active_since: Option<String>,
    /// Every cell; what is not here is a no.
    pub cells: Vec<CellView>,
    /// The text, to start a draft from.
    pub text: String,
}

impl From<&MatrixInForce> for MatrixView {
    fn from(now: &MatrixInForce) -> Self {
        let matrix: &Matrix = &now.matrix;
        let cells = matrix.cells().map(|((profile, right, relation), needs)| CellView {
            profile: profile.as_str(),
            right: right.as_str(),
            relation: relation.as_str(),
            needs: needs.iter().map(ToString::to_string).collect(),
        });
        Self {
            version: matrix.version().to_owned(),
            valid_from: matrix.valid_from().to_owned(),
            source: matrix.source().to_owned(),
            digest: matrix.digest().to_owned(),
            active_since: now.row.as_ref().and_then(|row| row.activated_at).map(instant),
            cells: cells.collect(),
            text: matrix.text().to_owned(),
        }
    }
}

/// One cell that a change moves.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CellChangeView {
    /// `P01` … `P24`.
    pub profile: &'static str,
    /// Word of the right.
    pub right: &'static str,
    /// `own`, `shared` or `other`.
    pub relation: &'static str,
    /// `gains`, `loosened`, `both`, `tightened` or `loses`.
    pub turn: &'static str,
    /// The cell before, as written; null for a no.
    pub before: Option<String>,
    /// The cell after; null for a no.
    pub after: Option<String>,
    /// What is needed now and was not.
    pub tightened: Vec<String>,
    /// What was needed and is not any more.
    pub loosened: Vec<String>,
    /// How many accounts this touches today.
    pub accounts: usize,
    /// Codes of their organisations (the first twenty).
    pub orgs: Vec<String>,
    /// How many cameras stand in this relation to them today.
    pub cameras: usize,
    /// Names of these (the first twenty).
    pub camera_names: Vec<String>,
}

impl From<&CellChange> for CellChangeView {
    fn from(change: &CellChange) -> Self {
        Self {
            profile: change.profile.as_str(),
            right: change.right.as_str(),
            relation: change.relation.as_str(),
            turn: change.turn.as_str(),
            before: change.before.clone(),
            after: change.after.clone(),
            tightened: change.tightened.clone(),
            loosened: change.loosened.clone(),
            accounts: change.accounts,
            orgs: change.orgs.clone(),
            cameras: change.cameras,
            camera_names: change.camera_names.clone(),
        }
    }
}

/// A whole change.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MatrixDiffView {
    /// Version before.
    pub from: String,
    /// Version after.
    pub to: String,
    /// Profiles that may do something more.
    pub who_gains: Vec<&'static str>,
    /// Profiles that may do something less.
    pub who_loses: Vec<&'static str>,
    /// Every cell that moves: gains first, losses last.
    pub changes: Vec<CellChangeView>,
}

impl From<&Diff> for MatrixDiffView {
    fn from(diff: &Diff) -> Self {
        Self {
            from: diff.from.clone(),
            to: diff.to.clone(),
            who_gains: diff.who_gains().into_iter().map(vms_core::Profile::as_str).collect(),
            who_loses: diff.who_loses().into_iter().map(vms_core::Profile::as_str).collect(),
            changes: diff.changes.iter().map(CellChangeView::from).collect(),
        }
    }
}

/// A version without its text.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MatrixVersionView {
    /// Key.
    pub id: String,
    /// What its text calls itself.
    pub version: String,
    /// SHA-256 of its text, hex.
    pub digest: String,
    /// `waiting`, `approved`, `refused`, `withdrawn`, `active` or `superseded`.
    pub state: &'static str,
    /// Why, in the proposer's words.
    pub reason: String,
    /// Who proposed it; null for a text that came with the program.
    pub proposed: Option<SignatureView>,
    /// When it came.
    pub created_at: String,
    /// From when it is to be in force.
    pub active_at: String,
    /// Who agreed, refused or took it back.
    pub settled: Option<SignatureView>,
    /// Why it was refused.
    pub answer: Option<String>,
    /// When it came into force.
    pub activated_at: Option<String>,
    /// When another came into force.
    pub superseded_at: Option<String>,
}

impl From<&MatrixVersion> for MatrixVersionView {
    fn from(row: &MatrixVersion) -> Self {
        Self {
            id: row.id.to_string(),
            version: row.version.clone(),
            digest: row.digest.clone(),
            state: row.state.as_str(),
            reason: row.reason.clone(),
            proposed: row.proposed.as_ref().map(SignatureView::from),
            created_at: instant(row.created_at),
            active_at: instant(row.active_at),
            settled: row.settled.as_ref().map(SignatureView::from),
            answer: row.answer.clone(),
            activated_at: row.activated_at.map(instant),
            superseded_at: row.superseded_at.map(instant),
        }
    }
}

/// A version with its text and what it changes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MatrixSightView {
    /// The version.
    pub version: MatrixVersionView,
    /// Its text.
    pub text: String,
    /// Against the matrix in force, with the people and cameras of today; null when this program does not read the text.
    pub diff: Option<MatrixDiffView>,
    /// Whether the caller may agree to it or refuse it.
    pub may_settle: bool,
    /// Whether the caller may take it back.
    pub may_withdraw: bool,
}

impl From<&MatrixSight> for MatrixSightView {
    fn from(sight: &MatrixSight) -> Self {
        Self {
            version: MatrixVersionView::from(&sight.version),
            text: sight.version.text.clone(),
            diff: sight.diff.as_ref().map(MatrixDiffView::from),
            may_settle: sight.may_settle,
            may_withdraw: sight.may_withdraw,
        }
    }
}

/// A text, to see what it would change.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MatrixTextDto {
    /// The whole text.
    pub text: String,
}

/// A proposal.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MatrixDraftDto {
    /// The whole text.
    pub text: String,
    /// Why, at least ten characters.
    pub reason: String,
    /// From when it is to be in force, RFC 3339; absent: as soon as somebody else agrees.
    pub active_at: Option<String>,
}

impl MatrixDraftDto {
    /// For the use case: the text, the instant, and the reason.
    ///
    /// # Errors
    /// 422 naming the field.
    pub fn into_parts(self) -> Result<(String, Option<WallTime>, Why), Problem> {
        let at = self.active_at.as_deref().map(|text| parse_instant("active_at", text)).transpose()?;
        // The purpose of administering rights is one and the same: the gate's condition asks for it in words too.
        let purpose = Some(vms_core::Purpose::Audit);
        Ok((self.text, at, Why { purpose, justification: Some(self.reason), ..Why::default() }))
    }
}

/// Whose abilities.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AbilityQuery {
    /// `P01` … `P24`.
    pub profile: String,
    /// `own`, `shared` or `other`.
    pub relation: String,
}

/// What a profile may do, and what it needs for it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AbilityView {
    /// Word of the right.
    pub right: &'static str,
    /// What it needs, in words of the matrix.
    pub needs: Vec<String>,
    /// Where the row comes from.
    pub source: String,
}

impl From<&Ability> for AbilityView {
    fn from(ability: &Ability) -> Self {
        Self {
            right: ability.right.as_str(),
            needs: ability.needs.iter().map(ToString::to_string).collect(),
            source: ability.source.clone(),
        }
    }
}
