//! Sealed boxes for camera credentials: anybody can seal to a recorder's public key, only the recorder opens.
//!
//! Text form: base64 (standard, padded) of ephemeral X25519 public key 32 | nonce 12 | AES-256-GCM ciphertext and tag.
//! Key: HKDF-SHA256 over the shared secret, salt ephemeral public | recorder public, info `belfry sealed box v1`.
//! The plain text of a credential is `user:password`; the user name holds no colon.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use aes_gcm::aead::{Aead as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

const INFO: &[u8] = b"belfry sealed box v1";

/// Why a box was not made or not opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The public key is not 32 bytes of hexadecimal, or a point that gives no secret.
    #[error("not a public key of a recorder")]
    Key,
    /// Not a sealed box, or sealed to another key, or changed.
    #[error("the sealed box does not open")]
    Box,
    /// The key file.
    #[error("the key file cannot be read or made")]
    File(#[from] std::io::Error),
}

fn cipher(secret: &StaticSecret, theirs: &PublicKey, salt: &[u8; 64]) -> Result<Aes256Gcm, SealError> {
    let shared = secret.diffie_hellman(theirs);
    if !shared.was_contributory() {
        return Err(SealError::Key);
    }
    let mut key = Zeroizing::new([0_u8; 32]);
    Hkdf::<Sha256>::new(Some(salt), shared.as_bytes()).expand(INFO, &mut *key).map_err(|_| SealError::Key)?;
    Aes256Gcm::new_from_slice(&*key).map_err(|_| SealError::Key)
}

fn salt(ephemeral: &[u8; 32], recorder: &[u8; 32]) -> [u8; 64] {
    let mut both = [0_u8; 64];
    for (slot, byte) in both.iter_mut().zip(ephemeral.iter().chain(recorder)) {
        *slot = *byte;
    }
    both
}

/// Seals to a recorder's public key (64 hexadecimal digits, `RecorderInfo.seal_key`).
///
/// # Errors
/// [`SealError::Key`].
pub fn seal(public_hex: &str, plaintext: &[u8]) -> Result<String, SealError> {
    let mut recorder = [0_u8; 32];
    hex::decode_to_slice(public_hex, &mut recorder).map_err(|_| SealError::Key)?;
    let ephemeral = StaticSecret::from(rand::random::<[u8; 32]>());
    let public = PublicKey::from(&ephemeral).to_bytes();
    let cipher = cipher(&ephemeral, &PublicKey::from(recorder), &salt(&public, &recorder))?;
    let nonce: [u8; 12] = rand::random();
    let sealed = cipher.encrypt(&Nonce::from(nonce), plaintext).map_err(|_| SealError::Box)?;
    let mut out = Vec::with_capacity(44 + sealed.len());
    out.extend_from_slice(&public);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&sealed);
    Ok(STANDARD.encode(out))
}

/// The recorder's own key.
pub struct SealKey {
    secret: StaticSecret,
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(hidden)")
    }
}

impl SealKey {
    /// From 32 secret bytes.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self { secret: StaticSecret::from(seed) }
    }

    /// Reads the key file, or makes it (mode 0600) at the first start.
    ///
    /// # Errors
    /// [`SealError::File`], [`SealError::Key`] when the file holds something else.
    pub fn load_or_make(path: &Path) -> Result<Self, SealError> {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let text = Zeroizing::new(text);
                let mut seed = Zeroizing::new([0_u8; 32]);
                hex::decode_to_slice(text.trim(), &mut *seed).map_err(|_| SealError::Key)?;
                Ok(Self::from_seed(*seed))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let seed = Zeroizing::new(rand::random::<[u8; 32]>());
                let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
                let text = Zeroizing::new(hex::encode(*seed));
                file.write_all(text.as_bytes())?;
                file.sync_all()?;
                if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                    std::fs::File::open(folder)?.sync_all()?;
                }
                Ok(Self::from_seed(*seed))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What others seal to, 64 hexadecimal digits.
    pub fn public_hex(&self) -> String {
        hex::encode(PublicKey::from(&self.secret).to_bytes())
    }

    /// Opens a box.
    ///
    /// # Errors
    /// [`SealError::Box`].
    pub fn open(&self, sealed: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let raw = STANDARD.decode(sealed).map_err(|_| SealError::Box)?;
        let (public, rest) = raw.split_first_chunk::<32>().ok_or(SealError::Box)?;
        let (nonce, sealed) = rest.split_first_chunk::<12>().ok_or(SealError::Box)?;
        let own = PublicKey::from(&self.secret).to_bytes();
        let cipher =
            cipher(&self.secret, &PublicKey::from(*public), &salt(public, &own)).map_err(|_| SealError::Box)?;
        cipher.decrypt(&Nonce::from(*nonce), sealed).map(Zeroizing::new).map_err(|_| SealError::Box)
    }

    /// Opens a credential: user and password.
    ///
    /// # Errors
    /// [`SealError::Box`].
    pub fn open_credentials(&self, sealed: &str) -> Result<(String, String), SealError> {
        let plain = self.open(sealed)?;
        let text = std::str::from_utf8(&plain).map_err(|_| SealError::Box)?;
        let (user, password) = text.split_once(':').ok_or(SealError::Box)?;
        Ok((user.to_owned(), password.to_owned()))
    }
}

/// Feeds foreign text to the reader (fuzz target and corpus test).
pub fn fuzz_sealed_box(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        drop(SealKey::from_seed([1; 32]).open_credentials(text));
        drop(seal(text, b"x"));
    }
    drop(SealKey::from_seed([1; 32]).open(&STANDARD.encode(data)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_key_opens_an_unchanged_box() {
        let key = SealKey::from_seed([3; 32]);
        let sealed = seal(&key.public_hex(), b"admin:a:b").unwrap();
        assert_eq!(key.open_credentials(&sealed).unwrap(), ("admin".to_owned(), "a:b".to_owned()));
        assert!(SealKey::from_seed([4; 32]).open(&sealed).is_err());
        let raw = STANDARD.decode(&sealed).unwrap();
        for at in 0..raw.len() {
            let mut changed = raw.clone();
            changed[at] ^= 1;
            // The top bit of a public key is ignored by X25519, but stands in the salt.
            assert!(key.open(&STANDARD.encode(&changed)).is_err(), "byte {at}");
            assert!(key.open(&STANDARD.encode(&raw[..at])).is_err(), "cut at {at}");
        }
        for public in ["", "zz", &"00".repeat(32)] {
            assert!(seal(public, b"x").is_err());
        }
        for data in [&b""[..], b"====", &[0xff; 80], b"AAAA"] {
            fuzz_sealed_box(data);
        }
    }

    #[test]
    fn the_key_file_is_made_once_and_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seal.key");
        let made = SealKey::load_or_make(&path).unwrap().public_hex();
        assert_eq!(SealKey::load_or_make(&path).unwrap().public_hex(), made);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
