use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use vms_app::camera_import::{COLUMNS, ImportOptions};
use vms_app::health::StreamHealth;
use vms_app::words::{Cause, Phase};
use vms_core::Codec;

use crate::town::{Town, answer, draft, stream_of};

#[tokio::test]
async fn a_camera_lives_from_draft_to_retired() {
    let town = Town::settled().await;
    let (technician, chief) = (town.person("technician").await, town.person("chief").await);
    let owner = town.org("5340").await.to_string();
    let mut wish = draft("C1", &owner);
    wish.as_object_mut().unwrap().remove("legal_basis");
    wish.as_object_mut().unwrap().remove("pictogram_on");
    let (status, camera) = town.post(&technician, "/api/v1/cameras", wish.clone()).await;
    assert_eq!((status, &camera["state"]), (StatusCode::CREATED, &json!("draft")), "{camera}");
    assert_eq!(town.post(&technician, "/api/v1/cameras", wish).await.1["code"], "taken");
    let path = format!("/api/v1/cameras/{}", camera["id"].as_str().unwrap());
    let approve = format!("{path}/approve");

    let (status, problem) = town.post(&chief, &approve, json!({})).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("legal_basis_missing")));
    let plan = town.cases.recorder_plan().await.unwrap();
    let only_for_its_test_picture = plan.streams.iter().all(|stream| stream.on_demand && !stream.record);
    assert!(only_for_its_test_picture, "without a basis it can't record");
    let basis = json!({ "legal_basis": { "document": "Besluit 7", "date": "2026-01-01" }, "call_up": 12 });
    let request = Town::request(&technician, Method::PATCH, &path, Some(basis.clone()));
    assert_eq!(answer(town.send(request).await).await.0, StatusCode::PRECONDITION_REQUIRED);
    assert_eq!(town.patch(&technician, &path, "\"1\"", basis.clone()).await.0, StatusCode::OK);
    assert_eq!(town.patch(&technician, &path, "\"1\"", basis).await.0, StatusCode::PRECONDITION_FAILED);

    assert_eq!(town.post(&technician, &approve, json!({})).await.0, StatusCode::FORBIDDEN, "not the technician");
    assert_eq!(town.post(&chief, &approve, json!({})).await.1["state"], "approved");
    assert_eq!(town.post(&chief, &approve, json!({})).await.1["code"], "pictogram_missing");
    let pictogram = json!({ "pictogram_on": "2026-03-01" });
    let (status, problem) = town.patch(&technician, &path, "\"3\"", pictogram).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("propose_instead")), "a legal field now");
    let operator = town.person("operator").await;
    let (_, seen) = town.get(&operator, &path).await;
    assert_eq!((&seen["may"]["live"], &seen["may"]["edit"]), (&json!(false), &json!(false)));
    assert!(seen["streams"][0].get("url").is_none(), "addresses only for those who may change it");

    let live = town.camera("C2").await;
    let own = async || {
        let mut streams = town.cases.recorder_plan().await.unwrap().streams;
        streams.retain(|spec| live["id"] == json!(spec.camera.to_string()));
        streams
    };
    let streams = own().await;
    let row: Vec<_> =
        streams.iter().map(|spec| (spec.use_.as_str(), spec.record, spec.on_demand, spec.keep_s)).collect();
    assert_eq!(row, [("main", true, false, 2_592_000), ("sub", false, true, 2_592_000)]);
    assert_eq!(streams[0].sealed_credentials.as_deref(), Some(&b"cam:planted-secret"[..]));
    let path = format!("/api/v1/cameras/{}", live["id"].as_str().unwrap());
    assert_eq!(town.post(&chief, &format!("{path}/retire"), json!({})).await.1["state"], "retired");
    assert!(own().await.is_empty());
    assert_eq!(town.post(&chief, &format!("{path}/retire"), json!({})).await.1["code"], "wrong_state");
}

#[tokio::test]
async fn credentials_never_come_back_and_never_go_to_another_host() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let technician = town.person("technician").await;
    let path = format!("/api/v1/cameras/{}", camera["id"].as_str().unwrap());
    let (_, view) = town.get(&technician, &path).await;
    assert_eq!(view["streams"][0]["has_credentials"], true);
    assert_eq!(view["streams"][0]["url"], "rtsp://10.0.0.7/main");
    let (_, list) = town.get(&technician, "/api/v1/cameras").await;
    for text in [view.to_string(), list.to_string(), format!("{:?}", town.log.entries())] {
        assert!(!text.contains("planted-secret"));
    }
    let moved = |url: &str| json!({ "streams": [{ "use": "main", "url": url }] });
    let (status, view) = town.patch(&technician, &path, "\"2\"", moved("rtsp://10.0.0.7/other")).await;
    assert_eq!((status, &view["streams"][0]["has_credentials"]), (StatusCode::OK, &json!(true)), "{view}");
    let (_, view) = town.patch(&technician, &path, "\"3\"", moved("rtsp://10.9.9.9/main")).await;
    assert_eq!(view["streams"][0]["has_credentials"], false);
    let (status, problem) = town.patch(&technician, &path, "\"4\"", moved("rtsp://u:p@127.0.0.1/")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["errors"][0], json!({ "field": "streams.main.url", "problem": "credentials_in_url" }));
}

#[tokio::test]
async fn lists_hold_what_the_caller_sees_page_by_page() {
    let town = Town::settled().await;
    for code in ["A1", "A2", "B1"] {
        town.camera(code).await;
    }
    let codes = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|camera| camera["code"].as_str().unwrap().to_owned()).collect()
    };
    let operator = town.person("operator").await;
    let (_, first) = town.get(&operator, "/api/v1/cameras?limit=2").await;
    assert_eq!(codes(&first), ["A1", "A2"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let (_, second) = town.get(&operator, &format!("/api/v1/cameras?limit=2&cursor={cursor}")).await;
    assert_eq!((codes(&second), &second["next_cursor"]), (vec!["B1".to_owned()], &Value::Null));
    let (_, found) = town.get(&operator, "/api/v1/cameras?q=b").await;
    assert_eq!(codes(&found), ["B1"]);
    let (status, problem) = town.get(&operator, "/api/v1/cameras?cursor=%21").await;
    assert_eq!((status, &problem["errors"][0]["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("cursor")));
    let stranger = town.person("stranger").await;
    assert!(codes(&town.get(&stranger, "/api/v1/cameras").await.1).is_empty());
    let agent = town.person("lezagent").await;
    assert_eq!(town.get(&agent, "/api/v1/cameras").await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_test_picture_needs_its_own_right_a_reason_and_a_ticket_number() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let path = format!("/api/v1/cameras/{}/test-picture", camera["id"].as_str().unwrap());
    let technician = town.person("technician").await;
    let purpose = |case: Option<&str>| json!({ "purpose": { "code": "TECHNISCH", "justification": "lens replaced today", "case_ref": case } });
    assert_eq!(town.post(&technician, &path, json!({})).await.1["code"], "purpose_required");
    assert_eq!(town.post(&technician, &path, purpose(None)).await.1["code"], "case_required");
    let request = Town::request(&technician, Method::POST, &path, Some(purpose(Some("TT-4711"))));
    let response = town.send(request).await;
    assert_eq!(
        (response.status(), response.headers()[header::CONTENT_TYPE].to_str().unwrap()),
        (StatusCode::OK, "image/jpeg")
    );
    let chief = town.person("chief").await;
    assert_eq!(town.post(&chief, &path, purpose(Some("TT-4711"))).await.0, StatusCode::FORBIDDEN);
    let leaves = town.leaves();
    let tail: Vec<_> = leaves.iter().filter(|leaf| leaf.contains("test_picture")).cloned().collect();
    let wanted = ["refuse", "refuse", "open", "close", "refuse"].map(|kind| format!("{kind} camera.test_picture"));
    assert_eq!(tail, wanted);
    assert_eq!(
        town.post(&technician, &path.replace("test-picture", "probe"), json!({})).await.1["cause"],
        "unreachable"
    );
}

#[tokio::test]
async fn health_means_that_footage_reached_the_disk() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let health = async || {
        let request = http::Request::get("/health").body(axum::body::Body::empty()).unwrap();
        answer(town.send(request).await).await
    };
    assert_eq!(health().await.0, StatusCode::OK, "a camera that was just put in service may start");
    town.clock.pass_s(31);
    let (status, body) = health().await;
    assert_eq!(
        (status, &body["status"], &body["behind"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("behind"), &json!(1))
    );
    assert!(body["detail"].as_str().unwrap().contains("1 × recorder does not report it"), "{body}");
    let now = vms_app::ports::Clock::now(town.clock.as_ref());
    let report = StreamHealth {
        stream: stream_of(&camera, "main"),
        phase: Phase::Live,
        cause: None,
        last_frame_at: Some(now),
        durable_until: Some(now),
        bits_per_s: 4_000_000,
        packets_lost: 0,
        codec: Some(Codec::H264),
        width: Some(1_920),
        height: Some(1_080),
    };
    town.cases.health_report(vec![report.clone()]).await.unwrap();
    assert_eq!(health().await.0, StatusCode::OK);
    town.clock.pass_s(10);
    assert_eq!(health().await.0, StatusCode::OK);
    town.clock.pass_s(1);
    assert_eq!(health().await.0, StatusCode::SERVICE_UNAVAILABLE);

    let down = StreamHealth { phase: Phase::Waiting, cause: Some(Cause::Unreachable), ..report };
    town.cases.health_report(vec![down.clone()]).await.unwrap();
    town.cases.health_report(vec![down.clone()]).await.unwrap();
    assert!(health().await.1["detail"].as_str().unwrap().contains("1 × camera can't be reached"));
    let chief = town.person("chief").await;
    // While it tries again the reason of the failure stands; a picture ends it; frames that the disk refuses are bad news.
    let at = |phase, cause| StreamHealth { phase, cause, ..down.clone() };
    for (report, seen) in [
        (at(Phase::Connecting, None), ("connecting", json!("unreachable"))),
        (at(Phase::Waiting, Some(Cause::LoginRefused)), ("waiting", json!("login_refused"))),
        (at(Phase::Live, None), ("live", json!(null))),
        (at(Phase::Live, Some(Cause::Disk)), ("live", json!("disk"))),
        (at(Phase::Connecting, None), ("connecting", json!(null))),
        (down.clone(), ("waiting", json!("unreachable"))),
    ] {
        town.cases.health_report(vec![report]).await.unwrap();
        let (_, page) = town.get(&chief, "/api/v1/health/cameras").await;
        assert_eq!((&page["items"][0]["phase"], &page["items"][0]["cause"]), (&json!(seen.0), &seen.1));
    }
    let (_, page) = town.get(&chief, "/api/v1/health/cameras").await;
    assert_eq!((&page["items"][0]["phase"], &page["items"][0]["cause"]), (&json!("waiting"), &json!("unreachable")));
    let (_, view) = town.get(&chief, &format!("/api/v1/cameras/{}", camera["id"].as_str().unwrap())).await;
    assert_eq!((&view["streams"][0]["codec"], &view["health"]["phase"]), (&json!("h264"), &json!("waiting")));
    let kept = town.cases.stores().event_list_after(0, 10).await.unwrap();
    assert_eq!(kept.len(), 8, "eight changes, not nine reports");
}

#[tokio::test]
async fn an_import_reports_every_bad_row_and_writes_all_or_nothing() {
    let town = Town::settled().await;
    let actor = town.cases.actor_of_command_line("technician").await.unwrap();
    let row = |code: &str, url: &str, basis: &str| {
        format!("{code},Naam,Nom,5340,50.85,4.35,{url},,u,p,overview,RC-VID-OPEN,{basis},gunstig,2026-02-03\n")
    };
    let good = row("G1", "rtsp://10.0.0.1/m", "Besluit,2026-01-02");
    let head = format!("{}\n", COLUMNS.join(","));
    let file = format!(
        "{head}{good}{}{}{}{}",
        row("G2", "rtsp://10.0.0.2/m", "Besluit,2026-01-02"),
        row("G1", "rtsp://10.0.0.3/m", "Besluit,2026-01-02"),
        row("B1", "rtsp://127.0.0.1/m", "Besluit,2026-01-02"),
        row("B2", "rtsp://10.0.0.4/m", "Besluit,yesterday"),
    );
    let import = async |file: &str, dry_run, partial| {
        town.cases.camera_import(&actor, file.as_bytes(), ImportOptions { dry_run, partial }).await.unwrap()
    };
    let outcome = import(&file, false, false).await;
    let bad: Vec<_> = outcome.bad.iter().map(|row| (row.line, row.column.as_str(), row.problem.as_str())).collect();
    let wanted =
        [(4, "code", "taken"), (5, "streams.main.url", "network_not_allowed"), (6, "legal_basis.dated", "not_a_date")];
    assert_eq!((outcome.good, bad), (2, wanted.to_vec()));
    assert!(outcome.written.is_empty());
    assert!(import(&format!("{head}{good}"), true, false).await.written.is_empty(), "a dry run");
    assert_eq!(import(&file, false, true).await.written.len(), 2);
    assert_eq!(import(&file, false, false).await.bad.len(), 5, "now they are there");
    let numbered =
        |code: &str, number: &str| row(code, "rtsp://10.0.0.9/m", "Besluit,2026-01-02").trim_end().to_owned() + number;
    let file = format!(
        "{},call_up\n{}\n{}\n{}\n{}\n",
        COLUMNS.join(","),
        numbered("N1", ",4711"),
        numbered("N2", ","),
        numbered("N3", ",4711"),
        numbered("N4", ",0"),
    );
    let outcome = import(&file, true, false).await;
    let bad: Vec<_> = outcome.bad.iter().map(|row| (row.line, row.column.as_str(), row.problem.as_str())).collect();
    assert_eq!((outcome.good, bad), (2, vec![(4, "call_up", "taken"), (5, "call_up", "out_of_range")]));
    assert!(outcome.written.is_empty(), "a dry run");
    let written = import(&file, false, true).await.written;
    assert_eq!(written.iter().map(|camera| camera.call_up).collect::<Vec<_>>(), [Some(4_711), None]);
    let operator = town.cases.actor_of_command_line("operator").await.unwrap();
    let file = format!("{head}{}", row("G9", "rtsp://10.0.0.9/m", "Besluit,2026-01-02"));
    let refused = town.cases.camera_import(&operator, file.as_bytes(), ImportOptions::default()).await;
    assert!(matches!(refused, Err(vms_app::UseCaseError::Denied { .. })));
}
