use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use vms_app::fakes::MediaCall;
use vms_app::ports::{LiveEvent, MediaSource};
use vms_app::words::{Cause, Phase};
use vms_core::{Rendition, WallTime};

use crate::town::{Person, Town, stream_of};

pub(crate) type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// Longest wait for anything in these tests.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn listen(town: &Town) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = town.router.clone().into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

pub(crate) async fn dial(
    address: SocketAddr,
    person: &Person,
    ticket: &str,
    origin: Option<&str>,
) -> Result<Socket, StatusCode> {
    dial_at(address, "/api/v1/live", person, ticket, origin).await
}

/// The same at any address.
async fn dial_at(
    address: SocketAddr,
    path: &str,
    person: &Person,
    ticket: &str,
    origin: Option<&str>,
) -> Result<Socket, StatusCode> {
    let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert(header::COOKIE, person.cookie.parse().unwrap());
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, format!("vms.fmp4.v1, ticket.{ticket}").parse().unwrap());
    if let Some(origin) = origin {
        headers.insert(header::ORIGIN, origin.parse().unwrap());
    }
    match tokio_tungstenite::connect_async(request).await {
        Ok((socket, response)) => {
            assert_eq!(
                response.headers()[header::SEC_WEBSOCKET_PROTOCOL],
                "vms.fmp4.v1",
                "the ticket is not said again"
            );
            Ok(socket)
        }
        Err(WsError::Http(response)) => Err(response.status()),
        Err(other) => panic!("{other}"),
    }
}

pub(crate) async fn text(socket: &mut Socket) -> Value {
    loop {
        match tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) | Message::Pong(_) => {}
            odd @ (Message::Binary(_) | Message::Close(_) | Message::Frame(_)) => panic!("{odd:?}"),
        }
    }
}

async fn binary(socket: &mut Socket) -> Bytes {
    loop {
        match tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap() {
            Message::Binary(bytes) => return bytes,
            Message::Ping(_) | Message::Pong(_) => {}
            odd @ (Message::Text(_) | Message::Close(_) | Message::Frame(_)) => panic!("{odd:?}"),
        }
    }
}

async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    found.await.expect("it should happen in time")
}

pub(crate) fn wish(stream: impl std::fmt::Display, purpose: Value) -> Value {
    json!({ "stream_id": stream.to_string(), "kind": "live", "rendition": "original", "purpose": purpose })
}

fn init() -> LiveEvent {
    LiveEvent::Init {
        init: 1,
        mime: "video/mp4; codecs=\"avc1.640028\"".to_owned(),
        width: 640,
        height: 360,
        bytes: Bytes::from_static(b"ftypmoov"),
    }
}

fn frame(seq: u64, is_key: bool) -> LiveEvent {
    LiveEvent::Frame {
        is_key,
        discontinuity: false,
        init: 1,
        seq,
        captured_at: WallTime::from_secs(1_795_000_000),
        bytes: Bytes::from_static(b"moofmdat"),
    }
}

fn last_close(town: &Town) -> Option<Value> {
    let entries = town.log.entries();
    entries.iter().rev().find(|entry| entry.kind.as_str() == "close").map(|entry| entry.details.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_opens_one_socket_and_frames_arrive() {
    let town = Town::settled().await;
    let address = listen(&town).await;
    let camera = town.camera("C1").await;
    let stream = stream_of(&camera, "sub");
    let (operator, chief) = (town.person("operator").await, town.person("chief").await);
    let own = format!("http://{address}");
    let (status, ticket) = town.post(&operator, "/api/v1/stream-tickets", wish(stream, Value::Null)).await;
    assert_eq!(status, StatusCode::OK, "{ticket}");
    let text_of = |ticket: &Value| ticket["ticket"].as_str().unwrap().to_owned();
    let ticket = text_of(&ticket);
    for (origin, who, wanted) in
        [(None, &operator, StatusCode::FORBIDDEN), (Some("https://evil.example"), &operator, StatusCode::FORBIDDEN)]
    {
        assert_eq!(dial(address, who, &ticket, origin).await.unwrap_err(), wanted);
    }
    // In an address it opens nothing, also beside the right place, and is not used up by that.
    for path in [format!("/api/v1/live?ticket={ticket}"), "/api/v1/live?x=1".to_owned()] {
        for said in [ticket.as_str(), ""] {
            let refused = dial_at(address, &path, &operator, said, Some(&own)).await.unwrap_err();
            assert_eq!(refused, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        }
    }
    let mut socket = dial(address, &operator, &ticket, Some(&own)).await.unwrap();
    assert_eq!(dial(address, &operator, &ticket, Some(&own)).await.unwrap_err(), StatusCode::NOT_FOUND, "one use");
    let calls = town.media.calls();
    assert!(
        matches!(&calls[0], MediaCall::OpenLive(MediaSource::Recorder, found, Rendition::Original, _) if *found == stream)
    );

    let feed = town.media.feed().unwrap();
    feed.send(LiveEvent::State { phase: Phase::Waiting, cause: Some(Cause::Unreachable) }).await.unwrap();
    assert_eq!(text(&mut socket).await, json!({ "t": "state", "phase": "waiting", "cause": "unreachable" }));
    feed.send(init()).await.unwrap();
    let told = text(&mut socket).await;
    assert_eq!((&told["t"], &told["width"], &told["init"]), (&json!("init"), &json!(640), &json!(1)));
    assert_eq!(binary(&mut socket).await, "ftypmoov");
    for seq in 0..3 {
        feed.send(frame(seq, seq == 0)).await.unwrap();
        let bytes = binary(&mut socket).await;
        assert_eq!(bytes.len(), 32 + 8);
        assert_eq!(
            (bytes[0], bytes[1], bytes[15], &bytes[32..]),
            (u8::from(seq == 0), 1, u8::try_from(seq).unwrap(), &b"moofmdat"[..])
        );
    }
    socket.close(None).await.unwrap();
    let closing = until(|| last_close(&town)).await;
    assert_eq!((&closing["units"], &closing["bytes"], &closing["ended"]), (&json!(3), &json!(24), &json!("stopped")));

    let (_, stolen) = town.post(&operator, "/api/v1/stream-tickets", wish(stream, Value::Null)).await;
    assert_eq!(
        dial(address, &chief, &text_of(&stolen), Some(&own)).await.unwrap_err(),
        StatusCode::NOT_FOUND,
        "another session's"
    );
    let (_, late) = town.post(&operator, "/api/v1/stream-tickets", wish(stream, Value::Null)).await;
    town.clock.pass_s(30);
    assert_eq!(
        dial(address, &operator, &text_of(&late), Some(&own)).await.unwrap_err(),
        StatusCode::NOT_FOUND,
        "too late"
    );
    let (_, unused) = town.post(&operator, "/api/v1/stream-tickets", wish(stream, Value::Null)).await;
    town.clock.pass_s(30);
    town.cases.housekeeping().await.unwrap();
    assert_eq!(last_close(&town).unwrap()["ended"], "ticket_unused");
    drop(unused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_end_when_the_camera_the_session_or_the_grant_does() {
    let town = Town::settled().await;
    let address = listen(&town).await;
    let own = format!("http://{address}");
    let open = async |person: &Person, camera: &Value, purpose: Value| {
        let (status, ticket) =
            town.post(person, "/api/v1/stream-tickets", wish(stream_of(camera, "main"), purpose)).await;
        assert_eq!(status, StatusCode::OK, "{ticket}");
        dial(address, person, ticket["ticket"].as_str().unwrap(), Some(&own)).await.unwrap()
    };
    let (operator, chief) = (town.person("operator").await, town.person("chief").await);
    let camera = town.camera("C1").await;

    let mut socket = open(&operator, &camera, Value::Null).await;
    town.post(&operator, "/api/v1/logout", json!({})).await;
    assert_eq!(text(&mut socket).await, json!({ "t": "end", "why": "revoked" }));

    let operator = town.person("operator").await;
    let mut socket = open(&operator, &camera, Value::Null).await;
    town.post(&chief, &format!("/api/v1/cameras/{}/retire", camera["id"].as_str().unwrap()), json!({})).await;
    assert_eq!(text(&mut socket).await, json!({ "t": "end", "why": "camera_gone" }));

    let shared = town.camera("C2").await;
    let stranger = town.person("stranger").await;
    let path = "/api/v1/stream-tickets";
    let bare = wish(stream_of(&shared, "main"), Value::Null);
    assert_eq!(town.post(&stranger, path, bare.clone()).await.0, StatusCode::NOT_FOUND);
    let now = vms_app::ports::Clock::now(town.clock.as_ref());
    let grant = vms_app::grants::GrantWish {
        camera: shared["id"].as_str().unwrap().parse().unwrap(),
        partner: town.org("5339").await,
        profile: None,
        right: vms_core::Right::Live,
        purpose: None,
        period: vms_core::TimeRange::new(now, now.plus(Duration::from_secs(86_400))).unwrap(),
    };
    let owner = town.cases.actor_of_command_line("chief").await.unwrap();
    let foreign = town.cases.actor_of_command_line("foreignchief").await.unwrap();
    assert!(town.cases.grant_give(&foreign, grant.clone()).await.is_err(), "only the owner gives");
    let grant = town.cases.grant_give(&owner, grant).await.unwrap();
    let (status, problem) = town.post(&stranger, path, bare).await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("purpose_required")));
    let (_, view) = town.get(&stranger, &format!("/api/v1/cameras/{}", shared["id"].as_str().unwrap())).await;
    assert_eq!((&view["relation"], &view["needs"]["live"]), (&json!("shared"), &json!(["purpose", "justification"])));
    assert_eq!(view["may"]["playback"], false, "only what was granted");
    let purpose = json!({ "code": "INTERVENTIE", "justification": "achtervolging over de zonegrens" });
    let mut socket = open(&stranger, &shared, purpose).await;
    let feed = town.media.feed().unwrap();
    feed.send(init()).await.unwrap();
    assert_eq!(text(&mut socket).await["t"], "init");
    binary(&mut socket).await;
    town.cases.grant_take_back(&owner, grant.id).await.unwrap();
    assert_eq!(text(&mut socket).await, json!({ "t": "end", "why": "revoked" }));
    assert!(town.media.calls().iter().any(|call| matches!(call, MediaCall::Revoke(_))));
}

/// A browser that is busy reads late: it answers a ping after the server has said all, and must still learn why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_who_reads_late_still_reads_why() {
    let town = Town::settled().await;
    let address = listen(&town).await;
    let operator = town.person("operator").await;
    let stream = stream_of(&town.camera("C1").await, "main");
    let (_, ticket) = town.post(&operator, "/api/v1/stream-tickets", wish(stream, Value::Null)).await;
    let own = format!("http://{address}");
    let mut socket = dial(address, &operator, ticket["ticket"].as_str().unwrap(), Some(&own)).await.unwrap();
    town.post(&operator, "/api/v1/logout", json!({})).await;
    until(|| last_close(&town).filter(|close| close["ended"] == "revoked")).await;
    for n in 0..3 {
        let said = socket.send(Message::Pong(Bytes::new())).await;
        assert!(said.is_ok(), "pong {n}: {said:?}");
    }
    assert_eq!(text(&mut socket).await, json!({ "t": "end", "why": "revoked" }));
    let close = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap();
    assert!(matches!(close, Some(Ok(Message::Close(Some(_))))), "{close:?}");
    // Its answer to the close ends the connection: nothing is held for it.
    let end = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap();
    assert!(end.is_none(), "{end:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn running_streams_are_decided_again_every_five_seconds() {
    let town = Town::settled().await;
    let address = listen(&town).await;
    let camera = town.camera("C1").await;
    let operator = town.person("operator").await;
    let (_, ticket) =
        town.post(&operator, "/api/v1/stream-tickets", wish(stream_of(&camera, "main"), Value::Null)).await;
    let own = format!("http://{address}");
    let mut socket = dial(address, &operator, ticket["ticket"].as_str().unwrap(), Some(&own)).await.unwrap();
    let renewed = || town.media.calls().iter().filter(|call| matches!(call, MediaCall::Renew(_))).count();
    until(|| (renewed() == 1).then_some(())).await;
    // The end of the session's life, which nobody announces.
    town.clock.pass_s(12 * 3_600);
    assert_eq!(text(&mut socket).await, json!({ "t": "end", "why": "revoked" }));
}

#[tokio::test]
async fn without_a_leaf_there_is_no_picture() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let supervisor = town.person("supervisor").await;
    town.log.set_broken(true);
    let stream = stream_of(&camera, "main");
    let (status, problem) = town.post(&supervisor, "/api/v1/stream-tickets", wish(stream, Value::Null)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("log_unavailable")));
    let span = json!({
        "stream_id": stream.to_string(), "from": "2026-11-22T11:00:00Z", "to": "2026-11-22T11:05:00Z",
        "purpose": { "code": "INTERVENTIE", "justification": "overval op de Grote Markt" },
    });
    let (status, problem) = town.post(&supervisor, "/api/v1/playback-tickets", span).await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("log_unavailable")));
    assert!(town.media.calls().is_empty());
    assert_eq!(town.log_in("operator", crate::town::PASSWORD).await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn events_reach_whoever_may_know_and_are_replayed() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let id: vms_core::CameraId = camera["id"].as_str().unwrap().parse().unwrap();
    let scope = vms_app::model::EventScope::Camera(id);
    let say = async |n: u8| {
        let data = json!({ "camera_id": id.to_string(), "phase": "live", "n": n });
        town.cases.events().publish(vms_app::words::EventKind::CameraHealth, scope, data).await;
    };
    say(1).await;
    say(2).await;
    let follow = async |person: &Person, last: Option<&str>| {
        let mut request = Town::request(person, http::Method::GET, "/api/v1/events", None);
        if let Some(last) = last {
            request.headers_mut().insert("last-event-id", last.parse().unwrap());
        }
        town.send(request).await.into_body().into_data_stream()
    };
    let (operator, stranger) = (town.person("operator").await, town.person("stranger").await);
    let session =
        async |person: &Person| town.cases.who(person.cookie.split_once('=').unwrap().1).await.unwrap().session.id;
    let (own, others) = (session(&operator).await, session(&stranger).await);
    let place = |session, id| town.cases.events().mark(session, id).unwrap();
    let mut behind = follow(&operator, Some(&place(own, 1))).await;
    let mut fresh = follow(&operator, None).await;
    let mut foreign = follow(&stranger, Some(&place(others, 0))).await;
    // Too far, somebody else's place, a bare number as it was once: all are told to load anew.
    let mut resets = Vec::new();
    for last in [place(own, 99), place(others, 1), "1".to_owned(), "x".to_owned()] {
        resets.push(follow(&operator, Some(&last)).await);
    }
    say(3).await;
    let next = async |stream: &mut axum::body::BodyDataStream| {
        let chunk = tokio::time::timeout(PATIENCE, stream.next()).await.unwrap().unwrap().unwrap();
        String::from_utf8(chunk.to_vec()).unwrap()
    };
    let seen = next(&mut behind).await;
    // Numbers are one sequence for everybody: a place says nothing of how much others saw.
    let mark = seen.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    assert_eq!((mark.len(), town.cases.events().place(own, &mark)), (48, Some(2)), "{seen}");
    assert!(seen.contains("\"n\":2") && seen.contains("event: camera.health"), "{seen}");
    assert!(next(&mut behind).await.contains("\"n\":3"));
    assert!(next(&mut fresh).await.contains("\"n\":3"));
    for reset in &mut resets {
        let told = next(reset).await;
        assert!(told.contains("event: reset"), "{told}");
    }
    assert!(
        next(&mut follow(&operator, Some(&mark)).await).await.contains("\"n\":3"),
        "a place is good for coming back"
    );
    town.post(&stranger, "/api/v1/logout", json!({})).await;
    let first = next(&mut foreign).await;
    assert!(first.contains("event: session") && first.contains("ended"), "the stranger sees only its own: {first}");
}
