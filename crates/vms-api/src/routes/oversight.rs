//! The overseer's routes: data flows and their switch, complaints, data subjects' requests, the annual report.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_app::UseCaseError;
use vms_app::oversight::report::csv;
use vms_core::Right;

use super::sharing::MadeView;
use crate::dto::common::{Page, instant, parse_word, path_id};
use crate::dto::oversight::{
    AnnualReportView, CaseAnswerDto, ComplaintDto, ComplaintView, FlowChangeView, FlowDto, FlowStateView, FlowStepDto,
    FlowView, ReportQuery, StillDto, SubjectDto, SubjectFootageView, SubjectView,
};
use crate::problem::Problem;
use crate::session::{Body, Session};
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(flow_list, flow_register))
        .routes(routes!(flow_history))
        .routes(routes!(flow_switch))
        .routes(routes!(complaint_list, complaint_take_in))
        .routes(routes!(complaint_answer))
        .routes(routes!(subject_list, subject_take_in))
        .routes(routes!(subject_footage))
        .routes(routes!(subject_answer))
        .routes(routes!(subject_still))
        .routes(routes!(report_annual))
}

fn page<T>(items: Vec<T>) -> Json<Page<T>> {
    Json(Page { items, next_cursor: None })
}

/// Every data flow: registered ones, and one per owner, partner and purpose of the grants.
#[utoipa::path(get, path = "/api/v1/flows", tag = "oversight", responses(
    (status = 200, description = "Registered flows first", body = Page<FlowView>),
    (status = 403, description = "Not allowed", body = Problem)))]
async fn flow_list(State(api): State<Api>, session: Session) -> Result<Json<Page<FlowView>>, Problem> {
    Ok(page(api.cases.flow_sights(session.actor()).await?.iter().map(FlowView::from).collect()))
}

/// Puts a data flow in the register; it flows once the commission authorises it.
#[utoipa::path(post, path = "/api/v1/flows", tag = "oversight", request_body = FlowDto, responses(
    (status = 204, description = "Registered, and asked for"),
    (status = 403, description = "Not allowed, or something is missing", body = Problem),
    (status = 409, description = "`taken`", body = Problem),
    (status = 422, description = "`invalid`, with `errors`", body = Problem)))]
async fn flow_register(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<FlowDto>,
) -> Result<StatusCode, Problem> {
    api.cases.flow_register(session.actor(), dto.into_wish()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Every change of a data flow.
#[utoipa::path(get, path = "/api/v1/flows/{id}/history", tag = "oversight", params(("id" = String, Path)), responses(
    (status = 200, description = "Newest first", body = Page<FlowChangeView>),
    (status = 403, description = "Not allowed", body = Problem)))]
async fn flow_history(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<Page<FlowChangeView>>, Problem> {
    Ok(page(api.cases.flow_history(session.actor(), &id).await?.iter().map(FlowChangeView::from).collect()))
}

/// The commission's switch: suspends, resumes, withdraws or ends a flow, at once.
#[utoipa::path(post, path = "/api/v1/flows/{id}/switch", tag = "oversight", params(("id" = String, Path)),
    request_body = FlowStepDto, responses(
    (status = 200, description = "Where it stands now", body = FlowStateView),
    (status = 403, description = "Not allowed, something is missing, or `step_up_needed`", body = Problem),
    (status = 404, description = "No such flow", body = Problem),
    (status = 409, description = "`wrong_state`", body = Problem),
    (status = 412, description = "`changed_meanwhile`", body = Problem),
    (status = 422, description = "`invalid`: the step or the reason", body = Problem)))]
async fn flow_switch(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<FlowStepDto>,
) -> Result<Json<FlowStateView>, Problem> {
    api.cases.fresh_factor_for(&session.0, &[Right::FlowStop]).await?;
    let state = api.cases.flow_step(session.actor(), &id, dto.step()?, &dto.reason, &dto.authority).await?;
    Ok(Json(FlowStateView { state: state.as_str().to_owned() }))
}

/// Complaints: about the caller's organisation, or all for the commission.
#[utoipa::path(get, path = "/api/v1/complaints", tag = "oversight", responses(
    (status = 200, description = "Newest first", body = Page<ComplaintView>),
    (status = 403, description = "Not allowed", body = Problem)))]
async fn complaint_list(State(api): State<Api>, session: Session) -> Result<Json<Page<ComplaintView>>, Problem> {
    Ok(page(api.cases.complaint_list(session.actor()).await?.iter().map(ComplaintView::from).collect()))
}

/// Takes a complaint in.
#[utoipa::path(post, path = "/api/v1/complaints", tag = "oversight", request_body = ComplaintDto, responses(
    (status = 201, description = "Taken in", body = MadeView),
    (status = 403, description = "Not allowed, or something is missing", body = Problem),
    (status = 422, description = "`invalid`, with `errors`", body = Problem)))]
async fn complaint_take_in(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<ComplaintDto>,
) -> Result<(StatusCode, Json<MadeView>), Problem> {
    let about = parse_word("about_id", &dto.about_id)?;
    let complaint = api.cases.complaint_take_in(session.actor(), about, &dto.channel, &dto.text).await?;
    Ok((StatusCode::CREATED, Json(MadeView { id: complaint.id.to_string() })))
}

/// Answers a complaint, or turns it down.
#[utoipa::path(post, path = "/api/v1/complaints/{id}/answer", tag = "oversight", params(("id" = String, Path)),
    request_body = CaseAnswerDto, responses(
    (status = 204, description = "Answered"),
    (status = 403, description = "Not allowed, or something is missing", body = Problem),
    (status = 404, description = "None that the caller may answer", body = Problem),
    (status = 409, description = "`wrong_state`", body = Problem),
    (status = 422, description = "`invalid`: the text", body = Problem)))]
async fn complaint_answer(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<CaseAnswerDto>,
) -> Result<StatusCode, Problem> {
    api.cases.complaint_answer(session.actor(), path_id(&id)?, dto.into_answer()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Data subjects' requests to the caller's organisation.
#[utoipa::path(get, path = "/api/v1/subject-requests", tag = "oversight", responses(
    (status = 200, description = "Newest first", body = Page<SubjectView>),
    (status = 403, description = "Not allowed", body = Problem)))]
async fn subject_list(State(api): State<Api>, session: Session) -> Result<Json<Page<SubjectView>>, Problem> {
    Ok(page(api.cases.subject_list(session.actor()).await?.iter().map(SubjectView::from).collect()))
}

/// Takes a request in; one about police images is routed to the supervisory body.
#[utoipa::path(post, path = "/api/v1/subject-requests", tag = "oversight", request_body = SubjectDto, responses(
    (status = 201, description = "Taken in, with the term of its answer", body = SubjectView),
    (status = 403, description = "Not allowed, or something is missing", body = Problem),
    (status = 422, description = "`invalid`, with `errors`", body = Problem)))]
async fn subject_take_in(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<SubjectDto>,
) -> Result<(StatusCode, Json<SubjectView>), Problem> {
    let request = api.cases.subject_take_in(session.actor(), dto.into_wish()?).await?;
    Ok((StatusCode::CREATED, Json(SubjectView::from(&request))))
}

/// Where and when there is footage that a request may be about.
#[utoipa::path(get, path = "/api/v1/subject-requests/{id}/footage", tag = "oversight", params(("id" = String, Path)), responses(
    (status = 200, description = "Nearest first", body = Page<SubjectFootageView>),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None of the caller's organisation", body = Problem),
    (status = 409, description = "`wrong_state`: police images are searched by the supervisory body", body = Problem)))]
async fn subject_footage(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<Page<SubjectFootageView>>, Problem> {
    let found = api.cases.subject_search(session.actor(), path_id(&id)?).await?;
    Ok(page(found.iter().map(SubjectFootageView::from).collect()))
}

/// The picture that a camera showed at an instant, pixelated but for one area: for the person who asked.
#[utoipa::path(post, path = "/api/v1/subject-requests/{id}/stills", tag = "oversight", params(("id" = String, Path)),
    request_body = StillDto, responses(
    (status = 200, description = "The masked picture; `x-captured-at` says when it was taken", content_type = "image/jpeg"),
    (status = 403, description = "Not allowed, or something is missing", body = Problem),
    (status = 404, description = "No such request, no such camera near its place, or no footage", body = Problem),
    (status = 409, description = "`wrong_state`: police images, or answered", body = Problem),
    (status = 422, description = "`invalid`: the instant, or an area", body = Problem)))]
async fn subject_still(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<StillDto>,
) -> Result<Response, Problem> {
    let (camera, at, mask) = dto.into_parts()?;
    let still = api.cases.subject_still(session.actor(), path_id(&id)?, (camera, at), mask).await?;
    let headers = [
        (header::CONTENT_TYPE, "image/jpeg".to_owned()),
        // The picture must not lie in the browser's cache after the session.
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (HeaderName::from_static("x-captured-at"), instant(still.at)),
    ];
    Ok((headers, still.jpeg).into_response())
}

/// Answers a request, or turns it down.
#[utoipa::path(post, path = "/api/v1/subject-requests/{id}/answer", tag = "oversight", params(("id" = String, Path)),
    request_body = CaseAnswerDto, responses(
    (status = 204, description = "Answered"),
    (status = 403, description = "Not allowed, or something is missing", body = Problem),
    (status = 404, description = "None of the caller's organisation", body = Problem),
    (status = 409, description = "`wrong_state`", body = Problem),
    (status = 422, description = "`invalid`: the text", body = Problem)))]
async fn subject_answer(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<CaseAnswerDto>,
) -> Result<StatusCode, Problem> {
    api.cases.subject_answer(session.actor(), path_id(&id)?, dto.into_answer()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The annual report's data set of a year: counts only.
#[utoipa::path(get, path = "/api/v1/reports/annual", tag = "oversight", params(ReportQuery), responses(
    (status = 200, description = "The numbers, as JSON or CSV", body = AnnualReportView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 422, description = "`invalid`: the year or the format", body = Problem)))]
async fn report_annual(
    State(api): State<Api>,
    session: Session,
    Query(query): Query<ReportQuery>,
) -> Result<Response, Problem> {
    let year = query.year.unwrap_or_default();
    let report = api.cases.annual_report(session.actor(), year).await?;
    match query.format.as_deref() {
        None | Some("json") => Ok(Json(AnnualReportView::from(&report)).into_response()),
        Some("csv") => {
            let text = csv(&report).map_err(|error| UseCaseError::Internal(error.into()))?;
            let mut response = text.into_response();
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
            let disposition = HeaderValue::from_static("attachment; filename=\"annual-report.csv\"");
            headers.insert(header::CONTENT_DISPOSITION, disposition);
            Ok(response)
        }
        Some(_) => Err(Problem::invalid("format", "unknown")),
    }
}
