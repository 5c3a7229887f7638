//! The things that `serve` keeps: organisations, accounts, sessions, cameras, grants, partners, the catalogue copy.
//! No serde: rows are made in `vms-store`, JSON in `vms-api`.

use std::fmt;

use vms_core::{
    CameraId, Codec, DecisionId, GrantId, HoldId, OrgId, Profile, Purpose, RetentionClass, Right, SegmentId, SessionId,
    StreamId, StreamUse, TimeRange, UserId, WallTime,
};

use crate::words::{
    CameraKind, CameraState, Cause, ChangeState, EventKind, HoldState, Language, OrgKind, TransportKind,
};

/// One organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Org {
    /// Key.
    pub id: OrgId,
    /// Short code, unique, such as `5339` or `MIVB`.
    pub code: String,
    /// Dutch name.
    pub name_nl: String,
    /// French name.
    pub name_fr: String,
    /// Kind.
    pub kind: OrgKind,
}

/// What the stored password is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordState {
    /// Chosen by the person.
    Own,
    /// Printed once by the command line; opens one session.
    OneTime,
    /// The one session was opened; nothing but a new password helps.
    OneTimeUsed,
}

/// One person's account. `Debug` hides the person.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Key.
    pub id: UserId,
    /// The person's organisation.
    pub org: OrgId,
    /// Log-in name, lower case, unique.
    pub user_name: String,
    /// The person's name.
    pub name: String,
    /// PHC string, argon2id.
    pub password_hash: String,
    /// What that password is good for.
    pub password_state: PasswordState,
    /// The profile that its sessions begin with.
    pub profile: Profile,
    /// Further profiles that a session may switch to; one is active at a time (`domain.md` H, hard rule 5).
    pub more_profiles: Vec<Profile>,
    /// Language of the console.
    pub language: Language,
    /// Set when switched off.
    pub disabled_at: Option<WallTime>,
    /// Confidentiality charter signed.
    pub charter_at: Option<WallTime>,
    /// Training completed.
    pub training_at: Option<WallTime>,
    /// Security clearance seen, for police profiles.
    pub cleared_at: Option<WallTime>,
    /// Last successful log-in, or the making of the account.
    pub last_used_at: WallTime,
    /// Made.
    pub created_at: WallTime,
    /// Rises with every change.
    pub version: u64,
}

impl Account {
    /// Whether it is switched on and holds the profile.
    pub fn holds(&self, profile: Profile) -> bool {
        self.disabled_at.is_none() && self.profiles().any(|held| held == profile)
    }

    /// Every profile that it holds, the first one first.
    pub fn profiles(&self) -> impl Iterator<Item = Profile> + '_ {
        std::iter::once(self.profile).chain(self.more_profiles.iter().copied())
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("id", &self.id).field("org", &self.org).finish_non_exhaustive()
    }
}

/// One log-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Key.
    pub id: SessionId,
    /// SHA-256 of the cookie's value, hexadecimal; the value itself is nowhere.
    pub token_hash: String,
    /// SHA-256 over a prefix and the cookie's value: what the request header must carry.
    pub csrf: String,
    /// Who.
    pub user: UserId,
    /// Active profile.
    pub profile: Profile,
    /// Log-in.
    pub created_at: WallTime,
    /// Last request.
    pub seen_at: WallTime,
    /// Log-out, disabled account, or the end of its life.
    pub ended_at: Option<WallTime>,
    /// When a second factor was shown last.
    pub factor_at: Option<WallTime>,
    /// When a hardware key was shown last.
    pub hard_at: Option<WallTime>,
    /// A machine's: SHA-256 of the certificate that it belongs to, hexadecimal.
    pub certificate: Option<String>,
}

/// Why a camera may be where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegalBasis {
    /// Title or number of the document.
    pub document: String,
    /// Its date, `YYYY-MM-DD`.
    pub dated: String,
    /// The advice given on it (municipal council, chief of police), or empty.
    pub advice: String,
}

/// One stream of a camera.
#[derive(Clone, PartialEq, Eq)]
pub struct CameraStream {
    /// Key.
    pub id: StreamId,
    /// What it is for.
    pub use_: StreamUse,
    /// RTSP address without credentials.
    pub url: String,
    /// User and password, sealed to the role that uses them.
    pub sealed_credentials: Option<Vec<u8>>,
    /// Which transport takes it.
    pub transport: TransportKind,
    /// When known.
    pub codec: Option<Codec>,
    /// Pixels, when known.
    pub width: Option<u16>,
    /// Pixels, when known.
    pub height: Option<u16>,
}

impl fmt::Debug for CameraStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CameraStream").field("id", &self.id).field("use", &self.use_).finish_non_exhaustive()
    }
}

/// One camera, with its streams and its legal basis.
#[derive(Clone, Debug, PartialEq)]
pub struct Camera {
    /// Key.
    pub id: CameraId,
    /// Code of the installation, unique.
    pub code: String,
    /// Number that an operator types to call it up, unique.
    pub call_up: Option<u32>,
    /// Dutch name.
    pub name_nl: String,
    /// French name.
    pub name_fr: String,
    /// Owner.
    pub owner: OrgId,
    /// The partner whose gateway it is pulled from; such a camera is never recorded here.
    pub partner: Option<OrgId>,
    /// What it is for.
    pub kind: CameraKind,
    /// Degrees north, WGS 84.
    pub lat: f64,
    /// Degrees east, WGS 84.
    pub lon: f64,
    /// Where it stands in its life.
    pub state: CameraState,
    /// Class of its footage.
    pub retention_class: RetentionClass,
    /// Date on which the pictogram was placed, `YYYY-MM-DD`.
    pub pictogram_on: Option<String>,
    /// Without one it can neither record nor show.
    pub legal_basis: Option<LegalBasis>,
    /// One to three, each use once.
    pub streams: Vec<CameraStream>,
    /// Rises with every change; the entity tag.
    pub version: u64,
    /// Made.
    pub created_at: WallTime,
    /// Last change.
    pub updated_at: WallTime,
}

impl Camera {
    /// The stream of a use.
    pub fn stream(&self, use_: StreamUse) -> Option<&CameraStream> {
        self.streams.iter().find(|stream| stream.use_ == use_)
    }

    /// Its legal fields.
    pub fn law(&self) -> CameraLaw {
        CameraLaw {
            kind: self.kind,
            retention_class: self.retention_class.clone(),
            pictogram_on: self.pictogram_on.clone(),
            legal_basis: self.legal_basis.clone(),
        }
    }

    /// Whether it may record and show now.
    pub fn is_in_service(&self) -> bool {
        self.state == CameraState::Live && self.legal_basis.is_some()
    }
}

/// The legal fields of a camera: after its approval they change by a second person only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraLaw {
    /// What it is for.
    pub kind: CameraKind,
    /// Class of its footage from then on; what is recorded keeps the class under which it was recorded.
    pub retention_class: RetentionClass,
    /// Date on which the pictogram was placed, `YYYY-MM-DD`.
    pub pictogram_on: Option<String>,
    /// Why it may be where it is.
    pub legal_basis: Option<LegalBasis>,
}

/// Who did something, and under which name.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature {
    /// Account.
    pub user: UserId,
    /// The person's name at that moment.
    pub name: String,
    /// When.
    pub at: WallTime,
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signature").field("user", &self.user).field("at", &self.at).finish_non_exhaustive()
    }
}

/// A change of a camera's legal fields. It is never deleted: all changes together are every version of these fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegalChange {
    /// The decision under which it was proposed; also its key.
    pub id: DecisionId,
    /// Of which camera.
    pub camera: CameraId,
    /// The fields in force when it was proposed.
    pub before: CameraLaw,
    /// The fields as they are to be.
    pub after: CameraLaw,
    /// Why, in the proposer's words.
    pub reason: String,
    /// Who proposed it.
    pub proposed: Signature,
    /// Where it stands.
    pub state: ChangeState,
    /// Who approved, refused or took it back.
    pub settled: Option<Signature>,
    /// Why it was refused.
    pub answer: Option<String>,
}

/// A hold: footage of a camera and a span that is not erased at the end of its term (`domain.md` D2, D6 RC-HOLD). It gives nobody
/// the right to see it. It never ends by itself: two people release it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Key, also of the key that holds.
    pub id: HoldId,
    /// Of which camera.
    pub camera: CameraId,
    /// Which footage: half-open.
    pub range: TimeRange,
    /// For which purpose.
    pub purpose: Purpose,
    /// Case, report or ticket number.
    pub case_ref: Option<String>,
    /// Why, in the person's own words.
    pub reason: String,
    /// Until when it is thought to be needed; past it the list says so, and nothing is released by itself.
    pub until: WallTime,
    /// Somebody other than whoever set it looks at it again by then.
    pub review_by: WallTime,
    /// The decision under which it was set, as it stands in the log.
    pub decision: DecisionId,
    /// Who set it.
    pub set: Signature,
    /// Where it stands.
    pub state: HoldState,
    /// Why it may be released, and who says so; null while nobody does.
    pub release: Option<(String, Signature)>,
    /// Who agreed to the release.
    pub released: Option<Signature>,
    /// The last review: what was found, and by whom.
    pub reviewed: Option<(String, Signature)>,
    /// What the recorder says of it; null until it has taken it over.
    pub applied: Option<HoldApplied>,
}

/// What a recorder did with a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldApplied {
    /// When.
    pub at: WallTime,
    /// Segments that are held.
    pub segments: u64,
    /// Segments of the span that it came too late for.
    pub refused: u64,
}

/// What a grant gives: wished, and once given in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantTerms {
    /// On which camera.
    pub camera: CameraId,
    /// Who may.
    pub partner: OrgId,
    /// Only this profile of theirs; absent for all.
    pub profile: Option<Profile>,
    /// What they may.
    pub right: Right,
    /// Only for this purpose; absent for all.
    pub purpose: Option<Purpose>,
    /// When.
    pub period: TimeRange,
}

/// An owner's grant of a right on a camera to a partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Key.
    pub id: GrantId,
    /// The owner that gave it.
    pub owner: OrgId,
    /// What was given.
    pub terms: GrantTerms,
    /// Taken back.
    pub revoked_at: Option<WallTime>,
}

/// A partner behind a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partner {
    /// The partner's organisation; also its key.
    pub org: OrgId,
    /// Name shown.
    pub name: String,
    /// Where its catalogue is.
    pub catalogue_url: String,
    /// Document and date of the agreement, the legal basis of its cameras here.
    pub agreement: LegalBasis,
    /// Switched on.
    pub enabled: bool,
    /// Rises with every change.
    pub version: u64,
}

/// One camera of a partner's catalogue, translated.
#[derive(Clone, PartialEq)]
pub struct PartnerCamera {
    /// The partner's own id, 1 to 40 characters.
    pub code: String,
    /// Dutch name.
    pub name_nl: String,
    /// French name.
    pub name_fr: String,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lon: f64,
    /// RTSP address without credentials.
    pub url: String,
    /// User and password.
    pub credentials: Option<(String, String)>,
}

impl fmt::Debug for PartnerCamera {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartnerCamera").field("code", &self.code).finish_non_exhaustive()
    }
}

/// One segment in the copy of a recorder's index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentCopy {
    /// Key.
    pub segment: SegmentId,
    /// Its stream.
    pub stream: StreamId,
    /// First unit.
    pub from: WallTime,
    /// End of the last unit.
    pub to: WallTime,
    /// Bytes of payload.
    pub payload_bytes: u64,
    /// Access units.
    pub units: u32,
    /// False while it grows.
    pub is_closed: bool,
    /// Destroyed.
    pub erased_at: Option<WallTime>,
    /// Class at the time of recording.
    pub retention_class: String,
    /// The host's wall clock stepped right before the first unit.
    pub clock_stepped: bool,
    /// The camera's clock disagreed with the host's in some unit.
    pub camera_clock_off: bool,
}

/// One hole in the copy of a recorder's index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapCopy {
    /// Its stream.
    pub stream: StreamId,
    /// Start.
    pub from: WallTime,
    /// End; absent while it lasts.
    pub to: Option<WallTime>,
    /// Why.
    pub cause: Cause,
}

/// One hole as a timeline or a playback shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineGap {
    /// Start.
    pub from: WallTime,
    /// End.
    pub to: WallTime,
    /// Why.
    pub cause: Cause,
}

/// One playback that was opened; closed rows say what was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaybackRow {
    /// The decision; also the key.
    pub decision: DecisionId,
    /// Index of its opening leaf.
    pub log_index: u64,
    /// Whose.
    pub session: SessionId,
    /// What.
    pub stream: StreamId,
    /// Which span.
    pub range: TimeRange,
    /// Opened.
    pub opened_at: WallTime,
}

/// Who may receive an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventScope {
    /// Whoever may see the camera in a list.
    Camera(CameraId),
    /// Whoever has this right on the camera.
    CameraRight(CameraId, Right),
    /// Whoever has this right at all, in this organisation.
    Org(OrgId, Right),
    /// One session.
    Session(SessionId),
}

/// One event of the stream that browsers follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Rises.
    pub id: i64,
    /// When.
    pub at: WallTime,
    /// What.
    pub kind: EventKind,
    /// Who may receive it.
    pub scope: EventScope,
    /// JSON object. Never personal data.
    pub data: String,
}

/// Details of one leaf of the log, as they stand beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDetail {
    /// Index of the leaf.
    pub index: u64,
    /// When.
    pub at: WallTime,
    /// Organisation of the actor, when there is one.
    pub org: Option<OrgId>,
    /// The actor.
    pub user: Option<UserId>,
    /// Operation, such as `open` or `login`.
    pub operation: String,
    /// The decision it belongs to.
    pub decision: Option<DecisionId>,
    /// JSON object.
    pub details: String,
}

/// One stream that a recorder (or the gateway) is responsible for.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamSpec {
    /// Its stream.
    pub stream: StreamId,
    /// Its camera.
    pub camera: CameraId,
    /// What it is for.
    pub use_: StreamUse,
    /// RTSP address without credentials.
    pub url: String,
    /// User and password, sealed.
    pub sealed_credentials: Option<Vec<u8>>,
    /// Which transport takes it.
    pub transport: TransportKind,
    /// Written to disk.
    pub record: bool,
    /// Pulled only while somebody watches.
    pub on_demand: bool,
    /// Code of the class.
    pub retention_class: String,
    /// Term of the class in seconds today.
    pub keep_s: u64,
}

impl fmt::Debug for StreamSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSpec").field("stream", &self.stream).field("record", &self.record).finish_non_exhaustive()
    }
}
