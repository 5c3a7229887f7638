//! While the central database is away at the start: everybody who asks is told so, instead of meeting a closed door.

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::StatusCode;

use crate::problem::{DATABASE_AWAY, Problem};
use crate::routes::health;

/// Answers every request with 503 `database_unavailable`, and `/health` with the words of the whole API.
pub fn waiting_router() -> Router {
    Router::new().route("/health", get(async || health::database_away())).fallback(away)
}

async fn away() -> Response {
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", DATABASE_AWAY);
    Problem { retry_after_s: Some(5), ..problem }.into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn every_door_says_why_it_is_closed() {
        for path in ["/", "/health", "/api/v1/cameras", "/api/v1/live"] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = waiting_router().oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
            let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
            assert!(String::from_utf8_lossy(&body).contains("central database does not answer"), "{path}");
        }
    }
}
