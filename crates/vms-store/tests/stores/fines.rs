//! Batches of fines over the real use cases, the real store and the real folder: on both databases, killed wherever one can be.

mod damaged;
mod kinds;
mod town;
mod waits;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fines::{Manifest, verify};
use vms_app::fines::FineAnswer;
use vms_app::fines_ports::{FineKind, FineRun, FineStore as _};
use vms_app::gate::Actor;
use vms_app::lez::findings::Verdict;
use vms_app::lez_ports::{FindingState, LezStore as _};
use vms_app::ports::Clock as _;
use vms_app::{Conflict, UseCaseError};
use vms_core::{OrgId, TimeRange, UserId};
use vms_store::Store;

use self::town::{Town, town, town_with};
use crate::reads::damage;
use crate::suite::{postgres, sqlite};

on_both!(
    only_what_people_approved_becomes_one_record,
    killed_anywhere_nothing_is_lost_and_nothing_doubled,
    answers_come_back_once,
    one_works_a_run_and_only_the_job_may,
    a_decision_is_taken_back_by_who_made_it,
    a_sample_goes_to_a_second_person,
    what_is_damaged_is_refused_and_holds_up_no_other,
    a_zone_killed_anywhere_loses_nothing_and_doubles_nothing,
    a_stretch_killed_anywhere_loses_nothing_and_doubles_nothing,
);

fn lines(folder: &Path, name: &str) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn texts(lines: &[serde_json::Value], key: &str) -> Vec<String> {
    lines.iter().map(|line| line[key].as_str().unwrap_or("").to_owned()).collect()
}

async fn only_what_people_approved_becomes_one_record(store: &Store) {
    let town = town(store).await;
    let before = town.approved("1AAA111", "4").await;
    let too_early = town.window(town.clock.now());
    let start = town.clock.now();
    let fined = town.approved("1BBB222", "4").await;
    let warned = town.approved("1CCC333", "5").await;
    town.finding("1DDD444", "4").await;
    let rejected = town.finding("1EEE555", "4").await;
    town.cases.finding_decide(&town.agent, rejected, 1, Verdict::Reject("verkeerde plaat".to_owned())).await.unwrap();
    // The same vehicle five days later, approved as if nobody knew of the first.
    town.clock.pass_s(5 * 86_400);
    let double = town.forced("1BBB222", "4").await;
    let window = town.window(start);

    let dry = town.cases.fine_run_now(&town.job, FineKind::Lez, window, "holder01", true).await.unwrap();
    assert_eq!((dry.totals.taken, dry.totals.fines, dry.totals.warnings, dry.totals.merged), (3, 1, 1, 1));
    assert_eq!(town.cases.fine_status(&town.job, FineKind::Lez).await.unwrap().runs, []);
    assert_eq!(town.cases.fine_status(&town.job, FineKind::Lez).await.unwrap().waiting.findings, 4);
    assert_eq!(town.leaves("fine_run_opened"), 0);

    let done = town.batch(window);
    let (records, rejects) = (lines(&done.folder, "offences.jsonl"), lines(&done.folder, "rejects.jsonl"));
    assert_eq!(texts(&records, "finding"), [fined.to_string(), warned.to_string()]);
    assert_eq!(texts(&records, "kind"), ["fine", "warning"]);
    assert_eq!(texts(&records, "plate"), ["1BBB222", "1CCC333"]);
    assert_eq!((records[0]["amount_cents"].as_u64(), records[1]["amount_cents"].as_u64()), (Some(35_000), None));
    assert_eq!(texts(&rejects, "finding"), [double.to_string()]);
    assert_eq!(texts(&rejects, "reason"), ["in_window"]);
    assert_eq!(rejects[0]["until"], "2027-01-02", "three months after the infraction");
    // A picture that shows more than the vehicle stays in the house.
    assert_eq!(
        (records[0]["withheld"][0].as_str(), records[1]["withheld"].as_array().map(Vec::len)),
        (Some("overview"), Some(0))
    );
    assert_eq!(
        (records[0]["pictures"].as_array().unwrap().len(), records[1]["pictures"].as_array().unwrap().len()),
        (1, 2)
    );
    assert_eq!(
        (town.leaves("fine_run_opened"), town.leaves("fine_handed_over"), town.leaves("fine_run_signed")),
        (1, 2, 1)
    );
    assert!(!format!("{:?}", town.log.entries()).contains("BBB222"), "no plate in the log");

    // Again: the same bytes, and nothing new in the log but the look.
    let again = town.batch(window);
    assert!(again.was_there);
    assert_eq!(again.manifest_sha256, done.manifest_sha256);
    std::fs::remove_dir_all(&done.folder).unwrap();
    assert_eq!(town.batch(window).manifest_sha256, done.manifest_sha256, "written anew, it is the same");
    assert_eq!((town.leaves("fine_handed_over"), town.leaves("fine_run_signed")), (2, 1));

    // The window before is a run of its own; the chain goes on; an overlap is refused.
    let second = town.batch(too_early);
    assert_eq!(texts(&lines(&second.folder, "offences.jsonl"), "finding"), [before.to_string()]);
    assert_eq!((second.facts.chain, second.facts.previous.clone()), (2, done.manifest_sha256.clone()));
    let trust = verify::Trust { key: None, previous: Some(done.folder) };
    assert_eq!(verify::folder(&second.folder, &trust).verdict, verify::Verdict::Holds);
    let overlap = TimeRange::new(window.from, window.to.plus(Duration::from_secs(60))).unwrap();
    town.clock.pass_s(120);
    let refused = town.cases.fine_run_now(&town.job, FineKind::Lez, overlap, "holder01", false).await;
    assert!(matches!(refused, Err(UseCaseError::Conflict(Conflict::WrongState("window_overlaps")))), "{refused:?}");
    assert_eq!(town.cases.fine_status(&town.job, FineKind::Lez).await.unwrap().waiting.findings, 0);
    // Sealed in the rows.
    let row = sqlx::query("select body from fine_line").fetch_one(store.read()).await.unwrap();
    let body: Vec<u8> = sqlx::Row::try_get(&row, "body").unwrap();
    assert!(!body.windows(4).any(|piece| piece == b"ofc_" || piece == b"BBB2"));
    // And gone with the finding.
    town.clock.pass_s(6 * 365 * 86_400);
    town.vault.lez_sweep(town.clock.now()).await.unwrap();
    town.vault.lez_sweep(town.clock.now()).await.unwrap();
}

fn plate(number: u64) -> String {
    let letters = |n: u64| char::from(b'A' + u8::try_from(n % 26).unwrap());
    format!("1{}{}{}{:03}", letters(number / 676), letters(number / 26), letters(number), number % 1_000)
}

async fn what_is_damaged_is_refused_and_holds_up_no_other(store: &Store) {
    let town = town(store).await;
    let start = town.clock.now();
    let [first, second] = [town.read("1BBB222").await, town.read("1CCC333").await];
    // A picture that does not open leaves a finding without it.
    damage(store, "lez_read", "crop", (&first.0.to_string(), &second.0.to_string())).await;
    let bare = town.settled("1BBB222", "4", first).await;
    let whole = town.settled("1CCC333", "4", second).await;
    let sight = town.cases.finding_fetch(&town.agent, bare).await.unwrap().finding;
    assert!(!sight.has_crop && sight.has_overview);
    let damaged = town.finding("1DDD444", "4").await;
    for id in [bare, whole, damaged] {
        town.cases.finding_decide(&town.agent, id, 1, Verdict::Approve).await.unwrap();
    }
    let [lost, open] = [town.finding("1EEE555", "4").await, town.finding("1FFF666", "4").await];
    for (one, other) in [(damaged, whole), (lost, open)] {
        damage(store, "lez_finding", "file", (&one.to_string(), &other.to_string())).await;
    }
    // A record goes with everything that the person saw, or not at all.
    let blind = town.approved("1HHH888", "4").await;
    damage(store, "lez_finding", "overview", (&blind.to_string(), &whole.to_string())).await;
    // The queue goes on without it, and so does the batch.
    let queue = town.cases.finding_list(&town.agent, Some(FindingState::Open), None, 1).await.unwrap();
    assert_eq!(queue.iter().map(|sight| sight.finding.id).collect::<Vec<_>>(), [open]);
    let window = town.window(start);
    let done = town.batch(window);
    let (records, rejects) = (lines(&done.folder, "offences.jsonl"), lines(&done.folder, "rejects.jsonl"));
    assert_eq!(texts(&records, "finding"), [bare.to_string(), whole.to_string()]);
    assert_eq!(records[0]["pictures"].as_array().unwrap().len(), 1);
    assert_eq!(
        (texts(&rejects, "finding"), texts(&rejects, "reason")),
        (vec![damaged.to_string(), blind.to_string()], vec!["damaged".to_owned(); 2])
    );
    assert_eq!(
        town.cases.fine_status(&town.job, FineKind::Lez).await.unwrap().waiting.findings,
        0,
        "the totals reconcile"
    );
    assert_eq!(town.batch(window).manifest_sha256, done.manifest_sha256, "again, it is the same");
    assert_eq!(town.vault.lez_sweep(town.clock.now()).await.unwrap().damaged, 4);
}

async fn a_zone_killed_anywhere_loses_nothing_and_doubles_nothing(store: &Store) {
    killed_anywhere(town(store).await.of(FineKind::Zbt).await, store, 2).await;
}

async fn a_stretch_killed_anywhere_loses_nothing_and_doubles_nothing(store: &Store) {
    killed_anywhere(town(store).await.of(FineKind::Trajectory).await, store, 2).await;
}

async fn killed_anywhere_nothing_is_lost_and_nothing_doubled(store: &Store) {
    killed_anywhere(town(store).await, store, 1).await;
}

/// Every operation of database and disk is the last one of a process; of `share` points one is tried.
async fn killed_anywhere(town: Town, store: &Store, share: usize) {
    // How many operations one run of one finding makes.
    let mut approved: BTreeSet<String> = BTreeSet::new();
    let mut make = 0;
    let mut next = async || {
        let start = town.clock.now();
        make += 1;
        approved.insert(town.approved(&plate(make), "4").await.to_string());
        town.answered().await;
        (start, approved.clone())
    };
    let (start, _) = next().await;
    let window = town.window(start);
    town.life.until(-1, 0);
    town.batch(window);
    let operations = i64::try_from(town.life.done.load(Ordering::SeqCst)).unwrap();
    let sqlite = store.dialect() == vms_store::Dialect::Sqlite;
    // Every operation, each in one of three ways (`crates/fines` has all of them); PostgreSQL: a third of them.
    let points = (1..=operations).flat_map(|left| (0..3).map(move |how| (left, how)));
    let points: Vec<(i64, i64)> = points
        .enumerate()
        .filter(|(at, _)| at % 3 == (at / 3) % 3 && at % share == 0 && (sqlite || at % 9 == 0))
        .map(|(_, point)| point)
        .collect();
    let mut seed = 0x9e37_79b9_u64;
    let mut all = BTreeSet::new();
    let count = points.len();
    for (left, how) in points {
        let (start, now) = next().await;
        all = now;
        let window = town.window(start);
        town.life.until(left, how);
        // One whose picture is withheld makes some operations fewer, and may be done before.
        drop(town.process(window, "holder01"));
        // A second death at a random operation, of one in two.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if seed >> 63 == 1 {
            town.life.until(i64::try_from(seed >> 40).unwrap() % operations + 1, how);
            drop(town.process(window, "holder01"));
        }
        town.life.until(-1, 0);
        town.batch(window);
    }
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let mut manifests: BTreeMap<u64, (String, String)> = BTreeMap::new();
    for entry in std::fs::read_dir(town.out.path()).unwrap().flatten() {
        let folder = entry.path();
        for record in lines(&folder, "offences.jsonl") {
            *seen.entry(record["finding"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        assert_eq!(std::fs::read(folder.join("rejects.jsonl")).unwrap(), b"");
        let bytes = std::fs::read(folder.join("manifest.json")).unwrap();
        let manifest = Manifest::parse(&bytes).unwrap();
        manifests.insert(manifest.chain, (manifest.previous, fines::sha256(&bytes)));
    }
    assert_eq!(seen.keys().cloned().collect::<BTreeSet<_>>(), all, "none lost");
    assert!(seen.values().all(|times| *times == 1), "none twice");
    let mut before = String::new();
    for (at, (previous, digest)) in (1..).zip(manifests.values()) {
        assert_eq!((manifests.contains_key(&at), previous), (true, &before));
        before.clone_from(digest);
    }
    assert!(!sqlite || count >= 15, "{count} points");
}

async fn answers_come_back_once(store: &Store) {
    let town = town(store).await;
    let start = town.clock.now();
    let mut ids = Vec::new();
    for n in 1..=3 {
        ids.push(town.approved(&plate(n), "4").await);
    }
    let window = town.window(start);
    town.cases.fine_run_now(&town.job, FineKind::Lez, window, "holder01", false).await.unwrap();
    let answer = |offence: &str, answer: &str, code: Option<&str>| FineAnswer {
        offence: offence.to_owned(),
        answer: answer.to_owned(),
        code: code.map(str::to_owned),
    };
    let permit_free =
        async |answers: &[FineAnswer]| town.cases.fine_answers(&town.job, FineKind::Lez, answers).await.unwrap();
    let lines_open = town.cases.fine_lines(&town.job, &name(&town).await, "holder01", 0).await.unwrap();
    let open = lines_open[0].line.offence.clone().unwrap();
    assert_eq!(permit_free(&[answer(&open, "accepted", None)]).await, ["not_signed"]);
    let done = town.batch(window);
    let keys = texts(&lines(&done.folder, "offences.jsonl"), "offence");
    let unknown = format!("ofc_{}", "0".repeat(32));
    let file = [
        answer(&keys[0], "accepted", None),
        answer(&keys[1], "refused", Some("HOLDER_UNKNOWN")),
        answer(&unknown, "accepted", None),
        answer(&keys[0], "accepted", None),
        answer(&keys[1], "accepted", None),
        answer(&keys[1], "refused", Some("OTHER")),
    ];
    let wanted = ["noted", "noted", "unknown", "known", "contradicts", "contradicts"];
    assert_eq!(permit_free(&file).await, wanted);
    let again = ["known", "known", "unknown", "known", "contradicts", "contradicts"];
    assert_eq!(permit_free(&file).await, again, "giving it twice is harmless");
    assert_eq!((town.leaves("fine_answered"), town.leaves("fine_answer_refused")), (2, 4));
    let run = town.cases.fine_status(&town.job, FineKind::Lez).await.unwrap().runs.remove(0);
    assert_eq!((run.state(), run.answers.accepted, run.answers.refused), ("waits", 1, 1));
    assert_eq!(permit_free(&[answer(&keys[2], "correct", Some("PLATE_DIFFERS"))]).await, ["noted"]);
    let run = town.cases.fine_status(&town.job, FineKind::Lez).await.unwrap().runs.remove(0);
    assert_eq!((run.state(), run.answers.correct), ("closed", 1));
    for bad in [
        answer(&keys[0], "paid", None),
        answer(&keys[0], "accepted", Some("X")),
        answer(&keys[0], "refused", None),
        answer(&keys[0], "refused", Some("a b")),
    ] {
        let refused = town.cases.fine_answers(&town.job, FineKind::Lez, std::slice::from_ref(&bad)).await;
        assert!(matches!(refused, Err(UseCaseError::Invalid(_))), "{bad:?}");
    }
    corrected(&town, &ids, &keys).await;
}

/// What is to be corrected goes back to a person; approved again, it is a new record that names the old one.
async fn corrected(town: &Town, ids: &[vms_core::FindingId], keys: &[String]) {
    assert!(town.vault.fine_holds(ids[0]).await.unwrap() && !town.vault.fine_holds(ids[2]).await.unwrap());
    assert_eq!(
        town.cases.fine_status(&town.job, FineKind::Lez).await.unwrap().waiting.findings,
        0,
        "not before a person looked again"
    );
    assert_eq!(town.vault.fine_superseded(ids[2]).await.unwrap(), Some(keys[2].clone()));
    town.clock.pass_s(30 * 86_400);
    let undo = || Verdict::Undo("kenteken opnieuw bekijken".to_owned());
    let decide = async |id, seen, verdict| {
        let outcome = town.cases.finding_decide(&town.agent, id, seen, verdict).await;
        match outcome {
            Ok(sight) => sight.finding.state.as_str().to_owned(),
            Err(UseCaseError::Conflict(Conflict::WrongState(word))) => word.to_owned(),
            Err(error) => panic!("{error:?}"),
        }
    };
    assert_eq!(decide(ids[0], 2, undo()).await, "in_a_batch");
    assert_eq!(decide(ids[2], 2, undo()).await, "open");
    let start = town.clock.now();
    assert_eq!(decide(ids[2], 3, Verdict::Approve).await, "approved");
    let second = town.batch(town.window(start));
    let records = lines(&second.folder, "offences.jsonl");
    assert_eq!(
        (texts(&records, "finding"), texts(&records, "supersedes")),
        (vec![ids[2].to_string()], vec![keys[2].clone()])
    );
    assert_ne!(records[0]["offence"], keys[2].as_str());
}

async fn a_sample_goes_to_a_second_person(store: &Store) {
    let town = town_with(store, true).await;
    let other = Actor { user: UserId::from_bytes([8; 16]), ..town.agent.clone() };
    let mut sampled = Vec::new();
    let mut n = 0;
    while sampled.len() < 3 {
        n += 1;
        let id = town.finding(&plate(n), "4").await;
        let sight = town.cases.finding_decide(&town.agent, id, 1, Verdict::Approve).await.unwrap();
        if sight.finding.state == FindingState::Open {
            assert_eq!(sight.finding.first_by, Some(town.agent.user));
            sampled.push(id);
        } else {
            assert_eq!(sight.finding.state, FindingState::Approved);
        }
    }
    // One in twenty; the key of the town is the same at every run.
    assert!((10..=200).contains(&n), "{n}");
    let same = town.cases.finding_decide(&town.agent, sampled[0], 2, Verdict::Approve).await;
    assert!(matches!(same, Err(UseCaseError::Conflict(Conflict::SamePerson))), "{same:?}");
    let undone =
        town.cases.finding_decide(&town.agent, sampled[1], 2, Verdict::Undo("toch niet".to_owned())).await.unwrap();
    assert_eq!((undone.finding.state, undone.finding.first_by), (FindingState::Open, None));
    let rejected = town.cases.finding_decide(&other, sampled[2], 2, Verdict::Reject("ander voertuig".to_owned())).await;
    assert_eq!(rejected.unwrap().finding.state, FindingState::Rejected);
    town.clock.pass_s(1);
    assert_eq!(town.cases.fine_status(&town.job, FineKind::Lez).await.unwrap().waiting.findings, n - 3);
    let approved = town.cases.finding_decide(&other, sampled[0], 2, Verdict::Approve).await.unwrap();
    assert_eq!((approved.finding.state, approved.finding.decided_by), (FindingState::Approved, Some(other.user)));
    town.clock.pass_s(1);
    assert_eq!(town.cases.fine_status(&town.job, FineKind::Lez).await.unwrap().waiting.findings, n - 2);
}

async fn a_decision_is_taken_back_by_who_made_it(store: &Store) {
    let town = town(store).await;
    let other = Actor { user: UserId::from_bytes([8; 16]), ..town.agent.clone() };
    let decide =
        async |actor: &Actor, id, seen, verdict| match town.cases.finding_decide(actor, id, seen, verdict).await {
            Ok(sight) => sight.finding.state.as_str().to_owned(),
            Err(UseCaseError::Conflict(Conflict::WrongState(word))) => word.to_owned(),
            Err(UseCaseError::Invalid(fields)) => format!("invalid {}", fields[0].field),
            Err(error) => panic!("{error:?}"),
        };
    let undo = || Verdict::Undo("te snel geklikt".to_owned());
    let id = town.finding("1AAA111", "4").await;
    assert_eq!(decide(&town.agent, id, 1, undo()).await, "open", "nothing to take back: the word is its state");
    assert_eq!(town.cases.finding_fetch(&town.agent, id).await.unwrap().finding.version, 1);
    for (seen, verdict, state) in
        [(1, Verdict::Approve, "approved"), (3, Verdict::Reject("wazig".to_owned()), "rejected")]
    {
        assert_eq!(decide(&town.agent, id, seen, verdict).await, state);
        assert_eq!(decide(&other, id, seen + 1, undo()).await, "somebody_elses");
        assert_eq!(decide(&town.agent, id, seen + 1, Verdict::Undo(" ".to_owned())).await, "invalid reason");
        assert_eq!(decide(&town.agent, id, seen + 1, undo()).await, "open");
    }
    assert_eq!(decide(&town.agent, id, 5, Verdict::Unclear(None)).await, "unclear");
    assert_eq!(decide(&town.agent, id, 6, Verdict::Approve).await, "approved");
    town.clock.pass_s(86_401);
    assert_eq!(decide(&town.agent, id, 7, undo()).await, "too_late");
    let row = sqlx::query("select count(*) as n from lez_finding_event").fetch_one(store.read()).await.unwrap();
    assert_eq!(sqlx::Row::try_get::<i64, _>(&row, "n").unwrap(), 6, "every step stays");
}

async fn name(town: &Town) -> String {
    town.cases.fine_status(&town.job, FineKind::Lez).await.unwrap().runs.remove(0).id
}

async fn one_works_a_run_and_only_the_job_may(store: &Store) {
    let town = town(store).await;
    let start = town.clock.now();
    town.approved("1AAA111", "4").await;
    let window = town.window(start);
    let state = |outcome: Result<FineRun, UseCaseError>| match outcome {
        Err(UseCaseError::Conflict(Conflict::WrongState(word))) => word.to_owned(),
        Err(UseCaseError::Denied { .. }) => "denied".to_owned(),
        Err(UseCaseError::Invalid(fields)) => format!("invalid {}", fields[0].field),
        Err(error) => panic!("{error:?}"),
        Ok(run) => run.state().to_owned(),
    };
    let run = async |actor: &Actor, window, holder: &str| {
        state(town.cases.fine_run_now(actor, FineKind::Lez, window, holder, false).await)
    };
    let other = Actor { org: OrgId::from_bytes([9; 16]), ..town.job.clone() };
    for (actor, wanted) in [(&town.agent, "denied"), (&other, "denied"), (&town.job, "open")] {
        assert_eq!(run(actor, window, "holder01").await, wanted);
    }
    assert_eq!(run(&town.job, window, "holder01").await, "open", "its own again");
    assert_eq!(run(&town.job, window, "holder02").await, "run_busy");
    let later = TimeRange::new(window.to, window.to.plus(Duration::from_secs(60))).unwrap();
    town.clock.pass_s(70);
    assert_eq!(run(&town.job, later, "holder01").await, "other_run_open");
    assert_eq!(run(&town.job, window, "holder02").await, "run_busy");
    town.clock.pass_s(60);
    assert_eq!(run(&town.job, window, "holder02").await, "open", "two minutes after the last sign of life");
    assert_eq!(run(&town.job, window, "x").await, "invalid holder");
    let tomorrow = TimeRange::new(window.to, town.clock.now().plus(Duration::from_secs(86_400))).unwrap();
    assert!(run(&town.job, tomorrow, "holder01").await.starts_with("invalid "));
    // Lines and signature are the holder's; nothing is signed before all lines left.
    let id = name(&town).await;
    let busy = town.cases.fine_lines(&town.job, &id, "holder01", 0).await;
    assert!(matches!(busy, Err(UseCaseError::Conflict(Conflict::WrongState("run_busy")))), "{busy:?}");
    let unsigned = town.cases.fine_sign(&town.job, &id, "holder02", b"{}").await;
    assert!(matches!(unsigned, Err(UseCaseError::Conflict(Conflict::WrongState("not_all_left")))), "{unsigned:?}");
    town.cases.fine_lines(&town.job, &id, "holder02", 0).await.unwrap();
    let unread = town.cases.fine_sign(&town.job, &id, "holder02", b"{}").await;
    assert!(matches!(unread, Err(UseCaseError::Conflict(Conflict::WrongState("manifest_unreadable")))), "{unread:?}");
    // The log away: nothing leaves.
    town.log.set_broken(true);
    let away = town.cases.fine_lines(&town.job, &id, "holder02", 0).await;
    assert!(matches!(away, Err(UseCaseError::LogUnavailable(_))), "{away:?}");
    town.log.set_broken(false);
    // Two at once: one opens, and both see the same run.
    let done = town.process(window, "holder02").unwrap();
    assert_eq!(done.facts.totals.taken, 1);
    let (a, b) = tokio::join!(
        town.cases.fine_run_now(&town.job, FineKind::Lez, later, "holder01", false),
        town.cases.fine_run_now(&town.job, FineKind::Lez, later, "holder02", false)
    );
    assert_eq!(u8::from(a.is_ok()) + u8::from(b.is_ok()), 1, "{a:?} {b:?}");
}
