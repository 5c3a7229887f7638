//! Findings: of the low-emission zone, of zones with restricted access, of average speed.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use vms_app::lez::findings::{FindingSight, Snapshot, Verdict};
use vms_app::lez_ports::FindingState;
use vms_app::model::Camera;

use super::common::{instant, parse_word};
use crate::problem::Problem;

/// Which findings.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
pub struct FindingListQuery {
    /// `open`, `approved`, `rejected` or `unclear`; all when absent.
    pub state: Option<String>,
}

impl FindingListQuery {
    /// The state.
    ///
    /// # Errors
    /// 422 for an unknown word.
    pub fn state(&self) -> Result<Option<FindingState>, Problem> {
        self.state.as_deref().map(|word| parse_word("state", word)).transpose()
    }
}

/// A person's decision.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FindingDecideDto {
    /// `approve`, `reject`, `unclear`, or `undo`: the own decision was wrong.
    pub verdict: String,
    /// Why; required for `reject` and `undo`.
    pub reason: Option<String>,
    /// The etag that the person saw.
    pub seen_etag: String,
}

impl FindingDecideDto {
    /// For the use case.
    ///
    /// # Errors
    /// 422 for an unknown word.
    pub fn to_verdict(&self) -> Result<Verdict, Problem> {
        match self.verdict.as_str() {
            "approve" => Ok(Verdict::Approve),
            "reject" => Ok(Verdict::Reject(self.reason.clone().unwrap_or_default())),
            "unclear" => Ok(Verdict::Unclear(self.reason.clone())),
            "undo" => Ok(Verdict::Undo(self.reason.clone().unwrap_or_default())),
            _ => Err(Problem::invalid("verdict", "unknown")),
        }
    }
}

/// The camera of a finding.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FindingCameraView {
    /// `cam_…`.
    pub id: String,
    /// Code of the installation; empty when the camera is gone.
    pub code: String,
    /// Dutch name.
    pub name_nl: String,
    /// French name.
    pub name_fr: String,
}

impl FindingCameraView {
    fn of(id: String, camera: Option<&Camera>) -> Self {
        Self {
            id,
            code: camera.map(|camera| camera.code.clone()).unwrap_or_default(),
            name_nl: camera.map(|camera| camera.name_nl.clone()).unwrap_or_default(),
            name_fr: camera.map(|camera| camera.name_fr.clone()).unwrap_or_default(),
        }
    }
}

/// The read at the other end.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FindingExitView {
    /// When.
    pub at: String,
    /// Where.
    pub camera: FindingCameraView,
    /// `exit-crop.jpg` is there.
    pub has_crop: bool,
    /// `exit-overview.jpg` is there.
    pub has_overview: bool,
}

/// An average speed, as it was worked out.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MeasuredView {
    /// Certified distance, millimetres.
    pub distance_mm: u32,
    /// Number of its certificate.
    pub certificate: String,
    /// Between the two reads, µs.
    pub time_us: u64,
    /// Before the margin, km/h.
    pub measured_kmh: u16,
    /// After it, km/h.
    pub corrected_kmh: u16,
    /// The highest limit of the run, km/h.
    pub limit_kmh: u16,
}

/// One reason: a code with its values.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReasonView {
    /// Stable word; the console words it.
    pub code: String,
    /// Its values.
    pub params: Map<String, Value>,
}

/// One finding. Never a fine.
#[derive(Clone, Serialize, ToSchema)]
pub struct FindingView {
    /// `fnd_…`.
    pub id: String,
    /// `open`, `approved`, `rejected` or `unclear`.
    pub state: String,
    /// `lez`, `zbt` or `trajectory`.
    pub kind: &'static str,
    /// `infraction`, `warning` or `undetermined`.
    pub verdict: String,
    /// Rule of the criteria table that was decisive.
    pub rule_id: Option<String>,
    /// Amount of the fine that becomes possible.
    pub amount_cents: Option<u32>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// When the vehicle was read.
    pub at: String,
    /// Where.
    pub camera: FindingCameraView,
    /// Canonical text.
    pub plate: String,
    /// Sign of its country.
    pub country: String,
    /// Why, in the order in which it was found.
    pub reasons: Vec<ReasonView>,
    /// What the registry answered: `state` and, when found, `vehicle`; null where the purpose asks none before a person decided.
    pub registry: Value,
    /// Zone or stretch; null for the low-emission zone.
    pub place: Option<String>,
    /// Average speed: how it was worked out, and the read at the other end. Restricted access: the exit, where it counts.
    pub exit: Option<FindingExitView>,
    /// Average speed, step by step.
    pub measured: Option<MeasuredView>,
    /// Version of the tables.
    pub rule_set: String,
    /// Plate or country must be compared with the picture first.
    pub confirm_plate_first: bool,
    /// Until then a day pass, or a permit granted afterwards, can still undo it.
    pub final_from: Option<String>,
    /// For `seen_etag`.
    pub etag: String,
    /// Somebody approved it, and another person has to do so too: it is one of the sample.
    pub second_person_needed: bool,
    /// `usr_…`.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<String>,
    /// In the person's words.
    pub decision_reason: Option<String>,
    /// `crop.jpg` is there.
    pub has_crop: bool,
    /// `overview.jpg` is there.
    pub has_overview: bool,
    /// `dec_…`: the logged use that shows it.
    pub decision_id: String,
}

impl std::fmt::Debug for FindingView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FindingView").field("id", &self.id).field("state", &self.state).finish_non_exhaustive()
    }
}

/// `{"code": "x", "a": 1}` as `{"code": "x", "params": {"a": 1}}`.
fn reason(value: Value) -> Option<ReasonView> {
    let Value::Object(mut params) = value else { return None };
    let code = params.remove("code")?.as_str()?.to_owned();
    Some(ReasonView { code, params })
}

/// What differs between the purposes.
struct Parts {
    kind: &'static str,
    reasons: Vec<ReasonView>,
    registry: Value,
    place: Option<String>,
    measured: Option<MeasuredView>,
    confirm_plate_first: bool,
    final_from: Option<String>,
}

fn reasons<T: Serialize>(reasons: &[T]) -> Vec<ReasonView> {
    reasons.iter().filter_map(|code| reason(serde_json::to_value(code).ok()?)).collect()
}

impl Parts {
    fn of(snapshot: &Snapshot) -> Self {
        match snapshot {
            Snapshot::Lez(both) => Self {
                kind: "lez",
                reasons: reasons(&both.1.reasons),
                registry: serde_json::to_value(&both.0.vehicle).unwrap_or_default(),
                place: None,
                measured: None,
                confirm_plate_first: both.1.confirm_plate_first,
                final_from: both.1.final_from.map(instant),
            },
            Snapshot::Zbt(both) => Self {
                kind: "zbt",
                reasons: reasons(&both.1.reasons),
                registry: Value::Null,
                place: Some(both.0.zone.to_string()),
                measured: None,
                confirm_plate_first: both.1.confirm_plate_first,
                final_from: both.1.final_from.map(instant),
            },
            Snapshot::Trajectory(both) => Self {
                kind: "trajectory",
                reasons: reasons(&both.1.reasons),
                registry: Value::Null,
                place: Some(both.0.trajectory.to_string()),
                measured: both.1.measured.as_ref().map(|measured| MeasuredView {
                    distance_mm: measured.certified.0,
                    certificate: measured.document.clone(),
                    time_us: measured.time_us,
                    measured_kmh: measured.truncated_kmh,
                    corrected_kmh: measured.corrected_kmh,
                    limit_kmh: measured.limit_kmh,
                }),
                confirm_plate_first: both.1.confirm_plate_first,
                final_from: None,
            },
        }
    }
}

impl From<&FindingSight> for FindingView {
    fn from(sight: &FindingSight) -> Self {
        let (finding, parts) = (&sight.finding, Parts::of(&sight.snapshot));
        Self {
            id: finding.id.to_string(),
            state: finding.state.as_str().to_owned(),
            kind: parts.kind,
            verdict: finding.measure.verdict.as_str().to_owned(),
            rule_id: finding.measure.rule_id.clone(),
            amount_cents: finding.measure.amount_cents,
            currency: finding.measure.currency.clone(),
            at: instant(finding.at),
            camera: FindingCameraView::of(finding.camera.to_string(), sight.camera.as_ref()),
            plate: finding.file.plate.reveal().to_owned(),
            country: finding.file.country.as_str().to_owned(),
            reasons: parts.reasons,
            registry: parts.registry,
            place: parts.place,
            exit: finding.exit.as_ref().map(|exit| FindingExitView {
                at: instant(exit.at),
                camera: FindingCameraView::of(exit.camera.to_string(), sight.exit_camera.as_ref()),
                has_crop: exit.has_crop,
                has_overview: exit.has_overview,
            }),
            measured: parts.measured,
            rule_set: finding.measure.rule_set.clone(),
            confirm_plate_first: parts.confirm_plate_first,
            final_from: parts.final_from,
            etag: finding.version.to_string(),
            second_person_needed: finding.first_by.is_some() && finding.state == FindingState::Open,
            decided_by: finding.decided_by.map(|user| user.to_string()),
            decided_at: finding.decided_at.map(instant),
            decision_reason: finding.decision_reason.clone(),
            has_crop: finding.has_crop,
            has_overview: finding.has_overview,
            decision_id: sight.decision.to_string(),
        }
    }
}
