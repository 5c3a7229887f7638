//! Tiers: closed, sealed segments from the recorder's disk to directories and S3-compatible stores, and back.
//!
//! Belongs here: upload with verification, the policy of what lies where, reading back, deletion in bulk, reconciling.
//! Does not belong here: keys and clear footage (only sealed bytes pass), what a term is (`recorder` and its seed data say), the
//! recorder's files themselves (the port [`LocalCopies`] drops them), the process (`belfry`).
//!
//! Promise: a local copy is dropped only after the whole object was found right in the store, and found there again at that moment.

pub mod alarm;
mod cache;
pub mod config;
mod delete;
mod file;
mod hash;
mod lane;
mod ledger;
mod mover;
pub mod name;
pub mod pace;
pub mod plan;
mod ports;
mod read;
mod reconcile;
mod s3;
pub mod sqlite;
mod tier;
mod upload;

pub use alarm::{Alarm, Health, TierHealth, TierState};
pub use cache::Cache;
pub use config::{Config, ConfigError, Credentials};
pub use delete::Deleted;
pub use file::SegmentFile;
pub use lane::MoverLimits;
pub use ledger::{Ledger, LedgerError, Remote, Row};
pub use mover::{Mover, Pass, PassError, Setup, SetupError};
pub use name::{Digest, Facts, ObjectName, RecorderName};
pub use plan::{Action, Capacity, Plan, Policy, Room, Rule, Standing, View, plan};
pub use ports::{Clock, LocalCopies, PortError};
pub use read::{ByteStream, ReadError};
pub use reconcile::{Rebuilt, Reconciled, Stray};
pub use s3::fuzz_s3_answers;
pub use tier::{OpenError, Probe, ProbeError, Tier, Warning};
