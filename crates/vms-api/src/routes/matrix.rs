//! The role matrix: what is in force, its versions, and changing it with two people.

use axum::Json;
use axum::extract::{Path, Query, State};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_app::legal_changes::Settling;
use vms_core::Right;

use crate::dto::common::{Page, parse_word, path_id};
use crate::dto::legal::RefusalDto;
use crate::dto::matrix::{
    AbilityQuery, AbilityView, MatrixDiffView, MatrixDraftDto, MatrixSightView, MatrixTextDto, MatrixVersionView,
    MatrixView,
};
use crate::problem::Problem;
use crate::session::{Body, Session};
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(matrix_in_force))
        .routes(routes!(matrix_diff))
        .routes(routes!(matrix_abilities))
        .routes(routes!(matrix_versions, matrix_propose))
        .routes(routes!(matrix_version))
        .routes(routes!(matrix_approve))
        .routes(routes!(matrix_refuse))
        .routes(routes!(matrix_withdraw))
}

/// The role matrix in force: every cell, and the text to start a draft from.
#[utoipa::path(get, path = "/api/v1/matrix", tag = "matrix", responses(
    (status = 200, description = "The matrix", body = MatrixView),
    (status = 403, description = "Not allowed", body = Problem)))]
async fn matrix_in_force(State(api): State<Api>, session: Session) -> Result<Json<MatrixView>, Problem> {
    Ok(Json(MatrixView::from(&api.cases.matrix_in_force(session.actor()).await?)))
}

/// What a text would change: who gains, who loses, against the people and cameras of today. Nothing is stored.
#[utoipa::path(post, path = "/api/v1/matrix/diff", tag = "matrix", request_body = MatrixTextDto, responses(
    (status = 200, description = "The difference", body = MatrixDiffView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 422, description = "`invalid`: row and word, or the rule that the text breaks", body = Problem)))]
async fn matrix_diff(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<MatrixTextDto>,
) -> Result<Json<MatrixDiffView>, Problem> {
    Ok(Json(MatrixDiffView::from(&api.cases.matrix_compare(session.actor(), &dto.text).await?)))
}

/// Every right of a profile towards own, shared or other cameras, with what it needs.
#[utoipa::path(get, path = "/api/v1/matrix/abilities", tag = "matrix", params(AbilityQuery), responses(
    (status = 200, description = "By right", body = Page<AbilityView>),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 422, description = "`invalid`: profile or relation", body = Problem)))]
async fn matrix_abilities(
    State(api): State<Api>,
    session: Session,
    Query(query): Query<AbilityQuery>,
) -> Result<Json<Page<AbilityView>>, Problem> {
    let now = api.cases.matrix_in_force(session.actor()).await?;
    let (profile, relation) = (parse_word("profile", &query.profile)?, parse_word("relation", &query.relation)?);
    let abilities = policy::simulate(&now.matrix, profile, relation);
    Ok(Json(Page { items: abilities.iter().map(AbilityView::from).collect(), next_cursor: None }))
}

/// Every version: drafts, what was refused, what is and was in force.
#[utoipa::path(get, path = "/api/v1/matrix/versions", tag = "matrix", responses(
    (status = 200, description = "Newest first", body = Page<MatrixVersionView>),
    (status = 403, description = "Not allowed", body = Problem)))]
async fn matrix_versions(State(api): State<Api>, session: Session) -> Result<Json<Page<MatrixVersionView>>, Problem> {
    let all = api.cases.matrix_versions(session.actor()).await?;
    Ok(Json(Page { items: all.iter().map(MatrixVersionView::from).collect(), next_cursor: None }))
}

/// One version, with its text and its difference to what is in force.
#[utoipa::path(get, path = "/api/v1/matrix/versions/{id}", tag = "matrix", params(("id" = String, Path)), responses(
    (status = 200, description = "The version", body = MatrixSightView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "No such version", body = Problem)))]
async fn matrix_version(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<MatrixSightView>, Problem> {
    Ok(Json(MatrixSightView::from(&api.cases.matrix_version(session.actor(), path_id(&id)?).await?)))
}

/// Puts a text before a second person. Nothing changes until somebody else agrees and its time has come.
#[utoipa::path(post, path = "/api/v1/matrix/versions", tag = "matrix", request_body = MatrixDraftDto, responses(
    (status = 201, description = "The draft, which waits, with its difference", body = MatrixSightView),
    (status = 403, description = "Not allowed, or a second factor must be shown again", body = Problem),
    (status = 409, description = "`taken`: another one is open", body = Problem),
    (status = 422, description = "`invalid`: row and word, or the rule that the text breaks", body = Problem)))]
async fn matrix_propose(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<MatrixDraftDto>,
) -> Result<(StatusCode, Json<MatrixSightView>), Problem> {
    api.cases.fresh_factor_for(&session.0, &[Right::MatrixPropose]).await?;
    let (text, at, why) = dto.into_parts()?;
    let sight = api.cases.matrix_propose(session.actor(), &text, at, &why).await?;
    Ok((StatusCode::CREATED, Json(MatrixSightView::from(&sight))))
}

async fn settled(api: &Api, session: &Session, id: &str, how: Settling) -> Result<Json<MatrixSightView>, Problem> {
    api.cases.fresh_factor_for(&session.0, &[Right::MatrixApprove, Right::MatrixPropose]).await?;
    Ok(Json(MatrixSightView::from(&api.cases.matrix_settle(session.actor(), path_id(id)?, how).await?)))
}

/// Agrees: it comes into force at its time. Never by its proposer.
#[utoipa::path(post, path = "/api/v1/matrix/versions/{id}/approve", tag = "matrix", params(("id" = String, Path)),
    responses(
    (status = 200, description = "The version, agreed", body = MatrixSightView),
    (status = 403, description = "Not allowed, or a second factor must be shown again", body = Problem),
    (status = 404, description = "No such version", body = Problem),
    (status = 409, description = "`same_person`, `wrong_state`", body = Problem),
    (status = 412, description = "`changed_meanwhile`: another matrix is in force than the one it was compared with", body = Problem)))]
async fn matrix_approve(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<MatrixSightView>, Problem> {
    settled(&api, &session, &id, Settling::Approve).await
}

/// Refuses, with a reason. Never by its proposer, who can take it back.
#[utoipa::path(post, path = "/api/v1/matrix/versions/{id}/refuse", tag = "matrix", params(("id" = String, Path)),
    request_body = RefusalDto, responses(
    (status = 200, description = "The version, refused", body = MatrixSightView),
    (status = 403, description = "Not allowed, or a second factor must be shown again", body = Problem),
    (status = 404, description = "No such version", body = Problem),
    (status = 409, description = "`same_person`, `wrong_state`", body = Problem),
    (status = 422, description = "`invalid`: the reason", body = Problem)))]
async fn matrix_refuse(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<RefusalDto>,
) -> Result<Json<MatrixSightView>, Problem> {
    settled(&api, &session, &id, Settling::Refuse(dto.reason)).await
}

/// The proposer takes a version back, agreed or not, as long as it is not in force.
#[utoipa::path(post, path = "/api/v1/matrix/versions/{id}/withdraw", tag = "matrix", params(("id" = String, Path)),
    responses(
    (status = 200, description = "The version, taken back", body = MatrixSightView),
    (status = 403, description = "Not allowed, or a second factor must be shown again", body = Problem),
    (status = 404, description = "None of the caller", body = Problem),
    (status = 409, description = "`wrong_state`", body = Problem)))]
async fn matrix_withdraw(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Json<MatrixSightView>, Problem> {
    settled(&api, &session, &id, Settling::Withdraw).await
}
