//! Sealing and opening of records: AES-256-GCM under the key of one segment, the nonce made of the record's number.
//!
//! A nonce must never serve twice under one key. Two rules see to it: a segment key is fresh random for every
//! [`crate::KeyRing::begin_segment`], and a [`SealedWriterKey`] takes numbers only upwards. A segment is never reopened for
//! writing, so no second writer of the same key exists.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use vms_core::SegmentId;

use crate::ids::KeyEpoch;
use crate::secret::{KEY_LEN, Secret, TAG_LEN};

/// Why a record was not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The number was used before, or is smaller than one that was.
    #[error("record number {number} is not above the last one sealed")]
    NumberUsed {
        /// The refused number.
        number: u64,
    },
    /// Longer than AES-GCM may seal (64 GiB).
    #[error("the record is too long to seal")]
    TooLong,
}

/// The record does not open: changed bytes, another record, or another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed record does not open")]
pub struct OpenError;

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0_u8; 12];
    for (slot, byte) in bytes.iter_mut().skip(4).zip(number.to_be_bytes()) {
        *slot = byte;
    }
    Nonce::assume_unique_for_key(bytes)
}

/// An expanded AES key on the heap. `ring` does not wipe its keys: the drop writes another key over it, in place.
struct RecordKey(Box<LessSafeKey>);

fn expand(bytes: &[u8; KEY_LEN]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).expect("32 bytes should be an AES-256 key"))
}

impl RecordKey {
    fn new(key: &Secret) -> Self {
        Self(Box::new(expand(key.expose())))
    }
}

impl Drop for RecordKey {
    fn drop(&mut self) {
        *self.0 = expand(&[0; KEY_LEN]);
        // Keeps the optimiser from leaving out the write to memory that is freed next.
        std::hint::black_box(&self.0);
    }
}

/// What one segment is written with. One writer, one segment; not `Clone`.
pub struct SealedWriterKey {
    segment: SegmentId,
    epoch: KeyEpoch,
    key: RecordKey,
    /// The smallest number that may still be used; `None` after the last one.
    next: Option<u64>,
}

impl fmt::Debug for SealedWriterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedWriterKey({}, epoch {}, hidden)", self.segment, self.epoch)
    }
}

impl SealedWriterKey {
    pub(crate) fn new(segment: SegmentId, epoch: KeyEpoch, key: &Secret) -> Self {
        Self { segment, epoch, key: RecordKey::new(key), next: Some(0) }
    }

    /// The segment.
    pub const fn segment(&self) -> SegmentId {
        self.segment
    }

    /// What the head of the segment has to name.
    pub const fn epoch(&self) -> KeyEpoch {
        self.epoch
    }

    /// Seals a body in place and returns its tag. `aad` stays readable and is covered: give at least segment id, number and
    /// kind of the record. Numbers only go up, gaps are allowed.
    ///
    /// # Errors
    /// [`SealError`]; the body is untouched.
    pub fn seal_in_place(&mut self, number: u64, aad: &[u8], body: &mut [u8]) -> Result<[u8; TAG_LEN], SealError> {
        if self.next.is_none_or(|next| number < next) {
            return Err(SealError::NumberUsed { number });
        }
        self.next = number.checked_add(1);
        let tag = self
            .key
            .0
            .seal_in_place_separate_tag(nonce(number), Aad::from(aad), body)
            .map_err(|_| SealError::TooLong)?;
        tag.as_ref().try_into().map_err(|_| SealError::TooLong)
    }

    /// Seals a body and appends its tag.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal(&mut self, number: u64, aad: &[u8], body: &mut Vec<u8>) -> Result<(), SealError> {
        let tag = self.seal_in_place(number, aad, body)?;
        body.extend_from_slice(&tag);
        Ok(())
    }
}

/// What one segment is read with.
pub struct SegmentOpener {
    segment: SegmentId,
    key: RecordKey,
    under_hold: bool,
}

impl fmt::Debug for SegmentOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentOpener({}, hidden)", self.segment)
    }
}

impl SegmentOpener {
    pub(crate) fn new(segment: SegmentId, key: &Secret, under_hold: bool) -> Self {
        Self { segment, key: RecordKey::new(key), under_hold }
    }

    /// The segment.
    pub const fn segment(&self) -> SegmentId {
        self.segment
    }

    /// Only a hold keeps it readable: its hour key is gone.
    pub const fn is_under_hold(&self) -> bool {
        self.under_hold
    }

    /// Opens a sealed body (ciphertext, then tag) in place; the answer is the plain part of the same memory.
    ///
    /// # Errors
    /// [`OpenError`]; then the body holds nothing of use.
    pub fn open_in_place<'a>(&self, number: u64, aad: &[u8], sealed: &'a mut [u8]) -> Result<&'a mut [u8], OpenError> {
        self.key.0.open_in_place(nonce(number), Aad::from(aad), sealed).map_err(|_| OpenError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SystemRandom;

    #[test]
    fn a_record_opens_only_as_what_it_was_sealed() {
        let key = Secret::random(&SystemRandom::new()).unwrap();
        let segment = SegmentId::from_bytes([1; 16]);
        let mut writer = SealedWriterKey::new(segment, KeyEpoch::new(1).unwrap(), &key);
        let opener = SegmentOpener::new(segment, &key, false);
        let mut sealed = b"a frame".to_vec();
        writer.seal(3, b"head", &mut sealed).unwrap();
        assert_eq!(sealed.len(), 7 + TAG_LEN);
        assert_eq!(opener.open_in_place(3, b"head", &mut sealed.clone()).unwrap(), b"a frame");
        assert!(opener.open_in_place(4, b"head", &mut sealed.clone()).is_err());
        assert!(opener.open_in_place(3, b"heaD", &mut sealed.clone()).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 0x80;
            assert!(opener.open_in_place(3, b"head", &mut changed).is_err(), "byte {at}");
            assert!(opener.open_in_place(3, b"head", &mut sealed[..at].to_vec()).is_err(), "cut at {at}");
        }
        assert!(!format!("{writer:?} {opener:?}").contains("LessSafe"));
    }

    #[test]
    fn a_number_never_serves_twice() {
        let key = Secret::random(&SystemRandom::new()).unwrap();
        let mut writer = SealedWriterKey::new(SegmentId::from_bytes([1; 16]), KeyEpoch::new(1).unwrap(), &key);
        let mut seal = |number| writer.seal(number, b"", &mut vec![1, 2, 3]);
        for (number, works) in [(0, true), (0, false), (1, true), (9, true), (8, false), (9, false), (u64::MAX, true)] {
            assert_eq!(seal(number).is_ok(), works, "{number}");
        }
        assert_eq!(seal(u64::MAX), Err(SealError::NumberUsed { number: u64::MAX }));
    }

    #[test]
    fn the_same_bytes_as_an_independent_aes_gcm() {
        use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
        let key = Secret::copy_of(&[7; KEY_LEN]);
        let mut writer = SealedWriterKey::new(SegmentId::from_bytes([1; 16]), KeyEpoch::new(1).unwrap(), &key);
        let mut ours = b"one group of pictures".to_vec();
        writer.seal(258, b"aad", &mut ours).unwrap();
        let theirs = aes_gcm::Aes256Gcm::new_from_slice(&[7; KEY_LEN])
            .unwrap()
            .encrypt(
                &aes_gcm::Nonce::from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]),
                Payload { msg: b"one group of pictures", aad: b"aad" },
            )
            .unwrap();
        assert_eq!(ours, theirs);
    }
}
