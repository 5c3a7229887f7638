use super::*;
use crate::ctc::Reading;
use vms_core::WallTime;

fn at(ms: u64) -> MonoTime {
    MonoTime { micros: ms * 1000 }
}

fn seen(x: f32, text: &str) -> Observation {
    let bounds = [x, 100.0, x + 60.0, 115.0];
    let look = Look {
        mono: MonoTime::default(),
        at: WallTime::default(),
        score: 0.9,
        quad: crate::detect::quad_of(&bounds),
        reading: Reading { candidates: vec![(text.to_owned(), 0.9)] },
        cut_off: false,
    };
    Observation { bounds, look: Some(look) }
}

#[test]
fn a_settled_plate_is_read_again_only_now_and_then() {
    let sure = |x: f32, width: f32, text: &str, p: f64| {
        let bounds = [x, 100.0, x + width, 115.0];
        let reading = Reading { candidates: vec![(text.to_owned(), p)] };
        let look = seen(x, text).look.map(|l| Look { quad: crate::detect::quad_of(&bounds), reading, ..l });
        Observation { bounds, look }
    };
    let unread = |x: f32| Observation { bounds: [x, 100.0, x + 60.0, 115.0], look: None };
    let mut tracker = Tracker::default();
    assert_eq!((tracker.update(at(0), vec![unread(0.0)]), tracker.need()), (vec![None], Need::default()));
    for n in 0..4_u16 {
        let (now, x) = (at(u64::from(n) * 80), f32::from(n) * 10.0);
        assert!(tracker.wants(now, &[x, 100.0, x + 60.0, 115.0]), "look {n}");
        tracker.update(now, vec![sure(x, 60.0, "1ABC234", 0.95)]);
        assert_eq!(tracker.need().hurry, n < 3, "look {n}");
    }
    // (time ms, box from, its width, wanted)
    for (ms, x, width, wanted) in
        [(320, 40.0, 60.0, false), (320, 75.0, 60.0, true), (320, 35.0, 78.0, true), (640, 80.0, 60.0, true)]
    {
        assert_eq!(tracker.wants(at(ms), &[x, 100.0, x + width, 115.0]), wanted, "{ms} {x} {width}");
    }
    assert_eq!(tracker.update(at(320), vec![unread(40.0)]), [Some(1)]);
    assert_eq!((tracker.tracks[0].looks.len(), tracker.need().places), (4, vec![[40.0, 100.0, 100.0, 115.0]]));
    assert_eq!(tracker.tracks[0].spots().last().map(|spot| (spot.mono, spot.at)), Some((at(320), (70.0, 107.5))));
    // Another certain text unsettles it; a doubtful one does not.
    for (p, wanted) in [(0.6, false), (0.95, true)] {
        let mut tracker = Tracker { tracks: tracker.tracks.clone(), ..Tracker::default() };
        tracker.update(at(400), vec![sure(50.0, 60.0, "1ABD234", p)]);
        assert_eq!(tracker.wants(at(480), &[60.0, 100.0, 120.0, 115.0]), wanted, "{p}");
    }
}

#[test]
fn plates_are_followed() {
    // (time ms, x and text of each plate, tracks they should get)
    type Step = (u64, Vec<(f32, &'static str)>, Vec<u64>);
    let cases: [(&str, Vec<Step>); 10] = [
        ("slow", vec![(0, vec![(0.0, "1ABC234")], vec![1]), (100, vec![(20.0, "1ABC234")], vec![1])]),
        (
            "fast, 20 widths a second at 10 pictures a second",
            vec![
                (0, vec![(0.0, "1ABC234")], vec![1]),
                (100, vec![(120.0, "1ABC234")], vec![1]),
                (200, vec![(240.0, "1A8C234")], vec![1]),
            ],
        ),
        (
            "two cross",
            vec![
                (0, vec![(0.0, "1ABC234"), (300.0, "2XYZ987")], vec![1, 2]),
                (100, vec![(100.0, "1ABC234"), (200.0, "2XYZ987")], vec![1, 2]),
                (200, vec![(100.0, "2XYZ987"), (200.0, "1ABC234")], vec![2, 1]),
            ],
        ),
        (
            "another car in the same place after a gap",
            vec![(0, vec![(0.0, "1ABC234")], vec![1]), (500, vec![(5.0, "2XYZ987")], vec![2])],
        ),
        (
            "another car in the same place after an unread one",
            vec![(0, vec![(0.0, "")], vec![1]), (400, vec![(5.0, "2XYZ987")], vec![2])],
        ),
        (
            "a cut to another car in the same place",
            vec![(0, vec![(0.0, "1ABC234")], vec![1]), (40, vec![(5.0, "2XYZ987")], vec![2])],
        ),
        (
            "the next car has the same plate but for one letter and comes where the first one came from",
            vec![
                (0, vec![(0.0, "1ABC234")], vec![1]),
                (100, vec![(80.0, "1ABC234")], vec![1]),
                (200, vec![(160.0, "1ABC234")], vec![1]),
                (300, vec![(5.0, "1ABD234")], vec![2]),
                (400, vec![(85.0, "1ABC234")], vec![2]),
            ],
        ),
        (
            "one letter misread while it drives on, and one look left out",
            vec![
                (0, vec![(0.0, "1ABC234")], vec![1]),
                (100, vec![(80.0, "1ABC234")], vec![1]),
                (300, vec![(240.0, "1ABD234")], vec![1]),
            ],
        ),
        (
            "a fast one, misread with certainty where it was going",
            vec![
                (0, vec![(0.0, "1ABC234")], vec![1]),
                (100, vec![(100.0, "1ABC234")], vec![1]),
                (200, vec![(245.0, "BXYC234")], vec![1]),
            ],
        ),
        ("back after long", vec![(0, vec![(0.0, "1ABC234")], vec![1]), (2000, vec![(0.0, "1ABC234")], vec![2])]),
    ];
    for (name, steps) in cases {
        let mut tracker = Tracker::default();
        for (ms, plates, wanted) in steps {
            let got = tracker.update(at(ms), plates.into_iter().map(|(x, text)| seen(x, text)).collect());
            assert_eq!(got, wanted.into_iter().map(Some).collect::<Vec<_>>(), "{name} at {ms}");
        }
    }
}

#[test]
fn a_track_is_told_once_and_memory_is_bounded() {
    let mut tracker = Tracker::default();
    let mut told = 0;
    for ms in (0..20_000).step_by(100) {
        tracker.update(at(ms), vec![seen(0.0, "1ABC234")]);
        told += tracker.due(at(ms)).len();
        assert!(tracker.tracks[0].looks.len() <= LOOKS_MAX);
    }
    told += tracker.due(at(30_000)).len();
    assert_eq!(told, 1);
    assert!(!tracker.is_busy());
    let many = (0..40_u16).map(|i| seen(f32::from(i) * 200.0, "1ABC234")).collect();
    assert_eq!(tracker.update(at(40_000), many).iter().filter(|t| t.is_none()).count(), 8);
    assert_eq!((tracker.refused, tracker.finish().len()), (8, 32));
}

#[test]
fn places_tell_two_vehicles_from_one() {
    let spots = |path: &[(u64, f32)]| -> Vec<Spot> {
        path.iter().map(|(ms, x)| Spot { mono: at(*ms), at: (*x, 100.0), width: 60.0 }).collect()
    };
    let gone = [(0, 0.0), (100, 80.0), (200, 160.0)];
    let near = [(0, 0.0), (900, 2.0)].map(|(ms, x)| Spot { mono: at(ms), at: (x, 100.0), width: 60.0 });
    let wide = near.map(|s| Spot { mono: MonoTime { micros: s.mono.micros + 1_000_000 }, width: 90.0, ..s });
    assert_eq!((course(&near, &wide), course(&[], &near)), (Course::Two, Course::MayGoOn));
    for (name, earlier, later, wanted) in [
        ("at one moment in two places", &gone[..], &[(100, 400.0), (200, 480.0)][..], Course::Two),
        ("twice in one place", &gone, &[(100, 90.0), (300, 250.0)], Course::MayGoOn),
        ("behind the first", &gone, &[(900, 10.0), (1000, 90.0)], Course::Two),
        ("behind the first, which is still seen now and then", &gone, &[(150, 10.0), (250, 90.0)], Course::Two),
        ("further on", &gone, &[(900, 500.0), (1000, 580.0)], Course::MayGoOn),
        ("a car that stands", &[(0, 0.0), (2000, 4.0)], &[(5000, -70.0)], Course::MayGoOn),
        ("cars that stand, one after the other", &[(0, 0.0), (2000, 4.0)], &[(2100, 90.0), (3000, 91.0)], Course::Two),
        ("the same, hidden for long", &[(0, 0.0), (2000, 4.0)], &[(5000, 90.0), (6000, 91.0)], Course::MayGoOn),
        ("stands on in one place", &[(0, 0.0), (2000, 4.0)], &[(2100, 9.0), (3000, 10.0)], Course::MayGoOn),
        ("one look has no direction", &[(0, 0.0)], &[(900, -70.0)], Course::MayGoOn),
        ("nothing", &[], &[(900, 1.0)], Course::MayGoOn),
    ] {
        assert_eq!(course(&spots(earlier), &spots(later)), wanted, "{name}");
    }
}

#[test]
fn edit_distance() {
    for (a, b, wanted) in [("", "AB", 2), ("1ABC", "1ABC", 0), ("1ABC", "1A8C", 1), ("ABC1", "1ABC", 2)] {
        assert_eq!(distance(a, b), wanted);
    }
}
