//! Evidence exports.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vms_app::exports::{ExportOf, ExportSight, ExportWish};
use vms_app::exports_model::{CAMERAS_MAX, ExportProgress, PackageFile};

use super::common::{PurposeDto, instant, parse_range, parse_word};
use super::legal::{ChangedCameraView, SignatureView};
use crate::problem::Problem;

/// An export as somebody wants it.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportDto {
    /// `cam_…` of 1 to 8 cameras of one owner: the main stream of each. Either this or `stream_id`.
    pub camera_ids: Option<Vec<String>>,
    /// `str_…`: one stream.
    pub stream_id: Option<String>,
    /// First instant.
    pub from: String,
    /// First instant after; in the past, at most the configured bound later.
    pub to: String,
    /// Why: purpose, justification and case number, all required.
    pub purpose: Option<PurposeDto>,
    /// Language of the custody sheet: `nl`, `fr` or `en`.
    pub language: String,
}

impl ExportDto {
    /// For the use case.
    ///
    /// # Errors
    /// 422 naming the field.
    pub fn into_wish(self) -> Result<ExportWish, Problem> {
        let of = match (self.camera_ids, self.stream_id) {
            (Some(cameras), None) => {
                let cameras: Result<Vec<_>, Problem> =
                    cameras.iter().take(CAMERAS_MAX + 1).map(|id| parse_word("camera_ids", id)).collect();
                ExportOf::Cameras(cameras?)
            }
            (None, Some(stream)) => ExportOf::Stream(parse_word("stream_id", &stream)?),
            (None, None) => return Err(Problem::invalid("camera_ids", "required")),
            (Some(_), Some(_)) => return Err(Problem::invalid("stream_id", "one_of_both")),
        };
        Ok(ExportWish {
            of,
            range: parse_range(&self.from, &self.to)?,
            why: PurposeDto::to_why(self.purpose)?,
            language: parse_word("language", &self.language)?,
        })
    }
}

/// How far an export is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ExportProgressView {
    /// Share of the footage, 0 to 100, one decimal.
    pub percent: f64,
    /// Bytes of footage written.
    pub bytes: u64,
    /// Frames written.
    pub frames: u64,
}

impl From<ExportProgress> for ExportProgressView {
    fn from(progress: ExportProgress) -> Self {
        let ExportProgress { per_mille, bytes, frames } = progress;
        Self { percent: f64::from(per_mille) / 10.0, bytes, frames }
    }
}

/// An evidence export, from its order to what is left of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ExportView {
    /// `exp_…`.
    pub id: String,
    /// Of which camera: the first, where there are several.
    pub camera: ChangedCameraView,
    /// Every camera, in the order of the films.
    pub cameras: Vec<ChangedCameraView>,
    /// `str_…`: of the first camera.
    pub stream_id: String,
    /// First instant.
    pub from: String,
    /// First instant after.
    pub to: String,
    /// Purpose code.
    pub purpose: String,
    /// Case number.
    pub case_ref: String,
    /// Reference of a magistrate's written decision.
    pub magistrate_ref: Option<String>,
    /// Why.
    pub reason: String,
    /// Language of the custody sheet.
    pub language: String,
    /// `waits`, `refused`, `withdrawn`, `queued`, `running`, `paused`, `done`, `failed`, `cancelled` or `removed`.
    pub state: String,
    /// Who ordered it.
    pub ordered: SignatureView,
    /// Who approved or refused it.
    pub settled: Option<SignatureView>,
    /// Why it was refused.
    pub answer: Option<String>,
    /// How far it is.
    pub progress: ExportProgressView,
    /// Stable word for why it stopped or what it waits for, such as `disk_full`, `recorder_unavailable` or `nothing_recorded`.
    pub failure: Option<String>,
    /// When it came to an end, or its package was there.
    pub ended_at: Option<String>,
    /// When its package is removed.
    pub expires_at: Option<String>,
    /// SHA-256 of the package's manifest: what stays of it.
    pub manifest_sha256: Option<String>,
    /// SHA-256 of the certificate that signs packages, to be told to whoever gets one by another way.
    pub certificate_sha256: Option<String>,
    /// Whether the caller may approve or refuse it: never who ordered it.
    pub may_settle: bool,
    /// Whether the caller may pause it.
    pub may_pause: bool,
    /// Whether the caller may let it go on.
    pub may_resume: bool,
    /// Whether the caller may give it up.
    pub may_cancel: bool,
    /// Whether the caller may fetch its files: only who ordered or approved it.
    pub may_fetch: bool,
    /// Whether the caller may remove the package before its term.
    pub may_remove: bool,
}

impl From<&ExportSight> for ExportView {
    fn from(sight: &ExportSight) -> Self {
        let export = &sight.export;
        let cameras: Vec<ChangedCameraView> = sight.cameras.iter().map(ChangedCameraView::from).collect();
        // INVARIANT: an export has a first camera, and its sight has every camera of it.
        let camera = cameras.first().cloned().expect("an export should have a camera");
        Self {
            id: export.id.to_string(),
            camera,
            cameras,
            stream_id: export.stream.to_string(),
            from: instant(export.range.from),
            to: instant(export.range.to),
            purpose: export.purpose.as_str().to_owned(),
            case_ref: export.case_ref.clone(),
            magistrate_ref: export.magistrate_ref.clone(),
            reason: export.reason.clone(),
            language: export.language.as_str().to_owned(),
            state: export.state.as_str().to_owned(),
            ordered: SignatureView::from(&export.ordered),
            settled: export.settled.as_ref().map(SignatureView::from),
            answer: export.answer.clone(),
            progress: export.progress.into(),
            failure: export.failure.clone(),
            ended_at: export.ended_at.map(instant),
            expires_at: export.expires_at.map(instant),
            manifest_sha256: export.manifest_sha256.clone(),
            certificate_sha256: sight.fingerprint.clone(),
            may_settle: sight.may_settle,
            may_pause: sight.may_pause,
            may_resume: sight.may_resume,
            may_cancel: sight.may_cancel,
            may_fetch: sight.may_fetch,
            may_remove: sight.may_remove,
        }
    }
}

/// A file of a package.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ExportFileView {
    /// Name in the package's folder.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// Where it is fetched.
    pub url: String,
}

impl ExportFileView {
    /// A file of the export `id`.
    pub fn of(id: &str, file: PackageFile) -> Self {
        let url = format!("/api/v1/exports/{id}/files/{}", file.name);
        Self { name: file.name, bytes: file.bytes, url }
    }
}
