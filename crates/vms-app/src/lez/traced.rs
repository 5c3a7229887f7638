//! Who searched for a plate: an overseer's look into the log of uses, by the keyed hash that every search left there, and by the
//! sealed patterns of those that named more than one plate.
//!
//! Belongs here: the look-up and its conditions. Does not belong here: what the log keeps of a search ([`super::reads`]), how rows are
//! found (`vms-store`).

use audit::LeafKind;
use policy::{Decision, Requirement};
use serde_json::json;
use vms_core::{DecisionId, OrgId, Plate, PlateWish, Relation, TimeRange};

use super::words;
use crate::cases::UseCases;
use crate::error::UseCaseError;
use crate::gate::action::TracePlate;
use crate::gate::{Actor, Permit, Target, Why};
use crate::model::LogDetail;
use crate::ports::PATTERNS;

/// Patterns of one look into the store.
const PATTERN_PAGE: u32 = 500;

/// What was found, under one logged decision.
#[derive(Clone, Debug)]
pub struct PlateTrace {
    /// The decision.
    pub decision: DecisionId,
    /// Uses and refusals that named the plate, newest first.
    pub uses: Vec<LogDetail>,
}

impl UseCases {
    /// Searches for this plate in a span of the log, asked for, refused or found, exactly or by a pattern that it fits, newest first: everybody's for overseers, those of
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
        let mut uses = self.stores.log_detail_of_plate(&permit, org, &hash, range, below, limit).await?;
        uses.extend(self.patterns_of(&permit, (org, range), plate, below, limit).await?);
        // A page holds both kinds down to its last leaf, so that the next page begins right below it.
        uses.sort_by_key(|leaf| std::cmp::Reverse(leaf.index));
        uses.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(PlateTrace { decision: permit.decision(), uses })
    }

    /// Uses that named a pattern or a likeness which this plate fits: each pattern is opened and compared here, newest first, until a page
    /// is full or the span is at its end.
    async fn patterns_of(
        &self,
        permit: &Permit<TracePlate>,
        (org, range): (Option<OrgId>, TimeRange),
        plate: &Plate,
        below: Option<u64>,
        limit: u32,
    ) -> Result<Vec<LogDetail>, UseCaseError> {
        let (store, wanted) = (self.lez_store()?, usize::try_from(limit).unwrap_or(usize::MAX));
        let (mut found, mut below) = (Vec::new(), below);
        loop {
            let page = self.stores.log_detail_of_plate(permit, org, PATTERNS, range, below, PATTERN_PAGE).await?;
            let is_last = page.len() < usize::try_from(PATTERN_PAGE).unwrap_or(usize::MAX);
            below = page.last().map(|leaf| leaf.index);
            for leaf in page {
                let Some(sealed) = sealed_of(&leaf.details) else { continue };
                let fits = match PlateWish::from_revealed(&store.wish_opened(&sealed)?) {
                    Some(wish) => wish.matches(plate.reveal().as_bytes()),
                    // What cannot be read any more is shown rather than hidden.
                    None => true,
                };
                if fits {
                    found.push(leaf);
                }
            }
            if is_last || found.len() >= wanted {
                return Ok(found);
            }
        }
    }
}

/// The sealed wish of a leaf (`plates:HASH:SEALED` as its object).
fn sealed_of(details: &str) -> Option<String> {
    let details: serde_json::Value = serde_json::from_str(details).ok()?;
    let (_, sealed) = details.get("object")?.as_str()?.strip_prefix("plates:")?.split_once(':')?;
    Some(sealed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sealed_wish_of_a_leaf_is_found() {
        assert_eq!(sealed_of(r#"{"object":"plates:00:ab:cd"}"#).as_deref(), Some("ab:cd"));
        assert_eq!(sealed_of(r#"{"object":"plate:00:ab"}"#), None);
    }
}
