use bytes::Bytes;
use media::{Clocks, ParamSetId};
use vms_core::{Codec, MediaTime, MonoTime};

use super::*;

/// Payload of a test unit, so that ten fill a ring.
const PAYLOAD: usize = 1000 - UNIT_OVERHEAD;

fn sets() -> Arc<ParameterSets> {
    Arc::new(ParameterSets {
        id: ParamSetId(1),
        codec: Codec::H264,
        vps: vec![],
        sps: vec![],
        pps: vec![],
        width: 16,
        height: 16,
        rfc6381: String::new(),
        reorder_depth: 0,
    })
}

fn unit(seq: u64, is_key: bool) -> AccessUnit {
    let wall = WallTime::from_secs(i64::try_from(seq).unwrap());
    AccessUnit {
        seq,
        epoch: 1,
        payload: Bytes::from(vec![0; PAYLOAD]),
        is_key,
        pts: MediaTime::from_ticks(0),
        dts: MediaTime::from_ticks(0),
        clocks: Clocks { mono: MonoTime { micros: seq }, wall, ..Clocks::default() },
        lost_before: 0,
        param_set: ParamSetId(1),
    }
}

/// What a recorder sees, in a few letters: `u3` a unit, `h2-5:RingOverflow` a hole.
fn drain(ring: &mut Ring) -> String {
    let mut seen = Vec::new();
    while let Some(next) = ring.next_out() {
        seen.push(match next {
            Next::Unit(item) => format!("u{}", item.unit.seq),
            Next::Hole(hole) => {
                format!("h{}-{}:{:?}", hole.from.micros / 1_000_000, hole.to.micros / 1_000_000, hole.cause)
            }
        });
    }
    seen.join(" ")
}

/// Ten units fit; key frames every `gop`.
fn fill(ring: &mut Ring, range: std::ops::Range<u64>, gop: u64) {
    for seq in range {
        ring.push(unit(seq, seq % gop == 0), sets());
    }
}

#[test]
fn acknowledged_units_go_and_the_rest_is_replayed() {
    let mut ring = Ring::new(10_000);
    fill(&mut ring, 0..5, 2);
    assert_eq!(drain(&mut ring), "u0 u1 u2 u3 u4");
    ring.ack(1, 2);
    assert_eq!((ring.len(), ring.bytes()), (2, 2000));
    ring.rewind();
    fill(&mut ring, 5..6, 2);
    assert_eq!(drain(&mut ring), "u3 u4 u5");
    ring.ack(1, 5);
    ring.rewind();
    assert_eq!(drain(&mut ring), "");
    assert!(ring.is_empty() && !ring.has_next() && ring.bytes() == 0 && ring.dropped() == 0);
}

#[test]
fn epochs_count_before_numbers() {
    let mut ring = Ring::new(10_000);
    ring.push(unit(7, true), sets());
    ring.push(AccessUnit { epoch: 2, ..unit(0, true) }, sets());
    assert_eq!(drain(&mut ring), "u7 u0");
    ring.ack(1, 9);
    ring.rewind();
    assert_eq!(drain(&mut ring), "u0");
}

#[test]
fn a_restarted_recorder_may_know_more_than_it_acknowledged() {
    let mut ring = Ring::new(10_000);
    fill(&mut ring, 0..4, 2);
    assert_eq!(drain(&mut ring), "u0 u1 u2 u3");
    ring.rewind();
    ring.ack(1, 1);
    assert_eq!(drain(&mut ring), "u2 u3");
    assert_eq!(ring.dropped(), 0);
}

#[test]
fn an_overflow_drops_whole_groups_and_says_so() {
    let mut ring = Ring::new(10_000);
    fill(&mut ring, 0..13, 3);
    // Groups 0-2 went for 10, nothing else yet: 10, 11, 12 fit after 0..3 went.
    assert_eq!(drain(&mut ring), "h0-3:RingOverflow u3 u4 u5 u6 u7 u8 u9 u10 u11 u12");
    assert_eq!(ring.dropped(), 3);
}

#[test]
fn holes_of_a_long_absence_become_one() {
    let mut ring = Ring::new(10_000);
    fill(&mut ring, 0..1000, 3);
    assert_eq!(drain(&mut ring), "h0-990:RingOverflow u990 u991 u992 u993 u994 u995 u996 u997 u998 u999");
}

#[test]
fn one_group_larger_than_the_ring_is_lost_to_its_next_key_frame() {
    let mut ring = Ring::new(10_000);
    fill(&mut ring, 0..22, 20);
    assert_eq!(drain(&mut ring), "h0-20:RingOverflow u20 u21");
    assert_eq!(ring.dropped(), 20);
}

#[test]
fn sent_units_may_go_without_a_hole_while_the_recorder_lives() {
    let mut ring = Ring::new(10_000);
    fill(&mut ring, 0..10, 4);
    assert_eq!(drain(&mut ring), "u0 u1 u2 u3 u4 u5 u6 u7 u8 u9");
    fill(&mut ring, 10..14, 4);
    assert_eq!(drain(&mut ring), "u10 u11 u12 u13");
    // The recorder acknowledges what was dropped: a later restart of it loses nothing.
    ring.ack(1, 8);
    ring.rewind();
    assert_eq!(drain(&mut ring), "u9 u10 u11 u12 u13");
}

#[test]
fn what_a_dead_recorder_may_have_held_is_a_hole() {
    let mut ring = Ring::new(10_000);
    fill(&mut ring, 0..10, 4);
    assert_eq!(drain(&mut ring), "u0 u1 u2 u3 u4 u5 u6 u7 u8 u9");
    fill(&mut ring, 10..14, 4);
    ring.rewind();
    assert_eq!(drain(&mut ring), "h0-4:RecorderRestart u4 u5 u6 u7 u8 u9 u10 u11 u12 u13");
    // In a single long group, units go one by one; the hole lasts to the next key frame.
    let mut ring = Ring::new(10_000);
    fill(&mut ring, 0..10, 100);
    drain(&mut ring);
    fill(&mut ring, 10..12, 100);
    ring.rewind();
    assert_eq!(drain(&mut ring), "");
    fill(&mut ring, 12..14, 100);
    fill(&mut ring, 100..102, 100);
    assert_eq!(drain(&mut ring), "h0-100:RecorderRestart u100 u101");
}

#[test]
fn a_half_sent_group_is_a_hole_from_where_sending_stopped() {
    let mut ring = Ring::new(10_000);
    fill(&mut ring, 0..4, 4);
    assert_eq!((ring.next_out().is_some(), ring.next_out().is_some()), (true, true));
    fill(&mut ring, 4..11, 4);
    assert_eq!(drain(&mut ring), "h2-4:RingOverflow u4 u5 u6 u7 u8 u9 u10");
}

#[test]
fn too_many_holes_are_merged() {
    let mut ring = Ring::new(10_000);
    for at in 0..200_i64 {
        let cause = if at % 2 == 0 { Cause::RingOverflow } else { Cause::RecorderRestart };
        ring.hole(Hole { from: WallTime::from_secs(at * 10), to: WallTime::from_secs(at * 10 + 1), cause });
    }
    let seen = drain(&mut ring);
    assert_eq!(seen.split(' ').count(), HOLES_MAX);
    assert!(seen.starts_with("h0-") && seen.ends_with("h1990-1991:RecorderRestart"), "{seen}");
}
