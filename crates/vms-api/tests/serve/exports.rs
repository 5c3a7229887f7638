//! Evidence exports: ordered by one person, approved by another, run only while both may, fetched by either and by nobody else.

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use vms_app::exports_model::{ExportDesk as _, ExportProgress, PackageState};
use vms_app::fakes::MediaCall;
use vms_app::model::SegmentCopy;
use vms_core::{ExportId, Profile, SegmentId};

use crate::town::{Person, Town, answer, bytes_of, instant, stream_of};

fn wish(camera: &Value) -> Value {
    json!({
        "stream_id": stream_of(camera, "main").to_string(), "from": "2026-11-22T10:00:00Z", "to": "2026-11-22T10:20:00Z",
        "language": "fr",
        "purpose": { "code": "GERECHTELIJK_ONDERZOEK", "justification": "aanrijding met vluchtmisdrijf", "case_ref": "BR.11/26" },
    })
}

fn id_of(export: &Value) -> ExportId {
    export["id"].as_str().unwrap().parse().unwrap()
}

fn path(export: &Value, step: &str) -> String {
    format!("/api/v1/exports/{}{step}", export["id"].as_str().unwrap())
}

async fn delete(town: &Town, person: &Person, path: &str) -> (StatusCode, Value) {
    answer(town.send(Town::request(person, Method::DELETE, path, None)).await).await
}

async fn part(
    town: &Town,
    person: &Person,
    url: &str,
    headers: &[(header::HeaderName, &str)],
) -> axum::response::Response {
    let mut request = Request::get(url).header(header::COOKIE, &person.cookie);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    town.send(request.body(Body::empty()).unwrap()).await
}

/// Ordered by the supervisor, approved by the chief, begun.
pub(crate) async fn running(town: &Town) -> (Value, Person, Person) {
    let camera = town.camera("C1").await;
    let (supervisor, chief) = (town.person("supervisor").await, town.person("chief").await);
    let (status, export) = town.post(&supervisor, "/api/v1/exports", wish(&camera)).await;
    assert_eq!((status, &export["state"]), (StatusCode::CREATED, &json!("waits")), "{export}");
    let (status, approved) = town.post(&chief, &path(&export, "/approval"), json!({})).await;
    assert_eq!((status, &approved["state"]), (StatusCode::OK, &json!("queued")), "{approved}");
    town.cases.exports_round().await.unwrap();
    (export, supervisor, chief)
}

#[tokio::test]
async fn one_orders_another_approves_and_both_may_fetch() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let supervisor = town.person("supervisor").await;
    let before = town.leaves().len();
    let (status, export) = town.post(&supervisor, "/api/v1/exports", wish(&camera)).await;
    assert_eq!((status, &export["state"]), (StatusCode::CREATED, &json!("waits")), "{export}");
    assert_eq!(town.leaves()[before..], ["change export", "change export_ordered"]);
    town.cases.exports_round().await.unwrap();
    assert!(town.desk.orders(id_of(&export)).is_empty(), "nothing is read before a second person agreed");
    assert_eq!(export["may_settle"], false, "never by whoever ordered it");
    assert_eq!(town.post(&supervisor, &path(&export, "/approval"), json!({})).await.0, StatusCode::FORBIDDEN);

    let chief = town.person("chief").await;
    assert_eq!(town.get(&chief, "/api/v1/exports").await.1["items"][0]["may_settle"], true);
    let before = town.leaves().len();
    town.post(&chief, &path(&export, "/approval"), json!({})).await;
    assert_eq!(town.leaves()[before..], ["change export.approve", "change export_approved"]);
    town.cases.exports_round().await.unwrap();
    assert_eq!(town.leaves().last().unwrap(), "open export", "the leaf is there before the first byte");
    let order = town.desk.orders(id_of(&export)).remove(0);
    assert_eq!((order.owner.as_str(), order.approved_org.as_str()), ("5340", "5340"));
    let opening = town.log.entries().pop().unwrap();
    assert_eq!((opening.decision, &opening.details["case_ref"]), (Some(order.decision), &json!("BR.11/26")));
    assert!(opening.details["second_person"].as_str().unwrap().starts_with("usr_"));

    let progress = ExportProgress { per_mille: 425, bytes: 1_000, frames: 30 };
    town.desk.say(id_of(&export), PackageState::Working(progress, Some("recorder_unavailable")));
    town.cases.exports_round().await.unwrap();
    let (_, seen) = town.get(&supervisor, &path(&export, "")).await;
    assert_eq!((&seen["state"], &seen["progress"]["percent"]), (&json!("running"), &json!(42.5)));
    assert_eq!(seen["failure"], "recorder_unavailable", "it says what it waits for");
    assert_eq!(town.get(&supervisor, &path(&export, "/files")).await.0, StatusCode::CONFLICT);
    town.desk.finish(id_of(&export));
    town.cases.exports_round().await.unwrap();
    let (_, done) = town.get(&supervisor, &path(&export, "")).await;
    assert_eq!((&done["state"], &done["progress"]["percent"]), (&json!("done"), &json!(100.0)), "{done}");
    assert_eq!(done["expires_at"], "2026-11-25T12:00:00.000000Z", "the site keeps it for three days");
    assert_eq!(done["manifest_sha256"], "07".repeat(32));
    let leaves = town.leaves();
    assert_eq!(leaves[leaves.len() - 2..], ["close export", "system export_done"]);

    let (_, files) = town.get(&supervisor, &path(&export, "/files")).await;
    let url = files[1]["url"].as_str().unwrap();
    assert_eq!((&files[1]["name"], &files[1]["bytes"]), (&json!("footage-001.mp4"), &json!(2_500_000)));
    let before = town.leaves().len();
    let whole = part(&town, &supervisor, url, &[]).await;
    assert_eq!(
        (whole.status(), whole.headers()[header::CONTENT_TYPE].to_str().unwrap()),
        (StatusCode::OK, "video/mp4")
    );
    let etag = whole.headers()[header::ETAG].to_str().unwrap().to_owned();
    assert_eq!(bytes_of(whole).await, town.desk.content);
    let some = part(&town, &supervisor, url, &[(header::RANGE, "bytes=2000000-"), (header::IF_RANGE, &etag)]).await;
    assert_eq!((some.status(), bytes_of(some).await.len()), (StatusCode::PARTIAL_CONTENT, 500_000));
    let same = part(&town, &supervisor, url, &[(header::IF_NONE_MATCH, &etag)]).await;
    assert_eq!(same.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(town.leaves()[before..], ["open export"], "one leaf for one person's fetching");
    assert_eq!(part(&town, &chief, url, &[]).await.status(), StatusCode::OK);
    assert_eq!(town.leaves().last().unwrap(), "open export.approve");
    town.clock.pass_s(61);
    town.cases.housekeeping().await.unwrap();
    let closing = town.log.entries().pop().unwrap();
    assert_eq!((closing.kind.as_str(), &closing.details["ended"]), ("close", &json!("idle")));

    // Somebody else with the right to export gets nothing of it, and that is in the log.
    town.account("other", "5340", Profile::P02).await;
    let other = town.person("other").await;
    assert_eq!(part(&town, &other, url, &[]).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(town.leaves().last().unwrap(), "refuse export_fetch_refused");

    assert_eq!(delete(&town, &supervisor, &path(&export, "")).await.1["state"], "removed");
    assert_eq!(part(&town, &supervisor, url, &[]).await.status(), StatusCode::CONFLICT);
    let (_, left) = town.get(&supervisor, &path(&export, "")).await;
    assert_eq!(left["manifest_sha256"], "07".repeat(32), "the digest stays");
}

#[tokio::test]
async fn a_right_that_goes_stops_it_within_seconds() {
    for (who, by) in [("supervisor", "the one who ordered"), ("chief", "the one who approved")] {
        let town = Town::settled().await;
        let (export, supervisor, _) = running(&town).await;
        let decision = town.desk.orders(id_of(&export))[0].decision;
        town.cases.exports_round().await.unwrap();
        assert!(!town.media.calls().contains(&MediaCall::Revoke(decision)));
        let first = town.desk.capability(id_of(&export)).unwrap();
        town.clock.pass_s(6);
        town.cases.exports_round().await.unwrap();
        assert_ne!(town.desk.capability(id_of(&export)).unwrap(), first, "a fresh capability every 5 s");

        let gone = town.person(who).await;
        let (_, session) = town.get(&gone, "/api/v1/session").await;
        let administrator = town.person("administrator").await;
        let account = format!("/api/v1/users/{}", session["user"]["id"].as_str().unwrap());
        let (status, _) = town.patch(&administrator, &account, "*", json!({ "disabled": true })).await;
        assert_eq!(status, StatusCode::OK);
        // Not even five seconds: the change itself is noticed.
        town.cases.exports_round().await.unwrap();
        assert!(town.media.calls().contains(&MediaCall::Revoke(decision)), "{by}");
        assert!(town.desk.orders(id_of(&export)).is_empty(), "what was written is gone");
        town.account("deputy", "5340", Profile::P03).await;
        let reader = if who == "chief" { supervisor } else { town.person("deputy").await };
        let (_, seen) = town.get(&reader, &path(&export, "")).await;
        assert_eq!((&seen["state"], &seen["failure"]), (&json!("failed"), &json!("revoked")), "{by}");
        let leaves = town.leaves();
        assert!(leaves.contains(&"close export".to_owned()) && leaves.contains(&"system export_failed".to_owned()));
    }
}

#[tokio::test]
async fn without_the_log_nothing_is_read() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let (supervisor, chief) = (town.person("supervisor").await, town.person("chief").await);
    let (_, export) = town.post(&supervisor, "/api/v1/exports", wish(&camera)).await;
    town.post(&chief, &path(&export, "/approval"), json!({})).await;
    town.log.set_broken(true);
    assert!(town.cases.exports_round().await.is_err());
    assert!(town.desk.orders(id_of(&export)).is_empty());
    let (status, problem) = town.post(&supervisor, "/api/v1/exports", wish(&camera)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("log_unavailable")));
    town.log.set_broken(false);
    town.cases.exports_round().await.unwrap();
    assert_eq!(town.desk.orders(id_of(&export)).len(), 1);
}

#[tokio::test]
async fn it_pauses_goes_on_ends_and_survives_a_kill() {
    let town = Town::settled().await;
    let (export, supervisor, chief) = running(&town).await;
    let id = id_of(&export);
    // The process died: the row says running, nobody works.
    town.desk.kill();
    let town = town.restarted();
    assert_eq!(town.cases.exports_take_up().await.unwrap(), 1);
    assert_eq!(town.leaves().last().unwrap(), "system export_interrupted");
    town.cases.exports_round().await.unwrap();
    assert_eq!(town.desk.orders(id).len(), 1, "the dead process still has the lease");
    town.clock.pass_s(15);
    town.cases.exports_round().await.unwrap();
    assert_eq!(town.desk.orders(id).len(), 2, "taken up again, under a leaf of its own");
    assert_eq!(town.leaves().last().unwrap(), "open export");

    let (status, paused) = town.post(&supervisor, &path(&export, "/pause"), json!({})).await;
    assert_eq!((status, &paused["state"]), (StatusCode::OK, &json!("paused")), "{paused}");
    assert_eq!(town.desk.look(id), PackageState::Idle);
    town.cases.exports_round().await.unwrap();
    assert_eq!(town.desk.orders(id).len(), 2, "a pause lasts");
    assert_eq!(town.post(&chief, &path(&export, "/resume"), json!({})).await.1["state"], "queued");
    town.cases.exports_round().await.unwrap();
    assert_eq!(town.desk.orders(id).len(), 3);
    // A full disk pauses it with its word; a person lets it go on.
    town.desk.say(id, PackageState::Stopped(ExportProgress::default(), "disk_full"));
    town.cases.exports_round().await.unwrap();
    let (_, stopped) = town.get(&supervisor, &path(&export, "")).await;
    assert_eq!((&stopped["state"], &stopped["failure"]), (&json!("paused"), &json!("disk_full")));
    town.post(&supervisor, &path(&export, "/resume"), json!({})).await;
    let (_, cancelled) = town.post(&supervisor, &path(&export, "/cancel"), json!({})).await;
    assert_eq!(cancelled["state"], "cancelled");
    assert!(town.desk.orders(id).is_empty(), "nothing is left");
    assert_eq!(town.post(&supervisor, &path(&export, "/resume"), json!({})).await.0, StatusCode::CONFLICT);
    assert_eq!(town.post(&supervisor, &path(&export, "/pause"), json!({})).await.0, StatusCode::CONFLICT);
}

#[tokio::test]
async fn at_most_two_are_made_at_once_and_packages_end_with_their_term() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let (supervisor, chief) = (town.person("supervisor").await, town.person("chief").await);
    let mut ids = Vec::new();
    for _ in 0..5 {
        let (status, export) = town.post(&supervisor, "/api/v1/exports", wish(&camera)).await;
        assert_eq!(status, StatusCode::CREATED, "{export}");
        ids.push(id_of(&export));
    }
    let (status, problem) = town.post(&supervisor, "/api/v1/exports", wish(&camera)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("queue_full")));
    for id in &ids[..3] {
        town.post(&chief, &format!("/api/v1/exports/{id}/approval"), json!({})).await;
    }
    town.cases.exports_round().await.unwrap();
    let begun = |town: &Town| ids.iter().map(|id| town.desk.orders(*id).len()).collect::<Vec<_>>();
    assert_eq!(begun(&town), [1, 1, 0, 0, 0], "in the order of their making");
    town.desk.finish(ids[0]);
    town.cases.exports_round().await.unwrap();
    assert_eq!(begun(&town), [1, 1, 1, 0, 0]);
    town.desk.finish(ids[1]);
    town.desk.say(ids[2], PackageState::Failed("nothing_recorded"));
    town.cases.exports_round().await.unwrap();
    let (_, failed) = town.get(&supervisor, &format!("/api/v1/exports/{}", ids[2])).await;
    assert_eq!((&failed["state"], &failed["failure"]), (&json!("failed"), &json!("nothing_recorded")));
    let why = json!({ "reason": "geen verband met het dossier" });
    let (_, refused) = town.post(&chief, &format!("/api/v1/exports/{}/refusal", ids[3]), why).await;
    assert_eq!((&refused["state"], &refused["answer"]), (&json!("refused"), &json!("geen verband met het dossier")));
    let (_, withdrawn) = town.post(&supervisor, &format!("/api/v1/exports/{}/cancel", ids[4]), json!({})).await;
    assert_eq!(withdrawn["state"], "withdrawn");

    town.clock.pass_s(3 * 86_400);
    town.cases.exports_round().await.unwrap();
    let supervisor = town.person("supervisor").await;
    let (_, gone) = town.get(&supervisor, &format!("/api/v1/exports/{}", ids[0])).await;
    assert_eq!(gone["state"], "removed", "{gone}");
    assert!(town.desk.orders(ids[0]).is_empty());
    assert!(town.leaves().contains(&"system export_expired".to_owned()));
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
        (with("/from", json!("2026-11-21T22:00:00Z")), "to", "span_too_long"),
        (with("/to", json!("2026-11-22T12:00:01Z")), "to", "not_yet_recorded"),
        (with("/language", json!("de")), "language", "unknown"),
        (with("/purpose/justification", json!("aan\nrijding met vluchtmisdrijf")), "reason", "bad_character"),
    ] {
        let (status, answer) = town.post(&supervisor, "/api/v1/exports", wish).await;
        let seen = (status, answer["errors"][0]["field"].as_str(), answer["errors"][0]["problem"].as_str());
        assert_eq!(seen, (StatusCode::UNPROCESSABLE_ENTITY, Some(field), Some(problem)), "{answer}");
    }
    for (wish, code) in [
        (with("/purpose/case_ref", Value::Null), "case_required"),
        (with("/purpose/code", Value::Null), "purpose_required"),
        (with("/purpose/justification", json!("kort")), "justification_required"),
    ] {
        let (status, answer) = town.post(&supervisor, "/api/v1/exports", wish).await;
        assert_eq!((status, &answer["code"]), (StatusCode::FORBIDDEN, &json!(code)), "{answer}");
    }
    assert_eq!(
        town.post(&operator, "/api/v1/exports", wish(&camera)).await.0,
        StatusCode::FORBIDDEN,
        "H3: P01 does not"
    );

    // No room: with figures, going by the copy of the recorder's index.
    let segment = SegmentCopy {
        segment: SegmentId::from_bytes([1; 16]),
        stream: stream_of(&camera, "main"),
        from: instant("2026-11-22T10:10:00Z"),
        to: instant("2026-11-22T10:30:00Z"),
        payload_bytes: 200 << 20,
        units: 1,
        is_closed: true,
        erased_at: None,
        retention_class: "RC-VID-OPEN".to_owned(),
        clock_stepped: false,
        camera_clock_off: false,
    };
    town.cases.stores().catalogue_apply("r0", &[segment], &[], 1).await.unwrap();
    town.desk.room(50 << 20);
    let (status, problem) = town.post(&supervisor, "/api/v1/exports", wish(&camera)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("no_room")));
    assert!(problem["detail"].as_str().unwrap().contains("118 MiB are needed, 50 MiB are free"), "{problem}");
    town.desk.room(1 << 40);

    // Another zone's chief approves nothing here; a chief who could order could not approve the own order.
    let (_, export) = town.post(&supervisor, "/api/v1/exports", wish(&camera)).await;
    let foreign = town.person("foreignchief").await;
    assert_eq!(town.get(&foreign, "/api/v1/exports").await.1["items"], json!([]));
    assert_eq!(town.post(&foreign, &path(&export, "/approval"), json!({})).await.0, StatusCode::FORBIDDEN);
    let technician = town.person("technician").await;
    assert_eq!(town.get(&technician, "/api/v1/exports").await.0, StatusCode::FORBIDDEN);
    let overseer = town.person("overseer").await;
    assert_eq!(town.get(&overseer, "/api/v1/exports").await.1["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn while_the_disk_has_no_room_exports_wait_say_why_and_go_on_by_themselves() {
    let town = Town::settled().await;
    let (export, supervisor, _chief) = running(&town).await;
    let id = id_of(&export);
    let spares = |spares| town.cases.storage_report(vms_app::health::StorageHealth { spares, ..Default::default() });
    spares(true);
    for _ in 0..2 {
        town.cases.exports_round().await.unwrap();
        let (_, waits) = town.get(&supervisor, &path(&export, "")).await;
        assert_eq!((&waits["state"], &waits["failure"]), (&json!("paused"), &json!("room_is_short")), "{waits}");
        assert_eq!(town.desk.orders(id).len(), 1);
    }
    assert_eq!(town.leaves().last().unwrap(), "system export_paused", "said once");
    // A person who lets it go on meanwhile does not hurry it.
    town.post(&supervisor, &path(&export, "/resume"), json!({})).await;
    town.cases.exports_round().await.unwrap();
    assert_eq!(town.desk.orders(id).len(), 1);
    spares(false);
    for _ in 0..2 {
        town.cases.exports_round().await.unwrap();
    }
    let (_, runs) = town.get(&supervisor, &path(&export, "")).await;
    assert_eq!((&runs["state"], &runs["failure"]), (&json!("running"), &Value::Null), "{runs}");
    assert_eq!(town.desk.orders(id).len(), 2);
    // What a person paused stays paused, whatever the disk says.
    town.post(&supervisor, &path(&export, "/pause"), json!({})).await;
    for is_short in [true, false] {
        spares(is_short);
        town.cases.exports_round().await.unwrap();
    }
    assert_eq!(town.get(&supervisor, &path(&export, "")).await.1["state"], "paused");
}
