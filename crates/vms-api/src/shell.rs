//! The router: routes, limits, headers, the console's files.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};
use tokio::time::Instant;
use tower_http::services::{ServeDir, ServeFile};
use tracing::Instrument as _;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use vms_app::UseCases;
use vms_app::gate::tally::Tally;

use crate::problem::{OUTCOME_UNKNOWN, Problem};
use crate::routes;
use crate::session::is_own_origin;
use crate::settings::Settings;

/// State of every handler.
#[derive(Clone, Debug)]
pub struct Api {
    /// Use cases.
    pub cases: Arc<UseCases>,
    /// Settings.
    pub settings: Arc<Settings>,
}

#[derive(OpenApi)]
#[openapi(info(
    title = "Belfry",
    description = "Shared video surveillance with number-plate recognition. Rules: docs/API-DESIGN.md.",
    license(name = "EUPL-1.2", identifier = "EUPL-1.2")
))]
struct Document;

fn api_router() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(Document::openapi()).merge(routes::all())
}

/// The OpenAPI document.
pub fn openapi() -> utoipa::openapi::OpenApi {
    api_router().into_openapi()
}

/// The whole HTTP side. Serve it with `into_make_service_with_connect_info::<SocketAddr>()`, so that log-ins can be
/// limited by source.
pub fn router(cases: Arc<UseCases>, settings: Settings) -> Router {
    let settings = Arc::new(settings);
    let api = Api { cases, settings: Arc::clone(&settings) };
    let (router, _) = api_router().split_for_parts();
    let mut router = router
        .route("/api/v1/openapi.json", axum::routing::get(openapi_json))
        .route("/api/{*rest}", axum::routing::any(async || Problem::not_found()))
        .with_state(api.clone());
    if let Some(dir) = &settings.log_dir {
        router = router.nest_service("/log", ServeDir::new(dir));
    }
    if let Some(dir) = &settings.console_dir {
        // The console routes in the browser: an address that is no file is its start page.
        let files = ServeDir::new(dir).fallback(ServeFile::new(dir.join("index.html")));
        router = router.fallback_service(files);
    } else {
        router = router.fallback(async || Problem::not_found());
    }
    router.layer(DefaultBodyLimit::max(settings.body_max)).layer(from_fn_with_state(api, around))
}

async fn openapi_json() -> Response {
    let mut response = axum::Json(openapi()).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Routes that wait for a camera, a partner, a long file or a password's hash; footage, whose head waits for the recorder; and reads behind the
/// magistrate's gate, which are opened one by one.
const SLOW: [&str; 8] = [
    "/api/v1/exports/{id}/files/{name}",
    "/api/v1/login",
    "/api/v1/cameras/import",
    "/api/v1/cameras/{id}/probe",
    "/api/v1/cameras/{id}/test-picture",
    "/api/v1/partners/{id}/catalogue",
    "/api/v1/playback/{file}",
    "/api/v1/reads/gated-searches/{id}/open",
];

/// Whoever asked for a change must not take silence for a no.
fn took_too_long(route: &str, changes: bool) -> Problem {
    tracing::error!(http.route = route, "no answer in time");
    let problem = if changes {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "outcome_unknown", OUTCOME_UNKNOWN)
    } else {
        let title = "No answer came in time: something that this needs is slow or does not answer; try again";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timed_out", title)
    };
    Problem { retry_after_s: Some(5), ..problem }
}

/// What is not there leaves the leaf that what is not one's own leaves: the wait for the log does not tell the two apart.
async fn alike(api: &Api, route: String, work: impl Future<Output = Response>) -> Response {
    let (response, tally) = Tally::over(work).await;
    match tally.unlogged().filter(|_| response.status() == StatusCode::NOT_FOUND) {
        None => response,
        Some(actor) => match api.cases.refuse_absent(actor, &route).await {
            Ok(()) => response,
            Err(error) => Problem::from(error).into_response(),
        },
    }
}

/// Holds a no back until the next whole step since its request came: what was looked up before it takes a millisecond or two more or less.
async fn in_step(began: Instant, step: Duration) {
    let passed = began.elapsed();
    let Some(steps) = passed.as_nanos().checked_div(step.as_nanos()) else { return };
    let steps = u32::try_from(steps).unwrap_or(u32::MAX).saturating_add(1);
    if let Some(until) = began.checked_add(step.saturating_mul(steps)) {
        tokio::time::sleep_until(until).await;
    }
}

/// Around every request: the origin of changes, the time-out, the time of a no, the span, the headers.
async fn around(State(api): State<Api>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let is_api = request.uri().path().starts_with("/api/");
    let span = tracing::info_span!("request", http.method = %method, http.route = %route);
    let has_origin = request.headers().contains_key(header::ORIGIN);
    let changes = !matches!(method, Method::GET | Method::HEAD | Method::OPTIONS);
    let mut response = if changes && has_origin && !is_own_origin(request.headers(), &api.settings) {
        match api.cases.refuse_stranger(&format!("{method} {route}"), "origin").await {
            Ok(()) => Problem::new(StatusCode::FORBIDDEN, "foreign_origin", "Not from another site").into_response(),
            Err(error) => Problem::from(error).into_response(),
        }
    } else {
        let limit = if SLOW.contains(&route.as_str()) { api.settings.slow_answer_max } else { api.settings.answer_max };
        let work = alike(&api, format!("{method} {route}"), next.run(request));
        match tokio::time::timeout(limit, work.instrument(span)).await {
            Ok(response) => response,
            Err(_) => took_too_long(&route, changes).into_response(),
        }
    };
    if is_api && matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::FORBIDDEN) {
        in_step(began, api.settings.no_step).await;
    }
    let status = response.status().as_u16().to_string();
    metrics::counter!("belfry_http_requests_total", "route" => route, "status" => status).increment(1);
    secure(&mut response, &api.settings, is_api);
    response
}

/// `console.md` 3.4; `reliability.md` A10. No script and no style stands inline, and no text becomes a script or a page: React sets
/// styles property by property, and nothing in the console makes elements of text. The one policy of the console (`web/src/app/trusted.ts`) lets
/// the empty text pass, by which a library clears its announcements.
const CSP: &str = "default-src 'self'; script-src 'self'; worker-src 'self' blob:; img-src 'self' data: blob:; \
    media-src 'self' blob:; style-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types default";

fn secure(response: &mut Response, settings: &Settings, is_api: bool) {
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let policy = "camera=(), microphone=(), geolocation=(), window-management=(self), gamepad=(self)";
    headers.insert("permissions-policy", HeaderValue::from_static(policy));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    if settings.tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000"));
    }
    // Nothing of the API is kept by the browser unless a route says so itself.
    if is_api {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_no_leaves_at_a_whole_step() {
        let ms = Duration::from_millis;
        for (took, step, wanted) in [
            (ms(0), ms(20), ms(20)),
            (ms(3), ms(20), ms(20)),
            (ms(20), ms(20), ms(40)),
            (ms(47), ms(20), ms(60)),
            (ms(3), ms(0), ms(3)),
        ] {
            let began = Instant::now();
            tokio::time::advance(took).await;
            in_step(began, step).await;
            assert_eq!(began.elapsed(), wanted, "{took:?} {step:?}");
        }
    }

    #[test]
    fn slow_routes_are_routes() {
        for slow in SLOW {
            assert!(crate::table::ROUTES.iter().any(|line| line.path == slow), "{slow}");
        }
    }
}
