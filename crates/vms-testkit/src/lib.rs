//! Test helpers. A dev-dependency only.

pub mod postgres;
pub mod rig;
