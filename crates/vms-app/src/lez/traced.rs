//! Who searched for a plate: an overseer's look into the log of uses, by the keyed hash that every search left there.
//!
//! Belongs here: the look-up and its conditions. Does not belong here: what the log keeps of a search ([`super::reads`]), how rows are
//! found (`vms-store`).

use audit::LeafKind;
use policy::{Decision, Requirement};
use serde_json::json;
use vms_core::{DecisionId, Plate, PlateWish, Relation, TimeRange};

use super::words;
use crate::cases::UseCases;
use crate::error::UseCaseError;
use crate::gate::action::TracePlate;
use crate::gate::{Actor, Target, Why};
use crate::model::LogDetail;

/// What was found, under one logged decision.
#[derive(Clone, Debug)]
pub struct PlateTrace {
    /// The decision.
    pub decision: DecisionId,
    /// Uses and refusals that named the plate, newest first.
    pub uses: Vec<LogDetail>,
}

impl UseCases {
    /// Searches for exactly this plate in a span of the log, asked for, refused or found, newest first: everybody's for overseers, those of
    /// the own organisation for its data-protection officer. It names persons, so a case stands behind it whoever asks. The look-up is a leaf
    /// itself, with the same keyed hash, so that it is found by the next one.
    ///
    /// # Errors
    /// `Denied`, `Missing` (purpose, justification, case), logged; `Conflict(NoSuchService)` without reads; `LogUnavailable`, `Unavailable`.
    pub async fn plate_trace(
        &self,
        actor: &Actor,
        plate: &Plate,
        range: TimeRange,
        why: &Why,
        below: Option<u64>,
        limit: u32,
    ) -> Result<PlateTrace, UseCaseError> {
        let other = Target { relation: Relation::Other, ..Target::none() };
        let sees_all = !matches!(self.gate.would::<TracePlate>(actor, &other), Decision::Deny(_));
        let base = if sees_all { other } else { Target { owner: Some(actor.org), ..Target::none() } };
        let store = self.lez_store()?;
        let wish = PlateWish::Exact(plate.clone());
        let hash = store.wish_hash(&wish);
        let object = Some(format!("plate:{hash}:{}", store.wish_sealed(&wish)?));
        let why = &words::without_plates(why, &wish);
        let target = Target { range: Some(range), object, ..base };
        let may = !matches!(self.gate.would::<TracePlate>(actor, &target), Decision::Deny(_));
        // The matrix asks the overseers for a case, not the data-protection officer: who names persons has a reason on paper.
        let is_asked = why.purpose.is_some() && why.justification.is_some();
        if may && is_asked && why.case_ref.as_ref().is_none_or(|case| case.trim().is_empty()) {
            let details = json!({ "outcome": "missing", "missing": ["case"], "right": "audit.persons" });
            self.record("purpose_missing", LeafKind::Refuse, Some(actor.clone()), details).await?;
            return Err(UseCaseError::Missing(vec![Requirement::Case]));
        }
        let permit = self.gate.permit::<TracePlate>(actor, target, why).await?;
        let org = (!sees_all).then_some(actor.org);
        let uses = self.stores.log_detail_of_plate(&permit, org, &hash, range, below, limit).await?;
        Ok(PlateTrace { decision: permit.decision(), uses })
    }
}
