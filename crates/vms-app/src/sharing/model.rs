//! Events, emergency access, wishes for a share, notices, stations. No serde: rows are made in `vms-store`, JSON in `vms-api`.

use uuid::Uuid;
use vms_core::{CameraId, OrgId, Profile, Purpose, Right, TimeRange, WallTime};

use crate::model::{Camera, Signature};
use crate::words::{NoticeKind, ShareRequestState, SharingEventKind};

/// A corner of an area, degrees, WGS 84.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Corner {
    /// North.
    pub lat: f64,
    /// East.
    pub lon: f64,
}

/// Which cameras an event covers.
#[derive(Clone, Debug, PartialEq)]
pub enum Coverage {
    /// These.
    Cameras(Vec<CameraId>),
    /// Every camera whose place lies inside: at least three corners, the last one joined to the first.
    Area(Vec<Corner>),
}

impl Coverage {
    /// Whether a camera is covered. On the plane: a city is small enough.
    pub fn covers(&self, camera: &Camera) -> bool {
        match self {
            Self::Cameras(list) => list.contains(&camera.id),
            Self::Area(corners) => inside(corners, camera.lat, camera.lon),
        }
    }
}

/// Even-odd rule: how often a line to the east crosses the edge.
fn inside(corners: &[Corner], lat: f64, lon: f64) -> bool {
    let next = corners.iter().cycle().skip(1);
    let mut is_inside = false;
    for (a, b) in corners.iter().zip(next) {
        let crosses = (a.lat > lat) != (b.lat > lat);
        if crosses && lon < (b.lon - a.lon) * (lat - a.lat) / (b.lat - a.lat) + a.lon {
            is_inside = !is_inside;
        }
    }
    is_inside
}

/// An activated event: cells of the matrix with the condition "event" open for what it covers, while it lasts.
#[derive(Clone, Debug, PartialEq)]
pub struct SharingEvent {
    /// Key; stands in the leaf of every use.
    pub id: Uuid,
    /// Kind.
    pub kind: SharingEventKind,
    /// What people call it.
    pub name: String,
    /// Where.
    pub cover: Coverage,
    /// Only these profiles; empty for all that the matrix names.
    pub profiles: Vec<Profile>,
    /// Reference of the authority's decision.
    pub authority: String,
    /// Why.
    pub reason: String,
    /// When; the end comes by itself.
    pub period: TimeRange,
    /// Organisation of who activated it.
    pub org: OrgId,
    /// Who activated it.
    pub activated: Signature,
    /// Who ended it before its time.
    pub ended: Option<Signature>,
    /// When its owners were told of its uses.
    pub summarised_at: Option<WallTime>,
    /// Rises with every change.
    pub version: u64,
}

impl SharingEvent {
    /// Whether it holds at an instant.
    pub fn is_in_force(&self, now: WallTime) -> bool {
        self.ended.is_none() && self.period.contains(now)
    }
}

/// How often something was used under an event: counts only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventUse {
    /// Under which event.
    pub event: Uuid,
    /// Owner of the camera.
    pub owner: OrgId,
    /// The camera.
    pub camera: CameraId,
    /// Who used it.
    pub org: OrgId,
    /// What.
    pub right: Right,
    /// How often.
    pub uses: u64,
}

/// Emergency access: one supervisor, named cameras, a short time, and a review after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emergency {
    /// Key; stands in the leaf of every use.
    pub id: Uuid,
    /// Who opened it, and when.
    pub opened: Signature,
    /// Organisation of that person.
    pub org: OrgId,
    /// Which cameras.
    pub cameras: Vec<CameraId>,
    /// Their owners: each is told, each may review.
    pub owners: Vec<OrgId>,
    /// For which purpose.
    pub purpose: Purpose,
    /// Why.
    pub reason: String,
    /// First instant after it.
    pub until: WallTime,
    /// Ended by hand.
    pub ended_at: Option<WallTime>,
    /// Somebody else looks at it by then, or its person opens no other.
    pub review_by: WallTime,
    /// Whether it was justified, what the reviewer says, and who.
    pub review: Option<(bool, String, Signature)>,
}

impl Emergency {
    /// Whether it opens anything at an instant.
    pub fn is_in_force(&self, now: WallTime) -> bool {
        self.opened.at <= now && now < self.until && self.ended_at.is_none()
    }

    /// Whether its review is late: then its person is blocked from emergency access.
    pub fn is_overdue(&self, now: WallTime) -> bool {
        self.review.is_none() && now >= self.review_by
    }
}

/// What somebody asks an owner for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareRequest {
    /// Key.
    pub id: Uuid,
    /// Owner of all its cameras.
    pub owner: OrgId,
    /// Who asks.
    pub partner: OrgId,
    /// Which cameras.
    pub cameras: Vec<CameraId>,
    /// Only for this profile of theirs.
    pub profile: Option<Profile>,
    /// What.
    pub rights: Vec<Right>,
    /// Only for this purpose.
    pub purpose: Option<Purpose>,
    /// When.
    pub period: TimeRange,
    /// Why.
    pub reason: String,
    /// Case number, where the matrix asks for one.
    pub case_ref: Option<String>,
    /// Who asked.
    pub asked: Signature,
    /// Where it stands.
    pub state: ShareRequestState,
    /// The owner's local administrator, where a zone chief has to agree as well.
    pub first: Option<Signature>,
    /// Who approved, refused or took it back.
    pub settled: Option<Signature>,
    /// Why it was refused.
    pub answer: Option<String>,
}

/// Something that an organisation has to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Rises; 0 before it is kept.
    pub id: i64,
    /// When.
    pub at: WallTime,
    /// Who is told.
    pub org: OrgId,
    /// About what.
    pub kind: NoticeKind,
    /// JSON object: what, by which organisation, on which camera, since when.
    pub data: String,
}

/// A workstation that stands under the control of the police (Camera Act article 5 §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Station {
    /// Key.
    pub id: Uuid,
    /// Organisation whose people sit there.
    pub org: OrgId,
    /// Name.
    pub name: String,
    /// Under which agreement with the police.
    pub agreement: String,
    /// SHA-256 of its code, hexadecimal; the code itself is nowhere.
    pub code_hash: String,
    /// Who registered it.
    pub registered: Signature,
    /// Taken back.
    pub revoked_at: Option<WallTime>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_holds_what_lies_inside() {
        let corner = |lat, lon| Corner { lat, lon };
        let square = [corner(50.0, 4.0), corner(50.0, 5.0), corner(51.0, 5.0), corner(51.0, 4.0)];
        // A dent from the east, as deep as the middle.
        let dented = [corner(50.0, 4.0), corner(50.0, 5.0), corner(50.5, 4.5), corner(51.0, 5.0), corner(51.0, 4.0)];
        for (area, lat, lon, wanted) in [
            (&square[..], 50.5, 4.5, true),
            (&square[..], 50.5, 5.1, false),
            (&square[..], 49.9, 4.5, false),
            (&dented[..], 50.5, 4.4, true),
            (&dented[..], 50.5, 4.9, false),
            (&dented[..], 50.1, 4.8, true),
            (&square[..2], 50.0, 4.5, false),
            (&[][..], 50.0, 4.5, false),
        ] {
            assert_eq!(inside(area, lat, lon), wanted, "{lat} {lon} in {} corners", area.len());
        }
    }
}
