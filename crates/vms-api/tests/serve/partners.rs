use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use vms_app::catalogue_fault::CatalogueFault;
use vms_app::model::PartnerCamera;

use crate::town::{Town, stream_of};

fn listed(code: &str, url: &str) -> PartnerCamera {
    PartnerCamera {
        code: code.to_owned(),
        name_nl: "Metro De Brouckère".to_owned(),
        name_fr: "Métro De Brouckère".to_owned(),
        lat: 50.85,
        lon: 4.35,
        url: url.to_owned(),
        credentials: Some(("relay".to_owned(), "planted-secret".to_owned())),
    }
}

#[tokio::test]
async fn a_partner_is_connected_imported_and_switched() {
    let town = Town::settled().await;
    let administrator = town.person("administrator").await;
    let org = town.org("MIVB").await.to_string();
    let wish = json!({
        "org_id": org, "name": "MIVB", "catalogue_url": "https://mivb.example/cameras",
        "agreement": { "document": "Protocol 3", "date": "2026-01-01" },
    });
    let (status, partner) = town.post(&administrator, "/api/v1/partners", wish.clone()).await;
    assert_eq!((status, &partner["enabled"]), (StatusCode::CREATED, &json!(false)), "{partner}");
    assert_eq!(town.post(&administrator, "/api/v1/partners", wish).await.1["code"], "taken");
    *town.catalogue.0.lock().unwrap() = Ok(vec![
        listed("m1", "rtsp://10.8.0.1/a"),
        listed("m2", "rtsp://10.8.0.2/a"),
        listed("bad", "rtsp://127.0.0.1/a"),
    ]);
    let path = format!("/api/v1/partners/{org}");
    let import = async || town.post(&administrator, &format!("{path}/catalogue"), json!({})).await.1;
    let refused = json!([{ "code": "bad", "field": "streams.main.url", "problem": "network_not_allowed" }]);
    assert_eq!(import().await, json!({ "added": 2, "changed": 0, "retired": 0, "refused": refused }));
    assert_eq!(import().await, json!({ "added": 0, "changed": 0, "retired": 0, "refused": refused }), "idempotent");

    let plan =
        async || (town.cases.recorder_plan().await.unwrap().streams, town.cases.gateway_plan().await.unwrap().streams);
    let (recorded, relayed) = plan().await;
    assert!(recorded.is_empty() && relayed.is_empty(), "a partner's camera is never recorded; off, it is not pulled");
    crate::four_eyes::switch_on(&town, &administrator, &path).await;
    let (recorded, relayed) = plan().await;
    assert!(recorded.is_empty());
    assert_eq!(relayed.iter().map(|spec| (spec.record, spec.on_demand)).collect::<Vec<_>>(), [(false, true); 2]);

    // The zone's supervisor sees that it is there; live needs an active event, which issue D brings.
    let supervisor = town.person("supervisor").await;
    let (_, page) = town.get(&supervisor, "/api/v1/cameras?q=mivb/m1").await;
    let camera = &page["items"][0];
    assert_eq!((&camera["partner"]["enabled"], &camera["relation"]), (&json!(true), &json!("other")));
    assert_eq!(camera["may"]["playback"], false);
    let technician = town.person("technician").await;
    let path_of = format!("/api/v1/cameras/{}", camera["id"].as_str().unwrap());
    assert_eq!(town.get(&technician, &path_of).await.1["may"]["test_picture"], false, "the console offers none");
    let purpose = json!({ "code": "TECHNISCH", "justification": "lens replaced today", "case_ref": "TT-4711" });
    let (status, problem) =
        town.post(&technician, &format!("{path_of}/test-picture"), json!({ "purpose": purpose })).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("partners_picture")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("belongs to the partner"), "{problem}");
    assert_eq!(town.leaves().last().unwrap(), "refuse test_picture_refused");
    let ticket = json!({ "stream_id": stream_of(camera, "main").to_string(), "kind": "live",
        "purpose": { "code": "CRISIS", "justification": "ontruiming van het station" } });
    assert_eq!(town.post(&supervisor, "/api/v1/stream-tickets", ticket.clone()).await.1["code"], "no_event");
    town.patch(&administrator, &path, "*", json!({ "enabled": false })).await;
    assert_eq!(town.post(&supervisor, "/api/v1/stream-tickets", ticket).await.1["code"], "partner_off");

    town.catalogue.0.lock().unwrap().as_mut().unwrap().truncate(1);
    assert_eq!(import().await["retired"], 1);
    let chief: Value = town.get(&supervisor, "/api/v1/cameras?q=mivb/m2").await.1;
    assert_eq!(chief["items"][0]["state"], "retired");
}

/// A partner with these cameras, switched on; the schedule has looked once.
async fn connected(town: &Town, cameras: Vec<PartnerCamera>) -> String {
    let administrator = town.person("administrator").await;
    let org = town.org("MIVB").await.to_string();
    let wish = json!({
        "org_id": org, "name": "MIVB", "catalogue_url": "https://mivb.example/cameras",
        "agreement": { "document": "Protocol 3", "date": "2026-01-01" },
    });
    town.post(&administrator, "/api/v1/partners", wish).await;
    let path = format!("/api/v1/partners/{org}");
    crate::four_eyes::switch_on(town, &administrator, &path).await;
    *town.catalogue.0.lock().unwrap() = Ok(cameras);
    town.cases.catalogues_follow(Duration::ZERO).await.unwrap();
    org
}

async fn states(town: &Town) -> Vec<(String, String)> {
    let administrator = town.person("administrator").await;
    let page = town.get(&administrator, "/api/v1/cameras?limit=500").await.1;
    let text = |camera: &Value, key: &str| camera[key].as_str().unwrap().to_owned();
    page["items"].as_array().unwrap().iter().map(|camera| (text(camera, "code"), text(camera, "state"))).collect()
}

fn many(count: usize) -> Vec<PartnerCamera> {
    (0..count).map(|n| listed(&format!("m{n:02}"), &format!("rtsp://10.8.0.{}/a", n + 1))).collect()
}

#[tokio::test]
async fn the_schedule_follows_the_catalogue_and_a_wrong_one_changes_nothing() {
    let town = Town::settled().await;
    let org = connected(&town, many(30)).await;
    let live = |n: usize| (format!("MIVB/m{n:02}"), "live".to_owned());
    assert_eq!(states(&town).await, (0..30).map(live).collect::<Vec<_>>());
    let leaves =
        || town.leaves().iter().filter(|leaf| leaf.starts_with("batch catalogue")).cloned().collect::<Vec<_>>();
    assert_eq!(leaves(), ["batch catalogue_import"]);
    town.cases.catalogues_follow(Duration::ZERO).await.unwrap();
    assert_eq!(leaves().len(), 1, "nothing changed: no leaf");

    let administrator = town.person("administrator").await;
    let news = async || town.get(&administrator, "/api/v1/partners").await.1["items"][0]["last_import"].clone();
    assert_eq!(news().await["outcome"]["added"], 0);
    for fault in [
        CatalogueFault::Unreachable,
        CatalogueFault::NotJson { line: 1, column: 1 },
        CatalogueFault::Camera { reference: "m01".to_owned(), problem: "twice" },
    ] {
        let before = leaves().len();
        let word = fault.problem();
        *town.catalogue.0.lock().unwrap() = Err(fault.clone());
        for _ in 0..3 {
            town.cases.catalogues_follow(Duration::ZERO).await.unwrap();
        }
        assert_eq!(leaves().len(), before + 1, "{word}: one leaf when it begins");
        assert_eq!(news().await["problem"], word);
        let path = format!("/api/v1/partners/{org}/catalogue");
        let (status, problem) = town.post(&administrator, &path, json!({})).await;
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!(fault.code())));
        assert_eq!(problem["errors"], json!([{ "field": "catalogue", "problem": word }]));
        assert_eq!(problem["detail"], fault.to_string());
        assert_eq!(states(&town).await.len(), 30);
    }

    // Most of it gone: the schedule waits for a person, who may order it.
    *town.catalogue.0.lock().unwrap() = Ok(many(4));
    town.cases.catalogues_follow(Duration::ZERO).await.unwrap();
    assert_eq!(news().await["problem"], "many_gone");
    assert!(states(&town).await.iter().all(|(_, state)| state == "live"));
    let outcome = town.post(&administrator, &format!("/api/v1/partners/{org}/catalogue"), json!({})).await.1;
    assert_eq!((&outcome["retired"], &outcome["changed"]), (&json!(26), &json!(0)), "{outcome}");
    let states_now = states(&town).await;
    assert_eq!(states_now.len(), 30, "retired, never deleted");
    assert_eq!(states_now.iter().filter(|(_, state)| state == "live").count(), 4);
    // What comes back is the same camera again.
    *town.catalogue.0.lock().unwrap() = Ok(many(5));
    town.cases.catalogues_follow(Duration::ZERO).await.unwrap();
    assert_eq!(states(&town).await[4], live(4));
}

#[tokio::test]
async fn a_changed_password_is_sealed_anew_and_the_partner_has_the_last_word() {
    let town = Town::settled().await;
    connected(&town, vec![listed("m1", "rtsp://10.8.0.1/a")]).await;
    let sealed = async || town.cases.gateway_plan().await.unwrap().streams[0].sealed_credentials.clone().unwrap();
    assert_eq!(sealed().await, b"relay:planted-secret");
    let mut entry = listed("m1", "rtsp://10.8.0.1/a");
    entry.credentials = Some(("relay".to_owned(), "another-secret".to_owned()));
    *town.catalogue.0.lock().unwrap() = Ok(vec![entry]);
    town.cases.catalogues_follow(Duration::ZERO).await.unwrap();
    assert_eq!(sealed().await, b"relay:another-secret");

    let administrator = town.person("administrator").await;
    let camera = town.get(&administrator, "/api/v1/cameras?q=mivb/m1").await.1["items"][0].clone();
    let path = format!("/api/v1/cameras/{}", camera["id"].as_str().unwrap());
    let etag = town.cases.camera_known(camera["id"].as_str().unwrap().parse().unwrap()).await.unwrap().unwrap().version;
    let patch = async |body: Value| town.patch(&administrator, &path, &format!("\"{etag}\""), body).await;
    assert_eq!(patch(json!({ "name_nl": "Anders" })).await.1["code"], "partners_camera");
    assert_eq!(town.post(&administrator, &format!("{path}/retire"), json!({})).await.1["code"], "partners_camera");
    assert_eq!(patch(json!({ "call_up": 812 })).await.1["call_up"], 812);
}

#[tokio::test]
async fn an_owner_shares_and_takes_back() {
    let town = Town::settled().await;
    connected(&town, vec![listed("m1", "rtsp://10.8.0.1/a")]).await;
    let [admin, operator, zone] =
        [town.person("mivbadmin").await, town.person("operator").await, town.person("zoneadmin").await];
    let camera = town.get(&admin, "/api/v1/cameras").await.1["items"][0].clone();
    let ticket = json!({ "stream_id": stream_of(&camera, "main").to_string(), "kind": "live",
        "purpose": { "code": "INTERVENTIE", "justification": "vechtpartij op het perron" } });
    let look = async || {
        let before = town.log.entries().len();
        let (status, answer) = town.post(&operator, "/api/v1/stream-tickets", ticket.clone()).await;
        let kinds: Vec<_> = town.log.entries().iter().skip(before).map(|entry| entry.kind.as_str()).collect();
        (status.as_u16(), answer["code"].as_str().unwrap_or("").to_owned(), kinds)
    };
    assert_eq!(look().await, (404, "not_found".to_owned(), vec!["refuse"]), "without a grant: refused and logged");

    let wish = json!({ "camera_ids": [camera["id"]], "partner_id": town.org("5340").await.to_string(),
        "profile": "P01", "rights": ["live"], "purpose": "INTERVENTIE",
        "from": "2026-11-22T11:00:00Z", "to": "2027-11-22T11:00:00Z" });
    let with = |key: &str, value: Value| {
        let mut wish = wish.clone();
        wish[key] = value;
        wish
    };
    let own = town.org("MIVB").await.to_string();
    for (body, field, word) in [
        (with("rights", json!(["camera.edit"])), "rights", "not_yours_to_give"),
        (with("rights", json!([])), "rights", "empty"),
        (with("camera_ids", json!([])), "camera_ids", "empty_or_too_long"),
        (with("partner_id", json!(own)), "partner_id", "unknown"),
        (with("to", json!("2026-11-22T11:30:00Z")), "to", "in_the_past"),
        (with("to", json!("2036-11-22T11:30:00Z")), "to", "too_long"),
        (with("to", json!("2026-11-22T10:30:00Z")), "to", "not_after_from"),
        (with("profile", json!("P99")), "profile", "unknown"),
    ] {
        let (status, problem) = town.post(&admin, "/api/v1/grants", body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        assert_eq!(problem["errors"][0], json!({ "field": field, "problem": word }));
    }
    for (person, wanted) in [("chief", 403), ("zoneadmin", 404), ("operator", 403), ("administrator", 403)] {
        let status = town.post(&town.person(person).await, "/api/v1/grants", wish.clone()).await.0;
        assert_eq!(status.as_u16(), wanted, "{person} is not the owner");
    }
    let (status, given) = town.post(&admin, "/api/v1/grants", wish.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{given}");
    assert_eq!(look().await, (200, String::new(), vec!["open"]));

    let listed_by = async |person: &str| {
        let page = town.get(&town.person(person).await, "/api/v1/grants").await.1;
        page["items"].as_array().map_or(99, Vec::len)
    };
    for (person, count) in [("mivbadmin", 1), ("chief", 1), ("overseer", 1), ("foreignchief", 0), ("operator", 99)] {
        assert_eq!(listed_by(person).await, count, "{person}");
    }
    let path = format!("/api/v1/grants/{}", given["ids"][0].as_str().unwrap());
    let take = async |person: &crate::town::Person| {
        let request = Town::request(person, http::Method::DELETE, &path, None);
        town.send(request).await.status().as_u16()
    };
    assert_eq!(take(&zone).await, 404, "a grant of somebody else");
    assert_eq!(take(&admin).await, 204);
    assert_eq!(take(&admin).await, 404);
    assert_eq!(look().await.0, 404);
    assert_eq!(listed_by("mivbadmin").await, 0);
}
