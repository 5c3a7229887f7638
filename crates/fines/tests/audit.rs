//! What an auditor of a tax office tries: sign a file that the lines do not make, pass a folder off as the signed one, hang a batch on a
//! chain that is not its own.

#![expect(clippy::unwrap_used, reason = "tests say what they expect")]

use std::path::{Path, PathBuf};

use fines::verify::{Trust, Verdict, folder};
use fines::{
    Batch, Camera, FileDigest, Kind, Ledger, LedgerError, Line, Manifest, Picture, PictureFact, RealDisk, Record,
    Reject, RunError, RunFacts, Seal, SealKey, Totals, Waiting, run, sha256,
};

const KEY: [u8; 32] = [3; 32];

/// Something done to the files that a manifest names.
type Change = Box<dyn Fn(&mut Vec<FileDigest>)>;

/// A run with a fine, a warning and one that was merged.
struct Book {
    facts: RunFacts,
    lines: Vec<Line>,
    /// Signs whatever it is given.
    is_lax: bool,
}

/// 32 hexadecimal digits of something.
fn digits(bytes: &[u8]) -> String {
    sha256(bytes).chars().take(32).collect()
}

fn record(run: &str, position: u64, kind: Kind) -> (Record, Vec<u8>) {
    let bytes = format!("picture {run} {position}").into_bytes();
    let offence = format!("ofc_{}", digits(&bytes));
    let record = Record {
        schema: 1,
        run: run.to_owned(),
        position,
        finding: format!("fnd_{}", digits(offence.as_bytes())),
        kind,
        fine_rule: Some("F-LEZ-OLD".to_owned()),
        amount_cents: (kind == Kind::Fine).then_some(35_000),
        currency: (kind == Kind::Fine).then(|| "EUR".to_owned()),
        rule: Some("LEZ-01".to_owned()),
        rule_set: "test".to_owned(),
        read_at: "2026-11-21T10:00:00Z".to_owned(),
        day: "2026-11-21".to_owned(),
        camera: Camera {
            id: "cam_1".to_owned(),
            code: "L1".to_owned(),
            name_nl: "Grote Markt".to_owned(),
            name_fr: "Grand-Place".to_owned(),
        },
        plate: format!("1TST{position:03}"),
        country: "B".to_owned(),
        reasons: Vec::new(),
        snapshot_sha256: sha256(b"input"),
        approved_by: "usr_1".to_owned(),
        approved_at: "2026-11-21T11:00:00Z".to_owned(),
        pictures: vec![PictureFact {
            file: format!("images/{offence}-plate.jpg"),
            shows: "plate".to_owned(),
            bytes: u64::try_from(bytes.len()).unwrap(),
            sha256: sha256(&bytes),
        }],
        withheld: Vec::new(),
        supersedes: None,
        offence,
        zone: None,
        exit: None,
        holder: None,
        measurement: None,
    };
    (record, bytes)
}

fn book(chain: u64, previous: &str) -> Book {
    let name = format!("fines-{chain}");
    let mut lines = Vec::new();
    for (position, kind) in [(1, Kind::Fine), (2, Kind::Warning)] {
        let (record, bytes) = record(&name, position, kind);
        let pictures = vec![Picture { file: record.pictures.first().unwrap().file.clone(), bytes }];
        lines.push(Line { position, is_record: true, text: serde_json::to_string(&record).unwrap(), pictures });
    }
    let reject = Reject {
        schema: 1,
        run: name.clone(),
        position: 3,
        finding: format!("fnd_{chain:032x}"),
        outcome: "merged".to_owned(),
        reason: "in_window".to_owned(),
        until: None,
    };
    let text = serde_json::to_string(&reject).unwrap();
    lines.push(Line { position: 3, is_record: false, text, pictures: Vec::new() });
    let facts = RunFacts {
        run: name,
        batch: Batch::Lez,
        authority: None,
        chain,
        previous: previous.to_owned(),
        from: "2026-11-20T23:00:00Z".to_owned(),
        to: "2026-11-21T23:00:00Z".to_owned(),
        opened_at: "2026-11-22T01:00:00Z".to_owned(),
        rule_set: "test".to_owned(),
        totals: Totals {
            taken: 3,
            records: 2,
            fines: 1,
            warnings: 1,
            amount_cents: 35_000,
            merged: 1,
            ..Totals::default()
        },
        waiting: Some(Waiting { approved: 3, ..Waiting::default() }),
        signed: None,
    };
    Book { facts, lines, is_lax: false }
}

impl Book {
    fn file(&self, records: bool) -> Vec<u8> {
        let texts = self.lines.iter().filter(|line| line.is_record == records).map(|line| format!("{}\n", line.text));
        texts.collect::<String>().into_bytes()
    }

    fn check(&self, manifest: &[u8]) -> Result<Manifest, fines::Refusal> {
        Manifest::check(manifest, &self.facts, &self.file(true), &self.file(false))
    }
}

impl Ledger for Book {
    fn open(&mut self) -> Result<RunFacts, LedgerError> {
        Ok(self.facts.clone())
    }

    fn lines(&mut self, _run: &str, after: u64) -> Result<Vec<Line>, LedgerError> {
        Ok(self.lines.iter().filter(|line| line.position > after).cloned().collect())
    }

    fn seal(&mut self, _run: &str, manifest: &[u8]) -> Result<Seal, LedgerError> {
        if self.facts.signed.as_ref() != Some(&sha256(manifest)) {
            if !self.is_lax {
                self.check(manifest)?;
            }
            self.facts.signed = Some(sha256(manifest));
        }
        Ok(SealKey::from_seed(&KEY).seal(manifest))
    }
}

fn batch(out: &Path, book: &mut Book) -> Result<PathBuf, RunError> {
    run(&RealDisk, out, book, &mut |_| {}).map(|done| done.folder)
}

fn manifest_of(folder: &Path) -> Manifest {
    Manifest::parse(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap()
}

/// Signs a folder's manifest with a key, as whoever holds that key could.
fn signed(folder: &Path, manifest: &Manifest, key: [u8; 32]) {
    let seal = SealKey::from_seed(&key).seal(&manifest.bytes());
    std::fs::write(folder.join("manifest.json"), manifest.bytes()).unwrap();
    std::fs::write(folder.join("manifest.sig"), seal.signature).unwrap();
    std::fs::write(folder.join("key.pem"), fines::key_pem(&seal.key)).unwrap();
}

#[test]
fn nothing_is_signed_that_the_lines_do_not_make() {
    let dir = tempfile::tempdir().unwrap();
    let mut book = book(1, "");
    let good = manifest_of(&batch(dir.path(), &mut book).unwrap());
    assert_eq!(book.check(&good.bytes()).unwrap(), good);
    let refused = |change: &dyn Fn(&mut Vec<FileDigest>)| {
        let mut manifest = good.clone();
        change(&mut manifest.files);
        manifest.files.sort_by(|one, other| one.file.cmp(&other.file));
        let refusal = book.check(&manifest.bytes()).unwrap_err();
        (refusal.code, refusal.what)
    };
    let edit = |name: &'static str| {
        move |files: &mut Vec<FileDigest>| {
            files.iter_mut().find(|file| file.file.starts_with(name)).unwrap().sha256 = sha256(b"something else");
        }
    };
    let drop_it = |name: &'static str| move |files: &mut Vec<FileDigest>| files.retain(|file| file.file != name);
    let more = |name: &'static str| {
        move |files: &mut Vec<FileDigest>| {
            files.push(FileDigest { file: name.to_owned(), bytes: 1, sha256: sha256(b"x") });
        }
    };
    let cases: Vec<(Change, (&str, &str))> = vec![
        (Box::new(edit("offences.csv")), ("differs", "files")),
        (Box::new(edit("offences.jsonl")), ("differs", "files")),
        (Box::new(edit("rejects.jsonl")), ("differs", "files")),
        (Box::new(edit("images/")), ("differs", "pictures")),
        (Box::new(edit("offences.parquet")), ("other_version", "offences.parquet")),
        (Box::new(drop_it("offences.csv")), ("differs", "files")),
        (
            Box::new(|files: &mut Vec<FileDigest>| files.retain(|file| !file.file.starts_with("images/"))),
            ("differs", "files"),
        ),
        (Box::new(more("images/more.jpg")), ("differs", "pictures")),
        (Box::new(more("read-me-first.txt")), ("differs", "files")),
        (Box::new(|files: &mut Vec<FileDigest>| files.extend(files.first().cloned())), ("differs", "files")),
    ];
    for (change, wanted) in cases {
        assert_eq!(refused(&*change), wanted);
    }
    // A batch of a job that makes no Parquet table is one.
    let mut older = good.clone();
    older.files.retain(|file| file.file != "offences.parquet");
    assert!(book.check(&older.bytes()).is_ok());
    // What waits is part of what is signed.
    let mut other = good.clone();
    other.waiting.as_mut().unwrap().approved += 1;
    assert_eq!(book.check(&other.bytes()).unwrap_err().code, "differs");
    other.waiting = None;
    assert_eq!(book.check(&other.bytes()).unwrap_err().code, "differs");
}

#[test]
fn a_folder_signed_by_somebody_else_is_not_the_batch() {
    let dir = tempfile::tempdir().unwrap();
    let mut book = book(1, "");
    let path = batch(dir.path(), &mut book).unwrap();
    assert!(batch(dir.path(), &mut book).is_ok(), "there already");
    // The same manifest, the signature of another key, and that key beside it: by itself the folder holds.
    signed(&path, &manifest_of(&path), [9; 32]);
    assert_eq!(folder(&path, &Trust::default()).verdict, Verdict::Holds);
    let told = batch(dir.path(), &mut book);
    assert!(matches!(told, Err(RunError::Changed(_))), "{told:?}");
    signed(&path, &manifest_of(&path), KEY);
    assert!(batch(dir.path(), &mut book).is_ok());
}

#[test]
fn a_batch_hangs_on_the_one_before_it_and_on_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = book(1, "");
    let before = batch(dir.path(), &mut first).unwrap();
    let digest = sha256(&manifest_of(&before).bytes());
    let trust = Trust { key: None, previous: Some(before.clone()) };
    let mut second = book(2, &digest);
    let after = batch(dir.path(), &mut second).unwrap();
    assert_eq!(folder(&after, &trust).verdict, Verdict::Holds);
    // It names the first and says that it is the third, or another authority's.
    let good = manifest_of(&after);
    for other in
        [Manifest { chain: 3, ..good.clone() }, Manifest { authority: Some("org_1".to_owned()), ..good.clone() }]
    {
        signed(&after, &other, KEY);
        let report = folder(&after, &trust);
        assert_eq!(report.verdict, Verdict::Changed);
        assert!(report.words().contains("another chain"), "{}", report.words());
        // Beside it, it is looked at without being named.
        assert!(folder(&after, &Trust::default()).words().contains("another chain"));
    }
}

#[test]
fn a_fine_names_its_amount_and_nothing_else_does() {
    for (kind, amount) in [(Kind::Fine, None), (Kind::Warning, Some(100))] {
        let dir = tempfile::tempdir().unwrap();
        let mut book = book(1, "");
        let (mut odd, bytes) = record("fines-1", 1, kind);
        odd.amount_cents = amount;
        let pictures = vec![Picture { file: odd.pictures.first().unwrap().file.clone(), bytes }];
        let text = serde_json::to_string(&odd).unwrap();
        *book.lines.first_mut().unwrap() = Line { position: 1, is_record: true, text, pictures };
        let totals = &mut book.facts.totals;
        (totals.amount_cents, totals.fines) = (0, u64::from(kind == Kind::Fine));
        totals.warnings = 2 - totals.fines;
        let told = batch(dir.path(), &mut book);
        assert!(matches!(told, Err(RunError::Ledger(_))), "not signed, {kind:?}: {told:?}");
        book.is_lax = true;
        let told = batch(dir.path(), &mut book);
        assert!(matches!(told, Err(RunError::NotVerified(_))), "and had it been, {kind:?}: {told:?}");
    }
}

#[test]
fn a_batch_of_a_later_version_is_not_taken_for_one_of_this() {
    let dir = tempfile::tempdir().unwrap();
    let path = batch(dir.path(), &mut book(1, "")).unwrap();
    signed(&path, &Manifest { schema: 2, ..manifest_of(&path) }, KEY);
    let report = folder(&path, &Trust::default());
    assert_eq!((report.verdict, report.words().contains("does not know")), (Verdict::Changed, true));
}
