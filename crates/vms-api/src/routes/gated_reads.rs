//! Searches of police reads behind the magistrate's gate: ordered by one person, agreed to by another, opened by who ordered them.

use axum::Json;
use axum::extract::{Path, Query, State};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;
use vms_app::gated::GatedStep;
use vms_core::Right;

use super::reads::cursor;
use crate::dto::common::{Page, PageQuery, parse_word, path_id};
use crate::dto::gated_reads::{GatedSearchDto, GatedSearchView};
use crate::dto::legal::RefusalDto;
use crate::dto::read::ReadPageView;
use crate::problem::Problem;
use crate::session::{Body, Session};
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(gated_search_list, gated_search_order))
        .routes(routes!(gated_search_fetch))
        .routes(routes!(gated_search_approve))
        .routes(routes!(gated_search_refuse))
        .routes(routes!(gated_search_open))
}

async fn one(api: &Api, session: &Session, id: Uuid) -> Result<Json<GatedSearchView>, Problem> {
    Ok(Json(GatedSearchView::from(&api.cases.gated_search_fetch(session.actor(), id).await?)))
}

/// The caller's own orders, and all of the own organisation for whoever may agree to them. They name plates, so that looking at them is a
/// use. A page may be shorter than asked for and still have a next one.
#[utoipa::path(get, path = "/api/v1/reads/gated-searches", tag = "reads", params(PageQuery), responses(
    (status = 200, description = "Newest first", body = Page<GatedSearchView>),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 422, description = "`invalid`: the cursor", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn gated_search_list(
    State(api): State<Api>,
    session: Session,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<GatedSearchView>>, Problem> {
    let below = page.after()?.as_deref().map(|id| parse_word("cursor", id)).transpose()?;
    let (searches, next) = api.cases.gated_search_list(session.actor(), below, page.limit()).await?;
    let next_cursor = next.map(|id| Page::<GatedSearchView>::cursor(&id.to_string()));
    Ok(Json(Page { items: searches.iter().map(GatedSearchView::from).collect(), next_cursor }))
}

/// Orders a search of police reads past their first term, under a magistrate's written decision. Nothing is opened before somebody else
/// agrees. The log gets a keyed hash of what is looked for.
#[utoipa::path(post, path = "/api/v1/reads/gated-searches", tag = "reads", request_body = GatedSearchDto, responses(
    (status = 201, description = "The order", body = GatedSearchView),
    (status = 403, description = "Not allowed, `too_old`, or something is missing, such as `magistrate_required`", body = Problem),
    (status = 404, description = "No camera that the caller may know of", body = Problem),
    (status = 422, description = "`invalid`, with `errors`: `plate_or_camera`, `not_a_plate`, `too_open`, `span_too_long`, `past_its_term` …",
        body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn gated_search_order(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<GatedSearchDto>,
) -> Result<(StatusCode, Json<GatedSearchView>), Problem> {
    let search = api.cases.gated_search_order(session.actor(), dto.into_wish()?).await?;
    Ok((StatusCode::CREATED, one(&api, &session, search.id).await?))
}

/// One order.
#[utoipa::path(get, path = "/api/v1/reads/gated-searches/{id}", tag = "reads", params(("id" = String, Path)), responses(
    (status = 200, description = "The order", body = GatedSearchView),
    (status = 404, description = "None that the caller may know of", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn gated_search_fetch(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<GatedSearchView>, Problem> {
    one(&api, &session, path_id(&id)?).await
}

/// Agrees: whoever ordered the search may open it for a week from now. Never by whoever ordered it.
#[utoipa::path(post, path = "/api/v1/reads/gated-searches/{id}/approve", tag = "reads", params(("id" = String, Path)), responses(
    (status = 200, description = "The order, in force", body = GatedSearchView),
    (status = 403, description = "Not allowed, or `step_up_needed`", body = Problem),
    (status = 404, description = "None that the caller may know of", body = Problem),
    (status = 409, description = "`same_person`, `wrong_state`", body = Problem),
    (status = 412, description = "`changed_meanwhile`", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn gated_search_approve(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<GatedSearchView>, Problem> {
    api.cases.fresh_factor_for(&session.0, &[Right::GatedApprove]).await?;
    let id = path_id(&id)?;
    api.cases.gated_search_settle(session.actor(), id, GatedStep::Approve).await?;
    one(&api, &session, id).await
}

/// Refuses: nobody opens it. Never by whoever ordered it.
#[utoipa::path(post, path = "/api/v1/reads/gated-searches/{id}/refuse", tag = "reads", params(("id" = String, Path)),
    request_body = RefusalDto, responses(
    (status = 200, description = "The order, refused", body = GatedSearchView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None that the caller may know of", body = Problem),
    (status = 409, description = "`same_person`, `wrong_state`", body = Problem),
    (status = 412, description = "`changed_meanwhile`", body = Problem),
    (status = 422, description = "`invalid`: the reason", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn gated_search_refuse(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<RefusalDto>,
) -> Result<Json<GatedSearchView>, Problem> {
    let id = path_id(&id)?;
    api.cases.gated_search_settle(session.actor(), id, GatedStep::Refuse(dto.reason)).await?;
    one(&api, &session, id).await
}

/// Opens the reads that the order names, by whoever ordered it, while the medium with the gate's key is attached. Each page is a use of its own
/// in the log; its pictures carry its decision. A page may be shorter than asked for, or empty, and still have a next one.
#[utoipa::path(post, path = "/api/v1/reads/gated-searches/{id}/open", tag = "reads", params(("id" = String, Path), PageQuery), responses(
    (status = 200, description = "Newest first, under one logged decision", body = ReadPageView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None that the caller may know of", body = Problem),
    (status = 409, description = "`wrong_state`: nobody agreed yet, it was refused, it is over, or somebody else ordered it", body = Problem),
    (status = 422, description = "`invalid`: the cursor", body = Problem),
    (status = 503, description = "`gate_away`, `log_unavailable`", body = Problem)))]
async fn gated_search_open(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<ReadPageView>, Problem> {
    let (id, after) = (path_id(&id)?, cursor(&page)?);
    let found = api.cases.gated_search_open(session.actor(), id, after, page.limit()).await?;
    Ok(Json(ReadPageView::of_gate(&found)))
}
