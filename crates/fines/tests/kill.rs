//! A batch killed anywhere comes out as if nothing had happened: no record lost, none twice.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests say what they expect")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::rc::Rc;

use fines::verify::{Trust, Verdict, folder};
use fines::{
    Batch, Camera, Disk, Kind, Ledger, LedgerError, Line, Manifest, Picture, PictureFact, RealDisk, Record, Reject,
    RunError, RunFacts, Seal, SealKey, Totals, Waiting, run, sha256,
};
use proptest::prelude::*;

/// How the process dies at its operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// Nothing of it was done.
    Before,
    /// It was done, and nobody heard so.
    After,
    /// Half of it was done.
    Half,
}

/// Counts operations of disk and ledger together; from the chosen one on the process is dead.
#[derive(Clone)]
struct Life {
    left: Rc<Cell<Option<u64>>>,
    how: How,
    done: Rc<Cell<u64>>,
}

impl Life {
    fn until(left: Option<u64>, how: How) -> Self {
        Self { left: Rc::new(Cell::new(left)), how, done: Rc::default() }
    }

    /// `Ok(true)`: die in this one.
    fn step(&self) -> io::Result<bool> {
        self.done.set(self.done.get() + 1);
        match self.left.get() {
            None => Ok(false),
            Some(0) => {
                self.left.set(Some(0));
                Err(io::Error::other("killed"))
            }
            Some(1) => {
                self.left.set(Some(0));
                Ok(true)
            }
            Some(left) => {
                self.left.set(Some(left - 1));
                Ok(false)
            }
        }
    }

    fn within<T>(&self, work: impl FnOnce() -> io::Result<T>, half: impl FnOnce() -> io::Result<()>) -> io::Result<T> {
        if !self.step()? {
            return work();
        }
        match self.how {
            How::Before => {}
            How::After => drop(work()?),
            How::Half => half()?,
        }
        Err(io::Error::other("killed"))
    }
}

impl Disk for Life {
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        self.within(|| RealDisk.make_folder(path), || Ok(()))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.within(|| RealDisk.write(path, bytes), || RealDisk.write(path, &bytes[..bytes.len() / 2]))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.within(|| RealDisk.remove(path), || Ok(()))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.within(|| RealDisk.rename(from, to), || Ok(()))
    }
}

/// The database: what survives.
#[derive(Default)]
struct Rows {
    /// Findings that people approved.
    approved: Vec<u64>,
    /// The run and its lines, once it took them.
    opened: Option<(RunFacts, Vec<Line>)>,
    /// How often a finding was taken.
    taken: BTreeMap<u64, u32>,
    signed: Option<String>,
    /// Lines that nobody can give any more: the finding's term ended after the signature.
    gone: bool,
}

struct Book {
    rows: Rc<RefCell<Rows>>,
    life: Life,
    key: SealKey,
}

fn line_of(run: &str, position: u64, finding: u64) -> Line {
    let name = format!("fnd_{finding:032x}");
    if finding % 5 == 4 {
        let outcome = if finding.is_multiple_of(2) { "merged" } else { "refused" };
        let reject = Reject {
            schema: 1,
            run: run.to_owned(),
            position,
            finding: name,
            outcome: outcome.to_owned(),
            reason: "fine_window".to_owned(),
            until: None,
        };
        let text = serde_json::to_string(&reject).unwrap();
        return Line { position, is_record: false, text, pictures: Vec::new() };
    }
    let bytes = format!("picture {finding}").into_bytes();
    let file = format!("images/ofc_{finding:032x}-plate.jpg");
    let record = Record {
        schema: 1,
        offence: format!("ofc_{finding:032x}"),
        run: run.to_owned(),
        position,
        finding: name,
        kind: if finding.is_multiple_of(3) { Kind::Warning } else { Kind::Fine },
        fine_rule: Some("F-LEZ-OLD".to_owned()),
        amount_cents: (!finding.is_multiple_of(3)).then_some(35_000),
        currency: Some("EUR".to_owned()),
        rule: Some("LEZ-01".to_owned()),
        rule_set: "test".to_owned(),
        read_at: "2026-11-21T10:00:00Z".to_owned(),
        day: "2026-11-21".to_owned(),
        camera: Camera {
            id: "cam_1".to_owned(),
            code: "L1".to_owned(),
            name_nl: "Grote Markt; \"plein\"".to_owned(),
            name_fr: "=Grand-Place".to_owned(),
        },
        plate: format!("1TST{finding:03}"),
        country: "B".to_owned(),
        reasons: Vec::new(),
        snapshot_sha256: sha256(b"input"),
        approved_by: "usr_1".to_owned(),
        approved_at: "2026-11-21T11:00:00Z".to_owned(),
        pictures: vec![PictureFact {
            file: file.clone(),
            shows: "plate".to_owned(),
            bytes: u64::try_from(bytes.len()).unwrap(),
            sha256: sha256(&bytes),
        }],
        withheld: Vec::new(),
        supersedes: None,
        zone: None,
        exit: None,
        holder: None,
        measurement: None,
    };
    let text = serde_json::to_string(&record).unwrap();
    Line { position, is_record: true, text, pictures: vec![Picture { file, bytes }] }
}

impl Book {
    fn take(rows: &mut Rows) -> RunFacts {
        if let Some((facts, _)) = &rows.opened {
            return RunFacts { signed: rows.signed.clone(), ..facts.clone() };
        }
        let run = "fines-test";
        let lines: Vec<Line> =
            (1..).zip(&rows.approved).map(|(position, finding)| line_of(run, position, *finding)).collect();
        for finding in &rows.approved {
            *rows.taken.entry(*finding).or_default() += 1;
        }
        let count = |wanted: &dyn Fn(&&u64) -> bool| rows.approved.iter().filter(|f| wanted(f)).count() as u64;
        let fines = count(&|f| **f % 5 != 4 && **f % 3 != 0);
        let facts = RunFacts {
            run: run.to_owned(),
            batch: Batch::Lez,
            authority: None,
            chain: 1,
            previous: String::new(),
            from: "2026-11-20T23:00:00Z".to_owned(),
            to: "2026-11-21T23:00:00Z".to_owned(),
            opened_at: "2026-11-22T01:00:00Z".to_owned(),
            rule_set: "test".to_owned(),
            totals: Totals {
                taken: rows.approved.len() as u64,
                records: count(&|f| **f % 5 != 4),
                fines,
                warnings: count(&|f| **f % 5 != 4 && **f % 3 == 0),
                amount_cents: fines * 35_000,
                merged: count(&|f| **f % 5 == 4 && **f % 2 == 0),
                refused: count(&|f| **f % 5 == 4 && **f % 2 == 1),
                ..Totals::default()
            },
            waiting: Some(Waiting {
                approved: rows.approved.len() as u64 + 3,
                not_final: 2,
                until: Some("2026-11-23T23:00:00Z".to_owned()),
                holder: 1,
            }),
            signed: None,
        };
        rows.opened = Some((facts.clone(), lines));
        facts
    }
}

impl Ledger for Book {
    fn open(&mut self) -> Result<RunFacts, LedgerError> {
        Ok(self.life.within(|| Ok(Self::take(&mut self.rows.borrow_mut())), || Ok(()))?)
    }

    fn lines(&mut self, run: &str, after: u64) -> Result<Vec<Line>, LedgerError> {
        let page = || {
            let rows = self.rows.borrow();
            let (facts, lines) = rows.opened.as_ref().unwrap();
            assert_eq!(facts.run, run);
            if rows.gone {
                return Err(io::Error::other("finding_erased"));
            }
            Ok(lines.iter().filter(|line| line.position > after).take(7).cloned().collect())
        };
        Ok(self.life.within(page, || Ok(()))?)
    }

    fn seal(&mut self, _run: &str, manifest: &[u8]) -> Result<Seal, LedgerError> {
        let sign = || {
            let mut rows = self.rows.borrow_mut();
            if rows.signed.as_ref().is_some_and(|signed| *signed == sha256(manifest)) {
                return Ok(self.key.seal(manifest));
            }
            let (facts, lines) = rows.opened.as_ref().unwrap();
            let file = |records: bool| {
                let texts =
                    lines.iter().filter(|line| line.is_record == records).map(|line| format!("{}\n", line.text));
                texts.collect::<String>().into_bytes()
            };
            Manifest::check(manifest, facts, &file(true), &file(false)).map_err(io::Error::other)?;
            let digest = sha256(manifest);
            assert!(rows.signed.as_ref().is_none_or(|signed| *signed == digest), "another manifest of the same run");
            rows.signed = Some(digest);
            Ok(self.key.seal(manifest))
        };
        Ok(self.life.within(sign, || Ok(()))?)
    }
}

fn tree(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut out = BTreeMap::new();
    for entry in std::fs::read_dir(path).unwrap().flatten() {
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        if path.is_dir() {
            out.extend(tree(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else {
            out.insert(name, std::fs::read(path).unwrap());
        }
    }
    out
}

fn book(findings: u64) -> Rc<RefCell<Rows>> {
    Rc::new(RefCell::new(Rows { approved: (0..findings).collect(), ..Rows::default() }))
}

/// One process: its outcome, and how many operations it made.
fn process(rows: &Rc<RefCell<Rows>>, out: &Path, left: Option<u64>, how: How) -> (Result<fines::Done, RunError>, u64) {
    let life = Life::until(left, how);
    let mut ledger = Book { rows: Rc::clone(rows), life: life.clone(), key: SealKey::from_seed(&[3; 32]) };
    let outcome = run(&life, out, &mut ledger, &mut |_| {});
    (outcome, life.done.get())
}

const FINDINGS: u64 = 30;

fn reference() -> (BTreeMap<String, Vec<u8>>, u64) {
    static MADE: std::sync::LazyLock<(BTreeMap<String, Vec<u8>>, u64)> = std::sync::LazyLock::new(make_reference);
    MADE.clone()
}

fn make_reference() -> (BTreeMap<String, Vec<u8>>, u64) {
    let dir = tempfile::tempdir().unwrap();
    let rows = book(FINDINGS);
    let (outcome, operations) = process(&rows, dir.path(), None, How::Before);
    (tree(&outcome.unwrap().folder), operations)
}

/// Kills one after another, then a run to the end; what came out, and what was taken.
fn killed(kills: &[(u64, How)], wanted: &BTreeMap<String, Vec<u8>>) {
    let dir = tempfile::tempdir().unwrap();
    let rows = book(FINDINGS);
    for (left, how) in kills {
        drop(process(&rows, dir.path(), Some(*left), *how));
    }
    let (outcome, _) = process(&rows, dir.path(), None, How::Before);
    let done = outcome.unwrap();
    assert_eq!(&tree(&done.folder), wanted, "{kills:?}");
    let rows = rows.borrow();
    assert!(rows.taken.len() as u64 == FINDINGS && rows.taken.values().all(|times| *times == 1), "{kills:?}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left: {kills:?}");
}

#[test]
fn killed_at_every_operation_in_every_way() {
    let (wanted, operations) = reference();
    let mut points = 0;
    for left in 1..=operations {
        for how in [How::Before, How::After, How::Half] {
            killed(&[(left, how)], &wanted);
            points += 1;
        }
    }
    assert!(points >= 200, "{points} points");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn killed_again_and_again(kills in prop::collection::vec((1_u64..90, 0_u8..3), 1..5)) {
        let (wanted, _) = reference();
        let how = |word| match word { 0 => How::Before, 1 => How::After, _ => How::Half };
        let kills: Vec<(u64, How)> = kills.into_iter().map(|(left, word)| (left, how(word))).collect();
        killed(&kills, &wanted);
    }
}

/// The term of a finding ends: its record is closed in a run that is not signed; what was signed stays as it is.
fn ends(rows: &mut Rows, position: u64) {
    if rows.signed.is_some() {
        rows.gone = true;
        return;
    }
    let Some((facts, lines)) = &mut rows.opened else { return };
    let line = lines.iter_mut().find(|line| line.position == position && line.is_record).unwrap();
    let record: Record = serde_json::from_str(&line.text).unwrap();
    let (run, outcome, reason) = (record.run, "refused".to_owned(), "term_ended".to_owned());
    let reject = Reject { schema: 1, run, position, finding: record.finding, outcome, reason, until: None };
    *line = Line { position, is_record: false, text: serde_json::to_string(&reject).unwrap(), pictures: Vec::new() };
    (facts.totals.records, facts.totals.refused) = (facts.totals.records - 1, facts.totals.refused + 1);
    if record.kind == Kind::Fine {
        facts.totals.fines -= 1;
        facts.totals.amount_cents -= 35_000;
    } else {
        facts.totals.warnings -= 1;
    }
}

#[test]
fn a_term_that_ends_while_a_batch_is_written_closes_its_record_wherever_the_job_was_killed() {
    let (_, operations) = reference();
    for left in 1..=operations {
        for how in [How::Before, How::After, How::Half] {
            let (dir, rows) = (tempfile::tempdir().unwrap(), book(FINDINGS));
            drop(process(&rows, dir.path(), Some(left), how));
            let was_open = rows.borrow().opened.is_some();
            ends(&mut rows.borrow_mut(), 8);
            let done = process(&rows, dir.path(), None, How::Before).0.unwrap();
            let records = std::fs::read_to_string(done.folder.join("offences.jsonl")).unwrap();
            let ended = std::fs::read_to_string(done.folder.join("rejects.jsonl")).unwrap().contains("term_ended");
            // Killed before it took anything, the run has all; signed before, it keeps what was signed.
            assert_eq!(ended, was_open && !rows.borrow().gone, "operation {left}, {how:?}");
            assert_eq!(records.contains(&format!("fnd_{:032x}", 7)), !ended);
            assert_eq!(folder(&done.folder, &Trust::default()).verdict, Verdict::Holds);
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        }
    }
}

#[test]
fn the_same_window_twice_is_the_same_batch_and_a_changed_one_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let rows = book(FINDINGS);
    let first = process(&rows, dir.path(), None, How::Before).0.unwrap();
    let again = process(&rows, dir.path(), None, How::Before).0.unwrap();
    assert!(!first.was_there && again.was_there);
    assert_eq!((first.folder.clone(), first.manifest_sha256.clone()), (again.folder, again.manifest_sha256));
    let key = SealKey::from_seed(&[3; 32]).public();
    let trust = Trust { key: Some(key), previous: None };
    assert_eq!(folder(&first.folder, &trust).verdict, Verdict::Holds);
    assert_eq!(folder(&first.folder, &Trust { key: Some([7; 32]), previous: None }).verdict, Verdict::Changed);

    // Any byte of any file, a file less, a file more.
    for (name, bytes) in tree(&first.folder) {
        let path = first.folder.join(&name);
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            std::fs::write(&path, &flipped).unwrap();
            assert_eq!(folder(&first.folder, &trust).verdict, Verdict::Changed, "{name} byte {at}");
        }
        std::fs::remove_file(&path).unwrap();
        assert_ne!(folder(&first.folder, &trust).verdict, Verdict::Holds, "{name} missing");
        if name == "offences.jsonl" {
            let refused = process(&rows, dir.path(), None, How::Before).0;
            assert!(matches!(refused, Err(RunError::Changed(_))), "{refused:?}");
        }
        std::fs::write(&path, &bytes).unwrap();
    }
    std::fs::write(first.folder.join("images/more.jpg"), b"x").unwrap();
    assert_eq!(folder(&first.folder, &trust).verdict, Verdict::Changed);
    assert_eq!(folder(dir.path(), &trust).verdict, Verdict::Unreadable);
}

/// A folder whose Parquet table is another one, with a manifest that says so and a signature of the right key.
fn resigned(folder: &Path, table: Option<&[u8]>) {
    let mut manifest = Manifest::parse(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let path = folder.join("offences.parquet");
    manifest.files.retain(|file| file.file != "offences.parquet" || table.is_some());
    match table {
        None => std::fs::remove_file(path).unwrap(),
        Some(table) => {
            let entry = manifest.files.iter_mut().find(|file| file.file == "offences.parquet").unwrap();
            (entry.bytes, entry.sha256) = (u64::try_from(table.len()).unwrap(), sha256(table));
            std::fs::write(path, table).unwrap();
        }
    }
    std::fs::write(folder.join("manifest.json"), manifest.bytes()).unwrap();
    let seal = SealKey::from_seed(&[3; 32]).seal(&manifest.bytes());
    std::fs::write(folder.join("manifest.sig"), seal.signature).unwrap();
}

#[test]
fn the_parquet_table_is_that_of_the_lines() {
    let trust = Trust { key: Some(SealKey::from_seed(&[3; 32]).public()), previous: None };
    let made = |findings| {
        let dir = tempfile::tempdir().unwrap();
        let folder = process(&book(findings), dir.path(), None, How::Before).0.unwrap().folder;
        (dir, folder)
    };
    let ((_dir, own), (_other_dir, other)) = (made(FINDINGS), made(FINDINGS - 3));
    let table = std::fs::read(own.join("offences.parquet")).unwrap();
    assert_eq!((&table[..4], &table[table.len() - 4..]), (&b"PAR1"[..], &b"PAR1"[..]));
    assert!(folder(&own, &trust).notes.iter().all(|note| !note.contains("parquet")));
    // Of other lines, though signed.
    resigned(&own, Some(&std::fs::read(other.join("offences.parquet")).unwrap()));
    let report = folder(&own, &trust);
    assert_eq!((report.verdict, report.words().contains("offences.parquet is not")), (Verdict::Changed, true));
    // Of another program: only its digest is looked at, and the report says so.
    resigned(&own, Some(b"PAR1 whatever somebody else's library writes PAR1"));
    let report = folder(&own, &trust);
    assert_eq!(report.verdict, Verdict::Holds, "{}", report.words());
    assert!(report.notes.iter().any(|note| note.contains("another version")), "{:?}", report.notes);
    // A batch of before has none.
    resigned(&own, None);
    assert_eq!(folder(&own, &trust).verdict, Verdict::Holds);
}

#[test]
fn a_run_that_does_not_add_up_stays_open() {
    let dir = tempfile::tempdir().unwrap();
    let rows = book(FINDINGS);
    drop(process(&rows, dir.path(), Some(2), How::Before));
    let break_it = |change: &dyn Fn(&mut RunFacts, &mut Vec<Line>)| {
        let before = rows.borrow().opened.clone().unwrap();
        let mut opened = before.clone();
        change(&mut opened.0, &mut opened.1);
        rows.borrow_mut().opened = Some(opened);
        let outcome = process(&rows, dir.path(), None, How::Before).0;
        assert!(matches!(outcome, Err(RunError::NotReconciled(_))), "{outcome:?}");
        assert!(rows.borrow().signed.is_none());
        rows.borrow_mut().opened = Some(before);
    };
    break_it(&|facts, _| facts.totals.merged += 1);
    // What waits is a part of what was approved, and says until when.
    break_it(&|facts, _| facts.waiting.as_mut().unwrap().not_final += 1);
    break_it(&|facts, _| facts.waiting.as_mut().unwrap().approved -= 1);
    break_it(&|facts, _| facts.waiting.as_mut().unwrap().until = None);
    break_it(&|facts, _| {
        facts.totals.taken += 1;
        facts.totals.refused += 1;
    });
    break_it(&|_, lines| drop(lines.remove(3)));
    break_it(&|_, lines| drop(lines.pop()));
    break_it(&|_, lines| lines[0].pictures[0].bytes.push(0));
    break_it(&|_, lines| lines[0].text = lines[0].text.replace("fines-test", "fines-else"));
    break_it(&|facts, _| facts.run = "../elsewhere".to_owned());
    assert!(process(&rows, dir.path(), None, How::Before).0.is_ok());
}

#[test]
fn any_bytes_are_a_manifest_or_none() {
    let (files, _) = reference();
    let manifest = &files["manifest.json"];
    for at in 0..manifest.len() {
        let mut data = manifest.clone();
        data[at] ^= 0x11;
        fines::fuzz_manifest(&data);
        fines::fuzz_manifest(&data[..at]);
    }
    fines::fuzz_manifest(manifest);
}
