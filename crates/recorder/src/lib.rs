//! The recorder: units to fragments to segments to disk; index, live origin, playback, sweeper.
//!
//! Belongs here: everything between the ingest processes and whoever may see footage. Does not belong here: cameras
//! (`ingest`), the decision who may see (`policy`, `vms-app`), the process itself (`belfry`).
//!
//! Promise: a unit that was acknowledged to ingest survives the death of this process; one up to `durable_until` survives a
//! power cut. Nothing leaves without a capability.

pub mod assignment;
pub mod catalogue;
pub mod check;
pub mod deletions;
pub mod disk;
pub mod format;
pub mod gated;
pub mod holds;
pub mod hub;
pub mod index;
mod kept;
pub mod ladder;
pub mod live;
pub mod plan;
pub mod playback;
pub mod ports;
pub mod reconcile;
pub mod recover;
pub mod reseal;
pub mod sealbox;
pub mod server;
pub mod sweep;
pub mod tiering;
pub mod trust;
pub mod vault;

pub use server::{Origin, RecorderConfig, RecorderError, run};

#[cfg(test)]
mod check_tests;
#[cfg(test)]
mod gate_tests;
#[cfg(test)]
mod reseal_tests;
#[cfg(test)]
mod sweep_tests;
#[cfg(test)]
mod term_tests;
#[cfg(test)]
mod testfilm;
