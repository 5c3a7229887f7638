//! Day passes that were sold: the tax administration's job tells them, so that the outcome of a read is decided with them and no batch
//! holds a finding whose vehicle had one. Given twice they are harmless.

use serde_json::json;
use traffic_rules::Day;
use vms_core::WallTime;

use crate::cases::UseCases;
use crate::error::UseCaseError;
use crate::fines_ports::FineKind;
use crate::gate::Actor;
use crate::lez::class;
use crate::pass_ports::SoldPass;

/// Passes in one request.
const PASSES_MAX: usize = 5_000;
/// How far ahead a pass can be for, days: a year and a day.
const AHEAD_MAX: u16 = 366;

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassesTold {
    /// Kept now.
    pub noted: u64,
    /// Known before; nothing changes.
    pub known: u64,
    /// For a day whose record here is over already, or too far ahead: nothing of them is kept.
    pub out_of_term: u64,
}

impl UseCases {
    /// Keeps day passes; what was kept before an error stays, and giving all again is harmless.
    ///
    /// # Errors
    /// `Denied`, `Invalid` (too many, or bought in the future: nothing is kept), `LogUnavailable`, `Unavailable`.
    pub async fn fine_passes(&self, actor: &Actor, passes: &[SoldPass]) -> Result<PassesTold, UseCaseError> {
        let permit = self.fine_permit(actor, FineKind::Lez, Some("day passes".to_owned())).await?;
        self.fines()?;
        let (store, now) = (self.lez_store()?, self.now());
        if passes.len() > PASSES_MAX {
            return Err(UseCaseError::invalid("items", "too_many"));
        }
        if passes.iter().any(|sold| sold.pass.bought_at > now) {
            return Err(UseCaseError::invalid("bought_at", "in_the_future"));
        }
        let details = json!({ "passes": passes.len(), "decision": permit.decision().to_string() });
        self.record("day_passes_told", audit::LeafKind::Change, Some(actor.clone()), details).await?;
        let term_us = self.term_us(&class("RC-LEZ-PASS")?, now)?;
        let last = Day::at(now).plus_days(AHEAD_MAX);
        let mut told = PassesTold::default();
        for sold in passes {
            let ends = WallTime::from_micros(sold.pass.day.plus_days(1).start().micros.saturating_add(term_us));
            if ends <= now || sold.pass.day > last {
                told.out_of_term += 1;
            } else if store.day_pass_put(&permit, sold, now, ends).await? {
                told.noted += 1;
            } else {
                told.known += 1;
            }
        }
        Ok(told)
    }
}
