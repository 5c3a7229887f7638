//! The permit desk's register.

use axum::Json;
use axum::extract::{Path, Query, State};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vms_app::gate::Why;

use crate::dto::common::{Page, PageQuery};
use crate::dto::permit::{PermitImportDto, PermitImportView, PermitView, PermitWithdrawDto};
use crate::problem::Problem;
use crate::session::{Body, Session};
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(permit_list)).routes(routes!(permit_import)).routes(routes!(permit_withdraw))
}

fn why(justification: String) -> Why {
    Why { justification: Some(justification), ..Why::default() }
}

/// Permits for the zones of one's own municipality, by number.
#[utoipa::path(get, path = "/api/v1/permits", tag = "permits", params(PageQuery), responses(
    (status = 200, description = "By number", body = Page<PermitView>),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn permit_list(
    State(api): State<Api>,
    session: Session,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<PermitView>>, Problem> {
    let after = page.after()?;
    let rows = api.cases.permit_list(session.actor(), after.as_deref(), page.limit()).await?;
    let rows: Vec<PermitView> = rows.iter().map(PermitView::from).collect();
    Ok(Json(Page::new(rows, page.limit(), |last| last.id.clone())))
}

/// Takes permits and entries of lists, at most 1,000 together: those that the law allows; the others are named with their reason.
#[utoipa::path(post, path = "/api/v1/permits/import", tag = "permits", request_body = PermitImportDto, responses(
    (status = 200, description = "What was kept, and what was not", body = PermitImportView),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 422, description = "`invalid`: too many entries, or no reason", body = Problem),
    (status = 503, description = "`log_unavailable`", body = Problem)))]
async fn permit_import(
    State(api): State<Api>,
    session: Session,
    Body(dto): Body<PermitImportDto>,
) -> Result<Json<PermitImportView>, Problem> {
    let mut entries = dto.to_new()?;
    let (permits, listings) = entries.take();
    let imported = api.cases.permit_import(session.actor(), permits, listings, &why(dto.justification)).await?;
    Ok(Json(entries.told(imported)))
}

/// Ends a permit now.
#[utoipa::path(post, path = "/api/v1/permits/{id}/withdraw", tag = "permits", params(("id" = String, Path)),
    request_body = PermitWithdrawDto, responses(
    (status = 204, description = "It ended"),
    (status = 403, description = "Not allowed", body = Problem),
    (status = 404, description = "No such permit that runs", body = Problem)))]
async fn permit_withdraw(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<String>,
    Body(dto): Body<PermitWithdrawDto>,
) -> Result<StatusCode, Problem> {
    api.cases.permit_withdraw(session.actor(), &id, &why(dto.justification)).await?;
    Ok(StatusCode::NO_CONTENT)
}
