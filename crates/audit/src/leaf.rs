//! One leaf: what kind of thing happened, when, under which decision, and a salted commitment to the details.
//!
//! A leaf is one line of ASCII, so that a verifier in any language can read it:
//! `belfry/1 KIND AT_US DECISION REFERS COMMITMENT`, where absent parts are `-`. It never holds a plate, a name or an
//! address in clear (reliability.md 4.2.2); the details live beside the log and can be forgotten without breaking a proof.

use sha2::{Digest as _, Sha256};
use vms_core::{DecisionId, WallTime};

const COMMITMENT_DOMAIN: &[u8] = b"belfry detail v1\n";

/// What kind of thing a leaf records. Words are part of the public format: add, never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeafKind {
    /// The opening of a use: one person, stream, purpose and span of at most 15 minutes.
    Open,
    /// A use goes on past 15 minutes.
    Renew,
    /// The end of a use, with what was delivered.
    Close,
    /// A refusal.
    Refuse,
    /// One use that opens and ends at once: a list, a search, a picture.
    Use,
    /// A change: camera, account, table, grant, partner, assignment.
    Change,
    /// Log-in, log-out, failed log-in.
    Session,
    /// Machine work as a batch, with a manifest digest.
    Batch,
    /// Footage erased.
    Erase,
    /// Footage missing.
    Gap,
    /// Start, stop or clock step of a role.
    System,
}

impl LeafKind {
    const ALL: [Self; 11] = [
        Self::Open,
        Self::Renew,
        Self::Close,
        Self::Refuse,
        Self::Use,
        Self::Change,
        Self::Session,
        Self::Batch,
        Self::Erase,
        Self::Gap,
        Self::System,
    ];

    /// The word in the leaf.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Renew => "renew",
            Self::Close => "close",
            Self::Refuse => "refuse",
            Self::Use => "use",
            Self::Change => "change",
            Self::Session => "session",
            Self::Batch => "batch",
            Self::Erase => "erase",
            Self::Gap => "gap",
            Self::System => "system",
        }
    }
}

/// SHA-256 over domain, 32 bytes of salt, and the details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commitment(pub [u8; 32]);

impl Commitment {
    /// Commits to `details` under `salt`; without the salt nobody can guess details from it.
    pub fn to(salt: &[u8; 32], details: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(COMMITMENT_DOMAIN);
        hash.update(salt);
        hash.update(details);
        Self(hash.finalize().into())
    }
}

/// One leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// What happened.
    pub kind: LeafKind,
    /// When, on the wall clock of the gate.
    pub at: WallTime,
    /// Under which decision, if any.
    pub decision: Option<DecisionId>,
    /// Index of the opening leaf, for `renew` and `close`.
    pub refers: Option<u64>,
    /// To the details.
    pub commitment: Commitment,
}

/// A line that is no leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a leaf of this log")]
pub struct LeafError;

impl Leaf {
    /// The line, without a line end.
    pub fn to_line(&self) -> String {
        let decision = self.decision.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let refers = self.refers.map_or_else(|| "-".to_owned(), |index| index.to_string());
        let hex: String = self.commitment.0.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("belfry/1 {} {} {decision} {refers} {hex}", self.kind.as_str(), self.at.micros)
    }

    /// Reads a line.
    ///
    /// # Errors
    /// [`LeafError`] for anything that [`Leaf::to_line`] would not write.
    pub fn parse(line: &str) -> Result<Self, LeafError> {
        let mut parts = line.split(' ');
        let mut next = || parts.next().ok_or(LeafError);
        if next()? != "belfry/1" {
            return Err(LeafError);
        }
        let word = next()?;
        let kind = LeafKind::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(LeafError)?;
        let at = WallTime::from_micros(next()?.parse().map_err(|_| LeafError)?);
        let decision = match next()? {
            "-" => None,
            text => Some(text.parse().map_err(|_| LeafError)?),
        };
        let refers = match next()? {
            "-" => None,
            text => Some(text.parse().map_err(|_| LeafError)?),
        };
        let commitment = Commitment(bytes_of_hex(next()?).ok_or(LeafError)?);
        let leaf = Self { kind, at, decision, refers, commitment };
        // One form only: `+5`, leading zeros or a trailing word would give one leaf two spellings.
        if leaf.to_line() == line { Ok(leaf) } else { Err(LeafError) }
    }
}

pub(crate) fn bytes_of_hex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0_u8; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (slot, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *slot = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

/// Feeds foreign bytes to the parser (fuzz target and corpus test).
pub fn fuzz_leaf(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        drop(Leaf::parse(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_has_one_spelling() {
        let leaf = Leaf {
            kind: LeafKind::Close,
            at: WallTime::from_secs(1_790_000_000),
            decision: Some(DecisionId::from_bytes([3; 16])),
            refers: Some(17),
            commitment: Commitment::to(&[9; 32], b"{}"),
        };
        let line = leaf.to_line();
        assert_eq!(Leaf::parse(&line), Ok(leaf));
        for wrong in [line.replace(" 17 ", " 017 "), line.replace(" 17 ", " +17 "), format!("{line} x"), String::new()]
        {
            assert_eq!(Leaf::parse(&wrong), Err(LeafError), "{wrong}");
            fuzz_leaf(wrong.as_bytes());
        }
    }

    #[test]
    fn a_commitment_depends_on_salt_and_details() {
        let at = |salt: u8, text: &[u8]| Commitment::to(&[salt; 32], text);
        assert_eq!(at(1, b"a"), at(1, b"a"));
        assert_ne!(at(1, b"a"), at(2, b"a"));
        assert_ne!(at(1, b"a"), at(1, b"b"));
    }
}
