//! Plate reads and the low-emission zone: from a reader's spool to a finding that a person can decide.
//!
//! [`service`] gives the reader its cameras under logged standing grants; [`intake`] copies reads per purpose; [`batch`]
//! asks the registry and decides; [`reads`] and [`findings`] are what people do with it. Rules are in `traffic-rules`,
//! rows and keys in `vms-store`.

pub mod batch;
pub mod findings;
pub mod intake;
pub mod reads;
pub mod service;
mod words;

use std::sync::Arc;

use vms_core::{RetentionClass, WallTime};

use crate::cases::UseCases;
use crate::error::{Conflict, UseCaseError};
use crate::lez_ports::LezStore;

pub use service::ReadService;

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
