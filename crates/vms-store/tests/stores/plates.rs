//! Searches by pattern and likeness over the index of distinct plates, on both databases.

use std::collections::BTreeSet;
use std::sync::Arc;

use sqlx::Row as _;
use vms_app::lez_ports::{LezStore as _, NewRead, PurposeCopy};
use vms_app::plate_ports::{LIKE_MAX, LikeReads, Packed, PlateIndex as _};
use vms_core::{Plate, PlatePattern, PlateWish, Purpose, ReadId};
use vms_store::Store;

use crate::reads::{HOUR_S, TERM_S, THEN_S, Town, at, copy, damage, decode, query, rows, run, search, town};
use crate::suite::{postgres, sqlite};

const DAY_S: i64 = 24 * HOUR_S;

on_both!(
    a_pattern_finds_reads_packed_or_not,
    a_day_has_each_plate_once_under_its_last_hour,
    what_was_erased_is_in_no_index_whatever_database_comes_back,
    too_many_plates_are_no_answer,
    a_damaged_block_is_made_anew,
);

fn pattern(text: &str) -> PlateWish {
    PlateWish::Pattern(PlatePattern::parse(text).unwrap())
}

fn similar(text: &str) -> PlateWish {
    PlateWish::similar(Plate::parse(text).unwrap()).unwrap()
}

fn numbered(number: u16) -> ReadId {
    let mut bytes = [9_u8; 16];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    ReadId::from_bytes(bytes)
}

/// A police copy with a number of two bytes.
fn police(number: u16, plate: &str, secs: i64) -> PurposeCopy {
    let copy = copy(1, plate, Purpose::PublicOrder, secs);
    let read = NewRead { read: numbered(number), ..NewRead::clone(&copy.read) };
    PurposeCopy { read: Arc::new(read), ..copy }
}

async fn found(town: &Town, wish: &PlateWish, from_s: i64, to_s: i64) -> Option<Vec<ReadId>> {
    match town.vault.read_search_like(&search().await, wish, &query(from_s, to_s)).await.unwrap() {
        LikeReads::Found(reads, plates) => {
            assert!(reads.iter().all(|read| wish.matches(read.facts.plate.reveal().as_bytes())));
            assert!(reads.is_sorted_by(|a, b| (a.at, a.read) >= (b.at, b.read)), "newest first");
            let seen: BTreeSet<&Plate> = reads.iter().map(|read| &read.facts.plate).collect();
            assert!(seen.len() <= plates, "no plate that was not counted");
            Some(reads.iter().map(|read| read.read).collect())
        }
        LikeReads::TooMany => None,
    }
}

/// Rounds until there is nothing left to do.
async fn packed(town: &Town, now_s: i64) -> Packed {
    let mut sum = Packed::default();
    loop {
        let round = town.vault.plates_pack(at(now_s)).await.unwrap();
        if round == Packed::default() {
            return sum;
        }
        sum.reads += round.reads;
        sum.blocks += round.blocks;
        sum.days += round.days;
    }
}

async fn a_pattern_finds_reads_packed_or_not(store: &Store) {
    let town = town(store).await;
    let copies = [
        police(1, "1ABC234", THEN_S),
        police(2, "1ABC235", THEN_S + 60),
        police(3, "1ABX234", THEN_S + HOUR_S),
        police(4, "2XYZ999", THEN_S + HOUR_S),
        police(5, "1ABC234", THEN_S + 3 * DAY_S),
        copy(7, "1ABC236", Purpose::Lez, THEN_S),
    ];
    town.vault.read_take(&decode().await, &copies).await.unwrap();
    let cases = [
        (pattern("1ABC*"), vec![5, 2, 1]),
        (pattern("*234"), vec![5, 3, 1]),
        (pattern("?XYZ???"), vec![4]),
        (pattern("9ABC*"), vec![]),
        (similar("1ABC234"), vec![5, 3, 2, 1]),
        (similar("1ABC23"), vec![5, 2, 1]),
        (similar("2XYZ99"), vec![4]),
        (similar("1ABC2346"), vec![5, 1]),
    ];
    let span = (THEN_S - DAY_S, THEN_S + 4 * DAY_S);
    for (when, now_s) in
        [("fresh", None), ("packed", Some(THEN_S + 3 * DAY_S + 60)), ("merged", Some(THEN_S + 6 * DAY_S))]
    {
        if let Some(now_s) = now_s {
            packed(&town, now_s).await;
        }
        for (wish, wanted) in &cases {
            let wanted: Vec<ReadId> = wanted.iter().map(|number| numbered(*number)).collect();
            assert_eq!(found(&town, wish, span.0, span.1).await, Some(wanted), "{} {when}", wish.reveal());
        }
        // The span is one of reads, not of days.
        let some = found(&town, &pattern("1ABC*"), THEN_S + 30, THEN_S + 3 * DAY_S).await.unwrap();
        assert_eq!(some, [numbered(2)], "{when}");
    }
    assert_eq!(
        (town.count("plate_fresh").await, town.count("plate_block").await),
        (0, 3),
        "two hours of one day, one of another"
    );
    // Another zone's plates are not found.
    let other = vms_app::lez_ports::ReadQuery { owner: vms_core::OrgId::from_bytes([8; 16]), ..query(span.0, span.1) };
    let none = town.vault.read_search_like(&search().await, &pattern("1ABC*"), &other).await.unwrap();
    assert_eq!(none, LikeReads::Found(Vec::new(), 0));
}

async fn a_day_has_each_plate_once_under_its_last_hour(store: &Store) {
    let town = town(store).await;
    // Midnight of a day of UTC, and one vehicle in each of four hours of it.
    let day_s = THEN_S / DAY_S * DAY_S;
    let hours = [1, 5, 9, 20];
    let mut copies: Vec<PurposeCopy> =
        (0_u16..4).map(|n| police(n, "1ABC234", day_s + hours[usize::from(n)] * HOUR_S)).collect();
    copies.push(police(9, "1DEF567", day_s + HOUR_S));
    town.vault.read_take(&decode().await, &copies).await.unwrap();
    let sum = packed(&town, day_s + 26 * HOUR_S).await;
    assert_eq!((sum.reads, sum.blocks, sum.days), (5, 4, 0), "half an hour for those that come late");
    let sum = packed(&town, day_s + 27 * HOUR_S).await;
    assert_eq!((sum.reads, sum.blocks, sum.days), (0, 0, 1));
    let blocks = rows(store, "select hour, plates from plate_block order by hour").await;
    let blocks: Vec<(i64, i64)> =
        blocks.iter().map(|row| (row.try_get("hour").unwrap(), row.try_get("plates").unwrap())).collect();
    assert_eq!(blocks, [(day_s / HOUR_S + 1, 1), (day_s / HOUR_S + 20, 1)], "each plate of the day once");
    let all = found(&town, &pattern("1ABC*"), day_s, day_s + DAY_S).await.unwrap();
    assert_eq!(all.len(), 4);
    // A read that comes late joins its day.
    town.vault.read_take(&decode().await, &[police(7, "1ABC239", day_s + 2 * HOUR_S)]).await.unwrap();
    assert_eq!(packed(&town, day_s + 28 * HOUR_S).await.blocks, 1);
    assert_eq!(packed(&town, day_s + 29 * HOUR_S).await.days, 1);
    assert_eq!(found(&town, &pattern("1ABC*"), day_s, day_s + DAY_S).await.unwrap().len(), 5);
    // As long as its last read of the day is there, and not longer.
    for (after, wanted) in [(2, 3), (6, 2), (10, 1), (21, 0)] {
        town.vault.lez_sweep(at(day_s + TERM_S + after * HOUR_S)).await.unwrap();
        let left = found(&town, &similar("1ABC234"), day_s, day_s + DAY_S).await.unwrap();
        assert_eq!(left.iter().filter(|id| **id != numbered(7)).count(), wanted, "{after} h");
    }
    assert_eq!((town.count("plate_block").await, town.live()), (0, 0));
}

async fn what_was_erased_is_in_no_index_whatever_database_comes_back(store: &Store) {
    let town = town(store).await;
    town.vault.read_take(&decode().await, &[police(1, "1ABC234", THEN_S)]).await.unwrap();
    packed(&town, THEN_S + 2 * HOUR_S).await;
    town.vault.read_take(&decode().await, &[police(2, "1ABC235", THEN_S + 60)]).await.unwrap();
    let tables = ["lez_read", "lez_key", "plate_block", "plate_fresh"];
    for table in tables {
        run(store, &format!("create table stolen_{table} as select * from {table}")).await;
    }
    let end_s = THEN_S / HOUR_S * HOUR_S + TERM_S;
    town.vault.lez_sweep(at(end_s - 1)).await.unwrap();
    assert_eq!(found(&town, &pattern("1ABC*"), THEN_S - 60, end_s).await.unwrap().len(), 2, "not one second early");
    town.vault.lez_sweep(at(end_s)).await.unwrap();
    assert_eq!((town.live(), town.count("plate_block").await, town.count("plate_fresh").await), (0, 0, 0));
    for table in tables {
        run(store, &format!("insert into {table} select * from stolen_{table}")).await;
    }
    assert_eq!((town.count("plate_block").await, town.count("plate_fresh").await), (1, 1));
    assert_eq!(found(&town, &pattern("1ABC*"), THEN_S - 60, end_s).await.unwrap(), []);
    // Nothing of it lies there in clear, nor would equal plates be equal.
    let body: Vec<u8> = rows(store, "select body from plate_block").await[0].try_get("body").unwrap();
    assert!(!body.windows(7).any(|seven| seven == b"1ABC234"));
    packed(&town, end_s + 60).await;
    town.vault.lez_sweep(at(end_s)).await.unwrap();
    assert_eq!((town.count("plate_block").await, town.count("plate_fresh").await), (0, 0));
}

async fn too_many_plates_are_no_answer(store: &Store) {
    let town = town(store).await;
    let plates = u16::try_from(LIKE_MAX).unwrap() + 1;
    let copies: Vec<PurposeCopy> =
        (0..plates).map(|n| police(n, &format!("1ABC{n:03}"), THEN_S + i64::from(n))).collect();
    town.vault.read_take(&decode().await, &copies).await.unwrap();
    for now_s in [THEN_S + 10, THEN_S + 2 * HOUR_S, THEN_S + 3 * DAY_S] {
        packed(&town, now_s).await;
        assert_eq!(found(&town, &pattern("1ABC*"), THEN_S - 60, THEN_S + DAY_S).await, None);
        assert_eq!(found(&town, &pattern("1ABC0*"), THEN_S - 60, THEN_S + DAY_S).await.unwrap().len(), 100);
    }
}

async fn a_damaged_block_is_made_anew(store: &Store) {
    let town = town(store).await;
    let day_s = THEN_S / DAY_S * DAY_S;
    let copies: Vec<PurposeCopy> = (0_u16..6)
        .map(|n| police(n, &format!("1ABC23{n}"), day_s + i64::from(n % 3) * HOUR_S + i64::from(n / 3) * DAY_S))
        .collect();
    town.vault.read_take(&decode().await, &copies).await.unwrap();
    let ids = async |merged: i64| {
        let sql =
            format!("select id from plate_block where day = {} and is_merged = {merged} order by hour", day_s / DAY_S);
        let found = rows(store, &sql).await;
        found.iter().map(|row| row.try_get("id").unwrap()).collect::<Vec<String>>()
    };
    let all = async || found(&town, &pattern("1ABC*"), day_s, day_s + 2 * DAY_S).await.unwrap().len();
    // Met by a search, in a day that is whole already.
    for hour in [26, 27] {
        packed(&town, day_s + hour * HOUR_S).await;
    }
    let merged = ids(1).await;
    assert_eq!(merged.len(), 3);
    damage(store, "plate_block", "body", (&merged[0], &merged[1])).await;
    assert_eq!((all().await, ids(1).await.len(), town.count("plate_fresh").await), (6, 0, 4));
    // Met by the merging of its day: the next one is merged all the same.
    let late = day_s + 60 * HOUR_S;
    while town.vault.plates_pack(at(day_s + 26 * HOUR_S)).await.unwrap() != Packed::default() {}
    let hours = ids(0).await;
    assert_eq!(hours.len(), 3);
    damage(store, "plate_block", "body", (&hours[2], &hours[0])).await;
    packed(&town, late).await;
    packed(&town, late + 2 * HOUR_S).await;
    assert_eq!((all().await, town.count("plate_fresh").await, ids(1).await.len()), (6, 0, 3));
    assert_eq!(town.number_of_days_merged(store).await, 2);
    assert_eq!(town.vault.lez_sweep(at(late)).await.unwrap().damaged, 1, "the day is named once");
}

impl Town {
    async fn number_of_days_merged(&self, store: &Store) -> usize {
        rows(store, "select distinct day from plate_block where is_merged = 1").await.len()
    }
}
