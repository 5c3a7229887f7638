use std::path::PathBuf;
use std::process::Command;

use proptest::prelude::*;

use super::*;
use crate::job::tests::{exported, files, manifest_of};
use crate::sign::tests::signer;

fn pinned() -> Trust {
    Trust { certificate_sha256: Some(signer(1).fingerprint()), log_key: None }
}

fn copy(from: &Path) -> (tempfile::TempDir, PathBuf) {
    let out = crate::testfilm::scratch();
    for (name, bytes) in files(from) {
        std::fs::write(out.path().join(name), bytes).unwrap();
    }
    let path = out.path().to_owned();
    (out, path)
}

#[test]
fn an_untouched_export_is_authentic_only_with_the_right_pin() {
    let (_out, path) = exported();
    let table = [
        (Some(signer(1).fingerprint()), Verdict::Authentic, 0),
        (Some(crate::papers::with_colons(&signer(1).fingerprint())), Verdict::Authentic, 0),
        (None, Verdict::Intact, 0),
        (Some(signer(2).fingerprint()), Verdict::Broken, 1),
    ];
    for (certificate_sha256, verdict, code) in table {
        let report = folder(&path, &Trust { certificate_sha256, log_key: None });
        assert_eq!((report.verdict, report.verdict.exit_code()), (verdict, code), "{}", report.table());
    }
    let unpinned = folder(&path, &Trust::default());
    assert!(unpinned.table().contains("NOT PINNED"));
    let log_key = manifest_of(&path).log.unwrap().verifier_key;
    for (log_key, verdict) in [(log_key, Verdict::Authentic), ("other+00000000+AAAA".to_owned(), Verdict::Broken)] {
        assert_eq!(folder(&path, &Trust { log_key: Some(log_key), ..pinned() }).verdict, verdict);
    }
    let empty = crate::testfilm::scratch();
    let nothing = folder(empty.path(), &pinned());
    assert_eq!((nothing.verdict, nothing.verdict.exit_code()), (Verdict::NotChecked, 2));
    // A file that a file manager left is told, and is no forgery.
    std::fs::write(path.join("Thumbs.db"), b"x").unwrap();
    let report = folder(&path, &pinned());
    assert!(report.verdict == Verdict::Authentic && report.table().contains("not part of the export"));
}

#[test]
fn every_file_is_covered() {
    let (_out, path) = exported();
    for (name, bytes) in files(&path) {
        let (_copy, copy) = copy(&path);
        std::fs::remove_file(copy.join(&name)).unwrap();
        assert_ne!(folder(&copy, &pinned()).verdict, Verdict::Authentic, "{name} removed");
        for (word, forged) in [
            ("cut", bytes[..bytes.len() - 1].to_vec()),
            ("longer", [&bytes[..], b"\n"].concat()),
            ("empty", Vec::new()),
            ("first byte", [&[bytes[0] ^ 1], &bytes[1..]].concat()),
        ] {
            std::fs::write(copy.join(&name), forged).unwrap();
            assert_ne!(folder(&copy, &pinned()).verdict, Verdict::Authentic, "{name} {word}");
        }
        std::fs::write(copy.join(&name), bytes).unwrap();
        assert_eq!(folder(&copy, &pinned()).verdict, Verdict::Authentic, "{name} restored");
    }
}

/// What somebody does to one file.
#[derive(Clone, Copy, Debug)]
enum Edit {
    Flip(u8),
    Cut,
    Insert,
    Delete,
    Repeat,
    Swap,
    Zero,
    /// The file of the same name of another export of the same footage, with the same key.
    Exchange,
    Remove,
}

fn edit() -> impl Strategy<Value = Edit> {
    let rest = prop::sample::select(vec![
        Edit::Cut,
        Edit::Insert,
        Edit::Delete,
        Edit::Repeat,
        Edit::Swap,
        Edit::Zero,
        Edit::Exchange,
        Edit::Remove,
    ]);
    prop_oneof![2 => (0_u8..8).prop_map(Edit::Flip), 3 => rest]
}

/// The file after the edit; `None` where it is gone.
fn edited(edit: Edit, original: &[u8], other: &[u8], at: usize, run: usize) -> Option<Vec<u8>> {
    let mut out = original.to_vec();
    let end = (at + run).min(out.len());
    match edit {
        Edit::Flip(bit) => out[at] ^= 1 << bit,
        Edit::Cut => out.truncate(at),
        Edit::Insert => drop(out.splice(at..at, std::iter::repeat_n(0x55, run))),
        Edit::Delete => drop(out.drain(at..end)),
        Edit::Repeat => {
            let copy = out[at..end].to_vec();
            drop(out.splice(end..end, copy));
        }
        Edit::Swap => out[at..end].reverse(),
        Edit::Zero => out[at..end].fill(0),
        Edit::Exchange => out = other.to_vec(),
        Edit::Remove => return None,
    }
    Some(out)
}

/// Another export of the same footage.
fn another() -> (tempfile::TempDir, PathBuf) {
    let mut order = crate::job::tests::order(2);
    order.export_id = "exp_0002".to_owned();
    export(order, crate::job::tests::footage())
}

pub(super) fn export(order: crate::Order, mut footage: crate::testfilm::Memory) -> (tempfile::TempDir, PathBuf) {
    use crate::job::{Job, Step};
    let out = crate::testfilm::scratch();
    let path = out.path().join(&order.export_id);
    let mut job = Job::create(out.path(), order, std::sync::Arc::new(signer(1))).unwrap();
    while !matches!(job.step(&mut footage).unwrap(), Step::Done(_)) {}
    (out, path)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// E2: any edit of any file is found, and one in the media names its fragment. `PROPTEST_CASES=2000` is the measure.
    #[test]
    fn any_edit_is_found(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), run in 1_usize..5_000, edit in edit()) {
        thread_local! { static EXPORTS: [(tempfile::TempDir, PathBuf); 2] = [exported(), another()]; }
        let [path, other] = EXPORTS.with(|exports| exports.each_ref().map(|export| export.1.clone()));
        let names: Vec<String> = files(&path).into_keys().collect();
        let name = &names[which.index(names.len())];
        let original = std::fs::read(path.join(name)).unwrap();
        let at = at.index(original.len());
        let forged = edited(edit, &original, &std::fs::read(other.join(name)).unwrap(), at, run);
        // The certificate of the same key is the same file; a run of one byte may be its own reverse.
        prop_assume!(forged.as_ref() != Some(&original));
        match forged {
            Some(bytes) => std::fs::write(path.join(name), bytes).unwrap(),
            None => std::fs::remove_file(path.join(name)).unwrap(),
        }
        let report = folder(&path, &pinned());
        std::fs::write(path.join(name), &original).unwrap();
        prop_assert!(report.verdict.exit_code() > 0, "{:?} of {} at {}: {}", edit, name, at, report.table());
        let films = manifest_of(&path).films;
        if let (Some(film), Edit::Flip(_)) = (films.iter().find(|film| film.file == *name), edit) {
            let index = std::fs::read_to_string(path.join(&film.index)).unwrap();
            let rows = film::read_rows(&index).unwrap();
            let hit = rows.iter().find(|row| (row.offset..row.offset + row.bytes).contains(&u64::try_from(at).unwrap()));
            if let Some(row) = hit {
                let words = format!("CHANGED: fragment {} of {}", row.fragment, row.segment);
                prop_assert!(report.table().contains(&words), "{}", report.table());
            }
        }
    }

    /// Any order over any footage gives an export that passes its check: no false alarm.
    #[test]
    fn what_was_not_changed_is_authentic(runs in prop::collection::vec((any::<bool>(), prop_oneof![0_i64..90_000, 150_i64..250], 1_i64..6), 1..4)) {
        use vms_core::Codec;
        let mut at = crate::testfilm::START_US;
        let mut made = Vec::new();
        for (is_h264, hole_ms, loops) in runs {
            at += hole_ms * 1_000;
            let codec = if is_h264 { Codec::H264 } else { Codec::H265 };
            made.push(crate::testfilm::Run { codec, at, loops });
            at += loops * if is_h264 { 600_000 } else { 400_000 };
        }
        let footage = crate::testfilm::Memory::new(vec![crate::testfilm::camera(&made)]);
        let (_out, path) = export(crate::job::tests::order(1), footage);
        let report = folder(&path, &pinned());
        prop_assert_eq!(report.verdict, Verdict::Authentic, "{}", report.table());
    }

    /// Foreign bytes never break a parser.
    #[test]
    fn foreign_bytes_are_refused_quietly(data in proptest::collection::vec(any::<u8>(), 0..400)) {
        fuzz_export(&data);
    }
}

/// The fuzzer's seeds, whole and edited.
#[test]
fn seeds_and_what_is_near_them_are_read_quietly() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/evidence");
    let mut count = 0;
    for (name, seed) in files(&seeds) {
        fuzz_export(&seed);
        count += 1;
        for at in 0..seed.len().min(9_000) {
            for value in [0, 1, 0x7f, 0xff, seed[at] ^ 0x80] {
                let mut edited = seed.clone();
                edited[at] = value;
                fuzz_export(&edited);
            }
            if at % 8 == 0 {
                fuzz_export(&seed[..at]);
            }
        }
        let whole = match name.as_str() {
            "manifest" => Manifest::parse(&seed[1..]).is_some(),
            "moov" => mp4::Tables::parse(&seed[1..]).is_some_and(|tables| tables.chunks().is_some()),
            "index" => film::read_rows(std::str::from_utf8(&seed[1..]).unwrap()).is_some(),
            "certificate" => certificate_from_pem(std::str::from_utf8(&seed[1..]).unwrap()).is_some(),
            _ => ProofFile::parse(std::str::from_utf8(&seed[1..]).unwrap()).is_some(),
        };
        assert!(whole, "the seed `{name}` reaches behind its parser");
    }
    assert_eq!(count, 5);
}

/// Edits by someone who has another key and seals again: everything holds but the signer.
#[test]
fn a_forger_with_another_key_is_not_the_installation() {
    use crate::job::{Job, Step, tests};
    let out = crate::testfilm::scratch();
    let mut order = tests::order(2);
    order.case_number = "invented".to_owned();
    let mut job = Job::create(out.path(), order, std::sync::Arc::new(signer(2))).unwrap();
    let mut footage = tests::footage();
    while !matches!(job.step(&mut footage).unwrap(), Step::Done(_)) {}
    let path = out.path().join("exp_0001");
    assert_eq!(folder(&path, &Trust::default()).verdict, Verdict::Intact);
    let report = folder(&path, &pinned());
    assert_eq!(report.verdict, Verdict::Broken);
    assert!(report.failures().iter().any(|words| words.contains("NOT the certificate that you trust")));
}

/// Edits with the installation's own key, as an insider would: the parts contradict each other.
#[test]
fn an_insider_cannot_hide_a_gap_or_a_frame() {
    type Edit = fn(&mut Manifest);
    let edits: [(&str, Edit); 10] = [
        ("camera", |manifest| manifest.films[2].camera = 7),
        ("camera", |manifest| manifest.cameras[1].facts = manifest.cameras[0].facts.clone()),
        ("onvif_boxes", |manifest| (manifest.films[0].camera, manifest.films[2].camera) = (1, 0)),
        ("gaps", |manifest| manifest.cameras[0].gaps.clear()),
        ("structure", |manifest| manifest.films[0].frames -= 1),
        ("structure", |manifest| manifest.films[0].starts = manifest.films[0].ends),
        ("structure", |manifest| manifest.films[0].width += 1),
        ("onvif_boxes", |manifest| manifest.requested_by.id = "usr_3".to_owned()),
        ("onvif_boxes", |manifest| manifest.films[0].origin = manifest.started_at),
        ("decision", |manifest| manifest.decision = None),
    ];
    for (check, edit) in edits {
        let (_out, path) = exported();
        let mut manifest = manifest_of(&path);
        edit(&mut manifest);
        let bytes = manifest.to_bytes();
        let digest: [u8; 32] = Sha256::digest(&bytes).into();
        std::fs::write(path.join(MANIFEST), bytes).unwrap();
        std::fs::write(path.join(SIGNATURE), signer(1).sign(&digest).unwrap()).unwrap();
        let report = folder(&path, &pinned());
        let failing: Vec<_> =
            report.checks.iter().filter(|found| found.outcome == Outcome::Fails).map(|found| found.check).collect();
        assert!(failing.contains(&check), "{check}: {}", report.table());
        assert!(!failing.contains(&"signature"));
    }
}

/// Two cameras in one package: whoever swaps their films, in the manifest alone or on the disk as well, and seals the manifest anew with the
/// installation's own key, is found: each film names itself and its camera inside its own seal.
#[test]
fn films_of_two_cameras_cannot_change_places() {
    let (_out, path) = exported();
    let before = files(&path);
    let films = manifest_of(&path).films;
    let place = |camera: usize| films.iter().position(|film| film.camera == camera).unwrap();
    let (one, two) = (place(0), place(1));
    let seal = |manifest: &Manifest| {
        let bytes = manifest.to_bytes();
        let digest: [u8; 32] = Sha256::digest(&bytes).into();
        std::fs::write(path.join(MANIFEST), bytes).unwrap();
        std::fs::write(path.join(SUMS), manifest.sums()).unwrap();
        std::fs::write(path.join(SIGNATURE), signer(1).sign(&digest).unwrap()).unwrap();
    };
    let parts = |film: &crate::manifest::FilmReport| [film.file.clone(), film.index.clone(), film.subtitles.clone()];
    for (on_disk, sealed) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut manifest = manifest_of(&path);
        let (first, second) = (parts(&manifest.films[one]), parts(&manifest.films[two]));
        let mut rename = |at: usize, names: &[String; 3]| {
            let film = &mut manifest.films[at];
            [film.file, film.index, film.subtitles] = names.clone();
        };
        // What is told of each film stays with its camera; only the names change places.
        rename(one, &second);
        rename(two, &first);
        if on_disk {
            for (one, two) in first.iter().zip(&second) {
                std::fs::write(path.join(one), &before[two]).unwrap();
                std::fs::write(path.join(two), &before[one]).unwrap();
                for file in &mut manifest.files {
                    if file.file == *one {
                        file.file.clone_from(two);
                    } else if file.file == *two {
                        file.file.clone_from(one);
                    }
                }
            }
        }
        if sealed {
            seal(&manifest);
        } else {
            std::fs::write(path.join(MANIFEST), manifest.to_bytes()).unwrap();
        }
        let report = folder(&path, &pinned());
        assert_eq!(report.verdict, Verdict::Broken, "{on_disk} {sealed}: {}", report.table());
        let failing: Vec<_> =
            report.checks.iter().filter(|found| found.outcome == Outcome::Fails).map(|found| found.check).collect();
        // What is sealed anew still has the film's own words against it.
        let is_named = |check: &&str| if sealed { check.starts_with("onvif_") } else { *check == "signature" };
        assert!(failing.iter().any(is_named), "{}", report.table());
        for (name, bytes) in &before {
            std::fs::write(path.join(name), bytes).unwrap();
        }
    }
    let report = folder(&path, &pinned());
    assert_eq!(report.verdict, Verdict::Authentic);
    // Film by film it says whose it is and how many holes its camera has.
    for film in &films {
        let number = &manifest_of(&path).cameras[film.camera].facts.number;
        let is_one = |check: &&Check| check.check == "camera" && check.file == film.file;
        let found = report.checks.iter().find(is_one).unwrap();
        assert!(found.words.contains(number) && found.words.contains("gaps"), "{}", found.words);
    }
}

fn sh(folder: &Path, script: &str) -> std::process::Output {
    Command::new("bash").args(["-ec", script]).current_dir(folder).output().unwrap()
}

/// The way of the README with nothing of ours: the commands are taken out of the file itself.
#[test]
fn openssl_and_sha256sum_say_the_same() {
    if Command::new("openssl").arg("version").output().is_err() {
        println!("not run: openssl is not installed");
        return;
    }
    let (_out, path) = exported();
    let readme = std::fs::read_to_string(path.join("README.txt")).unwrap();
    let key = path.join("../key.pem");
    let command = |start: &str| {
        let line = readme.lines().map(str::trim).find(|line| line.starts_with(start)).unwrap();
        line.replace("/tmp/export-key.pem", key.to_str().unwrap())
            .replace("/tmp/a", key.with_extension("a").to_str().unwrap())
    };
    let print = sh(&path, &command("openssl x509 -in certificate.pem -noout -fingerprint"));
    assert!(String::from_utf8_lossy(&print.stdout).contains(&crate::papers::with_colons(&signer(1).fingerprint())));
    assert!(sh(&path, &command("openssl x509 -in certificate.pem -noout -pubkey")).status.success());
    let signature = command("openssl dgst");
    let verified = sh(&path, &signature);
    assert!(String::from_utf8_lossy(&verified.stdout).contains("Verified OK"), "{verified:?}");
    let sums = sh(&path, &command("sha256sum -c"));
    assert!(sums.status.success(), "{sums:?}");
    let compared = format!("{}\n{}", command("grep -o"), command("cut -c"));
    assert!(sh(&path, &compared).status.success());
    // And they find what was changed.
    let film = path.join("footage-001.mp4");
    let original = std::fs::read(&film).unwrap();
    let mut forged = original.clone();
    forged[100] ^= 1;
    std::fs::write(&film, forged).unwrap();
    assert!(!sh(&path, &command("sha256sum -c")).status.success());
    std::fs::write(&film, original).unwrap();
    let manifest = std::fs::read_to_string(path.join(MANIFEST)).unwrap();
    std::fs::write(path.join(MANIFEST), manifest.replacen("JUDICIAL", "JUDICIAK", 1)).unwrap();
    assert!(!sh(&path, &signature).status.success());
}

/// The ONVIF signature in the film, by openssl: the file with the signature's bytes zeroed is what is signed.
#[test]
fn openssl_checks_the_seal_in_the_film() {
    if Command::new("openssl").arg("version").output().is_err() {
        println!("not run: openssl is not installed");
        return;
    }
    let (out, path) = exported();
    let film = manifest_of(&path).films[0].clone();
    let script = format!(
        "dd if={file} of=../sig bs=1 skip={at} count={len} status=none\ncp {file} ../blank.mp4\n\
         dd if=/dev/zero of=../blank.mp4 bs=1 seek={at} count={len} conv=notrunc status=none\n\
         openssl x509 -in certificate.pem -noout -pubkey > ../key.pem\n\
         openssl dgst -sha256 -verify ../key.pem -signature ../sig ../blank.mp4",
        file = film.file,
        at = film.seal_offset,
        len = film.seal_bytes
    );
    let verified = sh(&path, &script);
    assert!(String::from_utf8_lossy(&verified.stdout).contains("Verified OK"), "{verified:?}");
    drop(out);
}

/// `ffprobe` as an independent reader: as many pictures as were stored, no complaint, every one decoded.
#[test]
fn ffprobe_counts_the_same_frames() {
    let (_out, path) = exported();
    for film in manifest_of(&path).films {
        let args = [
            "-v",
            "error",
            "-count_frames",
            "-show_entries",
            "stream=nb_frames,nb_read_frames,codec_name",
            "-of",
            "csv=p=0",
        ];
        let Ok(read) = Command::new("ffprobe").args(args).arg(path.join(&film.file)).output() else {
            println!("not run: ffprobe is not installed");
            return;
        };
        assert!(read.stderr.is_empty(), "{}: {}", film.file, String::from_utf8_lossy(&read.stderr));
        let codec = if film.codec.starts_with("avc1") { "h264" } else { "hevc" };
        let wanted = format!("{codec},{},{}\n", film.frames, film.frames);
        assert_eq!(String::from_utf8_lossy(&read.stdout), wanted, "{}", film.file);
        let length = ["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"];
        let read = Command::new("ffprobe").args(length).arg(path.join(&film.file)).output().unwrap();
        let seconds: f64 = String::from_utf8_lossy(&read.stdout).trim().parse().unwrap();
        let ticks = f64::from(u32::try_from(film.ticks).unwrap());
        assert!((seconds - ticks / 90_000.0).abs() < 0.2, "{seconds} of {}", ticks / 90_000.0);
    }
}
