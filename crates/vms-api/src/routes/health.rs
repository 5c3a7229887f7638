//! Health.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::dto::camera::CameraHealthView;
use crate::dto::common::Page;
use crate::problem::Problem;
use crate::session::Session;
use crate::shell::Api;

/// Routes of this file.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(health_cameras))
}

/// The short answer.
#[derive(Debug, Serialize, ToSchema)]
struct HealthAnswer {
    /// `ok`, `behind` or `unavailable`.
    status: &'static str,
    /// Cameras whose footage did not reach the disk lately; how many, not which.
    behind: usize,
}

/// Whether footage of every camera in service reached the disk in the last 10 s.
#[utoipa::path(get, path = "/health", tag = "health", responses(
    (status = 200, description = "It did", body = HealthAnswer),
    (status = 503, description = "It did not, or nobody knows", body = HealthAnswer)))]
async fn health(State(api): State<Api>) -> Response {
    let (code, status, behind) = match api.cases.health_summary().await {
        Ok(behind) if behind.is_empty() => (StatusCode::OK, "ok", 0),
        Ok(behind) => (StatusCode::SERVICE_UNAVAILABLE, "behind", behind.len()),
        Err(error) => {
            tracing::warn!(%error, "health is unknown");
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable", 0)
        }
    };
    (code, Json(HealthAnswer { status, behind })).into_response()
}

/// Health of every camera that the caller sees.
#[utoipa::path(get, path = "/api/v1/health/cameras", tag = "health", responses(
    (status = 200, description = "By code", body = Page<CameraHealthView>),
    (status = 403, description = "Not allowed", body = Problem)))]
async fn health_cameras(State(api): State<Api>, session: Session) -> Result<Json<Page<CameraHealthView>>, Problem> {
    let cameras = api.cases.health_cameras(session.actor()).await?;
    Ok(Json(Page { items: cameras.iter().map(CameraHealthView::from).collect(), next_cursor: None }))
}
