//! Secret bytes, where they come from, and the wrap of one key under another.
//!
//! A wrap is AES-256-GCM under a random nonce: nonce 12 | ciphertext 32 | tag 16. The associated data name the key that is
//! wrapped (see [`Context`]), so that a wrap which is put in another place does not open. Random nonces are safe here: a
//! root wraps at most some million keys in its life of a day (the bound of SP 800-38D is 2^32).

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use vms_core::{HoldId, SegmentId};
use zeroize::Zeroizing;

use crate::codec::Writer;
use crate::ids::{KeyEpoch, KeyName, StoreId};

/// Bytes of a key.
pub(crate) const KEY_LEN: usize = 32;
/// Bytes of a wrapped key.
pub(crate) const WRAPPED_LEN: usize = 60;
/// Bytes of an AEAD tag.
pub const TAG_LEN: usize = 16;

/// A wrapped key as it lies on disk.
pub type Wrapped = [u8; WRAPPED_LEN];

/// No randomness to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the source of randomness failed")]
pub struct RandomError;

/// Where keys come from.
pub trait Random: Send + Sync + fmt::Debug {
    /// Fills with bytes that nobody can guess.
    ///
    /// # Errors
    /// [`RandomError`]; then no key is made.
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomError>;
}

/// The kernel's randomness (`getrandom`), for executables to hand in.
#[derive(Debug, Default)]
pub struct SystemRandom(());

impl SystemRandom {
    /// A handle.
    pub const fn new() -> Self {
        Self(())
    }
}

impl Random for SystemRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomError> {
        use ring::rand::SecureRandom as _;
        ring::rand::SystemRandom::new().fill(out).map_err(|_| RandomError)
    }
}

/// 32 secret bytes: wiped on drop, on the heap so that moving it leaves no copy, never shown.
#[derive(Clone)]
pub struct Secret(Box<Zeroizing<[u8; KEY_LEN]>>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl Secret {
    /// All zero; only to be filled.
    pub(crate) fn blank() -> Self {
        Self(Box::new(Zeroizing::new([0; KEY_LEN])))
    }

    /// A fresh key.
    ///
    /// # Errors
    /// [`RandomError`].
    pub fn random(random: &dyn Random) -> Result<Self, RandomError> {
        let mut secret = Self::blank();
        random.fill(secret.0.as_mut_slice())?;
        Ok(secret)
    }

    /// From bytes that the caller wipes.
    pub(crate) fn copy_of(bytes: &[u8; KEY_LEN]) -> Self {
        let mut secret = Self::blank();
        secret.0.copy_from_slice(bytes);
        secret
    }

    /// Both together, byte by byte: a share of a secret hides it as well as the other share is random.
    pub(crate) fn xor(&self, other: &Self) -> Self {
        let mut out = Self::blank();
        for (slot, (one, two)) in out.0.iter_mut().zip(self.0.iter().zip(other.0.iter())) {
            *slot = one ^ two;
        }
        out
    }

    pub(crate) fn expose(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// A key for another use, by HMAC-SHA256 over a label and a context.
    pub(crate) fn derive(&self, label: &[u8], context: &[u8]) -> Self {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.expose());
        let mut message = ring::hmac::Context::with_key(&key);
        message.update(label);
        message.update(&[0]);
        message.update(context);
        let mut out = Self::blank();
        for (slot, byte) in out.0.iter_mut().zip(message.sign().as_ref()) {
            *slot = *byte;
        }
        out
    }
}

/// What a wrap is bound to.
#[derive(Clone, Debug)]
pub(crate) enum Context<'a> {
    /// An hour key under a root (or the key of a backup).
    Hour(Domain, KeyEpoch, &'a KeyName),
    /// The share of a gated hour key under a root (or the key of a backup).
    Gated(Domain, KeyEpoch, &'a KeyName),
    /// The key of a hold under a root (or the key of a backup).
    Hold(Domain, HoldId),
    /// A segment key under its hour key.
    Segment(KeyEpoch, SegmentId),
    /// A segment key under the key of a hold.
    Held(HoldId, KeyEpoch, SegmentId),
    /// A root or backup key under a credential.
    KeyFile(Domain),
}

/// Which kind of key of the top stands over a wrap, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    /// Root generation.
    Root(u32),
    /// Key of backups.
    Backup(u32),
    /// Private half of a gate.
    Gate(u32),
}

impl Domain {
    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::Root(number) | Self::Backup(number) | Self::Gate(number) => number,
        }
    }

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Root(_) => 1,
            Self::Backup(_) => 2,
            Self::Gate(_) => 3,
        }
    }

    pub(crate) const fn from_code(code: u8, number: u32) -> Option<Self> {
        match code {
            1 => Some(Self::Root(number)),
            2 => Some(Self::Backup(number)),
            3 => Some(Self::Gate(number)),
            _ => None,
        }
    }
}

impl Context<'_> {
    fn bytes(&self, store: StoreId) -> Vec<u8> {
        let mut out = Writer::default();
        out.bytes(b"belfry key wrap v1");
        out.bytes(&store.0);
        match self {
            Self::Hour(domain, epoch, name) => {
                out.u8(1);
                out.domain(*domain);
                out.u64(epoch.raw());
                out.name(name);
            }
            Self::Hold(domain, hold) => {
                out.u8(2);
                out.domain(*domain);
                out.bytes(hold.as_bytes());
            }
            Self::Segment(epoch, segment) => {
                out.u8(3);
                out.u64(epoch.raw());
                out.bytes(segment.as_bytes());
            }
            Self::Held(hold, epoch, segment) => {
                out.u8(4);
                out.bytes(hold.as_bytes());
                out.u64(epoch.raw());
                out.bytes(segment.as_bytes());
            }
            Self::KeyFile(domain) => {
                out.u8(5);
                out.domain(*domain);
            }
            Self::Gated(domain, epoch, name) => {
                out.u8(6);
                out.domain(*domain);
                out.u64(epoch.raw());
                out.name(name);
            }
        }
        out.into_vec()
    }
}

/// The wrap does not open: another key, another place, or changed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unopened;

fn cipher(key: &Secret) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.expose()).expect("32 bytes should be an AES-256 key"))
}

/// Wraps `key` under `over`.
pub(crate) fn wrap(
    over: &Secret,
    key: &Secret,
    store: StoreId,
    context: &Context<'_>,
    random: &dyn Random,
) -> Result<Wrapped, RandomError> {
    let mut nonce = [0_u8; 12];
    random.fill(&mut nonce)?;
    let mut body = Zeroizing::new(*key.expose());
    let aad = Aad::from(context.bytes(store));
    let tag = cipher(over)
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, body.as_mut_slice())
        .expect("32 bytes should not be too long to seal");
    let mut out = [0_u8; WRAPPED_LEN];
    for (slot, byte) in out.iter_mut().zip(nonce.iter().chain(body.iter()).chain(tag.as_ref())) {
        *slot = *byte;
    }
    Ok(out)
}

/// Opens a wrap.
pub(crate) fn unwrap(
    over: &Secret,
    wrapped: &Wrapped,
    store: StoreId,
    context: &Context<'_>,
) -> Result<Secret, Unopened> {
    let (nonce, sealed) = wrapped.split_first_chunk::<12>().ok_or(Unopened)?;
    let mut body = Zeroizing::new([0_u8; WRAPPED_LEN - 12]);
    body.copy_from_slice(sealed);
    let aad = Aad::from(context.bytes(store));
    let plain = cipher(over)
        .open_in_place(Nonce::assume_unique_for_key(*nonce), aad, body.as_mut_slice())
        .map_err(|_| Unopened)?;
    let bytes = plain.first_chunk::<KEY_LEN>().ok_or(Unopened)?;
    Ok(Secret::copy_of(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Hour, Scope};
    use vms_core::{CameraId, RetentionClass};

    #[test]
    fn a_wrap_opens_only_in_its_own_place() {
        let random = SystemRandom::new();
        let (over, other) = (Secret::random(&random).unwrap(), Secret::random(&random).unwrap());
        let key = Secret::random(&random).unwrap();
        let store = StoreId([1; 16]);
        let epoch = KeyEpoch::new(9).unwrap();
        let name = |camera: u8, hour: u32| KeyName {
            scope: Scope::Camera(CameraId::from_bytes([camera; 16])),
            class: RetentionClass::parse("RC-VID-OPEN").unwrap(),
            hour: Hour::from_count(hour),
        };
        let (first, second, third) = (name(1, 5), name(2, 5), name(1, 6));
        let context = Context::Hour(Domain::Root(3), epoch, &first);
        let wrapped = wrap(&over, &key, store, &context, &random).unwrap();
        assert_eq!(unwrap(&over, &wrapped, store, &context).unwrap().expose(), key.expose());
        assert!(unwrap(&other, &wrapped, store, &context).is_err());
        assert!(unwrap(&over, &wrapped, StoreId([2; 16]), &context).is_err());
        let segment = SegmentId::from_bytes([4; 16]);
        for wrong in [
            Context::Hour(Domain::Root(4), epoch, &first),
            Context::Hour(Domain::Backup(3), epoch, &first),
            Context::Hour(Domain::Root(3), KeyEpoch::new(8).unwrap(), &first),
            Context::Hour(Domain::Root(3), epoch, &second),
            Context::Hour(Domain::Root(3), epoch, &third),
            Context::Segment(epoch, segment),
            Context::Held(HoldId::from_bytes([1; 16]), epoch, segment),
        ] {
            assert!(unwrap(&over, &wrapped, store, &wrong).is_err(), "{wrong:?}");
        }
        for at in 0..WRAPPED_LEN {
            let mut changed = wrapped;
            changed[at] ^= 1;
            assert!(unwrap(&over, &changed, store, &context).is_err(), "byte {at}");
        }
        assert_eq!(format!("{key:?}"), "Secret(hidden)");
    }
}
