//! The raid drill (target D2). Eight days of recording with a term of four days: keys in two copies, the root changed hourly, a backup every
//! six hours, the sweeper hourly. Meanwhile somebody copies everything that lies on any disk but the roots and the keys of backups, each hour:
//! every version of every segment, index, journal, wraps and backup that ever was. At the end they come for the rest, and a program that shares no code with us
//! (`scripts/drills/raid.py`) tries everything on everything.
//!
//! Three raids. With today's roots: nothing past its term, all that is in it, and what a hold keeps. With today's roots and the keys of backups that still
//! live: also what died within the life of a backup, which is what `docs/KEYS.md` says. With one old root, as if it had not been shredded: what it opened,
//! so that the drill is known to find something when there is something.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test says what it expects and what it measured; CI is known by its environment"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use keys::{BackupPlan, CopyPaths, Hour, KeyEpoch, KeyName, KeyStoreConfig, Protection, Scope, SecondCopy};
use media::{AccessUnit, Clocks, FragmentBuilder, FragmentLimits, ParameterSets};
use recorder::catalogue::Batch;
use recorder::format::SegmentHeader;
use recorder::format::write::{self, Pen};
use recorder::index::Index;
use recorder::plan::segment_path;
use recorder::ports::Clock;
use recorder::recover::recover_file;
use recorder::sweep::{Sweep, Terms, key_dies_at};
use recorder::vault::{Vault, VaultConfig};
use vms_core::{CameraId, Codec, HoldId, MediaTime, MonoTime, RetentionClass, SegmentId, StreamId, WallTime};

/// Of a 98×66 test picture, High profile.
const SPS: &str = "6764000aacd9472f8888c0440000030004000003 00c83c489658";
const PPS: &str = "68ebe0e4b22c";

const START_S: i64 = 1_800_000_000;
const HOURS: i64 = 192;
const TERM_S: u64 = 4 * 86_400;
const CAMERAS: [u8; 2] = [1, 2];
const CLASS: &str = "RC-VID-OPEN";
/// Life of a backup.
const BACKUP: Duration = Duration::from_hours(72);
/// The hour of the segment that is put under a hold, and that whose root the last raid has.
const HELD_HOUR: i64 = 20;

/// A clock that the test drives.
#[derive(Debug)]
struct Driven(AtomicI64);

impl Clock for Driven {
    fn wall(&self) -> WallTime {
        WallTime::from_micros(self.0.load(Ordering::SeqCst))
    }

    fn mono(&self) -> MonoTime {
        MonoTime { micros: u64::try_from(self.0.load(Ordering::SeqCst) - START_S * 1_000_000).unwrap() + 1_000_000_000 }
    }

    fn is_trusted(&self) -> bool {
        true
    }
}

fn nal(text: &str) -> Bytes {
    hex::decode(text.replace(' ', "")).unwrap().into()
}

fn sets() -> ParameterSets {
    ParameterSets::from_nals(Codec::H264, vec![], vec![nal(SPS)], vec![nal(PPS)]).unwrap()
}

fn unit(at: WallTime, seq: u64) -> AccessUnit {
    let mut payload = BytesMut::new();
    let is_key = seq == 0;
    if is_key {
        media::nal::put_length_prefixed(&nal(SPS), &mut payload);
        media::nal::put_length_prefixed(&nal(PPS), &mut payload);
    }
    media::nal::put_length_prefixed(&[if is_key { 0x65 } else { 0x41 }, 0x88, 7, 7, 7, 7], &mut payload);
    let ticks = MediaTime::from_ticks(i64::try_from(seq).unwrap() * 3_600);
    AccessUnit {
        seq,
        epoch: 1,
        payload: payload.freeze(),
        is_key,
        pts: ticks,
        dts: ticks,
        clocks: Clocks {
            wall: at.plus(Duration::from_millis(seq * 40)),
            mono: MonoTime { micros: 1_000_000 + seq * 40_000 },
            camera: None,
            sync: vms_core::SyncState::Unknown,
        },
        lost_before: 0,
        param_set: sets().id,
    }
}

struct Stage {
    dir: tempfile::TempDir,
    clock: Arc<Driven>,
    vault: Arc<Vault>,
    index: Index,
    sweep: Sweep,
    terms: Terms,
    /// Segments with the hour that they began in, and their key.
    segments: Vec<(SegmentId, Hour, u64)>,
    seized: BTreeSet<[u8; 32]>,
}

impl Stage {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("footage/media")).unwrap();
        let copy = |name: &str| CopyPaths { store: at(name).join("store"), root: at(name).join("root") };
        let plan = BackupPlan {
            folder: at("backup"),
            keys: at("backup-keys"),
            protection: Protection::FileMode,
            life: BACKUP,
        };
        let config = VaultConfig {
            store: KeyStoreConfig {
                first: copy("first"),
                second: SecondCopy::At(copy("second")),
                protection: Protection::FileMode,
                remember: Duration::from_hours(40 * 24),
            },
            root_every: Duration::from_hours(1),
            backup: Some((plan, Duration::from_hours(6))),
            gate: None,
            stops: "a drill",
        };
        let clock = Arc::new(Driven(AtomicI64::new(START_S * 1_000_000)));
        let vault = Arc::new(Vault::open(Some(config), &at("footage"), true, Arc::clone(&clock) as Arc<dyn Clock>));
        let index = Index::open(&at("footage/index.db")).await.unwrap();
        let sweep =
            Sweep::new(&at("footage/media"), &at("footage/deletions"), index.clone(), Arc::clone(&vault)).unwrap();
        let mut terms = Terms::default();
        for camera in CAMERAS {
            terms.add(StreamId::from_bytes([camera; 16]), CameraId::from_bytes([camera; 16]), CLASS, TERM_S);
        }
        Self { dir, clock, vault, index, sweep, terms, segments: Vec::new(), seized: BTreeSet::new() }
    }

    fn now(&self) -> WallTime {
        self.clock.wall()
    }

    /// One hour goes by: what is due is done, and each camera records one segment.
    async fn hour(&mut self, number: i64) {
        self.clock.0.store((START_S + number * 3_600 + 300) * 1_000_000, Ordering::SeqCst);
        self.tend().await;
        for camera in CAMERAS {
            self.record(camera, number).await;
        }
    }

    async fn tend(&mut self) {
        self.vault.tend();
        self.sweep.expire_keys(&self.terms, self.now()).await.unwrap();
        self.sweep.expire(&self.terms, self.now()).await.unwrap();
    }

    async fn record(&mut self, camera: u8, number: i64) {
        let (root, wall) = (self.dir.path().join("footage/media"), self.now());
        let mut raw = [camera; 16];
        raw[..8].copy_from_slice(&number.to_be_bytes());
        let mut header = SegmentHeader {
            segment: SegmentId::from_bytes(raw),
            stream: StreamId::from_bytes([camera; 16]),
            camera: CameraId::from_bytes([camera; 16]),
            key_epoch: 0,
            wall,
            mono: MonoTime { micros: 1_000_000 },
            epoch: 1,
            reason: 0,
            boot: [0; 16],
            previous: [0; 32],
            class: RetentionClass::parse(CLASS).unwrap(),
        };
        let name = KeyName { scope: Scope::Camera(header.camera), class: header.class.clone(), hour: Hour::of(wall) };
        let key = self.vault.begin(&name, header.segment).unwrap();
        header.key_epoch = key.epoch().raw();
        let mut bytes = write::header(&header);
        let mut pen = Pen::sealed(key, &bytes);
        bytes.extend(write::parameters(&mut pen, 0, &sets()).unwrap());
        let mut builder = FragmentBuilder::new(FragmentLimits::DEFAULT);
        assert!((0..10).all(|seq| builder.push(unit(wall, seq)).is_none()));
        let (fragment, mut record) = (builder.flush().unwrap(), Vec::new());
        write::fragment(&mut pen, 1, u64::try_from(bytes.len()).unwrap(), &fragment, &mut record).unwrap();
        bytes.extend(record);
        let path = segment_path(header.stream, header.segment, wall);
        std::fs::create_dir_all(root.join(&path).parent().unwrap()).unwrap();
        std::fs::write(root.join(&path), bytes).unwrap();
        // Without a closing record, as a crash leaves it: recovery closes it and says what the index must hold.
        let (mut state, ..) = recover_file(&root, &path, &self.vault).unwrap();
        state.keep_s = TERM_S;
        self.index.flush(&Batch { segments: vec![state], gaps: vec![] }, wall).await.unwrap();
        self.segments.push((header.segment, Hour::of(wall), header.key_epoch));
    }

    /// Copies every file that nobody has copied yet.
    fn seize(&mut self, folders: &[&str], to: &str) {
        let to = self.dir.path().join("seized").join(to);
        std::fs::create_dir_all(&to).unwrap();
        let mut open: Vec<PathBuf> = folders.iter().map(|name| self.dir.path().join(name)).collect();
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                    continue;
                }
                let bytes = std::fs::read(&path).unwrap();
                if self.seized.insert(*blake3::hash(&bytes).as_bytes()) {
                    std::fs::write(to.join(format!("{:06}", self.seized.len())), &bytes).unwrap();
                }
            }
        }
    }

    /// What the raiders read, of these parts of what they have.
    fn raid(&self, parts: &[&str]) -> Option<BTreeSet<SegmentId>> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/drills/raid.py");
        let folders = parts.iter().map(|part| self.dir.path().join("seized").join(part));
        let output = Command::new("python3").arg(script).args(folders).output().ok()?;
        let words = String::from_utf8_lossy(&output.stderr);
        if words.contains("missing: python3-cryptography") {
            return None;
        }
        assert!(output.status.success(), "{words}");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        eprintln!("raid with {parts:?}: {}, opened {}", told["counts"], told["opened"].as_array().unwrap().len());
        assert_eq!(told["counts"]["segments"].as_u64().unwrap(), u64::try_from(self.segments.len()).unwrap());
        let opened = told["opened"].as_array().unwrap().iter().map(|id| {
            let raw = hex::decode(id.as_str().unwrap()).unwrap();
            SegmentId::from_bytes(raw.try_into().unwrap())
        });
        Some(opened.collect())
    }

    fn which(&self, wanted: impl Fn(&Hour) -> bool) -> BTreeSet<SegmentId> {
        self.segments.iter().filter(|(_, hour, _)| wanted(hour)).map(|(segment, ..)| *segment).collect()
    }
}

#[tokio::test]
async fn the_raid_finds_what_is_in_its_term_and_nothing_else() {
    const DISKS: [&str; 4] = ["footage", "first/store", "second/store", "backup"];
    const TOPS: [&str; 2] = ["first/root", "second/root"];
    let mut stage = Stage::new().await;
    for hour in 0..HOURS {
        stage.hour(hour).await;
        stage.seize(&DISKS, "disks");
        if hour == HELD_HOUR {
            let (segment, _, epoch) = *stage.segments.last().unwrap();
            let hold = HoldId::from_bytes([9; 16]);
            let taken = [(segment, KeyEpoch::new(epoch).unwrap())];
            stage.vault.with(|ring| ring.hold(hold, &taken, stage.now())).unwrap();
            // Only for the raid that has what should have been shredded.
            stage.seize(&TOPS, "old-root");
        }
    }
    stage.clock.0.store((START_S + HOURS * 3_600 + 300) * 1_000_000, Ordering::SeqCst);
    stage.tend().await;
    stage.seize(&DISKS, "disks");
    stage.seize(&TOPS, "roots");
    stage.seize(&["backup-keys"], "backup-keys");
    let now = stage.now();
    let is_dead = |hour: &Hour| key_dies_at(*hour, TERM_S) <= now;
    let (alive, dead) = (stage.which(|hour| !is_dead(hour)), stage.which(is_dead));
    let held = stage.segments[usize::try_from(HELD_HOUR * 2 + 1).unwrap()].0;
    assert!(alive.len() > 180 && dead.len() > 190 && dead.contains(&held));

    let Some(opened) = stage.raid(&["disks", "roots"]) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs python3-cryptography");
        eprintln!("NOT RUN: python3-cryptography is missing");
        return;
    };
    let past: Vec<_> = opened.intersection(&dead).collect();
    assert_eq!(past, [&held], "past its term only what a hold keeps");
    assert!(opened.is_superset(&alive), "the drill opens all that is in its term");

    // With the keys of backups: what died within their life, and nothing older.
    let opened = stage.raid(&["disks", "roots", "backup-keys"]).unwrap();
    let oldest = stage.which(|hour| is_dead(hour) && key_dies_at(*hour, TERM_S).plus(BACKUP) <= now);
    let past: Vec<_> = opened.intersection(&oldest).collect();
    assert_eq!(past, [&held], "nothing whose key died longer ago than a backup lives");
    assert!(opened.intersection(&dead).count() > 1, "a living backup does open what died lately: see docs/KEYS.md");

    // With a root that should have been shredded: the drill finds what there is.
    let opened = stage.raid(&["disks", "old-root"]).unwrap();
    let of_then = stage.which(|hour| hour.start() <= WallTime::from_secs(START_S + HELD_HOUR * 3_600));
    assert!(opened.intersection(&dead).count() >= of_then.len() - 2, "an old root opens what it had wrapped");
}
