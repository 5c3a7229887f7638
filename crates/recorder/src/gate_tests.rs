//! Footage that a decision keeps: at the end of its first term it moves behind the magistrate's gate instead of dying, and dies there.

use keys::Hour;
use link::message::GatedSpec;
use vms_core::{HoldId, WallTime};

use crate::deletions::{Line, MovedKey, Step};
use crate::format::read;
use crate::gated::Decisions;
use crate::reconcile::reconcile;
use crate::sweep::SweepError;
use crate::sweep_tests::{Sealed, sealed, start_s, thirty_days};
use crate::testfilm::facts;
use crate::vault::{Curtain, NoKey};

const DAY_S: i64 = 86_400;

fn at(seconds: i64) -> WallTime {
    WallTime::from_secs(start_s() + seconds)
}

/// The first hour of camera 1, for so many days.
fn decision(days: u64) -> Decisions {
    let first = Hour::of(at(0)).count();
    Decisions::new(vec![GatedSpec {
        decision: "3d1c".to_owned(),
        camera: Some(facts(1).camera.to_string()),
        class: facts(1).class.as_str().to_owned(),
        from_hour: first,
        to_hour: first + 1,
        keep_s: days * 86_400,
    }])
}

fn there(rig: &Sealed) -> Vec<u8> {
    let media = rig.dir.path().join("media");
    let files = rig.segments.iter().filter(|one| media.join(&one.path).exists());
    files.map(|one| one.segment.as_bytes()[0]).collect()
}

/// What opens a segment that lies there: without the gate, and with it.
fn views(rig: &Sealed, number: u8) -> (Result<(), NoKey>, Result<(), NoKey>) {
    let state = rig.segments.iter().find(|one| one.segment.as_bytes()[0] == number).unwrap();
    let file = std::fs::File::open(rig.dir.path().join("media").join(&state.path)).unwrap();
    let head = read::head(&file).unwrap();
    let gate = rig.vault.open_gate();
    let seen = |gate| {
        let key = rig.vault.view(&head.header, gate)?;
        read::record(&file, &head, key.as_ref(), head.len).expect("a key that opens should be the right one");
        Ok(())
    };
    (seen(None), seen(Some(&gate)))
}

/// The keys that the records say have moved.
fn moves(rig: &Sealed) -> Vec<MovedKey> {
    let lines = crate::deletions::lines(&rig.dir.path().join("deletions")).unwrap();
    let keys = |line: Line| if let Step::Gated { keys } = line.step { keys } else { Vec::new() };
    lines.into_iter().flat_map(keys).collect()
}

#[tokio::test]
async fn it_moves_opens_with_the_gate_alone_and_dies_at_the_end_of_its_second_term() {
    let rig = sealed().await;
    let (mut sweep, terms) = (rig.sweep(), thirty_days());
    rig.vault.decide(decision(365));
    assert_eq!(views(&rig, 17), (Ok(()), Ok(())));
    let over = at(31 * DAY_S);
    sweep.expire_keys(&terms, over).await.unwrap();
    sweep.expire(&terms, over).await.unwrap();
    rig.vault.draw(Curtain { terms: terms.clone(), cut: over });
    assert_eq!(there(&rig), [17, 33], "the rest of both cameras is gone");
    assert_eq!(views(&rig, 17), (Err(NoKey::Gated), Ok(())));
    assert_eq!(rig.vault.gated_rows().first().map(|row| (row.hours, row.waiting)), Some((1, 0)));
    // The move stands in the records once, with the end that it was given and the decision.
    let moves = moves(&rig);
    assert_eq!(moves.len(), 1, "{moves:?}");
    assert_eq!(
        (moves[0].camera.clone(), moves[0].class.as_str()),
        (facts(1).camera.to_string(), facts(1).class.as_str())
    );
    let end_us = (Hour::of(at(0)).start().micros / 1_000_000 + 365 * DAY_S - 3_600) * 1_000_000;
    assert_eq!((moves[0].until_us, moves[0].decisions.as_slice()), (end_us, &["3d1c".to_owned()][..]));
    let found = reconcile(&rig.dir.path().join("media"), &rig.index, &rig.vault, &terms, over).await.unwrap();
    assert!(!found.is_overdue() && found.keyless_files == 0, "{found:?}");

    // Everything but the gate's folder: nothing of it opens.
    let (gate, elsewhere) = (rig.dir.path().join("gate"), rig.dir.path().join("elsewhere"));
    std::fs::rename(&gate, &elsewhere).unwrap();
    assert_eq!(views(&rig, 33), (Err(NoKey::Gated), Err(NoKey::GateAway)));
    std::fs::rename(&elsewhere, &gate).unwrap();
    assert_eq!(views(&rig, 33), (Err(NoKey::Gated), Ok(())));

    let before_the_end = at(364 * DAY_S);
    sweep.expire_keys(&terms, before_the_end).await.unwrap();
    sweep.expire(&terms, before_the_end).await.unwrap();
    assert_eq!(there(&rig), [17, 33]);
    // The bound moved nearer on the calendar, or both terms are over: it dies, with a record.
    let end = at(365 * DAY_S);
    let records = || crate::deletions::lines(&rig.dir.path().join("deletions")).unwrap().len();
    let before = records();
    let late = at(365 * DAY_S + 2 * 3_600);
    let found = reconcile(&rig.dir.path().join("media"), &rig.index, &rig.vault, &terms, late).await.unwrap();
    assert_eq!(found.overdue_keys, 1, "a sweeper that does not come is told of");
    assert_eq!(sweep.expire_keys(&terms, end).await.unwrap(), 1);
    assert_eq!(there(&rig), Vec::<u8>::new());
    assert_eq!(records() - before, 3, "planned, destroyed, files");
    assert!(rig.vault.with(|ring| Ok(ring.gated_hours().is_empty())).unwrap());
}

#[tokio::test]
async fn without_a_place_for_the_gate_it_waits_unseen_and_nothing_of_it_dies() {
    let rig = sealed().await;
    let (mut sweep, terms) = (rig.sweep(), thirty_days());
    let over = at(31 * DAY_S);
    rig.vault.decide(decision(365));
    // A file stands where the folder should be.
    let gate = rig.dir.path().join("gate");
    std::fs::write(&gate, b"").unwrap();
    for _ in 0..2 {
        sweep.expire_keys(&terms, over).await.unwrap();
        sweep.expire(&terms, over).await.unwrap();
        rig.vault.draw(Curtain { terms: terms.clone(), cut: over });
        assert_eq!(there(&rig), [17, 33]);
        assert_eq!(views(&rig, 17).0, Err(NoKey::Destroyed), "past its term and not moved: nobody sees it");
        assert_eq!(rig.vault.gated_rows().first().map(|row| (row.hours, row.waiting)), Some((0, 1)));
        assert_eq!((rig.vault.gate_waiting(), moves(&rig).len()), (1, 0), "nothing is said to have moved");
    }
    std::fs::remove_file(&gate).unwrap();
    sweep.expire_keys(&terms, over).await.unwrap();
    assert_eq!(views(&rig, 17), (Err(NoKey::Gated), Ok(())));
    assert_eq!(rig.vault.gated_rows().first().map(|row| (row.hours, row.waiting)), Some((1, 0)));
    assert_eq!((rig.vault.gate_waiting(), moves(&rig).len()), (0, 1));
}

#[tokio::test]
async fn a_hold_behind_the_gate_gives_no_sight_and_keeps_past_the_second_term() {
    let rig = sealed().await;
    let (mut sweep, terms) = (rig.sweep(), thirty_days());
    rig.vault.decide(decision(90));
    sweep.expire_keys(&terms, at(31 * DAY_S)).await.unwrap();
    let hold = HoldId::from_bytes([7; 16]);
    let wanted: Vec<_> = rig
        .segments
        .iter()
        .filter(|one| one.segment.as_bytes()[0] == 17)
        .map(|one| (one.segment, keys::KeyEpoch::new(one.key_epoch).unwrap()))
        .collect();
    let report = rig.vault.with(|ring| ring.hold(hold, &wanted, at(40 * DAY_S))).unwrap();
    assert_eq!((report.held, report.refused.len()), (1, 0));
    assert_eq!(views(&rig, 17), (Err(NoKey::Gated), Ok(())), "a hold is no right to see");
    let end = at(91 * DAY_S);
    for _ in 0..2 {
        assert_eq!(sweep.expire_keys(&terms, end).await.unwrap(), 0, "the hour key stays for what is held of it");
        sweep.expire(&terms, end).await.unwrap();
    }
    assert_eq!(views(&rig, 17).1, Ok(()));
    rig.vault.with(|ring| ring.release(hold, end)).unwrap();
    assert_eq!(sweep.expire_keys(&terms, end).await.unwrap(), 1);
    assert_eq!(there(&rig), Vec::<u8>::new());
}

#[tokio::test]
async fn decisions_that_are_lost_hold_the_sweeper() {
    let rig = sealed().await;
    let mut sweep = rig.sweep();
    let path = rig.dir.path().join(crate::gated::FILE);
    std::fs::write(&path, b"[{").unwrap();
    rig.vault.decide(Decisions::load(&path).unwrap());
    let waits = sweep.expire_keys(&thirty_days(), at(31 * DAY_S)).await;
    assert!(matches!(waits, Err(SweepError::DecisionsLost)), "{waits:?}");
    assert_eq!(there(&rig).len(), 8);
    rig.vault.decide(Decisions::default());
    assert_eq!(sweep.expire_keys(&thirty_days(), at(31 * DAY_S)).await.unwrap(), 4);
}
