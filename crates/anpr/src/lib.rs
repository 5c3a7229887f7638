//! Plates out of pictures: detect, rectify, read, track, fuse, weigh by grammar; and the reader role around it.
//!
//! Belongs here: everything from a decoded picture to a sealed read in the spool, and the role's sockets. Does not belong
//! here: decoding (a [`Decoder`] is handed in, `belfry-media` has one with GStreamer), the clock and randomness (a
//! [`Host`] is handed in). No faces and no persons: there is no code for them.

pub mod ctc;
pub mod detect;
pub mod engine;
pub mod frame;
pub mod fuse;
pub mod grammar;
pub mod letterbox;
pub mod mask;
pub mod model;
pub mod motion;
mod num;
pub mod pace;
pub mod passage;
pub mod recognise;
pub mod rectify;
mod resample;
pub mod role;
pub mod spool;
pub mod track;

pub use engine::{Engine, InputSize};
pub use frame::Frame;
pub use role::{Decoder, Host};
