//! The port over the real client and the stub.

use registry::stub::{StubSettings, fleet, serve};
use tokio::net::TcpListener;
use vms_core::Country;

use super::*;

#[tokio::test]
async fn holders_are_asked_for_by_the_municipality_s_flow_and_nothing_else_comes_of_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(serve(listener, StubSettings::default()));
    let port = RegistryPort::new(&url).unwrap();
    let at = WallTime::from_secs(1_795_345_200);
    let query = |index, country| VehicleQuery { plate: fleet::plate(index).unwrap(), country, at };
    let queries = [query(1, Country::BELGIUM), query(2, Country::BELGIUM), query(3, Country::parse("F").unwrap())];
    let answer = port.holders("ELSENE", "dec_1", &queries).await.unwrap();
    let replies: Vec<&HolderReply> = answer.replies.iter().map(|(reply, _)| reply).collect();
    assert!(matches!(replies[0], HolderReply::Found(_) | HolderReply::Unknown), "{replies:?}");
    assert_eq!(replies[2], &HolderReply::NotAsked);
    let ask = &answer.asked[0];
    assert_eq!(
        (ask.flow.as_str(), ask.institution.as_str(), ask.purpose, ask.reason.as_str(), ask.items.len()),
        ("DS-ZBT-HOLDER", "municipality:ELSENE", Purpose::Zbt, "dec_1", 2)
    );
    assert_eq!(answer.replies[0].1.as_deref(), Some(ask.request.as_str()));
    // The low-emission zone's own questions carry no holder.
    let vehicles = port.look_up("dec_2", &queries[..1]).await.unwrap();
    assert_eq!((vehicles.asked[0].purpose, vehicles.asked[0].flow.as_str()), (Purpose::Lez, "DS-LEZ-VEH"));
    server.abort();
    drop(server.await);
    let away =
        RegistryPort::with(ClientSettings { base_url: url, attempts_max: 1, ..ClientSettings::default() }).unwrap();
    let answer = away.holders("ELSENE", "dec_3", &queries[..2]).await.unwrap();
    assert!(answer.replies.iter().all(|(reply, _)| *reply == HolderReply::Away));
    assert_eq!((answer.asked.len(), answer.asked[0].attempts), (1, 1), "what left is told, also without an answer");
}
