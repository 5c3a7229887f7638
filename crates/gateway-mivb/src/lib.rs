//! The transport operator's side of the gateway: its catalogue of cameras, in its words, translated to ours.
//!
//! MIVB/STIB keeps its own video-management system and the last word on its cameras. What it shares is a JSON document; what
//! we take from it are names, places and RTSP addresses. Streams are pulled by the gateway role (a relay of the
//! recorder's live origin that records nothing), only while somebody watches, one pull for all viewers.
//!
//! Belongs here: their wire types and the translation. Their words never pass [`translate`]. [`stub`] plays their side.

pub mod client;
pub mod stub;
pub mod translate;
pub mod wire;

pub use client::{CatalogueClient, CatalogueGuard, authorities};
pub use translate::translate;
