//! The queue of findings. A finding is never a fine.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_app::UseCaseError;
use vms_app::lez::findings::FindingSight;
use vms_app::lez_ports::PictureKind;

use super::reads::{PictureQuery, jpeg};
use crate::dto::common::{Page, PageQuery, parse_word, path_id};
use crate::dto::finding::{FindingDecideDto, FindingListQuery, FindingView};
use crate::problem::Problem;
use crate::session::{Body, Session};
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(finding_list))
        .routes(routes!(finding_fetch))
        .routes(routes!(finding_decide))
        .routes(routes!(finding_crop))
        .routes(routes!(finding_overview))
        .routes(routes!(finding_exit_crop))
        .routes(routes!(finding_exit_overview))
}

/// Findings, oldest first.
#[utoipa::path(get, path = "/api/v1/findings", tag = "findings", params(FindingListQuery, PageQuery), responses(
    (status = 200, description = "Oldest first", body = Page<FindingView>),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 422, description = "`invalid`: the state or the cursor", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn finding_list(
    State(api): State<Api>,
    session: Session,
    Query(query): Query<FindingListQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<FindingView>>, Problem> {
    let after = page.after()?.map(|id| parse_word("cursor", &id)).transpose()?;
    let sights = api.cases.finding_list(session.actor(), query.state()?, after, page.limit()).await?;
    let rows: Vec<FindingView> = sights.iter().map(FindingView::from).collect();
    Ok(Json(Page::new(rows, page.limit(), |last| last.id.clone())))
}

fn single(sight: &FindingSight) -> Result<Response, Problem> {
    let view = FindingView::from(sight);
    let etag = HeaderValue::from_str(&format!("\"{}\"", view.etag));
    let etag = etag.map_err(|error| Problem::from(UseCaseError::Internal(error.into())))?;
    let mut response = Json(view).into_response();
    response.headers_mut().insert(header::ETAG, etag);
    Ok(response)
}

/// One finding with its reasons and the registry's answer.
#[utoipa::path(get, path = "/api/v1/findings/{id}", tag = "findings", params(("id" = String, Path)), responses(
    (status = 200, description = "The finding, with its version as entity tag", body = FindingView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "No such finding", body = Problem)))]
async fn finding_fetch(State(api): State<Api>, session: Session, Path(id): Path<String>) -> Result<Response, Problem> {
    single(&api.cases.finding_fetch(session.actor(), path_id(&id)?).await?)
}

/// Approves, rejects, or says that it cannot be told. `seen_etag` is the version that the person saw.
#[utoipa::path(post, path = "/api/v1/findings/{id}/decide", tag = "findings", params(("id" = String, Path)),
    request_body = FindingDecideDto, responses(
    (status = 200, description = "The finding as it is now", body = FindingView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "No such finding", body = Problem),
    (status = 409, description = "`wrong_state`: decided already, or still undetermined", body = Problem),
    (status = 412, description = "`changed_meanwhile`", body = Problem),
    (status = 422, description = "`invalid`: the verdict or the reason", body = Problem)))]
async fn finding_decide(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<FindingDecideDto>,
) -> Result<Response, Problem> {
    let seen = dto.seen_etag.trim_matches('"').parse().map_err(|_| UseCaseError::VersionStale)?;
    let verdict = dto.to_verdict()?;
    single(&api.cases.finding_decide(session.actor(), path_id(&id)?, seen, verdict).await?)
}

async fn picture(
    api: &Api,
    session: &Session,
    id: &str,
    query: PictureQuery,
    kind: PictureKind,
) -> Result<Response, Problem> {
    let decision = query.decision.as_deref().map(path_id).transpose()?;
    Ok(jpeg(api.cases.finding_picture(session.actor(), path_id(id)?, kind, decision).await?))
}

/// The plate.
#[utoipa::path(get, path = "/api/v1/findings/{id}/crop.jpg", tag = "findings",
    params(("id" = String, Path), PictureQuery), responses(
    (status = 200, description = "The picture", content_type = "image/jpeg"),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "No such finding or picture", body = Problem)))]
async fn finding_crop(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Query(query): Query<PictureQuery>,
) -> Result<Response, Problem> {
    picture(&api, &session, &id, query, PictureKind::Crop).await
}

/// The vehicle, everything else pixelated.
#[utoipa::path(get, path = "/api/v1/findings/{id}/overview.jpg", tag = "findings",
    params(("id" = String, Path), PictureQuery), responses(
    (status = 200, description = "The picture", content_type = "image/jpeg"),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "No such finding or picture", body = Problem)))]
async fn finding_overview(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Query(query): Query<PictureQuery>,
) -> Result<Response, Problem> {
    picture(&api, &session, &id, query, PictureKind::Overview).await
}

/// The plate at the other end of a run.
#[utoipa::path(get, path = "/api/v1/findings/{id}/exit-crop.jpg", tag = "findings",
    params(("id" = String, Path), PictureQuery), responses(
    (status = 200, description = "The picture", content_type = "image/jpeg"),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "No such finding or picture", body = Problem)))]
async fn finding_exit_crop(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Query(query): Query<PictureQuery>,
) -> Result<Response, Problem> {
    picture(&api, &session, &id, query, PictureKind::ExitCrop).await
}

/// The vehicle there, everything else pixelated.
#[utoipa::path(get, path = "/api/v1/findings/{id}/exit-overview.jpg", tag = "findings",
    params(("id" = String, Path), PictureQuery), responses(
    (status = 200, description = "The picture", content_type = "image/jpeg"),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "No such finding or picture", body = Problem)))]
async fn finding_exit_overview(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Query(query): Query<PictureQuery>,
) -> Result<Response, Problem> {
    picture(&api, &session, &id, query, PictureKind::ExitOverview).await
}
