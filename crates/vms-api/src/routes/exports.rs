//! Evidence exports: ordered by one person, approved by another, fetched by either.

use axum::Json;
use axum::body::Body as HttpBody;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use http::{HeaderMap, Method, StatusCode, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_app::UseCaseError;
use vms_app::exports::ExportStep;
use vms_app::exports_fetch::FETCH_CHUNK_MAX;
use vms_app::gate::Actor;
use vms_core::{ExportId, Right};

use super::playback::condition::{self, Answer, Wanted};
use crate::dto::common::{Page, PageQuery, parse_word, path_id};
use crate::dto::exports::{ExportDto, ExportFileView, ExportView};
use crate::dto::legal::RefusalDto;
use crate::problem::Problem;
use crate::session::{Body, Session};
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(export_list, export_order))
        .routes(routes!(export_fetch, export_remove))
        .routes(routes!(export_approve))
        .routes(routes!(export_refuse))
        .routes(routes!(export_pause))
        .routes(routes!(export_resume))
        .routes(routes!(export_cancel))
        .routes(routes!(export_files))
        .routes(routes!(export_file))
}

async fn one(api: &Api, session: &Session, id: ExportId) -> Result<Json<ExportView>, Problem> {
    Ok(Json(ExportView::from(&api.cases.export_fetch(session.actor(), id).await?)))
}

async fn stepped(api: &Api, session: &Session, id: &str, step: ExportStep) -> Result<Json<ExportView>, Problem> {
    let id = path_id(id)?;
    api.cases.export_step(session.actor(), id, step).await?;
    one(api, session, id).await
}

/// Exports of cameras for which the caller may order, approve or audit them. A page may be shorter than asked for and still have a
/// next one.
#[utoipa::path(get, path = "/api/v1/exports", tag = "exports", params(PageQuery), responses(
    (status = 200, description = "Newest first", body = Page<ExportView>),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 422, description = "`invalid`: the cursor", body = Problem)))]
async fn export_list(
    State(api): State<Api>,
    session: Session,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ExportView>>, Problem> {
    let below = page.after()?.as_deref().map(|id| parse_word("cursor", id)).transpose()?;
    let (exports, next) = api.cases.export_list(session.actor(), below, page.limit()).await?;
    let next_cursor = next.map(|id| Page::<ExportView>::cursor(&id.to_string()));
    Ok(Json(Page { items: exports.iter().map(ExportView::from).collect(), next_cursor }))
}

/// Orders an export of one stream, or of several cameras of one owner. Nothing is read until somebody else approves it.
#[utoipa::path(post, path = "/api/v1/exports", tag = "exports", request_body = ExportDto, responses(
    (status = 201, description = "The order, which waits for a second person", body = ExportView),
    (status = 403, description = "Not allowed, or `purpose_required`, `justification_required`, `case_required`", body = Problem),
    (status = 404, description = "No stream or camera that the caller may know of", body = Problem),
    (status = 409, description = "`partners_camera`, `legal_basis_missing`, `no_room`, `queue_full`, `no_such_service`",
        body = Problem),
    (status = 422, description = "`invalid`, with `errors`", body = Problem)))]
async fn export_order(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<ExportDto>,
) -> Result<(StatusCode, Json<ExportView>), Problem> {
    api.cases.fresh_factor_for(&session.0, &[Right::Export]).await?;
    let export = api.cases.export_order(session.actor(), dto.into_wish()?).await?;
    Ok((StatusCode::CREATED, one(&api, &session, export.id).await?))
}

/// One export.
#[utoipa::path(get, path = "/api/v1/exports/{id}", tag = "exports", params(("id" = String, Path)), responses(
    (status = 200, description = "The export", body = ExportView),
    (status = 404, description = "None that the caller may know of", body = Problem)))]
async fn export_fetch(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<ExportView>, Problem> {
    one(&api, &session, path_id(&id)?).await
}

/// Removes a finished package before its term. The row stays, with the digest of its manifest.
#[utoipa::path(delete, path = "/api/v1/exports/{id}", tag = "exports", params(("id" = String, Path)), responses(
    (status = 200, description = "The export, removed", body = ExportView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None that the caller may know of", body = Problem),
    (status = 409, description = "`wrong_state`", body = Problem)))]
async fn export_remove(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<ExportView>, Problem> {
    stepped(&api, &session, &id, ExportStep::Remove).await
}

/// Agrees to an export: it begins. Never by whoever ordered it.
#[utoipa::path(post, path = "/api/v1/exports/{id}/approval", tag = "exports", params(("id" = String, Path)), responses(
    (status = 200, description = "The export, which begins when its turn comes", body = ExportView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None that the caller may know of", body = Problem),
    (status = 409, description = "`same_person`, `wrong_state`, `no_room`", body = Problem),
    (status = 412, description = "`changed_meanwhile`", body = Problem)))]
async fn export_approve(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<ExportView>, Problem> {
    api.cases.fresh_factor_for(&session.0, &[Right::ExportApprove]).await?;
    stepped(&api, &session, &id, ExportStep::Approve).await
}

/// Refuses an export, and says why. Never by whoever ordered it.
#[utoipa::path(post, path = "/api/v1/exports/{id}/refusal", tag = "exports", params(("id" = String, Path)),
    request_body = RefusalDto, responses(
    (status = 200, description = "The export, refused", body = ExportView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None that the caller may know of", body = Problem),
    (status = 409, description = "`same_person`, `wrong_state`", body = Problem),
    (status = 422, description = "`invalid`: the reason", body = Problem)))]
async fn export_refuse(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<RefusalDto>,
) -> Result<Json<ExportView>, Problem> {
    stepped(&api, &session, &id, ExportStep::Refuse(dto.reason)).await
}

/// Stops the work; what was written stays and `resume` goes on from there.
#[utoipa::path(post, path = "/api/v1/exports/{id}/pause", tag = "exports", params(("id" = String, Path)), responses(
    (status = 200, description = "The export, paused", body = ExportView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None that the caller may know of", body = Problem),
    (status = 409, description = "`wrong_state`", body = Problem)))]
async fn export_pause(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<ExportView>, Problem> {
    stepped(&api, &session, &id, ExportStep::Pause).await
}

/// Goes on. It is decided again before a byte is read.
#[utoipa::path(post, path = "/api/v1/exports/{id}/resume", tag = "exports", params(("id" = String, Path)), responses(
    (status = 200, description = "The export, which goes on when its turn comes", body = ExportView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None that the caller may know of", body = Problem),
    (status = 409, description = "`wrong_state`", body = Problem)))]
async fn export_resume(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<ExportView>, Problem> {
    stepped(&api, &session, &id, ExportStep::Resume).await
}

/// Gives an export up, or takes one's own order back; what was written is removed.
#[utoipa::path(post, path = "/api/v1/exports/{id}/cancel", tag = "exports", params(("id" = String, Path)), responses(
    (status = 200, description = "The export, given up", body = ExportView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None that the caller may know of", body = Problem),
    (status = 409, description = "`wrong_state`", body = Problem)))]
async fn export_cancel(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<ExportView>, Problem> {
    stepped(&api, &session, &id, ExportStep::Cancel).await
}

/// The files of a finished package.
#[utoipa::path(get, path = "/api/v1/exports/{id}/files", tag = "exports", params(("id" = String, Path)), responses(
    (status = 200, description = "By name", body = Vec<ExportFileView>),
    (status = 404, description = "None that the caller may know of", body = Problem),
    (status = 409, description = "`wrong_state`: there is no package", body = Problem)))]
async fn export_files(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<Vec<ExportFileView>>, Problem> {
    let files = api.cases.export_files(session.actor(), path_id(&id)?).await?;
    Ok(Json(files.into_iter().map(|file| ExportFileView::of(&id, file)).collect()))
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("mp4") => "video/mp4",
        Some("pdf") => "application/pdf",
        Some("json") => "application/json",
        Some("csv") => "text/csv; charset=utf-8",
        Some("vtt") => "text/vtt; charset=utf-8",
        Some("txt") => "text/plain; charset=utf-8",
        Some("pem") => "application/x-pem-file",
        Some(_) | None => "application/octet-stream",
    }
}

/// Bytes of a file of a finished package, for whoever ordered or approved it. Each person's fetching is in the log.
#[utoipa::path(get, path = "/api/v1/exports/{id}/files/{name}", tag = "exports",
    params(("id" = String, Path), ("name" = String, Path)), responses(
    (status = 200, description = "The whole file", content_type = "application/octet-stream"),
    (status = 206, description = "The part asked for", content_type = "application/octet-stream"),
    (status = 304, description = "The caller has it: `If-None-Match`"),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "No such file, or another's export", body = Problem),
    (status = 409, description = "`wrong_state`: there is no package", body = Problem),
    (status = 412, description = "`If-Match` names another file"),
    (status = 416, description = "Outside the file")))]
async fn export_file(
    State(api): State<Api>,
    session: Session,
    Path((id, name)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id: ExportId = path_id(&id)?;
    api.cases.recent_factor(&session.0).await?;
    let file = api.cases.export_file_open(session.actor(), id, &name).await?;
    // A package never changes once it has its name.
    let etag = format!("\"{id}-{}-{}\"", file.name, file.bytes);
    let (status, start, end) = match condition::answer(&method, &headers, &etag, file.bytes) {
        Answer::Send(Wanted::All) => (StatusCode::OK, 0, file.bytes),
        Answer::Send(Wanted::Part(start, end)) => (StatusCode::PARTIAL_CONTENT, start, end),
        Answer::Send(Wanted::Impossible) => (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0),
        Answer::NotModified => (StatusCode::NOT_MODIFIED, 0, 0),
        Answer::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, 0, 0),
    };
    let mut answer = Response::builder()
        .status(status)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::ETAG, etag)
        .header(header::CACHE_CONTROL, "no-store");
    let body = match status {
        StatusCode::RANGE_NOT_SATISFIABLE => {
            answer = answer.header(header::CONTENT_RANGE, format!("bytes */{}", file.bytes));
            HttpBody::empty()
        }
        StatusCode::NOT_MODIFIED | StatusCode::PRECONDITION_FAILED => HttpBody::empty(),
        _ => {
            if status == StatusCode::PARTIAL_CONTENT {
                let range = format!("bytes {start}-{}/{}", end.saturating_sub(1), file.bytes);
                answer = answer.header(header::CONTENT_RANGE, range);
            }
            // Its own name: the check of the package goes by names.
            let disposition = format!("attachment; filename=\"{}\"", file.name);
            answer = answer
                .header(header::CONTENT_TYPE, content_type(&file.name))
                .header(header::CONTENT_DISPOSITION, disposition)
                .header(header::CONTENT_LENGTH, end.saturating_sub(start));
            HttpBody::from_stream(chunks(api.clone(), session.actor().clone(), (id, file.name), start, end))
        }
    };
    answer.body(body).map_err(|error| UseCaseError::Internal(error.into()).into())
}

/// The bytes in chunks; each is decided anew when the last decision is 5 s old.
fn chunks(
    api: Api,
    actor: Actor,
    (id, name): (ExportId, String),
    start: u64,
    end: u64,
) -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> {
    unfold((api, actor, name, start), move |(api, actor, name, at)| async move {
        if at >= end {
            return None;
        }
        let upto = end.min(at.saturating_add(FETCH_CHUNK_MAX));
        let outcome = match api.cases.export_file_chunk(&actor, id, &name, (at, upto)).await {
            Ok(bytes) if bytes.is_empty() => Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)),
            Ok(bytes) => Ok(bytes),
            Err(error) => {
                tracing::info!(%error, "a fetch of an export was cut");
                Err(std::io::Error::other("the fetch was cut"))
            }
        };
        // After an error the body ends: the next position lies behind the end.
        let read = outcome.as_ref().map_or(u64::MAX, |bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Some((outcome, (api, actor, name, at.saturating_add(read))))
    })
}
