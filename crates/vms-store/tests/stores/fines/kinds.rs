//! Zones and stretches beside the low-emission zone: findings, holders, batches, and what becomes of a record whose finding's term ends.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::Row as _;
use traffic_rules::trajectory::{
    Control, EndClock, EndRead, Stated, TrajectoryCode, TrajectoryInput, TrajectoryVerdict,
};
use traffic_rules::zbt::{Passage, ZbtHistory, ZbtInput, ZbtVerdict, ZoneCode};
use traffic_rules::{PlateReading, plate_type, trajectory, zbt};
use vms_app::BoxError;
use vms_app::fines::FineAnswer;
use vms_app::fines_ports::FineKind;
use vms_app::gate::action::DecodeAnpr;
use vms_app::gate::{Actor, Permit, Why};
use vms_app::lez::findings::Verdict;
use vms_app::lez_ports::{
    Direction, FindingFile, FindingMeasure, FindingVerdict, Holder, HolderAnswer, HolderKind, HolderRegistry,
    HolderReply, LezStore as _, NewFinding, NewRead, PurposeCopy, ReadFacts, ReadFrom, RegistryAsk, Settled,
    Settlement, StoredRead, Tally, VehicleQuery,
};
use vms_app::ports::Clock as _;
use vms_app::traffic_ports::{Sites, TrafficParts};
use vms_app::{Conflict, UseCaseError};
use vms_core::{
    CameraId, Confidence, Country, FindingId, OrgId, Plate, Profile, Purpose, ReadId, RetentionClass, StreamId,
    WallTime,
};
use vms_store::{LezVault, Store};

use super::town::{Town, town};
use super::{lines, plate, texts};
use crate::reads::run;
use crate::suite::{permit_for, postgres, sqlite};

on_both!(
    a_holder_is_asked_for_after_the_statement_and_goes_with_it,
    a_damaged_holder_holds_up_no_other,
    a_municipality_gets_its_own_and_no_other,
    a_stretch_is_handed_over_with_everything_that_was_measured,
    a_record_whose_term_ends_is_closed_in_the_low_emission_zone,
    a_record_whose_term_ends_is_closed_in_a_zone,
    a_record_whose_term_ends_is_closed_on_a_stretch,
);

const SITES: &str = r#"
[[zone]]
camera = "ZBT-1"
zone = "ZBT-XL-A"
end = "entry"
authority = "ELSENE"
[[zone]]
camera = "ZBT-2"
zone = "ZBT-BXL-PENTAGON"
end = "entry"
authority = "HAVEN"
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

/// The shipped zones, or the same where a permit can be granted afterwards; the stretch with the demonstration's certificates.
pub(super) fn traffic(vault: &Arc<LezVault>, is_regularised: bool) -> TrafficParts {
    let texts = zbt::SeedTexts::embedded();
    let fines = texts.fines.replace("regularisation_enabled = false", "regularisation_enabled = true");
    assert_ne!(fines, texts.fines);
    let texts = if is_regularised { zbt::SeedTexts { fines: &fines, ..texts } } else { texts };
    let zones = zbt::RuleSet::load(texts).unwrap();
    let roads = trajectory::RuleSet::load(trajectory::SeedTexts::demonstration()).unwrap();
    let sites = Sites::parse(SITES, &zones, &roads).unwrap();
    let (zones, roads, sites) = (Arc::new(zones), Arc::new(roads), Arc::new(sites));
    TrafficParts { zones, roads, sites, permits: vault.clone() }
}

/// A registry that says of every plate what the test wants; `Found` when it says nothing.
#[derive(Debug, Default)]
pub(super) struct FakeHolders {
    pub(super) says: Mutex<Vec<(String, HolderReply)>>,
    /// On whose behalf, why, and how many.
    pub(super) asked: Mutex<Vec<(String, String, usize)>>,
}

#[async_trait]
impl HolderRegistry for FakeHolders {
    async fn holders(&self, authority: &str, reason: &str, queries: &[VehicleQuery]) -> Result<HolderAnswer, BoxError> {
        let mut asked = self.asked.lock().unwrap();
        asked.push((authority.to_owned(), reason.to_owned(), queries.len()));
        let request = format!("request {}", asked.len());
        let reply = |query: &VehicleQuery| {
            let says = self.says.lock().unwrap();
            let said = says.iter().find(|(plate, _)| plate == query.plate.reveal()).map(|(_, reply)| reply.clone());
            let found = Holder { id: format!("P-{}", query.plate.reveal().len()), kind: HolderKind::Person };
            (said.unwrap_or(HolderReply::Found(found)), Some(request.clone()))
        };
        let item = |query: &VehicleQuery| (query.plate.clone(), query.country, query.at, "found");
        let ask = RegistryAsk {
            request: request.clone(),
            purpose: Purpose::Zbt,
            flow: "DS-ZBT-HOLDER".to_owned(),
            institution: format!("municipality:{authority}"),
            source: "DIV/KBV".to_owned(),
            reason: reason.to_owned(),
            asked_at: queries[0].at,
            ended_at: queries[0].at,
            attempts: 1,
            end: "answered".to_owned(),
            items: queries.iter().map(item).collect(),
        };
        Ok(HolderAnswer { replies: queries.iter().map(reply).collect(), asked: vec![ask] })
    }
}

fn reading(plate: &Plate) -> PlateReading {
    let classified = plate_type(plate, Country::BELGIUM);
    PlateReading {
        kind: classified.kind,
        corrected: false,
        country_sure: true,
        auto_accept: classified.auto_accept,
        confirmed: false,
    }
}

fn facts(plate: &Plate) -> ReadFacts {
    ReadFacts {
        plate: plate.clone(),
        countries: vec![(Country::BELGIUM, Confidence::from_millionths(999_000))],
        confidence: Confidence::from_millionths(999_000),
        corrected: false,
        direction: Direction::Leaving,
        looks: 7,
        model: "m1".to_owned(),
        clock: None,
        from: ReadFrom::default(),
    }
}

/// What a finding of a zone or a stretch is made of.
struct Made {
    purpose: Purpose,
    classes: (&'static str, &'static str),
    authority: OrgId,
    slot: String,
    measure: FindingMeasure,
    file: FindingFile,
    exit_at: Option<WallTime>,
}

impl Town {
    /// The same town for another kind: with the job and the people of its authority.
    pub(super) async fn of(mut self, kind: FineKind) -> Self {
        let (code, profile) = match kind {
            FineKind::Lez => return self,
            FineKind::Zbt => ("ELSENE", Profile::P09),
            FineKind::Trajectory => ("5339", Profile::P06),
        };
        let org = self.org(code).await;
        self.kind = kind;
        self.job = Actor { org, org_code: code.to_owned(), ..self.job };
        self.agent = Actor { org, org_code: code.to_owned(), profile, ..self.agent };
        self
    }

    async fn org(&self, code: &str) -> OrgId {
        self.cases.org_list().await.unwrap().iter().find(|org| org.code == code).unwrap().id
    }

    /// Time passes until the registry was asked.
    pub(super) async fn answered(&self) {
        if self.kind == FineKind::Zbt {
            self.clock.pass_s(5);
            self.service.holder_round().await.unwrap();
        }
    }

    async fn made(&self, plate: Plate, made: Made) -> FindingId {
        let number = self.made.fetch_add(1, Ordering::SeqCst) + 1;
        let (now, class) = (self.clock.now(), |code| RetentionClass::parse(code).unwrap());
        let why = Why { purpose: Some(Purpose::Lez), ..Why::default() };
        let permit: Permit<DecodeAnpr> = permit_for(Profile::P24, &why).await;
        let id = |end: u64| ReadId::from_bytes(u128::from(number * 2 + end).to_be_bytes());
        let camera = |end: u8| CameraId::from_bytes([4 + end; 16]);
        let ends = [Some(now), made.exit_at];
        for (end, at) in (0_u8..).zip(ends).filter_map(|(end, at)| Some((end, at?))) {
            let read = NewRead {
                read: id(u64::from(end)),
                camera: camera(end),
                stream: StreamId::from_bytes([2; 16]),
                at,
                facts: facts(&plate),
                crop: Bytes::from(format!("crop {number} {end}").into_bytes()),
                overview: Bytes::from_static(b"masked picture"),
            };
            let copy = PurposeCopy {
                read: Arc::new(read),
                purpose: made.purpose,
                class: class(made.classes.0),
                owner: made.authority,
                received_at: now,
                expires_at: now.plus(Duration::from_secs(600)),
                key_ends_at: now.plus(Duration::from_secs(3_600)),
            };
            self.vault.read_take(&permit, &[copy]).await.unwrap();
        }
        let exit = made.exit_at.map(|at| StoredRead {
            read: id(1),
            camera: camera(1),
            owner: made.authority,
            stream: StreamId::from_bytes([2; 16]),
            at,
            facts: facts(&plate),
            has_crop: true,
            has_overview: true,
        });
        let finding = FindingId::from_bytes(u128::from(number).to_be_bytes());
        let new = NewFinding {
            id: finding,
            measure: made.measure,
            vehicle: self.vault.vehicle_token(made.purpose, None, &plate, Country::BELGIUM),
            authority: Some(made.authority),
            slot: made.slot,
            class: class(made.classes.1),
            expires_at: now.plus(Duration::from_secs(15 * 86_400)),
            file: made.file,
        };
        let settlement = Settlement {
            purpose: made.purpose,
            read: id(0),
            exit,
            camera: camera(0),
            at: now,
            tally: Tally::Infraction,
            finding: Some(Box::new(new)),
        };
        assert_eq!(self.vault.read_settle(&permit, &settlement).await.unwrap(), Settled::Found(finding));
        finding
    }

    /// An open finding of a zone: a vehicle that drove in now, in closed hours.
    pub(super) async fn passage(&self, plate: &str) -> FindingId {
        let (plate, now) = (Plate::parse(plate).unwrap(), self.clock.now());
        let zone = if self.job.org_code == "HAVEN" { "ZBT-BXL-PENTAGON" } else { "ZBT-XL-A" };
        let input = ZbtInput {
            zone: ZoneCode::new(zone),
            passage: Passage::Entry { at: now },
            country: Country::BELGIUM,
            reading: reading(&plate),
            listings: Vec::new(),
            permits: Vec::new(),
            history: ZbtHistory::default(),
            decided_at: now,
        };
        let outcome = zbt::decide(&self.cases.extensions().traffic.as_ref().unwrap().zones, &input);
        let ZbtVerdict::Candidate { fine, amount_cents, currency } = &outcome.verdict else { panic!("{outcome:?}") };
        let measure = FindingMeasure {
            verdict: FindingVerdict::Infraction,
            rule_id: outcome.rule.as_ref().map(ToString::to_string),
            fine_id: Some(fine.to_string()),
            amount_cents: Some(*amount_cents),
            currency: Some(currency.clone()),
            rule_set: outcome.rule_set_version.as_str().to_owned(),
            final_from: outcome.final_from,
        };
        let file = file(&plate, &input, &outcome);
        let (purpose, classes) = (Purpose::Zbt, ("RC-ZBT-OK", "RC-ZBT-CAND"));
        let made =
            Made { purpose, classes, authority: self.job.org, slot: zone.to_owned(), measure, file, exit_at: None };
        self.made(plate, made).await
    }

    /// An open finding of a stretch: 870 m in 50 s, which is vector 1 of `domain.md` C2.
    pub(super) async fn drive(&self, plate: &str) -> FindingId {
        let (plate, entered) = (Plate::parse(plate).unwrap(), self.clock.now());
        let left = entered.plus(Duration::from_secs(50));
        let read = |at| EndRead {
            at,
            country: Country::BELGIUM,
            reading: reading(&plate),
            confidence_ppm: 999_000,
            class: None,
        };
        let clock = EndClock {
            locked_from: entered.minus(Duration::from_secs(3_600)),
            locked_until: Some(left.plus(Duration::from_secs(3_600))),
            offset_us: 0,
            uncertainty_us: 1_000,
        };
        let input = TrajectoryInput {
            trajectory: TrajectoryCode::new("TRJ-STE"),
            entries: vec![read(entered)],
            exits: vec![read(left)],
            entry_clock: clock,
            exit_clock: clock,
            control: Some(Control::SecondClock { micros: 50_000_000 }),
            signs: Vec::new(),
            left_between: false,
            prosecuted_from_kmh: None,
            stated: Stated::default(),
        };
        let outcome = trajectory::decide(&self.cases.extensions().traffic.as_ref().unwrap().roads, &input);
        assert!(matches!(outcome.verdict, TrajectoryVerdict::Infraction { .. }), "{outcome:?}");
        let measure = FindingMeasure {
            verdict: FindingVerdict::Infraction,
            rule_id: outcome.rule.as_ref().map(ToString::to_string),
            fine_id: None,
            amount_cents: None,
            currency: None,
            rule_set: outcome.rule_set_version.as_str().to_owned(),
            final_from: None,
        };
        let (slot, file) = (format!("TRJ-STE|{}", entered.micros), file(&plate, &input, &outcome));
        let (purpose, classes) = (Purpose::Trajectory, ("RC-TRJ-PASS", "RC-TRJ-FILE"));
        let made = Made { purpose, classes, authority: self.job.org, slot, measure, file, exit_at: Some(left) };
        self.made(plate, made).await
    }

    async fn number(&self, store: &Store, sql: &'static str) -> i64 {
        sqlx::query(sql).fetch_one(store.read()).await.unwrap().try_get("n").unwrap()
    }
}

fn file(plate: &Plate, input: &impl serde::Serialize, outcome: &impl serde::Serialize) -> FindingFile {
    FindingFile {
        plate: plate.clone(),
        country: Country::BELGIUM,
        input: serde_json::to_string(input).unwrap(),
        outcome: serde_json::to_string(outcome).unwrap(),
    }
}

async fn a_holder_is_asked_for_after_the_statement_and_goes_with_it(store: &Store) {
    let town = town(store).await.of(FineKind::Zbt).await;
    let start = town.clock.now();
    let open = town.passage(&plate(1)).await;
    town.answered().await;
    assert!(town.registry.asked.lock().unwrap().is_empty(), "nobody signed it: nobody is asked");
    let [found, unknown, later, odd] = [2, 3, 4, 5].map(plate);
    let mut ids = Vec::new();
    for one in [&found, &unknown, &later, &odd] {
        ids.push(town.approved(one, "").await);
    }
    *town.registry.says.lock().unwrap() = vec![
        (unknown, HolderReply::Unknown),
        (later.clone(), HolderReply::Later),
        (odd.clone(), HolderReply::Unusable),
    ];
    town.answered().await;
    assert_eq!(*town.registry.asked.lock().unwrap().iter().map(|ask| ask.2).collect::<Vec<_>>(), [4]);
    // What was asked and why is kept: the question, sealed, and the decision that it names.
    assert_eq!(town.leaves("registry_asked"), 1);
    let reason = town.registry.asked.lock().unwrap()[0].1.clone();
    assert!(town.log.entries().iter().any(|entry| entry.decision.is_some_and(|id| id.to_string() == reason)));
    let row =
        sqlx::query("select items, reason, institution from lez_registry_ask").fetch_one(store.read()).await.unwrap();
    let (items, said): (Vec<u8>, String) = (row.try_get("items").unwrap(), row.try_get("reason").unwrap());
    assert!(said == reason && !items.windows(3).any(|piece| piece == b"AAA"));
    assert_eq!(row.try_get::<String, _>("institution").unwrap(), "municipality:ELSENE");
    // The next round asks nobody: two have their answer, two wait an hour.
    town.answered().await;
    assert_eq!(town.registry.asked.lock().unwrap().len(), 1);
    for _ in 0..2 {
        town.clock.pass_s(3_600);
        town.answered().await;
    }
    assert_eq!(town.registry.asked.lock().unwrap().iter().map(|ask| ask.2).collect::<Vec<_>>(), [4, 2, 2]);
    let done = town.batch(town.window(start));
    let (records, rejects) = (lines(&done.folder, "offences.jsonl"), lines(&done.folder, "rejects.jsonl"));
    assert_eq!(texts(&records, "finding"), [ids[0].to_string()]);
    assert_eq!(records[0]["holder"]["state"], "found");
    assert_eq!(
        (records[0]["holder"]["id"].as_str(), records[0]["holder"]["kind"].as_str()),
        (Some("P-7"), Some("person"))
    );
    assert_eq!((records[0]["zone"].as_str(), records[0]["amount_cents"].as_u64()), (Some("ZBT-XL-A"), Some(5_800)));
    assert_eq!(texts(&rejects, "reason"), ["holder_unknown", "holder_unusable"]);
    let table = std::fs::read_to_string(done.folder.join("offences.csv")).unwrap();
    assert!(table.contains(";ZBT-XL-A;") && table.contains(";found;person;P-7;"), "{table}");
    // The one that waits for its holder waits for its batch, and is not lost.
    let status = town.cases.fine_status(&town.job, FineKind::Zbt).await.unwrap();
    assert_eq!((status.waiting.findings, status.runs[0].totals.fines), (1, 1));
    town.registry.says.lock().unwrap().clear();
    let start = town.clock.now();
    town.clock.pass_s(3_600);
    town.answered().await;
    let second = town.batch(town.window(start));
    assert_eq!(texts(&lines(&second.folder, "offences.jsonl"), "finding"), [ids[2].to_string()]);
    // Taken back, the holder is gone with the approval; nobody's number stands in the rows.
    let again = town.approved(&plate(6), "").await;
    town.answered().await;
    let held = "select count(*) as n from finding_holder where body is not null";
    assert_eq!(town.number(store, held).await, 3);
    let undo = Verdict::Undo("toch niet".to_owned());
    town.cases.finding_decide(&town.agent, again, 2, undo).await.unwrap();
    assert_eq!(town.number(store, held).await, 2);
    let said = format!("{:?}", town.log.entries());
    assert!(!said.contains("P-7") && !said.contains(&found));
    assert_eq!(town.cases.finding_fetch(&town.agent, open).await.unwrap().finding.version, 1);
}

async fn a_damaged_holder_holds_up_no_other(store: &Store) {
    let town = town(store).await.of(FineKind::Zbt).await;
    let start = town.clock.now();
    let (damaged, whole) = (town.approved(&plate(1), "").await, town.approved(&plate(2), "").await);
    town.answered().await;
    run(
        store,
        &format!(
            "update finding_holder set body = (select o.body from finding_holder o where o.finding_id = '{whole}')
        where finding_id = '{damaged}'"
        ),
    )
    .await;
    // One that does not open itself: nobody can ask for its holder, and it does not wait for one.
    let blind = town.approved(&plate(3), "").await;
    crate::reads::damage(store, "lez_finding", "file", (&blind.to_string(), &whole.to_string())).await;
    let asked = town.registry.asked.lock().unwrap().len();
    town.answered().await;
    assert_eq!(town.registry.asked.lock().unwrap().len(), asked);
    assert_eq!(town.number(store, "select count(*) as n from finding_holder where state = 'unusable'").await, 1);
    let done = town.batch(town.window(start));
    assert_eq!(texts(&lines(&done.folder, "offences.jsonl"), "finding"), [whole.to_string()]);
    assert_eq!(texts(&lines(&done.folder, "rejects.jsonl"), "reason"), ["holder_unusable", "damaged"]);
}

async fn a_municipality_gets_its_own_and_no_other(store: &Store) {
    let town = town(store).await.of(FineKind::Zbt).await;
    let start = town.clock.now();
    town.approved(&plate(1), "").await;
    town.answered().await;
    let window = town.window(start);
    let denied = async |actor: &Actor, kind| {
        let outcome = town.cases.fine_run_now(actor, kind, window, "holder01", true).await;
        matches!(outcome, Err(UseCaseError::Denied { .. }))
    };
    let fisc = Actor { org: town.org("FISC").await, org_code: "FISC".to_owned(), ..town.job.clone() };
    for (actor, kind, is_denied) in [
        (&town.job, FineKind::Zbt, false),
        (&town.job, FineKind::Lez, true),
        (&town.job, FineKind::Trajectory, true),
        (&fisc, FineKind::Zbt, true),
        (&fisc, FineKind::Lez, false),
        (&town.agent, FineKind::Zbt, true),
    ] {
        assert_eq!(denied(actor, kind).await, is_denied, "{} {kind:?}", actor.org_code);
    }
    // Another municipality's job has a chain of its own, and sees nothing of this one.
    let done = town.batch(window);
    let other = Actor { org: town.org("HAVEN").await, org_code: "HAVEN".to_owned(), ..town.job.clone() };
    let status = town.cases.fine_status(&other, FineKind::Zbt).await.unwrap();
    assert_eq!((status.runs.len(), status.waiting.findings), (0, 0));
    let lines_of = town.cases.fine_lines(&other, &done.facts.run, "holder02", 0).await;
    assert!(matches!(lines_of, Err(UseCaseError::NotFound(_))), "{lines_of:?}");
    let key = texts(&lines(&done.folder, "offences.jsonl"), "offence").remove(0);
    let answer = FineAnswer { offence: key, answer: "accepted".to_owned(), code: None };
    let answers =
        async |actor: &Actor, kind| town.cases.fine_answers(actor, kind, std::slice::from_ref(&answer)).await.unwrap();
    assert_eq!(answers(&other, FineKind::Zbt).await, ["unknown"]);
    assert_eq!(answers(&fisc, FineKind::Lez).await, ["unknown"]);
    assert_eq!(answers(&town.job, FineKind::Zbt).await, ["noted"]);
    let empty = town.cases.fine_run_now(&other, FineKind::Zbt, window, "holder02", false).await.unwrap();
    assert_eq!((empty.chain, empty.totals.taken, empty.id.starts_with("zbt-HAVEN-")), (1, 0, true));
}

async fn a_stretch_is_handed_over_with_everything_that_was_measured(store: &Store) {
    let town = town(store).await.of(FineKind::Trajectory).await;
    let start = town.clock.now();
    let id = town.approved(&plate(1), "").await;
    let done = town.batch(town.window(start));
    assert!(done.facts.run.starts_with("trajectory-5339-"), "{}", done.facts.run);
    let records = lines(&done.folder, "offences.jsonl");
    let record = &records[0];
    assert_eq!((record["finding"].as_str(), record["kind"].as_str()), (Some(&*id.to_string()), Some("file")));
    assert_eq!((&record["amount_cents"], record.get("holder")), (&serde_json::Value::Null, None));
    let measured = &record["measurement"];
    let of = |key: &str| measured[key].as_u64();
    // 0.2 m shorter and twice the clocks' 0.1 s longer than measured: 869.8 m in 50.2 s are 62.37 km/h.
    assert_eq!((of("certified_mm"), of("used_mm"), of("time_us")), (Some(870_000), Some(869_800), Some(50_000_000)));
    assert_eq!(of("favourable_us"), Some(50_200_000));
    assert_eq!(
        (of("measured_kmh"), of("corrected_kmh"), of("limit_kmh"), of("over_kmh")),
        (Some(62), Some(56), Some(50), Some(6))
    );
    assert_eq!(measured["margin"], serde_json::json!({ "code": "margin_flat", "kmh": 6 }));
    assert_eq!(measured["certificate"], "DEMO-DISTANCE-1");
    assert_eq!(measured["instruments"][1]["verification"], "DEMO-VERIFICATION-2");
    assert_eq!(measured["entry_clock"]["uncertainty_us"], 1_000);
    assert_eq!(measured["control"]["by"], "second_clock");
    let shown: Vec<String> = texts(record["pictures"].as_array().unwrap(), "shows");
    assert_eq!(shown, ["plate", "overview", "exit-plate", "exit-overview"]);
    assert_eq!(std::fs::read_dir(done.folder.join("images")).unwrap().count(), 4);
    let table = std::fs::read_to_string(done.folder.join("offences.csv")).unwrap();
    assert!(table.contains(";870.000;50.000000;62;56;50;DEMO-DISTANCE-1;"), "{table}");
    // Thirty days after the receipt is confirmed nothing of it is left here.
    town.clock.pass_s(86_400);
    let key = texts(&records, "offence").remove(0);
    let answer = FineAnswer { offence: key, answer: "accepted".to_owned(), code: None };
    assert_eq!(town.cases.fine_answers(&town.job, town.kind, &[answer]).await.unwrap(), ["noted"]);
    for (seconds, left) in [(30 * 86_400 - 1, 1), (1, 0)] {
        town.clock.pass_s(seconds);
        town.vault.lez_sweep(town.clock.now()).await.unwrap();
        assert_eq!(town.number(store, "select count(*) as n from lez_finding").await, left);
        assert_eq!(town.number(store, "select count(*) as n from fine_line").await, left);
    }
    assert_eq!(town.cases.fine_status(&town.job, town.kind).await.unwrap().runs[0].state(), "closed");
}

async fn a_record_whose_term_ends_is_closed_in_the_low_emission_zone(store: &Store) {
    a_record_whose_term_ends_is_closed_and_the_run_closes(store, FineKind::Lez).await;
}

async fn a_record_whose_term_ends_is_closed_in_a_zone(store: &Store) {
    a_record_whose_term_ends_is_closed_and_the_run_closes(store, FineKind::Zbt).await;
}

async fn a_record_whose_term_ends_is_closed_on_a_stretch(store: &Store) {
    a_record_whose_term_ends_is_closed_and_the_run_closes(store, FineKind::Trajectory).await;
}

async fn a_record_whose_term_ends_is_closed_and_the_run_closes(store: &Store, kind: FineKind) {
    let town = town(store).await.of(kind).await;
    let start = town.clock.now();
    let mut ids = Vec::new();
    for n in 1..=3 {
        ids.push(town.approved(&plate(n), "4").await);
        town.answered().await;
    }
    let window = town.window(start);
    let run = town.cases.fine_run_now(&town.job, kind, window, "holder01", false).await.unwrap();
    assert_eq!((run.totals.taken, run.totals.records), (3, 3));
    town.cases.fine_lines(&town.job, &run.id, "holder01", 0).await.unwrap();
    // Before the signature: it becomes a number that was refused.
    expire(store, ids[1], town.clock.now()).await;
    let swept = town.vault.lez_sweep(town.clock.now()).await.unwrap();
    assert_eq!((swept.erased.findings, swept.erased.closed), (1, 1));
    let done = town.batch(window);
    let (records, rejects) = (lines(&done.folder, "offences.jsonl"), lines(&done.folder, "rejects.jsonl"));
    assert_eq!(texts(&records, "finding"), [ids[0].to_string(), ids[2].to_string()]);
    assert_eq!(
        (texts(&rejects, "finding"), texts(&rejects, "reason")),
        (vec![ids[1].to_string()], vec!["term_ended".to_owned()])
    );
    assert_eq!((done.facts.totals.taken, done.facts.totals.records, done.facts.totals.refused), (3, 2, 1));
    // After it, before the answer: it is closed, and the run closes with the other answer.
    expire(store, ids[0], town.clock.now()).await;
    assert_eq!(town.vault.lez_sweep(town.clock.now()).await.unwrap().erased.closed, 1);
    let answer = |n: usize| FineAnswer {
        offence: records[n]["offence"].as_str().unwrap().to_owned(),
        answer: "accepted".to_owned(),
        code: None,
    };
    let told = town.cases.fine_answers(&town.job, kind, &[answer(0), answer(1)]).await.unwrap();
    assert_eq!(told, ["term_ended", "noted"]);
    let run = town.cases.fine_status(&town.job, kind).await.unwrap().runs.remove(0);
    assert_eq!((run.state(), run.answers.accepted, run.answers.ended), ("closed", 1, 1));
    // The folder that was written stays what it is; a lost one cannot be written again.
    assert!(town.batch(window).was_there);
    std::fs::remove_dir_all(&done.folder).unwrap();
    let lost = town.cases.fine_lines(&town.job, &run.id, "holder01", 0).await;
    assert!(matches!(lost, Err(UseCaseError::Conflict(Conflict::WrongState("finding_erased")))), "{lost:?}");
    let row = sqlx::query("select vehicle, body from fine_line where ended_at_us is not null order by position")
        .fetch_all(store.read())
        .await
        .unwrap();
    let is_bare = |row: &sqlx::any::AnyRow| {
        row.try_get::<String, _>("vehicle").unwrap().is_empty()
            && row.try_get::<Option<Vec<u8>>, _>("body").unwrap().is_none()
    };
    assert!(row.len() >= 2 && row.iter().all(is_bare), "nothing of a person stays");
}

async fn expire(store: &Store, id: FindingId, at: WallTime) {
    for sql in [
        "update lez_finding set expires_at_us = $2 where id = $1",
        "update lez_key set ends_at_us = $2 where object = $1",
    ] {
        sqlx::query(sql).bind(id.to_string()).bind(at.micros).execute(store.read()).await.unwrap();
    }
}
