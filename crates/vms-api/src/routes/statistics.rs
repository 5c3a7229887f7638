//! Counts and travel times without people: the region's counts API, DATEX II v3, and the stored numbers (docs/STATISTICS.md).

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_app::statistics::views::Tagged;
use vms_app::statistics_ports::StatQuery;
use vms_core::WallTime;

use crate::dto::common::{Page, PageQuery, parse_range};
use crate::dto::statistics::{
    CountedPlacesView, CountsQuery, IntervalQuery, SpanQuery, StoredCountView, TravelTimeView,
};
use crate::problem::Problem;
use crate::session::Session;
use crate::shell::Api;

/// Interval of DATEX data where none is named.
const MINUTES: u32 = 15;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(statistics_places))
        .routes(routes!(statistics_counts))
        .routes(routes!(statistics_datex_sites))
        .routes(routes!(statistics_datex_measured))
        .routes(routes!(statistics_stored))
        .routes(routes!(statistics_times))
}

/// What is counted: cross-sections with their finest interval, and routes. With these codes the stored numbers are asked for.
#[utoipa::path(get, path = "/api/v1/statistics/places", tag = "statistics", responses(
    (status = 200, description = "As far as the session sees them", body = CountedPlacesView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 409, description = "`no_such_service`: nothing is counted here", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn statistics_places(State(api): State<Api>, session: Session) -> Result<Json<CountedPlacesView>, Problem> {
    Ok(Json(api.cases.statistics_places(session.actor()).await?.into()))
}

/// Counted places (`request=devices`, `GeoJSON`) or their newest counts (`request=live`), in the form of the region's counts API. A number that
/// may not be shown is null, with `suppressed`.
#[utoipa::path(get, path = "/api/v1/statistics/counts", tag = "statistics", params(CountsQuery), responses(
    (status = 200, description = "Places, or counts by place, detector and interval", body = Value),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 409, description = "`no_such_service`: nothing is counted here", body = Problem),
    (status = 422, description = "`invalid`: the request or the interval", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn statistics_counts(
    State(api): State<Api>,
    session: Session,
    Query(query): Query<CountsQuery>,
) -> Result<Json<Value>, Problem> {
    match query.request.as_str() {
        "devices" => Ok(Json(api.cases.statistics_devices(session.actor()).await?)),
        "live" => Ok(Json(api.cases.statistics_live(session.actor(), query.interval).await?)),
        _ => Err(Problem::invalid("request", "unknown")),
    }
}

/// The table of counted places and routes as DATEX II v3. Answers 304 to its own entity tag.
#[utoipa::path(get, path = "/api/v1/statistics/datex/sites", tag = "statistics", responses(
    (status = 200, description = "A `MeasurementSiteTablePublication`", body = String, content_type = "application/xml"),
    (status = 204, description = "No place that the session may see"),
    (status = 304, description = "Not changed"),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 409, description = "`no_such_service`: nothing is counted here", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn statistics_datex_sites(
    State(api): State<Api>,
    session: Session,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Ok(document(&headers, api.cases.statistics_datex_sites(session.actor()).await?))
}

/// The newest counts over one interval and the newest travel times as DATEX II v3. Answers 304 to its own entity tag.
#[utoipa::path(get, path = "/api/v1/statistics/datex/measured", tag = "statistics", params(IntervalQuery), responses(
    (status = 200, description = "A `MeasuredDataPublication`", body = String, content_type = "application/xml"),
    (status = 204, description = "Nothing that may be shown"),
    (status = 304, description = "Not changed"),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 409, description = "`no_such_service`: nothing is counted here", body = Problem),
    (status = 422, description = "`invalid`: the interval", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn statistics_datex_measured(
    State(api): State<Api>,
    session: Session,
    Query(query): Query<IntervalQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let minutes = query.interval.unwrap_or(MINUTES);
    Ok(document(&headers, api.cases.statistics_datex_measured(session.actor(), minutes).await?))
}

/// Stored counts of a place in its finest interval, oldest first.
#[utoipa::path(get, path = "/api/v1/statistics/sites/{site}/counts", tag = "statistics",
    params(("site" = String, Path), SpanQuery, PageQuery), responses(
    (status = 200, description = "Oldest first", body = Page<StoredCountView>),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "No such place", body = Problem),
    (status = 409, description = "`no_such_service`: nothing is counted here", body = Problem),
    (status = 422, description = "`invalid`: the span", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn statistics_stored(
    State(api): State<Api>,
    session: Session,
    Path(code): Path<String>,
    Query(span): Query<SpanQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<StoredCountView>>, Problem> {
    let rows = api.cases.statistics_counts(session.actor(), query(code, &span, &page)?).await?;
    let next = rows.last().map(|row| key(row.from, row.lane.unwrap_or(0)));
    let rows: Vec<StoredCountView> = rows.iter().map(StoredCountView::from).collect();
    Ok(Json(Page::new(rows, page.limit(), |_| next.clone().unwrap_or_default())))
}

/// Stored travel times of a route, oldest first.
#[utoipa::path(get, path = "/api/v1/statistics/routes/{route}/travel-times", tag = "statistics",
    params(("route" = String, Path), SpanQuery, PageQuery), responses(
    (status = 200, description = "Oldest first", body = Page<TravelTimeView>),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "No such route", body = Problem),
    (status = 409, description = "`no_such_service`: nothing is counted here", body = Problem),
    (status = 422, description = "`invalid`: the span", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn statistics_times(
    State(api): State<Api>,
    session: Session,
    Path(code): Path<String>,
    Query(span): Query<SpanQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<TravelTimeView>>, Problem> {
    let rows = api.cases.statistics_times(session.actor(), query(code, &span, &page)?).await?;
    let next = rows.last().map(|row| key(row.from, 0));
    let rows: Vec<TravelTimeView> = rows.iter().map(TravelTimeView::from).collect();
    Ok(Json(Page::new(rows, page.limit(), |_| next.clone().unwrap_or_default())))
}

fn key(from: WallTime, lane: u8) -> String {
    format!("{}.{lane}", from.micros)
}

fn query(place: String, span: &SpanQuery, page: &PageQuery) -> Result<StatQuery, Problem> {
    let after = match page.after()? {
        None => None,
        Some(text) => {
            let parts = text.split_once('.').and_then(|(from, lane)| Some((from.parse().ok()?, lane.parse().ok()?)));
            let (from, lane) = parts.ok_or_else(|| Problem::invalid("cursor", "unknown"))?;
            Some((WallTime::from_micros(from), lane))
        }
    };
    Ok(StatQuery { place, range: parse_range(&span.from, &span.to)?, after, limit: page.limit() })
}

fn document(headers: &HeaderMap, found: Option<Tagged<String>>) -> Response {
    let Some(Tagged { body, etag }) = found else { return StatusCode::NO_CONTENT.into_response() };
    let etag = format!("\"{etag}\"");
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| known.split(',').any(|one| one.trim() == etag)) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response();
    }
    let kind = "application/xml; charset=utf-8".to_owned();
    ([(header::CONTENT_TYPE, kind), (header::ETAG, etag)], body).into_response()
}
