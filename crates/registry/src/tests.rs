//! Client and stub together, over a real socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use traffic_rules::lez::{Lookup, NormSource};
use vms_core::{Country, Plate, Purpose, WallTime};

use crate::backoff::Backoff;
use crate::record::{AttemptFailure, ItemOutcome};
use crate::stub::{Quota, StubSettings, fleet, serve};
use crate::{
    Ask, AskEnd, ClientSettings, FlowBook, FlowId, FlowRefusal, HolderLookUp, HolderReply, LookUp, MemoryDayCache,
    Query, RegistryClient, RegistryError, RegistryPorts, Reply,
};

const NOON: WallTime = WallTime::from_secs(1_795_345_200);

#[derive(Debug, Default)]
struct Ports {
    ids: AtomicU64,
}

impl RegistryPorts for Ports {
    fn now(&self) -> WallTime {
        NOON
    }

    fn jitter(&self, _below: Duration) -> Duration {
        Duration::ZERO
    }

    fn request_id(&self) -> String {
        format!("req-{}", self.ids.fetch_add(1, Ordering::Relaxed))
    }
}

/// A server on a free port and a client for it; the server dies with the scene.
struct Scene {
    client: RegistryClient,
    base_url: String,
    _server: JoinSet<()>,
}

fn settings(address: SocketAddr) -> ClientSettings {
    ClientSettings {
        base_url: format!("http://{address}"),
        timeout: Duration::from_secs(20),
        attempts_max: 3,
        backoff: Backoff { first: Duration::from_millis(2), max: Duration::from_millis(10) },
        retry_after_max: Duration::from_secs(3),
        answer_bytes_max: 1 << 20,
    }
}

async fn scene(stub: StubSettings, change: impl FnOnce(&mut ClientSettings)) -> Scene {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = settings(listener.local_addr().unwrap());
    change(&mut client);
    let mut server = JoinSet::new();
    server.spawn(async move { serve(listener, stub).await.unwrap() });
    scene_of(client, server)
}

async fn scene_with(router: Router, change: impl FnOnce(&mut ClientSettings)) -> Scene {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = settings(listener.local_addr().unwrap());
    change(&mut client);
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, router).await.unwrap() });
    scene_of(client, server)
}

fn scene_of(settings: ClientSettings, server: JoinSet<()>) -> Scene {
    let base_url = settings.base_url.clone();
    let cache = Arc::new(MemoryDayCache::default());
    let client = RegistryClient::new(FlowBook::embedded().clone(), settings, Arc::new(Ports::default()), cache);
    Scene { client: client.unwrap(), base_url, _server: server }
}

impl Scene {
    async fn look_up(&self, queries: &[Query]) -> LookUp {
        let flow = FlowId::new("DS-LEZ-VEH");
        let ask = Ask { flow: &flow, institution: "brussel-fiscaliteit", purpose: Purpose::Lez, reason: "dec_7" };
        self.client.look_up(ask, queries).await.unwrap()
    }
}

fn query(text: &str) -> Query {
    Query { plate: Plate::parse(text).unwrap(), country: Country::BELGIUM, at: NOON }
}

fn fleet_queries(count: u32) -> Vec<Query> {
    let plates = (0..count).map(|index| fleet::plate(index).unwrap());
    plates.map(|plate| Query { plate, country: Country::BELGIUM, at: NOON }).collect()
}

#[tokio::test]
async fn a_look_up_goes_in_batches_of_at_most_500() {
    let scene = scene(StubSettings::default(), |_| {}).await;
    let found = scene.look_up(&fleet_queries(1_201)).await;
    let sizes: Vec<_> = found.asked.iter().map(|record| record.items.len()).collect();
    assert_eq!((sizes, found.failure), (vec![500, 500, 201], None));
    let vehicles = found.replies.iter().filter(|reply| matches!(reply, Reply::Answer(Lookup::Found { .. }))).count();
    let unknown = found.replies.iter().filter(|reply| **reply == Reply::Answer(Lookup::Unknown)).count();
    assert!(vehicles > 1_150 && unknown > 0 && vehicles + unknown == 1_201, "{vehicles} + {unknown}");
    let record = &found.asked[0];
    assert_eq!((record.request_id.as_str(), record.reason.as_str(), record.attempts), ("req-0", "dec_7", 1));
    assert_eq!((record.flow.as_str(), record.source.as_str(), record.purpose), ("DS-LEZ-VEH", "DIV/KBV", Purpose::Lez));
    assert!(record.end == AskEnd::Answered && record.items.iter().all(|item| item.outcome != ItemOutcome::None));
    assert!(!format!("{record:?}").contains(record.items[0].plate.reveal()));
}

#[tokio::test]
async fn a_plate_is_asked_once_a_day() {
    let scene = scene(StubSettings::default(), |_| {}).await;
    let later = Query { at: NOON.plus(Duration::from_secs(600)), ..query("1-ABC-123") };
    let next_day = Query { at: NOON.plus(Duration::from_secs(86_400)), ..query("1-ABC-123") };
    let first = scene.look_up(&[query("1-ABC-123"), later.clone()]).await;
    assert_eq!((first.asked[0].items.len(), first.from_cache), (1, 0));
    assert_eq!(first.replies[0], first.replies[1]);
    let second = scene.look_up(&[later, next_day]).await;
    assert_eq!((second.asked.len(), second.asked[0].items.len(), second.from_cache), (1, 1, 1));
    assert_eq!(second.replies[0], first.replies[0]);
}

#[tokio::test]
async fn another_purpose_is_refused_before_a_packet_leaves() {
    // Nothing listens there: a packet would show as a failure, not as a refusal.
    let scene = scene_of(settings("127.0.0.1:9".parse().unwrap()), JoinSet::new());
    let flow = FlowId::new("DS-LEZ-VEH");
    let ask = Ask { flow: &flow, institution: "brussel-fiscaliteit", purpose: Purpose::Zbt, reason: "x" };
    let error = scene.client.look_up(ask, &[query("1ABC123")]).await.unwrap_err();
    let RegistryError::Refused(FlowRefusal::Purpose { serves, asked, .. }) = error else { panic!("{error:?}") };
    assert_eq!((serves, asked), (Purpose::Lez, Purpose::Zbt));
}

#[tokio::test]
async fn the_stub_refuses_what_a_bad_client_sends() {
    let scene = scene(StubSettings::default(), |_| {}).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let item = r#"{"plate":"1ABC123","country":"B","at":"2026-11-22T12:00:00Z"}"#;
    let body = |purpose: &str, count: usize| {
        format!(r#"{{"request_id":"r","purpose":"{purpose}","items":[{}]}}"#, vec![item; count].join(","))
    };
    for (flow, body, status, kind) in [
        ("DS-LEZ-VEH", body("ZBT", 1), 403, "purpose"),
        ("DS-LEZ-VEH", body("FUN", 1), 403, "purpose"),
        ("DS-LEZ-HOLDER", body("LEZ", 1), 403, "question"),
        ("DS-EUCARIS", body("LEZ", 1), 403, "disabled"),
        ("DS-NONE", body("LEZ", 1), 404, "flow"),
        ("DS-LEZ-VEH", body("LEZ", 501), 413, "batch"),
        ("DS-LEZ-VEH", body("LEZ", 0), 400, "request"),
        ("DS-LEZ-VEH", "nonsense".to_owned(), 400, "request"),
    ] {
        let url = format!("{}/v1/flows/{flow}/vehicles:batch", scene.base_url);
        let response = http.post(url).body(body).send().await.unwrap();
        assert_eq!(response.status(), status, "{flow} {kind}");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let problem: serde_json::Value = response.json().await.unwrap();
        assert_eq!(problem["type"], format!("urn:belfry:registry:{kind}"));
    }
    let url = format!("{}/v1/flows/DS-LEZ-VEH/vehicles:batch", scene.base_url);
    let response = http.post(url).body(body("LEZ", 500)).send().await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn a_used_up_quota_is_waited_for() {
    let quota = Some(Quota { requests: 1, per: Duration::from_millis(900) });
    let scene = scene(StubSettings { quota, ..StubSettings::default() }, |_| {}).await;
    let found = scene.look_up(&fleet_queries(501)).await;
    assert_eq!(found.failure, None);
    assert_eq!(found.asked.iter().map(|record| record.attempts).collect::<Vec<_>>(), [1, 2]);
    assert!(found.replies.iter().all(|reply| matches!(reply, Reply::Answer(_))));
}

#[tokio::test]
async fn a_long_quota_ends_the_look_up_with_what_it_has() {
    let quota = Some(Quota { requests: 1, per: Duration::from_secs(3_600) });
    let scene = scene(StubSettings { quota, ..StubSettings::default() }, |_| {}).await;
    let found = scene.look_up(&fleet_queries(1_100)).await;
    let Some(AskEnd::GaveUp { last: AttemptFailure::Quota { retry_after_s: Some(wait) } }) = found.failure else {
        panic!("{:?}", found.failure)
    };
    assert!(wait > 3_000);
    assert_eq!(found.asked.len(), 2, "the third batch should not have left");
    assert!(found.replies[..500].iter().all(|reply| matches!(reply, Reply::Answer(_))));
    assert!(found.replies[500..].iter().all(|reply| *reply == Reply::Unanswered));
}

#[tokio::test]
async fn no_answer_in_time_is_a_timeout() {
    let stub = StubSettings { delay: Duration::from_secs(60), ..StubSettings::default() };
    let scene = scene(stub, |client| client.timeout = Duration::from_millis(100)).await;
    let found = scene.look_up(&[query("1ABC123")]).await;
    assert_eq!(found.failure, Some(AskEnd::GaveUp { last: AttemptFailure::Timeout }));
    assert_eq!((found.asked[0].attempts, found.asked[0].items[0].outcome), (3, ItemOutcome::None));
}

#[tokio::test]
async fn errors_end_the_look_up_after_the_last_attempt() {
    let all = scene(StubSettings { error_ppm: 1_000_000, ..StubSettings::default() }, |_| {}).await;
    let found = all.look_up(&[query("1ABC123")]).await;
    assert_eq!(found.failure, Some(AskEnd::GaveUp { last: AttemptFailure::Server { status: 503 } }));
    assert_eq!(found.asked[0].attempts, 3);
    let half = scene(StubSettings { error_ppm: 500_000, ..StubSettings::default() }, |c| c.attempts_max = 30).await;
    let found = half.look_up(&fleet_queries(2_000)).await;
    assert_eq!(found.failure, None);
    assert!(found.asked.iter().any(|record| record.attempts > 1));
    let gone = scene_of(settings("127.0.0.1:9".parse().unwrap()), JoinSet::new());
    let found = gone.look_up(&[query("1ABC123")]).await;
    assert_eq!(found.failure, Some(AskEnd::GaveUp { last: AttemptFailure::Connection }));
}

#[tokio::test]
async fn refusals_and_garbage_from_the_other_side() {
    let path = "/v1/flows/{flow}/vehicles:batch";
    let forbidden = Router::new().route(path, post(|| async { axum::http::StatusCode::FORBIDDEN }));
    let found = scene_with(forbidden, |_| {}).await.look_up(&[query("1ABC123")]).await;
    assert_eq!((found.asked[0].attempts, found.failure), (1, Some(AskEnd::Refused { status: 403 })));
    for body in ["", "[]", r#"{"request_id":"another","answers":[]}"#] {
        let garbage = Router::new().route(path, post(move || async move { body }));
        let found = scene_with(garbage, |_| {}).await.look_up(&[query("1ABC123")]).await;
        assert_eq!(found.failure, Some(AskEnd::GaveUp { last: AttemptFailure::Garbled }), "{body}");
    }
    let long = Router::new().route(path, post(|| async { "x".repeat(2_000) }));
    let found = scene_with(long, |client| client.answer_bytes_max = 1_000).await.look_up(&[query("1ABC123")]).await;
    assert_eq!(found.failure, Some(AskEnd::GaveUp { last: AttemptFailure::Garbled }));
}

#[tokio::test]
async fn one_bad_item_does_not_lose_the_others() {
    async fn answer(body: String) -> String {
        let request: serde_json::Value = serde_json::from_str(&body).unwrap();
        let item = |index: usize, state: &str, vehicle: &str| {
            let asked = &request["items"][index];
            let (plate, country, at) = (&asked["plate"], &asked["country"], &asked["at"]);
            format!(r#"{{"plate":{plate},"country":{country},"at":{at},"state":"{state}"{vehicle}}}"#)
        };
        let good = item(0, "found", r#","vehicle":{"category":"M1","euro_norm":"5"}"#);
        let bad = item(1, "found", r#","vehicle":{"ref_mass_kg":"heavy"}"#);
        let empty = item(2, "found", "");
        let stranger = good.replace("1AAA111", "1ZZZ999");
        format!(r#"{{"request_id":{},"answers":[{good},{bad},{empty},{stranger},7]}}"#, request["request_id"])
    }
    let router = Router::new().route("/v1/flows/{flow}/vehicles:batch", post(answer));
    let scene = scene_with(router, |_| {}).await;
    let found = scene.look_up(&[query("1AAA111"), query("1AAA112"), query("1AAA113"), query("1AAA114")]).await;
    let outcomes: Vec<_> = found.asked[0].items.iter().map(|item| item.outcome).collect();
    assert_eq!(outcomes, [ItemOutcome::Found, ItemOutcome::Malformed, ItemOutcome::Malformed, ItemOutcome::None]);
    let Reply::Answer(Lookup::Found { vehicle }) = &found.replies[0] else { panic!("{:?}", found.replies[0]) };
    assert_eq!(vehicle.euro_norm.as_ref().unwrap().source, NormSource::Derived);
    assert_eq!(found.replies[1..], [Reply::Unusable, Reply::Unusable, Reply::Unanswered]);
}

#[tokio::test]
async fn plates_of_other_countries_are_not_asked() {
    let scene = scene(StubSettings::default(), |_| {}).await;
    let foreign = |text: &str, sign: &str| Query { country: Country::parse(sign).unwrap(), ..query(text) };
    let found = scene.look_up(&[foreign("AB123CD", "F"), query("1ABC123")]).await;
    assert_eq!(found.replies[0], Reply::Answer(Lookup::NotAsked));
    assert_eq!(found.asked[0].items.len(), 1);
    let flow = FlowId::new("DS-RDW");
    let ask = Ask { flow: &flow, institution: "brussel-fiscaliteit", purpose: Purpose::Lez, reason: "x" };
    let found = scene.client.look_up(ask, &[foreign("12ABC3", "NL"), query("1ABC123")]).await.unwrap();
    assert!(matches!(found.replies[0], Reply::Answer(Lookup::Found { .. })));
    assert_eq!(found.replies[1], Reply::Answer(Lookup::NotAsked));
}

#[tokio::test]
async fn the_fleet_file_says_the_truth() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.jsonl");
    let rows = [
        r#"{"plate":"1-XYZ-789","country":"B","category":"M1","fuels":["diesel"],"euro_norm":"4","first_registration":"2009-03-02"}"#,
        r#"{"plate":"1-XYZ-790","country":"B","known":false}"#,
    ];
    std::fs::write(&path, rows.join("\n")).unwrap();
    let only = StubSettings { fleet_file: Some(path.clone()), only_fleet_file: true, ..StubSettings::default() };
    let beyond = scene(only, |_| {}).await.look_up(&fleet_queries(20)).await;
    assert!(beyond.replies.iter().all(|reply| *reply == Reply::Answer(Lookup::Unknown)));
    let scene = scene(StubSettings { fleet_file: Some(path), ..StubSettings::default() }, |_| {}).await;
    let found = scene.look_up(&[query("1XYZ789"), query("1XYZ790")]).await;
    let Reply::Answer(Lookup::Found { vehicle }) = &found.replies[0] else { panic!("{:?}", found.replies[0]) };
    let norm = vehicle.euro_norm.as_ref().unwrap();
    assert_eq!((norm.text.as_str(), norm.source), ("4", NormSource::Certificate));
    assert_eq!((vehicle.category.as_deref(), vehicle.fuels[0].as_str()), (Some("M1"), "diesel"));
    assert_eq!(found.replies[1], Reply::Answer(Lookup::Unknown));
}

#[tokio::test]
async fn late_changed_and_contradictory_answers() {
    let pending =
        StubSettings { pending_ppm: 1_000_000, pending_for: Duration::from_secs(86_400), ..StubSettings::default() };
    let scene_pending = scene(pending, |_| {}).await;
    for _ in 0..2 {
        // A late answer is not kept: it is asked again.
        let found = scene_pending.look_up(&[query("1ABC123")]).await;
        assert_eq!((found.replies[0].clone(), found.asked.len()), (Reply::Pending, 1));
    }
    let twice = scene(StubSettings { contradictory_ppm: 1_000_000, ..StubSettings::default() }, |_| {}).await;
    let found = twice.look_up(&[query("1ABC123")]).await;
    assert_eq!(
        (found.replies[0].clone(), found.asked[0].items[0].outcome),
        (Reply::Unusable, ItemOutcome::Contradictory)
    );
    let changed = scene(StubSettings { changed_ppm: 1_000_000, ..StubSettings::default() }, |_| {}).await;
    let next_day = Query { at: NOON.plus(Duration::from_secs(86_400)), ..query("1ABC123") };
    let first = changed.look_up(&[query("1ABC123")]).await;
    let second = changed.look_up(&[next_day]).await;
    assert_ne!(first.replies, second.replies);
    let again = changed.look_up(&[query("1ABC123")]).await;
    assert_eq!((again.replies, again.from_cache), (first.replies, 1), "the kept answer should stay");
}

#[tokio::test]
async fn a_new_holder_starts_a_new_registration_of_the_same_vehicle() {
    let scene = scene(StubSettings { new_holder_ppm: 1_000_000, ..StubSettings::default() }, |_| {}).await;
    // Noon of 1 and 2 March 2026 in Brussels.
    let on = |seconds: i64| Query { at: WallTime::from_secs(seconds), ..query(fleet::plate(31).unwrap().reveal()) };
    let found = scene.look_up(&[on(1_772_362_800), on(1_772_449_200)]).await;
    let vehicle = |at: usize| {
        let Reply::Answer(Lookup::Found { vehicle }) = &found.replies[at] else { panic!("{:?}", found.replies[at]) };
        (**vehicle).clone()
    };
    let (before, after) = (vehicle(0), vehicle(1));
    assert_eq!(before.vehicle_key, after.vehicle_key);
    assert_eq!(before.registration_to, Some("2026-03-01".parse().unwrap()));
    assert_eq!(after.registration_from, Some("2026-03-02".parse().unwrap()));
}

impl Scene {
    async fn holders(&self, on_behalf_of: &str, queries: &[Query]) -> HolderLookUp {
        let flow = FlowId::new("DS-ZBT-HOLDER");
        let ask = Ask { flow: &flow, institution: "municipality", purpose: Purpose::Zbt, reason: "dec_9" };
        self.client.holders(ask, on_behalf_of, queries).await.unwrap()
    }
}

#[tokio::test]
async fn holders_go_by_their_own_flow_on_behalf_of_one_municipality() {
    let scene = scene(StubSettings { new_holder_ppm: 1_000_000, ..StubSettings::default() }, |_| {}).await;
    let mut queries = fleet_queries(601);
    queries.push(queries[3].clone());
    queries.push(Query { at: WallTime::from_secs(1_767_000_000), ..queries[3].clone() });
    queries.push(Query { country: Country::parse("F").unwrap(), ..query("AA123BB") });
    let found = scene.holders("ELSENE", &queries).await;
    let sizes: Vec<_> = found.asked.iter().map(|record| record.items.len()).collect();
    assert_eq!(sizes, [500, 102], "equal plates at equal instants once; the French one not at all");
    let record = &found.asked[1];
    assert_eq!(
        (record.flow.as_str(), record.institution.as_str(), record.purpose, record.reason.as_str()),
        ("DS-ZBT-HOLDER", "municipality:ELSENE", Purpose::Zbt, "dec_9")
    );
    assert_eq!(found.replies.last().unwrap(), &(HolderReply::NotAsked, None));
    assert_eq!(found.replies[3], found.replies[601]);
    let known = found.replies.iter().filter(|(reply, _)| matches!(reply, HolderReply::Found(_))).count();
    assert!(known > 500, "{known}");
    // The holder at the instant of the read, not today's.
    let at = |place: usize| {
        let HolderReply::Found(holder) = &found.replies[place].0 else { panic!("{:?}", found.replies[place].0) };
        holder.id.clone()
    };
    assert_ne!(at(3), at(602), "another holder since March");
    assert_eq!(found.replies[3].1.as_deref(), Some("req-0"));
    assert!(!format!("{found:?}").contains(&at(3)), "hidden where it is shown to developers");

    // The same flow for something else, or another flow for this: nothing leaves.
    for (flow, institution, purpose) in [
        ("DS-LEZ-HOLDER", "brussel-fiscaliteit", Purpose::Zbt),
        ("DS-ZBT-HOLDER", "brussel-fiscaliteit", Purpose::Zbt),
        ("DS-ZBT-HOLDER", "municipality", Purpose::Lez),
        ("DS-TRJ-HOLDER", "police-zone", Purpose::Trajectory),
        ("DS-ZBT-RR", "municipality", Purpose::Zbt),
    ] {
        let flow = FlowId::new(flow);
        let ask = Ask { flow: &flow, institution, purpose, reason: "dec_9" };
        let refused = scene.client.holders(ask, "ELSENE", &queries[..1]).await;
        assert!(matches!(refused, Err(RegistryError::Refused(_))), "{flow} {institution}");
    }
    // The integrator says no to a question that does not say for whom, and to holders by the flow for vehicles.
    let silent = scene.holders("", &queries[..1]).await;
    assert_eq!(silent.asked[0].end, AskEnd::Refused { status: 403 });
    assert_eq!(silent.replies[0].0, HolderReply::Unanswered);
}

#[tokio::test]
async fn holders_that_contradict_wait_or_exceed_a_quota_are_told_apart() {
    let queries = fleet_queries(40);
    let all = async |stub: StubSettings| {
        let scene = scene(stub, |settings| settings.retry_after_max = Duration::ZERO).await;
        scene.holders("ELSENE", &queries).await
    };
    let two = all(StubSettings { contradictory_ppm: 1_000_000, ..StubSettings::default() }).await;
    assert!(two.replies.iter().any(|(reply, _)| *reply == HolderReply::Unusable));
    assert!(!two.replies.iter().any(|(reply, _)| matches!(reply, HolderReply::Found(_))));
    let pending =
        StubSettings { pending_ppm: 1_000_000, pending_for: Duration::from_secs(60), ..StubSettings::default() };
    assert!(all(pending).await.replies.iter().all(|(reply, _)| *reply == HolderReply::Pending));
    let quota = Some(Quota { requests: 0, per: Duration::from_secs(3_600) });
    let refused = all(StubSettings { quota, ..StubSettings::default() }).await;
    assert!(matches!(refused.asked[0].end, AskEnd::GaveUp { last: AttemptFailure::Quota { .. } }));
    assert!(refused.replies.iter().all(|(reply, _)| *reply == HolderReply::Unanswered));
    // A source that says more than it was asked gets nothing stored.
    let chatty = |axum::Json(body): axum::Json<serde_json::Value>| async move {
        let item = body["items"][0].clone();
        let vehicle = serde_json::json!({ "category": "M1" });
        let holder = serde_json::json!({ "id": "P-1", "kind": "person" });
        let answer = serde_json::json!({ "plate": item["plate"], "country": item["country"], "at": item["at"],
            "state": "found", "vehicle": vehicle, "holder": holder });
        axum::Json(serde_json::json!({ "request_id": body["request_id"], "answers": [answer] }))
    };
    let router = Router::new()
        .route("/v1/flows/{flow}/holders:batch", post(chatty))
        .route("/v1/flows/{flow}/vehicles:batch", post(chatty));
    let scene = scene_with(router, |_| {}).await;
    assert_eq!(scene.holders("ELSENE", &queries[..1]).await.replies[0].0, HolderReply::Unusable);
    assert_eq!(scene.look_up(&queries[..1]).await.replies[0], Reply::Unusable);
}
