//! The hardware key that whoever administers or exports must show, from the day of the rule on; own sessions and notices.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use http::{Method, StatusCode};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use vms_app::identity::totp;
use vms_app::ports::Clock as _;

use crate::town::{PASSWORD, Person, Town, answer, json_of};

/// From midday on the 22nd to midday on the 23rd, when the rule holds.
const TO_THE_RULE_S: i64 = 86_400;
const PRESENT: u8 = 0x01;
const COPIED: u8 = 0x08;
const ATTESTED: u8 = 0x40;

/// A security key in software, touched by nobody but the test.
struct SoftKey {
    pair: EcdsaKeyPair,
    /// Whether it says of itself that it is copied between devices.
    copied: bool,
    counter: u32,
    name: &'static [u8; 4],
}

impl SoftKey {
    fn new(name: &'static [u8; 4], copied: bool) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
        Self { pair, copied, counter: 0, name }
    }

    fn data(&self, flags: u8) -> Vec<u8> {
        let flags = flags | if self.copied { COPIED } else { 0 };
        [&Sha256::digest(b"belfry.brussels")[..], &[flags], &self.counter.to_be_bytes()].concat()
    }

    fn client(kind: &str, challenge: &str) -> Vec<u8> {
        json!({ "type": kind, "challenge": challenge, "origin": "https://belfry.brussels" }).to_string().into_bytes()
    }

    fn registration(&self, challenge: &str) -> Value {
        let point = self.pair.public_key().as_ref();
        let head = [0xA5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
        let data = [
            &self.data(PRESENT | ATTESTED)[..],
            &[0; 16],
            &[0, 4],
            self.name,
            &head,
            &point[1..33],
            &[0x22, 0x58, 0x20],
            &point[33..],
        ]
        .concat();
        json!({ "credential_id": B64.encode(self.name), "client_data": B64.encode(Self::client("webauthn.create", challenge)),
            "authenticator_data": B64.encode(data) })
    }

    fn answer(&mut self, challenge: &str) -> Value {
        self.counter += 1;
        let (client, data) = (Self::client("webauthn.get", challenge), self.data(PRESENT));
        let message = [&data[..], &Sha256::digest(&client)].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &message).unwrap();
        json!({ "key": { "credential_id": B64.encode(self.name), "client_data": B64.encode(client),
            "authenticator_data": B64.encode(data), "signature": B64.encode(signature.as_ref()) } })
    }
}

async fn half_in(town: &Town, user: &str) -> (Person, Value) {
    let response = town.log_in(user, PASSWORD).await;
    assert_eq!(response.status(), StatusCode::OK, "{user}");
    let cookie = response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let view = json_of(response).await;
    (Person { cookie, csrf: view["csrf_token"].as_str().unwrap().to_owned() }, view)
}

async fn enrol_key(town: &Town, person: &Person, key: &SoftKey) -> (StatusCode, Value) {
    let (status, challenge) = town.post(person, "/api/v1/session/factors/key-challenge", json!({})).await;
    if status != StatusCode::OK {
        return (status, challenge);
    }
    let registration = key.registration(challenge["challenge"].as_str().unwrap());
    town.post(person, "/api/v1/session/factors/key", json!({ "name": "key", "key": registration })).await
}

async fn show_key(town: &Town, person: &mut Person, key: &mut SoftKey) -> (StatusCode, Value) {
    let (status, challenge) = town.post(person, "/api/v1/session/step-up/key", json!({})).await;
    assert_eq!(status, StatusCode::OK, "{challenge}");
    let shown = key.answer(challenge["challenge"].as_str().unwrap());
    town.step_up(person, shown).await
}

fn problem_of(view: &Value) -> (&str, &str) {
    (view["code"].as_str().unwrap_or(""), view["errors"][0]["problem"].as_str().unwrap_or(""))
}

#[tokio::test]
async fn whoever_administers_opens_nothing_with_codes_alone() {
    let town = Town::settled().await;
    town.cases.totp_by_command_line("administrator", &[7; 20]).await.unwrap();
    town.clock.pass_s(TO_THE_RULE_S);
    let code = |steps: i64| totp::code_of(&[7; 20], totp::step_of(town.clock.now()) + steps);

    // An account from before the rule has codes alone: a code lets it enrol a key, and do nothing else.
    let (mut administrator, view) = half_in(&town, "administrator").await;
    assert_eq!(view["pending"], "second_factor");
    let (status, view) = town.step_up(&mut administrator, json!({ "code": code(0) })).await;
    assert_eq!((status, &view["pending"], &view["rights"]), (StatusCode::OK, &json!("hardware_enrolment"), &json!([])));
    assert!(view["fresh_until"].is_null(), "a code is not fresh for these rights");
    let (status, problem) = town.get(&administrator, "/api/v1/users").await;
    assert_eq!((status, problem_of(&problem).0), (StatusCode::FORBIDDEN, "enrolment_required"));
    let (_, factors) = town.get(&administrator, "/api/v1/session/factors").await;
    assert_eq!(factors["offered"], json!(["webauthn"]), "nothing that would open nothing");
    let (status, problem) =
        town.post(&administrator, "/api/v1/session/factors/totp", json!({ "name": "another app" })).await;
    assert_eq!((status, problem_of(&problem)), (StatusCode::UNPROCESSABLE_ENTITY, ("invalid", "hardware_key_needed")));
    let (status, problem) = enrol_key(&town, &administrator, &SoftKey::new(b"copy", true)).await;
    assert_eq!((status, problem_of(&problem)), (StatusCode::UNPROCESSABLE_ENTITY, ("invalid", "not_hardware")));
    let mut key = SoftKey::new(b"key1", false);
    let (status, view) = enrol_key(&town, &administrator, &key).await;
    assert_eq!(status, StatusCode::OK, "{view}");
    assert_eq!(town.get(&administrator, "/api/v1/users").await.0, StatusCode::OK, "the session goes on");

    // From now on a code, and a recovery code, is not even tried.
    let (mut administrator, view) = half_in(&town, "administrator").await;
    assert_eq!((&view["pending"], &view["rights"]), (&json!("hardware_key"), &json!([])));
    let (status, problem) = town.get(&administrator, "/api/v1/users").await;
    assert_eq!((status, problem_of(&problem).0), (StatusCode::FORBIDDEN, "second_factor_required"));
    for proof in [json!({ "code": code(1) }), json!({ "recovery_code": "AAAA-AAAA-AAAA-AAAA" })] {
        let (status, problem) = town.step_up(&mut administrator, proof).await;
        assert_eq!(
            (status, problem_of(&problem)),
            (StatusCode::UNPROCESSABLE_ENTITY, ("invalid", "hardware_key_needed"))
        );
    }
    let (status, problem) = enrol_key(&town, &administrator, &SoftKey::new(b"thif", false)).await;
    assert_eq!(
        (status, problem_of(&problem).0),
        (StatusCode::FORBIDDEN, "second_factor_required"),
        "a thief's own key"
    );
    let (status, view) = show_key(&town, &mut administrator, &mut key).await;
    assert_eq!((status, view["fresh_until"].is_string()), (StatusCode::OK, true), "{view}");
    assert_eq!(town.get(&administrator, "/api/v1/users").await.0, StatusCode::OK);
    // Step-up after five minutes: the key again.
    town.clock.pass_s(301);
    let zone = town.org("5340").await.to_string();
    let wish = json!({ "user_name": "one", "name": "New One", "org_id": zone, "profile": "P01" });
    assert_eq!(town.post(&administrator, "/api/v1/users", wish.clone()).await.1["code"], "step_up_needed");
    assert_eq!(show_key(&town, &mut administrator, &mut key).await.0, StatusCode::OK);
    assert_eq!(town.post(&administrator, "/api/v1/users", wish).await.0, StatusCode::CREATED);
    // The last key stays.
    let (_, factors) = town.get(&administrator, "/api/v1/session/factors").await;
    let items = factors["items"].as_array().unwrap();
    let id = items.iter().find(|one| one["kind"] == "webauthn").unwrap()["id"].as_str().unwrap();
    let path = format!("/api/v1/session/factors/{id}");
    let removal = Town::request(&administrator, Method::DELETE, &path, None);
    let (status, problem) = answer(town.send(removal).await).await;
    assert_eq!((status, problem_of(&problem)), (StatusCode::UNPROCESSABLE_ENTITY, ("invalid", "last_factor")));
}

#[tokio::test]
async fn a_new_administrator_enrols_a_key_at_once_and_an_operator_may_go_on_with_codes() {
    let town = Town::settled().await;
    town.clock.pass_s(TO_THE_RULE_S);
    let (chief, view) = half_in(&town, "chief").await;
    assert_eq!(view["pending"], "hardware_enrolment");
    assert_eq!(enrol_key(&town, &chief, &SoftKey::new(b"key2", false)).await.0, StatusCode::OK);
    assert_eq!(town.get(&chief, "/api/v1/cameras").await.0, StatusCode::OK);

    town.cases.totp_by_command_line("operator", &[8; 20]).await.unwrap();
    let (mut operator, view) = half_in(&town, "operator").await;
    assert_eq!(view["pending"], "second_factor");
    let code = totp::code_of(&[8; 20], totp::step_of(town.clock.now()));
    let (status, view) = town.step_up(&mut operator, json!({ "code": code })).await;
    assert_eq!((status, view["pending"].is_null()), (StatusCode::OK, true));
    assert_eq!(town.get(&operator, "/api/v1/cameras").await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_excepted_installation_goes_on_with_codes() {
    let identity = vms_app::identity::IdentityParts { installation: "demo".to_owned(), ..Town::identity() };
    let town = Town::with_identity(identity).await.peopled().await;
    town.clock.pass_s(TO_THE_RULE_S);
    town.cases.totp_by_command_line("administrator", &[7; 20]).await.unwrap();
    let (mut administrator, _) = half_in(&town, "administrator").await;
    let code = totp::code_of(&[7; 20], totp::step_of(town.clock.now()));
    let (status, view) = town.step_up(&mut administrator, json!({ "code": code })).await;
    assert_eq!((status, view["pending"].is_null()), (StatusCode::OK, true), "{view}");
    assert_eq!(town.get(&administrator, "/api/v1/users").await.0, StatusCode::OK);
}

#[tokio::test]
async fn people_see_and_end_their_own_sessions() {
    let town = Town::settled().await;
    let first = town.person("operator").await;
    town.clock.pass_s(5);
    let (second, stranger) = (town.person("operator").await, town.person("stranger").await);
    let (status, page) = town.get(&second, "/api/v1/session/all").await;
    let items = page["items"].as_array().unwrap();
    assert_eq!((status, items.len()), (StatusCode::OK, 2), "{page}");
    assert_eq!((&items[0]["current"], &items[1]["current"]), (&json!(true), &json!(false)), "the youngest first");
    let other = format!("/api/v1/session/all/{}", items[1]["id"].as_str().unwrap());
    let end = |person: &Person| Town::request(person, Method::DELETE, &other, None);
    assert_eq!(town.send(end(&stranger)).await.status(), StatusCode::NOT_FOUND, "not one's own");
    assert_eq!(town.get(&first, "/api/v1/session").await.0, StatusCode::OK);
    assert_eq!(town.send(end(&second)).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(town.get(&first, "/api/v1/session").await.0, StatusCode::UNAUTHORIZED, "at once");
    assert_eq!(town.get(&second, "/api/v1/session/all").await.1["items"].as_array().unwrap().len(), 1);
    assert_eq!(town.send(end(&second)).await.status(), StatusCode::NOT_FOUND, "once");
    assert!(town.leaves().iter().any(|leaf| leaf == "session session_ended"));
}

#[tokio::test]
async fn people_hear_of_changes_of_their_account() {
    let town = Town::settled().await;
    let operator = town.person("operator").await;
    let notices = async |person: &Person| {
        let (_, page) = town.get(person, "/api/v1/session/notices").await;
        page["items"].as_array().unwrap().iter().map(|one| one["what"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(notices(&operator).await.is_empty());
    assert_eq!(enrol_key(&town, &operator, &SoftKey::new(b"key3", false)).await.0, StatusCode::OK);
    assert_eq!(notices(&operator).await, ["recovery_codes_made", "factor_enrolled"]);
    assert_eq!(town.post(&operator, "/api/v1/session/notices/seen", json!({})).await.0, StatusCode::NO_CONTENT);
    assert!(notices(&operator).await.is_empty(), "seen once");
    let administrator = town.person("administrator").await;
    let id = town.cases.stores().account_by_user_name("operator").await.unwrap().unwrap().id;
    town.clock.pass_s(1);
    town.patch(&administrator, &format!("/api/v1/users/{id}"), "*", json!({ "reset_factors": true })).await;
    let operator = town.person("operator").await;
    assert_eq!(notices(&operator).await, ["factors_taken_away"]);
    let change = json!({ "password": { "old": PASSWORD, "new": "een ander lang wachtwoord" } });
    town.clock.pass_s(1);
    assert_eq!(town.patch(&operator, "/api/v1/session", "*", change).await.0, StatusCode::OK);
    assert_eq!(notices(&operator).await, ["password_changed", "factors_taken_away"]);
    assert!(notices(&administrator).await.is_empty(), "one's own only");
    // Somebody tries passwords: the owner hears of it at the next log-in, once.
    town.clock.pass_s(61);
    for _ in 0..3 {
        assert_eq!(town.log_in("supervisor", "wrong wrong wrong wrong").await.status(), StatusCode::UNAUTHORIZED);
    }
    let supervisor = town.person("supervisor").await;
    assert_eq!(notices(&supervisor).await, ["tries_failed"]);
    town.person("supervisor").await;
    assert_eq!(notices(&supervisor).await, ["tries_failed"], "once");
}
