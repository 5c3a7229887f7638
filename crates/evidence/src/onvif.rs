//! Boxes of the ONVIF Export File Format, release 26.06 (chapter 5): `suep`, `cstb`, `ipro`/`sinf`/`schm`/`schi` with `auib`, `sigC`,
//! `cert` and `sibo`, in one `meta` box at the end of the file; and `loci` (ETSI TS 126 244) in `udta`.
//!
//! The signature is over all boxes of the file with the bytes of the signature itself set to zero. A DER signature of P-256 has 70 to
//! 72 bytes, and its length stands in the boxes that are signed: the number in `auib` is counted up until it has [`SEAL_BYTES`].

use crate::manifest::{CameraFacts, ExportingUnit, Order, Place};
use crate::times::Utc;

/// Bytes of every signature: the most frequent length.
pub(crate) const SEAL_BYTES: usize = 71;

/// Turns until a signature of that length must have been found.
pub(crate) const TURNS_MAX: u32 = 1_000;

/// The one track.
const TRACK: u16 = 1;

/// Longest `meta` box that is read, bytes.
pub(crate) const META_MAX: u64 = 1024 * 1024;

/// A box around a body. Bodies here are short; one over 4 GiB would be a bug.
pub(crate) fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len().saturating_add(8)).unwrap_or(u32::MAX);
    let mut out = length.to_be_bytes().to_vec();
    out.extend_from_slice(kind);
    out.extend_from_slice(body);
    out
}

/// A box with version and flags 0.
fn full(kind: &[u8; 4], version: u8, body: &[u8]) -> Vec<u8> {
    boxed(kind, &[&[version, 0, 0, 0][..], body].concat())
}

/// Zero-terminated; a zero inside ends it early, so none stays.
fn string(text: &str) -> Vec<u8> {
    text.bytes().filter(|byte| *byte != 0).chain(std::iter::once(0)).collect()
}

/// `suep`, version 1.
fn surveillance_export(seal: &Seal<'_>) -> Vec<u8> {
    let (unit, camera) = (seal.unit, seal.camera);
    let mut body = [string(&unit.name), string(&unit.url), string(&unit.mac)].concat();
    body.extend_from_slice(&seal.started_at.mp4_seconds().to_be_bytes());
    body.extend(string(seal.operator));
    body.extend_from_slice(&1_u32.to_be_bytes());
    body.extend_from_slice(&TRACK.to_be_bytes());
    body.extend([string(&camera.name), string(&camera.url), string(&camera.mac), string(&camera.number)].concat());
    full(b"suep", 1, &body)
}

/// `cstb`: the instant of media time 0.
fn start_time(origin: Utc) -> Vec<u8> {
    let mut body = 1_u32.to_be_bytes().to_vec();
    body.extend_from_slice(&u32::from(TRACK).to_be_bytes());
    body.extend_from_slice(&origin.onvif_ticks().to_be_bytes());
    boxed(b"cstb", &body)
}

/// What a film's `meta` box says, but for the signature.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seal<'a> {
    pub(crate) export_id: &'a str,
    pub(crate) unit: &'a ExportingUnit,
    pub(crate) started_at: Utc,
    pub(crate) operator: &'a str,
    pub(crate) camera: &'a CameraFacts,
    pub(crate) film: &'a str,
    pub(crate) origin: Utc,
    pub(crate) certificate: &'a [u8],
}

impl<'a> Seal<'a> {
    /// Of a film of an order.
    pub(crate) fn of(
        order: &'a Order,
        camera: &'a CameraFacts,
        film: &'a str,
        origin: Utc,
        certificate: &'a [u8],
    ) -> Self {
        let (export_id, unit, operator) =
            (order.export_id.as_str(), &order.exporting_unit, order.requested_by.id.as_str());
        Self { export_id, unit, started_at: order.started_at, operator, camera, film, origin, certificate }
    }

    /// The `meta` box with `signature`, and where in it the signature stands.
    pub(crate) fn meta(&self, turn: u32, signature: &[u8]) -> (Vec<u8>, usize) {
        let note = format!("{} {} seal {turn}", self.export_id, self.film);
        let mut information = boxed(b"auib", &string(&note));
        information.extend(boxed(b"sigC", &crate::sign::ALGORITHM_DER));
        information.extend(boxed(b"cert", self.certificate));
        // Last, so that its place follows from the length of the whole.
        information.extend(boxed(b"sibo", signature));
        let mut protection = start_time(self.origin);
        protection.extend(full(b"schm", 0, &[&b"oeff"[..], &[0, 1, 0, 0]].concat()));
        protection.extend(boxed(b"schi", &information));
        let mut body = full(b"hdlr", 0, &[&[0; 4][..], b"oeff", &[0; 12], b"ONVIF export\0"].concat());
        body.extend(surveillance_export(self));
        body.extend(full(b"ipro", 0, &[&[0, 1][..], &boxed(b"sinf", &protection)].concat()));
        let out = full(b"meta", 0, &body);
        let at = out.len().saturating_sub(signature.len());
        (out, at)
    }
}

/// `udta` with `loci`, where the place of the camera is known.
pub(crate) fn location(place: &Place) -> Option<Vec<u8>> {
    let (latitude, longitude) = (place.latitude_e6?, place.longitude_e6?);
    // ISO 639-2 "und", five bits a letter.
    let mut body = 0x55c4_u16.to_be_bytes().to_vec();
    body.extend(string(&place.name));
    body.push(1);
    body.extend_from_slice(&fixed(longitude).to_be_bytes());
    body.extend_from_slice(&fixed(latitude).to_be_bytes());
    body.extend_from_slice(&0_u32.to_be_bytes());
    body.extend(string("earth"));
    body.extend(string(""));
    Some(boxed(b"udta", &full(b"loci", 0, &body)))
}

/// Millionths of a degree as 16.16 fixed point.
fn fixed(degrees_e6: i32) -> i32 {
    let scaled = i64::from(degrees_e6).saturating_mul(65_536).div_euclid(1_000_000);
    i32::try_from(scaled).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_become_fixed_point() {
        let table = [(50_500_000, 0x0032_8000), (4_250_000, 0x0004_4000), (-500_000, -0x8000), (0, 0)];
        for (degrees, wanted) in table {
            assert_eq!(fixed(degrees), wanted, "{degrees}");
        }
    }

    #[test]
    fn the_signature_stands_where_it_is_said_to() {
        let order = crate::job::tests::order(1);
        let camera = order.cameras[0].clone();
        let origin = Utc::from_micros(1_795_000_000_000_000);
        let seal = Seal::of(&order, &camera, "footage-001.mp4", origin, &[7; 30]);
        let (meta, at) = seal.meta(3, &[0xab; SEAL_BYTES]);
        assert_eq!(&meta[at..], &[0xab; SEAL_BYTES]);
        assert_eq!(u32::from_be_bytes(meta[..4].try_into().unwrap()), u32::try_from(meta.len()).unwrap());
        assert_eq!(seal.meta(4, &[0xab; SEAL_BYTES]).1, at, "one digit more or less is all that changes");
    }
}
