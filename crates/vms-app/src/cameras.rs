//! The life of a camera: draft → approved → live → retired, with its legal basis (blueprint 4.1).

use audit::LeafKind;
use bytes::Bytes;
use policy::{Audience, Decision, Requirement};
use serde_json::json;
use vms_core::{CameraId, Purpose, Rendition, RetentionClass, StreamId, StreamUse};

use crate::camera_rules::{CameraDraft, StreamDraft, check_draft};
use crate::cases::UseCases;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::gate::action::{ApproveCamera, EditCamera, ListCameras, RetireCamera, TakeTestPicture};
use crate::gate::{Actor, Delivered, Target, Why};
use crate::model::{Camera, CameraLaw, CameraStream, LegalBasis, StreamSpec};
use crate::ports::{MediaSource, ProbeReport};
use crate::seed::today_text;
use crate::sight::CameraSight;
use crate::words::{CameraKind, CameraState};

/// A change of a camera; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CameraPatch {
    /// Number to call it up.
    pub call_up: Option<Option<u32>>,
    /// Dutch name.
    pub name_nl: Option<String>,
    /// French name.
    pub name_fr: Option<String>,
    /// What it is for.
    pub kind: Option<CameraKind>,
    /// Degrees north.
    pub lat: Option<f64>,
    /// Degrees east.
    pub lon: Option<f64>,
    /// Class of its footage.
    pub retention_class: Option<String>,
    /// Pictogram placed.
    pub pictogram_on: Option<String>,
    /// Legal basis.
    pub legal_basis: Option<LegalBasis>,
    /// All streams anew; a use without credentials keeps its stored ones.
    pub streams: Option<Vec<StreamDraft>>,
}

impl UseCases {
    /// Cameras that the actor sees, by code, after a code, whose code, name or call-up number contains `query`.
    ///
    /// # Errors
    /// `Denied` (logged) without the right towards any camera.
    pub async fn camera_list(
        &self,
        actor: &Actor,
        query: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<CameraSight>, UseCaseError> {
        self.look::<ListCameras>(actor).await?;
        let cameras = self.cameras_now().await?;
        let (orgs, partners) = (self.orgs_now().await?, self.stores.partner_list().await?);
        let grants = self.grants_to(actor.org, self.now()).await?;
        let query = query.trim().to_lowercase();
        let fits = |camera: &&Camera| {
            query.is_empty()
                || [&camera.code, &camera.name_nl, &camera.name_fr]
                    .iter()
                    .any(|text| text.to_lowercase().contains(&query))
                || camera.call_up.is_some_and(|number| number.to_string().starts_with(&query))
        };
        Ok(cameras
            .iter()
            .filter(|camera| after.is_none_or(|after| camera.code.as_str() > after))
            .filter(fits)
            .filter_map(|camera| self.sight(actor, camera, &grants, &orgs, &partners))
            .take(limit)
            .collect())
    }

    /// One camera as the actor sees it.
    ///
    /// # Errors
    /// `NotFound` when there is none or the actor may not know of it; the second is logged.
    pub async fn camera_sight(&self, actor: &Actor, id: CameraId) -> Result<CameraSight, UseCaseError> {
        let camera = self.stores.camera_fetch(id).await?.ok_or(UseCaseError::NotFound(Entity::Camera))?;
        self.look_on::<ListCameras>(actor, &camera).await?;
        let (orgs, partners) = (self.orgs_now().await?, self.stores.partner_list().await?);
        let grants = self.grants_to(actor.org, self.now()).await?;
        self.sight(actor, &camera, &grants, &orgs, &partners).ok_or(UseCaseError::NotFound(Entity::Camera))
    }

    /// Saves a draft camera.
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `Conflict(Taken)`.
    pub async fn camera_create(&self, actor: &Actor, draft: CameraDraft) -> Result<Camera, UseCaseError> {
        self.look::<EditCamera>(actor).await?;
        let camera = self.camera_from_draft(actor, draft).await?;
        let target = self.camera_target::<EditCamera>(actor, &camera, None).await?;
        self.gate.permit::<EditCamera>(actor, target, &Why::default()).await?;
        self.stores.camera_insert(std::slice::from_ref(&camera)).await?;
        self.note_change();
        Ok(camera)
    }

    /// A checked draft as a camera that is not stored yet, credentials sealed.
    pub(crate) async fn camera_from_draft(&self, actor: &Actor, draft: CameraDraft) -> Result<Camera, UseCaseError> {
        let now = self.now();
        let class = RetentionClass::parse(&draft.retention_class);
        let is_video = class.as_ref().is_some_and(|class| self.retention.is_video(class, now));
        let problems = check_draft(&draft, &self.settings, is_video);
        let (Some(class), true) = (class, problems.is_empty()) else { return Err(UseCaseError::Invalid(problems)) };
        let owner = draft.owner.unwrap_or(actor.org);
        if self.org(owner).await?.is_none() {
            return Err(UseCaseError::invalid("owner", "unknown"));
        }
        let mut streams = Vec::with_capacity(draft.streams.len());
        for stream in draft.streams {
            streams.push(self.seal_stream(MediaSource::Recorder, stream, None).await?);
        }
        Ok(Camera {
            id: CameraId::from_uuid(self.ids.uuid()),
            code: draft.code,
            call_up: draft.call_up,
            name_nl: draft.name_nl,
            name_fr: draft.name_fr,
            owner,
            partner: None,
            kind: draft.kind,
            lat: draft.lat,
            lon: draft.lon,
            state: CameraState::Draft,
            retention_class: class,
            pictogram_on: draft.pictogram_on,
            legal_basis: draft.legal_basis,
            streams,
            version: 1,
            created_at: now,
            updated_at: now,
        })
    }

    pub(crate) async fn seal_stream(
        &self,
        source: MediaSource,
        draft: StreamDraft,
        old: Option<&CameraStream>,
    ) -> Result<CameraStream, UseCaseError> {
        let same_host = old.is_some_and(|old| host_of(&old.url) == host_of(&draft.url));
        let sealed_credentials = match &draft.credentials {
            Some((user, password)) => Some(self.media.seal_credentials(source, user, password).await?),
            // Stored credentials never go to another host than the one they were given for.
            None if same_host => old.and_then(|old| old.sealed_credentials.clone()),
            None => None,
        };
        Ok(CameraStream {
            id: old.map_or_else(|| StreamId::from_uuid(self.ids.uuid()), |old| old.id),
            use_: draft.use_,
            url: draft.url,
            sealed_credentials,
            transport: draft.transport,
            codec: old.and_then(|old| old.codec),
            width: old.and_then(|old| old.width),
            height: old.and_then(|old| old.height),
        })
    }

    /// Changes a camera. Legal fields of a camera that is past its draft change by `legal_change_propose` only.
    ///
    /// # Errors
    /// `VersionStale`, `Denied`, `Invalid`, `Conflict`.
    pub async fn camera_change(
        &self,
        actor: &Actor,
        id: CameraId,
        seen: u64,
        patch: CameraPatch,
    ) -> Result<Camera, UseCaseError> {
        let camera = self.stores.camera_fetch(id).await?.ok_or(UseCaseError::NotFound(Entity::Camera))?;
        let target = self.camera_target::<EditCamera>(actor, &camera, None).await?;
        self.permit_on::<EditCamera>(actor, &camera, target, &Why::default()).await?;
        if camera.version != seen {
            return Err(UseCaseError::VersionStale);
        }
        if camera.state == CameraState::Retired {
            return Err(UseCaseError::Conflict(Conflict::WrongState("retired")));
        }
        // Everything but our own call-up number comes from the partner and would come again with its next catalogue.
        if camera.partner.is_some() && (CameraPatch { call_up: None, ..patch.clone() }) != CameraPatch::default() {
            return Err(UseCaseError::Conflict(Conflict::PartnersCamera));
        }
        let draft = patched(&camera, &patch);
        let class = RetentionClass::parse(&draft.retention_class);
        let is_video = class.as_ref().is_some_and(|class| self.retention.is_video(class, self.now()));
        let problems = check_draft(&draft, &self.settings, is_video);
        let (Some(class), true) = (class, problems.is_empty()) else { return Err(UseCaseError::Invalid(problems)) };
        let law = CameraLaw {
            kind: draft.kind,
            retention_class: class.clone(),
            pictogram_on: draft.pictogram_on.clone(),
            legal_basis: draft.legal_basis.clone(),
        };
        if camera.state != CameraState::Draft && law != camera.law() {
            return Err(UseCaseError::Conflict(Conflict::ProposeInstead));
        }
        let mut streams = camera.streams.clone();
        if let Some(drafts) = patch.streams {
            streams.clear();
            for stream in drafts {
                let old = camera.stream(stream.use_);
                streams.push(self.seal_stream(MediaSource::Recorder, stream, old).await?);
            }
        }
        let changed = Camera {
            call_up: draft.call_up,
            name_nl: draft.name_nl,
            name_fr: draft.name_fr,
            kind: draft.kind,
            lat: draft.lat,
            lon: draft.lon,
            retention_class: class,
            pictogram_on: draft.pictogram_on,
            legal_basis: draft.legal_basis,
            streams,
            updated_at: self.now(),
            ..camera
        };
        self.camera_store(changed).await
    }

    async fn camera_store(&self, camera: Camera) -> Result<Camera, UseCaseError> {
        self.stores.camera_update(&camera).await?;
        self.note_change();
        Ok(Camera { version: camera.version + 1, ..camera })
    }

    /// One step on: a draft with a legal basis is approved; an approved camera whose pictogram stands goes live. A draft
    /// that has both goes all the way.
    ///
    /// # Errors
    /// `Denied`, `Conflict(LegalBasisMissing | PictogramMissing | WrongState)`.
    pub async fn camera_approve(&self, actor: &Actor, id: CameraId) -> Result<Camera, UseCaseError> {
        let camera = self.stores.camera_fetch(id).await?.ok_or(UseCaseError::NotFound(Entity::Camera))?;
        let target = self.camera_target::<ApproveCamera>(actor, &camera, None).await?;
        self.permit_on::<ApproveCamera>(actor, &camera, target, &Why::default()).await?;
        if camera.legal_basis.is_none() {
            return Err(UseCaseError::Conflict(Conflict::LegalBasisMissing));
        }
        let today = today_text(self.now());
        let is_marked = camera.pictogram_on.as_ref().is_some_and(|day| *day <= today);
        let state = match (camera.state, is_marked) {
            (CameraState::Draft | CameraState::Approved, true) => CameraState::Live,
            (CameraState::Draft, false) => CameraState::Approved,
            (CameraState::Approved, false) => return Err(UseCaseError::Conflict(Conflict::PictogramMissing)),
            (CameraState::Live, _) => return Err(UseCaseError::Conflict(Conflict::WrongState("live"))),
            (CameraState::Retired, _) => return Err(UseCaseError::Conflict(Conflict::WrongState("retired"))),
        };
        self.camera_store(Camera { state, updated_at: self.now(), ..camera }).await
    }

    /// Ends a camera: it no longer records or shows; its footage lives out its term. The reason stands in the leaf. Where the matrix
    /// wants a second person, the camera comes back as it is, and the wish waits ([`crate::sharing::seconds`]).
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `Conflict(WrongState)`, `Conflict(PartnersCamera)`, `Conflict(Taken("wish"))`.
    pub async fn camera_retire(
        &self,
        actor: &Actor,
        id: CameraId,
        reason: Option<String>,
    ) -> Result<Camera, UseCaseError> {
        let camera = self.stores.camera_fetch(id).await?.ok_or(UseCaseError::NotFound(Entity::Camera))?;
        let target = self.camera_target::<RetireCamera>(actor, &camera, None).await?;
        let why = Why { justification: reason, ..Why::default() };
        let waits =
            self.gate.would::<RetireCamera>(actor, &target) == Decision::Missing(vec![Requirement::SecondPerson]);
        if waits {
            may_end(&camera)?;
            self.retirement_ask(actor, &camera, target, &why).await?;
            return Ok(camera);
        }
        self.permit_on::<RetireCamera>(actor, &camera, target, &why).await?;
        may_end(&camera)?;
        self.camera_end(camera).await
    }

    pub(crate) async fn camera_end(&self, camera: Camera) -> Result<Camera, UseCaseError> {
        self.camera_store(Camera { state: CameraState::Retired, updated_at: self.now(), ..camera }).await
    }

    /// Dials a camera's main stream (or its first) and says what answers.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Unavailable`.
    pub async fn camera_probe(&self, actor: &Actor, id: CameraId) -> Result<ProbeReport, UseCaseError> {
        let camera = self.stores.camera_fetch(id).await?.ok_or(UseCaseError::NotFound(Entity::Camera))?;
        let target = self.camera_target::<EditCamera>(actor, &camera, None).await?;
        self.permit_on::<EditCamera>(actor, &camera, target, &Why::default()).await?;
        let stream = main_or_first(&camera).ok_or(UseCaseError::NotFound(Entity::Stream))?;
        // The log-in is sealed to the role that pulls the camera.
        let source = if camera.partner.is_some() { MediaSource::Gateway } else { MediaSource::Recorder };
        Ok(self.media.probe(source, &probe_spec(&camera, stream)).await?)
    }

    /// One coarse picture, under its own logged right. Works on drafts: it is how a technician sees that it points where
    /// it should.
    ///
    /// # Errors
    /// `Denied`, `Missing`, `Conflict(NoPicture | PartnersPicture)`, `Unavailable`.
    pub async fn camera_test_picture(&self, actor: &Actor, id: CameraId, why: &Why) -> Result<Bytes, UseCaseError> {
        let camera = self.stores.camera_fetch(id).await?.ok_or(UseCaseError::NotFound(Entity::Camera))?;
        if camera.partner.is_some() {
            // Whoever may not even ask hears that first; whoever may reads why not, and both are in the log.
            let target = self.camera_target::<TakeTestPicture>(actor, &camera, why.purpose).await?;
            let target = Target { rendition: Rendition::Coarse, ..target };
            if matches!(self.gate.would::<TakeTestPicture>(actor, &target), policy::Decision::Deny(_)) {
                self.permit_on::<TakeTestPicture>(actor, &camera, target, why).await?;
            }
            let details =
                json!({ "right": "camera.test_picture", "outcome": "partners_picture", "camera": id.to_string() });
            self.record("test_picture_refused", LeafKind::Refuse, Some(actor.clone()), details).await?;
            return Err(UseCaseError::Conflict(Conflict::PartnersPicture));
        }
        let stream = main_or_first(&camera).ok_or(UseCaseError::NotFound(Entity::Stream))?.id;
        let purpose: Option<Purpose> = why.purpose;
        let target = self.camera_target::<TakeTestPicture>(actor, &camera, purpose).await?;
        let target = Target { stream: Some(stream), rendition: Rendition::Coarse, ..target };
        let permit = self.permit_on::<TakeTestPicture>(actor, &camera, target, why).await?;
        let missing = || UseCaseError::Internal("a stream's permit makes a capability".into());
        let picture = self.gate.capability(&permit, Audience::Reader).ok_or_else(missing)?;
        let source = self.gate.source_capability(&permit).ok_or_else(missing)?;
        let outcome = self.media.test_picture(picture, source, stream).await;
        let (units, bytes) = outcome.as_ref().map_or((0, 0), |jpeg| (1, u64::try_from(jpeg.len()).unwrap_or(u64::MAX)));
        let ended = if outcome.is_ok() { "done" } else { "failed" };
        self.gate.close(permit, Delivered { units, bytes, why: ended.to_owned() }).await?;
        Ok(outcome?)
    }
}

fn host_of(url: &str) -> Option<(String, Option<u16>)> {
    let url = url::Url::parse(url).ok()?;
    Some((url.host_str()?.to_owned(), url.port()))
}

pub(crate) fn may_end(camera: &Camera) -> Result<(), UseCaseError> {
    if camera.state == CameraState::Retired {
        return Err(UseCaseError::Conflict(Conflict::WrongState("retired")));
    }
    if camera.partner.is_some() {
        return Err(UseCaseError::Conflict(Conflict::PartnersCamera));
    }
    Ok(())
}

pub(crate) fn main_or_first(camera: &Camera) -> Option<&CameraStream> {
    camera.stream(StreamUse::Main).or_else(|| camera.streams.first())
}

fn probe_spec(camera: &Camera, stream: &CameraStream) -> StreamSpec {
    StreamSpec {
        stream: stream.id,
        camera: camera.id,
        use_: stream.use_,
        url: stream.url.clone(),
        sealed_credentials: stream.sealed_credentials.clone(),
        transport: stream.transport,
        record: false,
        on_demand: true,
        retention_class: camera.retention_class.as_str().to_owned(),
        keep_s: 0,
    }
}

pub(crate) fn patched(camera: &Camera, patch: &CameraPatch) -> CameraDraft {
    let streams = patch.streams.clone().unwrap_or_else(|| {
        let kept = |stream: &CameraStream| StreamDraft {
            use_: stream.use_,
            url: stream.url.clone(),
            credentials: None,
            transport: stream.transport,
        };
        camera.streams.iter().map(kept).collect()
    });
    CameraDraft {
        code: camera.code.clone(),
        call_up: patch.call_up.unwrap_or(camera.call_up),
        name_nl: patch.name_nl.clone().unwrap_or_else(|| camera.name_nl.clone()),
        name_fr: patch.name_fr.clone().unwrap_or_else(|| camera.name_fr.clone()),
        owner: Some(camera.owner),
        kind: patch.kind.unwrap_or(camera.kind),
        lat: patch.lat.unwrap_or(camera.lat),
        lon: patch.lon.unwrap_or(camera.lon),
        retention_class: patch.retention_class.clone().unwrap_or_else(|| camera.retention_class.as_str().to_owned()),
        pictogram_on: patch.pictogram_on.clone().or_else(|| camera.pictogram_on.clone()),
        legal_basis: patch.legal_basis.clone().or_else(|| camera.legal_basis.clone()),
        streams,
    }
}
