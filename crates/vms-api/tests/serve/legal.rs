//! Legal fields of an approved camera: one person proposes, another decides; recording goes on under the old ones meanwhile.

use http::StatusCode;
use serde_json::{Value, json};
use vms_core::Profile;

use crate::town::{Person, Town};

/// One more person of a zone.
async fn somebody(town: &Town, user: &str, org: &str, profile: Profile) -> Person {
    town.account(user, org, profile).await;
    town.person(user).await
}

fn wish() -> Value {
    json!({
        "retention_class": "RC-VID-POL",
        "legal_basis": { "document": "Besluit 9", "date": "2026-11-01", "advice": "gunstig" },
        "reason": "de raad heeft een nieuw besluit genomen",
    })
}

/// Class and term under which the camera's main stream is recorded now.
async fn recorded_under(town: &Town, camera: &Value) -> (String, bool) {
    let plan = town.cases.recorder_plan().await.unwrap();
    let stream = crate::town::stream_of(camera, "main");
    let spec = plan.streams.into_iter().find(|spec| spec.stream == stream).unwrap();
    (spec.retention_class, spec.record)
}

#[tokio::test]
async fn one_proposes_and_another_approves() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let path = format!("/api/v1/cameras/{}", camera["id"].as_str().unwrap());
    let (technician, chief) = (town.person("technician").await, town.person("chief").await);
    let (_, view) = town.get(&technician, &path).await;
    assert_eq!((&view["may"]["propose_law"], &view["may"]["approve"]), (&json!(true), &json!(false)));

    let before = town.leaves().len();
    let (status, change) = town.post(&technician, &format!("{path}/legal-changes"), wish()).await;
    assert_eq!((status, &change["state"]), (StatusCode::CREATED, &json!("waiting")), "{change}");
    assert_eq!(
        change["changes"],
        json!([
            { "field": "retention_class", "before": "RC-VID-OPEN", "after": "RC-VID-POL" },
            { "field": "document", "before": "Besluit 7", "after": "Besluit 9" },
            { "field": "date", "before": "2026-01-01", "after": "2026-11-01" },
        ])
    );
    assert_eq!((&change["may_settle"], &change["may_withdraw"]), (&json!(false), &json!(true)));
    assert_eq!(town.leaves()[before..], ["change camera.edit", "change legal_change_proposed"]);
    let (status, problem) = town.post(&technician, &format!("{path}/legal-changes"), wish()).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("taken")), "one waits at a time");

    // Meanwhile nothing has changed, and everything else of the camera may.
    assert_eq!(recorded_under(&town, &camera).await, ("RC-VID-OPEN".to_owned(), true));
    assert_eq!(town.get(&chief, &path).await.1["legal_basis"]["document"], "Besluit 7");
    let name = json!({ "name_nl": "Grote Markt 2", "retention_class": "RC-VID-OPEN" });
    assert_eq!(town.patch(&technician, &path, "\"2\"", name).await.0, StatusCode::OK, "a legal field as it was");
    for (field, value) in [("kind", json!("lez")), ("pictogram_on", json!("2026-05-05"))] {
        let (status, problem) = town.patch(&technician, &path, "\"3\"", json!({ field: value })).await;
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("propose_instead")), "{field}");
    }

    let (_, waiting) = town.get(&chief, "/api/v1/legal-changes").await;
    assert_eq!((&waiting["items"][0]["id"], &waiting["items"][0]["may_settle"]), (&change["id"], &json!(true)));
    assert_eq!(waiting["items"][0]["proposed"]["name"], "The technician");
    let approve = format!("/api/v1/legal-changes/{}/approve", change["id"].as_str().unwrap());
    assert_eq!(town.post(&technician, &approve, json!({})).await.0, StatusCode::FORBIDDEN);
    let mut changes = town.cases.changes();
    changes.mark_unchanged();
    let before = town.leaves().len();
    let (status, done) = town.post(&chief, &approve, json!({})).await;
    assert_eq!(
        (status, &done["state"], &done["settled"]["name"]),
        (StatusCode::OK, &json!("approved"), &json!("The chief"))
    );
    assert_eq!(town.leaves()[before..], ["change camera.approve", "change legal_change_approved"]);
    assert!(changes.has_changed().unwrap(), "running streams are decided again");
    assert_eq!(recorded_under(&town, &camera).await, ("RC-VID-POL".to_owned(), true), "it never stopped recording");
    let (_, view) = town.get(&chief, &path).await;
    assert_eq!(
        (&view["legal_basis"]["document"], &view["name_nl"], &view["state"]),
        (&json!("Besluit 9"), &json!("Grote Markt 2"), &json!("live"))
    );
    let (status, problem) = town.post(&chief, &approve, json!({})).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("wrong_state")));
    assert_eq!(town.get(&chief, "/api/v1/legal-changes").await.1["items"], json!([]));

    // The earlier version stays, and the log alone tells it too.
    let (_, versions) = town.get(&chief, &format!("{path}/legal-changes")).await;
    assert_eq!(versions["items"][0]["before"]["legal_basis"]["document"], "Besluit 7");
    let approved = |entry: &vms_app::gate::LogEntry| entry.details["operation"] == "legal_change_approved";
    let leaf = town.log.entries().into_iter().find(approved).unwrap().details;
    assert_eq!(leaf["details"]["before"]["document"], "Besluit 7");
    assert_eq!(leaf["details"]["after"]["retention_class"], "RC-VID-POL");
}

#[tokio::test]
async fn nobody_decides_on_what_he_proposed() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let path = format!("/api/v1/cameras/{}/legal-changes", camera["id"].as_str().unwrap());
    let chief = town.person("chief").await;
    let (_, change) = town.post(&chief, &path, wish()).await;
    let act = |word: &str| format!("/api/v1/legal-changes/{}/{word}", change["id"].as_str().unwrap());
    let no = json!({ "reason": "het advies van de raad ontbreekt" });
    for (word, body) in [("approve", json!({})), ("refuse", no.clone())] {
        let (status, problem) = town.post(&chief, &act(word), body).await;
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("same_person")), "{word}");
        assert_eq!(town.leaves().last().unwrap(), "refuse legal_change_settle_refused");
    }
    let deputy = somebody(&town, "deputy", "5340", Profile::P03).await;
    let (status, problem) = town.post(&deputy, &act("refuse"), json!({ "reason": "nee" })).await;
    assert_eq!((status, &problem["errors"][0]["problem"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("too_short")));
    assert_eq!(town.post(&deputy, &act("withdraw"), json!({})).await.0, StatusCode::NOT_FOUND, "not his own");
    let (_, refused) = town.post(&deputy, &act("refuse"), no).await;
    assert_eq!(
        (&refused["state"], &refused["answer"]),
        (&json!("refused"), &json!("het advies van de raad ontbreekt"))
    );
    assert_eq!(recorded_under(&town, &camera).await.0, "RC-VID-OPEN");

    // Taken back, it makes room for a better one.
    let (_, change) = town.post(&chief, &path, wish()).await;
    let withdraw = format!("/api/v1/legal-changes/{}/withdraw", change["id"].as_str().unwrap());
    assert_eq!(town.post(&chief, &withdraw, json!({})).await.1["state"], "withdrawn");
    assert_eq!(town.post(&chief, &path, wish()).await.0, StatusCode::CREATED);
    assert_eq!(town.get(&deputy, &path).await.1["items"].as_array().unwrap().len(), 3, "every version stays");
}

#[tokio::test]
async fn only_some_may_propose_and_only_what_makes_sense() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let path = format!("/api/v1/cameras/{}/legal-changes", camera["id"].as_str().unwrap());
    for (user, wanted) in [
        ("operator", StatusCode::FORBIDDEN),
        ("zoneadmin", StatusCode::FORBIDDEN),
        ("foreignchief", StatusCode::FORBIDDEN),
        ("stranger", StatusCode::NOT_FOUND),
        ("lezagent", StatusCode::NOT_FOUND),
        ("overseer", StatusCode::FORBIDDEN),
    ] {
        let person = town.person(user).await;
        let before = town.leaves().len();
        assert_eq!(town.post(&person, &path, wish()).await.0, wanted, "{user}");
        assert!(town.leaves()[before..].iter().any(|leaf| leaf.starts_with("refuse")), "{user} is in the log");
    }
    let technician = town.person("technician").await;
    for (field, value, problem) in [
        ("reason", json!("kort"), "too_short"),
        ("retention_class", json!("RC-LEZ-FINE"), "unknown"),
        ("kind", json!("speed"), "unknown"),
        ("pictogram_on", json!("tomorrow"), "not_a_date"),
    ] {
        let mut wish = wish();
        wish[field] = value;
        let (status, answer) = town.post(&technician, &path, wish).await;
        assert_eq!(
            (status, &answer["errors"][0]["problem"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(problem)),
            "{field}"
        );
    }
    let (_, answer) = town.post(&technician, &path, json!({ "reason": "er verandert helemaal niets" })).await;
    assert_eq!(answer["errors"][0], json!({ "field": "change", "problem": "empty" }));

    // The overseer and the zone's data-protection officer look on; an operator and another zone's chief see nothing of it.
    assert_eq!(town.post(&technician, &path, wish()).await.0, StatusCode::CREATED);
    let officer = somebody(&town, "officer", "5340", Profile::P20).await;
    for (person, count) in [(&officer, 1), (&town.person("overseer").await, 1), (&town.person("foreignchief").await, 0)]
    {
        let (_, page) = town.get(person, "/api/v1/legal-changes").await;
        assert_eq!(page["items"].as_array().map(Vec::len), Some(count), "{page}");
    }
    assert_eq!(town.get(&town.person("operator").await, "/api/v1/legal-changes").await.0, StatusCode::FORBIDDEN);
    let id = town.get(&officer, "/api/v1/legal-changes").await.1["items"][0]["id"].as_str().unwrap().to_owned();
    let approve = format!("/api/v1/legal-changes/{id}/approve");
    assert_eq!(town.post(&officer, &approve, json!({})).await.0, StatusCode::FORBIDDEN);
    let foreign = town.person("foreignchief").await;
    assert_eq!(town.post(&foreign, &approve, json!({})).await.0, StatusCode::FORBIDDEN);

    // A camera that ended takes no change any more, a draft is simply typed anew.
    let chief = town.person("chief").await;
    let retire = path.replace("legal-changes", "retire");
    town.post(&chief, &retire, json!({ "reason": "de mast is weg" })).await;
    let (status, problem) = town.post(&chief, &approve, json!({})).await;
    assert_eq!((status, &problem["errors"][0]["problem"]), (StatusCode::CONFLICT, &json!("retired")));
}
