//! The whole tamper battery (reliability.md L5): 5,000 forgeries and 1,000 clean runs through the verifier in Rust and the one in
//! Python, counted by kind. `cargo run -p audit --example tamper [FORGERIES [CLEAN_RUNS]]`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a tool for tests, which reads the real clock"
)]

#[path = "../tests/battery/mod.rs"]
mod battery;

fn main() {
    let mut args = std::env::args().skip(1).map(|text| text.parse::<usize>().unwrap());
    let (forgeries, clean_runs) = (args.next().unwrap_or(5_000), args.next().unwrap_or(1_000));
    let started = std::time::Instant::now();
    let (counts, alarms) = battery::run(forgeries, clean_runs, |text| println!("{text}"));
    println!("{:28} {:>9} {:>9} {:>9}", "kind", "forged", "Rust", "Python");
    for (kind, count) in battery::KINDS.iter().zip(&counts) {
        println!("{kind:28} {:>9} {:>9} {:>9}", count[0], count[1], count[2]);
    }
    let sum = |at: usize| counts.iter().map(|count| count[at]).sum::<usize>();
    println!("{:28} {:>9} {:>9} {:>9}", "all", sum(0), sum(1), sum(2));
    println!("false alarms in {clean_runs} clean runs: Rust {}, Python {}", alarms[0], alarms[1]);
    println!("{:.0} s", started.elapsed().as_secs_f64());
}
