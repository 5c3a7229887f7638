//! Data flows, complaints, data subjects' requests. No serde: rows are made in `vms-store`, JSON in `vms-api`.

use std::fmt;

use uuid::Uuid;
use vms_core::{CameraId, OrgId, TimeRange, WallTime};

use crate::model::Signature;
use crate::words::{CaseState, FlowState, Language, SubjectRegime};

/// What the store knows of a flow: a flow without a row stands as the seed or its grants say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowRow {
    /// Key: `DS-…` of the seed or of a registration, `SHARE:owner:partner:purpose` of a share.
    pub id: String,
    /// Where it stands.
    pub state: FlowState,
    /// Why.
    pub reason: String,
    /// Reference of the authorisation or the decision.
    pub authority: String,
    /// The authorisation ends then by itself.
    pub until: Option<WallTime>,
    /// Who changed it last.
    pub changed: Signature,
    /// Institution, source and purpose of a flow that was registered here.
    pub registered: Option<[String; 3]>,
    /// Rises with every change.
    pub version: u64,
}

/// A complaint.
#[derive(Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Key.
    pub id: Uuid,
    /// The organisation that it is about.
    pub about: OrgId,
    /// How it came: letter, e-mail, desk.
    pub channel: String,
    /// What is complained about. Personal data.
    pub text: String,
    /// Who took it in.
    pub received: Signature,
    /// Where it stands.
    pub state: CaseState,
    /// The answer.
    pub answer: Option<String>,
    /// Who answered.
    pub answered: Option<Signature>,
}

impl fmt::Debug for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Complaint").field("id", &self.id).field("state", &self.state).finish_non_exhaustive()
    }
}

/// A person's request for its own images (GDPR article 15, Camera Act article 12).
#[derive(Clone, PartialEq)]
pub struct SubjectRequest {
    /// Key.
    pub id: Uuid,
    /// The organisation that answers.
    pub org: OrgId,
    /// Under which law.
    pub regime: SubjectRegime,
    /// Reference of the file in which the person's name stands; the name itself is not kept here.
    pub file_ref: String,
    /// Why, and how the person can be told from others. Personal data.
    pub reasons: String,
    /// Language of the answer.
    pub language: Language,
    /// Place: degrees north.
    pub lat: f64,
    /// Place: degrees east.
    pub lon: f64,
    /// Metres around it.
    pub radius_m: u32,
    /// Time.
    pub range: TimeRange,
    /// Who took it in, and when it came.
    pub received: Signature,
    /// First instant after the term of the answer.
    pub due: WallTime,
    /// Where it stands.
    pub state: CaseState,
    /// The answer.
    pub answer: Option<String>,
    /// Who answered.
    pub answered: Option<Signature>,
}

impl fmt::Debug for SubjectRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubjectRequest").field("id", &self.id).field("state", &self.state).finish_non_exhaustive()
    }
}

/// Footage that a request may be about: where and when, never a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct SubjectFootage {
    /// The camera.
    pub camera: CameraId,
    /// Its code.
    pub code: String,
    /// Metres from the place.
    pub distance_m: u32,
    /// What is recorded of it inside the time asked for.
    pub spans: Vec<TimeRange>,
}

/// How many accounts of a profile an organisation has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountCount {
    /// The organisation.
    pub org: OrgId,
    /// The profile.
    pub profile: String,
    /// Accounts that are not switched off.
    pub active: u64,
    /// Of these, with a signed charter.
    pub charters: u64,
    /// Of these, with completed training.
    pub trainings: u64,
}
