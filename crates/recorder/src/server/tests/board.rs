//! What the recorder says of its clock and its disk.

use link::message::StorageHealth;

use super::*;

async fn storage(rig: &Rig) -> StorageHealth {
    let mut serve = rig.connect(Role::Serve).await;
    let Control::HealthReport { storage, .. } = serve.ask(Control::Health).await.unwrap() else { panic!("no report") };
    storage
}

async fn until_alarms(rig: &Rig, what: &str, check: impl Fn(&[&str]) -> bool) {
    for _ in 0..600 {
        let found = storage(rig).await;
        let alarms: Vec<&str> = found.alarms.iter().map(String::as_str).collect();
        if check(&alarms) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}: {:?}", storage(rig).await);
}

#[tokio::test]
async fn a_step_of_the_clock_is_an_alarm_until_two_people_say_that_it_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start_with(dir.path(), |config| config.sweep_every = Duration::from_millis(50)).await;
    until_alarms(&rig, "quiet", |alarms| !alarms.contains(&"clock_stepped")).await;
    for step_s in [31 * 86_400_i64, -365 * 86_400] {
        rig.clock.step_wall(step_s * 1_000_000);
        until_alarms(&rig, "the step is told", |alarms| alarms.contains(&"clock_stepped")).await;
        let approval = crate::trust::ClockApproval {
            at_us: rig.clock.wall().micros,
            first: "An".to_owned(),
            second: "Bo".to_owned(),
        };
        approval.give(dir.path()).unwrap();
        until_alarms(&rig, "the alarm is over", |alarms| !alarms.contains(&"clock_stepped")).await;
    }
    let approvals = || {
        let lines = crate::deletions::lines(&dir.path().join("deletions")).unwrap();
        lines.iter().filter(|line| matches!(line.step, crate::deletions::Step::ClockApproved(_))).count()
    };
    assert_eq!(approvals(), 2, "both are in the records");
    // A host that does not vouch for its clock is no alarm before six hours.
    rig.clock.trust(false);
    tokio::time::sleep(Duration::from_millis(300)).await;
    until_alarms(&rig, "not yet", |alarms| !alarms.contains(&"clock_untrusted")).await;
    rig.end().await;
}

#[tokio::test]
async fn a_disk_that_is_too_small_is_told_with_figures_when_cameras_are_assigned() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start_with(dir.path(), |config| config.disk_cap_bytes = Some(1 << 20)).await;
    let ingest = rig.assign(2, false).await;
    until_alarms(&rig, "too small", |alarms| alarms.contains(&"disk_too_small")).await;
    let found = storage(&rig).await;
    let words = found.detail.unwrap();
    assert!(words.starts_with("2 streams for up to ") && words.contains("before its term"), "{words}");
    assert_eq!((found.rung.as_str(), found.spares), ("ample", false), "nothing arrives yet");
    drop(ingest);
    let known = crate::server::admission(dir.path(), (1 << 20, 0), false, rig.clock.wall()).await.unwrap().unwrap();
    assert!(!known.fits() && known.streams == 2);
    rig.end().await;
    let empty = tempfile::tempdir().unwrap();
    assert!(crate::server::admission(empty.path(), (1, 0), false, START.0).await.unwrap().is_none());
}
