//! Seals, the tokens that outlive an hour, and what becomes of a row that is damaged.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use vms_app::ports::store::Stored;
use vms_app::ports::{StoreError, random_bytes};
use vms_core::{Purpose, WallTime};
use zeroize::Zeroizing;

use super::LezVault;
use super::keys::KeyId;

const NONCE: usize = 12;
const QUERY_LABEL: &str = "belfry log query v1";
const HOUR_US: i64 = 3_600_000_000;
/// Damaged rows that are remembered, so that each is told once an hour.
const DAMAGED_MAX: usize = 1_000;

/// A key in clear; overwritten when dropped.
pub(super) type Key = Zeroizing<[u8; 32]>;

/// Hours since 1970.
pub(super) const fn hour_of(at: WallTime) -> i64 {
    at.micros.div_euclid(HOUR_US)
}

/// Nothing about the cause: a seal that does not open is a wrong root secret or a damaged row.
pub(super) fn broken() -> StoreError {
    StoreError::Internal("a sealed value does not open: wrong root secret, or a damaged row".into())
}

/// Damaged rows that somebody met in this hour, and in the one before.
#[derive(Debug, Default)]
pub(super) struct Damaged {
    rows: BTreeSet<String>,
    before: BTreeSet<String>,
    since: Option<WallTime>,
}

impl LezVault {
    /// Leaves a damaged row out: one whose seal does not open, or has nonsense in it, holds up no other. It is told once an hour, and as an alarm
    /// until nobody has met it for an hour.
    pub(super) fn whole<T>(&self, made: Stored<T>, table: &str, id: &str) -> Option<T> {
        let noted = made.inspect_err(|error| {
            let mut damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
            if damaged.rows.len() < DAMAGED_MAX && damaged.rows.insert(format!("{table} {id}")) {
                tracing::error!(%error, table, id, "a damaged row is left out");
                if damaged.rows.len() == DAMAGED_MAX {
                    tracing::error!("so many rows are damaged that no more are named in this hour");
                }
            }
        });
        noted.ok()
    }

    /// How many were met in this hour and the one before, and whether another hour began.
    pub(super) fn damaged_lately(&self, now: WallTime) -> (u64, bool) {
        let mut damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        let since = *damaged.since.get_or_insert(now);
        let is_over = now < since || now.micros_since(since) >= HOUR_US;
        if is_over {
            let before = std::mem::take(&mut damaged.rows);
            *damaged = Damaged { rows: BTreeSet::new(), before, since: Some(now) };
        }
        let count = damaged.rows.union(&damaged.before).count();
        (u64::try_from(count).unwrap_or(u64::MAX), is_over && count > 0)
    }

    pub(super) fn derived(&self, label: &str) -> Key {
        let mut out = Zeroizing::new([0_u8; 32]);
        Hkdf::<Sha256>::new(None, &*self.root)
            .expand(label.as_bytes(), &mut *out)
            .expect("32 bytes should be a length that HKDF-SHA256 gives");
        out
    }

    /// Keyed hash of some words, 64 hexadecimal digits; the key is the purpose's and the first word's own.
    pub(super) fn token(&self, purpose: Purpose, words: &[&str]) -> String {
        let label = format!("belfry reads token v1|{}|{}", purpose.as_str(), words.first().unwrap_or(&""));
        let key = self.derived(&label);
        let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&*key).expect("HMAC should take any key length");
        for word in words.iter().skip(1) {
            mac.update(&u64::try_from(word.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(word.as_bytes());
        }
        hex::encode(mac.finalize().into_bytes())
    }

    pub(super) fn seal_raw(&self, key: &[u8; 32], aad: &[u8], clear: &[u8]) -> Stored<Vec<u8>> {
        let nonce: [u8; NONCE] = random_bytes(self.ids.as_ref());
        let cipher = Aes256Gcm::new_from_slice(key).map_err(|_| broken())?;
        let sealed = cipher.encrypt(&Nonce::from(nonce), Payload { msg: clear, aad }).map_err(|_| broken())?;
        let mut out = Vec::with_capacity(NONCE + sealed.len());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&sealed);
        Ok(out)
    }

    /// Seals the text of a query for the log, whose details have a term of their own: under no hour's key.
    pub(super) fn seal_query(&self, text: &str) -> Stored<String> {
        let sealed = self.seal_raw(&self.derived(QUERY_LABEL), QUERY_LABEL.as_bytes(), text.as_bytes())?;
        Ok(hex::encode(sealed))
    }

    /// Opens it.
    pub(super) fn open_query(&self, sealed: &str) -> Stored<String> {
        let sealed = hex::decode(sealed).map_err(|_| broken())?;
        let clear = Zeroizing::new(open_raw(&self.derived(QUERY_LABEL), QUERY_LABEL.as_bytes(), &sealed)?);
        std::str::from_utf8(&clear).map(ToOwned::to_owned).map_err(|_| broken())
    }

    /// Seals one field of one row.
    pub(super) fn seal(&self, key: &Key, id: &KeyId, object: &str, field: &str, clear: &[u8]) -> Stored<Vec<u8>> {
        self.seal_raw(key, &id.aad(object, field), clear)
    }

    /// Opens one field of one row.
    pub(super) fn open(key: &Key, id: &KeyId, object: &str, field: &str, sealed: &[u8]) -> Stored<Vec<u8>> {
        open_raw(key, &id.aad(object, field), sealed)
    }
}

pub(super) fn open_raw(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Stored<Vec<u8>> {
    let (nonce, body) = sealed.split_at_checked(NONCE).ok_or_else(broken)?;
    let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| broken())?;
    let cipher = Aes256Gcm::new_from_slice(key).map_err(|_| broken())?;
    cipher.decrypt(&Nonce::from(nonce), Payload { msg: body, aad }).map_err(|_| broken())
}
