//! RFC 9457 problem documents. `code` is the contract; the console words it in the user's language.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use policy::Requirement;
use serde::Serialize;
use utoipa::ToSchema;
use vms_app::ports::FootageFault;
use vms_app::{Conflict, UseCaseError};

/// One thing wrong with one field.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldError {
    /// The field, as the client wrote it.
    pub field: String,
    /// Stable word.
    pub problem: String,
}

/// The one problem type that we use: the status and `code` say it all.
#[derive(Clone, Copy, Debug)]
pub struct AboutBlank;

impl Serialize for AboutBlank {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("about:blank")
    }
}

/// A problem document.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: AboutBlank,
    /// Short English title.
    pub title: &'static str,
    /// HTTP status.
    pub status: u16,
    /// English prose for developers; never for 5xx.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub detail: Option<Box<str>>,
    /// Stable word.
    pub code: &'static str,
    /// Wrong fields.
    pub errors: Vec<FieldError>,
    /// Everything that the matrix asks for and the request does not say: `purpose`, `justification`, `case`, `magistrate`,
    /// `second_person`.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<String>, required = false)]
    pub missing: Box<[&'static str]>,
    /// The refusal in the log, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub decision_id: Option<Box<str>>,
    /// For the `Retry-After` header.
    #[serde(skip)]
    pub retry_after_s: Option<u32>,
}

impl Problem {
    /// A problem of the HTTP layer itself.
    pub fn new(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        Self {
            kind: AboutBlank,
            title,
            status: status.as_u16(),
            detail: None,
            code,
            errors: Vec::new(),
            missing: Box::default(),
            decision_id: None,
            retry_after_s: None,
        }
    }

    /// Nothing at this address, or nothing that the caller may know of.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found")
    }

    /// One wrong field.
    pub fn invalid(field: &str, problem: &str) -> Self {
        UseCaseError::invalid(field, problem).into()
    }

    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// What an operator and an administrator need to know while the central database is away.
pub(crate) const DATABASE_AWAY: &str = "The central database does not answer: recording goes on, but rights can't be looked up, \
    so nothing is shown. Start the database again; everything else comes back by itself";

/// A change whose answer never came.
pub(crate) const OUTCOME_UNKNOWN: &str = "No answer came in time: the change may or may not have been applied. Look at it \
    again before you repeat it; recording goes on";

/// The same for the log.
const LOG_AWAY: &str = "The log of uses can't be written: recording goes on, but nothing is shown without it. \
    Look at the space and the state of the disk that holds the log";

/// Status, code and title of each error. No `_` arm: a new variant must choose here or the build fails.
fn choose(error: &UseCaseError) -> (StatusCode, &'static str, &'static str) {
    use StatusCode as S;
    use UseCaseError as E;
    match error {
        E::Unauthenticated => (S::UNAUTHORIZED, "unauthenticated", "Sign in first"),
        E::LoginFailed => (S::UNAUTHORIZED, "login_failed", "User name or password is wrong"),
        E::TooManyTries { .. } => (S::TOO_MANY_REQUESTS, "too_many_tries", "Too many tries"),
        E::LoginBarred(why) => (S::FORBIDDEN, barred_code(why), "This account opens no session now"),
        E::SecondFactorRequired => (S::FORBIDDEN, "second_factor_required", "Show your second factor first"),
        E::EnrolmentRequired => (S::FORBIDDEN, "enrolment_required", "Enrol a second factor first"),
        E::StepUpNeeded { .. } => (S::FORBIDDEN, "step_up_needed", "Show your second factor again"),
        E::FactorFailed => (S::FORBIDDEN, "factor_failed", "The code or key does not count"),
        E::PasswordChangeRequired => (S::FORBIDDEN, "password_change_required", "A new password must be set first"),
        E::Denied { reason, .. } => (S::FORBIDDEN, reason.code(), "Not allowed"),
        // The code names the first; `missing` names all.
        E::Missing(list) => missing_code(list.first().copied().unwrap_or(Requirement::Justification)),
        E::LogUnavailable(_) => (S::SERVICE_UNAVAILABLE, "log_unavailable", LOG_AWAY),
        E::NotFound(_) => (S::NOT_FOUND, "not_found", "Not found"),
        E::Invalid(_) => (S::UNPROCESSABLE_ENTITY, "invalid", "Invalid request"),
        E::Conflict(conflict) => (S::CONFLICT, conflict_code(conflict), "Conflict"),
        E::VersionRequired => (S::PRECONDITION_REQUIRED, "if_match_required", "Say which version you saw"),
        E::VersionStale => (S::PRECONDITION_FAILED, "changed_meanwhile", "Changed by somebody else"),
        E::StoreUnavailable(_) => (S::SERVICE_UNAVAILABLE, "database_unavailable", DATABASE_AWAY),
        E::OutcomeUnknown(_) => (S::SERVICE_UNAVAILABLE, "outcome_unknown", OUTCOME_UNKNOWN),
        E::Unavailable(_) => {
            (S::SERVICE_UNAVAILABLE, "unavailable", "A role of this system does not answer; try again")
        }
        E::Footage(fault) => {
            let status = match fault {
                FootageFault::Gated => S::FORBIDDEN,
                FootageFault::Away | FootageFault::GateAway | FootageFault::RoomIsShort => S::SERVICE_UNAVAILABLE,
            };
            (status, fault.code(), fault.words())
        }
        E::Internal(_) => (S::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
    }
}

/// Each reason is a code of its own, so that the console words it.
fn barred_code(why: &str) -> &'static str {
    match why {
        "disabled" => "account_disabled",
        "unused" => "account_unused",
        "charter_missing" => "account_charter_missing",
        "training_missing" => "account_training_missing",
        "training_expired" => "account_training_expired",
        "clearance_missing" => "account_clearance_missing",
        "machine" => "account_machine",
        "not_linked" => "identity_not_linked",
        "provider_refused" => "provider_refused",
        _ => "login_failed",
    }
}

const fn missing_code(first: Requirement) -> (StatusCode, &'static str, &'static str) {
    let (code, title) = match first {
        Requirement::Purpose => ("purpose_required", "A purpose is required"),
        Requirement::Justification => ("justification_required", "A justification is required"),
        Requirement::Case => ("case_required", "A case number is required"),
        Requirement::SecondPerson => ("second_person_required", "A second person is required"),
        Requirement::Magistrate => ("magistrate_required", "A magistrate's written decision is required"),
    };
    (StatusCode::FORBIDDEN, code, title)
}

const fn conflict_code(conflict: &Conflict) -> &'static str {
    match conflict {
        Conflict::LegalBasisMissing => "legal_basis_missing",
        Conflict::PictogramMissing => "pictogram_missing",
        Conflict::Taken(_) => "taken",
        Conflict::WrongState(_) => "wrong_state",
        Conflict::PartnerOff => "partner_off",
        Conflict::NoPicture(_) => "no_picture",
        Conflict::NoSuchService(_) => "no_such_service",
        Conflict::Catalogue(fault) => fault.code(),
        Conflict::PartnersCamera => "partners_camera",
        Conflict::PartnersPicture => "partners_picture",
        Conflict::ProposeInstead => "propose_instead",
        Conflict::SamePerson => "same_person",
        Conflict::NoRoom { .. } => "no_room",
        Conflict::QueueFull => "queue_full",
        Conflict::ReviewLate => "review_late",
        Conflict::ProfilesApart { .. } => "profiles_apart",
    }
}

fn conflict_field(conflict: &Conflict) -> Option<FieldError> {
    let (field, problem) = match conflict {
        Conflict::Taken(field) => (*field, "taken"),
        Conflict::WrongState(state) => ("state", *state),
        Conflict::NoPicture(cause) => ("cause", cause.as_str()),
        Conflict::NoSuchService(service) => ("service", *service),
        Conflict::Catalogue(fault) => ("catalogue", fault.problem()),
        Conflict::LegalBasisMissing
        | Conflict::PictogramMissing
        | Conflict::PartnerOff
        | Conflict::PartnersCamera
        | Conflict::PartnersPicture
        | Conflict::ProposeInstead
        | Conflict::NoRoom { .. }
        | Conflict::QueueFull
        | Conflict::ReviewLate
        | Conflict::ProfilesApart { .. }
        | Conflict::SamePerson => return None,
    };
    Some(FieldError { field: field.to_owned(), problem: problem.to_owned() })
}

/// Rounded up.
fn whole_seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX)
}

/// The chain of sources, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

impl From<UseCaseError> for Problem {
    fn from(error: UseCaseError) -> Self {
        let (status, code, title) = choose(&error);
        let mut problem = Self::new(status, code, title);
        if status.is_server_error() {
            // Logged once, here, with its whole chain; never sent to the client.
            tracing::error!(error.chain = %chain(&error), problem.code = code, "request failed: {code}");
        } else {
            // What kind of thing is not there would tell "there, and not yours" from "not there".
            let is_hidden = matches!(error, UseCaseError::NotFound(_));
            problem.detail = (!is_hidden).then(|| error.to_string().into());
        }
        match error {
            UseCaseError::Invalid(list) => {
                let field = |wrong: vms_app::FieldProblem| FieldError { field: wrong.field, problem: wrong.problem };
                problem.errors = list.into_iter().map(field).collect();
            }
            UseCaseError::Conflict(conflict) => problem.errors.extend(conflict_field(&conflict)),
            UseCaseError::Missing(list) => {
                problem.missing = list.into_iter().map(Requirement::code).collect();
            }
            UseCaseError::Denied { decision, .. } => problem.decision_id = Some(decision.to_string().into()),
            UseCaseError::TooManyTries { retry_after } => problem.retry_after_s = Some(whole_seconds(retry_after)),
            UseCaseError::Unauthenticated
            | UseCaseError::LoginFailed
            | UseCaseError::PasswordChangeRequired
            | UseCaseError::LoginBarred(_)
            | UseCaseError::SecondFactorRequired
            | UseCaseError::EnrolmentRequired
            | UseCaseError::StepUpNeeded { .. }
            | UseCaseError::FactorFailed
            | UseCaseError::LogUnavailable(_)
            | UseCaseError::NotFound(_)
            | UseCaseError::VersionRequired
            | UseCaseError::VersionStale
            | UseCaseError::StoreUnavailable(_)
            | UseCaseError::OutcomeUnknown(_)
            | UseCaseError::Unavailable(_)
            | UseCaseError::Footage(_)
            | UseCaseError::Internal(_) => {}
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            problem.retry_after_s = Some(5);
        }
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status_code(), Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_turned_away_reads_what_to_do() {
        type Make = fn(vms_app::error::BoxError) -> UseCaseError;
        let cases: [(Make, &str, &str); 4] = [
            (UseCaseError::StoreUnavailable, "database_unavailable", "Start the database again"),
            (UseCaseError::OutcomeUnknown, "outcome_unknown", "may or may not have been applied"),
            (UseCaseError::LogUnavailable, "log_unavailable", "the disk that holds the log"),
            (UseCaseError::Unavailable, "unavailable", "try again"),
        ];
        for (make, code, words) in cases {
            let problem = Problem::from(make("connection refused".into()));
            assert_eq!((problem.status, problem.code, problem.retry_after_s), (503, code, Some(5)));
            assert!(problem.title.contains(words) && !problem.title.contains("  "), "{}", problem.title);
        }
    }

    #[test]
    fn server_errors_say_nothing() {
        let problem = Problem::from(UseCaseError::Internal("password=hunter2".into()));
        assert_eq!(
            serde_json::to_string(&problem).unwrap(),
            r#"{"type":"about:blank","title":"Internal error","status":500,"code":"internal","errors":[]}"#
        );
    }
}
