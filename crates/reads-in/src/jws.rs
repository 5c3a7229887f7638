//! The signature over a batch: JSON Web Signature (RFC 7515), over HTTP detached with the body as it is (`b64: false`, RFC 7797), over MQTT
//! whole and compact. Ed25519 (`EdDSA`) or P-256 (`ES256`); the certificate of the key stands in `x5c`.
//!
//! Why this form: batches of fines leave under the same standard (`console.md` 4.5), it signs the reads and not one way of carrying them, so
//! that a broker in between changes nothing, and every language has it. The key is known by the fingerprint of its certificate, which an
//! administrator noted for the machine's account: one register, one end, one way to take it back. What a proxy adds to a request (RFC 9421
//! would sign that too) means nothing here: TLS ends at our own listener.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Longest protected header, characters: a certificate of 4 KiB in two layers of base64.
const HEADER_MAX: usize = 8_192;
/// 64 bytes.
const SIGNATURE_CHARS: usize = 86;
/// `id-Ed25519` (RFC 8410).
const OID_ED25519: &str = "1.3.101.112";
/// `id-ecPublicKey` (RFC 5480).
const OID_EC: &str = "1.2.840.10045.2.1";

/// Why a signature is none. The word stands in answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwsFault {
    /// Not the parts that it should have.
    #[error("not a JSON Web Signature in this form")]
    Form,
    /// The protected header does not read, or asks for something else.
    #[error("the protected header does not read, or `b64` and `crit` are not those of this form")]
    Header,
    /// Another algorithm than the certificate's key has.
    #[error("`alg` is not `EdDSA` or `ES256`, or the key is of another kind")]
    Algorithm,
    /// No certificate, or none that reads.
    #[error("`x5c` holds no certificate that reads")]
    Certificate,
    /// The signature does not hold.
    #[error("the signature does not hold")]
    Signature,
}

impl JwsFault {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Form => "signature_malformed",
            Self::Header => "signature_header",
            Self::Algorithm => "signature_algorithm",
            Self::Certificate => "signature_certificate",
            Self::Signature => "signature_wrong",
        }
    }
}

/// A signature that holds, and whose key it was. Whether that key counts is for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// SHA-256 of the certificate in DER form, hexadecimal.
    pub fingerprint: String,
    /// What was signed, where the signature carries it; empty otherwise.
    pub payload: Bytes,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    b64: Option<bool>,
    #[serde(default)]
    crit: Vec<String>,
    x5c: Vec<String>,
}

fn parts(text: &str) -> Result<(&str, &str, &str), JwsFault> {
    let (header, rest) = text.trim().split_once('.').ok_or(JwsFault::Form)?;
    let (payload, signature) = rest.split_once('.').ok_or(JwsFault::Form)?;
    let fits = header.len() <= HEADER_MAX && signature.len() == SIGNATURE_CHARS;
    if fits { Ok((header, payload, signature)) } else { Err(JwsFault::Form) }
}

fn header(text: &str) -> Result<Header, JwsFault> {
    let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| JwsFault::Header)?;
    serde_json::from_slice(&json).map_err(|_| JwsFault::Header)
}

fn holds(header: &Header, input: &[u8], signature: &str) -> Result<String, JwsFault> {
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| JwsFault::Form)?;
    let der = header.x5c.first().ok_or(JwsFault::Certificate)?;
    let der = STANDARD.decode(der).map_err(|_| JwsFault::Certificate)?;
    let (rest, certificate) = X509Certificate::from_der(&der).map_err(|_| JwsFault::Certificate)?;
    if !rest.is_empty() {
        return Err(JwsFault::Certificate);
    }
    let key = certificate.public_key();
    // The key says which algorithm it is for; the header may only agree.
    let algorithm: &'static dyn VerificationAlgorithm =
        match (header.alg.as_str(), key.algorithm.algorithm.to_id_string().as_str()) {
            ("EdDSA", OID_ED25519) => &ED25519,
            ("ES256", OID_EC) => &ECDSA_P256_SHA256_FIXED,
            _ => return Err(JwsFault::Algorithm),
        };
    let key = UnparsedPublicKey::new(algorithm, key.subject_public_key.data.as_ref());
    key.verify(input, &signature).map_err(|_| JwsFault::Signature)?;
    Ok(hex::encode(Sha256::digest(&der)))
}

fn input(header: &str, payload: &[u8]) -> Vec<u8> {
    [header.as_bytes(), b".", payload].concat()
}

/// A detached signature `header..signature` over a body as it stands.
///
/// # Errors
/// [`JwsFault`].
pub fn detached(text: &str, body: &[u8]) -> Result<Signed, JwsFault> {
    let (protected, payload, signature) = parts(text)?;
    if !payload.is_empty() {
        return Err(JwsFault::Form);
    }
    let read = header(protected)?;
    if read.b64 != Some(false) || read.crit != ["b64"] {
        return Err(JwsFault::Header);
    }
    let fingerprint = holds(&read, &input(protected, body), signature)?;
    Ok(Signed { fingerprint, payload: Bytes::new() })
}

/// A compact signature `header.payload.signature`.
///
/// # Errors
/// [`JwsFault`].
pub fn whole(text: &str) -> Result<Signed, JwsFault> {
    let (protected, payload, signature) = parts(text)?;
    let read = header(protected)?;
    if read.b64.is_some() || !read.crit.is_empty() {
        return Err(JwsFault::Header);
    }
    let fingerprint = holds(&read, &input(protected, payload.as_bytes()), signature)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| JwsFault::Form)?;
    Ok(Signed { fingerprint, payload: payload.into() })
}
