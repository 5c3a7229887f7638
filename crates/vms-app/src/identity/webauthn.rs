//! Security keys and passkeys as second factor (W3C Web Authentication level 2, sections 7.1 and 7.2).
//!
//! Attestation is not asked for ("none"): which make of key somebody holds is not checked. The credential's public key is
//! read from the authenticator data, in the one canonical form that CTAP 2 allows (its section 6), so no CBOR parser is
//! needed. Signatures are `ring`'s.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use ring::signature::{self, UnparsedPublicKey};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use url::{Host, Url};

use crate::identity::model::KeyAnswer;

/// Longest pieces that are looked at, bytes.
const PIECE_MAX: usize = 8 * 1024;
const CREDENTIAL_MAX: usize = 1_023;
const PRESENT: u8 = 0x01;
const ATTESTED: u8 = 0x40;
/// "Backup eligible" (Web Authentication level 3, 6.1.3): the credential may be copied to other devices.
const COPIED: u8 = 0x08;

/// Whose keys: the console's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The domain that keys are bound to.
    pub rp_id: String,
    /// The one origin whose pages may ask.
    pub origin: String,
}

impl Site {
    /// From the console's address; `None` for an address to which no key can be bound (no name, or neither TLS nor
    /// `localhost`).
    pub fn of(address: &str) -> Option<Self> {
        let url = Url::parse(address).ok()?;
        let Some(Host::Domain(name)) = url.host() else { return None };
        if url.scheme() != "https" && name != "localhost" {
            return None;
        }
        Some(Self { rp_id: name.to_owned(), origin: url.origin().ascii_serialization() })
    }
}

/// Why an answer does not count. Words for the log, never for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// Client data that are not JSON of the expected shape.
    #[error("client_data")]
    ClientData,
    /// For another ceremony.
    #[error("ceremony")]
    Ceremony,
    /// For another challenge.
    #[error("challenge")]
    Challenge,
    /// From another page.
    #[error("origin")]
    Origin,
    /// Authenticator data that are cut or of another domain.
    #[error("authenticator_data")]
    AuthenticatorData,
    /// Nobody touched the key.
    #[error("nobody_present")]
    NobodyPresent,
    /// A public key of a kind that is not offered.
    #[error("key_kind")]
    KeyKind,
    /// The signature is not the key's.
    #[error("signature")]
    Signature,
}

#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: bool,
}

/// A new credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// Its id, base64url.
    pub credential: String,
    /// Its public key, COSE.
    pub public_key: Vec<u8>,
    /// Its signature counter.
    pub counter: u32,
}

fn check_client(site: &Site, challenge: &[u8], kind: &str, raw: &[u8]) -> Result<(), KeyFault> {
    if raw.len() > PIECE_MAX {
        return Err(KeyFault::ClientData);
    }
    let data: ClientData = serde_json::from_slice(raw).map_err(|_| KeyFault::ClientData)?;
    if data.kind != kind {
        return Err(KeyFault::Ceremony);
    }
    let same: bool = B64.encode(challenge).as_bytes().ct_eq(data.challenge.as_bytes()).into();
    if !same {
        return Err(KeyFault::Challenge);
    }
    if data.origin != site.origin || data.cross_origin {
        return Err(KeyFault::Origin);
    }
    Ok(())
}

struct AuthData<'a> {
    flags: u8,
    counter: u32,
    rest: &'a [u8],
}

fn read_auth<'a>(site: &Site, raw: &'a [u8]) -> Result<AuthData<'a>, KeyFault> {
    const BAD: KeyFault = KeyFault::AuthenticatorData;
    if raw.len() > PIECE_MAX {
        return Err(BAD);
    }
    let (domain, raw) = raw.split_first_chunk::<32>().ok_or(BAD)?;
    let (flags, raw) = raw.split_first().ok_or(BAD)?;
    let (counter, rest) = raw.split_first_chunk::<4>().ok_or(BAD)?;
    if domain.as_slice() != Sha256::digest(site.rp_id.as_bytes()).as_slice() {
        return Err(BAD);
    }
    if flags & PRESENT == 0 {
        return Err(KeyFault::NobodyPresent);
    }
    Ok(AuthData { flags: *flags, counter: u32::from_be_bytes(*counter), rest })
}

/// A public key in COSE form, in the canonical order of CTAP 2.
enum PublicKey<'a> {
    /// ECDSA on P-256 with SHA-256: x and y.
    Es256(&'a [u8], &'a [u8]),
    /// Ed25519.
    EdDsa(&'a [u8]),
    /// RSA 2048 with SHA-256 and exponent 65537 (Windows Hello).
    Rs256(&'a [u8]),
}

const ES256_HEAD: &[u8] = &[0xA5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
const ES256_MIDDLE: &[u8] = &[0x22, 0x58, 0x20];
const EDDSA_HEAD: &[u8] = &[0xA4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20];
const RS256_HEAD: &[u8] = &[0xA4, 0x01, 0x03, 0x03, 0x39, 0x01, 0x00, 0x20, 0x59, 0x01, 0x00];
const RS256_TAIL: &[u8] = &[0x21, 0x43, 0x01, 0x00, 0x01];

/// The key at the start of `raw`, and its length.
fn read_key(raw: &[u8]) -> Result<(PublicKey<'_>, usize), KeyFault> {
    let piece = |rest: &'_ [u8], len: usize| rest.len() >= len;
    if let Some(rest) = raw.strip_prefix(ES256_HEAD)
        && let Some((x, rest)) = rest.split_at_checked(32)
        && let Some(rest) = rest.strip_prefix(ES256_MIDDLE)
        && let Some((y, _)) = rest.split_at_checked(32)
    {
        return Ok((PublicKey::Es256(x, y), ES256_HEAD.len() + 32 + ES256_MIDDLE.len() + 32));
    }
    if let Some(rest) = raw.strip_prefix(EDDSA_HEAD)
        && piece(rest, 32)
        && let Some((key, _)) = rest.split_at_checked(32)
    {
        return Ok((PublicKey::EdDsa(key), EDDSA_HEAD.len() + 32));
    }
    if let Some(rest) = raw.strip_prefix(RS256_HEAD)
        && let Some((modulus, rest)) = rest.split_at_checked(256)
        && rest.starts_with(RS256_TAIL)
    {
        return Ok((PublicKey::Rs256(modulus), RS256_HEAD.len() + 256 + RS256_TAIL.len()));
    }
    Err(KeyFault::KeyKind)
}

fn check_signature(key: &PublicKey<'_>, message: &[u8], signature: &[u8]) -> Result<(), KeyFault> {
    let outcome = match key {
        PublicKey::Es256(x, y) => {
            let point: Vec<u8> = [&[4_u8], *x, *y].concat();
            UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, point).verify(message, signature)
        }
        PublicKey::EdDsa(key) => UnparsedPublicKey::new(&signature::ED25519, key).verify(message, signature),
        PublicKey::Rs256(modulus) => {
            let key = signature::RsaPublicKeyComponents { n: *modulus, e: [1_u8, 0, 1].as_slice() };
            key.verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature)
        }
    };
    outcome.map_err(|_| KeyFault::Signature)
}

/// Whether authenticator data say that the key stays in one device. The flag is the authenticator's own word, under its signature; without
/// attestation nobody else vouches for it. Only for data that were checked before.
pub fn is_bound(authenticator_data: &[u8]) -> bool {
    authenticator_data.get(32).is_some_and(|flags| flags & COPIED == 0)
}

/// Checks what a new key answered to `challenge`.
///
/// # Errors
/// [`KeyFault`].
pub fn registered(site: &Site, challenge: &[u8], answer: &KeyAnswer) -> Result<NewKey, KeyFault> {
    const BAD: KeyFault = KeyFault::AuthenticatorData;
    check_client(site, challenge, "webauthn.create", &answer.client_data)?;
    let auth = read_auth(site, &answer.authenticator_data)?;
    if auth.flags & ATTESTED == 0 {
        return Err(BAD);
    }
    let rest = auth.rest.get(16..).ok_or(BAD)?;
    let (len, rest) = rest.split_first_chunk::<2>().ok_or(BAD)?;
    let len = usize::from(u16::from_be_bytes(*len));
    if len == 0 || len > CREDENTIAL_MAX {
        return Err(BAD);
    }
    let (credential, rest) = rest.split_at_checked(len).ok_or(BAD)?;
    let (_, key_len) = read_key(rest)?;
    let public_key = rest.get(..key_len).ok_or(BAD)?.to_vec();
    Ok(NewKey { credential: B64.encode(credential), public_key, counter: auth.counter })
}

/// Checks what an enrolled key answered to `challenge`; its signature counter.
///
/// # Errors
/// [`KeyFault`].
pub fn asserted(site: &Site, challenge: &[u8], public_key: &[u8], answer: &KeyAnswer) -> Result<u32, KeyFault> {
    check_client(site, challenge, "webauthn.get", &answer.client_data)?;
    let auth = read_auth(site, &answer.authenticator_data)?;
    let (key, _) = read_key(public_key)?;
    let mut message = answer.authenticator_data.clone();
    message.extend_from_slice(&Sha256::digest(&answer.client_data));
    check_signature(&key, &message, &answer.signature)?;
    Ok(auth.counter)
}

/// For fuzzing: the same bytes as every piece.
pub fn fuzz_key_answer(data: &[u8]) {
    let site = Site { rp_id: "localhost".to_owned(), origin: "http://localhost".to_owned() };
    let answer = KeyAnswer {
        credential: String::new(),
        client_data: data.to_vec(),
        authenticator_data: data.to_vec(),
        signature: data.to_vec(),
    };
    drop((registered(&site, data, &answer), asserted(&site, data, data, &answer), read_key(data).is_ok()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

    fn site() -> Site {
        Site::of("https://belfry.brussels/").unwrap()
    }

    /// A security key in software.
    struct SoftKey(EcdsaKeyPair);

    impl SoftKey {
        fn new() -> Self {
            let random = SystemRandom::new();
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
            Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap())
        }

        fn client(kind: &str, challenge: &[u8], origin: &str) -> Vec<u8> {
            serde_json::json!({ "type": kind, "challenge": B64.encode(challenge), "origin": origin }).to_string().into()
        }

        fn data(flags: u8, counter: u32) -> Vec<u8> {
            let mut data = Sha256::digest(b"belfry.brussels").to_vec();
            data.push(flags);
            data.extend(counter.to_be_bytes());
            data
        }

        fn register(&self, challenge: &[u8]) -> KeyAnswer {
            let mut data = Self::data(PRESENT | ATTESTED, 0);
            data.extend([0; 16]);
            data.extend([0, 4]);
            data.extend(b"cred");
            let point = self.0.public_key().as_ref();
            data.extend([ES256_HEAD, &point[1..33], ES256_MIDDLE, &point[33..]].concat());
            KeyAnswer {
                credential: B64.encode(b"cred"),
                client_data: Self::client("webauthn.create", challenge, "https://belfry.brussels"),
                authenticator_data: data,
                signature: Vec::new(),
            }
        }

        fn assert(&self, challenge: &[u8], origin: &str, counter: u32, flags: u8) -> KeyAnswer {
            let client_data = Self::client("webauthn.get", challenge, origin);
            let authenticator_data = Self::data(flags, counter);
            let message = [authenticator_data.as_slice(), &Sha256::digest(&client_data)].concat();
            let signature = self.0.sign(&SystemRandom::new(), &message).unwrap().as_ref().to_vec();
            KeyAnswer { credential: B64.encode(b"cred"), client_data, authenticator_data, signature }
        }
    }

    #[test]
    fn a_key_registers_and_answers() {
        let key = SoftKey::new();
        let new = registered(&site(), b"one", &key.register(b"one")).unwrap();
        assert_eq!((new.credential.as_str(), new.counter), ("Y3JlZA", 0));
        let origin = "https://belfry.brussels";
        let good = key.assert(b"two", origin, 7, PRESENT);
        assert_eq!(asserted(&site(), b"two", &new.public_key, &good), Ok(7));
        let other = SoftKey::new();
        let mut changed = good.clone();
        changed.authenticator_data[36] ^= 1;
        let cut = KeyAnswer { authenticator_data: good.authenticator_data[..36].to_vec(), ..good.clone() };
        for (answer, challenge, wanted) in [
            (good.clone(), b"six", KeyFault::Challenge),
            (key.assert(b"two", "https://belfry.brussels.evil.example", 7, PRESENT), b"two", KeyFault::Origin),
            (key.assert(b"two", origin, 7, 0), b"two", KeyFault::NobodyPresent),
            (other.assert(b"two", origin, 7, PRESENT), b"two", KeyFault::Signature),
            (changed, b"two", KeyFault::Signature),
            (cut, b"two", KeyFault::AuthenticatorData),
            (key.register(b"two"), b"two", KeyFault::Ceremony),
        ] {
            assert_eq!(asserted(&site(), challenge, &new.public_key, &answer), Err(wanted));
        }
        assert_eq!(registered(&site(), b"two", &good), Err(KeyFault::Ceremony));
    }

    #[test]
    fn keys_bind_to_names_only() {
        for (address, wanted) in [
            ("https://belfry.brussels", Some(("belfry.brussels", "https://belfry.brussels"))),
            ("https://belfry.brussels:8443/x", Some(("belfry.brussels", "https://belfry.brussels:8443"))),
            ("http://localhost:8080", Some(("localhost", "http://localhost:8080"))),
            ("http://belfry.brussels", None),
            ("https://127.0.0.1", None),
            ("", None),
        ] {
            let site = Site::of(address);
            assert_eq!(site.as_ref().map(|site| (site.rp_id.as_str(), site.origin.as_str())), wanted, "{address}");
        }
    }

    #[test]
    fn cut_and_random_answers_are_refused() {
        let whole = SoftKey::new().register(b"one");
        for len in 0..whole.authenticator_data.len() {
            let cut = KeyAnswer { authenticator_data: whole.authenticator_data[..len].to_vec(), ..whole.clone() };
            registered(&site(), b"one", &cut).unwrap_err();
            fuzz_key_answer(&whole.authenticator_data[..len]);
        }
        let mut seed = 1_u64;
        for round in 0..2_000 {
            let bytes: Vec<u8> = (0..round % 200)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    seed.to_be_bytes()[0]
                })
                .collect();
            fuzz_key_answer(&bytes);
        }
    }
}
