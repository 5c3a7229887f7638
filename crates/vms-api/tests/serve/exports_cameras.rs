//! One evidence export of several cameras of one owner: decided camera by camera, made as one package.

use http::StatusCode;
use serde_json::{Value, json};
use vms_core::ExportId;

use crate::town::{Person, Town, draft, stream_of};

fn wish(of: Value) -> Value {
    let mut wish = json!({
        "from": "2026-11-22T10:00:00Z", "to": "2026-11-22T10:20:00Z", "language": "nl",
        "purpose": { "code": "GERECHTELIJK_ONDERZOEK", "justification": "aanrijding met vluchtmisdrijf", "case_ref": "BR.11/26" },
    });
    wish.as_object_mut().unwrap().extend(of.as_object().unwrap().clone());
    wish
}

fn ids(cameras: &[&Value]) -> Value {
    json!({ "camera_ids": cameras.iter().map(|camera| camera["id"].clone()).collect::<Vec<_>>() })
}

async fn ordered(town: &Town, cameras: &[&Value]) -> (Value, ExportId, Person, Person) {
    let (supervisor, chief) = (town.person("supervisor").await, town.person("chief").await);
    let (status, export) = town.post(&supervisor, "/api/v1/exports", wish(ids(cameras))).await;
    assert_eq!(status, StatusCode::CREATED, "{export}");
    let id = export["id"].as_str().unwrap().parse().unwrap();
    let path = format!("/api/v1/exports/{id}/approval");
    let (status, approved) = town.post(&chief, &path, json!({})).await;
    assert_eq!(status, StatusCode::OK, "{approved}");
    (export, id, supervisor, chief)
}

#[tokio::test]
async fn two_cameras_are_one_order_with_a_decision_for_each() {
    let town = Town::settled().await;
    let (one, two) = (town.camera("C1").await, town.camera("C2").await);
    let (export, id, supervisor, chief) = ordered(&town, &[&two, &one]).await;
    let leaves = town.leaves();
    assert_eq!(
        leaves[leaves.len() - 6..],
        [
            "change export",
            "change export",
            "change export_ordered",
            "change export.approve",
            "change export.approve",
            "change export_approved"
        ]
    );
    let codes: Vec<_> = export["cameras"].as_array().unwrap().iter().map(|camera| camera["code"].clone()).collect();
    assert_eq!(
        (codes, &export["camera"]["code"]),
        (vec![json!("C2"), json!("C1")], &json!("C2")),
        "in the order given"
    );
    let before = town.leaves().len();
    town.cases.exports_round().await.unwrap();
    assert_eq!(town.leaves()[before..], ["open export", "open export"]);
    let order = town.desk.orders(id).remove(0);
    let streams: Vec<String> = order.cameras.iter().map(|camera| camera.stream.to_string()).collect();
    assert_eq!(streams, [stream_of(&two, "main"), stream_of(&one, "main")].map(|stream| stream.to_string()));
    let verifier = policy::CapabilityVerifier::from_public(&town.cases.gate().public_key()).unwrap();
    let opened: Vec<String> = town
        .desk
        .capabilities(id)
        .iter()
        .map(|text| {
            let now = vms_app::ports::Clock::now(town.clock.as_ref());
            verifier.open(text, policy::Audience::Recorder, now).unwrap().stream.to_string()
        })
        .collect();
    assert_eq!(opened, streams, "each opens its own camera and no other");
    // Decided again for both while it runs.
    let first = town.desk.capabilities(id);
    town.clock.pass_s(6);
    town.cases.exports_round().await.unwrap();
    assert!(town.desk.capabilities(id).iter().zip(&first).all(|(new, old)| new != old));

    town.desk.finish(id);
    let before = town.leaves().len();
    town.cases.exports_round().await.unwrap();
    assert_eq!(town.leaves()[before..], ["close export", "close export", "system export_done"]);
    let closing: Vec<Value> =
        town.log.entries().iter().rev().skip(1).take(2).map(|leaf| leaf.details["bytes"].clone()).collect();
    assert_eq!(closing, [json!(0), json!(2_500_000)], "the bytes of the package stand once");
    for person in [&supervisor, &chief] {
        let before = town.leaves().len();
        let url = format!("/api/v1/exports/{id}/files/custody.pdf");
        let request = Town::request(person, http::Method::GET, &url, None);
        assert_eq!(town.send(request).await.status(), StatusCode::OK);
        assert_eq!(town.leaves().len(), before + 2, "a leaf for each camera");
    }
}

#[tokio::test]
async fn when_one_of_the_cameras_may_not_be_exported_any_more_nothing_is() {
    let town = Town::settled().await;
    let (one, two) = (town.camera("C1").await, town.camera("C2").await);
    let (_, id, supervisor, _) = ordered(&town, &[&one, &two]).await;
    town.cases.exports_round().await.unwrap();
    assert_eq!(town.desk.orders(id).len(), 1);
    // The second camera loses its legal basis.
    let store = town.cases.stores();
    let camera = store.camera_fetch(two["id"].as_str().unwrap().parse().unwrap()).await.unwrap().unwrap();
    store.camera_update(&vms_app::model::Camera { legal_basis: None, ..camera }).await.unwrap();
    town.clock.pass_s(6);
    town.cases.exports_round().await.unwrap();
    let (_, seen) = town.get(&supervisor, &format!("/api/v1/exports/{id}")).await;
    assert_eq!((&seen["state"], &seen["failure"]), (&json!("failed"), &json!("revoked")), "{seen}");
    assert!(town.desk.orders(id).is_empty(), "what was written is gone");
    let closed = town.leaves().iter().filter(|leaf| *leaf == "close export").count();
    assert_eq!(closed, 2, "both uses are closed");
}

#[tokio::test]
async fn wishes_for_several_cameras_are_checked() {
    let town = Town::settled().await;
    let (one, two) = (town.camera("C1").await, town.camera("C2").await);
    let (supervisor, technician, foreign) =
        (town.person("supervisor").await, town.person("technician").await, town.person("foreignchief").await);
    let stream = json!({ "stream_id": stream_of(&one, "main").to_string() });
    let both = json!({ "stream_id": stream["stream_id"], "camera_ids": [one["id"]] });
    let many: Vec<&Value> = [&one; 9].to_vec();
    for (of, field, problem) in [
        (json!({}), "camera_ids", "required"),
        (json!({ "camera_ids": [] }), "camera_ids", "required"),
        (json!({ "camera_ids": ["nonsense"] }), "camera_ids", "malformed"),
        (ids(&many), "camera_ids", "too_many"),
        (ids(&[&one, &two, &one]), "camera_ids", "named_twice"),
        (both, "stream_id", "one_of_both"),
    ] {
        let (status, answer) = town.post(&supervisor, "/api/v1/exports", wish(of)).await;
        let seen = (status, answer["errors"][0]["field"].as_str(), answer["errors"][0]["problem"].as_str());
        assert_eq!(seen.0, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
        assert_eq!(
            (seen.1, seen.2.is_some_and(|word| word == problem || problem == "malformed")),
            (Some(field), true),
            "{answer}"
        );
    }
    // Another zone's camera, which the supervisor may not export: neither it nor what stands beside it.
    let owner = town.org("5339").await.to_string();
    let (_, other) = town.post(&technician, "/api/v1/cameras", draft("X1", &owner)).await;
    let approve = format!("/api/v1/cameras/{}/approve", other["id"].as_str().unwrap());
    assert_eq!(town.post(&foreign, &approve, json!({})).await.0, StatusCode::OK);
    let (status, answer) = town.post(&supervisor, "/api/v1/exports", wish(ids(&[&one, &other]))).await;
    assert!(matches!(status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND), "{answer}");
    assert_eq!(town.get(&supervisor, "/api/v1/exports").await.1["items"], json!([]));
    // The old way still orders one.
    let (status, export) = town.post(&supervisor, "/api/v1/exports", wish(stream)).await;
    assert_eq!((status, export["cameras"].as_array().unwrap().len()), (StatusCode::CREATED, 1), "{export}");
}
