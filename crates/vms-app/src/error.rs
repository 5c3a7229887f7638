//! Why a use case did not happen. Knows nothing of HTTP; `vms-api` has the one exhaustive match.

use std::time::Duration;

use policy::{DenyReason, Requirement};
use vms_core::DecisionId;

use crate::catalogue_fault::CatalogueFault;
use crate::gate::GateError;
use crate::ports::{FootageFault, MediaError, StoreError};
use crate::words::Cause;

/// Any error, boxed.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Kinds of thing that can be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entity {
    /// A camera.
    Camera,
    /// A stream of a camera.
    Stream,
    /// An account.
    User,
    /// An organisation.
    Org,
    /// A partner.
    Partner,
    /// A one-use ticket.
    Ticket,
    /// An open playback.
    Playback,
    /// Footage of the span that was asked for.
    Footage,
    /// A plate read.
    Read,
    /// A finding.
    Finding,
    /// A picture of a read.
    Picture,
    /// An entry of a watchlist.
    WatchEntry,
    /// A hit of a watchlist.
    Hit,
    /// A run of fines.
    FineRun,
    /// A permit of the permit desk.
    Permit,
    /// A place of the statistics.
    Place,
    /// A grant of a right.
    Grant,
    /// A decision of this session that is still open.
    Decision,
    /// A change of a camera's legal fields.
    LegalChange,
    /// A hold on footage.
    Hold,
    /// Decision to keep footage behind the gate.
    Gated,
    /// A search behind the gate.
    GatedSearch,
    /// An evidence export.
    Export,
    /// A file of an evidence export.
    ExportFile,
    /// A police-supervised workstation.
    Station,
    /// An event that gives more sight.
    SharingEvent,
    /// An emergency access.
    Emergency,
    /// A wish for a share.
    ShareRequest,
    /// A data flow.
    Flow,
    /// A complaint.
    Complaint,
    /// A data subject's request.
    SubjectRequest,
    /// A second factor.
    Factor,
    /// A version of the role matrix.
    MatrixVersion,
    /// Something that waits for a second person.
    SecondWish,
    /// An alarm about somebody's unusual use.
    Anomaly,
    /// A session.
    Session,
}

impl Entity {
    /// Plain word for messages.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Stream => "stream",
            Self::User => "user",
            Self::Org => "organisation",
            Self::Partner => "partner",
            Self::Ticket => "ticket",
            Self::Playback => "playback",
            Self::Footage => "footage",
            Self::Read => "read",
            Self::Finding => "finding",
            Self::Picture => "picture",
            Self::WatchEntry => "entry of a watchlist",
            Self::Hit => "hit",
            Self::FineRun => "run of fines",
            Self::Permit => "permit",
            Self::Place => "place",
            Self::Grant => "grant",
            Self::Decision => "open decision",
            Self::LegalChange => "change of legal fields",
            Self::Hold => "hold",
            Self::Gated => "decision of the gate",
            Self::GatedSearch => "search behind the gate",
            Self::Export => "export",
            Self::ExportFile => "file of an export",
            Self::Station => "workstation",
            Self::SharingEvent => "event",
            Self::Emergency => "emergency access",
            Self::ShareRequest => "wish for a share",
            Self::Flow => "data flow",
            Self::Complaint => "complaint",
            Self::SubjectRequest => "data subject's request",
            Self::Factor => "second factor",
            Self::MatrixVersion => "version of the role matrix",
            Self::SecondWish => "wish that waits for a second person",
            Self::Anomaly => "alarm about a use",
            Self::Session => "session",
        }
    }
}

/// States of the world that stand in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// No legal basis is recorded (blueprint 4.1: it can neither record nor show).
    LegalBasisMissing,
    /// No pictogram date is recorded, or it lies in the future.
    PictogramMissing,
    /// A unique value is taken by another row.
    Taken(&'static str),
    /// The thing is not in a state in which this can be done.
    WrongState(&'static str),
    /// The partner's data flow is switched off.
    PartnerOff,
    /// The camera has no picture now.
    NoPicture(Cause),
    /// The part of the system that would do it is not there.
    NoSuchService(&'static str),
    /// A partner's catalogue was not taken; what was imported before stays.
    Catalogue(CatalogueFault),
    /// The partner has the last word on this camera: its catalogue and its switch decide.
    PartnersCamera,
    /// A partner's picture is the partner's: its own technicians look at where its cameras point.
    PartnersPicture,
    /// Legal fields of a camera that is past its draft change by a proposal that somebody else approves.
    ProposeInstead,
    /// Whoever proposed something can't settle it.
    SamePerson,
    /// The disk of the exports has no room for it.
    NoRoom {
        /// MiB that it is thought to need.
        needed_mib: u64,
        /// MiB that exports may still take.
        free_mib: u64,
    },
    /// As many exports wait as may.
    QueueFull,
    /// An earlier emergency access of this person was not reviewed in time.
    ReviewLate,
    /// Two profiles that one account may not hold together.
    ProfilesApart {
        /// The one.
        one: vms_core::Profile,
        /// The other.
        two: vms_core::Profile,
    },
}

/// One thing wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldProblem {
    /// Name of the field as the client wrote it.
    pub field: String,
    /// Stable word, such as `empty`, `not_a_url`, `too_long`.
    pub problem: String,
}

/// Why a use case did not happen.
#[derive(Debug, thiserror::Error)]
pub enum UseCaseError {
    /// No session, or one that has ended.
    #[error("not signed in")]
    Unauthenticated,
    /// User name and password do not fit together; says no more on purpose.
    #[error("user name or password is wrong")]
    LoginFailed,
    /// Too many tries from this source or for this account.
    #[error("too many tries")]
    TooManyTries {
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// The one-time password has been used; a new one must be set before anything else.
    #[error("a new password must be set first")]
    PasswordChangeRequired,
    /// The password was right, but the account opens no session now; the word says what is to be done.
    #[error("{}", crate::login::barred_words(.0))]
    LoginBarred(&'static str),
    /// A second factor must be shown first.
    #[error("the second factor must be shown first: POST /api/v1/session/step-up")]
    SecondFactorRequired,
    /// The profile needs a second factor and the account has none.
    #[error("this profile needs a second factor: enrol one first, under your own account")]
    EnrolmentRequired,
    /// A fresh second factor is needed.
    #[error("{}", step_up_words(*.enrolled))]
    StepUpNeeded {
        /// Whether the account has a second factor at all.
        enrolled: bool,
    },
    /// A code or key that does not count, or was used already.
    #[error("the code or key does not count, or was used already")]
    FactorFailed,
    /// The role table says no.
    #[error("not allowed: {}", .reason.code())]
    Denied {
        /// Why.
        reason: DenyReason,
        /// The refusal in the log.
        decision: DecisionId,
    },
    /// The matrix wants more: all of it, never empty.
    #[error("something is missing: {0:?}")]
    Missing(Vec<Requirement>),
    /// The log can't be written: nothing is shown.
    #[error("the log of uses can't be written")]
    LogUnavailable(#[source] BoxError),
    /// Also returned when the actor may not know that the thing exists.
    #[error("no such {}", .0.word())]
    NotFound(Entity),
    /// The request breaks rules of its fields.
    #[error("invalid: {}", named(.0))]
    Invalid(Vec<FieldProblem>),
    /// The state of the world stands in the way.
    #[error("{}", stands_in_the_way(.0))]
    Conflict(Conflict),
    /// A change without saying which version was seen.
    #[error("the seen version must be named")]
    VersionRequired,
    /// Somebody else changed it meanwhile.
    #[error("it was changed by somebody else")]
    VersionStale,
    /// The central database does not answer: nobody's rights can be looked up, so nothing is shown. Recording goes on.
    #[error("the central database does not answer")]
    StoreUnavailable(#[source] BoxError),
    /// The central database did not say whether a change was applied: whoever asked must look before asking again.
    #[error("the central database did not say whether the change was applied")]
    OutcomeUnknown(#[source] BoxError),
    /// The footage is there, and cannot be handed out now.
    #[error("{}", .0.words())]
    Footage(FootageFault),
    /// Another part that is needed can't be reached now.
    #[error("a dependency is unavailable")]
    Unavailable(#[source] BoxError),
    /// A bug or a broken invariant.
    #[error("a bug or a broken invariant")]
    Internal(#[source] BoxError),
}

impl UseCaseError {
    /// One invalid field.
    pub fn invalid(field: &str, problem: &str) -> Self {
        Self::Invalid(vec![FieldProblem { field: field.to_owned(), problem: problem.to_owned() }])
    }
}

impl From<StoreError> for UseCaseError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(source) => Self::StoreUnavailable(source),
            StoreError::OutcomeUnknown(source) => Self::OutcomeUnknown(source),
            StoreError::Taken(what) => Self::Conflict(Conflict::Taken(what)),
            StoreError::Stale => Self::VersionStale,
            StoreError::Internal(source) => Self::Internal(source),
        }
    }
}

impl From<GateError> for UseCaseError {
    fn from(error: GateError) -> Self {
        match error {
            GateError::Denied { reason, decision } => Self::Denied { reason, decision },
            GateError::Missing(requirements) => Self::Missing(requirements),
            GateError::Unknown => Self::NotFound(Entity::Decision),
            GateError::LogUnavailable(source) => Self::LogUnavailable(source),
        }
    }
}

impl From<MediaError> for UseCaseError {
    fn from(error: MediaError) -> Self {
        match error {
            MediaError::NoFootage => Self::NotFound(Entity::Footage),
            MediaError::Footage(fault) => Self::Footage(fault),
            MediaError::NoPicture(cause) => Self::Conflict(Conflict::NoPicture(cause)),
            MediaError::Refused { code, detail } => Self::Internal(format!("refused: {code}: {detail}").into()),
            MediaError::Unavailable(source) => Self::Unavailable(source),
        }
    }
}

/// What stands in the way, for people at a command line and for the log.
fn stands_in_the_way(conflict: &Conflict) -> String {
    match conflict {
        Conflict::LegalBasisMissing => "no legal basis is recorded".to_owned(),
        Conflict::PictogramMissing => "no pictogram date is recorded, or it lies in the future".to_owned(),
        Conflict::Taken(what) => format!("`{what}` is taken"),
        Conflict::WrongState(state) => format!("not possible in the state `{state}`"),
        Conflict::PartnerOff => "the partner's data flow is switched off".to_owned(),
        Conflict::NoPicture(cause) => format!("no picture: {cause}"),
        Conflict::NoSuchService(service) => format!("no {service} is running"),
        Conflict::Catalogue(fault) => fault.to_string(),
        Conflict::PartnersCamera => "the partner has the last word on this camera: its catalogue decides".to_owned(),
        Conflict::PartnersPicture => {
            "a partner's picture belongs to the partner: its own technicians check where its cameras point; \
             whoever has the right looks at it live"
                .to_owned()
        }
        Conflict::ProposeInstead => {
            "the legal fields of an approved camera change only by a proposal that somebody else approves".to_owned()
        }
        Conflict::NoRoom { needed_mib, free_mib } => format!(
            "the disk of the exports has no room: about {needed_mib} MiB are needed, {free_mib} MiB are free; remove finished \
             exports or make room"
        ),
        Conflict::ProfilesApart { one, two } => format!("one account can't hold {one} and {two} together"),
        Conflict::ReviewLate => {
            "an earlier emergency access was not reviewed within its term: somebody else reviews it first".to_owned()
        }
        Conflict::QueueFull => "as many exports wait as may: let some end, or cancel some".to_owned(),
        Conflict::SamePerson => "whoever proposed a change can't approve or refuse it: somebody else must".to_owned(),
    }
}

/// What to do before the request is repeated.
const fn step_up_words(enrolled: bool) -> &'static str {
    if enrolled {
        "show your second factor again (POST /api/v1/session/step-up), then repeat the request within five minutes"
    } else {
        "this needs a second factor, and your account has none: enrol one under your own account, then repeat the request"
    }
}

/// Every field with its problem, for people at a command line and for the log. Values are never in it.
fn named(problems: &[FieldProblem]) -> String {
    let one = |problem: &FieldProblem| format!("`{}` {}", problem.field, problem.problem);
    problems.iter().map(one).collect::<Vec<_>>().join(", ")
}
