//! Log-in, log-out, the own session, organisations.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_app::identity::oidc::Returned;
use zeroize::Zeroizing;

use crate::dto::common::{OrgView, Page, parse_word};
use crate::dto::identity::{LoginWaysView, ProviderAnswerDto, ProviderBegunView};
use crate::dto::people::{LoginDto, OwnPatchDto, SessionView};
use crate::problem::Problem;
use crate::session::{AnySession, Body, Session, Source, cookie as cookie_of};
use crate::settings::Settings;
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(login_ways, login))
        .routes(routes!(provider_begin))
        .routes(routes!(provider_end))
        .routes(routes!(logout))
        .routes(routes!(session, session_change))
        .routes(routes!(orgs))
}

pub(super) fn cookie(settings: &Settings, value: &str, max_age: u32) -> Result<HeaderValue, Problem> {
    named_cookie(settings, settings.cookie_name(), value, max_age)
}

/// A page of the provider brings the browser back, but it is our own page that asks then: `Strict` cookies go along.
fn named_cookie(settings: &Settings, name: &str, value: &str, max_age: u32) -> Result<HeaderValue, Problem> {
    let secure = if settings.tls { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age}{secure}");
    HeaderValue::from_str(&text).map_err(|error| vms_app::UseCaseError::Internal(error.into()).into())
}

/// The cookie lives as long as a session at most; the server's own clock is what counts.
pub(super) const COOKIE_LIFE_S: u32 = 12 * 3_600;
/// Who has not come back from the provider in this time begins again.
const PROVIDER_COOKIE_LIFE_S: u32 = 600;

/// Ways to log in.
#[utoipa::path(get, path = "/api/v1/login", tag = "session", responses(
    (status = 200, description = "What the log-in page offers", body = LoginWaysView)))]
async fn login_ways(State(api): State<Api>) -> Json<LoginWaysView> {
    Json(LoginWaysView { password: true, provider: api.cases.provider_name().map(str::to_owned) })
}

/// Begins a log-in at the identity provider.
#[utoipa::path(post, path = "/api/v1/login/provider", tag = "session", responses(
    (status = 200, description = "Where the browser goes; a cookie binds the answer to it", body = ProviderBegunView),
    (status = 409, description = "`no_such_service`: none is configured", body = Problem),
    (status = 429, description = "`too_many_tries`", body = Problem),
    (status = 503, description = "`unavailable`: the provider does not answer", body = Problem)))]
async fn provider_begin(State(api): State<Api>, source: Source) -> Result<Response, Problem> {
    let begun = api.cases.provider_begin(&source.0).await?;
    let mut response = Json(ProviderBegunView { address: begun.address }).into_response();
    let name = api.settings.provider_cookie_name();
    let cookie = named_cookie(&api.settings, name, &begun.binding, PROVIDER_COOKIE_LIFE_S)?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Ends a log-in at the identity provider with what it put into the address.
#[utoipa::path(post, path = "/api/v1/login/provider/answer", tag = "session", request_body = ProviderAnswerDto, responses(
    (status = 200, description = "The session; the cookie is set", body = SessionView),
    (status = 403, description = "`provider_refused`, `identity_not_linked`, or what keeps the account from a session", body = Problem),
    (status = 409, description = "`no_such_service`: none is configured", body = Problem),
    (status = 503, description = "`unavailable`: the provider does not answer", body = Problem)))]
async fn provider_end(
    State(api): State<Api>,
    source: Source,
    headers: http::HeaderMap,
    Body(dto): Body<ProviderAnswerDto>,
) -> Result<Response, Problem> {
    let name = api.settings.provider_cookie_name();
    let back = Returned {
        binding: cookie_of(&headers, name).unwrap_or(""),
        state: &dto.state,
        code: Zeroizing::new(dto.code),
        issuer: dto.iss.as_deref(),
    };
    let opened = api.cases.provider_end(back, &source.0).await?;
    let mut response = Json(SessionView::from(&opened.signed)).into_response();
    let headers = response.headers_mut();
    headers.append(header::SET_COOKIE, cookie(&api.settings, &opened.token, COOKIE_LIFE_S)?);
    headers.append(header::SET_COOKIE, named_cookie(&api.settings, name, "", 0)?);
    Ok(response)
}

/// Opens a session.
#[utoipa::path(post, path = "/api/v1/login", tag = "session", request_body = LoginDto, responses(
    (status = 200, description = "The session; the cookie is set", body = SessionView),
    (status = 401, description = "`login_failed`", body = Problem),
    (status = 429, description = "`too_many_tries`", body = Problem)))]
async fn login(State(api): State<Api>, source: Source, Body(dto): Body<LoginDto>) -> Result<Response, Problem> {
    let (user_name, password) = dto.secret();
    let opened = api.cases.login(&user_name, password, &source.0).await?;
    let mut response = Json(SessionView::from(&opened.signed)).into_response();
    response.headers_mut().insert(header::SET_COOKIE, cookie(&api.settings, &opened.token, COOKIE_LIFE_S)?);
    Ok(response)
}

/// Ends the session and its running streams.
#[utoipa::path(post, path = "/api/v1/logout", tag = "session", responses(
    (status = 204, description = "Ended"), (status = 401, description = "No session", body = Problem)))]
async fn logout(State(api): State<Api>, AnySession(signed): AnySession) -> Result<Response, Problem> {
    api.cases.logout(&signed).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(header::SET_COOKIE, cookie(&api.settings, "", 0)?);
    Ok(response)
}

/// The running session, with the form token.
#[utoipa::path(get, path = "/api/v1/session", tag = "session", responses(
    (status = 200, description = "The session", body = SessionView),
    (status = 401, description = "No session", body = Problem)))]
async fn session(AnySession(signed): AnySession) -> Json<SessionView> {
    Json(SessionView::from(&signed))
}

/// Changes the own language or password.
#[utoipa::path(patch, path = "/api/v1/session", tag = "session", request_body = OwnPatchDto, responses(
    (status = 200, description = "The session", body = SessionView),
    (status = 401, description = "`login_failed`: the old password is wrong", body = Problem),
    (status = 422, description = "The new password is too short", body = Problem)))]
async fn session_change(
    State(api): State<Api>,
    AnySession(mut signed): AnySession,
    source: Source,
    Body(dto): Body<OwnPatchDto>,
) -> Result<Json<SessionView>, Problem> {
    if let Some(password) = dto.password {
        let (old, new) = (Zeroizing::new(password.old), Zeroizing::new(password.new));
        api.cases.own_password(&signed, old, new, &source.0).await?;
        signed = api.cases.signed_again(&signed).await?;
    }
    if let Some(language) = &dto.language {
        api.cases.own_language(&signed, parse_word("language", language)?).await?;
        signed = api.cases.signed_again(&signed).await?;
    }
    Ok(Json(SessionView::from(&signed)))
}

/// All organisations.
#[utoipa::path(get, path = "/api/v1/orgs", tag = "session", responses(
    (status = 200, description = "All, by code", body = Page<OrgView>),
    (status = 401, description = "No session", body = Problem)))]
async fn orgs(State(api): State<Api>, _session: Session) -> Result<Json<Page<OrgView>>, Problem> {
    let orgs = api.cases.org_list().await?;
    Ok(Json(Page { items: orgs.iter().map(OrgView::from).collect(), next_cursor: None }))
}
