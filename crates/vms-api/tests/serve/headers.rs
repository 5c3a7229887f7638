//! What every answer carries, whatever the route: the browser's own guards (reliability.md A10).

use std::collections::BTreeMap;

use axum::body::Body;
use http::{Request, StatusCode, header};
use vms_api::table::ROUTES;

use crate::town::{PASSWORD, Town, json_of};
use crate::walk::{concrete, stage};

/// The policy's directives.
fn directives(policy: &str) -> BTreeMap<&str, Vec<&str>> {
    let pieces = policy.split(';').map(str::trim).filter(|piece| !piece.is_empty());
    pieces
        .map(|piece| {
            let mut words = piece.split_ascii_whitespace();
            (words.next().unwrap(), words.collect())
        })
        .collect()
}

#[tokio::test]
async fn every_route_answers_with_the_browsers_guards() {
    let (town, things) = stage().await;
    let operator = town.person("operator").await;
    let mut answers = 0;
    for line in ROUTES {
        for session in [true, false] {
            let (path, body) = concrete(line, &things);
            town.clock.pass_s(20);
            let mut request =
                Request::builder().method(line.method).uri(&path).header(header::CONTENT_TYPE, "application/json");
            if session {
                request = request.header(header::COOKIE, &operator.cookie).header("x-csrf-token", &operator.csrf);
            }
            let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
            let response = town.send(request.body(body).unwrap()).await;
            let headers = response.headers();
            let text = |name: &str| {
                let all: Vec<_> = headers.get_all(name).iter().collect();
                assert_eq!(all.len(), 1, "{line:?} has {} of {name}", all.len());
                all[0].to_str().unwrap().to_owned()
            };
            for (name, wanted) in [
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("referrer-policy", "no-referrer"),
                ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-resource-policy", "same-origin"),
            ] {
                assert_eq!(text(name), wanted, "{line:?} {name}");
            }
            let policy = text("content-security-policy");
            let policy = directives(&policy);
            for (directive, words) in &policy {
                for loose in ["'unsafe-inline'", "'unsafe-eval'", "*", "http:", "https:"] {
                    assert!(!words.contains(&loose), "{directive} has {loose}");
                }
            }
            for (directive, wanted) in [
                ("default-src", vec!["'self'"]),
                ("script-src", vec!["'self'"]),
                ("style-src", vec!["'self'"]),
                ("object-src", vec!["'none'"]),
                ("base-uri", vec!["'none'"]),
                ("frame-ancestors", vec!["'none'"]),
                ("require-trusted-types-for", vec!["'script'"]),
            ] {
                assert_eq!(policy.get(directive), Some(&wanted), "{directive}");
            }
            if line.path.starts_with("/api/") {
                let kept = text("cache-control");
                let own = ["no-store", "no-cache", "private"];
                assert!(own.iter().any(|word| kept.contains(word)), "{line:?} may be kept: {kept}");
            }
            assert!(!headers.contains_key("access-control-allow-origin"), "{line:?} opens itself to other origins");
            answers += 1;
        }
    }
    println!("{answers} answers of {} routes carry every guard", ROUTES.len());
}

#[tokio::test]
async fn behind_tls_cookies_belong_to_this_host_and_are_sent_by_its_own_pages_alone() {
    let town = Town::settled().await;
    let tls = vms_api::Settings { tls: true, ..vms_api::Settings::default() };
    for (settings, prefix, secure) in
        [(tls, "__Host-belfry_session=", true), (vms_api::Settings::default(), "belfry_session=", false)]
    {
        let router = vms_api::router(std::sync::Arc::clone(&town.cases), settings);
        let body = serde_json::json!({ "user_name": "operator", "password": PASSWORD }).to_string();
        let request = Request::post("/api/v1/login").header(header::CONTENT_TYPE, "application/json");
        let response = tower::ServiceExt::oneshot(router, request.body(Body::from(body)).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let line = response.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
        assert!(line.starts_with(prefix), "{line}");
        let words: Vec<_> = line.split(';').map(str::trim).collect();
        for wanted in ["Path=/", "HttpOnly", "SameSite=Strict"] {
            assert!(words.contains(&wanted), "{wanted} in {line}");
        }
        assert_eq!(words.contains(&"Secure"), secure, "{line}");
        assert!(!line.contains("Domain="), "`__Host-` cookies name no domain");
        assert_eq!(response.headers().contains_key("strict-transport-security"), secure);
        assert!(json_of(response).await["csrf_token"].is_string());
    }
}

#[test]
fn no_address_carries_a_token() {
    for line in ROUTES {
        for word in ["token=", "{token}", "{ticket}", "{password}", "{code}", "{session}"] {
            assert!(!line.path.contains(word), "{} {}", line.method, line.path);
        }
    }
    // Nor does any parameter of the document.
    let document = serde_json::to_value(vms_api::openapi()).unwrap();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for operation in methods.as_object().unwrap().values() {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap();
                for word in ["token", "password", "secret", "csrf", "code", "ticket"] {
                    assert!(!name.contains(word), "{path} takes {name} in its address");
                }
            }
        }
    }
}
