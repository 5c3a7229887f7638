//! `belfry fines --kind zbt` and `--kind trajectory` as a job scheduler runs them: over the listener for machines, after reads, people and
//! the registry stub. And day passes, told by the tax administration's job before a read is decided.

use std::path::Path;

use serde_json::Value;
use vms_app::lez_ports::{NewRead, ReadClock, ReadFacts, ReadFrom};
use vms_core::{Confidence, Country, Plate};

use super::fines::{listen, offences, papers, says};
use super::*;

const PLACES: &str = r#"
[[zone]]
camera = "ZBT-1"
zone = "ZBT-XL-A"
end = "entry"
authority = "ELSENE"
[[trajectory]]
camera = "TRJ-1"
trajectory = "TRJ-STE"
end = "entry"
authority = "5339"
[[trajectory]]
camera = "TRJ-2"
trajectory = "TRJ-STE"
end = "exit"
authority = "5339"
"#;

/// Where cameras stand, and the demonstration's certificates.
pub(super) fn traffic(dir: &Path) -> Traffic {
    let places = dir.join("places.toml");
    std::fs::write(&places, PLACES).unwrap();
    let certificates = concat!(env!("CARGO_MANIFEST_DIR"), "/../../seed/trajectory/demo-certificates.toml");
    Traffic { places: places.display().to_string(), certificates: certificates.to_owned() }
}

fn at(seconds: u64) -> WallTime {
    noon().plus(Duration::from_secs(seconds))
}

fn read(n: u8, camera: u8, plate: &str, at: WallTime) -> NewRead {
    let clock = ReadClock {
        locked_from_us: noon().micros - 86_400_000_000,
        locked_until_us: Some(noon().micros + 86_400_000_000),
        offset_us: 0,
        uncertainty_us: 1_000,
        second_us: Some(at.micros),
        source: vms_app::clock_ports::OWN_SOURCE.to_owned(),
        synced_us: None,
    };
    NewRead {
        read: ReadId::from_bytes([n; 16]),
        camera: CameraId::from_bytes([camera; 16]),
        stream: StreamId::from_bytes([camera; 16]),
        at,
        facts: ReadFacts {
            plate: Plate::parse(plate).unwrap(),
            countries: vec![(Country::BELGIUM, Confidence::from_millionths(990_000))],
            confidence: Confidence::from_millionths(985_000),
            corrected: false,
            direction: vms_app::lez_ports::Direction::Approaching,
            looks: 7,
            model: "test-1".to_owned(),
            clock: Some(clock),
            from: ReadFrom::Reader,
        },
        crop: Bytes::from(vec![n; 900]),
        overview: Bytes::from(vec![n ^ 0xff; 3_000]),
    }
}

impl Stage {
    async fn cameras(&self, owner: &str, all: &[(u8, &str, CameraKind)]) {
        let owner = org(&self.cases, owner).await;
        let camera = |(n, code, kind): &(u8, &str, CameraKind)| {
            let mut camera = Camera { id: CameraId::from_bytes([*n; 16]), kind: *kind, ..camera(owner) };
            (*code).clone_into(&mut camera.code);
            camera.streams.iter_mut().for_each(|stream| stream.id = StreamId::from_bytes([*n; 16]));
            camera
        };
        let cameras: Vec<Camera> = all.iter().map(camera).collect();
        self.cases.stores().camera_insert(&cameras).await.unwrap();
    }

    /// Whoever decides them approves all that there are; how many.
    async fn approve_all(&self, code: &str, profile: Profile) -> usize {
        let person = self.person(code, profile).await;
        let all = self.cases.finding_list(&person, None, None, 100).await.unwrap();
        for sight in &all {
            let (id, seen) = (sight.finding.id, sight.finding.version);
            self.cases.finding_decide(&person, id, seen, Verdict::Approve).await.unwrap();
        }
        all.len()
    }
}

/// What the job of every kind does: only its own kind, dry, for real, again, checked, answered, and over.
async fn handed_over(stage: &mut Stage, (code, kind, other): (&str, &str, &str), folder_of: &str) -> Vec<Value> {
    let files = tempfile::tempdir().unwrap();
    let papers = papers(files.path());
    let server = listen(stage, &papers, code).await;
    let out = files.path().join("out");
    let (to, window) = (out.display().to_string(), "2026-11-20T11:00:00Z/2026-11-20T11:10:00Z");
    let run = ["run", "--kind", kind, "--window", window, "--to", &to];
    assert_eq!(says(&papers, &server, &run).await, 4, "the window is not over");
    stage.clock.pass_s(600);
    for stranger in ["lez", other] {
        assert_eq!(says(&papers, &server, &["run", "--kind", stranger, "--window", window, "--to", &to]).await, 3);
        assert_eq!(says(&papers, &server, &["status", "--kind", stranger]).await, 3);
    }
    let folder = out.join(folder_of);
    assert_eq!(says(&papers, &server, &["run", "--kind", kind, "--window", window, "--dry-run"]).await, 0);
    assert!(!folder.exists(), "a dry run writes no batch");
    assert_eq!(says(&papers, &server, &run).await, 0);
    assert_eq!(says(&papers, &server, &run).await, 0, "again: it is there");
    let (name, key) = (folder.display().to_string(), stage.dir.path().join("keys/fines.pem").display().to_string());
    assert_eq!(says(&papers, &server, &["verify", &name, "--key", &key]).await, 0);
    let records = offences(&folder);
    let answers = files.path().join("ack.jsonl");
    let line = |record: &Value| format!("{{\"offence\":{},\"answer\":\"accepted\"}}\n", record["offence"]);
    std::fs::write(&answers, records.iter().map(line).collect::<String>()).unwrap();
    let given = answers.display().to_string();
    assert_eq!(says(&papers, &server, &["ack", &given]).await, 3, "these are no answers of the tax administration");
    for _ in 0..2 {
        assert_eq!(says(&papers, &server, &["ack", "--kind", kind, &given]).await, 0);
    }
    assert_eq!(says(&papers, &server, &["status", "--kind", kind, "--json"]).await, 0);
    let row = sqlx::query("select purpose, taken, records, accepted, approved from fine_run")
        .fetch_one(stage.store.read())
        .await
        .unwrap();
    let number = |column: &str| row.try_get::<i64, _>(column).unwrap();
    let count = i64::try_from(records.len()).unwrap();
    assert_eq!(["taken", "records", "accepted", "approved"].map(number), [count; 4]);
    let said = format!("{:?}", stage.log.entries());
    for word in ["fine_run_opened", "fine_handed_over", "fine_run_signed", "fine_answered"] {
        assert!(said.contains(word), "{word}");
    }
    assert!(!said.contains("1CCC333"), "no plate in the log");
    records
}

pub(super) async fn a_municipalitys_job_hands_over_its_zones(mut stage: Stage) {
    stage.cameras("ELSENE", &[(21, "ZBT-1", CameraKind::Zbt)]).await;
    stage.open_registry();
    let reads = vec![read(1, 21, "1BBB222", noon()), read(2, 21, "1CCC333", at(1))];
    stage.service.take(reads).await.unwrap();
    stage.clock.pass_s(10);
    stage.service.zone_round().await.unwrap();
    assert_eq!(stage.approve_all("ELSENE", Profile::P09).await, 2);
    stage.clock.pass_s(10);
    assert_eq!(stage.service.holder_round().await.unwrap().answered, 2);
    let folder = "zbt-ELSENE-20261120T1100Z-20261120T1110Z";
    let records = handed_over(&mut stage, ("ELSENE", "zbt", "trajectory"), folder).await;
    let of = |key: &str| records.iter().map(|record| record[key].as_str().unwrap_or("").to_owned()).collect::<Vec<_>>();
    assert_eq!((of("plate"), of("zone")), (vec!["1BBB222".into(), "1CCC333".into()], vec!["ZBT-XL-A".to_owned(); 2]));
    assert!(records.iter().all(|record| record["holder"]["state"] == "found"), "{records:?}");
    assert_eq!(records[0]["amount_cents"], 5_800);
}

pub(super) async fn a_police_zones_job_hands_over_its_stretches(mut stage: Stage) {
    let kind = CameraKind::Trajectory;
    stage.cameras("5339", &[(22, "TRJ-1", kind), (23, "TRJ-2", kind)]).await;
    let reads = vec![read(1, 22, "1CCC333", noon()), read(2, 23, "1CCC333", at(40))];
    stage.clock.pass_s(80);
    stage.service.take(reads).await.unwrap();
    for _ in 0..70 {
        stage.clock.pass_s(1);
        stage.service.run_round().await.unwrap();
    }
    assert_eq!(stage.approve_all("5339", Profile::P06).await, 1);
    let folder = "trajectory-5339-20261120T1100Z-20261120T1110Z";
    let records = handed_over(&mut stage, ("5339", "trajectory", "zbt"), folder).await;
    assert_eq!(records.len(), 1);
    assert_eq!((records[0]["kind"].as_str(), &records[0]["amount_cents"]), (Some("file"), &Value::Null));
    assert_eq!(records[0]["measurement"]["corrected_kmh"], 71);
    assert_eq!(records[0]["exit"]["camera"]["code"], "TRJ-2");
}

pub(super) async fn a_day_pass_that_is_known_leaves_a_count_and_no_finding(mut stage: Stage) {
    let files = tempfile::tempdir().unwrap();
    let papers = papers(files.path());
    let server = listen(&mut stage, &papers, "FISC").await;
    let (list, bought_at) = (files.path().join("passes.jsonl"), "2026-11-20T10:00:00Z");
    let pass = |plate: &str, day: &str| {
        format!("{{\"plate\":\"{plate}\",\"country\":\"B\",\"day\":\"{day}\",\"bought_at\":\"{bought_at}\"}}\n")
    };
    let given = list.display().to_string();
    // One of tomorrow helps nobody today; the last line of the third file makes all of it unreadable.
    for (text, code) in [
        (pass("1CCC333", "2026-11-20") + &pass("1BBB222", "2026-11-21"), 0),
        (pass("1CCC333", "2026-11-20"), 0),
        (pass("1BBB222", "2026-11-20") + "{}\n", 4),
        (pass("1BBB222", "2026-11-31"), 4),
        (pass("---", "2026-11-20"), 4),
    ] {
        std::fs::write(&list, text).unwrap();
        assert_eq!(says(&papers, &server, &["passes", &given]).await, code);
    }
    assert_eq!(stage.number("select count(*) as n from lez_pass").await, 2);
    stage.spooled([row(1, "1BBB222", "B", noon()), row(2, "1CCC333", "B", noon())]);
    stage.decide().await;
    assert_eq!(stage.counts().await, counted(&[("pass", 1), ("warning", 1)]));
    assert_eq!(stage.findings().await.len(), 1);
    assert!(!format!("{:?}", stage.log.entries()).contains("CCC333"), "no plate in the log");
}
