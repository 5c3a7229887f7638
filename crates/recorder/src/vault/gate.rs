//! The vault and the magistrate's gate: decisions in force, what moved, and the gate as a reader opens it.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use keys::{GateSecret, Gating, KeyEpoch, KeyError, KeyName, KeyRing, OpenSegmentError, SegmentOpener};
use link::message::GatedRow;
use vms_core::WallTime;

use super::{NoKey, Vault};
use crate::format::SegmentHeader;
use crate::gated::{Decisions, OpenGate};

/// What is behind the gate, and what waits before it.
#[derive(Debug, Default)]
pub(super) struct GatedCount {
    rows: Vec<GatedRow>,
    waiting: u64,
}

impl Vault {
    /// `None`: not behind a gate.
    pub(super) fn view_gated(
        &self,
        header: &SegmentHeader,
        epoch: KeyEpoch,
        gate: Option<&OpenGate>,
    ) -> Option<Result<SegmentOpener, NoKey>> {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let ring = ring.as_ref()?;
        let (public, name) = ring.gate_of(epoch).zip(ring.gated_name(epoch))?;
        let cut = self.curtain.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|curtain| curtain.cut);
        // Past its second term while the sweeper still waits.
        let is_past = cut.is_some_and(|cut| self.decisions().until(&name).is_none_or(|until| until <= cut));
        if is_past && !ring.is_held(header.segment) {
            return Some(Err(NoKey::Destroyed));
        }
        let Some(gate) = gate else { return Some(Err(NoKey::Gated)) };
        let Some(secret) = gate.secret(public.gate) else { return Some(Err(NoKey::GateAway)) };
        Some(ring.open_gated(header.segment, epoch, secret).map_err(|error| match error {
            OpenSegmentError::Destroyed(_) => NoKey::Destroyed,
            OpenSegmentError::Gated => NoKey::GateAway,
            OpenSegmentError::NotSaved | OpenSegmentError::UnknownEpoch | OpenSegmentError::Damaged => NoKey::Lost,
            OpenSegmentError::Store(_) => NoKey::Away,
        }))
    }

    /// The decisions of the gate that are in force.
    pub fn decisions(&self) -> Arc<Decisions> {
        Arc::clone(&self.decisions.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How far each decision is: as the last sweep left it.
    pub fn gated_rows(&self) -> Vec<GatedRow> {
        self.gated.lock().unwrap_or_else(PoisonError::into_inner).rows.clone()
    }

    /// Hour keys past their first term that wait before the gate, as the last sweep left it.
    pub fn gate_waiting(&self) -> u64 {
        self.gated.lock().unwrap_or_else(PoisonError::into_inner).waiting
    }

    /// Counts what is behind the gate and what waits before it, for each decision; how many keys behind it no decision names.
    pub(crate) fn count_gated(&self, waiting: &[KeyName]) -> u32 {
        let decisions = self.decisions();
        let (mut rows, mut unnamed): (BTreeMap<String, GatedRow>, u32) = (BTreeMap::new(), 0);
        let gated = self.ask(|ring| Ok(ring.gated_hours())).unwrap_or_default();
        let behind = gated.iter().map(|(_, name, _)| (name, false));
        for (name, waits) in behind.chain(waiting.iter().map(|name| (name, true))) {
            let mut is_named = false;
            for decision in decisions.of(name) {
                is_named = true;
                let row = rows.entry(decision.to_owned()).or_insert_with(|| GatedRow {
                    decision: decision.to_owned(),
                    hours: 0,
                    waiting: 0,
                });
                *(if waits { &mut row.waiting } else { &mut row.hours }) += 1;
            }
            unnamed += u32::from(!is_named);
        }
        let waiting = u64::try_from(waiting.len()).unwrap_or(u64::MAX);
        let count = GatedCount { rows: rows.into_values().collect(), waiting };
        *self.gated.lock().unwrap_or_else(PoisonError::into_inner) = count;
        unnamed
    }

    /// Replaces them.
    pub fn decide(&self, decisions: Decisions) {
        *self.decisions.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(decisions);
    }

    /// Whether an hour key is behind the gate.
    pub fn is_gated(&self, epoch: KeyEpoch) -> bool {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        ring.as_ref().is_some_and(|ring| ring.gate_of(epoch).is_some())
    }

    /// Whether a decision keeps what an hour key sealed past the term of its class: the key is behind the gate, or on its way there.
    pub fn keeps(&self, epoch: KeyEpoch) -> bool {
        let decisions = self.decisions();
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        ring.as_ref().is_some_and(|ring| {
            ring.gate_of(epoch).is_some()
                || (!decisions.is_empty() && ring.name_of(epoch).is_some_and(|name| decisions.until(&name).is_some()))
        })
    }

    /// Until when what an hour key sealed is kept by a decision; `None` where none does.
    pub fn kept_until(&self, epoch: KeyEpoch) -> Option<WallTime> {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let name = ring.as_ref().and_then(|ring| ring.gated_name(epoch).or_else(|| ring.name_of(epoch)))?;
        self.decisions().until(&name)
    }

    /// There is a gate to move behind: the first time it is made, where the configuration has a place for it.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn ensure_gate(&self, now: WallTime) -> Result<(), KeyError> {
        let plan = self.config.as_ref().and_then(|config| config.gate.as_ref());
        let done = self.ask(|ring| {
            if ring.gate().is_none() {
                let plan = plan.ok_or(KeyError::Gate { why: "the configuration names no folder for it" })?;
                let gate = ring.make_gate(plan, now)?;
                tracing::warn!(%gate, "a magistrate's gate was made: keep its folder on a medium of its own, and a copy of it");
            }
            Ok(())
        });
        match &done {
            Ok(()) => self.due().gate_troubled = false,
            // Of the gate's folder, not of the store: keys are saved as before.
            Err(KeyError::Io { what, source }) => {
                if !std::mem::replace(&mut self.due().gate_troubled, true) {
                    tracing::error!(what, system = %source, "no magistrate's gate can be made: attach or configure its folder");
                }
            }
            Err(error) => self.note(error),
        }
        done
    }

    /// Moves hour keys behind the gate; the first time it is made.
    ///
    /// # Errors
    /// [`KeyError`]: then what did not move is as it was.
    pub fn move_behind_gate(&self, epochs: &[KeyEpoch], now: WallTime) -> Result<Gating, KeyError> {
        self.ensure_gate(now)?;
        self.with(|ring| ring.gate_hours(epochs, now))
    }

    /// Whether the medium of any gate is not attached.
    pub fn is_gate_away(&self) -> bool {
        let gates = {
            let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
            ring.as_ref().map_or(0, |ring| ring.gates().len())
        };
        self.open_gate().len() < gates
    }

    /// Reads the private halves of all gates whose medium is attached.
    pub fn open_gate(&self) -> OpenGate {
        let Some(plan) = self.config.as_ref().and_then(|config| config.gate.as_ref()) else {
            return OpenGate::default();
        };
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let gates = ring.as_ref().map(KeyRing::gates).unwrap_or_default();
        let open = gates.iter().filter_map(|public| match GateSecret::open(&*self.disk, plan, public) {
            Ok(secret) => Some(secret),
            Err(error) => {
                tracing::warn!(gate = %public.gate, %error, "a gate does not open");
                None
            }
        });
        OpenGate::new(open.collect())
    }
}
