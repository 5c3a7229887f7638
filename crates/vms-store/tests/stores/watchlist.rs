//! Watchlists: what is compared, what is kept, and what is gone, on both databases.

use std::sync::Arc;

use sqlx::Row as _;
use uuid::Uuid;
use vms_app::gate::action::{ApproveEntry, DecideHits, ReviewHits, ViewWatchlist};
use vms_app::gate::{Permit, Why};
use vms_app::lez_ports::{LezStore as _, NewRead, PictureKind, PurposeCopy};
use vms_app::model::Signature;
use vms_app::ports::{Clock as _, StoreError};
use vms_app::watchlist_ports::{
    EntryKind, EntryState, Hit, HitDecision, HitState, NewHit, WatchEntry, WatchPage, WatchStore as _,
};
use vms_core::{Country, DecisionId, OrgId, Plate, Profile, Purpose, ReadId, RetentionClass, UserId};
use vms_store::Store;

use crate::reads::{HOUR_S, TERM_S, THEN_S, Town, at, copy, damage, decode, rows, run, town};
use crate::suite::{permit_for, postgres, sqlite};

const ZONE: OrgId = OrgId::from_bytes([3; 16]);

on_both!(
    only_what_two_people_agreed_to_is_compared,
    an_entry_ends_with_its_key_whatever_database_comes_back,
    a_hit_is_decided_once_and_goes_with_its_read,
    a_damaged_entry_or_hit_holds_up_no_other,
    a_damaged_entry_can_be_ended,
);

fn person(n: u8, secs: i64) -> Signature {
    Signature { user: UserId::from_bytes([n; 16]), name: format!("Person {n}"), at: at(secs) }
}

fn entry(n: u8, plate: &str) -> WatchEntry {
    WatchEntry {
        id: Uuid::from_bytes([n; 16]),
        owner: ZONE,
        kind: EntryKind::Regular,
        state: EntryState::Proposed,
        class: RetentionClass::parse("RC-WL").unwrap(),
        plate: Plate::parse(plate).unwrap(),
        country: Some(Country::BELGIUM),
        purpose: Purpose::Investigation,
        reason: "gestolen voertuig".to_owned(),
        case_ref: "BR-7".to_owned(),
        ends_at: at(THEN_S + 10 * HOUR_S),
        decision: DecisionId::from_bytes([1; 16]),
        proposed: person(5, THEN_S - 600),
        settled: None,
        refusal: None,
    }
}

fn settled(entry: WatchEntry, state: EntryState) -> WatchEntry {
    let refusal = (state == EntryState::Refused).then(|| "geen grond".to_owned());
    WatchEntry { state, settled: Some(person(6, THEN_S - 300)), refusal, ..entry }
}

fn page() -> WatchPage {
    WatchPage { owner: ZONE, below: None, limit: 100 }
}

impl Town {
    async fn proposed(&self, entry: &WatchEntry) {
        assert!(self.vault.entry_insert(entry, at(THEN_S - 600)).await.unwrap());
    }

    async fn in_force(&self, entry: WatchEntry) {
        self.proposed(&entry).await;
        self.vault.entry_settle(&approve().await, &settled(entry, EntryState::InForce)).await.unwrap();
    }

    /// Reads as intake takes them.
    async fn passed(&self, copies: &[PurposeCopy], now_s: i64) -> Vec<NewHit> {
        self.vault.read_take(&decode().await, copies).await.unwrap();
        self.vault.hit_take(&decode().await, copies, at(now_s)).await.unwrap()
    }

    async fn hits(&self, state: Option<HitState>) -> Vec<Hit> {
        self.vault.hit_list(&review().await, state, page()).await.unwrap()
    }

    async fn entries(&self) -> Vec<Uuid> {
        let permit: Permit<ViewWatchlist> = permit_for(Profile::P03, &Why::default()).await;
        self.vault.entry_list(&permit, page()).await.unwrap().into_iter().map(|entry| entry.id).collect()
    }
}

async fn approve() -> Permit<ApproveEntry> {
    permit_for(Profile::P03, &Why::default()).await
}

async fn review() -> Permit<ReviewHits> {
    permit_for(Profile::P03, &Why::default()).await
}

async fn decide() -> Permit<DecideHits> {
    permit_for(Profile::P03, &Why::default()).await
}

fn of_zone(copy: PurposeCopy, zone: u8) -> PurposeCopy {
    PurposeCopy { owner: OrgId::from_bytes([zone; 16]), ..copy }
}

async fn only_what_two_people_agreed_to_is_compared(store: &Store) {
    let town = town(store).await;
    town.in_force(entry(1, "1AAA111")).await;
    town.proposed(&entry(2, "1AAA112")).await;
    town.proposed(&entry(3, "1AAA113")).await;
    let refused = settled(entry(3, "1AAA113"), EntryState::Refused);
    town.vault.entry_settle(&approve().await, &refused).await.unwrap();
    let again = town.vault.entry_settle(&approve().await, &refused).await;
    assert!(matches!(again, Err(StoreError::Stale)), "once");
    assert_eq!(town.entries().await.len(), 3);
    let police = |n: u8, plate: &str, secs: i64| copy(n, plate, Purpose::PublicOrder, secs);
    let copies = [
        police(1, "1AAA111", THEN_S),
        police(2, "1AAA112", THEN_S),
        police(3, "1AAA113", THEN_S),
        police(4, "1AAA114", THEN_S),
        // Before it was in force, after its end, for another purpose, at another zone's camera.
        police(5, "1AAA111", THEN_S - 400),
        police(6, "1AAA111", THEN_S + 10 * HOUR_S),
        copy(7, "1AAA111", Purpose::Lez, THEN_S),
        of_zone(police(8, "1AAA111", THEN_S), 4),
    ];
    let new = town.passed(&copies, THEN_S + 5).await;
    let reads: Vec<ReadId> = new.iter().map(|hit| hit.read).collect();
    assert_eq!(reads, [ReadId::from_bytes([1; 16])]);
    // A delivery that comes twice makes one hit, also when a crash came between the copy and the hit.
    assert_eq!(town.passed(&copies, THEN_S + 6).await, []);
    run(store, "delete from watch_hit").await;
    assert_eq!(town.passed(&copies, THEN_S + 7).await.len(), 1);
    // The second person agrees to another one: from then on.
    town.vault.entry_settle(&approve().await, &settled(entry(2, "1AAA112"), EntryState::InForce)).await.unwrap();
    assert_eq!(town.passed(&copies, THEN_S + 8).await.len(), 1);
    let sizes = town.vault.entry_sizes(None, at(THEN_S)).await.unwrap();
    assert_eq!((sizes.len(), sizes[0].entries, sizes[0].owner), (1, 2, ZONE));
    assert_eq!(town.vault.entry_sizes(Some(OrgId::from_bytes([4; 16])), at(THEN_S)).await.unwrap(), []);
    assert_eq!(town.vault.entry_fetch(OrgId::from_bytes([4; 16]), Uuid::from_bytes([1; 16])).await.unwrap(), None);
}

async fn an_entry_ends_with_its_key_whatever_database_comes_back(store: &Store) {
    let town = town(store).await;
    town.in_force(entry(1, "1AAA111")).await;
    town.in_force(entry(2, "1BBB222")).await;
    assert_eq!(town.live(), 2, "a key each");
    for row in rows(store, "select body from watch_entry").await {
        let body: Vec<u8> = row.try_get("body").unwrap();
        assert!(!body.windows(4).any(|four| four == b"1AAA" || four == b"1BBB"));
    }
    for table in ["watch_entry", "lez_key"] {
        run(store, &format!("create table stolen_{table} as select * from {table}")).await;
    }
    // One is ended early, the other at its time.
    assert!(town.vault.entry_end(ZONE, Uuid::from_bytes([2; 16]), at(THEN_S)).await.unwrap());
    assert!(!town.vault.entry_end(ZONE, Uuid::from_bytes([2; 16]), at(THEN_S)).await.unwrap());
    let read = copy(1, "1BBB222", Purpose::PublicOrder, THEN_S);
    assert_eq!(town.passed(std::slice::from_ref(&read), THEN_S + 1).await, []);
    town.vault.lez_sweep(at(THEN_S + 1)).await.unwrap();
    assert_eq!(town.live(), 2, "the other entry, and the hour of the read");
    town.vault.lez_sweep(at(THEN_S + 10 * HOUR_S)).await.unwrap();
    assert_eq!((town.live(), town.count("watch_entry").await, town.entries().await.len()), (1, 0, 0));
    run(store, "insert into watch_entry select * from stolen_watch_entry").await;
    run(store, "insert into lez_key select * from stolen_lez_key where object <> ''").await;
    assert_eq!(town.count("watch_entry").await, 2);
    assert_eq!(town.entries().await.len(), 0, "nothing opens");
    // Even where the end of a row was moved, nothing is compared with it.
    run(store, &format!("update watch_entry set ends_at_us = {}", (THEN_S + 99 * HOUR_S) * 1_000_000)).await;
    let again = LezVaultAgain::over(&town);
    assert_eq!(again.passed(&[read], THEN_S + 11 * HOUR_S).await, []);
}

/// The process died and came back: what it knew of watchlists is gone.
struct LezVaultAgain(Town);

impl LezVaultAgain {
    fn over(town: &Town) -> Self {
        let ids = Arc::new(vms_app::fakes::FixedIds::default());
        let vault = vms_store::LezVault::new(town.store.clone(), [5; 32], ids, Arc::clone(&town.ring) as _);
        Self(Town { vault, store: town.store.clone(), ring: Arc::clone(&town.ring), dir: tempfile::tempdir().unwrap() })
    }

    async fn passed(&self, copies: &[PurposeCopy], now_s: i64) -> Vec<NewHit> {
        self.0.passed(copies, now_s).await
    }
}

async fn a_hit_is_decided_once_and_goes_with_its_read(store: &Store) {
    let town = town(store).await;
    town.in_force(entry(1, "1AAA111")).await;
    let first = copy(1, "1AAA111", Purpose::PublicOrder, THEN_S);
    let second = PurposeCopy {
        read: Arc::new(NewRead { read: ReadId::from_bytes([2; 16]), ..NewRead::clone(&first.read) }),
        ..first.clone()
    };
    let new = town.passed(&[first, second], THEN_S + 5).await;
    assert_eq!(new.len(), 2);
    let hits = town.hits(Some(HitState::Open)).await;
    assert_eq!(hits.len(), 2);
    let hit = hits.iter().find(|hit| hit.id == new[0].id).unwrap();
    assert_eq!((hit.plate.reveal(), hit.reason.as_str(), hit.version), ("1AAA111", "gestolen voertuig", 1));
    assert!(hit.has_crop && !hit.has_overview);
    let crop = town.vault.hit_picture(&review().await, ZONE, hit.id, PictureKind::Crop).await.unwrap();
    assert_eq!(crop.unwrap().as_ref(), b"a picture of a plate");
    let foreign = town.vault.hit_picture(&review().await, OrgId::from_bytes([4; 16]), hit.id, PictureKind::Crop).await;
    assert_eq!(foreign.unwrap(), None);
    let mut decision = HitDecision {
        id: hit.id,
        owner: ZONE,
        seen: 7,
        state: HitState::Confirmed,
        reason: None,
        by: person(7, THEN_S + 60),
    };
    assert!(matches!(town.vault.hit_decide(&decide().await, &decision).await, Err(StoreError::Stale)));
    decision.seen = 1;
    town.vault.hit_decide(&decide().await, &decision).await.unwrap();
    assert!(matches!(town.vault.hit_decide(&decide().await, &decision).await, Err(StoreError::Stale)), "once");
    assert_eq!((town.hits(Some(HitState::Confirmed)).await.len(), town.hits(None).await.len()), (1, 2));
    // The entry ends; its hits stay with their reads, and say what it said.
    town.vault.lez_sweep(at(THEN_S + 10 * HOUR_S)).await.unwrap();
    assert_eq!((town.count("watch_entry").await, town.hits(None).await.len()), (0, 2));
    run(store, "create table stolen_watch_hit as select * from watch_hit").await;
    town.vault.lez_sweep(at(THEN_S / HOUR_S * HOUR_S + TERM_S)).await.unwrap();
    assert_eq!((town.count("watch_hit").await, town.live()), (0, 0));
    run(store, "insert into watch_hit select * from stolen_watch_hit").await;
    assert_eq!((town.count("watch_hit").await, town.hits(None).await.len()), (2, 0), "nothing opens");
}

async fn a_damaged_entry_or_hit_holds_up_no_other(store: &Store) {
    let town = town(store).await;
    for (n, plate) in [(1, "1AAA111"), (2, "1AAA112"), (3, "1AAA113")] {
        town.in_force(entry(n, plate)).await;
    }
    let id = |n: u8| Uuid::from_bytes([n; 16]);
    damage(store, "watch_entry", "body", (&id(2).to_string(), &id(1).to_string())).await;
    assert_eq!(town.entries().await, [id(3), id(1)]);
    let permit: Permit<ViewWatchlist> = permit_for(Profile::P03, &Why::default()).await;
    let two = town.vault.entry_list(&permit, WatchPage { limit: 2, ..page() }).await.unwrap();
    assert_eq!(two.len(), 2, "its place goes to the next");
    let copies = [(1, "1AAA111"), (2, "1AAA112"), (3, "1AAA113")];
    let copies = copies.map(|(n, plate)| copy(n, plate, Purpose::PublicOrder, THEN_S));
    let again = LezVaultAgain::over(&town);
    let new = again.passed(&copies, THEN_S + 1).await;
    assert_eq!(new.iter().map(|hit| hit.entry).collect::<Vec<_>>(), [id(1), id(3)]);
    damage(store, "watch_hit", "body", (&new[0].id.to_string(), &new[1].id.to_string())).await;
    assert_eq!(town.hits(None).await.iter().map(|hit| hit.id).collect::<Vec<_>>(), [new[1].id]);
    let one = town.vault.hit_list(&review().await, None, WatchPage { limit: 1, ..page() }).await.unwrap();
    assert_eq!(one.iter().map(|hit| hit.id).collect::<Vec<_>>(), [new[1].id], "whichever comes first");
}

async fn a_damaged_entry_can_be_ended(store: &Store) {
    let town = crate::traffic::town(store).await;
    let keeper = town.person(31, "5340", Profile::P05).await;
    let foreign = town.person(32, "5339", Profile::P05).await;
    for (n, plate) in [(1, "1AAA111"), (2, "1AAA112")] {
        let now = town.clock.now();
        let ends_at = now.plus(std::time::Duration::from_secs(30 * 86_400));
        let entry = WatchEntry { owner: keeper.org, ends_at, ..entry(n, plate) };
        assert!(town.vault.entry_insert(&entry, now).await.unwrap());
    }
    let id = |n: u8| Uuid::from_bytes([n; 16]);
    damage(store, "watch_entry", "body", (&id(2).to_string(), &id(1).to_string())).await;
    let left = || town.number("select count(*) as n from watch_entry");
    let refused = town.cases.watch_end(&foreign, id(2), "niet meer gezocht").await;
    assert!(matches!(refused, Err(vms_app::UseCaseError::NotFound(_))), "{refused:?}");
    assert_eq!(left().await, 2);
    town.cases.watch_end(&keeper, id(2), "niet meer gezocht").await.unwrap();
    assert_eq!(left().await, 1);
    let told = town.log.entries().into_iter().filter(|leaf| leaf.details["operation"] == "watchlist_ended");
    assert_eq!(
        told.map(|leaf| leaf.details["details"]["damaged"].clone()).collect::<Vec<_>>(),
        [serde_json::json!(true)]
    );
    assert!(town.cases.watch_end(&keeper, id(2), "niet meer gezocht").await.is_err(), "once");
}
