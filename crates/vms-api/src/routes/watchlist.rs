//! Watchlists and hits. A hit is an indication until a person has compared it with the picture.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_app::UseCaseError;
use vms_app::lez_ports::PictureKind;
use vms_app::watchlist::EntryStep;
use vms_app::watchlist_ports::EntryKind;
use vms_core::Right;

use super::reads::jpeg;
use crate::dto::common::{Page, PageQuery, parse_word, path_id};
use crate::dto::legal::RefusalDto;
use crate::dto::watchlist::{EntryDto, EntryView, HitDecideDto, HitListQuery, HitView, WatchSizeView, WatchSizesView};
use crate::problem::Problem;
use crate::session::{Body, Session};
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(watch_list, watch_propose))
        .routes(routes!(watch_propose_urgent))
        .routes(routes!(watch_sizes))
        .routes(routes!(watch_approve))
        .routes(routes!(watch_refuse))
        .routes(routes!(watch_end))
        .routes(routes!(hit_list))
        .routes(routes!(hit_decide))
        .routes(routes!(hit_crop))
        .routes(routes!(hit_overview))
}

/// Entries of the own zone that have not ended.
#[utoipa::path(get, path = "/api/v1/watchlist", tag = "watchlist", params(PageQuery), responses(
    (status = 200, description = "Newest first", body = Page<EntryView>),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 422, description = "`invalid`: the cursor", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn watch_list(
    State(api): State<Api>,
    session: Session,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<EntryView>>, Problem> {
    let below = page.after()?.map(|id| parse_word("cursor", &id)).transpose()?;
    let sights = api.cases.watch_list(session.actor(), below, page.limit()).await?;
    let rows: Vec<EntryView> = sights.iter().map(EntryView::from).collect();
    Ok(Json(Page::new(rows, page.limit(), |last| last.id.clone())))
}

async fn propose(
    api: &Api,
    session: &Session,
    dto: EntryDto,
    kind: EntryKind,
) -> Result<(StatusCode, Json<EntryView>), Problem> {
    let sight = api.cases.watch_propose(session.actor(), dto.into_wish(kind)?).await?;
    Ok((StatusCode::CREATED, Json(EntryView::from(&sight))))
}

/// Puts a plate before the second person. Nothing is compared with it before somebody else agrees; it ends by itself, after 12 months at most.
#[utoipa::path(post, path = "/api/v1/watchlist", tag = "watchlist", request_body = EntryDto, responses(
    (status = 201, description = "The entry, proposed", body = EntryView),
    (status = 403, description = "Not allowed, or something is missing", body = Problem),
    (status = 409, description = "`queue_full`: the zone has as many entries as it may", body = Problem),
    (status = 422, description = "`invalid`: the plate, the end (`too_soon`, `past_the_term`) or the purpose", body = Problem)))]
async fn watch_propose(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<EntryDto>,
) -> Result<(StatusCode, Json<EntryView>), Problem> {
    propose(&api, &session, dto, EntryKind::Regular).await
}

/// The same by an operator in a hurry, for 24 hours at most; it needs the second person all the same.
#[utoipa::path(post, path = "/api/v1/watchlist/urgent", tag = "watchlist", request_body = EntryDto, responses(
    (status = 201, description = "The entry, proposed", body = EntryView),
    (status = 403, description = "Not allowed, or something is missing", body = Problem),
    (status = 409, description = "`queue_full`: the zone has as many entries as it may", body = Problem),
    (status = 422, description = "`invalid`: the plate, the end (`too_soon`, `past_the_term`) or the purpose", body = Problem)))]
async fn watch_propose_urgent(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<EntryDto>,
) -> Result<(StatusCode, Json<EntryView>), Problem> {
    propose(&api, &session, dto, EntryKind::Urgent).await
}

/// Names, sizes and ages of lists, no entry.
#[utoipa::path(get, path = "/api/v1/watchlist/summary", tag = "watchlist", responses(
    (status = 200, description = "By zone, kind and purpose", body = WatchSizesView),
    (status = 403, description = "Not allowed", body = Problem)))]
async fn watch_sizes(State(api): State<Api>, session: Session) -> Result<Json<WatchSizesView>, Problem> {
    let sizes = api.cases.watch_sizes(session.actor()).await?;
    Ok(Json(WatchSizesView { items: sizes.iter().map(WatchSizeView::from).collect() }))
}

/// Agrees: from now on reads are compared with it. Never by whoever proposed it.
#[utoipa::path(post, path = "/api/v1/watchlist/{id}/approve", tag = "watchlist", params(("id" = String, Path)), responses(
    (status = 200, description = "The entry, in force", body = EntryView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None of the own zone", body = Problem),
    (status = 409, description = "`same_person`, `wrong_state`", body = Problem),
    (status = 412, description = "`changed_meanwhile`", body = Problem)))]
async fn watch_approve(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<EntryView>, Problem> {
    api.cases.fresh_factor_for(&session.0, &[Right::WatchlistApprove]).await?;
    let sight = api.cases.watch_settle(session.actor(), path_id(&id)?, EntryStep::Approve).await?;
    Ok(Json(EntryView::from(&sight)))
}

/// Refuses. Never by whoever proposed it.
#[utoipa::path(post, path = "/api/v1/watchlist/{id}/refuse", tag = "watchlist", params(("id" = String, Path)),
    request_body = RefusalDto, responses(
    (status = 200, description = "The entry, refused", body = EntryView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None of the own zone", body = Problem),
    (status = 409, description = "`same_person`, `wrong_state`", body = Problem),
    (status = 422, description = "`invalid`: the reason", body = Problem)))]
async fn watch_refuse(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<RefusalDto>,
) -> Result<Json<EntryView>, Problem> {
    let sight = api.cases.watch_settle(session.actor(), path_id(&id)?, EntryStep::Refuse(dto.reason)).await?;
    Ok(Json(EntryView::from(&sight)))
}

/// Ends an entry before its time: it is gone, and its key dies within a second.
#[utoipa::path(post, path = "/api/v1/watchlist/{id}/end", tag = "watchlist", params(("id" = String, Path)),
    request_body = RefusalDto, responses(
    (status = 204, description = "It has ended"),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None of the own zone", body = Problem),
    (status = 422, description = "`invalid`: the reason", body = Problem)))]
async fn watch_end(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<RefusalDto>,
) -> Result<StatusCode, Problem> {
    api.cases.watch_end(session.actor(), path_id(&id)?, &dto.reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Hits of the own zone.
#[utoipa::path(get, path = "/api/v1/hits", tag = "watchlist", params(HitListQuery, PageQuery), responses(
    (status = 200, description = "Newest first", body = Page<HitView>),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 422, description = "`invalid`: the state or the cursor", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn hit_list(
    State(api): State<Api>,
    session: Session,
    Query(query): Query<HitListQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<HitView>>, Problem> {
    let below = page.after()?.map(|id| parse_word("cursor", &id)).transpose()?;
    let list = api.cases.hit_list(session.actor(), query.state()?, below, page.limit()).await?;
    Ok(Json(Page::new(HitView::page(&list), page.limit(), |last| last.id.clone())))
}

/// Confirms a hit against its picture, or dismisses it. Confirming takes the plate that the person read in the picture.
#[utoipa::path(post, path = "/api/v1/hits/{id}/decide", tag = "watchlist", params(("id" = String, Path)),
    request_body = HitDecideDto, responses(
    (status = 200, description = "The hit as it is now", body = HitView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None of the own zone", body = Problem),
    (status = 409, description = "`wrong_state`: decided already, or without a picture", body = Problem),
    (status = 412, description = "`changed_meanwhile`", body = Problem),
    (status = 422, description = "`invalid`: the verdict, the reason, or `not_the_plate`", body = Problem)))]
async fn hit_decide(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<HitDecideDto>,
) -> Result<Json<HitView>, Problem> {
    let seen = dto.seen_etag.trim_matches('"').parse().map_err(|_| UseCaseError::VersionStale)?;
    let hit = api.cases.hit_decide(session.actor(), path_id(&id)?, seen, dto.into_step()?).await?;
    Ok(Json(HitView::new(&hit, false)))
}

/// The plate.
#[utoipa::path(get, path = "/api/v1/hits/{id}/crop.jpg", tag = "watchlist", params(("id" = String, Path)), responses(
    (status = 200, description = "The picture", content_type = "image/jpeg"),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None of the own zone, or no picture", body = Problem)))]
async fn hit_crop(State(api): State<Api>, session: Session, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(jpeg(api.cases.hit_picture(session.actor(), path_id(&id)?, PictureKind::Crop).await?))
}

/// The vehicle, everything else pixelated.
#[utoipa::path(get, path = "/api/v1/hits/{id}/overview.jpg", tag = "watchlist", params(("id" = String, Path)), responses(
    (status = 200, description = "The picture", content_type = "image/jpeg"),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None of the own zone, or no picture", body = Problem)))]
async fn hit_overview(State(api): State<Api>, session: Session, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(jpeg(api.cases.hit_picture(session.actor(), path_id(&id)?, PictureKind::Overview).await?))
}
