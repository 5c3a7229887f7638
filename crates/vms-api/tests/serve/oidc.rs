//! Log-in at an identity provider, against a real one: npm `oidc-provider` in a process of its own (`web/e2e/provider.mjs`), which can
//! be told to lie. Without Node or without the console's packages these tests say that they did not run.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode, header};
use serde_json::{Value, json};
use vms_app::identity::IdentityParts;
use vms_app::identity::oidc::ProviderFactors;
use vms_app::ports::Clock as _;
use zeroize::Zeroizing;

use crate::town::{Person, Town, answer, instant, json_of};

const REDIRECT: &str = "https://belfry.brussels/login/answer";
const START: &str = "2026-11-22T12:00:00Z";

/// The provider's process.
struct Provider {
    child: Child,
    issuer: String,
    client_secret: String,
    http: reqwest::Client,
}

impl Drop for Provider {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Provider {
    /// `None` where there is no Node or the package is not installed.
    fn start() -> Option<Self> {
        let web = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../web");
        let is_there = web.join("node_modules/oidc-provider/package.json").exists();
        let child = Command::new("node")
            .current_dir(&web)
            .args(["e2e/provider.mjs", REDIRECT, &(instant(START).micros / 1_000).to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Some(mut child) = child.ok().filter(|_| is_there) else {
            println!(
                "the log-in at a provider was NOT tested: no Node, or no web/node_modules/oidc-provider (make setup)"
            );
            return None;
        };
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).expect("the provider should say where it is");
        let text = |key: &str| told[key].as_str().unwrap().to_owned();
        rustls_ready();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        Some(Self { child, issuer: text("issuer"), client_secret: text("client_secret"), http })
    }

    async fn told(&self, control: Value) {
        let request = self.http.put(format!("{}/control", self.issuer)).body(control.to_string());
        assert!(request.send().await.unwrap().status().is_success());
    }

    /// Its clock follows the town's.
    async fn sync(&self, town: &Town) {
        self.told(json!({ "now": town.clock.now().micros / 1_000 })).await;
    }

    /// A town that trusts it.
    async fn town(&self, factors: ProviderFactors, client_secret: &str) -> Town {
        let settings = oidc::Settings {
            name: "Politie".to_owned(),
            issuer: self.issuer.clone(),
            client_id: "belfry".to_owned(),
            client_secret: Some(Zeroizing::new(client_secret.to_owned())),
            redirect: REDIRECT.to_owned(),
            asked_within: Duration::from_secs(900),
            authorities: Vec::new(),
        };
        let provider = Arc::new(oidc::Provider::new(settings).unwrap());
        let identity = IdentityParts { provider: Some(provider), provider_factors: factors, ..Town::identity() };
        Town::with_identity(identity).await.peopled().await
    }

    /// A browser's way through the provider: logs in as `name` and comes back with what stands in the address.
    async fn walk(&self, town: &Town, address: &str, name: &str) -> BTreeMap<String, String> {
        self.sync(town).await;
        let mut cookies: BTreeMap<String, String> = BTreeMap::new();
        let mut next = url::Url::parse(address).unwrap();
        for _ in 0..12 {
            if next.as_str().starts_with(REDIRECT) {
                return next.query_pairs().into_owned().collect();
            }
            let line = cookies.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("; ");
            let request = if next.path().starts_with("/interaction/") {
                let form = self.http.post(next.clone()).header("content-type", "application/x-www-form-urlencoded");
                form.body(format!("login={name}"))
            } else {
                self.http.get(next.clone())
            };
            let response = request.header("cookie", line).send().await.unwrap();
            for cookie in response.headers().get_all("set-cookie") {
                let (key, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
                cookies.insert(key.to_owned(), value.to_owned());
            }
            let status = response.status();
            let location = response.headers().get("location").map(|place| place.to_str().unwrap().to_owned());
            let Some(location) = location else {
                panic!("{next}: {status} {}", response.text().await.unwrap());
            };
            next = next.join(&location).unwrap();
        }
        panic!("the provider leads nowhere: {next}");
    }
}

fn rustls_ready() {
    // The provider's client needs a choice of TLS, although the test uses none.
    rustls::crypto::ring::default_provider().install_default().ok();
}

/// Begins at the console: the address, and the cookie that binds the answer.
async fn begin(town: &Town) -> (String, String) {
    let request = Request::post("/api/v1/login/provider").body(Body::empty()).unwrap();
    let response = town.send(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    let line = response.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    assert!(line.contains("HttpOnly") && line.contains("SameSite=Strict"), "{line}");
    let cookie = line.split(';').next().unwrap().to_owned();
    let address = json_of(response).await["address"].as_str().unwrap().to_owned();
    for wanted in ["code_challenge=", "code_challenge_method=S256", "nonce=", "state=", "max_age=900", "scope=openid"] {
        assert!(address.contains(wanted), "{wanted} in {address}");
    }
    (address, cookie)
}

fn ending(cookie: &str, back: &BTreeMap<String, String>) -> Request<Body> {
    let body = json!({ "code": back["code"], "state": back["state"], "iss": back.get("iss") });
    let request = Request::post("/api/v1/login/provider/answer").header(header::CONTENT_TYPE, "application/json");
    request.header(header::COOKIE, cookie).body(Body::from(body.to_string())).unwrap()
}

/// The whole way; the session's view and the person, or the problem.
async fn log_in(town: &Town, provider: &Provider, name: &str) -> (StatusCode, Value, Option<Person>) {
    let (address, cookie) = begin(town).await;
    let back = provider.walk(town, &address, name).await;
    let response = town.send(ending(&cookie, &back)).await;
    let cookies: Vec<String> = response
        .headers()
        .get_all(header::SET_COOKIE)
        .iter()
        .map(|line| line.to_str().unwrap().split(';').next().unwrap().to_owned())
        .collect();
    let (status, view) = answer(response).await;
    let session = cookies.into_iter().find(|cookie| cookie.starts_with("belfry_session="));
    let person = session.map(|cookie| Person { cookie, csrf: view["csrf_token"].as_str().unwrap().to_owned() });
    (status, view, person)
}

async fn link(town: &Town, user: &str, subject: &str) -> (StatusCode, Value) {
    let administrator = town.person("administrator").await;
    let id = town.cases.stores().account_by_user_name(user).await.unwrap().unwrap().id;
    town.patch(&administrator, &format!("/api/v1/users/{id}"), "*", json!({ "provider_subject": subject })).await
}

#[tokio::test]
async fn a_linked_person_logs_in_at_the_provider_and_nobody_else() {
    let Some(provider) = Provider::start() else { return };
    let town = provider.town(ProviderFactors::default(), &provider.client_secret).await;
    let (_, ways) = answer(town.send(Request::get("/api/v1/login").body(Body::empty()).unwrap()).await).await;
    assert_eq!(ways, json!({ "password": true, "provider": "Politie" }));

    let (status, problem, person) = log_in(&town, &provider, "jan").await;
    assert_eq!((status, problem["code"].as_str()), (StatusCode::FORBIDDEN, Some("identity_not_linked")));
    assert!(
        person.is_none() && problem["detail"].as_str().unwrap().contains("nobody linked"),
        "a clear word: {problem}"
    );
    assert_eq!(town.cases.stores().account_count().await.unwrap(), 11, "no account is made by a log-in");

    let (status, view) = link(&town, "operator", "jan").await;
    assert_eq!((status, view["provider_subject"].as_str()), (StatusCode::OK, Some("jan")), "{view}");
    assert_eq!(link(&town, "supervisor", "jan").await.1["code"], "taken", "one name, one account");
    let (status, view, person) = log_in(&town, &provider, "jan").await;
    assert_eq!((status, view["user"]["user_name"].as_str()), (StatusCode::OK, Some("operator")), "{view}");
    assert!(view["fresh_until"].is_null(), "a password at the provider is no second factor");
    let person = person.unwrap();
    assert_eq!(town.get(&person, "/api/v1/cameras").await.0, StatusCode::OK);

    // Another person of the same provider is not that one.
    assert_eq!(log_in(&town, &provider, "piet").await.1["code"], "identity_not_linked");
    // The account's own state counts as ever.
    let administrator = town.person("administrator").await;
    let id = town.cases.stores().account_by_user_name("operator").await.unwrap().unwrap().id;
    let path = format!("/api/v1/users/{id}");
    town.patch(&administrator, &path, "*", json!({ "disabled": true })).await;
    assert_eq!(town.get(&person, "/api/v1/cameras").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(log_in(&town, &provider, "jan").await.1["code"], "account_disabled");
    town.patch(&administrator, &path, "*", json!({ "disabled": false })).await;
    assert_eq!(log_in(&town, &provider, "jan").await.0, StatusCode::OK);
    assert_eq!(link(&town, "operator", "").await.0, StatusCode::OK, "the link is taken away");
    assert_eq!(log_in(&town, &provider, "jan").await.1["code"], "identity_not_linked");

    let leaves = town.leaves();
    assert!(leaves.iter().filter(|leaf| *leaf == "session login_failed").count() >= 4, "{leaves:?}");
    let log = format!("{:?}", town.log.entries());
    assert!(!log.contains("jan") && !log.contains("piet"), "no name of the provider in the log");
}

#[tokio::test]
async fn an_answer_counts_once_and_in_the_browser_that_began() {
    let Some(provider) = Provider::start() else { return };
    let town = provider.town(ProviderFactors::default(), &provider.client_secret).await;
    link(&town, "operator", "jan").await;
    let refused = |outcome: &(StatusCode, Value)| {
        assert_eq!(
            (outcome.0, outcome.1["code"].as_str()),
            (StatusCode::FORBIDDEN, Some("provider_refused")),
            "{outcome:?}"
        );
    };
    // Replayed.
    let (address, cookie) = begin(&town).await;
    let back = provider.walk(&town, &address, "jan").await;
    assert_eq!(town.send(ending(&cookie, &back)).await.status(), StatusCode::OK);
    refused(&answer(town.send(ending(&cookie, &back)).await).await);
    // The code again, under an attempt of its own: the provider itself refuses it, and so does the state.
    let (address, cookie) = begin(&town).await;
    let again = provider.walk(&town, &address, "jan").await;
    let mut used = again.clone();
    used.insert("code".to_owned(), back["code"].clone());
    refused(&answer(town.send(ending(&cookie, &used)).await).await);
    refused(&answer(town.send(ending(&cookie, &again)).await).await);
    town.clock.pass_s(31);
    // Another browser's cookie, none, another state, another issuer in the address.
    for change in ["cookie", "no cookie", "state", "iss", "no code"] {
        let (address, cookie) = begin(&town).await;
        let (_, other) = begin(&town).await;
        let mut back = provider.walk(&town, &address, "jan").await;
        let cookie = match change {
            "cookie" => other,
            "no cookie" => "a=b".to_owned(),
            _ => cookie,
        };
        match change {
            "state" => back.insert("state".to_owned(), "another".to_owned()),
            "iss" => back.insert("iss".to_owned(), "https://evil.example".to_owned()),
            "no code" => back.insert("code".to_owned(), String::new()),
            _ => None,
        };
        refused(&answer(town.send(ending(&cookie, &back)).await).await);
        // Ten beginnings a minute for each source.
        town.clock.pass_s(31);
    }
    // Too late.
    let (address, cookie) = begin(&town).await;
    let back = provider.walk(&town, &address, "jan").await;
    town.clock.pass_s(601);
    refused(&answer(town.send(ending(&cookie, &back)).await).await);
    // Who does not know our secret at the provider gets no token for the code.
    let town = provider.town(ProviderFactors::default(), "wrong-secret").await;
    link(&town, "operator", "jan").await;
    let (status, problem, _) = log_in(&town, &provider, "jan").await;
    refused(&(status, problem));
}

#[tokio::test]
async fn a_token_that_is_not_exactly_right_opens_nothing() {
    let Some(provider) = Provider::start() else { return };
    let town = provider.town(ProviderFactors::default(), &provider.client_secret).await;
    link(&town, "operator", "jan").await;
    for mode in [
        "nonce",
        "no_nonce",
        "audience",
        "audiences",
        "issuer",
        "expired",
        "old",
        "early",
        "asked_long_ago",
        "never_asked",
        "none",
        "none_with_signature",
        "hs256",
        "hs256_of_public_key",
        "stranger",
        "unknown_key",
        "bytes",
        "missing",
    ] {
        provider.told(json!({ "mode": mode })).await;
        let (status, problem, person) = log_in(&town, &provider, "jan").await;
        let told = (status, problem["code"].as_str(), person.is_some());
        assert_eq!(told, (StatusCode::FORBIDDEN, Some("provider_refused"), false), "{mode}: {problem}");
        assert!(!problem.to_string().contains("token"), "the reason stays here: {problem}");
        // Ten tries a minute for each source.
        town.clock.pass_s(20);
        provider.told(json!({ "mode": "" })).await;
    }
    let whys: Vec<String> = town
        .log
        .entries()
        .iter()
        .filter(|entry| entry.details["operation"] == "login_failed")
        .map(|entry| entry.details["details"]["why"].as_str().unwrap_or("?").to_owned())
        .collect();
    for wanted in
        ["token_nonce", "token_audience", "token_issuer", "token_time", "asked_too_long_ago", "token_signature"]
    {
        assert!(whys.iter().any(|why| why == wanted), "{wanted} in {whys:?}");
    }
}

#[tokio::test]
async fn changed_keys_of_the_provider_are_taken_up() {
    let Some(provider) = Provider::start() else { return };
    let town = provider.town(ProviderFactors::default(), &provider.client_secret).await;
    link(&town, "operator", "jan").await;
    assert_eq!(log_in(&town, &provider, "jan").await.0, StatusCode::OK);
    provider.told(json!({ "mode": "rotated" })).await;
    // At once after a look at the keys there is no other: whoever sends nonsense does not make us ask.
    assert_eq!(log_in(&town, &provider, "jan").await.0, StatusCode::FORBIDDEN);
    town.clock.pass_s(31);
    assert_eq!(log_in(&town, &provider, "jan").await.0, StatusCode::OK, "the new key");
    provider.told(json!({ "mode": "" })).await;
    assert_eq!(log_in(&town, &provider, "jan").await.0, StatusCode::FORBIDDEN, "the old key is gone");
}

#[tokio::test]
async fn the_providers_second_factor_counts_only_as_configured() {
    let Some(provider) = Provider::start() else { return };
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let factors = ProviderFactors { acr: words(&["high"]), amr: words(&["mfa"]), hardware_amr: words(&["hwk"]) };
    for (configured, claims, fresh) in [
        (ProviderFactors::default(), json!({ "amr": ["pwd", "mfa", "hwk"], "acr": "high" }), false),
        (factors.clone(), json!({ "amr": ["pwd"] }), false),
        (factors.clone(), json!({ "amr": ["pwd", "mfa"] }), true),
        (factors.clone(), json!({ "amr": ["pwd"], "acr": "high" }), true),
        (factors.clone(), json!({ "amr": ["hwk"] }), true),
    ] {
        provider.told(claims.clone()).await;
        let town = provider.town(configured, &provider.client_secret).await;
        link(&town, "chief", "marie").await;
        let (status, view, _) = log_in(&town, &provider, "marie").await;
        assert_eq!((status, view["fresh_until"].is_string()), (StatusCode::OK, fresh), "{claims} {view}");
        // A chief without a factor of their own must enrol one, unless the provider's counts.
        assert_eq!(view["pending"].as_str(), (!fresh).then_some("enrolment"), "{claims}");
    }
}

#[tokio::test]
async fn a_provider_that_is_away_is_said_to_be_away() {
    let Some(mut provider) = Provider::start() else { return };
    let town = provider.town(ProviderFactors::default(), &provider.client_secret).await;
    link(&town, "operator", "jan").await;
    let (address, cookie) = begin(&town).await;
    let back = provider.walk(&town, &address, "jan").await;
    provider.child.kill().unwrap();
    provider.child.wait().unwrap();
    let (status, problem) = answer(town.send(ending(&cookie, &back)).await).await;
    assert_eq!((status, problem["code"].as_str()), (StatusCode::SERVICE_UNAVAILABLE, Some("unavailable")));
    town.clock.pass_s(3_601);
    let request = Request::post("/api/v1/login/provider").body(Body::empty()).unwrap();
    assert_eq!(town.send(request).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(town.log_in("operator", crate::town::PASSWORD).await.status(), StatusCode::OK, "passwords go on");
}
