//! Files that hold a key of the top: `root-GGGGGGGG.key`, `backup-NNNNNNNN.key`, `gate-NNNNNNNN.key`. All integers big endian.
//!
//! ```text
//! magic "BELFROOT" 8 | version u16 | top key: kind u8 (1 root, 2 backup, 3 gate), number u32 | store 16 | made at µs i64 | protection u8
//! | key: 60 bytes | check 16
//! ```
//! Protection 0: the key in clear (28 bytes of zeros after it), the file's mode 0600 is all that guards it. Protection 1: the
//! key wrapped under a credential that the machine gives the program at start (`systemd-creds`, by TPM2 where there is one).

use std::fmt;
use std::path::Path;

use vms_core::WallTime;
use zeroize::Zeroizing;

use crate::codec::{CHECK_LEN, Reader, Writer, check};
use crate::disk::Disk;
use crate::error::KeyError;
use crate::ids::StoreId;
use crate::secret::{Context, Domain, KEY_LEN, Random, RandomError, Secret, WRAPPED_LEN, unwrap, wrap};

const MAGIC: &[u8; 8] = b"BELFROOT";
const VERSION: u16 = 1;
/// Bytes of such a file.
pub(crate) const FILE_LEN: usize = 116;
/// A credential shorter than this is refused.
const CREDENTIAL_MIN: usize = 32;

/// What guards the root files.
#[derive(Clone, Default)]
pub enum Protection {
    /// Mode 0600 and nothing else: whoever has the disk has the root.
    #[default]
    FileMode,
    /// A secret that is not on the disk in clear.
    Credential(Credential),
    /// Another credential takes over: opens with either, writes with the new one. Open with `is_fresh`.
    Change {
        /// The one that goes.
        from: Credential,
        /// The one that comes.
        to: Credential,
    },
}

impl fmt::Debug for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FileMode => "FileMode",
            Self::Credential(_) => "Credential(hidden)",
            Self::Change { .. } => "Change(hidden)",
        })
    }
}

impl Protection {
    /// The credentials that may open a root, the one that writes it first.
    fn credentials(&self) -> Vec<&Credential> {
        match self {
            Self::FileMode => Vec::new(),
            Self::Credential(credential) => vec![credential],
            Self::Change { from, to } => vec![to, from],
        }
    }
}

/// A secret handed over by the service manager.
#[derive(Clone)]
pub struct Credential(Secret);

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(hidden)")
    }
}

impl Credential {
    /// From a file that the service manager made, such as `$CREDENTIALS_DIRECTORY/belfry-root`: at least 32 bytes, all of
    /// them count.
    ///
    /// # Errors
    /// [`KeyError::Credential`] when it is too short; [`KeyError::Io`].
    pub fn read(disk: &dyn Disk, path: &Path) -> Result<Self, KeyError> {
        let bytes = disk.read(path).map(Zeroizing::new).map_err(|error| KeyError::io("the credential", error))?;
        Self::from_bytes(&bytes)
    }

    /// From bytes that the caller wipes.
    ///
    /// # Errors
    /// [`KeyError::Credential`] when there are fewer than 32.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.len() < CREDENTIAL_MIN {
            return Err(KeyError::Credential);
        }
        let digest =
            ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"belfry root credential v1"), bytes);
        let mut key = Zeroizing::new([0_u8; KEY_LEN]);
        key.iter_mut().zip(digest.as_ref()).for_each(|(slot, byte)| *slot = *byte);
        Ok(Self(Secret::copy_of(&key)))
    }
}

/// One such file, opened.
#[derive(Debug, Clone)]
pub(crate) struct KeyFile {
    pub(crate) domain: Domain,
    pub(crate) store: StoreId,
    pub(crate) made_at: WallTime,
    pub(crate) key: Secret,
}

/// Why one does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyFileError {
    /// Not such a file, or changed bytes.
    Damaged,
    /// Sealed under another credential, or under one at all.
    Protected,
}

impl KeyFile {
    pub(crate) fn bytes(&self, over: &Protection, random: &dyn Random) -> Result<Zeroizing<Vec<u8>>, RandomError> {
        let mut out = Writer::default();
        out.bytes(MAGIC);
        out.u16(VERSION);
        out.domain(self.domain);
        out.bytes(&self.store.0);
        out.time(self.made_at);
        if let Some(credential) = over.credentials().first() {
            out.u8(1);
            out.bytes(&wrap(&credential.0, &self.key, self.store, &Context::KeyFile(self.domain), random)?);
        } else {
            out.u8(0);
            out.bytes(self.key.expose());
            out.bytes(&[0; WRAPPED_LEN - KEY_LEN]);
        }
        let sum = check(&[out.as_slice()]);
        out.bytes(&sum);
        Ok(Zeroizing::new(out.into_vec()))
    }

    pub(crate) fn read(bytes: &[u8], over: &Protection) -> Result<Self, KeyFileError> {
        let whole = bytes.first_chunk::<FILE_LEN>().filter(|whole| whole.len() == bytes.len());
        let (plain, sum) = whole.ok_or(KeyFileError::Damaged)?.split_at(FILE_LEN - CHECK_LEN);
        if check(&[plain]) != *sum {
            return Err(KeyFileError::Damaged);
        }
        Self::fields(plain, over).ok_or(KeyFileError::Damaged)?
    }

    fn fields(plain: &[u8], over: &Protection) -> Option<Result<Self, KeyFileError>> {
        let mut reader = Reader::new(plain);
        if reader.array::<8>()? != *MAGIC || reader.u16()? != VERSION {
            return None;
        }
        let domain = reader.domain()?;
        let store = StoreId(reader.array()?);
        let made_at = reader.time()?;
        let protection = reader.u8()?;
        let body = Zeroizing::new(reader.array::<WRAPPED_LEN>()?);
        let key = match protection {
            0 => Some(Secret::copy_of(body.first_chunk::<KEY_LEN>()?)),
            1 => {
                let opened =
                    |credential: &Credential| unwrap(&credential.0, &body, store, &Context::KeyFile(domain)).ok();
                over.credentials().into_iter().find_map(opened)
            }
            _ => return None,
        };
        let Some(key) = key else { return Some(Err(KeyFileError::Protected)) };
        Some(Ok(Self { domain, store, made_at, key }))
    }
}

/// Name of the file.
pub(crate) fn file_name(domain: Domain) -> String {
    match domain {
        Domain::Root(number) => format!("root-{number:08x}.key"),
        Domain::Backup(number) => format!("backup-{number:08x}.key"),
        Domain::Gate(number) => format!("gate-{number:08x}.key"),
    }
}

/// The number in a name `PREFIX-NNNNNNNN.SUFFIX`.
pub(crate) fn number_in(name: &str, prefix: &str, suffix: &str) -> Option<u32> {
    let digits = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
    let is_plain = digits.len() == 8 && digits.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
    is_plain.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

/// Feeds foreign bytes to the reader of key files (fuzz target and corpus test).
pub fn fuzz_key_file(data: &[u8]) {
    let credential = Credential::from_bytes(&[3; 40]).expect("40 bytes should do");
    for over in [Protection::FileMode, Protection::Credential(credential)] {
        drop(KeyFile::read(data, &over));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SystemRandom;

    #[test]
    fn a_key_file_opens_only_unchanged_and_under_its_credential() {
        let random = SystemRandom::new();
        let key = Secret::random(&random).unwrap();
        let file = KeyFile { domain: Domain::Root(7), store: StoreId([5; 16]), made_at: WallTime::from_secs(9), key };
        let credential = |byte| Protection::Credential(Credential::from_bytes(&[byte; 32]).unwrap());
        for (written, read, works) in [
            (Protection::FileMode, Protection::FileMode, true),
            (Protection::FileMode, credential(1), true),
            (credential(1), credential(1), true),
            (credential(1), credential(2), false),
            (credential(1), Protection::FileMode, false),
        ] {
            let bytes = file.bytes(&written, &random).unwrap();
            let back = KeyFile::read(&bytes, &read);
            assert_eq!(back.is_ok(), works);
            if let Ok(back) = back {
                assert_eq!((back.key.expose(), back.domain), (file.key.expose(), file.domain));
            }
            let clear = bytes.windows(KEY_LEN).any(|window| window == file.key.expose());
            assert_eq!(clear, matches!(written, Protection::FileMode));
            for at in 0..bytes.len() {
                let mut changed = bytes.to_vec();
                changed[at] ^= 4;
                assert_eq!(KeyFile::read(&changed, &read).unwrap_err(), KeyFileError::Damaged, "byte {at}");
                assert!(KeyFile::read(&bytes[..at], &read).is_err());
                fuzz_key_file(&changed);
            }
        }
        assert!(Credential::from_bytes(&[1; 31]).is_err());
        assert_eq!(number_in("root-0000001f.key", "root-", ".key"), Some(31));
        for name in ["root-1f.key", "root-0000001F.key", "root-0000001f.key.tmp", "root-+000001f.key"] {
            assert_eq!(number_in(name, "root-", ".key"), None, "{name}");
        }
    }
}
