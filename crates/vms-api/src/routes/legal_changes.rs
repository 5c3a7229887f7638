//! Changes of cameras' legal fields: proposed by one person, approved or refused by another.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_app::legal_changes::Settling;
use vms_core::CameraId;

use crate::dto::common::{Page, path_id};
use crate::dto::legal::{LegalChangeDto, LegalChangeView, RefusalDto};
use crate::problem::Problem;
use crate::session::{Body, Session};
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(legal_change_list))
        .routes(routes!(legal_change_list_of, legal_change_propose))
        .routes(routes!(legal_change_approve))
        .routes(routes!(legal_change_refuse))
        .routes(routes!(legal_change_withdraw))
}

async fn one(api: &Api, session: &Session, camera: CameraId, id: &str) -> Result<Json<LegalChangeView>, Problem> {
    let all = api.cases.legal_change_list_of(session.actor(), camera).await?;
    let found = all.iter().find(|sight| sight.change.id.to_string() == id);
    found.map(|sight| Json(LegalChangeView::from(sight))).ok_or_else(Problem::not_found)
}

/// Proposals that wait, of cameras whose legal fields the caller may propose, approve or audit.
#[utoipa::path(get, path = "/api/v1/legal-changes", tag = "cameras", responses(
    (status = 200, description = "Oldest first", body = Page<LegalChangeView>),
    (status = 403, description = "Not allowed", body = Problem)))]
async fn legal_change_list(State(api): State<Api>, session: Session) -> Result<Json<Page<LegalChangeView>>, Problem> {
    let all = api.cases.legal_change_list(session.actor()).await?;
    Ok(Json(Page { items: all.iter().map(LegalChangeView::from).collect(), next_cursor: None }))
}

/// Every version of a camera's legal fields since its approval, with what waits.
#[utoipa::path(get, path = "/api/v1/cameras/{id}/legal-changes", tag = "cameras", params(("id" = String, Path)),
    responses(
    (status = 200, description = "Newest first", body = Page<LegalChangeView>),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None that the caller may know of", body = Problem)))]
async fn legal_change_list_of(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<Page<LegalChangeView>>, Problem> {
    let all = api.cases.legal_change_list_of(session.actor(), path_id(&id)?).await?;
    Ok(Json(Page { items: all.iter().map(LegalChangeView::from).collect(), next_cursor: None }))
}

/// Proposes a change. The camera goes on under its old fields until somebody else approves.
#[utoipa::path(post, path = "/api/v1/cameras/{id}/legal-changes", tag = "cameras", params(("id" = String, Path)),
    request_body = LegalChangeDto, responses(
    (status = 201, description = "The proposal, which waits", body = LegalChangeView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None that the caller may know of", body = Problem),
    (status = 409, description = "`taken`: another waits; `wrong_state`; `partners_camera`", body = Problem),
    (status = 422, description = "`invalid`, with `errors`", body = Problem)))]
async fn legal_change_propose(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<LegalChangeDto>,
) -> Result<(StatusCode, Json<LegalChangeView>), Problem> {
    let camera = path_id(&id)?;
    let (patch, reason) = dto.into_patch()?;
    let change = api.cases.legal_change_propose(session.actor(), camera, patch, &reason).await?;
    Ok((StatusCode::CREATED, one(&api, &session, camera, &change.id.to_string()).await?))
}

async fn settled(api: &Api, session: &Session, id: &str, how: Settling) -> Result<Json<LegalChangeView>, Problem> {
    let change = api.cases.legal_change_settle(session.actor(), path_id(id)?, how).await?;
    one(api, session, change.camera, id).await
}

/// Approves a proposal: its fields are in force at once. Never by its proposer.
#[utoipa::path(post, path = "/api/v1/legal-changes/{id}/approve", tag = "cameras", params(("id" = String, Path)),
    responses(
    (status = 200, description = "The version that is in force now", body = LegalChangeView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None that the caller may know of", body = Problem),
    (status = 409, description = "`same_person`, `wrong_state`", body = Problem),
    (status = 412, description = "`changed_meanwhile`", body = Problem)))]
async fn legal_change_approve(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<LegalChangeView>, Problem> {
    settled(&api, &session, &id, Settling::Approve).await
}

/// Refuses a proposal, with a reason. Never by its proposer, who can take it back.
#[utoipa::path(post, path = "/api/v1/legal-changes/{id}/refuse", tag = "cameras", params(("id" = String, Path)),
    request_body = RefusalDto, responses(
    (status = 200, description = "The refused proposal", body = LegalChangeView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None that the caller may know of", body = Problem),
    (status = 409, description = "`same_person`, `wrong_state`", body = Problem),
    (status = 422, description = "`invalid`: the reason", body = Problem)))]
async fn legal_change_refuse(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<RefusalDto>,
) -> Result<Json<LegalChangeView>, Problem> {
    settled(&api, &session, &id, Settling::Refuse(dto.reason)).await
}

/// The proposer takes a proposal back.
#[utoipa::path(post, path = "/api/v1/legal-changes/{id}/withdraw", tag = "cameras", params(("id" = String, Path)),
    responses(
    (status = 200, description = "The proposal, which waits no more", body = LegalChangeView),
    (status = 404, description = "None of the caller", body = Problem),
    (status = 409, description = "`wrong_state`", body = Problem)))]
async fn legal_change_withdraw(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<LegalChangeView>, Problem> {
    settled(&api, &session, &id, Settling::Withdraw).await
}
