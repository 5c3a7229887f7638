//! The log of uses, for people.

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_core::Plate;

use crate::dto::common::{Page, PageQuery, PurposeDto, parse_range, parse_word};
use crate::dto::people::{AuditView, PlateTraceDto};
use crate::problem::Problem;
use crate::session::{Body, Session};
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(audit_list)).routes(routes!(plate_trace))
}

/// Which span.
#[derive(Debug, Deserialize, IntoParams)]
struct AuditQuery {
    /// First instant.
    from: String,
    /// First instant after.
    to: String,
}

/// Leaves of the own organisation (of everybody, for overseers) with their details, newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(AuditQuery, PageQuery), responses(
    (status = 200, description = "Newest first", body = Page<AuditView>),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 422, description = "`invalid`: the span", body = Problem)))]
async fn audit_list(
    State(api): State<Api>,
    session: Session,
    Query(query): Query<AuditQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<AuditView>>, Problem> {
    let range = parse_range(&query.from, &query.to)?;
    let below = page.after()?.as_deref().map(|index| parse_word("cursor", index)).transpose()?;
    let details = api.cases.audit_list(session.actor(), range, below, page.limit()).await?;
    let rows: Vec<AuditView> = details.iter().map(AuditView::from).collect();
    Ok(Json(Page::new(rows, page.limit(), |leaf| leaf.index.to_string())))
}

/// Who searched for a plate: leaves of searches, refused ones too, and of earlier look-ups like this one, newest first; those of the own
/// organisation, of everybody for overseers. Found by the keyed hash in the log; a search by pattern has another.
#[utoipa::path(post, path = "/api/v1/audit/plate-searches", tag = "audit", params(PageQuery), request_body = PlateTraceDto, responses(
    (status = 200, description = "Newest first, under one logged decision", body = Page<AuditView>),
    (status = 403, description = "Not allowed, or `purpose_required`, `justification_required`, `case_required`", body = Problem),
    (status = 409, description = "`no_such_service`: no plates are read here", body = Problem),
    (status = 422, description = "`invalid`: the plate or the span", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn plate_trace(
    State(api): State<Api>,
    session: Session,
    Query(page): Query<PageQuery>,
    Body(dto): Body<PlateTraceDto>,
) -> Result<Json<Page<AuditView>>, Problem> {
    let plate = Plate::parse(&dto.plate).map_err(|_| Problem::invalid("plate", "not_a_plate"))?;
    let range = parse_range(&dto.from, &dto.to)?;
    let below = page.after()?.as_deref().map(|index| parse_word("cursor", index)).transpose()?;
    let why = PurposeDto::to_why(dto.purpose)?;
    let found = api.cases.plate_trace(session.actor(), &plate, range, &why, below, page.limit()).await?;
    let rows: Vec<AuditView> = found.uses.iter().map(AuditView::from).collect();
    Ok(Json(Page::new(rows, page.limit(), |leaf| leaf.index.to_string())))
}
