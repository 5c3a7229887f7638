//! Changing the role matrix: draft, difference, another person, set time; every step in the log, every version readable.

use http::StatusCode;
use serde_json::{Value, json};

use crate::town::{Person, Town};

/// The shipped text with P01's own playback cut from two days to one, as a version of its own.
fn stricter(version: &str) -> String {
    let text = policy::matrix::EMBEDDED.replacen("age_max_days=2\"", "age_max_days=1\"", 1);
    let (before, rest) = text.split_once("version = \"").unwrap();
    let (_, after) = rest.split_once('\n').unwrap();
    format!("{before}version = \"{version}\"\n{after}")
}

fn draft(text: &str, active_at: Option<&str>) -> Value {
    json!({ "text": text, "reason": "twee dagen is te lang voor de meldkamer", "active_at": active_at })
}

async fn in_force(town: &Town, who: &Person) -> String {
    let (status, matrix) = town.get(who, "/api/v1/matrix").await;
    assert_eq!(status, StatusCode::OK, "{matrix}");
    matrix["version"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_change_waits_for_another_person_and_its_time() {
    let town = Town::settled().await;
    town.cases.matrix_take_up().await.unwrap();
    let (admin, chief) = (town.person("administrator").await, town.person("chief").await);
    let shipped = in_force(&town, &admin).await;

    let before = town.leaves().len();
    let wanted = draft(&stricter("test.1"), Some("2026-11-22T12:05:00Z"));
    let (status, made) = town.post(&admin, "/api/v1/matrix/versions", wanted.clone()).await;
    assert_eq!((status, &made["version"]["state"]), (StatusCode::CREATED, &json!("waiting")), "{made}");
    assert_eq!(town.leaves()[before..], ["change matrix.propose", "change matrix_proposed"]);
    let change = &made["diff"]["changes"][0];
    assert_eq!(made["diff"]["changes"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&change["profile"], &change["right"], &change["turn"], &change["accounts"]),
        (&json!("P01"), &json!("playback"), &json!("tightened"), &json!(2))
    );
    assert_eq!((&made["diff"]["who_loses"], &made["diff"]["who_gains"]), (&json!(["P01"]), &json!([])));
    let (status, problem) = town.post(&admin, "/api/v1/matrix/versions", wanted).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("taken")), "one at a time");

    let path = |step: &str| format!("/api/v1/matrix/versions/{}{step}", made["version"]["id"].as_str().unwrap());
    assert_eq!(town.post(&admin, &path("/approve"), json!({})).await.0, StatusCode::FORBIDDEN);
    let (_, seen) = town.get(&chief, &path("")).await;
    assert_eq!((&seen["may_settle"], &seen["may_withdraw"]), (&json!(true), &json!(false)));
    let before = town.leaves().len();
    let (status, agreed) = town.post(&chief, &path("/approve"), json!({})).await;
    assert_eq!((status, &agreed["version"]["state"]), (StatusCode::OK, &json!("approved")), "{agreed}");
    assert_eq!(town.leaves()[before..], ["change matrix.approve", "change matrix_approved"]);

    town.cases.matrix_round().await.unwrap();
    assert_eq!(in_force(&town, &admin).await, shipped, "its time has not come");
    let changes = town.cases.changes();
    let seen = *changes.borrow();
    town.clock.pass_s(300);
    town.cases.matrix_round().await.unwrap();
    assert_eq!(in_force(&town, &admin).await, "test.1");
    assert!(*changes.borrow() > seen, "running uses are decided again");
    assert!(town.leaves().contains(&"change matrix_activated".to_owned()));

    let (_, list) = town.get(&town.person("overseer").await, "/api/v1/matrix/versions").await;
    let states: Vec<&str> = list["items"].as_array().unwrap().iter().filter_map(|row| row["state"].as_str()).collect();
    assert_eq!(states, ["active", "superseded"], "old versions stay readable");
    let old = format!("/api/v1/matrix/versions/{}", list["items"][1]["id"].as_str().unwrap());
    let (_, old) = town.get(&admin, &old).await;
    assert_eq!((&old["version"]["version"], old["text"].as_str()), (&json!(shipped), Some(policy::matrix::EMBEDDED)));

    // The process dies and comes back: the version that people put in force is the one that holds.
    town.cases.gate().set_matrix(std::sync::Arc::new(policy::Matrix::embedded().unwrap()));
    town.cases.matrix_take_up().await.unwrap();
    assert_eq!(town.cases.gate().matrix().version(), "test.1");
}

#[tokio::test]
async fn what_breaks_a_rule_or_does_not_read_is_refused_by_name() {
    let town = Town::settled().await;
    let admin = town.person("administrator").await;
    let shipped = policy::matrix::EMBEDDED;
    for (text, wanted) in [
        (shipped.to_owned(), "no_change"),
        (shipped.replacen("own = \"masked\"", "own = \"hidden\"", 1), "`hidden` is not known"),
        (
            stricter("x").replacen("{ profile = \"P01\", own = \"yes\"", "{ profile = \"P18\", own = \"yes\"", 1),
            "separation rule 1",
        ),
        ("version = 'x'".to_owned(), "does not parse"),
    ] {
        let (status, problem) = town.post(&admin, "/api/v1/matrix/versions", draft(&text, None)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        assert!(problem["errors"][0].to_string().contains(wanted), "{wanted}: {problem}");
    }
    let (_, list) = town.get(&admin, "/api/v1/matrix/versions").await;
    assert_eq!(list["items"], json!([]), "nothing of it was stored");
    let far = draft(&stricter("x"), Some("2027-11-22T13:00:00Z"));
    assert_eq!(town.post(&admin, "/api/v1/matrix/versions", far).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let operator = town.person("operator").await;
    assert_eq!(town.get(&operator, "/api/v1/matrix").await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn refused_and_taken_back_versions_never_hold() {
    let town = Town::settled().await;
    town.cases.matrix_take_up().await.unwrap();
    let (admin, chief) = (town.person("administrator").await, town.person("chief").await);
    let shipped = in_force(&town, &admin).await;
    for (who, step, body, state) in [
        (&chief, "/refuse", json!({ "reason": "twee dagen zijn nodig" }), "refused"),
        (&admin, "/withdraw", json!({}), "withdrawn"),
    ] {
        let (_, made) = town.post(&admin, "/api/v1/matrix/versions", draft(&stricter(state), None)).await;
        let path = format!("/api/v1/matrix/versions/{}{step}", made["version"]["id"].as_str().unwrap());
        let other = if step == "/refuse" { &admin } else { &chief };
        let (status, _) = town.post(other, &path, body.clone()).await;
        assert!([StatusCode::FORBIDDEN, StatusCode::NOT_FOUND].contains(&status), "{step}: {status}");
        let (status, settled) = town.post(who, &path, body).await;
        assert_eq!((status, &settled["version"]["state"]), (StatusCode::OK, &json!(state)), "{settled}");
        town.clock.pass_s(60);
        town.cases.matrix_round().await.unwrap();
        assert_eq!(in_force(&town, &admin).await, shipped);
    }
}

#[tokio::test]
async fn a_change_that_was_agreed_against_another_matrix_does_not_come_into_force() {
    let town = Town::settled().await;
    town.cases.matrix_take_up().await.unwrap();
    let (admin, chief) = (town.person("administrator").await, town.person("chief").await);
    let wanted = draft(&stricter("test.2"), Some("2026-11-22T12:05:00Z"));
    let (_, made) = town.post(&admin, "/api/v1/matrix/versions", wanted).await;
    let path = |step: &str| format!("/api/v1/matrix/versions/{}{step}", made["version"]["id"].as_str().unwrap());
    assert_eq!(town.post(&chief, &path("/approve"), json!({})).await.0, StatusCode::OK);
    let other = std::sync::Arc::new(policy::Matrix::parse(&stricter("elsewhere")).unwrap());
    town.cases.gate().set_matrix(other);
    town.clock.pass_s(300);
    town.cases.matrix_round().await.unwrap();
    let (_, seen) = town.get(&chief, &path("")).await;
    assert_eq!(seen["version"]["state"], "refused", "{seen}");
    assert!(town.leaves().contains(&"change matrix_not_activated".to_owned()));
}
