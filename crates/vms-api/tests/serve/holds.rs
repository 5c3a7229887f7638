//! Holds: footage kept past its term by one person, let go by two; no right to see it comes with one.

use http::StatusCode;
use serde_json::{Value, json};
use vms_core::Profile;

use crate::town::Town;

fn wish(camera: &Value) -> Value {
    json!({
        "camera_id": camera["id"], "from": "2026-11-22T10:00:00Z", "to": "2026-11-22T10:20:00Z", "until": "2027-06-01T00:00:00Z",
        "purpose": { "code": "GERECHTELIJK_ONDERZOEK", "justification": "aanrijding met vluchtmisdrijf", "case_ref": "BR.11/26" },
    })
}

#[tokio::test]
async fn one_sets_it_and_two_let_it_go() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let supervisor = town.person("supervisor").await;
    let (before, version) = (town.leaves().len(), town.cases.recorder_plan().await.unwrap().version);
    let (status, hold) = town.post(&supervisor, "/api/v1/holds", wish(&camera)).await;
    assert_eq!((status, &hold["state"]), (StatusCode::CREATED, &json!("held")), "{hold}");
    assert_eq!(town.leaves()[before..], ["change hold.set", "change hold_set"]);
    assert!(town.cases.recorder_plan().await.unwrap().version > version, "the recorder hears of it");
    // Three months of 30 days from 22 November come before the wished term.
    assert_eq!((&hold["review_by"], &hold["applied"]), (&json!("2027-02-20T12:00:00.000000Z"), &Value::Null));
    let told = town.cases.recorder_holds().await.unwrap();
    assert_eq!(told[0].id.to_string(), hold["id"].as_str().unwrap());

    town.cases.hold_carried_out(told[0].id, 20, 0).await.unwrap();
    let (_, list) = town.get(&supervisor, "/api/v1/holds").await;
    assert_eq!(list["items"][0]["applied"]["segments"], 20);
    let may = |hold: &Value| {
        ["may_ask_release", "may_release", "may_keep_on", "may_review"].map(|word| hold[word].as_bool().unwrap())
    };
    assert_eq!(may(&list["items"][0]), [true, false, false, false]);

    let path = |step: &str| format!("/api/v1/holds/{}/{step}", hold["id"].as_str().unwrap());
    let why = json!({ "reason": "de zaak is gesloten, brief van het parket" });
    let (status, asked) = town.post(&supervisor, &path("ask-release"), why.clone()).await;
    assert_eq!((status, &asked["state"]), (StatusCode::OK, &json!("release_waits")));
    assert_eq!(town.post(&supervisor, &path("release"), json!({})).await.0, StatusCode::FORBIDDEN);
    assert_eq!(town.post(&supervisor, &path("ask-release"), why.clone()).await.0, StatusCode::CONFLICT);
    // Taken back, asked again.
    assert_eq!(town.post(&supervisor, &path("keep-on"), json!({})).await.1["state"], "held");
    town.post(&supervisor, &path("ask-release"), why).await;

    let chief = town.person("chief").await;
    assert_eq!(may(&town.get(&chief, path("").trim_end_matches('/')).await.1), [false, true, true, true]);
    let before = town.leaves().len();
    let (status, released) = town.post(&chief, &path("release"), json!({})).await;
    assert_eq!((status, &released["state"]), (StatusCode::OK, &json!("released")));
    assert_eq!(town.leaves()[before..], ["change hold.release", "change hold_released"]);
    assert_eq!(town.get(&chief, "/api/v1/holds").await.1["items"], json!([]));
    assert_eq!(town.get(&chief, "/api/v1/holds?state=all").await.1["items"][0]["released"]["name"], "The chief");
    assert_eq!(
        town.post(
            &chief,
            &path("review"),
            json!({ "reason": "te laat om na te kijken", "until": "2027-01-01T00:00:00Z" })
        )
        .await
        .0,
        StatusCode::CONFLICT
    );
    let is_release = |entry: &vms_app::gate::LogEntry| entry.details["operation"] == "hold_released";
    let leaf = town.log.entries().into_iter().find(is_release).unwrap().details;
    assert_eq!(leaf["details"]["case_ref"], "BR.11/26", "the log alone tells it: {leaf}");
}

#[tokio::test]
async fn nobody_lets_go_alone_what_he_wants_gone() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let chief = town.person("chief").await;
    let (_, hold) = town.post(&chief, "/api/v1/holds", wish(&camera)).await;
    let path = |step: &str| format!("/api/v1/holds/{}/{step}", hold["id"].as_str().unwrap());
    let review = json!({ "reason": "nog altijd in onderzoek bij het parket", "until": "2027-09-01T00:00:00Z" });
    let (status, problem) = town.post(&chief, &path("review"), review.clone()).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("same_person")));
    town.post(&chief, &path("ask-release"), json!({ "reason": "niet meer nodig volgens mij" })).await;
    let (status, problem) = town.post(&chief, &path("release"), json!({})).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("same_person")));
    assert_eq!(town.leaves().last().unwrap(), "refuse hold_step_refused");

    town.account("dpo", "5340", Profile::P20).await;
    let dpo = town.person("dpo").await;
    town.clock.pass_s(86_400);
    let dpo = {
        drop(dpo);
        town.person("dpo").await
    };
    let (status, reviewed) = town.post(&dpo, &path("review"), review).await;
    assert_eq!((status, &reviewed["until"]), (StatusCode::OK, &json!("2027-09-01T00:00:00.000000Z")), "{reviewed}");
    assert_eq!(reviewed["review_by"], "2027-02-21T12:00:00.000000Z", "the term of a review starts with it");
    assert_eq!(reviewed["state"], "release_waits", "a review is no answer to a wish for release");
    assert_eq!(town.post(&dpo, &path("release"), json!({})).await.1["state"], "released");
}

#[tokio::test]
async fn wishes_are_checked() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let (supervisor, operator) = (town.person("supervisor").await, town.person("operator").await);
    let with = |field: &str, value: Value| {
        let mut wish = wish(&camera);
        *wish.pointer_mut(field).unwrap() = value;
        wish
    };
    for (wish, field, problem) in [
        (with("/to", json!("2026-11-22T09:00:00Z")), "to", "not_after_from"),
        (with("/from", json!("2026-10-01T10:00:00Z")), "to", "span_too_long"),
        (with("/to", json!("2026-11-23T12:00:01Z")), "to", "too_far_ahead"),
        (with("/until", json!("2026-11-22T12:00:00Z")), "until", "not_in_the_future"),
        (with("/purpose/code", Value::Null), "purpose.code", "required"),
        (with("/purpose/justification", json!("kort")), "reason", "too_short"),
    ] {
        let (status, answer) = town.post(&supervisor, "/api/v1/holds", wish).await;
        let seen = (status, answer["errors"][0]["field"].as_str(), answer["errors"][0]["problem"].as_str());
        assert_eq!(seen, (StatusCode::UNPROCESSABLE_ENTITY, Some(field), Some(problem)), "{answer}");
    }
    let without_case = with("/purpose/case_ref", Value::Null);
    let (status, problem) = town.post(&supervisor, "/api/v1/holds", without_case.clone()).await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("case_required")), "{problem}");
    assert_eq!(
        town.post(&operator, "/api/v1/holds", without_case).await.0,
        StatusCode::CREATED,
        "H3: P01 without a case"
    );

    // Of another zone, or without the right: nothing, not even that there is one.
    let foreign = town.person("foreignchief").await;
    assert_eq!(town.get(&foreign, "/api/v1/holds").await.1["items"], json!([]));
    assert_ne!(town.post(&foreign, "/api/v1/holds", wish(&camera)).await.0, StatusCode::CREATED);
    let technician = town.person("technician").await;
    assert_eq!(town.get(&technician, "/api/v1/holds").await.0, StatusCode::FORBIDDEN);
    let overseer = town.person("overseer").await;
    assert_eq!(town.get(&overseer, "/api/v1/holds").await.1["items"].as_array().unwrap().len(), 1);
    assert_eq!(town.post(&overseer, "/api/v1/holds", wish(&camera)).await.0, StatusCode::FORBIDDEN);
}
