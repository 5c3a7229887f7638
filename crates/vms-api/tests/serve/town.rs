//! A small town: organisations, people, a router.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use policy::{CapabilitySigner, RoleTable};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use vms_app::accounts::AccountWish;
use vms_app::cases::Extensions;
use vms_app::catalogue_fault::CatalogueFault;
use vms_app::exports_fake::FakeDesk;
use vms_app::fakes::{FakeMedia, FixedIds, ManualClock, MemoryLog};
use vms_app::gate::Gate;
use vms_app::model::{Partner, PartnerCamera};
use vms_app::passwords::PasswordCost;
use vms_app::ports::PartnerCatalogue;
use vms_app::words::Language;
use vms_app::{Parts, Settings, UseCases};
use vms_core::{Profile, StreamId, WallTime};
use vms_store::{LezVault, Store, StoreSettings};
use zeroize::Zeroizing;

pub(crate) const PASSWORD: &str = "correct horse battery";

/// Where the town counts: at its first two cameras.
const PLAN: &str = r#"
[publisher]
country = "be"
identifier = "BE-BRU-TOWN"

[[site]]
code = "S1"
name_nl = "Brug"
name_fr = "Pont"
name_en = "Bridge"
orientation = 90
latitude = 50.8467
longitude = 4.3525
minutes = 5
detectors = [{ camera = "C1", lane = 1 }]

[[site]]
code = "S2"
name_nl = "Kaai"
name_fr = "Quai"
name_en = "Quay"
orientation = 90
latitude = 50.8567
longitude = 4.3525
minutes = 5
detectors = [{ camera = "C2", lane = 1 }]

[[route]]
code = "R1"
from = "S1"
to = "S2"
shortest_s = 30
longest_s = 300
"#;

pub(crate) fn instant(text: &str) -> WallTime {
    WallTime::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
}

#[derive(Debug)]
pub(crate) struct FakeCatalogue(pub std::sync::Mutex<Result<Vec<PartnerCamera>, CatalogueFault>>);

impl Default for FakeCatalogue {
    fn default() -> Self {
        Self(std::sync::Mutex::new(Ok(Vec::new())))
    }
}

#[async_trait::async_trait]
impl PartnerCatalogue for FakeCatalogue {
    async fn fetch(&self, _partner: &Partner) -> Result<Vec<PartnerCamera>, CatalogueFault> {
        self.0.lock().unwrap().clone()
    }
}

/// The key store of reads, with a folder for the private half of a magistrate's gate.
#[derive(Debug)]
struct TownKeys {
    ring: keys::KeyRing,
    gate: keys::GatePlan,
}

impl vms_store::KeyAccess for TownKeys {
    fn with(&self, work: &mut dyn FnMut(&keys::KeyRing) -> Result<(), keys::KeyError>) -> Result<(), keys::KeyError> {
        work(&self.ring)
    }

    fn ensure_gate(&self, now: WallTime) -> Result<(), keys::KeyError> {
        if self.ring.gate().is_none() {
            self.ring.make_gate(&self.gate, now)?;
        }
        Ok(())
    }

    fn gate_secrets(&self) -> Vec<keys::GateSecret> {
        let gates = self.ring.gates();
        let open = gates.iter().filter_map(|gate| keys::GateSecret::open(&keys::RealDisk, &self.gate, gate).ok());
        open.collect()
    }
}

pub(crate) struct Town {
    pub cases: Arc<UseCases>,
    pub vault: Arc<LezVault>,
    pub clock: Arc<ManualClock>,
    pub log: Arc<MemoryLog>,
    pub media: Arc<FakeMedia>,
    pub catalogue: Arc<FakeCatalogue>,
    pub desk: Arc<FakeDesk>,
    ids: Arc<FixedIds>,
    pub router: Router,
    dir: tempfile::TempDir,
}

/// A no leaves at once: thousands of them are asked for, and only `timing` looks at the time.
fn web_settings() -> vms_api::Settings {
    vms_api::Settings { no_step: std::time::Duration::ZERO, ..vms_api::Settings::default() }
}

fn settings() -> Settings {
    Settings {
        password_cost: PasswordCost { memory_kib: 0, passes: 0 },
        allowed_networks: vec!["10.0.0.0/8".parse().unwrap()],
        allowed_ports: vec![(554, 554)],
        health_lag_max: std::time::Duration::from_secs(10),
    }
}

/// Somebody with a browser.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub cookie: String,
    pub csrf: String,
}

impl Town {
    pub(crate) async fn empty() -> Self {
        Self::with_identity(Self::identity()).await
    }

    /// The same with other parts of identity.
    pub(crate) async fn with_identity(identity: vms_app::identity::IdentityParts) -> Self {
        Self::with_parts(identity, None).await
    }

    /// The same, with batches of fines.
    pub(crate) async fn with_parts(
        identity: vms_app::identity::IdentityParts,
        fines: Option<vms_app::fines_ports::FineParts>,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", dir.path().join("central.db").display());
        let store = Store::open(&StoreSettings { url, connections_max: 4 }).unwrap();
        let clock = Arc::new(ManualClock::at(instant("2026-11-22T12:00:00Z")));
        let (log, ids) = (Arc::new(MemoryLog::default()), Arc::new(FixedIds::default()));
        let film: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_be_bytes()[3]).collect();
        let media = Arc::new(FakeMedia::with_film(Bytes::from(film)));
        let (catalogue, desk) = (Arc::new(FakeCatalogue::default()), Arc::new(FakeDesk::default()));
        store.migrate(instant("2026-11-22T12:00:00Z")).await.unwrap();
        let gate = Gate::new(
            RoleTable::embedded().unwrap(),
            log.clone(),
            clock.clone(),
            ids.clone(),
            CapabilitySigner::from_seed(&[3; 32]),
        );
        let options = keys::OpenOptions { may_create: true, ..keys::OpenOptions::default() };
        let ring = keys::KeyRing::open(
            Arc::new(keys::RealDisk),
            Arc::new(keys::SystemRandom::new()),
            keys::KeyStoreConfig::on_one_disk(&dir.path().join("read-keys")),
            options,
            instant("2026-11-22T12:00:00Z"),
        )
        .unwrap();
        let gate_plan =
            keys::GatePlan { folder: dir.path().join("gate"), copy: None, protection: keys::Protection::FileMode };
        let ring = TownKeys { ring, gate: gate_plan };
        let vault = Arc::new(LezVault::new(store.clone(), [5; 32], ids.clone(), Arc::new(ring)));
        let plan = vms_app::statistics::Plan::parse(PLAN).unwrap();
        let statistics = vms_app::statistics::StatisticsDesk::new(plan, Arc::new(store.clone()), 0).unwrap();
        let parts = Parts {
            stores: Arc::new(store),
            gate: Arc::new(gate),
            media: media.clone(),
            catalogue: Some(catalogue.clone()),
            clock: clock.clone(),
            ids: ids.clone(),
            settings: settings(),
            extensions: Extensions {
                statistics: Some(Arc::new(statistics)),
                traffic: Some(crate::permits::traffic(&vault)),
                lez: Some(vault.clone()),
                exports: Some(desk.clone()),
                identity,
                fines,
                ..Extensions::default()
            },
        };
        let cases = Arc::new(UseCases::new(parts).unwrap());
        let router = vms_api::router(Arc::clone(&cases), web_settings());
        Self { cases, vault, clock, log, media, catalogue, desk, ids, router, dir }
    }

    /// The process died and came back: the database, the log and what lies on the disk are the same.
    pub(crate) fn restarted(mut self) -> Self {
        let parts = Parts {
            stores: Arc::clone(self.cases.stores()),
            gate: Arc::clone(self.cases.gate()),
            media: self.media.clone(),
            catalogue: Some(self.catalogue.clone()),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            settings: settings(),
            extensions: Extensions {
                exports: Some(self.desk.clone()),
                identity: Self::identity(),
                ..Extensions::default()
            },
        };
        self.cases = Arc::new(UseCases::new(parts).unwrap());
        self.router = vms_api::router(Arc::clone(&self.cases), web_settings());
        self
    }

    /// The folder with the private half of the magistrate's gate; a test renames it when the medium is not attached.
    pub(crate) fn gate_folder(&self) -> std::path::PathBuf {
        self.dir.path().join("gate")
    }

    /// Parts of identity: a key, and a console with a name.
    pub(crate) fn identity() -> vms_app::identity::IdentityParts {
        vms_app::identity::IdentityParts {
            key: Some(Arc::new(vms_app::identity::seal::FactorKey::new(&[9; 32]).unwrap())),
            site: vms_app::identity::webauthn::Site::of("https://belfry.brussels"),
            ..vms_app::identity::IdentityParts::default()
        }
    }

    /// Somebody whose session showed a second factor just now, however that was done.
    pub(crate) async fn stamp(&self, person: &Person) {
        let token = person.cookie.split_once('=').unwrap().1;
        let stores = self.cases.stores();
        let session = stores.session_by_token(&vms_app::login::token_hash(token)).await.unwrap().unwrap();
        stores.session_factor(session.id, vms_app::ports::Clock::now(self.clock.as_ref()), true).await.unwrap();
    }

    /// With organisations and one person per role; everybody's password is [`PASSWORD`].
    pub(crate) async fn settled() -> Self {
        Self::empty().await.peopled().await
    }

    /// The same for a town that was made otherwise.
    pub(crate) async fn peopled(self) -> Self {
        let town = self;
        town.cases.seed_organisations().await.unwrap();
        for (user, org, profile) in [
            ("operator", "5340", Profile::P01),
            ("supervisor", "5340", Profile::P02),
            ("chief", "5340", Profile::P03),
            ("stranger", "5339", Profile::P01),
            ("foreignchief", "5339", Profile::P03),
            ("technician", "IRISNET", Profile::P17),
            ("administrator", "PARADIGM", Profile::P18),
            ("mivbadmin", "MIVB", Profile::P19),
            ("zoneadmin", "5340", Profile::P19),
            ("lezagent", "FISC", Profile::P07),
            ("overseer", "CC", Profile::P21),
        ] {
            town.account(user, org, profile).await;
        }
        town
    }

    /// One more account; its password is [`PASSWORD`].
    pub(crate) async fn account(&self, user: &str, org: &str, profile: Profile) {
        let wish = AccountWish {
            user_name: user.to_owned(),
            name: format!("The {user}"),
            org: self.org(org).await,
            profile,
            language: Language::En,
        };
        self.cases.account_by_command_line(wish, Some(Zeroizing::new(PASSWORD.to_owned()))).await.unwrap();
    }

    pub(crate) async fn org(&self, code: &str) -> vms_core::OrgId {
        self.cases.org_list().await.unwrap().iter().find(|org| org.code == code).unwrap().id
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn log_in(&self, user: &str, password: &str) -> Response {
        let body = json!({ "user_name": user, "password": password }).to_string();
        let request = Request::post("/api/v1/login").header(header::CONTENT_TYPE, "application/json");
        let mut request = request.body(Body::from(body)).unwrap();
        // Everybody has a desk of their own: tries are counted for each address too.
        let desk = user.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) & 0x00FF_FFFF;
        let address = std::net::SocketAddr::from((std::net::Ipv4Addr::from(0x0A00_0000 | desk), 40_000));
        request.extensions_mut().insert(axum::extract::ConnectInfo(address));
        self.send(request).await
    }

    pub(crate) async fn person(&self, user: &str) -> Person {
        let account = self.cases.stores().account_by_user_name(user).await.unwrap().unwrap();
        if account.profile == Profile::P24 {
            return self.machine_as_person(&account).await;
        }
        let response = self.log_in(user, PASSWORD).await;
        if response.status() != StatusCode::OK {
            panic!("{user}: {} {}", response.status(), json_of(response).await);
        }
        let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let csrf = json_of(response).await["csrf_token"].as_str().unwrap().to_owned();
        let person = Person { cookie, csrf };
        self.stamp(&person).await;
        person
    }

    /// A machine has no password and no cookie; for the tests that ask every profile the same, it is given a session as a person has.
    async fn machine_as_person(&self, account: &vms_app::model::Account) -> Person {
        let id = vms_app::ports::Ids::uuid(self.ids.as_ref());
        let (token, csrf) = (format!("machine-{id}"), format!("form-{id}"));
        let now = vms_app::ports::Clock::now(self.clock.as_ref());
        let session = vms_app::model::Session {
            id: vms_core::SessionId::from_uuid(id),
            token_hash: vms_app::login::token_hash(&token),
            csrf: csrf.clone(),
            user: account.id,
            profile: account.profile,
            created_at: now,
            seen_at: now,
            ended_at: None,
            factor_at: Some(now),
            hard_at: Some(now),
            certificate: None,
        };
        self.cases.stores().session_insert(&session).await.unwrap();
        Person { cookie: format!("belfry_session={token}"), csrf }
    }

    /// A request of a person; the form token goes along.
    pub(crate) fn request(person: &Person, method: Method, path: &str, body: Option<Value>) -> Request<Body> {
        let request = Request::builder().method(method).uri(path).header(header::COOKIE, &person.cookie);
        let request = request.header("x-csrf-token", &person.csrf);
        match body {
            None => request.body(Body::empty()).unwrap(),
            Some(value) => {
                let request = request.header(header::CONTENT_TYPE, "application/json");
                request.body(Body::from(value.to_string())).unwrap()
            }
        }
    }

    /// Shows a factor; as in a browser, the session goes on under the token that the answer sets.
    pub(crate) async fn step_up(&self, person: &mut Person, proof: Value) -> (StatusCode, Value) {
        let request = Self::request(person, Method::POST, "/api/v1/session/step-up", Some(proof));
        let response = self.send(request).await;
        if let Some(cookie) = response.headers().get(header::SET_COOKIE) {
            person.cookie = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        }
        answer(response).await
    }

    pub(crate) async fn get(&self, person: &Person, path: &str) -> (StatusCode, Value) {
        answer(self.send(Self::request(person, Method::GET, path, None)).await).await
    }

    pub(crate) async fn post(&self, person: &Person, path: &str, body: Value) -> (StatusCode, Value) {
        answer(self.send(Self::request(person, Method::POST, path, Some(body))).await).await
    }

    pub(crate) async fn patch(&self, person: &Person, path: &str, etag: &str, body: Value) -> (StatusCode, Value) {
        let mut request = Self::request(person, Method::PATCH, path, Some(body));
        request.headers_mut().insert(header::IF_MATCH, etag.parse().unwrap());
        answer(self.send(request).await).await
    }

    /// A camera of zone 5340 in service; its view.
    pub(crate) async fn camera(&self, code: &str) -> Value {
        let (technician, chief) = (self.person("technician").await, self.person("chief").await);
        let owner = self.org("5340").await.to_string();
        let (status, camera) = self.post(&technician, "/api/v1/cameras", draft(code, &owner)).await;
        assert_eq!(status, StatusCode::CREATED, "{camera}");
        let id = camera["id"].as_str().unwrap();
        let (status, camera) = self.post(&chief, &format!("/api/v1/cameras/{id}/approve"), json!({})).await;
        assert_eq!((status, camera["state"].as_str()), (StatusCode::OK, Some("live")), "{camera}");
        camera
    }

    /// Words for what is in the log, oldest first.
    pub(crate) fn leaves(&self) -> Vec<String> {
        let word = |entry: &vms_app::gate::LogEntry| {
            let text = |key: &str| entry.details.get(key).and_then(Value::as_str);
            let what = text("operation").or_else(|| text("right")).unwrap_or("?");
            format!("{} {what}", entry.kind.as_str())
        };
        self.log.entries().iter().map(word).collect()
    }
}

pub(crate) fn draft(code: &str, owner: &str) -> Value {
    json!({
        "code": code, "name_nl": "Grote Markt", "name_fr": "Grand-Place", "owner_id": owner, "kind": "overview",
        "lat": 50.8467, "lon": 4.3525, "retention_class": "RC-VID-OPEN", "pictogram_on": "2026-02-01",
        "legal_basis": { "document": "Besluit 7", "date": "2026-01-01", "advice": "gunstig" },
        "streams": [
            { "use": "main", "url": "rtsp://10.0.0.7/main", "user": "cam", "password": "planted-secret" },
            { "use": "sub", "url": "rtsp://10.0.0.7/sub", "user": "cam", "password": "planted-secret" },
        ],
    })
}

pub(crate) fn stream_of(camera: &Value, use_: &str) -> StreamId {
    let streams = camera["streams"].as_array().unwrap();
    streams.iter().find(|stream| stream["use"] == use_).unwrap()["id"].as_str().unwrap().parse().unwrap()
}

pub(crate) async fn bytes_of(response: Response) -> Bytes {
    axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap()
}

pub(crate) async fn json_of(response: Response) -> Value {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    // XML for traffic centres is no JSON.
    let is_xml = kind.is_some_and(|kind| kind.starts_with("application/xml"));
    let bytes = bytes_of(response).await;
    if bytes.is_empty() || is_xml { Value::Null } else { serde_json::from_slice(&bytes).unwrap() }
}

pub(crate) async fn answer(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    (status, json_of(response).await)
}
