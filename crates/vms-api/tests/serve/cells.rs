//! A2: every route × profile × relation, generated from the router's table, against the matrix. A cell is one request: what the matrix
//! denies must be refused by the route, whatever the route does; what it allows is asked for wherever asking changes nothing.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use policy::{Decision, Matrix, Request};
use serde_json::json;
use vms_api::table::{Access, Line, ROUTES};
use vms_core::{Profile, Purpose, Relation, Right};

use crate::town::{Person, Town, answer};
use crate::walk::{concrete, stage};

/// Rights that open a route besides the one in its line; each is written at the route's own description.
fn rights_of(line: &Line) -> Vec<Right> {
    let Access::Right(first) = line.access else { return Vec::new() };
    let more: &[Right] = match line.path {
        path if path.starts_with("/api/v1/holds") => &[Right::HoldRelease, Right::AuditView],
        path if path.starts_with("/api/v1/exports") => &[Right::ExportApprove, Right::AuditView],
        path if path.contains("legal-changes") => &[Right::CameraEdit, Right::CameraApprove, Right::AuditView],
        path if path.starts_with("/api/v1/gated") => {
            &[Right::RetentionPropose, Right::RetentionApprove, Right::AuditView, Right::HoldSet, Right::HoldRelease]
        }
        "/api/v1/grant-requests" => &[Right::GrantRequest],
        "/api/v1/users" => &[Right::UserView, Right::UserCount],
        "/api/v1/audit" => &[Right::AuditTechnical, Right::AuditConfig, Right::AuditAdmin, Right::AuditCount],
        _ => &[],
    };
    std::iter::once(first).chain(more.iter().copied()).collect()
}

/// Whether the object of a line belongs to a camera, so that the relation to its owner counts.
fn is_cameras(line: &Line) -> bool {
    let of = [
        "/api/v1/cameras/{id}",
        "/api/v1/holds/{id}",
        "/api/v1/exports/{id}",
        "/api/v1/stream-tickets",
        "/api/v1/playback-tickets",
    ];
    of.iter().any(|start| line.path.starts_with(start))
}

/// What the matrix says when everything that a person can supply is supplied, and nothing holds around the request.
fn says(matrix: &Matrix, profile: Profile, right: Right, relation: Relation) -> Decision {
    matrix.decide(&Request {
        purpose: Some(Purpose::Intervention),
        justification: Some("melding van een buurtbewoner"),
        case_ref: Some("BR-1"),
        age_us: if right == Right::Playback { 3_600_000_000 } else { 0 },
        own_territory: relation == Relation::Own,
        flow_active: true,
        reads_only: true,
        ..Request::bare(profile, right, relation)
    })
}

fn has_cell(matrix: &Matrix, profile: Profile, right: Right) -> bool {
    Relation::ALL.iter().any(|relation| {
        let decision = says(matrix, profile, right, *relation);
        !matches!(decision, Decision::Deny(policy::DenyReason::NotInTable))
    })
}

/// What a cell must answer; `None` where the matrix alone does not say.
fn wanted(matrix: &Matrix, line: &Line, profile: Profile, relation: Relation) -> Option<bool> {
    let exact = match (line.method, line.path) {
        ("GET", "/api/v1/cameras/{id}") => Some(Right::CameraList),
        ("POST", "/api/v1/stream-tickets") => Some(Right::Live),
        ("POST", "/api/v1/playback-tickets") => Some(Right::Playback),
        _ => None,
    };
    if let Some(right) = exact {
        return Some(says(matrix, profile, right, relation).is_allow());
    }
    if line.path.starts_with("/api/v1/playback/{file}") || line.path.starts_with("/api/v1/reads/{id}") {
        // Somebody else's playback, and a picture without the decision of one's own list: nobody's.
        return Some(false);
    }
    if line.access == Access::Public || line.access == Access::Session {
        return None;
    }
    let rights = rights_of(line);
    let denies = |right: &Right| {
        let decision = says(matrix, profile, *right, relation);
        if is_cameras(line) { matches!(decision, Decision::Deny(_)) } else { !has_cell(matrix, profile, *right) }
    };
    rights.iter().all(denies).then_some(false)
}

async fn people(town: &Town, profile: Profile) -> Vec<(Relation, Person)> {
    let mut people = Vec::new();
    for (relation, org) in [(Relation::Own, "5340"), (Relation::Shared, "5339"), (Relation::Other, "5341")] {
        let user = format!("cell{}{}", profile.as_str().to_lowercase(), relation.as_str());
        town.account(&user, org, profile).await;
        if town.log_in(&user, crate::town::PASSWORD).await.status() == StatusCode::OK {
            people.push((relation, town.person(&user).await));
        }
    }
    people
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cell_of_the_router_agrees_with_the_matrix() {
    let (town, things) = stage().await;
    let matrix = Matrix::embedded().unwrap();
    let share = json!({ "camera_ids": [things.camera["id"]], "partner_id": town.org("5339").await.to_string(),
        "rights": ["camera.list", "live", "playback"], "from": "2026-11-22T11:00:00Z", "to": "2027-11-22T11:00:00Z" });
    assert_eq!(town.post(&town.person("chief").await, "/api/v1/grants", share).await.0, StatusCode::CREATED);
    let (mut cells, mut wrong): (BTreeMap<&str, usize>, Vec<String>) = (BTreeMap::new(), Vec::new());
    for profile in Profile::ALL {
        for (relation, person) in people(&town, *profile).await {
            for line in ROUTES.iter().filter(|line| line.access != Access::Public && line.path != "/api/v1/logout") {
                let wanted = wanted(&matrix, line, *profile, relation);
                let asks_only = line.method == "GET" || line.path.ends_with("-tickets");
                if !asks_only && wanted != Some(false) {
                    *cells.entry("left to the route's own test: it would change something").or_default() += 1;
                    continue;
                }
                if line.path == "/api/v1/events" || line.path == "/api/v1/live" {
                    *cells.entry("left to the test of sockets").or_default() += 1;
                    continue;
                }
                let (path, body) = concrete(line, &things);
                let method = Method::from_bytes(line.method.as_bytes()).unwrap();
                let mut request = Town::request(&person, method, &path, body);
                request.headers_mut().insert(http::header::IF_MATCH, "\"1\"".parse().unwrap());
                let (status, told) = answer(town.send(request).await).await;
                // Of a camera that one may know, wrong fields may be told before the right is asked for; nothing is done.
                let is_told = !asks_only && status == StatusCode::UNPROCESSABLE_ENTITY;
                let is_refused = matches!(status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) || is_told;
                let agrees = match wanted {
                    Some(true) => status.is_success(),
                    Some(false) => is_refused,
                    None => !status.is_server_error(),
                };
                let word = match wanted {
                    Some(true) => "allowed by the matrix, and answered",
                    Some(false) => "denied by the matrix, and refused",
                    None => "decided by more than the matrix",
                };
                *cells.entry(word).or_default() += 1;
                if !agrees {
                    let code = told["code"].as_str().unwrap_or("");
                    wrong.push(format!(
                        "{profile} {relation} {} {}: {status} {code}, wanted {wanted:?}",
                        line.method, line.path
                    ));
                }
            }
        }
    }
    println!("A2: {} cells of {} routes: {cells:?}", cells.values().sum::<usize>(), ROUTES.len());
    assert!(wrong.is_empty(), "{} cells disagree:\n{}", wrong.len(), wrong.join("\n"));
    assert!(
        cells["denied by the matrix, and refused"] > 2_000 && cells["allowed by the matrix, and answered"] > 50,
        "{cells:?}"
    );
}
