//! The journal `keys-GGGGGGGG.bks`: one file for each root generation. All integers big endian.
//!
//! ```text
//! header  magic "BELFKEY1" 8 | version u16 | top key: kind u8 (1 root, 2 backup), number u32 | store 16 | made at µs i64
//!         | frames that were written with the file u32 | check 16
//! frame   magic "BLFK" 4 | reserved 2 | wraps u16 | length of plain part u32 | number in the file u64
//!         | check 16 over store, top key, all before, plain part | plain part | wraps, 60 bytes each
//! entry   1 hour key: epoch u64 | scope u8 (1 camera 16; 2 length u8, purpose) | length u8, class | hour u32 | made at i64
//!           | digest of its wrap 16
//!         2 destroyed: epoch u64 | at i64 | reason u8
//!         3 hold: id 16 | made at i64 | digest of its wrap 16
//!         4 held segment: hold 16 | segment 16 | epoch u64 | digest of its wrap 16
//!         5 released: hold 16 | at i64
//!         6 gate: number u32 | made at i64 | X25519 public key 32
//!         7 gated hour: epoch u64 | scope, class, hour as in 1 | made at i64 | moved at i64 | gate u32 | sealed share 80
//!           | digest of its wrap 16
//!         8 pinned: hold 16 | segment 16 | epoch u64
//! ```
//!
//! A frame is written whole and synced before the next, and frames that must happen together are one frame. The wraps lie behind
//! the plain part and have digests of their own, so that a dead one can be overwritten with zeros in place while the rest
//! still verifies; a wrap that does not is that one key's damage, whatever the rest. A file ends cleanly, or with one frame that a crash cut (it is dropped), or it is damaged.
//!
//! Both copies of a store hold the same bytes at the same places: what is wrong in one is taken from the other.

use vms_core::{HoldId, SegmentId, WallTime};

use crate::codec::{CHECK_LEN, Reader, Writer, check};
use crate::gate::GateNumber;
use crate::ids::{KeyEpoch, Reason, StoreId};
use crate::secret::{Domain, WRAPPED_LEN, Wrapped};
use crate::state::{Entry, Slot};

const MAGIC: &[u8; 8] = b"BELFKEY1";
const FRAME_MAGIC: &[u8; 4] = b"BLFK";
const VERSION: u16 = 1;
/// Bytes of the header.
pub(crate) const HEADER_LEN: usize = 59;
const FRAME_HEAD: usize = 36;
/// Entries in one frame at most.
pub(crate) const ENTRIES_MAX: usize = 1_000;
const PLAIN_MAX: usize = 256 * 1024;

/// Head of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileHead {
    pub(crate) domain: Domain,
    pub(crate) store: StoreId,
    pub(crate) made_at: WallTime,
    /// Frames that were there from the start: fewer is damage, not a cut tail.
    pub(crate) frames: u32,
}

/// The file cannot be trusted from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) at: u64,
}

/// What both copies together say.
#[derive(Debug)]
pub(crate) struct Merged {
    pub(crate) head: FileHead,
    /// Entries, each with the place of its wrap (0: none).
    pub(crate) entries: Vec<(Entry, u64)>,
    /// The bytes that every copy ought to have.
    pub(crate) image: Vec<u8>,
    /// Frames.
    pub(crate) frames: u64,
    /// A cut frame at the end was dropped.
    pub(crate) is_torn: bool,
}

pub(crate) fn head_bytes(head: &FileHead) -> Vec<u8> {
    let mut out = Writer::default();
    out.bytes(MAGIC);
    out.u16(VERSION);
    out.domain(head.domain);
    out.bytes(&head.store.0);
    out.time(head.made_at);
    out.u32(head.frames);
    let sum = check(&[out.as_slice()]);
    out.bytes(&sum);
    out.into_vec()
}

pub(crate) fn read_head(image: &[u8]) -> Option<FileHead> {
    let (plain, sum) = image.get(..HEADER_LEN)?.split_at_checked(HEADER_LEN - CHECK_LEN)?;
    let mut reader = Reader::new(plain);
    if reader.array::<8>()? != *MAGIC || reader.u16()? != VERSION || check(&[plain]) != *sum {
        return None;
    }
    let domain = reader.domain()?;
    Some(FileHead { domain, store: StoreId(reader.array()?), made_at: reader.time()?, frames: reader.u32()? })
}

fn wrap_digest(store: StoreId, wrapped: &Wrapped) -> [u8; CHECK_LEN] {
    check(&[b"wrap", &store.0, wrapped])
}

fn top(domain: Domain) -> Vec<u8> {
    let mut out = Writer::default();
    out.domain(domain);
    out.into_vec()
}

fn write_entry(out: &mut Writer, store: StoreId, entry: &Entry) {
    match entry {
        Entry::HourKey { epoch, name, made_at, .. } => {
            out.u8(1);
            out.u64(epoch.raw());
            out.name(name);
            out.time(*made_at);
        }
        Entry::Destroyed { epoch, at, reason } => {
            out.u8(2);
            out.u64(epoch.raw());
            out.time(*at);
            out.u8(reason.code());
        }
        Entry::HoldKey { hold, made_at, .. } => {
            out.u8(3);
            out.bytes(hold.as_bytes());
            out.time(*made_at);
        }
        Entry::Held { hold, segment, epoch, .. } => {
            out.u8(4);
            out.bytes(hold.as_bytes());
            out.bytes(segment.as_bytes());
            out.u64(epoch.raw());
        }
        Entry::Released { hold, at } => {
            out.u8(5);
            out.bytes(hold.as_bytes());
            out.time(*at);
        }
        Entry::GateKey { gate, made_at, public } => {
            out.u8(6);
            out.u32(gate.number());
            out.time(*made_at);
            out.bytes(public);
        }
        Entry::GatedHour { epoch, name, made_at, at, gate, sealed, .. } => {
            out.u8(7);
            out.u64(epoch.raw());
            out.name(name);
            out.time(*made_at);
            out.time(*at);
            out.u32(gate.number());
            out.bytes(sealed);
        }
        Entry::Pinned { hold, segment, epoch } => {
            out.u8(8);
            out.bytes(hold.as_bytes());
            out.bytes(segment.as_bytes());
            out.u64(epoch.raw());
        }
    }
    if let Some(slot) = entry.slot() {
        // A wrap that is not whole gets the digest of no wrap, so that it reads back as damaged or blank, never as good.
        out.bytes(&present(slot).map_or([0; CHECK_LEN], |wrapped| wrap_digest(store, &wrapped)));
    }
}

fn present(slot: Slot) -> Option<Wrapped> {
    match slot {
        Slot::Present(wrapped) => Some(wrapped),
        Slot::Blank | Slot::Damaged => None,
    }
}

fn read_entry(reader: &mut Reader<'_>) -> Option<Entry> {
    let slot = Slot::Blank;
    Some(match reader.u8()? {
        1 => {
            Entry::HourKey { epoch: KeyEpoch::new(reader.u64()?)?, name: reader.name()?, made_at: reader.time()?, slot }
        }
        2 => Entry::Destroyed {
            epoch: KeyEpoch::new(reader.u64()?)?,
            at: reader.time()?,
            reason: Reason::from_code(reader.u8()?)?,
        },
        3 => Entry::HoldKey { hold: HoldId::from_bytes(reader.array()?), made_at: reader.time()?, slot },
        4 => Entry::Held {
            hold: HoldId::from_bytes(reader.array()?),
            segment: SegmentId::from_bytes(reader.array()?),
            epoch: KeyEpoch::new(reader.u64()?)?,
            slot,
        },
        5 => Entry::Released { hold: HoldId::from_bytes(reader.array()?), at: reader.time()? },
        6 => Entry::GateKey {
            gate: GateNumber::from_number(reader.u32()?),
            made_at: reader.time()?,
            public: reader.array()?,
        },
        7 => Entry::GatedHour {
            epoch: KeyEpoch::new(reader.u64()?)?,
            name: reader.name()?,
            made_at: reader.time()?,
            at: reader.time()?,
            gate: GateNumber::from_number(reader.u32()?),
            sealed: reader.array()?,
            slot,
        },
        8 => Entry::Pinned {
            hold: HoldId::from_bytes(reader.array()?),
            segment: SegmentId::from_bytes(reader.array()?),
            epoch: KeyEpoch::new(reader.u64()?)?,
        },
        _ => return None,
    })
}

/// One frame, and for each entry where its wrap lies from the start of the frame (0: none).
///
/// INVARIANT: at most [`ENTRIES_MAX`] entries.
pub(crate) fn frame_bytes(head: &FileHead, number: u64, entries: &[Entry]) -> (Vec<u8>, Vec<u64>) {
    let mut plain = Writer::default();
    let mut wraps = Writer::default();
    let mut places = Vec::with_capacity(entries.len());
    for entry in entries {
        write_entry(&mut plain, head.store, entry);
        places.push(entry.slot().map(|slot| {
            let place = wraps.len();
            wraps.bytes(&present(slot).unwrap_or([0; WRAPPED_LEN]));
            place
        }));
    }
    let mut out = Writer::default();
    out.bytes(FRAME_MAGIC);
    out.u16(0);
    out.u16(u16::try_from(wraps.len() / WRAPPED_LEN).unwrap_or(u16::MAX));
    out.u32(u32::try_from(plain.len()).unwrap_or(u32::MAX));
    out.u64(number);
    let sum = check(&[&head.store.0, &top(head.domain), out.as_slice(), plain.as_slice()]);
    out.bytes(&sum);
    out.bytes(plain.as_slice());
    let base = out.len();
    out.bytes(wraps.as_slice());
    let places = places.into_iter().map(|place| place.map_or(0, |place| offset(base + place))).collect();
    (out.into_vec(), places)
}

/// A file with these entries and no other.
pub(crate) fn file_bytes(store: StoreId, domain: Domain, made_at: WallTime, entries: &[Entry]) -> (Vec<u8>, Vec<u64>) {
    let frames = u32::try_from(entries.chunks(ENTRIES_MAX).len()).unwrap_or(u32::MAX);
    let head = FileHead { domain, store, made_at, frames };
    let mut image = head_bytes(&head);
    let mut places = Vec::with_capacity(entries.len());
    for (number, chunk) in (0_u64..).zip(entries.chunks(ENTRIES_MAX)) {
        let base = offset(image.len());
        let (frame, inside) = frame_bytes(&head, number, chunk);
        image.extend_from_slice(&frame);
        places.extend(inside.into_iter().map(|place| if place == 0 { 0 } else { base + place }));
    }
    (image, places)
}

pub(crate) fn offset(at: usize) -> u64 {
    u64::try_from(at).unwrap_or(u64::MAX)
}

struct Frame<'a> {
    number: u64,
    head_and_plain: &'a [u8],
    entries: Vec<Entry>,
    digests: Vec<[u8; CHECK_LEN]>,
    wraps: &'a [u8],
}

fn read_frame<'a>(image: &'a [u8], at: usize, head: &FileHead) -> Option<Frame<'a>> {
    let rest = image.get(at..)?;
    let mut reader = Reader::new(rest);
    if reader.array::<4>()? != *FRAME_MAGIC || reader.u16()? != 0 {
        return None;
    }
    let wraps = usize::from(reader.u16()?);
    let plain_len = usize::try_from(reader.u32()?).ok().filter(|len| *len <= PLAIN_MAX)?;
    let number = reader.u64()?;
    let sum = reader.take(CHECK_LEN)?;
    let plain = reader.take(plain_len)?;
    let covered = rest.get(..FRAME_HEAD - CHECK_LEN)?;
    if check(&[&head.store.0, &top(head.domain), covered, plain]) != *sum {
        return None;
    }
    let wrap_bytes = reader.take(wraps * WRAPPED_LEN)?;
    let mut inside = Reader::new(plain);
    let (mut entries, mut digests) = (Vec::new(), Vec::new());
    while !inside.is_empty() {
        let entry = read_entry(&mut inside)?;
        if entry.slot().is_some() {
            digests.push(inside.array()?);
        }
        entries.push(entry);
    }
    let head_and_plain = rest.get(..FRAME_HEAD + plain_len)?;
    (digests.len() == wraps).then_some(Frame { number, head_and_plain, entries, digests, wraps: wrap_bytes })
}

fn read_slot(store: StoreId, digest: &[u8; CHECK_LEN], candidates: &[Option<&Wrapped>]) -> Slot {
    let whole = candidates.iter().flatten().find(|wrapped| wrap_digest(store, wrapped) == *digest);
    match whole {
        Some(wrapped) => Slot::Present(**wrapped),
        None if candidates.iter().flatten().any(|wrapped| **wrapped == [0; WRAPPED_LEN]) => Slot::Blank,
        None => Slot::Damaged,
    }
}

/// Whether a whole frame with a number from `number` on lies anywhere after `from`.
fn frame_follows(image: &[u8], from: usize, number: u64, head: &FileHead) -> bool {
    let Some(rest) = image.get(from..) else { return false };
    let mut starts = rest.windows(FRAME_MAGIC.len()).enumerate().filter(|(_, window)| *window == FRAME_MAGIC);
    starts.any(|(at, _)| read_frame(image, from + at, head).is_some_and(|frame| frame.number >= number))
}

/// Reads one or two copies of a file as one.
pub(crate) fn merge(images: &[&[u8]]) -> Result<Merged, Damage> {
    let head = images.iter().find_map(|image| read_head(image)).ok_or(Damage { at: 0 })?;
    let mut merged = Merged { head, entries: Vec::new(), image: head_bytes(&head), frames: 0, is_torn: false };
    loop {
        let at = merged.image.len();
        let found: Vec<Frame<'_>> = images
            .iter()
            .filter_map(|image| read_frame(image, at, &head))
            .filter(|frame| frame.number == merged.frames)
            .collect();
        let Some(first) = found.first() else { break };
        if found.iter().any(|frame| frame.head_and_plain != first.head_and_plain) {
            // Each copy was written to without the other: nobody can say which is right.
            return Err(Damage { at: offset(at) });
        }
        take_frame(&mut merged, &found, first);
    }
    let end = merged.image.len();
    if merged.frames < u64::from(head.frames)
        || images.iter().any(|image| frame_follows(image, end, merged.frames, &head))
    {
        return Err(Damage { at: offset(end) });
    }
    merged.is_torn = images.iter().any(|image| image.len() > end);
    Ok(merged)
}

fn take_frame(merged: &mut Merged, found: &[Frame<'_>], first: &Frame<'_>) {
    merged.image.extend_from_slice(first.head_and_plain);
    let mut wraps: Vec<_> = found.iter().map(|frame| frame.wraps.as_chunks::<WRAPPED_LEN>().0.iter()).collect();
    let mut digests = first.digests.iter();
    for entry in &first.entries {
        let mut entry = entry.clone();
        let mut place = 0;
        if let Some(slot) = entry.slot_mut() {
            let candidates: Vec<Option<&Wrapped>> = wraps.iter_mut().map(Iterator::next).collect();
            let digest = digests.next().copied().unwrap_or_default();
            *slot = read_slot(merged.head.store, &digest, &candidates);
            place = offset(merged.image.len());
            let raw = match *slot {
                Slot::Present(wrapped) => wrapped,
                Slot::Blank => [0; WRAPPED_LEN],
                // Left as it was found: somebody may still want to look at it.
                Slot::Damaged => candidates.iter().flatten().next().map_or([0; WRAPPED_LEN], |wrapped| **wrapped),
            };
            merged.image.extend_from_slice(&raw);
        }
        merged.entries.push((entry, place));
    }
    merged.frames += 1;
}

/// Feeds foreign bytes to the reader of the journal (fuzz target and corpus test).
pub fn fuzz_key_journal(data: &[u8]) {
    let half = data.len() / 2;
    for images in [&[data][..], &[data, data.get(half..).unwrap_or(&[])][..]] {
        if let Ok(merged) = merge(images) {
            // What was read must read the same again.
            let again = merge(&[&merged.image]).expect("a merged image should be readable");
            assert_eq!(again.image, merged.image);
        }
    }
}
