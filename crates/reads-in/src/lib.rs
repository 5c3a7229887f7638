//! Plate reads as others send them: bytes in, values out.
//!
//! [`batch`] is our own contract (`docs/READS.md`), signed as [`jws`] has it; [`onvif`] reads the names of ONVIF Profile M, in XML and in
//! JSON; [`claim`] says which times and clock states are believed. Does not belong here: whose key and whose camera it is (`vms-app`), how
//! bytes arrive (`vms-api`, `belfry`).

pub mod batch;
pub mod claim;
pub mod country;
pub mod jws;
pub mod onvif;
mod onvif_json;
mod onvif_xml;

pub use batch::{Batch, BatchFault, ClockClaim, PushedRead, ReadFault};
pub use jws::{JwsFault, Signed};

/// For the fuzzer: any bytes through every reader, no panic.
#[doc(hidden)]
pub fn fuzz_push(data: &[u8]) {
    drop(batch::parse(data));
    if let Ok(text) = std::str::from_utf8(data) {
        drop(jws::detached(text, b"body"));
        drop(jws::whole(text));
        onvif::topic(text);
    }
}

/// For the fuzzer: any bytes as ONVIF XML and JSON, no panic.
#[doc(hidden)]
pub fn fuzz_onvif(data: &[u8]) {
    drop(onvif::parse(data, None));
    drop(onvif::parse(data, Some(onvif::Kind::Event)));
    drop(onvif::parse(data, Some(onvif::Kind::Metadata)));
}
