use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use serde_json::json;
use zeroize::Zeroizing;

use crate::town::{PASSWORD, Person, Town, answer, json_of};

#[tokio::test]
async fn wrong_and_unknown_look_the_same_and_right_opens_a_session() {
    let town = Town::settled().await;
    let wrong = json_of(town.log_in("operator", "wrong password wrong").await).await;
    let unknown = json_of(town.log_in("nobody", "wrong password wrong").await).await;
    assert_eq!(wrong, unknown);
    assert_eq!(wrong["code"], "login_failed");

    let response = town.log_in("Operator ", PASSWORD).await;
    let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    for part in ["belfry_session=", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let view = json_of(response).await;
    assert_eq!((&view["profile"], &view["org"]["code"]), (&json!("P01"), &json!("5340")));
    assert!(view["rights"].as_array().unwrap().contains(&json!("live")));
    assert_eq!(view["expires_at"], "2026-11-23T00:00:00.000000Z");
    assert_eq!(view["idle_expires_at"], "2026-11-22T12:15:00.000000Z");

    let person = town.person("operator").await;
    assert_eq!(town.get(&person, "/api/v1/session").await.0, StatusCode::OK);
    assert_eq!(town.post(&person, "/api/v1/logout", json!({})).await.0, StatusCode::NO_CONTENT);
    assert_eq!(town.get(&person, "/api/v1/session").await.0, StatusCode::UNAUTHORIZED);
    let leaves = town.leaves();
    for wanted in ["session login_failed", "session login", "session logout", "refuse refused"] {
        assert!(leaves.iter().any(|leaf| leaf == wanted), "{wanted} in {leaves:?}");
    }
    let log = format!("{:?}", town.log.entries());
    assert!(!log.contains(PASSWORD) && !log.contains("wrong password"), "no password in the log");
}

#[tokio::test]
async fn sessions_idle_out_and_end() {
    let town = Town::settled().await;
    let person = town.person("operator").await;
    for _ in 0..4 {
        town.clock.pass_s(14 * 60);
        assert_eq!(town.get(&person, "/api/v1/session").await.0, StatusCode::OK, "requests keep it");
    }
    town.clock.pass_s(15 * 60);
    assert_eq!(town.get(&person, "/api/v1/session").await.0, StatusCode::UNAUTHORIZED, "idle");
    let busy = town.person("operator").await;
    for _ in 0..51 {
        town.clock.pass_s(14 * 60);
        town.get(&busy, "/api/v1/session").await;
    }
    town.clock.pass_s(6 * 60);
    assert_eq!(town.get(&busy, "/api/v1/session").await.0, StatusCode::UNAUTHORIZED, "12 hours");
}

#[tokio::test]
async fn ten_tries_a_minute_and_nobody_is_locked_out() {
    let town = Town::settled().await;
    let source = |user: &'static str, password: &'static str, from: &'static str| {
        let cases = &town.cases;
        async move { cases.login(user, Zeroizing::new(password.to_owned()), from).await }
    };
    source("operator", PASSWORD, "10.1.1.1").await.unwrap();
    for _ in 0..10 {
        assert!(matches!(source("operator", "no", "6.6.6.6").await, Err(vms_app::UseCaseError::LoginFailed)));
    }
    let limited = source("operator", PASSWORD, "6.6.6.6").await;
    assert!(matches!(limited, Err(vms_app::UseCaseError::TooManyTries { .. })));
    let limited = source("operator", PASSWORD, "7.7.7.7").await;
    assert!(matches!(limited, Err(vms_app::UseCaseError::TooManyTries { .. })), "per account, from wherever");
    source("operator", PASSWORD, "10.1.1.1").await.unwrap();
    let limited = source("chief", PASSWORD, "6.6.6.6").await;
    assert!(matches!(limited, Err(vms_app::UseCaseError::TooManyTries { .. })), "per source, for whomever");
    town.clock.pass_s(60);
    source("operator", PASSWORD, "7.7.7.7").await.unwrap();

    for _ in 0..10 {
        town.log_in("supervisor", "no").await;
    }
    let response = town.log_in("supervisor", PASSWORD).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(response.headers().contains_key(header::RETRY_AFTER));
}

#[tokio::test]
async fn changes_need_the_form_token_and_our_origin() {
    let town = Town::settled().await;
    let person = town.person("operator").await;
    let forged = Person { csrf: "x".repeat(43), ..person.clone() };
    let (status, problem) = town.post(&forged, "/api/v1/logout", json!({})).await;
    assert_eq!((status, problem["code"].as_str()), (StatusCode::FORBIDDEN, Some("csrf_failed")));
    let mut foreign = Town::request(&person, Method::POST, "/api/v1/logout", Some(json!({})));
    foreign.headers_mut().insert(header::ORIGIN, "https://evil.example".parse().unwrap());
    foreign.headers_mut().insert(header::HOST, "belfry".parse().unwrap());
    let (status, problem) = answer(town.send(foreign).await).await;
    assert_eq!((status, problem["code"].as_str()), (StatusCode::FORBIDDEN, Some("foreign_origin")));
    assert_eq!(town.get(&person, "/api/v1/session").await.0, StatusCode::OK, "neither ended the session");
    let whys: Vec<_> =
        town.log.entries().iter().filter_map(|e| e.details["details"]["why"].as_str().map(str::to_owned)).collect();
    assert!(whys.contains(&"csrf".to_owned()) && whys.contains(&"origin".to_owned()), "{whys:?}");
}

#[tokio::test]
async fn the_first_administrator_has_a_password_for_one_session() {
    let town = Town::empty().await;
    let made = town.cases.first_administrator("admin").await.unwrap().unwrap();
    let password = made.password.unwrap();
    assert!(town.cases.first_administrator("second").await.unwrap().is_none(), "only in an empty installation");

    let response = town.log_in("admin", &password).await;
    let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let view = json_of(response).await;
    assert_eq!((&view["password_change_required"], &view["rights"]), (&json!(true), &json!([])));
    let person = Person { cookie, csrf: view["csrf_token"].as_str().unwrap().to_owned() };
    let (status, problem) = town.get(&person, "/api/v1/users").await;
    assert_eq!((status, problem["code"].as_str()), (StatusCode::FORBIDDEN, Some("password_change_required")));
    assert_eq!(town.log_in("admin", &password).await.status(), StatusCode::UNAUTHORIZED, "dead after first use");

    let change = |new: &str| json!({ "password": { "old": *password, "new": new } });
    let (status, _) = town.patch(&person, "/api/v1/session", "*", change("short")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let (status, view) = town.patch(&person, "/api/v1/session", "*", change(PASSWORD)).await;
    assert_eq!((status, &view["password_change_required"]), (StatusCode::OK, &json!(false)));
    let (status, problem) = town.get(&person, "/api/v1/users").await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (StatusCode::FORBIDDEN, Some("enrolment_required")),
        "then a second factor"
    );
    town.stamp(&person).await;
    assert_eq!(town.get(&person, "/api/v1/users").await.0, StatusCode::OK);
    assert_eq!(town.log_in("admin", PASSWORD).await.status(), StatusCode::OK);
}

/// One breached password, and a file that may be away.
#[derive(Debug)]
struct Breached(std::sync::atomic::AtomicBool);

/// SHA-1 of "een gelekt lang wachtwoord" (`printf %s … | sha1sum`).
const LEAKED: &str = "4fe5853434e5158be13bb54c71eb478465b3f0d6";

impl vms_app::identity::BreachedPasswords for Breached {
    fn holds(&self, sha1: &[u8; 20]) -> std::io::Result<bool> {
        let is_away = self.0.load(std::sync::atomic::Ordering::Relaxed);
        if is_away { Err(std::io::ErrorKind::NotFound.into()) } else { Ok(hex::encode(sha1) == LEAKED) }
    }
}

#[tokio::test]
async fn breached_passwords_are_refused() {
    let set = std::sync::Arc::new(Breached(false.into()));
    let identity = vms_app::identity::IdentityParts { breached: Some(set.clone()), ..Town::identity() };
    let town = Town::with_identity(identity).await.peopled().await;
    let person = town.person("operator").await;
    let change = async |new: &str| {
        let body = json!({ "password": { "old": PASSWORD, "new": new } });
        let (status, answer) = town.patch(&person, "/api/v1/session", "*", body).await;
        (status.as_u16(), answer["errors"][0]["problem"].clone())
    };
    assert_eq!(change("een gelekt lang wachtwoord").await, (422, json!("breached")));
    set.0.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(change("een ander lang wachtwoord").await.0, 500, "a set that can't be read lets none through");
    assert_eq!(town.log_in("operator", PASSWORD).await.status(), StatusCode::OK, "and changes nothing");
    set.0.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(change("een ander lang wachtwoord").await.0, 200);
    assert_eq!(town.log_in("operator", "een ander lang wachtwoord").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn accounts_are_made_changed_and_switched_off() {
    let town = Town::settled().await;
    let administrator = town.person("administrator").await;
    let zone = town.org("5340").await.to_string();
    let wish = json!({ "user_name": "new.one", "name": "New One", "org_id": zone, "profile": "P01" });
    let (status, made) = town.post(&administrator, "/api/v1/users", wish.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(made["one_time_password"].as_str().unwrap().len(), 20);
    assert_eq!(town.post(&administrator, "/api/v1/users", wish).await.1["code"], "taken");
    let (_, page) = town.get(&administrator, "/api/v1/users?limit=3").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 3);
    let (_, next) = town
        .get(&administrator, &format!("/api/v1/users?limit=100&cursor={}", page["next_cursor"].as_str().unwrap()))
        .await;
    assert_eq!(next["items"].as_array().unwrap().len(), 9);
    assert!(!page.to_string().contains("argon2id"));

    let operator = town.person("operator").await;
    let (_, session) = town.get(&operator, "/api/v1/session").await;
    let path = format!("/api/v1/users/{}", session["user"]["id"].as_str().unwrap());
    assert_eq!(town.patch(&operator, &path, "*", json!({ "profile": "P03" })).await.0, StatusCode::FORBIDDEN);
    assert_eq!(town.patch(&administrator, &path, "*", json!({ "disabled": true })).await.0, StatusCode::OK);
    assert_eq!(town.get(&operator, "/api/v1/session").await.0, StatusCode::UNAUTHORIZED, "its sessions die");
    assert_eq!(
        town.log_in("operator", PASSWORD).await.status(),
        StatusCode::FORBIDDEN,
        "the right password opens nothing"
    );
    let (_, own) = town.get(&administrator, "/api/v1/session").await;
    let own = format!("/api/v1/users/{}", own["user"]["id"].as_str().unwrap());
    let (status, _) = town.patch(&administrator, &own, "*", json!({ "profile": "P03" })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "nobody gives themselves a profile");
}

#[tokio::test]
async fn a_long_unused_account_opens_nothing() {
    let town = Town::settled().await;
    town.clock.pass_s(61 * 86_400);
    assert_eq!(
        town.log_in("operator", PASSWORD).await.status(),
        StatusCode::FORBIDDEN,
        "the right password opens nothing"
    );
}

#[tokio::test]
async fn answers_carry_the_security_headers() {
    let town = Town::settled().await;
    let response = town.send(Request::get("/health").body(Body::empty()).unwrap()).await;
    let csp = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    let scripts = csp.split(';').find(|part| part.trim().starts_with("script-src")).unwrap();
    assert!(!scripts.contains("unsafe"), "{scripts}");
    assert!(csp.contains("frame-ancestors 'none'") && csp.contains("media-src 'self' blob:"));
    assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(response.headers()[header::REFERRER_POLICY], "no-referrer");
}
