//! "Who searched for this plate?", as an overseer asks it.

use http::StatusCode;
use serde_json::{Value, json};
use vms_core::Profile;

use crate::four_eyes::copy_details;
use crate::reads::read_town;
use crate::town::{Person, Town};

const ROUTE: &str = "/api/v1/audit/plate-searches";

fn wish(plate: &str, purpose: &Value) -> Value {
    json!({ "plate": plate, "from": "2026-11-22T11:00:00Z", "to": "2026-11-22T13:00:00Z", "purpose": purpose })
}

fn why(case: Option<&str>) -> Value {
    json!({ "code": "GERECHTELIJK_ONDERZOEK", "justification": "klacht over een opzoeking", "case_ref": case })
}

/// Users and rights of what was found, newest first.
async fn asked(town: &Town, person: &Person, plate: &str) -> Vec<(String, String)> {
    let (status, page) = town.post(person, ROUTE, wish(plate, &why(Some("CC-2026-14")))).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let text = |item: &Value, pointer: &str| item.pointer(pointer).and_then(Value::as_str).unwrap_or("").to_owned();
    let items = page["items"].as_array().unwrap();
    items.iter().map(|item| (text(item, "/details/actor/name"), text(item, "/details/right"))).collect()
}

fn pairs(wanted: &[(&str, &str)]) -> Vec<(String, String)> {
    wanted.iter().map(|(user, right)| ((*user).to_owned(), (*right).to_owned())).collect()
}

/// Searches by a pattern and by likeness are found by every plate that they would have found, page by page in the order of the log.
async fn patterns(town: &Town, overseer: &Person, supervisor: &Person, done: &mut usize) {
    for (plate, kind) in [("9XY?8*", "wildcard"), ("9XYZ877", "similar"), ("*Z877", "wildcard")] {
        let mut body = wish(plate, &why(Some("BR-7")));
        body["match"] = json!(kind);
        let (status, answer) = town.post(supervisor, "/api/v1/reads/search", body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    copy_details(town, done).await;
    for (plate, wanted) in [("9XYZ877", 3), ("9XYZ876", 2), ("9XYA876", 1), ("7AAZ877", 1), ("7AAZ8776", 0)] {
        let found = asked(town, overseer, plate).await;
        let searches =
            found.iter().filter(|(user, right)| (user.as_str(), right.as_str()) == ("supervisor", "reads.search"));
        assert_eq!(searches.count(), wanted, "{plate}: {found:?}");
    }
    let (mut cursor, mut seen) = (String::new(), Vec::new());
    loop {
        let body = wish("9XYZ877", &why(Some("CC-2026-14")));
        let (_, page) = town.post(overseer, &format!("{ROUTE}?limit=1{cursor}"), body).await;
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().map(|item| item["index"].as_u64().unwrap()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert!(seen.len() >= 3 && seen.is_sorted_by(|a, b| a > b), "{seen:?}");
}

#[tokio::test]
async fn who_searched_for_a_plate_is_told_to_overseers_and_officers_under_a_case() {
    let town = Town::settled().await;
    read_town(&town).await;
    for (user, org) in [("dpo", "5340"), ("otherdpo", "5339")] {
        town.account(user, org, Profile::P20).await;
    }
    town.account("inspector", "CC", Profile::P22).await;
    let [supervisor, operator, dpo, otherdpo, overseer] = [
        town.person("supervisor").await,
        town.person("operator").await,
        town.person("dpo").await,
        town.person("otherdpo").await,
        town.person("overseer").await,
    ];
    let search = async |person: &Person, plate: &str| {
        let body = wish(
            plate,
            &json!({ "code": "GERECHTELIJK_ONDERZOEK", "justification": "diefstal met vluchtwagen",
            "case_ref": "BR-7" }),
        );
        town.post(person, "/api/v1/reads/search", body).await.0
    };
    assert_eq!(search(&supervisor, "1-AAA-111").await, StatusCode::OK);
    assert_eq!(search(&supervisor, "1-BBB-222").await, StatusCode::OK);
    assert_eq!(search(&operator, "1 AAA 111").await, StatusCode::FORBIDDEN, "a refused one is one too");
    let mut done = 0;
    copy_details(&town, &mut done).await;

    patterns(&town, &overseer, &supervisor, &mut done).await;

    // Nobody who may search may ask who searched; and the commission's technical inspector may.
    for user in ["supervisor", "operator", "chief", "administrator", "technician", "zoneadmin", "lezagent"] {
        let person = town.person(user).await;
        let (status, problem) = town.post(&person, ROUTE, wish("1AAA111", &why(Some("CC-2026-14")))).await;
        assert_eq!((status, problem["items"].is_null()), (StatusCode::FORBIDDEN, true), "{user}: {problem}");
    }
    for (person, purpose, missing) in [
        (&overseer, Value::Null, json!(["purpose", "justification", "case"])),
        (&overseer, why(None), json!(["case"])),
        (&dpo, why(None), json!(["case"])),
        (&dpo, why(Some(" ")), json!(["case"])),
    ] {
        let leaves = town.log.entries().len();
        let (status, problem) = town.post(person, ROUTE, wish("1AAA111", &purpose)).await;
        assert_eq!((status, problem["code"].as_str().is_some()), (StatusCode::FORBIDDEN, true), "{problem}");
        if person.cookie == overseer.cookie {
            assert_eq!(problem["missing"], missing, "{purpose}");
        } else {
            assert!(problem["missing"].as_array().unwrap().contains(&json!("case")), "{problem}");
        }
        assert_eq!(town.log.entries()[leaves].kind.as_str(), "refuse", "and it is logged");
    }
    let (status, problem) = town.post(&overseer, ROUTE, wish("not a plate at all", &why(Some("CC-2026-14")))).await;
    assert_eq!((status, problem["code"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("invalid")));

    let both = [("operator", "reads.search"), ("supervisor", "reads.search")];
    assert_eq!(asked(&town, &overseer, "1.aaa.111").await, pairs(&both));
    assert_eq!(asked(&town, &dpo, "1AAA111").await, pairs(&both));
    assert_eq!(asked(&town, &otherdpo, "1AAA111").await, Vec::new(), "of its own organisation only");
    assert_eq!(asked(&town, &town.person("inspector").await, "1BBB222").await, pairs(&both[1..]));
    assert_eq!(asked(&town, &overseer, "1CCC333").await, Vec::new());

    // The look-up is a use like any other, and the next one finds it: nobody asks unseen.
    copy_details(&town, &mut done).await;
    let seen = asked(&town, &overseer, "1AAA111").await;
    assert_eq!(seen.iter().filter(|(_, right)| right == "audit.persons").count(), 3 + 7 + 1, "{seen:?}");
    assert_eq!(seen.last(), Some(&("supervisor".to_owned(), "reads.search".to_owned())));
    let (_, page) = town.post(&overseer, &format!("{ROUTE}?limit=1"), wish("1AAA111", &why(Some("CC-2026-14")))).await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let (_, next) = town
        .post(&overseer, &format!("{ROUTE}?limit=1&cursor={cursor}"), wish("1AAA111", &why(Some("CC-2026-14"))))
        .await;
    assert!(next["items"][0]["index"].as_u64() < page["items"][0]["index"].as_u64(), "{page} {next}");

    let log = format!("{:?}", town.log.entries());
    assert!(!log.contains("AAA111") && !log.contains("aaa.111"), "no plate in the log");
}
