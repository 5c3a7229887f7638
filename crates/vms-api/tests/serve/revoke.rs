//! A5: an owner takes a share back while 500 live streams run under it; the commission's switch does the same.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use vms_core::Profile;

use crate::live::{Socket, dial, listen, text, wish};
use crate::sharing::tickets;
use crate::town::{Person, Town, stream_of};

const PEOPLE: usize = 20;
const STREAMS_EACH: usize = 25;

fn why() -> Value {
    json!({ "code": "INTERVENTIE", "justification": "achtervolging over de zonegrens" })
}

struct Stage {
    town: Town,
    camera: Value,
    partners: Vec<Person>,
    grant: String,
}

async fn stage() -> Stage {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let share = json!({ "camera_ids": [camera["id"]], "partner_id": town.org("5339").await.to_string(),
        "rights": ["live"], "purpose": "INTERVENTIE", "from": "2026-11-22T11:00:00Z", "to": "2027-11-22T11:00:00Z" });
    let chief = town.person("chief").await;
    let (status, given) = town.post(&chief, "/api/v1/grants", share.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{given}");
    let past = json!({ "rights": ["playback"] });
    let mut share = share;
    share["rights"] = past["rights"].clone();
    assert_eq!(town.post(&chief, "/api/v1/grants", share).await.0, StatusCode::CREATED);
    let mut partners = Vec::new();
    for n in 0..PEOPLE {
        let user = format!("partner{n}");
        town.account(&user, "5339", Profile::P01).await;
        partners.push(town.person(&user).await);
    }
    let grant = given["ids"][0].as_str().unwrap().to_owned();
    Stage { town, camera, partners, grant }
}

/// Opens the streams; each socket is really open.
async fn open(stage: &Stage, each: usize) -> Vec<Socket> {
    let address = listen(&stage.town).await;
    let own = format!("http://{address}");
    let mut sockets = Vec::new();
    for person in &stage.partners {
        for _ in 0..each {
            let body = wish(stream_of(&stage.camera, "main"), why());
            let (status, ticket) = stage.town.post(person, "/api/v1/stream-tickets", body).await;
            assert_eq!(status, StatusCode::OK, "{ticket}");
            sockets.push(dial(address, person, ticket["ticket"].as_str().unwrap(), Some(&own)).await.unwrap());
        }
    }
    sockets
}

#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn tick() -> Instant {
    Instant::now()
}

/// The time from `started` at which each socket was told its end; every one must say why.
async fn ends(sockets: Vec<Socket>, started: Instant) -> Vec<Duration> {
    let one = async |mut socket: Socket| {
        assert_eq!(text(&mut socket).await, json!({ "t": "end", "why": "revoked" }));
        started.elapsed()
    };
    join_all(sockets.into_iter().map(one)).await
}

/// Every running stream ends, and a new request is refused by the very next answer. Returns (last stream, refusal).
async fn revoke(stage: Stage, each: usize) -> (usize, Duration, Duration) {
    let Stage { town, camera, partners, grant } = &stage;
    let sockets = open(&stage, each).await;
    let count = sockets.len();
    let chief = town.person("chief").await;
    let started = tick();
    let request = Town::request(&chief, Method::DELETE, &format!("/api/v1/grants/{grant}"), None);
    let (answer, refused, ended) = tokio::join!(
        town.send(request),
        async {
            let stranger = partners.first().unwrap();
            while tickets(town, stranger, camera, why()).await.0 == 200 {}
            started.elapsed()
        },
        ends(sockets, started),
    );
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    for person in partners {
        // The camera stays in its list: its past is still shared.
        assert_eq!(tickets(town, person, camera, why()).await, (403, "not_in_table".to_owned()));
    }
    let leaves = town.leaves();
    assert!(leaves.iter().any(|leaf| leaf == "change grant_taken_back"));
    (count, ended.into_iter().max().unwrap(), refused)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_streams_end_when_the_share_does() {
    let (count, last, refused) = revoke(stage().await, STREAMS_EACH).await;
    assert_eq!(count, 500);
    println!(
        "A5: {count} live streams: the last one was told its end after {last:?}; a new request was refused after {refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commissions_switch_ends_them_too_and_playbacks_at_their_next_part() {
    let stage = stage().await;
    let Stage { town, camera, partners, .. } = &stage;
    let person = partners.first().unwrap();
    let span = json!({ "stream_id": stream_of(camera, "main").to_string(), "from": "2026-11-22T11:00:00Z",
        "to": "2026-11-22T11:05:00Z", "purpose": why() });
    let (status, ticket) = town.post(person, "/api/v1/playback-tickets", span).await;
    assert_eq!(status, StatusCode::OK, "{ticket}");
    let url = ticket["url"].as_str().unwrap();
    let part = async || {
        let mut request = Town::request(person, Method::GET, url, None);
        request.headers_mut().insert("range", "bytes=0-9".parse().unwrap());
        // The head goes out before the bytes are asked for: what counts is whether bytes come.
        let body = town.send(request).await.into_body();
        axum::body::to_bytes(body, 1 << 16).await.is_ok_and(|bytes| bytes.len() == 10)
    };
    assert!(part().await);
    let sockets = open(&stage, 2).await;
    let overseer = town.person("overseer").await;
    let body = json!({ "step": "suspend", "reason": "klacht in onderzoek", "authority": "CC-2026-14" });
    let started = tick();
    let path = "/api/v1/flows/SHARE:5340:5339:INTERVENTIE/switch";
    let (answer, ended) = tokio::join!(town.post(&overseer, path, body), ends(sockets, started));
    assert_eq!(answer.0, StatusCode::OK, "{}", answer.1);
    let last = ended.into_iter().max().unwrap();
    println!("the commission's switch: the last of {} streams was told its end after {last:?}", PEOPLE * 2);
    // A playback is decided again 5 s after its last decision: its next part is none.
    town.clock.pass_s(5);
    assert!(!part().await);
}
