use bytes::Bytes;
use sim::pattern::Pattern;
use vms_core::{Codec, SyncState};

use super::*;

const BOUND: Duration = Duration::from_millis(500);

fn info(described_sets: Vec<Bytes>) -> SessionInfo {
    SessionInfo { codec: Codec::H264, described_sets, offers_audio: false }
}

fn mono(micros: u64) -> MonoTime {
    MonoTime { micros }
}

fn at_once(at: u64) -> Arrival {
    Arrival { mono: mono(at), wall: WallTime::from_secs(5), gathered: Duration::ZERO }
}

/// Frames of a small real film: key picture with parameter sets every 10, 25 frames/s.
fn frames() -> Vec<Frame> {
    let film = Pattern::default().film().expect("the pattern should be a film");
    film.units()
        .iter()
        .map(|unit| {
            let mut payload = bytes::BytesMut::new();
            if unit.is_key {
                for set in film.params().sps.iter().chain(&film.params().pps) {
                    nal::put_length_prefixed(set, &mut payload);
                }
            }
            unit.nals.iter().for_each(|one| nal::put_length_prefixed(one, &mut payload));
            Frame { payload: payload.freeze(), ticks: unit.pts, lost_before: 0 }
        })
        .collect()
}

/// (epoch, seq, dts) of what comes out; `None` for "not yet".
fn run(assembler: &mut Assembler, frames: &[(Frame, u64)]) -> Vec<Option<(u64, u64, i64)>> {
    frames
        .iter()
        .map(|(frame, at)| match assembler.frame(frame.clone(), at_once(*at)) {
            Assembled::Unit(unit, sets) => {
                assert_eq!(unit.param_set, sets.id);
                Some((unit.epoch, unit.seq, unit.dts.ticks_90k))
            }
            Assembled::NotYet => None,
        })
        .collect()
}

fn at_25(frames: Vec<Frame>) -> Vec<(Frame, u64)> {
    (0_u64..).map(|n| 1_000_000 + n * 40_000).zip(frames).map(|(at, frame)| (frame, at)).collect()
}

#[test]
fn units_begin_with_the_first_key_frame() {
    let mut assembler = Assembler::new(info(vec![]), mono(900), 0, BOUND);
    let got = run(&mut assembler, &at_25(frames())[5..13]);
    assert_eq!(got[..5], [None; 5]);
    assert_eq!(got[5..], [Some((900, 0, 36_000)), Some((900, 1, 39_600)), Some((900, 2, 43_200))]);
}

#[test]
fn epochs_rise_whatever_the_clock_says() {
    assert_eq!(Assembler::new(info(vec![]), mono(900), 5000, BOUND).epoch(), 5001);
    assert_eq!(Assembler::new(info(vec![]), mono(9000), 5000, BOUND).epoch(), 9000);
}

#[test]
fn a_camera_whose_clock_is_set_gets_a_new_epoch() {
    let hour = 3600 * 90_000;
    for (step, name) in [(hour, "ahead"), (-hour, "back")] {
        let mut frames = at_25(frames());
        frames[12..].iter_mut().for_each(|(frame, _)| frame.ticks += step);
        let mut assembler = Assembler::new(info(vec![]), mono(900), 0, BOUND);
        let got: Vec<_> = run(&mut assembler, &frames[10..14]).into_iter().flatten().collect();
        let jumped = 1_000_000 + 12 * 40_000;
        let dts = 12 * 3600 + step;
        let wanted = [(900, 0, 36_000), (900, 1, 39_600), (jumped, 0, dts), (jumped, 1, dts + 3600)];
        assert_eq!(got, wanted, "{name}");
    }
}

#[test]
fn a_burst_after_a_stall_stays_in_its_epoch() {
    let mut frames = at_25(frames());
    // Ten seconds of nothing, then everything at once.
    frames[5..].iter_mut().for_each(|(_, at)| *at = 11_000_000);
    let mut assembler = Assembler::new(info(vec![]), mono(900), 0, BOUND);
    let got = run(&mut assembler, &frames);
    assert!(got.iter().flatten().all(|(epoch, ..)| *epoch == 900));
    assert_eq!(got.len(), 50);
}

#[test]
fn described_sets_serve_a_stream_that_brings_none() {
    let film = Pattern::default().film().expect("the pattern should be a film");
    let sets = film.params().sps.iter().chain(&film.params().pps).cloned().collect();
    let stripped: Vec<Frame> = film
        .units()
        .iter()
        .map(|unit| {
            let mut payload = bytes::BytesMut::new();
            let slices =
                unit.nals.iter().filter(|one| matches!(nal::kind(Codec::H264, one), nal::NalKind::Slice { .. }));
            slices.for_each(|one| nal::put_length_prefixed(one, &mut payload));
            Frame { payload: payload.freeze(), ticks: unit.pts, lost_before: 0 }
        })
        .collect();
    let mut without = Assembler::new(info(vec![]), mono(900), 0, BOUND);
    assert!(run(&mut without, &at_25(stripped.clone())).iter().all(Option::is_none));
    let mut with = Assembler::new(info(sets), mono(900), 0, BOUND);
    assert!(run(&mut with, &at_25(stripped)).iter().all(Option::is_some));
}

#[test]
fn sender_reports_give_the_camera_time() {
    let mut assembler = Assembler::new(info(vec![]), mono(900), 0, BOUND);
    assembler.sender_report(WallTime::from_secs(4), 0);
    let frame = frames().swap_remove(0);
    let Assembled::Unit(unit, _) = assembler.frame(frame, at_once(1000)) else {
        panic!("the first frame should be a key frame");
    };
    assert_eq!((unit.clocks.camera, unit.clocks.sync), (Some(WallTime::from_secs(4)), SyncState::Differs));
}

#[test]
fn frames_read_together_get_the_times_they_arrived_at() {
    // 25 frames/s, looked at every 160 ms, a little beside the frames; `late` frames came 30 ms late.
    for (shift_us, late) in [(0_u64, None), (7_000, None), (39_000, None), (13_000, Some(4))] {
        let mut assembler = Assembler::new(info(vec![]), mono(900), 0, BOUND);
        let mut worst = 0;
        for (n, frame) in (0_u64..).zip(frames()).take(40) {
            let arrived = 1_000_000 + n * 40_000 + if late == Some(n % 10) { 30_000 } else { 0 };
            let read_at = (arrived + shift_us).div_ceil(160_000) * 160_000 - shift_us;
            let wall = WallTime::from_secs(5).plus(Duration::from_micros(read_at));
            let arrival = Arrival { mono: mono(read_at), wall, gathered: Duration::from_millis(160) };
            let Assembled::Unit(unit, _) = assembler.frame(frame, arrival) else { panic!("a key frame came first") };
            let clocks = unit.clocks;
            assert_eq!(
                clocks.wall.micros_since(wall),
                i64::try_from(clocks.mono.micros).unwrap() - i64::try_from(read_at).unwrap()
            );
            assert!(clocks.mono.micros <= read_at && read_at - clocks.mono.micros <= 160_000, "inside the pause");
            if n >= 6 {
                worst = worst.max(clocks.mono.micros.abs_diff(arrived));
            }
        }
        assert!(worst <= 40_000, "{worst} µs off with a shift of {shift_us} µs");
    }
}
