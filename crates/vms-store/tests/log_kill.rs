//! Kill -9 of the sequencer at random instants (reliability.md L4): no acknowledged index is lost, and no size ever has two roots.
//! The whole thousand: `cargo test -p vms-store --test log_kill -- --ignored`.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests say what they expect")]

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use audit::{Leaf, LogKey, Pins};

fn hammer() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    exe.parent().unwrap().parent().unwrap().join("examples/log_hammer")
}

fn collect(dir: &Path, below: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for item in std::fs::read_dir(dir).unwrap() {
        let item = item.unwrap();
        let path = format!("{below}{}", item.file_name().to_str().unwrap());
        if item.file_type().unwrap().is_dir() {
            collect(&item.path(), &format!("{path}/"), files);
        } else {
            files.insert(path, std::fs::read(item.path()).unwrap());
        }
    }
}

/// Reads what a child says until it was killed; the kill comes after `delay_us` from its first word, or from its start.
fn one_life(dir: &Path, delay_us: u64, from_start: bool) -> Vec<String> {
    let mut child = Command::new(hammer()).arg("kill").arg(dir).stdout(Stdio::piped()).spawn().unwrap();
    let out = child.stdout.take().unwrap();
    let (began, begun) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut lines = Vec::new();
        for line in std::io::BufReader::new(out).split(b'\n').map_while(Result::ok) {
            began.send(()).ok();
            lines.push(String::from_utf8(line).unwrap());
        }
        lines
    });
    if !from_start {
        begun.recv().unwrap();
    }
    // Not a wait for anything: the instant of the kill.
    let never = std::sync::mpsc::channel::<()>();
    never.1.recv_timeout(Duration::from_micros(delay_us)).ok();
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

#[expect(
    clippy::too_many_lines,
    clippy::panic,
    clippy::print_stdout,
    reason = "one story of a test: lives, deaths, what an overseer then reads"
)]
fn kills(count: u64) {
    let dir = tempfile::tempdir().unwrap();
    let key = LogKey::from_seed("belfry.test/log", &[1; 32]).unwrap();
    let mut acknowledged: BTreeMap<u64, i64> = BTreeMap::new();
    let mut roots: BTreeMap<u64, String> = BTreeMap::new();
    for round in 0..count {
        let from_start = round % 5 == 4;
        let delay_us = round.wrapping_mul(7_919) % if from_start { 20_000 } else { 12_000 };
        for line in one_life(dir.path(), delay_us, from_start) {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["A", index, at] => {
                    // The last line may be cut.
                    if let (Ok(index), Ok(at)) = (index.parse(), at.parse::<i64>())
                        && at >= 1_790_000_000_000_000
                    {
                        assert_eq!(acknowledged.insert(index, at), None, "leaf {index} was given out twice");
                    }
                }
                ["C", size, root] if root.len() == 44 => {
                    let root = (*root).to_owned();
                    let before = roots.entry(size.parse().unwrap()).or_insert_with(|| root.clone());
                    assert_eq!(*before, root, "two roots for {size} leaves");
                }
                _ => {}
            }
        }
    }
    // A last start signs all there is; then an overseer's kit reads it.
    let settings = vms_store::log::LogSettings {
        dir: dir.path().join("log"),
        lock: dir.path().join("signed"),
        key: key.clone(),
        salt: || [7; 32],
        checkpoint_every: Duration::from_secs(8),
    };
    let (log, thread) = vms_store::log::Sequencer::start(settings).unwrap();
    log.stop();
    thread.join().unwrap();
    let mut files = BTreeMap::new();
    collect(&dir.path().join("log/public"), "", &mut files);
    let pins = Pins { log_key: key.verifier_key().to_owned(), ..Pins::default() };
    let checked = audit::check(&files, &pins).unwrap();
    assert!(acknowledged.len() > usize::try_from(count).unwrap() * 3, "it wrote too little: {}", acknowledged.len());
    for (index, at) in &acknowledged {
        let bundle = files
            .get(&format!("tile/entries/{:03}", index / 256))
            .or_else(|| files.get(&format!("tile/entries/x{:03}/{:03}", index / 256_000, index / 256 % 1_000)))
            .or_else(|| files.get(&format!("tile/entries/{:03}.p/{}", index / 256, checked.size % 256)))
            .unwrap_or_else(|| panic!("no bundle of leaf {index} of {}", checked.size));
        let entries = audit::tree::unbundle(bundle).unwrap();
        let line = String::from_utf8(entries[usize::try_from(index % 256).unwrap()].clone()).unwrap();
        assert_eq!(Leaf::parse(&line).unwrap().at.micros, *at, "leaf {index}");
    }
    // Every checkpoint that anybody saw is one of this tree's.
    let mut tree = audit::Tree::default();
    let mut seen = 0;
    for number in 0..checked.size.div_ceil(256) {
        let width = (checked.size - number * 256).min(256);
        let name = audit::folder::TileName { level: None, number, width: usize::try_from(width).unwrap() };
        for entry in audit::tree::unbundle(&files[&name.path()]).unwrap() {
            tree.push(&entry);
            if let Some(root) = roots.get(&tree.size()) {
                assert_eq!(*root, tree.root().to_string());
                seen += 1;
            }
        }
    }
    assert_eq!(seen + usize::from(roots.contains_key(&0)), roots.len(), "a checkpoint of more leaves than there are");
    println!(
        "{count} kills, {} leaves acknowledged, {} in the log, {} checkpoints seen",
        acknowledged.len(),
        checked.size,
        roots.len()
    );
}

#[test]
fn sixty_kills_lose_no_acknowledged_leaf() {
    kills(60);
}

#[test]
#[ignore = "a thousand kills take minutes"]
fn a_thousand_kills_lose_no_acknowledged_leaf() {
    kills(1_000);
}
