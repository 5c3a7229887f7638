//! Rows of a database under hour keys: plate reads, questions, findings. The row holds the number of its key; the key stays here.

use vms_core::WallTime;
use zeroize::Zeroizing;

use crate::error::{KeyError, OpenSegmentError};
use crate::ids::{KeyEpoch, KeyName};
use crate::keyring::KeyRing;
use crate::secret::KEY_LEN;

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
        let rows = inner.hour_key(epoch)?.derive(b"belfry rows v1", &[]);
        Ok(Zeroizing::new(*rows.expose()))
    }
}
