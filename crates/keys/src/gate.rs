//! The magistrate's gate: hour keys that outlive their first term, and that this store alone cannot open any more (docs/KEYS.md).
//!
//! Belongs here: making a gate, moving hour keys behind it, opening with its private half. Does not belong here: who decided it, and
//! until when (`vms-app`), when it is done (the sweeper).
//!
//! An hour key that moves is split in two shares. One lies under the root in the journal, and dies as every wrap there: overwritten,
//! and with the next change of the root. The other is sealed to the public half of the gate (X25519, then HMAC-SHA256 and
//! AES-256-GCM); the private half lies in a folder of its own. Either share alone says nothing. The entry that
//! begins the gated key ends the ordinary one: no crash leaves both or neither.

use std::fmt;
use std::path::{Path, PathBuf};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use vms_core::{SegmentId, WallTime};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::codec::Writer;
use crate::disk::{Disk, put, read_if_there};
use crate::error::{KeyError, OpenSegmentError};
use crate::frame::ENTRIES_MAX;
use crate::ids::{Hour, KeyEpoch, KeyName, StoreId};
use crate::keyfile::{self, KeyFile, KeyFileError, Protection};
use crate::keyring::{Inner, KeyRing};
use crate::seal::SegmentOpener;
use crate::secret::{Context, Domain, KEY_LEN, Random, RandomError, Secret, TAG_LEN, unwrap, wrap};
use crate::state::{Entry, GatedKey, PublicGate, Slot};

/// Ephemeral public key 32 | ciphertext 32 | tag 16.
pub(crate) const SHARE_LEN: usize = 80;

/// A share that only the gate opens.
pub type SealedShare = [u8; SHARE_LEN];

/// Number of a gate, from 1. A new one takes what moves from then on; the old ones still open what they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GateNumber(u32);

impl GateNumber {
    /// From a number, for records of it.
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for GateNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Where the private half of the gate lies.
#[derive(Clone, Debug)]
pub struct GatePlan {
    /// Its folder: best on a medium that is attached only when a magistrate has decided.
    pub folder: PathBuf,
    /// A second one, kept elsewhere: without any, what is behind the gate is lost with the first.
    pub copy: Option<PathBuf>,
    /// What guards its file.
    pub protection: Protection,
}

/// What moved behind the gate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gating {
    /// Keys that moved with this call.
    pub moved: Vec<(KeyEpoch, KeyName)>,
    /// Keys that were behind it already.
    pub already: usize,
    /// Keys that were gone or do not open: they cannot move.
    pub refused: Vec<KeyEpoch>,
}

/// The private half, in memory for one opening.
pub struct GateSecret {
    store: StoreId,
    gate: GateNumber,
    secret: StaticSecret,
}

impl fmt::Debug for GateSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GateSecret(hidden)")
    }
}

impl GateSecret {
    /// Reads a gate's file, from the folder or its copy.
    ///
    /// # Errors
    /// [`KeyError::Gate`] in plain words.
    pub fn open(disk: &dyn Disk, plan: &GatePlan, public: &PublicGate) -> Result<Self, KeyError> {
        let mut why = "its folder is not there";
        for folder in std::iter::once(&plan.folder).chain(&plan.copy) {
            match Self::read(disk, folder, &plan.protection, public) {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => {}
                Err(said) => why = said,
            }
        }
        Err(KeyError::Gate { why })
    }

    /// Which gate.
    pub const fn gate(&self) -> GateNumber {
        self.gate
    }

    fn read(
        disk: &dyn Disk,
        folder: &Path,
        over: &Protection,
        public: &PublicGate,
    ) -> Result<Option<Self>, &'static str> {
        let domain = Domain::Gate(public.gate.number());
        let bytes = read_if_there(disk, &folder.join(keyfile::file_name(domain)));
        let Some(bytes) = bytes.map_err(|_| "its file cannot be read")?.map(Zeroizing::new) else { return Ok(None) };
        let file = KeyFile::read(&bytes, over).map_err(|error| match error {
            KeyFileError::Damaged => "its file is damaged",
            KeyFileError::Protected => "its file does not open with the credential that was given",
        })?;
        let secret = StaticSecret::from(*file.key.expose());
        if file.domain != domain || PublicKey::from(&secret).to_bytes() != public.public {
            return Err("its file belongs to another gate");
        }
        Ok(Some(Self { store: file.store, gate: public.gate, secret }))
    }
}

/// The key between an ephemeral key and the gate.
fn between(secret: &StaticSecret, theirs: &[u8; 32], ephemeral: &[u8; 32], gate: &[u8; 32]) -> Option<LessSafeKey> {
    let shared = secret.diffie_hellman(&PublicKey::from(*theirs));
    if !shared.was_contributory() {
        return None;
    }
    let mut context = Writer::default();
    context.bytes(ephemeral);
    context.bytes(gate);
    let key = Secret::copy_of(shared.as_bytes()).derive(b"belfry gate share v1", context.as_slice());
    Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.expose()).ok()?))
}

fn place(store: StoreId, gate: GateNumber, epoch: KeyEpoch, name: &KeyName) -> Vec<u8> {
    let mut out = Writer::default();
    out.bytes(b"belfry gated hour v1");
    out.bytes(&store.0);
    out.u32(gate.number());
    out.u64(epoch.raw());
    out.name(name);
    out.into_vec()
}

/// Seals a share to the public half. The key is used once, so that the nonce may be zero.
fn seal_share(
    share: &Secret,
    public: &PublicGate,
    aad: &[u8],
    random: &dyn Random,
) -> Result<Option<SealedShare>, RandomError> {
    let secret = StaticSecret::from(*Secret::random(random)?.expose());
    let ephemeral = PublicKey::from(&secret).to_bytes();
    let Some(key) = between(&secret, &public.public, &ephemeral, &public.public) else { return Ok(None) };
    let mut body = Zeroizing::new(*share.expose());
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    let Ok(tag) = key.seal_in_place_separate_tag(nonce, Aad::from(aad), body.as_mut_slice()) else { return Ok(None) };
    let mut out = [0_u8; SHARE_LEN];
    for (slot, byte) in out.iter_mut().zip(ephemeral.iter().chain(body.iter()).chain(tag.as_ref())) {
        *slot = *byte;
    }
    Ok(Some(out))
}

fn open_share(gate: &GateSecret, sealed: &SealedShare, aad: &[u8]) -> Option<Secret> {
    let (ephemeral, body) = sealed.split_first_chunk::<32>()?;
    let mut body = Zeroizing::new(*body.first_chunk::<{ KEY_LEN + TAG_LEN }>()?);
    let own = PublicKey::from(&gate.secret).to_bytes();
    let key = between(&gate.secret, ephemeral, ephemeral, &own)?;
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    let plain = key.open_in_place(nonce, Aad::from(aad), body.as_mut_slice()).ok()?;
    plain.first_chunk::<KEY_LEN>().map(Secret::copy_of)
}

impl KeyRing {
    /// Makes a gate: its private half goes, synced, into the folder of the plan and its copy; then the public half is noted in every
    /// copy of the store. The next number where there are gates already.
    ///
    /// # Errors
    /// [`KeyError::Io`] when a folder of the plan cannot be written, and as every write.
    pub fn make_gate(&self, plan: &GatePlan, now: WallTime) -> Result<GateNumber, KeyError> {
        let mut inner = self.lock();
        inner.must_save()?;
        let last = inner.state.gate().map_or(0, |gate| gate.gate.number());
        let number = last.checked_add(1).ok_or(KeyError::Exhausted)?;
        let domain = Domain::Gate(number);
        let file = KeyFile { domain, store: inner.head.store, made_at: now, key: Secret::random(&*inner.random)? };
        let public = PublicKey::from(&StaticSecret::from(*file.key.expose())).to_bytes();
        let bytes = file.bytes(&plan.protection, &*inner.random)?;
        let failed = |error| KeyError::io("the folder of the gate", error);
        for folder in plan.copy.iter().chain(std::iter::once(&plan.folder)) {
            inner.disk.make_dir(folder).map_err(failed)?;
            // What a crash left of this number was never noted: nothing is sealed to it.
            put(&*inner.disk, folder, &keyfile::file_name(domain), &bytes).map_err(failed)?;
        }
        let gate = GateNumber(number);
        inner.commit(&[Entry::GateKey { gate, made_at: now, public }])?;
        Ok(gate)
    }

    /// The gate that keys move behind now.
    pub fn gate(&self) -> Option<PublicGate> {
        self.lock().state.gate()
    }

    /// All gates, the oldest first.
    pub fn gates(&self) -> Vec<PublicGate> {
        self.lock().state.gates().collect()
    }

    /// Whether a hold wants anything that a gated hour key sealed: then that key does not die.
    pub fn pins(&self, epoch: KeyEpoch) -> bool {
        self.lock().state.pins(epoch)
    }

    /// The name of a live hour key that is behind no gate.
    pub fn name_of(&self, epoch: KeyEpoch) -> Option<KeyName> {
        self.lock().state.hour(epoch).map(|live| live.name.clone())
    }

    /// The name of an hour key behind a gate.
    pub fn gated_name(&self, epoch: KeyEpoch) -> Option<KeyName> {
        self.lock().state.gated(epoch).map(|gated| gated.name.clone())
    }

    /// The gate that a segment's hour key is behind.
    pub fn gate_of(&self, epoch: KeyEpoch) -> Option<PublicGate> {
        let inner = self.lock();
        let gate = inner.state.gated(epoch)?.gate;
        inner.state.gate_of(gate)
    }

    /// Moves hour keys behind the gate. When it returns, nothing that this store has opens them any more (an opener that was handed
    /// out before works until it is dropped), and their ordinary wraps are overwritten. Asked again it goes on where it
    /// stopped, also after a crash.
    ///
    /// # Errors
    /// [`KeyError::Gate`] without a gate; as every write. Then nothing of what did not move is lost.
    pub fn gate_hours(&self, epochs: &[KeyEpoch], now: WallTime) -> Result<Gating, KeyError> {
        let mut inner = self.lock();
        inner.must_write()?;
        // What a crash cut short.
        inner.pay_owed()?;
        let public = inner.state.gate().ok_or(KeyError::Gate { why: "none was made yet" })?;
        let mut done = Gating::default();
        for chunk in epochs.chunks(ENTRIES_MAX) {
            let mut entries = Vec::with_capacity(chunk.len());
            for epoch in chunk {
                if inner.state.gated(*epoch).is_some() || done.moved.iter().any(|(moved, _)| moved == epoch) {
                    done.already += 1;
                    continue;
                }
                let Some((entry, name)) = inner.gated_entry(*epoch, &public, now)? else {
                    done.refused.push(*epoch);
                    continue;
                };
                entries.push(entry);
                done.moved.push((*epoch, name));
            }
            // From memory first, as with a key that dies.
            chunk.iter().for_each(|epoch| drop(inner.hour_keys.remove(epoch)));
            inner.commit(&entries)?;
        }
        inner.pay_owed()?;
        Ok(done)
    }

    /// The hour keys behind a gate, oldest first: number, name, when they moved.
    pub fn gated_hours(&self) -> Vec<(KeyEpoch, KeyName, WallTime)> {
        let inner = self.lock();
        inner.state.all_gated().map(|(epoch, gated)| (epoch, gated.name.clone(), gated.moved_at)).collect()
    }

    /// Those of hours before `hour`, oldest first: what is younger is not looked at.
    pub fn gated_before(&self, hour: Hour) -> Vec<(KeyEpoch, KeyName)> {
        let inner = self.lock();
        let old = inner.state.all_gated().take_while(|(epoch, _)| epoch.hour() < hour);
        old.map(|(epoch, gated)| (epoch, gated.name.clone())).collect()
    }

    /// Finds the key of a segment behind the gate.
    ///
    /// # Errors
    /// [`OpenSegmentError`].
    pub fn open_gated(
        &self,
        segment: SegmentId,
        epoch: KeyEpoch,
        gate: &GateSecret,
    ) -> Result<SegmentOpener, OpenSegmentError> {
        let mut inner = self.lock();
        let Some(gated) = inner.state.gated(epoch).cloned() else {
            let key = inner.segment_key(segment, epoch)?;
            return Ok(SegmentOpener::new(segment, &key, false));
        };
        let (store, by_gate) = (inner.head.store, inner.gated_hour_key(epoch, &gated, gate));
        let key = match (by_gate, inner.any_hold(segment, epoch)) {
            (Ok(hour_key), _) => inner.segment_key_under(segment, epoch, store, &hour_key)?,
            // What a hold had before the move is not lost with the gate.
            (Err(_), Some(wrap)) => inner.segment_key_by_hold(segment, &wrap)?,
            (Err(error), None) => return Err(error),
        };
        Ok(SegmentOpener::new(segment, &key, false))
    }
}

impl Inner {
    fn gated_entry(
        &mut self,
        epoch: KeyEpoch,
        public: &PublicGate,
        now: WallTime,
    ) -> Result<Option<(Entry, KeyName)>, KeyError> {
        let Some((name, made_at)) = self.state.hour(epoch).map(|live| (live.name.clone(), live.made_at)) else {
            return Ok(None);
        };
        let Ok(key) = self.hour_key(epoch) else { return Ok(None) };
        let (store, domain, gate) = (self.head.store, self.head.domain, public.gate);
        let share = Secret::random(&*self.random)?;
        let aad = place(store, gate, epoch, &name);
        let Some(sealed) = seal_share(&share, public, &aad, &*self.random)? else {
            return Err(KeyError::Gate { why: "its public half is no key" });
        };
        let context = Context::Gated(domain, epoch, &name);
        let wrapped = wrap(&self.root, &key.xor(&share), store, &context, &*self.random)?;
        let slot = Slot::Present(wrapped);
        Ok(Some((Entry::GatedHour { epoch, name: name.clone(), made_at, at: now, gate, sealed, slot }, name)))
    }

    /// Both shares together. Never kept in memory.
    pub(crate) fn gated_hour_key(
        &self,
        epoch: KeyEpoch,
        gated: &GatedKey,
        gate: &GateSecret,
    ) -> Result<Secret, OpenSegmentError> {
        if gate.gate != gated.gate || gate.store != self.head.store {
            return Err(OpenSegmentError::Gated);
        }
        let Slot::Present(wrapped) = gated.slot else { return Err(OpenSegmentError::Damaged) };
        let context = Context::Gated(self.head.domain, epoch, &gated.name);
        let ours = unwrap(&self.root, &wrapped, self.head.store, &context).map_err(|_| OpenSegmentError::Damaged)?;
        let aad = place(self.head.store, gated.gate, epoch, &gated.name);
        let theirs = open_share(gate, &gated.sealed, &aad).ok_or(OpenSegmentError::Damaged)?;
        Ok(ours.xor(&theirs))
    }
}
