//! Footage past its first term: one person proposes it on a ground, another agrees; neither gets a right to see it.

use http::StatusCode;
use serde_json::{Value, json};
use vms_app::gated::GatedDecision;
use vms_app::model::Signature;
use vms_app::words::GatedState;
use vms_core::{DecisionId, Profile, Purpose, RetentionClass, TimeRange, UserId, WallTime};

use crate::town::{Person, Town, draft};

/// A decision that waits, laid into the store; its key.
pub(crate) async fn in_store(town: &Town, camera: &Value) -> String {
    let at = WallTime::from_secs;
    let decision = GatedDecision {
        id: uuid::Uuid::from_u128(7),
        camera: camera["id"].as_str().unwrap().parse().unwrap(),
        class: RetentionClass::parse("RC-VID-POL").unwrap(),
        range: TimeRange::new(at(3_600), at(7_200)).unwrap(),
        purpose: Purpose::Investigation,
        ground: "onderzoek loopt nog".to_owned(),
        case_ref: "BR-1".to_owned(),
        decision: DecisionId::from_bytes([1; 16]),
        proposed: Signature { user: UserId::from_bytes([9; 16]), name: "Y".to_owned(), at: at(1) },
        state: GatedState::Proposed,
        settled: None,
        refusal: None,
        applied: None,
    };
    town.cases.stores().gated_insert(&decision).await.unwrap();
    decision.id.to_string()
}

fn wish(camera: &Value, from: &str, to: &str) -> Value {
    json!({
        "camera_id": camera["id"], "from": from, "to": to,
        "purpose": { "code": "GERECHTELIJK_ONDERZOEK", "justification": "reeks overvallen, onderzoek loopt", "case_ref": "BR.11/26" },
    })
}

async fn police_camera(town: &Town) -> Value {
    let (technician, chief) = (town.person("technician").await, town.person("chief").await);
    let mut wanted = draft("C9", &town.org("5340").await.to_string());
    wanted["retention_class"] = json!("RC-VID-POL");
    let (status, camera) = town.post(&technician, "/api/v1/cameras", wanted).await;
    assert_eq!(status, StatusCode::CREATED, "{camera}");
    let path = format!("/api/v1/cameras/{}/approve", camera["id"].as_str().unwrap());
    let (status, camera) = town.post(&chief, &path, json!({})).await;
    assert_eq!(status, StatusCode::OK, "{camera}");
    camera
}

async fn investigator(town: &Town) -> Person {
    town.account("investigator", "5340", Profile::P04).await;
    town.person("investigator").await
}

#[tokio::test]
async fn one_proposes_another_agrees_and_the_recorder_hears_of_it() {
    let town = Town::settled().await;
    let camera = police_camera(&town).await;
    let investigator = investigator(&town).await;
    let before = town.leaves().len();
    let (from, to) = ("2026-11-20T10:10:00Z", "2026-11-20T11:20:00Z");
    let (status, gated) = town.post(&investigator, "/api/v1/gated", wish(&camera, from, to)).await;
    assert_eq!((status, &gated["state"]), (StatusCode::CREATED, &json!("proposed")), "{gated}");
    assert_eq!(town.leaves()[before..], ["change gated.propose", "change gated_proposed"]);
    assert_eq!(
        (&gated["from"], &gated["to"]),
        (&json!("2026-11-20T10:00:00.000000Z"), &json!("2026-11-20T12:00:00.000000Z"))
    );
    assert!(town.cases.recorder_gated().await.unwrap().is_empty(), "nothing moves by the word of one");
    let path = |step: &str| format!("/api/v1/gated/{}/{step}", gated["id"].as_str().unwrap());
    assert_eq!(town.post(&investigator, &path("approve"), json!({})).await.0, StatusCode::FORBIDDEN);

    let chief = town.person("chief").await;
    assert_eq!(town.get(&chief, path("").trim_end_matches('/')).await.1["may_settle"], true);
    let before = town.leaves().len();
    let (status, approved) = town.post(&chief, &path("approve"), json!({})).await;
    assert_eq!((status, &approved["state"]), (StatusCode::OK, &json!("in_force")), "{approved}");
    assert_eq!(town.leaves()[before..], ["change gated.approve", "change gated_approved"]);
    let told = town.cases.recorder_gated().await.unwrap();
    assert_eq!((told.len(), told[0].to_hour - told[0].from_hour, told[0].keep_s), (1, 2, 365 * 86_400));
    for (step, body) in [("approve", json!({})), ("refuse", json!({ "reason": "toch niet nodig" }))] {
        assert_eq!(town.post(&chief, &path(step), body).await.0, StatusCode::CONFLICT, "settled once");
    }
    let id = gated["id"].as_str().unwrap().parse().unwrap();
    town.cases.gated_carried_out(id, 2, 0).await.unwrap();
    let (_, list) = town.get(&investigator, "/api/v1/gated").await;
    assert_eq!((&list["items"][0]["applied"]["hours"], &list["items"][0]["may_settle"]), (&json!(2), &json!(false)));
    let is_approval = |entry: &vms_app::gate::LogEntry| entry.details["operation"] == "gated_approved";
    let leaf = town.log.entries().into_iter().find(is_approval).unwrap().details;
    assert_eq!(leaf["details"]["ground"], "reeks overvallen, onderzoek loopt", "the log alone tells it: {leaf}");
}

#[tokio::test]
async fn nobody_agrees_with_himself_and_a_refusal_moves_nothing() {
    let town = Town::settled().await;
    let camera = police_camera(&town).await;
    let chief = town.person("chief").await;
    let span = ("2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z");
    let (status, gated) = town.post(&chief, "/api/v1/gated", wish(&camera, span.0, span.1)).await;
    assert_eq!(status, StatusCode::CREATED, "{gated}");
    let path = |step: &str| format!("/api/v1/gated/{}/{step}", gated["id"].as_str().unwrap());
    let (status, problem) = town.post(&chief, &path("approve"), json!({})).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("same_person")));
    assert_eq!(town.leaves().last().unwrap(), "refuse gated_settle_refused");
    town.account("dpo", "5340", Profile::P20).await;
    let dpo = town.person("dpo").await;
    let (status, refused) = town.post(&dpo, &path("refuse"), json!({ "reason": "geen voldoende grond" })).await;
    assert_eq!((status, &refused["refusal"]), (StatusCode::OK, &json!("geen voldoende grond")), "{refused}");
    assert!(town.cases.recorder_gated().await.unwrap().is_empty());
}

#[tokio::test]
async fn wishes_are_checked() {
    let town = Town::settled().await;
    let (police, open) = (police_camera(&town).await, town.camera("C1").await);
    let investigator = investigator(&town).await;
    for (camera, from, to, field, problem) in [
        (&open, "2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z", "camera_id", "no_second_term"),
        (&police, "2026-10-20T10:00:00Z", "2026-10-20T11:00:00Z", "from", "past_its_term"),
        (&police, "2026-11-20T10:00:00Z", "2026-12-22T11:00:00Z", "to", "span_too_long"),
        (&police, "2026-11-20T10:00:00Z", "2026-11-23T13:00:00Z", "to", "too_far_ahead"),
        (&police, "2026-11-20T10:00:00Z", "2026-11-20T09:00:00Z", "to", "not_after_from"),
    ] {
        let (status, answer) = town.post(&investigator, "/api/v1/gated", wish(camera, from, to)).await;
        let seen = (status, answer["errors"][0]["field"].as_str(), answer["errors"][0]["problem"].as_str());
        assert_eq!(seen, (StatusCode::UNPROCESSABLE_ENTITY, Some(field), Some(problem)), "{answer}");
    }
    let mut without = wish(&police, "2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z");
    without["purpose"]["case_ref"] = Value::Null;
    let (status, answer) = town.post(&investigator, "/api/v1/gated", without).await;
    assert_eq!(
        (status, answer["errors"][0]["field"].as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, Some("purpose.case_ref"))
    );
}

#[tokio::test]
async fn a_magistrates_decision_travels_in_the_capability_and_only_then() {
    let town = Town::settled().await;
    let camera = police_camera(&town).await;
    let investigator = investigator(&town).await;
    let stream = crate::town::stream_of(&camera, "main").to_string();
    let verifier = policy::CapabilityVerifier::from_public(&town.cases.gate().public_key()).unwrap();
    for (magistrate, from, to, is_gated) in [
        (None, "2026-11-20T10:00:00Z", "2026-11-20T10:10:00Z", Some(false)),
        (Some("PK-2026-0077"), "2026-11-20T10:00:00Z", "2026-11-20T10:10:00Z", Some(true)),
        (None, "2026-09-20T10:00:00Z", "2026-09-20T10:10:00Z", None),
        (Some("PK-2026-0077"), "2026-09-20T10:00:00Z", "2026-09-20T10:10:00Z", Some(true)),
    ] {
        let before = town.media.calls().len();
        let ask = json!({ "stream_id": stream, "from": from, "to": to, "purpose": {
            "code": "GERECHTELIJK_ONDERZOEK", "justification": "reeks overvallen", "case_ref": "BR.11/26", "magistrate_ref": magistrate } });
        let (status, answer) = town.post(&investigator, "/api/v1/playback-tickets", ask).await;
        let Some(is_gated) = is_gated else {
            assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
            assert_eq!(town.media.calls().len(), before, "the recorder was never asked");
            continue;
        };
        assert_eq!(status, StatusCode::OK, "{answer}");
        let capability = town.media.last_capability().unwrap();
        let opened = verifier
            .open(&capability, policy::Audience::Recorder, vms_app::ports::Clock::now(town.clock.as_ref()))
            .unwrap();
        assert_eq!(opened.gated, is_gated, "{magistrate:?} {from}");
    }
}
