//! The tamper battery (reliability.md L5) at the size of a test run; `cargo run -p audit --example tamper` does all 5,000.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests say what they expect")]

mod battery;

#[test]
fn every_forgery_is_caught_by_both_verifiers_and_no_clean_log_is() {
    let (counts, alarms) = battery::run(506, 100, |text| println!("{text}"));
    for (kind, count) in battery::KINDS.iter().zip(&counts) {
        assert_eq!([count[0]; 2], count[1..], "{kind}: {count:?}");
    }
    assert_eq!(counts.iter().map(|count| count[0]).sum::<usize>(), 506);
    assert_eq!(alarms, [0, 0]);
}
