//! Sharing end to end: wishes, events, emergency access, notices, stations; and what a request lacks.

use http::StatusCode;
use serde_json::{Value, json};
use vms_core::Profile;

use crate::town::{Person, Town, stream_of};

/// What there is to ask for with a whole reason.
fn purpose(code: &str) -> Value {
    json!({ "code": code, "justification": "vechtpartij op het perron, ploeg onderweg", "case_ref": "BR.11.L3.7/26" })
}

fn live(camera: &Value, purpose: Value) -> Value {
    json!({ "stream_id": stream_of(camera, "main").to_string(), "kind": "live", "rendition": "original", "purpose": purpose })
}

pub(crate) async fn tickets(town: &Town, person: &Person, camera: &Value, purpose: Value) -> (u16, String) {
    let (status, answer) = town.post(person, "/api/v1/stream-tickets", live(camera, purpose)).await;
    (status.as_u16(), answer["code"].as_str().unwrap_or("").to_owned())
}

/// The newest leaf's details of a kind.
fn last(town: &Town, kind: &str) -> Value {
    let entries = town.log.entries();
    entries.iter().rev().find(|entry| entry.kind.as_str() == kind).unwrap().details.clone()
}

#[tokio::test]
async fn an_error_names_everything_that_is_missing() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    town.account("investigator", "5340", Profile::P04).await;
    let (investigator, supervisor) = (town.person("investigator").await, town.person("supervisor").await);
    let span = |purpose: Value| {
        json!({ "stream_id": stream_of(&camera, "main").to_string(), "from": "2026-11-22T11:00:00Z",
            "to": "2026-11-22T11:05:00Z", "purpose": purpose })
    };
    let text = "overval op de Grote Markt";
    for (person, given, wanted) in [
        (&investigator, Value::Null, json!(["purpose", "justification", "case"])),
        (&investigator, json!({ "code": "GERECHTELIJK_ONDERZOEK" }), json!(["justification", "case"])),
        (&investigator, json!({ "code": "GERECHTELIJK_ONDERZOEK", "justification": text }), json!(["case"])),
        (&supervisor, json!({ "justification": "aaaaaaaaaaaaa" }), json!(["purpose", "justification"])),
    ] {
        let (status, problem) = town.post(person, "/api/v1/playback-tickets", span(given)).await;
        assert_eq!((status, &problem["missing"]), (StatusCode::FORBIDDEN, &wanted), "{problem}");
        let first = wanted[0].as_str().unwrap();
        assert_eq!(problem["code"], format!("{first}_required"));
        assert_eq!(last(&town, "refuse")["outcome"], "missing");
    }
    let whole = json!({ "code": "GERECHTELIJK_ONDERZOEK", "justification": text, "case_ref": "BR.11.LA/26" });
    let (status, answer) = town.post(&investigator, "/api/v1/playback-tickets", span(whole)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

#[tokio::test]
async fn a_partner_asks_and_the_owner_gives_or_refuses() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let [chief, zoneadmin, foreign, stranger] = [
        town.person("chief").await,
        town.person("zoneadmin").await,
        town.person("foreignchief").await,
        town.person("stranger").await,
    ];
    let wish = json!({ "camera_ids": [camera["id"]], "profile": "P01", "rights": ["live"],
        "from": "2026-11-22T11:00:00Z", "to": "2027-11-22T11:00:00Z", "purpose": purpose("INTERVENTIE") });
    let bare = json!({ "camera_ids": [camera["id"]], "rights": ["live"], "from": "2026-11-22T11:00:00Z",
        "to": "2027-11-22T11:00:00Z" });
    let path = "/api/v1/grant-requests";
    let (_, problem) = town.post(&foreign, path, bare).await;
    assert_eq!(problem["missing"], json!(["purpose", "justification"]), "{problem}");
    let (status, _) = town.post(&stranger, path, wish.clone()).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "an operator asks for nothing");
    let (status, made) = town.post(&foreign, path, wish.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(town.leaves().last().unwrap(), "change share_asked");
    let step = |id: &Value, word: &str| format!("{path}/{}/{word}", id["id"].as_str().unwrap());
    let seen = async |person: &Person| town.get(person, path).await.1["items"].clone();
    assert_eq!(
        (&seen(&chief).await[0]["may_answer"], &seen(&foreign).await[0]["may_withdraw"]),
        (&json!(true), &json!(true))
    );
    let (_, notices) = town.get(&chief, "/api/v1/notices").await;
    assert_eq!(notices["items"][0]["kind"], "share_request", "{notices}");

    // The zone's local administrator agrees; nothing is given before the chief does.
    let go = async |person: &Person, path: String, body: Value| {
        let (status, answer) = town.post(person, &path, body).await;
        (status.as_u16(), answer["code"].as_str().unwrap_or("").to_owned())
    };
    assert_eq!(go(&foreign, step(&made, "approve"), json!({})).await, (404, "not_found".to_owned()), "not the owner");
    assert_eq!(go(&zoneadmin, step(&made, "approve"), json!({})).await.0, 204);
    assert_eq!(seen(&chief).await[0]["state"], "waits_second");
    assert_eq!(tickets(&town, &stranger, &camera, purpose("INTERVENTIE")).await.0, 404);
    assert_eq!(go(&zoneadmin, step(&made, "approve"), json!({})).await, (409, "wrong_state".to_owned()));
    assert_eq!(go(&chief, step(&made, "approve"), json!({})).await.0, 204);
    assert_eq!(tickets(&town, &stranger, &camera, purpose("INTERVENTIE")).await, (200, String::new()));
    assert_eq!(tickets(&town, &stranger, &camera, purpose("CRISIS")).await.0, 403, "another purpose than the share's");
    assert_eq!(
        go(&chief, step(&made, "refuse"), json!({ "reason": "toch maar niet" })).await,
        (409, "wrong_state".to_owned())
    );

    let (_, second) = town.post(&foreign, path, wish.clone()).await;
    assert_eq!(go(&chief, step(&second, "refuse"), json!({})).await.0, 422, "a refusal says why");
    assert_eq!(go(&chief, step(&second, "refuse"), json!({ "reason": "geen noodzaak aangetoond" })).await.0, 204);
    let (_, third) = town.post(&foreign, path, wish).await;
    assert_eq!(go(&foreign, step(&third, "withdraw"), json!({})).await.0, 204);
    let (_, all) = town.get(&town.person("overseer").await, &format!("{path}?past=true")).await;
    let states: Vec<&str> = all["items"].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["withdrawn", "refused", "approved"]);
}

#[tokio::test]
async fn a_share_for_one_purpose_is_used_for_it() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    town.account("othersupervisor", "5339", Profile::P02).await;
    let other = town.person("othersupervisor").await;
    let share = json!({ "camera_ids": [camera["id"]], "partner_id": town.org("5339").await.to_string(),
        "rights": ["live"], "purpose": "INTERVENTIE", "from": "2026-11-22T11:00:00Z", "to": "2027-11-22T11:00:00Z" });
    assert_eq!(town.post(&town.person("chief").await, "/api/v1/grants", share).await.0, StatusCode::CREATED);
    // Whatever the matrix asks for, the share itself asks for its purpose.
    let (status, problem) = town.post(&other, "/api/v1/stream-tickets", live(&camera, Value::Null)).await;
    assert_eq!((status, &problem["missing"]), (StatusCode::FORBIDDEN, &json!(["purpose"])));
    assert_eq!(town.leaves().last().unwrap(), "refuse purpose_missing");
    assert_eq!(tickets(&town, &other, &camera, purpose("INTERVENTIE")).await, (200, String::new()));
}

#[expect(clippy::too_many_lines, reason = "one event from its wish to its summary")]
#[tokio::test]
async fn an_event_opens_what_it_covers_and_ends_by_itself() {
    let town = Town::settled().await;
    let (inside, outside) = (town.camera("C1").await, town.camera("C2").await);
    for (user, org, profile) in [
        ("coordinator", "SAFE", Profile::P16),
        ("othersupervisor", "5339", Profile::P02),
        ("dpo", "5340", Profile::P20),
    ] {
        town.account(user, org, profile).await;
    }
    let [coordinator, other, operator, chief] = [
        town.person("coordinator").await,
        town.person("othersupervisor").await,
        town.person("operator").await,
        town.person("chief").await,
    ];
    let path = "/api/v1/sharing-events";
    let wish = json!({ "kind": "event", "name": "Betoging", "camera_ids": [inside["id"]], "authority": "BGM-2026-118",
        "reason": "betoging van 20.000 mensen", "from": "2026-11-22T12:00:00Z", "to": "2026-11-22T18:00:00Z" });
    let with = |key: &str, value: Value| {
        let mut wish = wish.clone();
        wish[key] = value;
        wish
    };
    for (body, field, word) in [
        (with("to", json!("2026-11-23T12:00:01Z")), "to", "too_long"),
        (with("camera_ids", json!([])), "camera_ids", "empty_or_too_long"),
        (with("name", json!(" ")), "name", "empty_or_too_long"),
        (with("area", json!([[50.0, 4.0], [50.0, 5.0], [51.0, 5.0]])), "area", "list_or_area"),
    ] {
        let (status, problem) = town.post(&coordinator, path, body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        assert_eq!(problem["errors"][0], json!({ "field": field, "problem": word }));
    }
    let (_, problem) = town.post(&coordinator, path, with("authority", json!(""))).await;
    assert_eq!(problem["missing"], json!(["case"]), "without an authority there is no event: {problem}");
    assert_eq!(town.post(&operator, path, wish.clone()).await.0, StatusCode::FORBIDDEN);

    assert_eq!(tickets(&town, &other, &inside, purpose("EVENEMENT")).await, (403, "no_event".to_owned()));
    let (status, made) = town.post(&coordinator, path, wish.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(tickets(&town, &other, &inside, purpose("EVENEMENT")).await, (200, String::new()));
    let leaf = last(&town, "open");
    assert_eq!(leaf.pointer("/circumstances/event"), Some(&made["id"]), "the use carries the event: {leaf}");
    assert_eq!(tickets(&town, &other, &outside, purpose("EVENEMENT")).await, (403, "no_event".to_owned()));
    let (_, page) = town.get(&chief, path).await;
    assert_eq!(
        (&page["items"][0]["uses"][0]["uses"], &page["items"][0]["in_force"]),
        (&json!(1), &json!(true)),
        "{page}"
    );
    assert_eq!(page["items"][0]["may_change"], false);
    let (_, notices) = town.get(&town.person("dpo").await, "/api/v1/notices").await;
    let kinds: Vec<&str> =
        notices["items"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["use", "event_summary"], "the owner is told of the event and of the use");

    let event = format!("{path}/{}", made["id"].as_str().unwrap());
    let later =
        json!({ "to": "2026-11-23T11:00:00Z", "authority": "BGM-2026-119", "reason": "betoging duurt tot morgen" });
    assert_eq!(town.post(&coordinator, &format!("{event}/extend"), later).await.0, StatusCode::NO_CONTENT);
    town.clock.pass_s(7 * 3_600);
    let other = town.person("othersupervisor").await;
    assert_eq!(tickets(&town, &other, &inside, purpose("EVENEMENT")).await, (200, String::new()), "it was extended");
    // Nobody ends it: the clock does.
    town.clock.pass_s(16 * 3_600);
    let other = town.person("othersupervisor").await;
    assert_eq!(tickets(&town, &other, &inside, purpose("EVENEMENT")).await, (403, "no_event".to_owned()));
    town.cases.housekeeping().await.unwrap();
    let summary = async || {
        let (_, notices) = town.get(&town.person("chief").await, "/api/v1/notices").await;
        let found = notices["items"].as_array().unwrap().iter().find(|one| one["data"]["what"] == "summary").cloned();
        found.map(|one| one["data"]["uses"].clone())
    };
    assert_eq!(summary().await, None, "the summary comes the next day");
    town.clock.pass_s(24 * 3_600);
    town.cases.housekeeping().await.unwrap();
    town.cases.housekeeping().await.unwrap();
    assert_eq!(summary().await, Some(json!([{ "by": "5339", "right": "live", "uses": 2 }])));

    // An area instead of a list, ended by hand.
    let area = json!([[50.80, 4.30], [50.80, 4.40], [50.90, 4.40], [50.90, 4.30]]);
    let mut wish = with("from", json!("2026-11-24T11:00:00Z"));
    wish["to"] = json!("2026-11-24T20:00:00Z");
    wish.as_object_mut().unwrap().remove("camera_ids");
    wish["area"] = area;
    let coordinator = town.person("coordinator").await;
    let (status, made) = town.post(&coordinator, path, wish).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let other = town.person("othersupervisor").await;
    assert_eq!(tickets(&town, &other, &outside, purpose("EVENEMENT")).await, (200, String::new()));
    let end = format!("{path}/{}/end", made["id"].as_str().unwrap());
    assert_eq!(
        town.post(&coordinator, &end, json!({ "reason": "betoging is voorbij" })).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(tickets(&town, &other, &outside, purpose("EVENEMENT")).await, (403, "no_event".to_owned()));
    assert_eq!(
        town.post(&coordinator, &end, json!({ "reason": "betoging is voorbij" })).await.1["code"],
        "wrong_state"
    );
}

#[tokio::test]
async fn emergency_access_is_short_told_and_reviewed() {
    let town = Town::settled().await;
    let (camera, second) = (town.camera("C1").await, town.camera("C2").await);
    for (user, org, profile) in
        [("othersupervisor", "5339", Profile::P02), ("dpo", "5340", Profile::P20), ("otherdpo", "5341", Profile::P20)]
    {
        town.account(user, org, profile).await;
    }
    let path = "/api/v1/break-glass";
    let other = town.person("othersupervisor").await;
    let wish = json!({ "camera_ids": [camera["id"]], "purpose": purpose("INTERVENTIE") });
    let (_, problem) = town.post(&other, path, json!({ "camera_ids": [camera["id"]] })).await;
    assert_eq!(problem["missing"], json!(["purpose", "justification"]));
    assert_eq!(town.post(&town.person("stranger").await, path, wish.clone()).await.0, StatusCode::FORBIDDEN);
    assert_eq!(tickets(&town, &other, &camera, purpose("INTERVENTIE")).await, (403, "no_event".to_owned()));
    let (status, made) = town.post(&other, path, wish.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(tickets(&town, &other, &camera, purpose("INTERVENTIE")).await, (200, String::new()));
    assert_eq!(last(&town, "open").pointer("/circumstances/break_glass"), Some(&made["id"]));
    assert_eq!(tickets(&town, &other, &second, purpose("INTERVENTIE")).await.1, "no_event", "only what it names");
    for person in ["chief", "dpo"] {
        let (_, notices) = town.get(&town.person(person).await, "/api/v1/notices").await;
        let told = notices["items"].as_array().unwrap().iter().any(|one| one["kind"] == "break_glass");
        assert!(told, "{person} is told: {notices}");
    }
    assert_eq!(town.get(&town.person("otherdpo").await, path).await.1["items"], json!([]), "no business of theirs");

    town.clock.pass_s(3_600);
    let other = town.person("othersupervisor").await;
    assert_eq!(tickets(&town, &other, &camera, purpose("INTERVENTIE")).await.1, "no_event", "an hour");
    assert_eq!(
        town.post(&other, path, wish.clone()).await.0,
        StatusCode::CREATED,
        "a second one before the review is due"
    );
    // Sunday noon and two working days: the end of Tuesday.
    town.clock.pass_s(60 * 3_600);
    let other = town.person("othersupervisor").await;
    assert_eq!(town.post(&other, path, wish.clone()).await.1["code"], "review_late");
    let review = json!({ "justified": true, "reason": "achtervolging over de zonegrens, terecht" });
    let ids: Vec<String> = town.get(&other, path).await.1["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 2);
    let stranger_dpo = town.person("otherdpo").await;
    assert_eq!(
        town.post(&stranger_dpo, &format!("{path}/{}/review", ids[0]), review.clone()).await.0,
        StatusCode::NOT_FOUND
    );
    let dpo = town.person("dpo").await;
    for id in &ids {
        let (status, answer) = town.post(&dpo, &format!("{path}/{id}/review"), review.clone()).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
    }
    let again = town.post(&dpo, &format!("{path}/{}/review", ids[0]), review).await.1;
    assert_eq!(again["code"], "wrong_state");
    let (status, made) = town.post(&other, path, wish).await;
    assert_eq!(status, StatusCode::CREATED, "reviewed: {made}");
    let end = format!("{path}/{}/end", made["id"].as_str().unwrap());
    assert_eq!(town.post(&dpo, &end, json!({})).await.0, StatusCode::NO_CONTENT, "a reviewer may end it");
    assert_eq!(tickets(&town, &other, &camera, purpose("INTERVENTIE")).await.1, "no_event");
}

#[tokio::test]
async fn a_supervised_station_opens_what_the_law_asks_it_for() {
    let town = Town::settled().await;
    for (user, org, profile) in [("portoperator", "HAVEN", Profile::P13), ("portadmin", "HAVEN", Profile::P19)] {
        town.account(user, org, profile).await;
    }
    let (technician, admin) = (town.person("technician").await, town.person("portadmin").await);
    let haven = town.org("HAVEN").await.to_string();
    let (_, camera) = town.post(&technician, "/api/v1/cameras", crate::town::draft("H1", &haven)).await;
    let id: vms_core::CameraId = camera["id"].as_str().unwrap().parse().unwrap();
    let mut known = town.cases.camera_known(id).await.unwrap().unwrap();
    known.state = vms_app::words::CameraState::Live;
    town.cases.stores().camera_update(&known).await.unwrap();
    let operator = town.person("portoperator").await;
    assert_eq!(tickets(&town, &operator, &camera, Value::Null).await, (403, "no_police_station".to_owned()));
    let body = json!({ "org_id": haven, "name": "Kade 3", "agreement": "protocol met zone 5340 van 2026-01-05" });
    assert_eq!(town.post(&operator, "/api/v1/stations", body.clone()).await.0, StatusCode::FORBIDDEN);
    let (status, made) = town.post(&admin, "/api/v1/stations", body).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let code = json!({ "code": made["code"] });
    let foreign = town.person("operator").await;
    assert_eq!(
        town.post(&foreign, "/api/v1/session/station", code.clone()).await.0,
        StatusCode::NOT_FOUND,
        "of another organisation"
    );
    assert_eq!(town.post(&operator, "/api/v1/session/station", code).await.0, StatusCode::OK);
    assert_eq!(tickets(&town, &operator, &camera, Value::Null).await, (200, String::new()));
    let station = format!("/api/v1/stations/{}", made["station"]["id"].as_str().unwrap());
    let request = Town::request(&admin, http::Method::DELETE, &station, None);
    assert_eq!(town.send(request).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(tickets(&town, &operator, &camera, Value::Null).await, (403, "no_police_station".to_owned()));
}
