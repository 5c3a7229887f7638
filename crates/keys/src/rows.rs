//! Rows of a database under hour keys: plate reads, questions, findings. The row holds the number of its key; the key stays here.

use vms_core::WallTime;
use zeroize::Zeroizing;

use crate::error::{KeyError, OpenSegmentError};
use crate::gate::GateSecret;
use crate::ids::{KeyEpoch, KeyName};
use crate::keyring::KeyRing;
use crate::secret::KEY_LEN;

/// What the key of rows is derived with.
const ROWS: &[u8] = b"belfry rows v1";

impl KeyRing {
    /// The number of the live key of this name, made when there is none. When it returns, the wrapped key lies synced in every
    /// copy, the second copy first.
    ///
    /// # Errors
    /// As [`Self::begin_segment`]: keep nothing under a key that is not saved.
    pub fn hour(&self, name: &KeyName, now: WallTime) -> Result<KeyEpoch, KeyError> {
        let mut inner = self.lock();
        inner.must_save()?;
        inner.ensure_hours(std::slice::from_ref(name), now)?;
        inner.state.epoch_of(name).ok_or(KeyError::Exhausted)
    }

    /// The AES-256 key for rows under an hour key, apart from its segment keys and its tokens. The same at every call; gone with
    /// the hour key. Give every field of every row a random nonce of 96 bits: one key then serves 2^32 fields (SP 800-38D).
    ///
    /// # Errors
    /// [`OpenSegmentError`].
    pub fn row_key(&self, epoch: KeyEpoch) -> Result<Zeroizing<[u8; KEY_LEN]>, OpenSegmentError> {
        let mut inner = self.lock();
        if inner.state.hour(epoch).is_none() {
            return Err(inner.no_hour_key(epoch));
        }
        let rows = inner.hour_key(epoch)?.derive(ROWS, &[]);
        Ok(Zeroizing::new(*rows.expose()))
    }

    /// The same of a key that may be behind the gate: by the private half of its gate, if that is among `gates`. Never kept in memory here.
    ///
    /// # Errors
    /// [`OpenSegmentError::Gated`] when the half that it needs is not there; as [`Self::row_key`].
    pub fn gated_row_key(
        &self,
        epoch: KeyEpoch,
        gates: &[GateSecret],
    ) -> Result<Zeroizing<[u8; KEY_LEN]>, OpenSegmentError> {
        let inner = self.lock();
        let Some(gated) = inner.state.gated(epoch).cloned() else {
            drop(inner);
            return self.row_key(epoch);
        };
        let gate = gates.iter().find(|gate| gate.gate() == gated.gate).ok_or(OpenSegmentError::Gated)?;
        let rows = inner.gated_hour_key(epoch, &gated, gate)?.derive(ROWS, &[]);
        Ok(Zeroizing::new(*rows.expose()))
    }
}
