//! Legal fields of a camera after its approval: one person proposes, another approves or refuses (`domain.md` D2, H5). Until
//! then the camera records and shows under the old fields; every version stays, and every step is a leaf of the log.

use audit::LeafKind;
use serde_json::{Value, json};
use vms_core::{CameraId, DecisionId, Profile};

use crate::camera_rules::check_draft;
use crate::cameras::{CameraPatch, patched};
use crate::cases::UseCases;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::gate::action::{ApproveCamera, EditCamera, ViewAudit};
use crate::gate::{Actor, Target, Why};
use crate::model::{Camera, CameraLaw, LegalBasis, LegalChange, Signature};
use crate::words::{CameraKind, CameraState, ChangeState};

/// Shortest reason of a proposal or a refusal, characters (the gate asks as much of a justification).
const REASON_CHARS_MIN: usize = 10;
/// Longest reason, bytes.
const REASON_LEN_MAX: usize = 2_000;

/// Legal fields as somebody wants them; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LawPatch {
    /// What the camera is for.
    pub kind: Option<CameraKind>,
    /// Class of its footage.
    pub retention_class: Option<String>,
    /// Pictogram placed.
    pub pictogram_on: Option<String>,
    /// Legal basis.
    pub legal_basis: Option<LegalBasis>,
}

/// How somebody settles a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settling {
    /// It is in force from now on.
    Approve,
    /// It is not; says why.
    Refuse(String),
    /// Its proposer takes it back.
    Withdraw,
}

/// A proposal as somebody sees it.
#[derive(Clone, Debug)]
pub struct LegalChangeSight {
    /// The proposal.
    pub change: LegalChange,
    /// Its camera.
    pub camera: Camera,
    /// Whether the actor may approve or refuse it.
    pub may_settle: bool,
    /// Whether the actor may take it back.
    pub may_withdraw: bool,
}

/// Whether the legal fields of a camera change by proposals now. A draft is typed freely; a partner's camera follows its
/// partner; what has ended changes no more.
pub(crate) fn takes_proposals(camera: &Camera) -> bool {
    camera.partner.is_none() && matches!(camera.state, CameraState::Approved | CameraState::Live)
}

/// Whether a profile that may edit cameras may also draft their legal fields (`domain.md` H5: "own, not legal fields").
pub(crate) fn may_draft_law(profile: Profile) -> bool {
    profile != Profile::P19
}

impl UseCases {
    /// Proposes a change of a camera's legal fields. Nothing else changes until somebody else approves it.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Invalid`, `Conflict(WrongState | PartnersCamera | Taken("legal_change"))`.
    pub async fn legal_change_propose(
        &self,
        actor: &Actor,
        id: CameraId,
        patch: LawPatch,
        reason: &str,
    ) -> Result<LegalChange, UseCaseError> {
        let camera = self.stores.camera_fetch(id).await?.ok_or(UseCaseError::NotFound(Entity::Camera))?;
        let decision = self.may_propose(actor, &camera).await?;
        if camera.partner.is_some() {
            return Err(UseCaseError::Conflict(Conflict::PartnersCamera));
        }
        if !takes_proposals(&camera) {
            return Err(UseCaseError::Conflict(Conflict::WrongState(camera.state.as_str())));
        }
        let reason = reason_of(reason)?;
        let after = self.law_after(&camera, patch)?;
        let before = camera.law();
        if after == before {
            return Err(UseCaseError::invalid("change", "empty"));
        }
        let proposed = self.signature(actor).await?;
        let change = LegalChange {
            id: decision,
            camera: id,
            before,
            after,
            reason,
            proposed,
            state: ChangeState::Waiting,
            settled: None,
            answer: None,
        };
        // Two at once: the one that asks second hears it before its leaf says "proposed"; the unique rule has the last word.
        if self.stores.legal_change_list_of(id).await?.iter().any(|other| other.state == ChangeState::Waiting) {
            return Err(UseCaseError::Conflict(Conflict::Taken("legal_change")));
        }
        self.record("legal_change_proposed", LeafKind::Change, Some(actor.clone()), leaf(&change)).await?;
        self.stores.legal_change_insert(&change).await?;
        Ok(change)
    }

    /// Who does it, with the name of this moment.
    pub(crate) async fn signature(&self, actor: &Actor) -> Result<Signature, UseCaseError> {
        let account = self.stores.account_of_session(actor.user).await?;
        let name = account.map_or_else(|| actor.user_name.clone(), |account| account.name);
        Ok(Signature { user: actor.user, name, at: self.now() })
    }

    /// Whoever may draft or approve cameras may propose; the decision is the key of the proposal.
    async fn may_propose(&self, actor: &Actor, camera: &Camera) -> Result<DecisionId, UseCaseError> {
        let target = self.camera_target::<ApproveCamera>(actor, camera, None).await?;
        if self.gate.would::<ApproveCamera>(actor, &target).is_allow() || !may_draft_law(actor.profile) {
            let permit = self.permit_on::<ApproveCamera>(actor, camera, target, &Why::default()).await?;
            return Ok(permit.decision());
        }
        let target = self.camera_target::<EditCamera>(actor, camera, None).await?;
        let permit = self.permit_on::<EditCamera>(actor, camera, target, &Why::default()).await?;
        Ok(permit.decision())
    }

    fn law_after(&self, camera: &Camera, patch: LawPatch) -> Result<CameraLaw, UseCaseError> {
        let LawPatch { kind, retention_class, pictogram_on, legal_basis } = patch;
        let patch = CameraPatch { kind, retention_class, pictogram_on, legal_basis, ..CameraPatch::default() };
        let draft = patched(camera, &patch);
        let class = vms_core::RetentionClass::parse(&draft.retention_class);
        let is_video = class.as_ref().is_some_and(|class| self.retention.is_video(class, self.now()));
        let problems = check_draft(&draft, &self.settings, is_video);
        let (Some(retention_class), true) = (class, problems.is_empty()) else {
            return Err(UseCaseError::Invalid(problems));
        };
        let (pictogram_on, legal_basis) = (draft.pictogram_on, draft.legal_basis);
        Ok(CameraLaw { kind: draft.kind, retention_class, pictogram_on, legal_basis })
    }

    /// Every proposal that waits and that the actor may see: of cameras whose legal fields it may propose, approve or audit.
    ///
    /// # Errors
    /// `Denied` (logged) without any such right.
    pub async fn legal_change_list(&self, actor: &Actor) -> Result<Vec<LegalChangeSight>, UseCaseError> {
        self.look_at_changes(actor).await?;
        let waiting = self.stores.legal_change_list_waiting().await?;
        let mut seen = Vec::new();
        for change in waiting {
            let Some(camera) = self.stores.camera_fetch(change.camera).await? else { continue };
            seen.extend(self.change_sight(actor, camera, change).await?);
        }
        Ok(seen)
    }

    /// Every version of a camera's legal fields, newest proposal first.
    ///
    /// # Errors
    /// `NotFound`, `Denied` (logged).
    pub async fn legal_change_list_of(
        &self,
        actor: &Actor,
        id: CameraId,
    ) -> Result<Vec<LegalChangeSight>, UseCaseError> {
        let camera = self.stores.camera_fetch(id).await?.ok_or(UseCaseError::NotFound(Entity::Camera))?;
        if !self.sees_changes(actor, &camera).await? {
            let target = self.camera_target::<ApproveCamera>(actor, &camera, None).await?;
            self.permit_on::<ApproveCamera>(actor, &camera, target, &Why::default()).await?;
        }
        let mut seen = Vec::new();
        for change in self.stores.legal_change_list_of(id).await? {
            seen.extend(self.change_sight(actor, camera.clone(), change).await?);
        }
        Ok(seen)
    }

    async fn look_at_changes(&self, actor: &Actor) -> Result<(), UseCaseError> {
        use vms_core::Right;
        let rights = self.gate.rights_of(actor.profile);
        if [Right::CameraEdit, Right::AuditView].iter().any(|right| rights.contains(right)) {
            return Ok(());
        }
        self.look::<ApproveCamera>(actor).await
    }

    async fn sees_changes(&self, actor: &Actor, camera: &Camera) -> Result<bool, UseCaseError> {
        let approve = self.camera_target::<ApproveCamera>(actor, camera, None).await?;
        let edit = self.camera_target::<EditCamera>(actor, camera, None).await?;
        let audit = self.camera_target::<ViewAudit>(actor, camera, None).await?;
        Ok(self.gate.would::<ApproveCamera>(actor, &approve).is_allow()
            || self.gate.would::<EditCamera>(actor, &edit).is_allow()
            || self.gate.would::<ViewAudit>(actor, &audit).is_allow())
    }

    async fn change_sight(
        &self,
        actor: &Actor,
        camera: Camera,
        change: LegalChange,
    ) -> Result<Option<LegalChangeSight>, UseCaseError> {
        if !self.sees_changes(actor, &camera).await? {
            return Ok(None);
        }
        let target = self.camera_target::<ApproveCamera>(actor, &camera, None).await?;
        let waits = change.state == ChangeState::Waiting;
        let is_own = change.proposed.user == actor.user;
        let approves = self.gate.would::<ApproveCamera>(actor, &target).is_allow();
        Ok(Some(LegalChangeSight {
            may_settle: waits && !is_own && approves && takes_proposals(&camera),
            may_withdraw: waits && is_own,
            change,
            camera,
        }))
    }

    /// Approves, refuses or takes back a proposal. Approving puts the fields
    /// in force at once.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Invalid`, `VersionStale` (settled meanwhile), `Conflict(SamePerson | WrongState)`.
    pub async fn legal_change_settle(
        &self,
        actor: &Actor,
        id: DecisionId,
        how: Settling,
    ) -> Result<LegalChange, UseCaseError> {
        let missing = || UseCaseError::NotFound(Entity::LegalChange);
        let change = self.stores.legal_change_fetch(id).await?.ok_or_else(missing)?;
        let camera = self.stores.camera_fetch(change.camera).await?.ok_or_else(missing)?;
        let is_own = change.proposed.user == actor.user;
        if how == Settling::Withdraw {
            if !is_own {
                self.settle_refused(actor, &change, "not_the_proposer").await?;
                return Err(missing());
            }
        } else {
            let target = self.camera_target::<ApproveCamera>(actor, &camera, None).await?;
            let target = Target { object: Some(id.to_string()), ..target };
            self.permit_on::<ApproveCamera>(actor, &camera, target, &Why::default()).await?;
            if is_own {
                self.settle_refused(actor, &change, "same_person").await?;
                return Err(UseCaseError::Conflict(Conflict::SamePerson));
            }
        }
        if change.state != ChangeState::Waiting {
            return Err(UseCaseError::Conflict(Conflict::WrongState(change.state.as_str())));
        }
        let (operation, state, answer) = match how {
            Settling::Approve => ("legal_change_approved", ChangeState::Approved, None),
            Settling::Refuse(why) => ("legal_change_refused", ChangeState::Refused, Some(reason_of(&why)?)),
            Settling::Withdraw => ("legal_change_withdrawn", ChangeState::Withdrawn, None),
        };
        let changed = if state == ChangeState::Approved { Some(self.with_law(&camera, &change)?) } else { None };
        let settled = self.signature(actor).await?;
        let change = LegalChange { state, settled: Some(settled), answer, ..change };
        self.record(operation, LeafKind::Change, Some(actor.clone()), leaf(&change)).await?;
        self.stores.legal_change_settle(&change, changed.as_ref()).await?;
        if changed.is_some() {
            self.note_change();
        }
        Ok(change)
    }

    /// The attempt is in the log: it is what the rule of the second person is there to stop.
    async fn settle_refused(&self, actor: &Actor, change: &LegalChange, outcome: &str) -> Result<(), UseCaseError> {
        let (id, camera) = (change.id.to_string(), change.camera.to_string());
        let details = json!({ "outcome": outcome, "change": id, "camera": camera });
        self.record("legal_change_settle_refused", LeafKind::Refuse, Some(actor.clone()), details).await
    }

    /// The camera under the proposed fields, checked again: a class may have ended meanwhile.
    fn with_law(&self, camera: &Camera, change: &LegalChange) -> Result<Camera, UseCaseError> {
        if !takes_proposals(camera) {
            return Err(UseCaseError::Conflict(Conflict::WrongState(camera.state.as_str())));
        }
        if camera.law() != change.before {
            return Err(UseCaseError::VersionStale);
        }
        let CameraLaw { kind, retention_class, pictogram_on, legal_basis } = change.after.clone();
        if !self.retention.is_video(&retention_class, self.now()) {
            return Err(UseCaseError::invalid("retention_class", "unknown"));
        }
        Ok(Camera { kind, retention_class, pictogram_on, legal_basis, updated_at: self.now(), ..camera.clone() })
    }
}

/// A reason that somebody else will read: a sentence, without control characters.
pub(crate) fn reason_of(text: &str) -> Result<String, UseCaseError> {
    let text = text.trim();
    if text.chars().count() < REASON_CHARS_MIN {
        return Err(UseCaseError::invalid("reason", "too_short"));
    }
    if text.len() > REASON_LEN_MAX {
        return Err(UseCaseError::invalid("reason", "too_long"));
    }
    if text.chars().any(char::is_control) {
        return Err(UseCaseError::invalid("reason", "bad_character"));
    }
    Ok(text.to_owned())
}

/// What the log keeps of a step: enough to tell every version of the fields from the log alone.
fn leaf(change: &LegalChange) -> Value {
    let law = |law: &CameraLaw| {
        let basis = law.legal_basis.as_ref();
        json!({
            "kind": law.kind.as_str(), "retention_class": law.retention_class.as_str(), "pictogram_on": law.pictogram_on,
            "document": basis.map(|basis| &basis.document), "dated": basis.map(|basis| &basis.dated),
            "advice": basis.map(|basis| &basis.advice),
        })
    };
    json!({
        "change": change.id.to_string(), "camera": change.camera.to_string(), "state": change.state.as_str(),
        "before": law(&change.before), "after": law(&change.after), "reason": change.reason, "answer": change.answer,
        "proposed_by": change.proposed.user.to_string(),
        "settled_by": change.settled.as_ref().map(|settled| settled.user.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_sentence() {
        for (text, wanted) in [
            ("nieuw besluit van de raad", None),
            ("  kort   ", Some("too_short")),
            ("regel\nregel twee", Some("bad_character")),
            (&*"x".repeat(2_001), Some("too_long")),
        ] {
            let problem = match reason_of(text) {
                Ok(_) => None,
                Err(UseCaseError::Invalid(list)) => Some(list[0].problem.clone()),
                Err(other) => panic!("{other}"),
            };
            assert_eq!(problem.as_deref(), wanted, "{text}");
        }
    }
}
