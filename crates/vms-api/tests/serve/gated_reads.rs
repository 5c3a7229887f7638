//! Police reads past their first term: kept by a decision of two people, looked for under a magistrate's written decision. One orders, another
//! agrees, and only whoever ordered opens, while the gate's medium is attached.

use bytes::Bytes;
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use uuid::Uuid;
use vms_app::gated_read_ports::{GatedReadStore as _, GatedSearch};
use vms_app::model::Signature;
use vms_app::plate_ports::PlateIndex as _;
use vms_app::words::GatedState;
use vms_core::{DecisionId, Plate, PlateWish, Profile, Purpose, TimeRange, UserId, WallTime};

use crate::four_eyes::copy_details;
use crate::reads::{new_read, read_town, service};
use crate::town::{Person, Town, bytes_of, instant, json_of};

const ALL: &str = "/api/v1/reads/gated-searches";

/// An order that waits, laid into the store; its key.
pub(crate) async fn in_store(town: &Town, camera: &Value) -> String {
    let plate = PlateWish::Exact(Plate::parse("1AAA111").unwrap());
    let search = GatedSearch {
        id: Uuid::from_u128(8),
        owner: town.org("5340").await,
        camera: Some(camera["id"].as_str().unwrap().parse().unwrap()),
        range: TimeRange::new(instant("2026-11-22T11:00:00Z"), instant("2026-11-22T13:00:00Z")).unwrap(),
        wish: Some(town.vault.wish_sealed(&plate).unwrap()),
        purpose: Purpose::Investigation,
        ground: "onderzoek loopt nog".to_owned(),
        case_ref: "BR-1".to_owned(),
        magistrate_ref: "PK-1".to_owned(),
        decision: DecisionId::from_bytes([1; 16]),
        proposed: Signature { user: UserId::from_bytes([9; 16]), name: "Y".to_owned(), at: WallTime::from_secs(1) },
        state: GatedState::Proposed,
        settled: None,
        refusal: None,
        expires_at: instant("2026-11-29T12:00:00Z"),
    };
    town.vault.gated_search_insert(&search).await.unwrap();
    search.id.to_string()
}

fn purpose() -> Value {
    json!({ "code": "GERECHTELIJK_ONDERZOEK", "justification": "vluchtwagen 1-AAA-111 van de overval", "case_ref": "BR.11/26",
        "magistrate_ref": "PK-2026-0077 inzake 1AAA111" })
}

/// A search for a plate, at all cameras.
fn for_plate(plate: &str) -> Value {
    json!({ "plate": plate, "from": "2026-11-22T11:00:00Z", "to": "2026-11-22T13:00:00Z", "purpose": purpose() })
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

/// A LEZ camera with two reads on 22 November, and a decision in force that keeps the police's copies; its id and that of the camera.
async fn decided() -> (Town, String, String) {
    let town = Town::settled().await;
    for (user, org) in [("investigator", "5340"), ("colleague", "5340"), ("foreigninvestigator", "5339")] {
        town.account(user, org, Profile::P04).await;
    }
    town.account("dpo", "5340", Profile::P20).await;
    let camera = read_town(&town).await;
    let technician = town.person("technician").await;
    let (_, view) = town.get(&technician, &format!("/api/v1/cameras/{camera}")).await;
    let second = new_read([7; 16], &view, "2-BBB-222", "2026-11-22T11:50:00Z");
    assert_eq!(service(&town).take(vec![second]).await.unwrap().copies, 2);

    let investigator = town.person("investigator").await;
    let wish = json!({ "camera_id": camera, "class": "RC-ANPR-POL", "from": "2026-11-22T11:00:00Z", "to": "2026-11-22T13:00:00Z",
        "purpose": { "code": "GERECHTELIJK_ONDERZOEK", "justification": "reeks overvallen, onderzoek loopt", "case_ref": "BR.11/26" } });
    for (class, problem) in [("reads", "unknown"), ("RC-LEZ-OK", "not_of_this_camera")] {
        let (status, answer) =
            town.post(&investigator, "/api/v1/gated", with(wish.clone(), "class", json!(class))).await;
        let seen = (status, answer["errors"][0]["field"].as_str(), answer["errors"][0]["problem"].as_str());
        assert_eq!(seen, (StatusCode::UNPROCESSABLE_ENTITY, Some("class"), Some(problem)), "{answer}");
    }
    let (status, gated) = town.post(&investigator, "/api/v1/gated", wish).await;
    assert_eq!((status, &gated["class"]), (StatusCode::CREATED, &json!("RC-ANPR-POL")), "{gated}");
    let id = gated["id"].as_str().unwrap().to_owned();
    let chief = town.person("chief").await;
    let (status, gated) = town.post(&chief, &format!("/api/v1/gated/{id}/approve"), json!({})).await;
    assert_eq!((status, &gated["state"]), (StatusCode::OK, &json!("in_force")), "{gated}");
    assert!(town.cases.recorder_gated().await.unwrap().is_empty(), "no recorder has these");
    (town, id, camera)
}

/// From two hours before the end of the first term until three hours after it, with the sweep that `serve` makes each second.
async fn term_ends(town: &Town) {
    let service = service(town);
    town.clock.pass_s(30 * 86_400 - 2 * 3_600);
    for _ in 0..30 {
        assert_eq!(service.sweep().await.unwrap(), None);
        town.clock.pass_s(600);
    }
}

/// The same, past the first term; the camera's id.
async fn kept() -> (Town, String) {
    let (town, gated, camera) = decided().await;
    term_ends(&town).await;
    let moves = town.leaves().iter().filter(|leaf| *leaf == "change reads_gated").count();
    assert_eq!(moves, 2, "each hour is in the log");
    let (_, view) = town.get(&town.person("chief").await, &format!("/api/v1/gated/{gated}")).await;
    assert_eq!((&view["applied"]["hours"], &view["applied"]["waiting"]), (&json!(2), &json!(0)), "{view}");
    (town, camera)
}

async fn ordered(town: &Town, person: &Person, body: Value) -> String {
    let (status, order) = town.post(person, ALL, body).await;
    assert_eq!((status, &order["state"]), (StatusCode::CREATED, &json!("proposed")), "{order}");
    format!("{ALL}/{}", order["id"].as_str().unwrap())
}

async fn open(town: &Town, person: &Person, order: &str) -> (StatusCode, Value) {
    town.post(person, &format!("{order}/open"), json!({})).await
}

fn plates(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|read| read["plate"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_order_names_a_magistrate_and_a_plate_or_a_camera() {
    let (town, camera) = kept().await;
    let investigator = town.person("investigator").await;
    let without = |field: &str| with(for_plate("1AAA111"), "purpose", with(purpose(), field, Value::Null));
    let without_magistrate_of = |body: Value| with(body, "purpose", with(purpose(), "magistrate_ref", Value::Null));
    let span = |from: &str, to: &str| with(with(for_plate("1AAA111"), "from", json!(from)), "to", json!(to));
    for (body, status, code) in [
        (without("magistrate_ref"), 403, "magistrate_required"),
        (without("case_ref"), 403, "case_required"),
        (without("justification"), 403, "justification_required"),
        (with(for_plate("1AAA111"), "purpose", Value::Null), 403, "purpose_required"),
        (with(for_plate("1AAA111"), "plate", Value::Null), 422, "plate plate_or_camera"),
        (with(for_plate("not a plate at all"), "camera_id", json!(camera)), 422, "plate not_a_plate"),
        (with(for_plate("*"), "match", json!("wildcard")), 422, "plate too_open"),
        (span("2026-11-22T11:00:00Z", "2026-12-23T12:00:00Z"), 422, "to span_too_long"),
        (span("2025-11-22T11:00:00Z", "2025-11-22T13:00:00Z"), 422, "from past_its_term"),
        // What is behind the gate opens by nothing else, however young.
        (
            without_magistrate_of(span("2026-12-22T10:00:00Z", "2026-12-22T12:00:00Z")),
            422,
            "purpose.magistrate_ref required",
        ),
        (
            with(for_plate("1AAA111"), "camera_id", json!(vms_core::CameraId::from_bytes([9; 16]).to_string())),
            404,
            "not_found",
        ),
    ] {
        let (got, problem) = town.post(&investigator, ALL, body.clone()).await;
        let text = |key: &str| problem["errors"][0][key].as_str().unwrap_or("").to_owned();
        let words = format!("{} {}", text("field"), text("problem"));
        let word =
            if got == StatusCode::UNPROCESSABLE_ENTITY { words.as_str() } else { problem["code"].as_str().unwrap() };
        assert_eq!((got.as_u16(), word), (status, code), "{body}: {problem}");
    }
    let (_, problem) = town.post(&investigator, ALL, with(for_plate("1AAA111"), "purpose", Value::Null)).await;
    assert_eq!(problem["missing"], json!(["purpose", "justification", "case", "magistrate"]));
    for (user, code) in [("supervisor", "too_old"), ("operator", "not_in_table"), ("chief", "not_in_table")] {
        let before = town.leaves().len();
        let (status, problem) = town.post(&town.person(user).await, ALL, for_plate("1AAA111")).await;
        assert_eq!((status, problem["code"].as_str()), (StatusCode::FORBIDDEN, Some(code)), "{user}");
        assert_eq!(town.leaves()[before..].last().unwrap(), "refuse reads.search", "{user}");
    }
    assert_eq!(town.get(&investigator, ALL).await.1["items"], json!([]), "nothing was ordered");
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn one_orders_another_agrees_and_only_the_first_opens_it() {
    let (town, _, camera) = decided().await;
    // Somebody who may do both, one after the other.
    let administrator = town.person("administrator").await;
    let (_, users) = town.get(&administrator, "/api/v1/users?limit=100").await;
    let both = users["items"].as_array().unwrap().iter().find(|user| user["user_name"] == "investigator").unwrap();
    let path = format!("/api/v1/users/{}", both["id"].as_str().unwrap());
    let (status, view) = town.patch(&administrator, &path, "*", json!({ "more_profiles": ["P03"] })).await;
    assert_eq!(status, StatusCode::OK, "{view}");
    term_ends(&town).await;
    let [investigator, chief] = [town.person("investigator").await, town.person("chief").await];
    let span = "from=2026-11-22T11:00:00Z&to=2026-11-22T13:00:00Z";
    let (status, list) = town.get(&town.person("operator").await, &format!("/api/v1/reads?{span}")).await;
    assert_eq!((status, &list["items"]), (StatusCode::OK, &json!([])), "no list shows them any more: {list}");

    let before = town.leaves().len();
    let (status, order) = town.post(&investigator, ALL, for_plate("1-aaa.111")).await;
    assert_eq!(status, StatusCode::CREATED, "{order}");
    assert_eq!(
        town.leaves()[before..],
        ["change reads.search", "change gated_search_ordered", "use gated_searches_shown"]
    );
    let id = order["id"].as_str().unwrap().to_owned();
    let order_path = format!("{ALL}/{id}");
    let seen = [
        "state",
        "plate",
        "camera",
        "ground",
        "case_ref",
        "magistrate_ref",
        "settled",
        "refusal",
        "may_settle",
        "may_open",
    ];
    let seen: Vec<&Value> = seen.iter().map(|field| &order[*field]).collect();
    let ground = "vluchtwagen [plate] van de overval";
    assert_eq!(
        json!(seen),
        json!([
            "proposed",
            "1AAA111",
            null,
            ground,
            "BR.11/26",
            "PK-2026-0077 inzake [plate]",
            null,
            null,
            false,
            false
        ])
    );
    assert_eq!(
        (&order["from"], &order["purpose"]),
        (&json!("2026-11-22T11:00:00.000000Z"), &json!("GERECHTELIJK_ONDERZOEK"))
    );

    // Nobody opens it before another person agreed, and nobody agrees with himself.
    let (status, problem) = open(&town, &investigator, &order_path).await;
    assert_eq!((status, &problem["errors"][0]["problem"]), (StatusCode::CONFLICT, &json!("proposed")), "{problem}");
    let approve = format!("{order_path}/approve");
    assert_eq!(town.post(&investigator, &approve, json!({})).await.0, StatusCode::FORBIDDEN, "no such right");
    let two = town.person("investigator").await;
    let (status, _) = town.post(&two, "/api/v1/session/profile", json!({ "profile": "P03" })).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(town.get(&two, &order_path).await.1["may_settle"], false);
    for (step, body) in [("approve", json!({})), ("refuse", json!({ "reason": "toch niet nodig" }))] {
        let (status, problem) = town.post(&two, &format!("{order_path}/{step}"), body).await;
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("same_person")), "{step}");
        assert_eq!(town.leaves().last().unwrap(), "refuse gated_search_settle_refused");
    }

    // Others of the zone without a part in it, and other zones, hear nothing of it.
    for user in ["colleague", "operator", "supervisor", "foreigninvestigator", "foreignchief", "stranger", "lezagent"] {
        let person = town.person(user).await;
        let before = town.leaves().len();
        assert_eq!(town.get(&person, &order_path).await.0, StatusCode::NOT_FOUND, "{user}");
        assert_eq!(town.leaves()[before..], ["refuse gated_search_not_shown"], "{user}");
        let (_, list) = town.get(&person, ALL).await;
        assert_eq!(list["items"].as_array().map_or(0, Vec::len), 0, "{user}");
        for step in ["approve", "open"] {
            let (status, problem) = town.post(&person, &format!("{order_path}/{step}"), json!({})).await;
            let hears_nothing = [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN].contains(&status);
            assert!(hears_nothing, "{user} {step}: {status} {problem}");
        }
    }

    // The second person, with a factor that is fresh.
    let (_, view) = town.get(&chief, &order_path).await;
    assert_eq!(
        (&view["plate"], &view["may_settle"], &view["may_open"]),
        (&json!("1AAA111"), &json!(true), &json!(false))
    );
    town.clock.pass_s(6 * 60);
    let (status, problem) = town.post(&chief, &approve, json!({})).await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("step_up_needed")), "{problem}");
    town.stamp(&chief).await;
    let before = town.leaves().len();
    let (status, approved) = town.post(&chief, &approve, json!({})).await;
    assert_eq!((status, &approved["state"]), (StatusCode::OK, &json!("in_force")), "{approved}");
    assert_eq!(
        town.leaves()[before..],
        ["change gated.approve", "change gated_search_approved", "use gated_searches_shown"]
    );
    let now = vms_app::ports::Clock::now(town.clock.as_ref());
    let ends = instant(approved["expires_at"].as_str().unwrap());
    assert_eq!(ends.micros_since(now), 7 * 86_400 * 1_000_000, "a week from the yes");
    for (step, body) in [("approve", json!({})), ("refuse", json!({ "reason": "toch niet nodig" }))] {
        let (status, problem) = town.post(&chief, &format!("{order_path}/{step}"), body).await;
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("wrong_state")), "settled once");
    }

    // Opened by who ordered it, and by nobody else.
    assert_eq!(open(&town, &chief, &order_path).await.0, StatusCode::FORBIDDEN);
    assert_eq!(open(&town, &two, &order_path).await.0, StatusCode::FORBIDDEN, "not as the one who agrees");
    assert_eq!(open(&town, &town.person("colleague").await, &order_path).await.0, StatusCode::NOT_FOUND);
    assert_eq!(town.get(&investigator, &order_path).await.1["may_open"], true);
    let before = town.leaves().len();
    let (status, page) = open(&town, &investigator, &order_path).await;
    assert_eq!((status, plates(&page)), (StatusCode::OK, vec!["1AAA111"]), "{page}");
    assert_eq!(town.leaves()[before..], ["use reads.search", "use gated_reads_opened"]);
    let read = &page["items"][0];
    assert_eq!((&read["camera_id"], &read["at"]), (&json!(camera), &json!("2026-11-22T12:00:00.000000Z")));
    let decision = page["decision_id"].as_str().unwrap();
    for (kind, wanted) in [("crop", &b"\xff\xd8crop"[..]), ("overview", &b"\xff\xd8overview"[..])] {
        let path = format!("/api/v1/reads/{}/{kind}.jpg?decision={decision}", read["id"].as_str().unwrap());
        let response = town.send(Town::request(&investigator, Method::GET, &path, None)).await;
        assert_eq!(response.headers()[header::CONTENT_TYPE], "image/jpeg");
        assert_eq!(bytes_of(response).await, Bytes::from(wanted));
        assert_eq!(town.get(&two, &path).await.0, StatusCode::NOT_FOUND, "a decision belongs to its session");
    }

    // The log tells the whole of it, without the plate; and whoever asks who searched for it finds the order and the opening.
    let is_opening = |entry: &vms_app::gate::LogEntry| entry.details["operation"] == "gated_reads_opened";
    let leaf = town.log.entries().into_iter().find(is_opening).unwrap().details["details"].clone();
    assert_eq!((&leaf["gated_search"], &leaf["outcome"], &leaf["reads"]), (&json!(id), &json!("opened"), &json!(1)));
    assert_eq!(leaf["magistrate_ref"], "PK-2026-0077 inzake [plate]");
    let log = format!("{:?}", town.log.entries());
    assert!(!log.contains("AAA111") && !log.contains("AAA-111") && !log.contains("aaa.111"), "no plate in the log");
    copy_details(&town, &mut 0).await;
    let overseer = town.person("overseer").await;
    let why = json!({ "code": "GERECHTELIJK_ONDERZOEK", "justification": "klacht over een opzoeking", "case_ref": "CC-2026-14" });
    let traced = async |plate: &str| {
        let wish =
            json!({ "plate": plate, "from": "2026-12-22T00:00:00Z", "to": "2026-12-23T00:00:00Z", "purpose": why });
        let (status, page) = town.post(&overseer, "/api/v1/audit/plate-searches", wish).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let text = |item: &Value, pointer: &str| item.pointer(pointer).and_then(Value::as_str).unwrap_or("").to_owned();
        let word = |item: &Value| {
            [text(item, "/details/actor/name"), text(item, "/operation"), text(item, "/details/right")].join(" ")
        };
        page["items"].as_array().unwrap().iter().map(word).collect::<Vec<_>>()
    };
    assert_eq!(traced("1AAA111").await, ["investigator use reads.search", "investigator change reads.search"]);
    assert_eq!(traced("2BBB222").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_refused_order_opens_nothing() {
    let (town, camera) = kept().await;
    let [investigator, dpo] = [town.person("investigator").await, town.person("dpo").await];
    let order = ordered(&town, &investigator, with(for_plate("1AAA11?"), "match", json!("wildcard"))).await;
    let (_, view) = town.get(&dpo, &order).await;
    assert_eq!((&view["plate"], &view["may_settle"]), (&json!("1AAA11?"), &json!(true)), "{view}");
    let refuse = format!("{order}/refuse");
    let (status, problem) = town.post(&dpo, &refuse, json!({ "reason": "nee" })).await;
    assert_eq!(
        (status, &problem["errors"][0]["field"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("reason")),
        "{problem}"
    );
    let before = town.leaves().len();
    let (status, refused) = town.post(&dpo, &refuse, json!({ "reason": "geen grond voor 1-AAA-111" })).await;
    let seen = (&refused["state"], &refused["refusal"], &refused["settled"]["name"]);
    assert_eq!(
        (status, seen),
        (StatusCode::OK, (&json!("refused"), &json!("geen grond voor [plate]"), &json!("The dpo")))
    );
    assert_eq!(
        town.leaves()[before..],
        ["change gated.approve", "change gated_search_refused", "use gated_searches_shown"]
    );
    let (status, problem) = open(&town, &investigator, &order).await;
    assert_eq!((status, &problem["errors"][0]["problem"]), (StatusCode::CONFLICT, &json!("refused")), "{problem}");

    // The list: one's own orders, all of the organisation for whoever may agree; newest first, page by page.
    let other =
        ordered(&town, &town.person("colleague").await, with(for_plate("1AAA111"), "camera_id", json!(camera))).await;
    let ids = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|one| format!("{ALL}/{}", one["id"].as_str().unwrap())).collect()
    };
    assert_eq!(ids(&town.get(&investigator, ALL).await.1), std::slice::from_ref(&order));
    let (_, first) = town.get(&dpo, &format!("{ALL}?limit=1")).await;
    assert_eq!((ids(&first), &first["items"][0]["camera"]["code"]), (vec![other], &json!("L1")), "{first}");
    let next = format!("{ALL}?limit=1&cursor={}", first["next_cursor"].as_str().unwrap());
    let (_, second) = town.get(&dpo, &next).await;
    assert_eq!((ids(&second), &second["next_cursor"]), (vec![order], &Value::Null), "{second}");
    assert_eq!(town.get(&dpo, &format!("{ALL}?cursor=x")).await.0, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn without_the_medium_of_the_gate_nothing_opens_and_after_a_week_neither() {
    let (town, camera) = kept().await;
    let [investigator, chief] = [town.person("investigator").await, town.person("chief").await];
    let wish = with(with(for_plate("x"), "camera_id", json!(camera)), "plate", Value::Null);
    let order = ordered(&town, &investigator, wish).await;
    assert_eq!(town.post(&chief, &format!("{order}/approve"), json!({})).await.0, StatusCode::OK);
    let (status, page) = open(&town, &investigator, &order).await;
    assert_eq!((status, plates(&page)), (StatusCode::OK, vec!["1AAA111", "2BBB222"]), "{page}");
    let (read, decision) = (page["items"][0]["id"].as_str().unwrap(), page["decision_id"].as_str().unwrap());
    let picture = format!("/api/v1/reads/{read}/overview.jpg?decision={decision}");

    // Page by page.
    let (mut query, mut seen) = ("?limit=1".to_owned(), Vec::new());
    for _ in 0..5 {
        let (status, page) = town.post(&investigator, &format!("{order}/open{query}"), json!({})).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        seen.extend(plates(&page).into_iter().map(str::to_owned));
        let Some(next) = page["next_cursor"].as_str() else { break };
        query = format!("?limit=1&cursor={next}");
    }
    assert_eq!(seen, ["1AAA111", "2BBB222"]);
    let (status, _) = town.post(&investigator, &format!("{order}/open?cursor=x"), json!({})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);

    // The medium is taken away.
    let (gate, away) = (town.gate_folder(), town.gate_folder().with_extension("away"));
    std::fs::rename(&gate, &away).unwrap();
    for (method, path) in [(Method::POST, &format!("{order}/open")), (Method::GET, &picture)] {
        let response = town.send(Town::request(&investigator, method, path, None)).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(response.headers().contains_key(header::RETRY_AFTER));
        let problem = json_of(response).await;
        assert_eq!((&problem["code"], &problem["items"]), (&json!("gate_away"), &Value::Null), "{problem}");
        assert!(!problem.to_string().contains("AAA"), "{problem}");
    }
    let outcomes = || -> Vec<Value> {
        let all = town.log.entries();
        let openings = all.iter().filter(|entry| entry.details["operation"] == "gated_reads_opened");
        openings.map(|entry| entry.details["details"]["outcome"].clone()).collect()
    };
    assert_eq!(outcomes().last(), Some(&json!("gate_away")), "that somebody tried is in the log");
    std::fs::rename(&away, &gate).unwrap();
    assert_eq!(plates(&open(&town, &investigator, &order).await.1).len(), 2, "it works again");
    let response = town.send(Town::request(&investigator, Method::GET, &picture, None)).await;
    assert_eq!(bytes_of(response).await, Bytes::from_static(b"\xff\xd8overview"));

    // A week after the yes it opens nothing, and then it is gone.
    town.clock.pass_s(7 * 86_400);
    let investigator = town.person("investigator").await;
    let (status, problem) = open(&town, &investigator, &order).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("wrong_state")), "{problem}");
    service(&town).sweep().await.unwrap();
    assert_eq!(open(&town, &investigator, &order).await.0, StatusCode::NOT_FOUND);
    assert_eq!(town.get(&investigator, ALL).await.1["items"], json!([]));
}

#[tokio::test]
async fn while_the_gate_cannot_be_made_health_says_so_and_the_keys_move_afterwards() {
    let (town, gated, _) = decided().await;
    // Where its folder should be, there is something else.
    std::fs::write(town.gate_folder(), b"").unwrap();
    term_ends(&town).await;
    let alarms = async || {
        let request = http::Request::get("/health").body(axum::body::Body::empty()).unwrap();
        json_of(town.send(request).await).await["alarms"].to_string()
    };
    assert!(alarms().await.contains("reads_gate_waits"), "{}", alarms().await);
    let chief = town.person("chief").await;
    let path = format!("/api/v1/gated/{gated}");
    let applied = async || town.get(&chief, &path).await.1["applied"].clone();
    assert_eq!((&applied().await["hours"], &applied().await["waiting"]), (&json!(0), &json!(2)));
    std::fs::remove_file(town.gate_folder()).unwrap();
    service(&town).sweep().await.unwrap();
    assert!(!alarms().await.contains("reads_gate_waits"), "{}", alarms().await);
    assert_eq!((&applied().await["hours"], &applied().await["waiting"]), (&json!(2), &json!(0)));
}
