//! The magistrate's gate over the link: only a capability that names a magistrate's decision opens what is behind it.

use super::*;
use crate::gated::{Decisions, FILE};

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one span, from its recording to the medium that comes back")]
async fn what_is_behind_the_gate_opens_for_a_magistrates_decision_alone() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(dir.path()).await;
    let mut ingest = rig.assign(1, false).await;
    let units = film(1, 0..200, 50);
    send(&mut ingest, &units).await;
    acked(&mut ingest, 1, 100).await;
    let clock: Arc<dyn Clock> = rig.clock.clone();
    rig.end().await;
    let hour = keys::Hour::of(START.0);
    let decision = link::message::GatedSpec {
        decision: "d".to_owned(),
        camera: None,
        class: "RC-VID-OPEN".to_owned(),
        from_hour: hour.count(),
        to_hour: hour.count() + 1,
        keep_s: 90 * 86_400,
    };
    Decisions::new(vec![decision]).save(&dir.path().join(FILE)).unwrap();
    {
        let vault = crate::testfilm::vault(dir.path(), clock);
        // The key of the next hour is made ahead.
        let live = vault.with(|ring| Ok(ring.live_hours())).unwrap().into_iter();
        let epochs: Vec<_> = live.map(|(epoch, ..)| epoch).filter(|epoch| epoch.hour() == hour).collect();
        let moved = vault.move_behind_gate(&epochs, START.0).unwrap();
        assert_eq!(moved.moved.len(), 1);
        vault.close();
    }
    let rig = Rig::start(dir.path()).await;
    let range = span(0, 8);
    let open = |gated| Control::OpenRange {
        capability: rig.gate.sign(&Capability { gated, ..rig.capability(Scope::Range(range), 15_000) }),
        stream: stream(1).to_string(),
        from_us: range.from.micros,
        to_us: range.to.micros,
    };
    let mut viewer = rig.connect(Role::Serve).await;
    let refused = |answer: Control| {
        let Control::Refused { code, .. } = answer else { panic!("{answer:?}") };
        code
    };
    assert_eq!(refused(viewer.ask(open(false)).await.unwrap()), "footage_gated");
    let info = viewer.ask(open(true)).await.unwrap();
    let Control::RangeInfo { size, .. } = info else { panic!("{info:?}") };
    assert_eq!(mdats(&read(&mut viewer, 0, size).await.unwrap()), payload(&units));
    // A renewal without the decision ends it; one with it does not.
    let renew = |gated| Control::Renew {
        capability: rig.gate.sign(&Capability { gated, ..rig.capability(Scope::Range(range), 15_000) }),
    };
    assert_eq!(viewer.ask(renew(true)).await.unwrap(), Control::Done);
    assert_eq!(refused(viewer.ask(renew(false)).await.unwrap()), "footage_gated");
    // No renewal opens a gate either: what was opened without one stays without.
    let stored = |gated| Control::OpenStored {
        capability: rig.gate.sign(&Capability { gated, ..rig.capability(Scope::Range(range), 15_000) }),
        stream: stream(1).to_string(),
        from_us: range.from.micros,
        to_us: range.to.micros,
        skip: 0,
        after: None,
    };
    assert_eq!(refused(viewer.ask(stored(false)).await.unwrap()), "footage_gated");
    assert!(matches!(viewer.ask(stored(true)).await.unwrap(), Control::StoredInfo { .. }));
    // The medium is taken away.
    std::fs::rename(dir.path().join("gate"), dir.path().join("elsewhere")).unwrap();
    assert_eq!(refused(viewer.ask(open(true)).await.unwrap()), "gate_away");
    // Somebody waits for it: that wants a person, until it is attached.
    let mut serve = rig.connect(Role::Serve).await;
    let mut alarms = async |known: &[&str]| {
        let known = known.iter().map(|word| (*word).to_owned()).collect();
        let answer = serve.ask(Control::AlarmsWait { known }).await.unwrap();
        let Control::AlarmsReport { storage } = answer else { panic!("{answer:?}") };
        storage.alarms
    };
    assert_eq!(alarms(&[]).await, ["gate_away"]);
    std::fs::rename(dir.path().join("elsewhere"), dir.path().join("gate")).unwrap();
    assert!(matches!(viewer.ask(open(true)).await.unwrap(), Control::RangeInfo { .. }));
    assert_eq!(alarms(&["gate_away"]).await, Vec::<String>::new());
    rig.end().await;
}
