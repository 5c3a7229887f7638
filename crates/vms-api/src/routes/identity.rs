//! The own second factors, step-up, and the active profile.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_app::identity::{KeyAnswer, Proof};
use zeroize::Zeroizing;

use crate::dto::common::{Page, parse_word, path_id};
use crate::dto::identity::{
    AccountNoticeView, CodeDto, FactorsView, KeyAnswerDto, KeyChallengeView, KeyEnrolDto, NameDto, OwnSessionView,
    ProfileDto, RecoveryView, StepUpDto, TotpView,
};
use crate::dto::people::SessionView;
use crate::problem::Problem;
use crate::routes::login::{COOKIE_LIFE_S, cookie};
use crate::session::{AnySession, Body, Session, Source};
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(step_up))
        .routes(routes!(step_up_key))
        .routes(routes!(profile))
        .routes(routes!(factors))
        .routes(routes!(factor_remove))
        .routes(routes!(totp_begin))
        .routes(routes!(totp_confirm))
        .routes(routes!(key_begin))
        .routes(routes!(key_enrol))
        .routes(routes!(recovery_renew))
        .routes(routes!(own_sessions))
        .routes(routes!(own_session_end))
        .routes(routes!(own_notices))
        .routes(routes!(own_notices_seen))
}

async fn again(api: &Api, session: &vms_app::login::Signed) -> Result<Json<SessionView>, Problem> {
    Ok(Json(SessionView::from(&api.cases.signed_again(session).await?)))
}

fn answer(dto: &KeyAnswerDto) -> Result<KeyAnswer, Problem> {
    Ok(KeyAnswer {
        credential: dto.credential_id.clone(),
        client_data: dto.bytes("client_data", &dto.client_data)?,
        authenticator_data: dto.bytes("authenticator_data", &dto.authenticator_data)?,
        signature: dto.bytes("signature", dto.signature.as_deref().unwrap_or(""))?,
    })
}

/// Shows a second factor: after the log-in, and again before what needs a fresh one. Exactly one of the fields.
#[utoipa::path(post, path = "/api/v1/session/step-up", tag = "session", request_body = StepUpDto, responses(
    (status = 200, description = "The session, with `fresh_until`; the cookie is set anew, the one before opens nothing any more",
        body = SessionView),
    (status = 403, description = "`factor_failed`: wrong, or used already", body = Problem),
    (status = 422, description = "`invalid`: none or several", body = Problem),
    (status = 429, description = "`too_many_tries`", body = Problem)))]
async fn step_up(
    State(api): State<Api>,
    AnySession(signed): AnySession,
    source: Source,
    Body(dto): Body<StepUpDto>,
) -> Result<Response, Problem> {
    let proof = match (dto.code, dto.recovery_code, dto.key) {
        (Some(code), None, None) => Proof::Code(Zeroizing::new(code)),
        (None, Some(code), None) => Proof::Recovery(Zeroizing::new(code)),
        (None, None, Some(key)) => Proof::Key(answer(&key)?),
        _ => return Err(Problem::invalid("code", "exactly_one")),
    };
    let token = api.cases.step_up(&signed, proof, &source.0).await?;
    let mut response = again(&api, &signed).await?.into_response();
    if let Some(token) = token {
        response.headers_mut().insert(header::SET_COOKIE, cookie(&api.settings, &token, COOKIE_LIFE_S)?);
    }
    Ok(response)
}

/// A challenge for the account's security keys; good for one answer within five minutes.
#[utoipa::path(post, path = "/api/v1/session/step-up/key", tag = "session", responses(
    (status = 200, description = "The challenge", body = KeyChallengeView),
    (status = 409, description = "`no_such_service`: the console has no name that keys can be bound to", body = Problem)))]
async fn step_up_key(
    State(api): State<Api>,
    AnySession(signed): AnySession,
) -> Result<Json<KeyChallengeView>, Problem> {
    Ok(Json(api.cases.key_challenge(&signed).await?.into()))
}

/// Makes another profile of the account the session's active one. Running pictures of the old one stop.
#[utoipa::path(post, path = "/api/v1/session/profile", tag = "session", request_body = ProfileDto, responses(
    (status = 200, description = "The session, with the rights of the profile", body = SessionView),
    (status = 422, description = "`invalid`: the account does not hold it", body = Problem)))]
async fn profile(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<ProfileDto>,
) -> Result<Json<SessionView>, Problem> {
    api.cases.switch_profile(&session.0, parse_word("profile", &dto.profile)?).await?;
    again(&api, &session.0).await
}

/// The own second factors.
#[utoipa::path(get, path = "/api/v1/session/factors", tag = "session", responses(
    (status = 200, description = "Oldest first", body = FactorsView),
    (status = 403, description = "`second_factor_required`", body = Problem)))]
async fn factors(State(api): State<Api>, AnySession(signed): AnySession) -> Result<Json<FactorsView>, Problem> {
    let (held, offered) = api.cases.factor_kinds(&signed).await?;
    // Before a factor was shown only the kinds are told: what to ask for.
    let overview = if signed.pending.is_some_and(vms_app::identity::Pending::is_to_show) {
        None
    } else {
        Some(api.cases.factors(&signed).await?)
    };
    Ok(Json(FactorsView::of(&held, &offered, overview)))
}

/// Removes one of the own second factors.
#[utoipa::path(delete, path = "/api/v1/session/factors/{id}", tag = "session", params(("id" = String, Path)), responses(
    (status = 204, description = "Removed"),
    (status = 403, description = "`step_up_needed`", body = Problem),
    (status = 404, description = "None", body = Problem),
    (status = 422, description = "`invalid`: the last one of an account that needs one", body = Problem)))]
async fn factor_remove(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    api.cases.factor_remove(&session.0, path_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Begins the enrolment of an authenticator app.
#[utoipa::path(post, path = "/api/v1/session/factors/totp", tag = "session", request_body = NameDto, responses(
    (status = 201, description = "The secret, to be shown once", body = TotpView),
    (status = 403, description = "`step_up_needed`, `second_factor_required`, `password_change_required`", body = Problem),
    (status = 422, description = "`invalid`", body = Problem)))]
async fn totp_begin(
    State(api): State<Api>,
    AnySession(signed): AnySession,
    Body(dto): Body<NameDto>,
) -> Result<(StatusCode, Json<TotpView>), Problem> {
    let begun = api.cases.totp_begin(&signed, &dto.name).await?;
    Ok((StatusCode::CREATED, Json(begun.into())))
}

/// Ends the enrolment of an authenticator app with a code of it. Recovery codes come with the first second factor.
#[utoipa::path(post, path = "/api/v1/session/factors/totp/{id}", tag = "session", params(("id" = String, Path)),
    request_body = CodeDto, responses(
    (status = 200, description = "Enrolled; recovery codes, to be shown once", body = RecoveryView),
    (status = 403, description = "`factor_failed`", body = Problem),
    (status = 404, description = "None", body = Problem),
    (status = 429, description = "`too_many_tries`", body = Problem)))]
async fn totp_confirm(
    State(api): State<Api>,
    AnySession(signed): AnySession,
    source: Source,
    Path(id): Path<String>,
    Body(dto): Body<CodeDto>,
) -> Result<Json<RecoveryView>, Problem> {
    let codes = api.cases.totp_confirm(&signed, path_id(&id)?, &dto.code, &source.0).await?;
    Ok(Json(codes.into()))
}

/// A challenge for a new security key.
#[utoipa::path(post, path = "/api/v1/session/factors/key-challenge", tag = "session", responses(
    (status = 200, description = "The challenge", body = KeyChallengeView),
    (status = 403, description = "`step_up_needed`, `second_factor_required`", body = Problem),
    (status = 409, description = "`no_such_service`: the console has no name that keys can be bound to", body = Problem)))]
async fn key_begin(State(api): State<Api>, AnySession(signed): AnySession) -> Result<Json<KeyChallengeView>, Problem> {
    Ok(Json(api.cases.key_begin(&signed).await?.into()))
}

/// Enrols a security key with its answer to the challenge.
#[utoipa::path(post, path = "/api/v1/session/factors/key", tag = "session", request_body = KeyEnrolDto, responses(
    (status = 200, description = "Enrolled; recovery codes, to be shown once", body = RecoveryView),
    (status = 403, description = "`factor_failed`, `step_up_needed`", body = Problem),
    (status = 409, description = "`taken`: the key is enrolled already", body = Problem),
    (status = 429, description = "`too_many_tries`", body = Problem)))]
async fn key_enrol(
    State(api): State<Api>,
    AnySession(signed): AnySession,
    source: Source,
    Body(dto): Body<KeyEnrolDto>,
) -> Result<Json<RecoveryView>, Problem> {
    let codes = api.cases.key_register(&signed, &dto.name, &answer(&dto.key)?, &source.0).await?;
    Ok(Json(codes.into()))
}

/// New recovery codes; the old ones are dead.
#[utoipa::path(post, path = "/api/v1/session/recovery-codes", tag = "session", responses(
    (status = 200, description = "To be shown once", body = RecoveryView),
    (status = 403, description = "`step_up_needed`", body = Problem)))]
async fn recovery_renew(State(api): State<Api>, session: Session) -> Result<Json<RecoveryView>, Problem> {
    Ok(Json(api.cases.recovery_renew(&session.0).await?.into()))
}

/// The own sessions that are open.
#[utoipa::path(get, path = "/api/v1/session/all", tag = "session", responses(
    (status = 200, description = "The youngest first; the asking one is among them", body = Page<OwnSessionView>)))]
async fn own_sessions(State(api): State<Api>, session: Session) -> Result<Json<Page<OwnSessionView>>, Problem> {
    let list = api.cases.own_sessions(&session.0).await?;
    let current = session.0.session.id;
    let items = list.iter().map(|one| OwnSessionView::of(one, current)).collect();
    Ok(Json(Page { items, next_cursor: None }))
}

/// Ends one of the own sessions and its running streams.
#[utoipa::path(delete, path = "/api/v1/session/all/{id}", tag = "session", params(("id" = String, Path)), responses(
    (status = 204, description = "Ended"),
    (status = 404, description = "Not one's own, or over", body = Problem)))]
async fn own_session_end(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    api.cases.own_session_end(&session.0, path_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What changed about the own account and was not looked at yet.
#[utoipa::path(get, path = "/api/v1/session/notices", tag = "session", responses(
    (status = 200, description = "The youngest first, at most a hundred", body = Page<AccountNoticeView>)))]
async fn own_notices(State(api): State<Api>, session: Session) -> Result<Json<Page<AccountNoticeView>>, Problem> {
    let list = api.cases.own_notices(&session.0).await?;
    Ok(Json(Page { items: list.iter().map(AccountNoticeView::from).collect(), next_cursor: None }))
}

/// The owner looked at them.
#[utoipa::path(post, path = "/api/v1/session/notices/seen", tag = "session", responses(
    (status = 204, description = "Noted")))]
async fn own_notices_seen(State(api): State<Api>, session: Session) -> Result<StatusCode, Problem> {
    api.cases.own_notices_seen(&session.0).await?;
    Ok(StatusCode::NO_CONTENT)
}
