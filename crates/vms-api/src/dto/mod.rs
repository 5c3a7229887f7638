//! JSON in and out. Every type converts at this edge; unknown fields of requests are refused.

pub mod camera;
pub mod common;
pub mod exports;
pub mod finding;
pub mod holds;
pub mod legal;
pub mod media;
pub mod people;
pub mod read;
