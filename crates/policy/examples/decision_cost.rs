//! What a decision costs with the shipped matrix: `cargo run --release -p policy --example decision_cost`.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "an example that measures and prints")]

use std::time::{Duration, Instant};

use policy::{Matrix, Request};
use vms_core::{Purpose, Relation, Rendition};

const ROUNDS: usize = 200;

fn percentile(sorted: &[Duration], part: usize) -> Duration {
    sorted.get(sorted.len() * part / 100).copied().unwrap_or_default()
}

fn main() -> Result<(), policy::MatrixError> {
    let started = Instant::now();
    let matrix = Matrix::embedded()?;
    let compiled = started.elapsed();
    let whole = matrix.cedar_set()?;
    let (slices, policies) = matrix.size();
    println!("{slices} slices, {policies} policies, read and compiled in {compiled:?}");

    let cells: Vec<_> = matrix.cells().map(|(key, _)| key).collect();
    let full = |(profile, right, relation): (_, _, Relation)| Request {
        rendition: Rendition::Coarse,
        purpose: Some(Purpose::Intervention),
        justification: Some("brand in de Hoogstraat"),
        case_ref: Some("BR.11.L3.4711/2026"),
        has_second_person: true,
        event_active: true,
        ..Request::bare(profile, right, relation)
    };
    let mut took = Vec::with_capacity(ROUNDS * cells.len());
    for _ in 0..ROUNDS {
        for cell in &cells {
            let request = full(*cell);
            let before = Instant::now();
            let decision = matrix.decide(&request);
            took.push(before.elapsed());
            drop(decision);
        }
    }
    took.sort_unstable();
    let (p50, p99) = (percentile(&took, 50), percentile(&took, 99));
    println!("slice: p50 {p50:?}, p99 {p99:?}, {} decisions over {} cells", took.len(), cells.len());

    let mut took: Vec<Duration> = Vec::new();
    for cell in cells.iter().step_by(5) {
        let request = full(*cell);
        let before = Instant::now();
        drop(matrix.decide_by(&whole, &request));
        took.push(before.elapsed());
    }
    took.sort_unstable();
    println!("the whole as one set: p50 {:?}, p99 {:?}", percentile(&took, 50), percentile(&took, 99));
    Ok(())
}
