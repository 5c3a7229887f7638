//! Cameras, partners, probes, health.

use policy::Requirement;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vms_app::camera_rules::{CameraDraft, StreamDraft};
use vms_app::cameras::CameraPatch;
use vms_app::health::StreamHealth;
use vms_app::model::{LegalBasis, Partner};
use vms_app::ports::ProbeReport;
use vms_app::sight::CameraSight;
use vms_app::words::TransportKind;

use super::common::{OrgView, instant, parse_word};
use crate::problem::Problem;

/// A partner, in short.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PartnerRef {
    /// `org_…`.
    pub id: String,
    /// Name shown.
    pub name: String,
    /// Switched on.
    pub enabled: bool,
}

/// One stream. The address only for those who may change the camera; credentials never.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StreamView {
    /// `str_…`.
    pub id: String,
    /// `main`, `sub` or `anpr`.
    #[serde(rename = "use")]
    pub use_: String,
    /// `h264` or `h265`, when known.
    pub codec: Option<String>,
    /// Pixels, when known.
    pub width: Option<u16>,
    /// Pixels, when known.
    pub height: Option<u16>,
    /// RTSP address, with `may.edit` in the single view.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// `retina`, `gst_tcp` or `gst_udp`, with `may.edit` in the single view.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// Whether a user and a password are stored, with `may.edit` in the single view.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_credentials: Option<bool>,
}

/// Health in short.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HealthView {
    /// `idle`, `connecting`, `no_key_frame`, `live`, `waiting` or `unknown`.
    pub phase: String,
    /// Why it is not live.
    pub cause: Option<String>,
    /// Last frame received.
    pub last_frame_at: Option<String>,
}

impl From<Option<&StreamHealth>> for HealthView {
    fn from(health: Option<&StreamHealth>) -> Self {
        Self {
            phase: health.map_or("unknown", |health| health.phase.as_str()).to_owned(),
            cause: health.and_then(|health| health.cause).map(|cause| cause.as_str().to_owned()),
            last_frame_at: health.and_then(|health| health.last_frame_at).map(instant),
        }
    }
}

/// What the caller may do.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MayView {
    /// See it live.
    pub live: bool,
    /// See its past.
    pub playback: bool,
    /// See its reads.
    pub reads: bool,
    /// Change it.
    pub edit: bool,
    /// Approve it.
    pub approve: bool,
    /// Propose a change of its legal fields, once it is past its draft.
    pub propose_law: bool,
    /// Take a test picture.
    pub test_picture: bool,
}

/// What the caller must add: `purpose`, `justification`, `case`, `second_person`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct NeedsView {
    /// For live.
    pub live: Vec<&'static str>,
    /// For the past.
    pub playback: Vec<&'static str>,
    /// For a test picture.
    pub test_picture: Vec<&'static str>,
}

const fn need(requirement: Requirement) -> &'static str {
    match requirement {
        Requirement::Purpose => "purpose",
        Requirement::Justification => "justification",
        Requirement::Case => "case",
        Requirement::SecondPerson => "second_person",
        Requirement::Magistrate => "magistrate",
    }
}

/// Legal basis of a camera.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LegalBasisDto {
    /// Title or number of the document.
    pub document: String,
    /// Its date, `YYYY-MM-DD`.
    pub date: String,
    /// The advice given on it.
    #[serde(default)]
    pub advice: String,
}

impl From<&LegalBasis> for LegalBasisDto {
    fn from(basis: &LegalBasis) -> Self {
        Self { document: basis.document.clone(), date: basis.dated.clone(), advice: basis.advice.clone() }
    }
}

impl From<LegalBasisDto> for LegalBasis {
    fn from(dto: LegalBasisDto) -> Self {
        Self { document: dto.document, dated: dto.date, advice: dto.advice }
    }
}

/// A camera as the caller sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CameraView {
    /// `cam_…`.
    pub id: String,
    /// Code of the installation.
    pub code: String,
    /// Number to call it up.
    pub call_up: Option<u32>,
    /// Dutch name.
    pub name_nl: String,
    /// French name.
    pub name_fr: String,
    /// Owner.
    pub owner: Option<OrgView>,
    /// `own`, `shared` or `other`.
    pub relation: String,
    /// The partner whose gateway it is pulled from.
    pub partner: Option<PartnerRef>,
    /// `overview`, `lez`, `zbt` or `trajectory`.
    pub kind: String,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lon: f64,
    /// `draft`, `approved`, `live` or `retired`.
    pub state: String,
    /// Class of its footage.
    pub retention_class: String,
    /// Its streams.
    pub streams: Vec<StreamView>,
    /// Health of the main stream.
    pub health: HealthView,
    /// What the caller may do.
    pub may: MayView,
    /// What the caller must add.
    pub needs: NeedsView,
    /// In the single view.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legal_basis: Option<LegalBasisDto>,
    /// In the single view.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pictogram_on: Option<String>,
}

impl CameraView {
    /// A row of the list.
    pub fn row(sight: &CameraSight) -> Self {
        let camera = &sight.camera;
        let words = |needs: &[Requirement]| needs.iter().copied().map(need).collect();
        let may = &sight.may;
        let streams = camera.streams.iter().map(|stream| StreamView {
            id: stream.id.to_string(),
            use_: stream.use_.as_str().to_owned(),
            codec: stream.codec.map(|codec| codec.as_str().to_owned()),
            width: stream.width,
            height: stream.height,
            url: None,
            transport: None,
            has_credentials: None,
        });
        Self {
            id: camera.id.to_string(),
            code: camera.code.clone(),
            call_up: camera.call_up,
            name_nl: camera.name_nl.clone(),
            name_fr: camera.name_fr.clone(),
            owner: sight.owner.as_ref().map(OrgView::from),
            relation: sight.relation.as_str().to_owned(),
            partner: sight.partner.as_ref().map(partner_ref),
            kind: camera.kind.as_str().to_owned(),
            lat: camera.lat,
            lon: camera.lon,
            state: camera.state.as_str().to_owned(),
            retention_class: camera.retention_class.as_str().to_owned(),
            streams: streams.collect(),
            health: HealthView::from(sight.health.as_ref()),
            may: MayView {
                live: may.live,
                playback: may.playback,
                reads: may.reads,
                edit: may.edit,
                approve: may.approve,
                propose_law: may.propose_law,
                test_picture: may.test_picture,
            },
            needs: NeedsView {
                live: words(&may.live_needs),
                playback: words(&may.playback_needs),
                test_picture: words(&may.test_picture_needs),
            },
            legal_basis: None,
            pictogram_on: None,
        }
    }

    /// The single view: legal basis for whoever sees it, addresses for whoever may change it.
    pub fn single(sight: &CameraSight) -> Self {
        let mut view = Self::row(sight);
        view.legal_basis = sight.camera.legal_basis.as_ref().map(LegalBasisDto::from);
        view.pictogram_on.clone_from(&sight.camera.pictogram_on);
        if sight.may.edit {
            for (shown, stream) in view.streams.iter_mut().zip(&sight.camera.streams) {
                shown.url = Some(stream.url.clone());
                shown.transport = Some(stream.transport.as_str().to_owned());
                shown.has_credentials = Some(stream.sealed_credentials.is_some());
            }
        }
        view
    }
}

/// A partner, in short.
pub fn partner_ref(partner: &Partner) -> PartnerRef {
    PartnerRef { id: partner.org.to_string(), name: partner.name.clone(), enabled: partner.enabled }
}

/// A stream as somebody types it.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamDto {
    /// `main`, `sub` or `anpr`.
    #[serde(rename = "use")]
    pub use_: String,
    /// `rtsp://…` without credentials.
    pub url: String,
    /// Write only.
    pub user: Option<String>,
    /// Write only.
    pub password: Option<String>,
    /// `retina` when absent.
    pub transport: Option<String>,
}

impl std::fmt::Debug for StreamDto {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamDto").field("use", &self.use_).finish_non_exhaustive()
    }
}

impl StreamDto {
    fn into_draft(self) -> Result<StreamDraft, Problem> {
        let transport = match &self.transport {
            Some(word) => parse_word("streams.transport", word)?,
            None => TransportKind::Retina,
        };
        let credentials = self.user.map(|user| (user, self.password.unwrap_or_default()));
        Ok(StreamDraft { use_: parse_word("streams.use", &self.use_)?, url: self.url, credentials, transport })
    }
}

/// A camera as somebody types it.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CameraDto {
    /// Code of the installation.
    pub code: String,
    /// Number to call it up.
    pub call_up: Option<u32>,
    /// Dutch name.
    pub name_nl: String,
    /// French name.
    pub name_fr: String,
    /// `org_…`; the caller's own when absent.
    pub owner_id: Option<String>,
    /// `overview`, `lez`, `zbt` or `trajectory`.
    pub kind: String,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lon: f64,
    /// Class of its footage.
    pub retention_class: String,
    /// Pictogram placed, `YYYY-MM-DD`.
    pub pictogram_on: Option<String>,
    /// Legal basis.
    pub legal_basis: Option<LegalBasisDto>,
    /// One to three.
    pub streams: Vec<StreamDto>,
}

impl CameraDto {
    /// For the use case.
    ///
    /// # Errors
    /// 422 for unknown words.
    pub fn into_draft(self) -> Result<CameraDraft, Problem> {
        Ok(CameraDraft {
            code: self.code,
            call_up: self.call_up,
            name_nl: self.name_nl,
            name_fr: self.name_fr,
            owner: self.owner_id.as_deref().map(|id| parse_word("owner_id", id)).transpose()?,
            kind: parse_word("kind", &self.kind)?,
            lat: self.lat,
            lon: self.lon,
            retention_class: self.retention_class,
            pictogram_on: self.pictogram_on,
            legal_basis: self.legal_basis.map(LegalBasis::from),
            streams: self.streams.into_iter().map(StreamDto::into_draft).collect::<Result<_, _>>()?,
        })
    }
}

/// A change of a camera; what is absent stays. Past the draft the legal fields (`kind`, `retention_class`, `pictogram_on`,
/// `legal_basis`) change by a proposal only.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CameraPatchDto {
    /// Number to call it up; 0 takes it away.
    pub call_up: Option<u32>,
    /// Dutch name.
    pub name_nl: Option<String>,
    /// French name.
    pub name_fr: Option<String>,
    /// `overview`, `lez`, `zbt` or `trajectory`.
    pub kind: Option<String>,
    /// Degrees north.
    pub lat: Option<f64>,
    /// Degrees east.
    pub lon: Option<f64>,
    /// Class of its footage.
    pub retention_class: Option<String>,
    /// Pictogram placed, `YYYY-MM-DD`.
    pub pictogram_on: Option<String>,
    /// Legal basis.
    pub legal_basis: Option<LegalBasisDto>,
    /// All streams anew.
    pub streams: Option<Vec<StreamDto>>,
}

impl CameraPatchDto {
    /// For the use case.
    ///
    /// # Errors
    /// 422 for unknown words.
    pub fn into_patch(self) -> Result<CameraPatch, Problem> {
        let streams = self.streams.map(|list| list.into_iter().map(StreamDto::into_draft).collect::<Result<_, _>>());
        Ok(CameraPatch {
            call_up: self.call_up.map(|number| Some(number).filter(|number| *number != 0)),
            name_nl: self.name_nl,
            name_fr: self.name_fr,
            kind: self.kind.as_deref().map(|word| parse_word("kind", word)).transpose()?,
            lat: self.lat,
            lon: self.lon,
            retention_class: self.retention_class,
            pictogram_on: self.pictogram_on,
            legal_basis: self.legal_basis.map(LegalBasis::from),
            streams: streams.transpose()?,
        })
    }
}

/// What a probe found.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ProbeView {
    /// Reached, logged in, and a key frame arrived.
    pub ok: bool,
    /// Why not.
    pub cause: Option<String>,
    /// One sentence in English.
    pub detail: String,
    /// `h264` or `h265`.
    pub codec: Option<String>,
    /// Pixels.
    pub width: Option<u16>,
    /// Pixels.
    pub height: Option<u16>,
    /// Milliseconds to the first key frame.
    pub first_key_ms: Option<u32>,
    /// The camera offered sound, which was not set up.
    pub offers_audio: bool,
}

impl From<ProbeReport> for ProbeView {
    fn from(report: ProbeReport) -> Self {
        Self {
            ok: report.ok,
            cause: report.cause.map(|cause| cause.as_str().to_owned()),
            detail: report.detail,
            codec: report.codec.map(|codec| codec.as_str().to_owned()),
            width: report.width,
            height: report.height,
            first_key_ms: report.first_key_ms,
            offers_audio: report.offers_audio,
        }
    }
}

/// Health of one camera.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CameraHealthView {
    /// `cam_…`.
    pub camera_id: String,
    /// Code of the installation.
    pub code: String,
    /// As in the camera view.
    pub phase: String,
    /// Why it is not live.
    pub cause: Option<String>,
    /// Last frame received.
    pub last_frame_at: Option<String>,
    /// Footage is on disk up to here.
    pub durable_until: Option<String>,
    /// Whether it should be on disk.
    pub should_record: bool,
    /// Received bits per second.
    pub bits_per_s: u64,
    /// RTP packets known lost since start.
    pub packets_lost: u64,
}

impl From<&vms_app::health::CameraHealth> for CameraHealthView {
    fn from(camera: &vms_app::health::CameraHealth) -> Self {
        let health = camera.health.as_ref();
        let short = HealthView::from(health);
        Self {
            camera_id: camera.camera.to_string(),
            code: camera.code.clone(),
            phase: short.phase,
            cause: short.cause,
            last_frame_at: short.last_frame_at,
            durable_until: health.and_then(|health| health.durable_until).map(instant),
            should_record: camera.should_record,
            bits_per_s: health.map_or(0, |health| health.bits_per_s),
            packets_lost: health.map_or(0, |health| health.packets_lost),
        }
    }
}
