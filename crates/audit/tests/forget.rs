//! Forgetting a person breaks no proof, and without the salts nobody finds the plates that were searched for (reliability.md L8).
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests say what they expect")]
#![expect(dead_code, reason = "the battery has more than this test needs")]

use std::collections::BTreeSet;

use audit::proof::Inclusion;
use audit::rules::DetailLine;
use audit::{Commitment, Leaf, LeafKind};
use sha2::Digest as _;
use vms_core::WallTime;

#[path = "battery/mod.rs"]
mod battery;

const LEAVES: u64 = 1_000;

/// A plate of the made-up form `1-XXX-NNN`, by number.
fn plate(number: u64) -> String {
    let letter = |at: u32| char::from(b'A' + u8::try_from(number / 1_000 / 26_u64.pow(at) % 26).unwrap());
    format!("1-{}{}{}-{:03}", letter(2), letter(1), letter(0), number % 1_000)
}

fn details(plate: &str) -> String {
    serde_json::json!({ "operation": "search", "details": { "plate": plate } }).to_string()
}

/// A search leaf for each of a thousand plates, and their details.
fn searches() -> battery::Log {
    let mut dice = battery::Dice(0x1_008);
    let (mut leaves, mut rows) = (Vec::new(), Vec::new());
    for index in 0..LEAVES {
        let text = details(&plate(dice.next() % 17_576_000));
        let salt: [u8; 32] = std::array::from_fn(|_| dice.next().to_be_bytes()[0]);
        let commitment = Commitment::to(&salt, text.as_bytes());
        let at = WallTime::from_secs(1_790_000_000 + i64::try_from(index).unwrap());
        leaves.push(Leaf { kind: LeafKind::Use, at, decision: None, refers: None, commitment }.to_line());
        let salt = salt.iter().map(|byte| format!("{byte:02x}")).collect();
        rows.push(DetailLine { index, salt, details: text, forgotten: None });
    }
    let files = battery::files_of(&leaves, &[], true);
    let old = files["checkpoint"].clone();
    battery::Log { leaves, files, details: rows, old, old_size: 1_000 }
}

/// How many of the leaves a dictionary of the first `count` plates opens: with every salt that an outsider knows of, or with the
/// right ones.
fn dictionary(log: &battery::Log, count: u64, knows_salts: bool) -> u64 {
    let commitments: BTreeSet<[u8; 32]> =
        log.leaves.iter().map(|line| Leaf::parse(line).unwrap().commitment.0).collect();
    let mut hits = 0;
    if knows_salts {
        // Each leaf with its own salt: one leaf after the other, until its plate is found.
        for row in log.details.iter().take(3) {
            let digits = row.salt.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
            let salt: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
            let wanted = (0..count).find(|number| {
                let commitment = Commitment::to(&salt.clone().try_into().unwrap(), details(&plate(*number)).as_bytes());
                commitments.contains(&commitment.0)
            });
            hits += u64::from(wanted.is_some());
        }
        return hits;
    }
    for number in 0..count {
        let text = details(&plate(number));
        let mut bare = sha2::Sha256::new();
        bare.update(text.as_bytes());
        let guesses: [[u8; 32]; 3] = [
            bare.finalize().into(),
            Commitment::to(&[0; 32], text.as_bytes()).0,
            sha2::Sha256::digest(plate(number)).into(),
        ];
        hits += u64::from(guesses.iter().any(|guess| commitments.contains(guess)));
    }
    hits
}

#[test]
fn a_dictionary_of_plates_opens_nothing_without_the_salts() {
    let log = searches();
    assert_eq!(dictionary(&log, 100_000, false), 0);
    // The same attack finds its plate once it has the salt: it is the salt that keeps it.
    let mut known = log.clone();
    let number = 4_711;
    known.details[0].details = details(&plate(number));
    let salt: [u8; 32] = [7; 32];
    known.details[0].salt = "07".repeat(32);
    let commitment = Commitment::to(&salt, known.details[0].details.as_bytes());
    known.leaves[0] = Leaf { commitment, ..Leaf::parse(&known.leaves[0]).unwrap() }.to_line();
    known.details.truncate(1);
    assert_eq!(dictionary(&known, 10_000, true), 1);
}

#[test]
#[ignore = "ten million plates take minutes without optimisation"]
fn a_dictionary_of_ten_million_plates_opens_nothing() {
    assert_eq!(dictionary(&searches(), 10_000_000, false), 0);
}

#[test]
fn what_was_forgotten_leaves_every_proof_as_it_was() {
    let mut log = battery::make(8, 700);
    let key = battery::log_key();
    let proofs: Vec<Inclusion> =
        (0..700).map(|index| Inclusion::prove(&log.files, key.verifier_key(), index).unwrap()).collect();
    // A person's leaves: their details go, a leaf of its own says so.
    let gone: Vec<u64> = (0..700)
        .filter(|at| at % 7 == 3 && log.details[usize::try_from(*at).unwrap()].details.contains("\"search\""))
        .collect();
    let text = serde_json::json!({ "operation": "details_forgotten", "details": { "leaves": gone } }).to_string();
    let commitment = Commitment::to(&[5; 32], text.as_bytes());
    let at = Leaf::parse(&log.leaves[699]).unwrap().at;
    log.leaves.push(Leaf { kind: LeafKind::Erase, at, decision: None, refers: None, commitment }.to_line());
    log.details.push(DetailLine { index: 700, salt: "05".repeat(32), details: text, forgotten: None });
    for index in &gone {
        let row = DetailLine { index: *index, salt: String::new(), details: String::new(), forgotten: Some(700) };
        log.details[usize::try_from(*index).unwrap()] = row;
    }
    assert!(gone.len() > 20);
    log.old = log.files["checkpoint"].clone();
    log.files = battery::files_of(&log.leaves, &[700], true);
    battery::in_rust(&log).unwrap();
    let dir = tempfile::tempdir().unwrap();
    battery::lay_out(&log, dir.path());
    assert_eq!(battery::in_python(&[dir.path().to_owned()]), ["holds"]);
    for (index, before) in proofs.iter().enumerate() {
        let after = Inclusion::prove(&log.files, key.verifier_key(), u64::try_from(index).unwrap()).unwrap();
        for proof in [before, &after] {
            let text = proof.to_text();
            assert!(text.len() <= 3_072, "{} bytes", text.len());
            let read = Inclusion::parse(&text).unwrap();
            let witness = audit::WitnessVerifier::new(&battery::witness_key().verifier_key()).unwrap();
            read.check(key.verifier_key(), &[witness]).unwrap();
        }
    }
    // A proof says nothing for another leaf, index or checkpoint.
    for (name, wrong) in [
        ("leaf", Inclusion { leaf: log.leaves[6].clone(), ..proofs[5].clone() }),
        ("index", Inclusion { index: 6, ..proofs[5].clone() }),
        ("hashes", Inclusion { hashes: proofs[6].hashes.clone(), ..proofs[500].clone() }),
        ("checkpoint", Inclusion { checkpoint: proofs[5].checkpoint.replace("700", "701"), ..proofs[5].clone() }),
    ] {
        audit::proof::fuzz_proof(wrong.to_text().as_bytes());
        assert!(wrong.check(key.verifier_key(), &[]).is_err(), "{name}");
    }
    for bytes in [&b"{}"[..], b"", b"belfry/1 use 1 - - 00", b"{\"operation\":\"segments\"}", &[0xff]] {
        audit::rules::fuzz_details(bytes);
        audit::proof::fuzz_proof(bytes);
    }
}

#[test]
fn each_rule_is_broken_once() {
    use audit::rules::{Leaves, SegmentTold, segments_root};
    let segment = SegmentTold {
        segment: "seg_1".into(),
        stream: "str_1".into(),
        camera: "cam_1".into(),
        from_us: 0,
        to_us: 60_000_000,
        delete_by_us: 1_000_000_000,
        digest: "00".into(),
    };
    let told = serde_json::json!({ "root": segments_root(std::slice::from_ref(&segment)), "segments": [segment] });
    let recorded = serde_json::json!({ "operation": "segments", "details": told });
    let wrong_root =
        serde_json::json!({ "operation": "segments", "details": { "root": "00", "segments": told["segments"] } });
    let erased = |at: i64| {
        let gone = [serde_json::json!({ "segment": "seg_1", "erased_us": at })];
        serde_json::json!({ "operation": "segments_erased", "details": { "segments": gone } })
    };
    let hold = |camera: &str, state: &str| {
        let more = serde_json::json!({ "hold": "hld_1", "camera": camera, "state": state, "from_us": 0, "to_us": 9 });
        serde_json::json!({ "operation": "hold_set", "details": more })
    };
    let (batch, erase, change) = (LeafKind::Batch, LeafKind::Erase, LeafKind::Change);
    let late = 999_999_000_000_000;
    for (name, leaves, now, holds) in [
        ("in time", vec![(batch, recorded.clone()), (erase, erased(900_000_000))], late, true),
        ("not yet due", vec![(batch, recorded.clone())], 900_000_000, true),
        ("never erased", vec![(batch, recorded.clone())], late, false),
        ("erased too late", vec![(batch, recorded.clone()), (erase, erased(late))], late, false),
        ("held", vec![(batch, recorded.clone()), (change, hold("cam_1", "active"))], late, true),
        ("another camera held", vec![(batch, recorded.clone()), (change, hold("cam_2", "active"))], late, false),
        ("a hold that was released", vec![(batch, recorded.clone()), (change, hold("cam_1", "released"))], late, false),
        ("told twice", vec![(batch, recorded.clone()), (batch, recorded.clone())], 0, false),
        ("erased twice", vec![(erase, erased(1)), (erase, erased(1))], 0, false),
        ("a wrong root", vec![(batch, wrong_root)], 0, false),
    ] {
        let (mut known, mut rows, mut lines) = (Leaves::default(), Vec::new(), Vec::new());
        for (index, (kind, said)) in leaves.iter().enumerate() {
            let text = said.to_string();
            let commitment = Commitment::to(&[1; 32], text.as_bytes());
            let leaf = Leaf { kind: *kind, at: WallTime::from_secs(1), decision: None, refers: None, commitment };
            lines.push(leaf.to_line());
            known.push(leaf.to_line().as_bytes()).unwrap();
            let index = u64::try_from(index).unwrap();
            rows.push(DetailLine { index, salt: "01".repeat(32), details: text, forgotten: None });
        }
        let texts = rows.iter().map(|row| serde_json::to_string(row).unwrap());
        assert_eq!(known.details(texts, WallTime::from_micros(now)).is_ok(), holds, "{name}, Rust");
        let files = battery::files_of(&lines, &[], true);
        let log = battery::Log { leaves: lines, old: files["checkpoint"].clone(), files, details: rows, old_size: 0 };
        let dir = tempfile::tempdir().unwrap();
        battery::lay_out(&log, dir.path());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/verify_log.py");
        let done = std::process::Command::new("python3")
            .arg(script)
            .arg(dir.path().join("log"))
            .args(["--key", battery::log_key().verifier_key(), "--witness-key", &battery::witness_key().verifier_key()])
            .arg("--from")
            .arg(dir.path().join("old"))
            .arg("--details")
            .arg(dir.path().join("details"))
            .args(["--now", &now.max(1).to_string()])
            .output()
            .unwrap();
        let said = String::from_utf8(done.stdout).unwrap();
        assert_eq!(done.status.code(), Some(i32::from(!holds)), "{name}, Python: {said}");
    }
}
