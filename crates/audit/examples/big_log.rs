//! A log of a million leaves for figures (reliability.md L7): `big_log DIR [LEAVES]` writes it, checks it and makes a proof.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a tool, which reads the real clock"
)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use audit::proof::Inclusion;
use audit::{Commitment, Folder, Leaf, LeafKind, LogKey, Pins, Tree, WitnessKey, WitnessVerifier, check, cosign};
use vms_core::{DecisionId, WallTime};

struct Dir(PathBuf);

impl Dir {
    fn walk(&self, below: &Path, found: &mut Vec<String>) {
        for item in std::fs::read_dir(below).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                self.walk(&path, found);
            } else {
                found.push(path.strip_prefix(&self.0).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
}

impl Folder for Dir {
    fn get(&self, path: &str) -> Option<Vec<u8>> {
        std::fs::read(self.0.join(path)).ok()
    }

    fn paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.walk(&self.0.join("tile"), &mut found);
        found
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = PathBuf::from(args.next().unwrap());
    let count: u64 = args.next().map_or(1_000_000, |text| text.parse().unwrap());
    let key = LogKey::from_seed("belfry.test/log", &[1; 32]).unwrap();
    let witness = WitnessKey::from_seed("witness.test/w", &[2; 32]).unwrap();
    let pinned = WitnessVerifier::new(&witness.verifier_key()).unwrap();
    let mut tree = Tree::default();
    for n in 0..count {
        let at = WallTime::from_secs(1_790_000_000 + i64::try_from(n / 10).unwrap());
        let decision = DecisionId::from_bytes(u128::from(n).to_be_bytes());
        let commitment = Commitment::to(&[3; 32], &n.to_be_bytes());
        let leaf = Leaf { kind: LeafKind::Use, at, decision: Some(decision), refers: None, commitment };
        tree.push(leaf.to_line().as_bytes());
    }
    for tile in tree.take_tiles() {
        let path = dir.join(&tile.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, tile.bytes).unwrap();
    }
    let note = key.sign(tree.size(), tree.root()).unwrap();
    let line = witness.cosign(&note, 1_790_000_000).unwrap();
    std::fs::write(dir.join("checkpoint"), cosign::add(&note, &line, &pinned).unwrap()).unwrap();
    let folder = Dir(dir);
    let pins = Pins { log_key: key.verifier_key().to_owned(), witnesses: vec![pinned], old: None };
    let started = Instant::now();
    let checked = check(&folder, &pins).unwrap();
    println!("{} leaves checked in {:.1} s", checked.size, started.elapsed().as_secs_f64());
    let started = Instant::now();
    let proof = Inclusion::prove(&folder, key.verifier_key(), count / 3).unwrap();
    println!("proof: {} bytes, made in {:.1} ms", proof.to_text().len(), started.elapsed().as_secs_f64() * 1_000.0);
    println!("--key {} --witness-key {}", key.verifier_key(), witness.verifier_key());
}
