//! A9: what takes two people takes two people, a plate search takes a case and a reason, and unusual use is told within a minute.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use vms_api::table::ROUTES;
use vms_app::model::LogDetail;
use vms_core::Profile;

use crate::town::{Person, Town, stream_of};

async fn wishes(town: &Town, person: &Person) -> Vec<Value> {
    let (status, page) = town.get(person, "/api/v1/second-wishes").await;
    assert_eq!(status, StatusCode::OK, "{page}");
    page["items"].as_array().unwrap().clone()
}

async fn settle(town: &Town, person: &Person, wish: &Value, step: &str) -> (u16, String) {
    let path = format!("/api/v1/second-wishes/{}/{step}", wish["id"].as_str().unwrap());
    let body = if step == "refuse" { json!({ "reason": "protocol is niet getekend" }) } else { json!({}) };
    let (status, answer) = town.post(person, &path, body).await;
    (status.as_u16(), answer["code"].as_str().unwrap_or("").to_owned())
}

/// Switches a partner on: the administrator asks, the zone chief agrees.
pub(crate) async fn switch_on(town: &Town, administrator: &Person, path: &str) {
    let (status, asked) = town.patch(administrator, path, "*", json!({ "enabled": true })).await;
    assert_eq!((status, &asked["enabled"]), (StatusCode::ACCEPTED, &json!(false)), "{asked}");
    let chief = town.person("chief").await;
    let wish = wishes(town, &chief).await.into_iter().find(|wish| wish["may_settle"] == true).unwrap();
    assert_eq!(settle(town, &chief, &wish, "approve").await.0, 204);
}

#[tokio::test]
async fn a_partner_is_switched_on_by_two_people_and_off_by_one() {
    let town = Town::settled().await;
    town.account("dpo", "PARADIGM", Profile::P20).await;
    let [administrator, chief, dpo, operator] = [
        town.person("administrator").await,
        town.person("chief").await,
        town.person("dpo").await,
        town.person("operator").await,
    ];
    let org = town.org("MIVB").await.to_string();
    let wish = json!({ "org_id": org, "name": "MIVB", "catalogue_url": "https://mivb.example/cameras",
        "agreement": { "document": "Protocol 3", "date": "2026-01-01" } });
    assert_eq!(town.post(&administrator, "/api/v1/partners", wish).await.0, StatusCode::CREATED);
    let path = format!("/api/v1/partners/{org}");
    let is_on = async || town.get(&administrator, "/api/v1/partners").await.1["items"][0]["enabled"] == true;
    let on = json!({ "enabled": true });

    let before = town.leaves().len();
    assert_eq!(town.patch(&administrator, &path, "*", on.clone()).await.0, StatusCode::ACCEPTED);
    assert_eq!(town.leaves()[before..], ["change partner.admin", "change second_asked"]);
    assert_eq!(town.patch(&administrator, &path, "*", on.clone()).await.1["code"], "taken", "one wish at a time");
    assert!(!is_on().await, "nothing happens by the word of one");
    let asked = wishes(&town, &administrator).await.remove(0);
    assert_eq!(
        (&asked["kind"], &asked["name"], &asked["may_settle"], &asked["may_withdraw"]),
        (&json!("partner_on"), &json!("MIVB"), &json!(false), &json!(true))
    );
    assert_eq!(settle(&town, &administrator, &asked, "approve").await, (409, "same_person".to_owned()));
    assert_eq!(town.leaves().last().unwrap(), "refuse second_settle_refused");
    assert_eq!(settle(&town, &operator, &asked, "approve").await.0, 403);
    assert_eq!(town.get(&operator, "/api/v1/second-wishes").await.0, StatusCode::FORBIDDEN);
    assert_eq!(settle(&town, &chief, &asked, "withdraw").await.0, 404, "only whoever asked takes it back");

    assert_eq!(settle(&town, &dpo, &asked, "refuse").await.0, 204);
    assert!(!is_on().await);
    assert_eq!(settle(&town, &chief, &asked, "approve").await, (409, "wrong_state".to_owned()));
    assert_eq!(town.patch(&administrator, &path, "*", on.clone()).await.0, StatusCode::ACCEPTED);
    let asked = wishes(&town, &administrator).await.remove(0);
    assert_eq!(settle(&town, &administrator, &asked, "withdraw").await.0, 204);

    assert_eq!(town.patch(&administrator, &path, "*", on).await.0, StatusCode::ACCEPTED);
    let asked = wishes(&town, &chief).await.into_iter().find(|wish| wish["may_settle"] == true).unwrap();
    let before = town.leaves().len();
    assert_eq!(settle(&town, &chief, &asked, "approve").await.0, 204);
    assert_eq!(town.leaves()[before..], ["change partner.approve", "change second_approved"]);
    assert!(is_on().await);
    let off = json!({ "enabled": false });
    assert_eq!(town.patch(&administrator, &path, "*", off).await.0, StatusCode::OK, "stopping takes one");
    assert!(!is_on().await);
}

#[tokio::test]
async fn the_platforms_administrator_ends_a_camera_with_its_owner_only() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    town.account("dpo", "5340", Profile::P20).await;
    let [administrator, chief, foreign, dpo] = [
        town.person("administrator").await,
        town.person("chief").await,
        town.person("foreignchief").await,
        town.person("dpo").await,
    ];
    let path = format!("/api/v1/cameras/{}", camera["id"].as_str().unwrap());
    let retire = async |person: &Person, reason: &str| {
        town.post(person, &format!("{path}/retire"), json!({ "reason": reason })).await
    };
    assert_eq!(retire(&administrator, "").await.0, StatusCode::UNPROCESSABLE_ENTITY, "a wish says why");
    let (status, seen) = retire(&administrator, "paal is weg na aanrijding").await;
    assert_eq!((status, &seen["state"]), (StatusCode::ACCEPTED, &json!("live")), "{seen}");
    assert_eq!(retire(&administrator, "paal is weg na aanrijding").await.1["code"], "taken");
    let wish = wishes(&town, &dpo).await.remove(0);
    assert_eq!((&wish["name"], &wish["may_settle"]), (&json!("C1"), &json!(true)));
    assert_eq!(wishes(&town, &foreign).await, Vec::<Value>::new(), "no business of another zone");
    assert!(matches!(settle(&town, &foreign, &wish, "approve").await.0, 403 | 404));
    assert_eq!(settle(&town, &administrator, &wish, "approve").await, (409, "same_person".to_owned()));
    assert_eq!(settle(&town, &dpo, &wish, "approve").await.0, 204);
    assert_eq!(town.get(&chief, &path).await.1["state"], "retired");
    // The owner's chief ends its own camera alone, as the matrix says.
    let own = town.camera("C2").await;
    let (status, gone) =
        town.post(&chief, &format!("/api/v1/cameras/{}/retire", own["id"].as_str().unwrap()), json!({})).await;
    assert_eq!((status, &gone["state"]), (StatusCode::OK, &json!("retired")));
}

#[tokio::test]
async fn holds_exports_and_the_matrix_take_two_people() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let [supervisor, chief, administrator] =
        [town.person("supervisor").await, town.person("chief").await, town.person("administrator").await];
    let purpose = json!({ "code": "INTERVENTIE", "justification": "overval op de markt", "case_ref": "BR-2" });

    // The lift of a hold, by whoever asked for it: supervisor and chief in turn.
    let hold = json!({ "camera_id": camera["id"], "from": "2026-11-22T11:00:00Z", "to": "2026-11-22T11:05:00Z",
        "until": "2027-01-01T00:00:00Z", "purpose": purpose });
    let (status, set) = town.post(&chief, "/api/v1/holds", hold).await;
    assert_eq!(status, StatusCode::CREATED, "{set}");
    let of = |step: &str| format!("/api/v1/holds/{}/{step}", set["id"].as_str().unwrap());
    let reason = json!({ "reason": "zaak is afgesloten" });
    assert!(town.post(&chief, &of("ask-release"), reason).await.0.is_success());
    for person in [&chief, &supervisor, &administrator] {
        let (status, answer) = town.post(person, &of("release"), json!({})).await;
        assert!(status.is_client_error(), "{answer}");
    }
    assert_eq!(town.get(&chief, of("").trim_end_matches('/')).await.1["state"], "release_waits");
    town.account("dpo", "5340", Profile::P20).await;
    let (status, answer) = town.post(&town.person("dpo").await, &of("release"), json!({})).await;
    assert!(status.is_success(), "{answer}");

    // An export, of whatever size: nothing is read before somebody else of the owner agrees.
    let wish = json!({ "stream_id": stream_of(&camera, "main").to_string(), "from": "2026-11-22T11:00:00Z",
        "to": "2026-11-22T11:05:00Z", "language": "nl", "purpose": purpose });
    let (status, export) = town.post(&supervisor, "/api/v1/exports", wish).await;
    assert_eq!(status, StatusCode::CREATED, "{export}");
    let path = format!("/api/v1/exports/{}/approval", export["id"].as_str().unwrap());
    for person in [&supervisor, &town.person("foreignchief").await, &administrator] {
        assert!(town.post(person, &path, json!({})).await.0.is_client_error());
    }
    town.cases.exports_round().await.unwrap();
    assert!(town.media.calls().is_empty(), "nothing was read");
    assert_eq!(town.post(&chief, &path, json!({})).await.0, StatusCode::OK);

    // The matrix.
    town.cases.matrix_take_up().await.unwrap();
    let text = policy::matrix::EMBEDDED.replacen("version = \"", "version = \"draft-", 1);
    let draft = json!({ "text": text, "reason": "een rij te ruim voor de opdracht" });
    let (status, made) = town.post(&administrator, "/api/v1/matrix/versions", draft).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let path = format!("/api/v1/matrix/versions/{}/approve", made["version"]["id"].as_str().unwrap());
    for person in [&administrator, &supervisor] {
        assert!(town.post(person, &path, json!({})).await.0.is_client_error());
    }
    assert!(town.post(&chief, &path, json!({})).await.0.is_success());

    // Keys die at the end of their terms by the sweeper, or with a batch that two people approve at the recorder; nobody can ask for it.
    for line in ROUTES {
        assert!(
            !line.path.contains("keys") && !line.path.contains("destroy") && !line.path.contains("erase"),
            "{line:?}"
        );
    }
}

#[tokio::test]
async fn a_plate_search_takes_a_case_and_a_reason() {
    let town = Town::settled().await;
    let supervisor = town.person("supervisor").await;
    let search = async |purpose: Value| {
        let body = json!({ "plate": "1AAA111", "from": "2026-11-22T11:00:00Z", "to": "2026-11-22T11:30:00Z", "purpose": purpose });
        let (status, answer) = town.post(&supervisor, "/api/v1/reads/search", body).await;
        (status.as_u16(), answer["missing"].clone())
    };
    let text = "diefstal met vluchtwagen";
    for (purpose, missing) in [
        (Value::Null, json!(["purpose", "justification", "case"])),
        (json!({ "code": "GERECHTELIJK_ONDERZOEK" }), json!(["justification", "case"])),
        (
            json!({ "code": "GERECHTELIJK_ONDERZOEK", "justification": "aaaaaaaaaaaa", "case_ref": "BR-7" }),
            json!(["justification"]),
        ),
        (json!({ "code": "GERECHTELIJK_ONDERZOEK", "justification": text }), json!(["case"])),
        (json!({ "code": "GERECHTELIJK_ONDERZOEK", "justification": text, "case_ref": "7" }), json!(["case"])),
        (json!({ "justification": text, "case_ref": "BR-7" }), json!(["purpose"])),
    ] {
        assert_eq!(search(purpose.clone()).await, (403, missing), "{purpose}");
    }
    let whole = json!({ "code": "GERECHTELIJK_ONDERZOEK", "justification": text, "case_ref": "BR-7" });
    assert_eq!(search(whole).await, (200, Value::Null));
}

/// What wiring does each second: details of leaves into the central store.
pub(crate) async fn copy_details(town: &Town, done: &mut usize) {
    let entries = town.log.entries();
    for (index, entry) in entries.iter().enumerate().skip(*done) {
        let text = |pointer: &str| entry.details.pointer(pointer).and_then(Value::as_str);
        let detail = LogDetail {
            index: u64::try_from(index).unwrap(),
            at: entry.at,
            org: text("/actor/org_id").and_then(|id| id.parse().ok()),
            user: text("/actor/user").and_then(|id| id.parse().ok()),
            operation: text("/operation").unwrap_or(entry.kind.as_str()).to_owned(),
            decision: entry.decision,
            details: entry.details.to_string(),
        };
        town.cases.stores().log_detail_put(&detail).await.unwrap();
    }
    *done = entries.len();
}

/// A second of a simulated day: the clock, the copier, the housekeeping.
async fn second(town: &Town, done: &mut usize) {
    town.clock.pass_s(1);
    copy_details(town, done).await;
    town.cases.housekeeping().await.unwrap();
}

async fn alarms(town: &Town) -> Value {
    let request = http::Request::get("/health").body(axum::body::Body::empty()).unwrap();
    crate::town::json_of(town.send(request).await).await["alarms"].clone()
}

#[tokio::test]
async fn unusual_use_is_told_within_a_minute() {
    let town = Town::settled().await;
    town.account("dpo", "5340", Profile::P20).await;
    town.account("otherdpo", "5341", Profile::P20).await;
    let [supervisor, dpo, other, overseer] = [
        town.person("supervisor").await,
        town.person("dpo").await,
        town.person("otherdpo").await,
        town.person("overseer").await,
    ];
    let mut done = 0;
    let search = async |number: u32| {
        let body = json!({ "plate": format!("1AAA{number:03}"), "from": "2026-11-22T11:00:00Z", "to": "2026-11-22T11:30:00Z",
            "purpose": { "code": "GERECHTELIJK_ONDERZOEK", "justification": "diefstal met vluchtwagen", "case_ref": "BR-7" } });
        assert_eq!(town.post(&supervisor, "/api/v1/reads/search", body).await.0, StatusCode::OK);
    };
    for number in 0..20 {
        search(number).await;
        second(&town, &mut done).await;
    }
    for _ in 0..30 {
        second(&town, &mut done).await;
    }
    assert_eq!(alarms(&town).await, json!([]), "twenty searches in ten minutes are usual");
    search(20).await;
    let mut waited = 0;
    while alarms(&town).await != json!(["unusual_use"]) {
        second(&town, &mut done).await;
        waited += 1;
        assert!(waited <= 60, "no alarm within a minute");
    }
    println!("A9: unusual use was told {waited} s after the use that was one too many");

    let list = "/api/v1/anomalies";
    for person in [&dpo, &overseer] {
        let (status, page) = town.get(person, list).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let alarm = &page["items"][0];
        assert_eq!(
            (&alarm["rule"], &alarm["counted"], &alarm["allowed"], &alarm["org"], &alarm["state"]),
            (&json!("many_searches"), &json!(21), &json!(20), &json!("5340"), &json!("open"))
        );
        assert!(!page.to_string().contains("supervisor"), "the account's id, no name: {page}");
    }
    assert_eq!(town.get(&other, list).await.1["items"], json!([]), "another organisation's affair");
    assert_eq!(town.get(&supervisor, list).await.0, StatusCode::FORBIDDEN);
    // The same alarm stays one, however many more there are.
    for number in 21..30 {
        search(number).await;
        second(&town, &mut done).await;
    }
    let (_, page) = town.get(&dpo, list).await;
    assert_eq!(page["items"].as_array().map(Vec::len), Some(1), "{page}");
    let told = town.log.entries().iter().filter(|entry| entry.details["operation"] == "unusual_use").count();
    assert_eq!(told, 1);

    let settle = format!("{list}/{}/settle", page["items"][0]["id"].as_str().unwrap());
    let answer = json!({ "answer": "lijst van gestolen wagens, met de korpschef afgesproken" });
    assert_eq!(town.post(&other, &settle, answer.clone()).await.0, StatusCode::NOT_FOUND);
    assert_eq!(town.post(&dpo, &settle, json!({ "answer": "ok" })).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(town.post(&dpo, &settle, answer.clone()).await.0, StatusCode::NO_CONTENT);
    assert_eq!(town.post(&overseer, &settle, answer).await.1["code"], "wrong_state");
    assert_eq!(alarms(&town).await, json!([]));
    let request = Town::request(&dpo, Method::GET, list, None);
    assert_eq!(town.send(request).await.status(), StatusCode::OK);
}
