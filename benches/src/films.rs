//! A played file against the film that a simulated camera sent: every frame once, in order, byte for byte, at its own time.

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use sim::{Film, find_counter};

/// What a played file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Played {
    /// Frames.
    pub frames: u64,
    /// Key frames among them.
    pub keys: u64,
    /// The simulator's number of the first frame.
    pub first: u64,
    /// When the simulator sent the first and the last frame, wall µs.
    pub sent_us: (i64, i64),
}

/// Compares a played fragmented MP4 with `film`, which the camera began at its first picture when the simulator started.
///
/// Frame numbers follow each other without a hole, NAL units are those of the film and the counter, decode times never
/// decrease, and presentation times are exactly those of the film, all in 1/90,000 s and over its seams.
///
/// # Errors
/// The first difference.
pub fn check(played: &Bytes, film: &Film) -> anyhow::Result<Played> {
    let file = Film::from_mp4(played).context("the played file")?;
    ensure!(file.codec() == film.codec(), "another codec");
    let len = u64::try_from(film.units().len())?;
    let mut origin = None;
    let mut expected = None;
    let mut found = Played { frames: 0, keys: 0, first: 0, sent_us: (0, 0) };
    for (at, unit) in file.units().iter().enumerate() {
        let counters: Vec<_> = unit.nals.iter().filter_map(|nal| find_counter(film.codec(), nal)).collect();
        let [counter] = counters.as_slice() else { bail!("{} counters in frame {at} of the file", counters.len()) };
        let number = counter.frame;
        ensure!(expected.is_none_or(|next| next == number), "frame {number} where {expected:?} belongs");
        expected = Some(number + 1);
        let (loops, index) = (i64::try_from(number / len)?, usize::try_from(number % len)?);
        let original = film.units().get(index).context("a frame that the film does not have")?;
        let ours = unit.nals.iter().filter(|nal| find_counter(film.codec(), nal).is_none());
        ensure!(ours.eq(original.nals.iter()), "frame {number} does not hold the bytes that were sent");
        ensure!(unit.is_key == original.is_key, "frame {number}: key frame or not");
        let shown = loops * film.duration() + original.pts;
        let shift = unit.pts - shown;
        let first_shift = *origin.get_or_insert(shift);
        ensure!(shift == first_shift, "frame {number} is shown {} ticks off its time", shift - first_shift);
        if found.frames == 0 {
            (found.first, found.sent_us.0) = (number, counter.sent_at.micros);
            ensure!(unit.is_key, "the file does not begin with a key frame");
        }
        found.sent_us.1 = counter.sent_at.micros;
        found.frames += 1;
        found.keys += u64::from(unit.is_key);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use media::fmp4::{FragmentHead, init_segment};
    use media::{ParameterSets, Sample};
    use sim::counter::{Counter, sei_nal};
    use sim::pattern::Pattern;
    use vms_core::{Codec, WallTime};

    use super::*;

    fn film() -> Film {
        let pattern = Pattern { frames: 6, gop: 3, width_mbs: 2, height_mbs: 2, ..Pattern::default() };
        pattern.film().unwrap().as_ref().clone()
    }

    /// The frames `numbers` of the endless film in one fragment, each lasting `ticks`.
    fn file(film: &Film, numbers: &[u64], ticks: impl Fn(u64) -> u32) -> Bytes {
        let (mut payload, mut samples) = (Vec::new(), Vec::new());
        for number in numbers {
            let unit = &film.units()[usize::try_from(number % 6).unwrap()];
            let counter = Counter { frame: *number, sent_at: WallTime::from_secs(7), camera: 1 };
            let before = payload.len();
            for nal in std::iter::once(&sei_nal(Codec::H264, &counter)).chain(&unit.nals) {
                payload.extend_from_slice(&u32::try_from(nal.len()).unwrap().to_be_bytes());
                payload.extend_from_slice(nal);
            }
            let size = u32::try_from(payload.len() - before).unwrap();
            samples.push(Sample { size, duration: ticks(*number), composition: 0, is_key: unit.is_key });
        }
        let params = film.params();
        let sets = ParameterSets::from_nals(Codec::H264, vec![], params.sps.clone(), params.pps.clone()).unwrap();
        let head = FragmentHead { sequence: 1, decode: 900, entry: 1, samples: &samples };
        let init = init_segment(&[&sets]).unwrap();
        Bytes::from([init.as_ref(), head.wrap(&payload).unwrap().as_ref()].concat())
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        let film = film();
        let even = |_| 3600;
        let found = check(&file(&film, &[3, 4, 5, 6, 7, 8, 9], even), &film).unwrap();
        assert_eq!((found.frames, found.keys, found.first), (7, 3, 3));
        for (what, file) in [
            ("frame 6 where Some(5) belongs", file(&film, &[3, 4, 6, 7], even)),
            ("frame 4 where Some(5) belongs", file(&film, &[3, 4, 4, 5], even)),
            ("frame 5 is shown 100 ticks off", file(&film, &[3, 4, 5], |number| if number == 4 { 3700 } else { 3600 })),
            ("does not begin with a key frame", file(&film, &[4, 5, 6], even)),
        ] {
            let problem = format!("{:#}", check(&file, &film).unwrap_err());
            assert!(problem.contains(what), "wanted `{what}`, got `{problem}`");
        }
        let whole = file(&film, &[3, 4, 5], even);
        let mut other = whole.to_vec();
        *other.last_mut().unwrap() ^= 1;
        let problem = format!("{:#}", check(&Bytes::from(other), &film).unwrap_err());
        assert!(problem.contains("bytes that were sent"), "{problem}");
    }
}
