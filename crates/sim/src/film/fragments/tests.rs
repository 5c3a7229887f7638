use bytes::Bytes;
use mp4_atom::{
    Avc1, Avcc, Codec as Entry, Encode as _, Hdlr, Mdhd, Mvex, Stsd, Tfdt, Tkhd, Trak, Trun, TrunSamples, Visual,
};

use super::*;
use crate::film::Film;

fn trak(track_id: u32, codecs: Vec<Entry>) -> Trak {
    let mut trak = Trak { tkhd: Tkhd { track_id, ..Tkhd::default() }, ..Trak::default() };
    trak.mdia.mdhd = Mdhd { timescale: 1000, ..Mdhd::default() };
    trak.mdia.hdlr = Hdlr { handler: (*b"vide").into(), ..Hdlr::default() };
    trak.mdia.minf.stbl.stsd = Stsd { codecs };
    trak
}

/// Track 1 is none that we know, as sound; track 2 the picture.
fn moov() -> Moov {
    let avcc = Avcc {
        configuration_version: 1,
        avc_profile_indication: 0x42,
        avc_level_indication: 0x1e,
        length_size: 4,
        sequence_parameter_sets: vec![vec![0x67, 0x42, 0xc0, 0x1e, 0xd9]],
        picture_parameter_sets: vec![vec![0x68, 0xce]],
        ..Avcc::default()
    };
    let visual = Visual { width: 64, height: 64, ..Visual::default() };
    let trex = |track_id, duration, size| Trex {
        track_id,
        default_sample_duration: duration,
        default_sample_size: size,
        ..Trex::default()
    };
    Moov {
        mvex: Some(Mvex { mehd: None, trex: vec![trex(1, 23, 3), trex(2, 40, 6)] }),
        trak: vec![trak(1, Vec::new()), trak(2, vec![Entry::Avc1(Avc1 { visual, avcc, ..Avc1::default() })])],
        ..Moov::default()
    }
}

fn traf(track_id: u32, time: Option<u64>, trun: Vec<Trun>) -> Traf {
    Traf {
        tfhd: Tfhd { track_id, default_base_is_moof: true, ..Tfhd::default() },
        tfdt: time.map(|base_media_decode_time| Tfdt { base_media_decode_time }),
        trun,
        ..Traf::default()
    }
}

fn plain(count: u32) -> TrunSamples {
    TrunSamples::Inherited { count, first_flags: None }
}

fn rows(entries: &[(u32, u32, i64)]) -> TrunSamples {
    let entry = |&(duration, size, cts): &_| TrunEntry {
        duration: Some(duration),
        size: Some(size),
        flags: None,
        cts: Some(cts),
    };
    entries.iter().map(entry).collect::<Vec<_>>().into()
}

fn run(data_offset: Option<i32>, samples: TrunSamples) -> Trun {
    Trun { data_offset, samples }
}

type Row = (usize, usize, i64, i64, i64);

fn laid_out(moofs: &[(usize, Moof)]) -> Result<Vec<Row>, FilmError> {
    let mut samples = Vec::new();
    append(&moov(), moofs, 2, &mut samples)?;
    Ok(samples.iter().map(|s| (s.offset, s.size, s.dts, s.duration, s.offset_cts)).collect())
}

fn moof(traf: Vec<Traf>) -> Moof {
    Moof { traf, ..Moof::default() }
}

#[test]
fn places_and_times_follow_the_standard() {
    let header = |change: fn(&mut Tfhd), mut traf: Traf| {
        change(&mut traf.tfhd);
        traf
    };
    for (what, moofs, wanted) in [
        (
            "everything from the track's defaults",
            vec![(100, moof(vec![traf(2, Some(5), vec![run(Some(20), plain(2))])]))],
            vec![(120, 6, 5, 40, 0), (126, 6, 45, 40, 0)],
        ),
        (
            "the fragment's defaults come before the track's",
            vec![(
                100,
                moof(vec![header(
                    |h| (h.default_sample_size, h.default_sample_duration) = (Some(9), Some(10)),
                    traf(2, Some(0), vec![run(Some(20), plain(2))]),
                )]),
            )],
            vec![(120, 9, 0, 10, 0), (129, 9, 10, 10, 0)],
        ),
        (
            "each sample for itself, and a second run right behind the first",
            vec![(
                100,
                moof(vec![traf(
                    2,
                    Some(0),
                    vec![run(Some(20), rows(&[(40, 7, 80), (41, 8, -3)])), run(None, plain(1))],
                )]),
            )],
            vec![(120, 7, 0, 40, 80), (127, 8, 40, 41, -3), (135, 6, 81, 40, 0)],
        ),
        (
            "without tfdt time goes on, over sound in between",
            vec![
                (100, moof(vec![traf(2, None, vec![run(Some(20), plain(1))])])),
                (200, moof(vec![traf(1, Some(77), vec![run(Some(20), plain(3))])])),
                (300, moof(vec![traf(2, None, vec![run(Some(20), plain(1))])])),
            ],
            vec![(120, 6, 0, 40, 0), (320, 6, 40, 40, 0)],
        ),
        (
            "old style: the second track starts where the first ends",
            vec![(
                100,
                moof(vec![
                    header(|h| h.default_base_is_moof = false, traf(1, None, vec![run(Some(50), plain(3))])),
                    header(|h| h.default_base_is_moof = false, traf(2, None, vec![run(None, plain(2))])),
                ]),
            )],
            vec![(159, 6, 0, 40, 0), (165, 6, 40, 40, 0)],
        ),
        (
            "a base in the file, before the fragment",
            vec![(
                100,
                moof(vec![header(
                    |h| h.base_data_offset = Some(30),
                    traf(2, None, vec![run(Some(-10), plain(1)), run(None, plain(1))]),
                )]),
            )],
            vec![(20, 6, 0, 40, 0), (26, 6, 40, 40, 0)],
        ),
        ("a fragment of sound alone", vec![(100, moof(vec![traf(1, None, vec![run(Some(20), plain(9))])]))], vec![]),
    ] {
        assert_eq!(laid_out(&moofs).unwrap(), wanted, "{what}");
    }
}

#[test]
fn nonsense_is_refused_in_words() {
    for (wanted, moofs) in [
        ("lies before the file", vec![(5, moof(vec![traf(2, None, vec![run(Some(-20), plain(1))])]))]),
        ("too many samples", vec![(5, moof(vec![traf(2, None, vec![run(Some(20), plain(u32::MAX))])]))]),
        ("too many samples", vec![(5, moof(vec![traf(1, None, vec![run(Some(20), plain(u32::MAX))])]))]),
        ("beyond 63 bits", vec![(5, moof(vec![traf(2, Some(u64::MAX), vec![])]))]),
    ] {
        let problem = laid_out(&moofs).unwrap_err().to_string();
        assert!(problem.contains(wanted), "{problem}");
    }
    let unnamed = Moov { mvex: None, ..moov() };
    let moofs = [(0, moof(vec![traf(2, None, vec![])]))];
    assert!(append(&unnamed, &moofs, 2, &mut Vec::new()).unwrap_err().to_string().contains("mvex"));
}

/// Bytes of a whole file: two fragments of sound and pictures, one key picture in each.
fn file(change: impl Fn(&mut Moof)) -> Bytes {
    let mut out = Vec::new();
    moov().encode(&mut out).unwrap();
    for n in 0..2_u64 {
        let pictures = rows(&[(40, 10, 40), (40, 7, 80), (40, 7, 0)]);
        let shape = |data: i32| {
            let sound = traf(1, Some(0), vec![run(Some(data), plain(2))]);
            let mut moof = moof(vec![sound, traf(2, Some(120 * n), vec![run(Some(data + 6), pictures.clone())])]);
            change(&mut moof);
            let mut bytes = Vec::new();
            moof.encode(&mut bytes).unwrap();
            bytes
        };
        let head = i32::try_from(shape(0).len()).unwrap() + 8;
        out.extend_from_slice(&shape(head));
        out.extend_from_slice(&[0, 0, 0, 8 + 30, b'm', b'd', b'a', b't']);
        out.extend_from_slice(b"sosoun"); // two samples of three bytes
        out.extend_from_slice(&[0, 0, 0, 6, 0x65, 0x88, 1, 2, 3, 4]);
        out.extend_from_slice(&[0, 0, 0, 3, 0x41, 0x9a, 1, 0, 0, 0, 3, 0x01, 0x9a, 1]);
    }
    Bytes::from(out)
}

#[test]
fn a_fragmented_file_with_sound_becomes_a_film() {
    let film = Film::from_mp4(&file(|_| {})).unwrap();
    let units: Vec<_> = film.units().iter().map(|u| (u.is_key, u.dts / 90, u.pts / 90)).collect();
    assert_eq!(
        units,
        [(true, 0, 40), (false, 40, 120), (false, 80, 80), (true, 120, 160), (false, 160, 240), (false, 200, 200)]
    );
    assert_eq!(film.duration(), 240 * 90);
    // Parameter sets stand before each key picture.
    assert_eq!(film.units()[3].nals.len(), 3);
}

#[test]
fn damaged_fragments_are_refused_in_words() {
    let whole = file(|_| {});
    for (wanted, data) in [
        ("longer than the file", whole.slice(..whole.len() - 3)),
        ("outside the file", file(|moof| moof.traf[1].trun[0].data_offset = Some(100_000))),
        ("backwards", file(|moof| moof.traf[1].tfdt = Some(Tfdt { base_media_decode_time: 3 }))),
        ("longer than its sample", file(|moof| moof.traf[1].trun[0].samples = rows(&[(40, 9, 0)]))),
        ("no pictures", file(|moof| moof.traf[1].tfhd.track_id = 1)),
        ("two moov", Bytes::from([whole.as_ref(), whole.as_ref()].concat())),
    ] {
        let problem = Film::from_mp4(&data).unwrap_err().to_string();
        assert!(problem.contains(wanted), "wanted `{wanted}`, got `{problem}`");
    }
    for cut in 0..whole.len() {
        crate::film::fuzz_film(&whole.slice(..cut));
    }
}
