//! Who asks: the cookie, the form token, the origin, the source address.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, MatchedPath, Request};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, header};
use serde::de::DeserializeOwned;
use vms_app::UseCaseError;
use vms_app::gate::Actor;
use vms_app::gate::tally::note_actor;
use vms_app::identity::Pending;
use vms_app::login::Signed;

use crate::machines::ClientCertificate;
use crate::problem::Problem;
use crate::settings::Settings;
use crate::shell::Api;

/// Header with the form token.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// A running session of somebody who may use the program.
#[derive(Clone, Debug)]
pub struct Session(pub Signed);

/// A running session, also of somebody who must first set a new password, or show or enrol a second factor.
#[derive(Clone, Debug)]
pub struct AnySession(pub Signed);

impl Session {
    /// For the gate.
    pub const fn actor(&self) -> &Actor {
        &self.0.actor
    }
}

/// Where a request comes from, for rate limits only: never stored, never logged.
#[derive(Clone, Debug)]
pub struct Source(pub String);

/// Value of a cookie, when it stands there exactly once.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut found = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value);
    // Two cookies of one name: somebody put one beside ours.
    found.next().filter(|value| value.len() <= 200).filter(|_| found.next().is_none())
}

/// The token of an `Authorization: Bearer` header, when there is exactly one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let only = all.next().filter(|_| all.next().is_none())?;
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && token.len() <= 200).then_some(token)
}

/// Whether `Origin` is this server's own host or a configured one.
pub fn is_own_origin(headers: &HeaderMap, settings: &Settings) -> bool {
    let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    let Some(origin) = text(header::ORIGIN) else { return false };
    if settings.origins.iter().any(|known| known == origin) {
        return true;
    }
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://").filter(|_| !settings.tls));
    host.is_some() && host == text(header::HOST)
}

/// Equal time for equal lengths.
fn same(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    left.len() == right.len() && left.iter().zip(right).fold(0_u8, |sum, (a, b)| sum | (a ^ b)) == 0
}

fn route_of(parts: &Parts) -> String {
    let path = parts.extensions.get::<MatchedPath>().map_or("unknown", MatchedPath::as_str);
    format!("{} {path}", parts.method)
}

async fn refused(api: &Api, parts: &Parts, why: &'static str, problem: Problem) -> Problem {
    match api.cases.refuse_stranger(&route_of(parts), why).await {
        Ok(()) => problem,
        Err(error) => error.into(),
    }
}

impl FromRequestParts<Api> for AnySession {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        // What a header says of a certificate is nobody's word; this comes from the TLS session that the listener ended itself.
        let certificate = parts.extensions.get::<ClientCertificate>().map(|shown| shown.0.as_str());
        let token = if certificate.is_some() {
            bearer(&parts.headers)
        } else {
            cookie(&parts.headers, api.settings.cookie_name())
        };
        let Some(token) = token else {
            return Err(refused(api, parts, "no_session", UseCaseError::Unauthenticated.into()).await);
        };
        let signed = match api.cases.who_with(token, certificate).await {
            Ok(signed) => signed,
            Err(UseCaseError::Unauthenticated) => {
                return Err(refused(api, parts, "session_over", UseCaseError::Unauthenticated.into()).await);
            }
            Err(error) => return Err(error.into()),
        };
        let reads = matches!(parts.method, Method::GET | Method::HEAD);
        let given = parts.headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok()).unwrap_or("");
        // No page of a browser can make a machine's request: it has neither the key nor the token.
        if !reads && certificate.is_none() && !same(given, &signed.session.csrf) {
            let problem = Problem::new(StatusCode::FORBIDDEN, "csrf_failed", "The form token is missing or wrong");
            return Err(refused(api, parts, "csrf", problem).await);
        }
        note_actor(&signed.actor);
        Ok(Self(signed))
    }
}

impl FromRequestParts<Api> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let AnySession(signed) = AnySession::from_request_parts(parts, api).await?;
        if signed.must_change_password() {
            return Err(UseCaseError::PasswordChangeRequired.into());
        }
        match signed.pending {
            None => {}
            Some(Pending::SecondFactor | Pending::HardwareKey) => return Err(UseCaseError::SecondFactorRequired.into()),
            Some(Pending::Enrolment | Pending::HardwareEnrolment) => {
                return Err(UseCaseError::EnrolmentRequired.into());
            }
        }
        Ok(Self(signed))
    }
}

impl FromRequestParts<Api> for Source {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _api: &Api) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(peer.map_or_else(|| "unknown".to_owned(), |peer| peer.0.ip().to_string())))
    }
}

/// A JSON body; what does not read is a problem document too.
#[derive(Clone, Copy, Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Api> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        use axum::extract::rejection::JsonRejection as R;
        match axum::Json::<T>::from_request(request, api).await {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(rejection) => {
                let status = rejection.status();
                let code = if matches!(rejection, R::JsonDataError(_)) {
                    "malformed"
                } else if matches!(rejection, R::JsonSyntaxError(_)) {
                    "not_json"
                } else if matches!(rejection, R::MissingJsonContentType(_)) {
                    "not_json_type"
                } else {
                    "body"
                };
                let mut problem = Problem::new(status, code, "The request body does not read");
                // Serde names the field and the expected type, never the value of a string field.
                problem.detail = matches!(rejection, R::JsonDataError(_)).then(|| "see the OpenAPI document".into());
                Err(problem)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_taken_once() {
        for (line, wanted) in [
            ("belfry_session=abc", Some("abc")),
            ("a=b; belfry_session=abc; c=d", Some("abc")),
            ("belfry_session=abc; belfry_session=def", None),
            ("xbelfry_session=abc", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, line.parse().unwrap());
            assert_eq!(cookie(&headers, "belfry_session"), wanted, "{line}");
        }
    }

    #[test]
    fn bearer_tokens_are_taken_once() {
        for (lines, wanted) in [
            (&["Bearer abc"][..], Some("abc")),
            (&["bearer abc"], Some("abc")),
            (&["Basic abc"], None),
            (&["abc"], None),
            (&["Bearer abc", "Bearer def"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::AUTHORIZATION, line.parse().unwrap());
            }
            assert_eq!(bearer(&headers), wanted, "{lines:?}");
        }
    }

    #[test]
    fn only_our_origin_passes() {
        let settings = Settings { origins: vec!["https://belfry.brussels".to_owned()], ..Settings::default() };
        for (origin, wanted) in [
            (Some("http://127.0.0.1:8080"), true),
            (Some("https://127.0.0.1:8080"), true),
            (Some("https://belfry.brussels"), true),
            (Some("http://evil.example"), false),
            (Some("null"), false),
            (Some("http://127.0.0.1:8080.evil.example"), false),
            (None, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "127.0.0.1:8080".parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            assert_eq!(is_own_origin(&headers, &settings), wanted, "{origin:?}");
        }
        let tls = Settings { tls: true, ..Settings::default() };
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "a".parse().unwrap());
        headers.insert(header::ORIGIN, "http://a".parse().unwrap());
        assert!(!is_own_origin(&headers, &tls), "behind TLS the plain page is another origin");
    }
}
