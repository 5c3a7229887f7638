//! The pipeline of reads over a reader that speaks `link`, the real registry stub and real databases.

mod elsewhere;
mod erasure;
mod fines;
mod kinds;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use keys::{KeyRing, KeyStoreConfig, OpenOptions, RealDisk};
use link::message::{ReadRow, ReaderCamera};
use link::socket::LinkListener;
use link::{Control, Message, Role};
use policy::{CapabilitySigner, RoleTable};
use registry::ClientSettings;
use registry::backoff::Backoff;
use registry::stub::{StubSettings, serve};
use sqlx::Row as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use traffic_rules::Day;
use traffic_rules::lez::{LezInput, LezOutcome, RuleSet, decide};
use vms_app::fakes::{FakeMedia, FixedIds, ManualClock, MemoryLog};
use vms_app::gate::{Actor, Gate};
use vms_app::lez::ReadService;
use vms_app::lez::findings::{FindingSight, Verdict};
use vms_app::lez::reads::ReadFilter;
use vms_app::lez::service::BatchSettings;
use vms_app::lez_ports::{FindingState, PictureKind, VehicleRegistry};
use vms_app::model::{Camera, CameraStream, LegalBasis};
use vms_app::passwords::PasswordCost;
use vms_app::ports::{Clock as _, Stores};
use vms_app::words::{CameraKind, CameraState, TransportKind};
use vms_app::{Conflict, Parts, Settings, UseCaseError, UseCases};
use vms_core::{CameraId, OrgId, Profile, ReadId, RetentionClass, SessionId, StreamId, StreamUse, UserId, WallTime};
use vms_store::{Store, StoreSettings};

use super::registry_port::RegistryPort;
use super::{ReaderLink, extensions};
use crate::config::Traffic;

use self::elsewhere::{a_readers_clock_travels_along, reads_published_at_a_broker_are_taken_and_none_is_lost};
use self::erasure::{conforming_reads_are_nowhere_a_day_later, undecided_reads_end_with_their_class};
use self::fines::a_job_hands_over_what_people_approved;
use self::kinds::{
    a_day_pass_that_is_known_leaves_a_count_and_no_finding, a_municipalitys_job_hands_over_its_zones,
    a_police_zones_job_hands_over_its_stretches,
};

const CAMERA: CameraId = CameraId::from_bytes([1; 16]);
const STREAM: StreamId = StreamId::from_bytes([2; 16]);
const FLEET: &str = concat!(
    r#"{"plate":"1AAA111","category":"M1","fuels":["petrol"],"euro_norm":"6d","first_registration":"2022-04-11"}"#,
    "\n",
    r#"{"plate":"1BBB222","category":"M1","fuels":["diesel"],"euro_norm":"5","first_registration":"2013-11-08"}"#,
    "\n",
    r#"{"plate":"1CCC333","category":"M1","fuels":["diesel"],"euro_norm":"4","first_registration":"2009-03-01"}"#,
    "\n",
);

fn noon() -> WallTime {
    WallTime::from_micros("2026-11-20T11:00:00Z".parse::<jiff::Timestamp>().unwrap().as_microsecond())
}

#[derive(Debug, Default)]
struct Spool {
    reads: Vec<(ReadRow, Bytes, Bytes)>,
    assigned: Vec<ReaderCamera>,
    clocks: Vec<link::message::CameraClockRow>,
    /// Acknowledgements are lost: the connection ends instead of an answer.
    deaf: bool,
}

struct Stage {
    cases: Arc<UseCases>,
    clock: Arc<ManualClock>,
    log: Arc<MemoryLog>,
    store: Store,
    spool: Arc<Mutex<Spool>>,
    service: Arc<ReadService>,
    link: ReaderLink,
    ring: Arc<KeyRing>,
    /// The stub's socket, not served yet: connections wait.
    registry: Option<TcpListener>,
    tasks: JoinSet<()>,
    dir: tempfile::TempDir,
}

async fn sqlite() -> Stage {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", dir.path().join("central.db").display());
    stage(url, dir).await
}

async fn postgres() -> Stage {
    stage(vms_testkit::postgres::database().await.unwrap(), tempfile::tempdir().unwrap()).await
}

macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite { $( #[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() {
            super::$name(super::sqlite().await).await;
        } )+ }
        mod on_postgres { $( #[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() {
            super::$name(super::postgres().await).await;
        } )+ }
    };
}

on_both!(
    a_days_reads_become_counts_and_findings,
    while_the_registry_is_away_reads_wait,
    undecided_reads_end_with_their_class,
    a_person_decides_once,
    police_copies_are_the_owners_alone,
    grants_are_logged_and_renewed,
    a_job_hands_over_what_people_approved,
    a_municipalitys_job_hands_over_its_zones,
    a_police_zones_job_hands_over_its_stretches,
    a_day_pass_that_is_known_leaves_a_count_and_no_finding,
    a_readers_clock_travels_along,
    reads_published_at_a_broker_are_taken_and_none_is_lost,
    conforming_reads_are_nowhere_a_day_later,
);

fn camera(owner: OrgId) -> Camera {
    Camera {
        id: CAMERA,
        code: "LEZ-1".to_owned(),
        call_up: None,
        name_nl: "Ring".to_owned(),
        name_fr: "Ring".to_owned(),
        owner,
        partner: None,
        kind: CameraKind::Lez,
        lat: 50.85,
        lon: 4.35,
        state: CameraState::Live,
        retention_class: RetentionClass::parse("RC-VID-OPEN").unwrap(),
        pictogram_on: Some("2026-02-01".to_owned()),
        legal_basis: Some(LegalBasis {
            document: "Besluit 1".to_owned(),
            dated: "2026-01-01".to_owned(),
            advice: String::new(),
        }),
        streams: vec![CameraStream {
            id: STREAM,
            use_: StreamUse::Main,
            url: "rtsp://10.0.0.1/main".to_owned(),
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

fn key_ring(dir: &Path) -> Arc<KeyRing> {
    let config = KeyStoreConfig::on_one_disk(&dir.join("read-keys"));
    let options = OpenOptions { may_create: true, ..OpenOptions::default() };
    let random = Arc::new(keys::SystemRandom::new());
    Arc::new(KeyRing::open(Arc::new(RealDisk), random, config, options, noon()).unwrap())
}

async fn stage(url: String, dir: tempfile::TempDir) -> Stage {
    let store = Store::open(&StoreSettings { url, connections_max: 4 }).unwrap();
    store.migrate(noon()).await.unwrap();
    let (clock, log) = (Arc::new(ManualClock::at(noon())), Arc::new(MemoryLog::default()));
    let ids = Arc::new(FixedIds::default());
    let table = RoleTable::embedded().unwrap();
    let signer = CapabilitySigner::from_seed(&[3; 32]);
    let gate = Arc::new(Gate::new(table, log.clone(), clock.clone(), ids.clone(), signer));
    let stores: Arc<dyn Stores> = Arc::new(store.clone());
    let ring = key_ring(dir.path());
    let traffic = kinds::traffic(dir.path());
    let extensions =
        extensions(dir.path(), &traffic, &store, Arc::clone(&stores), Arc::clone(&gate), ring.clone()).unwrap();
    let parts = Parts {
        stores: Arc::clone(&stores),
        gate,
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
        extensions,
    };
    let cases = Arc::new(UseCases::new(parts).unwrap());
    cases.seed_organisations().await.unwrap();
    stores.camera_insert(&[camera(org(&cases, "5340").await)]).await.unwrap();

    let registry = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = ClientSettings {
        base_url: format!("http://{}", registry.local_addr().unwrap()),
        timeout: Duration::from_millis(300),
        attempts_max: 1,
        backoff: Backoff { first: Duration::from_millis(1), max: Duration::from_millis(2) },
        ..ClientSettings::default()
    };
    let port = Arc::new(RegistryPort::with(client).unwrap());
    let vehicles: Arc<dyn VehicleRegistry> = port.clone();
    let settings = BatchSettings {
        wait: Duration::from_secs(5),
        retry: Duration::from_secs(15),
        retry_max: Duration::from_secs(600),
        later: Duration::from_secs(3_600),
    };
    let service = Arc::new(ReadService::new(Arc::clone(&cases), Some(vehicles), settings).unwrap().with_holders(port));
    let spool = Arc::new(Mutex::new(Spool::default()));
    let mut tasks = JoinSet::new();
    let socket = dir.path().join("reader.sock");
    let listener = LinkListener::bind(&socket, Role::Reader, Vec::new()).unwrap();
    tasks.spawn(reader(listener, Arc::clone(&spool)));
    let link = ReaderLink::new(Arc::clone(&service), socket, 12);
    Stage { cases, clock, log, store, spool, service, link, ring, registry: Some(registry), tasks, dir }
}

async fn org(cases: &UseCases, code: &str) -> OrgId {
    cases.org_list().await.unwrap().iter().find(|org| org.code == code).unwrap().id
}

/// A reader that gives what is in its spool and forgets what is acknowledged.
async fn reader(listener: LinkListener, spool: Arc<Mutex<Spool>>) {
    loop {
        let stream = listener.accept().await.unwrap();
        let Ok(mut peer) = listener.greet(stream).await else { continue };
        while let Ok(request) = peer.receiver.recv_control().await {
            if let Control::ReaderAssign { cameras } = request {
                spool.lock().unwrap().assigned = cameras;
            } else if let Control::ReadsSince { after, limit, .. } = request {
                let all = spool.lock().unwrap().reads.clone();
                let wanted = all.into_iter().filter(|(row, ..)| row.spool > after);
                for (row, crop, overview) in wanted.take(usize::try_from(limit).unwrap()) {
                    peer.sender.push(&Control::Read(row).into());
                    peer.sender.push(&Message::Bytes(crop));
                    peer.sender.push(&Message::Bytes(overview));
                }
            } else if let Control::ReadsAck { upto, .. } = request {
                let mut spool = spool.lock().unwrap();
                if std::mem::take(&mut spool.deaf) {
                    break;
                }
                spool.reads.retain(|(row, ..)| row.spool > upto);
            } else if request == Control::ReaderHealth {
                let clocks = spool.lock().unwrap().clocks.clone();
                let report = Control::ReaderReport { cameras: Vec::new(), spooled: 0, problem: None, clocks };
                if peer.sender.send(report).await.is_err() {
                    break;
                }
                continue;
            } else {
                panic!("the reader was asked something else: {:?}", std::mem::discriminant(&request));
            }
            if peer.sender.send(Control::Done).await.is_err() {
                break;
            }
        }
    }
}

fn row(n: u8, plate: &str, country: &str, at: WallTime) -> (ReadRow, Bytes, Bytes) {
    let (crop, overview) = (Bytes::from(vec![n; 900]), Bytes::from(vec![n ^ 0xff; 3_000]));
    let row = ReadRow {
        spool: u64::from(n),
        read: ReadId::from_bytes([n; 16]).to_string(),
        camera: CAMERA.to_string(),
        stream: STREAM.to_string(),
        at_us: at.micros,
        plate: plate.to_owned(),
        countries: vec![(country.to_owned(), 990_000)],
        confidence: 985_000,
        corrected: false,
        direction: "approaching".to_owned(),
        looks: 7,
        corners: [0.0; 8],
        model: "test-1".to_owned(),
        crop_len: u32::try_from(crop.len()).unwrap(),
        overview_len: u32::try_from(overview.len()).unwrap(),
        clock: None,
    };
    (row, crop, overview)
}

impl Stage {
    fn spooled(&self, reads: impl IntoIterator<Item = (ReadRow, Bytes, Bytes)>) {
        self.spool.lock().unwrap().reads.extend(reads);
    }

    /// From now on the registry answers.
    fn open_registry(&mut self) {
        let fleet = self.dir.path().join("fleet.jsonl");
        std::fs::write(&fleet, FLEET).unwrap();
        let settings = StubSettings { fleet_file: Some(fleet), only_fleet_file: true, ..StubSettings::default() };
        let listener = self.registry.take().unwrap();
        self.tasks.spawn(async move { serve(listener, settings).await.unwrap() });
    }

    async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query(sql).fetch_one(self.store.read()).await.unwrap().try_get("n").unwrap()
    }

    async fn counts(&self) -> BTreeMap<String, u64> {
        let vault = self.cases.extensions().lez.clone().unwrap();
        let counts = vault.day_counts(vms_core::Purpose::Lez, Day::at(noon())).await.unwrap();
        counts.into_iter().map(|one| (one.outcome, one.count)).collect()
    }

    async fn person(&self, code: &str, profile: Profile) -> Actor {
        Actor {
            user: UserId::from_bytes([8; 16]),
            session: SessionId::from_bytes([9; 16]),
            org: org(&self.cases, code).await,
            profile,
            user_name: "test".to_owned(),
            org_code: code.to_owned(),
        }
    }

    async fn findings(&self) -> Vec<FindingSight> {
        let agent = self.person("FISC", Profile::P07).await;
        self.cases.finding_list(&agent, None, None, 100).await.unwrap()
    }

    /// Takes what is spooled and decides it.
    async fn decide(&mut self) {
        self.link.round().await.unwrap();
        self.clock.pass_s(6);
        if self.registry.is_some() {
            self.open_registry();
        }
        self.service.decide_round().await.unwrap();
    }
}

fn counted(words: &[(&str, u64)]) -> BTreeMap<String, u64> {
    words.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect()
}

async fn a_days_reads_become_counts_and_findings(mut stage: Stage) {
    let later = noon().plus(Duration::from_secs(120));
    stage.spooled([
        row(1, "1AAA111", "B", noon()),
        row(2, "1BBB222", "B", noon()),
        row(3, "1CCC333", "B", noon()),
        row(4, "1DDD444", "B", noon()),
        row(5, "1CCC333", "B", later),
    ]);
    stage.clock.pass_s(130);
    stage.spool.lock().unwrap().deaf = true;
    stage.link.round().await.unwrap_err();
    assert_eq!(stage.spool.lock().unwrap().reads.len(), 5, "not acknowledged");
    // The same reads again: the acknowledgement was lost, not the reads.
    stage.link.round().await.unwrap();
    assert_eq!(stage.spool.lock().unwrap().reads.len(), 0, "acknowledged");
    let assigned = stage.spool.lock().unwrap().assigned.clone();
    assert_eq!(assigned.len(), 1);
    assert_eq!(assigned[0].purposes, ["LEZ", "OPENBARE_ORDE"]);
    assert_eq!(stage.number("select count(*) as n from lez_read where purpose = 'LEZ'").await, 5);

    assert_eq!(stage.service.decide_round().await.unwrap().waiting, 5, "the batch waits for more");
    stage.decide().await;
    assert_eq!(stage.number("select count(*) as n from lez_read where purpose = 'LEZ'").await, 0);
    let wanted = [("allowed", 1), ("infraction", 1), ("no_fine_in_window", 1), ("undetermined", 1), ("warning", 1)];
    assert_eq!(stage.counts().await, counted(&wanted));
    assert_eq!(stage.number("select count(*) as n from lez_registry_ask where items_count = 4").await, 1);

    let findings = stage.findings().await;
    let mut seen: Vec<_> = findings
        .iter()
        .map(|sight| (sight.finding.file.plate.reveal().to_owned(), sight.finding.measure.verdict.as_str()))
        .collect();
    seen.sort();
    let wanted = [("1BBB222", "warning"), ("1CCC333", "infraction"), ("1DDD444", "undetermined")];
    assert_eq!(seen, wanted.map(|(plate, verdict)| (plate.to_owned(), verdict)));
    let agent = stage.person("FISC", Profile::P07).await;
    for sight in &findings {
        let input: LezInput = serde_json::from_str(&sight.finding.file.input).unwrap();
        let outcome: LezOutcome = serde_json::from_str(&sight.finding.file.outcome).unwrap();
        assert_eq!(decide(&RuleSet::embedded(), &input), outcome, "the snapshot gives the same outcome again");
        let id = sight.finding.id;
        let crop = stage.cases.finding_picture(&agent, id, PictureKind::Crop, Some(sight.decision)).await.unwrap();
        let overview = stage.cases.finding_picture(&agent, id, PictureKind::Overview, None).await.unwrap();
        assert_eq!((crop.len(), overview.len(), crop[0] ^ overview[0]), (900, 3_000, 0xff));
    }

    // Delivered once more after everything was decided and erased: still one read.
    stage.spooled([row(1, "1AAA111", "B", noon())]);
    stage.decide().await;
    assert_eq!(stage.counts().await["allowed"], 1);
    // No plate and no picture in clear anywhere in the database's own files.
    scan(&stage);
    // When the hour is over its key dies; the police key lives on.
    stage.clock.pass_s(3_700);
    stage.service.sweep().await.unwrap();
    assert_eq!(stage.number("select count(*) as n from lez_key where class = 'RC-LEZ-RAW'").await, 0);
    assert_eq!(stage.number("select count(*) as n from lez_key where class = 'RC-ANPR-POL'").await, 1);
}

/// Looks for plates in the files of the stage's folder (SQLite's database and write-ahead log among them).
fn scan(stage: &Stage) {
    for entry in std::fs::read_dir(stage.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name == "fleet.jsonl" || !path.is_file() {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        for plate in ["1AAA111", "1BBB222", "1CCC333", "1DDD444"] {
            assert!(!bytes.windows(plate.len()).any(|part| part == plate.as_bytes()), "a plate in {name}");
        }
    }
}

async fn while_the_registry_is_away_reads_wait(mut stage: Stage) {
    stage.spooled([row(1, "1AAA111", "B", noon()), row(2, "1CCC333", "B", noon())]);
    stage.link.round().await.unwrap();
    stage.clock.pass_s(6);
    let round = stage.service.decide_round().await.unwrap();
    assert_eq!((round.waiting, round.decided.len()), (2, 0));
    assert_eq!(stage.number("select count(*) as n from lez_registry_ask").await, 1, "what was asked is kept");
    stage.open_registry();
    assert_eq!(stage.service.decide_round().await.unwrap().waiting, 0, "it pauses after a failure");
    assert_eq!(stage.counts().await, counted(&[]));
    stage.clock.pass_s(16);
    let round = stage.service.decide_round().await.unwrap();
    assert_eq!(round.decided.values().sum::<u64>(), 2);
    assert_eq!(stage.counts().await, counted(&[("allowed", 1), ("infraction", 1)]));
}

async fn a_person_decides_once(mut stage: Stage) {
    stage.spooled([row(1, "1CCC333", "B", noon()), row(2, "1DDD444", "B", noon()), row(3, "1BBB222", "B", noon())]);
    stage.decide().await;
    let agent = stage.person("FISC", Profile::P07).await;
    let findings = stage.findings().await;
    let of =
        |plate: &str| findings.iter().find(|sight| sight.finding.file.plate.reveal() == plate).unwrap().finding.clone();
    let (infraction, question, warning) = (of("1CCC333"), of("1DDD444"), of("1BBB222"));
    let cases = &stage.cases;

    let stale = cases.finding_decide(&agent, infraction.id, 7, Verdict::Approve).await;
    assert!(matches!(stale, Err(UseCaseError::VersionStale)));
    let approved = cases.finding_decide(&agent, infraction.id, 1, Verdict::Approve).await.unwrap();
    assert_eq!((approved.finding.state, approved.finding.version), (FindingState::Approved, 2));
    assert_eq!(approved.finding.decided_by, Some(agent.user));
    let (input, outcome) = approved.snapshot.lez().unwrap();
    assert!(input.reading.confirmed, "the person compared plate and picture");
    assert_eq!(decide(&RuleSet::embedded(), input), *outcome);
    let again = cases.finding_decide(&agent, infraction.id, 2, Verdict::Reject("x".to_owned())).await;
    assert!(matches!(again, Err(UseCaseError::Conflict(Conflict::WrongState("approved")))));

    let unclear = cases.finding_decide(&agent, question.id, 1, Verdict::Unclear(None)).await.unwrap();
    assert_eq!(unclear.finding.state, FindingState::Unclear);
    let fine = cases.finding_decide(&agent, question.id, 2, Verdict::Approve).await;
    assert!(matches!(fine, Err(UseCaseError::Conflict(Conflict::WrongState("undetermined")))), "never a fine");

    let wordless = cases.finding_decide(&agent, warning.id, 1, Verdict::Reject(" ".to_owned())).await;
    assert!(matches!(wordless, Err(UseCaseError::Invalid(_))));
    cases.finding_decide(&agent, warning.id, 1, Verdict::Reject("wrong plate".to_owned())).await.unwrap();
    assert_eq!(stage.number("select count(*) as n from lez_finding_event").await, 3);
    // A rejected finding is gone after the term of a raw read, with its key; the others stay.
    stage.clock.pass_s(48 * 3_600 + 1);
    stage.service.sweep().await.unwrap();
    assert_eq!(stage.findings().await.len(), 2);
    assert_eq!(stage.number("select count(*) as n from lez_key where object like 'fnd_%'").await, 2);

    let operator = stage.person("5340", Profile::P01).await;
    assert!(matches!(cases.finding_list(&operator, None, None, 9).await, Err(UseCaseError::Denied { .. })));
    stage.log.set_broken(true);
    assert!(matches!(cases.finding_fetch(&agent, infraction.id).await, Err(UseCaseError::LogUnavailable(_))));
}

async fn police_copies_are_the_owners_alone(mut stage: Stage) {
    let later = noon().plus(Duration::from_secs(1));
    stage.spooled([row(1, "1AAA111", "B", noon()), row(2, "1BBB222", "B", later)]);
    stage.decide().await;
    let (own, other) = (stage.person("5340", Profile::P01).await, stage.person("5339", Profile::P01).await);
    let cases = &stage.cases;
    let page = cases.read_list(&own, ReadFilter::default(), 1).await.unwrap();
    assert_eq!(page.reads[0].facts.plate.reveal(), "1BBB222", "newest first, also when the LEZ copy is gone");
    let after = Some((page.reads[0].at, page.reads[0].read));
    let next = cases.read_list(&own, ReadFilter { after, ..ReadFilter::default() }, 5).await.unwrap();
    assert_eq!(next.reads.len(), 1);
    let id = next.reads[0].read;
    let crop = cases.read_picture(&own, next.decision, id, PictureKind::Crop).await.unwrap();
    assert_eq!(crop, Bytes::from(vec![1; 900]));
    let page = cases.read_list(&other, ReadFilter::default(), 5).await.unwrap();
    assert_eq!(page.reads.len(), 0);
    let session = SessionId::from_bytes([7; 16]);
    let other = Actor { session, ..other };
    let theirs = cases.read_picture(&other, next.decision, id, PictureKind::Crop).await;
    assert!(matches!(theirs, Err(UseCaseError::NotFound(_))), "a decision belongs to its session");

    let detective = stage.person("5340", Profile::P04).await;
    let plate = vms_core::PlateWish::Exact(vms_core::Plate::parse("1-AAA-111").unwrap());
    let range = vms_core::TimeRange::new(noon(), stage.clock.now()).unwrap();
    let why = vms_app::gate::Why {
        purpose: Some(vms_core::Purpose::Investigation),
        justification: Some("diefstal met vluchtwagen".to_owned()),
        case_ref: Some("BR.11.F1.1/26".to_owned()),
        ..vms_app::gate::Why::default()
    };
    let bare = cases.read_search(&detective, &plate, range, &vms_app::gate::Why::default(), 10).await;
    assert!(matches!(bare, Err(UseCaseError::Missing(_))));
    let found = cases.read_search(&detective, &plate, range, &why, 10).await.unwrap();
    assert_eq!(found.reads.len(), 1);
    assert_eq!(cases.read_picture(&detective, found.decision, id, PictureKind::Overview).await.unwrap().len(), 3_000);
    let log = format!("{:?}", stage.log.entries());
    assert!(!log.contains("1AAA111") && log.contains("plate:"), "the log has a keyed hash, never the plate");
    // Beside the hash the plate is sealed: the same search is found by its hash, and only the secret of reads opens the rest.
    let objects: Vec<String> =
        stage.log.entries().iter().filter_map(|entry| Some(entry.details["object"].as_str()?.to_owned())).collect();
    let plates = objects.iter().filter(|object| object.starts_with("plate:"));
    let searches: Vec<Vec<&str>> = plates.map(|object| object.split(':').collect()).collect();
    assert!(searches.len() >= 2 && searches.iter().all(|parts| parts[1] == searches[0][1]), "one hash: {searches:?}");
    assert_ne!(searches[0][2], searches[1][2], "sealed anew each time");
    let opened = cases.extensions().lez.as_ref().unwrap().wish_opened(searches[0][2]).unwrap();
    assert_eq!(opened, "1AAA111");
    let told = vms_app::gate::Why { justification: Some("de 1-aaa-111 reed door".to_owned()), ..why };
    cases.read_search(&detective, &plate, range, &told, 10).await.unwrap();
    let log = format!("{:?}", stage.log.entries()).to_lowercase();
    assert!(!log.contains("1-aaa-111") && log.contains("de [plate] reed door"), "nor in anybody's words");
    let marks = cases.extensions().timeline_marks.clone().unwrap();
    let wide = vms_core::TimeRange::new(noon(), noon().plus(Duration::from_secs(60))).unwrap();
    assert_eq!(marks.marks(&own, CAMERA, wide, 10).await.unwrap().len(), 2);
    assert_eq!(marks.marks(&other, CAMERA, wide, 10).await.unwrap().len(), 0);
}

async fn grants_are_logged_and_renewed(stage: Stage) {
    let leaves = || {
        let is_grant = |entry: &vms_app::gate::LogEntry| {
            entry.details["right"] == "anpr.decode" && entry.details["stream"] == STREAM.to_string()
        };
        stage.log.entries().into_iter().filter(is_grant).count()
    };
    let first = stage.service.grants().await.unwrap();
    assert_eq!(stage.service.grants().await.unwrap(), first, "the same grant while it stands");
    assert_eq!(leaves(), 1);
    stage.clock.pass_s(3_601);
    let renewed = stage.service.grants().await.unwrap();
    assert_ne!(renewed, first);
    assert_eq!(leaves(), 2);
    // Another owner: another grant, and no police copy for an authority that is no police zone.
    let mut moved = camera(org(&stage.cases, "BM").await);
    moved.id = CameraId::from_bytes([4; 16]);
    moved.code = "LEZ-2".to_owned();
    moved.streams[0].id = StreamId::from_bytes([5; 16]);
    stage.cases.stores().camera_insert(&[moved]).await.unwrap();
    let both = stage.service.grants().await.unwrap();
    assert_eq!(both.len(), 2);
    assert_eq!(both[1].purposes, [vms_core::Purpose::Lez]);
    stage.log.set_broken(true);
    stage.clock.pass_s(3_601);
    stage.service.grants().await.unwrap_err();
    stage.spooled([row(1, "1AAA111", "B", noon())]);
    stage.link.round().await.unwrap_err();
    assert_eq!(stage.spool.lock().unwrap().reads.len(), 1, "without a log nothing is taken");
}
