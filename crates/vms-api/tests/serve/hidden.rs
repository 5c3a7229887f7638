//! A4: whoever may not know of a thing learns nothing of it. For every route and every media path the answer for "there, and not yours"
//! is byte for byte that for "not there": status, headers, length and text; only ids of requests and decisions differ.

use std::collections::BTreeMap;

use http::{Method, StatusCode, header};
use policy::{Matrix, Request};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use vms_api::table::{Access, Line, ROUTES};
use vms_core::{CameraId, DecisionId, ExportId, HoldId, Profile, ReadId, Relation, Right, StreamId, UserId};

use crate::live::listen;
use crate::town::{Person, Town, bytes_of, stream_of};
use crate::walk::{Things, concrete, stage};

/// What somebody gets to see of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    status: StatusCode,
    headers: Vec<(String, String)>,
    body: String,
}

/// The same things, none of which exists.
pub(crate) fn absent(things: &Things) -> Things {
    let mut camera = things.camera.clone();
    camera["id"] = json!(CameraId::from_bytes([0xee; 16]).to_string());
    for (number, stream) in camera["streams"].as_array_mut().unwrap().iter_mut().enumerate() {
        let number = u8::try_from(number).unwrap();
        stream["id"] = json!(StreamId::from_bytes([0xe0 + number; 16]).to_string());
    }
    Things {
        camera,
        playback: format!("{}.mp4", DecisionId::from_bytes([0xee; 16])),
        org: things.org.clone(),
        user: UserId::from_bytes([0xee; 16]).to_string(),
        hold: HoldId::from_bytes([0xee; 16]).to_string(),
        gated: uuid::Uuid::from_u128(0xee).to_string(),
        gated_search: uuid::Uuid::from_u128(0xef).to_string(),
        export: ExportId::from_bytes([0xee; 16]).to_string(),
    }
}

/// All ids of things, for making two answers alike.
fn ids(things: &Things) -> Vec<String> {
    let streams = things.camera["streams"].as_array().unwrap().iter();
    let mut ids: Vec<String> = streams.map(|stream| stream["id"].as_str().unwrap().to_owned()).collect();
    ids.push(things.camera["id"].as_str().unwrap().to_owned());
    let playback = things.playback.trim_end_matches(".mp4").to_owned();
    let Things { user, hold, gated, gated_search, export, .. } = things;
    ids.extend([user, hold, gated, gated_search, export].into_iter().cloned().chain([playback]));
    ids
}

/// The text without the named ids and without ids of decisions.
fn plain(text: &str, ids: &[String]) -> String {
    let mut text = text.to_owned();
    for id in ids {
        text = text.replace(id.as_str(), "ID");
    }
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("dec_") {
        let (head, tail) = rest.split_at(at);
        out.push_str(head);
        out.push_str("DECISION");
        rest = tail.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    }
    out + rest
}

fn seen_headers(headers: &http::HeaderMap, ids: &[String]) -> Vec<(String, String)> {
    let each = headers.iter().filter(|(name, _)| *name != header::DATE && *name != "x-request-id");
    let mut each: Vec<(String, String)> =
        each.map(|(name, value)| (name.to_string(), plain(value.to_str().unwrap(), ids))).collect();
    each.sort();
    each
}

async fn look(town: &Town, request: http::Request<axum::body::Body>, ids: &[String]) -> Seen {
    let response = town.send(request).await;
    let (status, headers) = (response.status(), seen_headers(response.headers(), ids));
    let body = bytes_of(response).await;
    Seen { status, headers, body: plain(&String::from_utf8_lossy(&body), ids) }
}

/// Ways to ask that could draw out more than the plain one.
#[derive(Clone, Copy, Debug)]
enum Way {
    Plain,
    WithoutIfMatch,
    Part,
    NotIfSame,
    Without(&'static str),
    With(&'static str, &'static str),
    Empty,
}

const WAYS: [Way; 11] = [
    Way::Plain,
    Way::WithoutIfMatch,
    Way::Part,
    Way::NotIfSame,
    Way::Without("purpose"),
    Way::Without("language"),
    Way::With("until", "2020-01-01T00:00:00Z"),
    Way::With("to", "2027-01-01T00:00:00Z"),
    Way::With("to", "2026-11-22T10:00:00Z"),
    Way::With("from", "2020-01-01T00:00:00Z"),
    Way::Empty,
];

/// The request of a way; `None` where it would be the plain one.
fn asked(person: &Person, line: &Line, things: &Things, way: Way) -> Option<http::Request<axum::body::Body>> {
    let (mut path, mut body) = concrete(line, things);
    match (way, &mut body) {
        (Way::Plain | Way::WithoutIfMatch | Way::Part | Way::NotIfSame, _) => {}
        (Way::Without(field), Some(Value::Object(fields))) => drop(fields.remove(field)?),
        (Way::With(field, text), Some(Value::Object(fields))) => *fields.get_mut(field)? = json!(text),
        (Way::With(field, text), None) => {
            let (head, query) = path.split_once('?')?;
            let fields = query.split('&').map(|pair| match pair.split_once('=') {
                Some((name, _)) if name == field => format!("{name}={text}"),
                Some(_) | None => pair.to_owned(),
            });
            path = format!("{head}?{}", fields.collect::<Vec<_>>().join("&"));
        }
        (Way::Empty, Some(body)) => *body = json!({}),
        (Way::Without(_) | Way::With(..) | Way::Empty, _) => return None,
    }
    let method = Method::from_bytes(line.method.as_bytes()).unwrap();
    let mut request = Town::request(person, method, &path, body);
    let headers = request.headers_mut();
    match way {
        Way::WithoutIfMatch => {}
        Way::Part => drop(headers.insert(header::RANGE, "bytes=0-9".parse().unwrap())),
        Way::NotIfSame => drop(headers.insert(header::IF_NONE_MATCH, "*".parse().unwrap())),
        Way::Plain | Way::Without(_) | Way::With(..) | Way::Empty => {
            drop(headers.insert(header::IF_MATCH, "\"1\"".parse().unwrap()));
        }
    }
    Some(request)
}

/// Profiles that may not know of a camera of another organisation without a share.
pub(crate) fn strangers() -> Vec<Profile> {
    let matrix = Matrix::embedded().unwrap();
    let knows =
        |profile: Profile| matrix.decide(&Request::bare(profile, Right::CameraList, Relation::Other)).is_allow();
    Profile::ALL.iter().copied().filter(|profile| !knows(*profile)).collect()
}

pub(crate) async fn stranger(town: &Town, profile: Profile) -> Person {
    let user = format!("stranger{}", profile.as_str().to_lowercase());
    town.account(&user, "5339", profile).await;
    town.person(&user).await
}

/// Whether a line names a thing that [`Things`] has; what belongs to nobody (`none`) is the same in both.
pub(crate) fn names_thing(line: &Line, things: &Things) -> bool {
    let (path, body) = concrete(line, things);
    let text = format!("{path} {}", body.unwrap_or_default());
    let is_wish = matches!(line.path, "/api/v1/grant-requests" | "/api/v1/break-glass" | "/api/v1/sharing-events");
    // Whoever may ask an owner for a share, an event or an emergency names cameras that they do not see: that is what it is for.
    ids(things).iter().any(|id| text.contains(id.as_str())) && !is_wish
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_yours_looks_like_what_is_not_there() {
    let (town, there) = stage().await;
    let gone = absent(&there);
    let known: Vec<String> = ids(&there).into_iter().chain(ids(&gone)).collect();
    let (mut pairs, mut wrong) = (BTreeMap::<&str, usize>::new(), Vec::new());
    for profile in strangers() {
        let person = stranger(&town, profile).await;
        for line in ROUTES.iter().filter(|line| line.access != Access::Public && names_thing(line, &there)) {
            for way in WAYS {
                let Some(first) = asked(&person, line, &there, way) else { continue };
                let second = asked(&person, line, &gone, way).unwrap();
                let (one, other) = (look(&town, first, &known).await, look(&town, second, &known).await);
                *pairs.entry(line.path).or_default() += 1;
                if one != other {
                    wrong.push(format!("{profile} {} {} {way:?}:\n  {one:?}\n  {other:?}", line.method, line.path));
                }
                if one.status.is_success() {
                    wrong.push(format!("{profile} {} {} {way:?} was answered: {one:?}", line.method, line.path));
                }
            }
        }
    }
    println!("A4: {} pairs of answers at {} paths alike", pairs.values().sum::<usize>(), pairs.len());
    assert!(wrong.is_empty(), "{} pairs differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(pairs.len() > 25 && pairs.values().sum::<usize>() > 2_000, "{pairs:?}");
}

/// Lists, and the counts that they are, of somebody in a town with cameras, holds, exports, reads and events of another organisation,
/// against the same town without them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_counts_are_those_of_an_empty_town() {
    let (full, things) = stage().await;
    crate::reads::read_town(&full).await;
    let bare = Town::settled().await;
    let lists = [
        "cameras",
        "reads",
        "reads/gated-searches",
        "holds",
        "exports",
        "gated",
        "legal-changes",
        "grants",
        "grant-requests",
        "sharing-events",
        "break-glass",
        "second-wishes",
        "notices",
        "health/cameras",
        "findings",
    ];
    let mut compared = 0;
    for profile in strangers() {
        if matches!(profile, Profile::P23 | Profile::P24) {
            continue;
        }
        let (in_full, in_bare) = (stranger(&full, profile).await, stranger(&bare, profile).await);
        for list in lists {
            for query in ["", "?limit=1", "?past=true", "?q=C1"] {
                let path = format!("/api/v1/{list}{query}");
                let ask = |person: &Person| Town::request(person, Method::GET, &path, None);
                let one = look(&full, ask(&in_full), &ids(&things)).await;
                let other = look(&bare, ask(&in_bare), &[]).await;
                assert_eq!(one, other, "{profile} {path}");
                compared += 1;
            }
        }
    }
    println!("A4: {compared} lists alike");
}

/// A search for a plate that another zone has read, and one for a plate that nobody has.
#[tokio::test]
async fn searches_and_pictures_of_reads_say_nothing_of_others() {
    let town = Town::settled().await;
    crate::reads::read_town(&town).await;
    let person = stranger(&town, Profile::P04).await;
    let search = |plate: &str| {
        json!({ "plate": plate, "from": "2026-11-22T11:00:00Z", "to": "2026-11-22T13:00:00Z",
            "purpose": { "code": "GERECHTELIJK_ONDERZOEK", "justification": "diefstal met vluchtwagen", "case_ref": "BR-7" } })
    };
    let ask = |plate: &str| Town::request(&person, Method::POST, "/api/v1/reads/search", Some(search(plate)));
    let one = look(&town, ask("1AAA111"), &[]).await;
    assert_eq!(one.status, StatusCode::OK);
    assert_eq!(one, look(&town, ask("1ZZZ999"), &[]).await);
    // The owner's own search finds it: the difference is the owner.
    let own = town.person("supervisor").await;
    let (_, found) = town.post(&own, "/api/v1/reads/search", search("1AAA111")).await;
    assert_eq!(found["items"].as_array().map(Vec::len), Some(1));

    let (_, mine) = town.post(&person, "/api/v1/reads/search", search("1AAA111")).await;
    let (there, gone) = (ReadId::from_bytes([6; 16]).to_string(), ReadId::from_bytes([0xee; 16]).to_string());
    let known = [there.clone(), gone.clone()];
    let decisions = [mine["decision_id"].as_str().unwrap(), found["decision_id"].as_str().unwrap(), "none"];
    for picture in ["crop.jpg", "overview.jpg"] {
        for decision in decisions {
            let ask = |id: &str| {
                let path = format!("/api/v1/reads/{id}/{picture}?decision={decision}");
                Town::request(&person, Method::GET, &path, None)
            };
            let (one, other) = (look(&town, ask(&there), &known).await, look(&town, ask(&gone), &known).await);
            assert_eq!((one.status, &one), (StatusCode::NOT_FOUND, &other), "{picture} {decision}");
        }
    }
}

/// Somebody else's ticket, one that was used, one that ran out and one that never was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_used_and_unknown_tickets_open_the_same_nothing() {
    let town = Town::settled().await;
    let address = listen(&town).await;
    let camera = town.camera("C1").await;
    let (operator, person) = (town.person("operator").await, town.person("stranger").await);
    let ticket = async || {
        let body = crate::live::wish(stream_of(&camera, "main"), Value::Null);
        let (_, ticket) = town.post(&operator, "/api/v1/stream-tickets", body).await;
        ticket["ticket"].as_str().unwrap().to_owned()
    };
    let dial = async |ticket: &str| {
        let mut request = format!("ws://{address}/api/v1/live").into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert(header::COOKIE, person.cookie.parse().unwrap());
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, format!("vms.fmp4.v1, ticket.{ticket}").parse().unwrap());
        headers.insert(header::ORIGIN, format!("http://{address}").parse().unwrap());
        match tokio_tungstenite::connect_async(request).await {
            Ok(_) => panic!("a stranger's socket opened"),
            Err(WsError::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                let headers = seen_headers(response.headers(), &[]);
                Seen { status: response.status(), headers, body: plain(&String::from_utf8_lossy(&body), &[]) }
            }
            Err(other) => panic!("{other}"),
        }
    };
    let unknown = dial("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let foreign = ticket().await;
    assert_eq!(dial(&foreign).await, unknown, "somebody else's");
    assert_eq!(dial(&foreign).await, unknown, "the same once more: it is gone");
    let late = ticket().await;
    town.clock.pass_s(31);
    assert_eq!(dial(&late).await, unknown, "run out");
    assert_eq!(dial("").await, unknown, "none at all");
}
