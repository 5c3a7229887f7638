use std::collections::BTreeMap;
use std::io::ErrorKind;

use vms_core::{Codec, DecisionId};

use super::*;
use crate::manifest::{Basis, CameraFacts, ExportingUnit, Language, Manifest, Person, Place, Purpose};
use crate::port::SourceError;
use crate::sign::tests::signer;
use crate::testfilm::{Memory, Run, START_US, camera, gap, payload};

fn facts(number: u32) -> CameraFacts {
    CameraFacts {
        camera: format!("cam_{number:032x}"),
        stream: format!("str_{number:032x}"),
        number: format!("5340-{number:03}"),
        name: "Chaussée d'Ixelles 12".to_owned(),
        url: String::new(),
        mac: "08:00:27:00:0c:15".to_owned(),
        owner: "Zone 5339".to_owned(),
        place: Place {
            name: "Chaussée d'Ixelles".to_owned(),
            latitude_e6: Some(50_835_000),
            longitude_e6: Some(4_366_000),
        },
        basis: Basis { document: "Gemeenteraad 12".to_owned(), date: "2024-03-01".to_owned(), advice: String::new() },
        retention_class: "RC-VID-OPEN".to_owned(),
    }
}

/// An order over a minute of some cameras.
pub(crate) fn order(cameras: u32) -> Order {
    let person =
        |id: &str, role: &str| Person { id: id.to_owned(), role: role.to_owned(), organisation: "org_1".to_owned() };
    let decision = DecisionId::from_bytes([9; 16]);
    Order {
        export_id: "exp_0001".to_owned(),
        product: "belfry 0.1.0".to_owned(),
        started_at: Utc::from_micros(START_US + 3_600_000_000),
        language: Language::Fr,
        exporting_unit: ExportingUnit { name: "Belfry Brussel".to_owned(), url: String::new(), mac: String::new() },
        from: Utc::from_micros(START_US),
        to: Utc::from_micros(START_US + 60_000_000),
        case_number: "BR.11.L1.000123/2026".to_owned(),
        purpose: Purpose {
            code: "JUDICIAL".to_owned(),
            justification: "Vol à main armée, <b>réquisition</b> du parquet".to_owned(),
        },
        requested_by: person("usr_1", "P04"),
        approved_by: Some(person("usr_2", "P03")),
        decision: Some(decision.to_string()),
        cameras: (1..=cameras).map(facts).collect(),
        log: Some(crate::proof::tests::proof(decision)),
    }
}

/// Two cameras: H.264 with a noted and an unnoted hole and a change to H.265; H.265 to the end.
pub(crate) fn footage() -> Memory {
    let run = |codec, seconds: i64, loops| Run { codec, at: START_US + seconds * 1_000_000, loops };
    let mut first =
        camera(&[run(Codec::H264, 0, 5), run(Codec::H264, 10, 5), run(Codec::H264, 20, 2), run(Codec::H265, 22, 3)]);
    first.insert(0, gap(3, 10, "silent"));
    Memory::new(vec![first, camera(&[run(Codec::H265, -1, 150)])])
}

fn run_to_end(job: &mut Job, footage: &mut Memory) -> Result<PathBuf, ExportError> {
    loop {
        match job.step(footage)? {
            Step::More => {}
            Step::Paused => panic!("paused"),
            Step::Done(path) => return Ok(path),
        }
    }
}

pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())).collect()
}

/// An export of [`order`] and [`footage`] in a folder of its own.
pub(crate) fn exported() -> (tempfile::TempDir, PathBuf) {
    let out = crate::testfilm::scratch();
    let mut job = Job::create(out.path(), order(2), Arc::new(signer(1))).unwrap();
    let path = run_to_end(&mut job, &mut footage()).unwrap();
    (out, path)
}

pub(crate) fn manifest_of(folder: &Path) -> Manifest {
    Manifest::parse(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap()
}

/// The manifest of a finished export.
pub(crate) fn sample_manifest() -> Manifest {
    let (_out, path) = exported();
    manifest_of(&path)
}

#[test]
fn an_export_holds_the_stored_bytes_and_every_hole() {
    let (out, path) = exported();
    let manifest = manifest_of(&path);
    let source = footage();
    for (camera, pieces) in source.cameras.iter().enumerate() {
        let mut media = Vec::new();
        for film in manifest.films.iter().filter(|film| film.camera == camera) {
            let bytes = std::fs::read(path.join(&film.file)).unwrap();
            let index = std::fs::read_to_string(path.join(&film.index)).unwrap();
            for line in index.lines().skip(1) {
                let row = crate::film::Row::parse(line).unwrap();
                let from = usize::try_from(row.offset).unwrap();
                media.extend_from_slice(&bytes[from..from + usize::try_from(row.bytes).unwrap()]);
            }
        }
        assert_eq!(media, payload(pieces), "camera {camera}: NAL bytes untouched and in order");
    }
    let films: Vec<_> =
        manifest.films.iter().map(|film| (film.camera, film.codec.get(..4).unwrap(), film.frames)).collect();
    assert_eq!(films, [(0, "avc1", 180), (0, "hvc1", 30), (1, "hvc1", 1500)]);
    let at = |micros: i64| Utc::from_micros(START_US + micros);
    let gaps: Vec<_> = manifest.cameras[0].gaps.iter().map(|gap| (gap.from, gap.to, gap.cause.as_str())).collect();
    let wanted = [
        (at(3_000_000), at(10_000_000), "silent"),
        (at(13_000_000), at(20_000_000), "not_noted"),
        (at(21_200_000), at(22_000_000), "not_noted"),
        (at(23_200_000), at(60_000_000), "not_noted"),
    ];
    assert_eq!(gaps, wanted);
    let second = &manifest.cameras[1];
    assert_eq!((second.delivered_from, second.gaps.len()), (Some(at(-1_000_000)), 1), "{:?}", second.gaps);
    let clock = &manifest.films[0].clock;
    assert_eq!((clock.offset_min_us, clock.offset_max_us), (Some(-12_345), Some(-12_345)));
    assert_eq!(clock.agrees + clock.unknown, 180);
    let left: Vec<_> = std::fs::read_dir(out.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["exp_0001"], "nothing else stays");
}

/// Kills the job at every operation on the disk, and goes on with garbage behind what was flushed: the bytes stay the same.
#[test]
fn a_kill_at_any_point_changes_no_byte() {
    let (_reference, path) = exported();
    let wanted = files(&path);
    let mut kills = 0;
    for after in 0.. {
        let out = crate::testfilm::scratch();
        let made = Job::create_on(Disk::failing(after, ErrorKind::Other), out.path(), order(2), Arc::new(signer(1)));
        let finished = match made {
            Ok(mut job) => run_to_end(&mut job, &mut footage()).is_ok(),
            Err(_) => false,
        };
        if finished {
            break;
        }
        kills += 1;
        let mut job = match Job::open(out.path(), "exp_0001", Arc::new(signer(1))).unwrap() {
            Opened::Job(job) => {
                tear(&job, out.path());
                *job
            }
            Opened::Nothing => Job::create(out.path(), order(2), Arc::new(signer(1))).unwrap(),
            Opened::Done(path) => {
                assert_eq!(files(&path), wanted, "kill {after}");
                continue;
            }
        };
        let path = run_to_end(&mut job, &mut footage()).unwrap();
        assert_eq!(files(&path), wanted, "kill {after}");
    }
    assert!(kills > 30, "{kills}");
    println!("{kills} kills");
}

/// What a power cut leaves behind the last flush is anything.
fn tear(job: &Job, out: &Path) {
    let Ok(entries) = std::fs::read_dir(out.join("exp_0001.part")) else { return };
    let finished: Vec<&str> = job.state.files.iter().map(|file| file.file.as_str()).collect();
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with("footage") && !finished.contains(&name) {
            use std::io::Write as _;
            std::fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b"torn").unwrap();
        }
    }
}

/// The same, with a checkpoint after every fragment, so that films are taken up again in their middle.
#[test]
fn a_film_is_taken_up_in_its_middle() {
    let (_reference, path) = exported();
    let wanted = files(&path);
    let out = crate::testfilm::scratch();
    drop(Job::create(out.path(), order(2), Arc::new(signer(1))).unwrap());
    let mut steps = 0;
    loop {
        let Opened::Job(mut job) = Job::open(out.path(), "exp_0001", Arc::new(signer(1))).unwrap() else {
            panic!("gone")
        };
        // A new source too: everything of the process is gone.
        let step = job.step(&mut footage()).unwrap();
        steps += 1;
        if let Step::Done(path) = step {
            assert_eq!(files(&path), wanted);
            break;
        }
        job.checkpoint().unwrap();
    }
    assert!(steps > 60, "{steps}");
}

#[test]
fn failures_have_clear_words_and_can_be_mended() {
    let start = |order: Order| {
        let out = crate::testfilm::scratch();
        let job = Job::create(out.path(), order, Arc::new(signer(1))).unwrap();
        (out, job)
    };
    // A source that fails once: the same job goes on.
    let (_out, mut job) = start(order(2));
    let mut source = footage();
    source.failure = Some((6, SourceError::Unavailable("busy".to_owned())));
    let failure = run_to_end(&mut job, &mut source).unwrap_err();
    assert_eq!((failure.code(), failure.is_retryable()), ("recorder_unavailable", true));
    assert!(run_to_end(&mut job, &mut source).is_ok());
    // Erased in the meantime.
    let (_out, mut job) = start(order(2));
    let mut source = footage();
    source.failure = Some((6, SourceError::Erased { segment: "seg_7".to_owned() }));
    let failure = run_to_end(&mut job, &mut source).unwrap_err();
    assert_eq!((failure.code(), failure.is_retryable()), ("key_destroyed", false));
    // A gap over the whole span.
    let (_out, mut job) = start(order(1));
    let failure = run_to_end(&mut job, &mut Memory::new(vec![vec![gap(0, 60, "unreachable")]])).unwrap_err();
    assert_eq!(failure.code(), "nothing_recorded");
    assert!(failure.to_string().contains("unreachable"), "{failure}");
    // A full disk.
    let out = crate::testfilm::scratch();
    let disk = Disk::failing(20, ErrorKind::StorageFull);
    let mut job = Job::create_on(disk, out.path(), order(2), Arc::new(signer(1))).unwrap();
    assert_eq!(run_to_end(&mut job, &mut footage()).unwrap_err().code(), "disk_full");
    // What was written is changed by another hand.
    let (out, mut job) = start(order(2));
    let mut source = footage();
    for _ in 0..6 {
        job.step(&mut source).unwrap();
    }
    job.checkpoint().unwrap();
    drop(job);
    let film = out.path().join("exp_0001.part/footage-001.mp4");
    let mut bytes = std::fs::read(&film).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&film, bytes).unwrap();
    let Opened::Job(mut job) = Job::open(out.path(), "exp_0001", Arc::new(signer(1))).unwrap() else { panic!("gone") };
    assert_eq!(job.step(&mut footage()).unwrap_err().code(), "part_changed");
}

#[test]
fn pause_lasts_over_a_restart_and_cancel_leaves_nothing() {
    let out = crate::testfilm::scratch();
    let mut job = Job::create(out.path(), order(2), Arc::new(signer(1))).unwrap();
    let mut source = footage();
    for _ in 0..10 {
        job.step(&mut source).unwrap();
    }
    let before = job.progress();
    assert!(
        before.bytes > 0 && before.frames > 0 && before.per_mille > 0 && before.stage == Stage::Filming,
        "{before:?}"
    );
    job.pause().unwrap();
    drop(job);
    assert_eq!(Job::unfinished(out.path()).unwrap(), ["exp_0001"]);
    let Opened::Job(mut job) = Job::open(out.path(), "exp_0001", Arc::new(signer(1))).unwrap() else { panic!("gone") };
    assert_eq!(job.step(&mut footage()).unwrap(), Step::Paused);
    assert!(job.progress().is_paused);
    job.resume().unwrap();
    assert_eq!(job.step(&mut footage()).unwrap(), Step::More);
    assert_eq!(Job::create(out.path(), order(2), Arc::new(signer(1))).unwrap_err().code(), "exists");
    job.cancel().unwrap();
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
    assert!(matches!(Job::open(out.path(), "exp_0001", Arc::new(signer(1))).unwrap(), Opened::Nothing));
}

#[test]
fn orders_that_cannot_be_are_refused() {
    let out = crate::testfilm::scratch();
    let refused = |change: fn(&mut Order)| {
        let mut order = order(1);
        change(&mut order);
        Job::create(out.path(), order, Arc::new(signer(1))).map(|_| ()).unwrap_err().code()
    };
    let changes: [fn(&mut Order); 9] = [
        |order| order.export_id = "../x".to_owned(),
        |order| order.export_id = String::new(),
        |order| order.to = order.from,
        |order| order.cameras.clear(),
        |order| order.case_number = " ".to_owned(),
        |order| order.purpose.justification.clear(),
        |order| order.purpose.code.clear(),
        |order| order.approved_by = Some(order.requested_by.clone()),
        |order| order.cameras.iter_mut().for_each(|camera| camera.basis.document.clear()),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert_eq!(refused(change), "order", "change {number}");
    }
}
