//! Machines: their tokens, and their certificates as administrators note them and take them back.

use axum::Json;
use axum::extract::{Extension, Path, State};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_core::Right;

use crate::dto::common::{Page, parse_instant, path_id};
use crate::dto::machines::{CertificateDto, CertificateView, TokenView};
use crate::machines::ClientCertificate;
use crate::problem::Problem;
use crate::session::{Body, Session, Source};
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(token))
        .routes(routes!(certificates, certificate_add))
        .routes(routes!(certificate_revoke))
}

/// A short token for the machine whose certificate was shown to the listener for machines.
#[utoipa::path(post, path = "/api/v1/machine/token", tag = "machines", responses(
    (status = 200, description = "The token; it belongs to this certificate", body = TokenView),
    (status = 401, description = "`login_failed`: the certificate opens nothing; `certificate_needed`: none was shown, this is not \
        the listener for machines", body = Problem),
    (status = 429, description = "`too_many_tries`", body = Problem)))]
async fn token(
    State(api): State<Api>,
    source: Source,
    certificate: Option<Extension<ClientCertificate>>,
) -> Result<Json<TokenView>, Problem> {
    let Some(Extension(certificate)) = certificate else {
        let title = "Show a client certificate to the listener for machines";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "certificate_needed", title));
    };
    let opened = api.cases.machine_token(&certificate.0, &source.0).await?;
    Ok(Json(TokenView::from(&opened)))
}

/// Certificates of a machine's account.
#[utoipa::path(get, path = "/api/v1/users/{id}/certificates", tag = "machines", params(("id" = String, Path)), responses(
    (status = 200, description = "The youngest first, also those that were taken back", body = Page<CertificateView>),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None", body = Problem),
    (status = 422, description = "`invalid`: not a machine's account", body = Problem)))]
async fn certificates(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<Page<CertificateView>>, Problem> {
    let list = api.cases.machine_certificates(session.actor(), path_id(&id)?).await?;
    Ok(Json(Page { items: list.iter().map(CertificateView::from).collect(), next_cursor: None }))
}

/// Notes a certificate for a machine's account.
#[utoipa::path(post, path = "/api/v1/users/{id}/certificates", tag = "machines", params(("id" = String, Path)),
    request_body = CertificateDto, responses(
    (status = 201, description = "Noted", body = CertificateView),
    (status = 403, description = "Not allowed, or `step_up_needed`", body = Problem),
    (status = 404, description = "None", body = Problem),
    (status = 409, description = "`taken`: noted already, also when it was taken back", body = Problem),
    (status = 422, description = "`invalid`", body = Problem)))]
async fn certificate_add(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<CertificateDto>,
) -> Result<(StatusCode, Json<CertificateView>), Problem> {
    api.cases.fresh_factor_for(&session.0, &[Right::UserAdmin]).await?;
    let ends_at = parse_instant("ends_at", &dto.ends_at)?;
    let user = path_id(&id)?;
    let made = api.cases.machine_certificate_add(session.actor(), user, &dto.fingerprint, &dto.name, ends_at).await?;
    Ok((StatusCode::CREATED, Json(CertificateView::from(&made))))
}

/// Takes a certificate back: the next request with it is refused, and what runs with it stops.
#[utoipa::path(delete, path = "/api/v1/users/{id}/certificates/{fingerprint}", tag = "machines",
    params(("id" = String, Path), ("fingerprint" = String, Path)), responses(
    (status = 204, description = "Taken back"),
    (status = 403, description = "Not allowed, or `step_up_needed`", body = Problem),
    (status = 404, description = "None", body = Problem),
    (status = 422, description = "`invalid`: not a machine's account", body = Problem)))]
async fn certificate_revoke(
    State(api): State<Api>,
    session: Session,
    Path((id, fingerprint)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    api.cases.fresh_factor_for(&session.0, &[Right::UserAdmin]).await?;
    api.cases.machine_certificate_revoke(session.actor(), path_id(&id)?, &fingerprint).await?;
    Ok(StatusCode::NO_CONTENT)
}
