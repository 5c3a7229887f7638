//! What a decision costs in a region of 24 profiles, 5,000 cameras, 2,000 grants and 500 people, and how much of a live start and of a
//! plate search goes to gate and log. The figures are those of this build; the bounds are far above them, so that a busy machine passes
//! and an accident (a scan of all grants, a policy set asked whole) does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use audit::LogKey;
use policy::{CapabilitySigner, Matrix};
use vms_app::cases::Extensions;
use vms_app::fakes::{FakeMedia, FixedIds};
use vms_app::gate::{Actor, AuditLog, BoxError, Gate, LogEntry, Why};
use vms_app::live::LiveRequest;
use vms_app::model::{Camera, CameraStream, Grant, GrantTerms, LegalBasis};
use vms_app::passwords::PasswordCost;
use vms_app::words::{CameraKind, CameraState, TransportKind};
use vms_app::{Parts, Settings, UseCases};
use vms_core::{
    CameraId, GrantId, OrgId, Plate, Profile, Purpose, Rendition, RetentionClass, Right, StreamId, StreamUse, TimeRange,
};
use vms_store::log::{LogSettings, Sequencer};

use crate::town::{Town, instant};

const CAMERAS: u32 = 5_000;
const GRANTS: u32 = 2_000;
const PEOPLE: u32 = 500;
const DECISIONS: usize = 50_000;
const STARTS: usize = 2_000;

#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn tick() -> Instant {
    Instant::now()
}

/// Small, seeded, good enough to spread requests over people and cameras.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

fn id(number: u32) -> [u8; 16] {
    (u128::from(number) + (1 << 90)).to_be_bytes()
}

fn camera(number: u32, owner: OrgId) -> Camera {
    let at = instant("2026-11-01T12:00:00Z");
    Camera {
        id: CameraId::from_bytes(id(number)),
        code: format!("K{number:05}"),
        call_up: None,
        name_nl: "Laan".to_owned(),
        name_fr: "Avenue".to_owned(),
        owner,
        partner: None,
        kind: CameraKind::Overview,
        lat: 50.85,
        lon: 4.35,
        state: CameraState::Live,
        retention_class: RetentionClass::parse("RC-VID-OPEN").unwrap(),
        pictogram_on: Some("2026-02-01".to_owned()),
        legal_basis: Some(LegalBasis {
            document: "Besluit 7".to_owned(),
            dated: "2026-01-01".to_owned(),
            advice: "gunstig".to_owned(),
        }),
        streams: vec![CameraStream {
            id: StreamId::from_bytes(id(number)),
            use_: StreamUse::Main,
            url: format!("rtsp://10.0.{}.{}/main", number / 250, number % 250 + 1),
            sealed_credentials: None,
            transport: TransportKind::Retina,
            codec: None,
            width: None,
            height: None,
        }],
        version: 1,
        created_at: at,
        updated_at: at,
    }
}

/// The log on disk, with the time that it took.
#[derive(Clone)]
struct Timed {
    log: Sequencer,
    spent_ns: Arc<AtomicU64>,
}

#[async_trait::async_trait]
impl AuditLog for Timed {
    async fn append(&self, entry: LogEntry) -> Result<u64, BoxError> {
        let started = tick();
        let answer = AuditLog::append(&self.log, entry).await;
        self.spent_ns.fetch_add(u64::try_from(started.elapsed().as_nanos()).unwrap(), Ordering::Relaxed);
        answer
    }

    async fn stands(&self) -> Result<(), BoxError> {
        self.log.stands().await
    }
}

/// 5,000 cameras of ten owners, 2,000 grants between them, 500 people of 24 profiles.
async fn region(town: &Town) -> (Vec<Camera>, Vec<Actor>) {
    let stores = town.cases.stores();
    let codes = ["5339", "5340", "5341", "5342", "5343", "5344", "MIVB", "BM", "HAVEN", "DBDMH"];
    let mut orgs = Vec::new();
    for code in codes {
        orgs.push(town.org(code).await);
    }
    let owner = |number: u32| orgs[usize::try_from(number).unwrap() % orgs.len()];
    let cameras: Vec<Camera> = (0..CAMERAS).map(|number| camera(number, owner(number))).collect();
    for part in cameras.chunks(500) {
        stores.camera_insert(part).await.unwrap();
    }
    let period = TimeRange::new(instant("2026-11-22T11:00:00Z"), instant("2027-11-22T11:00:00Z")).unwrap();
    for number in 0..GRANTS {
        let of = &cameras[usize::try_from(number * 2).unwrap()];
        let partner = owner(number * 2 + 1 + number % 4);
        let terms = GrantTerms {
            camera: of.id,
            partner,
            profile: None,
            right: if number % 2 == 0 { Right::Live } else { Right::Playback },
            purpose: (number % 3 == 0).then_some(Purpose::Intervention),
            period,
        };
        if partner != of.owner {
            let grant = Grant { id: GrantId::from_bytes(id(number)), owner: of.owner, terms, revoked_at: None };
            stores.grant_insert(&grant).await.unwrap();
        }
    }
    let mut people = Vec::new();
    for number in 0..PEOPLE {
        let profile = Profile::ALL[usize::try_from(number).unwrap() % Profile::ALL.len()];
        let user = format!("p{number:04}");
        town.account(&user, codes[usize::try_from(number / 24).unwrap() % codes.len()], profile).await;
        people.push(town.cases.actor_of_command_line(&user).await.unwrap());
    }
    (cameras, people)
}

/// p50 and p99.
fn ranks(mut took: Vec<Duration>) -> (Duration, Duration) {
    took.sort_unstable();
    (took[took.len() / 2], took[took.len() * 99 / 100])
}

fn why() -> Why {
    Why {
        purpose: Some(Purpose::Intervention),
        justification: Some("melding van een buurtbewoner".to_owned()),
        case_ref: Some("BR-7".to_owned()),
        ..Why::default()
    }
}

/// The matrix alone.
fn decide_alone() -> (Duration, Duration) {
    let matrix = Matrix::embedded().unwrap();
    let cells: Vec<_> = matrix.cells().map(|(key, _)| key).collect();
    let (mut dice, mut took) = (Dice(7), Vec::with_capacity(DECISIONS));
    for _ in 0..DECISIONS {
        // What is in no cell is refused by a look into a map: that would only make the figure better.
        let (profile, right, relation) = cells[dice.below(cells.len())];
        let request = policy::Request {
            purpose: Some(Purpose::Intervention),
            justification: Some("melding van een buurtbewoner"),
            ..policy::Request::bare(profile, right, relation)
        };
        let started = tick();
        std::hint::black_box(matrix.decide(&request));
        took.push(started.elapsed());
    }
    ranks(took)
}

async fn start(cases: &UseCases, dice: &mut Dice, cameras: &[Camera], people: &[Actor]) -> (Duration, bool) {
    let actor = &people[dice.below(people.len())];
    // Every second request is for a camera of one's own organisation, as in a control room.
    let own: Vec<&Camera> = cameras.iter().filter(|camera| camera.owner == actor.org).collect();
    let camera = if dice.below(2) == 0 && !own.is_empty() {
        own[dice.below(own.len())]
    } else {
        &cameras[dice.below(cameras.len())]
    };
    let request = LiveRequest { stream: camera.streams[0].id, rendition: Rendition::Original, why: why() };
    let started = tick();
    let allowed = cases.live_ticket(actor, request).await.is_ok();
    (started.elapsed(), allowed)
}

fn with_log(town: &Town, log: Timed) -> UseCases {
    let gate = Gate::new(
        Matrix::embedded().unwrap(),
        Arc::new(log),
        town.clock.clone(),
        Arc::new(FixedIds::default()),
        CapabilitySigner::from_seed(&[3; 32]),
    );
    let settings = Settings {
        password_cost: PasswordCost { memory_kib: 0, passes: 0 },
        allowed_networks: vec!["10.0.0.0/8".parse().unwrap()],
        allowed_ports: vec![(554, 554)],
        health_lag_max: Duration::from_secs(10),
    };
    let parts = Parts {
        stores: Arc::clone(town.cases.stores()),
        gate: Arc::new(gate),
        media: Arc::new(FakeMedia::default()),
        catalogue: None,
        clock: town.clock.clone(),
        ids: Arc::new(FixedIds::default()),
        settings,
        extensions: Extensions { lez: town.cases.extensions().lez.clone(), ..Extensions::default() },
    };
    UseCases::new(parts).unwrap()
}

#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_is_cheap_in_a_region_of_five_thousand_cameras() {
    let town = Town::settled().await;
    let (cameras, people) = region(&town).await;
    let alone = decide_alone();
    println!("decision, matrix alone: p50 {:?}, p99 {:?} of {DECISIONS}", alone.0, alone.1);

    let mut dice = Dice(1);
    let (mut took, mut allowed) = (Vec::new(), 0);
    for _ in 0..STARTS {
        let (time, is_allowed) = start(&town.cases, &mut dice, &cameras, &people).await;
        took.push(time);
        allowed += usize::from(is_allowed);
    }
    let found = ranks(took);
    println!(
        "decision with stream → camera → grants → circumstances, log in memory: p50 {:?}, p99 {:?} of {STARTS}, {allowed} allowed",
        found.0, found.1
    );
    assert!(allowed > STARTS / 20, "{allowed} allowed");

    let dir = tempfile::tempdir().unwrap();
    let settings = LogSettings {
        dir: dir.path().join("log"),
        lock: dir.path().join("lock"),
        key: LogKey::from_seed("belfry.test/log", &[1; 32]).unwrap(),
        salt: || [7; 32],
        checkpoint_every: Duration::from_secs(8),
    };
    let (log, thread) = Sequencer::start(settings).unwrap();
    let timed = Timed { log: log.clone(), spent_ns: Arc::new(AtomicU64::new(0)) };
    let cases = with_log(&town, timed.clone());
    let mut dice = Dice(2);
    let mut took = Vec::new();
    for _ in 0..STARTS / 4 {
        took.push(start(&cases, &mut dice, &cameras, &people).await.0);
    }
    let whole: Duration = took.iter().sum();
    let spent = Duration::from_nanos(timed.spent_ns.swap(0, Ordering::Relaxed));
    let on_disk = ranks(took);
    let count = u32::try_from(STARTS / 4).unwrap();
    println!(
        "live start at the server, log on disk: p50 {:?}, p99 {:?} of {count}; of the mean {:?} the log is {:?}, the decision {:?}",
        on_disk.0,
        on_disk.1,
        whole / count,
        spent / count,
        alone.0,
    );

    let searchers: Vec<&Actor> =
        people.iter().filter(|actor| matches!(actor.profile, Profile::P02 | Profile::P04)).collect();
    let range = TimeRange::new(instant("2026-11-22T11:00:00Z"), instant("2026-11-22T12:00:00Z")).unwrap();
    let mut took = Vec::new();
    for number in 0..200_usize {
        let plate = Plate::parse(&format!("1AAA{number:03}")).unwrap();
        let started = tick();
        cases
            .read_search(searchers[number % searchers.len()], &vms_core::PlateWish::Exact(plate), range, &why(), 100)
            .await
            .unwrap();
        took.push(started.elapsed());
    }
    let whole: Duration = took.iter().sum();
    let spent = Duration::from_nanos(timed.spent_ns.swap(0, Ordering::Relaxed));
    let search = ranks(took);
    println!(
        "plate search over no reads, log on disk: p50 {:?}, p99 {:?}; of the mean {:?} the log is {:?}, the decision {:?}",
        search.0,
        search.1,
        whole / 200,
        spent / 200,
        alone.0,
    );
    log.stop();
    thread.join().unwrap();
    assert!(alone.1 < Duration::from_millis(20), "the matrix alone: {:?}", alone.1);
    assert!(found.0 < Duration::from_millis(100), "a decision in the region: {:?}", found.0);
}
