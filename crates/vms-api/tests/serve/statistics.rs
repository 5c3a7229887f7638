//! Counts and travel times over HTTP: from the intake of reads to each form, for whoever may see them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use vms_app::lez::ReadService;
use vms_app::lez::service::BatchSettings;
use vms_app::lez_ports::{Direction, NewRead, ReadFacts};
use vms_app::ports::Clock as _;
use vms_core::{Confidence, Country, Plate, Profile, ReadId, StreamId, WallTime};

use crate::town::{Person, Town, answer, bytes_of, draft};

const PLACES: &str = "/api/v1/statistics/places";
const DEVICES: &str = "/api/v1/statistics/counts?request=devices";
const LIVE: &str = "/api/v1/statistics/counts?request=live";
const MEASURED: &str = "/api/v1/statistics/datex/measured?interval=5";

fn service(town: &Town) -> ReadService {
    let settings = BatchSettings {
        wait: Duration::from_secs(5),
        retry: Duration::from_secs(15),
        retry_max: Duration::from_secs(600),
        later: Duration::from_secs(3_600),
    };
    ReadService::new(Arc::clone(&town.cases), None, settings).unwrap()
}

fn read(camera: &Value, number: u32, at: WallTime) -> NewRead {
    let mut id = [7; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    id[4..12].copy_from_slice(&at.micros.to_be_bytes());
    NewRead {
        read: ReadId::from_bytes(id),
        camera: camera["id"].as_str().unwrap().parse().unwrap(),
        stream: StreamId::from_bytes([4; 16]),
        at,
        facts: ReadFacts {
            plate: Plate::parse(&format!("1XYZ{number:03}")).unwrap(),
            countries: vec![(Country::BELGIUM, Confidence::from_millionths(900_000))],
            confidence: Confidence::from_millionths(990_000),
            corrected: false,
            direction: Direction::Approaching,
            looks: 3,
            model: "m".to_owned(),
            clock: None,
            from: vms_app::lez_ports::ReadFrom::Reader,
        },
        crop: Bytes::new(),
        overview: Bytes::new(),
    }
}

async fn camera_of(town: &Town, code: &str, kind: &str) -> Value {
    let (technician, chief) = (town.person("technician").await, town.person("chief").await);
    let mut draft = draft(code, &town.org("5340").await.to_string());
    draft["kind"] = json!(kind);
    let (status, camera) = town.post(&technician, "/api/v1/cameras", draft).await;
    assert_eq!(status, StatusCode::CREATED, "{camera}");
    let path = format!("/api/v1/cameras/{}/approve", camera["id"].as_str().unwrap());
    let (status, camera) = town.post(&chief, &path, json!({})).await;
    assert_eq!(status, StatusCode::OK, "{camera}");
    camera
}

async fn driven(vehicles: i64) -> (Town, Value, Value) {
    let town = Town::settled().await;
    let (one, two) = driven_in(&town, vehicles).await;
    (town, one, two)
}

/// Two LEZ cameras; so many vehicles drive from one to the other in a minute, within the cell from 12:10 on.
pub(crate) async fn driven_in(town: &Town, vehicles: i64) -> (Value, Value) {
    let (one, two) = (camera_of(town, "C1", "lez").await, camera_of(town, "C2", "lez").await);
    let service = service(town);
    let desk = town.cases.extensions().statistics.clone().unwrap();
    desk.round(&town.cases).await.unwrap();
    town.clock.pass_s(600);
    for second in 0..80 {
        let at = town.clock.now();
        let drives =
            [(&one, second), (&two, second - 60)].into_iter().filter(|(_, vehicle)| (0..vehicles).contains(vehicle));
        let reads: Vec<NewRead> =
            drives.map(|(camera, vehicle)| read(camera, u32::try_from(vehicle).unwrap(), at)).collect();
        // Delivered twice, as after a lost acknowledgement: it is one read.
        for _ in 0..2 {
            service.take(reads.clone()).await.unwrap();
        }
        town.clock.pass_s(1);
        desk.round(&town.cases).await.unwrap();
    }
    town.clock.pass_s(400);
    desk.round(&town.cases).await.unwrap();
    (one, two)
}

async fn mobility(town: &Town, org: &str) -> Person {
    let user = format!("mobility{}", org.to_lowercase());
    town.account(&user, org, Profile::P11).await;
    town.person(&user).await
}

#[tokio::test]
async fn reads_become_counts_for_whoever_may_see_them() {
    let (town, _, _) = driven(7).await;
    let own = mobility(&town, "5340").await;
    let (status, devices) = town.get(&own, DEVICES).await;
    assert_eq!((status, devices["features"].as_array().unwrap().len()), (StatusCode::OK, 2), "{devices}");
    let (_, live) = town.get(&own, LIVE).await;
    let five = &live["data"]["S1"]["results"]["5m"];
    assert_eq!((&five["count"], &five["start_time"]), (&json!(7), &json!("2026-11-22T12:10:00Z")), "{live}");
    assert_eq!(live["data"]["S1"]["results"]["15m"]["suppressed"], true, "its other cells are small");
    let (_, places) = town.get(&own, PLACES).await;
    let site = &places["sites"][0];
    assert_eq!((&site["code"], &site["minutes"], &site["lanes"]), (&json!("S1"), &json!(5), &json!([1])), "{places}");
    let route = json!([{ "code": "R1", "from": "S1", "to": "S2", "shortest_s": 30, "longest_s": 300 }]);
    assert_eq!((places["sites"].as_array().unwrap().len(), &places["routes"]), (2, &route), "{places}");
    let text = live.to_string() + &devices.to_string() + &places.to_string();
    assert!(!text.contains("XYZ"), "no plate");
    let span = "from=2026-11-22T12:00:00Z&to=2026-11-22T13:00:00Z";
    let (_, stored) = town.get(&own, &format!("/api/v1/statistics/sites/S1/counts?{span}")).await;
    let counts: Vec<&Value> = stored["items"].as_array().unwrap().iter().map(|row| &row["count"]).collect();
    assert_eq!(counts, [&Value::Null, &Value::Null, &json!(7)], "{stored}");
    let (_, times) = town.get(&own, &format!("/api/v1/statistics/routes/R1/travel-times?{span}")).await;
    assert_eq!((&times["items"][0]["mean_s"], &times["items"][0]["sample"]), (&json!(60), &json!("5-9")), "{times}");
}

#[tokio::test]
async fn four_vehicles_are_nobodys_business() {
    let (town, _, _) = driven(4).await;
    let own = mobility(&town, "5340").await;
    let (_, live) = town.get(&own, LIVE).await;
    assert_eq!(live["data"]["S1"]["results"]["5m"]["suppressed"], true, "{live}");
    let response = town.send(Town::request(&own, Method::GET, MEASURED, None)).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    let span = "from=2026-11-22T12:00:00Z&to=2026-11-22T13:00:00Z";
    let (_, times) = town.get(&own, &format!("/api/v1/statistics/routes/R1/travel-times?{span}")).await;
    assert_eq!(times["items"], json!([]), "{times}");
}

fn share(camera: &Value, org: &str, right: &str) -> Value {
    json!({ "camera_ids": [camera["id"]], "partner_id": org, "rights": [right],
        "from": "2026-11-22T12:00:00Z", "to": "2027-11-22T11:00:00Z" })
}

#[tokio::test]
async fn others_see_what_is_shared_and_nothing_else() {
    let (town, one, two) = driven(7).await;
    let mobility = mobility(&town, "BM").await;
    let (status, devices) = town.get(&mobility, DEVICES).await;
    assert_eq!((status, &devices["features"]), (StatusCode::OK, &json!([])));
    let span = "from=2026-11-22T12:00:00Z&to=2026-11-22T13:00:00Z";
    let counts = format!("/api/v1/statistics/sites/S1/counts?{span}");
    assert_eq!(town.get(&mobility, &counts).await.0, StatusCode::NOT_FOUND);
    let (chief, org) = (town.person("chief").await, town.org("BM").await.to_string());
    for (camera, sites, routes) in [(&one, 1, StatusCode::NOT_FOUND), (&two, 2, StatusCode::OK)] {
        let (status, told) = town.post(&chief, "/api/v1/grants", share(camera, &org, "statistics.view")).await;
        assert_eq!(status, StatusCode::CREATED, "{told}");
        let (_, devices) = town.get(&mobility, DEVICES).await;
        assert_eq!(devices["features"].as_array().unwrap().len(), sites, "{devices}");
        let route = format!("/api/v1/statistics/routes/R1/travel-times?{span}");
        assert_eq!(town.get(&mobility, &route).await.0, routes);
    }
    assert_eq!(town.get(&mobility, &counts).await.0, StatusCode::OK);
    // Police operators have no statistics; the overseer has all.
    assert_eq!(town.get(&town.person("operator").await, LIVE).await.0, StatusCode::FORBIDDEN);
    let (_, all) = town.get(&town.person("overseer").await, DEVICES).await;
    assert_eq!(all["features"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn datex_answers_to_its_entity_tag_and_a_person_leaves_one_leaf_a_quarter() {
    let (town, _, _) = driven(7).await;
    let own = mobility(&town, "5340").await;
    let uses = || town.leaves().iter().filter(|leaf| leaf.ends_with("statistics.view")).count();
    let response = town.send(Town::request(&own, Method::GET, MEASURED, None)).await;
    let etag = response.headers()[header::ETAG].clone();
    let text = String::from_utf8(bytes_of(response).await.to_vec()).unwrap();
    assert!(text.contains("<com:vehicleFlowRate>84</com:vehicleFlowRate>"), "{text}");
    assert!(text.contains("<roa:duration>60</roa:duration>"), "{text}");
    for _ in 0..5 {
        town.clock.pass_s(10);
        let mut again = Town::request(&own, Method::GET, MEASURED, None);
        again.headers_mut().insert(header::IF_NONE_MATCH, etag.clone());
        assert_eq!(town.send(again).await.status(), StatusCode::NOT_MODIFIED);
    }
    assert_eq!(uses(), 1, "{:?}", town.leaves());
    // Somebody who asks every five minutes stays logged in, and leaves the next leaf after a quarter of an hour.
    for _ in 0..2 {
        town.clock.pass_s(300);
        assert_eq!(town.send(Town::request(&own, Method::GET, MEASURED, None)).await.status(), StatusCode::OK);
    }
    assert_eq!(uses(), 1, "{:?}", town.leaves());
    town.clock.pass_s(300);
    let again = town.send(Town::request(&own, Method::GET, MEASURED, None)).await;
    assert_eq!((again.status(), uses()), (StatusCode::OK, 2));
    let sites = town.send(Town::request(&own, Method::GET, "/api/v1/statistics/datex/sites", None)).await;
    let text = String::from_utf8(bytes_of(sites).await.to_vec()).unwrap();
    assert!(text.contains("MeasurementSiteTablePublication") && text.contains("route-R1"), "{text}");
    for (path, field) in [
        ("/api/v1/statistics/counts?request=all", "request"),
        ("/api/v1/statistics/counts?request=live&interval=7", "interval"),
        ("/api/v1/statistics/datex/measured?interval=0", "interval"),
        ("/api/v1/statistics/sites/S1/counts?from=2026-11-22T12:00:00Z&to=2027-11-22T13:00:00Z", "to"),
    ] {
        let (status, told) = answer(town.send(Town::request(&own, Method::GET, path, None)).await).await;
        assert_eq!((status, told["errors"][0]["field"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some(field)));
    }
}

/// A program of the mobility administration: a right of its own, and with it what its people see, no more and no less.
#[tokio::test]
async fn a_machine_gets_what_the_owner_shared_for_it_and_leaves_a_leaf_a_quarter_per_account() {
    let (town, one, two) = driven(7).await;
    town.account("mobilityjob", "BM", Profile::P24).await;
    let (person, job) = (mobility(&town, "BM").await, town.person("mobilityjob").await);
    let (chief, org) = (town.person("chief").await, town.org("BM").await.to_string());
    let places = async |who: &Person| {
        let (status, devices) = town.get(who, DEVICES).await;
        assert_eq!(status, StatusCode::OK, "{devices}");
        devices["features"].as_array().unwrap().len()
    };
    // What is shared for people is not shared for machines, and the other way round.
    for (right, seen) in [("statistics.view", [0, 2]), ("statistics.deliver", [2, 2])] {
        for camera in [&one, &two] {
            let (status, told) = town.post(&chief, "/api/v1/grants", share(camera, &org, right)).await;
            assert_eq!(status, StatusCode::CREATED, "{told}");
        }
        assert_eq!([places(&job).await, places(&person).await], seen, "{right}");
    }
    let span = "from=2026-11-22T12:00:00Z&to=2026-11-22T13:00:00Z";
    let counts = format!("/api/v1/statistics/sites/S1/counts?{span}");
    let times = format!("/api/v1/statistics/routes/R1/travel-times?{span}");
    for path in [PLACES, DEVICES, LIVE, &counts, &times] {
        let (status, told) = town.get(&job, path).await;
        assert_eq!((status, &told), (StatusCode::OK, &town.get(&person, path).await.1), "{path}");
    }
    assert_eq!(town.get(&job, LIVE).await.1["data"]["S1"]["results"]["15m"]["suppressed"], true);
    // A new token every ten minutes is a new session: the use goes on, and each request in it is decided again.
    let uses = |form: &str| {
        let entries = town.log.entries();
        let of = |details: &Value| details["right"] == "statistics.deliver" && details["object"] == form;
        entries.iter().filter(|entry| entry.kind.as_str() == "use" && of(&entry.details)).count()
    };
    for (seconds, wanted) in [(0, 1), (500, 1), (300, 1), (200, 2), (0, 2)] {
        town.clock.pass_s(seconds);
        let job = town.person("mobilityjob").await;
        assert_eq!(town.get(&job, LIVE).await.0, StatusCode::OK);
        assert_eq!(uses("statistics:live"), wanted, "{:?}", town.leaves());
    }
    // Another machine of the same organisation is somebody else.
    town.account("secondjob", "BM", Profile::P24).await;
    assert_eq!(town.get(&town.person("secondjob").await, LIVE).await.0, StatusCode::OK);
    assert_eq!(uses("statistics:live"), 3);
    // The commission suspends what 5340 shares: nothing is delivered any more.
    let stop = json!({ "step": "suspend", "reason": "klacht in onderzoek", "authority": "CC-2026-14" });
    let overseer = town.person("overseer").await;
    let (status, told) = town.post(&overseer, "/api/v1/flows/SHARE:5340:BM:*/switch", stop).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    let job = town.person("mobilityjob").await;
    assert_eq!(places(&job).await, 0);
    assert_eq!(town.get(&job, &counts).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn police_copies_feed_nothing() {
    let town = Town::settled().await;
    // An average-speed camera of a police zone: its copies are the police's.
    let camera = camera_of(&town, "C1", "trajectory").await;
    let (service, desk) = (service(&town), town.cases.extensions().statistics.clone().unwrap());
    desk.round(&town.cases).await.unwrap();
    town.clock.pass_s(600);
    let at = town.clock.now();
    let reads = (0..20).map(|number| read(&camera, number, at)).collect();
    town.clock.pass_s(2);
    assert!(service.take(reads).await.unwrap().copies > 0);
    assert_eq!(desk.round(&town.cases).await.unwrap().waiting, 0);
}
