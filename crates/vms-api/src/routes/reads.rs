//! Plate reads of the own territory.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::header;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_app::lez::reads::ReadFilter;
use vms_app::lez_ports::PictureKind;
use vms_core::{ReadId, WallTime};

use crate::dto::common::{LIMIT_MAX, PageQuery, PurposeDto, parse_instant, parse_range, parse_word, path_id};
use crate::dto::read::{ReadListQuery, ReadPageView, ReadSearchDto};
use crate::problem::Problem;
use crate::session::{Body, Session};
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(read_list))
        .routes(routes!(read_search))
        .routes(routes!(read_crop))
        .routes(routes!(read_overview))
}

/// Where the next page of reads starts.
pub(super) fn cursor(page: &PageQuery) -> Result<Option<(WallTime, ReadId)>, Problem> {
    let Some(text) = page.after()? else { return Ok(None) };
    let parts = text.split_once(':').and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?)));
    let (at, id) = parts.ok_or_else(|| Problem::invalid("cursor", "unknown"))?;
    Ok(Some((WallTime::from_micros(at), id)))
}

/// Reads of the own organisation's cameras, newest first.
#[utoipa::path(get, path = "/api/v1/reads", tag = "reads", params(ReadListQuery, PageQuery), responses(
    (status = 200, description = "Newest first, under one logged decision", body = ReadPageView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "No camera that the caller may know of", body = Problem),
    (status = 422, description = "`invalid`: the span or the cursor", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn read_list(
    State(api): State<Api>,
    session: Session,
    Query(query): Query<ReadListQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<ReadPageView>, Problem> {
    let filter = ReadFilter {
        camera: query.camera.as_deref().map(|id| parse_word("camera", id)).transpose()?,
        from: query.from.as_deref().map(|text| parse_instant("from", text)).transpose()?,
        to: query.to.as_deref().map(|text| parse_instant("to", text)).transpose()?,
        after: cursor(&page)?,
    };
    let found = api.cases.read_list(session.actor(), filter, page.limit()).await?;
    Ok(Json(ReadPageView::new(&found, page.limit())))
}

/// Reads with this plate, or what fits the pattern, or is one edit away, newest first, at most 500. The log gets a keyed hash of what was
/// looked for. A pattern that fits more than 200 plates of the span is refused: a search is for a vehicle, not for a list.
#[utoipa::path(post, path = "/api/v1/reads/search", tag = "reads", request_body = ReadSearchDto, responses(
    (status = 200, description = "Newest first, under one logged decision", body = ReadPageView),
    (status = 403, description = "Not allowed, `too_old`, or `purpose_required`, `justification_required`, `case_required`",
        body = Problem),
    (status = 422, description = "`invalid`: the plate (`not_a_plate`, `too_open`, `matches_too_many`) or the span", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn read_search(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<ReadSearchDto>,
) -> Result<Json<ReadPageView>, Problem> {
    let wish = dto.wish()?;
    let range = parse_range(&dto.from, &dto.to)?;
    let why = PurposeDto::to_why(dto.purpose)?;
    let found = api.cases.read_search(session.actor(), &wish, range, &why, LIMIT_MAX).await?;
    Ok(Json(ReadPageView { next_cursor: None, ..ReadPageView::new(&found, LIMIT_MAX) }))
}

/// Under which decision a picture is fetched.
#[derive(Debug, Default, Deserialize, IntoParams)]
pub(super) struct PictureQuery {
    /// `dec_…` of the list, search or finding that showed it.
    pub(super) decision: Option<String>,
}

/// A JPEG that the browser does not keep.
pub(super) fn jpeg(bytes: bytes::Bytes) -> Response {
    ([(header::CONTENT_TYPE, "image/jpeg"), (header::CACHE_CONTROL, "no-store")], bytes).into_response()
}

async fn picture(
    api: &Api,
    session: &Session,
    id: &str,
    query: PictureQuery,
    kind: PictureKind,
) -> Result<Response, Problem> {
    // A read's picture is part of the use that listed it: without that use there is no picture.
    let decision = path_id(query.decision.as_deref().unwrap_or_default())?;
    Ok(jpeg(api.cases.read_picture(session.actor(), decision, path_id(id)?, kind).await?))
}

/// The plate.
#[utoipa::path(get, path = "/api/v1/reads/{id}/crop.jpg", tag = "reads", params(("id" = String, Path), PictureQuery),
    responses(
    (status = 200, description = "The picture", content_type = "image/jpeg"),
    (status = 404, description = "No open decision of this session that shows this read, or no picture", body = Problem)))]
async fn read_crop(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Query(query): Query<PictureQuery>,
) -> Result<Response, Problem> {
    picture(&api, &session, &id, query, PictureKind::Crop).await
}

/// The vehicle, everything else pixelated.
#[utoipa::path(get, path = "/api/v1/reads/{id}/overview.jpg", tag = "reads", params(("id" = String, Path), PictureQuery),
    responses(
    (status = 200, description = "The picture", content_type = "image/jpeg"),
    (status = 404, description = "No open decision of this session that shows this read, or no picture", body = Problem)))]
async fn read_overview(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Query(query): Query<PictureQuery>,
) -> Result<Response, Problem> {
    picture(&api, &session, &id, query, PictureKind::Overview).await
}
