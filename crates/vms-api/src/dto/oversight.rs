//! Data flows, complaints, data subjects' requests, the annual report.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vms_app::oversight::cases::{CaseAnswer, SubjectWish};
use vms_app::oversight::flows::{FlowSight, FlowStep, FlowWish};
use vms_app::oversight::model::{Complaint, FlowRow, SubjectFootage, SubjectRequest};
use vms_app::oversight::report::{AnnualReport, dimensions};
use vms_app::ports::StillMask;
use vms_core::{CameraId, WallTime};

use super::common::{instant, parse_instant, parse_range, parse_word, path_id};
use super::legal::SignatureView;
use super::media::BarView;
use crate::problem::Problem;

/// A change of a flow.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FlowChangeView {
    /// Where it stood from then on.
    pub state: String,
    /// Why.
    pub reason: String,
    /// Reference of the authorisation or decision.
    pub authority: String,
    /// The authorisation ends then by itself.
    pub until: Option<String>,
    /// Who, and when.
    pub changed: SignatureView,
}

impl From<&FlowRow> for FlowChangeView {
    fn from(row: &FlowRow) -> Self {
        Self {
            state: row.state.as_str().to_owned(),
            reason: row.reason.clone(),
            authority: row.authority.clone(),
            until: row.until.map(instant),
            changed: SignatureView::from(&row.changed),
        }
    }
}

/// A data flow.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FlowView {
    /// `DS-…`, or `SHARE:owner:partner:purpose`.
    pub id: String,
    /// Who asks; the owner of a share.
    pub institution: String,
    /// Whom it asks; the partner of a share.
    pub source: String,
    /// Purpose code; `*` for every one.
    pub purpose: String,
    /// Whether it is a share between organisations.
    pub is_share: bool,
    /// `requested`, `granted`, `suspended`, `withdrawn`, `expired` or `ended`; only `granted` flows.
    pub state: String,
    /// Grants in force that it carries.
    pub grants: usize,
    /// The last change; null where nobody ever changed it.
    pub last: Option<FlowChangeView>,
    /// Whether the caller may turn the switch.
    pub may_stop: bool,
}

impl From<&FlowSight> for FlowView {
    fn from(sight: &FlowSight) -> Self {
        Self {
            id: sight.id.clone(),
            institution: sight.institution.clone(),
            source: sight.source.clone(),
            purpose: sight.purpose.clone(),
            is_share: sight.is_share,
            state: sight.state.as_str().to_owned(),
            grants: sight.grants,
            last: sight.row.as_ref().map(FlowChangeView::from),
            may_stop: sight.may_stop,
        }
    }
}

/// A flow for the register.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowDto {
    /// `DS-…`.
    pub id: String,
    /// Who asks.
    pub institution: String,
    /// Whom.
    pub source: String,
    /// Purpose code.
    pub purpose: String,
    /// Reference of the request for an authorisation.
    pub authority: String,
    /// Why, at least ten characters.
    pub reason: String,
}

impl FlowDto {
    /// For the use case.
    ///
    /// # Errors
    /// 422 for an unknown purpose.
    pub fn into_wish(self) -> Result<FlowWish, Problem> {
        let Self { id, institution, source, purpose, authority, reason } = self;
        Ok(FlowWish { id, institution, source, purpose: parse_word("purpose", &purpose)?, authority, reason })
    }
}

/// A turn of the switch.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowStepDto {
    /// `suspend`, `resume`, `withdraw` or `end`.
    #[serde(default)]
    pub step: String,
    /// Why, at least ten characters.
    #[serde(default)]
    pub reason: String,
    /// Reference of the decision.
    #[serde(default)]
    pub authority: String,
}

impl FlowStepDto {
    /// The step.
    ///
    /// # Errors
    /// 422 for another word.
    pub fn step(&self) -> Result<FlowStep, Problem> {
        match self.step.as_str() {
            "suspend" => Ok(FlowStep::Suspend),
            "resume" => Ok(FlowStep::Resume),
            "withdraw" => Ok(FlowStep::Withdraw),
            "end" => Ok(FlowStep::End),
            _ => Err(Problem::invalid("step", "unknown")),
        }
    }
}

/// Where a flow stands after the switch was turned.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FlowStateView {
    /// The state.
    pub state: String,
}

/// A complaint to take in.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ComplaintDto {
    /// `org_…` that it is about.
    pub about_id: String,
    /// How it came.
    pub channel: String,
    /// What is complained about.
    pub text: String,
}

/// A complaint.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ComplaintView {
    /// Key.
    pub id: String,
    /// `org_…` that it is about.
    pub about_id: String,
    /// How it came.
    pub channel: String,
    /// What is complained about.
    pub text: String,
    /// Who took it in.
    pub received: SignatureView,
    /// `received`, `answered` or `refused`.
    pub state: String,
    /// The answer.
    pub answer: Option<String>,
    /// Who answered.
    pub answered: Option<SignatureView>,
}

impl From<&Complaint> for ComplaintView {
    fn from(complaint: &Complaint) -> Self {
        Self {
            id: complaint.id.to_string(),
            about_id: complaint.about.to_string(),
            channel: complaint.channel.clone(),
            text: complaint.text.clone(),
            received: SignatureView::from(&complaint.received),
            state: complaint.state.as_str().to_owned(),
            answer: complaint.answer.clone(),
            answered: complaint.answered.as_ref().map(SignatureView::from),
        }
    }
}

/// The end of a case.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseAnswerDto {
    /// Turned down.
    #[serde(default)]
    pub refuse: bool,
    /// The answer or the reason, at least ten characters.
    #[serde(default)]
    pub text: String,
}

impl CaseAnswerDto {
    /// For the use case.
    pub fn into_answer(self) -> CaseAnswer {
        if self.refuse { CaseAnswer::Refuse(self.text) } else { CaseAnswer::Answer(self.text) }
    }
}

/// A person's request to take in.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubjectDto {
    /// The file in which the person's name stands; the name is not kept here.
    pub file_ref: String,
    /// Why, and how the person can be told from others.
    pub reasons: String,
    /// `nl`, `fr` or `en`.
    pub language: String,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lon: f64,
    /// Metres around the place, at most 2,000.
    pub radius_m: u32,
    /// First instant.
    pub from: String,
    /// First instant after, at most a day later.
    pub to: String,
    /// When the request came: the term runs from then.
    pub received_at: String,
}

impl SubjectDto {
    /// For the use case.
    ///
    /// # Errors
    /// 422 naming the field.
    pub fn into_wish(self) -> Result<SubjectWish, Problem> {
        Ok(SubjectWish {
            language: parse_word("language", &self.language)?,
            place: (self.lat, self.lon),
            radius_m: self.radius_m,
            range: parse_range(&self.from, &self.to)?,
            received_at: parse_instant("received_at", &self.received_at)?,
            file_ref: self.file_ref,
            reasons: self.reasons,
        })
    }
}

/// Which still, and what of it stays clear. Areas are left, top, right and bottom in thousandths of the picture.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StillDto {
    /// A camera of the request's footage.
    pub camera_id: String,
    /// The instant, within the time of the request.
    pub at: String,
    /// What stays clear: at most a quarter of the picture (a dated term); absent, all of it is pixelated.
    pub keep: Option<[u16; 4]>,
    /// What is pixelated inside of it: third persons. At most 16.
    #[serde(default)]
    pub hide: Vec<[u16; 4]>,
}

impl StillDto {
    /// For the use case.
    ///
    /// # Errors
    /// 422 naming the field; 404 for what is no camera's id.
    pub fn into_parts(self) -> Result<(CameraId, WallTime, StillMask), Problem> {
        let mask = StillMask { keep: self.keep, hide: self.hide };
        Ok((path_id(&self.camera_id)?, parse_instant("at", &self.at)?, mask))
    }
}

/// A person's request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SubjectView {
    /// Key.
    pub id: String,
    /// `gdpr`, or `police`: indirect access through the supervisory body.
    pub regime: String,
    /// The file in which the person's name stands.
    pub file_ref: String,
    /// Why.
    pub reasons: String,
    /// Language of the answer.
    pub language: String,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lon: f64,
    /// Metres around the place.
    pub radius_m: u32,
    /// First instant.
    pub from: String,
    /// First instant after.
    pub to: String,
    /// First instant after the term of the answer.
    pub due: String,
    /// Who took it in.
    pub received: SignatureView,
    /// `received`, `routed`, `answered` or `refused`.
    pub state: String,
    /// The answer.
    pub answer: Option<String>,
    /// Who answered.
    pub answered: Option<SignatureView>,
}

impl From<&SubjectRequest> for SubjectView {
    fn from(request: &SubjectRequest) -> Self {
        Self {
            id: request.id.to_string(),
            regime: request.regime.as_str().to_owned(),
            file_ref: request.file_ref.clone(),
            reasons: request.reasons.clone(),
            language: request.language.as_str().to_owned(),
            lat: request.lat,
            lon: request.lon,
            radius_m: request.radius_m,
            from: instant(request.range.from),
            to: instant(request.range.to),
            due: instant(request.due),
            received: SignatureView::from(&request.received),
            state: request.state.as_str().to_owned(),
            answer: request.answer.clone(),
            answered: request.answered.as_ref().map(SignatureView::from),
        }
    }
}

/// Footage that a request may be about: where and when, never a picture.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SubjectFootageView {
    /// `cam_…`.
    pub camera_id: String,
    /// Code of the camera.
    pub code: String,
    /// Metres from the place.
    pub distance_m: u32,
    /// What is recorded inside the time asked for.
    pub spans: Vec<BarView>,
}

impl From<&SubjectFootage> for SubjectFootageView {
    fn from(found: &SubjectFootage) -> Self {
        let bar = |span: &vms_core::TimeRange| BarView { from: instant(span.from), to: instant(span.to) };
        Self {
            camera_id: found.camera.to_string(),
            code: found.code.clone(),
            distance_m: found.distance_m,
            spans: found.spans.iter().map(bar).collect(),
        }
    }
}

/// Which report, and how.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
pub struct ReportQuery {
    /// The year.
    pub year: Option<i16>,
    /// `json` or `csv`; JSON when absent.
    pub format: Option<String>,
}

/// One number.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FigureView {
    /// What it counts.
    pub subject: String,
    /// Names of its dimensions.
    pub dimensions: Vec<String>,
    /// Their values.
    pub keys: Vec<String>,
    /// How many.
    pub count: u64,
}

/// What is not kept.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct NotKeptView {
    /// What.
    pub subject: String,
    /// Why.
    pub reason: String,
}

/// The annual report's data set: counts only.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AnnualReportView {
    /// The year.
    pub year: i16,
    /// First instant of it in Brussels.
    pub from: String,
    /// First instant after it.
    pub to: String,
    /// Made.
    pub made_at: String,
    /// Leaves of the log that were counted.
    pub leaves: u64,
    /// The numbers.
    pub figures: Vec<FigureView>,
    /// What the data set names and the program keeps nothing of.
    pub not_kept: Vec<NotKeptView>,
}

impl From<&AnnualReport> for AnnualReportView {
    fn from(report: &AnnualReport) -> Self {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
        Self {
            year: report.year,
            from: instant(report.range.from),
            to: instant(report.range.to),
            made_at: instant(report.made_at),
            leaves: report.leaves,
            figures: report
                .figures
                .iter()
                .map(|figure| FigureView {
                    subject: figure.subject.to_owned(),
                    dimensions: words(dimensions(figure.subject)),
                    keys: figure.keys.clone(),
                    count: figure.count,
                })
                .collect(),
            not_kept: report
                .not_kept
                .iter()
                .map(|(subject, reason)| NotKeptView { subject: (*subject).to_owned(), reason: (*reason).to_owned() })
                .collect(),
        }
    }
}
