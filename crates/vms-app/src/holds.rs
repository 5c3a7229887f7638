//! Holds: footage that is kept past its term because a case needs it (`domain.md` D6 RC-HOLD, H3, H5). One person sets a hold; it
//! ends only when one asks for its release and another agrees. It gives nobody the right to see anything.

use audit::LeafKind;
use policy::Decision;
use serde_json::{Value, json};
use vms_core::{CameraId, HoldId, RetentionClass, TimeRange, WallTime};

use crate::cases::UseCases;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::gate::action::{ReleaseHold, SetHold, ViewAudit};
use crate::gate::{Actor, Target, Why};
use crate::legal_changes::reason_of;
use crate::model::{Camera, Hold, HoldApplied, Signature};
use crate::words::HoldState;

/// Rows looked at in one go for a page of what somebody may see.
const LOOKED_AT: u32 = 200;
/// Class whose term is the longest time between two reviews of a hold.
const REVIEW_CLASS: &str = "RC-HOLD";
/// Longest span of one hold: the longest month.
const SPAN_MAX_US: i64 = 31 * 86_400 * 1_000_000;
/// How far into the future a hold may reach: an incident that is still going on.
const AHEAD_MAX_US: i64 = 86_400 * 1_000_000;
/// Released holds are told to recorders this long, so that one that was away hears of it.
const TOLD_US: i64 = 400 * 86_400 * 1_000_000;

/// A hold as somebody wants it.
#[derive(Clone, Debug)]
pub struct HoldWish {
    /// Of which camera.
    pub camera: CameraId,
    /// Which footage.
    pub range: TimeRange,
    /// Until when it is thought to be needed.
    pub until: WallTime,
    /// Purpose, reason and case.
    pub why: Why,
}

/// A step in the life of a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldStep {
    /// Somebody says that it is no longer needed, and why.
    AskRelease(String),
    /// Somebody else agrees: the footage may go.
    Release,
    /// Somebody else does not agree, or whoever asked takes it back: it goes on.
    KeepOn,
    /// Somebody other than whoever set it looked at it again: why it is still needed, and until when.
    Review(String, WallTime),
}

/// A hold as somebody sees it.
#[derive(Clone, Debug)]
pub struct HoldSight {
    /// The hold.
    pub hold: Hold,
    /// Its camera.
    pub camera: Camera,
    /// Whether its term or its review is over.
    pub overdue: bool,
    /// Whether the actor may ask for its release.
    pub may_ask_release: bool,
    /// Whether the actor may agree to its release.
    pub may_release: bool,
    /// Whether the actor may end the wish for its release.
    pub may_keep_on: bool,
    /// Whether the actor may review it.
    pub may_review: bool,
}

impl UseCases {
    /// Longest time between two reviews, µs; from the dated table of classes.
    fn review_us(&self) -> Result<i64, UseCaseError> {
        let class = RetentionClass::parse(REVIEW_CLASS);
        let term = class.and_then(|class| self.retention.keep_s(&class, self.now()));
        let micros = term.and_then(|seconds| i64::try_from(seconds).ok()?.checked_mul(1_000_000));
        micros.ok_or_else(|| UseCaseError::Internal(format!("{REVIEW_CLASS} has no term").into()))
    }

    fn term_of(&self, until: WallTime) -> Result<WallTime, UseCaseError> {
        let now = self.now();
        if until <= now {
            return Err(UseCaseError::invalid("until", "not_in_the_future"));
        }
        let review = WallTime::from_micros(now.micros.saturating_add(self.review_us()?));
        Ok(review.min(until))
    }

    /// Keeps footage of a camera past its term. In force with the answer; the recorder takes it over when it next hears from the
    /// server, and says how many segments it holds.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Missing`, `Invalid`, `Conflict(PartnersCamera)`.
    pub async fn hold_set(&self, actor: &Actor, wish: HoldWish) -> Result<Hold, UseCaseError> {
        let HoldWish { camera: id, range, until, why } = wish;
        let camera = self.stores.camera_fetch(id).await?.ok_or(UseCaseError::NotFound(Entity::Camera))?;
        let target = self.camera_target::<SetHold>(actor, &camera, why.purpose).await?;
        let target = Target { range: Some(range), ..target };
        self.known_or_refused::<SetHold>(actor, &camera, &target, &why).await?;
        if camera.partner.is_some() {
            return Err(UseCaseError::Conflict(Conflict::PartnersCamera));
        }
        if range.micros() > SPAN_MAX_US {
            return Err(UseCaseError::invalid("to", "span_too_long"));
        }
        if range.to.micros > self.now().micros.saturating_add(AHEAD_MAX_US) {
            return Err(UseCaseError::invalid("to", "too_far_ahead"));
        }
        let review_by = self.term_of(until)?;
        let purpose = why.purpose.ok_or_else(|| UseCaseError::invalid("purpose.code", "required"))?;
        let reason = reason_of(why.justification.as_deref().unwrap_or_default())?;
        let permit = self.permit_on::<SetHold>(actor, &camera, target, &why).await?;
        let hold = Hold {
            id: HoldId::from_uuid(self.ids.uuid()),
            camera: id,
            range,
            purpose,
            case_ref: why.case_ref,
            reason,
            until,
            review_by,
            decision: permit.decision(),
            set: self.signature(actor).await?,
            state: HoldState::Held,
            release: None,
            released: None,
            reviewed: None,
            applied: None,
        };
        self.record("hold_set", LeafKind::Change, Some(actor.clone()), leaf(&hold)).await?;
        self.stores.hold_insert(&hold).await?;
        self.note_change();
        Ok(hold)
    }

    /// Whether the actor may set, release and audit holds on a camera.
    async fn hold_rights(&self, actor: &Actor, camera: &Camera) -> Result<(bool, bool, bool), UseCaseError> {
        let set = self.camera_target::<SetHold>(actor, camera, None).await?;
        let release = self.camera_target::<ReleaseHold>(actor, camera, None).await?;
        let audit = self.camera_target::<ViewAudit>(actor, camera, None).await?;
        Ok((
            !matches!(self.gate.would::<SetHold>(actor, &set), Decision::Deny(_)),
            !matches!(self.gate.would::<ReleaseHold>(actor, &release), Decision::Deny(_)),
            self.gate.would::<ViewAudit>(actor, &audit).is_allow(),
        ))
    }

    async fn hold_sight(&self, actor: &Actor, hold: Hold) -> Result<Option<HoldSight>, UseCaseError> {
        let Some(camera) = self.stores.camera_fetch(hold.camera).await? else { return Ok(None) };
        let (sets, releases, audits) = self.hold_rights(actor, &camera).await?;
        if !(sets || releases || audits) {
            return Ok(None);
        }
        let asked_by = hold.release.as_ref().map(|(_, asked)| asked.user);
        let is_asker = asked_by == Some(actor.user);
        let waits = hold.state == HoldState::ReleaseWaits;
        let now = self.now();
        let is_open = hold.state != HoldState::Released;
        Ok(Some(HoldSight {
            overdue: is_open && (hold.until <= now || hold.review_by <= now),
            may_ask_release: hold.state == HoldState::Held && (sets || releases),
            may_release: waits && releases && !is_asker,
            may_keep_on: waits && (releases || is_asker),
            may_review: is_open && releases && hold.set.user != actor.user,
            hold,
            camera,
        }))
    }

    /// Holds on cameras for which the actor may set, release or audit them, newest first; the second value is the key below which
    /// the next page starts.
    ///
    /// # Errors
    /// `Denied` (logged) without any such right.
    pub async fn hold_list(
        &self,
        actor: &Actor,
        open: bool,
        below: Option<HoldId>,
        limit: u32,
    ) -> Result<(Vec<HoldSight>, Option<HoldId>), UseCaseError> {
        use vms_core::Right;
        let rights = self.gate.rights_of(actor.profile);
        if ![Right::HoldRelease, Right::AuditView].iter().any(|right| rights.contains(right)) {
            self.look::<SetHold>(actor).await?;
        }
        // What lies between is not the actor's to know: not how much of it there is, and not its ids. A next page is told of only when
        // there is something on it to see, and by the last that was seen.
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let (mut seen, mut below) = (Vec::new(), below);
        while seen.len() <= wanted {
            let rows = self.stores.hold_list(open, below, LOOKED_AT).await?;
            let Some(last) = rows.last().map(|last| last.id) else { break };
            below = Some(last);
            for hold in rows {
                seen.extend(self.hold_sight(actor, hold).await?);
            }
        }
        let is_more = seen.len() > wanted;
        seen.truncate(wanted);
        let next = seen.last().filter(|_| is_more).map(|last| last.hold.id);
        Ok((seen, next))
    }

    /// One hold.
    ///
    /// # Errors
    /// `NotFound`, also of one that the actor may not know of.
    pub async fn hold_fetch(&self, actor: &Actor, id: HoldId) -> Result<HoldSight, UseCaseError> {
        let missing = || UseCaseError::NotFound(Entity::Hold);
        let hold = self.stores.hold_fetch(id).await?.ok_or_else(missing)?;
        let camera = self.stores.camera_fetch(hold.camera).await?.ok_or_else(missing)?;
        if let Some(sight) = self.hold_sight(actor, hold).await? {
            return Ok(sight);
        }
        // A refusal, which is in the log.
        let target = self.camera_target::<SetHold>(actor, &camera, None).await?;
        self.permit_on::<SetHold>(actor, &camera, target, &Why::default()).await?;
        Err(missing())
    }

    /// One step in the life of a hold. Only [`HoldStep::Release`] lets footage go, and never by whoever asked for it.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Invalid`, `VersionStale` (somebody was faster), `Conflict(SamePerson | WrongState)`.
    pub async fn hold_step(&self, actor: &Actor, id: HoldId, step: HoldStep) -> Result<Hold, UseCaseError> {
        let missing = || UseCaseError::NotFound(Entity::Hold);
        let hold = self.stores.hold_fetch(id).await?.ok_or_else(missing)?;
        let camera = self.stores.camera_fetch(hold.camera).await?.ok_or_else(missing)?;
        self.may_step(actor, &camera, &hold, &step).await?;
        let (was, signature) = (hold.state, self.signature(actor).await?);
        let wrong = || UseCaseError::Conflict(Conflict::WrongState(was.as_str()));
        let (operation, hold) = match (step, was) {
            (HoldStep::AskRelease(why), HoldState::Held) => {
                let release = Some((reason_of(&why)?, signature));
                ("hold_release_asked", Hold { state: HoldState::ReleaseWaits, release, ..hold })
            }
            (HoldStep::Release, HoldState::ReleaseWaits) => {
                ("hold_released", Hold { state: HoldState::Released, released: Some(signature), ..hold })
            }
            (HoldStep::KeepOn, HoldState::ReleaseWaits) => {
                ("hold_kept_on", Hold { state: HoldState::Held, release: None, ..hold })
            }
            (HoldStep::Review(why, until), HoldState::Held | HoldState::ReleaseWaits) => {
                let reviewed = Some((reason_of(&why)?, signature));
                let review_by = self.term_of(until)?;
                ("hold_reviewed", Hold { until, review_by, reviewed, ..hold })
            }
            (HoldStep::AskRelease(_), HoldState::ReleaseWaits | HoldState::Released)
            | (HoldStep::Release | HoldStep::KeepOn, HoldState::Held | HoldState::Released)
            | (HoldStep::Review(..), HoldState::Released) => return Err(wrong()),
        };
        self.record(operation, LeafKind::Change, Some(actor.clone()), leaf(&hold)).await?;
        self.stores.hold_update(&hold, was).await?;
        if hold.state == HoldState::Released {
            self.note_change();
        }
        Ok(hold)
    }

    async fn may_step(&self, actor: &Actor, camera: &Camera, hold: &Hold, step: &HoldStep) -> Result<(), UseCaseError> {
        let asked_by = hold.release.as_ref().map(|(_, asked)| asked.user);
        let (sets, releases, _) = self.hold_rights(actor, camera).await?;
        let without_permit = match step {
            HoldStep::AskRelease(_) => sets,
            HoldStep::KeepOn => asked_by == Some(actor.user),
            HoldStep::Release | HoldStep::Review(..) => false,
        };
        if !without_permit {
            let target = self.camera_target::<ReleaseHold>(actor, camera, None).await?;
            let target = Target { object: Some(hold.id.to_string()), ..target };
            self.permit_on::<ReleaseHold>(actor, camera, target, &Why::default()).await?;
        }
        let is_same = match step {
            HoldStep::Release => asked_by == Some(actor.user),
            HoldStep::Review(..) => releases && hold.set.user == actor.user,
            HoldStep::AskRelease(_) | HoldStep::KeepOn => false,
        };
        if is_same {
            let details =
                json!({ "outcome": "same_person", "hold": hold.id.to_string(), "camera": hold.camera.to_string() });
            self.record("hold_step_refused", LeafKind::Refuse, Some(actor.clone()), details).await?;
            return Err(UseCaseError::Conflict(Conflict::SamePerson));
        }
        Ok(())
    }

    /// What a recorder has to know: holds in force, and those released lately.
    ///
    /// # Errors
    /// `StoreUnavailable`.
    pub async fn recorder_holds(&self) -> Result<Vec<Hold>, UseCaseError> {
        let since = WallTime::from_micros(self.now().micros.saturating_sub(TOLD_US));
        Ok(self.stores.hold_list_for_recorder(since).await?)
    }

    /// What the recorder did with a hold.
    ///
    /// # Errors
    /// `StoreUnavailable`.
    pub async fn hold_carried_out(&self, id: HoldId, segments: u64, refused: u64) -> Result<(), UseCaseError> {
        let applied = HoldApplied { at: self.now(), segments, refused };
        Ok(self.stores.hold_applied(id, applied).await?)
    }
}

/// What the log keeps of a step: enough to tell from the log alone what is held, why, and who let it go.
fn leaf(hold: &Hold) -> Value {
    let said = |said: &Option<(String, Signature)>| {
        said.as_ref().map(|(text, by)| json!({ "reason": text, "by": by.user.to_string() }))
    };
    json!({
        "hold": hold.id.to_string(), "camera": hold.camera.to_string(), "state": hold.state.as_str(),
        "from_us": hold.range.from.micros, "to_us": hold.range.to.micros, "purpose": hold.purpose.as_str(),
        "case_ref": hold.case_ref, "reason": hold.reason, "until_us": hold.until.micros,
        "review_by_us": hold.review_by.micros, "set_by": hold.set.user.to_string(), "release": said(&hold.release),
        "released_by": hold.released.as_ref().map(|by| by.user.to_string()), "reviewed": said(&hold.reviewed),
    })
}
