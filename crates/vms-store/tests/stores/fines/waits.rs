//! No batch holds what can still change: a day pass can be bought until the end of the next day, a permit regularised where a municipality
//! lets it. At the instant itself, a microsecond before and after, across the change of the clock, and with an earlier finding that waits.

use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::Row as _;
use traffic_rules::zbt::PermitStatus;
use vms_app::fines_ports::{
    AnswerCounts, Candidate, FineHeld, FineKind, FineOpen, FinePermit, FineRun, FineStore as _, FineTotals, FineWaits,
    NewFineLine,
};
use vms_app::gate::action::{EditPermits, SendFines};
use vms_app::gate::{Circumstances, Target, Why};
use vms_app::lez::findings::Verdict;
use vms_app::lez_ports::{FindingVerdict, LezStore as _, Tally};
use vms_app::pass_ports::SoldPass;
use vms_app::ports::{Clock as _, StoreError};
use vms_app::traffic_ports::NewPermit;
use vms_core::{Country, FindingId, Plate, Profile, Purpose, Relation, TimeRange, WallTime};
use vms_store::Store;

use super::town::{MINUTE, START_S, Town, town, town_of};
use super::{lines, plate, texts};
use crate::suite::{permit_for, postgres, sqlite};

on_both!(
    a_fine_waits_until_no_day_pass_can_be_bought,
    a_day_pass_that_comes_while_it_waits_closes_the_finding,
    an_earlier_one_that_waits_holds_the_later_one,
    an_approval_from_before_the_column_waits_too,
    more_at_one_midnight_than_a_run_takes_go_with_the_next,
    a_passage_waits_until_no_permit_can_regularise_it,
    lines_fetched_out_of_order_are_all_logged_and_only_then_signed,
);

const US: i64 = 1;

/// `YYYY-MM-DDTHH:MM:SSZ` of the months around the start.
fn instant(text: &str) -> WallTime {
    let part = |from: usize, to: usize| text.get(from..to).unwrap().parse::<i64>().unwrap();
    let days_before = match (part(0, 4), part(5, 7)) {
        (2026, 10) => 0,
        (2026, 11) => 31,
        other => panic!("{other:?}"),
    };
    // The town starts on 5 October at 10:00.
    let days = days_before + part(8, 10) - 5;
    let seconds = (part(11, 13) - 10) * 3_600 + part(14, 16) * 60 + part(17, 19);
    WallTime::from_secs(START_S + days * 86_400 + seconds)
}

fn shifted(at: WallTime, by_us: i64) -> WallTime {
    WallTime::from_micros(at.micros + by_us)
}

impl Town {
    /// Time passes until then.
    fn until(&self, at: WallTime) {
        let left_us = at.micros - self.clock.now().micros;
        assert!(left_us >= 0, "it is later already");
        self.clock.pass_s(left_us / 1_000_000);
    }

    async fn dry(&self, window: TimeRange) -> FineRun {
        self.cases.fine_run_now(&self.job, self.kind, window, "holder01", true).await.unwrap()
    }

    async fn open(&self) -> FineOpen {
        self.cases.fine_status(&self.job, self.kind).await.unwrap().waiting
    }

    /// Sold for the day of a read in Brussels.
    async fn sold(&self, plate: &str, day: &str, bought_at: WallTime) -> (u64, u64) {
        let sold = SoldPass::parse(plate, "B", day, bought_at).unwrap();
        let told = self.cases.fine_passes(&self.job, &[sold]).await.unwrap();
        assert_eq!(told.out_of_term, 0);
        (told.noted, told.known)
    }
}

async fn number(store: &Store, sql: &'static str) -> i64 {
    sqlx::query(sql).fetch_one(store.read()).await.unwrap().try_get("n").unwrap()
}

async fn job_permit(town: &Town) -> FinePermit {
    let circumstances = Circumstances { flow_active: true, own_territory: true, ..Circumstances::none() };
    let target = Target { owner: Some(town.job.org), relation: Relation::Own, circumstances, ..Target::none() };
    let why = Why { purpose: Some(Purpose::Lez), ..Why::default() };
    FinePermit::Lez(town.cases.gate().permit::<SendFines>(&town.job, target, &why).await.unwrap())
}

fn span(from: WallTime, to: WallTime) -> TimeRange {
    TimeRange::new(from, to).unwrap()
}

/// The line of a record as a run would keep it, whatever chose it.
fn a_line(finding: FindingId) -> NewFineLine {
    NewFineLine {
        position: 1,
        finding,
        seen: 2,
        offence: Some(format!("ofc_{}", "0".repeat(32))),
        outcome: None,
        vehicle: "v".to_owned(),
        verdict: FindingVerdict::Infraction,
        fine_id: None,
        amount_cents: Some(1),
        at: WallTime::from_secs(0),
        pictures: Vec::new(),
        text: "{}".to_owned(),
        closes: None,
    }
}

/// A run with nothing in it, as somebody might keep it who goes past the use case.
fn a_run(id: &str, range: TimeRange, waits: FineWaits) -> FineRun {
    FineRun {
        id: id.to_owned(),
        kind: FineKind::Lez,
        authority: None,
        chain: 99,
        previous: String::new(),
        range,
        opened_at: range.to,
        rule_set: "test".to_owned(),
        totals: FineTotals::default(),
        waits: Some(waits),
        signed: None,
        answers: AnswerCounts::default(),
    }
}

async fn a_fine_waits_until_no_day_pass_can_be_bought(store: &Store) {
    let town = town(store).await;
    town.age_s.store(0, Ordering::SeqCst);
    let permit = job_permit(&town).await;
    let mut number = 0;
    // Read when; final when. The clock goes back in the night to 25 October: that day has 25 hours.
    for (read_at, final_from) in [
        ("2026-10-22T10:00:00Z", "2026-10-23T22:00:00Z"),
        ("2026-10-23T21:59:59Z", "2026-10-24T22:00:00Z"),
        ("2026-10-23T22:00:00Z", "2026-10-25T23:00:00Z"),
        ("2026-10-24T22:30:00Z", "2026-10-26T23:00:00Z"),
        ("2026-10-25T00:30:00Z", "2026-10-26T23:00:00Z"),
        ("2026-10-25T01:30:00Z", "2026-10-26T23:00:00Z"),
        ("2026-10-25T22:59:59Z", "2026-10-26T23:00:00Z"),
        ("2026-10-25T23:00:00Z", "2026-10-27T23:00:00Z"),
    ] {
        let (read_at, final_from) = (instant(read_at), instant(final_from));
        number += 1;
        town.until(read_at);
        let id = town.approved(&plate(number), "4").await;
        let found = town.cases.finding_fetch(&town.agent, id).await.unwrap().finding;
        assert_eq!(found.measure.final_from, Some(final_from), "{read_at:?}");
        let approved_at = found.decided_at.unwrap();
        for (by_us, is_taken) in [(-US, false), (0, false), (US, true)] {
            let range = span(shifted(final_from, -MINUTE), shifted(final_from, by_us));
            let ready = town.vault.fine_candidates(&permit, range, 9).await.unwrap();
            assert_eq!(
                ready.iter().any(|one| matches!(one, Candidate::Whole(finding) if finding.id == id)),
                is_taken,
                "{read_at:?} and {by_us} µs"
            );
            // The window of the approval never has it, before or after.
            let early = span(shifted(approved_at, -MINUTE), shifted(approved_at, MINUTE));
            assert!(town.vault.fine_candidates(&permit, early, 9).await.unwrap().is_empty());
            let waits = town.vault.fine_waits(&permit, range).await.unwrap();
            assert_eq!(waits.not_final > 0, !is_taken, "{waits:?}");
            // Past whoever chooses: the door itself.
            if !is_taken {
                let run = a_run(&format!("fines-door-{number}-{by_us}"), range, waits);
                let forced = town.vault.fine_open(&permit, &run, &[a_line(id)], &[]).await;
                assert!(matches!(forced, Err(StoreError::Stale)), "{forced:?}");
                let lied = FineRun { waits: Some(FineWaits::default()), ..run };
                let forced = town.vault.fine_open(&permit, &lied, &[], &[]).await;
                assert!(matches!(forced, Err(StoreError::Stale)), "{forced:?}");
            }
        }
        town.cases.finding_decide(&town.agent, id, 2, Verdict::Undo("volgende".to_owned())).await.unwrap();
    }
    // With the whole machine: the window that ends at the instant tells of it and leaves it; the one that begins there has it.
    town.until(instant("2026-11-02T10:00:00Z"));
    town.age_s.store(0, Ordering::SeqCst);
    let start = town.clock.now();
    let id = town.approved(&plate(90), "4").await;
    let final_from = instant("2026-11-03T23:00:00Z");
    let first = (final_from, final_from);
    town.until(shifted(final_from, -1_000_000));
    assert_eq!(town.open().await, FineOpen { findings: 1, not_final: 1, final_from: Some(first) });
    town.until(final_from);
    assert_eq!(town.open().await, FineOpen { findings: 1, not_final: 0, final_from: None });
    let before = span(start, final_from);
    let waits = FineWaits { approved: 1, not_final: 1, until: Some(final_from), holder: 0 };
    let dry = town.dry(before).await;
    assert_eq!((dry.totals.taken, dry.waits), (0, Some(waits)));
    let empty = town.batch(before);
    let said = empty.facts.waiting.clone().unwrap();
    assert_eq!((said.approved, said.not_final, said.until.as_deref()), (1, 1, Some("2026-11-03T23:00:00.000000Z")));
    let manifest = std::fs::read_to_string(empty.folder.join("manifest.json")).unwrap();
    assert!(manifest.contains("\"not_final\": 1"), "what waits is signed too");
    town.clock.pass_s(60);
    let done = town.batch(span(final_from, shifted(final_from, MINUTE)));
    assert_eq!(texts(&lines(&done.folder, "offences.jsonl"), "finding"), [id.to_string()]);
    assert_eq!(done.facts.waiting.map(|waits| (waits.approved, waits.not_final)), Some((1, 0)));
    assert_eq!(town.open().await.findings, 0);
}

async fn a_day_pass_that_comes_while_it_waits_closes_the_finding(store: &Store) {
    let town = town(store).await;
    town.age_s.store(0, Ordering::SeqCst);
    let start = town.clock.now();
    let mut ids = Vec::new();
    for n in 1..=4 {
        ids.push(town.approved(&plate(n), "4").await);
    }
    let final_from = instant("2026-10-06T22:00:00Z");
    let window = span(start, shifted(final_from, MINUTE));
    town.until(shifted(final_from, MINUTE));
    let day = "2026-10-05";
    assert_eq!(town.sold(&plate(1), day, shifted(final_from, -US)).await, (1, 0), "in the last microsecond");
    assert_eq!(town.sold(&plate(2), day, final_from).await, (1, 0), "too late");
    assert_eq!(town.sold(&plate(3), "2026-10-06", start).await, (1, 0), "for another day");
    assert_eq!(town.sold(&plate(1), day, shifted(final_from, -US)).await, (0, 1), "again: nothing changes");
    assert_eq!(town.sold(&plate(4), day, final_from).await, (1, 0));
    assert_eq!(town.sold(&plate(4), day, start).await, (1, 0), "of two the one that was bought first");
    let ahead = SoldPass::parse(&plate(5), "B", day, shifted(town.clock.now(), US)).unwrap();
    assert!(town.cases.fine_passes(&town.job, &[ahead]).await.is_err(), "bought in the future");
    assert!(town.cases.fine_passes(&town.agent, &[]).await.is_err(), "only the job tells them");

    let dry = town.dry(window).await;
    assert_eq!((dry.totals.taken, dry.totals.records, dry.totals.refused), (4, 2, 2));
    assert_eq!(number(store, "select count(*) as n from lez_finding").await, 4, "a dry run erases nothing");
    let done = town.batch(window);
    let rejects = lines(&done.folder, "rejects.jsonl");
    assert_eq!(texts(&lines(&done.folder, "offences.jsonl"), "finding"), [ids[1].to_string(), ids[2].to_string()]);
    assert_eq!(texts(&rejects, "finding"), [ids[0].to_string(), ids[3].to_string()]);
    assert_eq!(texts(&rejects, "reason"), ["day_pass", "day_pass"]);
    // Erased as what it is: counted as a pass, its row, its decisions and its key gone.
    town.vault.lez_sweep(town.clock.now()).await.unwrap();
    assert_eq!(number(store, "select count(*) as n from lez_finding").await, 2);
    assert_eq!(number(store, "select count(*) as n from lez_finding_event").await, 2);
    assert_eq!(number(store, "select count(*) as n from lez_key where object <> ''").await, 2);
    assert_eq!(number(store, "select count(*) as n from fine_line where vehicle = '' and body is null").await, 2);
    let counts = town.vault.day_counts(Purpose::Lez, day.parse().unwrap()).await.unwrap();
    let passes = counts.iter().find(|count| count.outcome == Tally::Pass.as_str()).map(|count| count.count);
    assert_eq!(passes, Some(2));
    // The reason is in the log with the run, and no plate.
    let log = format!("{:?}", town.log.entries());
    assert!(log.contains("day_passes_told") && log.contains("\"reason\": String(\"day_pass\")"), "{log}");
    assert!(!log.contains(&plate(1)) && !log.contains(&plate(4)));
    // A folder that was lost is written again with the same bytes.
    std::fs::remove_dir_all(&done.folder).unwrap();
    assert_eq!(town.batch(window).manifest_sha256, done.manifest_sha256);
    // A pass is no agent's to overlook: nothing is approved against one.
    let found = town.finding(&plate(6), "4").await;
    let today = traffic_rules::Day::at(town.clock.now()).to_string();
    town.sold(&plate(6), &today, town.clock.now()).await;
    assert!(town.cases.finding_decide(&town.agent, found, 1, Verdict::Approve).await.is_err());
    // And passes go at their term: a year after their day.
    assert_eq!(number(store, "select count(*) as n from lez_pass").await, 5);
    town.clock.pass_s(367 * 86_400);
    town.vault.lez_sweep(town.clock.now()).await.unwrap();
    assert_eq!(number(store, "select count(*) as n from lez_pass").await, 0);
}

/// What happens to the earlier of two findings of a vehicle while it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Earlier {
    Stands,
    HasPass,
    IsTakenBack,
}

async fn an_earlier_one_that_waits_holds_the_later_one(store: &Store) {
    let town = town(store).await;
    for (n, fate) in (1..).zip([Earlier::Stands, Earlier::HasPass, Earlier::IsTakenBack]) {
        let start = WallTime::from_micros(town.clock.now().micros.div_euclid(MINUTE) * MINUTE);
        let plate = plate(n);
        let earlier = town.forced(&plate, "4").await;
        town.clock.pass_s(86_400);
        let later = town.forced(&plate, "4").await;
        // As under tables that give the earlier day a longer term.
        let until = WallTime::from_micros(start.micros + 3 * 86_400 * 1_000_000);
        let sql = "update lez_finding set final_from_us = $2 where id = $1";
        sqlx::query(sql).bind(earlier.to_string()).bind(until.micros).execute(store.read()).await.unwrap();
        let window = span(start, shifted(start, 2 * 86_400 * 1_000_000));
        town.until(window.to);
        let dry = town.dry(window).await;
        let waits = FineWaits { approved: 2, not_final: 2, until: Some(until), holder: 0 };
        assert_eq!((dry.totals.taken, dry.waits), (0, Some(waits)), "{fate:?}");
        let empty = town.batch(window);
        assert_eq!(empty.facts.totals.taken, 0);
        match fate {
            Earlier::Stands => {}
            Earlier::HasPass => {
                let at = shifted(start, -3 * 86_400 * 1_000_000);
                let day = traffic_rules::Day::at(at).to_string();
                town.sold(&plate, &day, at).await;
            }
            Earlier::IsTakenBack => {
                // Whoever approved it does, past the term of the queue.
                let sql = "update lez_finding set state = 'open', version = version + 1 where id = $1";
                sqlx::query(sql).bind(earlier.to_string()).execute(store.read()).await.unwrap();
            }
        }
        let second = span(window.to, shifted(until, MINUTE));
        town.until(second.to);
        let done = town.batch(second);
        let of = |file: &str, key: &str| texts(&lines(&done.folder, file), key);
        let (records, rejects) = (of("offences.jsonl", "finding"), of("rejects.jsonl", "reason"));
        match fate {
            // The one that was read first is the record, whatever was ready first.
            Earlier::Stands => {
                assert_eq!((records, rejects), (vec![earlier.to_string()], vec!["in_window".to_owned()]))
            }
            Earlier::HasPass => assert_eq!((records, rejects), (vec![later.to_string()], vec!["day_pass".to_owned()])),
            Earlier::IsTakenBack => assert_eq!((records, rejects.len()), (vec![later.to_string()], 0)),
        }
        assert_eq!(town.open().await.findings, 0, "none is left behind");
        town.until(shifted(second.to, 60 * MINUTE));
    }
}

async fn an_approval_from_before_the_column_waits_too(store: &Store) {
    let town = town(store).await;
    town.age_s.store(0, Ordering::SeqCst);
    let start = town.clock.now();
    let id = town.approved(&plate(1), "4").await;
    sqlx::query("update lez_finding set final_from_us = null").execute(store.read()).await.unwrap();
    assert_eq!(town.open().await.not_final, 0, "nobody knows");
    let (window, final_from) = (town.window(start), instant("2026-10-06T22:00:00Z"));
    let dry = town.dry(window).await;
    assert_eq!((dry.totals.taken, dry.waits.and_then(|waits| waits.until)), (0, Some(final_from)));
    assert_eq!(town.batch(window).facts.totals.taken, 0);
    assert_eq!(town.open().await.final_from, Some((final_from, final_from)), "the tables said it");
    town.until(shifted(final_from, MINUTE));
    let done = town.batch(span(window.to, shifted(final_from, MINUTE)));
    assert_eq!(texts(&lines(&done.folder, "offences.jsonl"), "finding"), [id.to_string()]);
    // Held past what was final meanwhile: the version or the state is another one.
    let held = FineHeld { finding: id, seen: 9, until: final_from };
    let range = span(shifted(final_from, MINUTE), shifted(final_from, 2 * MINUTE));
    let run = a_run("fines-stale", range, FineWaits::default());
    let stale = town.vault.fine_open(&job_permit(&town).await, &run, &[], &[held]).await;
    assert!(matches!(stale, Err(StoreError::Stale)), "{stale:?}");
}

async fn a_passage_waits_until_no_permit_can_regularise_it(store: &Store) {
    let town = town_of(store, false, true, None).await.of(FineKind::Zbt).await;
    let start = town.clock.now();
    let mut ids = Vec::new();
    for n in 1..=3 {
        ids.push(town.approved(&plate(n), "").await);
    }
    // Monday; until 23:00 of the next working day.
    let final_from = instant("2026-10-06T21:00:00Z");
    town.answered().await;
    assert!(town.registry.asked.lock().unwrap().is_empty(), "nobody's holder while a permit can still come");
    let early = town.window(start);
    let waits = FineWaits { approved: 3, not_final: 3, until: Some(final_from), holder: 0 };
    assert_eq!(town.dry(early).await.waits, Some(waits));
    let why =
        Why { purpose: Some(Purpose::Zbt), justification: Some("aanvraag na de doorrit".to_owned()), ..Why::default() };
    let desk = permit_for::<EditPermits>(Profile::P08, &why).await;
    let permits = &town.cases.extensions().traffic.as_ref().unwrap().permits;
    for (n, granted_at) in [(1, shifted(final_from, -US)), (2, final_from)] {
        let new = NewPermit {
            id: format!("P-{n}"),
            plate: Plate::parse(&plate(n)).unwrap(),
            country: Country::BELGIUM,
            right: "Z-MED".to_owned(),
            zones: vec!["ZBT-XL-A".to_owned()],
            from: shifted(start, -60 * MINUTE),
            to: start.plus(Duration::from_secs(30 * 86_400)),
            granted_at,
            status: PermitStatus::Granted,
            windows: Vec::new(),
            group: None,
            evidence: "dossier".to_owned(),
        };
        permits.permit_put(&desk, &new, town.agent.user, granted_at).await.unwrap();
    }
    town.until(shifted(final_from, -1_000_000));
    town.service.holder_round().await.unwrap();
    assert!(town.registry.asked.lock().unwrap().is_empty());
    town.until(final_from);
    town.service.holder_round().await.unwrap();
    let asked: Vec<usize> = town.registry.asked.lock().unwrap().iter().map(|ask| ask.2).collect();
    assert_eq!(asked, [2], "and never of the vehicle that was allowed");
    let done = town.batch(town.window(final_from));
    let rejects = lines(&done.folder, "rejects.jsonl");
    assert_eq!(texts(&lines(&done.folder, "offences.jsonl"), "finding"), [ids[1].to_string(), ids[2].to_string()]);
    assert_eq!(
        (texts(&rejects, "finding"), texts(&rejects, "reason")),
        (vec![ids[0].to_string()], vec!["permit".to_owned()])
    );
    assert_eq!(number(store, "select count(*) as n from lez_finding").await, 2);
    assert_eq!(number(store, "select count(*) as n from finding_holder").await, 2);
    assert_eq!(done.facts.waiting.map(|waits| waits.approved), Some(3));
}

async fn lines_fetched_out_of_order_are_all_logged_and_only_then_signed(store: &Store) {
    let town = town(store).await;
    let start = town.clock.now();
    for n in 1..=3 {
        town.approved(&plate(n), "4").await;
    }
    let window = town.window(start);
    let run = town.cases.fine_run_now(&town.job, FineKind::Lez, window, "holder01", false).await.unwrap();
    // Whoever asks for the last line first has not had the others.
    assert_eq!(town.cases.fine_lines(&town.job, &run.id, "holder01", 2).await.unwrap().len(), 1);
    assert_eq!(town.leaves("fine_handed_over"), 1);
    let early = town.cases.fine_sign(&town.job, &run.id, "holder01", b"{}").await;
    assert!(format!("{early:?}").contains("not_all_left"), "{early:?}");
    town.batch(window);
    assert_eq!(town.leaves("fine_handed_over"), 3, "each in the log before it left, and once");
}

async fn more_at_one_midnight_than_a_run_takes_go_with_the_next(store: &Store) {
    let town = town_of(store, false, false, Some(2)).await;
    town.age_s.store(0, Ordering::SeqCst);
    let mut ids = Vec::new();
    for n in 1..=5 {
        ids.push(town.approved(&plate(n), "4").await.to_string());
        town.clock.pass_s(1);
    }
    let final_from = instant("2026-10-06T22:00:00Z");
    let minute = |n: i64| span(shifted(final_from, n * MINUTE), shifted(final_from, (n + 1) * MINUTE));
    town.until(shifted(final_from, 10 * MINUTE));
    let wide = span(final_from, shifted(final_from, 2 * MINUTE));
    let many = town.cases.fine_run_now(&town.job, FineKind::Lez, wide, "holder01", true).await;
    assert!(format!("{many:?}").contains("too_many"), "{many:?}");
    let mut seen = Vec::new();
    for (n, left) in [(0, 3), (1, 1), (2, 0)] {
        let done = town.batch(minute(n));
        seen.extend(texts(&lines(&done.folder, "offences.jsonl"), "finding"));
        let waits = done.facts.waiting.unwrap();
        assert_eq!((waits.not_final, waits.approved), (left, done.facts.totals.taken + left));
        assert_eq!(town.open().await.findings, left);
    }
    assert_eq!(seen, ids, "in the order of their reads, none lost, none twice");
}
