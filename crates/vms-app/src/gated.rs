//! Footage and police reads past their first term (blueprint 4.2; `domain.md` D3, D6 RC-VID-POL and RC-ANPR-POL): a decision of two people, naming its
//! ground, moves the hours of a camera behind the magistrate's gate, where they stay for the second term of their class. It gives nobody the right to see
//! anything: that takes a magistrate's written decision each time (condition m).

use async_trait::async_trait;
use audit::LeafKind;
use policy::Decision;
use serde_json::{Value, json};
use uuid::Uuid;
use vms_core::{CameraId, DecisionId, Purpose, RetentionClass, TimeRange, WallTime};

use crate::cases::UseCases;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::gate::action::{ApproveGated, ProposeGated};
use crate::gate::{Actor, Target, Why};
use crate::legal_changes::reason_of;
use crate::model::{Camera, Signature};
use crate::ports::store::Stored;
use crate::words::{CameraKind, GatedState, OrgKind};

/// Rows looked at in one go for a page of what somebody may see.
const LOOKED_AT: u32 = 200;
/// Longest span of one decision: the longest month.
const SPAN_MAX_US: i64 = 31 * 86_400 * 1_000_000;
/// How far into the future one may reach: something that is still going on.
const AHEAD_MAX_US: i64 = 86_400 * 1_000_000;
const HOUR_US: i64 = 3_600_000_000;
/// Class of police reads (domain.md D6).
pub(crate) const READS: &str = "RC-ANPR-POL";

/// What the recorder did with a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatedApplied {
    /// When it said so last.
    pub at: WallTime,
    /// Keys of hours that are behind the gate.
    pub hours: u64,
    /// Keys of hours whose first term is over and that cannot move: there is no gate.
    pub waiting: u64,
}

/// A decision to keep footage behind the magistrate's gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatedDecision {
    /// Key.
    pub id: Uuid,
    /// Of which camera.
    pub camera: CameraId,
    /// The camera's retention class when it was proposed: footage of this class moves.
    pub class: RetentionClass,
    /// Which footage: whole hours.
    pub range: TimeRange,
    /// Purpose code.
    pub purpose: Purpose,
    /// The ground, in words.
    pub ground: String,
    /// Case, report or file number.
    pub case_ref: String,
    /// Decision of the gate under which it was proposed.
    pub decision: DecisionId,
    /// Who proposed it.
    pub proposed: Signature,
    /// Where it stands.
    pub state: GatedState,
    /// Who agreed or refused.
    pub settled: Option<Signature>,
    /// Why it was refused.
    pub refusal: Option<String>,
    /// What the recorder says of it.
    pub applied: Option<GatedApplied>,
}

/// Decisions of the gate.
#[async_trait]
pub trait GatedStore: Send + Sync {
    /// New.
    async fn gated_insert(&self, decision: &GatedDecision) -> Stored<()>;
    /// By key.
    async fn gated_fetch(&self, id: Uuid) -> Stored<Option<GatedDecision>>;
    /// Newest first, below a key, at most `limit`.
    async fn gated_list(&self, below: Option<Uuid>, limit: u32) -> Stored<Vec<GatedDecision>>;
    /// Those in force whose span ended after `since`, the oldest first.
    async fn gated_list_in_force(&self, since: WallTime) -> Stored<Vec<GatedDecision>>;
    /// Replaces state, signature and refusal while it is still proposed, `Stale` otherwise.
    async fn gated_settle(&self, decision: &GatedDecision) -> Stored<()>;
    /// What the recorder says of one.
    async fn gated_applied(&self, id: Uuid, applied: GatedApplied) -> Stored<()>;
}

/// What somebody wants to keep.
#[derive(Clone, Debug)]
pub struct GatedWish {
    /// Of which camera.
    pub camera: CameraId,
    /// Which class: that of the camera's footage when absent, or of the police reads made at it.
    pub class: Option<RetentionClass>,
    /// Which footage or reads; widened to whole hours.
    pub range: TimeRange,
    /// Purpose, ground and case.
    pub why: Why,
}

/// What the second person says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatedStep {
    /// It is in force.
    Approve,
    /// It is not, and why.
    Refuse(String),
}

/// A decision as somebody sees it.
#[derive(Clone, Debug)]
pub struct GatedSight {
    /// The decision.
    pub decision: GatedDecision,
    /// Its camera.
    pub camera: Camera,
    /// Whether the actor may agree or refuse: never who proposed it.
    pub may_settle: bool,
}

/// What a recorder has to know of one decision, or of a class that moves as a whole by the dated table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatedOrder {
    /// Key of the decision, or `policy:CLASS:DAY`.
    pub decision: String,
    /// One camera; `None`: all of the class.
    pub camera: Option<CameraId>,
    /// Class.
    pub class: RetentionClass,
    /// First hour since 1970.
    pub from_hour: u32,
    /// First hour after.
    pub to_hour: u32,
    /// Both terms together, seconds, as the calendar counts them today.
    pub keep_s: u64,
}

/// Whole hours around a span.
fn whole_hours(range: TimeRange) -> Option<TimeRange> {
    let from = range.from.micros.div_euclid(HOUR_US).checked_mul(HOUR_US)?;
    let last = range.to.micros.checked_sub(1)?.div_euclid(HOUR_US).checked_add(1)?.checked_mul(HOUR_US)?;
    TimeRange::new(WallTime::from_micros(from), WallTime::from_micros(last))
}

fn hour_of(at: WallTime) -> u32 {
    u32::try_from(at.micros.div_euclid(HOUR_US)).unwrap_or(0)
}

impl UseCases {
    /// Proposes to keep hours of a camera behind the gate. Nothing moves before somebody else agrees.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Missing`, `Invalid`, `Conflict(PartnersCamera)`.
    pub async fn gated_propose(&self, actor: &Actor, wish: GatedWish) -> Result<GatedDecision, UseCaseError> {
        let GatedWish { camera: id, class, range, why } = wish;
        let camera = self.stores.camera_fetch(id).await?.ok_or(UseCaseError::NotFound(Entity::Camera))?;
        let range = whole_hours(range).ok_or_else(|| UseCaseError::invalid("to", "not_after_from"))?;
        let target = self.camera_target::<ProposeGated>(actor, &camera, why.purpose).await?;
        let target = Target { range: Some(range), ..target };
        self.known_or_refused::<ProposeGated>(actor, &camera, &target, &why).await?;
        if camera.partner.is_some() {
            return Err(UseCaseError::Conflict(Conflict::PartnersCamera));
        }
        let class = self.gated_class(&camera, class).await?;
        self.gated_span(&class, range)?;
        let purpose = why.purpose.ok_or_else(|| UseCaseError::invalid("purpose.code", "required"))?;
        let ground = reason_of(why.justification.as_deref().unwrap_or_default())?;
        let case_ref = why.case_ref.clone().filter(|case| !case.trim().is_empty());
        let case_ref = case_ref.ok_or_else(|| UseCaseError::invalid("purpose.case_ref", "required"))?;
        let permit = self.permit_on::<ProposeGated>(actor, &camera, target, &why).await?;
        let decision = GatedDecision {
            id: self.ids.uuid(),
            camera: id,
            class,
            range,
            purpose,
            ground,
            case_ref,
            decision: permit.decision(),
            proposed: self.signature(actor).await?,
            state: GatedState::Proposed,
            settled: None,
            refusal: None,
            applied: None,
        };
        self.record("gated_proposed", LeafKind::Change, Some(actor.clone()), leaf(&decision)).await?;
        self.stores.gated_insert(&decision).await?;
        Ok(decision)
    }

    /// The class that moves: of the camera's footage, or of the police reads made at it.
    async fn gated_class(
        &self,
        camera: &Camera,
        wanted: Option<RetentionClass>,
    ) -> Result<RetentionClass, UseCaseError> {
        let footage = RetentionClass::parse(camera.retention_class.as_str())
            .ok_or_else(|| UseCaseError::Internal("a camera's class is one".into()))?;
        let Some(wanted) = wanted.filter(|wanted| *wanted != footage) else { return Ok(footage) };
        // As `anpr_cameras` has it, and of a camera that is out of service by now too: its reads are still there.
        let is_zone =
            self.orgs_now().await?.iter().any(|org| org.id == camera.owner && org.kind == OrgKind::PoliceZone);
        if wanted.as_str() == READS && is_zone && camera.kind != CameraKind::Overview {
            return Ok(wanted);
        }
        Err(UseCaseError::invalid("class", "not_of_this_camera"))
    }

    /// The class has a second term, and the footage is not past its first.
    fn gated_span(&self, class: &RetentionClass, range: TimeRange) -> Result<(), UseCaseError> {
        let now = self.now();
        let invalid = |field, problem| Err(UseCaseError::invalid(field, problem));
        let Some(first_s) = self.retention.gated_s(class, now).and_then(|_| self.retention.keep_s(class, now)) else {
            return invalid("camera_id", "no_second_term");
        };
        let first_us = i64::try_from(first_s).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        // The key of an hour dies an hour before its term.
        if range.from.micros < now.micros.saturating_sub(first_us).saturating_add(HOUR_US) {
            return invalid("from", "past_its_term");
        }
        if range.micros() > SPAN_MAX_US {
            return invalid("to", "span_too_long");
        }
        if range.to.micros > now.micros.saturating_add(AHEAD_MAX_US) {
            return invalid("to", "too_far_ahead");
        }
        Ok(())
    }

    async fn gated_sight(&self, actor: &Actor, decision: GatedDecision) -> Result<Option<GatedSight>, UseCaseError> {
        let Some(camera) = self.stores.camera_fetch(decision.camera).await? else { return Ok(None) };
        let propose = self.camera_target::<ProposeGated>(actor, &camera, None).await?;
        let approve = self.camera_target::<ApproveGated>(actor, &camera, None).await?;
        let proposes = !matches!(self.gate.would::<ProposeGated>(actor, &propose), Decision::Deny(_));
        let approves = !matches!(self.gate.would::<ApproveGated>(actor, &approve), Decision::Deny(_));
        if !(proposes || approves) {
            return Ok(None);
        }
        let is_proposer = decision.proposed.user == actor.user;
        let may_settle = decision.state == GatedState::Proposed && approves && !is_proposer;
        Ok(Some(GatedSight { decision, camera, may_settle }))
    }

    /// Decisions on cameras for which the actor may propose or agree, newest first; the second value is the key below which the next
    /// page starts.
    ///
    /// # Errors
    /// `Denied` (logged) without any such right.
    pub async fn gated_list(
        &self,
        actor: &Actor,
        below: Option<Uuid>,
        limit: u32,
    ) -> Result<(Vec<GatedSight>, Option<Uuid>), UseCaseError> {
        if !self.gate.rights_of(actor.profile).contains(&vms_core::Right::GatedApprove) {
            self.look::<ProposeGated>(actor).await?;
        }
        // What lies between is not the actor's to know: not how much of it there is, and not its ids. A next page is told of only when
        // there is something on it to see, and by the last that was seen.
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let (mut seen, mut below) = (Vec::new(), below);
        while seen.len() <= wanted {
            let rows = self.stores.gated_list(below, LOOKED_AT).await?;
            let Some(last) = rows.last().map(|last| last.id) else { break };
            below = Some(last);
            for decision in rows {
                seen.extend(self.gated_sight(actor, decision).await?);
            }
        }
        let is_more = seen.len() > wanted;
        seen.truncate(wanted);
        let next = seen.last().filter(|_| is_more).map(|last| last.decision.id);
        Ok((seen, next))
    }

    /// One decision.
    ///
    /// # Errors
    /// `NotFound`, also of one that the actor may not know of.
    pub async fn gated_fetch(&self, actor: &Actor, id: Uuid) -> Result<GatedSight, UseCaseError> {
        let missing = || UseCaseError::NotFound(Entity::Gated);
        let decision = self.stores.gated_fetch(id).await?.ok_or_else(missing)?;
        let camera = self.stores.camera_fetch(decision.camera).await?.ok_or_else(missing)?;
        if let Some(sight) = self.gated_sight(actor, decision).await? {
            return Ok(sight);
        }
        // A refusal, which is in the log.
        let target = self.camera_target::<ProposeGated>(actor, &camera, None).await?;
        self.permit_on::<ProposeGated>(actor, &camera, target, &Why::default()).await?;
        Err(missing())
    }

    /// The second person agrees or refuses; never who proposed it.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Invalid`, `VersionStale` (somebody was faster), `Conflict(SamePerson | WrongState)`.
    pub async fn gated_settle(&self, actor: &Actor, id: Uuid, step: GatedStep) -> Result<GatedDecision, UseCaseError> {
        let missing = || UseCaseError::NotFound(Entity::Gated);
        let decision = self.stores.gated_fetch(id).await?.ok_or_else(missing)?;
        let camera = self.stores.camera_fetch(decision.camera).await?.ok_or_else(missing)?;
        let target = self.camera_target::<ApproveGated>(actor, &camera, None).await?;
        let target = Target { object: Some(id.to_string()), ..target };
        self.permit_on::<ApproveGated>(actor, &camera, target, &Why::default()).await?;
        if decision.proposed.user == actor.user {
            let details = json!({ "outcome": "same_person", "gated": id.to_string() });
            self.record("gated_settle_refused", LeafKind::Refuse, Some(actor.clone()), details).await?;
            return Err(UseCaseError::Conflict(Conflict::SamePerson));
        }
        if decision.state != GatedState::Proposed {
            return Err(UseCaseError::Conflict(Conflict::WrongState(decision.state.as_str())));
        }
        let (operation, state, refusal) = match step {
            GatedStep::Approve => {
                // What ended its first term meanwhile is gone, and no decision brings it back.
                self.gated_span(&decision.class, decision.range)?;
                ("gated_approved", GatedState::InForce, None)
            }
            GatedStep::Refuse(why) => ("gated_refused", GatedState::Refused, Some(reason_of(&why)?)),
        };
        let settled = Some(self.signature(actor).await?);
        let decision = GatedDecision { state, settled, refusal, ..decision };
        self.record(operation, LeafKind::Change, Some(actor.clone()), leaf(&decision)).await?;
        self.stores.gated_settle(&decision).await?;
        Ok(decision)
    }

    /// What a recorder has to know: decisions in force of which something can still be there, and classes that move as a whole.
    ///
    /// # Errors
    /// `StoreUnavailable`.
    pub async fn recorder_gated(&self) -> Result<Vec<GatedOrder>, UseCaseError> {
        let now = self.now();
        // Longer than any second term: what is told is destroyed by it, what is not told is only waited for.
        let since = WallTime::from_micros(now.micros.saturating_sub(3 * 366 * 86_400 * 1_000_000));
        let known = self.stores.gated_list_in_force(since).await?;
        let order = |decision: GatedDecision| GatedOrder {
            decision: decision.id.to_string(),
            camera: Some(decision.camera),
            keep_s: self.retention.gated_s(&decision.class, now).unwrap_or(0),
            class: decision.class,
            from_hour: hour_of(decision.range.from),
            to_hour: hour_of(decision.range.to),
        };
        let whole = self.retention.gated_whole(now).into_iter().map(|(class, since, keep_s)| GatedOrder {
            decision: format!("policy:{}:{since}", class.as_str()),
            camera: None,
            class,
            from_hour: 0,
            to_hour: u32::MAX,
            keep_s,
        });
        // Reads are kept by `serve` itself.
        let known = known.into_iter().filter(|decision| self.retention.is_video(&decision.class, now));
        Ok(known.map(order).chain(whole).collect())
    }

    /// What the recorder did with a decision. `applied` is told once for each change.
    ///
    /// # Errors
    /// `StoreUnavailable`.
    pub async fn gated_carried_out(&self, id: Uuid, hours: u64, waiting: u64) -> Result<(), UseCaseError> {
        let Some(known) = self.stores.gated_fetch(id).await? else { return Ok(()) };
        if known.applied.is_some_and(|applied| (applied.hours, applied.waiting) == (hours, waiting)) {
            return Ok(());
        }
        let applied = GatedApplied { at: self.now(), hours, waiting };
        Ok(self.stores.gated_applied(id, applied).await?)
    }
}

/// What the log keeps of a step: enough to tell from the log alone what moved, on what ground, and who agreed.
fn leaf(decision: &GatedDecision) -> Value {
    json!({
        "gated": decision.id.to_string(), "camera": decision.camera.to_string(), "class": decision.class.as_str(),
        "from_us": decision.range.from.micros, "to_us": decision.range.to.micros, "purpose": decision.purpose.as_str(),
        "ground": decision.ground, "case_ref": decision.case_ref, "state": decision.state.as_str(),
        "proposed_by": decision.proposed.user.to_string(),
        "settled_by": decision.settled.as_ref().map(|by| by.user.to_string()), "refusal": decision.refusal,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_widened_to_whole_hours() {
        let at = WallTime::from_secs;
        for ((from, to), wanted) in [
            ((3_600, 7_200), (3_600, 7_200)),
            ((3_601, 7_199), (3_600, 7_200)),
            ((3_600, 7_201), (3_600, 10_800)),
            ((0, 1), (0, 3_600)),
        ] {
            let range = TimeRange::new(at(from), at(to)).unwrap();
            assert_eq!(whole_hours(range), TimeRange::new(at(wanted.0), at(wanted.1)), "{from} {to}");
        }
    }
}
