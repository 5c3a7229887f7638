//! Footage and police reads past their first term: proposed by one person, agreed by another, kept behind the magistrate's gate.

use axum::Json;
use axum::extract::{Path, Query, State};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;
use vms_app::gated::GatedStep;
use vms_core::Right;

use crate::dto::common::{Page, PageQuery, parse_word, path_id};
use crate::dto::gated::{GatedDto, GatedView};
use crate::dto::legal::RefusalDto;
use crate::problem::Problem;
use crate::session::{Body, Session};
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(gated_list, gated_propose))
        .routes(routes!(gated_fetch))
        .routes(routes!(gated_approve))
        .routes(routes!(gated_refuse))
}

async fn one(api: &Api, session: &Session, id: Uuid) -> Result<Json<GatedView>, Problem> {
    Ok(Json(GatedView::from(&api.cases.gated_fetch(session.actor(), id).await?)))
}

/// Decisions on cameras for which the caller may propose or agree. A page may be shorter than asked for and still have a next one.
#[utoipa::path(get, path = "/api/v1/gated", tag = "holds", params(PageQuery), responses(
    (status = 200, description = "Newest first", body = Page<GatedView>),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 422, description = "`invalid`: the cursor", body = Problem)))]
async fn gated_list(
    State(api): State<Api>,
    session: Session,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<GatedView>>, Problem> {
    let below = page.after()?.as_deref().map(|id| parse_word("cursor", id)).transpose()?;
    let (decisions, next) = api.cases.gated_list(session.actor(), below, page.limit()).await?;
    let next_cursor = next.map(|id| Page::<GatedView>::cursor(&id.to_string()));
    Ok(Json(Page { items: decisions.iter().map(GatedView::from).collect(), next_cursor }))
}

/// Proposes to keep hours of a camera, or of the police reads made at it, past their first term. Nothing moves before somebody else agrees, and it gives nobody the right to see
/// them: that takes a magistrate's written decision each time.
#[utoipa::path(post, path = "/api/v1/gated", tag = "holds", request_body = GatedDto, responses(
    (status = 201, description = "The proposal", body = GatedView),
    (status = 403, description = "Not allowed, or something is missing", body = Problem),
    (status = 404, description = "No camera that the caller may know of", body = Problem),
    (status = 409, description = "`partners_camera`: its footage is not here", body = Problem),
    (status = 422, description = "`invalid`, with `errors`: `no_second_term`, `not_of_this_camera`, `past_its_term` …", body = Problem)))]
async fn gated_propose(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<GatedDto>,
) -> Result<(StatusCode, Json<GatedView>), Problem> {
    let decision = api.cases.gated_propose(session.actor(), dto.into_wish()?).await?;
    Ok((StatusCode::CREATED, one(&api, &session, decision.id).await?))
}

/// One decision.
#[utoipa::path(get, path = "/api/v1/gated/{id}", tag = "holds", params(("id" = String, Path)), responses(
    (status = 200, description = "The decision", body = GatedView),
    (status = 404, description = "None that the caller may know of", body = Problem)))]
async fn gated_fetch(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<GatedView>, Problem> {
    one(&api, &session, path_id(&id)?).await
}

/// Agrees: the hours move behind the gate at the end of their first term. Never by whoever proposed it.
#[utoipa::path(post, path = "/api/v1/gated/{id}/approve", tag = "holds", params(("id" = String, Path)), responses(
    (status = 200, description = "The decision, in force", body = GatedView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None that the caller may know of", body = Problem),
    (status = 409, description = "`same_person`, `wrong_state`", body = Problem),
    (status = 412, description = "`changed_meanwhile`", body = Problem),
    (status = 422, description = "`invalid`: its first term is over by now", body = Problem)))]
async fn gated_approve(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<GatedView>, Problem> {
    api.cases.fresh_factor_for(&session.0, &[Right::GatedApprove]).await?;
    let id = path_id(&id)?;
    api.cases.gated_settle(session.actor(), id, GatedStep::Approve).await?;
    one(&api, &session, id).await
}

/// Refuses: the hours die at the end of their first term. Never by whoever proposed it.
#[utoipa::path(post, path = "/api/v1/gated/{id}/refuse", tag = "holds", params(("id" = String, Path)),
    request_body = RefusalDto, responses(
    (status = 200, description = "The decision, refused", body = GatedView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None that the caller may know of", body = Problem),
    (status = 409, description = "`same_person`, `wrong_state`", body = Problem),
    (status = 422, description = "`invalid`: the reason", body = Problem)))]
async fn gated_refuse(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<RefusalDto>,
) -> Result<Json<GatedView>, Problem> {
    let id = path_id(&id)?;
    api.cases.gated_settle(session.actor(), id, GatedStep::Refuse(dto.reason)).await?;
    one(&api, &session, id).await
}
