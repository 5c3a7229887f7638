//! Certificates of cameras that no authority vouches for: each is trusted at one address, by its digest.
//!
//! Cameras sign their own certificates. What is asked for here is stricter than an authority's word: this very certificate
//! at this very address, whatever its names and dates say.

use std::net::SocketAddr;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// One certificate at one address: `ADDRESS:PORT=SHA256`, the digest of the certificate (DER) in hexadecimal, with or
/// without colons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pin {
    address: SocketAddr,
    sha256: [u8; 32],
}

/// The text is not `ADDRESS:PORT=SHA256`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a certificate is written ADDRESS:PORT=SHA256, with 64 hexadecimal digits")]
pub(crate) struct PinError;

impl FromStr for Pin {
    type Err = PinError;

    fn from_str(text: &str) -> Result<Self, PinError> {
        let (address, digest) = text.split_once('=').ok_or(PinError)?;
        let digest = hex::decode(digest.replace(':', "")).map_err(|_| PinError)?;
        Ok(Self { address: address.parse().map_err(|_| PinError)?, sha256: digest.try_into().map_err(|_| PinError)? })
    }
}

/// Whether `certificate` (DER) is one that is trusted at `address`.
pub(crate) fn is_pinned(pins: &[Pin], address: SocketAddr, certificate: &[u8]) -> bool {
    let digest: [u8; 32] = Sha256::digest(certificate).into();
    pins.iter().any(|pin| pin.address == address && pin.sha256 == digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_trusted_at_its_own_address_only() {
        // SHA-256 of "abc" (FIPS 180-2, appendix B.1).
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let pins: Vec<Pin> = vec![format!("10.0.0.7:322={digest}").parse().unwrap()];
        for (address, certificate, wanted) in [
            ("10.0.0.7:322", &b"abc"[..], true),
            ("10.0.0.7:323", b"abc", false),
            ("10.0.0.8:322", b"abc", false),
            ("10.0.0.7:322", b"abd", false),
            ("10.0.0.7:322", b"", false),
        ] {
            assert_eq!(is_pinned(&pins, address.parse().unwrap(), certificate), wanted, "{address}");
        }
        let colons: String =
            digest.as_bytes().chunks(2).map(|c| std::str::from_utf8(c).unwrap()).collect::<Vec<_>>().join(":");
        assert_eq!(format!("10.0.0.7:322={}", colons.to_uppercase()).parse::<Pin>().unwrap(), pins[0]);
        for text in ["", "10.0.0.7:322", "10.0.0.7=ab", "camera:322=ab", &format!("10.0.0.7:322={digest}00")] {
            assert_eq!(text.parse::<Pin>(), Err(PinError), "{text}");
        }
    }
}
