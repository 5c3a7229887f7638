//! The log of uses, for people.

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::dto::common::{Page, PageQuery, parse_range, parse_word};
use crate::dto::people::AuditView;
use crate::problem::Problem;
use crate::session::Session;
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(audit_list))
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
