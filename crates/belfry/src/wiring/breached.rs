//! Breached passwords: a file of SHA-1 digests in rising order, one a line, as the "Pwned Passwords" downloader writes it
//! (`HASH:COUNT`, haveibeenpwned.com/Passwords), searched where it lies. Nothing of a password leaves the machine.

use std::cmp::Ordering;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::Context as _;
use vms_app::identity::BreachedPasswords;

/// Digits of a SHA-1.
const DIGITS: usize = 40;
/// Longest line, with its end: the digest, a colon, and a count of up to twenty digits leave room.
const LINE_MAX: usize = 96;

/// The file, held open: the process may not open it later.
#[derive(Debug)]
pub(crate) struct BreachedFile {
    file: File,
    /// Without line ends at the end.
    len: u64,
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl BreachedFile {
    /// Opens a file and looks at its first and last line.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let said = || format!("identity.breached_passwords: {}", path.display());
        let file = File::open(path).with_context(said)?;
        let whole = file.metadata().with_context(said)?.len();
        let mut one = Self { file, len: whole };
        one.len = one.trimmed(whole).with_context(said)?;
        anyhow::ensure!(one.len > 0, "{}: it is empty", said());
        let first = one.line_at(0).with_context(said)?.1;
        let last = one.line_at(one.len - 1).with_context(said)?.1;
        anyhow::ensure!(first <= last, "{}: its lines are not in rising order", said());
        Ok(one)
    }

    fn read(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut out = vec![0; length];
        self.file.read_exact_at(&mut out, at)?;
        Ok(out)
    }

    /// The length without line ends at the end; at most one such end is there.
    fn trimmed(&self, whole: u64) -> io::Result<u64> {
        let tail = self.read(whole.saturating_sub(2), usize::try_from(whole.min(2)).unwrap_or(2))?;
        let ends = tail.iter().rev().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        Ok(whole - u64::try_from(ends).unwrap_or(0))
    }

    /// The line that holds the byte at an offset: where it begins, its digest, and where the next one begins.
    fn line_at(&self, at: u64) -> io::Result<(u64, [u8; 20], u64)> {
        let back = u64::try_from(LINE_MAX).unwrap_or(0);
        let from = at.saturating_sub(back);
        let upto = at.saturating_add(back).min(self.len);
        let window = self.read(from, usize::try_from(upto - from).unwrap_or(0))?;
        let (head, tail) = window.split_at(usize::try_from(at - from).unwrap_or(0));
        let begin = head.iter().rposition(|byte| *byte == b'\n').map(|place| place + 1);
        let begin = match begin {
            Some(begin) => begin,
            None if from == 0 => 0,
            None => return Err(bad("a line is too long")),
        };
        let end = tail.iter().position(|byte| *byte == b'\n').map(|place| head.len() + place);
        let (end, next) = match end {
            Some(end) => (end, from + u64::try_from(end + 1).unwrap_or(0)),
            None if upto == self.len => (window.len(), self.len),
            None => return Err(bad("a line is too long")),
        };
        let line = window.get(begin..end).unwrap_or_default();
        let digits = line.get(..DIGITS).ok_or_else(|| bad("a line is no SHA-1"))?;
        let is_whole = matches!(line.get(DIGITS), None | Some(b':' | b'\r'));
        let mut digest = [0; 20];
        let reads = hex::decode_to_slice(digits, &mut digest).is_ok();
        if !reads || !is_whole {
            return Err(bad("a line is no SHA-1"));
        }
        Ok((from + u64::try_from(begin).unwrap_or(0), digest, next))
    }
}

impl BreachedPasswords for BreachedFile {
    fn holds(&self, sha1: &[u8; 20]) -> io::Result<bool> {
        // Both are where a line begins, or the end.
        let (mut low, mut high) = (0, self.len);
        while low < high {
            let (begin, found, next) = self.line_at(low + (high - low) / 2)?;
            match found.cmp(sha1) {
                Ordering::Equal => return Ok(true),
                Ordering::Less => low = next,
                Ordering::Greater => high = begin,
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn file(text: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pwned.txt");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    fn digest(n: u32) -> [u8; 20] {
        let mut out = [0; 20];
        out[..4].copy_from_slice(&n.to_be_bytes());
        out
    }

    proptest! {
        #[test]
        fn what_is_in_the_file_is_found_and_nothing_else(
            held in proptest::collection::btree_set(0..2_000_u32, 1..300),
            count in proptest::option::of(0..99_999_999_u64), crlf in any::<bool>(), ends in any::<bool>(), upper in any::<bool>(),
        ) {
            let line = |n: &u32| {
                let digits = hex::encode(digest(*n));
                let digits = if upper { digits.to_uppercase() } else { digits };
                count.map_or(digits.clone(), |count| format!("{digits}:{}", count / (u64::from(*n) + 1)))
            };
            let end = if crlf { "\r\n" } else { "\n" };
            let lines: Vec<String> = held.iter().map(line).collect();
            let text = format!("{}{}", lines.join(end), if ends { end } else { "" });
            let (_dir, path) = file(text.as_bytes());
            let one = BreachedFile::open(&path).unwrap();
            let found: BTreeSet<u32> = (0..2_000).filter(|n| one.holds(&digest(*n)).unwrap()).collect();
            prop_assert_eq!(found, held);
        }

        #[test]
        fn no_bytes_make_it_panic_or_look_for_ever(text in proptest::collection::vec(any::<u8>(), 0..600), wanted in any::<[u8; 20]>()) {
            let (_dir, path) = file(&text);
            if let Ok(one) = BreachedFile::open(&path) {
                drop(one.holds(&wanted));
            }
        }
    }

    #[test]
    fn what_is_no_such_file_is_said_at_the_start() {
        let (high, low) = (hex::encode(digest(9)), hex::encode(digest(1)));
        for (text, wanted) in [
            (String::new(), "empty"),
            ("\n".to_owned(), "empty"),
            ("password\n123456\n".to_owned(), "no SHA-1"),
            (format!("{high}\n{low}\n"), "rising order"),
            (format!("{high}x\n"), "no SHA-1"),
            ("a".repeat(5_000), "too long"),
        ] {
            let (_dir, path) = file(text.as_bytes());
            let error = format!("{:#}", BreachedFile::open(&path).unwrap_err());
            assert!(error.contains(wanted) && error.contains("identity.breached_passwords"), "{error}");
        }
        assert!(BreachedFile::open(Path::new("/nowhere/at/all")).is_err());
    }
}
