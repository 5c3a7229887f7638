//! The sweeper before the magistrate's gate: what moves instead of dying, and what dies behind it.

use std::sync::Arc;

use keys::{KeyEpoch, KeyName};
use vms_core::WallTime;

use super::{Sweep, SweepError, blocking};
use crate::index::Located;

impl Sweep {
    /// Moves those behind the magistrate's gate that a decision keeps; gives back the others, with those behind it whose second term is over. What cannot move waits, unseen: the decision
    /// of two people is worth more than the hour of its end.
    pub(super) async fn gate_first(
        &self,
        due: Vec<(KeyEpoch, KeyName)>,
        now: WallTime,
    ) -> Result<Vec<(KeyEpoch, KeyName)>, SweepError> {
        let decisions = self.vault.decisions();
        let is_kept = |name: &KeyName| decisions.until(name).is_some_and(|until| until > now);
        let (moving, due): (Vec<_>, Vec<_>) = due.into_iter().partition(|(_, name)| is_kept(name));
        let mut waiting: Vec<KeyName> = Vec::new();
        if !moving.is_empty() {
            let vault = Arc::clone(&self.vault);
            let epochs: Vec<KeyEpoch> = moving.iter().map(|(epoch, _)| *epoch).collect();
            let done = blocking(move || {
                // A store that cannot be written now destroys nothing else either: that is told by what follows.
                match vault.move_behind_gate(&epochs, now) {
                    Ok(done) => Ok(done),
                    Err(error) => {
                        tracing::error!(%error, advice = error.advice(), "footage cannot move behind the magistrate's gate: it waits");
                        Ok(keys::Gating::default())
                    }
                }
            });
            let done = done.await?;
            if done == keys::Gating::default() {
                waiting = moving.into_iter().map(|(_, name)| name).collect();
            }
            if !done.moved.is_empty() {
                let count = u64::try_from(done.moved.len()).unwrap_or(u64::MAX);
                metrics::counter!("recorder_keys_gated_total").increment(count);
                tracing::info!(keys = count, "hour keys moved behind the magistrate's gate");
            }
            if !done.refused.is_empty() {
                tracing::error!(
                    keys = done.refused.len(),
                    "hour keys that a decision keeps do not open: they cannot move"
                );
            }
        }
        metrics::gauge!("recorder_gate_waits").set(f64::from(u8::from(!waiting.is_empty())));
        let vault = Arc::clone(&self.vault);
        let counted = blocking(move || {
            vault.count_gated(&waiting);
            Ok(due)
        });
        let mut due = counted.await?;
        due.extend(self.gated_due(now).await?);
        Ok(due)
    }

    /// Keys behind the gate whose second term is over. One that no decision names any more is told, and stays.
    async fn gated_due(&self, now: WallTime) -> Result<Vec<(KeyEpoch, KeyName)>, SweepError> {
        let (vault, decisions) = (Arc::clone(&self.vault), self.vault.decisions());
        let gated = blocking(move || Ok(vault.with(|ring| Ok(ring.gated_hours()))?)).await?;
        let mut unnamed = 0_u32;
        let mut due = Vec::new();
        for (epoch, name, _) in gated {
            let until = decisions.until(&name);
            unnamed += u32::from(until.is_none());
            if until.is_some_and(|until| until <= now) {
                due.push((epoch, name));
            }
        }
        metrics::gauge!("recorder_gated_without_decision").set(f64::from(unnamed));
        // What a hold wants is destroyed by no call, and is no news each time.
        let vault = Arc::clone(&self.vault);
        blocking(move || Ok(vault.with(|ring| Ok(due.into_iter().filter(|(epoch, _)| !ring.pins(*epoch)).collect()))?))
            .await
    }

    /// Without what is under a hold, and without what a decision keeps: behind the magistrate's gate, or about to go there.
    pub(super) async fn unkept(&self, batch: Vec<Located>) -> Result<Vec<Located>, SweepError> {
        let vault = Arc::clone(&self.vault);
        let gated = blocking(move || {
            let is_kept = |one: &Located| KeyEpoch::new(one.key_epoch).is_some_and(|epoch| vault.keeps(epoch));
            Ok(batch.into_iter().filter(|one| !is_kept(one)).collect())
        });
        self.unheld(gated.await?).await
    }
}
