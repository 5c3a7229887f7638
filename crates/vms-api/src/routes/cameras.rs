//! Cameras.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_app::UseCaseError;
use vms_app::camera_import::ImportOptions;
use vms_app::sight::CameraSight;
use vms_core::CameraId;

use crate::dto::camera::{CameraDto, CameraPatchDto, CameraView, ProbeView};
use crate::dto::common::{Page, PageQuery, PurposeDto, parse_range, path_id};
use crate::dto::media::{TimelineQuery, TimelineView};
use crate::problem::Problem;
use crate::session::{Body, Session};
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(camera_list, camera_create))
        .routes(routes!(camera_fetch, camera_change))
        .routes(routes!(camera_import))
        .routes(routes!(camera_approve))
        .routes(routes!(camera_retire))
        .routes(routes!(camera_probe))
        .routes(routes!(camera_test_picture))
        .routes(routes!(camera_timeline))
}

/// What to look for.
#[derive(Debug, Default, Deserialize, IntoParams)]
struct CameraQuery {
    /// Part of the code or name, or the start of the call-up number.
    q: Option<String>,
}

fn single(sight: &CameraSight, status: StatusCode) -> Result<Response, Problem> {
    let mut response = (status, Json(CameraView::single(sight))).into_response();
    let etag = HeaderValue::from_str(&format!("\"{}\"", sight.camera.version));
    let etag = etag.map_err(|error| Problem::from(UseCaseError::Internal(error.into())))?;
    response.headers_mut().insert(header::ETAG, etag);
    Ok(response)
}

async fn sight(api: &Api, session: &Session, id: CameraId, status: StatusCode) -> Result<Response, Problem> {
    single(&api.cases.camera_sight(session.actor(), id).await?, status)
}

/// The version that the caller saw.
fn seen_version(headers: &HeaderMap) -> Result<u64, Problem> {
    let given = headers.get(header::IF_MATCH).ok_or(UseCaseError::VersionRequired)?;
    let version = given.to_str().ok().and_then(|text| text.trim_matches('"').parse().ok());
    version.ok_or_else(|| UseCaseError::VersionStale.into())
}

/// Cameras that the caller sees.
#[utoipa::path(get, path = "/api/v1/cameras", tag = "cameras", params(CameraQuery, PageQuery), responses(
    (status = 200, description = "By code", body = Page<CameraView>),
    (status = 401, description = "No session", body = Problem),
    (status = 403, description = "Not allowed", body = Problem)))]
async fn camera_list(
    State(api): State<Api>,
    session: Session,
    Query(query): Query<CameraQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<CameraView>>, Problem> {
    let (limit, after) = (page.limit(), page.after()?);
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let text = query.q.unwrap_or_default();
    let sights = api.cases.camera_list(session.actor(), &text, after.as_deref(), wanted).await?;
    let rows: Vec<CameraView> = sights.iter().map(CameraView::row).collect();
    Ok(Json(Page::new(rows, limit, |camera| camera.code.clone())))
}

/// Saves a draft camera.
#[utoipa::path(post, path = "/api/v1/cameras", tag = "cameras", request_body = CameraDto, responses(
    (status = 201, description = "The draft", body = CameraView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 409, description = "`taken`", body = Problem),
    (status = 422, description = "`invalid`, with `errors`", body = Problem)))]
async fn camera_create(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<CameraDto>,
) -> Result<Response, Problem> {
    let camera = api.cases.camera_create(session.actor(), dto.into_draft()?).await?;
    sight(&api, &session, camera.id, StatusCode::CREATED).await
}

/// One camera.
#[utoipa::path(get, path = "/api/v1/cameras/{id}", tag = "cameras", params(("id" = String, Path)), responses(
    (status = 200, description = "The camera, with its version as entity tag", body = CameraView),
    (status = 404, description = "None that the caller may know of", body = Problem)))]
async fn camera_fetch(State(api): State<Api>, session: Session, Path(id): Path<String>) -> Result<Response, Problem> {
    sight(&api, &session, path_id(&id)?, StatusCode::OK).await
}

/// Changes a camera. Needs `If-Match`.
#[utoipa::path(patch, path = "/api/v1/cameras/{id}", tag = "cameras", params(("id" = String, Path)),
    request_body = CameraPatchDto, responses(
    (status = 200, description = "The camera as it is now", body = CameraView),
    (status = 409, description = "`propose_instead`: a legal field past the draft; `partners_camera`, `wrong_state`", body = Problem),
    (status = 412, description = "`changed_meanwhile`", body = Problem),
    (status = 422, description = "`invalid`, with `errors`", body = Problem),
    (status = 428, description = "`if_match_required`", body = Problem)))]
async fn camera_change(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(dto): Body<CameraPatchDto>,
) -> Result<Response, Problem> {
    let id = path_id(&id)?;
    // Who may not know the camera hears that first, and it is logged.
    api.cases.camera_sight(session.actor(), id).await?;
    let seen = seen_version(&headers)?;
    api.cases.camera_change(session.actor(), id, seen, dto.into_patch()?).await?;
    sight(&api, &session, id, StatusCode::OK).await
}

/// One step on: approved, then live.
#[utoipa::path(post, path = "/api/v1/cameras/{id}/approve", tag = "cameras", params(("id" = String, Path)), responses(
    (status = 200, description = "The camera as it is now", body = CameraView),
    (status = 409, description = "`legal_basis_missing`, `pictogram_missing`, `wrong_state`", body = Problem)))]
async fn camera_approve(State(api): State<Api>, session: Session, Path(id): Path<String>) -> Result<Response, Problem> {
    let camera = api.cases.camera_approve(session.actor(), path_id(&id)?).await?;
    sight(&api, &session, camera.id, StatusCode::OK).await
}

/// Why a camera ends.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RetireDto {
    /// In the person's own words, for the log.
    reason: Option<String>,
}

/// Ends a camera; its footage lives out its term.
#[utoipa::path(post, path = "/api/v1/cameras/{id}/retire", tag = "cameras", params(("id" = String, Path)),
    request_body = RetireDto, responses(
    (status = 200, description = "The camera as it is now", body = CameraView),
    (status = 202, description = "The camera as it is; a second person has to agree (`second-wishes`)", body = CameraView),
    (status = 409, description = "`wrong_state`, `partners_camera`, `taken`: a wish waits", body = Problem),
    (status = 422, description = "`invalid`: the reason, where a second person has to agree", body = Problem)))]
async fn camera_retire(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<RetireDto>,
) -> Result<Response, Problem> {
    let why = PurposeDto { justification: dto.reason, ..PurposeDto::default() };
    let why = PurposeDto::to_why(Some(why))?;
    let camera = api.cases.camera_retire(session.actor(), path_id(&id)?, why.justification).await?;
    let is_over = camera.state == vms_app::words::CameraState::Retired;
    sight(&api, &session, camera.id, if is_over { StatusCode::OK } else { StatusCode::ACCEPTED }).await
}

/// Cameras from a CSV file, as drafts.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ImportDto {
    /// The file; its columns stand in the error when one is missing.
    #[serde(default)]
    csv: String,
    /// Only check.
    #[serde(default)]
    dry_run: bool,
    /// Write the good rows although others are bad.
    #[serde(default)]
    partial: bool,
}

/// One row that was not taken.
#[derive(Debug, Serialize, ToSchema)]
struct BadRowView {
    /// Line in the file, from 1.
    line: u64,
    /// Column; empty for the whole row.
    column: String,
    /// Stable word.
    problem: String,
}

/// What the import did, or would do.
#[derive(Debug, Serialize, ToSchema)]
struct ImportView {
    /// Rows that are good.
    good: usize,
    /// Rows that are not.
    bad: Vec<BadRowView>,
    /// Cameras written, as drafts.
    written: usize,
}

/// Imports cameras from a CSV file: nothing is written unless every row is good, or the caller asks for the good ones.
#[utoipa::path(post, path = "/api/v1/cameras/import", tag = "cameras", request_body = ImportDto, responses(
    (status = 200, description = "What it did, or would do", body = ImportView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 422, description = "No CSV with the columns", body = Problem)))]
async fn camera_import(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<ImportDto>,
) -> Result<Json<ImportView>, Problem> {
    let options = ImportOptions { dry_run: dto.dry_run, partial: dto.partial };
    let outcome = api.cases.camera_import(session.actor(), dto.csv.as_bytes(), options).await?;
    let bad = outcome.bad.into_iter();
    let bad = bad.map(|row| BadRowView { line: row.line, column: row.column, problem: row.problem }).collect();
    Ok(Json(ImportView { good: outcome.good, bad, written: outcome.written.len() }))
}

/// Dials the camera and says what answers.
#[utoipa::path(post, path = "/api/v1/cameras/{id}/probe", tag = "cameras", params(("id" = String, Path)), responses(
    (status = 200, description = "What was found", body = ProbeView),
    (status = 404, description = "None that the caller may know of", body = Problem)))]
async fn camera_probe(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<ProbeView>, Problem> {
    let report = api.cases.camera_probe(session.actor(), path_id(&id)?).await?;
    Ok(Json(ProbeView::from(report)))
}

/// Why a test picture is taken.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TestPictureDto {
    /// Why.
    purpose: Option<PurposeDto>,
}

/// One coarse picture.
#[utoipa::path(post, path = "/api/v1/cameras/{id}/test-picture", tag = "cameras", params(("id" = String, Path)),
    request_body = TestPictureDto, responses(
    (status = 200, description = "The picture", content_type = "image/jpeg"),
    (status = 403, description = "Not allowed, or `justification_required`, `case_required`", body = Problem),
    (status = 409, description = "`no_picture`, `partners_picture`", body = Problem)))]
async fn camera_test_picture(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<TestPictureDto>,
) -> Result<Response, Problem> {
    let why = PurposeDto::to_why(dto.purpose)?;
    let jpeg = api.cases.camera_test_picture(session.actor(), path_id(&id)?, &why).await?;
    Ok(([(header::CONTENT_TYPE, "image/jpeg")], jpeg).into_response())
}

/// What a stream's past looks like.
#[utoipa::path(get, path = "/api/v1/cameras/{id}/timeline", tag = "cameras", params(("id" = String, Path), TimelineQuery),
    responses(
    (status = 200, description = "Bars, holes, reads", body = TimelineView),
    (status = 404, description = "None that the caller may know of", body = Problem),
    (status = 422, description = "`invalid`: the span", body = Problem)))]
async fn camera_timeline(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Query(query): Query<TimelineQuery>,
) -> Result<Json<TimelineView>, Problem> {
    let range = parse_range(&query.from, &query.to)?;
    let stream = query.stream.as_deref().map(path_id).transpose()?;
    let timeline = api.cases.timeline(session.actor(), path_id(&id)?, stream, range).await?;
    Ok(Json(TimelineView::from(&timeline)))
}
