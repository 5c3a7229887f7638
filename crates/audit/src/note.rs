//! Signing and checking checkpoints.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use signed_note::{Note, Signer as _, StandardSigner, StandardVerifier, VerifierList, key_id};
use tlog_tiles::checkpoint::Checkpoint;
use tlog_tiles::tlog::Hash;

/// Algorithm byte of Ed25519 in signed notes.
const ALG_ED25519: u8 = 1;

/// Why a checkpoint could not be made or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteFailure {
    /// The log's name is not a key name (no spaces, no plus).
    #[error("the log's name cannot stand in a signed note")]
    Name,
    /// The text is no signed checkpoint.
    #[error("not a signed checkpoint")]
    Malformed,
    /// No good signature of the expected key.
    #[error("the checkpoint is not signed by the expected key")]
    Signature,
    /// A checkpoint of another log.
    #[error("the checkpoint is of another log")]
    Origin,
    /// A witness did not cosign it.
    #[error("the checkpoint has no good cosignature of {0}")]
    Witness(String),
}

/// The log's signing key.
#[derive(Clone)]
pub struct LogKey {
    origin: String,
    signer: StandardSigner,
    verifier: String,
}

impl std::fmt::Debug for LogKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LogKey({})", self.verifier)
    }
}

impl LogKey {
    /// From the log's origin (a name such as `belfry.example/log`) and 32 secret bytes.
    ///
    /// # Errors
    /// [`NoteFailure::Name`].
    pub fn from_seed(origin: &str, seed: &[u8; 32]) -> Result<Self, NoteFailure> {
        let public = ed25519_dalek::SigningKey::from_bytes(seed).verifying_key().to_bytes();
        let mut tagged_public = vec![ALG_ED25519];
        tagged_public.extend_from_slice(&public);
        let mut tagged_secret = vec![ALG_ED25519];
        tagged_secret.extend_from_slice(seed);
        let id = key_id(origin, &tagged_public);
        let secret = format!("PRIVATE+KEY+{origin}+{id:08x}+{}", STANDARD.encode(&tagged_secret));
        let signer = StandardSigner::new(&secret).map_err(|_| NoteFailure::Name)?;
        let verifier = format!("{origin}+{:08x}+{}", signer.key_id(), STANDARD.encode(&tagged_public));
        Ok(Self { origin: origin.to_owned(), signer, verifier })
    }

    /// Whether a text is the public key of a log.
    ///
    /// # Errors
    /// [`NoteFailure::Name`] when it is not.
    pub fn check(verifier_key: &str) -> Result<(), NoteFailure> {
        StandardVerifier::new(verifier_key).map(drop).map_err(|_| NoteFailure::Name)
    }

    /// The public key in the form of signed notes: what the commission pins.
    pub fn verifier_key(&self) -> &str {
        &self.verifier
    }

    /// Signs the checkpoint of a tree.
    ///
    /// # Errors
    /// [`NoteFailure::Malformed`] when the parts cannot form a checkpoint.
    pub fn sign(&self, size: u64, root: Hash) -> Result<Vec<u8>, NoteFailure> {
        let checkpoint = Checkpoint::new(&self.origin, size, root, "").map_err(|_| NoteFailure::Malformed)?;
        let mut note = Note::new(&checkpoint.to_bytes(), &[]).map_err(|_| NoteFailure::Malformed)?;
        note.add_sigs(&[&self.signer]).map_err(|_| NoteFailure::Signature)?;
        Ok(note.to_bytes())
    }
}

/// Checks a signed checkpoint against a pinned key and gives size and root.
///
/// # Errors
/// [`NoteFailure`] says which check failed.
pub fn open(text: &[u8], origin: &str, verifier_key: &str) -> Result<(u64, Hash), NoteFailure> {
    let verifier = StandardVerifier::new(verifier_key).map_err(|_| NoteFailure::Name)?;
    let note = Note::from_bytes(text).map_err(|_| NoteFailure::Malformed)?;
    let (good, _) = note.verify(&VerifierList::new(vec![Box::new(verifier)])).map_err(|_| NoteFailure::Signature)?;
    if good.is_empty() {
        return Err(NoteFailure::Signature);
    }
    let checkpoint = Checkpoint::from_bytes(note.text()).map_err(|_| NoteFailure::Malformed)?;
    if checkpoint.origin() != origin {
        return Err(NoteFailure::Origin);
    }
    Ok((checkpoint.size(), *checkpoint.hash()))
}

/// Feeds foreign bytes to the parser (fuzz target and corpus test).
pub fn fuzz_checkpoint(data: &[u8]) {
    if let Ok(key) = LogKey::from_seed("fuzz.example/log", &[1; 32]) {
        drop(open(data, "fuzz.example/log", key.verifier_key()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_opens_with_its_key_only() {
        let ours = LogKey::from_seed("belfry.example/log", &[4; 32]).unwrap();
        let other = LogKey::from_seed("belfry.example/log", &[5; 32]).unwrap();
        let root = Hash([7; 32]);
        let signed = ours.sign(12, root).unwrap();
        assert_eq!(open(&signed, "belfry.example/log", ours.verifier_key()), Ok((12, root)));
        assert_eq!(open(&signed, "belfry.example/log", other.verifier_key()), Err(NoteFailure::Signature));
        assert_eq!(open(&signed, "another/log", ours.verifier_key()), Err(NoteFailure::Origin));
        let mut forged = signed.clone();
        forged[20] ^= 1;
        assert!(open(&forged, "belfry.example/log", ours.verifier_key()).is_err());
        fuzz_checkpoint(&forged);
        assert_eq!(LogKey::from_seed("with space", &[4; 32]).unwrap_err(), NoteFailure::Name);
    }
}
