use vms_core::WallTime;

use crate::check::{CheckOptions, CheckReport, Finding, check};
use crate::sweep_tests::{Sealed, sealed, start_s, thirty_days};

async fn look(rig: &Sealed, is_deep: bool, repairs: bool, after_s: i64) -> CheckReport {
    let now = WallTime::from_secs(start_s() + after_s);
    let options = CheckOptions { is_deep, repairs };
    // A ring of its own, as the command has; the rig's stays away meanwhile.
    let config = crate::testfilm::vault_config(rig.dir.path());
    rig.vault.close();
    let options_of_store = keys::OpenOptions { is_read_only: !repairs, ..keys::OpenOptions::default() };
    let ring = crate::vault::open_store(&config, rig.dir.path(), options_of_store, now).unwrap();
    check(rig.dir.path(), &ring, &thirty_days(), &options, now).await.unwrap()
}

const LATER_S: i64 = 3 * 3_600;

#[tokio::test]
async fn each_disagreement_is_found_and_mended_where_that_loses_nothing() {
    let rig = sealed().await;
    let clean = look(&rig, true, false, LATER_S).await;
    assert_eq!((clean.rows, clean.files, clean.opened, clean.findings.len()), (8, 8, 8, 0), "{clean:?}");

    let file = |at: usize| rig.dir.path().join("media").join(&rig.segments[at].path);
    // One file is gone, one has a flipped bit in the middle, one is longer, one is under another name as well.
    std::fs::remove_file(file(0)).unwrap();
    let mut bytes = std::fs::read(file(1)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file(1), &bytes).unwrap();
    std::fs::write(file(2), [std::fs::read(file(2)).unwrap(), vec![0]].concat()).unwrap();
    let stranger = file(3).with_file_name("seg_00000000000000000000000000000001.blf");
    std::fs::copy(file(3), &stranger).unwrap();
    let kinds = |report: &CheckReport| report.findings.iter().map(|(finding, _)| *finding).collect::<Vec<_>>();
    assert_eq!(
        kinds(&look(&rig, false, false, LATER_S).await),
        [Finding::FileMissing, Finding::FileDamaged, Finding::Unknown]
    );
    let deep = look(&rig, true, false, LATER_S).await;
    assert_eq!(
        kinds(&deep),
        [Finding::FileMissing, Finding::FileDamaged, Finding::FileDamaged, Finding::Unknown],
        "{deep:?}"
    );
    assert!(!deep.is_whole());
    std::fs::remove_file(&stranger).unwrap();
    // A row was lost: the file brings it back.
    let lost = rig.segments[5].segment.to_string();
    let before = rig.index.all().await.unwrap().len();
    rig.index.forget(&lost).await.unwrap();
    assert_eq!(rig.index.all().await.unwrap().len(), before - 1);
    let mended = look(&rig, false, true, LATER_S).await;
    assert_eq!(mended.repaired, 2, "{mended:?}");
    assert_eq!(kinds(&look(&rig, false, false, LATER_S).await), [Finding::FileDamaged]);
    assert_eq!(rig.index.all().await.unwrap().len(), before);
}

#[tokio::test]
async fn keys_past_their_term_and_files_without_a_key_are_told() {
    let rig = sealed().await;
    let late = 31 * 86_400;
    let report = look(&rig, false, false, late).await;
    assert_eq!(report.counts().get(&Finding::PastTerm), Some(&4));
    let rig = sealed().await;
    let at = |hours: i64| WallTime::from_secs(start_s() + 30 * 86_400 + hours * 3_600);
    rig.sweep().expire_keys(&thirty_days(), at(0)).await.unwrap();
    let report = look(&rig, false, false, late).await;
    assert!(report.findings.is_empty(), "{report:?}");
    // A file comes back from somewhere.
    let path = rig.dir.path().join("media").join(&rig.segments[0].path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, b"BELFSEG1").unwrap();
    let report = look(&rig, false, false, late).await;
    assert_eq!(report.counts().into_keys().collect::<Vec<_>>(), [Finding::ErasedFileThere]);
    look(&rig, false, true, late).await;
    assert!(!path.exists());
    // Keys that went without their files.
    let rig = sealed().await;
    rig.vault.with(|ring| ring.destroy_hours(&|_| true, 99, keys::Reason::Order, at(0))).unwrap();
    let report = look(&rig, false, false, late).await;
    assert_eq!(report.counts(), [(Finding::Keyless, 8)].into());
    assert!(report.is_whole(), "the sweeper takes them");
}
