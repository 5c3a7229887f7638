//! A line that is damaged between the opening of its run and the signature: the run goes on without it, and so do the next ones.

use vms_app::fines_ports::{FineKind, FineRun, FineStore as _, FineTotals};
use vms_app::ports::Clock as _;
use vms_app::{Conflict, UseCaseError};
use vms_store::Store;

use super::town::{Town, town};
use super::{lines, plate, texts};
use crate::reads::{damage, run};
use crate::suite::{postgres, sqlite};

on_both!(
    a_damaged_line_holds_up_no_run,
    what_was_merged_with_a_damaged_one_is_looked_at_again,
    a_run_is_signed_as_it_was_looked_at,
    nothing_is_refused_where_nothing_opens,
);

/// The text of one line in the place of another: it opens nowhere.
async fn damage_line(store: &Store, run_id: &str, (one, other): (u64, u64)) {
    let of = |position: u64| format!("run_id = '{run_id}' and position = {position}");
    let sql = "update fine_line set body = (select o.body from fine_line o where o.";
    run(store, &format!("{sql}{}) where {}", of(other).replace(" and ", " and o."), of(one))).await;
}

async fn opened(town: &Town, records: u64) -> (Vec<String>, vms_core::TimeRange, String) {
    let start = town.clock.now();
    let mut ids = Vec::new();
    for n in 1..=records {
        ids.push(town.approved(&plate(n), "4").await.to_string());
    }
    let window = town.window(start);
    let run = town.cases.fine_run_now(&town.job, FineKind::Lez, window, "holder01", false).await.unwrap();
    assert_eq!((run.totals.taken, run.totals.records), (records, records));
    (ids, window, run.id)
}

fn word(outcome: Result<impl std::fmt::Debug, UseCaseError>) -> &'static str {
    match outcome {
        Err(UseCaseError::Conflict(Conflict::WrongState(word))) => word,
        other => panic!("{other:?}"),
    }
}

async fn a_damaged_line_holds_up_no_run(store: &Store) {
    let town = town(store).await;
    let (ids, window, id) = opened(&town, 5).await;
    let lines_of = async || town.cases.fine_lines(&town.job, &id, "holder01", 0).await;
    let reopened =
        async || town.cases.fine_run_now(&town.job, FineKind::Lez, window, "holder01", false).await.unwrap().totals;
    // A line before it leaves: it is made again from its finding, and nothing is lost.
    damage_line(store, &id, (2, 1)).await;
    assert_eq!(word(lines_of().await), "run_damaged");
    assert!(town.cases.fine_status(&town.job, FineKind::Lez).await.unwrap().runs.is_empty(), "nothing was signed");
    let totals = reopened().await;
    assert_eq!((totals.taken, totals.records), (5, 5));
    // A picture that the job has already: its record goes, since nobody could look at it again.
    assert_eq!(lines_of().await.unwrap().iter().map(|one| one.pictures.len()).collect::<Vec<_>>(), [2, 1, 2, 1, 2]);
    damage(store, "lez_finding", "overview", (&ids[2], &ids[0])).await;
    assert_eq!(word(lines_of().await), "run_damaged");
    let totals = reopened().await;
    assert_eq!((totals.records, totals.refused, totals.fines), (4, 1, 4));
    // A line that is damaged when all have left: the manifest with it is not signed any more.
    lines_of().await.unwrap();
    damage_line(store, &id, (5, 1)).await;
    assert_eq!(word(town.cases.fine_sign(&town.job, &id, "holder01", b"{}").await), "run_damaged");
    assert_eq!(town.leaves("fine_run_given_up"), 3);

    // The job does all of that by itself; the opening is another one by its instant.
    assert_eq!(reopened().await.records, 4);
    damage_line(store, &id, (1, 2)).await;
    damage_line(store, &id, (3, 2)).await;
    town.clock.pass_s(1);
    let done = town.batch(window);
    let (records, rejects) = (lines(&done.folder, "offences.jsonl"), lines(&done.folder, "rejects.jsonl"));
    let whole = [0, 1, 3, 4].map(|n: usize| ids[n].clone());
    assert_eq!((texts(&records, "finding"), done.facts.chain), (whole.to_vec(), 1));
    assert_eq!(
        (texts(&rejects, "finding"), texts(&rejects, "reason")),
        (vec![ids[2].clone()], vec!["damaged".to_owned()])
    );
    assert_eq!(town.leaves("fine_run_given_up"), 4);
    assert_eq!(town.batch(window).manifest_sha256, done.manifest_sha256, "again, it is the same");

    // Signed, a run is not given up; its lost folder says why it cannot be written again.
    damage_line(store, &id, (1, 2)).await;
    assert!(town.batch(window).was_there, "the folder is what was signed");
    std::fs::remove_dir_all(&done.folder).unwrap();
    assert_eq!(word(lines_of().await), "damaged");
    assert_eq!(town.leaves("fine_run_given_up"), 4);
    assert_eq!(town.cases.fine_status(&town.job, FineKind::Lez).await.unwrap().runs.len(), 1);
}

/// Of two findings of a vehicle the second was merged into the first. When a picture of the first is gone, the second is the fine.
async fn what_was_merged_with_a_damaged_one_is_looked_at_again(store: &Store) {
    let town = town(store).await;
    let start = town.clock.now();
    let first = town.approved(&plate(1), "4").await;
    town.clock.pass_s(5 * 86_400);
    let second = town.forced(&plate(1), "4").await;
    let window = town.window(start);
    let run = town.cases.fine_run_now(&town.job, FineKind::Lez, window, "holder01", false).await.unwrap();
    assert_eq!((run.totals.records, run.totals.merged), (1, 1));
    damage(store, "lez_finding", "crop", (&first.to_string(), &second.to_string())).await;
    let done = town.batch(window);
    assert_eq!(texts(&lines(&done.folder, "offences.jsonl"), "finding"), [second.to_string()]);
    let rejects = lines(&done.folder, "rejects.jsonl");
    assert_eq!(
        (texts(&rejects, "finding"), texts(&rejects, "reason")),
        (vec![first.to_string()], vec!["damaged".to_owned()])
    );
}

/// A run that was opened anew between the look at its lines and the signature is not signed as it was.
async fn a_run_is_signed_as_it_was_looked_at(store: &Store) {
    let town = town(store).await;
    let (_, window, id) = opened(&town, 2).await;
    let looked = town.cases.fine_run_now(&town.job, FineKind::Lez, window, "holder01", false).await.unwrap();
    town.cases.fine_lines(&town.job, &id, "holder01", 0).await.unwrap();
    town.vault.fine_void(&looked).await.unwrap();
    town.clock.pass_s(1);
    let anew = town.cases.fine_run_now(&town.job, FineKind::Lez, window, "holder01", false).await.unwrap();
    let at = town.clock.now();
    assert!(!town.vault.fine_sign(&looked, "00", at).await.unwrap(), "another opening");
    let fewer = FineRun { totals: FineTotals { records: 1, refused: 1, ..anew.totals }, ..anew.clone() };
    assert!(!town.vault.fine_sign(&fewer, "00", at).await.unwrap(), "another record less");
    town.vault.fine_left(&looked, (0, 2), at).await.unwrap();
    assert_eq!(store_count(store, "left_at_us is not null").await, 0, "nothing of the new opening has left");
    assert!(town.vault.fine_sign(&anew, "00", at).await.unwrap());
    town.vault.fine_void(&anew).await.unwrap();
    assert_eq!(store_count(store, "1 = 1").await, 2, "what is signed stays");
}

async fn nothing_is_refused_where_nothing_opens(store: &Store) {
    let town = town(store).await;
    let start = town.clock.now();
    let ids = [1, 2, 3].map(plate);
    let mut made = Vec::new();
    for plate in ids {
        made.push(town.approved(&plate, "4").await.to_string());
    }
    let swap = async |column: &str| {
        let next = |n: usize| (made[n].as_str(), made[(n + 1) % 3].as_str());
        for n in 0..3 {
            damage(store, "lez_finding", column, next(n)).await;
        }
    };
    swap("file").await;
    let window = town.window(start);
    let refused = town.cases.fine_run_now(&town.job, FineKind::Lez, window, "holder01", false).await;
    assert!(matches!(refused, Err(UseCaseError::StoreUnavailable(_))), "{refused:?}");
    assert_eq!(store_count(store, "1 = 1").await, 0);
    // One that opens, of whatever window, and they are damaged indeed.
    town.clock.pass_s(3_600);
    town.finding(&plate(4), "4").await;
    let run = town.cases.fine_run_now(&town.job, FineKind::Lez, window, "holder01", false).await.unwrap();
    assert_eq!((run.totals.taken, run.totals.refused), (3, 3));
}

async fn store_count(store: &Store, what: &str) -> i64 {
    let sql = format!("select count(*) as n from fine_line where {what}");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(store.read()).await.unwrap();
    sqlx::Row::try_get(&row, "n").unwrap()
}
