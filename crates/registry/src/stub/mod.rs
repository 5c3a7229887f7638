//! `belfry registry-stub`: plays the integrator and DIV/KBV for tests and the demo.
//!
//! It answers for any plate: the vehicle is drawn from the plate's text by a keyed hash ([`fleet`]), so there is no table
//! and two stubs with one key agree; [`fleet::plate`] names 400,000 distinct plates of that fleet, [`fleet::foreign`] 40,000 of
//! other countries. A fleet file
//! ([`fleet_file`]) says the truth for the simulator's plates and wins. Delays, errors, quotas, late, changed and
//! contradictory answers are settings, all off by default.

pub mod fleet;
pub mod fleet_file;

mod faults;
mod server;

use std::path::PathBuf;
use std::time::Duration;

pub use fleet_file::{FleetFileError, fuzz_fleet_file};
pub use server::{StubError, router, serve};

use crate::flow::FlowBook;

/// Settings of the stub. Parts per million say how often; a plate that is chosen stays chosen.
#[derive(Clone, Debug)]
pub struct StubSettings {
    /// Key of the synthetic fleet: another key, another fleet.
    pub fleet_key: u64,
    /// JSON Lines with the truth for some plates, see [`fleet_file`].
    pub fleet_file: Option<PathBuf>,
    /// Plates that the fleet file does not name are unknown, instead of drawn.
    pub only_fleet_file: bool,
    /// The flows it serves.
    pub flows: FlowBook,
    /// Wait before every answer.
    pub delay: Duration,
    /// Requests answered with 503, per million.
    pub error_ppm: u32,
    /// Requests allowed per span; beyond them 429.
    pub quota: Option<Quota>,
    /// Plates whose second and later answers differ from the first, per million.
    pub changed_ppm: u32,
    /// Plates answered `pending`, per million, for [`StubSettings::pending_for`].
    pub pending_ppm: u32,
    /// How long after the start they stay so.
    pub pending_for: Duration,
    /// Plates answered twice, with two different vehicles, per million.
    pub contradictory_ppm: u32,
    /// Plates that belonged to another vehicle until the start of 2024, per million.
    pub reassigned_ppm: u32,
    /// Vehicles whose holder changed on 2 March 2026, per million: the registration before ended the day before, the vehicle is
    /// the same.
    pub new_holder_ppm: u32,
}

/// A quota of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests allowed.
    pub requests: u32,
    /// In each span of this length, counted from the start.
    pub per: Duration,
}

impl Default for StubSettings {
    fn default() -> Self {
        Self {
            fleet_key: 1,
            fleet_file: None,
            only_fleet_file: false,
            flows: FlowBook::embedded().clone(),
            delay: Duration::ZERO,
            error_ppm: 0,
            quota: None,
            changed_ppm: 0,
            pending_ppm: 0,
            pending_for: Duration::ZERO,
            contradictory_ppm: 0,
            reassigned_ppm: 0,
            new_holder_ppm: 0,
        }
    }
}
