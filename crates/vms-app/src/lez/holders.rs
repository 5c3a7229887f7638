//! Holders of vehicles in zones with restricted access: asked for after an official made the statement and never before (`domain.md` E2), on
//! behalf of the one municipality whose official it was, in batches, under a decision of its own for each round.
//!
//! While the registry is away, or says that the quota is used up, nothing is asked for longer and longer; findings wait, and a batch takes
//! them once they have their answer.

use std::sync::PoisonError;

use serde_json::json;
use vms_core::{OrgId, Purpose, Relation, WallTime};

use super::batch::ASKS_US;
use super::service::{Pause, ReadService};
use crate::error::UseCaseError;
use crate::gate::action::AskHolders;
use crate::gate::{Circumstances, Permit, Target, Why};
use crate::holder_ports::{HolderOutcome, HolderWanted};
use crate::lez_registry::{HolderRegistry, HolderReply, VehicleQuery};
use crate::sharing::board::ZBT_FLOW;

/// Findings of one question; the integrator takes no more plates at once.
const BATCH_MAX: u32 = 500;
/// An answer that cannot be used this often is taken for none.
const UNUSABLE_MAX: u32 = 3;

/// What one round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HolderRound {
    /// Findings that have their answer now.
    pub answered: u64,
    /// Findings that wait for theirs.
    pub waiting: u64,
}

impl ReadService {
    /// One round; to be called about once a second. Idempotent: an answer is kept once, and only for a finding that is still approved.
    ///
    /// # Errors
    /// `LogUnavailable`, `Unavailable`, `Internal`; the next round goes on.
    pub async fn holder_round(&self) -> Result<HolderRound, UseCaseError> {
        let mut round = HolderRound::default();
        let Some(registry) = self.holders.clone() else { return Ok(round) };
        let now = self.cases.now();
        let pause = *self.holder_pause.lock().unwrap_or_else(PoisonError::into_inner);
        // The commission's switch: while the flow is stopped nothing is asked.
        if now < pause.until || !self.cases.flow_active(ZBT_FLOW).await? {
            return Ok(round);
        }
        let upto = now.minus(self.settings.wait);
        for authority in self.store.holder_authorities(now, upto).await? {
            let (is_away, of) = self.holders_of(registry.as_ref(), authority, (now, upto)).await?;
            (round.answered, round.waiting) = (round.answered + of.answered, round.waiting + of.waiting);
            self.holder_after(is_away, now);
            if is_away {
                break;
            }
        }
        Ok(round)
    }

    async fn holders_of(
        &self,
        registry: &dyn HolderRegistry,
        authority: OrgId,
        (now, upto): (WallTime, WallTime),
    ) -> Result<(bool, HolderRound), UseCaseError> {
        let mut round = HolderRound::default();
        let orgs = self.cases.orgs_now().await?;
        let Some(org) = orgs.iter().find(|org| org.id == authority) else { return Ok((false, round)) };
        let target = Target {
            owner: Some(authority),
            relation: Relation::Other,
            object: Some(format!("holders of approved findings, {}", org.code)),
            circumstances: Circumstances { flow_active: true, ..Circumstances::none() },
            ..Target::none()
        };
        let why = Why { purpose: Some(Purpose::Zbt), ..Why::default() };
        let permit = self.cases.gate.permit::<AskHolders>(&self.actor().await?, target, &why).await?;
        let mut wanted = Vec::new();
        for one in self.store.holder_wanted(&permit, now, upto, BATCH_MAX).await? {
            if self.cases.zone_allowed_now(&one.plate, one.country, &one.input).await? {
                // A permit came meanwhile: nobody asks who holds a vehicle that was allowed; the next batch closes the finding.
                let kept = self.store.holder_put(&permit, &one, &HolderOutcome::NotAsked, None, now).await?;
                round.answered += u64::from(kept);
            } else {
                wanted.push(one);
            }
        }
        if wanted.is_empty() {
            self.holders_told(&permit, &round).await?;
            return Ok((false, round));
        }
        let query = |one: &HolderWanted| VehicleQuery { plate: one.plate.clone(), country: one.country, at: one.at };
        let queries: Vec<VehicleQuery> = wanted.iter().map(query).collect();
        let reason = permit.decision().to_string();
        let answer = registry.holders(&org.code, &reason, &queries).await.map_err(UseCaseError::Internal)?;
        for ask in &answer.asked {
            self.store.ask_put(ask, WallTime::from_micros(now.micros.saturating_add(ASKS_US))).await?;
            let details = json!({
                "request": ask.request, "flow": ask.flow, "institution": ask.institution, "source": ask.source,
                "items": ask.items.len(), "attempts": ask.attempts, "ended": ask.end, "reason": ask.reason,
            });
            self.cases.record("registry_asked", audit::LeafKind::Batch, None, details).await?;
        }
        let mut is_away = false;
        for (one, (reply, request)) in wanted.iter().zip(answer.replies) {
            let Some(outcome) = self.holder_outcome(one, reply, now) else {
                (is_away, round.waiting) = (true, round.waiting + 1);
                continue;
            };
            let is_final = !matches!(outcome, HolderOutcome::Waits(..));
            let kept = self.store.holder_put(&permit, one, &outcome, request.as_deref(), self.cases.now()).await?;
            round.answered += u64::from(kept && is_final);
            round.waiting += u64::from(kept && !is_final);
        }
        self.holders_told(&permit, &round).await?;
        Ok((is_away, round))
    }

    /// What a reply comes to; `None`: nobody answered.
    fn holder_outcome(&self, one: &HolderWanted, reply: HolderReply, now: WallTime) -> Option<HolderOutcome> {
        let later = now.plus(self.settings.later);
        Some(match reply {
            HolderReply::Found(holder) => HolderOutcome::Found(holder),
            HolderReply::Unknown => HolderOutcome::Unknown,
            HolderReply::NotAsked => HolderOutcome::NotAsked,
            HolderReply::Unusable if one.tries + 1 >= UNUSABLE_MAX => HolderOutcome::Unusable,
            HolderReply::Unusable => HolderOutcome::Waits(later, one.tries + 1),
            HolderReply::Later => HolderOutcome::Waits(later, one.tries),
            HolderReply::Away => return None,
        })
    }

    async fn holders_told(&self, permit: &Permit<AskHolders>, round: &HolderRound) -> Result<(), UseCaseError> {
        if round.answered == 0 {
            return Ok(());
        }
        let details = json!({
            "decision": permit.decision().to_string(), "answered": round.answered, "waiting": round.waiting,
        });
        self.cases.record("holders_answered", audit::LeafKind::Batch, None, details).await.map(drop)
    }

    /// Waits longer each time that the registry is away.
    fn holder_after(&self, is_away: bool, now: WallTime) {
        let mut pause = self.holder_pause.lock().unwrap_or_else(PoisonError::into_inner);
        *pause = if is_away { pause.longer(now, &self.settings) } else { Pause::default() };
    }
}
