//! The permit desk's register over HTTP: every entry counts for itself, and a desk has its own municipality's only.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};
use traffic_rules::{trajectory, zbt};
use vms_app::traffic_ports::{Sites, TrafficParts};
use vms_core::Profile;
use vms_store::LezVault;

use crate::town::Town;

const SITES: &str = r#"
[[zone]]
camera = "ZBT-1"
zone = "ZBT-XL-A"
end = "entry"
authority = "ELSENE"
[[zone]]
camera = "ZBT-2"
zone = "ZBT-XL-C"
end = "entry"
authority = "HAVEN"
"#;

/// The shipped tables, and a zone of each of two authorities.
pub(crate) fn traffic(vault: &Arc<LezVault>) -> TrafficParts {
    let (zones, roads) = (zbt::RuleSet::embedded(), trajectory::RuleSet::embedded());
    let sites = Sites::parse(SITES, &zones, &roads).unwrap();
    let (zones, roads, sites) = (Arc::new(zones), Arc::new(roads), Arc::new(sites));
    TrafficParts { zones, roads, sites, permits: vault.clone() }
}

fn permit(id: &str, plate: &str) -> Value {
    json!({
        "id": id, "plate": plate, "country": "B", "right": "Z-MED", "zones": ["ZBT-XL-A"], "from": "2026-11-01T00:00:00Z",
        "to": "2027-10-01T00:00:00Z", "granted_at": "2026-10-20T10:00:00Z", "status": "granted", "evidence": "dossier 7",
    })
}

fn but(mut permit: Value, field: &str, value: Value) -> Value {
    permit[field] = value;
    permit
}

fn listing(list: &str, plate: &str) -> Value {
    json!({ "list": list, "plate": plate, "country": "B", "from": "2026-11-01T00:00:00Z", "evidence": "lijst" })
}

#[tokio::test]
async fn every_entry_of_an_import_counts_for_itself() {
    let town = Town::settled().await;
    for (user, org, profile) in
        [("desk", "ELSENE", Profile::P10), ("otherdesk", "HAVEN", Profile::P10), ("official", "ELSENE", Profile::P09)]
    {
        town.account(user, org, profile).await;
    }
    let desk = town.person("desk").await;
    let body = json!({
        "justification": "vergunningen van november",
        "permits": [
            permit("V-1", "1-ABC-123"),
            permit("V-2", "no plate at all!"),
            but(permit("V-3", "1ABC125"), "zones", json!(["ZBT-XL-C"])),
            but(permit("V-4", "1ABC126"), "from", json!("yesterday")),
            but(permit("V-5", "1ABC127"), "to", json!("2030-01-01T00:00:00Z")),
            but(permit("V-6", "1ABC128"), "status", json!("perhaps")),
            permit("V-1ABC129", "1ABC129"),
            permit("V-8", "1ABC130"),
        ],
        "listings": [listing("taxi", "TXAB123"), listing("rocket", "1ABC131")],
    });
    let (status, came) = town.post(&desk, "/api/v1/permits/import", body.clone()).await;
    assert_eq!(status, StatusCode::OK, "{came}");
    assert_eq!((came["permits"].as_u64(), came["listings"].as_u64()), (Some(2), Some(1)), "{came}");
    let refused: Vec<(u64, &str)> = came["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["position"].as_u64().unwrap(), one["reason"].as_str().unwrap()))
        .collect();
    let places: Vec<u64> = refused.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, [1, 2, 3, 4, 5, 6, 9], "{refused:?}");
    for (place, words) in [
        (0, "plate: not a plate"),
        (1, "zone `ZBT-XL-C` is another municipality's"),
        (2, "from: not an RFC 3339 instant"),
        (4, "status: an unknown word"),
        (5, "the number of a permit is not its plate"),
        (6, "list: an unknown word"),
    ] {
        assert_eq!(refused[place].1, words);
    }
    assert!(!format!("{refused:?}").contains("1ABC12"), "no plate in a reason");
    // Its own register, by number; the other desk's is empty, and it cannot end these.
    let numbers = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    let (_, page) = town.get(&desk, "/api/v1/permits").await;
    assert_eq!(numbers(&page), ["V-1", "V-8"]);
    assert_eq!(page["items"][0]["plate"], "1ABC123");
    let other = town.person("otherdesk").await;
    assert_eq!(numbers(&town.get(&other, "/api/v1/permits").await.1), Vec::<String>::new());
    let end = json!({ "justification": "verhuisd uit de zone" });
    let path = "/api/v1/permits/V-1/withdraw";
    assert_eq!(town.post(&other, path, end.clone()).await.0, StatusCode::NOT_FOUND);
    // Who decides findings reads the register; nobody changes it without a reason.
    let official = town.person("official").await;
    assert_eq!(town.get(&official, "/api/v1/permits").await.0, StatusCode::OK);
    assert_eq!(town.post(&official, "/api/v1/permits/import", body.clone()).await.0, StatusCode::FORBIDDEN);
    assert_eq!(town.post(&official, path, end.clone()).await.0, StatusCode::FORBIDDEN);
    let short = but(body.clone(), "justification", json!("kort"));
    assert_eq!(town.post(&desk, "/api/v1/permits/import", short).await.0, StatusCode::FORBIDDEN);
    assert_eq!(town.post(&desk, path, end.clone()).await.0, StatusCode::NO_CONTENT);
    assert_eq!(town.post(&desk, path, end).await.0, StatusCode::NOT_FOUND, "it ended");
    let many: Vec<Value> = (0..1_001).map(|n| permit(&format!("W-{n}"), "1ABC123")).collect();
    let many = json!({ "justification": "vergunningen van november", "permits": many });
    assert_eq!(town.post(&desk, "/api/v1/permits/import", many).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let said = format!("{:?}", town.log.entries());
    assert!(said.contains("permits_imported") && said.contains("permit_ended"));
    assert!(!said.contains("ABC123"), "no plate in the log");
}
