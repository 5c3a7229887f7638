//! `belfry verify` as a clerk uses it: a real export, the program, nothing else.

#![expect(clippy::unwrap_used, reason = "tests say what they expect")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use evidence::{
    Basis, CameraFacts, ExportingUnit, Footage, Frames, Job, Language, Mark, Order, Person, Piece, Place, Purpose,
    Signer, SignerName, SourceError, Step, Utc,
};
use media::nal::put_length_prefixed;
use media::{AccessUnit, Clocks, Fragment, ParameterSets};
use vms_core::{Codec, MediaTime, WallTime};

const START: WallTime = WallTime::from_secs(1_795_081_600);

/// Three seconds of made-up slices around real parameter sets.
struct Seconds(u32);

impl Footage for Seconds {
    fn start(&mut self, _camera: usize, _mark: Option<&Mark>) -> Result<(), SourceError> {
        self.0 = 0;
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Piece>, SourceError> {
        if self.0 == 3 {
            return Ok(None);
        }
        let second = i64::from(self.0);
        self.0 += 1;
        let nal = |text: &str| Bytes::from(hex::decode(text).unwrap());
        let sps = nal("6764000aacd9472f8888c044000003000400000300c83c489658");
        let sets =
            Arc::new(ParameterSets::from_nals(Codec::H264, vec![], vec![sps], vec![nal("68ebe0e4b22c")]).unwrap());
        let unit = |frame: i64| {
            let ticks = MediaTime::from_ticks((second * 25 + frame) * 3_600);
            let mut payload = BytesMut::new();
            put_length_prefixed(&[if frame == 0 { 0x65 } else { 0x41 }; 400], &mut payload);
            let wall = WallTime::from_micros(START.micros + ticks.to_micros());
            AccessUnit {
                seq: u64::try_from(second * 25 + frame).unwrap(),
                epoch: 1,
                payload: payload.freeze(),
                is_key: frame == 0,
                pts: ticks,
                dts: ticks,
                clocks: Clocks { wall, ..Clocks::default() },
                lost_before: 0,
                param_set: sets.id,
            }
        };
        let fragment = Fragment::new((0..25).map(unit).collect(), 3_600).unwrap();
        let frames = Frames {
            segment: "seg_1".to_owned(),
            record: self.0,
            same_clock: second > 0,
            sets: Arc::clone(&sets),
            fragment,
        };
        Ok(Some(Piece::Frames(Box::new(frames))))
    }
}

fn order() -> Order {
    let text = str::to_owned;
    let person = |id: &str| Person { id: text(id), role: text("P04"), organisation: text("org_1") };
    Order {
        export_id: text("exp_1"),
        product: text("belfry"),
        started_at: Utc(WallTime::from_secs(1_795_090_000)),
        language: Language::Nl,
        exporting_unit: ExportingUnit { name: text("Belfry"), url: String::new(), mac: String::new() },
        from: Utc(START),
        to: Utc(WallTime::from_micros(START.micros + 3_000_000)),
        case_number: text("BR.11.L1.1/2026"),
        purpose: Purpose { code: text("JUDICIAL"), justification: text("vordering") },
        requested_by: person("usr_1"),
        approved_by: Some(person("usr_2")),
        decision: None,
        cameras: vec![CameraFacts {
            camera: text("cam_1"),
            stream: text("str_1"),
            number: text("12"),
            name: text("Kunstlaan"),
            url: String::new(),
            mac: String::new(),
            owner: text("org_1"),
            place: Place { name: text("Kunstlaan"), latitude_e6: None, longitude_e6: None },
            basis: Basis { document: text("besluit"), date: text("2024-03-01"), advice: String::new() },
            retention_class: text("RC-VID-OPEN"),
        }],
        log: None,
    }
}

fn verify(args: &[&str], folder: &Path) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_belfry"));
    // No configuration, no home: the folder is all there is.
    let said = command.env_clear().current_dir("/").arg("verify").args(args).arg(folder).output().unwrap();
    (said.status.code().unwrap(), String::from_utf8(said.stdout).unwrap() + &String::from_utf8(said.stderr).unwrap())
}

#[test]
fn a_clerk_checks_an_export_offline() {
    let out = tempfile::tempdir().unwrap();
    let name = SignerName { organisation: "Testregio".to_owned(), installation: "Belfry".to_owned() };
    let signer = Arc::new(Signer::make(&[1; 32], [1; 16], &name, WallTime::from_secs(1_790_000_000)).unwrap());
    let mut job = Job::create(out.path(), order(), Arc::clone(&signer)).unwrap();
    let mut footage = Seconds(0);
    while !matches!(job.step(&mut footage).unwrap(), Step::Done(_)) {}
    let folder = out.path().join("exp_1");
    let print = signer.fingerprint();
    let pem = out.path().join("published.pem");
    std::fs::write(&pem, signer.certificate_pem()).unwrap();
    let wrong = "00".repeat(32);
    // Arguments, exit code, words.
    let table: [(&[&str], i32, &str); 5] = [
        (&[], 0, "INTACT, SIGNER NOT PINNED"),
        (&["--certificate-sha256", &print], 0, "AUTHENTIC: nothing was changed"),
        (&["--certificate", pem.to_str().unwrap()], 0, "AUTHENTIC: nothing was changed"),
        (&["--certificate-sha256", &wrong], 1, "NOT the certificate that you trust"),
        (&["--certificate", "/nowhere.pem"], 2, "reading `/nowhere.pem`"),
    ];
    for (args, code, words) in table {
        let (found, said) = verify(args, &folder);
        assert_eq!(found, code, "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    }
    let (code, said) = verify(&["--json"], &folder);
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &report["verdict"], &report["is_pinned"]), (0, &"intact".into(), &false.into()));
    let film = folder.join("footage-001.mp4");
    let mut bytes = std::fs::read(&film).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 4;
    std::fs::write(&film, bytes).unwrap();
    let (code, said) = verify(&["--certificate-sha256", &print], &folder);
    assert_eq!(code, 1);
    assert!(said.contains("NOT AUTHENTIC") && said.contains("CHANGED: fragment"), "{said}");
    let (code, said) = verify(&[], out.path());
    assert_eq!((code, said.contains("NOT CHECKED")), (2, true), "{said}");
}
