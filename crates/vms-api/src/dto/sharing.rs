//! Events, emergency access, wishes for a share, notices, stations.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vms_app::gate::Why;
use vms_app::sharing::emergency::EmergencySight;
use vms_app::sharing::events::{EventSight, EventWish};
use vms_app::sharing::model::{Corner, Coverage, Station};
use vms_app::sharing::notices::NoticeSight;
use vms_app::sharing::requests::{ShareAsk, ShareRequestSight};

use super::common::{OrgView, PurposeDto, instant, parse_range, parse_word};
use super::legal::SignatureView;
use crate::problem::Problem;

/// Most corners that are read of an area.
const CORNERS_MAX: usize = 1_000;

/// Which ones to list.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
pub struct PastQuery {
    /// Also those that are over.
    pub past: Option<bool>,
}

/// What somebody asks an owner for.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShareAskDto {
    /// `cam_…`, at most 500, of one owner.
    pub camera_ids: Vec<String>,
    /// Only for this profile of the asking organisation.
    pub profile: Option<String>,
    /// Of `camera.list`, `live`, `playback`, `statistics.view`; for machines `reads.push`, `statistics.deliver`.
    pub rights: Vec<String>,
    /// From then on, RFC 3339.
    pub from: String,
    /// First instant after it, at most two years on.
    pub to: String,
    /// Purpose of the share, with the reason; the case number where the matrix asks for one.
    pub purpose: Option<PurposeDto>,
}

impl ShareAskDto {
    /// For the use case.
    ///
    /// # Errors
    /// 422 naming the field.
    pub fn into_ask(self) -> Result<ShareAsk, Problem> {
        let cameras: Result<_, _> = self.camera_ids.iter().map(|id| parse_word("camera_ids", id)).collect();
        let rights: Result<_, _> = self.rights.iter().map(|right| parse_word("rights", right)).collect();
        let why: Why = PurposeDto::to_why(self.purpose)?;
        Ok(ShareAsk {
            cameras: cameras?,
            profile: self.profile.as_deref().map(|word| parse_word("profile", word)).transpose()?,
            rights: rights?,
            purpose: why.purpose,
            period: parse_range(&self.from, &self.to)?,
            why,
        })
    }
}

/// A wish for a share.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ShareRequestView {
    /// Key.
    pub id: String,
    /// Owner of the cameras.
    pub owner: Option<OrgView>,
    /// Who asks.
    pub partner: Option<OrgView>,
    /// Codes of the cameras.
    pub camera_codes: Vec<String>,
    /// Only for this profile; null for all.
    pub profile: Option<String>,
    /// What is asked for.
    pub rights: Vec<String>,
    /// Only for this purpose; null for all.
    pub purpose: Option<String>,
    /// From then on.
    pub from: String,
    /// First instant after it.
    pub to: String,
    /// Why.
    pub reason: String,
    /// Case number.
    pub case_ref: Option<String>,
    /// Who asked.
    pub asked: SignatureView,
    /// `waiting`, `waits_second`, `approved`, `refused` or `withdrawn`.
    pub state: String,
    /// The local administrator who agreed first, where the zone chief has to as well.
    pub first: Option<SignatureView>,
    /// Who settled it.
    pub settled: Option<SignatureView>,
    /// Why it was refused.
    pub answer: Option<String>,
    /// Whether the caller may approve or refuse it.
    pub may_answer: bool,
    /// Whether the caller may take it back.
    pub may_withdraw: bool,
}

impl From<&ShareRequestSight> for ShareRequestView {
    fn from(sight: &ShareRequestSight) -> Self {
        let request = &sight.request;
        Self {
            id: request.id.to_string(),
            owner: sight.owner.as_ref().map(OrgView::from),
            partner: sight.partner.as_ref().map(OrgView::from),
            camera_codes: sight.camera_codes.clone(),
            profile: request.profile.map(|profile| profile.as_str().to_owned()),
            rights: request.rights.iter().map(|right| right.as_str().to_owned()).collect(),
            purpose: request.purpose.map(|purpose| purpose.as_str().to_owned()),
            from: instant(request.period.from),
            to: instant(request.period.to),
            reason: request.reason.clone(),
            case_ref: request.case_ref.clone(),
            asked: SignatureView::from(&request.asked),
            state: request.state.as_str().to_owned(),
            first: request.first.as_ref().map(SignatureView::from),
            settled: request.settled.as_ref().map(SignatureView::from),
            answer: request.answer.clone(),
            may_answer: sight.may_answer,
            may_withdraw: sight.may_withdraw,
        }
    }
}

/// An event to activate: a list of cameras, or an area.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventDto {
    /// `event`, `crisis` or `incident`.
    pub kind: String,
    /// What people call it.
    pub name: String,
    /// `cam_…`; absent when there is an area.
    pub camera_ids: Option<Vec<String>>,
    /// Corners as `[degrees north, degrees east]`, at least three; absent when there is a list.
    #[schema(value_type = Option<Vec<Vec<f64>>>)]
    pub area: Option<Vec<[f64; 2]>>,
    /// Only these profiles; every one that the matrix names when absent.
    pub profiles: Option<Vec<String>>,
    /// Reference of the authority's decision.
    pub authority: String,
    /// Why, at least ten characters.
    pub reason: String,
    /// First instant.
    pub from: String,
    /// First instant after, at most 24 hours later.
    pub to: String,
}

impl EventDto {
    /// For the use case.
    ///
    /// # Errors
    /// 422 naming the field.
    pub fn into_wish(self) -> Result<EventWish, Problem> {
        let cover = match (self.camera_ids, self.area) {
            (Some(ids), None) => {
                let cameras: Result<_, _> = ids.iter().map(|id| parse_word("camera_ids", id)).collect();
                Coverage::Cameras(cameras?)
            }
            (None, Some(corners)) if corners.len() <= CORNERS_MAX => {
                Coverage::Area(corners.into_iter().map(|[lat, lon]| Corner { lat, lon }).collect())
            }
            (None, Some(_)) => return Err(Problem::invalid("area", "empty_or_too_long")),
            (Some(_), Some(_)) | (None, None) => return Err(Problem::invalid("area", "list_or_area")),
        };
        let words = self.profiles.unwrap_or_default();
        let profiles: Result<_, _> = words.iter().map(|word| parse_word("profiles", word)).collect();
        Ok(EventWish {
            kind: parse_word("kind", &self.kind)?,
            name: self.name,
            cover,
            profiles: profiles?,
            authority: self.authority,
            reason: self.reason,
            period: parse_range(&self.from, &self.to)?,
        })
    }
}

/// A new end of an event.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventExtendDto {
    /// First instant after it, at most 24 hours from now.
    pub to: String,
    /// Reference of the authority's decision.
    pub authority: String,
    /// Why, at least ten characters.
    pub reason: String,
}

/// A reason.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReasonDto {
    /// At least ten characters.
    #[serde(default)]
    pub reason: String,
}

/// How often something was used during an event.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EventUseView {
    /// Code of the owner.
    pub owner: Option<String>,
    /// `cam_…`.
    pub camera_id: String,
    /// Code of who used it.
    pub by: Option<String>,
    /// What.
    pub right: String,
    /// How often.
    pub uses: u64,
}

/// An event.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EventView {
    /// Key.
    pub id: String,
    /// `event`, `crisis` or `incident`.
    pub kind: String,
    /// What people call it.
    pub name: String,
    /// How many cameras it covers now.
    pub cameras: usize,
    /// Corners of its area; null for a list.
    #[schema(value_type = Option<Vec<Vec<f64>>>)]
    pub area: Option<Vec<[f64; 2]>>,
    /// Only these profiles; empty for all that the matrix names.
    pub profiles: Vec<String>,
    /// Reference of the authority's decision.
    pub authority: String,
    /// Why.
    pub reason: String,
    /// First instant.
    pub from: String,
    /// First instant after.
    pub to: String,
    /// Who activated it.
    pub activated: SignatureView,
    /// Who ended it before its time.
    pub ended: Option<SignatureView>,
    /// Whether it holds now.
    pub in_force: bool,
    /// Uses during it that the caller may know of.
    pub uses: Vec<EventUseView>,
    /// Whether the caller may extend or end it.
    pub may_change: bool,
}

impl From<&EventSight> for EventView {
    fn from(sight: &EventSight) -> Self {
        let event = &sight.event;
        let code = |id| sight.orgs.iter().find(|org| org.id == id).map(|org| org.code.clone());
        Self {
            id: event.id.to_string(),
            kind: event.kind.as_str().to_owned(),
            name: event.name.clone(),
            cameras: sight.cameras,
            area: match &event.cover {
                Coverage::Cameras(_) => None,
                Coverage::Area(corners) => Some(corners.iter().map(|one| [one.lat, one.lon]).collect()),
            },
            profiles: event.profiles.iter().map(|profile| profile.as_str().to_owned()).collect(),
            authority: event.authority.clone(),
            reason: event.reason.clone(),
            from: instant(event.period.from),
            to: instant(event.period.to),
            activated: SignatureView::from(&event.activated),
            ended: event.ended.as_ref().map(SignatureView::from),
            in_force: sight.in_force,
            uses: sight
                .uses
                .iter()
                .map(|one| EventUseView {
                    owner: code(one.owner),
                    camera_id: one.camera.to_string(),
                    by: code(one.org),
                    right: one.right.as_str().to_owned(),
                    uses: one.uses,
                })
                .collect(),
            may_change: sight.may_change,
        }
    }
}

/// Emergency access to open.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmergencyDto {
    /// `cam_…`, at most 50.
    pub camera_ids: Vec<String>,
    /// Purpose and reason.
    pub purpose: Option<PurposeDto>,
}

/// A review.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmergencyReviewDto {
    /// Whether it was justified.
    pub justified: bool,
    /// What was found, at least ten characters.
    pub reason: String,
}

/// What a reviewer said.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EmergencyReviewView {
    /// Whether it was justified.
    pub justified: bool,
    /// What was found.
    pub reason: String,
    /// Who, and when.
    pub by: SignatureView,
}

/// Emergency access.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EmergencyView {
    /// Key.
    pub id: String,
    /// Who opened it, and when.
    pub opened: SignatureView,
    /// Code of the organisation of who opened it.
    pub by: Option<String>,
    /// Codes of the cameras.
    pub camera_codes: Vec<String>,
    /// Codes of their owners.
    pub owners: Vec<String>,
    /// Purpose code.
    pub purpose: String,
    /// Why.
    pub reason: String,
    /// First instant after it.
    pub until: String,
    /// Ended by hand.
    pub ended_at: Option<String>,
    /// Whether it opens anything now.
    pub in_force: bool,
    /// Somebody else reviews it by then.
    pub review_by: String,
    /// Whether that is late: then its person opens no other.
    pub overdue: bool,
    /// The review.
    pub review: Option<EmergencyReviewView>,
    /// Whether the caller may end it.
    pub may_end: bool,
    /// Whether the caller may review it.
    pub may_review: bool,
}

impl From<&EmergencySight> for EmergencyView {
    fn from(sight: &EmergencySight) -> Self {
        let emergency = &sight.emergency;
        let code = |id| sight.orgs.iter().find(|org| org.id == id).map(|org| org.code.clone());
        Self {
            id: emergency.id.to_string(),
            opened: SignatureView::from(&emergency.opened),
            by: code(emergency.org),
            camera_codes: sight.camera_codes.clone(),
            owners: emergency.owners.iter().filter_map(|owner| code(*owner)).collect(),
            purpose: emergency.purpose.as_str().to_owned(),
            reason: emergency.reason.clone(),
            until: instant(emergency.until),
            ended_at: emergency.ended_at.map(instant),
            in_force: sight.in_force,
            review_by: instant(emergency.review_by),
            overdue: sight.overdue,
            review: emergency.review.as_ref().map(|(justified, reason, by)| EmergencyReviewView {
                justified: *justified,
                reason: reason.clone(),
                by: SignatureView::from(by),
            }),
            may_end: sight.may_end,
            may_review: sight.may_review,
        }
    }
}

/// A notice.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct NoticeView {
    /// Rises.
    pub id: i64,
    /// When.
    pub at: String,
    /// Who is told.
    pub org: Option<OrgView>,
    /// `use`, `break_glass`, `event_summary`, `share_request` or `flow`.
    pub kind: String,
    /// What happened; its fields depend on the kind.
    #[schema(value_type = Object)]
    pub data: serde_json::Value,
}

impl From<&NoticeSight> for NoticeView {
    fn from(sight: &NoticeSight) -> Self {
        Self {
            id: sight.notice.id,
            at: instant(sight.notice.at),
            org: sight.org.as_ref().map(OrgView::from),
            kind: sight.notice.kind.as_str().to_owned(),
            data: serde_json::from_str(&sight.notice.data).unwrap_or(serde_json::Value::Null),
        }
    }
}

/// A workstation to register.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StationDto {
    /// `org_…` whose people sit there.
    pub org_id: String,
    /// Name.
    pub name: String,
    /// The agreement with the police, at least ten characters.
    pub agreement: String,
}

/// The code of a workstation.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StationCodeDto {
    /// As it was shown once.
    pub code: String,
}

impl std::fmt::Debug for StationCodeDto {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StationCodeDto(hidden)")
    }
}

/// A police-supervised workstation.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StationView {
    /// Key.
    pub id: String,
    /// `org_…`.
    pub org_id: String,
    /// Name.
    pub name: String,
    /// The agreement with the police.
    pub agreement: String,
    /// Who registered it.
    pub registered: SignatureView,
    /// Taken back.
    pub revoked_at: Option<String>,
}

impl From<&Station> for StationView {
    fn from(station: &Station) -> Self {
        Self {
            id: station.id.to_string(),
            org_id: station.org.to_string(),
            name: station.name.clone(),
            agreement: station.agreement.clone(),
            registered: SignatureView::from(&station.registered),
            revoked_at: station.revoked_at.map(instant),
        }
    }
}

/// A workstation that was registered just now.
#[derive(Clone, Serialize, ToSchema)]
pub struct NewStationView {
    /// The workstation.
    pub station: StationView,
    /// Shown once: type it in at the workstation.
    pub code: String,
}

impl std::fmt::Debug for NewStationView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewStationView").field("station", &self.station).finish_non_exhaustive()
    }
}
