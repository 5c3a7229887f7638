//! Evidence exports: ordered by one person with a case number, approved by another (`domain.md` H3, H5 rule 2), then made by the
//! reconciler of [`crate::exports_run`]. Every step is a leaf before it happens.

use std::collections::BTreeSet;

use audit::LeafKind;
use policy::Decision;
use serde_json::{Value, json};
use vms_core::{CameraId, ExportId, OrgId, RetentionClass, Right, StreamId, StreamUse, TimeRange, WallTime};

use crate::cases::UseCases;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::exports_model::{CAMERAS_MAX, Export, ExportDesk, ExportProgress, ExportSource, PackageFile};
use crate::gate::action::{ApproveExport, OrderExport, ViewAudit};
use crate::gate::{Actor, Target, Why};
use crate::legal_changes::reason_of;
use crate::model::Camera;
use crate::words::{ExportState, Language};

/// Rows looked at in one go for a page of what somebody may see.
const LOOKED_AT: u32 = 200;
/// Class whose term is the life of a package.
const PACKAGE_CLASS: &str = "RC-EXP";
/// Rows read for the size of a span: 12 h of minutes, and as many again for short segments.
const SEGMENTS_MAX: u32 = 1_500;
/// What the papers of a package take at most besides the footage: a share of it, and this.
const PAPERS_BYTES: u64 = 16 << 20;

/// Of what an export is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportOf {
    /// One stream.
    Stream(StreamId),
    /// The main stream of each camera, 1 to [`CAMERAS_MAX`].
    Cameras(Vec<CameraId>),
}

/// An export as somebody wants it.
#[derive(Clone, Debug)]
pub struct ExportWish {
    /// Of what.
    pub of: ExportOf,
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
    /// Its cameras, in order; at least one.
    pub cameras: Vec<Camera>,
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

    /// The cameras of a wish with the stream of each that is exported.
    async fn export_sources(&self, of: ExportOf) -> Result<Vec<(Camera, StreamId)>, UseCaseError> {
        let cameras = match of {
            ExportOf::Stream(stream) => {
                let camera = self.stores.camera_by_stream(stream).await?;
                return Ok(vec![(camera.ok_or(UseCaseError::NotFound(Entity::Stream))?, stream)]);
            }
            ExportOf::Cameras(cameras) => cameras,
        };
        let distinct: BTreeSet<CameraId> = cameras.iter().copied().collect();
        let fault = match cameras.len() {
            0 => Some("required"),
            count if count > CAMERAS_MAX => Some("too_many"),
            count if count > distinct.len() => Some("named_twice"),
            _ => None,
        };
        if let Some(fault) = fault {
            return Err(UseCaseError::invalid("camera_ids", fault));
        }
        let mut sources = Vec::with_capacity(cameras.len());
        for id in cameras {
            let camera = self.stores.camera_fetch(id).await?.ok_or(UseCaseError::NotFound(Entity::Camera))?;
            let stream = camera.stream(StreamUse::Main).or_else(|| camera.streams.first()).map(|stream| stream.id);
            let stream = stream.ok_or_else(|| UseCaseError::invalid("camera_ids", "no_stream"))?;
            sources.push((camera, stream));
        }
        Ok(sources)
    }

    /// Orders an export. Nothing is read until somebody else approves it. Of several cameras each is decided for itself: who may not
    /// export one of them orders none.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Missing`, `Invalid`, `Conflict(PartnersCamera | LegalBasisMissing | NoRoom | QueueFull)`.
    pub async fn export_order(&self, actor: &Actor, wish: ExportWish) -> Result<Export, UseCaseError> {
        let ExportWish { of, range, why, language } = wish;
        let desk = self.export_desk()?;
        let sources = self.export_sources(of).await?;
        for (camera, _) in &sources {
            if self.is_visible(actor, camera).await? {
                self.export_may_be(desk, camera, range)?;
            }
        }
        let open = self.stores.export_list_open().await?;
        let mut first = None;
        for (camera, stream) in &sources {
            let target = self.camera_target::<OrderExport>(actor, camera, why.purpose).await?;
            let target = Target { stream: Some(*stream), range: Some(range), ..target };
            let permit = self.permit_on::<OrderExport>(actor, camera, target, &why).await?;
            first = first.or(Some(permit.decision()));
        }
        let owners: BTreeSet<OrgId> = sources.iter().map(|(camera, _)| camera.owner).collect();
        if owners.len() > 1 {
            return Err(UseCaseError::invalid("camera_ids", "several_owners"));
        }
        let purpose = why.purpose.ok_or_else(|| UseCaseError::invalid("purpose.code", "required"))?;
        let reason = reason_of(why.justification.as_deref().unwrap_or_default())?;
        let waits = |row: &&Export| matches!(row.state, ExportState::Waits | ExportState::Queued);
        if open.iter().filter(waits).count() >= desk.limits().waiting_max {
            return Err(UseCaseError::Conflict(Conflict::QueueFull));
        }
        let mut of = sources.iter().map(|(camera, stream)| ExportSource { camera: camera.id, stream: *stream });
        let (Some(main), Some(decision)) = (of.next(), first) else {
            return Err(UseCaseError::invalid("camera_ids", "required"));
        };
        let export = Export {
            id: ExportId::from_uuid(self.ids.uuid()),
            camera: main.camera,
            stream: main.stream,
            others: of.collect(),
            range,
            purpose,
            case_ref: why.case_ref.unwrap_or_default().trim().to_owned(),
            magistrate_ref: why.magistrate_ref,
            reason,
            language,
            decision,
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
        self.export_room(desk, &export).await?;
        self.record("export_ordered", LeafKind::Change, Some(actor.clone()), leaf(&export)).await?;
        self.stores.export_insert(&export).await?;
        Ok(export)
    }

    /// Whether a camera's footage of a span can be exported at all.
    fn export_may_be(&self, desk: &dyn ExportDesk, camera: &Camera, range: TimeRange) -> Result<(), UseCaseError> {
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
        Ok(())
    }

    /// Whether the disk can take the spans, going by the copy of the recorder's index.
    async fn export_room(&self, desk: &dyn ExportDesk, export: &Export) -> Result<(), UseCaseError> {
        let range = export.range;
        let share = |segment: &crate::model::SegmentCopy| {
            let whole = segment.to.micros_since(segment.from).max(1);
            let part = segment.to.min(range.to).micros_since(segment.from.max(range.from)).clamp(0, whole);
            let bytes = i128::from(segment.payload_bytes).saturating_mul(i128::from(part)) / i128::from(whole);
            u64::try_from(bytes).unwrap_or(u64::MAX)
        };
        let mut footage = 0_u64;
        for source in export.sources() {
            let segments = self.stores.segment_list(source.stream, range, SEGMENTS_MAX).await?;
            footage = segments.iter().map(share).fold(footage, u64::saturating_add);
        }
        let needed = footage.saturating_add(footage / 50).saturating_add(PAPERS_BYTES);
        let free = desk.free_bytes().await.map_err(UseCaseError::Unavailable)?;
        if needed > free {
            let mib = |bytes: u64| bytes.div_ceil(1 << 20);
            return Err(UseCaseError::Conflict(Conflict::NoRoom { needed_mib: mib(needed), free_mib: free >> 20 }));
        }
        Ok(())
    }

    /// The cameras of an export, in order; `None` when one of them is not known any more.
    pub(crate) async fn export_cameras(&self, export: &Export) -> Result<Option<Vec<Camera>>, UseCaseError> {
        let mut cameras = Vec::new();
        for source in export.sources() {
            let Some(camera) = self.stores.camera_fetch(source.camera).await? else { return Ok(None) };
            cameras.push(camera);
        }
        Ok(Some(cameras))
    }

    /// Of several cameras the actor may what it may with each.
    async fn export_rights(&self, actor: &Actor, cameras: &[Camera]) -> Result<ExportRights, UseCaseError> {
        let mut rights = ExportRights { orders: true, approves: true, audits: true };
        for camera in cameras {
            let order = self.camera_target::<OrderExport>(actor, camera, None).await?;
            let approve = self.camera_target::<ApproveExport>(actor, camera, None).await?;
            let audit = self.camera_target::<ViewAudit>(actor, camera, None).await?;
            rights.orders &= !matches!(self.gate.would::<OrderExport>(actor, &order), Decision::Deny(_));
            rights.approves &= self.gate.would::<ApproveExport>(actor, &approve).is_allow();
            rights.audits &= self.gate.would::<ViewAudit>(actor, &audit).is_allow();
        }
        Ok(rights)
    }

    async fn export_sight(&self, actor: &Actor, export: Export) -> Result<Option<ExportSight>, UseCaseError> {
        use ExportState as S;
        let Some(cameras) = self.export_cameras(&export).await? else { return Ok(None) };
        let rights = self.export_rights(actor, &cameras).await?;
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
            cameras,
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
        // What lies between is not the actor's to know: not how much of it there is, and not its ids. A next page is told of only when
        // there is something on it to see, and by the last that was seen.
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let (mut seen, mut below) = (Vec::new(), below);
        while seen.len() <= wanted {
            let rows = self.stores.export_list(below, LOOKED_AT).await?;
            let Some(last) = rows.last().map(|last| last.id) else { break };
            below = Some(last);
            for export in rows {
                seen.extend(self.export_sight(actor, export).await?);
            }
        }
        let is_more = seen.len() > wanted;
        seen.truncate(wanted);
        let next = seen.last().filter(|_| is_more).map(|last| last.export.id);
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
        let cameras = self.export_cameras(&export).await?.ok_or_else(missing)?;
        self.may_step_export(actor, &cameras, &export, &step).await?;
        let was = export.state;
        let (now, settled) = (Some(self.now()), Some(self.signature(actor).await?));
        let settled_as = Some(actor.profile);
        let (operation, export) = match (step, was) {
            (ExportStep::Approve, S::Waits) => {
                self.export_room(self.export_desk()?, &export).await?;
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
        cameras: &[Camera],
        export: &Export,
        step: &ExportStep,
    ) -> Result<(), UseCaseError> {
        let is_own = export.ordered.user == actor.user;
        let settles = matches!(step, ExportStep::Approve | ExportStep::Refuse(_));
        if is_own && !settles {
            return Ok(());
        }
        for camera in cameras {
            let target = self.camera_target::<ApproveExport>(actor, camera, None).await?;
            let target = Target { object: Some(export.id.to_string()), range: Some(export.range), ..target };
            self.permit_on::<ApproveExport>(actor, camera, target, &Why::default()).await?;
        }
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
    let other = |one: &ExportSource| json!({ "camera": one.camera.to_string(), "stream": one.stream.to_string() });
    let others: Vec<Value> = export.others.iter().map(other).collect();
    json!({
        "export": export.id.to_string(), "camera": export.camera.to_string(), "stream": export.stream.to_string(),
        "others": others,
        "state": export.state.as_str(), "from_us": export.range.from.micros, "to_us": export.range.to.micros,
        "purpose": export.purpose.as_str(), "case_ref": export.case_ref,
        "magistrate_ref": export.magistrate_ref, "reason": export.reason,
        "ordered_by": export.ordered.user.to_string(),
        "settled_by": export.settled.as_ref().map(|by| by.user.to_string()), "answer": export.answer,
        "failure": export.failure, "manifest_sha256": export.manifest_sha256,
        "bytes": export.progress.bytes, "frames": export.progress.frames,
    })
}
