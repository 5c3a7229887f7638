//! Capabilities: short-lived, signed words of the gate that the recorder, the reader and the gateway demand before they
//! hand out a byte (blueprint 2). Text form: base64url of the JSON body, a dot, base64url of the Ed25519 signature.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use vms_core::{DecisionId, Rendition, StreamId, TimeRange, WallTime};

/// Longest life of a capability (blueprint 2: expiry at most 15 s).
pub const LIFE_MAX_US: i64 = 15_000_000;

/// Longest life of a standing capability: the reader's logged grant must outlive an outage of `serve` (24 h).
pub const STANDING_LIFE_MAX_US: i64 = 86_400_000_000;

/// Signed text is prefixed with this, so that no other signature of the same key can be taken for a capability.
const DOMAIN: &[u8] = b"belfry capability v1\n";

/// Which role may honour a capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// The recorder, as live origin and as playback source.
    Recorder,
    /// The reader, for a coarse rendition.
    Reader,
    /// A partner gateway.
    Gateway,
}

/// What may be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The stream as it happens.
    Live,
    /// A span of its past.
    Range(TimeRange),
    /// The reads that wait in the reader's spool, of every camera: [`Capability::stream`] is all zeros.
    Reads,
}

/// A permit that travels: everything that a recorder must know to say yes without asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// The decision behind it, as it stands in the log.
    pub decision: DecisionId,
    /// Index of the log leaf that opened the use.
    pub log_index: u64,
    /// The one stream it opens.
    pub stream: StreamId,
    /// Live, or a span of the past.
    pub scope: Scope,
    /// How the stream may be shown.
    pub rendition: Rendition,
    /// Who may honour it.
    pub audience: Audience,
    /// A logged standing grant of a machine role; honoured only on a connection of the reader.
    pub standing: bool,
    /// The decision names a magistrate's: footage behind the gate may be opened with it (docs/KEYS.md).
    pub gated: bool,
    /// When it was signed.
    pub issued_at: WallTime,
    /// First instant at which it is worth nothing.
    pub expires_at: WallTime,
}

/// Why a capability was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    /// Not a capability at all.
    #[error("the capability is malformed")]
    Malformed,
    /// Not signed by this installation's gate.
    #[error("the capability is not signed by the gate")]
    Foreign,
    /// Past its expiry, or not valid yet by more than a minute.
    #[error("the capability has expired")]
    Expired,
    /// Its life is longer than the rule allows.
    #[error("the capability lives longer than its kind may")]
    TooLong,
    /// Meant for another role.
    #[error("the capability is meant for another role")]
    WrongAudience,
    /// Meant for another stream, span or rendition.
    #[error("the capability does not cover this request")]
    OutOfScope,
}

impl CapabilityError {
    /// The stable word of a refusal between roles.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "capability_malformed",
            Self::Foreign => "capability_foreign",
            Self::Expired => "capability_expired",
            Self::TooLong => "capability_too_long",
            Self::WrongAudience => "capability_wrong_audience",
            Self::OutOfScope => "capability_out_of_scope",
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    d: String,
    i: u64,
    s: String,
    /// Absent for live; else `[from, to)` in microseconds.
    r: Option<(i64, i64)>,
    v: String,
    a: Audience,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    g: bool,
    /// The reader's spool instead of a stream.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    p: bool,
    /// Behind the magistrate's gate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    m: bool,
    t: i64,
    x: i64,
}

/// Signs capabilities; only the gate holds one.
pub struct CapabilitySigner {
    key: SigningKey,
}

impl std::fmt::Debug for CapabilitySigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CapabilitySigner(hidden)")
    }
}

impl CapabilitySigner {
    /// From 32 secret bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self { key: SigningKey::from_bytes(seed) }
    }

    /// The verifier that recorders keep.
    pub fn verifier(&self) -> CapabilityVerifier {
        CapabilityVerifier { key: self.key.verifying_key() }
    }

    /// Signs; the text is what travels.
    pub fn sign(&self, capability: &Capability) -> String {
        let wire = Wire {
            d: capability.decision.to_string(),
            i: capability.log_index,
            s: capability.stream.to_string(),
            r: match capability.scope {
                Scope::Live | Scope::Reads => None,
                Scope::Range(range) => Some((range.from.micros, range.to.micros)),
            },
            p: capability.scope == Scope::Reads,
            v: capability.rendition.as_str().to_owned(),
            a: capability.audience,
            g: capability.standing,
            m: capability.gated,
            t: capability.issued_at.micros,
            x: capability.expires_at.micros,
        };
        let body = serde_json::to_vec(&wire).unwrap_or_default();
        let signature = self.key.sign(&signed_bytes(&body));
        format!("{}.{}", B64.encode(&body), B64.encode(signature.to_bytes()))
    }
}

/// Checks capabilities; every role that hands something out holds one.
#[derive(Clone, Debug)]
pub struct CapabilityVerifier {
    key: VerifyingKey,
}

impl CapabilityVerifier {
    /// From the gate's public key, 32 bytes.
    ///
    /// # Errors
    /// [`CapabilityError::Malformed`] when the bytes are no Ed25519 key.
    pub fn from_public(raw: &[u8; 32]) -> Result<Self, CapabilityError> {
        VerifyingKey::from_bytes(raw).map(|key| Self { key }).map_err(|_| CapabilityError::Malformed)
    }

    /// The gate's public key.
    pub fn public(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    /// Opens a capability text at wall time `now` for `audience`.
    ///
    /// # Errors
    /// [`CapabilityError`]: the first rule that it breaks.
    pub fn open(&self, text: &str, audience: Audience, now: WallTime) -> Result<Capability, CapabilityError> {
        use CapabilityError as E;
        let (body, signature) = text.split_once('.').ok_or(E::Malformed)?;
        let body = B64.decode(body).map_err(|_| E::Malformed)?;
        let signature = B64.decode(signature).map_err(|_| E::Malformed)?;
        let signature = Signature::from_slice(&signature).map_err(|_| E::Malformed)?;
        self.key.verify_strict(&signed_bytes(&body), &signature).map_err(|_| E::Foreign)?;
        let wire: Wire = serde_json::from_slice(&body).map_err(|_| E::Malformed)?;
        let capability = Capability {
            decision: wire.d.parse().map_err(|_| E::Malformed)?,
            log_index: wire.i,
            stream: wire.s.parse().map_err(|_| E::Malformed)?,
            scope: match (wire.r, wire.p) {
                (None, false) => Scope::Live,
                (None, true) => Scope::Reads,
                (Some((from, to)), false) => {
                    let range = TimeRange::new(WallTime::from_micros(from), WallTime::from_micros(to));
                    Scope::Range(range.ok_or(E::Malformed)?)
                }
                (Some(_), true) => return Err(E::Malformed),
            },
            rendition: wire.v.parse().map_err(|_| E::Malformed)?,
            audience: wire.a,
            standing: wire.g,
            gated: wire.m,
            issued_at: WallTime::from_micros(wire.t),
            expires_at: WallTime::from_micros(wire.x),
        };
        if capability.audience != audience {
            return Err(E::WrongAudience);
        }
        // A standing grant names no case, and nothing that happens now is behind the gate.
        let is_past = matches!(capability.scope, Scope::Range(_));
        if capability.gated && (capability.standing || !is_past) {
            return Err(E::Malformed);
        }
        let life_max_us = if capability.standing { STANDING_LIFE_MAX_US } else { LIFE_MAX_US };
        if capability.expires_at.micros_since(capability.issued_at) > life_max_us {
            return Err(E::TooLong);
        }
        // A capability from the future means that the clocks of gate and role disagree: it would live too long.
        let early = capability.issued_at.micros_since(now) > 60_000_000;
        if early || now >= capability.expires_at {
            return Err(E::Expired);
        }
        Ok(capability)
    }
}

impl Capability {
    /// Whether it opens `stream` live in `rendition`.
    ///
    /// # Errors
    /// [`CapabilityError::OutOfScope`].
    pub fn covers_live(&self, stream: StreamId, rendition: Rendition) -> Result<(), CapabilityError> {
        let fits = self.stream == stream && self.scope == Scope::Live && self.rendition == rendition;
        fits.then_some(()).ok_or(CapabilityError::OutOfScope)
    }

    /// Whether it opens the whole of `wanted` of `stream` in its original rendition.
    ///
    /// # Errors
    /// [`CapabilityError::OutOfScope`].
    pub fn covers_range(&self, stream: StreamId, wanted: TimeRange) -> Result<(), CapabilityError> {
        let fits = match self.scope {
            Scope::Live | Scope::Reads => false,
            Scope::Range(range) => range.from <= wanted.from && wanted.to <= range.to,
        };
        (fits && self.stream == stream && self.rendition == Rendition::Original)
            .then_some(())
            .ok_or(CapabilityError::OutOfScope)
    }
}

impl Capability {
    /// Whether a picture derived from the whole of `wanted` of `stream` may be made with it: a span, in the coarse rendition.
    ///
    /// # Errors
    /// [`CapabilityError::OutOfScope`].
    pub fn covers_still(&self, stream: StreamId, wanted: TimeRange) -> Result<(), CapabilityError> {
        let fits = matches!(self.scope, Scope::Range(range) if range.from <= wanted.from && wanted.to <= range.to);
        (fits && self.stream == stream && self.rendition == Rendition::Coarse)
            .then_some(())
            .ok_or(CapabilityError::OutOfScope)
    }

    /// Whether it opens the reader's spool.
    ///
    /// # Errors
    /// [`CapabilityError::OutOfScope`].
    pub fn covers_reads(&self) -> Result<(), CapabilityError> {
        (self.scope == Scope::Reads && !self.standing).then_some(()).ok_or(CapabilityError::OutOfScope)
    }
}

fn signed_bytes(body: &[u8]) -> Vec<u8> {
    let mut signed = DOMAIN.to_vec();
    signed.extend_from_slice(body);
    signed
}

/// Feeds foreign bytes to the parser (fuzz target and corpus test).
pub fn fuzz_capability(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let verifier = CapabilitySigner::from_seed(&[1; 32]).verifier();
        drop(verifier.open(text, Audience::Recorder, WallTime::from_secs(0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fuzz target over a small corpus: whole texts, each cut at every place and changed in every byte.
    #[test]
    fn foreign_texts_are_refused_quietly() {
        let own = CapabilitySigner::from_seed(&[1; 32]).sign(&live());
        for text in ["", ".", "a.b", "eyJ9.AA", &own] {
            fuzz_capability(text.as_bytes());
            for at in 0..text.len() {
                fuzz_capability(&text.as_bytes()[..at]);
                let mut changed = text.as_bytes().to_vec();
                changed[at] ^= 0x15;
                fuzz_capability(&changed);
            }
        }
        fuzz_capability(b"\xff.AA");
    }

    fn live() -> Capability {
        Capability {
            decision: DecisionId::from_bytes([1; 16]),
            log_index: 42,
            stream: StreamId::from_bytes([2; 16]),
            scope: Scope::Live,
            rendition: Rendition::Original,
            audience: Audience::Recorder,
            standing: false,
            gated: false,
            issued_at: WallTime::from_secs(100),
            expires_at: WallTime::from_secs(115),
        }
    }

    #[test]
    fn opens_only_in_time_for_its_audience_from_its_gate() {
        let gate = CapabilitySigner::from_seed(&[7; 32]);
        let foreign = CapabilitySigner::from_seed(&[8; 32]);
        let at = WallTime::from_secs;
        let longer = Capability { expires_at: at(116), ..live() };
        for (signer, capability, audience, now, wanted) in [
            (&gate, live(), Audience::Recorder, at(101), Ok(live())),
            (&gate, live(), Audience::Recorder, at(115), Err(CapabilityError::Expired)),
            (&gate, live(), Audience::Recorder, at(39), Err(CapabilityError::Expired)),
            (&gate, live(), Audience::Reader, at(101), Err(CapabilityError::WrongAudience)),
            (&foreign, live(), Audience::Recorder, at(101), Err(CapabilityError::Foreign)),
            (&gate, longer, Audience::Recorder, at(101), Err(CapabilityError::TooLong)),
        ] {
            assert_eq!(gate.verifier().open(&signer.sign(&capability), audience, now), wanted);
        }
        for text in ["", ".", "a.b", "eyJ9.AA"] {
            assert_eq!(gate.verifier().open(text, Audience::Recorder, at(101)), Err(CapabilityError::Malformed));
        }
    }

    #[test]
    fn covers_what_it_names_and_nothing_else() {
        let at = WallTime::from_secs;
        let range = |from, to| TimeRange::new(at(from), at(to)).unwrap();
        let other = StreamId::from_bytes([3; 16]);
        let past = Capability { scope: Scope::Range(range(10, 20)), ..live() };
        assert_eq!(live().covers_live(live().stream, Rendition::Original), Ok(()));
        assert!(live().covers_live(other, Rendition::Original).is_err());
        assert!(live().covers_live(live().stream, Rendition::Coarse).is_err());
        assert!(live().covers_range(live().stream, range(10, 11)).is_err());
        assert_eq!(past.covers_range(past.stream, range(10, 20)), Ok(()));
        assert!(past.covers_range(past.stream, range(9, 20)).is_err());
        assert!(past.covers_live(past.stream, Rendition::Original).is_err());
        let spool = Capability { scope: Scope::Reads, ..live() };
        assert_eq!(spool.covers_reads(), Ok(()));
        assert!(spool.covers_live(spool.stream, Rendition::Original).is_err());
        assert!(spool.covers_range(spool.stream, range(10, 11)).is_err());
        let standing = Capability { standing: true, ..spool.clone() };
        for refused in [live(), past, standing] {
            assert!(refused.covers_reads().is_err());
        }
        let gate = CapabilitySigner::from_seed(&[7; 32]);
        assert_eq!(gate.verifier().open(&gate.sign(&spool), Audience::Recorder, at(101)), Ok(spool));
        let behind = |scope, standing| Capability { scope, standing, gated: true, ..live() };
        for (capability, is_good) in [
            (behind(Scope::Range(range(10, 20)), false), true),
            (behind(Scope::Range(range(10, 20)), true), false),
            (behind(Scope::Live, false), false),
            (behind(Scope::Reads, false), false),
        ] {
            let opened = gate.verifier().open(&gate.sign(&capability), Audience::Recorder, at(101));
            assert_eq!(opened, if is_good { Ok(capability) } else { Err(CapabilityError::Malformed) });
        }
    }
}
