//! The last bound: whatever a request waits for, it is answered.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode, header};
use serde_json::json;
use tower::ServiceExt as _;
use vms_api::Settings;

use crate::town::{Town, answer};

#[tokio::test]
async fn who_waits_too_long_is_told_and_a_change_is_not_called_undone() {
    let town = Town::settled().await;
    let chief = town.person("chief").await;
    let settings = Settings { answer_max: Duration::ZERO, ..Settings::default() };
    let router = vms_api::router(Arc::clone(&town.cases), settings);
    for (method, path, wanted) in [
        (Method::GET, "/api/v1/cameras", "timed_out"),
        (Method::GET, "/api/v1/session", "timed_out"),
        (Method::POST, "/api/v1/grants", "outcome_unknown"),
        (Method::PATCH, "/api/v1/session", "outcome_unknown"),
        (Method::DELETE, "/api/v1/grants/grt_0", "outcome_unknown"),
    ] {
        // A request that the database answers at once is done before the bound is looked at: it is asked again.
        let mut response = None;
        for _ in 0..50 {
            let body = (method != Method::GET).then(|| json!({}));
            let found = router.clone().oneshot(Town::request(&chief, method.clone(), path, body)).await.unwrap();
            let is_late = found.status() == StatusCode::SERVICE_UNAVAILABLE;
            response = Some(found);
            if is_late {
                break;
            }
        }
        let response = response.unwrap();
        assert!(response.headers().contains_key(header::RETRY_AFTER), "{method} {path}");
        let (status, problem) = answer(response).await;
        assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(wanted)), "{method} {path}");
        if wanted == "outcome_unknown" {
            assert!(problem["title"].as_str().unwrap().contains("may or may not have been applied"), "{problem}");
        }
    }
    // A camera, a partner or a long file may take longer, and has a longer bound.
    let path = "/api/v1/cameras/import";
    let request = Town::request(&chief, Method::POST, path, Some(json!({ "csv": "", "dry_run": true })));
    let (status, _) = answer(router.oneshot(request).await.unwrap()).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "decided as ever");
}
