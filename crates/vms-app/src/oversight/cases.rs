//! The complaint register and data subjects' requests (`domain.md` D5; GDPR article 15, Camera Act article 12): taken in, searched by time
//! and place, answered within the term. A request about police images goes to the supervisory body (COC): its access is indirect.
//! A search says where and when there is footage; it shows no picture (`super::stills` does, masked).

use serde_json::json;
use uuid::Uuid;
use vms_core::{OrgId, Purpose, Relation, TimeRange, WallTime};

use super::model::{Complaint, SubjectFootage, SubjectRequest};
use crate::cameras::main_or_first;
use crate::cases::UseCases;
use crate::error::{Conflict, Entity, UseCaseError};
use crate::gate::action::{HandleComplaints, HandleSubjectRequests};
use crate::gate::{Actor, Permit, Target, Why};
use crate::legal_changes::reason_of;
use crate::words::{CaseState, Language, OrgKind, SubjectRegime};

/// Cases of one list; older ones are in the database.
const LIST_MAX: u32 = 1_000;
/// Longest span of one request: a person says when it was there.
const SPAN_MAX_US: i64 = 24 * 3_600 * 1_000_000;
/// Widest circle of one request, metres.
const RADIUS_MAX_M: u32 = 2_000;
/// Rows read for one camera: a day of minutes, and as many again for short segments.
const ROWS_MAX: u32 = 2_900;
/// Mean radius of the earth, metres.
const EARTH_M: f64 = 6_371_008.8;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct SubjectWish {
    /// The file in which the person's name stands.
    pub file_ref: String,
    /// Why, and how the person can be told from others.
    pub reasons: String,
    /// Language of the answer.
    pub language: Language,
    /// Place: degrees north and east.
    pub place: (f64, f64),
    /// Metres around it.
    pub radius_m: u32,
    /// Time.
    pub range: TimeRange,
    /// When it came; not before the last term.
    pub received_at: WallTime,
}

/// How a case ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaseAnswer {
    /// With an answer.
    Answer(String),
    /// Turned down, with a reason.
    Refuse(String),
}

impl CaseAnswer {
    const fn state(&self) -> CaseState {
        match self {
            Self::Answer(_) => CaseState::Answered,
            Self::Refuse(_) => CaseState::Refused,
        }
    }

    fn text(&self) -> &str {
        let (Self::Answer(text) | Self::Refuse(text)) = self;
        text
    }
}

pub(super) fn why(act: &str) -> Why {
    Why { purpose: Some(Purpose::Complaint), justification: Some(act.to_owned()), ..Why::default() }
}

// What stands in the log as the reason: the act. A person's own words are personal data and stay in the register.
const READING: &str = "reads the register";
const TAKING_IN: &str = "takes a case into the register";
const ANSWERING: &str = "answers a case of the register";

impl UseCases {
    async fn complaint_permit(
        &self,
        actor: &Actor,
        about: Option<OrgId>,
        act: &str,
    ) -> Result<Permit<HandleComplaints>, UseCaseError> {
        let is_own = about.is_none_or(|about| about == actor.org);
        let relation = if is_own { Relation::Own } else { Relation::Other };
        let target = Target { owner: about, relation, ..Target::none() };
        Ok(self.gate.permit::<HandleComplaints>(actor, target, &why(act)).await?)
    }

    /// Takes a complaint in.
    ///
    /// # Errors
    /// `Denied`, `Missing`, `Invalid`.
    pub async fn complaint_take_in(
        &self,
        actor: &Actor,
        about: OrgId,
        channel: &str,
        text: &str,
    ) -> Result<Complaint, UseCaseError> {
        let permit = self.complaint_permit(actor, Some(about), TAKING_IN).await?;
        if self.org(about).await?.is_none() {
            return Err(UseCaseError::invalid("about_id", "unknown"));
        }
        if channel.trim().is_empty() || channel.chars().count() > 40 {
            return Err(UseCaseError::invalid("channel", "empty_or_too_long"));
        }
        let complaint = Complaint {
            id: self.ids.uuid(),
            about,
            channel: channel.trim().to_owned(),
            text: reason_of(text)?,
            received: self.signature(actor).await?,
            state: CaseState::Received,
            answer: None,
            answered: None,
        };
        let details = json!({ "about": about.to_string(), "channel": complaint.channel });
        self.sharing_leaf("complaint_received", Some(actor), complaint.id, details).await?;
        self.stores.complaint_insert(&permit, &complaint).await?;
        Ok(complaint)
    }

    /// The register: of one's own organisation, or the whole of it for the commission.
    ///
    /// # Errors
    /// `Denied` (logged), `StoreUnavailable`.
    pub async fn complaint_list(&self, actor: &Actor) -> Result<Vec<Complaint>, UseCaseError> {
        let permit = self.complaint_permit(actor, None, READING).await?;
        let others = Target { relation: Relation::Other, ..Target::none() };
        let sees_all = !matches!(self.gate.would::<HandleComplaints>(actor, &others), policy::Decision::Deny(_));
        let mut complaints = self.stores.complaint_list(&permit, LIST_MAX).await?;
        complaints.retain(|complaint| sees_all || complaint.about == actor.org);
        Ok(complaints)
    }

    /// Answers a complaint, or turns it down.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Missing`, `Invalid`, `Conflict(WrongState)`, `VersionStale`.
    pub async fn complaint_answer(&self, actor: &Actor, id: Uuid, answer: CaseAnswer) -> Result<(), UseCaseError> {
        let found = self.complaint_list(actor).await?.into_iter().find(|complaint| complaint.id == id);
        let complaint = found.ok_or(UseCaseError::NotFound(Entity::Complaint))?;
        let permit = self.complaint_permit(actor, Some(complaint.about), ANSWERING).await?;
        let was = complaint.state;
        if was != CaseState::Received {
            return Err(UseCaseError::Conflict(Conflict::WrongState(was.as_str())));
        }
        let (text, by) = (reason_of(answer.text())?, self.signature(actor).await?);
        let complaint = Complaint { state: answer.state(), answer: Some(text), answered: Some(by), ..complaint };
        let details = json!({ "state": complaint.state.as_str() });
        self.sharing_leaf("complaint_answered", Some(actor), id, details).await?;
        Ok(self.stores.complaint_update(&permit, &complaint, was).await?)
    }

    async fn subject_permit(&self, actor: &Actor, act: &str) -> Result<Permit<HandleSubjectRequests>, UseCaseError> {
        let target = Target { owner: Some(actor.org), ..Target::none() };
        Ok(self.gate.permit::<HandleSubjectRequests>(actor, target, &why(act)).await?)
    }

    fn subject_check(&self, wish: &SubjectWish) -> Result<(), UseCaseError> {
        let now = self.now();
        let (lat, lon) = wish.place;
        let is_place = (-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon);
        for (wrong, field, problem) in [
            (!is_place, "lat", "not_a_place"),
            (wish.radius_m == 0 || wish.radius_m > RADIUS_MAX_M, "radius_m", "too_wide"),
            (wish.range.micros() > SPAN_MAX_US, "to", "span_too_long"),
            (wish.range.from > now, "from", "in_the_future"),
            (wish.received_at > now, "received_at", "in_the_future"),
            (wish.file_ref.trim().is_empty() || wish.file_ref.chars().count() > 64, "file_ref", "empty_or_too_long"),
        ] {
            if wrong {
                return Err(UseCaseError::invalid(field, problem));
            }
        }
        Ok(())
    }

    /// Takes a person's request in and computes the term of the answer. One about police images is routed on at once.
    ///
    /// # Errors
    /// `Denied`, `Missing`, `Invalid`.
    pub async fn subject_take_in(&self, actor: &Actor, wish: SubjectWish) -> Result<SubjectRequest, UseCaseError> {
        let permit = self.subject_permit(actor, TAKING_IN).await?;
        self.subject_check(&wish)?;
        let is_police = self.org(actor.org).await?.is_some_and(|org| org.kind == OrgKind::PoliceZone);
        let (regime, state) = if is_police {
            (SubjectRegime::Police, CaseState::Routed)
        } else {
            (SubjectRegime::Gdpr, CaseState::Received)
        };
        let months = self.sharing.rules.terms(self.now()).subject_months;
        let request = SubjectRequest {
            id: self.ids.uuid(),
            org: actor.org,
            regime,
            file_ref: wish.file_ref.trim().to_owned(),
            reasons: reason_of(&wish.reasons)?,
            language: wish.language,
            lat: wish.place.0,
            lon: wish.place.1,
            radius_m: wish.radius_m,
            range: wish.range,
            due: self.sharing.rules.months_after(wish.received_at, months),
            received: self.signature(actor).await?,
            state,
            answer: None,
            answered: None,
        };
        let details = json!({
            "regime": regime.as_str(), "state": state.as_str(), "file_ref": request.file_ref,
            "from_us": request.range.from.micros, "to_us": request.range.to.micros, "due_us": request.due.micros,
        });
        self.sharing_leaf("subject_request_received", Some(actor), request.id, details).await?;
        self.stores.subject_request_insert(&permit, &request).await?;
        Ok(request)
    }

    /// Requests to the actor's organisation, newest first.
    ///
    /// # Errors
    /// `Denied` (logged), `StoreUnavailable`.
    pub async fn subject_list(&self, actor: &Actor) -> Result<Vec<SubjectRequest>, UseCaseError> {
        let permit = self.subject_permit(actor, READING).await?;
        let mut requests = self.stores.subject_request_list(&permit, LIST_MAX).await?;
        requests.retain(|request| request.org == actor.org);
        Ok(requests)
    }

    pub(super) async fn subject_of(&self, actor: &Actor, id: Uuid) -> Result<SubjectRequest, UseCaseError> {
        let found = self.subject_list(actor).await?.into_iter().find(|request| request.id == id);
        found.ok_or(UseCaseError::NotFound(Entity::SubjectRequest))
    }

    /// Where and when there is footage of the own cameras that a request may be about. Never for police images.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Conflict(WrongState)`.
    pub async fn subject_search(&self, actor: &Actor, id: Uuid) -> Result<Vec<SubjectFootage>, UseCaseError> {
        let request = self.subject_of(actor, id).await?;
        if request.regime == SubjectRegime::Police {
            return Err(UseCaseError::Conflict(Conflict::WrongState(CaseState::Routed.as_str())));
        }
        let mut found = Vec::new();
        for camera in self.cameras_now().await?.iter().filter(|camera| camera.owner == request.org) {
            let distance = distance_m((request.lat, request.lon), (camera.lat, camera.lon));
            if distance > request.radius_m {
                continue;
            }
            let Some(stream) = main_or_first(camera) else { continue };
            let segments = self.stores.segment_list(stream.id, request.range, ROWS_MAX).await?;
            let clip =
                |from: WallTime, to: WallTime| TimeRange::new(from.max(request.range.from), to.min(request.range.to));
            let spans: Vec<TimeRange> = segments.iter().filter_map(|segment| clip(segment.from, segment.to)).collect();
            if !spans.is_empty() {
                let (camera, code) = (camera.id, camera.code.clone());
                found.push(SubjectFootage {
                    camera,
                    code,
                    distance_m: distance,
                    spans: crate::playback::joined(spans.into_iter()),
                });
            }
        }
        found.sort_by_key(|one| one.distance_m);
        let details = json!({ "cameras": found.len() });
        self.sharing_leaf("subject_request_searched", Some(actor), id, details).await?;
        Ok(found)
    }

    /// Answers a request, or turns it down.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Missing`, `Invalid`, `Conflict(WrongState)`, `VersionStale`.
    pub async fn subject_answer(&self, actor: &Actor, id: Uuid, answer: CaseAnswer) -> Result<(), UseCaseError> {
        let request = self.subject_of(actor, id).await?;
        let permit = self.subject_permit(actor, ANSWERING).await?;
        let was = request.state;
        if was != CaseState::Received {
            return Err(UseCaseError::Conflict(Conflict::WrongState(was.as_str())));
        }
        let (text, by) = (reason_of(answer.text())?, self.signature(actor).await?);
        let late = by.at >= request.due;
        let request = SubjectRequest { state: answer.state(), answer: Some(text), answered: Some(by), ..request };
        let details = json!({ "state": request.state.as_str(), "late": late });
        self.sharing_leaf("subject_request_answered", Some(actor), id, details).await?;
        Ok(self.stores.subject_request_update(&permit, &request, was).await?)
    }
}

/// Metres between two places (haversine).
pub(super) fn distance_m(one: (f64, f64), other: (f64, f64)) -> u32 {
    let (lat_a, lat_b) = (one.0.to_radians(), other.0.to_radians());
    let (d_lat, d_lon) = (lat_b - lat_a, (other.1 - one.1).to_radians());
    let half = (d_lat / 2.0).sin().powi(2) + lat_a.cos() * lat_b.cos() * (d_lon / 2.0).sin().powi(2);
    whole_metres(2.0 * EARTH_M * half.sqrt().min(1.0).asin())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most half the earth's circumference, never negative"
)]
fn whole_metres(metres: f64) -> u32 {
    metres.round().clamp(0.0, 30_000_000.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metres_between_places() {
        let market = (50.846_7, 4.352_5);
        for (other, wanted) in [(market, 0), ((50.855_7, 4.352_5), 1_001), ((50.846_7, 4.366_7), 997)] {
            assert_eq!(distance_m(market, other), wanted);
        }
    }
}
