//! Logs made from seeds, and forgeries of them: what an operator with full access, and the log's own key, could try.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use audit::rules::{DetailLine, SegmentTold, segments_root};
use audit::{Commitment, Fault, Leaf, LeafKind, LogKey, Pins, Tree, WitnessKey, WitnessVerifier, check, cosign};
use serde_json::json;
use vms_core::{DecisionId, WallTime};

pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// `SplitMix64`: the same forgeries from the same seed, everywhere.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}

pub(crate) fn log_key() -> LogKey {
    LogKey::from_seed("belfry.test/log", &[1; 32]).unwrap()
}

pub(crate) fn witness_key() -> WitnessKey {
    WitnessKey::from_seed("witness.test/w", &[2; 32]).unwrap()
}

/// A log with what an overseer kept of it.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) leaves: Vec<String>,
    pub(crate) files: Files,
    pub(crate) details: Vec<DetailLine>,
    pub(crate) old: Vec<u8>,
    pub(crate) old_size: usize,
}

/// The public files of leaves; the checkpoint signed, and cosigned if wanted. Tiles of `earlier` sizes stay beside the newer ones.
pub(crate) fn files_of(leaves: &[String], earlier: &[usize], cosigned: bool) -> Files {
    let (mut tree, mut files) = (Tree::default(), Files::new());
    for (index, leaf) in leaves.iter().enumerate() {
        if earlier.contains(&index) {
            files.extend(tree.take_tiles().into_iter().map(|tile| (tile.path, tile.bytes)));
        }
        tree.push(leaf.as_bytes());
    }
    files.extend(tree.take_tiles().into_iter().map(|tile| (tile.path, tile.bytes)));
    let signed = log_key().sign(tree.size(), tree.root()).unwrap();
    let note = if cosigned {
        let line = witness_key().cosign(&signed, 1_790_000_000).unwrap();
        cosign::add(&signed, &line, &WitnessVerifier::new(&witness_key().verifier_key()).unwrap()).unwrap()
    } else {
        signed
    };
    files.insert("checkpoint".into(), note);
    files
}

fn segment(dice: &mut Dice, at: WallTime) -> SegmentTold {
    let from_us = at.micros;
    SegmentTold {
        segment: format!("seg_{:032x}", dice.next()),
        stream: format!("str_{:032x}", 7),
        camera: format!("cam_{:032x}", 3),
        from_us,
        to_us: from_us + 60_000_000,
        delete_by_us: from_us + 3_600_000_000,
        digest: format!("{:064x}", dice.next()),
    }
}

/// A clean log of `size` leaves: uses that open, go on and end, machine work, footage recorded and erased, a clock that is set back,
/// details that were forgotten.
pub(crate) fn make(seed: u64, size: usize) -> Log {
    let mut dice = Dice(seed);
    let (mut leaves, mut details): (Vec<String>, Vec<DetailLine>) = (Vec::new(), Vec::new());
    let mut at = WallTime::from_secs(1_790_000_000);
    let mut open: Vec<(u64, DecisionId)> = Vec::new();
    let mut recorded: Vec<String> = Vec::new();
    while leaves.len() < size {
        at = WallTime::from_micros(at.micros + i64::try_from(dice.below(2_000_000)).unwrap());
        let index = u64::try_from(leaves.len()).unwrap();
        let decision = DecisionId::from_bytes([u8::try_from(index % 251).unwrap(); 16]);
        let mut leaf = Leaf { kind: LeafKind::Use, at, decision: None, refers: None, commitment: Commitment([0; 32]) };
        let mut said = json!({ "operation": "search", "details": { "n": dice.next() } });
        match dice.below(12) {
            0..3 => {
                (leaf.kind, leaf.decision) = (LeafKind::Open, Some(decision));
                open.push((index, decision));
            }
            3 | 4 if !open.is_empty() => {
                let (opened, decision) = open[dice.below(open.len())];
                (leaf.kind, leaf.decision, leaf.refers) = (LeafKind::Renew, Some(decision), Some(opened));
            }
            5 if !open.is_empty() => {
                let (opened, decision) = open.swap_remove(dice.below(open.len()));
                (leaf.kind, leaf.decision, leaf.refers) = (LeafKind::Close, Some(decision), Some(opened));
            }
            6 => {
                let told: Vec<_> = (0..dice.below(4) + 1).map(|_| segment(&mut dice, at)).collect();
                recorded.extend(told.iter().map(|one| one.segment.clone()));
                leaf.kind = LeafKind::Batch;
                said =
                    json!({ "operation": "segments", "details": { "root": segments_root(&told), "segments": told } });
            }
            7 if !recorded.is_empty() => {
                let gone = recorded.swap_remove(dice.below(recorded.len()));
                leaf.kind = LeafKind::Erase;
                let gone = [json!({ "segment": gone, "erased_us": at.micros })];
                said = json!({ "operation": "segments_erased", "details": { "segments": gone } });
            }
            8 if index > 3 && dice.below(5) == 0 => {
                let named: Vec<u64> = (0..3).map(|_| dice.next() % index).collect();
                let named: Vec<u64> =
                    named.into_iter().filter(|one| is_plain(&details[usize::try_from(*one).unwrap()])).collect();
                for one in &named {
                    let row =
                        DetailLine { index: *one, salt: String::new(), details: String::new(), forgotten: Some(index) };
                    details[usize::try_from(*one).unwrap()] = row;
                }
                leaf.kind = LeafKind::Erase;
                said = json!({ "operation": "details_forgotten", "details": { "leaves": named } });
            }
            9 if dice.below(9) == 0 => {
                at = WallTime::from_micros(at.micros - 60_000_000);
                (leaf.kind, leaf.at) = (LeafKind::System, at);
                said = json!({ "operation": "clock_step", "details": {} });
            }
            _ => {}
        }
        let text = said.to_string();
        let salt: [u8; 32] = std::array::from_fn(|_| dice.next().to_be_bytes()[0]);
        leaf.commitment = Commitment::to(&salt, text.as_bytes());
        let hex: String = salt.iter().map(|byte| format!("{byte:02x}")).collect();
        leaves.push(leaf.to_line());
        details.push(DetailLine { index, salt: hex, details: text, forgotten: None });
    }
    let old_size = 1 + dice.below(size - 1);
    let files = files_of(&leaves, &[old_size], true);
    let old = files_of(&leaves[..old_size], &[], true).remove("checkpoint").unwrap();
    Log { leaves, files, details, old, old_size }
}

/// Rows that nothing hangs on when they are forgotten.
fn is_plain(row: &DetailLine) -> bool {
    row.details.contains("\"search\"")
}

pub(crate) const KINDS: [&str; 11] = [
    "bit in an entry",
    "bit in a tile",
    "bit in the checkpoint",
    "leaves swapped",
    "last leaves cut off",
    "fork",
    "older backup",
    "stolen key, no witness",
    "details edited",
    "details row deleted",
    "details forgotten, untold",
];

fn flip(dice: &mut Dice, files: &mut Files, of: impl Fn(&str) -> bool) {
    let names: Vec<String> =
        files.iter().filter(|(path, bytes)| of(path) && !bytes.is_empty()).map(|(path, _)| path.clone()).collect();
    let name = &names[dice.below(names.len())];
    let bytes = files.get_mut(name).unwrap();
    let at = dice.below(bytes.len());
    bytes[at] ^= 1 << dice.below(8);
}

fn another(dice: &mut Dice, line: &str) -> String {
    let leaf = Leaf::parse(line).unwrap();
    let commitment = Commitment(std::array::from_fn(|_| dice.next().to_be_bytes()[0]));
    Leaf { commitment, ..leaf }.to_line()
}

/// One forgery of a kind; whoever made it knows the log's key, and the witness's only where that would help nothing.
pub(crate) fn forge(dice: &mut Dice, clean: &Log, kind: usize) -> Log {
    let mut log = clean.clone();
    let size = log.leaves.len();
    match kind {
        0 => flip(dice, &mut log.files, |path| path.starts_with("tile/entries/")),
        1 => flip(dice, &mut log.files, |path| path.starts_with("tile/") && !path.starts_with("tile/entries/")),
        2 => flip(dice, &mut log.files, |path| path == "checkpoint"),
        3 => {
            let (one, mut other) = (dice.below(size), dice.below(size));
            if one == other {
                other = (one + 1) % size;
            }
            log.leaves.swap(one, other);
            let checkpoint = log.files["checkpoint"].clone();
            log.files = files_of(&log.leaves, &[], false);
            if dice.below(2) == 0 {
                log.files.insert("checkpoint".into(), checkpoint);
            }
        }
        4 => {
            let cut = 1 + dice.below(size.min(50));
            let checkpoint = log.files["checkpoint"].clone();
            log.leaves.truncate(size - cut);
            log.details.truncate(size - cut);
            log.files = files_of(&log.leaves, &[], false);
            if dice.below(2) == 0 {
                log.files.insert("checkpoint".into(), checkpoint);
            }
        }
        5 => {
            let at = dice.below(size);
            for line in &mut log.leaves[at..] {
                *line = another(dice, line);
            }
            // A witness that plays along helps nothing against what the overseer kept.
            log.files = files_of(&log.leaves, &[], at < log.old_size);
        }
        6 => {
            let back = dice.below(log.old_size.max(1));
            log.leaves.truncate(back);
            log.details.truncate(back);
            log.files = files_of(&log.leaves, &[], true);
        }
        7 => {
            let at = log.old_size + dice.below(size - log.old_size);
            log.leaves[at] = another(dice, &log.leaves[at].clone());
            log.files = files_of(&log.leaves, &[], false);
        }
        8 => {
            let rows: Vec<usize> = (0..size).filter(|at| log.details[*at].forgotten.is_none()).collect();
            let row = &mut log.details[rows[dice.below(rows.len())]];
            let mut text: Vec<char> = row.details.chars().collect();
            let at = dice.below(text.len());
            text[at] = if text[at] == '7' { '8' } else { '7' };
            row.details = text.into_iter().collect();
        }
        9 => drop(log.details.remove(dice.below(size))),
        _ => {
            let rows: Vec<usize> = (0..size).filter(|at| log.details[*at].forgotten.is_none()).collect();
            let row = &mut log.details[rows[dice.below(rows.len())]];
            let by = dice.next() % u64::try_from(size).unwrap();
            *row = DetailLine { index: row.index, salt: String::new(), details: String::new(), forgotten: Some(by) };
        }
    }
    log
}

/// The overseer's kit in Rust.
pub(crate) fn in_rust(log: &Log) -> Result<(), Fault> {
    let witnesses = vec![WitnessVerifier::new(&witness_key().verifier_key()).unwrap()];
    let pins = Pins { log_key: log_key().verifier_key().to_owned(), witnesses, old: Some(log.old.clone()) };
    let checked = check(&log.files, &pins)?;
    let lines = log.details.iter().map(|row| serde_json::to_string(row).unwrap());
    let now = checked.leaves.newest().unwrap_or_default();
    checked.leaves.details(lines, now).map(drop)
}

/// Lays a log out for the verifier in Python.
pub(crate) fn lay_out(log: &Log, dir: &Path) {
    for (path, bytes) in &log.files {
        let path = dir.join("log").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    std::fs::create_dir_all(dir.join("log")).unwrap();
    std::fs::write(dir.join("old"), &log.old).unwrap();
    let lines: String = log.details.iter().map(|row| serde_json::to_string(row).unwrap() + "\n").collect();
    std::fs::write(dir.join("details"), lines).unwrap();
}

const DRIVER: &str = r#"
import importlib.util, sys
spec = importlib.util.spec_from_file_location("verify_log", sys.argv[1])
kit = importlib.util.module_from_spec(spec)
spec.loader.exec_module(kit)
key, witness = kit.Key(sys.argv[2]), kit.Key(sys.argv[3])
for line in sys.stdin:
    path = line.strip()
    try:
        kit.verify(path + "/log", key, [witness], path + "/old", path + "/details")
        print("holds")
    except kit.Fault as fault:
        print("fault:", fault)
    except Exception as error:
        print("broken:", type(error).__name__, error)
"#;

/// The overseer's kit in Python over folders made by [`lay_out`]: one word for each.
pub(crate) fn in_python(dirs: &[PathBuf]) -> Vec<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/verify_log.py");
    let mut child = Command::new("python3")
        .args(["-c", DRIVER])
        .arg(script)
        .arg(log_key().verifier_key())
        .arg(witness_key().verifier_key())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text: String = dirs.iter().map(|dir| format!("{}\n", dir.display())).collect();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Forgeries and clean runs through both verifiers; gives for each kind: forgeries, caught by Rust, caught by Python, and how many
/// clean logs each of them took for forged.
pub(crate) fn run(forgeries: usize, clean_runs: usize, mut say: impl FnMut(&str)) -> (Vec<[usize; 3]>, [usize; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let mut counts = vec![[0_usize; 3]; KINDS.len()];
    let mut alarms = [0_usize; 2];
    let mut waiting: Vec<(usize, PathBuf)> = Vec::new();
    let mut settle = |waiting: &mut Vec<(usize, PathBuf)>, counts: &mut Vec<[usize; 3]>, alarms: &mut [usize; 2]| {
        let dirs: Vec<PathBuf> = waiting.iter().map(|(_, dir)| dir.clone()).collect();
        let words = in_python(&dirs);
        assert_eq!(words.len(), dirs.len());
        for ((kind, dir), word) in waiting.drain(..).zip(words) {
            if word != "holds" && !word.starts_with("fault:") {
                say(&format!("{}: {word}", dir.display()));
            }
            match counts.get_mut(kind) {
                Some(count) => count[2] += usize::from(word.starts_with("fault:")),
                None => alarms[1] += usize::from(word != "holds"),
            }
            std::fs::remove_dir_all(dir).unwrap();
        }
    };
    for n in 0..forgeries + clean_runs {
        let mut dice = Dice(0xbe1f_0000 + u64::try_from(n).unwrap());
        let size = 20 + dice.below(600);
        let clean = make(dice.next(), size);
        let kind = if n < forgeries { n % KINDS.len() } else { usize::MAX };
        let log = if n < forgeries { forge(&mut dice, &clean, kind) } else { clean };
        let verdict = in_rust(&log);
        match counts.get_mut(kind) {
            Some(count) => {
                count[0] += 1;
                count[1] += usize::from(verdict.is_err());
            }
            None => alarms[0] += usize::from(verdict.is_err()),
        }
        let place = dir.path().join(n.to_string());
        lay_out(&log, &place);
        waiting.push((kind, place));
        if waiting.len() >= 100 {
            settle(&mut waiting, &mut counts, &mut alarms);
        }
    }
    settle(&mut waiting, &mut counts, &mut alarms);
    (counts, alarms)
}
