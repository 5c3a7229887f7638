//! Watchlists over HTTP: two people for an entry, a picture for a hit; and the search by pattern.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use bytes::Bytes;
use http::{StatusCode, header};
use serde_json::{Value, json};
use vms_app::lez::ReadService;
use vms_app::lez::service::BatchSettings;
use vms_app::lez_ports::{Direction, NewRead, ReadFacts};
use vms_app::ports::Clock as _;
use vms_core::{Confidence, Country, Plate, Profile, ReadId, StreamId};

use crate::reads::read_town;
use crate::town::{Person, Town, bytes_of};

fn wish(plate: &str, ends_at: &str, purpose: &str) -> Value {
    let words = format!("diefstal met vluchtwagen {}", plate.to_lowercase());
    let purpose = json!({ "code": purpose, "justification": words, "case_ref": "BR-7" });
    json!({ "plate": plate, "country": "B", "ends_at": ends_at, "purpose": purpose })
}

const ENDS: &str = "2027-01-22T12:00:00Z";
const JUDICIAL: &str = "GERECHTELIJK_ONDERZOEK";

/// A town with a keeper of watchlists and a detective.
async fn town() -> (Town, String) {
    let town = Town::settled().await;
    let camera = read_town(&town).await;
    town.account("keeper", "5340", Profile::P05).await;
    town.account("foreignkeeper", "5339", Profile::P05).await;
    town.account("officer", "5340", Profile::P20).await;
    (town, camera)
}

/// One passage, as the reader delivers it, now.
async fn passes(town: &Town, camera: &str, plate: &str, number: u8) {
    let wait = Duration::from_secs(5);
    let settings = BatchSettings { wait, retry: wait, retry_max: wait, later: wait };
    let service = ReadService::new(Arc::clone(&town.cases), None, settings).unwrap();
    let read = NewRead {
        read: ReadId::from_bytes([number; 16]),
        camera: camera.parse().unwrap(),
        stream: StreamId::from_bytes([1; 16]),
        at: town.clock.now(),
        facts: ReadFacts {
            plate: Plate::parse(plate).unwrap(),
            countries: vec![(Country::BELGIUM, Confidence::from_millionths(993_000))],
            confidence: Confidence::from_millionths(987_654),
            corrected: true,
            direction: Direction::Leaving,
            looks: 9,
            model: "test-1".to_owned(),
            clock: None,
            from: vms_app::lez_ports::ReadFrom::Reader,
        },
        crop: Bytes::from_static(b"\xff\xd8crop"),
        overview: Bytes::new(),
    };
    service.take(vec![read]).await.unwrap();
}

async fn approved(town: &Town, plate: &str) -> String {
    let keeper = town.person("keeper").await;
    let (status, entry) = town.post(&keeper, "/api/v1/watchlist", wish(plate, ENDS, JUDICIAL)).await;
    assert_eq!(status, StatusCode::CREATED, "{entry}");
    let id = entry["id"].as_str().unwrap().to_owned();
    let chief = town.person("chief").await;
    let (status, entry) = town.post(&chief, &format!("/api/v1/watchlist/{id}/approve"), json!({})).await;
    assert_eq!((status, entry["state"].as_str()), (StatusCode::OK, Some("in_force")), "{entry}");
    id
}

async fn hits(town: &Town, person: &Person) -> Vec<Value> {
    let (status, page) = town.get(person, "/api/v1/hits").await;
    assert_eq!(status, StatusCode::OK, "{page}");
    page["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn an_entry_needs_two_people_a_purpose_and_an_end() {
    let (town, camera) = town().await;
    let (keeper, chief) = (town.person("keeper").await, town.person("chief").await);
    for (path, body, status, code) in [
        ("/api/v1/watchlist", json!({ "plate": "1ABC234", "ends_at": ENDS }), 403, "purpose_required"),
        ("/api/v1/watchlist", wish("not a plate!", ENDS, JUDICIAL), 422, "invalid"),
        ("/api/v1/watchlist", wish("1ABC234", "2026-11-22T12:00:10Z", JUDICIAL), 422, "invalid"),
        ("/api/v1/watchlist", wish("1ABC234", "2027-11-25T12:00:00Z", JUDICIAL), 422, "invalid"),
        ("/api/v1/watchlist", wish("1ABC234", ENDS, "LEZ"), 422, "invalid"),
        ("/api/v1/watchlist/urgent", wish("1ABC234", ENDS, JUDICIAL), 403, "denied"),
    ] {
        let (got, problem) = town.post(&keeper, path, body.clone()).await;
        assert_eq!(got.as_u16(), status, "{body} {problem}");
        assert!(code == "denied" || problem["code"] == code, "{problem}");
    }
    let (status, entry) = town.post(&keeper, "/api/v1/watchlist", wish("1-abc.234", ENDS, JUDICIAL)).await;
    assert_eq!(
        (status, entry["plate"].as_str(), entry["state"].as_str()),
        (StatusCode::CREATED, Some("1ABC234"), Some("proposed"))
    );
    assert_eq!((entry["may_settle"].as_bool(), entry["may_end"].as_bool()), (Some(false), Some(true)), "{entry}");
    passes(&town, &camera, "1ABC234", 20).await;
    assert_eq!(hits(&town, &chief).await.len(), 0, "proposed only");
    // An operator's urgent entry lasts a day, and waits for the chief as well.
    let supervisor = town.person("supervisor").await;
    assert_eq!(town.post(&supervisor, "/api/v1/watchlist/urgent", wish("1DEF567", ENDS, JUDICIAL)).await.0, 422);
    let (status, urgent) =
        town.post(&supervisor, "/api/v1/watchlist/urgent", wish("1DEF567", "2026-11-23T12:00:00Z", JUDICIAL)).await;
    assert_eq!((status, urgent["kind"].as_str()), (StatusCode::CREATED, Some("urgent")), "{urgent}");
    let id = entry["id"].as_str().unwrap();
    let approve = format!("/api/v1/watchlist/{id}/approve");
    for other in ["keeper", "supervisor", "operator", "foreignchief", "overseer"] {
        let status = town.post(&town.person(other).await, &approve, json!({})).await.0;
        let wanted = if other == "foreignchief" { StatusCode::NOT_FOUND } else { StatusCode::FORBIDDEN };
        assert_eq!(status, wanted, "{other}");
    }
    let (status, entry) = town.post(&chief, &approve, json!({})).await;
    assert_eq!((status, entry["state"].as_str()), (StatusCode::OK, Some("in_force")), "{entry}");
    assert_eq!(town.post(&chief, &approve, json!({})).await.0, StatusCode::CONFLICT, "once");
    let refuse = format!("/api/v1/watchlist/{}/refuse", urgent["id"].as_str().unwrap());
    let (status, refused) = town.post(&chief, &refuse, json!({ "reason": "geen spoed" })).await;
    assert_eq!((status, refused["refusal"].as_str()), (StatusCode::OK, Some("geen spoed")), "{refused}");
    let (_, list) = town.get(&keeper, "/api/v1/watchlist").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    let foreign = town.person("foreignkeeper").await;
    assert_eq!(town.get(&foreign, "/api/v1/watchlist").await.1["items"], json!([]), "each zone its own");
    // Overseers see names, sizes and ages, of everybody's lists or of their own zone's; no entry.
    for (who, lists) in [("overseer", 1), ("officer", 1)] {
        let person = town.person(who).await;
        let (status, sizes) = town.get(&person, "/api/v1/watchlist/summary").await;
        assert_eq!((status, sizes["items"].as_array().unwrap().len()), (StatusCode::OK, lists), "{who} {sizes}");
        assert_eq!(sizes["items"][0]["entries"], 1);
        assert_eq!(town.get(&person, "/api/v1/watchlist").await.0, StatusCode::FORBIDDEN);
    }
    let end = format!("/api/v1/watchlist/{id}/end");
    assert_eq!(town.post(&foreign, &end, json!({ "reason": "niet meer gezocht" })).await.0, StatusCode::NOT_FOUND);
    assert_eq!(town.post(&keeper, &end, json!({ "reason": "" })).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(town.post(&keeper, &end, json!({ "reason": "niet meer gezocht" })).await.0, StatusCode::NO_CONTENT);
    town.clock.pass_s(1);
    passes(&town, &camera, "1ABC234", 21).await;
    assert_eq!(hits(&town, &chief).await.len(), 0, "ended");
    let log = format!("{:?}", town.log.entries()).to_lowercase();
    assert!(!log.contains("1abc234") && !log.contains("1-abc.234"), "no plate in the log, nor in anybody's words");
    assert!(log.contains("vluchtwagen [plate]"));
}

#[tokio::test]
async fn a_hit_is_an_indication_until_somebody_reads_the_plate_in_the_picture() {
    let (town, camera) = town().await;
    approved(&town, "1ABC234").await;
    town.clock.pass_s(1);
    for (plate, number) in [("1ABC234", 20), ("1ABC235", 21), ("1ABC234", 22)] {
        passes(&town, &camera, plate, number).await;
    }
    let operator = town.person("operator").await;
    let found = hits(&town, &operator).await;
    assert_eq!(found.len(), 2);
    let hit = &found[0];
    assert_eq!(
        (hit["state"].as_str(), hit["plate"].as_str(), hit["read_country"].as_str()),
        (Some("open"), None, Some("B"))
    );
    assert_eq!((&hit["case_ref"], hit["corrected"].as_bool()), (&Value::Null, Some(true)), "the reason only: {hit}");
    let supervisor = town.person("supervisor").await;
    assert_eq!(hits(&town, &supervisor).await[0]["case_ref"], "BR-7");
    let path = format!("/api/v1/hits/{}", hit["id"].as_str().unwrap());
    let crop = town.send(Town::request(&operator, Method::GET, &format!("{path}/crop.jpg"), None)).await;
    assert_eq!(crop.headers()[header::CACHE_CONTROL], "no-store");
    assert_eq!(bytes_of(crop).await, Bytes::from_static(b"\xff\xd8crop"));
    assert_eq!(town.get(&operator, &format!("{path}/overview.jpg")).await.0, StatusCode::NOT_FOUND);
    let decide = format!("{path}/decide");
    let confirm = |plate: &str| json!({ "verdict": "confirm", "plate_seen": plate, "seen_etag": hit["etag"] });
    for (body, status) in [
        (json!({ "verdict": "confirm", "seen_etag": "1" }), 422),
        (confirm("1ABC235"), 422),
        (json!({ "verdict": "dismiss", "seen_etag": "1" }), 422),
        (json!({ "verdict": "maybe", "seen_etag": "1" }), 422),
        (json!({ "verdict": "confirm", "plate_seen": "1ABC234", "seen_etag": "2" }), 412),
    ] {
        assert_eq!(town.post(&operator, &decide, body.clone()).await.0.as_u16(), status, "{body}");
    }
    for other in ["stranger", "lezagent", "keeper", "overseer"] {
        let person = town.person(other).await;
        let status = town.post(&person, &decide, confirm("1ABC234")).await.0;
        let wanted = if other == "stranger" { StatusCode::NOT_FOUND } else { StatusCode::FORBIDDEN };
        assert_eq!(status, wanted, "{other}");
    }
    let (status, decided) = town.post(&operator, &decide, confirm("1-ABC-234")).await;
    assert_eq!(
        (status, decided["state"].as_str(), decided["plate"].as_str()),
        (StatusCode::OK, Some("confirmed"), Some("1ABC234"))
    );
    assert_eq!(town.post(&operator, &decide, confirm("1ABC234")).await.0, StatusCode::CONFLICT, "once");
    let dismiss = format!("/api/v1/hits/{}/decide", found[1]["id"].as_str().unwrap());
    let body = json!({ "verdict": "dismiss", "reason": "een andere plaat", "seen_etag": "1" });
    assert_eq!(town.post(&supervisor, &dismiss, body).await.1["state"], "dismissed");
    assert_eq!(town.get(&operator, "/api/v1/hits?state=open").await.1["items"], json!([]));
    let leaves = town.leaves();
    let times = |word: &str| leaves.iter().filter(|leaf| *leaf == word).count();
    assert_eq!((times("change hit_found"), times("change hit_confirmed"), times("change hit_dismissed")), (2, 1, 1));
    assert!(!format!("{:?}", town.log.entries()).contains("ABC23"), "no plate in the log");
}

#[tokio::test]
async fn a_search_by_pattern_or_likeness_leaves_a_hash() {
    let (town, camera) = town().await;
    for (plate, number) in [("1ABC234", 20), ("1ABC235", 21), ("1XBC234", 22)] {
        passes(&town, &camera, plate, number).await;
    }
    let supervisor = town.person("supervisor").await;
    let search = |kind: &str, plate: &str| {
        let words = format!("gezocht wordt {plate} of 1-ABC-234");
        json!({ "plate": plate, "match": kind, "from": "2026-11-22T11:00:00Z", "to": "2026-11-22T13:00:00Z",
            "purpose": { "code": JUDICIAL, "justification": words, "case_ref": "BR-7" } })
    };
    for (kind, plate, wanted) in [
        ("exact", "1ABC234", vec!["1ABC234"]),
        ("wildcard", "1-abc*", vec!["1ABC234", "1ABC235"]),
        ("wildcard", "1?BC234", vec!["1ABC234", "1XBC234"]),
        ("similar", "1ABC234", vec!["1ABC234", "1ABC235", "1XBC234"]),
        ("similar", "1ABC23", vec!["1ABC234", "1ABC235"]),
    ] {
        let (status, page) = town.post(&supervisor, "/api/v1/reads/search", search(kind, plate)).await;
        assert_eq!(status, StatusCode::OK, "{kind} {plate} {page}");
        let mut plates: Vec<&str> =
            page["items"].as_array().unwrap().iter().map(|read| read["plate"].as_str().unwrap()).collect();
        plates.sort_unstable();
        assert_eq!(plates, wanted, "{kind} {plate}");
        let picture = format!(
            "/api/v1/reads/{}/crop.jpg?decision={}",
            page["items"][0]["id"].as_str().unwrap(),
            page["decision_id"].as_str().unwrap()
        );
        assert_eq!(town.send(Town::request(&supervisor, Method::GET, &picture, None)).await.status(), StatusCode::OK);
    }
    for (kind, plate, problem) in
        [("wildcard", "1A*", "too_open"), ("similar", "ABC", "too_open"), ("wildcard", "1A/BC", "not_a_plate")]
    {
        let (status, told) = town.post(&supervisor, "/api/v1/reads/search", search(kind, plate)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{kind} {plate}");
        assert!(told.to_string().contains(problem), "{told}");
    }
    let log = format!("{:?}", town.log.entries()).to_lowercase();
    for plate in ["abc23", "1-abc", "xbc234", "1?bc"] {
        assert!(!log.contains(plate), "{plate} is in the log");
    }
}
