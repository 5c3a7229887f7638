//! Test helpers. A dev-dependency only.

pub mod moto;
pub mod postgres;
pub mod rig;
