#!/usr/bin/env bash
# Every check and test, in the order of their cost. Stops at the first that fails; says at the end where the time went.
set -euo pipefail
cd "$(dirname "$0")/.."
# Nobody builds a second time in a landing's clone: incremental files would only cost time and disk there.
[ "${CI:-}" != true ] || export CARGO_INCREMENTAL=0

current=
began=0
spent=()
step() {
    [ -z "$current" ] || spent+=("$(printf '%5d s  %s' $((SECONDS - began)) "$current")")
    current=$*
    began=$SECONDS
    printf '\n\033[1m== %s (%ss)\033[0m\n' "$*" "$SECONDS" >&2
}

step "format"
cargo fmt --all --check

step "arrows, purity, sizes, links, licences"
cargo xtask all

step "console: lint, types, unit tests, build"
(cd web && npm run --silent lint && npm run --silent test && npm run --silent build)

step "clippy"
cargo clippy --workspace --all-targets --locked -- -D warnings

# The system tests start both programs, and `cargo test` builds only those that a test of the same package needs: everything is
# built before the first test, at once, so that no compiler runs beside a test.
step "programs and tests: build"
cargo build --workspace --bins --tests --examples --locked

step "unit and integration tests"
cargo xtask tests

step "OpenAPI snapshot"
# As it was built with everything else: alone it would be built anew with fewer features, for minutes.
"${CARGO_TARGET_DIR:-target}/debug/examples/openapi" | diff - web/openapi.json \
    || { echo "web/openapi.json is stale: cargo run -p vms-api --example openapi > web/openapi.json" >&2; exit 1; }

step "console in the program, linked libraries"
scripts/build.sh dev
cargo xtask ldd target/debug/belfry

step "whole system: recording, roles killed, PostgreSQL, browser"
scripts/e2e.sh target/debug

step "all passed"
printf '%s\n' "${spent[@]}" >&2
