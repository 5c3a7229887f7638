//! Evidence exports: ordered by one person with a case number, approved by another (`domain.md` H3, H5 rule 2), then made by the
//! reconciler of [`crate::exports_run`]. Every step is a leaf before it happens.

use audit::LeafKind;
use policy::Decision;
use serde_json::{Value, json};
use vms_core::{ExportId, RetentionClass, Right, StreamId, TimeRange, WallTime};

use crate::cases::UseCases;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::exports_model::{Export, ExportDesk, ExportProgress, PackageFile};
use crate::gate::action::{ApproveExport, OrderExport, ViewAudit};
use crate::gate::{Actor, Target, Why};
use crate::legal_changes::reason_of;
use crate::model::Camera;
use crate::words::{ExportState, Language};

/// Class whose term is the life of a package.
const PACKAGE_CLASS: &str = "RC-EXP";
/// Rows read for the size of a span: 12 h of minutes, and as many again for short segments.
const SEGMENTS_MAX: u32 = 1_500;
/// What the papers of a package take at most besides the footage: a share of it, and this.
const PAPERS_BYTES: u64 = 16 << 20;

/// An export as somebody wants it.
#[derive(Clone, Debug)]
pub struct ExportWish {
    /// Of which stream.
    pub stream: StreamId,
    /// Which footage.
    pub range: TimeRange,
    /// Purpose, justification and case.
    pub why: Why,
    /// Language of the custody sheet.
    pub language: Language,
}

/// A step in the life of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportStep {
    /// Somebody else agrees.
    Approve,
    /// Somebody else does not, and says why.
    Refuse(String),
    /// The work stops and keeps what it has.
    Pause,
    /// It goes on.
    Resume,
    /// It is given up, or taken back.
    Cancel,
    /// The finished package is removed before its term.
    Remove,
}

/// An export as somebody sees it.
#[derive(Clone, Debug)]
pub struct ExportSight {
    /// The export.
    pub export: Export,
    /// Its camera.
    pub camera: Camera,
    /// Whether the actor may approve or refuse it.
    pub may_settle: bool,
    /// Whether the actor may pause it.
    pub may_pause: bool,
    /// Whether the actor may let it go on.
    pub may_resume: bool,
    /// Whether the actor may give it up.
    pub may_cancel: bool,
    /// Whether the actor may fetch its files.
    pub may_fetch: bool,
    /// Whether the actor may remove the package.
    pub may_remove: bool,
    /// SHA-256 of the certificate that signs packages.
    pub fingerprint: Option<String>,
}

/// What an actor may with exports of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ExportRights {
    orders: bool,
    approves: bool,
    audits: bool,
}

impl UseCases {
    pub(crate) fn export_desk(&self) -> Result<&dyn ExportDesk, UseCaseError> {
        let desk = self.extensions().exports.as_deref();
        desk.ok_or(UseCaseError::Conflict(Conflict::NoSuchService("exports")))
    }

    /// How long a package is kept, µs: its class in the dated table, or less where the site says so.
    pub(crate) fn package_term_us(&self) -> Result<i64, UseCaseError> {
        let class = RetentionClass::parse(PACKAGE_CLASS);
        let term = class.and_then(|class| self.retention.keep_s(&class, self.now()));
        let term = term.ok_or_else(|| UseCaseError::Internal(format!("{PACKAGE_CLASS} has no term").into()))?;
        let site = self.export_desk()?.limits().keep_max.map_or(u64::MAX, |keep| keep.as_secs());
        Ok(i64::try_from(term.min(site)).unwrap_or(i64::MAX).saturating_mul(1_000_000))
    }

    /// Orders an export. Nothing is read until somebody else approves it.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Missing`, `Invalid`, `Conflict(PartnersCamera | LegalBasisMissing | NoRoom | QueueFull)`.
    pub async fn export_order(&self, actor: &Actor, wish: ExportWish) -> Result<Export, UseCaseError> {
        let ExportWish { stream, range, why, language } = wish;
        let desk = self.export_desk()?;
        let camera = self.stores.camera_by_stream(stream).await?.ok_or(UseCaseError::NotFound(Entity::Stream))?;
        let target = self.camera_target::<OrderExport>(actor, &camera, why.purpose).await?;
        let target = Target { stream: Some(stream), range: Some(range), ..target };
        if self.is_visible(actor, &camera).await? {
            if camera.partner.is_some() {
                return Err(UseCaseError::Conflict(Conflict::PartnersCamera));
            }
            if camera.legal_basis.is_none() {
                return Err(UseCaseError::Conflict(Conflict::LegalBasisMissing));
            }
            let span_max = i64::try_from(desk.limits().span_max.as_micros()).unwrap_or(i64::MAX);
            if range.micros() > span_max {
                return Err(UseCaseError::invalid("to", "span_too_long"));
            }
            if range.to > self.now() {
                return Err(UseCaseError::invalid("to", "not_yet_recorded"));
            }
        }
        let waits = |row: &&Export| matches!(row.state, ExportState::Waits | ExportState::Queued);
        let open = self.stores.export_list_open().await?;
        let permit = self.permit_on::<OrderExport>(actor, &camera, target, &why).await?;
        let purpose = why.purpose.ok_or_else(|| UseCaseError::invalid("purpose.code", "required"))?;
        let reason = reason_of(why.justification.as_deref().unwrap_or_default())?;
        if open.iter().filter(waits).count() >= desk.limits().waiting_max {
            return Err(UseCaseError::Conflict(Conflict::QueueFull));
        }
        self.export_room(desk, stream, range).await?;
        let export = Export {
            id: ExportId::from_uuid(self.ids.uuid()),
            camera: camera.id,
            stream,
            range,
            purpose,
            case_ref: why.case_ref.unwrap_or_default().trim().to_owned(),
            magistrate_ref: why.magistrate_ref,
            reason,
            language,
            decision: permit.decision(),
            ordered: self.signature(actor).await?,
            ordered_as: actor.profile,
            session: actor.session,
            state: ExportState::Waits,
            settled: None,
            settled_as: None,
            answer: None,
            progress: ExportProgress::default(),
            failure: None,
            ended_at: None,
            expires_at: None,
            manifest_sha256: None,
        };
        self.record("export_ordered", LeafKind::Change, Some(actor.clone()), leaf(&export)).await?;
        self.stores.export_insert(&export).await?;
        Ok(export)
    }

    /// Whether the disk can take the span, going by the copy of the recorder's index.
    async fn export_room(&self, desk: &dyn ExportDesk, stream: StreamId, range: TimeRange) -> Result<(), UseCaseError> {
        let segments = self.stores.segment_list(stream, range, SEGMENTS_MAX).await?;
        let share = |segment: &crate::model::SegmentCopy| {
            let whole = segment.to.micros_since(segment.from).max(1);
            let part = segment.to.min(range.to).micros_since(segment.from.max(range.from)).clamp(0, whole);
            let bytes = i128::from(segment.payload_bytes).saturating_mul(i128::from(part)) / i128::from(whole);
            u64::try_from(bytes).unwrap_or(u64::MAX)
        };
        let footage = segments.iter().map(share).fold(0, u64::saturating_add);
        let needed = footage.saturating_add(footage / 50).saturating_add(PAPERS_BYTES);
        let free = desk.free_bytes().await.map_err(UseCaseError::Unavailable)?;
        if needed > free {
            let mib = |bytes: u64| bytes.div_ceil(1 << 20);
            return Err(UseCaseError::Conflict(Conflict::NoRoom { needed_mib: mib(needed), free_mib: free >> 20 }));
        }
        Ok(())
    }

    async fn export_rights(&self, actor: &Actor, camera: &Camera) -> Result<ExportRights, UseCaseError> {
        let order = self.camera_target::<OrderExport>(actor, camera, None).await?;
        let approve = self.camera_target::<ApproveExport>(actor, camera, None).await?;
        let audit = self.camera_target::<ViewAudit>(actor, camera, None).await?;
        Ok(ExportRights {
            orders: !matches!(self.gate.would::<OrderExport>(actor, &order), Decision::Deny(_)),
            approves: self.gate.would::<ApproveExport>(actor, &approve).is_allow(),
            audits: self.gate.would::<ViewAudit>(actor, &audit).is_allow(),
        })
    }

    async fn export_sight(&self, actor: &Actor, export: Export) -> Result<Option<ExportSight>, UseCaseError> {
        use ExportState as S;
        let Some(camera) = self.stores.camera_fetch(export.camera).await? else { return Ok(None) };
        let rights = self.export_rights(actor, &camera).await?;
        if !(rights.orders || rights.approves || rights.audits) {
            return Ok(None);
        }
        let is_own = export.ordered.user == actor.user;
        let is_approver = export.settled.as_ref().is_some_and(|by| by.user == actor.user);
        let steers = is_own || rights.approves;
        let fetches = (is_own && rights.orders) || (is_approver && rights.approves);
        Ok(Some(ExportSight {
            may_settle: export.state == S::Waits && rights.approves && !is_own,
            may_pause: matches!(export.state, S::Queued | S::Running) && steers,
            may_resume: export.state == S::Paused && steers,
            may_cancel: match export.state {
                S::Waits => is_own,
                S::Queued | S::Running | S::Paused => steers,
                S::Refused | S::Withdrawn | S::Done | S::Failed | S::Cancelled | S::Removed => false,
            },
            may_fetch: export.state == S::Done && fetches,
            may_remove: export.state == S::Done && steers,
            fingerprint: self.extensions().exports.as_ref().map(|desk| desk.fingerprint()),
            export,
            camera,
        }))
    }

    /// Exports of cameras for which the actor may order, approve or audit them, newest first; the second value is the key below
    /// which the next page starts.
    ///
    /// # Errors
    /// `Denied` (logged) without any such right.
    pub async fn export_list(
        &self,
        actor: &Actor,
        below: Option<ExportId>,
        limit: u32,
    ) -> Result<(Vec<ExportSight>, Option<ExportId>), UseCaseError> {
        let rights = self.gate.rights_of(actor.profile);
        if ![Right::ExportApprove, Right::AuditView].iter().any(|right| rights.contains(right)) {
            self.look::<OrderExport>(actor).await?;
        }
        let rows = self.stores.export_list(below, limit).await?;
        let is_full = u32::try_from(rows.len()).is_ok_and(|count| count >= limit);
        let next = rows.last().filter(|_| is_full).map(|last| last.id);
        let mut seen = Vec::new();
        for export in rows {
            seen.extend(self.export_sight(actor, export).await?);
        }
        Ok((seen, next))
    }

    /// One export.
    ///
    /// # Errors
    /// `NotFound`, also of one that the actor may not know of.
    pub async fn export_fetch(&self, actor: &Actor, id: ExportId) -> Result<ExportSight, UseCaseError> {
        let missing = || UseCaseError::NotFound(Entity::Export);
        let export = self.stores.export_fetch(id).await?.ok_or_else(missing)?;
        let camera = self.stores.camera_fetch(export.camera).await?.ok_or_else(missing)?;
        if let Some(sight) = self.export_sight(actor, export).await? {
            return Ok(sight);
        }
        // A refusal, which is in the log.
        let target = self.camera_target::<OrderExport>(actor, &camera, None).await?;
        self.permit_on::<OrderExport>(actor, &camera, target, &Why::default()).await?;
        Err(missing())
    }

    /// One step in the life of an export. Only [`ExportStep::Approve`] lets footage out, and never by whoever ordered it.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Invalid`, `VersionStale` (somebody was faster), `Conflict(SamePerson | WrongState | NoRoom)`.
    pub async fn export_step(&self, actor: &Actor, id: ExportId, step: ExportStep) -> Result<Export, UseCaseError> {
        use ExportState as S;
        let missing = || UseCaseError::NotFound(Entity::Export);
        let export = self.stores.export_fetch(id).await?.ok_or_else(missing)?;
        let camera = self.stores.camera_fetch(export.camera).await?.ok_or_else(missing)?;
        self.may_step_export(actor, &camera, &export, &step).await?;
        let was = export.state;
        let (now, settled) = (Some(self.now()), Some(self.signature(actor).await?));
        let settled_as = Some(actor.profile);
        let (operation, export) = match (step, was) {
            (ExportStep::Approve, S::Waits) => {
                self.export_room(self.export_desk()?, export.stream, export.range).await?;
                ("export_approved", Export { state: S::Queued, settled, settled_as, ..export })
            }
            (ExportStep::Refuse(why), S::Waits) => {
                let answer = Some(reason_of(&why)?);
                ("export_refused", Export { state: S::Refused, settled, settled_as, answer, ended_at: now, ..export })
            }
            (ExportStep::Cancel, S::Waits) => {
                ("export_withdrawn", Export { state: S::Withdrawn, ended_at: now, ..export })
            }
            (ExportStep::Pause, S::Queued | S::Running) => ("export_paused", Export { state: S::Paused, ..export }),
            (ExportStep::Resume, S::Paused) => ("export_resumed", Export { state: S::Queued, failure: None, ..export }),
            (ExportStep::Cancel, S::Queued | S::Running | S::Paused) => {
                ("export_cancelled", Export { state: S::Cancelled, ended_at: now, ..export })
            }
            (ExportStep::Remove, S::Done) => ("export_removed", Export { state: S::Removed, ..export }),
            (
                ExportStep::Approve
                | ExportStep::Refuse(_)
                | ExportStep::Pause
                | ExportStep::Resume
                | ExportStep::Cancel
                | ExportStep::Remove,
                S::Waits
                | S::Refused
                | S::Withdrawn
                | S::Queued
                | S::Running
                | S::Paused
                | S::Done
                | S::Failed
                | S::Cancelled
                | S::Removed,
            ) => return Err(UseCaseError::Conflict(Conflict::WrongState(was.as_str()))),
        };
        self.record(operation, LeafKind::Change, Some(actor.clone()), leaf(&export)).await?;
        self.stores.export_update(&export, was).await?;
        self.export_stepped(&export).await?;
        Ok(export)
    }

    /// Whoever approves or refuses needs the right and is another person; the rest is for whoever ordered it, or may approve.
    async fn may_step_export(
        &self,
        actor: &Actor,
        camera: &Camera,
        export: &Export,
        step: &ExportStep,
    ) -> Result<(), UseCaseError> {
        let is_own = export.ordered.user == actor.user;
        let settles = matches!(step, ExportStep::Approve | ExportStep::Refuse(_));
        if is_own && !settles {
            return Ok(());
        }
        let target = self.camera_target::<ApproveExport>(actor, camera, None).await?;
        let target = Target { object: Some(export.id.to_string()), range: Some(export.range), ..target };
        self.permit_on::<ApproveExport>(actor, camera, target, &Why::default()).await?;
        if settles && is_own {
            let details = json!({ "outcome": "same_person", "export": export.id.to_string() });
            self.record("export_step_refused", LeafKind::Refuse, Some(actor.clone()), details).await?;
            return Err(UseCaseError::Conflict(Conflict::SamePerson));
        }
        // Somebody else's order that waits is refused, with a reason.
        if *step == ExportStep::Cancel && export.state == ExportState::Waits {
            return Err(UseCaseError::Conflict(Conflict::WrongState(export.state.as_str())));
        }
        Ok(())
    }

    /// Files of a finished package, by name.
    ///
    /// # Errors
    /// `NotFound`, `Conflict(WrongState)` while there is none.
    pub async fn export_files(&self, actor: &Actor, id: ExportId) -> Result<Vec<PackageFile>, UseCaseError> {
        let sight = self.export_fetch(actor, id).await?;
        if sight.export.state != ExportState::Done {
            return Err(UseCaseError::Conflict(Conflict::WrongState(sight.export.state.as_str())));
        }
        self.export_desk()?.files(id).await.map_err(UseCaseError::Unavailable)
    }
}

/// When the package of an export that is done at `now` goes.
pub(crate) fn expiry(now: WallTime, term_us: i64) -> WallTime {
    WallTime::from_micros(now.micros.saturating_add(term_us))
}

/// What the log keeps of a step: enough to tell from the log alone what left the house, for what, and who agreed.
pub(crate) fn leaf(export: &Export) -> Value {
    json!({
        "export": export.id.to_string(), "camera": export.camera.to_string(), "stream": export.stream.to_string(),
        "state": export.state.as_str(), "from_us": export.range.from.micros, "to_us": export.range.to.micros,
        "purpose": export.purpose.as_str(), "case_ref": export.case_ref,
        "magistrate_ref": export.magistrate_ref, "reason": export.reason,
        "ordered_by": export.ordered.user.to_string(),
        "settled_by": export.settled.as_ref().map(|by| by.user.to_string()), "answer": export.answer,
        "failure": export.failure, "manifest_sha256": export.manifest_sha256,
        "bytes": export.progress.bytes, "frames": export.progress.frames,
    })
}
