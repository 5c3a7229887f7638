//! The key of the installation that seals exports: ECDSA on P-256 with SHA-256 and a self-signed X.509 certificate, so that `openssl`
//! can check it. Signatures are deterministic (RFC 6979): a resumed export has the bytes of an uninterrupted one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::hazmat::{PrehashSigner as _, PrehashVerifier as _};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use vms_core::WallTime;
use zeroize::{Zeroize as _, Zeroizing};

/// Name in the manifest.
pub(crate) const ALGORITHM: &str = "ecdsa-p256-sha256";

/// `AlgorithmIdentifier` of ecdsa-with-SHA256 (RFC 5758 section 3.2), DER: what the `sigC` box says.
pub(crate) const ALGORITHM_DER: [u8; 12] = [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

const CERTIFICATE_LABEL: &str = "CERTIFICATE";
const KEY_LABEL: &str = "BELFRY EXPORT KEY";

/// Years that a certificate is good for. Footage is checked years later; what matters is that the export was made within them.
const YEARS: i32 = 20;

/// Longest certificate that is read, bytes.
pub(crate) const CERTIFICATE_MAX: usize = 16 * 1024;

/// Why a key or certificate is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// 32 bytes that are no key of the curve.
    #[error("not a P-256 key")]
    Key,
    /// No certificate, or not one of a P-256 key.
    #[error("not a certificate of a P-256 key")]
    Certificate,
    /// The certificate belongs to another key.
    #[error("the certificate belongs to another key")]
    Mismatch,
    /// The curve refused to sign.
    #[error("no signature could be made")]
    Signing,
}

/// What the certificate calls the signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerName {
    /// Organisation that runs the installation.
    pub organisation: String,
    /// The installation.
    pub installation: String,
}

/// Key and certificate.
pub struct Signer {
    key: SigningKey,
    certificate: Vec<u8>,
    subject: String,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.subject)
    }
}

impl Signer {
    /// Makes a certificate for the key of `secret`; `serial` are 16 random bytes.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn make(secret: &[u8; 32], serial: [u8; 16], name: &SignerName, from: WallTime) -> Result<Self, SignError> {
        let key = SigningKey::from_slice(secret).map_err(|_| SignError::Key)?;
        let point = key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
        let mut params = rcgen::CertificateParams::default();
        let mut subject = rcgen::DistinguishedName::new();
        subject.push(rcgen::DnType::OrganizationName, name.organisation.as_str());
        subject.push(rcgen::DnType::CommonName, name.installation.as_str());
        params.distinguished_name = subject;
        let [first, rest @ ..] = serial;
        // A serial number is a positive integer (RFC 5280 section 4.1.2.2).
        let serial: Vec<u8> = std::iter::once((first & 0x7f) | 0x40).chain(rest).collect();
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&serial));
        let (year, month, day) = day_of(from).ok_or(SignError::Certificate)?;
        params.not_before = rcgen::date_time_ymd(year, month, day);
        // The first of a month exists in every year.
        params.not_after = rcgen::date_time_ymd(year.saturating_add(YEARS), month, 1);
        params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature, rcgen::KeyUsagePurpose::ContentCommitment];
        let made = params.self_signed(&CertificateKey { key: &key, point }).map_err(|_| SignError::Certificate)?;
        Self::from_parts(key, made.der().to_vec())
    }

    /// From the two files that [`Signer::key_pem`] and [`Signer::certificate_pem`] made.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn from_pem(key: &str, certificate: &str) -> Result<Self, SignError> {
        let mut raw = from_pem(KEY_LABEL, key).ok_or(SignError::Key)?;
        let parsed = SigningKey::from_slice(&raw).map_err(|_| SignError::Key);
        raw.zeroize();
        Self::from_parts(parsed?, from_pem(CERTIFICATE_LABEL, certificate).ok_or(SignError::Certificate)?)
    }

    /// From a key of 32 bytes and its certificate in PEM form.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn from_secret(secret: &[u8; 32], certificate: &str) -> Result<Self, SignError> {
        let key = SigningKey::from_slice(secret).map_err(|_| SignError::Key)?;
        Self::from_parts(key, from_pem(CERTIFICATE_LABEL, certificate).ok_or(SignError::Certificate)?)
    }

    fn from_parts(key: SigningKey, certificate: Vec<u8>) -> Result<Self, SignError> {
        let seen = SeenCertificate::parse(&certificate)?;
        if seen.key != *key.verifying_key() {
            return Err(SignError::Mismatch);
        }
        Ok(Self { key, certificate, subject: seen.subject })
    }

    /// The secret key; only for its file of mode 0600.
    pub fn key_pem(&self) -> Zeroizing<String> {
        let raw = Zeroizing::new(self.key.to_bytes().to_vec());
        Zeroizing::new(to_pem(KEY_LABEL, &raw))
    }

    /// The certificate.
    pub fn certificate_pem(&self) -> String {
        to_pem(CERTIFICATE_LABEL, &self.certificate)
    }

    /// The certificate, DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// SHA-256 of the DER certificate, hexadecimal.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.certificate)
    }

    /// Subject of the certificate.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Signature over a SHA-256 digest, DER.
    pub(crate) fn sign(&self, digest: &[u8; 32]) -> Result<Vec<u8>, SignError> {
        let signature: Signature = self.key.sign_prehash(digest).map_err(|_| SignError::Signing)?;
        Ok(signature.to_der().as_bytes().to_vec())
    }
}

/// The key behind `rcgen`'s port, so that the certificate is deterministic too.
struct CertificateKey<'a> {
    key: &'a SigningKey,
    point: Vec<u8>,
}

impl rcgen::PublicKeyData for CertificateKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for CertificateKey<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let digest: [u8; 32] = Sha256::digest(message).into();
        let signature: Signature = self.key.sign_prehash(&digest).map_err(|_| rcgen::Error::RemoteKeyError)?;
        Ok(signature.to_der().as_bytes().to_vec())
    }
}

/// Year, month and day (UTC) of an instant.
fn day_of(at: WallTime) -> Option<(i32, u8, u8)> {
    let day = jiff::Timestamp::from_microsecond(at.micros).ok()?.to_zoned(jiff::tz::TimeZone::UTC).date();
    Some((i32::from(day.year()), u8::try_from(day.month()).ok()?, u8::try_from(day.day()).ok()?))
}

/// What a verifier takes from a certificate.
#[derive(Clone, Debug)]
pub(crate) struct SeenCertificate {
    pub(crate) key: VerifyingKey,
    pub(crate) subject: String,
    /// Seconds since 1970.
    pub(crate) not_before: i64,
    /// Seconds since 1970.
    pub(crate) not_after: i64,
}

impl SeenCertificate {
    pub(crate) fn parse(der: &[u8]) -> Result<Self, SignError> {
        let (rest, seen) = x509_parser::parse_x509_certificate(der).map_err(|_| SignError::Certificate)?;
        let point = seen.public_key().subject_public_key.data.as_ref();
        let key = VerifyingKey::from_sec1_bytes(point).map_err(|_| SignError::Certificate)?;
        if !rest.is_empty() {
            return Err(SignError::Certificate);
        }
        Ok(Self {
            key,
            subject: seen.subject().to_string(),
            not_before: seen.validity().not_before.timestamp(),
            not_after: seen.validity().not_after.timestamp(),
        })
    }

    /// Whether `signature` (DER) is of this key over `digest`.
    pub(crate) fn holds(&self, digest: &[u8; 32], signature: &[u8]) -> bool {
        Signature::from_der(signature).is_ok_and(|signature| self.key.verify_prehash(digest, &signature).is_ok())
    }
}

/// SHA-256 of a DER certificate, hexadecimal.
pub(crate) fn fingerprint(der: &[u8]) -> String {
    hex::encode(Sha256::digest(der))
}

/// SHA-256 fingerprint of a certificate file, hexadecimal, as `openssl x509 -fingerprint -sha256` tells it (without colons).
pub fn fingerprint_of_pem(text: &str) -> Option<String> {
    certificate_from_pem(text).map(|der| fingerprint(&der))
}

/// The certificate of a PEM text in its one spelling.
pub(crate) fn certificate_from_pem(text: &str) -> Option<Vec<u8>> {
    from_pem(CERTIFICATE_LABEL, text).filter(|der| to_pem(CERTIFICATE_LABEL, der) == text)
}

fn to_pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while let Some((line, after)) = rest.split_at_checked(64) {
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    if !rest.is_empty() {
        out.push_str(rest);
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

fn from_pem(label: &str, text: &str) -> Option<Vec<u8>> {
    if text.len() > CERTIFICATE_MAX {
        return None;
    }
    let body = text.trim().strip_prefix(&format!("-----BEGIN {label}-----"))?;
    let body = body.strip_suffix(&format!("-----END {label}-----"))?;
    let packed: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(packed).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn signer(number: u8) -> Signer {
        let name = SignerName { organisation: "Testregio".to_owned(), installation: format!("Belfry {number}") };
        Signer::make(&[number; 32], [number; 16], &name, WallTime::from_secs(1_790_000_000)).unwrap()
    }

    #[test]
    fn a_signature_holds_with_its_certificate_only() {
        let (ours, other) = (signer(1), signer(2));
        let digest: [u8; 32] = Sha256::digest(b"evidence").into();
        let signature = ours.sign(&digest).unwrap();
        assert_eq!(signature, ours.sign(&digest).unwrap(), "deterministic");
        let seen = |signer: &Signer| SeenCertificate::parse(signer.certificate()).unwrap();
        assert!(seen(&ours).holds(&digest, &signature));
        assert!(!seen(&other).holds(&digest, &signature));
        assert!(!seen(&ours).holds(&[0; 32], &signature));
        for at in 0..signature.len() {
            for bit in 0..8 {
                let mut flipped = signature.clone();
                flipped[at] ^= 1 << bit;
                assert!(!seen(&ours).holds(&digest, &flipped), "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn key_and_certificate_come_back_from_their_files() {
        let ours = signer(1);
        let back = Signer::from_pem(&ours.key_pem(), &ours.certificate_pem()).unwrap();
        assert_eq!((back.fingerprint(), back.subject()), (ours.fingerprint(), ours.subject()));
        assert_eq!(Signer::from_pem(&ours.key_pem(), &signer(2).certificate_pem()).unwrap_err(), SignError::Mismatch);
        assert!(Signer::from_pem("", &ours.certificate_pem()).is_err());
        assert_eq!(certificate_from_pem(&format!("{} ", ours.certificate_pem())), None, "one spelling");
        assert!(!format!("{ours:?}").contains("KEY"));
    }
}
