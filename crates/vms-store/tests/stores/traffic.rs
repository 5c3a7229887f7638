//! Zones with restricted access and average speed, from a read to a finding that a person decides: the real use cases over the real
//! store and key store, with a clock that the test moves, on both databases.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use keys::{KeyRing, KeyStoreConfig, OpenOptions, RealDisk, SystemRandom};
use policy::{CapabilitySigner, RoleTable};
use sqlx::Row as _;
use traffic_rules::zbt::{ListKind, PermitStatus};
use traffic_rules::{Day, trajectory, zbt};
use vms_app::cases::Extensions;
use vms_app::fakes::{FakeMedia, FixedIds, ManualClock, MemoryLog};
use vms_app::gate::{Actor, Gate, Why};
use vms_app::lez::ReadService;
use vms_app::lez::findings::{FindingSight, Snapshot, Verdict};
use vms_app::lez::service::BatchSettings;
use vms_app::lez_ports::{
    Direction, FindingState, FindingVerdict, LezStore as _, NewRead, PictureKind, ReadClock, ReadFacts,
};
use vms_app::model::{Camera, CameraStream, LegalBasis};
use vms_app::passwords::PasswordCost;
use vms_app::ports::Clock as _;
use vms_app::ports::store::CameraStore as _;
use vms_app::traffic_ports::{NewListing, NewPermit, Sites, TrafficParts};
use vms_app::words::{CameraKind, CameraState, TransportKind};
use vms_app::{Parts, Settings, UseCaseError, UseCases};
use vms_core::{
    CameraId, Confidence, Country, OrgId, Plate, Profile, Purpose, ReadId, RetentionClass, SessionId, StreamId,
    StreamUse, UserId, WallTime,
};
use vms_store::{LezVault, Store};

use crate::suite::{postgres, sqlite};

on_both!(
    who_may_pass_leaves_nothing_and_the_rest_waits_for_an_official,
    an_entry_waits_for_its_exit_whatever_comes_first,
    an_official_signs_and_a_late_permit_undoes,
    nobody_opens_the_queue_of_another,
    a_run_that_was_too_fast_is_one_finding_with_both_ends,
    what_finds_no_other_end_is_gone_at_the_end_of_its_term,
    undecided_reads_of_a_stopped_service_end_with_their_class,
);

/// 2026-11-20, a Friday: 12:00 in Brussels, closed hours.
pub(crate) fn noon() -> WallTime {
    WallTime::from_secs(1_795_172_400)
}

const PLACES: &str = r#"
[[zone]]
camera = "ZBT-1"
zone = "ZBT-XL-A"
end = "entry"
authority = "ELSENE"
[[zone]]
camera = "ZBT-2"
zone = "ZBT-XL-B"
end = "entry"
authority = "ELSENE"
[[zone]]
camera = "ZBT-3"
zone = "ZBT-XL-B"
end = "exit"
authority = "ELSENE"
[[trajectory]]
camera = "TRJ-1"
trajectory = "TRJ-STE"
end = "entry"
authority = "5339"
[[trajectory]]
camera = "TRJ-2"
trajectory = "TRJ-STE"
end = "exit"
authority = "5339"
"#;

pub(crate) struct Town {
    pub(crate) cases: Arc<UseCases>,
    pub(crate) vault: Arc<LezVault>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) service: ReadService,
    pub(crate) store: Store,
    _keys: tempfile::TempDir,
}

pub(crate) fn camera_id(n: u8) -> CameraId {
    CameraId::from_bytes([n; 16])
}

fn camera(n: u8, code: &str, kind: CameraKind, owner: OrgId) -> Camera {
    Camera {
        id: camera_id(n),
        code: code.to_owned(),
        call_up: None,
        name_nl: code.to_owned(),
        name_fr: code.to_owned(),
        owner,
        partner: None,
        kind,
        lat: 50.83,
        lon: 4.36,
        state: CameraState::Live,
        retention_class: RetentionClass::parse("RC-VID-OPEN").unwrap(),
        pictogram_on: Some("2026-02-01".to_owned()),
        legal_basis: Some(LegalBasis {
            document: "Besluit 1".to_owned(),
            dated: "2026-01-01".to_owned(),
            advice: String::new(),
        }),
        streams: vec![CameraStream {
            id: StreamId::from_bytes([n; 16]),
            use_: StreamUse::Main,
            url: format!("rtsp://10.0.0.{n}/main"),
            sealed_credentials: None,
            transport: TransportKind::Retina,
            codec: None,
            width: None,
            height: None,
        }],
        version: 1,
        created_at: noon(),
        updated_at: noon(),
    }
}

/// The zones, `ZBT-XL-B` with pairing; the stretch with the demonstration's certificates.
fn traffic(vault: &Arc<LezVault>) -> TrafficParts {
    let texts = zbt::SeedTexts::embedded();
    let (head, tail) = texts.zones.split_once("code = \"ZBT-XL-B\"").unwrap();
    let changed = format!("{head}code = \"ZBT-XL-B\"{}", tail.replacen("\"entry_only\"", "\"entry_exit\"", 1));
    let zones = zbt::RuleSet::load(zbt::SeedTexts { zones: &changed, ..texts }).unwrap();
    let roads = trajectory::RuleSet::load(trajectory::SeedTexts::demonstration()).unwrap();
    let sites = Sites::parse(PLACES, &zones, &roads).unwrap();
    let (zones, roads, sites) = (Arc::new(zones), Arc::new(roads), Arc::new(sites));
    TrafficParts { zones, roads, sites, permits: vault.clone() }
}

pub(crate) async fn town(store: &Store) -> Town {
    let keys = tempfile::tempdir().unwrap();
    let options = OpenOptions { may_create: true, ..OpenOptions::default() };
    let config = KeyStoreConfig::on_one_disk(keys.path());
    let ring = KeyRing::open(Arc::new(RealDisk), Arc::new(SystemRandom::new()), config, options, noon()).unwrap();
    let ids = Arc::new(FixedIds::default());
    let vault = Arc::new(LezVault::new(store.clone(), [5; 32], ids.clone(), Arc::new(ring)));
    let (clock, log) = (Arc::new(ManualClock::at(noon())), Arc::new(MemoryLog::default()));
    let table = RoleTable::embedded().unwrap();
    let gate = Gate::new(table, log.clone(), clock.clone(), ids.clone(), CapabilitySigner::from_seed(&[3; 32]));
    let cases = UseCases::new(Parts {
        stores: Arc::new(store.clone()),
        gate: Arc::new(gate),
        media: Arc::new(FakeMedia::default()),
        catalogue: None,
        clock: clock.clone(),
        ids,
        settings: Settings {
            password_cost: PasswordCost { memory_kib: 0, passes: 0 },
            allowed_networks: Vec::new(),
            allowed_ports: Vec::new(),
            health_lag_max: Duration::from_secs(10),
        },
        extensions: Extensions { lez: Some(vault.clone()), traffic: Some(traffic(&vault)), ..Extensions::default() },
    })
    .unwrap();
    let cases = Arc::new(cases);
    cases.seed_organisations().await.unwrap();
    let (owner, zone) = (org(&cases, "ELSENE").await, org(&cases, "5339").await);
    let cameras = [
        camera(1, "ZBT-1", CameraKind::Zbt, owner),
        camera(2, "ZBT-2", CameraKind::Zbt, owner),
        camera(3, "ZBT-3", CameraKind::Zbt, owner),
        camera(4, "TRJ-1", CameraKind::Trajectory, zone),
        // A camera of the low-emission zone at the other end of the stretch: it reads for both.
        camera(5, "TRJ-2", CameraKind::Lez, owner),
        camera(6, "ZBT-ELSEWHERE", CameraKind::Zbt, owner),
    ];
    store.camera_insert(&cameras).await.unwrap();
    let wait = Duration::from_secs(5);
    let settings = BatchSettings { wait, retry: wait, retry_max: wait, later: wait };
    let service = ReadService::new(Arc::clone(&cases), None, settings).unwrap();
    Town { cases, vault, clock, log, service, store: store.clone(), _keys: keys }
}

pub(crate) async fn org(cases: &UseCases, code: &str) -> OrgId {
    cases.org_list().await.unwrap().iter().find(|org| org.code == code).unwrap().id
}

pub(crate) fn read(n: u8, camera: u8, plate: &str, at: WallTime) -> NewRead {
    let clock = ReadClock {
        locked_from_us: noon().micros - 86_400_000_000,
        locked_until_us: Some(noon().micros + 30 * 86_400_000_000),
        offset_us: 0,
        uncertainty_us: 1_000,
        second_us: Some(at.micros),
        source: vms_app::clock_ports::OWN_SOURCE.to_owned(),
        synced_us: None,
    };
    NewRead {
        read: ReadId::from_bytes([n; 16]),
        camera: camera_id(camera),
        stream: StreamId::from_bytes([camera; 16]),
        at,
        facts: ReadFacts {
            plate: Plate::parse(plate).unwrap(),
            countries: vec![(Country::BELGIUM, Confidence::from_millionths(990_000))],
            confidence: Confidence::from_millionths(985_000),
            corrected: false,
            direction: Direction::Approaching,
            looks: 7,
            model: "test-1".to_owned(),
            clock: Some(clock),
            from: vms_app::lez_ports::ReadFrom::Reader,
        },
        crop: Bytes::from(vec![n; 900]),
        overview: Bytes::from(vec![n ^ 0xff; 3_000]),
    }
}

pub(crate) fn permit(id: &str, plate: &str, right: &str, zone: &str, from: WallTime, days: u64) -> NewPermit {
    NewPermit {
        id: id.to_owned(),
        plate: Plate::parse(plate).unwrap(),
        country: Country::BELGIUM,
        right: right.to_owned(),
        zones: vec![zone.to_owned()],
        from,
        to: from.plus(Duration::from_secs(days * 86_400)),
        granted_at: from,
        status: PermitStatus::Granted,
        windows: Vec::new(),
        group: None,
        evidence: "dossier 1".to_owned(),
    }
}

impl Town {
    pub(crate) async fn person(&self, n: u8, code: &str, profile: Profile) -> Actor {
        Actor {
            user: UserId::from_bytes([n; 16]),
            session: SessionId::from_bytes([n; 16]),
            org: org(&self.cases, code).await,
            profile,
            user_name: format!("user {n}"),
            org_code: code.to_owned(),
        }
    }

    pub(crate) async fn official(&self) -> Actor {
        self.person(11, "ELSENE", Profile::P09).await
    }

    pub(crate) async fn officer(&self) -> Actor {
        self.person(12, "5339", Profile::P06).await
    }

    pub(crate) async fn queue(&self, actor: &Actor) -> Vec<FindingSight> {
        self.cases.finding_list(actor, Some(FindingState::Open), None, 100).await.unwrap()
    }

    pub(crate) async fn give(&self, permits: Vec<NewPermit>, listings: Vec<NewListing>) -> Vec<String> {
        let desk = self.person(13, "ELSENE", Profile::P10).await;
        let why = Why { justification: Some("permits of this month".to_owned()), ..Why::default() };
        let came = self.cases.permit_import(&desk, permits, listings, &why).await.unwrap();
        came.refused.into_iter().map(|refused| refused.reason).collect()
    }

    pub(crate) async fn take(&self, reads: Vec<NewRead>) -> u64 {
        self.service.take(reads).await.unwrap().copies
    }

    /// Rounds, a second apart.
    pub(crate) async fn pass(&self, seconds: i64) {
        for _ in 0..seconds {
            self.clock.pass_s(1);
            self.service.zone_round().await.unwrap();
            self.service.run_round().await.unwrap();
        }
    }

    pub(crate) async fn counts(&self, purpose: Purpose) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for one in self.vault.day_counts(purpose, Day::at(noon())).await.unwrap() {
            assert!(one.hour.is_some(), "hour by hour");
            *all.entry(one.outcome).or_default() += one.count;
        }
        all
    }

    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query(sql).fetch_one(self.store.read()).await.unwrap().try_get("n").unwrap()
    }

    pub(crate) async fn copies(&self) -> i64 {
        self.number("select count(*) as n from lez_read").await
    }
}

pub(crate) fn counted(words: &[(&str, u64)]) -> BTreeMap<String, u64> {
    words.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect()
}

async fn who_may_pass_leaves_nothing_and_the_rest_waits_for_an_official(store: &Store) {
    let town = town(store).await;
    let long_ago = noon().minus(Duration::from_secs(86_400));
    let bus = NewListing {
        list: ListKind::PublicTransport,
        plate: Plate::parse("1BUS001").unwrap(),
        country: Country::BELGIUM,
        from: long_ago,
        to: None,
        evidence: "fleet list".to_owned(),
    };
    let refused = town.give(vec![permit("P-1", "1MED001", "Z-MED", "ZBT-XL-A", long_ago, 100)], vec![bus]).await;
    assert_eq!(refused, Vec::<String>::new());
    let reads = [
        read(1, 1, "1BUS001", noon()),
        read(2, 1, "1MED001", noon()),
        read(3, 1, "TXAA001", noon()),
        read(4, 1, "1CAR001", noon()),
        // The same vehicle again that day, and a read of a camera that stands nowhere.
        read(5, 1, "1CAR001", noon().plus(Duration::from_secs(60))),
        read(6, 6, "1CAR002", noon()),
    ];
    assert_eq!(town.take(reads.to_vec()).await, 5);
    assert_eq!(town.take(vec![read(4, 1, "1CAR001", noon())]).await, 0, "delivered twice: one read");
    assert_eq!(town.copies().await, 5);
    town.pass(1).await;
    assert_eq!(town.copies().await, 0, "nothing of a passage waits any longer");
    let expected = [("exempt", 2), ("infraction", 1), ("permitted", 1), ("same_day", 1)];
    assert_eq!(town.counts(Purpose::Zbt).await, counted(&expected));
    let official = town.official().await;
    let queue = town.queue(&official).await;
    assert_eq!(queue.len(), 1);
    let found = &queue[0].finding;
    assert_eq!((found.file.plate.reveal(), found.purpose), ("1CAR001", Purpose::Zbt));
    assert_eq!((found.measure.verdict, found.measure.amount_cents), (FindingVerdict::Infraction, Some(5_800)));
    let picture = town.cases.finding_picture(&official, found.id, PictureKind::Crop, None).await.unwrap();
    assert_eq!(picture, Bytes::from(vec![4; 900]));
    // The snapshot gives the same outcome again.
    let Snapshot::Zbt(both) = &queue[0].snapshot else { panic!("of another purpose") };
    assert_eq!(zbt::decide(&town.cases.extensions().traffic.as_ref().unwrap().zones, &both.0), both.1);
    // Once the hour is over its key goes too; nobody decides, and after 15 days the candidate is gone.
    town.clock.pass_s(3_600);
    let swept = town.vault.lez_sweep(town.clock.now()).await.unwrap();
    assert!(!swept.erased.destructions.is_empty() && swept.erased.keys == 1, "{swept:?}");
    assert_eq!(town.number("select count(*) as n from lez_key where object = ''").await, 0);
    assert_eq!(town.queue(&official).await.len(), 1);
    town.vault.lez_sweep(noon().plus(Duration::from_secs(15 * 86_400 - 1))).await.unwrap();
    assert_eq!(town.queue(&official).await.len(), 1, "not one second early");
    town.vault.lez_sweep(noon().plus(Duration::from_secs(15 * 86_400))).await.unwrap();
    assert_eq!(town.number("select count(*) as n from lez_finding").await, 0);
    assert_eq!(town.number("select count(*) as n from lez_key").await, 0);
    assert_eq!(town.counts(Purpose::Zbt).await, counted(&expected), "the counts stay");
}

async fn an_entry_waits_for_its_exit_whatever_comes_first(store: &Store) {
    let town = town(store).await;
    let minute = |n: u64| noon().plus(Duration::from_secs(60 * n));
    // In and out; the exit comes before its entry; in and never out.
    town.take(vec![read(1, 2, "1CAR001", noon()), read(2, 3, "1CAR002", minute(2)), read(3, 2, "1CAR003", noon())])
        .await;
    town.clock.pass_s(150);
    town.pass(2).await;
    assert_eq!(town.copies().await, 3, "all wait");
    town.take(vec![read(4, 3, "1CAR001", minute(2)), read(5, 2, "1CAR002", minute(1))]).await;
    town.pass(2).await;
    let official = town.official().await;
    let mut queue = town.queue(&official).await;
    queue.sort_by(|one, other| one.finding.file.plate.reveal().cmp(other.finding.file.plate.reveal()));
    let plates: Vec<&str> = queue.iter().map(|sight| sight.finding.file.plate.reveal()).collect();
    assert_eq!(plates, ["1CAR001", "1CAR002"]);
    for sight in &queue {
        let exit = sight.finding.exit.unwrap();
        assert_eq!((exit.camera, exit.at, exit.has_crop), (camera_id(3), minute(2), true));
    }
    let exit = town.cases.finding_picture(&official, queue[0].finding.id, PictureKind::ExitCrop, None).await.unwrap();
    assert_eq!(exit, Bytes::from(vec![4; 900]));
    assert_eq!(town.copies().await, 1, "the entry without an exit");
    // Its wait outlasts the term of an undecided passage, since nobody is known to allow it; then it is gone.
    town.clock.pass_s(2 * 3_600);
    town.vault.lez_sweep(town.clock.now()).await.unwrap();
    assert_eq!(town.copies().await, 1);
    town.clock.pass_s(22 * 3_600);
    town.pass(1).await;
    assert_eq!(town.copies().await, 0);
    assert_eq!(town.queue(&official).await.len(), 2);
    assert_eq!(town.counts(Purpose::Zbt).await, counted(&[("infraction", 2), ("out_of_scope", 1), ("paired", 2)]));
}

async fn an_official_signs_and_a_late_permit_undoes(store: &Store) {
    let town = town(store).await;
    town.take(vec![read(1, 1, "1CAR001", noon()), read(2, 1, "1CAR002", noon()), read(3, 1, "1CAR003", noon())]).await;
    town.pass(1).await;
    let official = town.official().await;
    let queue = town.queue(&official).await;
    let id = |plate: &str| queue.iter().find(|one| one.finding.file.plate.reveal() == plate).unwrap().finding.id;
    let signed = town.cases.finding_decide(&official, id("1CAR001"), 1, Verdict::Approve).await.unwrap();
    assert_eq!(signed.finding.state, FindingState::Approved);
    let Snapshot::Zbt(both) = &signed.snapshot else { panic!("of another purpose") };
    assert!(both.0.reading.confirmed);
    let undone = town.cases.finding_decide(&official, id("1CAR001"), 2, Verdict::Undo("fout".to_owned())).await;
    assert_eq!(undone.unwrap().finding.state, FindingState::Open);
    town.cases.finding_decide(&official, id("1CAR001"), 3, Verdict::Approve).await.unwrap();
    // A permit that was in force, and came into the register later: it is no finding any more.
    let long_ago = noon().minus(Duration::from_secs(86_400));
    town.give(vec![permit("P-2", "1CAR002", "Z-MED", "ZBT-XL-A", long_ago, 30)], Vec::new()).await;
    let late = town.cases.finding_decide(&official, id("1CAR002"), 1, Verdict::Approve).await;
    assert!(matches!(late, Err(UseCaseError::Conflict(_))), "{late:?}");
    town.cases.finding_decide(&official, id("1CAR002"), 1, Verdict::Reject("vergunning".to_owned())).await.unwrap();
    // What was rejected is gone once it can no longer be taken back; what was signed outlives the term of a candidate.
    town.vault.lez_sweep(noon().plus(Duration::from_secs(25 * 3_600))).await.unwrap();
    assert_eq!(town.number("select count(*) as n from lez_finding").await, 2);
    town.vault.lez_sweep(noon().plus(Duration::from_secs(16 * 86_400))).await.unwrap();
    assert_eq!(town.number("select count(*) as n from lez_finding where state = 'approved'").await, 1);
    assert_eq!(town.number("select count(*) as n from lez_finding").await, 1, "what nobody signed is gone");
    let told: Vec<String> =
        town.log.entries().iter().filter_map(|entry| entry.details["operation"].as_str().map(str::to_owned)).collect();
    for operation in ["zbt_decided", "permits_imported", "finding_decided"] {
        assert!(told.iter().any(|one| one == operation), "{operation} is a leaf");
    }
}

async fn nobody_opens_the_queue_of_another(store: &Store) {
    let town = town(store).await;
    let exit = noon().plus(Duration::from_secs(30));
    town.take(vec![read(1, 1, "1CAR001", noon()), read(2, 4, "1CAR002", noon()), read(3, 5, "1CAR002", exit)]).await;
    town.pass(100).await;
    let (official, officer) = (town.official().await, town.officer().await);
    let (zones, runs) = (town.queue(&official).await, town.queue(&officer).await);
    assert_eq!((zones.len(), runs.len()), (1, 1));
    let agent = town.person(14, "FISC", Profile::P07).await;
    let stranger = town.person(15, "5340", Profile::P06).await;
    let other = town.person(16, "FISC", Profile::P09).await;
    for (actor, id) in [
        (&official, runs[0].finding.id),
        (&officer, zones[0].finding.id),
        (&agent, zones[0].finding.id),
        (&agent, runs[0].finding.id),
        (&stranger, runs[0].finding.id),
        (&other, zones[0].finding.id),
    ] {
        assert!(matches!(town.cases.finding_fetch(actor, id).await, Err(UseCaseError::NotFound(_))), "{actor:?}");
        let picture = town.cases.finding_picture(actor, id, PictureKind::Crop, None).await;
        assert!(matches!(picture, Err(UseCaseError::NotFound(_))), "{actor:?}");
        let signed = town.cases.finding_decide(actor, id, 1, Verdict::Approve).await;
        assert!(matches!(signed, Err(UseCaseError::NotFound(_))), "{actor:?}");
        assert!(town.queue(actor).await.iter().all(|sight| sight.finding.id != id));
    }
    // Who has no queue at all is refused.
    for profile in [Profile::P01, Profile::P10, Profile::P18] {
        let nobody = town.person(17, "5339", profile).await;
        let refused = town.cases.finding_list(&nobody, None, None, 9).await;
        assert!(matches!(refused, Err(UseCaseError::Denied { .. })), "{profile:?}");
    }
    // One vehicle is another token for each purpose, in reads and in findings.
    let plate = Plate::parse("1CAR001").unwrap();
    let tokens: std::collections::BTreeSet<String> = [Purpose::Lez, Purpose::Zbt, Purpose::Trajectory]
        .into_iter()
        .map(|purpose| town.vault.vehicle_token(purpose, None, &plate, Country::BELGIUM))
        .collect();
    assert_eq!(tokens.len(), 3);
}

async fn a_run_that_was_too_fast_is_one_finding_with_both_ends(store: &Store) {
    let town = town(store).await;
    let at = |seconds: u64| noon().plus(Duration::from_secs(seconds));
    // 870 m in 40 s are 78 km/h; in 80 s 39; the third came in the wrong order; the fourth has two entries.
    let reads = vec![
        read(1, 4, "1CAR001", at(0)),
        read(2, 5, "1CAR001", at(40)),
        read(3, 4, "1CAR002", at(0)),
        read(4, 5, "1CAR002", at(80)),
        read(5, 5, "1CAR003", at(45)),
        read(6, 4, "1CAR004", at(0)),
        read(7, 4, "1CAR004", at(5)),
        read(8, 5, "1CAR004", at(40)),
    ];
    assert_eq!(
        town.take(reads).await,
        8 + 4 + 4,
        "a police zone keeps its copy, the camera at the exit reads for two purposes"
    );
    town.clock.pass_s(80);
    town.pass(10).await;
    town.take(vec![read(9, 4, "1CAR003", at(3))]).await;
    town.pass(60).await;
    let officer = town.officer().await;
    let queue = town.queue(&officer).await;
    let plates: Vec<&str> = queue.iter().map(|sight| sight.finding.file.plate.reveal()).collect();
    assert_eq!(plates, ["1CAR001", "1CAR003"]);
    let sight = &queue[0];
    let Snapshot::Trajectory(both) = &sight.snapshot else { panic!("of another purpose") };
    let measured = both.1.measured.as_ref().unwrap();
    assert_eq!((measured.truncated_kmh, measured.corrected_kmh, measured.limit_kmh), (77, 71, 50));
    assert_eq!(both.0.entry_clock.uncertainty_us, 1_000, "the state of the clock travelled along");
    assert_eq!(sight.finding.measure.amount_cents, None, "the processing centre names an amount");
    assert_eq!(sight.finding.exit.map(|exit| (exit.at, exit.has_overview)), Some((at(40), true)));
    for (kind, wanted) in [(PictureKind::Crop, vec![1_u8; 900]), (PictureKind::ExitCrop, vec![2_u8; 900])] {
        let picture = town.cases.finding_picture(&officer, sight.finding.id, kind, Some(sight.decision)).await.unwrap();
        assert_eq!(picture, Bytes::from(wanted));
    }
    let signed = town.cases.finding_decide(&officer, sight.finding.id, 1, Verdict::Approve).await.unwrap();
    assert_eq!(signed.finding.state, FindingState::Approved);
    let here = "select count(*) as n from lez_read where purpose = 'TRAJECT'";
    assert_eq!(town.number(here).await, 0, "nothing of a run that was not too fast stays, nor of an ambiguous one");
    let counts = town.counts(Purpose::Trajectory).await;
    assert_eq!(counts, counted(&[("compliant", 1), ("infraction", 2), ("not_usable", 2), ("paired", 4)]));
}

async fn what_finds_no_other_end_is_gone_at_the_end_of_its_term(store: &Store) {
    let town = town(store).await;
    town.take(vec![read(1, 4, "1CAR001", noon()), read(2, 5, "1CAR002", noon().plus(Duration::from_secs(2)))]).await;
    let here = "select count(*) as n from lez_read where purpose = 'TRAJECT'";
    town.pass(590).await;
    assert_eq!(town.number(here).await, 2);
    town.pass(15).await;
    assert_eq!(town.number(here).await, 0, "after ten minutes nothing of them is left");
    assert_eq!(town.counts(Purpose::Trajectory).await, counted(&[("unpaired", 2)]));
    assert_eq!(town.queue(&town.officer().await).await.len(), 0);
    // A read that comes later than that is not even taken.
    let late = town.service.take(vec![read(3, 4, "1CAR003", noon())]).await.unwrap();
    assert_eq!(town.number(here).await, 0);
    assert_eq!(late.too_late, 1);
}

async fn undecided_reads_of_a_stopped_service_end_with_their_class(store: &Store) {
    let town = town(store).await;
    town.take(vec![read(1, 1, "1CAR001", noon()), read(2, 4, "1CAR002", noon())]).await;
    // No round at all: the sweep alone.
    town.vault.lez_sweep(noon().plus(Duration::from_secs(600))).await.unwrap();
    assert_eq!(town.number("select count(*) as n from lez_read where purpose = 'TRAJECT'").await, 0);
    town.vault.lez_sweep(noon().plus(Duration::from_secs(3_600 - 1))).await.unwrap();
    assert_eq!(town.number("select count(*) as n from lez_read where purpose = 'ZBT'").await, 1);
    town.vault.lez_sweep(noon().plus(Duration::from_secs(3_600))).await.unwrap();
    assert_eq!(town.number("select count(*) as n from lez_read where purpose = 'ZBT'").await, 0);
    assert_eq!(town.counts(Purpose::Zbt).await, counted(&[("expired", 1)]));
    assert_eq!(town.counts(Purpose::Trajectory).await, counted(&[("expired", 1)]));
    town.vault.lez_sweep(noon().plus(Duration::from_secs(2 * 3_600))).await.unwrap();
    let keys = "select count(*) as n from lez_key where purpose in ('ZBT', 'TRAJECT')";
    assert_eq!(town.number(keys).await, 0, "and their keys");
}
