//! Published counts and travel times, on both databases.

use vms_app::gate::Why;
use vms_app::statistics_ports::{
    CountRow, RouteCode, Sample, SiteCode, StatQuery, StatisticsPermit, StatisticsStore as _, TimeRow,
};
use vms_core::Profile;
use vms_store::Store;

use crate::suite::{at, permit_for, postgres, span, sqlite};

on_both!(
    a_published_number_never_changes,
    pages_go_on_where_the_last_one_ended,
    what_is_past_its_term_is_gone_and_the_rest_is_not,
    a_small_cell_cannot_be_stored,
);

fn count(site: &str, lane: Option<u8>, from_s: i64, count: Option<u32>) -> CountRow {
    CountRow { site: SiteCode::new(site), lane, from: at(from_s), to: at(from_s + 300), count, speed_kmh: None }
}

fn time(route: &str, from_s: i64, mean_s: u32) -> TimeRow {
    TimeRow { route: RouteCode::new(route), from: at(from_s), to: at(from_s + 300), mean_s, sample: Sample::Some }
}

async fn permit() -> StatisticsPermit {
    StatisticsPermit::Person(permit_for(Profile::P20, &Why::default()).await)
}

fn query(place: &str, to_s: i64, limit: u32) -> StatQuery {
    StatQuery { place: place.to_owned(), range: span(0, to_s), after: None, limit }
}

async fn a_published_number_never_changes(store: &Store) {
    let with_speed = CountRow { speed_kmh: Some(31), ..count("A", None, 0, Some(12)) };
    store.stat_put(&[with_speed.clone(), count("A", None, 300, None)], &[time("R", 0, 85)]).await.unwrap();
    store
        .stat_put(&[count("A", None, 0, Some(99)), count("A", None, 300, Some(99))], &[time("R", 0, 5)])
        .await
        .unwrap();
    let rows = store.stat_counts(&permit().await, &query("A", 900, 10)).await.unwrap();
    assert_eq!(rows, [with_speed.clone(), count("A", None, 300, None)]);
    assert_eq!(store.stat_times(&permit().await, &query("R", 900, 10)).await.unwrap(), [time("R", 0, 85)]);
    assert_eq!(store.stat_counts(&permit().await, &query("B", 900, 10)).await.unwrap(), []);
    // A start reads back what may be shown only.
    let (counts, times) = store.stat_recent(at(0), 10).await.unwrap();
    assert_eq!((counts, times), (vec![with_speed], vec![time("R", 0, 85)]));
    assert_eq!(store.stat_recent(at(1), 10).await.unwrap(), (vec![], vec![]));
}

async fn pages_go_on_where_the_last_one_ended(store: &Store) {
    let rows: Vec<CountRow> =
        (0..7).flat_map(|n| [1, 2].map(|lane| count("A", Some(lane), n * 300, Some(5 + u32::from(lane))))).collect();
    let times: Vec<TimeRow> = (0..7).map(|n| time("R", n * 300, 60)).collect();
    store.stat_put(&rows, &times).await.unwrap();
    let mut seen = Vec::new();
    let mut page = query("A", 1_800, 5);
    loop {
        let found = store.stat_counts(&permit().await, &page).await.unwrap();
        let Some(last) = found.last() else { break };
        page.after = Some((last.from, last.lane.unwrap()));
        seen.extend(found);
    }
    assert_eq!(seen, rows[..12], "up to the end of the span");
    let page = StatQuery { after: Some((at(600), 0)), ..query("R", 1_800, 2) };
    assert_eq!(store.stat_times(&permit().await, &page).await.unwrap(), times[3..5]);
}

async fn what_is_past_its_term_is_gone_and_the_rest_is_not(store: &Store) {
    let rows: Vec<CountRow> = (0..10).map(|n| count("A", None, n * 300, None)).collect();
    store.stat_put(&rows, &[time("R", 0, 60), time("R", 3_000, 60)]).await.unwrap();
    assert_eq!(store.stat_sweep(at(1_500)).await.unwrap(), 6);
    assert_eq!(store.stat_counts(&permit().await, &query("A", 9_000, 50)).await.unwrap(), rows[5..]);
    assert_eq!(store.stat_sweep(at(1_500)).await.unwrap(), 0);
}

async fn a_small_cell_cannot_be_stored(store: &Store) {
    for small in [0, 1, 4] {
        assert!(store.stat_put(&[count("A", None, 0, Some(small))], &[]).await.is_err(), "{small}");
    }
    assert_eq!(store.stat_counts(&permit().await, &query("A", 900, 10)).await.unwrap(), []);
}
