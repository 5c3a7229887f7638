//! Findings of the low-emission zone.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use vms_app::lez::findings::{FindingSight, Verdict};
use vms_app::lez_ports::FindingState;

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
    /// `lez`.
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
    /// What the registry answered: `state` and, when found, `vehicle`.
    pub registry: Value,
    /// Version of the tables.
    pub rule_set: String,
    /// Plate or country must be compared with the picture first.
    pub confirm_plate_first: bool,
    /// Until then a day pass can still undo it.
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

impl From<&FindingSight> for FindingView {
    fn from(sight: &FindingSight) -> Self {
        let (finding, outcome) = (&sight.finding, &sight.outcome);
        let camera = sight.camera.as_ref();
        let reasons = outcome.reasons.iter();
        Self {
            id: finding.id.to_string(),
            state: finding.state.as_str().to_owned(),
            kind: "lez",
            verdict: finding.measure.verdict.as_str().to_owned(),
            rule_id: finding.measure.rule_id.clone(),
            amount_cents: finding.measure.amount_cents,
            currency: finding.measure.currency.clone(),
            at: instant(finding.at),
            camera: FindingCameraView {
                id: finding.camera.to_string(),
                code: camera.map(|camera| camera.code.clone()).unwrap_or_default(),
                name_nl: camera.map(|camera| camera.name_nl.clone()).unwrap_or_default(),
                name_fr: camera.map(|camera| camera.name_fr.clone()).unwrap_or_default(),
            },
            plate: finding.file.plate.reveal().to_owned(),
            country: finding.file.country.as_str().to_owned(),
            reasons: reasons.filter_map(|code| reason(serde_json::to_value(code).ok()?)).collect(),
            registry: serde_json::to_value(&sight.input.vehicle).unwrap_or_default(),
            rule_set: finding.measure.rule_set.clone(),
            confirm_plate_first: outcome.confirm_plate_first,
            final_from: outcome.final_from.map(instant),
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
