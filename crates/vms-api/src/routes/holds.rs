//! Holds on footage: set by one person, released by two.

use axum::Json;
use axum::extract::{Path, Query, State};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_app::holds::HoldStep;
use vms_core::{HoldId, Right};

use crate::dto::common::{Page, PageQuery, parse_instant, parse_word, path_id};
use crate::dto::holds::{HoldDto, HoldQuery, HoldReviewDto, HoldView};
use crate::dto::legal::RefusalDto;
use crate::problem::Problem;
use crate::session::{Body, Session};
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(hold_list, hold_set))
        .routes(routes!(hold_fetch))
        .routes(routes!(hold_ask_release))
        .routes(routes!(hold_release))
        .routes(routes!(hold_keep_on))
        .routes(routes!(hold_review))
}

async fn one(api: &Api, session: &Session, id: HoldId) -> Result<Json<HoldView>, Problem> {
    Ok(Json(HoldView::from(&api.cases.hold_fetch(session.actor(), id).await?)))
}

async fn stepped(api: &Api, session: &Session, id: &str, step: HoldStep) -> Result<Json<HoldView>, Problem> {
    let id = path_id(id)?;
    api.cases.hold_step(session.actor(), id, step).await?;
    one(api, session, id).await
}

/// Holds on cameras for which the caller may set, release or audit them.
#[utoipa::path(get, path = "/api/v1/holds", tag = "holds", params(HoldQuery, PageQuery), responses(
    (status = 200, description = "Newest first", body = Page<HoldView>),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 422, description = "`invalid`: the state or the cursor", body = Problem)))]
async fn hold_list(
    State(api): State<Api>,
    session: Session,
    Query(query): Query<HoldQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<HoldView>>, Problem> {
    let below = page.after()?.as_deref().map(|id| parse_word("cursor", id)).transpose()?;
    let (holds, next) = api.cases.hold_list(session.actor(), query.open()?, below, page.limit()).await?;
    let next_cursor = next.map(|id| Page::<HoldView>::cursor(&id.to_string()));
    Ok(Json(Page { items: holds.iter().map(HoldView::from).collect(), next_cursor }))
}

/// Keeps footage past its term. It gives nobody the right to see it.
#[utoipa::path(post, path = "/api/v1/holds", tag = "holds", request_body = HoldDto, responses(
    (status = 201, description = "The hold, in force", body = HoldView),
    (status = 403, description = "Not allowed, or something is missing", body = Problem),
    (status = 404, description = "No camera that the caller may know of", body = Problem),
    (status = 409, description = "`partners_camera`: its footage is not here", body = Problem),
    (status = 422, description = "`invalid`, with `errors`", body = Problem)))]
async fn hold_set(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<HoldDto>,
) -> Result<(StatusCode, Json<HoldView>), Problem> {
    let hold = api.cases.hold_set(session.actor(), dto.into_wish()?).await?;
    Ok((StatusCode::CREATED, one(&api, &session, hold.id).await?))
}

/// One hold.
#[utoipa::path(get, path = "/api/v1/holds/{id}", tag = "holds", params(("id" = String, Path)), responses(
    (status = 200, description = "The hold", body = HoldView),
    (status = 404, description = "None that the caller may know of", body = Problem)))]
async fn hold_fetch(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<HoldView>, Problem> {
    one(&api, &session, path_id(&id)?).await
}

/// Says that a hold is no longer needed. It goes on until somebody else agrees.
#[utoipa::path(post, path = "/api/v1/holds/{id}/ask-release", tag = "holds", params(("id" = String, Path)),
    request_body = RefusalDto, responses(
    (status = 200, description = "The hold, which goes on", body = HoldView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None that the caller may know of", body = Problem),
    (status = 409, description = "`wrong_state`", body = Problem),
    (status = 422, description = "`invalid`: the reason", body = Problem)))]
async fn hold_ask_release(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<RefusalDto>,
) -> Result<Json<HoldView>, Problem> {
    stepped(&api, &session, &id, HoldStep::AskRelease(dto.reason)).await
}

/// Agrees to the release: what is past its term is erased. Never by whoever asked for it.
#[utoipa::path(post, path = "/api/v1/holds/{id}/release", tag = "holds", params(("id" = String, Path)), responses(
    (status = 200, description = "The hold, released", body = HoldView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None that the caller may know of", body = Problem),
    (status = 409, description = "`same_person`, `wrong_state`", body = Problem),
    (status = 412, description = "`changed_meanwhile`", body = Problem)))]
async fn hold_release(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<HoldView>, Problem> {
    api.cases.fresh_factor_for(&session.0, &[Right::HoldRelease]).await?;
    stepped(&api, &session, &id, HoldStep::Release).await
}

/// Ends the wish for a release; the hold goes on.
#[utoipa::path(post, path = "/api/v1/holds/{id}/keep-on", tag = "holds", params(("id" = String, Path)), responses(
    (status = 200, description = "The hold, which goes on", body = HoldView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None that the caller may know of", body = Problem),
    (status = 409, description = "`wrong_state`", body = Problem)))]
async fn hold_keep_on(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<HoldView>, Problem> {
    stepped(&api, &session, &id, HoldStep::KeepOn).await
}

/// Says why a hold is still needed, and until when. Never by whoever set it.
#[utoipa::path(post, path = "/api/v1/holds/{id}/review", tag = "holds", params(("id" = String, Path)),
    request_body = HoldReviewDto, responses(
    (status = 200, description = "The hold, with its new term", body = HoldView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None that the caller may know of", body = Problem),
    (status = 409, description = "`same_person`, `wrong_state`", body = Problem),
    (status = 422, description = "`invalid`: the reason or the term", body = Problem)))]
async fn hold_review(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<HoldReviewDto>,
) -> Result<Json<HoldView>, Problem> {
    let until = parse_instant("until", &dto.until)?;
    stepped(&api, &session, &id, HoldStep::Review(dto.reason, until)).await
}
