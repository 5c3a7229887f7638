use proptest::prelude::*;
use vms_core::StreamId;

use super::*;

const HOUR: u64 = 3_600;
const LEN: u64 = 1_000;

fn at(hours: i64) -> WallTime {
    WallTime::from_secs(hours * 3_600)
}

fn tier() -> TierName {
    TierName("archive".into())
}

fn facts(number: u8, end_hour: i64) -> Facts {
    Facts {
        segment: SegmentId::from_bytes([number; 16]),
        camera: CameraId::from_bytes([number % 3; 16]),
        stream: StreamId::from_bytes([1; 16]),
        class: RetentionClass::parse("RC-VID-OPEN").unwrap(),
        epoch: 1,
        from: at(end_hour).minus(Duration::from_secs(60)),
        to: at(end_hour),
        len: LEN,
    }
}

fn view(number: u8, end_hour: i64, remote: Remote) -> View {
    let standing = Standing { held: false, expires_at: Some(at(end_hour + 720)) };
    View { facts: facts(number, end_hour), standing, remote, is_local: true }
}

fn rule() -> Rule {
    let hours = |n| Duration::from_secs(n * HOUR);
    Rule { camera: None, class: None, tier: Some(tier()), hot: hours(24), keep_both: false, upload_after: hours(0) }
}

fn policy(rules: Vec<Rule>) -> Policy {
    Policy { rules, local_wanted: 0 }
}

fn room(bytes_per_s: u64) -> Capacity {
    let room = Room { is_open: true, bytes_per_s, uploads_max: 3 };
    Capacity { tiers: BTreeMap::from([(tier(), room)]), local_free: None }
}

fn up(number: u8) -> Action {
    Action::Upload(SegmentId::from_bytes([number; 16]), tier())
}

fn gone(number: u8) -> Action {
    Action::DropLocal(SegmentId::from_bytes([number; 16]))
}

#[test]
fn a_table_of_single_segments() {
    let held = |mut view: View| {
        view.standing.held = true;
        view
    };
    let away = |mut view: View| {
        view.is_local = false;
        view
    };
    let ending = |mut view: View, hour| {
        view.standing.expires_at = Some(at(hour));
        view
    };
    let both = || Rule { keep_both: true, ..rule() };
    let alone = || Rule { tier: None, ..rule() };
    let later = || Rule { upload_after: Duration::from_secs(2 * HOUR), ..rule() };
    let other = || Rule { camera: Some(CameraId::from_bytes([9; 16])), ..rule() };
    // (what it shows, hour, segment, rule, actions)
    let cases = [
        ("a new one goes up", 1, view(1, 0, Remote::None), rule(), vec![up(1)]),
        ("a half one goes up again", 1, view(1, 0, Remote::Uploading), rule(), vec![up(1)]),
        ("a hot one stays", 23, view(1, 0, Remote::Stored), rule(), vec![]),
        ("a cool one is dropped", 24, view(1, 0, Remote::Stored), rule(), vec![gone(1)]),
        ("not when it is not verified", 99, view(1, 0, Remote::Uploading), rule(), vec![up(1)]),
        ("not when it is held", 99, held(view(1, 0, Remote::Stored)), rule(), vec![]),
        ("not when both are kept", 99, view(1, 0, Remote::Stored), both(), vec![]),
        ("no tier, nothing to do", 99, view(1, 0, Remote::None), alone(), vec![]),
        ("dropped once", 99, away(view(1, 0, Remote::Stored)), rule(), vec![]),
        ("waits before it goes", 1, view(1, 0, Remote::None), later(), vec![]),
        ("waited", 2, view(1, 0, Remote::None), later(), vec![up(1)]),
        ("no rule fits", 99, view(1, 0, Remote::None), other(), vec![]),
        ("erased stays away", 1, view(1, 0, Remote::Erased), rule(), vec![]),
        ("its term has ended", 5, ending(view(1, 0, Remote::None), 5), rule(), vec![]),
        ("held past its term", 5, held(ending(view(1, 0, Remote::None), 5)), rule(), vec![up(1)]),
    ];
    for (what, hour, segment, rule, wanted) in cases {
        assert_eq!(plan(at(hour), &[segment], &policy(vec![rule]), &room(0)).actions, wanted, "{what}");
    }
}

#[test]
fn order_and_bounds() {
    let mut segments =
        vec![view(1, 3, Remote::None), view(2, 1, Remote::None), view(3, 2, Remote::None), view(4, 9, Remote::None)];
    segments[3].standing.held = true;
    let made = plan(at(10), &segments, &policy(vec![rule()]), &room(0));
    assert_eq!(made.actions, [up(4), up(2), up(3)], "held first, then the oldest, three at most");

    let mut shut = room(0);
    shut.tiers.get_mut(&tier()).unwrap().is_open = false;
    assert_eq!(plan(at(10), &segments, &policy(vec![rule()]), &shut), Plan::default());
    assert_eq!(plan(at(10), &segments, &policy(vec![rule()]), &Capacity::default()), Plan::default());
}

#[test]
fn what_would_arrive_too_late_stays() {
    // 1,000 bytes at 1 byte/s, there and back: 2,000 s each, one after the other.
    let mut segments = vec![view(1, 0, Remote::None), view(2, 1, Remote::None)];
    segments[0].standing.expires_at = Some(at(2).plus(Duration::from_secs(2_001)));
    segments[1].standing.expires_at = Some(at(2).plus(Duration::from_secs(4_000)));
    let made = plan(at(2), &segments, &policy(vec![rule()]), &room(1));
    assert_eq!(made.actions, [up(1)]);
    assert_eq!(made.too_late, [SegmentId::from_bytes([2; 16])]);
}

#[test]
fn want_of_space_drops_what_is_verified() {
    let both = Rule { keep_both: true, class: None, camera: Some(CameraId::from_bytes([1; 16])), ..rule() };
    let mut segments = vec![
        view(1, 0, Remote::Stored), // camera 1: both are kept
        view(2, 2, Remote::Stored),
        view(3, 1, Remote::Stored),
        view(5, 0, Remote::None),
        view(6, 0, Remote::Stored),
    ];
    segments[4].standing.held = true;
    let mut policy = policy(vec![both, rule()]);
    policy.local_wanted = 10_000;
    let with = |free| Capacity { local_free: Some(free), ..Capacity::default() };
    // (free bytes, dropped)
    let cases = [
        (10_000, vec![]),
        (9_999, vec![gone(3)]),
        (8_500, vec![gone(3), gone(2)]),
        (0, vec![gone(3), gone(2), gone(1)]),
    ];
    for (free, wanted) in cases {
        assert_eq!(plan(at(3), &segments, &policy, &with(free)).actions, wanted, "{free}");
    }
}

fn any_view() -> impl Strategy<Value = View> {
    let remote = prop_oneof![Just(Remote::None), Just(Remote::Uploading), Just(Remote::Stored), Just(Remote::Erased)];
    (any::<u8>(), 0_i64..100, remote, any::<bool>(), any::<bool>(), proptest::option::of(0_i64..200)).prop_map(
        |(number, end, remote, held, is_local, expires)| View {
            facts: facts(number, end),
            standing: Standing { held, expires_at: expires.map(at) },
            remote,
            is_local,
        },
    )
}

fn any_rule() -> impl Strategy<Value = Rule> {
    (proptest::option::of(0_u8..3), any::<bool>(), 0_u64..48, any::<bool>(), 0_u64..3).prop_map(
        |(camera, has_tier, hot, keep_both, after)| Rule {
            camera: camera.map(|n| CameraId::from_bytes([n; 16])),
            class: None,
            tier: has_tier.then(tier),
            hot: Duration::from_secs(hot * HOUR),
            keep_both,
            upload_after: Duration::from_secs(after * HOUR),
        },
    )
}

proptest! {
    #[test]
    fn the_three_promises(
        now in 0_i64..200,
        segments in proptest::collection::vec(any_view(), 0..30),
        rules in proptest::collection::vec(any_rule(), 0..4),
        bytes_per_s in 0_u64..3,
        free in proptest::option::of(0_u64..10_000),
        wanted in 0_u64..10_000,
    ) {
        let mut by_id: BTreeMap<SegmentId, View> = BTreeMap::new();
        for view in segments {
            by_id.insert(view.facts.segment, view);
        }
        let segments: Vec<View> = by_id.values().cloned().collect();
        let policy = Policy { rules, local_wanted: wanted };
        let mut capacity = room(bytes_per_s);
        capacity.local_free = free;
        let made = plan(at(now), &segments, &policy, &capacity);
        let mut done = BTreeSet::new();
        let mut before = 0;
        for action in &made.actions {
            match action {
                Action::DropLocal(id) => {
                    let view = &by_id[id];
                    prop_assert!(view.remote == Remote::Stored && !view.standing.held && view.is_local);
                    prop_assert!(done.insert(*id));
                }
                Action::Upload(id, to) => {
                    let view = &by_id[id];
                    before += view.facts.len;
                    let seconds = (before * 2).checked_div(bytes_per_s).unwrap_or(0);
                    let arrives = at(now).plus(Duration::from_secs(seconds));
                    prop_assert!(view.standing.held || view.standing.expires_at.is_none_or(|end| end > arrives));
                    prop_assert!(view.is_local && matches!(view.remote, Remote::None | Remote::Uploading));
                    prop_assert_eq!(policy.rule(&view.facts).and_then(|rule| rule.tier.as_ref()), Some(to));
                    prop_assert!(done.insert(*id));
                }
            }
        }
    }
}
