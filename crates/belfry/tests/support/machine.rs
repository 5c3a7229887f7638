//! For tests of machines: a program with its certificate, at the listener for machines of a rig.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use vms_testkit::rig::{Person, Rig, free_port};

use crate::support::{now_us, rfc3339, text};

pub(crate) type Issuer = CertifiedIssuer<'static, KeyPair>;

pub(crate) fn authority(name: &str) -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A program with its certificate.
pub(crate) struct Machine {
    pub(crate) http: reqwest::Client,
    pub(crate) base: String,
    pub(crate) token: String,
    der: Vec<u8>,
    key: KeyPair,
}

impl Machine {
    pub(crate) fn new(issuer: &Issuer, server: &Issuer, at: SocketAddr) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let made = params.signed_by(&key, issuer).unwrap();
        let identity = format!("{}{}", made.pem(), key.serialize_pem());
        let http = reqwest::Client::builder()
            .tls_certs_only(reqwest::Certificate::from_pem_bundle(server.pem().as_bytes()).unwrap())
            .identity(reqwest::Identity::from_pem(identity.as_bytes()).unwrap())
            .no_proxy()
            .resolve("localhost", at)
            .build()
            .unwrap();
        let base = format!("https://localhost:{}", at.port());
        Self { http, base, token: String::new(), der: made.der().to_vec(), key }
    }

    /// A token of ten minutes.
    pub(crate) async fn renew(&mut self) {
        let response = self.http.post(format!("{}/api/v1/machine/token", self.base)).send().await.unwrap();
        let (status, said) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{status} {said}");
        self.token = text(&serde_json::from_str(&said).unwrap(), "/token");
    }

    /// Pushes a batch of reads under a detached signature by the certificate's own key (docs/READS.md); the answer.
    pub(crate) async fn push_signed(&self, batch: &Value) -> Value {
        let body = batch.to_string();
        let header = json!({ "alg": "ES256", "b64": false, "crit": ["b64"], "x5c": [STANDARD.encode(&self.der)] });
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        let random = SystemRandom::new();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.key.serialize_der(), &random).unwrap();
        let signature = key.sign(&random, format!("{header}.{body}").as_bytes()).unwrap();
        let signature = format!("{header}..{}", URL_SAFE_NO_PAD.encode(signature.as_ref()));
        let request = self.http.post(format!("{}/api/v1/machine/reads", self.base)).bearer_auth(&self.token);
        let request = request.header("Content-Type", "application/json").header("belfry-signature", signature);
        let response = request.body(body).send().await.unwrap();
        let (status, said) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{status} {said}");
        serde_json::from_str(&said).unwrap()
    }
}

/// What an operator writes: the listener for machines with its certificates. Gives its address.
pub(crate) fn listen(rig: &Rig, machines: &Issuer, server: &Issuer) -> SocketAddr {
    let put = |name: &str, text: String| std::fs::write(rig.path().join(name), text).unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, server).unwrap();
    put("machines.pem", machines.pem());
    put("own.pem", own.pem());
    put("own.key", key.serialize_pem());
    let at = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
    let config = std::fs::read_to_string(rig.path().join("belfry.toml")).unwrap();
    let more = format!(
        "[identity.machines]\nbind = '{at}'\ncertificate = 'own.pem'\nkey = 'own.key'\nauthorities = 'machines.pem'\n"
    );
    put("belfry.toml", config + &more);
    at
}

/// An account for a machine of an organisation, with its certificate noted. Gives the organisation's id.
pub(crate) async fn admit(admin: &Person, machine: &mut Machine, user: &str, org: &str) -> String {
    let orgs = admin.ask("GET", "/api/v1/orgs", None).await.unwrap();
    let is_it = |one: &&Value| one["code"] == org;
    let org = text(orgs["items"].as_array().unwrap().iter().find(is_it).unwrap(), "/id");
    let wish = json!({ "user_name": user, "name": user, "org_id": org, "profile": "P24" });
    let made = admin.ask("POST", "/api/v1/users", Some(wish)).await.unwrap();
    let path = format!("/api/v1/users/{}/certificates", text(&made, "/id"));
    let ends_at = rfc3339(now_us() + 30 * 86_400_000_000);
    let fingerprint = hex::encode(Sha256::digest(&machine.der));
    let note = json!({ "fingerprint": fingerprint, "name": user, "ends_at": ends_at });
    admin.ask("POST", &path, Some(note)).await.unwrap();
    machine.renew().await;
    org
}
