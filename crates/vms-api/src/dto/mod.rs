//! JSON in and out. Every type converts at this edge; unknown fields of requests are refused.

pub mod camera;
pub mod common;
pub mod exports;
pub mod finding;
pub mod fines;
pub mod gated;
pub mod gated_reads;
pub mod holds;
pub mod identity;
pub mod legal;
pub mod machines;
pub mod matrix;
pub mod media;
pub mod oversight;
pub mod people;
pub mod permit;
pub mod read;
pub mod reads_in;
pub mod sharing;
pub mod statistics;
pub mod watch;
pub mod watchlist;
