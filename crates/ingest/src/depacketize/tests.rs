use super::*;

/// One packet: payload, ticks, marker, lost before.
type Given<'a> = (&'a [u8], i64, bool, u32);
/// One access unit: NAL units, ticks, lost before.
type Wanted<'a> = (&'a [&'a [u8]], i64, u32);

type Got = (Vec<Vec<u8>>, i64, u32);

fn run(codec: Codec, packets: &[Given<'_>]) -> Result<Vec<Got>, PayloadError> {
    let mut depacketizer = Depacketizer::new(codec);
    let mut frames = Vec::new();
    for (bytes, ticks, is_last, lost_before) in packets {
        let packet = RtpPayload { bytes, ticks: *ticks, is_last: *is_last, lost_before: *lost_before };
        let frame = depacketizer.push(packet)?;
        for frame in frame.into_iter().chain(depacketizer.pull()) {
            assert!(media::nal::is_well_formed(&frame.payload));
            let nals = media::nal::length_prefixed(&frame.payload).map(<[u8]>::to_vec).collect();
            frames.push((nals, frame.ticks, frame.lost_before));
        }
    }
    Ok(frames)
}

fn check(name: &str, codec: Codec, packets: &[Given<'_>], wanted: &[Wanted<'_>]) {
    let wanted: Vec<_> = wanted
        .iter()
        .map(|(nals, at, lost)| (nals.iter().map(|n| n.to_vec()).collect::<Vec<_>>(), *at, *lost))
        .collect();
    assert_eq!(run(codec, packets), Ok(wanted), "{name}");
}

const SPS: &[u8] = &[0x67, 1, 2];
const PPS: &[u8] = &[0x68, 3];
const PPS_B: &[u8] = &[0x68, 4];
const SEI: &[u8] = &[0x06, 5];
const IDR: &[u8] = &[0x65, 0x88, 7];
const DELTA: &[u8] = &[0x41, 0x9a, 8];

#[test]
fn h264_units_keep_their_bytes() {
    let stap: &[u8] = &[0x78, 0, 3, 0x67, 1, 2, 0, 2, 0x68, 3, 0, 2, 0x68, 4];
    let (fu_a, fu_b, fu_c): (&[u8], &[u8], &[u8]) = (&[0x7c, 0x85, 0x88], &[0x7c, 0x05, 9], &[0x7c, 0x45, 7]);
    check(
        "single units",
        Codec::H264,
        &[(SPS, 10, false, 0), (PPS, 10, false, 0), (IDR, 10, true, 0)],
        &[(&[SPS, PPS, IDR], 10, 0)],
    );
    check(
        "aggregated sets, two picture sets kept",
        Codec::H264,
        &[(stap, 10, false, 0), (IDR, 10, true, 0)],
        &[(&[SPS, PPS, PPS_B, IDR], 10, 0)],
    );
    check(
        "fragments and SEI",
        Codec::H264,
        &[(SEI, 10, false, 0), (fu_a, 10, false, 0), (fu_b, 10, false, 0), (fu_c, 10, true, 0), (DELTA, 20, true, 0)],
        &[(&[SEI, &[0x65, 0x88, 9, 7]], 10, 0), (&[DELTA], 20, 0)],
    );
    check(
        "no markers, time changes",
        Codec::H264,
        &[(IDR, 10, false, 0), (DELTA, 20, false, 0), (DELTA, 30, false, 0)],
        &[(&[IDR], 10, 0), (&[DELTA], 20, 0)],
    );
    check(
        "marker after one unit of the next time",
        Codec::H264,
        &[(IDR, 10, false, 0), (DELTA, 20, true, 0)],
        &[(&[IDR], 10, 0), (&[DELTA], 20, 0)],
    );
    check(
        "two slices",
        Codec::H264,
        &[(DELTA, 10, false, 0), (&[0x41, 0x11, 8], 10, true, 0)],
        &[(&[DELTA, &[0x41, 0x11, 8]], 10, 0)],
    );
    check(
        "marker and other time on parameter sets",
        Codec::H264,
        &[(SPS, 8, true, 0), (PPS, 9, true, 0), (IDR, 10, true, 0)],
        &[(&[SPS, PPS, IDR], 10, 0)],
    );
    check(
        "start codes inside a payload",
        Codec::H264,
        &[(&[0x67, 1, 2, 0, 0, 0, 1, 0x68, 3, 0, 0, 1, 0x65, 0x88, 7], 10, true, 0)],
        &[(&[SPS, PPS, IDR], 10, 0)],
    );
    check(
        "a slice that holds zeros stays whole",
        Codec::H264,
        &[(&[0x41, 0x9a, 0, 0, 3, 1], 10, true, 0)],
        &[(&[&[0x41, 0x9a, 0, 0, 3, 1]], 10, 0)],
    );
    check(
        "joined in mid-picture",
        Codec::H264,
        &[(fu_b, 10, false, 0), (fu_c, 10, true, 0), (IDR, 20, true, 0)],
        &[(&[IDR], 20, 0)],
    );
    check("both start and end", Codec::H264, &[(&[0x7c, 0xc5, 0x88, 7], 10, true, 0)], &[(&[IDR], 10, 0)]);
}

#[test]
fn losses_drop_the_picture_and_are_counted() {
    let (fu_a, fu_b, fu_c): (&[u8], &[u8], &[u8]) = (&[0x7c, 0x85, 0x88], &[0x7c, 0x05, 9], &[0x7c, 0x45, 7]);
    check(
        "inside fragments",
        Codec::H264,
        &[(fu_a, 10, false, 0), (fu_c, 10, true, 2), (DELTA, 20, true, 0)],
        &[(&[DELTA], 20, 2)],
    );
    check(
        "the end of one picture and the start of the next",
        Codec::H264,
        &[(fu_a, 10, false, 0), (fu_b, 20, false, 3), (fu_c, 20, true, 0), (DELTA, 30, true, 0)],
        &[(&[DELTA], 30, 3)],
    );
    check(
        "between whole pictures",
        Codec::H264,
        &[(IDR, 10, true, 0), (DELTA, 30, true, 4)],
        &[(&[IDR], 10, 0), (&[DELTA], 30, 4)],
    );
    check(
        "the end of a picture that no marker closed",
        Codec::H264,
        &[(DELTA, 10, false, 0), (IDR, 20, true, 1)],
        &[(&[IDR], 20, 1)],
    );
    check("twice", Codec::H264, &[(DELTA, 10, false, 1), (DELTA, 10, true, 1), (IDR, 20, true, 1)], &[(&[IDR], 20, 3)]);
}

#[test]
fn h265_units_keep_their_bytes() {
    let (vps, sps, pps): (&[u8], &[u8], &[u8]) = (&[0x40, 1, 9], &[0x42, 1, 8], &[0x44, 1, 7]);
    let idr: &[u8] = &[0x26, 1, 0xaf, 5];
    let ap: &[u8] = &[0x60, 1, 0, 3, 0x40, 1, 9, 0, 3, 0x42, 1, 8, 0, 3, 0x44, 1, 7];
    check("aggregated", Codec::H265, &[(ap, 10, false, 0), (idr, 10, true, 0)], &[(&[vps, sps, pps, idr], 10, 0)]);
    check(
        "fragments",
        Codec::H265,
        &[(vps, 10, false, 0), (&[0x62, 1, 0x93, 0xaf], 10, false, 0), (&[0x62, 1, 0x53, 5], 10, true, 0)],
        &[(&[vps, idr], 10, 0)],
    );
}

#[test]
fn broken_payloads_end_the_session() {
    for (codec, bytes, wanted) in [
        (Codec::H264, &[0x78, 0, 9, 0x67][..], PayloadError::Short),
        (Codec::H264, &[0x78, 0][..], PayloadError::Short),
        (Codec::H264, &[0x7c][..], PayloadError::Short),
        (Codec::H264, &[][..], PayloadError::Short),
        (Codec::H264, &[0x79, 1, 2][..], PayloadError::Interleaved),
        (Codec::H264, &[0x7d, 1, 2][..], PayloadError::Interleaved),
        (Codec::H264, &[0x00, 1][..], PayloadError::Kind),
        (Codec::H265, &[0x26][..], PayloadError::Short),
        (Codec::H265, &[0x62, 1][..], PayloadError::Short),
        (Codec::H265, &[0x64, 1, 2][..], PayloadError::Kind),
    ] {
        assert_eq!(run(codec, &[(bytes, 10, true, 0)]), Err(wanted), "{bytes:?}");
    }
}

#[test]
fn endless_pictures_hit_a_limit() {
    let mut piece = vec![0x7c, 0x05];
    piece.resize(60_000, 0xaa);
    let mut packets: Vec<Given<'_>> = vec![(&[0x7c, 0x85, 0x88], 10, false, 0)];
    packets.extend(std::iter::repeat_n((piece.as_slice(), 10, false, 0), 200));
    assert_eq!(run(Codec::H264, &packets), Err(PayloadError::TooLong));
    let flood = vec![(DELTA, 10, false, 0); 2000];
    assert_eq!(run(Codec::H264, &flood), Err(PayloadError::TooLong));
}

#[test]
fn rubbish_is_survived() {
    let mut seed = 1_u64;
    for length in 0..400_usize {
        let data: Vec<u8> = (0..length)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                u8::try_from(seed >> 56).unwrap()
            })
            .collect();
        fuzz_depacketize(&data);
    }
}
