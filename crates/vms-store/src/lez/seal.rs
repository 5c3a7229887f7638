//! Keys, seals and tokens.

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use sqlx::{Any, Executor, Row as _};
use vms_app::ports::store::Stored;
use vms_app::ports::{StoreError, random_bytes};
use vms_core::{FindingId, Purpose, WallTime};
use zeroize::Zeroizing;

use super::LezVault;
use crate::bounded::Writing;
use crate::db::db_error;

const NONCE: usize = 12;
const HOUR_US: i64 = 3_600_000_000;

/// A key in clear; overwritten when dropped.
pub(super) type Key = Zeroizing<[u8; 32]>;

/// Names one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct KeyId {
    pub(super) purpose: &'static str,
    pub(super) class: String,
    pub(super) hour: i64,
    pub(super) object: String,
}

impl KeyId {
    /// Of reads of an hour.
    pub(super) fn hour(purpose: Purpose, class: &str, hour: i64) -> Self {
        Self { purpose: purpose.as_str(), class: class.to_owned(), hour, object: String::new() }
    }

    /// Of one finding.
    pub(super) fn finding(class: &str, id: FindingId) -> Self {
        Self { purpose: Purpose::Lez.as_str(), class: class.to_owned(), hour: 0, object: id.to_string() }
    }

    /// Of the questions of an hour. What was asked names conforming vehicles too, hence their class.
    pub(super) fn asks(hour: i64) -> Self {
        Self { purpose: Purpose::Lez.as_str(), class: "RC-LEZ-OK".to_owned(), hour, object: "asks".to_owned() }
    }

    fn aad(&self, object: &str, field: &str) -> Vec<u8> {
        format!("{}|{}|{}|{}|{object}|{field}", self.purpose, self.class, self.hour, self.object).into_bytes()
    }
}

/// Hours since 1970.
pub(super) const fn hour_of(at: WallTime) -> i64 {
    at.micros.div_euclid(HOUR_US)
}

/// Nothing about the cause: a seal that does not open is a wrong root secret or a damaged row.
fn broken() -> StoreError {
    StoreError::Internal("a sealed value does not open: wrong root secret, or a damaged row".into())
}

impl LezVault {
    fn derived(&self, label: &str) -> Key {
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

    fn seal_raw(&self, key: &[u8; 32], aad: &[u8], clear: &[u8]) -> Stored<Vec<u8>> {
        let nonce: [u8; NONCE] = random_bytes(self.ids.as_ref());
        let cipher = Aes256Gcm::new_from_slice(key).map_err(|_| broken())?;
        let sealed = cipher.encrypt(&Nonce::from(nonce), Payload { msg: clear, aad }).map_err(|_| broken())?;
        let mut out = Vec::with_capacity(NONCE + sealed.len());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&sealed);
        Ok(out)
    }

    /// Seals one field of one row.
    pub(super) fn seal(&self, key: &Key, id: &KeyId, object: &str, field: &str, clear: &[u8]) -> Stored<Vec<u8>> {
        self.seal_raw(key, &id.aad(object, field), clear)
    }

    /// Opens one field of one row.
    pub(super) fn open(key: &Key, id: &KeyId, object: &str, field: &str, sealed: &[u8]) -> Stored<Vec<u8>> {
        open_raw(key, &id.aad(object, field), sealed)
    }

    /// The key, when it still exists.
    pub(super) async fn key<'e>(&self, executor: impl Executor<'e, Database = Any>, id: &KeyId) -> Stored<Option<Key>> {
        let row =
            sqlx::query("select wrapped from lez_key where purpose = $1 and class = $2 and hour = $3 and object = $4")
                .bind(id.purpose)
                .bind(id.class.clone())
                .bind(id.hour)
                .bind(id.object.clone())
                .fetch_optional(executor)
                .await
                .map_err(db_error)?;
        let Some(row) = row else { return Ok(None) };
        let wrapped: Vec<u8> = row.try_get("wrapped").map_err(db_error)?;
        let clear = Zeroizing::new(open_raw(&self.derived("belfry reads wrap v1"), &id.aad("", "key"), &wrapped)?);
        let key: [u8; 32] = clear.as_slice().try_into().map_err(|_| broken())?;
        Ok(Some(Zeroizing::new(key)))
    }

    /// The key, made when there is none.
    pub(super) async fn key_or_make(&self, conn: &mut Writing<'_>, id: &KeyId, ends_at: WallTime) -> Stored<Key> {
        if let Some(key) = self.key(&mut *conn, id).await? {
            return Ok(key);
        }
        let key: Key = Zeroizing::new(random_bytes(self.ids.as_ref()));
        let wrapped = self.seal_raw(&self.derived("belfry reads wrap v1"), &id.aad("", "key"), &*key)?;
        sqlx::query(
            "insert into lez_key (purpose, class, hour, object, wrapped, ends_at_us) values ($1, $2, $3, $4, $5, $6)
             on conflict (purpose, class, hour, object) do nothing",
        )
        .bind(id.purpose)
        .bind(id.class.clone())
        .bind(id.hour)
        .bind(id.object.clone())
        .bind(wrapped)
        .bind(ends_at.micros)
        .execute(&mut *conn)
        .await
        .map_err(db_error)?;
        // Another process may have been first.
        self.key(conn, id).await?.ok_or_else(broken)
    }
}

fn open_raw(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Stored<Vec<u8>> {
    let (nonce, body) = sealed.split_at_checked(NONCE).ok_or_else(broken)?;
    let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| broken())?;
    let cipher = Aes256Gcm::new_from_slice(key).map_err(|_| broken())?;
    cipher.decrypt(&Nonce::from(nonce), Payload { msg: body, aad }).map_err(|_| broken())
}
