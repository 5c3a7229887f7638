//! Digests of sealed files, and the `ETag` that a store which takes MD5 would give them.

use std::path::Path;

use md5::Digest as _;
use sha2::Sha256;

use crate::name::Digest;

/// Bytes read at once.
const CHUNK: usize = 256 * 1024;

/// SHA-256 over what is fed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hasher(Sha256);

impl Hasher {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn end(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// Digest and length of a file.
pub(crate) async fn of_file(path: &Path) -> std::io::Result<(Digest, u64)> {
    let path = path.to_owned();
    let read = move || {
        use std::io::Read as _;
        let mut file = std::fs::File::open(path)?;
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; CHUNK];
        let mut len = 0_u64;
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                return Ok((hasher.end(), len));
            }
            hasher.feed(buffer.get(..count).unwrap_or_default());
            len = len.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        }
    };
    tokio::task::spawn_blocking(read).await.map_err(std::io::Error::other)?
}

/// The `ETag` by MD5: of the whole for one request, `md5(md5 of each part)-PARTS` for several.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tag {
    parts: Vec<[u8; 16]>,
    is_multipart: bool,
}

impl Tag {
    pub(crate) fn whole(bytes: &[u8]) -> Self {
        Self { parts: vec![md5::Md5::digest(bytes).into()], is_multipart: false }
    }

    pub(crate) fn multipart() -> Self {
        Self { parts: Vec::new(), is_multipart: true }
    }

    pub(crate) fn part(&mut self, bytes: &[u8]) {
        self.parts.push(md5::Md5::digest(bytes).into());
    }

    /// Whether the store's `ETag` says the same content; `None` when it is of another kind.
    pub(crate) fn agrees(&self, etag: &str) -> Option<bool> {
        let etag = etag.trim_matches('"');
        let (digest, count) = match etag.split_once('-') {
            None => (etag, None),
            Some((digest, count)) => (digest, Some(count.parse::<usize>().ok()?)),
        };
        let mut theirs = [0; 16];
        hex::decode_to_slice(digest, &mut theirs).ok()?;
        match count {
            None if !self.is_multipart => Some(self.parts.first() == Some(&theirs)),
            Some(count) if self.is_multipart => {
                let ours: [u8; 16] = md5::Md5::digest(self.parts.concat()).into();
                Some(count == self.parts.len() && ours == theirs)
            }
            None | Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_hashed_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, vec![b'a'; 1_000_000]).unwrap();
        let (digest, len) = of_file(&path).await.unwrap();
        // `head -c 1000000 /dev/zero | tr '\0' a | sha256sum`; also the third vector of FIPS 180-2.
        assert_eq!(digest.to_string(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
        assert_eq!(len, 1_000_000);
        assert!(of_file(&folder.path().join("none")).await.is_err());
    }

    #[test]
    fn etags_agree_differ_or_are_of_another_kind() {
        // RFC 1321: md5("abc").
        let abc = "\"900150983cd24fb0d6963f7d28e17f72\"";
        assert_eq!(Tag::whole(b"abc").agrees(abc), Some(true));
        assert_eq!(Tag::whole(b"abd").agrees(abc), Some(false));
        assert_eq!(Tag::whole(b"abc").agrees("\"900150983cd24fb0d6963f7d28e17f72-1\""), None);
        assert_eq!(Tag::whole(b"abc").agrees("an inode"), None);
        let mut parts = Tag::multipart();
        parts.part(b"abc");
        parts.part(b"d");
        let joined = [md5::Md5::digest(b"abc"), md5::Md5::digest(b"d")].concat();
        let etag = format!("\"{}-2\"", hex::encode(md5::Md5::digest(joined)));
        assert_eq!(parts.agrees(&etag), Some(true));
        assert_eq!(parts.agrees(&etag.replace("-2", "-3")), Some(false));
        assert_eq!(parts.agrees(abc), None);
    }
}
