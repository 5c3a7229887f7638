//! The detached signature over a manifest: Ed25519 over the bytes of `manifest.json`, 64 bytes in `manifest.sig`. Any tool checks it:
//! `openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in manifest.json -sigfile manifest.sig`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

/// What stands before the 32 bytes of an Ed25519 key in DER (RFC 8410).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// A signature with the key that it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Over the manifest's bytes.
    pub signature: [u8; 64],
    /// Public key.
    pub key: [u8; 32],
}

/// The secret key of the batches.
#[derive(Clone)]
pub struct SealKey(SigningKey);

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SealKey").field(&hex::encode(self.public())).finish()
    }
}

impl SealKey {
    /// From 32 secret bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The public key.
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// Signs; the same bytes give the same signature.
    pub fn seal(&self, manifest: &[u8]) -> Seal {
        Seal { signature: self.0.sign(manifest).to_bytes(), key: self.public() }
    }
}

impl Seal {
    /// Whether it is a signature of its key over these bytes.
    pub fn holds(&self, manifest: &[u8]) -> bool {
        VerifyingKey::from_bytes(&self.key)
            .is_ok_and(|key| key.verify_strict(manifest, &Signature::from_bytes(&self.signature)).is_ok())
    }
}

/// A public key as `key.pem`.
pub fn key_pem(key: &[u8; 32]) -> String {
    let der: Vec<u8> = SPKI.iter().chain(key).copied().collect();
    format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(der))
}

/// A public key from its file, or from 64 hexadecimal digits.
pub fn key_from_pem(text: &str) -> Option<[u8; 32]> {
    let text = text.trim();
    if let Ok(bytes) = hex::decode(text) {
        return bytes.try_into().ok();
    }
    let body: String = text.strip_prefix(BEGIN)?.strip_suffix(END)?.split_whitespace().collect();
    let der = STANDARD.decode(body).ok()?;
    der.strip_prefix(&SPKI)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_bytes_and_key_only() {
        let (key, other) = (SealKey::from_seed(&[1; 32]), SealKey::from_seed(&[2; 32]));
        let seal = key.seal(b"manifest");
        assert_eq!(seal, key.seal(b"manifest"), "deterministic");
        assert!(seal.holds(b"manifest") && !seal.holds(b"manifesto"));
        assert!(!Seal { key: other.public(), ..seal }.holds(b"manifest"));
        for at in 0..64 {
            let mut flipped = seal;
            flipped.signature[at] ^= 1;
            assert!(!flipped.holds(b"manifest"), "byte {at}");
        }
        assert_eq!(key_from_pem(&key_pem(&seal.key)), Some(seal.key));
        assert_eq!(key_from_pem(&hex::encode(seal.key)), Some(seal.key));
        for text in ["", "abc", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"] {
            assert_eq!(key_from_pem(text), None, "{text}");
        }
        assert!(!format!("{key:?}").contains(&hex::encode([1; 32])));
    }
}
