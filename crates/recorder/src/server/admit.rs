//! Who is let through: capabilities at the opening, at every renewal, and until they end; revocation at once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use link::{Control, Role};
use policy::capability::{Capability, CapabilityError};
use tokio_util::sync::CancellationToken;
use vms_core::{DecisionId, WallTime};

use super::{Shared, board, lock};
use crate::playback::RangeError;

/// Revoked decisions remembered at most; a capability lives 15 s, a standing one a day, and the gate signs none for a revoked
/// decision.
const REVOKED_MAX: usize = 100_000;

#[derive(Debug, Default)]
struct Inner {
    open: HashMap<u64, (HashSet<DecisionId>, CancellationToken)>,
    revoked: HashSet<DecisionId>,
}

/// Open streams by decision.
#[derive(Debug, Default)]
pub(crate) struct Admissions {
    inner: Mutex<Inner>,
}

impl Admissions {
    /// Closes everything of a decision, now and later.
    pub(super) fn revoke(&self, decision: DecisionId) {
        let mut inner = lock(&self.inner);
        if inner.revoked.len() >= REVOKED_MAX {
            // Older than any capability can be by then: a region revokes a few decisions an hour.
            inner.revoked.clear();
        }
        inner.revoked.insert(decision);
        for (decisions, token) in inner.open.values() {
            if decisions.contains(&decision) {
                token.cancel();
            }
        }
    }
}

/// Why something is refused: a stable word and a sentence for the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: &'static str,
    pub(super) detail: String,
}

impl Refusal {
    pub(super) fn new(code: &'static str, detail: &str) -> Self {
        Self { code, detail: detail.to_owned() }
    }

    pub(super) fn control(self) -> Control {
        metrics::counter!("recorder_refused_total", "code" => self.code).increment(1);
        Control::Refused { code: self.code.to_owned(), detail: self.detail }
    }
}

impl From<CapabilityError> for Refusal {
    fn from(error: CapabilityError) -> Self {
        Self::new(error.code(), &error.to_string())
    }
}

/// One admitted use, from its opening to its end.
#[derive(Debug)]
pub(super) struct Pass {
    shared: Arc<Shared>,
    number: u64,
    role: Role,
    is_begun: bool,
    expires: WallTime,
    /// It opens what is behind the magistrate's gate.
    pub(super) gated: Option<DecisionId>,
    /// Cancelled when a decision of this use is revoked.
    pub(super) revoked: CancellationToken,
}

impl Pass {
    /// Opens a capability that `covers` must accept.
    pub(super) fn open(
        shared: &Arc<Shared>,
        role: Role,
        text: &str,
        covers: impl FnOnce(&Capability) -> Result<(), CapabilityError>,
    ) -> Result<Self, Refusal> {
        let mut pass = Self {
            shared: Arc::clone(shared),
            number: shared.number(),
            role,
            is_begun: false,
            expires: WallTime::default(),
            gated: None,
            revoked: CancellationToken::new(),
        };
        pass.renew(text, covers)?;
        Ok(pass)
    }

    /// Takes a fresh capability for the same use.
    pub(super) fn renew(
        &mut self,
        text: &str,
        covers: impl FnOnce(&Capability) -> Result<(), CapabilityError>,
    ) -> Result<(), Refusal> {
        let capability =
            self.shared.verifier.open(text, self.shared.config.origin.audience(), self.shared.clock.wall())?;
        if capability.standing && self.role != Role::Reader {
            return Err(Refusal::new("capability_standing", "a standing capability is honoured for the reader only"));
        }
        covers(&capability)?;
        let mut inner = lock(&self.shared.admissions.inner);
        if inner.revoked.contains(&capability.decision) {
            return Err(Refusal::new("revoked", "the decision was revoked"));
        }
        let entry = inner.open.entry(self.number).or_insert_with(|| (HashSet::new(), self.revoked.clone()));
        entry.0.insert(capability.decision);
        drop(inner);
        self.expires = capability.expires_at;
        // The gate is open for as long as each renewal names a magistrate's decision, and no renewal opens it.
        let gated = capability.gated.then_some(capability.decision);
        if self.is_begun && self.gated.is_some() && gated.is_none() {
            return Err(Refusal::new("footage_gated", "the renewal names no magistrate's decision"));
        }
        if !self.is_begun {
            (self.is_begun, self.gated) = (true, gated);
        }
        Ok(())
    }

    /// Where it may read footage: with the magistrate's gate only where the capability names a decision of one.
    pub(super) async fn source(&self) -> crate::playback::Source {
        match self.gated {
            None => self.shared.source(),
            Some(decision) => {
                tracing::info!(%decision, "the magistrate's gate is opened for one span");
                self.shared.gated_source().await
            }
        }
    }

    /// Tells people that a magistrate's decision waits for the gate's medium, or waits no more.
    pub(super) fn note_gate(&self, error: Option<&RangeError>) {
        let is_away = matches!(error, Some(RangeError::GateAway));
        if is_away || (self.gated.is_some() && error.is_none()) {
            board::note_gate(&self.shared, is_away);
        }
    }

    /// Whether it is still worth something.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if self.revoked.is_cancelled() {
            Err(Refusal::new("revoked", "the decision was revoked"))
        } else if self.shared.clock.wall() >= self.expires {
            Err(CapabilityError::Expired.into())
        } else {
            Ok(())
        }
    }

    /// How long it may still last; zero when it is over.
    pub(super) fn left(&self) -> std::time::Duration {
        let left_us = self.expires.micros_since(self.shared.clock.wall());
        std::time::Duration::from_micros(u64::try_from(left_us).unwrap_or(0))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        lock(&self.shared.admissions.inner).open.remove(&self.number);
    }
}
