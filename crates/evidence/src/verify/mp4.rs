//! The tables of a film's `moov`, read from bytes that may be forged: every count is held against the bytes that are there.

/// Sample tables of the one track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tables {
    /// Ticks of the whole timeline.
    pub(super) duration: u64,
    /// Pixels.
    pub(super) size: (u16, u16),
    /// Runs of samples with the same length.
    deltas: Vec<(u32, u32)>,
    /// Presentation minus decode time of the first sample, ticks.
    pub(super) first_offset: i32,
    sizes: Vec<u32>,
    offsets: Vec<u32>,
    /// First chunk, samples per chunk.
    runs: Vec<(u32, u32)>,
    /// Numbers of the key frames; `None`: all are.
    keys: Option<Vec<u32>>,
}

/// One chunk as the tables tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) frames: u32,
    pub(super) is_key: bool,
    pub(super) decode: u64,
    /// With a hole behind it, if there is one.
    pub(super) ticks: u64,
}

impl Tables {
    /// Reads a whole `moov` box.
    pub(super) fn parse(moov: &[u8]) -> Option<Self> {
        let boxes = children(moov)?;
        let [(kind, body)] = boxes.as_slice() else { return None };
        if kind != b"moov" {
            return None;
        }
        let trak = one(body, b"trak")?;
        let mdia = one(trak, b"mdia")?;
        let stbl = one(one(mdia, b"minf")?, b"stbl")?;
        let (timescale, duration) = media_header(one(mdia, b"mdhd")?)?;
        let sizes = sizes(one(stbl, b"stsz")?)?;
        let keys = match all(stbl, b"stss")?.as_slice() {
            [] => None,
            [stss] => Some(numbers::<1>(stss)?.into_iter().map(|[number]| number).collect()),
            _ => return None,
        };
        let first_offset = match all(stbl, b"ctts")?.as_slice() {
            [] => 0,
            [ctts] => numbers::<2>(ctts)?.first().map_or(0, |[_, offset]| i32::from_be_bytes(offset.to_be_bytes())),
            _ => return None,
        };
        let pairs = |body| Some(numbers::<2>(body)?.into_iter().map(|[a, b]| (a, b)).collect());
        let deltas = pairs(one(stbl, b"stts")?)?;
        let runs = numbers::<3>(one(stbl, b"stsc")?)?.into_iter().map(|[first, count, _]| (first, count)).collect();
        let offsets = numbers::<1>(one(stbl, b"stco")?)?.into_iter().map(|[offset]| offset).collect();
        let size = picture_size(one(trak, b"tkhd")?)?;
        (timescale == 90_000).then_some(Self { duration, size, deltas, first_offset, sizes, offsets, runs, keys })
    }

    /// Samples.
    pub(super) fn frames(&self) -> u64 {
        u64::try_from(self.sizes.len()).unwrap_or(u64::MAX)
    }

    /// Chunk by chunk; `None` where the tables contradict each other.
    pub(super) fn chunks(&self) -> Option<Vec<Chunk>> {
        let mut sizes = self.sizes.iter();
        let mut deltas = Lengths { runs: self.deltas.iter(), left: 0, ticks: 0 };
        let mut keys = self.keys.as_ref().map(|keys| keys.iter().copied().peekable());
        let mut runs = self.runs.iter().copied().peekable();
        let (mut per_chunk, mut sample, mut decode) = (0, 0_u32, 0_u64);
        let mut out = Vec::with_capacity(self.offsets.len());
        for (offset, number) in self.offsets.iter().zip(1_u32..) {
            if let Some((_, count)) = runs.next_if(|(first, _)| *first == number) {
                per_chunk = count;
            }
            if per_chunk == 0 {
                return None;
            }
            let (mut bytes, mut ticks) = (0_u64, 0_u64);
            let first = sample.checked_add(1)?;
            for _ in 0..per_chunk {
                bytes = bytes.checked_add(u64::from(*sizes.next()?))?;
                ticks = ticks.checked_add(u64::from(deltas.next()?))?;
                sample = sample.checked_add(1)?;
            }
            let is_key = match &mut keys {
                None => true,
                Some(keys) => {
                    let mut found = false;
                    while let Some(key) = keys.next_if(|key| *key <= sample) {
                        found |= key == first;
                    }
                    found
                }
            };
            out.push(Chunk { offset: u64::from(*offset), bytes, frames: per_chunk, is_key, decode, ticks });
            decode = decode.checked_add(ticks)?;
        }
        let all_used = sizes.next().is_none() && deltas.next().is_none() && runs.next().is_none();
        (all_used && keys.is_none_or(|mut keys| keys.next().is_none())).then_some(out)
    }
}

/// Lengths of the samples, one by one.
struct Lengths<'a> {
    runs: std::slice::Iter<'a, (u32, u32)>,
    left: u32,
    ticks: u32,
}

impl Iterator for Lengths<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        while self.left == 0 {
            (self.left, self.ticks) = *self.runs.next()?;
        }
        self.left -= 1;
        Some(self.ticks)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|raw| u32::from_be_bytes(*raw))
}

/// Boxes one after the other, with 32-bit sizes; `None` when they do not fill the bytes.
pub(super) fn children(mut bytes: &[u8]) -> Option<Vec<([u8; 4], &[u8])>> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let length = usize::try_from(word(bytes, 0)?).ok()?;
        let (this, rest) = bytes.split_at_checked(length)?;
        let (header, body) = this.split_at_checked(8)?;
        out.push((*header.last_chunk::<4>()?, body));
        bytes = rest;
    }
    Some(out)
}

fn all<'a>(body: &'a [u8], kind: &[u8; 4]) -> Option<Vec<&'a [u8]>> {
    Some(children(body)?.into_iter().filter(|(found, _)| found == kind).map(|(_, body)| body).collect())
}

fn one<'a>(body: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    match all(body, kind)?.as_slice() {
        [only] => Some(only),
        _ => None,
    }
}

/// Rows of `N` numbers behind version, flags and count; they must fill the box.
fn numbers<const N: usize>(body: &[u8]) -> Option<Vec<[u32; N]>> {
    let count = usize::try_from(word(body, 4)?).ok()?;
    let rows = body.get(8..)?;
    if rows.len() != count.checked_mul(N)?.checked_mul(4)? {
        return None;
    }
    rows.chunks_exact(N * 4)
        .map(|row| {
            let mut out = [0; N];
            for (slot, at) in out.iter_mut().zip((0..).step_by(4)) {
                *slot = word(row, at)?;
            }
            Some(out)
        })
        .collect()
}

fn sizes(body: &[u8]) -> Option<Vec<u32>> {
    // A common size of 0: each has its own.
    if word(body, 4)? != 0 {
        return None;
    }
    let count = usize::try_from(word(body, 8)?).ok()?;
    let rows = body.get(12..)?;
    if rows.len() != count.checked_mul(4)? {
        return None;
    }
    rows.chunks_exact(4).map(|row| word(row, 0)).collect()
}

/// Timescale and duration.
fn media_header(body: &[u8]) -> Option<(u32, u64)> {
    match body.first()? {
        0 => Some((word(body, 12)?, u64::from(word(body, 16)?))),
        1 => Some((word(body, 20)?, (u64::from(word(body, 24)?) << 32) | u64::from(word(body, 28)?))),
        _ => None,
    }
}

/// Width and height: the whole part of the last two 16.16 numbers.
fn picture_size(body: &[u8]) -> Option<(u16, u16)> {
    let last = body.last_chunk::<8>()?;
    let whole = |at| word(last, at).and_then(|number| u16::try_from(number >> 16).ok());
    Some((whole(0)?, whole(4)?))
}
