//! The traffic scene: repeatable, seamless, and with plates of the wanted size.

use sim::scene::{Crowd, FrameSource as _, HEIGHT, RATE, Scene, SceneSettings, WIDTH};
use vms_core::{Country, Plate};

fn scene(seed: u64) -> Scene {
    Scene::new(SceneSettings { seed, ..SceneSettings::default() }).expect("default settings should be good")
}

#[test]
fn equal_seeds_give_equal_truth_and_pictures() {
    let (a, b) = (scene(5), scene(5));
    assert_eq!(a.truth(), b.truth());
    assert_eq!(a.fleet(), b.fleet());
    assert_ne!(a.truth(), scene(6).truth());
    let (mut film_a, mut film_b) = (a.film_shrunk(1, 8).unwrap(), b.film_shrunk(1, 8).unwrap());
    assert_eq!(film_a.frame(333), film_b.frame(333));
    assert_ne!(film_a.frame(334), film_b.frame(333));
    assert!(a.film(0).is_none() && a.film(5).is_none());
}

#[test]
fn truth_is_lawful_and_complete() {
    for seed in 1..=8 {
        let scene = scene(seed);
        let truth = scene.truth();
        assert!(truth.len() >= 30, "{}", truth.len());
        for row in &truth {
            Plate::parse(&row.plate).unwrap();
            Country::parse(&row.country).unwrap();
            assert!((40.0..=200.0).contains(&row.plate_px), "{} {}", row.camera, row.plate_px);
            assert!((0.0..60.0).contains(&row.t_line) && (15.0..70.0).contains(&row.speed_kmh));
            for [x, y] in row.corners {
                assert!((0.0..WIDTH as f64).contains(&x) && (0.0..HEIGHT as f64).contains(&y), "{row:?}");
            }
            assert_eq!(row.lez.fleet.is_none(), matches!(row.lez.outcome_2026.as_str(), "FOREIGN" | "UNKNOWN"));
        }
        let several = truth.iter().filter(|r| truth.iter().filter(|o| o.plate == r.plate).count() >= 2).count();
        let foreign = truth.iter().filter(|r| r.country != "B").count();
        assert!(several >= 10 && foreign >= 3, "{several} {foreign}");
        // Nobody is nearer than the headway to somebody else on the same lane.
        for a in &truth {
            for b in truth.iter().filter(|b| (&b.camera, b.lane) == (&a.camera, a.lane) && b.plate != a.plate) {
                let gap = (a.t_line - b.t_line).rem_euclid(60.0);
                assert!(gap.min(60.0 - gap) > 3.3);
            }
        }
    }
}

#[test]
fn the_plate_is_where_the_truth_says() {
    let scene = scene(1);
    for row in scene.truth().iter().filter(|r| r.country == "NL" || r.country == "L").take(2) {
        let mut film = scene.film_shrunk(usize::try_from(row.camera_number).unwrap(), 2).unwrap();
        // A yellow plate: its middle at the line is more yellow than the same place in the empty half of the loop.
        let index = (row.t_line * f64::from(RATE)).round();
        let index = (0..film.len()).find(|n| f64::from(*n) == index).unwrap_or(0);
        let (mut blue, mut red, mut count) = (0_u32, 0_u32, 0_u32);
        let [[left, top], _, [right, bottom], _] = row.corners.map(|corner| corner.map(|v| v / 2.0));
        let frame = film.frame(index);
        for (at, pixel) in frame.rgb().chunks_exact(3).enumerate() {
            let (x, y) = ((at % (WIDTH / 2)) as f64, (at / (WIDTH / 2)) as f64);
            let margin = (bottom - top) * 0.2;
            if x > left + (right - left) * 0.15 && x < right - margin && y > top + margin && y < bottom - margin {
                red += u32::from(pixel[0]);
                blue += u32::from(pixel[2]);
                count += 1;
            }
        }
        assert!(
            count > 40 && red / count > blue / count + 30,
            "{} {} {count}",
            red / count.max(1),
            blue / count.max(1)
        );
    }
}

#[test]
fn odd_settings_are_refused() {
    for settings in [
        SceneSettings { seconds: 5, ..SceneSettings::default() },
        SceneSettings { blur: 9, ..SceneSettings::default() },
        SceneSettings { angle: 60.0, ..SceneSettings::default() },
        SceneSettings { noise: f32::NAN, ..SceneSettings::default() },
    ] {
        assert!(Scene::new(settings).is_err());
    }
}

#[test]
fn a_crowd_fills_every_lane_and_twins_differ_in_one_place() {
    let settings = SceneSettings { seed: 3, ..SceneSettings::default() };
    for twins in [0, 50] {
        let truth = Scene::crowded(settings.clone(), Crowd { gap: 14.0, twins }).unwrap().truth();
        assert!(truth.len() > 180, "{}", truth.len());
        let mut alike = 0;
        for camera in 1..=3 {
            let on = |lane| truth.iter().filter(move |r| (r.camera_number, r.lane) == (camera, lane));
            for lane in 1..=2 {
                for (a, b) in on(lane).zip(on(lane).skip(1)) {
                    // 14 m and a small car at 50 km/h.
                    assert!(b.t_line - a.t_line > 1.1, "{camera} {lane}: {} {}", a.t_line, b.t_line);
                    let differ = a.plate.bytes().zip(b.plate.bytes()).filter(|(a, b)| a != b).count();
                    alike += usize::from(a.plate.len() == b.plate.len() && differ == 1);
                }
            }
        }
        assert!(if twins == 0 { alike < 5 } else { alike > 50 }, "{twins}: {alike}");
    }
    assert!(Scene::crowded(settings, Crowd { gap: 1.0, twins: 0 }).is_err());
}
