//! Batches of fines, for the job of the tax administration (`belfry fines`). `docs/FINES.md` tells how they go together.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::dto::common::parse_range;
use crate::dto::fines::{
    FineAnswerView, FineAnswersDto, FineAnswersOutcome, FineKindQuery, FineLineView, FineLinesQuery, FineLinesView,
    FineRunDto, FineRunView, FineSealView, FineSignDto, FineStatusView, SoldPassesDto, SoldPassesOutcome, fine_kind,
};
use crate::problem::Problem;
use crate::session::{Body, Session};
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(fine_status))
        .routes(routes!(fine_run))
        .routes(routes!(fine_lines))
        .routes(routes!(fine_sign))
        .routes(routes!(fine_answers))
        .routes(routes!(fine_passes))
}

/// Runs, newest first, and how many approved findings wait for one.
#[utoipa::path(get, path = "/api/v1/fines/runs", tag = "fines", params(FineKindQuery), responses(
    (status = 200, description = "Newest first", body = FineStatusView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn fine_status(
    State(api): State<Api>,
    session: Session,
    Query(query): Query<FineKindQuery>,
) -> Result<Json<FineStatusView>, Problem> {
    let kind = fine_kind(query.kind.as_deref())?;
    Ok(Json((&api.cases.fine_status(session.actor(), kind).await?).into()))
}

/// Takes the findings that people approved in a window, or finds the run that took them. Again with the same window: the same run.
#[utoipa::path(post, path = "/api/v1/fines/runs", tag = "fines", request_body = FineRunDto, responses(
    (status = 200, description = "The run; of a dry run, what it would be", body = FineRunView),
    (status = 202, description = "It takes longer than a request may: ask again with the same body"),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 409, description = "`wrong_state`: `run_busy`, `other_run_open`, `window_overlaps`, `too_many`", body = Problem),
    (status = 422, description = "`invalid`: the window or the holder", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn fine_run(State(api): State<Api>, session: Session, Body(dto): Body<FineRunDto>) -> Result<Response, Problem> {
    let range = parse_range(&dto.from, &dto.to)?;
    let run =
        api.cases.fine_run(session.actor(), fine_kind(dto.kind.as_deref())?, range, &dto.holder, dto.dry_run).await?;
    Ok(match run {
        Some(run) => Json(FineRunView::from(&run)).into_response(),
        None => StatusCode::ACCEPTED.into_response(),
    })
}

/// The next lines of a run with their pictures. Every record is in the log of uses before it leaves.
#[utoipa::path(get, path = "/api/v1/fines/runs/{id}/lines", tag = "fines", params(("id" = String, Path), FineLinesQuery),
    responses(
    (status = 200, description = "In order; none at the end", body = FineLinesView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "No such run", body = Problem),
    (status = 409, description = "`wrong_state`: `run_busy`, `finding_erased`, `run_damaged`, `damaged`", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn fine_lines(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Query(query): Query<FineLinesQuery>,
) -> Result<Json<FineLinesView>, Problem> {
    let lines = api.cases.fine_lines(session.actor(), &id, &query.holder, query.after).await?;
    Ok(Json(FineLinesView { items: lines.iter().map(FineLineView::from).collect() }))
}

/// Signs the manifest, when it is that of the run and all lines have left. Again with the same manifest: the same signature.
#[utoipa::path(post, path = "/api/v1/fines/runs/{id}/signature", tag = "fines", params(("id" = String, Path)),
    request_body = FineSignDto, responses(
    (status = 200, description = "The signature", body = FineSealView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "No such run", body = Problem),
    (status = 409, description = "`wrong_state`: `run_busy`, `not_all_left`, `not_reconciled`, `differs`, `signed_otherwise`",
        body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn fine_sign(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<FineSignDto>,
) -> Result<Json<FineSealView>, Problem> {
    let seal = api.cases.fine_sign(session.actor(), &id, &dto.holder, dto.manifest.as_bytes()).await?;
    Ok(Json(seal.into()))
}

/// Answers of the tax administration, each for itself. Given twice they are harmless; one that contradicts an earlier one is not taken.
#[utoipa::path(post, path = "/api/v1/fines/answers", tag = "fines", params(FineKindQuery), request_body = FineAnswersDto, responses(
    (status = 200, description = "What became of each", body = FineAnswersOutcome),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 422, description = "`invalid`: nothing was taken", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn fine_answers(
    State(api): State<Api>,
    session: Session,
    Query(query): Query<FineKindQuery>,
    Body(dto): Body<FineAnswersDto>,
) -> Result<Json<FineAnswersOutcome>, Problem> {
    let kind = fine_kind(query.kind.as_deref())?;
    let answers = dto.to_answers();
    let outcomes = api.cases.fine_answers(session.actor(), kind, &answers).await?;
    let items = answers.into_iter().zip(outcomes);
    let items = items.map(|(answer, outcome)| FineAnswerView { offence: answer.offence, outcome }).collect();
    Ok(Json(FineAnswersOutcome { items }))
}

/// Day passes of the low-emission zone that were sold: no batch holds a finding whose vehicle had one. Given twice they are harmless.
#[utoipa::path(post, path = "/api/v1/fines/passes", tag = "fines", request_body = SoldPassesDto, responses(
    (status = 200, description = "What became of them", body = SoldPassesOutcome),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 422, description = "`invalid`: nothing was taken", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn fine_passes(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<SoldPassesDto>,
) -> Result<Json<SoldPassesOutcome>, Problem> {
    Ok(Json(api.cases.fine_passes(session.actor(), &dto.to_passes()?).await?.into()))
}
