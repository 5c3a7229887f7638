//! What waits for a second person, and alarms about somebody's use.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_app::legal_changes::Settling;
use vms_core::Right;

use crate::dto::common::{Page, path_id};
use crate::dto::legal::RefusalDto;
use crate::dto::watch::{AnomalyAnswerDto, AnomalyView, SecondWishView};
use crate::problem::Problem;
use crate::session::{Body, Session};
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(second_list))
        .routes(routes!(second_approve))
        .routes(routes!(second_refuse))
        .routes(routes!(second_withdraw))
        .routes(routes!(anomaly_list))
        .routes(routes!(anomaly_settle))
}

/// Wishes of the caller, for the caller to agree to, or of the caller's organisation.
#[utoipa::path(get, path = "/api/v1/second-wishes", tag = "sharing", responses(
    (status = 200, description = "Newest first", body = Page<SecondWishView>),
    (status = 403, description = "Not allowed", body = Problem)))]
async fn second_list(State(api): State<Api>, session: Session) -> Result<Json<Page<SecondWishView>>, Problem> {
    let sights = api.cases.second_list(session.actor()).await?;
    Ok(Json(Page { items: sights.iter().map(SecondWishView::from).collect(), next_cursor: None }))
}

async fn settled(api: &Api, session: &Session, id: &str, how: Settling) -> Result<StatusCode, Problem> {
    api.cases.second_settle(session.actor(), path_id(id)?, how).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Agrees: it happens at once. Never by whoever asked.
#[utoipa::path(post, path = "/api/v1/second-wishes/{id}/approve", tag = "sharing", params(("id" = String, Path)),
    responses(
    (status = 204, description = "Done"),
    (status = 403, description = "Not allowed, or `step_up_needed`", body = Problem),
    (status = 404, description = "None that the caller may know of", body = Problem),
    (status = 409, description = "`same_person`, `wrong_state`", body = Problem)))]
async fn second_approve(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    api.cases.fresh_factor_for(&session.0, &[Right::PartnerApprove, Right::CameraRetireApprove]).await?;
    settled(&api, &session, &id, Settling::Approve).await
}

/// Refuses, with a reason. Never by whoever asked, who can take it back.
#[utoipa::path(post, path = "/api/v1/second-wishes/{id}/refuse", tag = "sharing", params(("id" = String, Path)),
    request_body = RefusalDto, responses(
    (status = 204, description = "Refused"),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None that the caller may know of", body = Problem),
    (status = 409, description = "`same_person`, `wrong_state`", body = Problem),
    (status = 422, description = "`invalid`: the reason", body = Problem)))]
async fn second_refuse(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<RefusalDto>,
) -> Result<StatusCode, Problem> {
    settled(&api, &session, &id, Settling::Refuse(dto.reason)).await
}

/// Whoever asked takes it back.
#[utoipa::path(post, path = "/api/v1/second-wishes/{id}/withdraw", tag = "sharing", params(("id" = String, Path)),
    responses(
    (status = 204, description = "It waits no more"),
    (status = 404, description = "None of the caller", body = Problem),
    (status = 409, description = "`wrong_state`", body = Problem)))]
async fn second_withdraw(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    settled(&api, &session, &id, Settling::Withdraw).await
}

/// Alarms about people of the caller's organisation; all of them for an overseer.
#[utoipa::path(get, path = "/api/v1/anomalies", tag = "oversight", responses(
    (status = 200, description = "Newest first", body = Page<AnomalyView>),
    (status = 403, description = "Not allowed", body = Problem)))]
async fn anomaly_list(State(api): State<Api>, session: Session) -> Result<Json<Page<AnomalyView>>, Problem> {
    let mut items = Vec::new();
    for alarm in api.cases.anomaly_list(session.actor()).await? {
        items.push(AnomalyView::new(&alarm, api.cases.org_code(alarm.breach.org).await?));
    }
    Ok(Json(Page { items, next_cursor: None }))
}

/// Says what an alarm was. Never by whom it is about.
#[utoipa::path(post, path = "/api/v1/anomalies/{id}/settle", tag = "oversight", params(("id" = String, Path)),
    request_body = AnomalyAnswerDto, responses(
    (status = 204, description = "Settled"),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "None that the caller may know of", body = Problem),
    (status = 409, description = "`same_person`, `wrong_state`", body = Problem),
    (status = 422, description = "`invalid`: the answer", body = Problem)))]
async fn anomaly_settle(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<AnomalyAnswerDto>,
) -> Result<StatusCode, Problem> {
    api.cases.anomaly_settle(session.actor(), path_id(&id)?, &dto.answer).await?;
    Ok(StatusCode::NO_CONTENT)
}
