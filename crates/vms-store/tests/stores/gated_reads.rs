//! Police reads behind the magistrate's gate: what opens them, what does not, and when they are gone, on both databases.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use keys::{GatePlan, GateSecret, KeyError, KeyRing, OpenSegmentError, Protection, RealDisk};
use uuid::Uuid;
use vms_app::erasure_ports::{Erasure, ErasureJournal as _};
use vms_app::fakes::FixedIds;
use vms_app::gate::action::SearchReads;
use vms_app::gate::{Permit, Why};
use vms_app::gated::{GatedDecision, GatedStore as _};
use vms_app::gated_read_ports::{
    GateClosed, GatedFound, GatedPicture, GatedQuery, GatedReadStore as _, GatedSearch, KeptReads,
};
use vms_app::lez_ports::{LezStore as _, NewRead, PictureKind, PurposeCopy};
use vms_app::model::Signature;
use vms_app::ports::{CameraStore as _, OrgStore as _, StoreError};
use vms_app::words::GatedState;
use vms_core::{
    CameraId, DecisionId, OrgId, Plate, PlatePattern, PlateWish, Profile, Purpose, ReadId, RetentionClass, TimeRange,
    UserId, WallTime,
};
use vms_store::{KeyAccess, LezVault, Store};

use crate::reads::{HOUR_S, TERM_S, THEN_S, Town, at, copy, damage, decode, run, search, town};
use crate::suite::{camera_of, org_of, permit_for, postgres, sqlite};

const HOUR: u32 = 498_708;
const YEAR_S: i64 = 365 * 24 * HOUR_S;
/// Start of the hour of [`THEN_S`].
const START_S: i64 = HOUR as i64 * HOUR_S;
/// When the first term of that hour is over but for an hour.
const DUE_S: i64 = START_S + TERM_S - HOUR_S;
/// End of its second term.
const END_S: i64 = START_S + YEAR_S;

on_both!(
    what_a_decision_keeps_opens_by_the_gate_alone_until_it_dies,
    what_is_to_be_kept_is_not_erased_before_it_is,
    keys_wait_where_there_is_no_gate,
    what_comes_late_gets_a_key_of_its_own,
    what_is_damaged_holds_up_no_other,
    a_search_goes_on_where_its_page_ended,
    an_order_is_settled_once_by_another,
);

/// The key store with a gate on a medium of its own.
#[derive(Debug)]
struct Gated {
    ring: Arc<KeyRing>,
    folder: PathBuf,
}

impl Gated {
    fn plan(&self) -> GatePlan {
        GatePlan { folder: self.folder.clone(), copy: None, protection: Protection::FileMode }
    }
}

impl KeyAccess for Gated {
    fn with(&self, work: &mut dyn FnMut(&KeyRing) -> Result<(), KeyError>) -> Result<(), KeyError> {
        work(&self.ring)
    }

    fn ensure_gate(&self, now: WallTime) -> Result<(), KeyError> {
        if self.ring.gate().is_none() {
            self.ring.make_gate(&self.plan(), now)?;
        }
        Ok(())
    }

    fn gate_secrets(&self) -> Vec<GateSecret> {
        let open = |public| GateSecret::open(&RealDisk, &self.plan(), public).ok();
        self.ring.gates().iter().filter_map(open).collect()
    }
}

fn class() -> RetentionClass {
    RetentionClass::parse("RC-ANPR-POL").unwrap()
}

fn person(n: u8, secs: i64) -> Signature {
    Signature { user: UserId::from_bytes([n; 16]), name: format!("P{n}"), at: at(secs) }
}

fn camera(n: u8) -> CameraId {
    CameraId::from_bytes([n; 16])
}

fn of_camera(n: u8, copy: &PurposeCopy) -> PurposeCopy {
    let read = NewRead { camera: camera(n), ..NewRead::clone(&copy.read) };
    PurposeCopy { read: Arc::new(read), ..copy.clone() }
}

fn police(number: u8, plate: &str, secs: i64) -> PurposeCopy {
    copy(number, plate, Purpose::PublicOrder, secs)
}

/// A decision in force on two hours of camera 1.
async fn decided(store: &Store) {
    let owner = store.org_put(&org_of(3)).await.unwrap();
    store.camera_insert(&[camera_of(1, owner)]).await.unwrap();
    let decision = GatedDecision {
        id: Uuid::from_u128(1),
        camera: camera(1),
        class: class(),
        range: TimeRange::new(at(START_S), at(START_S + 2 * HOUR_S)).unwrap(),
        purpose: Purpose::Investigation,
        ground: "reeks overvallen, onderzoek loopt".to_owned(),
        case_ref: "BR.11.LA/26".to_owned(),
        decision: DecisionId::from_bytes([1; 16]),
        proposed: person(1, THEN_S),
        state: GatedState::Proposed,
        settled: None,
        refusal: None,
        applied: None,
    };
    store.gated_insert(&decision).await.unwrap();
    let settled = Some(person(2, THEN_S + 1));
    store.gated_settle(&GatedDecision { state: GatedState::InForce, settled, ..decision }).await.unwrap();
}

async fn magistrate() -> Permit<SearchReads> {
    let why = Why {
        purpose: Some(Purpose::Investigation),
        justification: Some("a robbery in the test".to_owned()),
        case_ref: Some("BR.11.LA/26".to_owned()),
        second_person: Some(UserId::from_bytes([8; 16])),
        magistrate_ref: Some("OR 2026/114".to_owned()),
    };
    permit_for(Profile::P04, &why).await
}

fn all() -> GatedQuery {
    let range = TimeRange { from: at(START_S - HOUR_S), to: at(START_S + 3 * HOUR_S) };
    GatedQuery { owner: OrgId::from_bytes([3; 16]), camera: None, range, wish: None, after: None, limit: 100 }
}

fn shut(moved: u64) -> GateClosed {
    GateClosed { moved, waiting: Vec::new() }
}

/// The first so many hours of the decision.
fn waits(hours: u32) -> GateClosed {
    GateClosed { moved: 0, waiting: (HOUR..HOUR + hours).map(|hour| (camera(1), hour)).collect() }
}

/// The town of the reads with a gate.
struct Kept {
    town: Town,
    vault: LezVault,
    folder: PathBuf,
}

async fn kept_town(store: &Store) -> Kept {
    decided(store).await;
    let town = town(store).await;
    let folder = town.dir.path().join("gate");
    let keys = Gated { ring: Arc::clone(&town.ring), folder: folder.clone() };
    let vault = LezVault::new(store.clone(), [5; 32], Arc::new(FixedIds::default()), Arc::new(keys));
    Kept { town, vault, folder }
}

impl Kept {
    async fn take(&self, copies: &[PurposeCopy]) {
        self.vault.read_take(&decode().await, copies).await.unwrap();
    }

    /// What `serve` does each second: how many reads were kept, and how far their keys are.
    async fn keep(&self, now_s: i64) -> (u64, GateClosed) {
        let range = TimeRange { from: at(START_S), to: at(START_S + 2 * HOUR_S) };
        let due = self.vault.gated_read_due(camera(1), &class(), range, at(now_s + HOUR_S)).await.unwrap();
        let mut kept = 0;
        for hour in due {
            let ends = at(i64::from(hour) * HOUR_S + YEAR_S);
            loop {
                let done = self.vault.gated_read_keep(camera(1), &class(), hour, ends, at(now_s)).await.unwrap();
                assert_eq!(done.lost, 0);
                if done.kept == 0 {
                    break;
                }
                kept += done.kept;
            }
        }
        (kept, self.vault.gated_read_close(at(now_s)).await.unwrap())
    }

    /// Plates and ids behind the gate; `None` when the medium is away.
    async fn opened(&self) -> Option<Vec<(String, ReadId)>> {
        match self.vault.gated_reads(&magistrate().await, &all()).await.unwrap() {
            GatedFound::GateAway => None,
            GatedFound::Reads(reads, next) => {
                assert_eq!(next, None);
                Some(reads.into_iter().map(|read| (read.facts.plate.reveal().to_owned(), read.read)).collect())
            }
        }
    }

    async fn listed(&self) -> usize {
        let plates = ["1AAA111", "1AAA112", "1BBB222"].map(|plate| Plate::parse(plate).unwrap());
        let query = crate::reads::query(START_S - HOUR_S, START_S + 3 * HOUR_S);
        let mut found = 0;
        for plate in &plates {
            found += self.vault.read_search(&search().await, plate, &query).await.unwrap().len();
        }
        found
    }
}

fn id(n: u8) -> ReadId {
    ReadId::from_bytes([n; 16])
}

async fn what_a_decision_keeps_opens_by_the_gate_alone_until_it_dies(store: &Store) {
    let kept = kept_town(store).await;
    let (mine, other) = (police(1, "1AAA111", THEN_S), of_camera(7, &police(2, "1BBB222", THEN_S)));
    let overview = NewRead { overview: Bytes::from_static(b"a vehicle"), ..NewRead::clone(&mine.read) };
    let mine = PurposeCopy { read: Arc::new(overview), ..mine };
    kept.take(&[mine, other]).await;
    assert_eq!(kept.keep(DUE_S - 1).await, (0, GateClosed::default()), "not a second too early");
    assert_eq!(kept.listed().await, 2);
    assert_eq!(kept.keep(DUE_S).await, (1, shut(1)));
    assert_eq!(kept.keep(DUE_S).await, (0, GateClosed::default()), "once");
    // No list and no search finds it, the one of the other camera lives to the end of its term.
    assert_eq!(
        (kept.listed().await, kept.town.count("lez_read").await, kept.town.count("plate_fresh").await),
        (1, 1, 1)
    );
    let without = kept.vault.gated_reads(&search().await, &all()).await.unwrap();
    assert_eq!(without, GatedFound::Reads(Vec::new(), None), "no magistrate, no read");
    assert_eq!(kept.vault.gated_read_fetch(&search().await, id(1)).await.unwrap(), None);
    assert_eq!(kept.opened().await, Some(vec![("1AAA111".to_owned(), id(1))]));
    let permit = magistrate().await;
    for (kind, wanted) in [
        (PictureKind::Crop, GatedPicture::Picture(Bytes::from_static(b"a picture of a plate"))),
        (PictureKind::Overview, GatedPicture::Picture(Bytes::from_static(b"a vehicle"))),
        (PictureKind::ExitCrop, GatedPicture::Missing),
    ] {
        assert_eq!(kept.vault.gated_read_picture(&permit, id(1), kind).await.unwrap(), wanted);
    }
    assert_eq!(kept.vault.gated_read_picture(&permit, id(2), PictureKind::Crop).await.unwrap(), GatedPicture::Missing);
    let range = TimeRange { from: at(START_S), to: at(START_S + 2 * HOUR_S) };
    assert_eq!(kept.vault.gated_read_hours(camera(1), &class(), range).await.unwrap(), 1);

    // The hour's own key dies as planned, with what was not kept.
    let swept = kept.vault.lez_sweep(at(START_S + TERM_S)).await.unwrap();
    assert_eq!(
        (swept.erased.reads, swept.erased.keys, kept.town.live(), kept.town.ring.gated_hours().len()),
        (1, 1, 0, 1)
    );
    // A raid that finds everything but the medium.
    let (epoch, ..) = kept.town.ring.gated_hours().remove(0);
    assert!(matches!(kept.town.ring.row_key(epoch), Err(OpenSegmentError::Gated)));
    let away = kept.folder.with_extension("away");
    std::fs::rename(&kept.folder, &away).unwrap();
    assert_eq!(kept.opened().await, None);
    let picture = kept.vault.gated_read_picture(&permit, id(1), PictureKind::Crop).await.unwrap();
    assert_eq!(picture, GatedPicture::GateAway);
    std::fs::rename(&away, &kept.folder).unwrap();
    assert_eq!(kept.opened().await.unwrap().len(), 1);

    // Day by day, as terms end; the second term ends like every other.
    let before = kept.vault.lez_sweep(at(END_S - 1)).await.unwrap();
    assert_eq!((before.erased.keys, kept.town.count("gated_read").await), (0, 1));
    let swept = kept.vault.lez_sweep(at(END_S)).await.unwrap();
    assert!(swept.erased.keys == 1 && !swept.erased.destructions.is_empty());
    assert_eq!((kept.town.count("gated_read").await, kept.town.count("lez_key").await), (0, 0));
    assert!(kept.town.ring.gated_hours().is_empty());
    assert!(matches!(kept.town.ring.row_key(epoch), Err(OpenSegmentError::Destroyed(_))));
}

async fn what_is_to_be_kept_is_not_erased_before_it_is(store: &Store) {
    let kept = kept_town(store).await;
    kept.take(&[police(1, "1AAA111", THEN_S), of_camera(7, &police(2, "1BBB222", THEN_S))]).await;
    // The key store was away for the whole of the last hour, or the log was.
    let late = START_S + TERM_S + 600;
    let swept = kept.vault.lez_sweep(at(late)).await.unwrap();
    assert_eq!(
        (swept.erased.reads, swept.erased.keys, kept.town.live()),
        (1, 0, 1),
        "the other camera's is gone, the key waits"
    );
    assert_eq!(kept.keep(late).await, (1, shut(1)));
    let swept = kept.vault.lez_sweep(at(late + 1)).await.unwrap();
    assert_eq!((swept.erased.keys, kept.town.live()), (1, 0));
    assert_eq!(kept.opened().await, Some(vec![("1AAA111".to_owned(), id(1))]));
    // What two people did not agree to is not kept.
    run(store, "update gated_decision set state = 'refused', refusal = 'x'").await;
    let again = THEN_S + 2;
    kept.take(&[police(3, "1AAA112", again)]).await;
    let swept = kept.vault.lez_sweep(at(late + 2)).await.unwrap();
    assert_eq!((swept.erased.reads, kept.town.count("lez_read").await), (1, 0));
}

async fn keys_wait_where_there_is_no_gate(store: &Store) {
    let kept = kept_town(store).await;
    // The plain key store has no place for a gate.
    let Kept { town, vault, folder } = kept;
    let bare = LezVault::new(store.clone(), [5; 32], Arc::new(FixedIds::default()), Arc::clone(&town.ring) as _);
    let bare = Kept { town, vault: bare, folder };
    bare.take(&[police(1, "1AAA111", THEN_S), police(2, "1AAA112", THEN_S + HOUR_S)]).await;
    assert_eq!(bare.keep(DUE_S).await, (1, waits(1)));
    assert_eq!(bare.keep(DUE_S + HOUR_S).await, (1, waits(2)), "asked again, it still waits");
    // Nobody sees them meanwhile but for a magistrate, and the key of the hour dies on its day.
    assert_eq!(bare.listed().await, 0);
    bare.vault.lez_sweep(at(START_S + TERM_S + HOUR_S)).await.unwrap();
    assert_eq!(bare.town.live(), 2, "those of the camera's hours alone");
    // A place for it is configured and `serve` starts again.
    let kept = Kept { vault, ..bare };
    let closed = kept.vault.gated_read_close(at(DUE_S + 3 * HOUR_S)).await.unwrap();
    assert_eq!((closed, kept.town.live()), (shut(2), 0));
    assert_eq!(kept.opened().await.unwrap().len(), 2);
    // A database that comes back from a backup of before leaves keys behind the gate that no row names: they die.
    run(store, "delete from gated_read").await;
    run(store, "delete from lez_key").await;
    kept.vault.lez_sweep(at(DUE_S + 4 * HOUR_S)).await.unwrap();
    assert!(kept.town.ring.gated_hours().is_empty());
}

async fn what_comes_late_gets_a_key_of_its_own(store: &Store) {
    let kept = kept_town(store).await;
    kept.take(&[police(1, "1AAA111", THEN_S)]).await;
    assert_eq!(kept.keep(DUE_S).await.0, 1);
    // A spool that was away for a month, in the last hour in which its reads are taken at all.
    for n in [2, 3] {
        kept.take(&[police(n, "1AAA112", THEN_S + i64::from(n))]).await;
        assert_eq!(kept.keep(DUE_S + 60 * i64::from(n)).await, (1, shut(1)));
    }
    assert_eq!(kept.opened().await.unwrap().iter().map(|(_, id)| *id).collect::<Vec<_>>(), [id(3), id(2), id(1)]);
    kept.vault.lez_sweep(at(START_S + TERM_S)).await.unwrap();
    assert_eq!((kept.opened().await.unwrap().len(), kept.town.ring.gated_hours().len()), (3, 3));
    kept.vault.lez_sweep(at(END_S)).await.unwrap();
    assert_eq!((kept.town.count("gated_read").await, kept.town.ring.gated_hours().len()), (0, 0));
}

async fn what_is_damaged_holds_up_no_other(store: &Store) {
    let kept = kept_town(store).await;
    let copies: Vec<PurposeCopy> = (1..=4).map(|n| police(n, "1AAA111", THEN_S + i64::from(n))).collect();
    kept.take(&copies).await;
    // One read, and the picture of another.
    damage(store, "lez_read", "body", (&id(1).to_string(), &id(2).to_string())).await;
    damage(store, "lez_read", "crop", (&id(3).to_string(), &id(2).to_string())).await;
    let ends = at(END_S);
    let done = kept.vault.gated_read_keep(camera(1), &class(), HOUR, ends, at(DUE_S)).await.unwrap();
    assert_eq!(done, KeptReads { kept: 3, lost: 1 });
    let (camera_id, class_id) = (camera(1).to_string(), class().as_str().to_owned());
    let lost = Erasure::GatedLost { camera: camera_id, class: class_id, hour: i64::from(HOUR), kept: 3, lost: 1 };
    let owed = kept.vault.erasures_untold().await.unwrap();
    assert_eq!(owed.iter().map(|one| &one.what).collect::<Vec<_>>(), [&lost], "told with the next sweep");
    assert_eq!(kept.vault.gated_read_close(at(DUE_S)).await.unwrap(), shut(1));
    assert_eq!(
        kept.town.count("lez_read").await,
        0,
        "nothing stays past its term for want of a read that nobody can open"
    );
    let opened = async || kept.opened().await.unwrap().into_iter().map(|(_, read)| read).collect::<Vec<_>>();
    assert_eq!(opened().await, [id(4), id(3), id(2)]);
    let permit = magistrate().await;
    let crop = async |n: u8| kept.vault.gated_read_picture(&permit, id(n), PictureKind::Crop).await.unwrap();
    assert_eq!(crop(3).await, GatedPicture::Missing);
    assert!(matches!(crop(2).await, GatedPicture::Picture(_)));
    // Where none of several opens it may be the key: nothing goes before the first term is over.
    kept.take(&(5..=7).map(|n| police(n, "1AAA111", THEN_S + i64::from(n))).collect::<Vec<_>>()).await;
    for n in [5, 6, 7] {
        damage(store, "lez_read", "body", (&id(n).to_string(), &id(if n == 7 { 5 } else { n + 1 }).to_string())).await;
    }
    let keep = async |now_s: i64| kept.vault.gated_read_keep(camera(1), &class(), HOUR, ends, at(now_s)).await;
    assert!(matches!(keep(START_S + TERM_S - 1).await, Err(StoreError::Internal(_))));
    assert_eq!(kept.town.count("lez_read").await, 3);
    assert_eq!(keep(START_S + TERM_S).await.unwrap(), KeptReads { kept: 0, lost: 3 });
    // Behind the gate, months later.
    damage(store, "gated_read", "body", (&id(4).to_string(), &id(2).to_string())).await;
    damage(store, "gated_read", "crop", (&id(4).to_string(), &id(2).to_string())).await;
    assert_eq!((opened().await, crop(4).await), (vec![id(3), id(2)], GatedPicture::Missing));
    assert_eq!(kept.vault.lez_sweep(at(START_S + TERM_S)).await.unwrap().damaged, 6, "each once");
}

async fn a_search_goes_on_where_its_page_ended(store: &Store) {
    let kept = kept_town(store).await;
    let copies: Vec<PurposeCopy> = (1..=130)
        .map(|n| police(n, if n % 2 == 0 { "1AAA112" } else { "1AAA111" }, THEN_S + i64::from(n / 3)))
        .collect();
    kept.take(&copies).await;
    assert_eq!(kept.keep(DUE_S).await, (130, shut(1)), "in several transactions, one key");
    let permit = magistrate().await;
    let wishes = [
        (None, 130),
        (Some(PlateWish::Exact(Plate::parse("1AAA112").unwrap())), 65),
        (Some(PlateWish::Pattern(PlatePattern::parse("1AA?11*").unwrap())), 130),
        (Some(PlateWish::similar(Plate::parse("1AAA113").unwrap()).unwrap()), 130),
        (Some(PlateWish::Exact(Plate::parse("1BBB222").unwrap())), 0),
    ];
    for (wish, wanted) in wishes {
        let (mut seen, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let query = GatedQuery { wish: wish.clone(), after, limit: 20, ..all() };
            let GatedFound::Reads(reads, next) = kept.vault.gated_reads(&permit, &query).await.unwrap() else {
                unreachable!("the medium is there")
            };
            assert!(reads.len() <= 20 && reads.iter().all(|read| read.has_crop && !read.has_overview));
            seen.extend(reads.iter().map(|read| (read.at, read.read)));
            pages += 1;
            let Some(next) = next else { break };
            after = Some(next);
        }
        assert_eq!(seen.len(), wanted);
        assert!(seen.is_sorted_by(|one, two| one > two), "newest first, none twice");
        assert!(pages <= wanted / 20 + 1);
    }
    let nobody = GatedQuery { owner: OrgId::from_bytes([4; 16]), ..all() };
    assert_eq!(kept.vault.gated_reads(&permit, &nobody).await.unwrap(), GatedFound::Reads(Vec::new(), None));
    let elsewhere = GatedQuery { camera: Some(camera(7)), ..all() };
    assert_eq!(kept.vault.gated_reads(&permit, &elsewhere).await.unwrap(), GatedFound::Reads(Vec::new(), None));
}

async fn an_order_is_settled_once_by_another(store: &Store) {
    let kept = kept_town(store).await;
    let order = |n: u8| GatedSearch {
        id: Uuid::from_u128(u128::from(n)),
        owner: OrgId::from_bytes([3; 16]),
        camera: (n == 2).then(|| camera(1)),
        range: TimeRange { from: at(START_S), to: at(START_S + HOUR_S) },
        wish: (n != 2).then(|| "00ff".to_owned()),
        purpose: Purpose::Investigation,
        ground: "reeks overvallen «é»".to_owned(),
        case_ref: "BR.11.LA/26".to_owned(),
        magistrate_ref: "OR 2026/114".to_owned(),
        decision: DecisionId::from_bytes([n; 16]),
        proposed: person(1, THEN_S),
        state: GatedState::Proposed,
        settled: None,
        refusal: None,
        expires_at: at(DUE_S + i64::from(n)),
    };
    for n in [1, 2, 3] {
        kept.vault.gated_search_insert(&order(n)).await.unwrap();
    }
    let nobody = GatedSearch { wish: None, ..order(4) };
    assert!(kept.vault.gated_search_insert(&nobody).await.is_err(), "a plate or a place");
    assert_eq!(kept.vault.gated_search_fetch(order(2).id).await.unwrap(), Some(order(2)));
    let listed = |below, limit| kept.vault.gated_search_list(OrgId::from_bytes([3; 16]), below, limit);
    assert_eq!(listed(None, 2).await.unwrap(), [order(3), order(2)]);
    assert_eq!(listed(Some(order(2).id), 9).await.unwrap(), [order(1)]);
    assert!(kept.vault.gated_search_list(OrgId::from_bytes([4; 16]), None, 9).await.unwrap().is_empty());

    let own = GatedSearch { state: GatedState::InForce, settled: Some(person(1, THEN_S + 9)), ..order(1) };
    assert!(kept.vault.gated_search_settle(&own).await.is_err(), "the database itself holds to the second person");
    let agreed = GatedSearch { settled: Some(person(2, THEN_S + 9)), expires_at: at(DUE_S + 50), ..own };
    kept.vault.gated_search_settle(&agreed).await.unwrap();
    assert!(matches!(kept.vault.gated_search_settle(&agreed).await, Err(StoreError::Stale)), "once");
    assert_eq!(kept.vault.gated_search_fetch(agreed.id).await.unwrap(), Some(agreed));
    // An order names a plate: it is erased at its end.
    kept.vault.lez_sweep(at(DUE_S + 3)).await.unwrap();
    assert_eq!(kept.town.count("gated_search").await, 1);
    kept.vault.lez_sweep(at(DUE_S + 50)).await.unwrap();
    assert_eq!(kept.town.count("gated_search").await, 0);
}

/// What moving and looking cost: `cargo test --release -p vms-store --test stores -- --ignored --nocapture figures_of_reads_behind`.
#[expect(clippy::disallowed_methods, reason = "a measurement")]
async fn figures(store: &Store, of: &str) {
    let kept = kept_town(store).await;
    let read = |n: u32, secs: i64, picture: usize| {
        let one = police(1, if n == 0 { "1AAA111" } else { "1AAA112" }, secs);
        let read = NewRead {
            read: ReadId::from_bytes(u128::from(n).to_be_bytes()),
            // All over the rest of the hour.
            at: WallTime::from_micros(one.read.at.micros + i64::from(n) * 25_000),
            crop: Bytes::from(vec![1; picture / 5]),
            overview: Bytes::from(vec![2; picture]),
            ..NewRead::clone(&one.read)
        };
        PurposeCopy { read: Arc::new(read), ..one }
    };
    let took = |from: std::time::Instant| from.elapsed().as_secs_f64();
    for (what, numbers, secs, picture) in [
        ("with pictures of 48 kB", 100_000..105_000, THEN_S, 40_000),
        ("without pictures", 0..100_000, THEN_S + HOUR_S, 0),
    ] {
        let all: Vec<PurposeCopy> = numbers.map(|n: u32| read(n, secs, picture)).collect();
        for some in all.chunks(1_000) {
            kept.take(some).await;
        }
        let began = std::time::Instant::now();
        let done = kept.keep(secs / HOUR_S * HOUR_S + TERM_S - HOUR_S).await;
        let (count, seconds) = (all.len(), took(began));
        assert_eq!(done, (u64::try_from(count).unwrap(), shut(1)));
        println!("{of}: {count} reads {what} kept and behind the gate after {seconds:.1} s");
    }
    let wish = Some(PlateWish::Exact(Plate::parse("1AAA111").unwrap()));
    let range = TimeRange { from: at(START_S + HOUR_S), to: at(START_S + 2 * HOUR_S) };
    let permit = magistrate().await;
    for _ in 0..3 {
        let began = std::time::Instant::now();
        let query = GatedQuery { wish: wish.clone(), range, ..all() };
        let GatedFound::Reads(reads, next) = kept.vault.gated_reads(&permit, &query).await.unwrap() else {
            unreachable!("the medium is there")
        };
        assert_eq!((reads.len(), next.is_some()), (1, true), "so many are opened for one request");
        println!("{of}: one plate among 100,000 reads found after {:.2} s", took(began));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn figures_of_reads_behind_the_gate() {
    figures(&sqlite().await.store, "SQLite").await;
    figures(&postgres().await.store, "PostgreSQL").await;
}
