//! The fuzz bodies over a small corpus and its repeatable mutations: nothing may panic, hang or eat memory.

use bytes::Bytes;
use sim::counter::{Counter, fuzz_counter, sei_nal};
use sim::film::fuzz_film;
use sim::pattern::Pattern;
use sim::rtsp::{fuzz_rtsp_request, fuzz_transport};
use vms_core::{Codec, WallTime};

/// A cheap repeatable row of numbers.
fn numbers(seed: u64) -> impl Iterator<Item = usize> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0)
    })
}

/// Changes a few bytes, and cuts or doubles a piece now and then.
fn mutate(seed: &[u8], round: u64) -> Vec<u8> {
    let mut row = numbers(round);
    let mut next = || row.next().unwrap_or(0);
    let mut data = seed.to_vec();
    for _ in 0..=next() % 6 {
        if data.is_empty() {
            break;
        }
        let at = next() % data.len();
        let kind = next() % 6;
        if let Some(byte) = data.get_mut(at) {
            *byte = match kind {
                0 => 0,
                1 => 0xff,
                2 => 1,
                3 => 0x7f,
                4 => 0x80,
                _ => *byte ^ 4,
            };
        }
    }
    if next() % 3 == 0 && !data.is_empty() {
        data.truncate(next() % data.len());
    }
    data
}

#[test]
fn mutated_requests_are_survived() {
    let seeds: [&[u8]; 3] = [
        b"DESCRIBE rtsp://h:554/cam001/main RTSP/1.0\r\nCSeq: 2\r\nAuthorization: Digest username=\"a\", realm=\"b\", nonce=\"c\", uri=\"d\", response=\"e\"\r\n\r\n",
        b"SETUP /cam001/main/trackID=0 RTSP/1.0\r\nCSeq: 3\r\nTransport: RTP/AVP;unicast;client_port=5000-5001\r\nContent-Length: 4\r\n\r\nabcd",
        b"$\x00\x00\x04abcdOPTIONS * RTSP/1.0\r\n\r\n",
    ];
    for seed in seeds {
        for round in 0..2000 {
            fuzz_rtsp_request(&mutate(seed, round));
        }
    }
    for round in 0..2000 {
        fuzz_transport(&mutate(b"RTP/AVP/TCP;unicast;interleaved=0-1,RTP/AVP;unicast;client_port=5000-5001", round));
    }
}

#[test]
fn mutated_counters_are_survived() {
    for codec in Codec::ALL {
        let unit = sei_nal(*codec, &Counter { frame: 1 << 40, sent_at: WallTime::from_secs(1), camera: 3 });
        let mut sample = u32::try_from(unit.len()).unwrap().to_be_bytes().to_vec();
        sample.extend_from_slice(&unit);
        for round in 0..2000 {
            fuzz_counter(&mutate(&unit, round));
            fuzz_counter(&mutate(&sample, round));
        }
    }
}

#[test]
fn mutated_films_are_survived() {
    let stream: Bytes = Pattern { frames: 4, gop: 2, width_mbs: 1, height_mbs: 1, ..Pattern::default() }.annex_b();
    for round in 0..500 {
        fuzz_film(&mutate(&stream, round));
    }
    for name in ["vfr.mp4", "fragmented.mp4"] {
        let film = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/films").join(name);
        let Ok(file) = std::fs::read(&film) else {
            println!("MP4 PART NOT RUN: no target/films/{name}; make it with scripts/make-films.sh");
            continue;
        };
        // Only the tables are worth changing: the pictures are not looked into.
        for kind in [b"moov", b"moof"] {
            let Some(at) = file.windows(4).rposition(|w| w == kind) else { continue };
            let (head, rest) = file.split_at(at - 4);
            let size = usize::try_from(u32::from_be_bytes(rest[..4].try_into().unwrap())).unwrap();
            let (tables, media) = rest.split_at(size);
            for round in 0..400 {
                let mut data = head.to_vec();
                data.extend_from_slice(&mutate(tables, round));
                data.extend_from_slice(media);
                fuzz_film(&data);
            }
        }
    }
}
