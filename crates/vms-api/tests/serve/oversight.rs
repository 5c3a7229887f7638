//! The overseer's switch, complaints, data subjects' requests, the annual report.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use vms_app::fakes::MediaCall;
use vms_app::model::SegmentCopy;
use vms_app::ports::LogDetailStore;
use vms_core::{Profile, SegmentId, WallTime};

use crate::sharing::tickets;
use crate::town::{Person, Town, bytes_of, stream_of};

const FLOWS: &str = "/api/v1/flows";

async fn flow(town: &Town, person: &Person, id: &str) -> Value {
    let (_, page) = town.get(person, FLOWS).await;
    let found = page["items"].as_array().unwrap().iter().find(|flow| flow["id"] == id).cloned();
    found.unwrap_or_else(|| panic!("{id} stands in {page}"))
}

async fn switch(town: &Town, person: &Person, id: &str, step: &str) -> (u16, Value) {
    let body = json!({ "step": step, "reason": "klacht in onderzoek", "authority": "CC-2026-14" });
    let (status, answer) = town.post(person, &format!("{FLOWS}/{id}/switch"), body).await;
    (status.as_u16(), answer)
}

#[tokio::test]
async fn the_commission_stops_a_share_and_lets_it_go_on() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let [chief, overseer, stranger] =
        [town.person("chief").await, town.person("overseer").await, town.person("stranger").await];
    let share = json!({ "camera_ids": [camera["id"]], "partner_id": town.org("5339").await.to_string(),
        "rights": ["live"], "purpose": "INTERVENTIE", "from": "2026-11-22T11:00:00Z", "to": "2027-11-22T11:00:00Z" });
    assert_eq!(town.post(&chief, "/api/v1/grants", share).await.0, StatusCode::CREATED);
    let why = json!({ "code": "INTERVENTIE", "justification": "achtervolging over de zonegrens" });
    let id = "SHARE:5340:5339:INTERVENTIE";
    let seen = flow(&town, &overseer, id).await;
    assert_eq!((&seen["state"], &seen["grants"], &seen["may_stop"]), (&json!("granted"), &json!(1), &json!(true)));
    assert_eq!(tickets(&town, &stranger, &camera, why.clone()).await, (200, String::new()));
    assert_eq!(switch(&town, &chief, id, "suspend").await.0, 403, "the switch is the commission's");
    let (_, problem) = town.post(&overseer, &format!("{FLOWS}/{id}/switch"), json!({ "step": "suspend" })).await;
    assert_eq!(problem["missing"], json!(["justification"]), "{problem}");

    assert_eq!(switch(&town, &overseer, id, "suspend").await, (200, json!({ "state": "suspended" })));
    assert_eq!(town.leaves().last().unwrap(), "change flow_switched");
    assert_eq!(tickets(&town, &stranger, &camera, why.clone()).await, (403, "suspended".to_owned()));
    let (status, view) = town.get(&stranger, &format!("/api/v1/cameras/{}", camera["id"].as_str().unwrap())).await;
    assert_eq!((status, &view["may"]["live"]), (StatusCode::OK, &json!(false)), "it is there, and shows nothing");
    for person in [&chief, &town.person("foreignchief").await] {
        let (_, notices) = town.get(person, "/api/v1/notices").await;
        assert_eq!(
            (&notices["items"][0]["kind"], &notices["items"][0]["data"]["state"]),
            (&json!("flow"), &json!("suspended"))
        );
    }
    // The owner itself looks on: only the flow stands still.
    assert_eq!(tickets(&town, &town.person("operator").await, &camera, Value::Null).await.0, 200);
    assert_eq!(switch(&town, &overseer, id, "suspend").await.0, 409);
    assert_eq!(switch(&town, &overseer, id, "resume").await, (200, json!({ "state": "granted" })));
    assert_eq!(tickets(&town, &stranger, &camera, why.clone()).await, (200, String::new()));
    // Every purpose between the two at once; what ended stays ended.
    assert_eq!(switch(&town, &overseer, "SHARE:5340:5339:*", "end").await.0, 200);
    assert_eq!(tickets(&town, &stranger, &camera, why).await, (403, "suspended".to_owned()));
    assert_eq!(switch(&town, &overseer, "SHARE:5340:5339:*", "resume").await.0, 409);
    assert_eq!(switch(&town, &overseer, "SHARE:5340:NOBODY:*", "end").await.0, 404);
    let (_, history) = town.get(&overseer, &format!("{FLOWS}/{id}/history")).await;
    let states: Vec<&str> =
        history["items"].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["granted", "suspended"]);
}

#[tokio::test]
async fn registered_flows_wait_for_their_authorisation_and_stop_work() {
    let town = Town::settled().await;
    let [overseer, administrator, agent] =
        [town.person("overseer").await, town.person("administrator").await, town.person("lezagent").await];
    let wish = json!({ "id": "DS-TEST-1", "institution": "Ixelles", "source": "DIV/KBV", "purpose": "ZBT",
        "authority": "aanvraag 12", "reason": "boetes in de autoluwe zone" });
    assert_eq!(town.post(&overseer, FLOWS, wish.clone()).await.0, StatusCode::FORBIDDEN, "who stops does not register");
    assert_eq!(town.post(&administrator, FLOWS, wish.clone()).await.0, StatusCode::NO_CONTENT);
    assert_eq!(town.post(&administrator, FLOWS, wish).await.1["code"], "taken");
    assert_eq!(flow(&town, &overseer, "DS-TEST-1").await["state"], "requested");
    assert!(!town.cases.flow_active("DS-TEST-1").await.unwrap());
    assert_eq!(switch(&town, &overseer, "DS-TEST-1", "resume").await.0, 200);
    assert!(town.cases.flow_active("DS-TEST-1").await.unwrap());

    assert_eq!(town.get(&agent, "/api/v1/findings").await.0, StatusCode::OK);
    assert!(town.cases.flow_active("DS-LEZ-VEH").await.unwrap());
    assert_eq!(switch(&town, &overseer, "DS-LEZ-VEH", "suspend").await.0, 200);
    assert!(!town.cases.flow_active("DS-LEZ-VEH").await.unwrap());
    assert_eq!(town.get(&agent, "/api/v1/findings").await.0, StatusCode::FORBIDDEN, "its queue stands still");
    assert_eq!(switch(&town, &overseer, "DS-LEZ-VEH", "resume").await.0, 200);
    assert_eq!(town.get(&agent, "/api/v1/findings").await.0, StatusCode::OK);
}

#[tokio::test]
async fn complaints_are_kept_and_answered() {
    let town = Town::settled().await;
    town.account("dpo", "5340", Profile::P20).await;
    town.account("otherdpo", "5341", Profile::P20).await;
    let [dpo, other, overseer] =
        [town.person("dpo").await, town.person("otherdpo").await, town.person("overseer").await];
    let about = town.org("5340").await.to_string();
    let wish = json!({ "about_id": about, "channel": "brief", "text": "camera gericht op een slaapkamervenster" });
    let path = "/api/v1/complaints";
    assert_eq!(town.post(&other, path, wish.clone()).await.0, StatusCode::FORBIDDEN, "about somebody else's cameras");
    let (status, made) = town.post(&dpo, path, wish.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(town.post(&overseer, path, wish).await.0, StatusCode::CREATED);
    let count = async |person: &Person| town.get(person, path).await.1["items"].as_array().unwrap().len();
    assert_eq!((count(&dpo).await, count(&other).await, count(&overseer).await), (2, 0, 2));
    let answer = format!("{path}/{}/answer", made["id"].as_str().unwrap());
    let text = json!({ "text": "privacyzone ingesteld op 22 november" });
    assert_eq!(town.post(&other, &answer, text.clone()).await.0, StatusCode::NOT_FOUND);
    assert_eq!(town.post(&overseer, &answer, text.clone()).await.0, StatusCode::NO_CONTENT);
    assert_eq!(town.post(&overseer, &answer, text).await.1["code"], "wrong_state");
    let leaves = town.log.entries();
    let told = leaves.iter().any(|leaf| leaf.details.to_string().contains("slaapkamervenster"));
    assert!(!told, "a person's own words stay in the register");
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn a_persons_request_is_searched_by_time_and_place_and_has_a_term() {
    let town = Town::settled().await;
    for (user, org) in [("portdpo", "HAVEN"), ("zonedpo", "5340")] {
        town.account(user, org, Profile::P20).await;
    }
    let technician = town.person("technician").await;
    let haven = town.org("HAVEN").await.to_string();
    let (_, near) = town.post(&technician, "/api/v1/cameras", crate::town::draft("H1", &haven)).await;
    let mut far = crate::town::draft("H2", &haven);
    far["lat"] = json!(50.88);
    town.post(&technician, "/api/v1/cameras", far).await;
    let stream = stream_of(&near, "main");
    let at = |text: &str| crate::town::instant(text);
    let segment = |n: u8, from: &str, to: &str| SegmentCopy {
        segment: SegmentId::from_bytes([n; 16]),
        stream,
        from: at(from),
        to: at(to),
        payload_bytes: 1,
        units: 1,
        is_closed: true,
        erased_at: None,
        retention_class: "RC-VID-OPEN".to_owned(),
        clock_stepped: false,
        camera_clock_off: false,
    };
    let rows = [
        segment(1, "2026-11-20T09:59:00Z", "2026-11-20T10:00:00Z"),
        segment(2, "2026-11-20T10:00:00Z", "2026-11-20T10:01:00Z"),
        segment(3, "2026-11-20T12:00:00Z", "2026-11-20T12:01:00Z"),
    ];
    town.cases.stores().catalogue_apply("r", &rows, &[], 3).await.unwrap();

    let path = "/api/v1/subject-requests";
    let wish = json!({ "file_ref": "DSR-2026-7", "reasons": "val met de fiets, groene jas, op de kade", "language": "fr",
        "lat": 50.8468, "lon": 4.3526, "radius_m": 200, "from": "2026-11-20T09:59:30Z", "to": "2026-11-20T10:30:00Z",
        "received_at": "2026-11-21T09:00:00Z" });
    let dpo = town.person("portdpo").await;
    let (status, made) = town.post(&dpo, path, wish.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(
        (&made["regime"], &made["due"], &made["state"]),
        (&json!("gdpr"), &json!("2026-12-21T23:00:00.000000Z"), &json!("received"))
    );
    let one = |made: &Value, what: &str| format!("{path}/{}/{what}", made["id"].as_str().unwrap());
    let (_, found) = town.get(&dpo, &one(&made, "footage")).await;
    let spans = json!([{ "from": "2026-11-20T09:59:30.000000Z", "to": "2026-11-20T10:01:00.000000Z" }]);
    let cameras = found["items"].as_array().unwrap();
    assert_eq!((cameras.len(), &cameras[0]["code"], &cameras[0]["spans"]), (1, &json!("H1"), &spans), "{found}");
    for (field, value, wrong) in [
        ("radius_m", json!(5_000), "radius_m"),
        ("to", json!("2026-11-22T10:30:00Z"), "to"),
        ("received_at", json!("2026-12-21T09:00:00Z"), "received_at"),
        ("lat", json!(99.0), "lat"),
    ] {
        let mut body = wish.clone();
        body[field] = value;
        let (status, problem) = town.post(&dpo, path, body).await;
        assert_eq!(
            (status, &problem["errors"][0]["field"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(wrong)),
            "{problem}"
        );
    }
    stills(&town, &dpo, &one(&made, "stills"), cameras[0]["camera_id"].as_str().unwrap()).await;
    let answer = json!({ "text": "beelden beschikbaar, derden gemaskeerd" });
    assert_eq!(town.post(&dpo, &one(&made, "answer"), answer.clone()).await.0, StatusCode::NO_CONTENT);
    assert_eq!(town.post(&dpo, &one(&made, "answer"), answer).await.1["code"], "wrong_state");
    let wish_of_still = json!({ "camera_id": cameras[0]["camera_id"], "at": "2026-11-20T10:00:10Z" });
    assert_eq!(
        town.post(&dpo, &one(&made, "stills"), wish_of_still.clone()).await.1["code"],
        "wrong_state",
        "answered"
    );

    let zone = town.person("zonedpo").await;
    let (_, routed) = town.post(&zone, path, wish).await;
    assert_eq!((&routed["regime"], &routed["state"]), (&json!("police"), &json!("routed")), "indirect access");
    assert_eq!(town.get(&zone, &one(&routed, "footage")).await.1["code"], "wrong_state");
    assert_eq!(town.post(&zone, &one(&routed, "stills"), wish_of_still).await.1["code"], "wrong_state");
    assert_eq!(town.get(&zone, &one(&made, "footage")).await.0, StatusCode::NOT_FOUND, "another organisation's");
}

/// The fake reader's answer: the beginning of the span that is looked through, 12 s before the instant.
const TAKEN: &str = "2026-11-20T09:59:58.000000Z";

/// One masked picture at a time: of an own camera near the place, inside the time, a quarter of it clear at most; each in the log.
async fn stills(town: &Town, dpo: &Person, path: &str, camera: &str) {
    let wish = json!({ "camera_id": camera, "at": "2026-11-20T10:00:10Z", "keep": [100, 100, 600, 600],
        "hide": [[100, 100, 200, 200]] });
    let before = town.leaves().len();
    let answer = town.send(Town::request(dpo, Method::POST, path, Some(wish.clone()))).await;
    assert_eq!((answer.status(), answer.headers()["x-captured-at"].to_str().unwrap()), (StatusCode::OK, TAKEN));
    assert_eq!(&bytes_of(answer).await[..], b"\xff\xd8still");
    let new = &town.leaves()[before..];
    let wanted = ["open subject_request.handle", "change subject_still_made"];
    assert!(wanted.iter().all(|leaf| new.iter().any(|one| one == leaf)), "{new:?}");
    let asked = town
        .media
        .calls()
        .into_iter()
        .find_map(|call| if let MediaCall::Still(_, span, mask) = call { Some((span, mask)) } else { None });
    let (span, mask) = asked.expect("the reader was asked");
    let at = crate::town::instant("2026-11-20T10:00:10Z");
    assert_eq!((span.to.micros - at.micros, span.micros()), (1, 12_000_001));
    assert_eq!((mask.keep, mask.hide), (Some([100, 100, 600, 600]), vec![[100, 100, 200, 200]]));
    for (field, value, status, wrong) in [
        ("at", json!("2026-11-20T10:30:00Z"), StatusCode::UNPROCESSABLE_ENTITY, "at"),
        ("at", json!("2026-11-20T09:59:29Z"), StatusCode::UNPROCESSABLE_ENTITY, "at"),
        ("keep", json!([0, 0, 1_000, 1_000]), StatusCode::UNPROCESSABLE_ENTITY, "keep"),
        ("keep", json!([900, 0, 1_100, 100]), StatusCode::UNPROCESSABLE_ENTITY, "keep"),
        ("hide", json!([[5, 5, 5, 5]]), StatusCode::UNPROCESSABLE_ENTITY, "hide"),
        ("camera_id", json!("cam_00000000000000000000000000"), StatusCode::NOT_FOUND, ""),
    ] {
        let mut body = wish.clone();
        body[field] = value;
        let (found, problem) = town.post(dpo, path, body).await;
        let named = problem["errors"][0]["field"].as_str().unwrap_or_default();
        assert_eq!((found, named), (status, wrong), "{field}: {problem}");
    }
    assert_eq!(town.media.calls().iter().filter(|call| matches!(call, MediaCall::Still(..))).count(), 1);
}

#[tokio::test]
async fn the_annual_report_counts_and_names_nobody() {
    let town = Town::settled().await;
    town.account("rapporteur", "PARADIGM", Profile::P23).await;
    let camera = town.camera("C1").await;
    let operator = town.person("operator").await;
    for _ in 0..3 {
        assert_eq!(tickets(&town, &operator, &camera, Value::Null).await.0, 200);
    }
    // What the copier of the log's details does.
    let store: &dyn LogDetailStore = town.cases.stores().as_ref();
    for (index, entry) in town.log.entries().iter().enumerate() {
        let text = |pointer: &str| entry.details.pointer(pointer).and_then(Value::as_str);
        let detail = vms_app::model::LogDetail {
            index: u64::try_from(index).unwrap(),
            at: WallTime::from_micros(entry.at.micros),
            org: None,
            user: None,
            operation: text("/operation").unwrap_or(entry.kind.as_str()).to_owned(),
            decision: entry.decision,
            details: entry.details.to_string(),
        };
        put(store, &detail).await;
    }
    let rapporteur = town.person("rapporteur").await;
    let path = "/api/v1/reports/annual?year=2026";
    assert_eq!(town.get(&operator, path).await.0, StatusCode::FORBIDDEN);
    let (status, report) = town.get(&rapporteur, path).await;
    assert_eq!(status, StatusCode::OK, "{report}");
    let count = |subject: &str, keys: Value| {
        let figures = report["figures"].as_array().unwrap();
        figures.iter().find(|one| one["subject"] == subject && one["keys"] == keys).map(|one| one["count"].clone())
    };
    assert_eq!(count("uses", json!(["5340", "live", "-", "own"])), Some(json!(3)), "{report}");
    assert_eq!(count("cameras", json!(["5340", "overview", "live", "not_shared"])), Some(json!(1)));
    assert_eq!(count("accounts", json!(["5340", "P01", "active"])), Some(json!(1)));
    let text = report.to_string();
    assert!(!text.contains("usr_") && !text.contains("operator") && !text.contains("The "), "counts only");
    let request = Town::request(&rapporteur, Method::GET, &format!("{path}&format=csv"), None);
    let csv = String::from_utf8(bytes_of(town.send(request).await).await.to_vec()).unwrap();
    assert!(csv.starts_with("year;subject;dimension_1") && csv.contains("2026;uses;5340;live;-;own;3"), "{csv}");
    assert_eq!(town.get(&rapporteur, "/api/v1/reports/annual?year=1900").await.0, StatusCode::UNPROCESSABLE_ENTITY);
}

async fn put(store: &dyn LogDetailStore, detail: &vms_app::model::LogDetail) {
    store.log_detail_put(detail).await.unwrap();
}
