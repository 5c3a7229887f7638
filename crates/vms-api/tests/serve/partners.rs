use http::StatusCode;
use serde_json::{Value, json};
use vms_app::model::PartnerCamera;

use crate::town::{Town, stream_of};

fn listed(code: &str, url: &str) -> PartnerCamera {
    PartnerCamera {
        code: code.to_owned(),
        name_nl: "Metro De Brouckère".to_owned(),
        name_fr: "Métro De Brouckère".to_owned(),
        lat: 50.85,
        lon: 4.35,
        url: url.to_owned(),
        credentials: Some(("relay".to_owned(), "planted-secret".to_owned())),
    }
}

#[tokio::test]
async fn a_partner_is_connected_imported_and_switched() {
    let town = Town::settled().await;
    let administrator = town.person("administrator").await;
    let org = town.org("MIVB").await.to_string();
    let wish = json!({
        "org_id": org, "name": "MIVB", "catalogue_url": "https://mivb.example/cameras",
        "agreement": { "document": "Protocol 3", "date": "2026-01-01" },
    });
    let (status, partner) = town.post(&administrator, "/api/v1/partners", wish.clone()).await;
    assert_eq!((status, &partner["enabled"]), (StatusCode::CREATED, &json!(false)), "{partner}");
    assert_eq!(town.post(&administrator, "/api/v1/partners", wish).await.1["code"], "taken");
    *town.catalogue.0.lock().unwrap() =
        vec![listed("m1", "rtsp://10.8.0.1/a"), listed("m2", "rtsp://10.8.0.2/a"), listed("bad", "rtsp://127.0.0.1/a")];
    let path = format!("/api/v1/partners/{org}");
    let import = async || town.post(&administrator, &format!("{path}/catalogue"), json!({})).await.1;
    let refused = json!([{ "code": "bad", "field": "streams.main.url", "problem": "network_not_allowed" }]);
    assert_eq!(import().await, json!({ "added": 2, "changed": 0, "retired": 0, "refused": refused }));
    assert_eq!(import().await, json!({ "added": 0, "changed": 0, "retired": 0, "refused": refused }), "idempotent");

    let plan =
        async || (town.cases.recorder_plan().await.unwrap().streams, town.cases.gateway_plan().await.unwrap().streams);
    let (recorded, relayed) = plan().await;
    assert!(recorded.is_empty() && relayed.is_empty(), "a partner's camera is never recorded; off, it is not pulled");
    assert_eq!(town.patch(&administrator, &path, "*", json!({ "enabled": true })).await.1["enabled"], true);
    let (recorded, relayed) = plan().await;
    assert!(recorded.is_empty());
    assert_eq!(relayed.iter().map(|spec| (spec.record, spec.on_demand)).collect::<Vec<_>>(), [(false, true); 2]);

    // The zone's supervisor sees that it is there; live needs an active event, which issue D brings.
    let supervisor = town.person("supervisor").await;
    let (_, page) = town.get(&supervisor, "/api/v1/cameras?q=mivb/m1").await;
    let camera = &page["items"][0];
    assert_eq!((&camera["partner"]["enabled"], &camera["relation"]), (&json!(true), &json!("other")));
    assert_eq!(camera["may"]["playback"], false);
    let ticket = json!({ "stream_id": stream_of(camera, "main").to_string(), "kind": "live",
        "purpose": { "code": "CRISIS", "justification": "ontruiming van het station" } });
    assert_eq!(town.post(&supervisor, "/api/v1/stream-tickets", ticket.clone()).await.1["code"], "no_event");
    town.patch(&administrator, &path, "*", json!({ "enabled": false })).await;
    assert_eq!(town.post(&supervisor, "/api/v1/stream-tickets", ticket).await.1["code"], "partner_off");

    town.catalogue.0.lock().unwrap().truncate(1);
    assert_eq!(import().await["retired"], 1);
    let chief: Value = town.get(&supervisor, "/api/v1/cameras?q=mivb/m2").await.1;
    assert_eq!(chief["items"][0]["state"], "retired");
}
