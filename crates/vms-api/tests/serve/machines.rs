//! Machines: a real TLS listener, certificates of an authority of one's own, and tokens that belong to one certificate.

use std::net::SocketAddr;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{Method, Request, StatusCode};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SerialNumber,
};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use vms_api::machines::{MachineListener, MachinePeer, router, server_config};

use crate::town::{Person, Town, answer};

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// A certificate with its key, as a machine holds it.
struct Machine {
    pem: String,
    fingerprint: String,
    der: Vec<u8>,
    key: KeyPair,
}

fn authority(name: &str) -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate of `issuer`; `days` from now until its end, negative for one that is over.
fn machine(issuer: &Issuer, purpose: ExtendedKeyUsagePurpose, days: i64, serial: u64) -> Machine {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.extended_key_usages = vec![purpose];
    params.serial_number = Some(SerialNumber::from(serial));
    // The listener checks dates by this machine's own clock.
    let now = rcgen::date_time_ymd(2026, 1, 1);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = if days < 0 { now } else { rcgen::date_time_ymd(2096, 1, 1) };
    let made = params.signed_by(&key, issuer).unwrap();
    let fingerprint = hex::encode(Sha256::digest(made.der()));
    let der = made.der().to_vec();
    Machine { pem: format!("{}{}", made.pem(), key.serialize_pem()), fingerprint, der, key }
}

impl Machine {
    /// A detached signature by the certificate's own key.
    fn sign(&self, body: &str) -> String {
        let header = json!({ "alg": "ES256", "b64": false, "crit": ["b64"], "x5c": [STANDARD.encode(&self.der)] });
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        let random = SystemRandom::new();
        let pkcs8 = self.key.serialize_der();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &random).unwrap();
        let signature = key.sign(&random, format!("{header}.{body}").as_bytes()).unwrap();
        format!("{header}..{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

struct Place {
    town: Town,
    at: SocketAddr,
    issuer: Issuer,
    server: String,
    administrator: Person,
    account: String,
}

/// A town whose listener for machines listens, and an account of a machine.
async fn place() -> Place {
    rustls::crypto::ring::default_provider().install_default().ok();
    let town = Town::settled().await;
    let issuer = authority("machines of Belfry");
    let server_issuer = authority("servers");
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let own = params.signed_by(&key, &server_issuer).unwrap();
    let config = server_config(own.pem().as_bytes(), key.serialize_pem().as_bytes(), issuer.pem().as_bytes()).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = tcp.local_addr().unwrap();
    let service = router(std::sync::Arc::clone(&town.cases), vms_api::Settings::default());
    let service = service.into_make_service_with_connect_info::<MachinePeer>();
    drop(tokio::spawn(axum::serve(MachineListener::new(tcp, config), service).into_future()));
    let administrator = town.person("administrator").await;
    let org = town.org("MIVB").await.to_string();
    let wish = json!({ "user_name": "mivb-gateway", "name": "Gateway of MIVB", "org_id": org, "profile": "P24" });
    let (status, made) = town.post(&administrator, "/api/v1/users", wish).await;
    assert_eq!((status, made["one_time_password"].is_null()), (StatusCode::CREATED, true), "no password: {made}");
    let account = made["id"].as_str().unwrap().to_owned();
    Place { town, at, issuer, server: server_issuer.pem(), administrator, account }
}

impl Place {
    fn client(&self, machine: Option<&Machine>) -> reqwest::Client {
        let roots = reqwest::Certificate::from_pem_bundle(self.server.as_bytes()).unwrap();
        let mut builder = reqwest::Client::builder()
            .tls_certs_only(roots)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .resolve("localhost", self.at);
        if let Some(machine) = machine {
            builder = builder.identity(reqwest::Identity::from_pem(machine.pem.as_bytes()).unwrap());
        }
        builder.build().unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.at.port())
    }

    async fn token(&self, client: &reqwest::Client) -> (u16, Value) {
        let response = client.post(self.url("/api/v1/machine/token")).send().await.unwrap();
        (response.status().as_u16(), serde_json::from_str(&response.text().await.unwrap()).unwrap())
    }

    async fn get(&self, client: &reqwest::Client, path: &str, token: &str) -> (u16, Value) {
        let request = client.get(self.url(path)).header("authorization", format!("Bearer {token}"));
        let response = request.send().await.unwrap();
        (response.status().as_u16(), serde_json::from_str(&response.text().await.unwrap()).unwrap())
    }

    async fn note(&self, machine: &Machine, ends_at: &str) -> (StatusCode, Value) {
        let path = format!("/api/v1/users/{}/certificates", self.account);
        let body = json!({ "fingerprint": machine.fingerprint, "name": "gateway 1", "ends_at": ends_at });
        self.town.post(&self.administrator, &path, body).await
    }

    async fn revoke(&self, machine: &Machine) -> StatusCode {
        let path = format!("/api/v1/users/{}/certificates/{}", self.account, machine.fingerprint);
        self.town.send(Town::request(&self.administrator, Method::DELETE, &path, None)).await.status()
    }
}

#[tokio::test]
async fn a_machine_is_known_by_its_certificate_and_a_token_belongs_to_it() {
    let place = place().await;
    let one = machine(&place.issuer, ExtendedKeyUsagePurpose::ClientAuth, 90, 1);
    let two = machine(&place.issuer, ExtendedKeyUsagePurpose::ClientAuth, 90, 2);
    let (first, second) = (place.client(Some(&one)), place.client(Some(&two)));
    // Of our authority, and nobody noted it.
    let (status, problem) = place.token(&first).await;
    assert_eq!((status, problem["code"].as_str()), (401, Some("login_failed")));
    assert_eq!(place.note(&one, "2027-02-01T00:00:00Z").await.0, StatusCode::CREATED);
    assert_eq!(place.note(&one, "2027-02-01T00:00:00Z").await.1["code"], "taken");
    assert_eq!(place.note(&two, "2029-02-01T00:00:00Z").await.1["code"], "invalid", "398 days at most");
    assert_eq!(place.note(&two, "2027-02-01T00:00:00Z").await.0, StatusCode::CREATED);

    let (status, view) = place.token(&first).await;
    assert_eq!((status, view["user_id"].as_str()), (200, Some(place.account.as_str())), "{view}");
    let token = view["token"].as_str().unwrap();
    let (status, session) = place.get(&first, "/api/v1/session", token).await;
    assert_eq!((status, session["profile"].as_str()), (200, Some("P24")), "{session}");
    // Another machine's connection, also one of the same account; and no token at all.
    assert_eq!(place.get(&second, "/api/v1/session", token).await.0, 401, "the token belongs to the other certificate");
    assert_eq!(place.get(&first, "/api/v1/session", "nonsense").await.0, 401);
    // At the listener of people it is worth nothing, as cookie or as bearer.
    for (name, value) in [("cookie", format!("belfry_session={token}")), ("authorization", format!("Bearer {token}"))] {
        let request = Request::get("/api/v1/session").header(name, value).body(Body::empty()).unwrap();
        assert_eq!(place.town.send(request).await.status(), StatusCode::UNAUTHORIZED, "{name}");
    }
    // A person's cookie is worth nothing among machines.
    let person = place.town.person("operator").await;
    let cookie = person.cookie.split_once('=').unwrap().1;
    assert_eq!(place.get(&first, "/api/v1/session", cookie).await.0, 401);
    // Ten minutes, and then a new one.
    place.town.clock.pass_s(601);
    assert_eq!(place.get(&first, "/api/v1/session", token).await.0, 401);
    let (_, view) = place.token(&first).await;
    assert_eq!(place.get(&first, "/api/v1/session", view["token"].as_str().unwrap()).await.0, 200);
    let log = format!("{:?}", place.town.log.entries());
    assert!(!log.contains(token), "no token in the log");
}

#[tokio::test]
async fn a_certificate_taken_back_is_refused_at_once() {
    let place = place().await;
    let one = machine(&place.issuer, ExtendedKeyUsagePurpose::ClientAuth, 90, 1);
    let client = place.client(Some(&one));
    place.note(&one, "2026-11-22T13:00:00Z").await;
    let (_, view) = place.token(&client).await;
    let token = view["token"].as_str().unwrap().to_owned();
    assert_eq!(place.get(&client, "/api/v1/session", &token).await.0, 200);
    assert_eq!(place.revoke(&one).await, StatusCode::NO_CONTENT);
    // Over the connection that is open already, too.
    assert_eq!(place.get(&client, "/api/v1/session", &token).await.0, 401);
    assert_eq!(place.token(&client).await.0, 401);
    assert_eq!(place.note(&one, "2026-11-22T13:00:00Z").await.1["code"], "taken", "taken back for ever");
    assert_eq!(place.revoke(&one).await, StatusCode::NOT_FOUND, "once");
    // One that ends by its own date here, and an account that is switched off.
    let two = machine(&place.issuer, ExtendedKeyUsagePurpose::ClientAuth, 90, 2);
    let client = place.client(Some(&two));
    place.note(&two, "2026-11-22T13:00:00Z").await;
    let (_, view) = place.token(&client).await;
    let token = view["token"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/users/{}", place.account);
    place.town.patch(&place.administrator, &path, "*", json!({ "disabled": true })).await;
    assert_eq!(place.get(&client, "/api/v1/session", &token).await.0, 401, "switched off");
    place.town.patch(&place.administrator, &path, "*", json!({ "disabled": false })).await;
    assert_eq!(place.token(&client).await.0, 200);
    place.town.clock.pass_s(3_601);
    assert_eq!(place.token(&client).await.0, 401, "the hour that was noted is over");
    let leaves = place.town.leaves();
    for wanted in ["change certificate_noted", "change certificate_revoked", "session login", "session login_failed"] {
        assert!(leaves.iter().any(|leaf| leaf == wanted), "{wanted} in {leaves:?}");
    }
}

#[tokio::test]
async fn strangers_certificates_get_no_connection() {
    let place = place().await;
    let foreign = authority("somebody else");
    for (what, machine) in [
        ("no certificate", None),
        ("another authority", Some(machine(&foreign, ExtendedKeyUsagePurpose::ClientAuth, 90, 3))),
        ("another use", Some(machine(&place.issuer, ExtendedKeyUsagePurpose::ServerAuth, 90, 4))),
        ("ended", Some(machine(&place.issuer, ExtendedKeyUsagePurpose::ClientAuth, -1, 5))),
    ] {
        if let Some(machine) = &machine {
            // Noted by mistake: the listener does not let it in all the same.
            assert_eq!(place.note(machine, "2027-02-01T00:00:00Z").await.0, StatusCode::CREATED, "{what}");
        }
        let client = place.client(machine.as_ref());
        let outcome = client.post(place.url("/api/v1/machine/token")).send().await;
        assert!(outcome.is_err(), "{what} was answered {:?}", outcome.map(|response| response.status()));
    }
    // What a proxy would say in a header is nobody's word.
    let good = machine(&place.issuer, ExtendedKeyUsagePurpose::ClientAuth, 90, 6);
    place.note(&good, "2027-02-01T00:00:00Z").await;
    for name in
        ["x-client-cert", "x-ssl-client-fingerprint", "x-forwarded-client-cert", "ssl-client-cert", "client-cert"]
    {
        let request =
            Request::post("/api/v1/machine/token").header(name, &good.fingerprint).body(Body::empty()).unwrap();
        let (status, problem) = answer(place.town.send(request).await).await;
        assert_eq!(
            (status, problem["code"].as_str()),
            (StatusCode::UNAUTHORIZED, Some("certificate_needed")),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_machine_has_no_password_and_a_person_no_certificate() {
    let place = place().await;
    for password in ["", "-", "mivb-gateway", crate::town::PASSWORD] {
        assert_eq!(place.town.log_in("mivb-gateway", password).await.status(), StatusCode::UNAUTHORIZED, "{password}");
    }
    let path = format!("/api/v1/users/{}", place.account);
    for change in [json!({ "reset_password": true }), json!({ "provider_subject": "x" })] {
        let (status, problem) = place.town.patch(&place.administrator, &path, "*", change).await;
        assert_eq!(
            (status, problem["errors"][0]["problem"].as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, Some("a_machine"))
        );
    }
    let operator = place.town.cases.stores().account_by_user_name("operator").await.unwrap().unwrap().id;
    let path = format!("/api/v1/users/{operator}/certificates");
    let body = json!({ "fingerprint": "ab".repeat(32), "name": "x", "ends_at": "2027-01-01T00:00:00Z" });
    let (status, problem) = place.town.post(&place.administrator, &path, body).await;
    assert_eq!(
        (status, problem["errors"][0]["problem"].as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, Some("not_a_machine"))
    );
    // A slow handshake keeps nobody waiting.
    let _silent: Vec<_> =
        futures_util::future::join_all((0..8).map(|_| tokio::net::TcpStream::connect(place.at))).await;
    let one = machine(&place.issuer, ExtendedKeyUsagePurpose::ClientAuth, 90, 1);
    place.note(&one, "2027-02-01T00:00:00Z").await;
    assert_eq!(place.token(&place.client(Some(&one))).await.0, 200);
}

/// The contract of docs/READS.md from outside: a real handshake, a real token, a signature by the key of the certificate itself.
#[tokio::test]
async fn a_camera_pushes_what_it_read() {
    let place = place().await;
    let camera = crate::reads::read_town(&place.town).await;
    let zone = place.town.org("5340").await.to_string();
    let wish = json!({ "user_name": "camera-l1", "name": "Camera L1", "org_id": zone, "profile": "P24" });
    let (_, made) = place.town.post(&place.administrator, "/api/v1/users", wish).await;
    let place = Place { account: made["id"].as_str().unwrap().to_owned(), ..place };
    let one = machine(&place.issuer, ExtendedKeyUsagePurpose::ClientAuth, 90, 31);
    assert_eq!(place.note(&one, "2027-02-01T00:00:00Z").await.0, StatusCode::CREATED);
    let client = place.client(Some(&one));
    let (_, view) = place.token(&client).await;
    let token = view["token"].as_str().unwrap().to_owned();
    assert!(view["rights"].as_array().unwrap().contains(&json!("reads.push")));
    let push = async |path: &str, body: String, signature: Option<String>| {
        let request =
            client.post(place.url(path)).bearer_auth(&token).header("content-type", "application/json").body(body);
        let request = match signature {
            Some(signature) => request.header("belfry-signature", signature),
            None => request,
        };
        let response = request.send().await.unwrap();
        (response.status().as_u16(), serde_json::from_str::<Value>(&response.text().await.unwrap()).unwrap())
    };
    let batch = json!({ "v": 1, "reads": [
        { "id": "p-1", "camera": "L1", "at": "2026-11-22T12:00:04Z", "plate": "1-BBB-222", "confidence": 0.97 },
        { "id": "p-2", "camera": "L1", "at": "2026-11-22T12:00:04Z", "plate": "??", "confidence": 0.97 },
        { "id": "p-3", "camera": "C9", "at": "2026-11-22T12:00:04Z", "plate": "1CCC333", "confidence": 0.97 },
    ] })
    .to_string();
    let (status, problem) = push("/api/v1/machine/reads", batch.clone(), None).await;
    assert_eq!((status, problem["errors"][0]["problem"].as_str()), (422, Some("signature_malformed")));
    let (status, answer) = push("/api/v1/machine/reads", batch.clone(), Some(one.sign(&batch))).await;
    let wanted = json!([{ "id": "p-1", "outcome": "kept", "code": null },
        { "id": "p-2", "outcome": "refused", "code": "plate_malformed" },
        { "id": "p-3", "outcome": "refused", "code": "camera_not_admitted" }]);
    assert_eq!((status, &answer["reads"]), (200, &wanted), "{answer}");
    let (_, answer) = push("/api/v1/machine/reads", batch.clone(), Some(one.sign(&batch))).await;
    assert_eq!(answer["reads"][0]["outcome"], "duplicate");
    let event = json!({ "UtcTime": "2026-11-22T12:00:05.5Z", "Data": { "LicensePlateInfo": { "LicensePlateInfo":
        { "PlateNumber": { "@Likelihood": 0.9, "#text": "1BBB222" } } } } });
    for (path, wanted) in [("onvif/L1", 200), (&format!("onvif/{camera}"), 200), ("onvif/C9", 404)] {
        let (status, answer) = push(&format!("/api/v1/machine/reads/{path}"), event.to_string(), None).await;
        assert_eq!(status, wanted, "{path}: {answer}");
        if wanted == 200 {
            assert_eq!(answer["reads"][0]["outcome"], "duplicate", "the same passage by ONVIF: {answer}");
        }
    }
    assert_eq!(push("/api/v1/machine/reads", "x".repeat(3 * 1024 * 1024), Some(one.sign(&batch))).await.0, 413);
    // The police of that zone see it like one of our own reader.
    let operator = place.town.person("operator").await;
    let (_, page) = place.town.get(&operator, &format!("/api/v1/reads?camera={camera}")).await;
    let plates: Vec<&str> =
        page["items"].as_array().unwrap().iter().map(|read| read["plate"].as_str().unwrap()).collect();
    assert_eq!(plates, ["1BBB222", "1AAA111"]);
    let leaves = place.town.leaves();
    assert!(leaves.iter().any(|leaf| leaf == "batch reads_pushed"), "{leaves:?}");
    assert!(!format!("{:?}", place.town.log.entries()).contains("BBB222"), "no plate in the log");
    // The log is away: nothing is called delivered.
    place.town.log.set_mode(vms_app::fakes::LogMode::Down);
    assert_eq!(push("/api/v1/machine/reads", batch.clone(), Some(one.sign(&batch))).await.0, 503);
}

/// The contract of docs/STATISTICS.md from outside: a program of the mobility administration with its certificate, at each of the five addresses.
#[tokio::test]
async fn a_program_fetches_counts_and_travel_times() {
    let place = place().await;
    crate::statistics::driven_in(&place.town, 7).await;
    // Its log-in is older than the drive that was just simulated.
    let place = Place { administrator: place.town.person("administrator").await, ..place };
    let zone = place.town.org("5340").await.to_string();
    let wish = json!({ "user_name": "counts-job", "name": "Counts", "org_id": zone, "profile": "P24" });
    let (status, made) = place.town.post(&place.administrator, "/api/v1/users", wish).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let place = Place { account: made["id"].as_str().unwrap().to_owned(), ..place };
    let one = machine(&place.issuer, ExtendedKeyUsagePurpose::ClientAuth, 90, 41);
    assert_eq!(place.note(&one, "2027-02-01T00:00:00Z").await.0, StatusCode::CREATED);
    let client = place.client(Some(&one));
    let (_, view) = place.token(&client).await;
    let token = view["token"].as_str().unwrap().to_owned();
    assert!(view["rights"].as_array().unwrap().contains(&json!("statistics.deliver")), "{view}");
    let ask = async |path: &str, etag: Option<String>| {
        let request = client.get(place.url(&format!("/api/v1/statistics/{path}"))).bearer_auth(&token);
        let request = if let Some(etag) = etag { request.header("if-none-match", etag) } else { request };
        let response = request.send().await.unwrap();
        let etag = response.headers().get("etag").map(|etag| etag.to_str().unwrap().to_owned());
        (response.status().as_u16(), etag, response.text().await.unwrap())
    };
    let span = "from=2026-11-22T12:00:00Z&to=2026-11-22T13:00:00Z";
    for (path, part) in [
        ("places", "\"code\":\"R1\",\"from\":\"S1\""),
        ("counts?request=devices", "\"traverse_name\":\"S1\""),
        ("counts?request=live&interval=5", "\"count\":7"),
        ("datex/sites", "MeasurementSiteTablePublication"),
        ("datex/measured?interval=5", "<com:vehicleFlowRate>84</com:vehicleFlowRate>"),
        (&format!("sites/S1/counts?{span}"), "\"count\":7"),
        (&format!("routes/R1/travel-times?{span}"), "\"mean_s\":60"),
    ] {
        let (status, etag, text) = ask(path, None).await;
        assert_eq!((status, text.contains(part)), (200, true), "{path}: {text}");
        assert!(!text.contains("XYZ"), "{path}: a plate");
        if path.starts_with("datex/") {
            assert_eq!(ask(path, etag).await.0, 304, "{path}");
        }
    }
    // Four vehicles are nobody's business, whoever asks: the cells before hold none, and those of 15 minutes hold small ones.
    let (_, _, live) = ask("counts?request=live&interval=15", None).await;
    assert!(live.contains("\"suppressed\":true") && !live.contains("\"count\":7"), "{live}");
    assert!(place.town.leaves().iter().any(|leaf| leaf == "use statistics.deliver"), "{:?}", place.town.leaves());
}
