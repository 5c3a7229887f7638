//! Signatures made with real keys and certificates: what holds, and everything that does not.

#![expect(clippy::unwrap_used, reason = "tests say what they expect")]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SignatureAlgorithm};
use reads_in::jws::{JwsFault, detached, whole};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

struct Sender {
    key: KeyPair,
    der: Vec<u8>,
    alg: &'static str,
}

impl Sender {
    fn new(algorithm: &'static SignatureAlgorithm, alg: &'static str) -> Self {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let der = CertificateParams::new(vec!["camera".to_owned()]).unwrap().self_signed(&key).unwrap().der().to_vec();
        Self { key, der, alg }
    }

    fn sign(&self, input: &[u8]) -> Vec<u8> {
        let pkcs8 = self.key.serialize_der();
        if self.alg == "EdDSA" {
            return Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8).unwrap().sign(input).as_ref().to_vec();
        }
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &random).unwrap();
        key.sign(&random, input).unwrap().as_ref().to_vec()
    }

    fn header(&self) -> Value {
        json!({ "alg": self.alg, "b64": false, "crit": ["b64"], "x5c": [STANDARD.encode(&self.der)] })
    }

    fn detached(&self, header: &Value, body: &[u8]) -> String {
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        let signature = self.sign(&[header.as_bytes(), b".", body].concat());
        format!("{header}..{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn whole(&self, header: &Value, body: &[u8]) -> String {
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(body));
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(self.sign(input.as_bytes())))
    }
}

fn senders() -> [Sender; 2] {
    [Sender::new(&PKCS_ED25519, "EdDSA"), Sender::new(&PKCS_ECDSA_P256_SHA256, "ES256")]
}

const BODY: &[u8] = br#"{"v":1,"reads":[]}"#;

#[test]
fn a_signature_holds_for_its_bytes_and_names_its_certificate() {
    for sender in senders() {
        let fingerprint = hex::encode(Sha256::digest(&sender.der));
        let text = sender.detached(&sender.header(), BODY);
        assert_eq!(detached(&text, BODY).unwrap().fingerprint, fingerprint, "{}", sender.alg);
        assert_eq!(detached(&text, br#"{"v":1,"reads":[] }"#), Err(JwsFault::Signature), "one blank more");
        let mut plain = sender.header();
        plain.as_object_mut().unwrap().retain(|key, _| key != "b64" && key != "crit");
        let compact = sender.whole(&plain, BODY);
        let signed = whole(&compact).unwrap();
        assert_eq!((signed.fingerprint, &signed.payload[..]), (fingerprint, BODY));
        // Neither form passes for the other.
        assert_eq!(whole(&text), Err(JwsFault::Header));
        assert_eq!(detached(&compact, BODY), Err(JwsFault::Form));
        assert_eq!(detached(&sender.detached(&plain, BODY), BODY), Err(JwsFault::Header));
    }
}

#[test]
fn whatever_is_changed_does_not_hold() {
    let [ed, ec] = senders();
    let with = |sender: &Sender, key: &str, value: Value| {
        let mut header = sender.header();
        header[key] = value;
        sender.detached(&header, BODY)
    };
    let mut longer = ed.der.clone();
    longer.push(0);
    for (what, text, wanted) in [
        ("no algorithm", with(&ed, "alg", json!("none")), JwsFault::Algorithm),
        ("a shared secret", with(&ed, "alg", json!("HS256")), JwsFault::Algorithm),
        ("the other kind", with(&ed, "alg", json!("ES256")), JwsFault::Algorithm),
        ("the other kind", with(&ec, "alg", json!("EdDSA")), JwsFault::Algorithm),
        (
            "somebody else's certificate",
            with(&ed, "x5c", json!([STANDARD.encode(&senders()[0].der)])),
            JwsFault::Signature,
        ),
        ("no certificate", with(&ed, "x5c", json!([])), JwsFault::Certificate),
        ("rubbish", with(&ed, "x5c", json!(["AAAA"])), JwsFault::Certificate),
        ("bytes behind it", with(&ed, "x5c", json!([STANDARD.encode(longer)])), JwsFault::Certificate),
        ("encoded", with(&ed, "b64", json!(true)), JwsFault::Header),
        ("something critical that we do not know", with(&ed, "crit", json!(["b64", "exp"])), JwsFault::Header),
        ("nothing", String::new(), JwsFault::Form),
        ("two parts", "a.b".to_owned(), JwsFault::Form),
        ("short", "a..b".to_owned(), JwsFault::Form),
        ("no header", format!("..{}", "A".repeat(86)), JwsFault::Header),
        ("long", format!("{}..{}", "A".repeat(9_000), "A".repeat(86)), JwsFault::Form),
    ] {
        assert_eq!(detached(&text, BODY), Err(wanted), "{what}");
    }
    let good = ed.detached(&ed.header(), BODY);
    let at = good.rfind('.').unwrap() + 1;
    for place in [at, at + 40, good.len() - 1] {
        let mut broken = good.clone().into_bytes();
        broken[place] = if broken[place] == b'B' { b'C' } else { b'B' };
        assert!(detached(std::str::from_utf8(&broken).unwrap(), BODY).is_err(), "{place}");
    }
}
