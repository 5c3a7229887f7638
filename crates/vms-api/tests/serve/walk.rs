//! Walks every route: as nobody, and as somebody of another organisation. A route without a line in the table fails.

use std::collections::BTreeSet;

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use vms_api::table::{Access, Line, ROUTES};

use crate::town::{Town, answer, stream_of};

#[test]
fn every_route_of_the_document_has_its_line_and_every_answer_its_words() {
    let document: Value = serde_json::to_value(vms_api::openapi()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            described.insert(format!("{} {path}", method.to_uppercase()));
            for (status, response) in operation["responses"].as_object().unwrap() {
                let words = response["description"].as_str().unwrap_or("");
                assert!(!words.is_empty(), "{method} {path} {status} has no description");
            }
        }
    }
    let lines: BTreeSet<String> = ROUTES
        .iter()
        .filter(|line| line.path != "/api/v1/openapi.json")
        .map(|line| format!("{} {}", line.method, line.path))
        .collect();
    assert_eq!(described, lines);
}

/// The line's path with ids of things that exist, and a body that would be taken.
#[expect(clippy::too_many_lines, reason = "a table: a body for each route")]
pub(crate) fn concrete(line: &Line, things: &Things) -> (String, Option<Value>) {
    let Things { camera, playback, org, user, hold, gated, gated_search, export } = things;
    let camera_id = camera["id"].as_str().unwrap();
    let stream = stream_of(camera, "main").to_string();
    let span = "from=2026-11-22T11:00:00Z&to=2026-11-22T11:05:00Z";
    let path = match line.path {
        path if path.starts_with("/api/v1/cameras/{id}") => path.replace("{id}", camera_id),
        path if path.starts_with("/api/v1/partners/{id}") => path.replace("{id}", org),
        path if path.starts_with("/api/v1/users/{id}") => {
            path.replace("{id}", user).replace("{fingerprint}", &"ab".repeat(32))
        }
        path if path.starts_with("/api/v1/holds/{id}") => path.replace("{id}", hold),
        path if path.starts_with("/api/v1/gated/{id}") => path.replace("{id}", gated),
        path if path.starts_with("/api/v1/reads/gated-searches/{id}") => path.replace("{id}", gated_search),
        path if path.starts_with("/api/v1/exports/{id}") => {
            path.replace("{id}", export).replace("{name}", "custody.pdf")
        }
        "/api/v1/statistics/counts" => format!("{}?request=devices", line.path),
        path if path.starts_with("/api/v1/statistics/sites/") => format!("{}?{span}", path.replace("{site}", "S1")),
        path if path.starts_with("/api/v1/statistics/routes/") => format!("{}?{span}", path.replace("{route}", "R1")),
        path => path.replace("{file}", playback).replace("{part}", "0.m4s").replace("{id}", "none"),
    };
    let purpose = json!({ "code": "INTERVENTIE", "justification": "melding van een buurtbewoner", "case_ref": "BR-1" });
    let body = match (line.method, line.path) {
        ("POST", "/api/v1/login") => Some(json!({ "user_name": "nobody", "password": "x" })),
        ("POST", "/api/v1/login/provider/answer") => Some(json!({ "code": "c", "state": "s" })),
        ("POST", path) if path.ends_with("/certificates") => {
            Some(json!({ "fingerprint": "ab".repeat(32), "name": "gateway",
            "ends_at": "2027-01-01T00:00:00Z" }))
        }
        ("POST", "/api/v1/session/step-up") => Some(json!({ "code": "123456" })),
        ("POST", "/api/v1/session/profile") => Some(json!({ "profile": "P01" })),
        ("POST", "/api/v1/session/factors/totp") => Some(json!({ "name": "app" })),
        ("POST", "/api/v1/session/factors/totp/{id}") => Some(json!({ "code": "123456" })),
        ("POST", "/api/v1/session/factors/key") => Some(json!({ "name": "key",
            "key": { "credential_id": "YQ", "client_data": "YQ", "authenticator_data": "YQ" } })),
        ("POST", "/api/v1/cameras") => Some(crate::town::draft("W1", org)),
        ("POST", "/api/v1/stream-tickets") => Some(json!({ "stream_id": stream, "kind": "live", "purpose": purpose })),
        ("POST", "/api/v1/playback-tickets") => Some(json!({
            "stream_id": stream, "from": "2026-11-22T11:00:00Z", "to": "2026-11-22T11:05:00Z", "purpose": purpose })),
        ("POST", "/api/v1/audit/plate-searches") => Some(json!({ "plate": "1ABC234", "from": "2026-11-22T11:00:00Z",
            "to": "2026-11-22T11:05:00Z", "purpose": purpose })),
        ("POST", "/api/v1/reads/search") => Some(json!({ "plate": "1ABC234", "from": "2026-11-22T11:00:00Z",
            "to": "2026-11-22T11:05:00Z", "purpose": purpose })),
        ("POST", "/api/v1/partners") => Some(json!({ "org_id": org, "name": "P", "catalogue_url": "https://p.example",
            "agreement": { "document": "P", "date": "2026-01-01" } })),
        ("POST", "/api/v1/grants") => Some(json!({ "camera_ids": [camera_id], "partner_id": org, "rights": ["live"],
            "from": "2026-11-22T11:00:00Z", "to": "2026-12-22T11:00:00Z" })),
        ("POST", "/api/v1/holds") => Some(json!({ "camera_id": camera_id, "from": "2026-11-22T11:00:00Z",
            "to": "2026-11-22T11:05:00Z", "until": "2027-01-01T00:00:00Z", "purpose": purpose })),
        ("POST", "/api/v1/gated") => Some(json!({ "camera_id": camera_id, "from": "2026-11-22T11:00:00Z",
            "to": "2026-11-22T11:05:00Z", "purpose": purpose })),
        ("POST", "/api/v1/reads/gated-searches") => Some(json!({ "camera_id": camera_id, "plate": "1ABC234",
            "from": "2026-11-22T11:00:00Z", "to": "2026-11-22T11:05:00Z", "purpose": { "code": "INTERVENTIE",
            "justification": "melding van een buurtbewoner", "case_ref": "BR-1", "magistrate_ref": "PK-2026-0077" } })),
        ("POST", path) if path.ends_with("/refuse") && path.contains("/gated") => {
            Some(json!({ "reason": "geen grond" }))
        }
        ("POST", "/api/v1/exports") => Some(json!({ "stream_id": stream, "from": "2026-11-22T11:00:00Z",
            "to": "2026-11-22T11:05:00Z", "purpose": purpose, "language": "nl" })),
        ("POST", path) if path.starts_with("/api/v1/anomalies/") => {
            Some(json!({ "answer": "oefening van de meldkamer" }))
        }
        ("POST", path) if path.starts_with("/api/v1/second-wishes/") && path.ends_with("/refuse") => {
            Some(json!({ "reason": "protocol is niet getekend" }))
        }
        ("POST", path) if path.ends_with("/refusal") => Some(json!({ "reason": "geen zaaknummer" })),
        ("POST", path) if path.starts_with("/api/v1/holds/") && path.ends_with("/review") => {
            Some(json!({ "reason": "nog altijd nodig",
            "until": "2027-02-01T00:00:00Z" }))
        }
        ("POST", path) if path.ends_with("-release") => Some(json!({ "reason": "niet meer nodig" })),
        ("POST", "/api/v1/grant-requests") => Some(json!({ "camera_ids": [camera_id], "rights": ["live"],
            "from": "2026-11-22T11:00:00Z", "to": "2026-12-22T11:00:00Z", "purpose": purpose })),
        ("POST", "/api/v1/sharing-events") => Some(json!({ "kind": "event", "name": "W", "camera_ids": [camera_id],
            "authority": "BR-1", "reason": "betoging in het centrum", "from": "2026-11-22T11:00:00Z",
            "to": "2026-11-22T13:00:00Z" })),
        ("POST", path) if path.ends_with("/extend") => Some(json!({ "to": "2026-11-22T14:00:00Z", "authority": "BR-1",
            "reason": "betoging duurt langer" })),
        ("POST", "/api/v1/break-glass") => Some(json!({ "camera_ids": [camera_id], "purpose": purpose })),
        ("POST", path) if path.starts_with("/api/v1/break-glass/") && path.ends_with("/review") => {
            Some(json!({ "justified": true, "reason": "achtervolging, terecht" }))
        }
        ("POST", "/api/v1/stations") => {
            Some(json!({ "org_id": org, "name": "W1", "agreement": "protocol met de zone" }))
        }
        ("POST", "/api/v1/session/station") => Some(json!({ "code": "none" })),
        ("POST", "/api/v1/flows") => Some(json!({ "id": "DS-W", "institution": "w", "source": "w", "purpose": "LEZ",
            "authority": "w", "reason": "nieuwe gegevensstroom" })),
        ("POST", path) if path.ends_with("/switch") => {
            Some(json!({ "step": "suspend", "reason": "klacht in onderzoek" }))
        }
        ("POST", "/api/v1/complaints") => Some(json!({ "about_id": org, "channel": "brief",
            "text": "camera gericht op een venster" })),
        ("POST", path) if path.ends_with("/stills") => {
            Some(json!({ "camera_id": "cam_walk", "at": "2026-11-22T11:10:00Z" }))
        }
        ("POST", "/api/v1/subject-requests") => {
            Some(json!({ "file_ref": "DSR-1", "reasons": "val van de fiets, groene jas",
            "language": "nl", "lat": 50.8467, "lon": 4.3525, "radius_m": 100, "from": "2026-11-22T11:00:00Z",
            "to": "2026-11-22T11:30:00Z", "received_at": "2026-11-22T11:45:00Z" }))
        }
        ("POST", "/api/v1/matrix/diff") => Some(json!({ "text": "version = 'x'" })),
        ("POST", "/api/v1/matrix/versions") => Some(json!({ "text": "version = 'x'", "reason": "een rij te ruim" })),
        ("POST", path) if path.starts_with("/api/v1/matrix/") && path.ends_with("/refuse") => {
            Some(json!({ "reason": "te ruim voor de opdracht" }))
        }
        ("POST", "/api/v1/users") => Some(json!({ "user_name": "w", "name": "W", "org_id": org, "profile": "P01" })),
        ("POST", "/api/v1/fines/runs") => Some(json!({ "from": "2026-11-21T00:00:00Z", "to": "2026-11-22T00:00:00Z",
            "holder": "walkwalk" })),
        ("POST", "/api/v1/fines/runs/{id}/signature") => Some(json!({ "holder": "walkwalk", "manifest": "{}" })),
        ("POST", "/api/v1/permits/import") => Some(json!({ "justification": "vergunningen van de maand" })),
        ("POST", "/api/v1/permits/{id}/withdraw") => Some(json!({ "justification": "verhuisd uit de zone" })),
        ("POST", "/api/v1/fines/passes") => Some(json!({ "items": [] })),
        ("POST", "/api/v1/fines/answers") => Some(json!({ "items": [] })),
        ("POST", "/api/v1/watchlist" | "/api/v1/watchlist/urgent") => Some(json!({ "plate": "1ABC234",
            "ends_at": "2026-11-23T06:00:00Z", "purpose": { "code": "GERECHTELIJK_ONDERZOEK",
            "justification": "diefstal met vluchtwagen", "case_ref": "BR-7" } })),
        ("POST", path) if path.starts_with("/api/v1/watchlist/") && !path.ends_with("/approve") => {
            Some(json!({ "reason": "niet langer gezocht" }))
        }
        ("POST", "/api/v1/hits/{id}/decide") => {
            Some(json!({ "verdict": "dismiss", "reason": "een andere plaat", "seen_etag": "1" }))
        }
        ("POST", path) if path.ends_with("/decide") => Some(json!({ "verdict": "approve", "seen_etag": "1" })),
        ("PATCH", path) if path.starts_with("/api/v1/partners") => Some(json!({ "enabled": true })),
        ("POST" | "PATCH", _) => Some(json!({})),
        _ => None,
    };
    let takes_span = line.path.ends_with("/timeline") || line.path == "/api/v1/audit" || line.path == "/api/v1/reads";
    let path = if line.path.ends_with("/abilities") { format!("{path}?profile=P01&relation=own") } else { path };
    (if takes_span { format!("{path}?{span}") } else { path }, body)
}

/// Things that exist, of another organisation than the stranger's.
#[derive(Clone, Debug)]
pub(crate) struct Things {
    pub(crate) camera: Value,
    pub(crate) playback: String,
    pub(crate) org: String,
    pub(crate) user: String,
    pub(crate) hold: String,
    pub(crate) gated: String,
    pub(crate) gated_search: String,
    pub(crate) export: String,
}

pub(crate) async fn stage() -> (Town, Things) {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let supervisor = town.person("supervisor").await;
    let span = json!({ "stream_id": stream_of(&camera, "main").to_string(), "from": "2026-11-22T11:00:00Z",
        "to": "2026-11-22T11:05:00Z", "purpose": { "code": "INTERVENTIE", "justification": "overval op de markt" } });
    let (_, ticket) = town.post(&supervisor, "/api/v1/playback-tickets", span).await;
    let playback = ticket["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let (_, session) = town.get(&supervisor, "/api/v1/session").await;
    let user = session["user"]["id"].as_str().unwrap().to_owned();
    let org = town.org("5340").await.to_string();
    let wish = json!({ "camera_id": camera["id"], "from": "2026-11-22T11:00:00Z", "to": "2026-11-22T11:05:00Z",
        "until": "2027-01-01T00:00:00Z",
        "purpose": { "code": "INTERVENTIE", "justification": "overval op de markt", "case_ref": "BR-2" } });
    let (_, hold) = town.post(&supervisor, "/api/v1/holds", wish).await;
    let hold = hold["id"].as_str().unwrap().to_owned();
    let gated = crate::gated::in_store(&town, &camera).await;
    let gated_search = crate::gated_reads::in_store(&town, &camera).await;
    let wish = json!({ "stream_id": stream_of(&camera, "main").to_string(), "from": "2026-11-22T11:00:00Z",
        "to": "2026-11-22T11:05:00Z", "language": "nl",
        "purpose": { "code": "INTERVENTIE", "justification": "overval op de markt", "case_ref": "BR-2" } });
    let (_, export) = town.post(&supervisor, "/api/v1/exports", wish).await;
    let export = export["id"].as_str().unwrap().to_owned();
    (town, Things { camera, playback, org, user, hold, gated, gated_search, export })
}

#[tokio::test]
async fn nobody_gets_nothing_and_it_is_logged() {
    let (town, things) = stage().await;
    for line in ROUTES {
        let (path, body) = concrete(line, &things);
        let before = town.log.entries().len();
        town.clock.pass_s(1);
        let request =
            Request::builder().method(line.method).uri(&path).header(header::CONTENT_TYPE, "application/json");
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let (status, problem) = answer(town.send(request.body(body).unwrap()).await).await;
        if line.access == Access::Public {
            assert!(status != StatusCode::INTERNAL_SERVER_ERROR, "{line:?}");
            continue;
        }
        assert_eq!((status, problem["code"].as_str()), (StatusCode::UNAUTHORIZED, Some("unauthenticated")), "{line:?}");
        let entries = town.log.entries();
        assert_eq!(entries.len(), before + 1, "{line:?} writes one leaf");
        let route = format!("{} {}", line.method, line.path);
        assert_eq!(entries.last().unwrap().details["details"]["route"], route, "{line:?}");
    }
}

#[tokio::test]
async fn a_stranger_gets_nothing_of_another_organisation_and_it_is_logged() {
    let (town, things) = stage().await;
    let stranger = town.person("stranger").await;
    let calls = town.media.calls().len();
    for line in ROUTES {
        let (path, body) = concrete(line, &things);
        let is_list = matches!(
            (line.method, line.path),
            (
                "GET",
                "/api/v1/cameras"
                    | "/api/v1/reads"
                    | "/api/v1/hits"
                    | "/api/v1/holds"
                    | "/api/v1/sharing-events"
                    | "/api/v1/break-glass"
            )
        );
        let is_own = !line.path.contains('{') && matches!(line.access, Access::Session | Access::Public);
        if is_own && line.path != "/api/v1/live" {
            continue;
        }
        town.clock.pass_s(1);
        let before = town.log.entries().len();
        let mut request = Town::request(&stranger, Method::from_bytes(line.method.as_bytes()).unwrap(), &path, body);
        request.headers_mut().insert(header::IF_MATCH, "\"1\"".parse().unwrap());
        let (status, answer) = answer(town.send(request).await).await;
        if is_list {
            assert_eq!((status, &answer["items"]), (StatusCode::OK, &json!([])), "{line:?}");
            continue;
        }
        let refused = [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND];
        assert!(refused.contains(&status), "{line:?} answered {status} {answer}");
        let fresh: Vec<String> =
            town.log.entries().iter().skip(before).map(|entry| entry.kind.as_str().to_owned()).collect();
        // An id that is no id of ours names nothing: there is nothing to log.
        let is_real = !path.contains("/none");
        assert!(!is_real || fresh.iter().any(|kind| kind == "refuse"), "{line:?} was not logged: {fresh:?}");
    }
    assert_eq!(town.media.calls().len(), calls, "the media side was never asked");
}
