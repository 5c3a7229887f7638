//! Plate reads and what they are copied for: from a reader's spool to a finding that a person can decide.
//!
//! [`service`] gives the reader its cameras under logged standing grants; [`intake`] copies reads per purpose; [`batch`]
//! asks the registry and decides for the low-emission zone, `holders` asks who holds a vehicle of an approved finding, `zones` for restricted access, `runs` for average speed (`passages` is what these
//! two share, [`places`] where cameras stand, [`permits`] the permit desk); `queue` says who works which findings; [`reads`] and [`findings`] are what people do with it. Rules are in `traffic-rules`,
//! rows and keys in `vms-store`.

pub mod batch;
pub mod findings;
mod holders;
pub mod intake;
mod passages;
pub mod permits;
pub mod places;
pub mod push;
mod queue;
pub mod reads;
mod runs;
pub mod service;
mod standing;
pub mod traced;
pub(crate) mod words;
mod zones;

use std::sync::Arc;

use vms_core::{RetentionClass, WallTime};

use crate::cases::UseCases;
use crate::error::{Conflict, UseCaseError};
use crate::lez_ports::LezStore;

pub use holders::HolderRound;
pub(crate) use push::PushDesk;
pub use service::ReadService;
pub(crate) use standing::Standing;
pub(crate) use words::without_plates;

impl UseCases {
    pub(crate) fn lez_store(&self) -> Result<&Arc<dyn LezStore>, UseCaseError> {
        self.extensions().lez.as_ref().ok_or(UseCaseError::Conflict(Conflict::NoSuchService("reads")))
    }

    /// Seconds of a class today.
    pub(crate) fn term_us(&self, class: &RetentionClass, now: WallTime) -> Result<i64, UseCaseError> {
        let seconds = self.retention.keep_s(class, now);
        let seconds = seconds.ok_or_else(|| UseCaseError::Internal(format!("no term for {class:?}").into()))?;
        Ok(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000))
    }
}

/// A class of the shipped table.
pub(crate) fn class(code: &str) -> Result<RetentionClass, UseCaseError> {
    RetentionClass::parse(code).ok_or_else(|| UseCaseError::Internal(format!("`{code}` is no class").into()))
}
