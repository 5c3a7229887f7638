#!/usr/bin/env bash
# Hot functions with criterion, then a short run of the hammer. The long runs of the README are given by hand.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh test
scripts/build.sh release
cargo build --release --locked --package vms-benches --bin hammer
cargo bench --locked --package vms-benches --bench hot --bench keys
target/release/hammer kills --role recorder --count 10
target/release/hammer kills --role ingest --count 10
target/release/hammer cost --pairs 1 --seconds 60
