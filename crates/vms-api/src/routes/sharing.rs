//! Wishes for a share, events, emergency access, notices, police-supervised workstations.

use axum::Json;
use axum::extract::{Path, Query, State};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;
use vms_app::sharing::emergency::EmergencyWish;
use vms_app::sharing::requests::ShareAnswer;

use crate::dto::common::{Page, PageQuery, PurposeDto, parse_instant, parse_word, path_id};
use crate::dto::sharing::{
    EmergencyDto, EmergencyReviewDto, EmergencyView, EventDto, EventExtendDto, EventView, NewStationView, NoticeView,
    PastQuery, ReasonDto, ShareAskDto, ShareRequestView, StationCodeDto, StationDto, StationView,
};
use crate::problem::Problem;
use crate::session::{Body, Session};
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(share_list, share_ask))
        .routes(routes!(share_approve))
        .routes(routes!(share_refuse))
        .routes(routes!(share_withdraw))
        .routes(routes!(event_list, event_activate))
        .routes(routes!(event_extend))
        .routes(routes!(event_end))
        .routes(routes!(emergency_list, emergency_open))
        .routes(routes!(emergency_end))
        .routes(routes!(emergency_review))
        .routes(routes!(notice_list))
        .routes(routes!(station_list, station_register))
        .routes(routes!(station_revoke))
        .routes(routes!(station_enter))
}

/// Wishes of the caller's organisation and to it; all of them for an overseer.
#[utoipa::path(get, path = "/api/v1/grant-requests", tag = "sharing", params(PastQuery), responses(
    (status = 200, description = "Newest first", body = Page<ShareRequestView>),
    (status = 403, description = "Not allowed", body = Problem)))]
async fn share_list(
    State(api): State<Api>,
    session: Session,
    Query(query): Query<PastQuery>,
) -> Result<Json<Page<ShareRequestView>>, Problem> {
    let requests = api.cases.share_list(session.actor(), query.past.unwrap_or(false)).await?;
    Ok(Json(Page { items: requests.iter().map(ShareRequestView::from).collect(), next_cursor: None }))
}

/// Asks the owner of cameras for a share.
#[utoipa::path(post, path = "/api/v1/grant-requests", tag = "sharing", request_body = ShareAskDto, responses(
    (status = 201, description = "The wish; the owner is told", body = MadeView),
    (status = 403, description = "Not allowed, or something is missing: `missing` names all", body = Problem),
    (status = 404, description = "A camera that the caller may not know of", body = Problem),
    (status = 422, description = "`invalid`, with `errors`", body = Problem)))]
async fn share_ask(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<ShareAskDto>,
) -> Result<(StatusCode, Json<MadeView>), Problem> {
    let request = api.cases.share_ask(session.actor(), dto.into_ask()?).await?;
    Ok((StatusCode::CREATED, Json(MadeView { id: request.id.to_string() })))
}

/// The key of what was made.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct MadeView {
    /// Key.
    pub(super) id: String,
}

async fn share_answered(api: &Api, session: &Session, id: &str, answer: ShareAnswer) -> Result<StatusCode, Problem> {
    api.cases.share_answer(session.actor(), path_id::<Uuid>(id)?, answer).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The owner agrees: the grants are given, or wait for the zone chief.
#[utoipa::path(post, path = "/api/v1/grant-requests/{id}/approve", tag = "sharing", params(("id" = String, Path)), responses(
    (status = 204, description = "Agreed"),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None that the caller may answer", body = Problem),
    (status = 409, description = "`same_person`, `wrong_state`", body = Problem),
    (status = 412, description = "`changed_meanwhile`", body = Problem)))]
async fn share_approve(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    share_answered(&api, &session, &id, ShareAnswer::Approve).await
}

/// The owner does not agree.
#[utoipa::path(post, path = "/api/v1/grant-requests/{id}/refuse", tag = "sharing", params(("id" = String, Path)),
    request_body = ReasonDto, responses(
    (status = 204, description = "Refused"),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None that the caller may answer", body = Problem),
    (status = 409, description = "`wrong_state`", body = Problem),
    (status = 422, description = "`invalid`: the reason", body = Problem)))]
async fn share_refuse(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<ReasonDto>,
) -> Result<StatusCode, Problem> {
    share_answered(&api, &session, &id, ShareAnswer::Refuse(dto.reason)).await
}

/// Whoever asked takes the wish back.
#[utoipa::path(post, path = "/api/v1/grant-requests/{id}/withdraw", tag = "sharing", params(("id" = String, Path)), responses(
    (status = 204, description = "Taken back"),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None of the caller's organisation", body = Problem),
    (status = 409, description = "`wrong_state`", body = Problem)))]
async fn share_withdraw(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    share_answered(&api, &session, &id, ShareAnswer::Withdraw).await
}

/// Events, with the uses during them that the caller may know of.
#[utoipa::path(get, path = "/api/v1/sharing-events", tag = "sharing", params(PastQuery), responses(
    (status = 200, description = "Newest first", body = Page<EventView>),
    (status = 403, description = "Not allowed", body = Problem)))]
async fn event_list(
    State(api): State<Api>,
    session: Session,
    Query(query): Query<PastQuery>,
) -> Result<Json<Page<EventView>>, Problem> {
    let events = api.cases.event_list(session.actor(), query.past.unwrap_or(false)).await?;
    Ok(Json(Page { items: events.iter().map(EventView::from).collect(), next_cursor: None }))
}

/// Activates an event: cells of the matrix with the condition "event" open for what it covers.
#[utoipa::path(post, path = "/api/v1/sharing-events", tag = "sharing", request_body = EventDto, responses(
    (status = 201, description = "In force from its start", body = MadeView),
    (status = 403, description = "Not allowed, or something is missing: `missing` names all", body = Problem),
    (status = 422, description = "`invalid`, with `errors`", body = Problem)))]
async fn event_activate(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<EventDto>,
) -> Result<(StatusCode, Json<MadeView>), Problem> {
    let event = api.cases.event_activate(session.actor(), dto.into_wish()?).await?;
    Ok((StatusCode::CREATED, Json(MadeView { id: event.id.to_string() })))
}

/// Moves the end of an event.
#[utoipa::path(post, path = "/api/v1/sharing-events/{id}/extend", tag = "sharing", params(("id" = String, Path)),
    request_body = EventExtendDto, responses(
    (status = 204, description = "Moved"),
    (status = 403, description = "Not allowed, or something is missing", body = Problem),
    (status = 404, description = "No such event", body = Problem),
    (status = 409, description = "`wrong_state`: it is over", body = Problem),
    (status = 412, description = "`changed_meanwhile`", body = Problem),
    (status = 422, description = "`invalid`, with `errors`", body = Problem)))]
async fn event_extend(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<EventExtendDto>,
) -> Result<StatusCode, Problem> {
    let to = parse_instant("to", &dto.to)?;
    api.cases.event_extend(session.actor(), path_id(&id)?, to, &dto.authority, &dto.reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends an event before its time; what runs under it ends at once.
#[utoipa::path(post, path = "/api/v1/sharing-events/{id}/end", tag = "sharing", params(("id" = String, Path)),
    request_body = ReasonDto, responses(
    (status = 204, description = "Ended"),
    (status = 403, description = "Not allowed, or something is missing", body = Problem),
    (status = 404, description = "No such event", body = Problem),
    (status = 409, description = "`wrong_state`: it is over", body = Problem)))]
async fn event_end(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<ReasonDto>,
) -> Result<StatusCode, Problem> {
    api.cases.event_end(session.actor(), path_id(&id)?, &dto.reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Emergency accesses that concern the caller's organisation; all of them for an overseer.
#[utoipa::path(get, path = "/api/v1/break-glass", tag = "sharing", responses(
    (status = 200, description = "Newest first", body = Page<EmergencyView>),
    (status = 403, description = "Not allowed", body = Problem)))]
async fn emergency_list(State(api): State<Api>, session: Session) -> Result<Json<Page<EmergencyView>>, Problem> {
    let found = api.cases.emergency_list(session.actor()).await?;
    Ok(Json(Page { items: found.iter().map(EmergencyView::from).collect(), next_cursor: None }))
}

/// Opens emergency access at once; owners and their data-protection officers are told.
#[utoipa::path(post, path = "/api/v1/break-glass", tag = "sharing", request_body = EmergencyDto, responses(
    (status = 201, description = "Open", body = MadeView),
    (status = 403, description = "Not allowed, or something is missing: `missing` names all", body = Problem),
    (status = 404, description = "No such camera", body = Problem),
    (status = 409, description = "`review_late`: an earlier one waits for its review", body = Problem),
    (status = 422, description = "`invalid`, with `errors`", body = Problem)))]
async fn emergency_open(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<EmergencyDto>,
) -> Result<(StatusCode, Json<MadeView>), Problem> {
    let cameras: Result<_, _> = dto.camera_ids.iter().map(|id| parse_word("camera_ids", id)).collect();
    let wish = EmergencyWish { cameras: cameras?, why: PurposeDto::to_why(dto.purpose)? };
    let emergency = api.cases.emergency_open(session.actor(), wish).await?;
    Ok((StatusCode::CREATED, Json(MadeView { id: emergency.id.to_string() })))
}

/// Ends emergency access before its time.
#[utoipa::path(post, path = "/api/v1/break-glass/{id}/end", tag = "sharing", params(("id" = String, Path)), responses(
    (status = 204, description = "Ended"),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None that the caller may end", body = Problem),
    (status = 409, description = "`wrong_state`: it is over", body = Problem)))]
async fn emergency_end(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    api.cases.emergency_end(session.actor(), path_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Reviews emergency access. Never by whoever opened it.
#[utoipa::path(post, path = "/api/v1/break-glass/{id}/review", tag = "sharing", params(("id" = String, Path)),
    request_body = EmergencyReviewDto, responses(
    (status = 204, description = "Reviewed"),
    (status = 403, description = "Not allowed, or something is missing", body = Problem),
    (status = 404, description = "None that the caller may review", body = Problem),
    (status = 409, description = "`same_person`, `wrong_state`", body = Problem),
    (status = 422, description = "`invalid`: the text", body = Problem)))]
async fn emergency_review(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<EmergencyReviewDto>,
) -> Result<StatusCode, Problem> {
    api.cases.emergency_review(session.actor(), path_id(&id)?, dto.justified, &dto.reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Notices to the caller's organisation; all of them for an overseer.
#[utoipa::path(get, path = "/api/v1/notices", tag = "sharing", params(PageQuery), responses(
    (status = 200, description = "Newest first", body = Page<NoticeView>),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 422, description = "`invalid`: the cursor", body = Problem)))]
async fn notice_list(
    State(api): State<Api>,
    session: Session,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<NoticeView>>, Problem> {
    let below = page.after()?.as_deref().map(|id| parse_word("cursor", id)).transpose()?;
    let notices = api.cases.notice_list(session.actor(), below, page.limit()).await?;
    let items: Vec<NoticeView> = notices.iter().map(NoticeView::from).collect();
    Ok(Json(Page::new(items, page.limit(), |notice| notice.id.to_string())))
}

/// Police-supervised workstations that the caller administers.
#[utoipa::path(get, path = "/api/v1/stations", tag = "sharing", responses(
    (status = 200, description = "Newest first", body = Page<StationView>),
    (status = 403, description = "Not allowed", body = Problem)))]
async fn station_list(State(api): State<Api>, session: Session) -> Result<Json<Page<StationView>>, Problem> {
    let stations = api.cases.station_list(session.actor()).await?;
    Ok(Json(Page { items: stations.iter().map(StationView::from).collect(), next_cursor: None }))
}

/// Registers a workstation that stands under the control of the police.
#[utoipa::path(post, path = "/api/v1/stations", tag = "sharing", request_body = StationDto, responses(
    (status = 201, description = "Its code, shown once", body = NewStationView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 422, description = "`invalid`, with `errors`", body = Problem)))]
async fn station_register(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<StationDto>,
) -> Result<(StatusCode, Json<NewStationView>), Problem> {
    let org = parse_word("org_id", &dto.org_id)?;
    let (station, code) = api.cases.station_register(session.actor(), org, &dto.name, &dto.agreement).await?;
    Ok((StatusCode::CREATED, Json(NewStationView { station: StationView::from(&station), code })))
}

/// Takes a workstation back; what runs there under its condition ends.
#[utoipa::path(delete, path = "/api/v1/stations/{id}", tag = "sharing", params(("id" = String, Path)), responses(
    (status = 204, description = "Taken back"),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None in force that the caller administers", body = Problem)))]
async fn station_revoke(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    api.cases.station_revoke(session.actor(), path_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Binds this session to the workstation whose code it shows, until the session ends.
#[utoipa::path(post, path = "/api/v1/session/station", tag = "sharing", request_body = StationCodeDto, responses(
    (status = 200, description = "The workstation", body = StationView),
    (status = 404, description = "A code of no workstation of the caller's organisation", body = Problem)))]
async fn station_enter(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<StationCodeDto>,
) -> Result<Json<StationView>, Problem> {
    Ok(Json(StationView::from(&api.cases.station_enter(session.actor(), &dto.code).await?)))
}
