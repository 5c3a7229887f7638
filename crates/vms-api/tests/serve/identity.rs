//! Second factors, step-up, profiles, what an account must show.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use vms_app::identity::totp;
use vms_app::ports::Clock as _;
use vms_core::Profile;

use crate::town::{PASSWORD, Person, Town, answer, json_of};

/// Logged in with nothing but the password.
async fn half_in(town: &Town, user: &str) -> (Person, Value) {
    let response = town.log_in(user, PASSWORD).await;
    assert_eq!(response.status(), StatusCode::OK, "{user}");
    let cookie = response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let view = json_of(response).await;
    (Person { cookie, csrf: view["csrf_token"].as_str().unwrap().to_owned() }, view)
}

fn code_at(town: &Town, secret: &[u8], steps: i64) -> String {
    totp::code_of(secret, totp::step_of(town.clock.now()) + steps)
}

fn from_base32(text: &str) -> Vec<u8> {
    let (mut held, mut bits, mut out) = (0_u32, 0, Vec::new());
    for letter in text.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == letter).unwrap();
        held = (held << 5) | u32::try_from(value).unwrap();
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from((held >> bits) & 255).unwrap());
        }
    }
    out
}

/// Enrols an app; its secret and the recovery codes.
async fn enrol(town: &Town, person: &Person) -> (Vec<u8>, Vec<String>) {
    let (status, begun) = town.post(person, "/api/v1/session/factors/totp", json!({ "name": "app" })).await;
    assert_eq!(status, StatusCode::CREATED, "{begun}");
    assert!(begun["qr_svg"].as_str().unwrap().contains("<svg"));
    let secret = from_base32(begun["secret"].as_str().unwrap());
    assert_eq!(secret.len(), 20);
    let path = format!("/api/v1/session/factors/totp/{}", begun["id"].as_str().unwrap());
    let (status, problem) = town.post(person, &path, json!({ "code": "000000" })).await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("factor_failed")));
    let (status, view) = town.post(person, &path, json!({ "code": code_at(town, &secret, 0) })).await;
    assert_eq!(status, StatusCode::OK, "{view}");
    let codes = view["recovery_codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned());
    (secret, codes.collect())
}

async fn show(town: &Town, person: &mut Person, proof: Value) -> (StatusCode, Value) {
    let (status, view) = town.step_up(person, proof).await;
    let told = if status == StatusCode::OK { view["fresh_until"].clone() } else { view["code"].clone() };
    (status, told)
}

#[tokio::test]
async fn a_profile_that_needs_a_second_factor_can_only_enrol_and_then_must_show_it() {
    let town = Town::settled().await;
    let (chief, view) = half_in(&town, "chief").await;
    assert_eq!((&view["pending"], &view["rights"]), (&json!("enrolment"), &json!([])));
    let (status, problem) = town.get(&chief, "/api/v1/cameras").await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("enrolment_required")));
    let (secret, recovery) = enrol(&town, &chief).await;
    assert_eq!(recovery.len(), 10);
    assert_eq!(town.get(&chief, "/api/v1/cameras").await.0, StatusCode::OK, "the session goes on");

    let (mut chief, view) = half_in(&town, "chief").await;
    assert_eq!((&view["pending"], &view["rights"]), (&json!("second_factor"), &json!([])));
    let (status, problem) = town.get(&chief, "/api/v1/cameras").await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("second_factor_required")));
    let (status, problem) = town.post(&chief, "/api/v1/session/factors/totp", json!({ "name": "mine too" })).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::FORBIDDEN, &json!("second_factor_required")),
        "a thief with the password"
    );
    let (_, factors) = town.get(&chief, "/api/v1/session/factors").await;
    assert_eq!((&factors["kinds"], &factors["items"]), (&json!(["totp"]), &json!([])), "only what to ask for");

    let failed = (StatusCode::FORBIDDEN, json!("factor_failed"));
    assert_eq!(
        show(&town, &mut chief, json!({ "code": code_at(&town, &secret, 0) })).await,
        failed,
        "used at enrolment"
    );
    assert_eq!(show(&town, &mut chief, json!({ "code": code_at(&town, &secret, 2) })).await, failed, "two steps ahead");
    assert_eq!(
        show(&town, &mut chief, json!({ "code": code_at(&town, &secret, 1) })).await.0,
        StatusCode::OK,
        "one step ahead"
    );
    assert_eq!(town.get(&chief, "/api/v1/cameras").await.0, StatusCode::OK);
    let before = chief.clone();
    assert_eq!(show(&town, &mut chief, json!({ "code": code_at(&town, &secret, 1) })).await, failed, "each code once");
    assert_eq!(chief.cookie, before.cookie, "what is refused changes nothing");
    assert_eq!(show(&town, &mut chief, json!({ "recovery_code": recovery[0] })).await.0, StatusCode::OK);
    assert_eq!(
        show(&town, &mut chief, json!({ "recovery_code": recovery[0] })).await,
        failed,
        "each recovery code once"
    );
    assert_eq!(show(&town, &mut chief, json!({})).await.0, StatusCode::UNPROCESSABLE_ENTITY);

    let leaves = town.leaves();
    for wanted in
        ["change factor_enrolled", "change recovery_codes_made", "session factor_shown", "session factor_failed"]
    {
        assert!(leaves.iter().any(|leaf| leaf == wanted), "{wanted} in {leaves:?}");
    }
    let log = format!("{:?}", town.log.entries());
    assert!(!log.contains(&recovery[0]) && !log.contains(&totp::base32(&secret)), "no secret in the log");
}

/// ASVS 7.2.4: a token that somebody took before the factor was shown is worth nothing after it, at log-in and at every step-up.
#[tokio::test]
async fn a_shown_factor_gives_the_session_another_token_and_ends_the_old_one() {
    let town = Town::settled().await;
    let (chief, _) = half_in(&town, "chief").await;
    let (_, recovery) = enrol(&town, &chief).await;
    let (mut chief, _) = half_in(&town, "chief").await;
    let (_, first) = town.get(&chief, "/api/v1/session").await;
    for code in &recovery[..3] {
        let before = chief.clone();
        assert_eq!(show(&town, &mut chief, json!({ "recovery_code": code })).await.0, StatusCode::OK);
        assert_ne!(chief.cookie, before.cookie);
        assert_eq!(chief.cookie.len(), before.cookie.len());
        assert_eq!(town.get(&before, "/api/v1/session").await.0, StatusCode::UNAUTHORIZED, "the old one");
        let (status, view) = town.get(&chief, "/api/v1/session").await;
        assert_eq!((status, &view["csrf_token"]), (StatusCode::OK, &first["csrf_token"]), "the same session");
        let (_, all) = town.get(&chief, "/api/v1/session/all").await;
        assert_eq!(all["items"][0]["current"], true, "{all}");
    }
    // Of two at once each counts, and one token goes on.
    let (mut one, mut two) = (chief.clone(), chief.clone());
    let (first, second) = tokio::join!(
        show(&town, &mut one, json!({ "recovery_code": recovery[3] })),
        show(&town, &mut two, json!({ "recovery_code": recovery[4] })),
    );
    assert!(first.0 == StatusCode::OK || second.0 == StatusCode::OK, "{first:?} {second:?}");
    let mut lives = 0;
    for person in [&chief, &one, &two] {
        lives += usize::from(town.get(person, "/api/v1/session").await.0 == StatusCode::OK);
    }
    assert!(one.cookie != two.cookie && lives == 1, "{lives}");
}

#[tokio::test]
async fn ten_wrong_codes_a_minute_and_no_more() {
    let town = Town::settled().await;
    let (chief, _) = half_in(&town, "chief").await;
    let (secret, _) = enrol(&town, &chief).await;
    let (mut thief, _) = half_in(&town, "chief").await;
    // The wrong one at the enrolment counts as well; success took back the right one.
    for _ in 0..9 {
        assert_eq!(show(&town, &mut thief, json!({ "code": "111111" })).await.1, "factor_failed");
    }
    let right = json!({ "code": code_at(&town, &secret, 1) });
    assert_eq!(show(&town, &mut thief, right).await.0, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn what_needs_a_fresh_factor_asks_for_it_after_five_minutes_and_goes_on_after_it() {
    let town = Town::settled().await;
    let (mut administrator, _) = half_in(&town, "administrator").await;
    let (secret, _) = enrol(&town, &administrator).await;
    let zone = town.org("5340").await.to_string();
    let wish = |name: &str| json!({ "user_name": name, "name": "New One", "org_id": zone, "profile": "P01" });
    assert_eq!(
        town.post(&administrator, "/api/v1/users", wish("one")).await.0,
        StatusCode::CREATED,
        "enrolled just now"
    );
    town.clock.pass_s(301);
    let (status, problem) = town.post(&administrator, "/api/v1/users", wish("two")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("step_up_needed")));
    assert!(problem["detail"].as_str().unwrap().contains("/api/v1/session/step-up"), "says what to do: {problem}");
    let (_, session) = town.get(&administrator, "/api/v1/session").await;
    assert!(session["fresh_until"].is_null() && session["pending"].is_null());
    assert_eq!(show(&town, &mut administrator, json!({ "code": code_at(&town, &secret, 0) })).await.0, StatusCode::OK);
    assert_eq!(town.post(&administrator, "/api/v1/users", wish("two")).await.0, StatusCode::CREATED);

    // Every route of the list, by whoever has the right, with a factor of six minutes ago.
    let (supervisor, chief) = (town.person("supervisor").await, town.person("chief").await);
    town.clock.pass_s(360);
    for (person, method, path, body) in [
        (&administrator, Method::PATCH, "/api/v1/users/usr_x", json!({})),
        (&chief, Method::POST, "/api/v1/exports/exp_x/approval", json!({})),
        (&chief, Method::POST, "/api/v1/holds/hld_x/release", json!({})),
    ] {
        let (status, problem) = answer(town.send(Town::request(person, method, path, Some(body))).await).await;
        assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("step_up_needed")), "{path}");
    }
    let order = json!({ "stream_id": "str_01", "from": "2026-11-22T11:00:00Z", "to": "2026-11-22T11:05:00Z",
        "language": "nl", "purpose": { "code": "INTERVENTIE", "justification": "overval op de markt", "case_ref": "B" } });
    assert_eq!(town.post(&supervisor, "/api/v1/exports", order).await.1["code"], "step_up_needed");
    assert!(town.leaves().iter().any(|leaf| leaf == "session step_up_needed"));
    // Whoever has no right is refused, not asked for a code.
    let operator = town.person("operator").await;
    town.clock.pass_s(360);
    let (status, problem) = town.post(&operator, "/api/v1/users", wish("three")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_ne!(problem["code"], "step_up_needed");
}

#[tokio::test]
async fn one_profile_at_a_time_and_some_never_together() {
    let town = Town::settled().await;
    let administrator = town.person("administrator").await;
    let (_, users) = town.get(&administrator, "/api/v1/users?limit=100").await;
    let id = |name: &str| {
        let found = users["items"].as_array().unwrap().iter().find(|user| user["user_name"] == name).unwrap();
        format!("/api/v1/users/{}", found["id"].as_str().unwrap())
    };
    let give = |user: &str, more: Value| {
        let path = id(user);
        let (town, administrator) = (&town, &administrator);
        async move { town.patch(administrator, &path, "*", json!({ "more_profiles": more })).await }
    };
    for (user, more) in [
        ("technician", json!(["P01"])),
        ("overseer", json!(["P02"])),
        ("operator", json!(["P20"])),
        ("operator", json!(["P18"])),
        ("chief", json!(["P05"])),
    ] {
        let (status, problem) = give(user, more).await;
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("profiles_apart")), "{user}");
    }
    let (status, view) = give("operator", json!(["P04", "P01", "P04"])).await;
    assert_eq!((status, &view["more_profiles"]), (StatusCode::OK, &json!(["P04"])));

    let operator = town.person("operator").await;
    let (_, before) = town.get(&operator, "/api/v1/session").await;
    assert_eq!((&before["profile"], &before["profiles"]), (&json!("P01"), &json!(["P01", "P04"])));
    let (status, problem) = town.post(&operator, "/api/v1/session/profile", json!({ "profile": "P02" })).await;
    assert_eq!((status, &problem["errors"][0]["problem"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("not_held")));
    let (status, after) = town.post(&operator, "/api/v1/session/profile", json!({ "profile": "P04" })).await;
    assert_eq!((status, &after["profile"]), (StatusCode::OK, &json!("P04")));
    assert_ne!(before["rights"], after["rights"], "at once");
    let (_, again) = town.get(&operator, "/api/v1/session").await;
    assert_eq!((&again["profile"], &again["rights"]), (&json!("P04"), &after["rights"]));
    let entries = town.log.entries();
    let leaf = entries.iter().rev().find(|entry| entry.details["operation"] == "profile_switched").unwrap();
    assert_eq!(leaf.details["details"], json!({ "from": "P01", "to": "P04" }));
    // Taken away: the session that uses it is over.
    assert_eq!(give("operator", json!([])).await.0, StatusCode::OK);
    assert_eq!(town.get(&operator, "/api/v1/session").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_account_shows_charter_training_and_clearance_or_hears_what_is_missing() {
    let town = Town::settled().await;
    town.clock.pass_s(3 * 86_400);
    let administrator = town.person("administrator").await;
    let zone = town.org("5340").await.to_string();
    let wish = json!({ "user_name": "late", "name": "Late", "org_id": zone, "profile": "P01" });
    let (_, made) = town.post(&administrator, "/api/v1/users", wish).await;
    assert_eq!(made["lacks"], json!(["charter_missing", "training_missing", "clearance_missing"]));
    let password = made["one_time_password"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/users/{}", made["id"].as_str().unwrap());
    let (status, wrong) = answer(town.log_in("late", "wrong password wrong").await).await;
    assert_eq!((status, &wrong["code"]), (StatusCode::UNAUTHORIZED, &json!("login_failed")), "strangers hear nothing");
    for (field, day, code) in [
        ("charter_on", "2026-11-24", "account_charter_missing"),
        ("training_on", "2024-11-20", "account_training_missing"),
        ("training_on", "2026-11-24", "account_training_expired"),
        ("clearance_on", "2026-11-24", "account_clearance_missing"),
    ] {
        let (status, problem) = answer(town.log_in("late", &password).await).await;
        assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!(code)));
        assert!(problem["detail"].as_str().unwrap().len() > 30, "{problem}");
        let (status, view) = town.patch(&administrator, &path, "*", json!({ field: day })).await;
        assert_eq!((status, &view[field]), (StatusCode::OK, &json!(day)));
        town.clock.pass_s(60);
        town.stamp(&administrator).await;
    }
    let (status, _) = answer(town.log_in("late", &password).await).await;
    assert_eq!(status, StatusCode::OK);
    let (status, problem) = town.patch(&administrator, &path, "*", json!({ "charter_on": "2027-11-24" })).await;
    assert_eq!((status, &problem["errors"][0]["problem"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("in_the_future")));

    // Sixty days without use.
    let (operator, unused) = ("operator", json!("account_unused"));
    town.clock.pass_s(61 * 86_400);
    let (status, problem) = answer(town.log_in(operator, PASSWORD).await).await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &unused));
    let (_, problem) = answer(town.log_in(operator, "wrong password wrong").await).await;
    assert_eq!(problem["code"], "login_failed");
}

#[tokio::test]
async fn weak_passwords_are_refused_with_the_reason() {
    let town = Town::settled().await;
    let operator = town.person("operator").await;
    for (new, wanted) in [
        ("short", "too_short"),
        ("passwordpassword", "too_common"),
        ("1234567890123456", "too_common"),
        ("operator operator", "from_name"),
    ] {
        town.clock.pass_s(61);
        let body = json!({ "password": { "old": PASSWORD, "new": new } });
        let (status, problem) = town.patch(&operator, "/api/v1/session", "*", body).await;
        assert_eq!(
            (status, &problem["errors"][0]["problem"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(wanted)),
            "{new}"
        );
    }
}

#[tokio::test]
async fn lost_factors_are_taken_away_by_an_administrator_and_never_the_last_by_oneself() {
    let town = Town::settled().await;
    let (chief, _) = half_in(&town, "chief").await;
    enrol(&town, &chief).await;
    let (_, factors) = town.get(&chief, "/api/v1/session/factors").await;
    assert_eq!(factors["recovery_left"], 10);
    let path = format!("/api/v1/session/factors/{}", factors["items"][0]["id"].as_str().unwrap());
    let (status, problem) =
        answer(town.send(Town::request(&chief, Method::DELETE, &path, Some(json!({})))).await).await;
    assert_eq!((status, &problem["errors"][0]["problem"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("last_factor")));
    let administrator = town.person("administrator").await;
    let (_, session) = town.get(&chief, "/api/v1/session").await;
    let user = format!("/api/v1/users/{}", session["user"]["id"].as_str().unwrap());
    let (status, _) = town.patch(&administrator, &user, "*", json!({ "reset_factors": true })).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(town.get(&chief, "/api/v1/session").await.0, StatusCode::UNAUTHORIZED, "its sessions end");
    assert_eq!(half_in(&town, "chief").await.1["pending"], "enrolment");
}

#[tokio::test]
async fn no_account_and_no_password_comes_with_the_program() {
    let town = Town::empty().await;
    town.cases.seed_organisations().await.unwrap();
    assert_eq!(town.cases.stores().account_count().await.unwrap(), 0);
    for (user, password) in
        [("admin", "admin"), ("admin", "password"), ("admin", ""), ("root", "root"), ("belfry", "belfry")]
    {
        assert_eq!(town.log_in(user, password).await.status(), StatusCode::UNAUTHORIZED, "{user}");
    }
    assert!(!town.cases.needs_factor(Profile::P01) && town.cases.needs_factor(Profile::P18));
}
