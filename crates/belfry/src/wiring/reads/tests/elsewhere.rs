//! Clocks over the reader's link, and reads that cameras publish at a real broker (mosquitto) with TLS and certificates on both sides.

use std::net::TcpListener as StdListener;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use link::message::{CameraClockRow, ClockRow};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_ED25519};
use ring::signature::Ed25519KeyPair;
use rumqttc::{AsyncClient, MqttOptions, QoS, TlsConfiguration, Transport};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use vms_app::clock_ports::OWN_SOURCE;
use vms_app::fakes::LogMode;
use vms_app::identity::IdentityStore as _;
use vms_app::identity::machines::MachineCertificate;
use vms_app::model::{Account, PasswordState};
use vms_app::ports::AccountStore as _;
use vms_app::words::Language;

use super::*;
use crate::wiring::mqtt::{MqttConfig, run};

pub(super) async fn a_readers_clock_travels_along(stage: Stage) {
    let clock = |until_s: u64, second: Option<i64>| ClockRow {
        locked_from_us: noon().micros - 600_000_000,
        locked_until_us: noon().plus(Duration::from_secs(until_s)).micros,
        offset_us: -1_500,
        uncertainty_us: 8_900,
        synced_us: Some(noon().micros - 9_000_000),
        second_us: second,
    };
    let (mut timed, crop, overview) = row(1, "1AAA111", "B", noon());
    timed.clock = Some(clock(0, Some(noon().micros - 1_400)));
    stage.spooled([(timed, crop, overview), row(2, "1BBB222", "B", noon())]);
    stage.spool.lock().unwrap().clocks = vec![CameraClockRow { camera: CAMERA.to_string(), clock: clock(90, None) }];
    stage.link.round().await.unwrap();
    let vault = stage.cases.extensions().lez.clone().unwrap();
    let from = WallTime::from_micros(noon().micros - 600_000_000);
    let known = vault.clock_known(CAMERA, OWN_SOURCE, from).await.unwrap().unwrap();
    assert_eq!((known.locked_until, known.offset_us), (noon().plus(Duration::from_secs(90)), -1_500));
    let officer = stage.person("5340", Profile::P01).await;
    let list = stage.cases.read_list(&officer, ReadFilter::default(), 10).await.unwrap();
    let mut clocks: Vec<_> =
        list.reads.iter().map(|read| (read.facts.plate.reveal(), read.facts.clock.clone())).collect();
    clocks.sort_by_key(|(plate, _)| *plate);
    let first = clocks[0].1.as_ref().unwrap();
    assert_eq!(
        (first.second_us, first.uncertainty_us, first.source.as_str()),
        (Some(noon().micros - 1_400), 8_900, "host")
    );
    assert_eq!(clocks[1].1, None, "a spool of before says nothing, and nothing is made up");
}

/// A broker that asks everybody for a certificate.
struct Broker {
    child: Child,
    port: u16,
    authority: CertifiedIssuer<'static, KeyPair>,
    dir: tempfile::TempDir,
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Broker {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // A name of its own: a certificate whose issuer has its own name counts as signed by itself.
        params.distinguished_name.push(rcgen::DnType::CommonName, "cameras of the test");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        let put = |name: &str, text: String| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (ca, certificate) = (put("ca.pem", authority.pem()), put("broker.pem", own.pem()));
        let key = put("broker.key", key.serialize_pem());
        // The port is free again for a moment; nobody else on this machine takes it in between.
        let port = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = put(
            "mosquitto.conf",
            format!(
                "listener {port} 127.0.0.1\nallow_anonymous true\nuse_identity_as_username true\nrequire_certificate true\n\
                 cafile {ca}\ncertfile {certificate}\nkeyfile {key}\nmax_queued_messages 1000\nuser root\n"
            ),
        );
        let mut command = Command::new("mosquitto");
        command.args(["-c", &config]).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("mosquitto should be installed: scripts/setup.sh installs it");
        Self { child, port, authority, dir }
    }

    /// Paths of a client's certificate and key.
    fn client(&self, name: &str) -> (std::path::PathBuf, std::path::PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let made = params.signed_by(&key, &self.authority).unwrap();
        let (certificate, file) =
            (self.dir.path().join(format!("{name}.pem")), self.dir.path().join(format!("{name}.key")));
        std::fs::write(&certificate, made.pem()).unwrap();
        std::fs::write(&file, key.serialize_pem()).unwrap();
        (certificate, file)
    }

    fn config(&self) -> MqttConfig {
        let (certificate, key) = self.client("belfry");
        let text = format!(
            "host = 'localhost'\nport = {}\naccount = 'cameras'\nauthority = '{}'\ncertificate = '{}'\nkey = '{}'\n",
            self.port,
            self.dir.path().join("ca.pem").display(),
            certificate.display(),
            key.display()
        );
        toml::from_str(&text).unwrap()
    }

    /// A camera of its own, connected.
    fn camera(&self) -> (AsyncClient, tokio::task::JoinHandle<()>) {
        use rustls::pki_types::pem::PemObject as _;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        let (certificate, key) = self.client("camera");
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_file(certificate).unwrap()],
                PrivateKeyDer::from_pem_file(key).unwrap(),
            )
            .unwrap();
        let mut options = MqttOptions::new("camera", "localhost", self.port);
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(tls))));
        let (client, mut events) = AsyncClient::new(options, 64);
        let polls = tokio::spawn(async move {
            loop {
                if events.poll().await.is_err() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        });
        (client, polls)
    }
}

/// The machine's account; the certificate of the key that signs is noted for it.
async fn machine(stage: &Stage) -> (KeyPair, Vec<u8>) {
    let account = Account {
        id: UserId::from_bytes([77; 16]),
        org: org(&stage.cases, "5340").await,
        user_name: "cameras".to_owned(),
        name: "Cameras".to_owned(),
        password_hash: "-".to_owned(),
        password_state: PasswordState::OneTime,
        profile: Profile::P24,
        language: Language::Nl,
        disabled_at: None,
        charter_at: None,
        training_at: None,
        cleared_at: None,
        more_profiles: Vec::new(),
        last_used_at: noon(),
        created_at: noon(),
        version: 1,
    };
    stage.store.account_insert(&account).await.unwrap();
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let der = CertificateParams::new(vec!["signing".to_owned()]).unwrap().self_signed(&key).unwrap().der().to_vec();
    let certificate = MachineCertificate {
        fingerprint: hex::encode(Sha256::digest(&der)),
        user: account.id,
        name: "signing".to_owned(),
        made_at: noon(),
        ends_at: noon().plus(Duration::from_secs(86_400)),
        revoked_at: None,
        used_at: None,
    };
    stage.store.machine_insert(&certificate).await.unwrap();
    (key, der)
}

fn signed((key, der): &(KeyPair, Vec<u8>), plate: &str) -> String {
    let read = json!({ "id": format!("s-{}", plate.len()), "camera": "LEZ-1", "at": "2026-11-20T11:00:00Z", "plate": plate, "confidence": 0.98 });
    let body = json!({ "v": 1, "reads": [read] }).to_string();
    let header = json!({ "alg": "EdDSA", "x5c": [STANDARD.encode(der)] }).to_string();
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(body));
    let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&key.serialize_der()).unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(key.sign(input.as_bytes()).as_ref()))
}

const POLICE: &str = "select count(*) as n from lez_read where purpose = 'OPENBARE_ORDE'";

/// Waits on a level, with a deadline that a loaded machine does not reach.
async fn until(stage: &Stage, wanted: i64) {
    for _ in 0..600 {
        if stage.number(POLICE).await == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{} reads instead of {wanted}", stage.number(POLICE).await);
}

pub(super) async fn reads_published_at_a_broker_are_taken_and_none_is_lost(stage: Stage) {
    tokio::time::timeout(Duration::from_secs(300), published(stage)).await.expect("the broker should answer");
}

async fn published(stage: Stage) {
    let broker = Broker::start();
    let key = machine(&stage).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(run(broker.config(), Arc::clone(&stage.cases), stop.clone()));
    let (camera, polls) = broker.camera();
    let event = |plate: &str| {
        json!({ "UtcTime": "2026-11-20T11:00:00.5Z", "Source": { "VideoSource": "vs1" },
            "Data": { "LicensePlateInfo": { "LicensePlateInfo": { "PlateNumber": { "@Likelihood": 0.9, "#text": plate } } } } })
        .to_string()
    };
    let topic = "LEZ-1/onvif-ej/RuleEngine/Recognition/LicensePlate/&vs1/plates";
    // Before our subscription the broker has nobody to keep it for: published until it is there, it is one read all the same.
    for _ in 0..300 {
        drop(camera.try_publish(topic, QoS::AtLeastOnce, false, event("1AAA111")));
        tokio::time::sleep(Duration::from_millis(100)).await;
        if stage.number(POLICE).await > 0 {
            break;
        }
    }
    until(&stage, 1).await;
    // What is not for us, not of a camera of ours, or of a key that nobody noted does not stop what follows.
    let stranger = (KeyPair::generate_for(&PKCS_ED25519).unwrap(), key.1.clone());
    for (topic, message) in [
        (topic, "{".to_owned()),
        ("C9/onvif-ej/RuleEngine/Recognition/LicensePlate", event("1XXX999")),
        ("belfry/reads/v1", signed(&stranger, "1XXX999")),
        ("belfry/reads/v1/zone", signed(&key, "1BBB2222")),
    ] {
        camera.publish(topic, QoS::AtLeastOnce, false, message).await.unwrap();
    }
    until(&stage, 2).await;
    // While the log is away nothing is acknowledged; when it is back the broker delivers it again.
    stage.log.set_mode(LogMode::Down);
    camera.publish("belfry/reads/v1", QoS::AtLeastOnce, false, signed(&key, "1CCC33333")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    stage.log.set_mode(LogMode::Fine);
    until(&stage, 3).await;
    // And while we are away, the broker keeps what comes.
    stop.cancel();
    running.await.unwrap();
    camera.publish("belfry/reads/v1", QoS::AtLeastOnce, false, signed(&key, "1DDD444444")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(run(broker.config(), Arc::clone(&stage.cases), stop.clone()));
    until(&stage, 4).await;
    // An account that is switched off delivers nothing any more.
    let mut off = stage.store.account_by_user_name("cameras").await.unwrap().unwrap();
    off.disabled_at = Some(noon());
    stage.store.account_update(&off).await.unwrap();
    camera.publish("belfry/reads/v1", QoS::AtLeastOnce, false, signed(&key, "1EEE5555555")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(stage.number(POLICE).await, 4);
    stop.cancel();
    running.await.unwrap();
    polls.abort();
}
