//! Reads and findings over HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use bytes::Bytes;
use http::{StatusCode, header};
use serde_json::{Value, json};
use traffic_rules::lez::Lookup;
use vms_app::lez::ReadService;
use vms_app::lez::service::BatchSettings;
use vms_app::lez_ports::{Direction, NewRead, ReadFacts, RegistryAnswer, RegistryReply, VehicleQuery, VehicleRegistry};
use vms_core::{Confidence, Country, Plate, ReadId};

use crate::town::{Town, draft, instant, stream_of};

/// A registry that knows no vehicle: every read is a person's to decide.
#[derive(Debug)]
struct Empty;

#[async_trait::async_trait]
impl VehicleRegistry for Empty {
    async fn look_up(&self, _reason: &str, queries: &[VehicleQuery]) -> Result<RegistryAnswer, vms_app::BoxError> {
        let replies = vec![RegistryReply::Answer(Lookup::Unknown); queries.len()];
        Ok(RegistryAnswer { replies, asked: Vec::new() })
    }
}

/// The reading service, as `serve` drives it, over a registry that knows no vehicle.
pub(crate) fn service(town: &Town) -> ReadService {
    let wait = Duration::from_secs(5);
    let settings = BatchSettings { wait, retry: wait, retry_max: wait, later: wait };
    ReadService::new(Arc::clone(&town.cases), Some(Arc::new(Empty)), settings).unwrap()
}

/// A read of a camera's main stream, with two pictures.
pub(crate) fn new_read(id: [u8; 16], camera: &Value, plate: &str, at: &str) -> NewRead {
    NewRead {
        read: ReadId::from_bytes(id),
        camera: camera["id"].as_str().unwrap().parse().unwrap(),
        stream: stream_of(camera, "main"),
        at: instant(at),
        facts: ReadFacts {
            plate: Plate::parse(plate).unwrap(),
            countries: vec![(Country::BELGIUM, Confidence::from_millionths(993_000))],
            confidence: Confidence::from_millionths(987_654),
            corrected: false,
            direction: Direction::Leaving,
            looks: 9,
            model: "test-1".to_owned(),
            clock: None,
            from: vms_app::lez_ports::ReadFrom::Reader,
        },
        crop: Bytes::from_static(b"\xff\xd8crop"),
        overview: Bytes::from_static(b"\xff\xd8overview"),
    }
}

/// A LEZ camera of zone 5340 with one read, decided; the camera's id.
pub(crate) async fn read_town(town: &Town) -> String {
    let (technician, chief) = (town.person("technician").await, town.person("chief").await);
    let mut wish = draft("L1", &town.org("5340").await.to_string());
    wish["kind"] = json!("lez");
    let (status, camera) = town.post(&technician, "/api/v1/cameras", wish).await;
    assert_eq!(status, StatusCode::CREATED, "{camera}");
    let id = camera["id"].as_str().unwrap().to_owned();
    town.post(&chief, &format!("/api/v1/cameras/{id}/approve"), json!({})).await;
    let service = service(town);
    let read = new_read([6; 16], &camera, "1-AAA-111", "2026-11-22T12:00:00Z");
    assert_eq!(service.take(vec![read]).await.unwrap().copies, 2);
    town.clock.pass_s(6);
    assert_eq!(service.decide_round().await.unwrap().decided["undetermined"], 1);
    id
}

fn search(purpose: Value) -> Value {
    json!({ "plate": "1-aaa.111", "from": "2026-11-22T11:00:00Z", "to": "2026-11-22T13:00:00Z", "purpose": purpose })
}

#[tokio::test]
async fn reads_are_for_the_owners_police_and_pictures_for_who_listed_them() {
    let town = Town::settled().await;
    let camera = read_town(&town).await;
    let operator = town.person("operator").await;
    let (status, page) = town.get(&operator, &format!("/api/v1/reads?camera={camera}")).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let id = ReadId::from_bytes([6; 16]).to_string();
    let wanted = json!([{
        "id": id, "camera_id": camera, "at": "2026-11-22T12:00:00.000000Z", "plate": "1AAA111", "country": "B",
        "country_confidence": 0.993, "confidence": 0.987654, "corrected": false, "direction": "leaving", "looks": 9,
        "model": "test-1", "has_crop": true, "has_overview": true,
    }]);
    assert_eq!((&page["items"], &page["next_cursor"]), (&wanted, &Value::Null));
    let path = format!("/api/v1/reads/{id}/crop.jpg");
    let decided = format!("{path}?decision={}", page["decision_id"].as_str().unwrap());
    let response = town.send(Town::request(&operator, Method::GET, &decided, None)).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "image/jpeg");
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    assert_eq!(crate::town::bytes_of(response).await, Bytes::from_static(b"\xff\xd8crop"));
    assert_eq!(town.get(&operator, &path).await.0, StatusCode::NOT_FOUND, "no picture without its decision");
    let other = town.person("supervisor").await;
    assert_eq!(town.get(&other, &decided).await.0, StatusCode::NOT_FOUND, "a decision belongs to its session");
    for (cursor, from) in [("x", ""), ("", "&from=yesterday")] {
        let (status, _) = town.get(&operator, &format!("/api/v1/reads?cursor={cursor}{from}")).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{cursor} {from}");
    }

    let (status, problem) = town.post(&other, "/api/v1/reads/search", search(Value::Null)).await;
    assert_eq!((status, problem["code"].as_str()), (StatusCode::FORBIDDEN, Some("purpose_required")));
    let purpose =
        json!({ "code": "GERECHTELIJK_ONDERZOEK", "justification": "diefstal met vluchtwagen", "case_ref": "BR-7" });
    let (status, found) = town.post(&other, "/api/v1/reads/search", search(purpose.clone())).await;
    assert_eq!((status, &found["items"]), (StatusCode::OK, &wanted), "{found}");
    assert_eq!(town.post(&operator, "/api/v1/reads/search", search(purpose.clone())).await.0, StatusCode::FORBIDDEN);
    let mut foreign = search(purpose.clone());
    foreign["plate"] = json!("not a plate at all");
    assert_eq!(town.post(&other, "/api/v1/reads/search", foreign).await.0, StatusCode::UNPROCESSABLE_ENTITY);

    let agent = town.person("lezagent").await;
    assert_eq!(town.get(&agent, "/api/v1/reads").await.0, StatusCode::FORBIDDEN, "no list for the LEZ agent");
    assert_eq!(town.post(&agent, "/api/v1/reads/search", search(purpose)).await.0, StatusCode::FORBIDDEN);
    assert!(!format!("{:?}", town.log.entries()).contains("AAA111"), "no plate in the log");
}

#[tokio::test]
async fn a_picture_under_an_earlier_decision_is_decided_again() {
    let town = Town::settled().await;
    read_town(&town).await;
    let supervisor = town.person("supervisor").await;
    let now = vms_app::ports::Clock::now(town.clock.as_ref());
    // A search that goes back as far as the table lets this profile: a minute later it would go too far.
    let from = vms_app::health::rfc3339(now.minus(Duration::from_secs(30 * 86_400)));
    let purpose =
        json!({ "code": "GERECHTELIJK_ONDERZOEK", "justification": "diefstal met vluchtwagen", "case_ref": "BR-7" });
    let body = json!({ "plate": "1AAA111", "from": from, "to": "2026-11-22T13:00:00Z", "purpose": purpose });
    let (status, found) = town.post(&supervisor, "/api/v1/reads/search", body).await;
    assert_eq!(status, StatusCode::OK, "{found}");
    let (id, decision) = (found["items"][0]["id"].as_str().unwrap(), found["decision_id"].as_str().unwrap());
    let path = format!("/api/v1/reads/{id}/crop.jpg?decision={decision}");
    let picture = async || town.send(Town::request(&supervisor, Method::GET, &path, None)).await.status();
    assert_eq!(picture().await, StatusCode::OK);
    let before = town.leaves().len();
    town.clock.pass_s(60);
    assert_eq!(picture().await, StatusCode::FORBIDDEN);
    assert_eq!(town.leaves()[before..], ["refuse reads.search"], "a refusal like any other");
    assert_eq!(picture().await, StatusCode::NOT_FOUND, "that decision is worth no more");
}

#[tokio::test]
async fn findings_are_for_the_tax_administration() {
    let town = Town::settled().await;
    read_town(&town).await;
    let agent = town.person("lezagent").await;
    let (status, page) = town.get(&agent, "/api/v1/findings?state=open").await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let finding = &page["items"][0];
    assert_eq!((finding["verdict"].as_str(), finding["plate"].as_str()), (Some("undetermined"), Some("1AAA111")));
    assert_eq!(
        (finding["registry"]["state"].as_str(), finding["camera"]["code"].as_str()),
        (Some("unknown"), Some("L1"))
    );
    assert_eq!(finding["reasons"][0], json!({ "code": "vehicle_unknown", "params": {} }));
    let path = format!("/api/v1/findings/{}", finding["id"].as_str().unwrap());
    let response = town.send(Town::request(&agent, Method::GET, &path, None)).await;
    assert_eq!(response.headers()[header::ETAG], "\"1\"");
    let picture = format!("{path}/overview.jpg");
    let response = town.send(Town::request(&agent, Method::GET, &picture, None)).await;
    assert_eq!(crate::town::bytes_of(response).await, Bytes::from_static(b"\xff\xd8overview"));

    let decide = format!("{path}/decide");
    let reject = json!({ "verdict": "reject", "reason": "wrong plate", "seen_etag": "1" });
    for user in ["operator", "supervisor", "chief"] {
        let person = town.person(user).await;
        for path in ["/api/v1/findings", &path, &picture] {
            assert_eq!(town.get(&person, path).await.0, StatusCode::FORBIDDEN, "{user} {path}");
        }
        assert_eq!(town.post(&person, &decide, reject.clone()).await.0, StatusCode::FORBIDDEN, "{user}");
    }
    for (body, status, code) in [
        (json!({ "verdict": "fine", "seen_etag": "1" }), StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        (json!({ "verdict": "reject", "seen_etag": "1" }), StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        (json!({ "verdict": "approve", "seen_etag": "1" }), StatusCode::CONFLICT, "wrong_state"),
        (json!({ "verdict": "unclear", "seen_etag": "2" }), StatusCode::PRECONDITION_FAILED, "changed_meanwhile"),
    ] {
        let (got, problem) = town.post(&agent, &decide, body.clone()).await;
        assert_eq!((got, problem["code"].as_str()), (status, Some(code)), "{body}");
    }
    let (status, decided) = town.post(&agent, &decide, reject.clone()).await;
    assert_eq!((status, decided["state"].as_str()), (StatusCode::OK, Some("rejected")), "{decided}");
    assert_eq!((decided["etag"].as_str(), decided["decision_reason"].as_str()), (Some("2"), Some("wrong plate")));
    assert_eq!(
        town.post(&agent, &decide, json!({ "verdict": "unclear", "seen_etag": "2" })).await.0,
        StatusCode::CONFLICT
    );
    assert!(town.leaves().contains(&"change finding_decided".to_owned()));
}
