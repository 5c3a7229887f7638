//! Cosignatures of witnesses ([C2SP tlog-cosignature](https://c2sp.org/tlog-cosignature), Ed25519), and checkpoints that carry them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature as EdSignature, Signer as _, SigningKey, Verifier as _, VerifyingKey};
use signed_note::{Note, Signature, Verifier, VerifierList, key_id};
use tlog_tiles::checkpoint::Checkpoint;
use tlog_tiles::tlog::Hash;

use crate::note::{self, NoteFailure};

/// Algorithm byte of Ed25519 cosignatures.
const ALG_COSIGNATURE: u8 = 4;
/// Longest checkpoint that is read, bytes.
pub const NOTE_MAX: usize = 64 * 1024;

/// The key that a witness cosigns with.
#[derive(Clone)]
pub struct WitnessKey {
    name: String,
    id: u32,
    secret: SigningKey,
}

impl std::fmt::Debug for WitnessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WitnessKey({})", self.verifier_key())
    }
}

impl WitnessKey {
    /// From the witness's name (such as `witness.commission.example`) and 32 secret bytes.
    ///
    /// # Errors
    /// [`NoteFailure::Name`].
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteFailure> {
        if !signed_note::is_key_name_valid(name) {
            return Err(NoteFailure::Name);
        }
        let secret = SigningKey::from_bytes(seed);
        let id = key_id(name, &tagged(&secret.verifying_key()));
        Ok(Self { name: name.to_owned(), id, secret })
    }

    /// The public key in the form of signed notes: what operator and overseers pin.
    pub fn verifier_key(&self) -> String {
        format!("{}+{:08x}+{}", self.name, self.id, STANDARD.encode(tagged(&self.secret.verifying_key())))
    }

    /// The cosignature line of a checkpoint, line end included. The caller has checked that the tree only grew.
    ///
    /// # Errors
    /// [`NoteFailure::Malformed`] when the text is no signed note.
    pub fn cosign(&self, checkpoint: &[u8], at_s: u64) -> Result<String, NoteFailure> {
        let note = Note::from_bytes(checkpoint).map_err(|_| NoteFailure::Malformed)?;
        let signature = self.secret.sign(&message(at_s, note.text()));
        let mut raw = at_s.to_be_bytes().to_vec();
        raw.extend_from_slice(&signature.to_bytes());
        let line = Signature::new(self.name.clone(), self.id, raw).map_err(|_| NoteFailure::Name)?;
        String::from_utf8(line.to_bytes()).map_err(|_| NoteFailure::Malformed)
    }
}

fn tagged(public: &VerifyingKey) -> Vec<u8> {
    let mut raw = vec![ALG_COSIGNATURE];
    raw.extend_from_slice(&public.to_bytes());
    raw
}

fn message(at_s: u64, body: &[u8]) -> Vec<u8> {
    let mut message = format!("cosignature/v1\ntime {at_s}\n").into_bytes();
    message.extend_from_slice(body);
    message
}

/// A witness's public key, from its text form.
#[derive(Clone, Debug)]
pub struct WitnessVerifier {
    name: String,
    id: u32,
    public: VerifyingKey,
}

impl WitnessVerifier {
    /// Reads `NAME+ID+BASE64`.
    ///
    /// # Errors
    /// [`NoteFailure::Name`] for anything else.
    pub fn new(text: &str) -> Result<Self, NoteFailure> {
        let (name, rest) = text.trim().split_once('+').ok_or(NoteFailure::Name)?;
        let (id, key) = rest.split_once('+').ok_or(NoteFailure::Name)?;
        let id = u32::from_str_radix(id, 16).map_err(|_| NoteFailure::Name)?;
        let raw = STANDARD.decode(key).map_err(|_| NoteFailure::Name)?;
        let (alg, key) = raw.split_first().ok_or(NoteFailure::Name)?;
        let key: [u8; 32] = key.try_into().map_err(|_| NoteFailure::Name)?;
        if *alg != ALG_COSIGNATURE || !signed_note::is_key_name_valid(name) || key_id(name, &raw) != id {
            return Err(NoteFailure::Name);
        }
        let public = VerifyingKey::from_bytes(&key).map_err(|_| NoteFailure::Name)?;
        Ok(Self { name: name.to_owned(), id, public })
    }
}

impl Verifier for WitnessVerifier {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        self.id
    }

    fn verify(&self, body: &[u8], raw: &[u8]) -> bool {
        let Some((at, signature)) = raw.split_first_chunk::<8>() else { return false };
        let Ok(signature) = EdSignature::from_slice(signature) else { return false };
        self.public.verify(&message(u64::from_be_bytes(*at), body), &signature).is_ok()
    }
}

/// Seconds since 1970 at which a witness cosigned a checkpoint; `None` when it holds no good cosignature of that key.
pub fn cosigned_at(checkpoint: &[u8], witness: &WitnessVerifier) -> Option<u64> {
    let note = Note::from_bytes(checkpoint).ok()?;
    let (good, _) = note.verify(&VerifierList::new(vec![Box::new(witness.clone())])).ok()?;
    good.first()?.signature().first_chunk::<8>().map(|at| u64::from_be_bytes(*at))
}

/// Checks a checkpoint against the log's key and every witness's key; gives size and root.
///
/// # Errors
/// [`NoteFailure`]; [`NoteFailure::Witness`] when one of the cosignatures is missing or wrong.
pub fn open(text: &[u8], log_key: &str, witnesses: &[WitnessVerifier]) -> Result<(u64, Hash), NoteFailure> {
    if text.len() > NOTE_MAX {
        return Err(NoteFailure::Malformed);
    }
    let origin = log_key.split('+').next().unwrap_or("");
    let (size, root) = note::open(text, origin, log_key)?;
    let plain = Checkpoint::new(origin, size, root, "").map_err(|_| NoteFailure::Malformed)?.to_bytes();
    let note = Note::from_bytes(text).map_err(|_| NoteFailure::Malformed)?;
    // One spelling only, and no extension: this log writes none.
    if note.text() != plain.as_slice() {
        return Err(NoteFailure::Malformed);
    }
    match witnesses.iter().find(|witness| cosigned_at(text, witness).is_none()) {
        None => Ok((size, root)),
        Some(witness) => Err(NoteFailure::Witness(witness.name.clone())),
    }
}

/// The checkpoint with the good cosignatures among `lines` added; an older one of the same witness is replaced.
///
/// # Errors
/// [`NoteFailure::Malformed`] when the checkpoint is no note, [`NoteFailure::Signature`] when no line is a good cosignature.
pub fn add(checkpoint: &[u8], lines: &str, witness: &WitnessVerifier) -> Result<Vec<u8>, NoteFailure> {
    let note = Note::from_bytes(checkpoint).map_err(|_| NoteFailure::Malformed)?;
    for line in lines.lines() {
        let Ok(signature) = Signature::from_bytes(line.as_bytes()) else { continue };
        let is_theirs = signature.name() == witness.name && signature.id() == witness.id;
        if is_theirs && witness.verify(note.text(), signature.signature()) {
            let text = String::from_utf8(checkpoint.to_vec()).map_err(|_| NoteFailure::Malformed)?;
            let (body, signatures) = text.rsplit_once("\n\n").ok_or(NoteFailure::Malformed)?;
            let mut out = format!("{body}\n\n");
            for old in signatures.lines() {
                let parsed = Signature::from_bytes(old.as_bytes()).map_err(|_| NoteFailure::Malformed)?;
                if (parsed.name(), parsed.id()) != (witness.name.as_str(), witness.id) {
                    out.push_str(old);
                    out.push('\n');
                }
            }
            out.push_str(line);
            out.push('\n');
            return Ok(out.into_bytes());
        }
    }
    Err(NoteFailure::Signature)
}

/// Feeds foreign bytes to the parsers (fuzz target and corpus test).
pub fn fuzz_cosignature(data: &[u8]) {
    if let Ok(key) = WitnessKey::from_seed("fuzz.example/w", &[1; 32])
        && let Ok(witness) = WitnessVerifier::new(&key.verifier_key())
    {
        assert_eq!(cosigned_at(data, &witness), None, "nobody guesses a signature");
        drop(add(data, &String::from_utf8_lossy(data), &witness));
        drop(WitnessVerifier::new(&String::from_utf8_lossy(data)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LogKey;

    #[test]
    fn a_cosignature_stands_beside_the_signature_and_opens_with_its_key_only() {
        let log = LogKey::from_seed("belfry.example/log", &[4; 32]).unwrap();
        let ours = WitnessKey::from_seed("witness.example/w", &[5; 32]).unwrap();
        let other = WitnessKey::from_seed("witness.example/w", &[6; 32]).unwrap();
        let (ours_v, other_v) =
            (WitnessVerifier::new(&ours.verifier_key()).unwrap(), WitnessVerifier::new(&other.verifier_key()).unwrap());
        let root = Hash([7; 32]);
        let signed = log.sign(12, root).unwrap();
        assert_eq!(open(&signed, log.verifier_key(), &[]), Ok((12, root)));
        let missing = NoteFailure::Witness("witness.example/w".into());
        assert_eq!(open(&signed, log.verifier_key(), std::slice::from_ref(&ours_v)), Err(missing.clone()));
        let line = ours.cosign(&signed, 1_790_000_000).unwrap();
        let both = add(&signed, &line, &ours_v).unwrap();
        assert_eq!(open(&both, log.verifier_key(), std::slice::from_ref(&ours_v)), Ok((12, root)));
        assert_eq!(open(&both, log.verifier_key(), std::slice::from_ref(&other_v)), Err(missing));
        assert_eq!(cosigned_at(&both, &ours_v), Some(1_790_000_000));
        // Said again later: one line, the newer.
        let again = add(&both, &ours.cosign(&signed, 1_790_000_060).unwrap(), &ours_v).unwrap();
        assert_eq!(cosigned_at(&again, &ours_v), Some(1_790_000_060));
        assert_eq!(again.len(), both.len());
        // A line over another checkpoint, or of another key, is not taken.
        let elsewhere = ours.cosign(&log.sign(13, root).unwrap(), 1_790_000_000).unwrap();
        assert_eq!(add(&signed, &elsewhere, &ours_v), Err(NoteFailure::Signature));
        assert_eq!(add(&signed, &line, &other_v), Err(NoteFailure::Signature));
        for bytes in [&both[..], &both[..50], b"", b"\n\n", &[0xff; 9]] {
            fuzz_cosignature(bytes);
        }
    }
}
