use std::sync::atomic::{AtomicI64, Ordering};

use keys::{CopyPaths, Protection, Reason};
use vms_core::{CameraId, RetentionClass};

use super::*;
use crate::disk::keyfeed::key_name;

/// A clock that a test moves.
#[derive(Debug)]
struct Hand(AtomicI64);

const NOW_S: i64 = 1_800_000_000;

impl Hand {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(0)))
    }

    fn pass(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn wall(&self) -> WallTime {
        WallTime::from_micros(NOW_S * 1_000_000 + self.0.load(Ordering::SeqCst))
    }

    fn mono(&self) -> MonoTime {
        MonoTime { micros: 1_000_000 + u64::try_from(self.0.load(Ordering::SeqCst)).unwrap() }
    }

    fn is_trusted(&self) -> bool {
        true
    }
}

fn config(dir: &Path) -> VaultConfig {
    let at = |name: &str| CopyPaths { store: dir.join(name).join("store"), root: dir.join(name).join("root") };
    VaultConfig {
        store: KeyStoreConfig {
            first: at("a"),
            second: SecondCopy::At(at("b")),
            protection: Protection::FileMode,
            remember: Duration::from_secs(40 * 86_400),
        },
        root_every: Duration::from_hours(1),
        gate: None,
        stops: "nothing is recorded",
        backup: Some((
            BackupPlan {
                folder: dir.join("backup"),
                keys: dir.join("backup-keys"),
                protection: Protection::FileMode,
                life: Duration::from_hours(72),
            },
            Duration::from_hours(6),
        )),
    }
}

fn name(hour: i64) -> KeyName {
    let class = RetentionClass::parse("RC-VID-OPEN").unwrap();
    key_name(CameraId::from_bytes([1; 16]), &class, WallTime::from_secs(NOW_S + hour * 3_600))
}

fn segment(number: u8) -> SegmentId {
    SegmentId::from_bytes([number; 16])
}

fn header(number: u8, key_epoch: u64) -> SegmentHeader {
    SegmentHeader {
        segment: segment(number),
        stream: vms_core::StreamId::from_bytes([1; 16]),
        camera: CameraId::from_bytes([1; 16]),
        key_epoch,
        wall: WallTime::from_secs(NOW_S),
        mono: MonoTime::default(),
        epoch: 1,
        reason: 0,
        boot: [0; 16],
        previous: [0; 32],
        class: RetentionClass::parse("RC-VID-OPEN").unwrap(),
    }
}

#[test]
fn a_lost_copy_stops_new_keys_and_comes_back_by_itself() {
    for lost in ["a", "b"] {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Hand::new());
        let vault = Vault::open(Some(config(dir.path())), dir.path(), true, clock.clone());
        let first = vault.begin(&name(0), segment(1)).unwrap().epoch();
        let (copy, aside) = (dir.path().join(lost).join("store"), dir.path().join("aside"));
        std::fs::rename(&copy, &aside).unwrap();
        std::fs::write(&copy, b"").unwrap();
        assert!(matches!(vault.begin(&name(0), segment(2)), Err(KeyError::CopyFailed { .. })), "{lost}");
        // Now and after a look: no key, but what is there opens, and is destroyed in time.
        for wait in [0, 3, 3] {
            clock.pass(wait);
            vault.tend();
            assert!(vault.begin(&name(0), segment(3)).is_err(), "{lost}");
            assert!(vault.opener(&header(1, first.raw())).unwrap().is_some(), "{lost}");
        }
        let gone = vault.with(|ring| ring.destroy_hours(&|_| true, 9, Reason::EndOfTerm, clock.wall())).unwrap();
        assert_eq!((gone.keys.len(), gone.missing.len()), (1, 1), "{lost}");
        assert_eq!(vault.opener(&header(1, first.raw())).unwrap_err(), NoKey::Destroyed);
        std::fs::remove_file(&copy).unwrap();
        std::fs::rename(&aside, &copy).unwrap();
        clock.pass(3);
        vault.tend();
        let next = vault.begin(&name(0), segment(4)).unwrap().epoch();
        assert!(vault.opener(&header(4, next.raw())).unwrap().is_some());
        // The copy that came back learned of the death.
        let report = vault.with(|ring| ring.check(true)).unwrap();
        assert!(report.is_whole(), "{lost}: {report:?}");
        assert_eq!(vault.opener(&header(1, first.raw())).unwrap_err(), NoKey::Destroyed);
    }
}

#[test]
fn a_missing_store_is_never_made_anew_and_another_one_is_refused() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Hand::new());
    let open = || Vault::open(Some(config(dir.path())), dir.path(), true, clock.clone());
    let vault = open();
    let epoch = vault.begin(&name(0), segment(1)).unwrap().epoch();
    vault.close();
    assert_eq!(vault.opener(&header(1, epoch.raw())).unwrap_err(), NoKey::Away);
    for copy in ["a", "b"] {
        std::fs::rename(dir.path().join(copy), dir.path().join(format!("{copy}-aside"))).unwrap();
    }
    // Not mounted: although nobody says that anything was sealed, the recorder's folder remembers the store.
    let vault = open();
    assert!(matches!(vault.begin(&name(0), segment(2)), Err(KeyError::NoCopy)));
    assert!(!dir.path().join("a/store").exists());
    // Another store, of another recorder, in its place.
    let other = tempfile::tempdir().unwrap();
    let foreign = Vault::open(Some(config(other.path())), other.path(), true, clock.clone());
    foreign.close();
    for copy in ["a", "b"] {
        std::fs::rename(other.path().join(copy), dir.path().join(copy)).unwrap();
    }
    clock.pass(3);
    vault.tend();
    assert!(vault.begin(&name(0), segment(2)).is_err());
    for copy in ["a", "b"] {
        std::fs::remove_dir_all(dir.path().join(copy)).unwrap();
        std::fs::rename(dir.path().join(format!("{copy}-aside")), dir.path().join(copy)).unwrap();
    }
    clock.pass(3);
    vault.tend();
    assert!(vault.opener(&header(1, epoch.raw())).unwrap().is_some());
    assert!(vault.begin(&name(0), segment(2)).is_ok());
    assert_eq!(vault.opener(&header(1, epoch.raw() ^ 1)).unwrap_err(), NoKey::Lost);
    assert_eq!(vault.opener(&header(9, epoch.raw())).unwrap_err(), NoKey::Lost);
    assert!(vault.opener(&header(9, 0)).unwrap().is_none());
}

#[test]
fn the_root_changes_when_it_is_due_and_backups_come_and_go() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Hand::new());
    let vault = Vault::open(Some(config(dir.path())), dir.path(), true, clock.clone());
    let epoch = vault.begin(&name(0), segment(1)).unwrap().epoch();
    let generation = || vault.with(|ring| Ok(ring.generation().number())).unwrap();
    let backups = || std::fs::read_dir(dir.path().join("backup-keys")).unwrap().count();
    for (wait, wanted) in [(1, 1), (3_590, 1), (10, 2), (10, 2), (3_600, 3)] {
        clock.pass(wait);
        vault.tend();
        assert_eq!((generation(), backups()), (wanted, 1), "after {wait} s");
    }
    for hours in 3..100 {
        clock.pass(3_600);
        vault.tend();
        // One each six hours; each opens for 72.
        assert!(backups() <= 13, "{hours}");
    }
    assert!((12..=13).contains(&backups()));
    assert!(vault.opener(&header(1, epoch.raw())).unwrap().is_some());
}

#[test]
fn a_gate_that_cannot_be_made_keeps_no_key_from_being_saved() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Hand::new());
    let medium = dir.path().join("medium");
    let gate = keys::GatePlan { folder: medium.join("gate"), copy: None, protection: Protection::FileMode };
    let config = VaultConfig { gate: Some(gate), ..config(dir.path()) };
    let vault = Vault::open(Some(config), dir.path(), true, clock.clone());
    std::fs::write(&medium, "no folder").unwrap();
    for number in 1..4 {
        assert!(matches!(vault.ensure_gate(clock.wall()), Err(KeyError::Io { .. })));
        assert!(!vault.due().troubled, "the store is whole");
        vault.begin(&name(0), segment(number)).unwrap();
        clock.pass(3);
        vault.tend();
    }
    std::fs::remove_file(&medium).unwrap();
    std::fs::create_dir(&medium).unwrap();
    vault.ensure_gate(clock.wall()).unwrap();
    assert!(medium.join("gate/gate-00000001.key").exists() && !vault.is_gate_away());
    std::fs::remove_dir_all(&medium).unwrap();
    vault.ensure_gate(clock.wall()).unwrap();
    assert!(vault.is_gate_away(), "what is made is not made again");
}
