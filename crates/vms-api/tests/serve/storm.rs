//! Figures of the log-in (reliability.md A6), for a machine that does nothing else:
//! `cargo test -p vms-api --test serve storm -- --ignored --nocapture`. They assert counts, never times.

#![expect(clippy::disallowed_methods, reason = "figures are taken by the real clock")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vms_app::UseCaseError;
use zeroize::Zeroizing;

use crate::town::Town;

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn known_and_unknown_accounts_take_the_same_time() {
    let town = Town::settled().await;
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for round in 0..200_u32 {
        // One of each, so that what the machine does beside falls on both; the order changes without a beat, so that neither kind always
        // meets the same thread with the same memory.
        let mut pair = [("operator", &mut known), ("nobody-there", &mut unknown)];
        if round.wrapping_mul(2_654_435_769) >> 31 == 1 {
            pair.reverse();
        }
        for (name, times) in pair {
            town.clock.pass_s(400);
            let began = Instant::now();
            let outcome =
                town.cases.login(name, Zeroizing::new(format!("wrong wrong {round}")), &format!("s{round}")).await;
            times.push(began.elapsed());
            assert!(
                matches!(outcome, Err(UseCaseError::LoginFailed | UseCaseError::TooManyTries { .. })),
                "{name} {round}: {outcome:?}"
            );
        }
        // A hundred wrong ones in a row are another path; begin a new row.
        if round % 90 == 89 {
            town.clock.pass_s(4_000);
            town.cases.login("operator", Zeroizing::new(crate::town::PASSWORD.to_owned()), "home").await.unwrap();
            town.clock.pass_s(4_000);
        }
    }
    known.truncate(90);
    unknown.truncate(90);
    let (known, unknown) = (median(&mut known), median(&mut unknown));
    let apart = (known.as_secs_f64() / unknown.as_secs_f64() - 1.0) * 100.0;
    println!("median known {known:?}, unknown {unknown:?}: {apart:+.2} % apart (least cost of the tests)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn a_thousand_log_ins_at_once() {
    let town = Town::settled().await;
    let cases = Arc::clone(&town.cases);
    let began = Instant::now();
    let mut all = tokio::task::JoinSet::new();
    for n in 0..1_000_u32 {
        let cases = Arc::clone(&cases);
        all.spawn(async move {
            let began = Instant::now();
            let outcome = cases
                .login(&format!("somebody{n}"), Zeroizing::new("wrong wrong wrong".to_owned()), &format!("10.0.{n}"))
                .await;
            let word = match outcome {
                Err(UseCaseError::LoginFailed) => "checked",
                Err(UseCaseError::TooManyTries { .. }) => "turned away",
                _ => "else",
            };
            (word, began.elapsed())
        });
    }
    let mut counts: BTreeMap<&str, (u32, Duration)> = BTreeMap::new();
    while let Some(done) = all.join_next().await {
        let (word, took) = done.unwrap();
        let entry = counts.entry(word).or_default();
        *entry = (entry.0 + 1, entry.1.max(took));
    }
    println!("1,000 log-ins at once: {counts:?} (count, longest), all in {:?}", began.elapsed());
    assert!(!counts.contains_key("else"));
    assert_eq!(counts.values().map(|(count, _)| count).sum::<u32>(), 1_000);
    assert!(counts["turned away"].0 > 800, "few wait, the rest is turned away at once");
    // Afterwards it is as before.
    assert_eq!(town.log_in("operator", crate::town::PASSWORD).await.status(), http::StatusCode::OK);
}
