//! The sweeper before the magistrate's gate: what moves instead of dying, and what dies behind it.
//!
//! A round looks at what is due, not at all that is behind the gate: by hour for the keys, by a mark in the index for the rows.

use std::sync::Arc;
use std::time::Duration;

use keys::{Hour, KeyEpoch, KeyName};
use vms_core::WallTime;

use super::{SHORT_S, Sweep, SweepError, blocking};
use crate::deletions::{GATED_LINE, MovedKey, Step};
use crate::gated::Decisions;
use crate::index::Located;

/// What the sweeper knows of the gate from its last round.
#[derive(Debug, Default)]
pub(super) struct GateState {
    /// The decisions by which what is behind the gate was counted; `None`: it has to be counted again.
    counted: Option<Arc<Decisions>>,
    /// Something waited before the gate.
    waits: bool,
    /// Keys whose move stands in the records and that have not moved: they do not open, or the store broke off.
    told: std::collections::BTreeSet<KeyEpoch>,
}

impl Sweep {
    /// Moves those behind the magistrate's gate that a decision keeps; gives back the others, with those behind it whose second term is over. What cannot move waits, unseen: the decision
    /// of two people is worth more than the hour of its end.
    pub(super) async fn gate_first(
        &mut self,
        due: Vec<(KeyEpoch, KeyName)>,
        now: WallTime,
    ) -> Result<Vec<(KeyEpoch, KeyName)>, SweepError> {
        let decisions = self.vault.decisions();
        let is_kept = |name: &KeyName| decisions.until(name).is_some_and(|until| until > now);
        let (moving, mut due): (Vec<_>, Vec<_>) = due.into_iter().partition(|(_, name)| is_kept(name));
        let (has_moved, waiting) =
            if moving.is_empty() { (false, Vec::new()) } else { self.go_behind(moving, &decisions, now).await? };
        let ended = self.gated_due(&decisions, now).await?;
        metrics::gauge!("recorder_gate_waits").set(f64::from(u8::from(!waiting.is_empty())));
        let is_counted = self.gate.counted.as_ref().is_some_and(|known| Arc::ptr_eq(known, &decisions));
        let waits = !waiting.is_empty();
        if !is_counted || has_moved || !ended.is_empty() || waits || self.gate.waits {
            let vault = Arc::clone(&self.vault);
            let unnamed = blocking(move || Ok(vault.count_gated(&waiting))).await?;
            metrics::gauge!("recorder_gated_without_decision").set(f64::from(unnamed));
        }
        self.gate.waits = waits;
        // Those that are about to die are counted out with the next round.
        self.gate.counted = ended.is_empty().then_some(decisions);
        due.extend(ended);
        Ok(due)
    }

    /// Whether any moved, and what waits.
    async fn go_behind(
        &mut self,
        moving: Vec<(KeyEpoch, KeyName)>,
        decisions: &Decisions,
        now: WallTime,
    ) -> Result<(bool, Vec<KeyName>), SweepError> {
        let names = |moving: Vec<(KeyEpoch, KeyName)>| moving.into_iter().map(|(_, name)| name).collect();
        let vault = Arc::clone(&self.vault);
        let gate = blocking(move || Ok(vault.ensure_gate(now))).await?;
        if let Err(error) = gate {
            // A store that cannot be written now destroys nothing else either: that is told by what follows.
            tracing::error!(%error, advice = error.advice(), "footage cannot move behind the magistrate's gate: it waits");
            return Ok((false, names(moving)));
        }
        // Before they move: a crash in between writes it again.
        let fresh = moving.iter().filter(|(epoch, _)| !self.gate.told.contains(epoch));
        let lines: Vec<MovedKey> =
            fresh.filter_map(|(epoch, name)| MovedKey::of(*epoch, name, decisions.until(name)?, decisions)).collect();
        for keys in lines.chunks(GATED_LINE) {
            self.note(Step::Gated { keys: keys.to_vec() }, now)?;
        }
        self.gate.told.extend(moving.iter().map(|(epoch, _)| *epoch));
        let vault = Arc::clone(&self.vault);
        let epochs: Vec<KeyEpoch> = moving.iter().map(|(epoch, _)| *epoch).collect();
        let done = blocking(move || match vault.move_behind_gate(&epochs, now) {
            Ok(done) => Ok(done),
            Err(error) => {
                tracing::error!(%error, advice = error.advice(), "footage cannot move behind the magistrate's gate: it waits");
                Ok(keys::Gating::default())
            }
        });
        let done = done.await?;
        if done == keys::Gating::default() {
            return Ok((false, names(moving)));
        }
        if !done.refused.is_empty() {
            tracing::error!(keys = done.refused.len(), "hour keys that a decision keeps do not open: they cannot move");
        }
        if !done.moved.is_empty() {
            let count = u64::try_from(done.moved.len()).unwrap_or(u64::MAX);
            metrics::counter!("recorder_keys_gated_total").increment(count);
            tracing::info!(keys = count, "hour keys moved behind the magistrate's gate");
            let moved: Vec<u64> = done.moved.iter().map(|(epoch, _)| epoch.raw()).collect();
            for (epoch, _) in &done.moved {
                self.gate.told.remove(epoch);
            }
            self.index.keep_keys(&moved).await?;
        }
        Ok((!done.moved.is_empty(), Vec::new()))
    }

    /// Keys behind the gate whose second term is over. One that no decision names any more is told, and stays.
    async fn gated_due(&self, decisions: &Decisions, now: WallTime) -> Result<Vec<(KeyEpoch, KeyName)>, SweepError> {
        // The shortest of both terms bounds how far one has to look.
        let Some(shortest) = decisions.shortest_s() else { return Ok(Vec::new()) };
        let look = if shortest > SHORT_S { Duration::from_secs(shortest - 3_600) } else { Duration::ZERO };
        let until = Hour::from_count(Hour::of(now.minus(look)).count().saturating_add(1));
        let vault = Arc::clone(&self.vault);
        let old = blocking(move || Ok(vault.with(|ring| Ok(ring.gated_before(until)))?)).await?;
        let is_over = |name: &KeyName| decisions.until(name).is_some_and(|until| until <= now);
        let due: Vec<(KeyEpoch, KeyName)> = old.into_iter().filter(|(_, name)| is_over(name)).collect();
        if due.is_empty() {
            return Ok(due);
        }
        // What a hold wants is destroyed by no call, and is no news each time.
        let vault = Arc::clone(&self.vault);
        blocking(move || Ok(vault.with(|ring| Ok(due.into_iter().filter(|(epoch, _)| !ring.pins(*epoch)).collect()))?))
            .await
    }

    /// Without what is under a hold, and without what a decision keeps: behind the magistrate's gate, or about to go there. What is behind
    /// it is marked in the index, so that no later round looks at it; how many were.
    pub(super) async fn unkept(&self, batch: Vec<Located>) -> Result<(Vec<Located>, usize), SweepError> {
        let vault = Arc::clone(&self.vault);
        let (behind, rest) = blocking(move || {
            let gated = |one: &Located| KeyEpoch::new(one.key_epoch).is_some_and(|epoch| vault.is_gated(epoch));
            let kept = |one: &Located| KeyEpoch::new(one.key_epoch).is_some_and(|epoch| vault.keeps(epoch));
            let (behind, rest): (Vec<Located>, Vec<Located>) = batch.into_iter().partition(gated);
            Ok((behind, rest.into_iter().filter(|one| !kept(one)).collect::<Vec<Located>>()))
        })
        .await?;
        self.index.keep_rows(&behind).await?;
        Ok((self.unheld(rest).await?, behind.len()))
    }
}
